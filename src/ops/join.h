// SPDX-License-Identifier: MIT
// Ops that join tensors: the sum of two tensors, and a concatenation of features. FLATTEN joins the time steps of a
// sample.
#ifndef CLRNN_SRC_OPS_JOIN_H
#define CLRNN_SRC_OPS_JOIN_H

#include <stdint.h>

// The op kinds of this header as X(KIND, stem, name). op.h says what a stem is, and declares these ops.
// clang-format off
#define CLRNN_JOIN_OPS(X) \
    X(ADD, join, add) X(CONCAT_FWD, join, concat_fwd) X(CONCAT_BWD, join, concat_bwd) \
    X(FLATTEN_FWD, join, flatten_fwd) X(FLATTEN_BWD, join, flatten_bwd)
// clang-format on

#define CLRNN_JOIN_MOST 16

// ADD: y = first + second, all [rows, C]. Both terms are 0 in padding, and so is y.
enum { ADD_FIRST, ADD_SECOND };
enum { ADD_Y };
// CONCAT: input slots 0 to count - 1 hold tensors [rows, width[i]]. They are concatenated along the features to y
// [rows, C], where C is the sum of the widths.
enum { CONCAT_Y };
enum { CONCAT_BWD_DY }; // output slots 0 to count - 1: dx [rows, width[i]], or CLRNN_NONE

// FLATTEN: y [N, T * C] of x [T, N, C]; in a row of y, the C features of step 0 come first, then those of step 1, and
// so on.
enum { FLATTEN_X };
enum { FLATTEN_Y };
enum { FLATTEN_BWD_DY };
enum { FLATTEN_DX };

struct clrnn_join_attributes {
    uint32_t count, width[CLRNN_JOIN_MOST];
};

#endif
