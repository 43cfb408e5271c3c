// SPDX-License-Identifier: MIT
// Private to the ops of rnn.h: the buffers of one layer, and the variants of the code that runs its time steps.
#ifndef CLRNN_SRC_OPS_RNN_VARIANTS_H
#define CLRNN_SRC_OPS_RNN_VARIANTS_H

#include "device/gemm/gemm.h"
#include "ops/graph.h"
#include "rnn_args.h"

/** The variants of the code that runs the time steps. doc/kernels.md describes them. */
enum clrnn_rnn_variant {
    CLRNN_RNN_STEPS,    // a multiply and a pointwise kernel per step: any device, any shape
    CLRNN_RNN_SEQUENCE, // persistent kernel for CPUs: a work-item runs all steps of some batch rows
    CLRNN_RNN_SHARED,   // for CPUs, a launch per step: the hidden units are divided among the cores
    CLRNN_RNN_GROUP,    // persistent kernel for GPUs: a work-group runs all steps of some batch rows
    CLRNN_RNN_VARIANTS
};

/** The sizes and buffers of a layer, from which its kernels get their arguments. Shapes: ops/op.h and ops/rnn.h. A
 * buffer that the layer does not have is NULL. */
struct clrnn_rnn {
    uint32_t T, N, C, H, D, G, R;
    enum clrnn_cell cell;
    enum clrnn_rnn_variant variant;
    bool relu;
    // Row indices [N] into x, if T is 1 and the copy of the batch was left out (clrnn_graph_elide_copy): x is then the
    // data set. Otherwise NULL.
    struct clrnn_buffer *x_rows;
    struct clrnn_buffer *x, *lengths, *weight_ih[2], *weight_hh[2], *bias_ih[2], *bias_hh[2];
    struct clrnn_buffer *y, *gates, *memory; // memory: the cell state of lstm
    struct clrnn_buffer *h0, *c0, *hn, *cn;  // initial and final states
    struct clrnn_buffer *start, *past;       // what kernels read of the initial states: see cl/rnn.cl
    struct clrnn_buffer *dy, *dx, *dweight_ih[2], *dweight_hh[2], *dbias_ih[2], *dbias_hh[2]; // backward
    struct clrnn_buffer *dh0, *dc0, *dhn, *dcn;
    // carry [D, N, H]: what backward has left after its last step, for the next part or as a gradient of the initial
    // states. lstm: the gradient of the cell. gru: the part of the gradient of h that bypasses the multiply. NULL: not
    // needed.
    struct clrnn_buffer *carry;
    // A call runs either a part of the sequence in one direction (ops/rnn_parts.c), or all steps of all directions. The
    // buffers gates, memory and y have only T steps, of which the call runs [low, low + steps). The call only reads the
    // other steps.
    uint32_t whole; // number of steps of the whole sequence
    uint32_t low, steps;
    uint32_t offset;                // step t of gates, memory and y is step t + offset of x, dy and lengths
    uint32_t direction, directions; // first direction that the call runs, and how many it runs
    // through [D, N, H]: scratch of variant STEPS that one part passes to the next; NULL: no parts.
    struct clrnn_buffer *through;
    uint32_t part; // steps in a part; 0: the sequence is not divided
    // kept_h, kept_c [parts - 1, D, N, H]: states at the end of each part except the last.
    struct clrnn_buffer *kept_h, *kept_c;
    struct clrnn_buffer *clean; // x with zeros in padding; NULL: x itself can be used
};

#define FOR_DIRECTIONS(r, d) for (uint32_t d = (r)->direction; d < (r)->direction + (r)->directions; d++)

/** Returns the number of the first time step to compute, counted from 0 among the steps of the buffers. The order is
 * that of the direction's forward pass or, with `backward`, of its backward pass. The number is 1 if the buffers have
 * a step before the part in that order (struct clrnn_rnn_part in rnn_states.h); otherwise it is 0. */
uint32_t clrnn_rnn_first(const struct clrnn_rnn *rnn, bool backward);

/** Partial sums of the gate gradients, from which the bias gradients are computed: partial [D, blocks, R*H], one for
 * each block of rows. */
struct clrnn_rnn_bias {
    // wanted: a bias gradient is wanted.
    // summed: the variant's own kernels write `partial`.
    bool wanted, summed;
    // There are no parts: the bias gradients are summed up before dx is computed. They are then final earlier.
    bool at_once;
    uint32_t blocks;
    struct clrnn_buffer *partial; // NULL: not allocated yet
};

/** Returns the kernel arguments for all rows of a layer and all time steps that the call runs. */
struct rnn_args clrnn_rnn_args(const struct clrnn_rnn *rnn, bool backward);

/** Computes rnn->start, the products of the initial states with the recurrent weights. Does nothing without initial
 * states. */
enum clrnn_status clrnn_rnn_begin(struct clrnn_launches *l, struct clrnn_rnn *rnn);
/** Writes the final states. If the call ran a part of the sequence (train.recompute), writes only the final cells, and
 * only of samples whose last step is in this part. */
enum clrnn_status clrnn_rnn_end(struct clrnn_launches *l, const struct clrnn_rnn *rnn);
/** Must be called before backward: adds the gradient of the final h to dy, and sets rnn->carry. */
enum clrnn_status clrnn_rnn_begin_bwd(struct clrnn_launches *l, struct clrnn_rnn *rnn);
/** Must be called after backward: computes the gradients of the initial states, and adds what the initial states
 * contribute to the gradients of the recurrent weights. */
enum clrnn_status clrnn_rnn_end_bwd(struct clrnn_launches *l, const struct clrnn_rnn *rnn);

/** Runs the time steps forward, with variant CLRNN_RNN_STEPS. */
enum clrnn_status clrnn_rnn_steps_fwd(struct clrnn_launches *l, const struct clrnn_rnn *rnn);

/** Runs the time steps backward, with variant CLRNN_RNN_STEPS. Overwrites the gates with the gate
 * gradients. */
enum clrnn_status clrnn_rnn_steps_bwd(struct clrnn_launches *l, const struct clrnn_rnn *rnn);

/** Whether the layer can run on a CPU with the input multiply and the gates in one launch: it has a single time step,
 * no lengths and no initial states, and is small enough. */
bool clrnn_rnn_single_fits(const struct clrnn_launches *l, const struct clrnn_rnn *rnn);
/** Runs a layer for which clrnn_rnn_single_fits is true forward, in one launch. */
enum clrnn_status clrnn_rnn_single_fwd(struct clrnn_launches *l, const struct clrnn_rnn *rnn);
/** Runs a layer of one time step, without initial states, backward on a CPU. Overwrites the gates with the gate
 * gradients, writes the bias gradients, and sets the gradients of the recurrent weights to zero. Sets *whole to whether
 * it also computes the gradients of the input and of the input weights. If *whole is false, the caller must compute
 * these. */
enum clrnn_status clrnn_rnn_single_bwd(struct clrnn_launches *l, const struct clrnn_rnn *rnn, bool *whole);

/** Whether the device and the shape allow rnn->variant, CLRNN_RNN_SEQUENCE or CLRNN_RNN_SHARED. */
bool clrnn_rnn_sequence_fits(const struct clrnn_launches *l, const struct clrnn_rnn *rnn);
/** Returns the variant that is expected to be faster, CLRNN_RNN_SEQUENCE or CLRNN_RNN_SHARED. */
enum clrnn_rnn_variant clrnn_rnn_sequence_standard(const struct clrnn_launches *l, const struct clrnn_rnn *rnn);
/** Run the time steps with rnn->variant, CLRNN_RNN_SEQUENCE or CLRNN_RNN_SHARED. Backward overwrites the gates with the
 * gate gradients and sums them for the bias gradients. */
enum clrnn_status clrnn_rnn_sequence_fwd(struct clrnn_launches *l, const struct clrnn_rnn *rnn);
enum clrnn_status clrnn_rnn_sequence_bwd(struct clrnn_launches *l, const struct clrnn_rnn *rnn,
                                         struct clrnn_rnn_bias *bias);

/** Whether CLRNN_RNN_GROUP is possible: a work-group has enough registers and local memory, and the kernel's loops stay
 * within the number of iterations that the driver allows (llvmpipe has such a limit). */
bool clrnn_rnn_group_fits(const struct clrnn_launches *l, const struct clrnn_rnn *rnn);
/** Whether CLRNN_RNN_GROUP is expected to be faster than CLRNN_RNN_STEPS. */
bool clrnn_rnn_group_pays(const struct clrnn_rnn *rnn);
/** Run the time steps with variant CLRNN_RNN_GROUP. Backward overwrites the gates with the gate gradients. */
enum clrnn_status clrnn_rnn_group_fwd(struct clrnn_launches *l, const struct clrnn_rnn *rnn);
enum clrnn_status clrnn_rnn_group_bwd(struct clrnn_launches *l, const struct clrnn_rnn *rnn);

/** Computes x W_ih^T, the input's part of the gates, of every direction that the call runs. For lstm and gru, writes it
 * to columns 0 to G*H - 1 of pre [D, rows, R*H]; for rnn, `pre` is y [rows, D*H]. `fused` must be NULL unless the cell
 * is rnn. *fused becomes whether the multiply also added the biases and applied the activation (as its epilogue). */
enum clrnn_status clrnn_rnn_input_gates(struct clrnn_launches *l, const struct clrnn_rnn *rnn, struct clrnn_buffer *pre,
                                        bool *fused);

/** Run a whole sequence, part by part with rnn->part, otherwise all steps together. Forward also writes the final
 * states. Backward computes all gradients; clrnn_rnn_begin_bwd must have been called. */
enum clrnn_status clrnn_rnn_parts_fwd(struct clrnn_launches *l, struct clrnn_rnn *rnn);
enum clrnn_status clrnn_rnn_parts_bwd(struct clrnn_launches *l, struct clrnn_rnn *rnn);

/** Must be called after backward has run the time steps of the sequence or of a part: computes the gradients of x and
 * of the weights for these steps. Weight gradients are added to those of the parts that backward ran before. `bias`
 * NULL: computes only the gradients of x and of the input weights. */
enum clrnn_status clrnn_rnn_gradients(struct clrnn_launches *l, const struct clrnn_rnn *rnn,
                                      struct clrnn_rnn_bias *bias);
/** Computes the bias gradients from the partial sums of all parts. If bias->at_once, clrnn_rnn_gradients has already
 * done this. */
enum clrnn_status clrnn_rnn_bias_sum(struct clrnn_launches *l, const struct clrnn_rnn *rnn,
                                     const struct clrnn_rnn_bias *bias);

/** Returns the distance between two rows of `pre` (clrnn_rnn_input_gates), in elements. */
uint32_t clrnn_rnn_pre_ld(const struct clrnn_rnn *rnn);
/** Returns the distance between the two directions of `pre`, in elements. */
size_t clrnn_rnn_pre_direction(const struct clrnn_rnn *rnn);

/** Returns how many hidden units a vector of the kernels has: on CPUs as many floats as the device's vectors, at most
 * 16; otherwise 1. */
uint32_t clrnn_rnn_width(const struct clrnn_launches *l);

#endif
