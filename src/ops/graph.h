// SPDX-License-Identifier: MIT
// A graph: a list of ops over tensors, and the placement of the tensors in device memory.
#ifndef CLRNN_SRC_OPS_GRAPH_H
#define CLRNN_SRC_OPS_GRAPH_H

#include "ops/op.h"

enum clrnn_role {
    // Tensors whose buffers the caller provides:
    CLRNN_ROLE_PARAM,  // parameters
    CLRNN_ROLE_GRAD,   // gradients of parameters
    CLRNN_ROLE_STATE,  // running statistics
    CLRNN_ROLE_MOMENT, // the optimiser's moments
    CLRNN_ROLE_DATA,   // data sets, indices, counters, records
    // Tensors that clrnn_graph_place places in the arena, one large buffer:
    CLRNN_ROLE_ACTIVATION, // live from the first to the last op that uses the tensor
};

struct clrnn_tensor {
    char name[64]; // "rnn.l0 y", "fc7.weight"
    enum clrnn_role role;
    enum clrnn_type type;
    unsigned ndim;
    uint32_t dims[4];
    size_t count;
    struct clrnn_buffer *buffer; // retained; for activations, clrnn_graph_place sets it
    int first_op, last_op;       // first and last op that uses the tensor; clrnn_graph_place sets both
    // Set if the copy of rows into this tensor was left out (elided): row n of the tensor is then row rows_index[n] of
    // tensor rows_of, and the tensor has no memory. Otherwise both are CLRNN_NONE.
    int rows_of, rows_index;
    bool keep; // an activation that must stay valid after the last op (logits, the loss's input)
};

struct clrnn_graph {
    const struct clrnn_log *log;
    size_t tensor_count, op_count;
    struct clrnn_tensor *tensor;
    struct clrnn_op *op;
    size_t arena_bytes; // size of the arena; set by clrnn_graph_place
};

enum clrnn_status clrnn_graph_create(const struct clrnn_log *log, struct clrnn_graph **graph);
void clrnn_graph_destroy(struct clrnn_graph **graph);

/** Adds a tensor of `ndim` dimensions, at most 4. `buffer` is retained; it is NULL for activations. *id is the index of
 * the new tensor. Errors: CLRNN_ERR_MEMORY; CLRNN_ERR_ARG if `ndim` is above 4, or the product of dims exceeds
 * 2^32 - 1. */
enum clrnn_status clrnn_graph_tensor(struct clrnn_graph *graph, const char *name, enum clrnn_role role,
                                     enum clrnn_type type, unsigned ndim, const uint32_t *dims,
                                     struct clrnn_buffer *buffer, int *id);

/** Appends an op with CLRNN_NONE in all slots. *op is valid until the next op is added. */
enum clrnn_status clrnn_graph_op(struct clrnn_graph *graph, enum clrnn_op_kind kind, const char *layer, uint32_t T,
                                 uint32_t N, uint32_t C, struct clrnn_op **op);

/** Computes each activation's lifetime, places the activations in one arena (first fit, largest first, with the
 * device's alignment) and gives them sub-buffers of it. If *arena is NULL or too small, it is replaced by a larger
 * buffer; plans that already use the old one keep it. With `separate`, activations do not share memory, so that a check
 * can look at all of them after the run. */
enum clrnn_status clrnn_graph_place(struct clrnn_graph *graph, struct clrnn_device *device, bool separate,
                                    struct clrnn_buffer **arena);

/** Leaves out the copy of a batch that FEED makes, if every op that reads the batch can gather the rows from the data
 * set itself. This needs real values without normalisation, one time step and no padding. Only the ops of rnn.h and the
 * loss can gather rows, and only if clrnn_device_gathers is true. Call it before clrnn_graph_place. */
void clrnn_graph_elide_copy(struct clrnn_graph *graph, const struct clrnn_device *device);

/** Returns the buffer of the tensor in an input slot (clrnn_out: in an output slot). NULL: the slot is CLRNN_NONE, or
 * the tensor has no memory of its own. */
static inline struct clrnn_buffer *clrnn_in(const struct clrnn_graph *g, const struct clrnn_op *op, int slot)
{
    return op->in[slot] < 0 ? NULL : g->tensor[op->in[slot]].buffer;
}
static inline struct clrnn_buffer *clrnn_out(const struct clrnn_graph *g, const struct clrnn_op *op, int slot)
{
    return op->out[slot] < 0 ? NULL : g->tensor[op->out[slot]].buffer;
}

/** Returns the buffer of an input slot as clrnn_in, and sets *index to NULL. If the slot's copy was left out
 * (clrnn_graph_elide_copy), returns the buffer of the data set instead, and sets *index to the indices [N]
 * of its rows. */
static inline struct clrnn_buffer *clrnn_rows(const struct clrnn_graph *g, const struct clrnn_op *op, int slot,
                                              struct clrnn_buffer **index)
{
    const struct clrnn_tensor *t = op->in[slot] < 0 ? NULL : &g->tensor[op->in[slot]];

    *index = t && t->rows_of >= 0 ? g->tensor[t->rows_index].buffer : NULL;
    return *index ? g->tensor[t->rows_of].buffer : clrnn_in(g, op, slot);
}

#endif
