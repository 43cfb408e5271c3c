// SPDX-License-Identifier: MIT
// Test cases of batch and layer normalisation (cases.h).
#include <stdio.h>

#include "base/log.h"
#include "reference/cases.h"

static enum clrnn_status batchnorm(struct clrnn_cases *s, const struct clrnn_case_size *z, bool batch_stats)
{
    struct clrnn_check *c = s->check;

    clrnn_case_begin(s, CLRNN_OP_BATCHNORM_FWD, z, z->C);
    snprintf(c->what, sizeof(c->what), "batch_stats=%d padded=%d", batch_stats, z->padded);
    c->op.norm.eps = 1e-5;
    c->op.norm.momentum = 0.1;
    c->op.norm.batch_stats = batch_stats;
    clrnn_check_real(c, BATCHNORM_X, clrnn_case_rows(z) * z->C);
    clrnn_check_real(c, BATCHNORM_WEIGHT, z->C);
    clrnn_check_real(c, BATCHNORM_BIAS, z->C);
    clrnn_check_real(c, BATCHNORM_RUNNING_MEAN, z->C);
    clrnn_case_positive(clrnn_check_real(c, BATCHNORM_RUNNING_VAR, z->C), z->C, 0.1f);
    clrnn_case_lengths(s, z, BATCHNORM_LENGTHS);
    clrnn_case_poison(s, z, BATCHNORM_X, z->C);
    clrnn_check_out_rows(c, BATCHNORM_Y, z->C, 0);
    if (batch_stats) {
        clrnn_case_out(s, BATCHNORM_MEAN, z->C);
        clrnn_case_out(s, BATCHNORM_INVSTD, z->C);
        clrnn_check_updated_input(c, BATCHNORM_NEW_MEAN, BATCHNORM_RUNNING_MEAN, 0);
        clrnn_check_updated_input(c, BATCHNORM_NEW_VAR, BATCHNORM_RUNNING_VAR, 0);
    }
    return clrnn_case_run(s);
}

static enum clrnn_status shard_moments(struct clrnn_cases *s, const struct clrnn_case_size *z)
{
    struct clrnn_check *c = s->check;

    clrnn_case_begin(s, CLRNN_OP_BATCHNORM_MOMENTS, z, z->C);
    snprintf(c->what, sizeof(c->what), "padded=%d", z->padded);
    clrnn_check_real(c, MOMENTS_X, clrnn_case_rows(z) * z->C);
    clrnn_case_lengths(s, z, MOMENTS_LENGTHS);
    clrnn_case_poison(s, z, MOMENTS_X, z->C);
    clrnn_case_out(s, MOMENTS_COUNT, z->C);
    clrnn_case_out(s, MOMENTS_MEAN, z->C);
    clrnn_case_out(s, MOMENTS_SQUARES, z->C);
    return clrnn_case_run(s);
}

static enum clrnn_status shard_spread(struct clrnn_cases *s, const struct clrnn_case_size *z)
{
    struct clrnn_check *c = s->check;

    clrnn_case_begin(s, CLRNN_OP_BATCHNORM_SPREAD, z, z->C);
    snprintf(c->what, sizeof(c->what), "padded=%d", z->padded);
    clrnn_check_real(c, SPREAD_X, clrnn_case_rows(z) * z->C);
    clrnn_check_real(c, SPREAD_DY, clrnn_case_rows(z) * z->C);
    clrnn_check_real(c, SPREAD_WEIGHT, z->C);
    clrnn_check_real(c, SPREAD_MEAN, z->C);
    clrnn_case_positive(clrnn_check_real(c, SPREAD_INVSTD, z->C), z->C, 0.5f);
    clrnn_check_real(c, SPREAD_MEANS, 2 * (size_t)z->C);
    clrnn_case_lengths(s, z, SPREAD_LENGTHS);
    clrnn_case_poison(s, z, SPREAD_X, z->C);
    clrnn_case_poison(s, z, SPREAD_DY, z->C);
    clrnn_check_out_rows(c, SPREAD_DX, z->C, 0);
    return clrnn_case_run(s);
}

// Runs a case of the backward op of batch or layer normalisation; both have the same slots in the same order. of_row:
// number of groups of features in a row.
static enum clrnn_status norm_backward(struct clrnn_cases *s, const struct clrnn_case_size *z, enum clrnn_op_kind kind,
                                       uint32_t of_row)
{
    struct clrnn_check *c = s->check;
    const size_t groups = kind == CLRNN_OP_BATCHNORM_BWD ? z->C : clrnn_case_rows(z) * of_row;

    clrnn_case_begin(s, kind, z, z->C);
    c->op.norm.batch_stats = true;
    c->op.norm.groups = of_row;
    snprintf(c->what, sizeof(c->what), "groups=%u", of_row);
    clrnn_check_real(c, BATCHNORM_BWD_X, clrnn_case_rows(z) * z->C);
    clrnn_check_real(c, BATCHNORM_BWD_DY, clrnn_case_rows(z) * z->C);
    clrnn_check_real(c, BATCHNORM_BWD_WEIGHT, z->C);
    clrnn_check_real(c, BATCHNORM_BWD_MEAN, groups);
    clrnn_case_positive(clrnn_check_real(c, BATCHNORM_BWD_INVSTD, groups), groups, 0.5f);
    clrnn_case_lengths(s, z, BATCHNORM_BWD_LENGTHS);
    clrnn_case_poison(s, z, BATCHNORM_BWD_X, z->C);
    clrnn_case_poison(s, z, BATCHNORM_BWD_DY, z->C);
    clrnn_check_out_rows(c, BATCHNORM_DX, z->C, 0);
    clrnn_case_out(s, BATCHNORM_DWEIGHT, z->C);
    clrnn_case_out(s, BATCHNORM_DBIAS, z->C);
    return clrnn_case_run(s);
}

static enum clrnn_status layernorm(struct clrnn_cases *s, const struct clrnn_case_size *z, uint32_t groups)
{
    struct clrnn_check *c = s->check;

    clrnn_case_begin(s, CLRNN_OP_LAYERNORM_FWD, z, z->C);
    c->op.norm.eps = 1e-5;
    c->op.norm.groups = groups;
    snprintf(c->what, sizeof(c->what), "groups=%u", groups);
    clrnn_check_real(c, LAYERNORM_X, clrnn_case_rows(z) * z->C);
    clrnn_check_real(c, LAYERNORM_WEIGHT, z->C);
    clrnn_check_real(c, LAYERNORM_BIAS, z->C);
    clrnn_case_lengths(s, z, LAYERNORM_LENGTHS);
    clrnn_case_poison(s, z, LAYERNORM_X, z->C);
    clrnn_check_out_rows(c, LAYERNORM_Y, z->C, 0);
    clrnn_case_out(s, LAYERNORM_MEAN, clrnn_case_rows(z) * groups);
    clrnn_case_out(s, LAYERNORM_INVSTD, clrnn_case_rows(z) * groups);
    return clrnn_case_run(s);
}

enum clrnn_status clrnn_norm_cases(struct clrnn_cases *s, const struct clrnn_case_size *z)
{
    TRY(batchnorm(s, z, true));
    TRY(batchnorm(s, z, false));
    TRY(norm_backward(s, z, CLRNN_OP_BATCHNORM_BWD, 1));
    TRY(layernorm(s, z, 1));
    TRY(norm_backward(s, z, CLRNN_OP_LAYERNORM_BWD, 1));
    TRY(shard_moments(s, z));
    TRY(shard_spread(s, z));
    if (z->sums || z->C % 2)
        return CLRNN_OK;
    TRY(layernorm(s, z, 2));
    return norm_backward(s, z, CLRNN_OP_LAYERNORM_BWD, 2);
}
