// SPDX-License-Identifier: MIT
// Tries OpenCL drivers in child processes, so that a crash or hang does not affect this process.
#ifndef CLRNN_SRC_DEVICE_FIND_DRIVERS_H
#define CLRNN_SRC_DEVICE_FIND_DRIVERS_H

#include "base/log.h"

/** The trouble with a platform or a driver. A platform crashed or hung the child process that tried it. A driver
 * crashed or hung the child process, or gave no platform. */
struct clrnn_probe_trouble {
    int platform; // index of the platform; -1: the trouble is with a driver
    // name: the platform's name; for a driver, its .icd file or library, or the platform that failed.
    // text: what is wrong.
    char name[256], text[400];
};

struct clrnn_probe {
    struct clrnn_probe_trouble *trouble;
    size_t count;
    char *folder;       // links to the working drivers, if broken ones had to be hidden; else NULL
    char *kept_vendors; // value of OCL_ICD_VENDORS before it was changed; NULL: not set
};

/**
 * Tries every platform in child processes. If a driver cannot even be loaded, sets OCL_ICD_VENDORS to a temporary
 * folder with links to the other drivers. clrnn_probe_restore resets the variable; call clGetPlatformIDs, which loads
 * the drivers, before that. Does nothing in a process that has already loaded drivers.
 */
enum clrnn_status clrnn_probe_create(const struct clrnn_log *log, struct clrnn_probe **probe);
void clrnn_probe_restore(struct clrnn_probe *probe);
void clrnn_probe_destroy(struct clrnn_probe **probe);

/** Checks whether this process has loaded OpenCL drivers. If so, the drivers are known to load, and forking a child
 * that uses them would be unsafe. */
bool clrnn_drivers_loaded(void);

/** Returns where the ICD loader searches for drivers: a folder, an .icd file, or a library. */
const char *clrnn_drivers_place(void);

/** Returns what is wrong with a platform, or NULL if the platform works. */
const struct clrnn_probe_trouble *clrnn_probe_find(const struct clrnn_probe *probe, int platform);

#endif
