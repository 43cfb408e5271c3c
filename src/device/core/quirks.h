// SPDX-License-Identifier: MIT
// Peculiarities of OpenCL drivers, in one table.
#ifndef CLRNN_SRC_DEVICE_QUIRKS_H
#define CLRNN_SRC_DEVICE_QUIRKS_H

#include "clrnn/device.h"

// X(type, field, how the rows that apply to a device are merged)
#define QUIRK_FIELDS(X) \
    X(bool, is_pocl, EITHER) \
    /* caches binaries by itself, and compiles again when asked for them */ \
    X(bool, caches_programs, EITHER) \
    /* compiles a kernel when it is first run, one at a time, into a folder that processes share */ \
    X(bool, compiles_late, EITHER) \
    /* reads clang's header of all OpenCL functions for each program, unless _OPENCL_H_ is defined */ \
    X(bool, reads_builtins, EITHER) \
    /* generates a kernel's code several times */ \
    X(bool, repeats_kernels, EITHER) \
    /* takes minutes for kernels that do several things at once */ \
    X(bool, builds_slowly, EITHER) \
    /* limit for the iterations of all loops of a work-item; INFINITY: none */ \
    X(double, loop_rounds, LEAST) \
    /* 32-bit registers that a GPU's work-item can have; its work-group has 64 Ki in all */ \
    X(unsigned, registers, MOST) \
    /* build options of every program on a CPU, starting with a blank */ \
    X(const char *, cpu_options, FIRST) \
    /* of several platforms with the same device, the one with the lowest rank is preferred */ \
    X(unsigned, rank, MOST)

struct clrnn_quirks {
#define X(type, field, merge) type field;
    QUIRK_FIELDS(X)
#undef X
};

/** The quirks of a device or platform, by its names. */
struct clrnn_quirks clrnn_quirks_of(const struct clrnn_device_info *info);

/** Environment variables by which drivers change how a program is built; NULL for an index beyond the
 * last. */
const char *clrnn_quirks_build_variable(size_t index);

#endif
