// SPDX-License-Identifier: MIT
// Launches: kernels, matrix multiplies and host calls with their arguments bound once, replayed in order.
#ifndef CLRNN_SRC_DEVICE_LIST_LIST_H
#define CLRNN_SRC_DEVICE_LIST_LIST_H

#include "device/memory/buffer.h"

/** An ordered list of launches on one device. Buffers in arguments must outlive the list. */
struct clrnn_launches;

enum clrnn_status clrnn_launches_create(struct clrnn_device *device, struct clrnn_launches **launches);
void clrnn_launches_destroy(struct clrnn_launches **launches);
struct clrnn_device *clrnn_launches_device(const struct clrnn_launches *launches);

/** Names the op that following launches belong to, for profiles and listings ("rnn.l0 rnn_fwd"). */
enum clrnn_status clrnn_launches_op(struct clrnn_launches *launches, const char *op);

/** A compile-time constant of a program: -D name=value. Programs with different constants are built separately. */
struct clrnn_define {
    const char *name;
    long value;
};
struct clrnn_defines {
    size_t count;
    const struct clrnn_define *define;
};
#define DEFINES(...) \
    ((struct clrnn_defines){sizeof((struct clrnn_define[]){__VA_ARGS__}) / sizeof(struct clrnn_define), \
                            (struct clrnn_define[]){__VA_ARGS__}})
#define NO_DEFINES ((struct clrnn_defines){0, NULL})

/** Global and local sizes of a kernel. Local size 0: the device layer chooses the work-group size; it is 1 if the
 * kernels for CPUs are used (clrnn_device_cpu_form). The global size is rounded up to a multiple of the local size, and
 * the kernel must tolerate the additional work-items. */
struct clrnn_range {
    unsigned dims;
    size_t global[3], local[3];
};
#define RANGE1(g) ((struct clrnn_range){1, {(g), 1, 1}, {0, 0, 0}})
#define RANGE2(g0, g1) ((struct clrnn_range){2, {(g0), (g1), 1}, {0, 0, 0}})
#define RANGE3(g0, g1, g2) ((struct clrnn_range){3, {(g0), (g1), (g2)}, {0, 0, 0}})
#define GROUPS1(g, l) ((struct clrnn_range){1, {(g), 1, 1}, {(l), 1, 1}})
#define GROUPS2(g0, g1, l0, l1) ((struct clrnn_range){2, {(g0), (g1), 1}, {(l0), (l1), 1}})

enum clrnn_arg_kind {
    CLRNN_ARG_BUFFER,
    CLRNN_ARG_UINT,
    CLRNN_ARG_INT,
    CLRNN_ARG_REAL,
    CLRNN_ARG_LOCAL,
    CLRNN_ARG_STRUCT
};
struct clrnn_arg { // small, because a long sequence has millions of arguments
    enum clrnn_arg_kind kind;
    union {
        uint32_t word;
        uint32_t bytes; // of local memory, or of the struct
    };
    union {
        struct clrnn_buffer *buffer; // NULL gives the kernel a NULL pointer
        double real;
        const void *data; // the struct
    };
    const char *type; // name of the struct, such as "gemm_args"; a header of cl/ declares it, with only 32-bit fields
};
#define BUF(b) ((struct clrnn_arg){.kind = CLRNN_ARG_BUFFER, .buffer = (b)})
#define UINT(v) ((struct clrnn_arg){.kind = CLRNN_ARG_UINT, .word = (uint32_t)(v)})
#define INT(v) ((struct clrnn_arg){.kind = CLRNN_ARG_INT, .word = (uint32_t)(int32_t)(v)})
#define REAL(v) ((struct clrnn_arg){.kind = CLRNN_ARG_REAL, .real = (v)}) // a float parameter in the kernel
#define LOCAL(size) ((struct clrnn_arg){.kind = CLRNN_ARG_LOCAL, .bytes = (uint32_t)(size)})
#define STRUCT(name, pointer) \
    ((struct clrnn_arg){.kind = CLRNN_ARG_STRUCT, .data = (pointer), .bytes = sizeof(struct name), .type = #name})
#define ARGS(...) \
    sizeof((struct clrnn_arg[]){__VA_ARGS__}) / sizeof(struct clrnn_arg), (struct clrnn_arg[]) \
    { \
        __VA_ARGS__ \
    }

/** The cost of one run of a launch, for the listings of plan and bench: floating-point operations, and bytes read or
 * written. 0: not counted. */
struct clrnn_cost {
    double flops, bytes;
};
/**
 * Appends a launch of kernel `name` of cl/<stem>.cl, built with the defines, and copies `args`. Checks the number of
 * arguments and, if the driver reports the types of the kernel's parameters, the arguments' types. Errors:
 * CLRNN_ERR_BUILD (the message has file, options, device and the full build log), CLRNN_ERR_ARG (the arguments do not
 * fit), CLRNN_ERR_DEVICE, CLRNN_ERR_MEMORY.
 */
enum clrnn_status clrnn_launch_kernel(struct clrnn_launches *launches, const char *stem, const char *name,
                                      struct clrnn_defines defines, struct clrnn_range range, struct clrnn_cost cost,
                                      size_t arg_count, const struct clrnn_arg *args);

/** Appends a call of a host function, on ref devices only. `context` must outlive the list. */
typedef enum clrnn_status clrnn_host_fn(const void *context);
enum clrnn_status clrnn_launch_host(struct clrnn_launches *launches, clrnn_host_fn *fn, const void *context);

/** Appends a launch that fills a buffer with zeros. */
enum clrnn_status clrnn_launch_zero(struct clrnn_launches *launches, struct clrnn_buffer *buffer);

/** Returns scratch memory for use within one op: *buffer has at least `count` REALs with arbitrary content. All ops of
 * the device share scratch memory. The queue is in order, so an op's memory is free again after its last launch. Each
 * call between two calls of clrnn_launches_op gives different memory. *buffer belongs to the list. */
enum clrnn_status clrnn_launches_scratch(struct clrnn_launches *launches, size_t count, struct clrnn_buffer **buffer);

/** Let parts of an op share scratch memory: what was given out after clrnn_launches_mark is given out again after
 * clrnn_launches_reset with that mark. */
size_t clrnn_launches_mark(const struct clrnn_launches *launches);
void clrnn_launches_reset(struct clrnn_launches *launches, size_t mark);

/** A range of elements of a buffer, and the launches [begin, end) that may read or write some of these elements. */
struct clrnn_use {
    size_t first, count; // elements
    size_t begin, end;   // launches; if none uses the elements, begin is the length of the list and end is 0
};
/** Sets begin and end of each of `count` uses. `buffer` must not be a sub-buffer; launches that use sub-buffers of it
 * count, too. */
void clrnn_launches_use(const struct clrnn_launches *launches, const struct clrnn_buffer *buffer, size_t count,
                        struct clrnn_use *use);
/** Lets runs stop before launch `at`, so that no chain (replay.h) crosses this place. Call this function before the
 * replay is created. */
void clrnn_launches_stop(struct clrnn_launches *launches, size_t at);

/** Queues every launch once, in order. Waits only for builders (builders.h) and, in lists of 16384 or more launches,
 * for the device. Errors: CLRNN_ERR_DEVICE; the message names launch and op. */
enum clrnn_status clrnn_launches_run(struct clrnn_launches *launches);
/** Queues only launches first to last - 1, never as chains. Serves, for example, to check the results of one op. */
enum clrnn_status clrnn_launches_run_part(struct clrnn_launches *launches, size_t first, size_t last);

/** Facts about one launch, for the listings of `clrnn plan`, `--profile` and `bench`. Strings belong to the list. */
struct clrnn_launch_info {
    // op: name of the op that the launch belongs to.
    // kernel: name of the kernel, or "gemm" for a multiply by clRNN or CLBlast, "host" for a call of a host function
    // (on ref), "zero" or "poison" for a fill.
    const char *op, *kernel;
    char shape[64]; // "64x128x2474 NT" or "global 64x128 local 1x1"
    struct clrnn_cost cost;
    double seconds; // time of all runs, if the device was opened with `profile`; else 0
    uint64_t runs;
};
size_t clrnn_launches_count(const struct clrnn_launches *launches);
/** Adds the event times of past runs to `seconds` of each launch. Waits for the queue if there are such events. */
enum clrnn_status clrnn_launches_profile(struct clrnn_launches *launches);
/** Sets `seconds` and `runs` of each launch to 0. */
void clrnn_launches_forget(struct clrnn_launches *launches);
const struct clrnn_launch_info *clrnn_launches_info(const struct clrnn_launches *launches, size_t index);

#endif
