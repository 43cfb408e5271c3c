// SPDX-License-Identifier: MIT
// Internals of the files of measurements, for the code that reads them and the autotuner.
#ifndef CLRNN_SRC_DEVICE_REMEMBER_INTERNAL_H
#define CLRNN_SRC_DEVICE_REMEMBER_INTERNAL_H

#include <jansson.h>

#include "device/core/internal.h"
#include "device/remember/remember.h"

#define CLRNN_TUNE_VERSION 2

/** The contents of a device's file. */
struct clrnn_tune {
    json_t *root;
    char *path;
    bool applied; // CLBlast's settings were passed to CLBlast, or refused
};

// The file's parts, each an object: "use", CLBlast's parameters by kernel; "shapes", times of multiplies;
// "tried", times of settings; "choices", times of choices between launches; "speed", which may be missing.

/** Parses a file's text and checks its hash, which it leaves out. NULL: *why is the reason. */
json_t *clrnn_tune_parse(const char *text, size_t size, const char **why);
/** Reads a file; NULL with a logged warning if it cannot be used, NULL without one if it does not exist.
 * Errors: CLRNN_ERR_MEMORY. */
enum clrnn_status clrnn_tune_load_file(const struct clrnn_log *log, const char *path, json_t **root);

/** Writes the whole file with its hash. Errors: CLRNN_ERR_DISK, CLRNN_ERR_MEMORY. */
enum clrnn_status clrnn_tune_save(const struct clrnn_log *log, const char *path, const json_t *root);

/** Merges `changes` (parts of the file; "shapes", "tried" and "choices" entry by entry, "use" and "speed" as
 * a whole) into the current file under a lock, since another process may have written it after it was read.
 * `restart`: discards the old contents first. *root becomes the new contents. Errors: CLRNN_ERR_DISK,
 * CLRNN_ERR_MEMORY. */
enum clrnn_status clrnn_tune_update(const struct clrnn_log *log, const struct clrnn_device_info *info,
                                    bool restart, const json_t *changes, json_t **root);

/** The name of the alternative to use for a choice; NULL: not measured. */
const char *clrnn_tune_option(const struct clrnn_tune *tune, const char *key);

#endif
