// SPDX-License-Identifier: MIT
// Pooling of a sequence to one vector; doc/maths.md, "Pool".
#include "reference/rows.h"

// Returns the step from which the pools `last` and `final` take feature c of a sample with `length` steps.
static size_t step_of(const struct clrnn_op *op, size_t length, size_t c)
{
    if (op->pool.over == CLRNN_POOL_FINAL && op->pool.D == 2 && c >= op->C / 2)
        return 0;
    return length ? length - 1 : 0;
}

static bool pool_fwd(const struct clrnn_op *op, void *const in[], void *const out[])
{
    const size_t N = op->N, C = op->C;
    const double *x = in[POOL_X];
    double *y = out[POOL_Y];
    int32_t *argmax = out[POOL_ARGMAX];

    for (size_t n = 0; n < N; n++) {
        const size_t length = ref_length(op, in[POOL_LENGTHS], n);

        for (size_t c = 0; c < C; c++) {
            const double *first = x + n * C + c; // step t is first[t * N * C]
            size_t taken = 0;
            double sum = 0;

            switch (op->pool.over) {
            case CLRNN_POOL_LAST:
            case CLRNN_POOL_FINAL:
                y[n * C + c] = first[step_of(op, length, c) * N * C];
                break;
            case CLRNN_POOL_MEAN:
                for (size_t t = 0; t < length; t++)
                    sum += first[t * N * C];
                y[n * C + c] = sum / (double)length;
                break;
            case CLRNN_POOL_MAX:
                for (size_t t = 1; t < length; t++)
                    if (first[t * N * C] > first[taken * N * C])
                        taken = t;
                y[n * C + c] = first[taken * N * C];
                if (argmax)
                    argmax[n * C + c] = (int32_t)taken;
                break;
            }
        }
    }
    return true;
}

static bool pool_bwd(const struct clrnn_op *op, void *const in[], void *const out[])
{
    const size_t N = op->N, C = op->C;
    const double *dy = in[POOL_BWD_DY];
    const int32_t *argmax = in[POOL_BWD_ARGMAX];
    double *dx = out[POOL_DX];

    ref_zero(dx, ref_rows(op) * C);
    for (size_t n = 0; dx && n < N; n++) {
        const size_t length = ref_length(op, in[POOL_BWD_LENGTHS], n);

        for (size_t c = 0; c < C; c++) {
            double *first = dx + n * C + c;
            const double d = dy[n * C + c];

            switch (op->pool.over) {
            case CLRNN_POOL_LAST:
            case CLRNN_POOL_FINAL:
                first[step_of(op, length, c) * N * C] = d;
                break;
            case CLRNN_POOL_MEAN:
                for (size_t t = 0; t < length; t++)
                    first[t * N * C] = d / (double)length;
                break;
            case CLRNN_POOL_MAX:
                first[(size_t)argmax[n * C + c] * N * C] = d;
                break;
            }
        }
    }
    return true;
}

// The error bounds: numbers are copied, or averaged over steps.
const struct clrnn_reference clrnn_pool_fwd_reference = {pool_fwd, {{ANY_SLOT, 4, TERMS_STEPS, OF_TENSOR}}};
const struct clrnn_reference clrnn_pool_bwd_reference = {pool_bwd, {{ANY_SLOT, 4, TERMS_ONE, OF_TENSOR}}};
