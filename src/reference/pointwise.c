// SPDX-License-Identifier: MIT
// Functions of an element or of a row of features; doc/maths.md, "Pointwise".
#include <math.h>

#include "reference/rows.h"

static void row_fwd(enum clrnn_function function, const double *x, double *y, size_t C)
{
    const bool normalised = function == CLRNN_FUNCTION_SOFTMAX || function == CLRNN_FUNCTION_LOG_SOFTMAX;
    const struct ref_logsumexp total = normalised ? ref_logsumexp(x, C) : (struct ref_logsumexp){0, 0};

    for (size_t c = 0; c < C; c++)
        switch (function) {
        case CLRNN_FUNCTION_RELU:
            y[c] = x[c] < 0 ? 0 : x[c];
            break;
        case CLRNN_FUNCTION_TANH:
            y[c] = tanh(x[c]);
            break;
        case CLRNN_FUNCTION_SIGMOID:
            y[c] = 1 / (1 + exp(-x[c]));
            break;
        case CLRNN_FUNCTION_ROUND:
            y[c] = nearbyint(x[c]);
            break;
        case CLRNN_FUNCTION_SOFTMAX:
            y[c] = exp(ref_log_softmax(x[c], total));
            break;
        case CLRNN_FUNCTION_LOG_SOFTMAX:
            y[c] = ref_log_softmax(x[c], total);
            break;
        }
}

static void row_bwd(enum clrnn_function function, const double *y, const double *dy, double *dx, size_t C)
{
    double sum = 0;

    for (size_t c = 0; c < C; c++)
        sum += function == CLRNN_FUNCTION_SOFTMAX ? dy[c] * y[c] : dy[c];
    for (size_t c = 0; c < C; c++)
        switch (function) {
        case CLRNN_FUNCTION_RELU:
            dx[c] = y[c] > 0 ? dy[c] : 0;
            break;
        case CLRNN_FUNCTION_TANH:
            dx[c] = dy[c] * (1 - y[c] * y[c]);
            break;
        case CLRNN_FUNCTION_SIGMOID:
            dx[c] = dy[c] * y[c] * (1 - y[c]);
            break;
        case CLRNN_FUNCTION_ROUND:
            dx[c] = 0;
            break;
        case CLRNN_FUNCTION_SOFTMAX:
            dx[c] = y[c] * (dy[c] - sum);
            break;
        case CLRNN_FUNCTION_LOG_SOFTMAX:
            dx[c] = dy[c] - exp(y[c]) * sum;
            break;
        }
}

static bool pointwise_fwd(const struct clrnn_op *op, void *const in[], void *const out[])
{
    const double *x = in[POINTWISE_X];
    double *y = out[POINTWISE_Y];
    const size_t C = op->C;

    ref_zero(y, ref_rows(op) * C);
    for (size_t r = 0; r < ref_rows(op); r++)
        if (ref_valid(op, in[POINTWISE_LENGTHS], r))
            row_fwd(op->pointwise.function, x + r * C, y + r * C, C);
    return true;
}

static bool pointwise_bwd(const struct clrnn_op *op, void *const in[], void *const out[])
{
    const double *y = in[POINTWISE_BWD_Y], *dy = in[POINTWISE_BWD_DY];
    double *dx = out[POINTWISE_DX];
    const size_t C = op->C;

    ref_zero(dx, ref_rows(op) * C);
    for (size_t r = 0; dx && r < ref_rows(op); r++)
        if (ref_valid(op, in[POINTWISE_BWD_LENGTHS], r))
            row_bwd(op->pointwise.function, y + r * C, dy + r * C, dx + r * C, C);
    return true;
}

// OpenCL allows exp 3, log 3 and tanh 5 units; softmax sums over a row.
const struct clrnn_reference clrnn_pointwise_fwd_reference = {pointwise_fwd,
                                                              {{ANY_SLOT, 16, TERMS_ONE, OF_TENSOR}}};
const struct clrnn_reference clrnn_pointwise_bwd_reference = {pointwise_bwd,
                                                              {{ANY_SLOT, 8, TERMS_FEATURES, OF_TENSOR}}};
