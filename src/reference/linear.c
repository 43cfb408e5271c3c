// SPDX-License-Identifier: MIT
// y = x W^T + b; doc/maths.md, "Linear".
#include "reference/rows.h"

bool ref_linear_fwd(const struct clrnn_op *op, void *const in[], void *const out[])
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

bool ref_linear_bwd(const struct clrnn_op *op, void *const in[], void *const out[])
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
