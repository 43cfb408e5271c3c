// SPDX-License-Identifier: MIT
// What is peculiar to one OpenCL driver, in one table.
#ifndef CLRNN_SRC_DEVICE_QUIRKS_H
#define CLRNN_SRC_DEVICE_QUIRKS_H

#include "clrnn/device.h"

struct clrnn_quirks {
    bool is_pocl;
    bool caches_programs; // caches binaries by itself, and compiles again when asked for them
    bool builds_slowly;   // takes minutes for kernels that do several things at once
    double loop_rounds;   // limit for the iterations of all loops of a work-item; INFINITY: none
    unsigned rank; // of several platforms with the same device, the one with the lowest rank is preferred
};

/** The quirks of a device or platform, by its names. */
struct clrnn_quirks clrnn_quirks_of(const struct clrnn_device_info *info);

/** Environment variables by which drivers extend a program's build options; NULL for an index beyond the
 * last. */
const char *clrnn_quirks_build_variable(size_t index);

#endif
