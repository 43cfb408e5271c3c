// SPDX-License-Identifier: MIT
// Internals of the list of launches, shared by all kinds of launches.
#ifndef CLRNN_SRC_DEVICE_LIST_INTERNAL_H
#define CLRNN_SRC_DEVICE_LIST_INTERNAL_H

#include "device/core/internal.h"
#include "device/list/list.h"

struct clrnn_gemm;
struct clrnn_launch;

/** A function that queues one launch (on ref: runs it). If `event` is not NULL, *event becomes the command's event, for
 * timing. */
typedef enum clrnn_status clrnn_run_fn(struct clrnn_launches *launches, struct clrnn_launch *launch, cl_event *event);

struct clrnn_launch {
    struct clrnn_launch_info info;
    char *name;  // the kernel's name, to which info.kernel points; NULL: the launch is no kernel
    void *owned; // freed with the launch: the memory of `args` or `gemm`
    clrnn_run_fn *run;
    bool stop;                             // whether a run may stop before this launch
    const struct clrnn_buffer *operand[3]; // for a launch that is no kernel: its buffers; all NULL: unknown
    union {
        struct {
            cl_kernel kernel;           // owned, its arguments are set already; NULL: see `shared`
            size_t shared;              // 0, or 1 + the index of a shared kernel, which then owns `name`
            const char *stem, *defines; // in the memory of `name`, after it: "gemm" and "WIDTH=16 TILE=6"
            cl_uint dims;
            size_t global[3], local[3];
            struct clrnn_arg *args;
            size_t arg_count;
        } kernel;
        const struct clrnn_gemm *gemm;
        struct {
            struct clrnn_buffer *buffer;
            cl_uint word;
        } fill;
        struct {
            clrnn_host_fn *fn;
            const void *context;
        } host;
    };
};

/** The event of a launch, whose times have not been read yet. */
struct clrnn_launch_event {
    cl_event event;
    size_t launch;
};

/** A kernel object that many launches of a long list share. Before each launch, the arguments that differ are set. */
struct clrnn_shared_kernel {
    cl_kernel kernel;
    char *name; // the kernel's name; stem and defines follow in the same memory
    size_t set; // index of the launch whose arguments are set; SIZE_MAX: none
};

struct clrnn_launches {
    struct clrnn_device *device;
    struct clrnn_launch *launch;
    size_t count;
    struct clrnn_shared_kernel *shared;
    size_t shared_count;
    char **op; // the names of ops; the last is the current op's
    size_t op_count;
    struct clrnn_buffer **scratch; // references to scratch buffers
    // scratch_count: number of references in `scratch`.
    // scratch_next: index in device->scratch of the buffer that the current op gets next.
    size_t scratch_count, scratch_next;
    char class[112];             // what the current op computes, with rounded sizes (clrnn_launches_class); "": not set
    struct clrnn_choice *choice; // the choices asked for so far (remember/choice.h)
    size_t choice_count;
    struct clrnn_launch_event *timing;
    size_t timing_count;
};

/** Appends a launch to the current op. The caller fills in what depends on the kind of launch. */
enum clrnn_status clrnn_launches_add(struct clrnn_launches *launches, clrnn_run_fn *run, const char *kernel,
                                     struct clrnn_cost cost, struct clrnn_launch **launch);
/** Queues a kernel launch. If `event` is not NULL, *event becomes the command's event, for timing. */
enum clrnn_status clrnn_kernel_run(struct clrnn_launches *launches, struct clrnn_launch *launch, cl_event *event);
/** Removes all launches but the first `count`. */
void clrnn_launches_cut(struct clrnn_launches *launches, size_t count);

#endif
