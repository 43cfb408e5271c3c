// SPDX-License-Identifier: MIT
// Internals of the list of launches, shared by all kinds of launches.
#ifndef CLRNN_SRC_DEVICE_LIST_INTERNAL_H
#define CLRNN_SRC_DEVICE_LIST_INTERNAL_H

#include "device/core/internal.h"
#include "device/list/list.h"

struct clrnn_gemm;
struct clrnn_launch;

/** Queues one launch (on ref: runs it). `event` is NULL unless times are wanted. */
typedef enum clrnn_status clrnn_run_fn(struct clrnn_launches *launches, struct clrnn_launch *launch,
                                       cl_event *event);

struct clrnn_launch {
    struct clrnn_launch_info info;
    char *name;  // a kernel's name, to which info.kernel points; NULL: no kernel
    void *owned; // freed with the launch: args, gemm
    clrnn_run_fn *run;
    bool stop;                             // whether a run may stop before this launch
    const struct clrnn_buffer *operand[3]; // buffers of a launch that is no kernel; all NULL: not known
    union {
        struct {
            cl_kernel kernel;           // owned; its arguments are set once. NULL: see `shared`
            size_t shared;              // 0, or 1 + the index of a shared kernel, which also owns `name`
            const char *stem, *defines; // within `name`, one after the other: "gemm", "WIDTH=16 TILE=6"
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

/** An event whose times have not been read yet. */
struct clrnn_launch_event {
    cl_event event;
    size_t launch;
};

/** A kernel object that many launches of a long list share; its arguments are set anew before each. */
struct clrnn_shared_kernel {
    cl_kernel kernel;
    char *name; // followed by stem and defines, as in its launches
    size_t set; // the launch whose arguments are set; SIZE_MAX: none
};

struct clrnn_launches {
    struct clrnn_device *device;
    struct clrnn_launch *launch;
    size_t count;
    struct clrnn_shared_kernel *shared;
    size_t shared_count;
    char **op; // names; the last is the current one
    size_t op_count;
    struct clrnn_buffer **scratch;      // retained
    size_t scratch_count, scratch_next; // next: calls since the last clrnn_launches_op
    char class[112];                    // what the current op computes: the first part of its choices' keys
    struct clrnn_choice *choice;        // choices asked for so far
    size_t choice_count;
    struct clrnn_launch_event *timing;
    size_t timing_count;
};

/** Appends an empty launch of the current op. */
enum clrnn_status clrnn_launches_add(struct clrnn_launches *launches, clrnn_run_fn *run, const char *kernel,
                                     struct clrnn_cost cost, struct clrnn_launch **launch);
/** Queues a kernel launch; `event` is NULL unless times are wanted. */
enum clrnn_status clrnn_kernel_run(struct clrnn_launches *launches, struct clrnn_launch *launch,
                                   cl_event *event);
/** Removes the launches from `count` on. */
void clrnn_launches_cut(struct clrnn_launches *launches, size_t count);

#endif
