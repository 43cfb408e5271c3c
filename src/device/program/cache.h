// SPDX-License-Identifier: MIT
// The folder of program binaries. clrnn/device.h has the functions by which a user inspects and clears it.
#ifndef CLRNN_SRC_DEVICE_PROGRAM_CACHE_H
#define CLRNN_SRC_DEVICE_PROGRAM_CACHE_H

#include <stdbool.h>
#include <stddef.h>

#include "base/log.h"

/** Returns the path of the folder for program binaries (to be freed). NULL: neither XDG_CACHE_HOME nor HOME is set, or
 * out of memory. */
char *clrnn_cache_folder(void);
/** Logs why clrnn_cache_folder returned NULL. Returns CLRNN_ERR_DISK (neither variable is set) or CLRNN_ERR_MEMORY. */
enum clrnn_status clrnn_cache_no_folder(const struct clrnn_log *log);
/** Whether the file or folder belongs to this user and is not writable for all users. If false, the contents must not
 * be used: a binary, for example, would run with this user's rights. */
bool clrnn_cache_is_ours(const char *path);
/** Reads the binary with a key (to be freed). NULL: there is none, it is damaged, another user may have written it, or
 * out of memory. */
unsigned char *clrnn_cache_read(const char *folder, const char *key, size_t *size);
/** Stores a binary. A failure costs only time and is not reported. */
void clrnn_cache_write(const char *folder, const char *key, const unsigned char *data, size_t size);

#endif
