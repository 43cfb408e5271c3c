// SPDX-License-Identifier: MIT
// Private to the recurrent op: one layer's buffers by direction, and the ways to run its time steps.
#ifndef CLRNN_SRC_OPS_RNN_VARIANTS_H
#define CLRNN_SRC_OPS_RNN_VARIANTS_H

#include "device/gemm/gemm.h"
#include "ops/graph.h"

/** How the time steps run. */
enum clrnn_rnn_variant {
    CLRNN_RNN_STEPS,    // a multiply and a pointwise kernel a step: any device, any shape
    CLRNN_RNN_SEQUENCE, // one launch, a work-item walking over the steps of some batch rows: for CPUs
    CLRNN_RNN_SHARED,   // a launch a step, in which the cores share out the hidden units: likewise
    CLRNN_RNN_GROUP,    // one launch, a work-group walking over the steps of some batch rows: for GPUs
    CLRNN_RNN_VARIANTS
};

/** A layer as its kernels see it. Shapes: src/ops/op.h. Buffers that are absent are NULL. */
struct clrnn_rnn {
    uint32_t T, N, C, H, D, G, R;
    enum clrnn_cell cell;
    enum clrnn_rnn_variant variant;
    bool relu, bias;
    struct clrnn_buffer *x_rows; // with T 1: x is the data set, and these its rows in the batch
    struct clrnn_buffer *x, *lengths, *weight_ih[2], *weight_hh[2], *bias_ih[2], *bias_hh[2];
    struct clrnn_buffer *y, *gates, *memory; // memory: the lstm's cell
    struct clrnn_buffer *dy, *dx, *dweight_ih[2], *dweight_hh[2], *dbias_ih[2], *dbias_hh[2]; // backward
};

/** Sums of gate gradients on their way to the bias gradients: partial [D, blocks, R*H]. */
struct clrnn_rnn_bias {
    bool wanted;
    uint32_t blocks; // 0: not summed yet
    struct clrnn_buffer *partial;
};

/** All steps forward in CLRNN_RNN_STEPS. */
enum clrnn_status clrnn_rnn_steps_fwd(struct clrnn_launches *l, const struct clrnn_rnn *rnn);

/** All steps backward likewise: leaves the gate gradients in place of the gates. */
enum clrnn_status clrnn_rnn_steps_bwd(struct clrnn_launches *l, const struct clrnn_rnn *rnn);

/** A layer of one step, for CPUs. _fits: whether it is small enough to be multiplied in the same launch.
 * Backward leaves the gate gradients in place of the gates, the bias gradients, and zeros for the recurrent
 * weights'; and says whether that was the whole of it, or the gradients of input and input weights are left
 * to do. */
bool clrnn_rnn_single_fits(const struct clrnn_launches *l, const struct clrnn_rnn *rnn);
enum clrnn_status clrnn_rnn_single_fwd(struct clrnn_launches *l, const struct clrnn_rnn *rnn);
enum clrnn_status clrnn_rnn_single_bwd(struct clrnn_launches *l, const struct clrnn_rnn *rnn, bool *whole);

/** All steps in the other walks, for CPUs. _fits: whether the device and the shape are fit for the walk; the
 *  standard one of the two is what reads the recurrent weights least often. */
bool clrnn_rnn_sequence_fits(const struct clrnn_launches *l, const struct clrnn_rnn *rnn);
enum clrnn_rnn_variant clrnn_rnn_sequence_standard(const struct clrnn_launches *l,
                                                   const struct clrnn_rnn *rnn);
enum clrnn_status clrnn_rnn_sequence_fwd(struct clrnn_launches *l, const struct clrnn_rnn *rnn);
enum clrnn_status clrnn_rnn_sequence_bwd(struct clrnn_launches *l, const struct clrnn_rnn *rnn,
                                         struct clrnn_rnn_bias *bias);

/** The same in one launch, a work-group walking over the steps of some batch rows: for GPUs. _fits: whether a
 *  group can hold the layer, and the device carries so many rounds of its loops out. */
bool clrnn_rnn_group_fits(const struct clrnn_launches *l, const struct clrnn_rnn *rnn);
/** Whether it may be expected to be faster than going step by step. */
bool clrnn_rnn_group_pays(const struct clrnn_rnn *rnn);
enum clrnn_status clrnn_rnn_group_fwd(struct clrnn_launches *l, const struct clrnn_rnn *rnn);
enum clrnn_status clrnn_rnn_group_bwd(struct clrnn_launches *l, const struct clrnn_rnn *rnn);

/** pre [D, rows, R*H], columns 0 to G*H - 1, = x W_ih^T of every direction; rnn: into y [rows, D*H]. With
 *  `fused`, which is for rnn: biases and activation too, where it then says so. */
enum clrnn_status clrnn_rnn_input_gates(struct clrnn_launches *l, const struct clrnn_rnn *rnn,
                                        struct clrnn_buffer *pre, bool *fused);

/** Elements between two rows of pre, and between its two directions. */
uint32_t clrnn_rnn_pre_ld(const struct clrnn_rnn *rnn);
size_t clrnn_rnn_pre_direction(const struct clrnn_rnn *rnn);

/** Hidden units in a vector of the kernels: the device's width on CPUs, at most 16; 1 elsewhere. */
uint32_t clrnn_rnn_width(const struct clrnn_launches *l);

#endif
