// SPDX-License-Identifier: MIT
// Ops of a recurrent layer with layer normalisation, a projection (proj_size) or dropout of its hidden state. A
// recurrent layer with none of the three uses the ops of rnn.h. One op computes all directions. For direction d,
// RECURRENT_WEIGHTS * d is added to the slot of a weight or bias.
#ifndef CLRNN_SRC_OPS_RECURRENT_H
#define CLRNN_SRC_OPS_RECURRENT_H

#include "ops/rnn.h"

// The op kinds of this header as X(KIND, stem, name). op.h says what a stem is, and declares these ops.
// clang-format off
#define CLRNN_RECURRENT_OPS(X) \
    X(RECURRENT_FWD, recurrent, recurrent_fwd) X(RECURRENT_BWD, recurrent, recurrent_bwd)
// clang-format on

// Input slots of forward, whose output y is [T, N, D*P]. P is the size of the hidden state: proj_size if it is set,
// else H. Slots of weights that the layer does not have are CLRNN_NONE.
enum {
    RECURRENT_X, // [T, N, C]
    RECURRENT_LENGTHS,
    RECURRENT_COUNTER,   // U32 [COUNTER_FIELDS], only with dropout
    RECURRENT_WEIGHT_IH, // [G*H, C]
    RECURRENT_WEIGHT_HH, // [G*H, P]
    RECURRENT_BIAS_IH,   // [G*H]
    RECURRENT_BIAS_HH,   // [G*H]
    RECURRENT_WEIGHT_HR, // [P, H], lstm
    RECURRENT_GAMMA_IH,  // [G*H]; this and the next three only with layer_norm
    RECURRENT_GAMMA_HH,  // [G*H]
    RECURRENT_GAMMA_C,   // [H], lstm
    RECURRENT_BETA_C,    // [H], lstm
    RECURRENT_REVERSE_,  // first of the 9 weights of the reverse direction
    RECURRENT_WEIGHTS = RECURRENT_REVERSE_ - RECURRENT_WEIGHT_IH,
    RECURRENT_H0 = RECURRENT_WEIGHT_IH + 2 * RECURRENT_WEIGHTS, // [D, N, P]: initial states, as in rnn.h
    RECURRENT_C0                                                // [D, N, H], lstm
};
enum {
    // Y, HN and CN are the same on every device. The others have a layout of the device's own: comparisons between
    // devices skip them. They are CLRNN_NONE in inference.
    RECURRENT_Y,
    RECURRENT_INPUT,  // [D, rows, G*H]: W_ih x; with layer_norm its normalised values
    RECURRENT_HIDDEN, // [D, rows, G*H]: W_hh h; with layer_norm its normalised values
    // [D, rows, 4]: 1 / deviation of W_ih x, 1 / deviation of W_hh h, mean of the cell, 1 / deviation of the cell.
    RECURRENT_STATS,
    RECURRENT_GATES, // [D, rows, 4*H] after activation, not for rnn; lstm: i f g o; gru: r z n and W_hn h + b_hn
    RECURRENT_CELL,  // [D, rows, H], lstm
    RECURRENT_WIDE,  // [D, rows, H]: h before the projection, only with proj_size
    RECURRENT_HN,
    RECURRENT_CN,
    RECURRENT_KEPT_H, // [parts - 1, D, N, P]: as kept_h in rnn.h
    RECURRENT_KEPT_C
};
enum {
    // Input slots of backward. The slots from RECURRENT_X to the last weight are the same as in forward. The reference
    // computes the activations again; kernels read those that forward kept.
    RECURRENT_BWD_Y = RECURRENT_WEIGHT_IH + 2 * RECURRENT_WEIGHTS,
    RECURRENT_BWD_INPUT,
    RECURRENT_BWD_HIDDEN,
    RECURRENT_BWD_STATS,
    RECURRENT_BWD_GATES,
    RECURRENT_BWD_CELL,
    RECURRENT_BWD_WIDE,
    RECURRENT_BWD_DY,
    RECURRENT_BWD_H0,
    RECURRENT_BWD_C0,
    RECURRENT_BWD_DHN,
    RECURRENT_BWD_DCN,
    RECURRENT_BWD_KEPT_H,
    RECURRENT_BWD_KEPT_C,
};
enum {
    RECURRENT_DX,
    RECURRENT_DWEIGHT_IH, // the gradients of the other weights follow, in the order of the input slots
    RECURRENT_DH0 = RECURRENT_DWEIGHT_IH + 2 * RECURRENT_WEIGHTS,
    RECURRENT_DC0
};

struct clrnn_recurrent_attributes {
    // `rnn` must come first: code for both kinds of recurrent layers reads these attributes as op->rnn.
    struct clrnn_rnn_attributes rnn;
    bool layer_norm;
    uint32_t P;
    // Probability of dropout of h where h enters the gates. One mask [N, P] serves all steps. Its element (n, i) is
    // drawn from random number n * P + i as in dropout.h, where b is stream + d for direction d. The number n is that
    // of the sample in the whole batch (COUNTER_SAMPLE).
    double p;
    uint32_t stream;
};

#endif
