// SPDX-License-Identifier: MIT
// Ops of attention pooling over time, [T, N, C] to [N, C].
#ifndef CLRNN_SRC_OPS_ATTENTION_H
#define CLRNN_SRC_OPS_ATTENTION_H

#include <stdint.h>

// The op kinds of this header as X(KIND, stem, name). op.h says what a stem is, and declares these ops.
// clang-format off
#define CLRNN_ATTENTION_OPS(X) \
    X(ATTENTION_FWD, attention, attention_fwd) X(ATTENTION_BWD, attention, attention_bwd)
// clang-format on

// hidden = tanh(weight x + bias). share = the softmax of (v . hidden) over the valid steps of a sample.
// y = the sum over these steps of share * x.
enum {
    ATTENTION_X,
    ATTENTION_LENGTHS,
    ATTENTION_WEIGHT, // [A, C]
    ATTENTION_BIAS,   // [A]
    ATTENTION_V,      // [A]
};
enum {
    ATTENTION_Y,
    // Both are kept for backward and are 0 in padding. In inference both are CLRNN_NONE.
    ATTENTION_HIDDEN, // [rows, A]
    ATTENTION_SHARE,  // [rows]
};
enum {
    ATTENTION_BWD_X,
    ATTENTION_BWD_LENGTHS,
    ATTENTION_BWD_WEIGHT,
    ATTENTION_BWD_V,
    ATTENTION_BWD_HIDDEN,
    ATTENTION_BWD_SHARE,
    ATTENTION_BWD_DY,
};
enum { ATTENTION_DX, ATTENTION_DWEIGHT, ATTENTION_DBIAS, ATTENTION_DV };

struct clrnn_attention_attributes {
    uint32_t A;
};

#endif
