// SPDX-License-Identifier: MIT
// Ops of a linear layer: y [rows, O] = x [rows, C] weight [O, C]^T + bias [O]. Padding rows of y are 0.
#ifndef CLRNN_SRC_OPS_LINEAR_H
#define CLRNN_SRC_OPS_LINEAR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

// The op kinds of this header as X(KIND, stem, name). op.h says what a stem is, and declares these ops.
// clang-format off
#define CLRNN_LINEAR_OPS(X) \
    X(LINEAR_FWD, linear, linear_fwd) X(LINEAR_BWD, linear, linear_bwd)
// clang-format on

enum { LINEAR_X, LINEAR_LENGTHS, LINEAR_WEIGHT, LINEAR_BIAS };
enum { LINEAR_Y };
enum { LINEAR_BWD_X, LINEAR_BWD_LENGTHS, LINEAR_BWD_WEIGHT, LINEAR_BWD_DY };
enum { LINEAR_DX, LINEAR_DWEIGHT, LINEAR_DBIAS };

struct clrnn_linear_attributes {
    uint32_t O;
};

#endif
