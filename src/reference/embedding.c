// SPDX-License-Identifier: MIT
// Table look-up by token; doc/maths.md, "Embedding".
#include "reference/rows.h"

static bool known(const struct clrnn_op *op, int32_t token)
{
    return token >= 0 && (uint32_t)token < op->embedding.V;
}

static bool embedding_fwd(const struct clrnn_op *op, void *const in[], void *const out[])
{
    const int32_t *x = in[EMBEDDING_X];
    const double *weight = in[EMBEDDING_WEIGHT];
    double *y = out[EMBEDDING_Y];
    const size_t C = op->C;

    for (size_t r = 0; r < ref_rows(op); r++)
        for (size_t c = 0; c < C; c++)
            y[r * C + c] = known(op, x[r]) ? weight[(size_t)x[r] * C + c] : 0.0;
    return true;
}

static bool embedding_bwd(const struct clrnn_op *op, void *const in[], void *const out[])
{
    const int32_t *x = in[EMBEDDING_BWD_X];
    const double *dy = in[EMBEDDING_BWD_DY];
    double *dweight = out[EMBEDDING_DWEIGHT];
    const size_t C = op->C;

    ref_zero(dweight, op->embedding.V * C);
    for (size_t r = 0; dweight && r < ref_rows(op); r++)
        if (known(op, x[r]) && x[r] != op->embedding.padding_idx)
            ref_add(dweight + (size_t)x[r] * C, dy + r * C, C);
    return true;
}

// The error bounds: forward copies, so it must be exact; in backward the gradient of a token is a sum over the rows
// with this token.
const struct clrnn_reference clrnn_embedding_fwd_reference = {embedding_fwd, {{ANY_SLOT, 0, TERMS_ONE, OF_TENSOR}}};
const struct clrnn_reference clrnn_embedding_bwd_reference = {embedding_bwd, {{ANY_SLOT, 4, TERMS_ROWS, OF_TENSOR}}};
