// SPDX-License-Identifier: MIT
// Private to the ops of recurrent.h: the buffers of one direction, used by forward (recurrent.c) and backward
// (recurrent_backward.c).
#ifndef CLRNN_SRC_OPS_RECURRENT_DIRECTION_H
#define CLRNN_SRC_OPS_RECURRENT_DIRECTION_H

#include "ops/graph.h"
#include "ops/rnn_states.h"
#include "ops/split.h"
#include "rnn_args.h"

/** Weights of one direction, packed once for the multiplies of all its time steps. Each is passed as `panels` of struct
 * clrnn_gemm. */
struct clrnn_recurrent_packed {
    struct clrnn_buffer *hidden, *projection;         // for forward
    struct clrnn_buffer *hidden_bwd, *projection_bwd; // for backward
};

/** The sizes and buffers of one direction. Shapes: ops/recurrent.h. A buffer that the layer does not have is NULL. */
struct clrnn_recurrent_direction {
    uint32_t T, N, C, H, P, D, G, d;
    const struct clrnn_op *op;
    struct clrnn_recurrent_packed *packed; // owned by the caller; clrnn_recurrent_take clears it
    struct clrnn_split split;              // a team for each row of the batch
    struct clrnn_buffer *x, *lengths, *counter, *weight[RECURRENT_WEIGHTS], *gradient[RECURRENT_WEIGHTS];
    struct clrnn_buffer *y, *input, *hidden, *stats, *gates, *cell, *wide, *mask;
    struct clrnn_buffer *dy, *dx; // backward
    // `begin` and `state`: see cl/recurrent.cl
    struct clrnn_buffer *h0, *c0, *begin, *state, *dh0, *dc0, *dcn;
    // The buffers have T time steps, of which [low, low + steps) are to be computed. These steps are a part of the
    // sequence (struct clrnn_rnn_part) or the whole sequence.
    // whole: number of steps of the whole sequence.
    // offset: step t of the buffers is step t + offset of x, dy and lengths.
    uint32_t whole, low, steps, offset;
    // kept_h, kept_c: as in rnn.h.
    // part_y: y of one part; NULL: the sequence is not divided into parts.
    struct clrnn_buffer *kept_h, *kept_c, *part_y;
};

/** The defines of a kernel, from the layer and a split (split.h) of its rows or columns. */
#define DEFINES_OF(r, split) \
    DEFINES({"CELL", (r)->op->rnn.cell}, {"RELU", (r)->op->rnn.relu}, {"NORM", (r)->op->recurrent.layer_norm}, \
            {"WIDTH", (split).width}, {"LANES", (split).lanes})
#define WEIGHT(name) weight[RECURRENT_##name - RECURRENT_WEIGHT_IH]
#define GRADIENT(name) gradient[RECURRENT_##name - RECURRENT_WEIGHT_IH]

static inline size_t clrnn_recurrent_rows(const struct clrnn_recurrent_direction *r)
{
    return (size_t)r->T * r->N;
}

/** Returns the arguments that all kernels of time step `step` share. The caller must also set the position of h in
 * forward (h_first, h_ld), or of the carried gradient in backward (carry_first). */
static inline struct recurrent_args clrnn_recurrent_args(const struct clrnn_recurrent_direction *r, uint32_t step)
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

/** Returns a layer's sizes, and the input buffers that forward and backward share. clrnn_recurrent_take sets d and the
 * weights and gradients of direction d. The caller sets the other buffers. */
struct clrnn_recurrent_direction clrnn_recurrent_layer(struct clrnn_launches *l, const struct clrnn_graph *g,
                                                       const struct clrnn_op *op,
                                                       struct clrnn_recurrent_packed *packed);
void clrnn_recurrent_take(struct clrnn_recurrent_direction *r, const struct clrnn_graph *g, uint32_t d);

/** Returns the number of the first time step to compute, counted from 0 among the steps of the buffers. The order is
 * that of the direction's forward pass or, with `backward`, of its backward pass. The number is 1 if the buffers have
 * a step before the part in that order (struct clrnn_rnn_part); otherwise it is 0. */
uint32_t clrnn_recurrent_first(const struct clrnn_recurrent_direction *r, bool backward);

/** Allocates scratch memory for the activations that have no buffer: for one part if the layer works in parts
 * (op->rnn.part), otherwise for the whole sequence. */
enum clrnn_status clrnn_recurrent_own(struct clrnn_launches *l, struct clrnn_recurrent_direction *r);
/** Returns a copy of *r that covers only one part of the sequence. */
struct clrnn_recurrent_direction clrnn_recurrent_part(const struct clrnn_recurrent_direction *r,
                                                      const struct clrnn_rnn_part *part);
/** Returns the number of parts of the sequence; 1: it is not divided. */
uint32_t clrnn_recurrent_parts(const struct clrnn_recurrent_direction *r);

/** Computes the dropout mask, and W_hh times the initial state. Must be called before a direction's first step. */
enum clrnn_status clrnn_recurrent_prepare(struct clrnn_launches *l, struct clrnn_recurrent_direction *r);
/** Runs forward through the steps of part k, from the state that was kept at the end of part k - 1 (part 0: from the
 * initial state). `dropped`: scratch memory [N, P]; NULL: no dropout. */
enum clrnn_status clrnn_recurrent_part_steps(struct clrnn_launches *l, const struct clrnn_recurrent_direction *p,
                                             const struct clrnn_rnn_part *part, uint32_t k,
                                             struct clrnn_buffer *dropped);
/** Returns the direction's rows of y, from time step t on; each step has N rows. */
struct clrnn_rows clrnn_recurrent_y(const struct clrnn_recurrent_direction *r, uint32_t t);
/** Returns the direction's rows, of W numbers each, of the buffer `of` [D, T, N, W], from time step t on. */
struct clrnn_rows clrnn_recurrent_at(const struct clrnn_recurrent_direction *r, struct clrnn_buffer *of, uint32_t W,
                                     uint32_t t);
/** Returns the direction's N rows, of W numbers each, of the states kept at the end of part k. */
struct clrnn_rows clrnn_recurrent_kept(const struct clrnn_recurrent_direction *r, struct clrnn_buffer *kept, uint32_t W,
                                       uint32_t k);

/** Allocates scratch memory of `count` REALs as *buffer. Does nothing if *buffer is not NULL or count is
 * 0. */
enum clrnn_status clrnn_recurrent_scratch(struct clrnn_launches *l, size_t count, struct clrnn_buffer **buffer);

/** Computes the direction's dropout mask. Does nothing if the layer has no dropout of its state. */
enum clrnn_status clrnn_recurrent_mask(struct clrnn_launches *l, struct clrnn_recurrent_direction *r);
/** Computes out [rows, P] = the dropout mask times `rows` rows of y, from row `row` on. */
enum clrnn_status clrnn_recurrent_drop(struct clrnn_launches *l, const struct clrnn_recurrent_direction *r, size_t row,
                                       size_t rows, struct clrnn_buffer *out);
/** Finds the direction's h0 [N, P], multiplied by the dropout mask if there is one. On return, it begins at element
 * *offset of *h. */
enum clrnn_status clrnn_recurrent_initial(struct clrnn_launches *l, const struct clrnn_recurrent_direction *r,
                                          struct clrnn_buffer **h, size_t *offset);

#endif
