// SPDX-License-Identifier: MIT
// Test cases of the pointwise and row-wise functions (cases.h).
#include <math.h>
#include <stdio.h>

#include "base/log.h"
#include "reference/cases.h"

static float function_of(enum clrnn_function f, float x, float sum)
{
    switch (f) {
    case CLRNN_FUNCTION_RELU:
        return fmaxf(x, 0);
    case CLRNN_FUNCTION_TANH:
        return tanhf(x);
    case CLRNN_FUNCTION_SIGMOID:
        return 1 / (1 + expf(-x));
    case CLRNN_FUNCTION_ROUND:
        return rintf(x);
    case CLRNN_FUNCTION_SOFTMAX:
        return expf(x) / sum;
    case CLRNN_FUNCTION_LOG_SOFTMAX:
        return x - logf(sum);
    default: // backward of the other functions reads x, not y
        return x;
    }
}

static void fill_y(enum clrnn_function f, size_t rows, size_t C, const float *x, float *y)
{
    for (size_t r = 0; x && y && r < rows; r++) {
        float sum = 0;

        for (size_t i = r * C; i < (r + 1) * C; i++)
            sum += expf(x[i]);
        for (size_t i = r * C; i < (r + 1) * C; i++)
            y[i] = function_of(f, x[i], sum);
    }
}

static enum clrnn_status pointwise(struct clrnn_cases *s, const struct clrnn_case_size *z, enum clrnn_function f)
{
    struct clrnn_check *c = s->check;
    const size_t count = clrnn_case_rows(z) * z->C;
    float *x, *y;

    clrnn_case_begin(s, CLRNN_OP_POINTWISE_FWD, z, z->C);
    c->op.pointwise.function = f;
    c->op.pointwise.a = 0.7;
    c->op.pointwise.b = 2;
    snprintf(c->what, sizeof(c->what), "function=%d padded=%d", f, z->padded);
    clrnn_case_scale(clrnn_check_real(c, POINTWISE_X, count), count, 3);
    clrnn_case_lengths(s, z, POINTWISE_LENGTHS);
    clrnn_case_poison(s, z, POINTWISE_X, z->C);
    clrnn_check_out_rows(c, POINTWISE_Y, z->C, 0);
    TRY(clrnn_case_run(s));

    clrnn_case_begin(s, CLRNN_OP_POINTWISE_BWD, z, z->C);
    c->op.pointwise.function = f;
    c->op.pointwise.a = 0.7;
    c->op.pointwise.b = 2;
    snprintf(c->what, sizeof(c->what), "function=%d padded=%d", f, z->padded);
    x = clrnn_check_real(c, POINTWISE_BWD_X, count);
    y = clrnn_check_real(c, POINTWISE_BWD_Y, count);
    fill_y(f, clrnn_case_rows(z), z->C, x, y);
    clrnn_check_real(c, POINTWISE_BWD_DY, count);
    clrnn_case_lengths(s, z, POINTWISE_BWD_LENGTHS);
    for (int slot = POINTWISE_BWD_X; slot <= POINTWISE_BWD_DY; slot++)
        if (slot != POINTWISE_BWD_LENGTHS)
            clrnn_case_poison(s, z, slot, z->C);
    clrnn_check_out_rows(c, POINTWISE_DX, z->C, 0);
    return clrnn_case_run(s);
}

enum clrnn_status clrnn_pointwise_cases(struct clrnn_cases *s, const struct clrnn_case_size *z)
{
    for (int f = z->sums ? CLRNN_FUNCTION_LOG_SOFTMAX : CLRNN_FUNCTION_RELU; f <= CLRNN_FUNCTION_LOG_SOFTMAX; f++)
        TRY(pointwise(s, z, (enum clrnn_function)f));
    return CLRNN_OK;
}
