// SPDX-License-Identifier: MIT
// Finds files by patterns.
#include "base/glob.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"

// Returns a pattern that matches only `path`, which the caller frees. NULL: out of memory.
static char *escape(const char *path)
{
    char *pattern = malloc(3 * strlen(path) + 1), *to = pattern;

    for (; pattern && *path; path++) {
        if (strchr("*?[", *path)) {
            *to++ = '[';
            *to++ = *path;
            *to++ = ']';
            continue;
        }
        if (*path == '\\')
            *to++ = '\\';
        *to++ = *path;
    }
    if (pattern)
        *to = 0;
    return pattern;
}

bool clrnn_glob_is_pattern(const char *folder, const char *name)
{
    char *path = strpbrk(name, "*?[") ? clrnn_path_join(folder, name) : NULL;
    const bool pattern = path && access(path, F_OK) != 0;

    free(path);
    return pattern;
}

int clrnn_glob(const char *folder, const char *pattern, glob_t *files)
{
    char *path = clrnn_path_join(folder, pattern), *before = folder ? escape(folder) : NULL, *whole = NULL;
    int failed = GLOB_NOSPACE;

    if (path && (before || !folder))
        whole = access(path, F_OK) ? clrnn_path_join(before, pattern) : escape(path);
    if (whole)
        failed = glob(whole, 0, NULL, files);
    free(path);
    free(before);
    free(whole);
    return failed;
}
