// SPDX-License-Identifier: MIT
// Private to the recurrent op: one layer's buffers by direction, and the variants that run its time steps.
#ifndef CLRNN_SRC_OPS_RNN_VARIANTS_H
#define CLRNN_SRC_OPS_RNN_VARIANTS_H

#include "device/gemm/gemm.h"
#include "ops/graph.h"
#include "rnn_args.h"

/** The variants. doc/kernels.md describes them. */
enum clrnn_rnn_variant {
    CLRNN_RNN_STEPS,    // a multiply and a pointwise kernel per step: any device, any shape
    CLRNN_RNN_SEQUENCE, // persistent kernel for CPUs: a work-item runs all steps of some batch rows
    CLRNN_RNN_SHARED,   // for CPUs, a launch per step: the hidden units are divided among the cores
    CLRNN_RNN_GROUP,    // persistent kernel for GPUs: a work-group runs all steps of some batch rows
    CLRNN_RNN_VARIANTS
};

/** The sizes and buffers of a layer for its kernels. Shapes: src/ops/op.h. Absent buffers are NULL. */
struct clrnn_rnn {
    uint32_t T, N, C, H, D, G, R;
    enum clrnn_cell cell;
    enum clrnn_rnn_variant variant;
    bool relu;
    struct clrnn_buffer
        *x_rows; // T = 1 with the batch's copy elided: x is the data set, x_rows the row indices
    struct clrnn_buffer *x, *lengths, *weight_ih[2], *weight_hh[2], *bias_ih[2], *bias_hh[2];
    struct clrnn_buffer *y, *gates, *memory; // memory: the lstm's cell
    struct clrnn_buffer *h0, *c0, *hn, *cn;  // initial and final states
    struct clrnn_buffer *start, *past;       // the initial states as kernels read them: see cl/rnn.cl
    struct clrnn_buffer *dy, *dx, *dweight_ih[2], *dweight_hh[2], *dbias_ih[2], *dbias_hh[2]; // backward
    struct clrnn_buffer *dh0, *dc0, *dhn, *dcn;
    struct clrnn_buffer *carry; // [D, N, H]: gradient that backward hands on past its last step; NULL: none
    // A pass takes a part of the sequence in one direction (ops/rnn_parts.c), or all steps of all directions.
    uint32_t whole;                 // steps of the sequence; the buffers gates, memory and y have T of them
    uint32_t low, steps;            // steps taken: [low, low + steps) of T; the others only provide states
    uint32_t offset;                // step t of T is step t + offset of x, dy and lengths
    uint32_t direction, directions; // the first one taken, and how many
    struct clrnn_buffer *through;   // [D, N, H] scratch of STEPS that outlives a part; NULL: whole sequences
    uint32_t part;                  // steps in a part; 0: the sequence is not divided
    struct clrnn_buffer *kept_h, *kept_c; // [parts - 1, D, N, H]: states at the end of all parts but the last
    struct clrnn_buffer *clean;           // x with zeros in padding, NULL: x has none
};

#define FOR_DIRECTIONS(r, d) for (uint32_t d = (r)->direction; d < (r)->direction + (r)->directions; d++)

/** Number of steps in the buffers before those to compute, in the direction's forward or backward order: 0 or
 * 1 in a part of the sequence, 0 in a whole one. */
uint32_t clrnn_rnn_first(const struct clrnn_rnn *rnn, bool backward);

/** Partial sums of gate gradients for the bias gradients: partial [D, blocks, R*H]. */
struct clrnn_rnn_bias {
    bool wanted, summed; // summed: the variant itself writes `partial`
    bool at_once; // there are no parts: the sums come before dx, so that the parameters' gradients are final
                  // early
    uint32_t blocks;
    struct clrnn_buffer *partial; // NULL: not there yet
};

/** Kernel arguments for all rows of a layer and all steps that are taken. */
struct rnn_args clrnn_rnn_args(const struct clrnn_rnn *rnn, bool backward);

/** Computes `start`, the products of the initial states with the recurrent weights. */
enum clrnn_status clrnn_rnn_begin(struct clrnn_launches *l, struct clrnn_rnn *rnn);
/** Writes the final states. If the sequence is taken in parts (train.recompute): only the final cells, of the
 * samples whose last step is in this part. */
enum clrnn_status clrnn_rnn_end(struct clrnn_launches *l, const struct clrnn_rnn *rnn);
/** Before backward: adds the gradient of the final h to dy, sets `carry`. */
enum clrnn_status clrnn_rnn_begin_bwd(struct clrnn_launches *l, struct clrnn_rnn *rnn);
/** After backward: computes the gradients of the initial states, and adds the initial states' share to the
 * gradients of the recurrent weights. */
enum clrnn_status clrnn_rnn_end_bwd(struct clrnn_launches *l, const struct clrnn_rnn *rnn);

/** CLRNN_RNN_STEPS, forward. */
enum clrnn_status clrnn_rnn_steps_fwd(struct clrnn_launches *l, const struct clrnn_rnn *rnn);

/** CLRNN_RNN_STEPS, backward: overwrites the gates with the gate gradients. */
enum clrnn_status clrnn_rnn_steps_bwd(struct clrnn_launches *l, const struct clrnn_rnn *rnn);

/** A layer of one time step, for CPUs: input multiply and gates in one launch. _fits: whether the layer is
 * small enough for that, and has no lengths and no initial states. _bwd overwrites the gates with the gate
 * gradients, writes the bias gradients, and sets the gradients of the recurrent weights to zero. *whole:
 * whether it also wrote the gradients of the input and the input weights; otherwise the caller computes
 * them. */
bool clrnn_rnn_single_fits(const struct clrnn_launches *l, const struct clrnn_rnn *rnn);
enum clrnn_status clrnn_rnn_single_fwd(struct clrnn_launches *l, const struct clrnn_rnn *rnn);
enum clrnn_status clrnn_rnn_single_bwd(struct clrnn_launches *l, const struct clrnn_rnn *rnn, bool *whole);

/** CLRNN_RNN_SEQUENCE and CLRNN_RNN_SHARED, by rnn->variant. _fits: whether the device and the shape allow
 * it. _standard: the one of the two that reads the recurrent weights less often. */
bool clrnn_rnn_sequence_fits(const struct clrnn_launches *l, const struct clrnn_rnn *rnn);
enum clrnn_rnn_variant clrnn_rnn_sequence_standard(const struct clrnn_launches *l,
                                                   const struct clrnn_rnn *rnn);
enum clrnn_status clrnn_rnn_sequence_fwd(struct clrnn_launches *l, const struct clrnn_rnn *rnn);
enum clrnn_status clrnn_rnn_sequence_bwd(struct clrnn_launches *l, const struct clrnn_rnn *rnn,
                                         struct clrnn_rnn_bias *bias);

/** CLRNN_RNN_GROUP. _fits: whether a work-group can hold the layer's state, and the number of loop iterations
 * is within the device's limit (llvmpipe has one). */
bool clrnn_rnn_group_fits(const struct clrnn_launches *l, const struct clrnn_rnn *rnn);
/** Whether CLRNN_RNN_GROUP is expected to be faster than CLRNN_RNN_STEPS. */
bool clrnn_rnn_group_pays(const struct clrnn_rnn *rnn);
enum clrnn_status clrnn_rnn_group_fwd(struct clrnn_launches *l, const struct clrnn_rnn *rnn);
enum clrnn_status clrnn_rnn_group_bwd(struct clrnn_launches *l, const struct clrnn_rnn *rnn);

/** Computes the input gates, x W_ih^T of every direction, into columns 0 to G*H - 1 of pre [D, rows, R*H];
 * for cell rnn into y [rows, D*H]. `fused` (rnn only, else NULL): on return, whether biases and activation
 * were applied in the multiply's epilogue. */
enum clrnn_status clrnn_rnn_input_gates(struct clrnn_launches *l, const struct clrnn_rnn *rnn,
                                        struct clrnn_buffer *pre, bool *fused);

/** Forward, and backward with all gradients except the final states', of a whole sequence: at once or, with
 * rnn->part, part by part. */
enum clrnn_status clrnn_rnn_parts_fwd(struct clrnn_launches *l, struct clrnn_rnn *rnn);
enum clrnn_status clrnn_rnn_parts_bwd(struct clrnn_launches *l, struct clrnn_rnn *rnn);

/** After backward's time steps: computes, for the steps that were taken, the gradients of x and of the
 * weights; the latter are added to those of later parts. `bias` NULL: only the gradients of x and the input
 * weights. _bias_sum: computes the bias gradients after all parts, unless bias->at_once. */
enum clrnn_status clrnn_rnn_gradients(struct clrnn_launches *l, const struct clrnn_rnn *rnn,
                                      struct clrnn_rnn_bias *bias);
enum clrnn_status clrnn_rnn_bias_sum(struct clrnn_launches *l, const struct clrnn_rnn *rnn,
                                     const struct clrnn_rnn_bias *bias);

/** Row stride of pre in elements, and the distance between its two directions. */
uint32_t clrnn_rnn_pre_ld(const struct clrnn_rnn *rnn);
size_t clrnn_rnn_pre_direction(const struct clrnn_rnn *rnn);

/** Vector width of the kernels in hidden units: the device's width on CPUs, at most 16; otherwise 1. */
uint32_t clrnn_rnn_width(const struct clrnn_launches *l);

#endif
