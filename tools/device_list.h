// SPDX-License-Identifier: MIT
// Opening and dividing devices, for commands that work on several at once.
#ifndef CLRNN_TOOLS_DEVICE_LIST_H
#define CLRNN_TOOLS_DEVICE_LIST_H

#include "clrnn/train.h"
#include "tools/cli.h"

enum { MOST_DEVICES = 64 };

struct device_list {
    const char *names; // the value of --devices; NULL: one device, as --device says
    size_t count;
    struct clrnn_device *device[MOST_DEVICES];
    char *own; // names of the devices that this rank opens, or NULL: `names`
};

/** The row for --devices in a command's table of options. */
#define DEVICES_OPTION(list) \
    { \
        "devices", CLI_TEXT, "LIST", "several devices at once: their names, as 0:0,1:0, or all-gpus", \
            &(list).names \
    }

/** Opens the devices in list->names, in this order, and warns if they are of different kinds. CLRNN_ERR_ARG:
 * the names are wrong, or --device is given, too; else as clrnn_device_open. device_list_close closes the
 * devices, also after an error. */
enum clrnn_status device_list_open(struct cli *cli, bool profile, struct device_list *list);
/** Divides the devices of a host among its ranks; all ranks call it before device_list_open. Without
 * --devices or a named --device, ranks take the devices of the default's kind in turn; ranks with the same
 * --devices divide these. `status`: how this rank has fared so far; returns it, or an error. */
enum clrnn_status device_list_divide(struct cli *cli, const struct clrnn_rank *rank, enum clrnn_status status,
                                     struct device_list *list);
void device_list_close(struct device_list *list);

#endif
