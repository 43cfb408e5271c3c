// SPDX-License-Identifier: MIT
// The folder of cached tables: counts its tables, and removes some or all of them.
#include "train/table_file.h"

#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "base/log.h"
#include "clrnn/train.h"
#include "device/program/cache.h"

#define MOST_BYTES ((uint64_t)16 << 30) // limit for all tables together; above it, the least recently used are removed
#define STATE_LETTERS 16                // length of <path>, and of <state>, in "<path>-<state>-<rules>.table"

char *clrnn_tables_folder(void)
{
    char *programs = clrnn_cache_folder(), *above = programs ? clrnn_path_folder(programs) : NULL;
    char *folder = above ? clrnn_path_join(above, "tables") : NULL;

    free(programs);
    free(above);
    return folder;
}

static int is_table(const struct dirent *entry)
{
    const size_t length = strlen(entry->d_name);

    return length > 6 && !strcmp(entry->d_name + length - 6, ".table");
}

// Counts the tables in the folder: adds their number to *count and their bytes to *bytes. If `remove`, removes each
// table and then counts it; a table that cannot be removed is an error.
static enum clrnn_status visit(const struct clrnn_log *log, bool remove, size_t *count, uint64_t *bytes)
{
    char *folder = clrnn_tables_folder();
    struct dirent **entry = NULL;
    const int found = folder ? scandir(folder, &entry, is_table, alphasort) : 0;
    enum clrnn_status st = CLRNN_OK;

    if (!folder)
        return clrnn_cache_no_folder(log);
    if (found < 0 && errno != ENOENT)
        st = clrnn_error(log, CLRNN_ERR_DISK, "%s: cannot be read: %s", folder, strerror(errno));
    for (int i = 0; i < found; i++) {
        char *path = clrnn_path_join(folder, entry[i]->d_name);
        struct stat info;

        if (st == CLRNN_OK && !path) {
            st = clrnn_error_memory(log, 0, "a path");
        } else if (st == CLRNN_OK && !lstat(path, &info)) {
            if (remove && unlink(path)) {
                st = clrnn_error(log, CLRNN_ERR_DISK, "%s: cannot be removed: %s", path, strerror(errno));
            } else {
                ++*count;
                *bytes += (uint64_t)info.st_size;
            }
        }
        free(path);
        free(entry[i]);
    }
    free(entry);
    free(folder);
    return st;
}

enum clrnn_status clrnn_tables_info(const struct clrnn_log *log, size_t *tables, uint64_t *bytes)
{
    NEED(log, tables);
    NEED(log, bytes);
    *tables = 0;
    *bytes = 0;
    return visit(log, false, tables, bytes);
}

enum clrnn_status clrnn_tables_clear(const struct clrnn_log *log, size_t *tables, uint64_t *bytes)
{
    NEED(log, tables);
    NEED(log, bytes);
    *tables = 0;
    *bytes = 0;
    return visit(log, true, tables, bytes);
}

// Removes the least recently used table other than `kept`. Returns how many bytes it had, or 0 if nothing was removed.
static uint64_t remove_oldest(const char *folder, struct dirent *const *entry, int count, const char *kept)
{
    struct timespec oldest = {0};
    char path[PATH_MAX], victim[PATH_MAX] = "";
    uint64_t bytes = 0;
    struct stat info;

    for (int i = 0; i < count; i++) {
        if (!strcmp(entry[i]->d_name, kept) ||
            snprintf(path, sizeof(path), "%s/%s", folder, entry[i]->d_name) >= (int)sizeof(path) || lstat(path, &info))
            continue;
        if (!*victim || info.st_mtim.tv_sec < oldest.tv_sec ||
            (info.st_mtim.tv_sec == oldest.tv_sec && info.st_mtim.tv_nsec < oldest.tv_nsec)) {
            memcpy(victim, path, sizeof(victim));
            oldest = info.st_mtim;
            bytes = (uint64_t)info.st_size;
        }
    }
    return *victim && !unlink(victim) ? bytes : 0;
}

void clrnn_tables_prune(const char *path)
{
    const char *name = strrchr(path, '/') + 1;
    char *folder = clrnn_path_folder(path);
    struct dirent **entry = NULL;
    const int count = folder ? scandir(folder, &entry, is_table, alphasort) : 0;
    uint64_t total = 0, removed = 1;

    for (int i = 0; i < count; i++) {
        const char *other = entry[i]->d_name;
        const bool stale =
            !strncmp(other, name, STATE_LETTERS + 1) && strncmp(other, name, 2 * (STATE_LETTERS + 1)) != 0;
        char *at = clrnn_path_join(folder, other);
        struct stat info;

        if (at && stale)
            unlink(at);
        else if (at && !lstat(at, &info))
            total += (uint64_t)info.st_size;
        free(at);
    }
    while (total > MOST_BYTES && removed) {
        removed = remove_oldest(folder, entry, count, name);
        total -= removed;
    }
    for (int i = 0; i < count; i++)
        free(entry[i]);
    free(entry);
    free(folder);
}
