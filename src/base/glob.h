// SPDX-License-Identifier: MIT
// Finds files by patterns with *, ? and [...].
#ifndef CLRNN_SRC_BASE_GLOB_H
#define CLRNN_SRC_BASE_GLOB_H

#include <glob.h>
#include <stdbool.h>

/** Whether `name` in `folder` (NULL: the current one) is a pattern: it has wildcards, and no file has this very
 * name. */
bool clrnn_glob_is_pattern(const char *folder, const char *name);

/** Finds the files that match `pattern` in `folder`, in sorted order, or only the file of this
 * very name if there is one. Wildcards in `folder` stand for themselves. Returns what glob returns; after 0 the caller
 * calls globfree. */
int clrnn_glob(const char *folder, const char *pattern, glob_t *files);

#endif
