// SPDX-License-Identifier: MIT
// Launches: kernels, matrix multiplies and host calls with their arguments bound once, replayed in order.
#ifndef CLRNN_SRC_DEVICE_LIST_LIST_H
#define CLRNN_SRC_DEVICE_LIST_LIST_H

#include "device/memory/buffer.h"

/** An ordered list of launches on one device. Buffers in arguments must outlive it. */
struct clrnn_launches;

enum clrnn_status clrnn_launches_create(struct clrnn_device *device, struct clrnn_launches **launches);
void clrnn_launches_destroy(struct clrnn_launches **launches);
struct clrnn_device *clrnn_launches_device(const struct clrnn_launches *launches);

/** Names the op that following launches belong to, for profiles and listings ("rnn.l0 rnn_fwd"). */
enum clrnn_status clrnn_launches_op(struct clrnn_launches *launches, const char *op);

/** Compile-time constants of a program: -D name=value. Part of what identifies the built program. */
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

/** Global and local sizes; local 0: work-group size 1 in the CPUs' form, the device layer's choice elsewhere.
 *  A kernel must tolerate a global size rounded up to a multiple of the local size. */
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
struct clrnn_arg { // a long sequence has millions of these
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
    const char *type; // "gemm_args", for a struct of 32-bit numbers declared in a header of cl/
};
#define BUF(b) ((struct clrnn_arg){.kind = CLRNN_ARG_BUFFER, .buffer = (b)})
#define UINT(v) ((struct clrnn_arg){.kind = CLRNN_ARG_UINT, .word = (uint32_t)(v)})
#define INT(v) ((struct clrnn_arg){.kind = CLRNN_ARG_INT, .word = (uint32_t)(int32_t)(v)})
#define REAL(v) ((struct clrnn_arg){.kind = CLRNN_ARG_REAL, .real = (v)}) // a float parameter in the kernel
#define LOCAL(size) ((struct clrnn_arg){.kind = CLRNN_ARG_LOCAL, .bytes = (uint32_t)(size)})
#define STRUCT(name, pointer) \
    ((struct clrnn_arg){ \
        .kind = CLRNN_ARG_STRUCT, .data = (pointer), .bytes = sizeof(struct name), .type = #name})
#define ARGS(...) \
    sizeof((struct clrnn_arg[]){__VA_ARGS__}) / sizeof(struct clrnn_arg), (struct clrnn_arg[]) \
    { \
        __VA_ARGS__ \
    }

/**
 * Appends a launch of kernel `name` of cl/<stem>.cl, built with the defines. Checks the arguments' number
 * and, if the driver reports them, types. `flops` and `bytes` are those of one replay, for plan and bench;
 * 0 if they are not counted. Errors: CLRNN_ERR_BUILD (file, options, device and the full log),
 * CLRNN_ERR_ARG (argument count), CLRNN_ERR_DEVICE, CLRNN_ERR_MEMORY.
 */
struct clrnn_cost {
    double flops, bytes;
};
enum clrnn_status clrnn_launch_kernel(struct clrnn_launches *launches, const char *stem, const char *name,
                                      struct clrnn_defines defines, struct clrnn_range range,
                                      struct clrnn_cost cost, size_t arg_count, const struct clrnn_arg *args);

/** Appends a host function; on ref devices only. `context` must outlive the list. */
typedef enum clrnn_status clrnn_host_fn(const void *context);
enum clrnn_status clrnn_launch_host(struct clrnn_launches *launches, clrnn_host_fn *fn, const void *context);

/** Appends a fill with zeros. */
enum clrnn_status clrnn_launch_zero(struct clrnn_launches *launches, struct clrnn_buffer *buffer);

/** Memory for use within one op: at least `count` REALs with arbitrary content, shared by all ops of the
 *  device (in-order queue: an op's scratch is free again after its last launch). Each call between two
 *  clrnn_launches_op gives different memory. Belongs to the list. */
enum clrnn_status clrnn_launches_scratch(struct clrnn_launches *launches, size_t count,
                                         struct clrnn_buffer **buffer);

/** Lets parts of an op share scratch: what was given out since the mark is given out again after a reset. */
size_t clrnn_launches_mark(const struct clrnn_launches *launches);
void clrnn_launches_reset(struct clrnn_launches *launches, size_t mark);

/** Elements of a buffer, and the launches [begin, end) that may read or write some of them. */
struct clrnn_use {
    size_t first, count; // elements
    size_t begin, end;   // launches; if none, begin is the number of launches and end is 0
};
/** Finds begin and end of each use. `buffer` is no sub-buffer; launches that use parts of it count. */
void clrnn_launches_use(const struct clrnn_launches *launches, const struct clrnn_buffer *buffer,
                        size_t count, struct clrnn_use *use);
/** Lets runs stop before launch `at`: no chain crosses it. Call it before a replay is created. */
void clrnn_launches_stop(struct clrnn_launches *launches, size_t at);

/** Queues every launch once, in order; waits only for builders, and within very long lists.
 * CLRNN_ERR_DEVICE names launch and op. */
enum clrnn_status clrnn_launches_run(struct clrnn_launches *launches);
/** Queues launches first..last-1 only, each by itself (for checks op by op). */
enum clrnn_status clrnn_launches_run_part(struct clrnn_launches *launches, size_t first, size_t last);

/** One row per launch, for `plan`, `--profile` and `bench`. Strings belong to the list. */
struct clrnn_launch_info {
    const char *op, *kernel; // "gemm" for a multiply of ours or CLBlast's, "host" on ref
    char shape[64];          // "64x128x2474 NT" or "global 64x128 local 1x1"
    struct clrnn_cost cost;
    double seconds; // summed over replays where the device was opened with profile
    uint64_t runs;
};
size_t clrnn_launches_count(const struct clrnn_launches *launches);
/** Reads the event times of past runs (waits for the queue when profiling). */
enum clrnn_status clrnn_launches_profile(struct clrnn_launches *launches);
const struct clrnn_launch_info *clrnn_launches_info(const struct clrnn_launches *launches, size_t index);

#endif
