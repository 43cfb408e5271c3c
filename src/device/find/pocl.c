// SPDX-License-Identifier: MIT
// PoCL's cache of compiled kernels.
#include "device/find/pocl.h"

#include <fts.h>
#include <stdlib.h>
#include <sys/stat.h>
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

enum clrnn_status clrnn_pocl_cache(const struct clrnn_log *log, char **folder, uint64_t *bytes)
{
    NEED(log, folder);
    NEED(log, bytes);

    FTS *walk;
    const FTSENT *entry;

    *bytes = 0;
    *folder = clrnn_pocl_cache_folder();
    if (!*folder)
        return clrnn_error_memory(log, 0, "the path of PoCL's cache");
    walk = fts_open((char *[]){*folder, NULL}, FTS_PHYSICAL | FTS_NOCHDIR, NULL);
    while (walk && (entry = fts_read(walk)))
        if (entry->fts_info == FTS_F)
            *bytes += (uint64_t)entry->fts_statp->st_size;
    if (walk)
        fts_close(walk);
    return CLRNN_OK;
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
        text =
            clrnn_format("PoCL keeps the kernels that it compiles in the folder %s, which %s: delete or mend "
                         "it, or name a folder that can be written by POCL_CACHE_DIR",
                         folder, why);
    free(folder);
    return text;
}

char *clrnn_device_cache_advice(const struct clrnn_device_info *info)
{
    char *folder, *text;

    if (!info || !clrnn_quirks_of(info).is_pocl)
        return clrnn_format("%s", "");
    folder = clrnn_pocl_cache_folder();
    text = folder ? clrnn_format("; PoCL's cache may be damaged: delete the folder %s, or name another by "
                                 "POCL_CACHE_DIR, and try again",
                                 folder)
                  : NULL;
    free(folder);
    return text;
}
