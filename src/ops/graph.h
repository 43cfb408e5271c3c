// SPDX-License-Identifier: MIT
// A list of ops over tensors, and the placement of the tensors in memory.
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
    // Tensors that clrnn_graph_place places in the arena:
    CLRNN_ROLE_ACTIVATION, // live from its first to its last op
};

struct clrnn_tensor {
    char name[64]; // "rnn.l0 y", "fc7.weight"
    enum clrnn_role role;
    enum clrnn_type type;
    unsigned ndim;
    uint32_t dims[4];
    size_t count;
    struct clrnn_buffer *buffer; // retained; for activations set by clrnn_graph_place
    int first_op, last_op;       // lifetime, by clrnn_graph_place
    int rows_of, rows_index; // an elided copy: row n is row rows_index[n] of tensor rows_of; else CLRNN_NONE
    bool keep;               // an activation that must stay valid after the step (logits, loss input)
};

struct clrnn_graph {
    const struct clrnn_log *log;
    size_t tensor_count, op_count;
    struct clrnn_tensor *tensor;
    struct clrnn_op *op;
    size_t arena_bytes; // after clrnn_graph_place
};

enum clrnn_status clrnn_graph_create(const struct clrnn_log *log, struct clrnn_graph **graph);
void clrnn_graph_destroy(struct clrnn_graph **graph);

/** Adds a tensor of `ndim` dimensions, at most 4. `buffer` is retained, NULL for activations. *id: its index.
 *  Errors: CLRNN_ERR_MEMORY; CLRNN_ERR_ARG if the product of dims exceeds 2^32 - 1. */
enum clrnn_status clrnn_graph_tensor(struct clrnn_graph *graph, const char *name, enum clrnn_role role,
                                     enum clrnn_type type, unsigned ndim, const uint32_t *dims,
                                     struct clrnn_buffer *buffer, int *id);

/** Appends an op with all slots CLRNN_NONE. *op is valid until the next op is added. */
enum clrnn_status clrnn_graph_op(struct clrnn_graph *graph, enum clrnn_op_kind kind, const char *layer,
                                 uint32_t T, uint32_t N, uint32_t C, struct clrnn_op **op);

/** Computes each activation's lifetime, packs the activations into one arena (first fit, largest first, with
 * the device's alignment) and gives them sub-buffers of it. *arena is reused if it is large enough, otherwise
 * replaced by a larger buffer (plans that hold the old one keep it). With `separate`, activations do not
 * share memory: for checking op by op.
 */
enum clrnn_status clrnn_graph_place(struct clrnn_graph *graph, struct clrnn_device *device, bool separate,
                                    struct clrnn_buffer **arena);

/** Elides the copy of a batch by FEED if every reader can gather the rows from the data set itself: real
 * values without normalisation, one step, no padding, read by recurrent layers (on a device whose multiply
 * takes row indices) and by the loss. Call before clrnn_graph_place.
 */
void clrnn_graph_elide_copy(struct clrnn_graph *graph, const struct clrnn_device *device);

/** The buffer of a slot, or NULL for CLRNN_NONE and for a tensor without memory of its own. */
static inline struct clrnn_buffer *clrnn_in(const struct clrnn_graph *g, const struct clrnn_op *op, int slot)
{
    return op->in[slot] < 0 ? NULL : g->tensor[op->in[slot]].buffer;
}
static inline struct clrnn_buffer *clrnn_out(const struct clrnn_graph *g, const struct clrnn_op *op, int slot)
{
    return op->out[slot] < 0 ? NULL : g->tensor[op->out[slot]].buffer;
}

/** The buffer of a slot as clrnn_in, and NULL in *index. If the slot's copy was elided: the buffer of its
 * source, and in *index the indices [N] of its rows. */
static inline struct clrnn_buffer *clrnn_rows(const struct clrnn_graph *g, const struct clrnn_op *op,
                                              int slot, struct clrnn_buffer **index)
{
    const struct clrnn_tensor *t = op->in[slot] < 0 ? NULL : &g->tensor[op->in[slot]];

    *index = t && t->rows_of >= 0 ? g->tensor[t->rows_index].buffer : NULL;
    return *index ? g->tensor[t->rows_of].buffer : clrnn_in(g, op, slot);
}

#endif
