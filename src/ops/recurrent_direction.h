// SPDX-License-Identifier: MIT
// Private to the recurrent op: the buffers of one direction, for forward (recurrent.c) and backward.
#ifndef CLRNN_SRC_OPS_RECURRENT_DIRECTION_H
#define CLRNN_SRC_OPS_RECURRENT_DIRECTION_H

#include "ops/graph.h"
#include "ops/rnn_states.h"
#include "ops/split.h"
#include "rnn_args.h"

/** Weights of one direction, packed once for the multiplies of all its steps (`panels` of struct clrnn_gemm).
 */
struct clrnn_recurrent_packed {
    struct clrnn_buffer *hidden, *projection;         // for forward
    struct clrnn_buffer *hidden_bwd, *projection_bwd; // for backward
};

/** The sizes and buffers of one direction. Shapes: ops/recurrent.h. Absent buffers are NULL. */
struct clrnn_recurrent_direction {
    uint32_t T, N, C, H, P, D, G, d;
    const struct clrnn_op *op;
    struct clrnn_recurrent_packed *packed; // the caller's; clrnn_recurrent_take clears it
    struct clrnn_split split;              // a team for each row of the batch
    struct clrnn_buffer *x, *lengths, *counter, *weight[RECURRENT_WEIGHTS], *gradient[RECURRENT_WEIGHTS];
    struct clrnn_buffer *y, *input, *hidden, *stats, *gates, *cell, *wide, *mask;
    struct clrnn_buffer *dy, *dx;                                   // backward
    struct clrnn_buffer *h0, *c0, *begin, *state, *dh0, *dc0, *dcn; // begin and state: see cl/recurrent.cl
    // The steps to compute, of `whole` steps: those of a part, as in struct clrnn_rnn_part, or all T.
    uint32_t whole, low, steps, offset;
    struct clrnn_buffer *kept_h, *kept_c, *part_y; // kept: as in rnn.h. part_y: y of a part; NULL: no parts
};

/** Defines of kernels, from the layer and the split of its rows or columns. */
#define DEFINES_OF(r, split) \
    DEFINES({"CELL", (r)->op->rnn.cell}, {"RELU", (r)->op->rnn.relu}, \
            {"NORM", (r)->op->recurrent.layer_norm}, {"WIDTH", (split).width}, {"LANES", (split).lanes})
#define WEIGHT(name) weight[RECURRENT_##name - RECURRENT_WEIGHT_IH]
#define GRADIENT(name) gradient[RECURRENT_##name - RECURRENT_WEIGHT_IH]

static inline size_t clrnn_recurrent_rows(const struct clrnn_recurrent_direction *r)
{
    return (size_t)r->T * r->N;
}

/** Arguments that all kernels of a step share; forward adds where h is, backward where carry is. */
static inline struct recurrent_args clrnn_recurrent_args(const struct clrnn_recurrent_direction *r,
                                                         uint32_t step)
{
    return (struct recurrent_args){.T = r->T,
                                   .N = r->N,
                                   .H = r->H,
                                   .P = r->P,
                                   .D = r->D,
                                   .whole = r->whole,
                                   .offset = r->offset,
                                   .direction = r->d,
                                   .step = step};
}

static inline uint32_t clrnn_recurrent_columns(const struct clrnn_recurrent_direction *r)
{
    return r->G * r->H;
}

/** Returns the layer with the fields that do not depend on the direction; clrnn_recurrent_take sets the
 * others, for direction d. */
struct clrnn_recurrent_direction clrnn_recurrent_layer(struct clrnn_launches *l, const struct clrnn_graph *g,
                                                       const struct clrnn_op *op,
                                                       struct clrnn_recurrent_packed *packed);
void clrnn_recurrent_take(struct clrnn_recurrent_direction *r, const struct clrnn_graph *g, uint32_t d);

/** Number of steps in the buffers before those to compute, in the direction's forward or backward order: 0 or
 * 1 in a part of the sequence, 0 in a whole one. */
uint32_t clrnn_recurrent_first(const struct clrnn_recurrent_direction *r, bool backward);

/** Allocates scratch for activations that have no buffer: of the whole sequence or, with op->rnn.part, of a
 * part. */
enum clrnn_status clrnn_recurrent_own(struct clrnn_launches *l, struct clrnn_recurrent_direction *r);
/** Returns the direction, limited to one part of the sequence. */
struct clrnn_recurrent_direction clrnn_recurrent_part(const struct clrnn_recurrent_direction *r,
                                                      const struct clrnn_rnn_part *part);
uint32_t clrnn_recurrent_parts(const struct clrnn_recurrent_direction *r);

/** Call it before a direction's first step: computes the dropout mask and W_hh times the initial state. */
enum clrnn_status clrnn_recurrent_prepare(struct clrnn_launches *l, struct clrnn_recurrent_direction *r);
/** Runs forward through part k from the state kept before it. `dropped`: scratch [N, P]; NULL: no dropout. */
enum clrnn_status clrnn_recurrent_part_steps(struct clrnn_launches *l,
                                             const struct clrnn_recurrent_direction *p,
                                             const struct clrnn_rnn_part *part, uint32_t k,
                                             struct clrnn_buffer *dropped);
/** The direction's rows of y at step t, of another buffer (W numbers a row) at step t, and of the states kept
 * at the end of part k. */
struct clrnn_rows clrnn_recurrent_y(const struct clrnn_recurrent_direction *r, uint32_t t);
struct clrnn_rows clrnn_recurrent_at(const struct clrnn_recurrent_direction *r, struct clrnn_buffer *of,
                                     uint32_t W, uint32_t t);
struct clrnn_rows clrnn_recurrent_kept(const struct clrnn_recurrent_direction *r, struct clrnn_buffer *kept,
                                       uint32_t W, uint32_t k);

/** Allocates scratch for *buffer, unless it has memory or count is 0. */
enum clrnn_status clrnn_recurrent_scratch(struct clrnn_launches *l, size_t count,
                                          struct clrnn_buffer **buffer);

/** Computes the direction's dropout mask; without dropout there is none. */
enum clrnn_status clrnn_recurrent_mask(struct clrnn_launches *l, struct clrnn_recurrent_direction *r);
/** out [rows, P]: the mask times the rows of y from `row` on. */
enum clrnn_status clrnn_recurrent_drop(struct clrnn_launches *l, const struct clrnn_recurrent_direction *r,
                                       size_t row, size_t rows, struct clrnn_buffer *out);
/** h0 of the direction as it enters the gates, in *h from *offset on: times the mask if there is one. */
enum clrnn_status clrnn_recurrent_initial(struct clrnn_launches *l, const struct clrnn_recurrent_direction *r,
                                          struct clrnn_buffer **h, size_t *offset);

#endif
