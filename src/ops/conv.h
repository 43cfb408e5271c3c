// SPDX-License-Identifier: MIT
// Ops of a convolution over time: y [T_out, N, O] of x [T, N, C].
#ifndef CLRNN_SRC_OPS_CONV_H
#define CLRNN_SRC_OPS_CONV_H

#include <stdint.h>

// The op kinds of this header as X(KIND, stem, name). op.h says what a stem is, and declares these ops.
// clang-format off
#define CLRNN_CONV_OPS(X) \
    X(CONV_FWD, conv, conv_fwd) X(CONV_BWD, conv, conv_bwd)
// clang-format on

// y[t] = bias + the sum over k of weight[:, :, k] x[t * stride + k * dilation - padding]. x is 0 before the first and
// after the last step of the sample.
enum {
    CONV_X,
    CONV_LENGTHS,     // of x
    CONV_NEW_LENGTHS, // of y, as WINDOW_LENGTHS (window.h) computes them
    CONV_WEIGHT,      // [O, C, kernel]
    CONV_BIAS,        // [O], or CLRNN_NONE
};
enum { CONV_Y };
enum { CONV_BWD_X, CONV_BWD_LENGTHS, CONV_BWD_NEW_LENGTHS, CONV_BWD_WEIGHT, CONV_BWD_DY };
enum { CONV_DX, CONV_DWEIGHT, CONV_DBIAS };

struct clrnn_conv_attributes {
    uint32_t O, T_out;
    uint32_t kernel, stride, dilation;
    uint32_t padding; // steps of zeros before the first step of a sample, and as many after its last step
};

#endif
