// SPDX-License-Identifier: MIT
// Builders: processes that compile kernels in parallel with this one. PoCL compiles a kernel when it first runs, and a
// process compiles one kernel at a time. But PoCL stores compiled kernels in a folder that all processes share. So this
// process finds there what a builder has compiled.
#ifndef CLRNN_SRC_DEVICE_LIST_BUILDERS_H
#define CLRNN_SRC_DEVICE_LIST_BUILDERS_H

#include "device/list/list.h"

/** Opens the device with the SPEC `select` in a builder process, which compiles kernels for this device. NULL: the
 * device cannot be opened. */
typedef struct clrnn_device *clrnn_builder_open_fn(const char *select);

struct clrnn_builders;

/** Starts a process that waits for kernels to compile and then starts `most` builders. `most` 0: as many builders as
 * the device has compute units, but at most 6. Call this function before drivers are loaded. NULL: there are no
 * builders, and the calling process compiles all kernels. */
struct clrnn_builders *clrnn_builders_create(clrnn_builder_open_fn *open, unsigned most);
/** Kills the processes at once, even if they are compiling. */
void clrnn_builders_destroy(struct clrnn_builders **builders);

/** Tells the builders whether this process is building a program: true before the build, false after it. If the build
 * takes long, builders start meanwhile, so that they are ready for the program's kernels. */
void clrnn_builders_expect(struct clrnn_builders *builders, const struct clrnn_device *device, bool building);

/** A job: the kernel of a launch. Its program has already been built in this process. */
struct clrnn_builders_job {
    const char *stem, *name; // kernel `name` of cl/<stem>.cl
    struct clrnn_defines defines;
    unsigned dims;
    const size_t *global, *local;
    double flops;
    size_t arg_count;
    const struct clrnn_arg *args;
};
/** Queues a kernel for the builders. If they are idle, the kernel is held back until another one is added, because this
 * process compiles a single kernel as fast as a builder. A kernel that no builder compiles is compiled in this process
 * when it first runs. */
void clrnn_builders_add(struct clrnn_builders *builders, const struct clrnn_device *device,
                        const struct clrnn_builders_job *job);
/** Waits until all queued kernels are compiled, or the builders have failed. */
void clrnn_builders_wait(struct clrnn_builders *builders);

#endif
