// SPDX-License-Identifier: MIT
// A recurrent layer with layer normalisation, a projection or dropout of its hidden state, all directions.
// Layers without these are in rnn.h. The weights of direction d are at slot + RECURRENT_WEIGHTS * d.
#ifndef CLRNN_SRC_OPS_RECURRENT_H
#define CLRNN_SRC_OPS_RECURRENT_H

#include "ops/rnn.h"

// X(KIND, stem, name)
// clang-format off
#define CLRNN_RECURRENT_OPS(X) \
    X(RECURRENT_FWD, recurrent, recurrent_fwd) X(RECURRENT_BWD, recurrent, recurrent_bwd)
// clang-format on

// y [T, N, D*P], where P is the size of the hidden state: H, or proj_size. Weights that the layer does not
// have are NONE.
enum {
    RECURRENT_X, // [T, N, C]
    RECURRENT_LENGTHS,
    RECURRENT_COUNTER,   // U32 [4], with dropout
    RECURRENT_WEIGHT_IH, // [G*H, C]
    RECURRENT_WEIGHT_HH, // [G*H, P]
    RECURRENT_BIAS_IH,   // [G*H]
    RECURRENT_BIAS_HH,   // [G*H]
    RECURRENT_WEIGHT_HR, // [P, H], lstm
    RECURRENT_GAMMA_IH,  // [G*H]; this and the next three only with layer_norm
    RECURRENT_GAMMA_HH,  // [G*H]
    RECURRENT_GAMMA_C,   // [H], lstm
    RECURRENT_BETA_C,    // [H], lstm
    RECURRENT_REVERSE_,  // 9 more, of the reverse direction
    RECURRENT_WEIGHTS = RECURRENT_REVERSE_ - RECURRENT_WEIGHT_IH,
    RECURRENT_H0 = RECURRENT_WEIGHT_IH + 2 * RECURRENT_WEIGHTS, // [D, N, P], states as in rnn.h
    RECURRENT_C0                                                // [D, N, H], lstm
};
enum { // all but y and the final states are internal to the device: NONE in inference, not compared between
       // devices
    RECURRENT_Y,
    RECURRENT_INPUT,  // [D, rows, G*H]: W_ih x, with layer_norm normalised
    RECURRENT_HIDDEN, // [D, rows, G*H]: W_hh h, with layer_norm normalised
    RECURRENT_STATS,  // [D, rows, 4]: 1 / deviation of both products, mean and 1 / deviation of the cell
    RECURRENT_GATES,  // [D, rows, 4*H] after activation; lstm: i f g o; gru: r z n and W_hn h + b_hn
    RECURRENT_CELL,   // [D, rows, H], lstm
    RECURRENT_WIDE,   // [D, rows, H]: h before the projection
    RECURRENT_HN,
    RECURRENT_CN,
    RECURRENT_KEPT_H, // [parts - 1, D, N, P] and [.., H]: as in rnn.h
    RECURRENT_KEPT_C
};
enum { // slots up to the weights are forward's; the reference recomputes, kernels read kept activations
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
    RECURRENT_DWEIGHT_IH, // then the gradients of the other weights in their order
    RECURRENT_DH0 = RECURRENT_DWEIGHT_IH + 2 * RECURRENT_WEIGHTS,
    RECURRENT_DC0
};

struct clrnn_recurrent_attributes {
    struct clrnn_rnn_attributes rnn; // must come first: code for both kinds of layers reads it as op->rnn
    bool layer_norm;
    uint32_t P;
    double p; // dropout of h where it enters the gates, one mask [N, P] for all steps; element n * P + i of
              // stream
    uint32_t stream; // of random numbers; direction d has stream + d
};

#endif
