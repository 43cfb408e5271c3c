// SPDX-License-Identifier: MIT
// A list of ops over tensors, and where the tensors lie in memory.
#ifndef CLRNN_SRC_OPS_GRAPH_H
#define CLRNN_SRC_OPS_GRAPH_H

#include "ops/op.h"

enum clrnn_role {
    CLRNN_ROLE_PARAM,      // bound from outside (the model's flat buffers), as are
    CLRNN_ROLE_GRAD,       //   gradients of parameters,
    CLRNN_ROLE_STATE,      //   running statistics,
    CLRNN_ROLE_MOMENT,     //   the optimiser's moments,
    CLRNN_ROLE_DATA,       //   data sets, indices, counters, records
    CLRNN_ROLE_ACTIVATION, // lives in the arena between its first and last op
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
    int rows_of, rows_index; // else CLRNN_NONE: no memory of its own, row n is row index[n] of that tensor
    bool keep;               // an activation that must survive the step (logits, loss input)
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

/** Adds a tensor; dims up to 4, ended by ndim. `buffer` is retained, NULL for activations. The index goes
 *  to *id. Errors: CLRNN_ERR_MEMORY; CLRNN_ERR_ARG where the product of dims overflows 2^32 - 1. */
enum clrnn_status clrnn_graph_tensor(struct clrnn_graph *graph, const char *name, enum clrnn_role role,
                                     enum clrnn_type type, unsigned ndim, const uint32_t *dims,
                                     struct clrnn_buffer *buffer, int *id);

/** A fresh op with all slots CLRNN_NONE, to be filled in at once (the pointer dies with the next add). */
enum clrnn_status clrnn_graph_op(struct clrnn_graph *graph, enum clrnn_op_kind kind, const char *layer,
                                 uint32_t T, uint32_t N, uint32_t C, struct clrnn_op **op);

/**
 * Finds each activation's lifetime, packs them into one arena (first fit, larger first, aligned as the
 * device wants) and gives them sub-buffers of it. `*arena` is used where it is large enough, else
 * replaced by a larger buffer (the old one lives on in plans that hold it). Without reuse
 * (`separate`) every activation keeps memory of its own: for op by op checking.
 */
enum clrnn_status clrnn_graph_place(struct clrnn_graph *graph, struct clrnn_device *device, bool separate,
                                    struct clrnn_buffer **arena);

/**
 * Spares the copy of a batch where each reader can pick up its rows from the data set: real numbers as they
 * are, one step, no padding, read by recurrent layers on a device that multiplies rows which lie apart, and
 * by the loss. Before clrnn_graph_place.
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

/** The same with the rows to pick up, [N] of them, in *index; NULL there where they follow each other. */
static inline struct clrnn_buffer *clrnn_rows(const struct clrnn_graph *g, const struct clrnn_op *op,
                                              int slot, struct clrnn_buffer **index)
{
    const struct clrnn_tensor *t = op->in[slot] < 0 ? NULL : &g->tensor[op->in[slot]];

    *index = t && t->rows_of >= 0 ? g->tensor[t->rows_index].buffer : NULL;
    return *index ? g->tensor[t->rows_of].buffer : clrnn_in(g, op, slot);
}

#endif
