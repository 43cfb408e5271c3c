// SPDX-License-Identifier: MIT
// The folder of program binaries; what a user does with it is in clrnn/device.h.
#ifndef CLRNN_SRC_DEVICE_PROGRAM_CACHE_H
#define CLRNN_SRC_DEVICE_PROGRAM_CACHE_H

#include <stdbool.h>
#include <stddef.h>

#include "base/log.h"

/** The folder for binaries in fresh memory; NULL where there is none (no HOME, no memory). */
char *clrnn_cache_folder(void);
/** Logs why there is no such folder; returns CLRNN_ERR_DISK or CLRNN_ERR_MEMORY. */
enum clrnn_status clrnn_cache_no_folder(const struct clrnn_log *log);
/** Whether nobody else can have written the file or folder: a binary runs with this user's rights. */
bool clrnn_cache_is_ours(const char *path);
/** A binary by its key, in fresh memory; NULL if there is none or it is damaged. */
unsigned char *clrnn_cache_read(const char *folder, const char *key, size_t *size);
/** Stores a binary; a failure costs only time and is not reported. */
void clrnn_cache_write(const char *folder, const char *key, const unsigned char *data, size_t size);

#endif
