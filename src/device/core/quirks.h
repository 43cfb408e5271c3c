// SPDX-License-Identifier: MIT
// What is peculiar to one OpenCL driver, in one table.
#ifndef CLRNN_SRC_DEVICE_QUIRKS_H
#define CLRNN_SRC_DEVICE_QUIRKS_H

#include "clrnn/device.h"

struct clrnn_quirks {
    bool is_pocl;
    bool caches_programs; // keeps binaries by itself, and compiles once more when asked for them
    bool builds_slowly;   // takes minutes for kernels that do several things at once
    double loop_rounds;   // rounds that all loops of a work-item together may make; INFINITY: any number
    unsigned rank;        // of platforms that offer the same device the lowest is preferred
};

/** Those of a device or platform, by its names. */
struct clrnn_quirks clrnn_quirks_of(const struct clrnn_device_info *info);

/** Environment variables with which drivers add to a program's build options; NULL from their number on. */
const char *clrnn_quirks_build_variable(size_t index);

#endif
