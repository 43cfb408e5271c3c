// SPDX-License-Identifier: MIT
// Checks, creates and locks the folders that commands write into.
#include "train/folder.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/file.h"
#include "base/temporary.h"
#include "base/text.h"

const char *clrnn_folder_join(char path[PATH_MAX], const char *folder, const char *part, const char *name)
{
    const int length = snprintf(path, PATH_MAX, "%s/%s%s%s", folder, part, *part ? "/" : "", name);

    if (length >= PATH_MAX)
        path[0] = '\0'; // "" names no file; the system refuses longer paths anyway
    return path;
}

bool clrnn_folder_has(const char *folder, const char *part, const char *name)
{
    char path[PATH_MAX];
    struct stat st;

    clrnn_folder_join(path, folder, part, name);
    return !lstat(path, &st) || (errno != ENOENT && errno != ENOTDIR);
}

json_t *clrnn_json_number(double value)
{
    return isfinite(value) ? json_real(value) : json_null();
}

enum clrnn_status clrnn_folder_json(const struct clrnn_log *log, const char *folder, const char *name, json_t *object,
                                    size_t flags, const char *end, const char *what)
{
    char *path = clrnn_path_join(folder, name), *text = clrnn_json_dump(object, flags);
    char *whole = text ? clrnn_format("%s%s", text, end) : NULL;
    const enum clrnn_status st = path && whole ? clrnn_write_text(log, path, whole) : clrnn_error_memory(log, 0, what);

    json_decref(object);
    free(text);
    free(whole);
    free(path);
    return st;
}

bool clrnn_folder_is(const struct clrnn_folder_kind *kind, const char *folder)
{
    return clrnn_folder_has(folder, "", kind->mark) || (kind->is_unmarked && kind->is_unmarked(folder));
}

static int is_other(const struct dirent *entry)
{
    return strcmp(entry->d_name, ".") && strcmp(entry->d_name, "..") &&
           strncmp(entry->d_name, CLRNN_TEMPORARY_PREFIX, sizeof(CLRNN_TEMPORARY_PREFIX) - 1);
}

enum clrnn_status clrnn_folder_check(const struct clrnn_log *log, const struct clrnn_folder_kind *kind,
                                     const char *folder)
{
    struct dirent **entry = NULL;
    const int count = scandir(folder, &entry, is_other, alphasort);
    char more[32] = "";
    enum clrnn_status st = CLRNN_OK;

    if (count < 0 && errno == ENOMEM)
        return clrnn_error_memory(log, 0, folder);
    if (count < 0 && errno != ENOENT && errno != ENOTDIR)
        return clrnn_error(log, CLRNN_ERR_DISK, "%s: cannot be read: %s", folder, strerror(errno));
    if (count > 3)
        snprintf(more, sizeof(more), " and %d more", count - 3);
    if (count > 0 && !clrnn_folder_is(kind, folder))
        st = clrnn_error(log, CLRNN_ERR_ARG,
                         "%s: holds %s%s%s%s%s%s and is no %s's folder: name a new or empty folder, or that of "
                         "an earlier %s, which is then %s (--out)",
                         folder, entry[0]->d_name, count > 1 ? ", " : "", count > 1 ? entry[1]->d_name : "",
                         count > 2 ? ", " : "", count > 2 ? entry[2]->d_name : "", more, kind->noun, kind->noun,
                         kind->then);
    for (int i = 0; i < count; i++)
        free(entry[i]);
    free(entry);
    return st;
}

enum clrnn_status clrnn_folder_lock(const struct clrnn_log *log, const struct clrnn_folder_kind *kind,
                                    const char *folder, int *lock)
{
    char *mark = clrnn_path_join(folder, kind->mark);
    enum clrnn_status st = CLRNN_OK;

    if (!mark)
        return clrnn_error_memory(log, 0, "a path");
    *lock = open(mark, O_RDWR | O_CREAT | O_CLOEXEC, 0666);
    if (*lock < 0)
        st = clrnn_error(log, CLRNN_ERR_DISK, "%s: cannot be written: %s", mark, strerror(errno));
    else if (flock(*lock, LOCK_EX | LOCK_NB) && errno == EWOULDBLOCK) // ignores file systems without locks
        st = clrnn_error(log, CLRNN_ERR_ARG,
                         "%s: another %s writes there now; choose another folder (--out) or wait for it to end", folder,
                         kind->noun);
    free(mark);
    return st;
}

// ---------------------------------------------------------------- default names

// Returns the config's file name without its ending, or "run" if the config is not from a file. Returns NULL if there
// is no memory.
static char *name_of(const struct clrnn_config *config)
{
    const char *slash = config->path ? strrchr(config->path, '/') : NULL;
    const char *base = slash ? slash + 1 : config->path ? config->path : "run";
    const char *dot = strrchr(base, '.');

    return clrnn_format("%.*s", (int)(dot && dot != base ? (size_t)(dot - base) : strlen(base)), base);
}

char *clrnn_folder_default(const struct clrnn_config *config, const char *what)
{
    const time_t now = time(NULL);
    const char *const dash = what ? "-" : "";
    struct tm local;
    char stamp[32], *name = name_of(config), *path;

    what = what ? what : "";
    if (!localtime_r(&now, &local) || !strftime(stamp, sizeof(stamp), "%Y%m%d-%H%M%S", &local))
        snprintf(stamp, sizeof(stamp), "%lld", (long long)now);
    path = name ? clrnn_format("runs/%s%s%s-%s", name, dash, what, stamp) : NULL;
    for (int i = 2; path && access(path, F_OK) == 0 && i < 1000; i++) { // same second as another run
        free(path);
        path = clrnn_format("runs/%s%s%s-%s-%d", name, dash, what, stamp, i);
    }
    free(name);
    return path;
}

enum clrnn_status clrnn_folder_choose(const struct clrnn_log *log, const struct clrnn_folder_kind *kind,
                                      const struct clrnn_config *config, const char *what, const char *out,
                                      char folder[PATH_MAX])
{
    char *path = out ? clrnn_format("%s", out) : clrnn_folder_default(config, what);
    const bool fits = path && strlen(path) < PATH_MAX;
    enum clrnn_status st = path ? CLRNN_OK : clrnn_error_memory(log, 0, "a path");

    if (fits)
        memcpy(folder, path, strlen(path) + 1);
    else if (path)
        st = clrnn_error(log, CLRNN_ERR_ARG, "the folder's path has %zu bytes, expected fewer than %d", strlen(path),
                         PATH_MAX);
    free(path);
    TRY(st);
    TRY(clrnn_folder_check(log, kind, folder));
    return clrnn_make_folder(log, folder);
}
