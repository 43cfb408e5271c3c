// SPDX-License-Identifier: MIT
// One recurrent layer, all directions. The weights of direction d are at slot + 4 * d.
#ifndef CLRNN_SRC_OPS_RNN_H
#define CLRNN_SRC_OPS_RNN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

// X(KIND, stem, name)
// clang-format off
#define CLRNN_RNN_OPS(X) \
    X(RNN_FWD, rnn, rnn_fwd) X(RNN_BWD, rnn, rnn_bwd)
// clang-format on

// y [T, N, D*H], the forward direction first. Kept for backward: gates [D, rows, R*H], after activation, with
// R = 1 (rnn) or 4 (lstm: i f g o; gru: r z n and W_hn h + b_hn); cell [D, rows, H], lstm only. Both are
// internal to the device (NONE in inference; not compared between devices).
//
// With `part`, GATES, CELL and RNN_BWD_Y are NONE. Backward then recomputes them for `part` steps at a time
// from kept_h, kept_c [parts - 1, D, N, H], the states that forward keeps at the end of each part but the
// last, in the order of the direction; results have the same bits. Initial states then need D 1.
//
// Initial states h0, c0 [D, N, H] are zero where they are NONE (c0: lstm only, with h0). Final states hn, cn
// [D, N, H] are those of each sample's last valid step in the order of the direction; cn needs GATES and
// CELL, or `part`. Backward takes the final states' gradients (NONE: zero); if it gets any, dy may be NONE.
enum {
    RNN_X, // [T, N, C]
    RNN_LENGTHS,
    RNN_WEIGHT_IH, // [G*H, C]
    RNN_WEIGHT_HH, // [G*H, H]
    RNN_BIAS_IH,   // [G*H] or NONE
    RNN_BIAS_HH,   // [G*H] or NONE
    RNN_REVERSE_,  // 4 more, of the reverse direction
    RNN_H0 = RNN_WEIGHT_IH + 8,
    RNN_C0,
};
enum { RNN_Y, RNN_GATES, RNN_CELL, RNN_HN, RNN_CN, RNN_KEPT_H, RNN_KEPT_C };
enum { // the reference recomputes from the weights and biases; kernels read GATES
    RNN_BWD_X,
    RNN_BWD_LENGTHS,
    RNN_BWD_WEIGHT_IH,
    RNN_BWD_WEIGHT_HH,
    RNN_BWD_BIAS_IH,
    RNN_BWD_BIAS_HH, // 4 more at slot + 4
    RNN_BWD_Y = 10,
    RNN_BWD_GATES,
    RNN_BWD_CELL,
    RNN_BWD_DY,
    RNN_BWD_H0,
    RNN_BWD_C0,
    RNN_BWD_DHN,
    RNN_BWD_DCN,
    RNN_BWD_KEPT_H,
    RNN_BWD_KEPT_C,
};
enum {
    RNN_DX,
    RNN_DWEIGHT_IH,
    RNN_DWEIGHT_HH,
    RNN_DBIAS_IH,
    RNN_DBIAS_HH, // 4 more at slot + 4
    RNN_DREVERSE_,
    RNN_DH0 = RNN_DWEIGHT_IH + 8,
    RNN_DC0,
};

enum clrnn_cell { CLRNN_CELL_RNN, CLRNN_CELL_LSTM, CLRNN_CELL_GRU };

struct clrnn_rnn_attributes {
    enum clrnn_cell cell;
    bool relu, bias;
    uint32_t H, D;
    uint32_t part; // steps of a part, a multiple of clrnn_block_steps below T; 0: activations are kept
};

uint32_t clrnn_cell_gates(enum clrnn_cell cell);   // G: 1, 4, 3
uint32_t clrnn_cell_reserve(enum clrnn_cell cell); // R: 1, 4, 4

#endif
