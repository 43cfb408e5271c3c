// SPDX-License-Identifier: MIT
// Ops of one recurrent layer; one op computes all directions. For direction d, 4 * d is added to the slot of a weight
// or bias.
#ifndef CLRNN_SRC_OPS_RNN_H
#define CLRNN_SRC_OPS_RNN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

// The op kinds of this header as X(KIND, stem, name). op.h says what a stem is, and declares these ops.
// clang-format off
#define CLRNN_RNN_OPS(X) \
    X(RNN_FWD, rnn, rnn_fwd) X(RNN_BWD, rnn, rnn_bwd)
// clang-format on

// The output y is [T, N, D*H], with the forward direction first. Forward keeps two tensors for backward, which are
// CLRNN_NONE in inference. gates [D, rows, R*H] has the values after activation: R is 1 for rnn, and 4 for lstm (i f g
// o) and gru (r z n and W_hn h + b_hn). cell [D, rows, H] is for lstm only. Comparisons between devices skip gates and
// cell, because their contents may differ from device to device.
//
// With the attribute `part` (train.recompute), the sequence is processed in parts of `part` steps. GATES, CELL and
// RNN_BWD_Y are then CLRNN_NONE. Forward keeps only kept_h and kept_c [parts - 1, D, N, H]: the states at the end of
// each part except the last, in the order in which the direction goes through the parts. Backward recomputes gates,
// cell and y from these states, one part at a time; results have the same bits. With `part`, initial states need D = 1.
//
// Initial states h0, c0 [D, N, H] are zero if their slots are CLRNN_NONE. c0 is for lstm only, and needs h0. Final
// states hn, cn [D, N, H] are the states after each sample's last valid step in the order of the direction (direction 1
// goes backward in time). cn needs the tensors GATES and CELL, or `part`. Backward reads the gradients of the final
// states; they are zero if their slots are CLRNN_NONE. If backward gets any of them, dy may be CLRNN_NONE.
enum {
    RNN_X, // [T, N, C]
    RNN_LENGTHS,
    RNN_WEIGHT_IH, // [G*H, C]
    RNN_WEIGHT_HH, // [G*H, H]
    RNN_BIAS_IH,   // [G*H] or CLRNN_NONE
    RNN_BIAS_HH,   // [G*H] or CLRNN_NONE
    RNN_REVERSE_,  // first of the 4 slots of the reverse direction
    RNN_H0 = RNN_WEIGHT_IH + 8,
    RNN_C0,
};
enum { RNN_Y, RNN_GATES, RNN_CELL, RNN_HN, RNN_CN, RNN_KEPT_H, RNN_KEPT_C };
enum {
    // Input slots of backward. The reference computes the activations again, from weights and biases; kernels read
    // GATES.
    RNN_BWD_X,
    RNN_BWD_LENGTHS,
    RNN_BWD_WEIGHT_IH,
    RNN_BWD_WEIGHT_HH,
    RNN_BWD_BIAS_IH,
    RNN_BWD_BIAS_HH, // the reverse direction's four slots follow
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
    RNN_DBIAS_HH, // the reverse direction's four slots follow
    RNN_DREVERSE_,
    RNN_DH0 = RNN_DWEIGHT_IH + 8,
    RNN_DC0,
};

enum clrnn_cell { CLRNN_CELL_RNN, CLRNN_CELL_LSTM, CLRNN_CELL_GRU };

struct clrnn_rnn_attributes {
    enum clrnn_cell cell;
    bool relu, bias;
    uint32_t H, D;
    uint32_t part; // steps of a part (see above): a multiple of clrnn_block_steps, below T; 0: no parts
};

// Returns G, the number of gates: rnn 1, lstm 4, gru 3.
uint32_t clrnn_cell_gates(enum clrnn_cell cell);
// Returns R, how many numbers `gates` keeps for each unit: rnn 1, lstm 4, gru 4.
uint32_t clrnn_cell_reserve(enum clrnn_cell cell);

#endif
