// SPDX-License-Identifier: MIT
// Convolution over time; doc/maths.md, "Windows over time".
#include "reference/rows.h"

// Returns the step of x that tap k reads for output step t, or -1 if it is outside the sample, which has `length`
// steps.
static long read_step(const struct clrnn_op *op, size_t t, size_t k, size_t length)
{
    const long step = (long)(t * op->conv.stride + k * op->conv.dilation) - (long)op->conv.padding;

    return step >= 0 && step < (long)length ? step : -1;
}

static bool conv_fwd(const struct clrnn_op *op, void *const in[], void *const out[])
{
    const size_t N = op->N, C = op->C, O = op->conv.O, K = op->conv.kernel;
    const double *x = in[CONV_X], *weight = in[CONV_WEIGHT], *bias = in[CONV_BIAS];
    double *y = out[CONV_Y];

    ref_zero(y, (size_t)op->conv.T_out * N * O);
    for (size_t n = 0; n < N; n++)
        for (size_t t = 0; t < ref_steps(in[CONV_NEW_LENGTHS], n, op->conv.T_out); t++)
            for (size_t o = 0; o < O; o++) {
                double sum = bias ? bias[o] : 0;

                for (size_t k = 0; k < K; k++) {
                    const long step = read_step(op, t, k, ref_length(op, in[CONV_LENGTHS], n));

                    for (size_t c = 0; step >= 0 && c < C; c++)
                        sum += weight[(o * C + c) * K + k] * x[((size_t)step * N + n) * C + c];
                }
                y[(t * N + n) * O + o] = sum;
            }
    return true;
}

static bool conv_bwd(const struct clrnn_op *op, void *const in[], void *const out[])
{
    const size_t N = op->N, C = op->C, O = op->conv.O, K = op->conv.kernel;
    const double *x = in[CONV_BWD_X], *weight = in[CONV_BWD_WEIGHT], *dy = in[CONV_BWD_DY];
    double *dx = out[CONV_DX], *dweight = out[CONV_DWEIGHT], *dbias = out[CONV_DBIAS];

    ref_zero(dx, ref_rows(op) * C);
    ref_zero(dweight, O * C * K);
    ref_zero(dbias, O);
    for (size_t n = 0; n < N; n++)
        for (size_t t = 0; t < ref_steps(in[CONV_BWD_NEW_LENGTHS], n, op->conv.T_out); t++)
            for (size_t o = 0; o < O; o++) {
                const double d = dy[(t * N + n) * O + o];

                if (dbias)
                    dbias[o] += d;
                for (size_t k = 0; k < K; k++) {
                    const long step = read_step(op, t, k, ref_length(op, in[CONV_BWD_LENGTHS], n));

                    for (size_t c = 0; step >= 0 && c < C; c++) {
                        const size_t at = ((size_t)step * N + n) * C + c, w = (o * C + c) * K + k;

                        if (dx)
                            dx[at] += d * weight[w];
                        if (dweight)
                            dweight[w] += d * x[at];
                    }
                }
            }
    return true;
}

// The error bounds allow for sums over features and taps, and in backward also over outputs and rows.
const struct clrnn_reference clrnn_conv_fwd_reference = {conv_fwd, {{ANY_SLOT, 16, TERMS_FEATURES, OF_TENSOR}}};
const struct clrnn_reference clrnn_conv_bwd_reference = {
    conv_bwd, {{CONV_DX, 32, TERMS_FEATURES, OF_TENSOR}, {ANY_SLOT, 8, TERMS_ROWS, OF_TENSOR}}};
