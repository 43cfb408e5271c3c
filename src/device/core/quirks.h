// SPDX-License-Identifier: MIT
// Peculiarities of OpenCL drivers, in one table.
#ifndef CLRNN_SRC_DEVICE_QUIRKS_H
#define CLRNN_SRC_DEVICE_QUIRKS_H

#include "clrnn/device.h"

// The fields of struct clrnn_quirks: X(type, field, merge). If several rows of the table in quirks.c apply to a device,
// `merge` combines their values.
#define QUIRK_FIELDS(X) \
    X(bool, is_pocl, EITHER) \
    /* the driver caches binaries itself, and compiles again when it is asked for a binary */ \
    X(bool, caches_programs, EITHER) \
    /* the driver compiles kernels when they first run, one at a time, into a folder that all processes share */ \
    X(bool, compiles_late, EITHER) \
    /* the driver reads clang's header of all OpenCL functions for each program, unless _OPENCL_H_ is defined */ \
    X(bool, reads_builtins, EITHER) \
    /* the driver generates the machine code of a kernel several times */ \
    X(bool, repeats_kernels, EITHER) \
    /* the driver takes minutes to compile a kernel that combines several operations */ \
    X(bool, builds_slowly, EITHER) \
    /* most loop iterations that a work-item can run, in all its loops together; INFINITY: no limit */ \
    X(double, loop_rounds, LEAST) \
    /* 32-bit registers that a work-item can have on a GPU; a work-group can have 64 Ki in total */ \
    X(unsigned, registers, MOST) \
    /* build options of every program on a CPU; the text starts with a blank */ \
    X(const char *, cpu_options, FIRST) \
    /* if several platforms have the same device, the one with the lowest rank is preferred */ \
    X(unsigned, rank, MOST)

struct clrnn_quirks {
#define X(type, field, merge) type field;
    QUIRK_FIELDS(X)
#undef X
};

/** Returns the quirks of a device or platform, which is recognised by its names. */
struct clrnn_quirks clrnn_quirks_of(const struct clrnn_device_info *info);

/** Some environment variables change how a driver builds a program, so the cache keys of binaries depend on them.
 * Returns the name of variable number `index`, from 0; NULL: there are no more. */
const char *clrnn_quirks_build_variable(size_t index);

#endif
