// SPDX-License-Identifier: MIT
// Ops: what a training step computes, as a list of descriptors (struct clrnn_op) over named tensors. The list is the
// same on every device. A stem names a family of related ops, such as "rnn" or "norm", and its files. src/ops/<stem>.h
// lists the inputs, outputs and attributes of its ops. src/ops/<stem>.c turns a descriptor into launches on an OpenCL
// device. src/reference/<stem>.c computes it on the host in double precision. Formulas: doc/maths.md.
//
// Shapes: N batch size, T time steps, C features, H hidden units, D directions (1 or 2), G gates (rnn 1,
// gru 3, lstm 4), V vocabulary size, S samples of a data set. All tensors are row-major. Inside a plan, sequences are
// TIME-MAJOR: [T, N, C], where row r = t * N + n is time step t of sample n. In shapes, "rows" means T * N.
//
// The input `lengths` [N] I32 marks padding: step t of sample n is padding if t >= lengths[n]. A length is from 1 to T;
// with train.bptt it is 0 if the sample ended in an earlier piece. Without lengths there is no padding. Padding is
// ignored: outputs and gradients there are exactly 0, and input values there, which may be NaN, do not change any
// result.
//
// A slot is an index into in[] or out[] of an op, such as RNN_X. Each slot holds the number of a tensor of the graph.
// An op overwrites the tensors in its output slots. It also reads those that are marked "updated"; no other tensor may
// be both an input and an output of one op. CLRNN_NONE in a slot means that there is no tensor: the output is not
// needed (dx of the first layer), or the config turns the input off (bias: false, no lengths).
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
    char layer[48];                                 // name of the layer, for listings: "rnn", "rnn.l1", "norm", "5"
    uint32_t T, N;                                  // time steps and batch size of the op's input; rows = T * N
    uint32_t C;                                     // features of the op's input
    int in[CLRNN_OP_MAX_IN], out[CLRNN_OP_MAX_OUT]; // by slot: tensors of the graph, or CLRNN_NONE
    union {
#define X(stem) struct clrnn_##stem##_attributes stem;
        CLRNN_STEM_LIST(X)
#undef X
    };
};

struct clrnn_graph;

/** How the slots of a backward op are filled from the slots of its forward op. */
struct clrnn_op_backward {
    enum clrnn_op_kind kind;
    int dy, dx;               // slots of the backward op; dx is CLRNN_NONE if the input has no gradient (tokens)
    int in_count, grad_count; // numbers of elements of in[] and grad[] below
    struct {
        // The backward op's input slot `to` gets the tensor in the forward op's slot `from`.
        int to, from;
        bool out; // `from` is an output slot, not an input slot
    } in[32];
    struct {
        // The backward op's output slot `to` gets the gradient of the parameter in the forward op's input slot `from`.
        int to, from;
    } grad[18];
};

/** Properties of an op kind. src/ops/<stem>.c defines one constant of this type for each op kind of its stem, named
 * clrnn_<name>_class, such as clrnn_rnn_fwd_class. */
struct clrnn_op_class {
    /** Returns the number of floating-point operations: a multiply-add counts as two, a transcendental function as one.
     * NULL: the op has none. */
    double (*flops)(const struct clrnn_op *op);
    /** Returns how many bytes one access to the tensor in a slot moves. A negative result, or a NULL function, stands
     * for the size of the whole tensor. */
    double (*slot_bytes)(const struct clrnn_graph *graph, const struct clrnn_op *op, int slot, bool out);
    /** Prints the op's sizes for the key under which autotuned choices are stored (device/remember/choice.h). NULL: the
     * key has T, N and C. */
    void (*sizes)(const struct clrnn_op *op, char *text, size_t size);
    unsigned updated; // one bit for each output slot: the op reads that tensor as well as writing it
    // One bit for each output slot: that tensor is the table of records (see clrnn_op_is_record).
    unsigned record;
    unsigned record_numbers;                  // how many numbers of one row of the table of records the op writes
    const struct clrnn_op_backward *backward; // how to build the backward op of a forward op, or NULL
};

/** Returns the name of an op kind, such as "rnn_fwd"; "unknown" if there is no such kind. */
const char *clrnn_op_name(enum clrnn_op_kind kind);

/** Returns the class of an op kind. NULL: there is no such kind. */
const struct clrnn_op_class *clrnn_op_class(enum clrnn_op_kind kind);

/** Whether the output slot `slot` holds the table of records (RECORD_... in cl/slots.h). An op writes only some numbers
 * of one row of that table. */
bool clrnn_op_is_record(const struct clrnn_op *op, int slot);

/** Returns the FLOPs of an op, where a multiply-add counts as two, and the bytes that the op moves. Each tensor is read
 * once or written once; an updated tensor is read and written. The result does not depend on the device. */
struct clrnn_cost clrnn_op_cost(const struct clrnn_graph *graph, const struct clrnn_op *op);
/** Like clrnn_op_cost, but with the op's class as an argument. The functions that launch an op know its class. */
struct clrnn_cost clrnn_class_cost(const struct clrnn_op_class *class, const struct clrnn_graph *graph,
                                   const struct clrnn_op *op);

/** Returns the cost of a kernel that computes `numbers` numbers. Each number takes `flops` operations and `touches`
 * accesses to memory of 4 bytes. */
static inline struct clrnn_cost clrnn_cost_of(double numbers, double flops, double touches)
{
    return (struct clrnn_cost){flops * numbers, 4 * touches * numbers};
}

/** Appends the launches of an op on an OpenCL device. The graph's tensors must already have buffers
 * (clrnn_graph_place). Errors: as clrnn_launch_kernel; CLRNN_ERR_ARG also if the op kind is unknown. */
enum clrnn_status clrnn_op_launch(struct clrnn_launches *launches, const struct clrnn_graph *graph,
                                  const struct clrnn_op *op);

// Declares for each op kind the function that launches it, and its class. src/ops/<stem>.c defines both.
#define X(kind, stem, name) \
    extern const struct clrnn_op_class clrnn_##name##_class; \
    enum clrnn_status clrnn_##name(struct clrnn_launches *launches, const struct clrnn_graph *graph, \
                                   const struct clrnn_op *op);
CLRNN_OP_LIST(X)
#undef X

#endif
