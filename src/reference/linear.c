// SPDX-License-Identifier: MIT
// y = x W^T + b; doc/maths.md, "Linear".
#include "reference/rows.h"

static bool linear_fwd(const struct clrnn_op *op, void *const in[], void *const out[])
{
    const size_t C = op->C, O = op->linear.O;
    const double *x = in[LINEAR_X], *bias = in[LINEAR_BIAS];
    double *y = out[LINEAR_Y];

    ref_zero(y, ref_rows(op) * O);
    for (size_t r = 0; r < ref_rows(op); r++) {
        if (!ref_valid(op, in[LINEAR_LENGTHS], r))
            continue;
        if (bias)
            memcpy(y + r * O, bias, O * sizeof(*y));
        ref_matrix_vector(y + r * O, in[LINEAR_WEIGHT], x + r * C, O, C);
    }
    return true;
}

static bool linear_bwd(const struct clrnn_op *op, void *const in[], void *const out[])
{
    const size_t C = op->C, O = op->linear.O;
    const double *x = in[LINEAR_BWD_X], *dy = in[LINEAR_BWD_DY];
    double *dx = out[LINEAR_DX], *dweight = out[LINEAR_DWEIGHT], *dbias = out[LINEAR_DBIAS];

    ref_zero(dx, ref_rows(op) * C);
    ref_zero(dweight, O * C);
    ref_zero(dbias, O);
    for (size_t r = 0; r < ref_rows(op); r++) {
        if (!ref_valid(op, in[LINEAR_BWD_LENGTHS], r))
            continue;
        if (dx)
            ref_matrix_vector_back(dx + r * C, in[LINEAR_BWD_WEIGHT], dy + r * O, O, C);
        if (dweight)
            ref_outer(dweight, dy + r * O, x + r * C, O, C);
        if (dbias)
            ref_add(dbias, dy + r * O, O);
    }
    return true;
}

// The error bounds allow for dot products over features, outputs or rows.
const struct clrnn_reference clrnn_linear_fwd_reference = {linear_fwd, {{ANY_SLOT, 4, TERMS_FEATURES, OF_TENSOR}}};
const struct clrnn_reference clrnn_linear_bwd_reference = {
    linear_bwd, {{LINEAR_DX, 4, TERMS_OUTPUTS, OF_TENSOR}, {ANY_SLOT, 4, TERMS_ROWS, OF_TENSOR}}};
