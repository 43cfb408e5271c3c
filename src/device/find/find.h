// SPDX-License-Identifier: MIT
// Internals of device lists: creating them and selecting a row.
#ifndef CLRNN_SRC_DEVICE_FIND_FIND_H
#define CLRNN_SRC_DEVICE_FIND_FIND_H

#include "clrnn/device.h"
#include "device/core/opencl.h"

/** The driver's handles of a row of a device list. */
struct clrnn_handles {
    cl_platform_id platform;
    cl_device_id id;
};

/** Private data of a list, to which its `strings_` points. */
struct clrnn_list_private {
    char **string;
    size_t string_count;
    struct clrnn_handles *handles; // one for each row of the list
};

#define CLRNN_INSTALL_DRIVER \
    "install a driver (Debian, for the CPU: pocl-opencl-icd; for GPUs: the vendor's OpenCL package, or " \
    "mesa-opencl-icd)"
#define CLRNN_NO_OPENCL "OpenCL"      // the platform's name where OpenCL's or CLBlast's library does not load
#define CLRNN_NO_DEVICES "no devices" // the trouble of a working platform without devices

/** Fills `list` with all platforms and devices that OpenCL knows (not ref), in clinfo's order. */
enum clrnn_status clrnn_list_opencl(const struct clrnn_log *log, struct clrnn_device_list *list);
enum clrnn_status clrnn_list_init(const struct clrnn_log *log, struct clrnn_device_list **list);
/** Appends a row. Its texts are "" until set, its trouble is NULL. */
enum clrnn_status clrnn_list_row(const struct clrnn_log *log, struct clrnn_device_list *list,
                                 struct clrnn_handles handles, struct clrnn_device_info **row);
/** Passes ownership of a text (NULL: no memory) to the list; returns it, or NULL. */
const char *clrnn_list_keep(struct clrnn_device_list *list, char *text);
/** Sets `same_as` of each row that is the same physical device as an earlier row. */
void clrnn_list_mark_same(struct clrnn_device_list *list);
enum clrnn_status clrnn_list_ref(const struct clrnn_log *log, struct clrnn_device_list *list);

/** Finds the row that `select` (NULL: the default) means. */
enum clrnn_status clrnn_list_select(const struct clrnn_log *log, const struct clrnn_device_list *list,
                                    const char *select, size_t *row);

#endif
