// SPDX-License-Identifier: MIT
// Listing devices in a subprocess, so that the caller loads no driver and may fork children that do.
#ifndef CLRNN_SRC_DEVICE_FIND_LIST_CHILD_H
#define CLRNN_SRC_DEVICE_FIND_LIST_CHILD_H

#include "clrnn/device.h"

/** clrnn_device_list_create, done in a child. Errors: CLRNN_ERR_DEVICE where that dies, CLRNN_ERR_MEMORY. */
enum clrnn_status clrnn_device_list_apart(const struct clrnn_log *log, struct clrnn_device_list **list);

/** The row that a SPEC means, "ref" included. CLRNN_ERR_ARG: none or several. */
enum clrnn_status clrnn_device_list_find(const struct clrnn_log *log, const struct clrnn_device_list *list,
                                         const char *spec, size_t *row);

/**
 * Whether a child that ended so (clrnn_child_wait) is worth another try with fresh caches: its driver
 * crashed, or made a broken program. If so, a warning says that this is done, and `folder` is a fresh one,
 * the caller's to remove and free; NULL otherwise.
 */
enum clrnn_status clrnn_caches_suspect(const struct clrnn_log *log, const char *device, const char *ending,
                                       char **folder);

#endif
