// SPDX-License-Identifier: MIT
// Opens devices, and divides them among ranks, for commands that use several devices at once.
#ifndef CLRNN_TOOLS_DEVICE_LIST_H
#define CLRNN_TOOLS_DEVICE_LIST_H

#include "clrnn/train.h"
#include "tools/cli.h"

enum { MOST_DEVICES = 64 };

struct device_list {
    const char *names; // the value of --devices; NULL: one device, the one that --device selects
    size_t count;
    struct clrnn_device *device[MOST_DEVICES];
    char *own; // names of the devices that this rank opens; NULL: those in `names`
};

/** The row for --devices in a command's table of options. */
#define DEVICES_OPTION(list) \
    { \
        "devices", CLI_TEXT, "LIST", "several devices at once: their names, as 0:0,1:0, or all-gpus", &(list).names \
    }

/** Opens the devices in list->names, in this order, and warns if they are of different kinds. Without list->names,
 * opens the one device that --device selects. CLRNN_ERR_ARG: a name is wrong, or --device is given as well; other
 * errors as clrnn_device_open. The caller closes the devices with device_list_close, also after an error. */
enum clrnn_status device_list_open(struct cli *cli, bool profile, struct device_list *list);
/** Divides the devices of a host among the ranks that run on it. All ranks call it before device_list_open. Ranks with
 * the same --devices divide these devices among themselves. If neither --devices nor --device nor CLRNN_DEVICE names
 * devices, each rank takes one device of the same kind as the default device. "gpu" does not name a device: the rank
 * then takes a GPU. `status` is CLRNN_OK or an earlier error of this rank. Returns `status`, or a new error. */
enum clrnn_status device_list_divide(struct cli *cli, const struct clrnn_rank *rank, enum clrnn_status status,
                                     struct device_list *list);
void device_list_close(struct device_list *list);

#endif
