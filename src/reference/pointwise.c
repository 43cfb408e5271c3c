// SPDX-License-Identifier: MIT
// Functions of each element or of each row of features; doc/maths.md, "Pointwise".
#include <math.h>

#include "reference/rows.h"

static double gelu_tanh(double x)
{
    return tanh(0.7978845608028654 * (x + 0.044715 * x * x * x)); // sqrt(2 / pi)
}

// value_of returns a function of x, slope_of its derivative. Both are for the functions whose gradient is computed from
// x, not from y.
static double value_of(const struct clrnn_pointwise_attributes *p, double x)
{
    switch (p->function) {
    case CLRNN_FUNCTION_LEAKY_RELU:
        return x > 0 ? x : p->a * x;
    case CLRNN_FUNCTION_ELU:
        return x > 0 ? x : p->a * expm1(x);
    case CLRNN_FUNCTION_GELU:
        return 0.5 * x * erfc(x * -0.7071067811865476);
    case CLRNN_FUNCTION_GELU_TANH:
        return 0.5 * x * (1 + gelu_tanh(x));
    case CLRNN_FUNCTION_SILU:
        return x / (1 + exp(-x));
    default:
        return p->a * x > p->b ? x : log1p(exp(p->a * x)) / p->a;
    }
}

static double slope_of(const struct clrnn_pointwise_attributes *p, double x)
{
    const double s = 1 / (1 + exp(-x)), t = gelu_tanh(x);

    switch (p->function) {
    case CLRNN_FUNCTION_LEAKY_RELU:
        return x > 0 ? 1 : p->a;
    case CLRNN_FUNCTION_ELU:
        return x > 0 ? 1 : p->a * exp(x);
    case CLRNN_FUNCTION_GELU:
        return 0.5 * erfc(x * -0.7071067811865476) + 0.3989422804014327 * x * exp(-x * x / 2);
    case CLRNN_FUNCTION_GELU_TANH:
        return 0.5 * (1 + t) + 0.3989422804014327 * x * (1 - t * t) * (1 + 0.134145 * x * x);
    case CLRNN_FUNCTION_SILU:
        return s * (1 + x * (1 - s));
    default:
        return p->a * x > p->b ? 1 : 1 / (1 + exp(-p->a * x));
    }
}

static void row_fwd(const struct clrnn_pointwise_attributes *p, const double *x, double *y, size_t C)
{
    const enum clrnn_function function = p->function;
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
        default:
            y[c] = value_of(p, x[c]);
            break;
        }
}

static void row_bwd(const struct clrnn_pointwise_attributes *p, const double *x, const double *y, const double *dy,
                    double *dx, size_t C)
{
    const enum clrnn_function function = p->function;
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
        default:
            dx[c] = dy[c] * slope_of(p, x[c]);
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
            row_fwd(&op->pointwise, x + r * C, y + r * C, C);
    return true;
}

static bool pointwise_bwd(const struct clrnn_op *op, void *const in[], void *const out[])
{
    const double *x = in[POINTWISE_BWD_X], *y = in[POINTWISE_BWD_Y], *dy = in[POINTWISE_BWD_DY];
    double *dx = out[POINTWISE_DX];
    const size_t C = op->C;

    ref_zero(dx, ref_rows(op) * C);
    for (size_t r = 0; dx && r < ref_rows(op); r++)
        if (ref_valid(op, in[POINTWISE_BWD_LENGTHS], r))
            row_bwd(&op->pointwise, x ? x + r * C : NULL, y + r * C, dy + r * C, dx + r * C, C);
    return true;
}

// The error bounds, in units in the last place. OpenCL allows exp and log an error of 3 units, tanh 5 and erfc (gelu)
// 16: so forward may be off by 16. Backward may be off by 8 * sqrt(C), since softmax sums over the C features of a row.
const struct clrnn_reference clrnn_pointwise_fwd_reference = {pointwise_fwd, {{ANY_SLOT, 16, TERMS_ONE, OF_TENSOR}}};
const struct clrnn_reference clrnn_pointwise_bwd_reference = {pointwise_bwd,
                                                              {{ANY_SLOT, 8, TERMS_FEATURES, OF_TENSOR}}};
