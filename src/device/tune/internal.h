// SPDX-License-Identifier: MIT
// What reading and searching share: the file's parts, and CLBlast's parameters by name.
#ifndef CLRNN_SRC_DEVICE_TUNE_INTERNAL_H
#define CLRNN_SRC_DEVICE_TUNE_INTERNAL_H

#include <jansson.h>

#include "device/internal.h"
#include "device/tune/tune.h"

#define CLRNN_TUNE_VERSION 1
#define CLRNN_TUNE_MOST_PARAMETERS 20
#define CLRNN_TUNE_NEVER 60000 // XGEMM_MIN_INDIRECT_SIZE that no multiply reaches

/** The whole file as JSON, made anew where there is none to go on with. NULL: no memory. */
json_t *clrnn_tune_read(const struct clrnn_device_info *info);

/** Writes the file. Errors: CLRNN_ERR_DISK, CLRNN_ERR_MEMORY. */
enum clrnn_status clrnn_tune_save(const struct clrnn_log *log, const char *path, const json_t *root);

/** The alternative to use for a choice, by name; NULL: nothing was measured. */
const char *clrnn_tune_option(const struct clrnn_tune *tune, const char *key);

/** Hands {"WGD": 64, ...} to CLBlast for a kernel; whether it took it. */
bool clrnn_tune_override(struct clrnn_device *device, const char *kernel, const json_t *parameters);

#endif
