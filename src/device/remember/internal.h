// SPDX-License-Identifier: MIT
// Internals of the files of measurements, for the code that reads the files and for the autotuner.
#ifndef CLRNN_SRC_DEVICE_REMEMBER_INTERNAL_H
#define CLRNN_SRC_DEVICE_REMEMBER_INTERNAL_H

#include <jansson.h>

#include "device/core/internal.h"
#include "device/remember/remember.h"

#define CLRNN_TUNE_VERSION 2

/** The contents of a device's file of measurements. */
struct clrnn_tune {
    json_t *root;
    char *path;
    bool applied; // whether CLBlast's settings were passed to CLBlast, or refused
};

// The parts of a file's JSON that hold measurements, each an object. "use": CLBlast's parameters by kernel. "shapes":
// times of multiplies. "tried": times of CLBlast's settings. "choices": times of variants of launches. "speed", which
// may be missing: the time of a training step.

/** Parses a file's text and checks its hash; the result lacks the key "hash". NULL: the text cannot be used, and *why
 * says why. */
json_t *clrnn_tune_parse(const char *text, size_t size, const char **why);
/** Reads a file into *root. *root is NULL if the file does not exist. It is also NULL, after a logged warning, if the
 * file cannot be used. Errors: CLRNN_ERR_MEMORY. */
enum clrnn_status clrnn_tune_load_file(const struct clrnn_log *log, const char *path, json_t **root);

/** Writes the whole file with its hash. Errors: CLRNN_ERR_DISK, CLRNN_ERR_MEMORY. */
enum clrnn_status clrnn_tune_save(const struct clrnn_log *log, const char *path, const json_t *root);

/** Merges `changes` into the current file, under a lock, because another process may have written the file since it was
 * read. Of the file's parts, "shapes", "tried" and "choices" are merged entry by entry; "use" and "speed" are replaced.
 * `changes` may be NULL. `restart`: discards the old contents first. *root, which is released, becomes the new
 * contents. Errors: CLRNN_ERR_DISK, CLRNN_ERR_MEMORY. */
enum clrnn_status clrnn_tune_update(const struct clrnn_log *log, const struct clrnn_device_info *info, bool restart,
                                    const json_t *changes, json_t **root);

/** Returns the name of the alternative to use for the choice `key`. NULL: the choice was not measured. */
const char *clrnn_tune_option(const struct clrnn_tune *tune, const char *key);

#endif
