// SPDX-License-Identifier: MIT
// Processes that compile kernels beside this one. PoCL compiles a kernel when it is first run, one at a time
// in a process, but keeps it in a folder that all processes share: what a builder has compiled, this process
// finds there.
#ifndef CLRNN_SRC_DEVICE_LIST_BUILDERS_H
#define CLRNN_SRC_DEVICE_LIST_BUILDERS_H

#include "device/list/list.h"

/** Opens, in a builder process, the device for which kernels are compiled; NULL: it cannot be opened. */
typedef struct clrnn_device *clrnn_builder_open_fn(const char *select);

struct clrnn_builders;

/** Starts a process that waits for kernels to compile and then starts builders, up to `most` (0: as many as
 * the device has compute units, at most 6). Call it before drivers are loaded. NULL: there are no builders,
 * and the caller's process compiles. */
struct clrnn_builders *clrnn_builders_create(clrnn_builder_open_fn *open, unsigned most);
/** Ends the processes, whatever they do. */
void clrnn_builders_destroy(struct clrnn_builders **builders);

/** Tells whether a program is being built. Unless the build ends at once, builders start during it, so that
 * they are ready for the program's kernels. */
void clrnn_builders_expect(struct clrnn_builders *builders, const struct clrnn_device *device, bool building);

/** A kernel of a launch, whose program has been built. */
struct clrnn_builders_job {
    const char *stem, *name;
    struct clrnn_defines defines;
    unsigned dims;
    const size_t *global, *local;
    double flops;
    size_t arg_count;
    const struct clrnn_arg *args;
};
/** Queues a kernel for the builders. If they are idle, it is held back until another one is added, since one
 * alone is compiled as fast here. What they do not compile is compiled in this process when it first runs. */
void clrnn_builders_add(struct clrnn_builders *builders, const struct clrnn_device *device,
                        const struct clrnn_builders_job *job);
/** Waits until all kernels are compiled, or the builders have failed. */
void clrnn_builders_wait(struct clrnn_builders *builders);

#endif
