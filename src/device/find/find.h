// SPDX-License-Identifier: MIT
// Internals of device lists: creating them and selecting a row.
#ifndef CLRNN_SRC_DEVICE_FIND_FIND_H
#define CLRNN_SRC_DEVICE_FIND_FIND_H

#include "clrnn/device.h"
#include "device/core/opencl.h"

/** The OpenCL handles of the device in one row of a device list. */
struct clrnn_handles {
    cl_platform_id platform;
    cl_device_id id;
};

/** Private data of a list; the list's `strings_` points to it. */
struct clrnn_list_private {
    char **string;
    size_t string_count;
    struct clrnn_handles *handles; // one for each row of the list
};

#define CLRNN_INSTALL_DRIVER \
    "install a driver (Debian, for the CPU: pocl-opencl-icd; for GPUs: the vendor's OpenCL package, or " \
    "mesa-opencl-icd)"
#define CLRNN_NO_OPENCL "OpenCL"      // platform name of the row which reports that OpenCL or CLBlast cannot be loaded
#define CLRNN_NO_DEVICES "no devices" // `trouble` of a platform that works but has no devices

/** Fills `list` with all platforms and devices that OpenCL finds (without ref), in clinfo's order. */
enum clrnn_status clrnn_list_opencl(const struct clrnn_log *log, struct clrnn_device_list *list);
enum clrnn_status clrnn_list_init(const struct clrnn_log *log, struct clrnn_device_list **list);
/** Appends a row and returns it in *row. All its texts are "", its `trouble` is NULL. */
enum clrnn_status clrnn_list_row(const struct clrnn_log *log, struct clrnn_device_list *list,
                                 struct clrnn_handles handles, struct clrnn_device_info **row);
/** Passes ownership of `text` to the list and returns `text`. Returns NULL if `text` is NULL or if memory is short;
 * `text` is then freed. */
const char *clrnn_list_keep(struct clrnn_device_list *list, char *text);
/** Sets `same_as` of each row that is the same physical device as an earlier row. */
void clrnn_list_mark_same(struct clrnn_device_list *list);
enum clrnn_status clrnn_list_ref(const struct clrnn_log *log, struct clrnn_device_list *list);

/** Finds the row of the device that `select` names (see clrnn_device_params); NULL or "": the default device. Errors:
 * CLRNN_ERR_ARG: no device or several devices match. CLRNN_ERR_DEVICE: the device, or OpenCL itself, cannot be used. */
enum clrnn_status clrnn_list_select(const struct clrnn_log *log, const struct clrnn_device_list *list,
                                    const char *select, size_t *row);

#endif
