// SPDX-License-Identifier: MIT
// Listing devices in a subprocess, so that the caller loads no driver and may fork children that do.
#ifndef CLRNN_SRC_DEVICE_FIND_LIST_CHILD_H
#define CLRNN_SRC_DEVICE_FIND_LIST_CHILD_H

#include "clrnn/device.h"

/** clrnn_device_list_create in a child process. Errors: CLRNN_ERR_DEVICE if the child dies,
 * CLRNN_ERR_MEMORY. */
enum clrnn_status clrnn_device_list_in_child(const struct clrnn_log *log, struct clrnn_device_list **list);

/** The row that a device SPEC selects, "ref" included. CLRNN_ERR_ARG: none or several. */
enum clrnn_status clrnn_device_list_find(const struct clrnn_log *log, const struct clrnn_device_list *list,
                                         const char *spec, size_t *row);

/** Whether a child that ended like this (`ending` of clrnn_child_wait) should be run again with empty caches:
 * its driver crashed, or built a broken program. If so, logs a warning and sets `folder` to a new cache
 * folder, which the caller removes and frees; otherwise to NULL. */
enum clrnn_status clrnn_caches_suspect(const struct clrnn_log *log, const char *device, const char *ending,
                                       char **folder);

#endif
