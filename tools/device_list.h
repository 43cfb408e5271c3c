// SPDX-License-Identifier: MIT
// The devices of commands that work on several at once.
#ifndef CLRNN_TOOLS_DEVICE_LIST_H
#define CLRNN_TOOLS_DEVICE_LIST_H

#include "clrnn/train.h"
#include "tools/cli.h"

enum { MOST_DEVICES = 64 };

struct device_list {
    const char *names; // --devices; NULL: one device, that of --device
    size_t count;
    struct clrnn_device *device[MOST_DEVICES];
    char *own; // names of those that this rank has, or NULL
};

/** A row of a command's options. */
#define DEVICES_OPTION(list) \
    { \
        "devices", CLI_TEXT, "LIST", "several devices at once: their names, as 0:0,1:0, or all-gpus", \
            &(list).names \
    }

/** Opens what list->names says, in this order: CLRNN_ERR_ARG where it is wrong or goes with --device, else as
 * clrnn_device_open. Warns where they are of different kinds. The devices that are open after an error, too,
 * are closed with device_list_close. */
enum clrnn_status device_list_open(struct cli *cli, bool profile, struct device_list *list);
/** Before device_list_open, on all ranks, with how each has fared so far: ranks of a host that leave the
 * choice open take its devices of the default's kind in turn; those that name the same devices by --devices
 * divide them. Returns `status`, or an error. */
enum clrnn_status device_list_divide(struct cli *cli, const struct clrnn_rank *rank, enum clrnn_status status,
                                     struct device_list *list);
void device_list_close(struct device_list *list);

#endif
