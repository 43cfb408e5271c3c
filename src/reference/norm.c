// SPDX-License-Identifier: MIT
// Batch, layer and group normalisation; doc/maths.md, "Batchnorm", "Layernorm" and "Groupnorm".
#include <math.h>

#include "reference/rows.h"

// Computes the mean and the biased variance of a column, x[0], x[C], x[2C], ..., over the valid rows. Returns the
// number of valid rows.
static size_t column_moments(const struct clrnn_op *op, const int32_t *lengths, const double *x, double *mean,
                             double *var)
{
    const size_t rows = ref_rows(op), C = op->C;
    double sum = 0, squares = 0;
    size_t M = 0;

    for (size_t r = 0; r < rows; r++)
        if (ref_valid(op, lengths, r)) {
            sum += x[r * C];
            M++;
        }
    *mean = M ? sum / (double)M : 0;
    for (size_t r = 0; r < rows; r++)
        if (ref_valid(op, lengths, r))
            squares += (x[r * C] - *mean) * (x[r * C] - *mean);
    *var = M ? squares / (double)M : 0;
    return M;
}

static bool batchnorm_fwd(const struct clrnn_op *op, void *const in[], void *const out[])
{
    const size_t rows = ref_rows(op), C = op->C;
    const int32_t *lengths = in[BATCHNORM_LENGTHS];
    const double *x = in[BATCHNORM_X], *weight = in[BATCHNORM_WEIGHT], *bias = in[BATCHNORM_BIAS];
    const double *running_mean = in[BATCHNORM_RUNNING_MEAN], *running_var = in[BATCHNORM_RUNNING_VAR];
    double *y = out[BATCHNORM_Y], *saved_mean = out[BATCHNORM_MEAN], *saved_invstd = out[BATCHNORM_INVSTD];
    double *new_mean = out[BATCHNORM_NEW_MEAN], *new_var = out[BATCHNORM_NEW_VAR];
    double momentum = op->norm.momentum;
    int32_t *batches = out[BATCHNORM_BATCHES];

    if (op->norm.batch_stats && batches) {
        batches[0]++;
        if (op->norm.cumulative)
            momentum = 1.0 / batches[0];
    }
    for (size_t c = 0; c < C; c++) {
        double mean, var, invstd;

        if (op->norm.batch_stats) {
            const size_t M = column_moments(op, lengths, x + c, &mean, &var);

            if (new_mean)
                new_mean[c] = (1 - momentum) * new_mean[c] + momentum * mean;
            if (new_var)
                new_var[c] = (1 - momentum) * new_var[c] + momentum * var * (double)M / (double)(M > 1 ? M - 1 : 1);
        } else {
            mean = running_mean[c];
            var = running_var[c];
        }
        invstd = 1 / sqrt(var + op->norm.eps);
        if (saved_mean)
            saved_mean[c] = mean;
        if (saved_invstd)
            saved_invstd[c] = invstd;
        for (size_t r = 0; r < rows; r++)
            y[r * C + c] = !ref_valid(op, lengths, r)
                               ? 0
                               : (x[r * C + c] - mean) * invstd * (weight ? weight[c] : 1) + (bias ? bias[c] : 0);
    }
    return true;
}

static bool batchnorm_bwd(const struct clrnn_op *op, void *const in[], void *const out[])
{
    const size_t rows = ref_rows(op), C = op->C;
    const int32_t *lengths = in[BATCHNORM_BWD_LENGTHS];
    const double *x = in[BATCHNORM_BWD_X], *dy = in[BATCHNORM_BWD_DY], *weight = in[BATCHNORM_BWD_WEIGHT];
    const double *mean = in[BATCHNORM_BWD_MEAN], *invstd = in[BATCHNORM_BWD_INVSTD];
    double *dx = out[BATCHNORM_DX], *dweight = out[BATCHNORM_DWEIGHT], *dbias = out[BATCHNORM_DBIAS];

    for (size_t c = 0; c < C; c++) {
        double sum = 0, sum_xhat = 0;
        size_t M = 0;

        for (size_t r = 0; r < rows; r++)
            if (ref_valid(op, lengths, r)) {
                sum += dy[r * C + c];
                sum_xhat += dy[r * C + c] * (x[r * C + c] - mean[c]) * invstd[c];
                M++;
            }
        if (dweight)
            dweight[c] = sum_xhat;
        if (dbias)
            dbias[c] = sum;
        for (size_t r = 0; dx && r < rows; r++) {
            double *d = dx + r * C + c;

            *d = 0;
            if (ref_valid(op, lengths, r)) {
                const double xhat = (x[r * C + c] - mean[c]) * invstd[c];

                *d = (weight ? weight[c] : 1) * invstd[c] *
                     (dy[r * C + c] - sum / (double)M - xhat * sum_xhat / (double)M);
            }
        }
    }
    return true;
}

static bool batchnorm_moments(const struct clrnn_op *op, void *const in[], void *const out[])
{
    double *count = out[MOMENTS_COUNT], *mean = out[MOMENTS_MEAN], *squares = out[MOMENTS_SQUARES];

    for (size_t c = 0; c < op->C; c++) {
        double var;

        count[c] = (double)column_moments(op, in[MOMENTS_LENGTHS], (const double *)in[MOMENTS_X] + c, &mean[c], &var);
        squares[c] = var * count[c];
    }
    return true;
}

static bool batchnorm_spread(const struct clrnn_op *op, void *const in[], void *const out[])
{
    const size_t C = op->C;
    const double *x = in[SPREAD_X], *dy = in[SPREAD_DY], *weight = in[SPREAD_WEIGHT], *mean = in[SPREAD_MEAN];
    const double *invstd = in[SPREAD_INVSTD], *means = in[SPREAD_MEANS];
    double *dx = out[SPREAD_DX];

    for (size_t r = 0; r < ref_rows(op); r++)
        for (size_t c = 0; c < C; c++) {
            const size_t at = r * C + c;

            dx[at] = 0;
            if (ref_valid(op, in[SPREAD_LENGTHS], r))
                dx[at] = (weight ? weight[c] : 1) * invstd[c] *
                         (dy[at] - means[c] - (x[at] - mean[c]) * invstd[c] * means[C + c]);
        }
    return true;
}

static bool layernorm_fwd(const struct clrnn_op *op, void *const in[], void *const out[])
{
    const size_t groups = op->norm.groups ? op->norm.groups : 1, C = op->C / groups;
    const double *weight = in[LAYERNORM_WEIGHT], *bias = in[LAYERNORM_BIAS];
    double *saved_mean = out[LAYERNORM_MEAN], *saved_invstd = out[LAYERNORM_INVSTD];

    for (size_t r = 0; r < ref_rows(op) * groups; r++) {
        const bool valid = ref_valid(op, in[LAYERNORM_LENGTHS], r / groups);
        const size_t first = r % groups * C;
        const double *x = (const double *)in[LAYERNORM_X] + r * C;
        double *y = (double *)out[LAYERNORM_Y] + r * C;
        double mean = 0, var = 0, invstd = 0;

        if (valid) {
            for (size_t c = 0; c < C; c++)
                mean += x[c] / (double)C;
            for (size_t c = 0; c < C; c++)
                var += (x[c] - mean) * (x[c] - mean) / (double)C;
            invstd = 1 / sqrt(var + op->norm.eps);
        }
        for (size_t c = 0; c < C; c++)
            y[c] = valid ? (x[c] - mean) * invstd * (weight ? weight[first + c] : 1) + (bias ? bias[first + c] : 0) : 0;
        if (saved_mean)
            saved_mean[r] = mean;
        if (saved_invstd)
            saved_invstd[r] = invstd;
    }
    return true;
}

static bool layernorm_bwd(const struct clrnn_op *op, void *const in[], void *const out[])
{
    const size_t groups = op->norm.groups ? op->norm.groups : 1, C = op->C / groups;
    const double *mean = in[LAYERNORM_BWD_MEAN], *invstd = in[LAYERNORM_BWD_INVSTD];
    const double *weight = in[LAYERNORM_BWD_WEIGHT];
    double *dx = out[LAYERNORM_DX], *dweight = out[LAYERNORM_DWEIGHT], *dbias = out[LAYERNORM_DBIAS];

    ref_zero(dx, ref_rows(op) * op->C);
    ref_zero(dweight, op->C);
    ref_zero(dbias, op->C);
    for (size_t r = 0; r < ref_rows(op) * groups; r++) {
        const size_t first = r % groups * C;
        const double *x = (const double *)in[LAYERNORM_BWD_X] + r * C;
        const double *dy = (const double *)in[LAYERNORM_BWD_DY] + r * C;
        double sum = 0, sum_xhat = 0;

        if (!ref_valid(op, in[LAYERNORM_BWD_LENGTHS], r / groups))
            continue;
        for (size_t c = 0; c < C; c++) {
            const double xhat = (x[c] - mean[r]) * invstd[r], g = dy[c] * (weight ? weight[first + c] : 1);

            sum += g;
            sum_xhat += g * xhat;
            if (dweight)
                dweight[first + c] += dy[c] * xhat;
            if (dbias)
                dbias[first + c] += dy[c];
        }
        for (size_t c = 0; dx && c < C; c++) {
            const double xhat = (x[c] - mean[r]) * invstd[r], g = dy[c] * (weight ? weight[first + c] : 1);

            dx[r * C + c] = invstd[r] * (g - sum / (double)C - xhat * sum_xhat / (double)C);
        }
    }
    return true;
}

// The error bounds allow for means over rows or features, a square root and a few products.
const struct clrnn_reference clrnn_batchnorm_fwd_reference = {batchnorm_fwd, {{ANY_SLOT, 8, TERMS_ROWS, OF_TENSOR}}};
const struct clrnn_reference clrnn_batchnorm_bwd_reference = {batchnorm_bwd, {{ANY_SLOT, 8, TERMS_ROWS, OF_TENSOR}}};
const struct clrnn_reference clrnn_batchnorm_moments_reference = {
    batchnorm_moments, {{MOMENTS_COUNT, 0, TERMS_ONE, OF_ELEMENT}, {ANY_SLOT, 8, TERMS_ROWS, OF_TENSOR}}};
const struct clrnn_reference clrnn_batchnorm_spread_reference = {batchnorm_spread,
                                                                 {{ANY_SLOT, 8, TERMS_ONE, OF_TENSOR}}};
const struct clrnn_reference clrnn_layernorm_fwd_reference = {layernorm_fwd,
                                                              {{ANY_SLOT, 8, TERMS_FEATURES, OF_TENSOR}}};
const struct clrnn_reference clrnn_layernorm_bwd_reference = {
    layernorm_bwd, {{LAYERNORM_DX, 16, TERMS_FEATURES, OF_TENSOR}, {ANY_SLOT, 8, TERMS_ROWS, OF_TENSOR}}};
