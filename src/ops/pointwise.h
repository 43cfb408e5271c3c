// SPDX-License-Identifier: MIT
// Ops of pointwise and row-wise functions. Backward reads x and y of the forward op.
#ifndef CLRNN_SRC_OPS_POINTWISE_H
#define CLRNN_SRC_OPS_POINTWISE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

// The op kinds of this header as X(KIND, stem, name). op.h says what a stem is, and declares these ops.
// clang-format off
#define CLRNN_POINTWISE_OPS(X) \
    X(POINTWISE_FWD, pointwise, pointwise_fwd) X(POINTWISE_BWD, pointwise, pointwise_bwd)
// clang-format on

// ROUND rounds to the nearest whole number, halves to even; its gradient is 0. SOFTMAX and LOG_SOFTMAX are over the C
// features of each row. Padding rows of y are 0.
enum { POINTWISE_X, POINTWISE_LENGTHS };
enum { POINTWISE_Y };
enum { POINTWISE_BWD_X, POINTWISE_BWD_LENGTHS, POINTWISE_BWD_Y, POINTWISE_BWD_DY };
enum { POINTWISE_DX };

enum clrnn_function {
    CLRNN_FUNCTION_RELU,
    CLRNN_FUNCTION_TANH,
    CLRNN_FUNCTION_SIGMOID,
    CLRNN_FUNCTION_ROUND,
    CLRNN_FUNCTION_LEAKY_RELU,
    CLRNN_FUNCTION_ELU,
    CLRNN_FUNCTION_GELU,
    CLRNN_FUNCTION_GELU_TANH,
    CLRNN_FUNCTION_SILU,
    CLRNN_FUNCTION_SOFTPLUS,
    CLRNN_FUNCTION_SOFTMAX,
    CLRNN_FUNCTION_LOG_SOFTMAX
};

struct clrnn_pointwise_attributes {
    enum clrnn_function function;
    double a, b; // leaky_relu: slope; elu: alpha; softplus: beta and threshold
};

#endif
