// SPDX-License-Identifier: MIT
// Sums, concatenations and flatten; doc/maths.md, "Residual and concat" and "Flatten".
#include "reference/rows.h"

static bool add(const struct clrnn_op *op, void *const in[], void *const out[])
{
    const double *first = in[ADD_FIRST], *second = in[ADD_SECOND];
    double *y = out[ADD_Y];

    for (size_t i = 0; i < ref_rows(op) * op->C; i++)
        y[i] = first[i] + second[i];
    return true;
}

static bool concat_fwd(const struct clrnn_op *op, void *const in[], void *const out[])
{
    double *y = out[CONCAT_Y];

    for (size_t r = 0; r < ref_rows(op); r++)
        for (size_t i = 0; i < op->join.count; y += op->join.width[i], i++)
            memcpy(y, (const double *)in[i] + r * op->join.width[i], op->join.width[i] * sizeof(*y));
    return true;
}

static bool concat_bwd(const struct clrnn_op *op, void *const in[], void *const out[])
{
    const double *dy = in[CONCAT_BWD_DY];

    for (size_t r = 0; r < ref_rows(op); r++)
        for (size_t i = 0; i < op->join.count; dy += op->join.width[i], i++)
            if (out[i])
                memcpy((double *)out[i] + r * op->join.width[i], dy, op->join.width[i] * sizeof(*dy));
    return true;
}

static bool flatten_fwd(const struct clrnn_op *op, void *const in[], void *const out[])
{
    const double *x = in[FLATTEN_X];
    double *y = out[FLATTEN_Y];

    for (size_t n = 0; n < op->N; n++)
        for (size_t t = 0; t < op->T; t++)
            memcpy(y + (n * op->T + t) * op->C, x + (t * op->N + n) * op->C, op->C * sizeof(*y));
    return true;
}

static bool flatten_bwd(const struct clrnn_op *op, void *const in[], void *const out[])
{
    const double *dy = in[FLATTEN_BWD_DY];
    double *dx = out[FLATTEN_DX];

    for (size_t n = 0; dx && n < op->N; n++)
        for (size_t t = 0; t < op->T; t++)
            memcpy(dx + (t * op->N + n) * op->C, dy + (n * op->T + t) * op->C, op->C * sizeof(*dx));
    return true;
}

// The error bounds: `add` is one addition; the other ops copy, so they must be exact.
const struct clrnn_reference clrnn_add_reference = {add, {{ANY_SLOT, 1, TERMS_ONE, OF_TENSOR}}};
const struct clrnn_reference clrnn_concat_fwd_reference = {concat_fwd, {{ANY_SLOT, 0, TERMS_ONE, OF_ELEMENT}}};
const struct clrnn_reference clrnn_concat_bwd_reference = {concat_bwd, {{ANY_SLOT, 0, TERMS_ONE, OF_ELEMENT}}};
const struct clrnn_reference clrnn_flatten_fwd_reference = {flatten_fwd, {{ANY_SLOT, 0, TERMS_ONE, OF_ELEMENT}}};
const struct clrnn_reference clrnn_flatten_bwd_reference = {flatten_bwd, {{ANY_SLOT, 0, TERMS_ONE, OF_ELEMENT}}};
