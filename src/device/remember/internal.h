// SPDX-License-Identifier: MIT
// What reading and searching share: the file's parts, and CLBlast's parameters by name.
#ifndef CLRNN_SRC_DEVICE_REMEMBER_INTERNAL_H
#define CLRNN_SRC_DEVICE_REMEMBER_INTERNAL_H

#include <jansson.h>

#include "device/core/internal.h"
#include "device/remember/remember.h"

#define CLRNN_TUNE_VERSION 2

/** What a device's file says. */
struct clrnn_tune {
    json_t *root;
    char *path;
    bool applied; // CLBlast's settings are with CLBlast, or refused
};

// The file's parts, each an object: "use" CLBlast's parameters by kernel, "shapes" what was measured of
// multiplies, "tried" of settings, "choices" of choices between launches.

/** The parsed text of a file, without its hash; NULL: `why` says what is wrong. */
json_t *clrnn_tune_parse(const char *text, size_t size, const char **why);
/** What a file holds; NULL, with a warning that says why, where it cannot be used; NULL without a word where
 *  there is none. CLRNN_ERR_MEMORY. */
enum clrnn_status clrnn_tune_load_file(const struct clrnn_log *log, const char *path, json_t **root);

/** Writes all of it with its hash. Errors: CLRNN_ERR_DISK, CLRNN_ERR_MEMORY. */
enum clrnn_status clrnn_tune_save(const struct clrnn_log *log, const char *path, const json_t *root);

/**
 * Puts `changes` (parts of the file; entries of "shapes", "tried" and "choices" by key, "use" as a whole)
 * into the file as it is now, under a lock: another process may have written it since it was read. `restart`:
 * what it holds is dropped before. *root becomes what the file holds then. Errors: CLRNN_ERR_DISK,
 * CLRNN_ERR_MEMORY.
 */
enum clrnn_status clrnn_tune_update(const struct clrnn_log *log, const struct clrnn_device_info *info,
                                    bool restart, const json_t *changes, json_t **root);

/** The alternative to use for a choice, by name; NULL: nothing was measured. */
const char *clrnn_tune_option(const struct clrnn_tune *tune, const char *key);

#endif
