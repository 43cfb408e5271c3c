// SPDX-License-Identifier: MIT
// The devices of commands that work on several at once.
#ifndef CLRNN_TOOLS_DEVICE_LIST_H
#define CLRNN_TOOLS_DEVICE_LIST_H

#include "tools/cli.h"

enum { MOST_DEVICES = 64 };

struct device_list {
    const char *names; // --devices; NULL: one device, that of --device
    size_t count;
    struct clrnn_device *device[MOST_DEVICES];
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
void device_list_close(struct device_list *list);

#endif
