// SPDX-License-Identifier: MIT
// What reading and searching share: the file's parts, and CLBlast's parameters by name.
#ifndef CLRNN_SRC_DEVICE_TUNE_INTERNAL_H
#define CLRNN_SRC_DEVICE_TUNE_INTERNAL_H

#include <jansson.h>

#include "device/internal.h"
#include "device/tune/tune.h"

#define CLRNN_TUNE_VERSION 2
#define CLRNN_TUNE_MOST_PARAMETERS 20
#define CLRNN_TUNE_NEVER 60000 // XGEMM_MIN_INDIRECT_SIZE that no multiply reaches

// The file's parts, each an object: "use" CLBlast's parameters by kernel, "shapes" what was measured of
// multiplies, "tried" of settings, "choices" of choices between launches.

/** The parsed text of a file, without its hash; NULL: `why` says what is wrong. */
json_t *clrnn_tune_parse(const char *text, size_t size, const char **why);
/** What a file holds; NULL, with a warning that says why, where it cannot be used; NULL without a word where
 *  there is none. */
json_t *clrnn_tune_load_file(const struct clrnn_log *log, const char *path);

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

// ---------------------------------------------------------------- settings of CLBlast (settings.c)

/** Setting `index` of a fixed sequence, of XgemmDirect or Xgemm: fresh JSON {"WGD": 32, ...}, NULL: no
 * memory. False where it does not suit the device. */
bool clrnn_setting_get(const struct clrnn_device_info *info, size_t index, bool *direct, json_t **parameters);

/** Whether parameters are whole and hold to what the kernel ("XgemmDirect", "Xgemm", "GemmRoutine") needs. */
bool clrnn_setting_fits(const struct clrnn_device_info *info, const char *kernel, const json_t *parameters);

/** Hands them to CLBlast for a kernel; whether it took them. They hold for the process. */
bool clrnn_setting_override(struct clrnn_device *device, const char *kernel, const json_t *parameters);

/** Has CLBlast do every multiply by XgemmDirect, or by Xgemm. */
bool clrnn_setting_route(struct clrnn_device *device, bool direct);

/** Whether a small multiply by CLBlast gives the right numbers. The status says whether it ran at all. */
enum clrnn_status clrnn_setting_check(struct clrnn_device *device, bool *right);

#endif
