// SPDX-License-Identifier: MIT
// Sums of two tensors, and tensors side by side in the features.
#ifndef CLRNN_SRC_OPS_JOIN_H
#define CLRNN_SRC_OPS_JOIN_H

#include <stdint.h>

// X(KIND, stem, name)
// clang-format off
#define CLRNN_JOIN_OPS(X) \
    X(ADD, join, add) X(CONCAT_FWD, join, concat_fwd) X(CONCAT_BWD, join, concat_bwd) \
    X(FLATTEN_FWD, join, flatten_fwd) X(FLATTEN_BWD, join, flatten_bwd)
// clang-format on

#define CLRNN_JOIN_MOST 16

// ADD: y = first + second, all [rows, C]. Both terms are 0 in padding, and so is y.
enum { ADD_FIRST, ADD_SECOND };
enum { ADD_Y };
// CONCAT: inputs 0 to count - 1, [rows, width[i]], side by side in y [rows, C], C the sum of the widths.
enum { CONCAT_Y };
enum { CONCAT_BWD_DY }; // backward: outputs 0 to count - 1, dx [rows, width[i]], or NONE

// FLATTEN: y [N, T * C] of x [T, N, C], time slowest.
enum { FLATTEN_X };
enum { FLATTEN_Y };
enum { FLATTEN_BWD_DY };
enum { FLATTEN_DX };

struct clrnn_join_attributes {
    uint32_t count, width[CLRNN_JOIN_MOST];
};

#endif
