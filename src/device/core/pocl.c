// SPDX-License-Identifier: MIT
// PoCL's cache of compiled kernels.
#include "device/core/pocl.h"

#include <dirent.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "base/file.h"
#include "base/log.h"
#include "device/core/quirks.h"

char *clrnn_pocl_cache_folder(void)
{
    const char *named = getenv("POCL_CACHE_DIR"), *caches = getenv("XDG_CACHE_HOME"), *home = getenv("HOME");

    if (named)
        return clrnn_format("%s", named);
    if (caches && *caches)
        return clrnn_format("%s/pocl/kcache", caches);
    return home ? clrnn_format("%s/.cache/pocl/kcache", home) : clrnn_format("/tmp/pocl/kcache");
}

// Adds the sizes of all files below a folder to *bytes. A folder that does not exist adds nothing. False: out of
// memory. Does not use fts_open, because glibc's fts_open crashes when memory is short.
static bool add_sizes(const char *folder, uint64_t *bytes)
{
    DIR *open = opendir(folder);
    const struct dirent *entry;
    bool whole = open || errno != ENOMEM;

    while (open && whole && (entry = readdir(open))) {
        struct stat st;
        bool known;
        char *path;

        if (!strcmp(entry->d_name, ".") || !strcmp(entry->d_name, ".."))
            continue;
        path = clrnn_path_join(folder, entry->d_name);
        whole = path;
        known = path && lstat(path, &st) == 0;
        if (known && S_ISREG(st.st_mode))
            *bytes += (uint64_t)st.st_size;
        else if (known && S_ISDIR(st.st_mode))
            whole = add_sizes(path, bytes);
        free(path);
    }
    if (open)
        closedir(open);
    return whole;
}

enum clrnn_status clrnn_pocl_cache(const struct clrnn_log *log, char **folder, uint64_t *bytes)
{
    NEED(log, folder);
    NEED(log, bytes);

    *bytes = 0;
    *folder = clrnn_pocl_cache_folder();
    if (*folder && add_sizes(*folder, bytes))
        return CLRNN_OK;
    free(*folder);
    *folder = NULL;
    return clrnn_error_memory(log, 0, "PoCL's cache");
}

char *clrnn_pocl_cache_trouble(void)
{
    char *folder = clrnn_pocl_cache_folder(), *text = NULL;
    const char *why = NULL;
    struct stat st;

    if (!folder)
        return NULL;
    if (clrnn_make_folder(NULL, folder) != CLRNN_OK)
        why = stat(folder, &st) == 0 && !S_ISDIR(st.st_mode) ? "is a file" : "cannot be made";
    else if (access(folder, W_OK | X_OK))
        why = "cannot be written";
    if (why)
        text = clrnn_format("PoCL keeps the kernels that it compiles in the folder %s, which %s: delete or mend "
                            "it, or name a folder that can be written by POCL_CACHE_DIR",
                            folder, why);
    free(folder);
    return text;
}

// Whether the disk has less than 1 MB free: the compiler's files for one kernel take that much. False if the free space
// is not known.
static bool is_disk_full(const char *folder)
{
    struct statvfs st;

    return statvfs(folder, &st) == 0 && st.f_blocks && (double)st.f_bavail * (double)st.f_frsize < 1e6;
}

char *clrnn_device_cache_advice(const struct clrnn_device_info *info)
{
    char *folder, *text;
    bool full;

    if (!info || !clrnn_quirks_of(info).is_pocl)
        return clrnn_format("%s", "");
    folder = clrnn_pocl_cache_folder();
    full = folder && is_disk_full(folder);
    text = folder ? clrnn_format("; PoCL's cache may be damaged%sdelete the folder %s, or name another by "
                                 "POCL_CACHE_DIR, and try again",
                                 full ? ", and its disk is full: make room on it, " : ": ", folder)
                  : NULL;
    free(folder);
    return text;
}
