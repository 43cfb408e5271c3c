// SPDX-License-Identifier: MIT
// Lists devices in a child process. So the calling process loads no driver, and can still fork children that load
// drivers.
#ifndef CLRNN_SRC_DEVICE_FIND_LIST_CHILD_H
#define CLRNN_SRC_DEVICE_FIND_LIST_CHILD_H

#include "clrnn/device.h"

/** Calls clrnn_device_list_create in a child process and copies the list to this process. Errors: CLRNN_ERR_DEVICE if
 * the child crashes or hangs, CLRNN_ERR_MEMORY. */
enum clrnn_status clrnn_device_list_in_child(const struct clrnn_log *log, struct clrnn_device_list **list);

/** Like clrnn_list_select (find.h), but `spec` may also be "ref". */
enum clrnn_status clrnn_device_list_find(const struct clrnn_log *log, const struct clrnn_device_list *list,
                                         const char *spec, size_t *row);

/** Checks whether a child process should be run again with empty caches. `ending` is the text of clrnn_child_wait:
 * either the driver crashed, or an error message blames PoCL's cache (POCL_CACHE_DIR). If so, logs a warning and sets
 * *folder to a new temporary folder for the caches; the caller removes the folder and frees the path. Otherwise sets
 * *folder to NULL. */
enum clrnn_status clrnn_caches_suspect(const struct clrnn_log *log, const char *device, const char *ending,
                                       char **folder);

#endif
