// SPDX-License-Identifier: MIT
// The ops level: what a training step computes, as descriptors over named tensors, the same on every
// device. src/ops/<stem>.c turns a descriptor into launches; src/reference/<stem>.c carries it out in
// double. Formulas: doc/maths.md.
//
// Shapes: N batch, T time steps, C features, H hidden units, D directions (1 or 2), G gates (rnn 1,
// gru 3, lstm 4), V vocabulary, S samples of a data set. All tensors are row-major. Inside a plan,
// sequences are TIME-MAJOR: [T, N, C], row r = t * N + n. "rows" below is T * N.
//
// lengths [N] I32 (1..T), where the op has it, marks padding: step t of sample n is padding if
// t >= lengths[n]. Padding is ignored: outputs and gradients there are exactly 0, and input values there
// (maybe NaN) do not change any result.
//
// An op overwrites its outputs, except those marked "updated", which it reads and writes. No other output is
// also an input. An absent tensor is CLRNN_NONE: an output that is not needed (dx of the first layer), or an
// input that the config turns off (bias: false, no lengths).
#ifndef CLRNN_SRC_OPS_OP_H
#define CLRNN_SRC_OPS_OP_H

#include "device/list/list.h"
#include "ops/stems.h"
#include "slots.h"

#define CLRNN_NONE (-1)
#define CLRNN_OP_MAX_IN 35
#define CLRNN_OP_MAX_OUT 21

enum clrnn_op_kind {
#define X(kind, stem, name) CLRNN_OP_##kind,
    CLRNN_OP_LIST(X)
#undef X
        CLRNN_OP_COUNT
};

struct clrnn_op {
    enum clrnn_op_kind kind;
    char layer[48];                                 // "rnn", "rnn.l1", "norm", "5": for listings
    uint32_t T, N;                                  // of the op's input; rows = T * N
    uint32_t C;                                     // features of the op's input
    int in[CLRNN_OP_MAX_IN], out[CLRNN_OP_MAX_OUT]; // tensors of the graph, or CLRNN_NONE
    union {
#define X(stem) struct clrnn_##stem##_attributes stem;
        CLRNN_STEM_LIST(X)
#undef X
    };
};

struct clrnn_graph;

/** How a backward op's slots map to the slots of its forward op. */
struct clrnn_op_backward {
    enum clrnn_op_kind kind;
    int dy, dx; // slots of the backward op; dx CLRNN_NONE: the input has no gradient (tokens)
    int in_count, grad_count;
    struct {
        int to, from;
        bool out; // `from` is an output of the forward
    } in[32];
    struct {
        int to, from; // output slot, and the forward's slot of the parameter whose gradient it is
    } grad[18];
};

/** Properties of an op kind; each stem defines one per kind, clrnn_<name>_class. */
struct clrnn_op_class {
    /** Floating-point operations; a multiply-add is two, a transcendental one. NULL: none. */
    double (*flops)(const struct clrnn_op *op);
    /** Bytes that one access to a slot's tensor moves. Negative, or no function: the size of the tensor. */
    double (*slot_bytes)(const struct clrnn_graph *graph, const struct clrnn_op *op, int slot, bool out);
    /** Prints the sizes in the keys of autotuned choices. NULL: these are T, N and C. */
    void (*sizes)(const struct clrnn_op *op, char *text, size_t size);
    unsigned updated;                         // bit per output slot: read as well as written
    unsigned record;                          // bit per output slot: the table of records
    unsigned record_numbers;                  // how many numbers the op writes of its row of that table
    const struct clrnn_op_backward *backward; // of a forward op; NULL: none
};

/** The name of a kind: "rnn_fwd". */
const char *clrnn_op_name(enum clrnn_op_kind kind);

/** The class of a kind; NULL: it is unknown. */
const struct clrnn_op_class *clrnn_op_class(enum clrnn_op_kind kind);

/** Whether an output is the table of records, of which an op writes some numbers of one row. */
bool clrnn_op_is_record(const struct clrnn_op *op, int slot);

/** FLOPs (a multiply-add is two) and bytes (each tensor accessed once) of an op, independent of the device.
 */
struct clrnn_cost clrnn_op_cost(const struct clrnn_graph *graph, const struct clrnn_op *op);
/** Like clrnn_op_cost, for a launcher, which knows its class. */
struct clrnn_cost clrnn_class_cost(const struct clrnn_op_class *class, const struct clrnn_graph *graph,
                                   const struct clrnn_op *op);

/** The cost of a kernel with `flops` operations and `touches` accesses to memory for each number. */
static inline struct clrnn_cost clrnn_cost_of(double numbers, double flops, double touches)
{
    return (struct clrnn_cost){flops * numbers, 4 * touches * numbers};
}

/** Appends the launches of an op on an OpenCL device. The graph's tensors must have their buffers. Errors: as
 * clrnn_launch_kernel.
 */
enum clrnn_status clrnn_op_launch(struct clrnn_launches *launches, const struct clrnn_graph *graph,
                                  const struct clrnn_op *op);

// One launcher and one class per kind, in src/ops/<stem>.c.
#define X(kind, stem, name) \
    extern const struct clrnn_op_class clrnn_##name##_class; \
    enum clrnn_status clrnn_##name(struct clrnn_launches *launches, const struct clrnn_graph *graph, \
                                   const struct clrnn_op *op);
CLRNN_OP_LIST(X)
#undef X

#endif
