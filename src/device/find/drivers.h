// SPDX-License-Identifier: MIT
// Tries OpenCL drivers in child processes, so that a crash or hang does not affect this process.
#ifndef CLRNN_SRC_DEVICE_FIND_DRIVERS_H
#define CLRNN_SRC_DEVICE_FIND_DRIVERS_H

#include "base/log.h"

/** A platform that crashed or hung its child; or, with platform -1, a driver that did so while being loaded
 * or that gave no platform. `name` is then the driver's .icd file or library. */
struct clrnn_probe_trouble {
    int platform;
    char name[256], text[400];
};

struct clrnn_probe {
    struct clrnn_probe_trouble *trouble;
    size_t count;
    char *folder;       // links to the working drivers, if others break the loader; else NULL
    char *kept_vendors; // value of OCL_ICD_VENDORS before it was changed
};

/**
 * Tries every platform in child processes. If a driver cannot even be loaded, sets OCL_ICD_VENDORS to a
 * temporary folder of the other drivers, until clrnn_probe_restore is called: call clGetPlatformIDs before
 * that. Does nothing in a process that has loaded drivers already.
 */
enum clrnn_status clrnn_probe_create(const struct clrnn_log *log, struct clrnn_probe **probe);
void clrnn_probe_restore(struct clrnn_probe *probe);
void clrnn_probe_destroy(struct clrnn_probe **probe);

/** Whether this process has loaded drivers. They are then known to load, and a fork would be unsafe. */
bool clrnn_drivers_loaded(void);

/** Where the loader searches for drivers: a folder, an .icd file, or a library. */
const char *clrnn_drivers_place(void);

/** The trouble of a platform, or NULL if it works. */
const struct clrnn_probe_trouble *clrnn_probe_find(const struct clrnn_probe *probe, int platform);

#endif
