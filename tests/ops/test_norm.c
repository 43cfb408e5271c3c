// SPDX-License-Identifier: MIT
// Batch and layer normalisation against the reference: padding, large means, many rows.
#include "op_test.h"

#include <math.h>
#include <stdio.h>

#include "base/array.h"

struct variant {
    bool affine, running, cumulative, padded;
    float shift; // mean of x
};

// Returns the tolerance for y. Rounding changes x by up to half an ulp of the mean of x. Since x has a deviation of
// about 1, y changes by the same amount.
static double tolerance(const struct variant *v)
{
    return 2e-6 + 2e-7 * fabsf(v->shift);
}

// Adds the inputs weight, bias and lengths, after x. Batch and layer normalisation have these inputs in the same slots.
static void affine_and_padding(struct clrnn_check *t, uint32_t C, const struct variant *v)
{
    if (v->affine) {
        clrnn_check_real(t, BATCHNORM_WEIGHT, C);
        clrnn_check_real(t, BATCHNORM_BIAS, C);
    }
    if (v->padded) {
        clrnn_check_lengths(t, BATCHNORM_LENGTHS);
        clrnn_check_poison_padding(t, BATCHNORM_X, C);
    }
}

static void batchnorm(struct clrnn_check *t, uint32_t T, uint32_t N, uint32_t C, const struct variant *v)
{
    const size_t rows = (size_t)T * N;
    float *x, *var;

    clrnn_check_begin(t, CLRNN_OP_BATCHNORM_FWD, T, N, C, 11000 + C + rows);
    snprintf(t->what, sizeof(t->what), "batch statistics, affine=%d running=%d cumulative=%d padded=%d shift=%g",
             v->affine, v->running, v->cumulative, v->padded, v->shift);
    t->op.norm.eps = 1e-5;
    t->op.norm.momentum = 0.1;
    t->op.norm.cumulative = v->cumulative;
    t->op.norm.batch_stats = true;
    x = clrnn_check_real(t, BATCHNORM_X, rows * C);
    for (size_t i = 0; i < rows * C; i++)
        x[i] += v->shift;
    affine_and_padding(t, C, v);
    clrnn_check_out_rows(t, BATCHNORM_Y, C, tolerance(v));
    clrnn_check_out(t, BATCHNORM_MEAN, CLRNN_REAL, C, 1e-6);
    clrnn_check_out(t, BATCHNORM_INVSTD, CLRNN_REAL, C, 2e-6);
    t->out[BATCHNORM_MEAN].absolute = 1e-6;
    if (v->running) {
        clrnn_check_real(t, BATCHNORM_RUNNING_MEAN, C);
        var = clrnn_check_real(t, BATCHNORM_RUNNING_VAR, C);
        for (size_t c = 0; c < C; c++)
            var[c] = fabsf(var[c]);
        clrnn_check_updated_input(t, BATCHNORM_NEW_MEAN, BATCHNORM_RUNNING_MEAN, 1e-6);
        clrnn_check_updated_input(t, BATCHNORM_NEW_VAR, BATCHNORM_RUNNING_VAR, 1e-6);
        // the op updates the counter of batches, but has no input for its initial value: an unused slot holds the value
        clrnn_check_int(t, CLRNN_OP_MAX_IN - 1, 1, 4, 9);
        t->in[CLRNN_OP_MAX_IN - 1].there = true;
        clrnn_check_updated_input(t, BATCHNORM_BATCHES, CLRNN_OP_MAX_IN - 1, 0);
    }
    op_test_run(t);
}

static void batchnorm_eval(struct clrnn_check *t, uint32_t T, uint32_t N, uint32_t C, const struct variant *v)
{
    float *var;

    clrnn_check_begin(t, CLRNN_OP_BATCHNORM_FWD, T, N, C, 12000 + C);
    snprintf(t->what, sizeof(t->what), "running statistics, affine=%d padded=%d", v->affine, v->padded);
    t->op.norm.eps = 1e-5;
    clrnn_check_real(t, BATCHNORM_X, (size_t)T * N * C);
    clrnn_check_real(t, BATCHNORM_RUNNING_MEAN, C);
    var = clrnn_check_real(t, BATCHNORM_RUNNING_VAR, C);
    for (size_t c = 0; c < C; c++)
        var[c] = 0.1f + fabsf(var[c]);
    affine_and_padding(t, C, v);
    clrnn_check_out_rows(t, BATCHNORM_Y, C, 1e-6);
    op_test_run(t);
}

static void layernorm(struct clrnn_check *t, uint32_t T, uint32_t N, uint32_t C, uint32_t groups,
                      const struct variant *v)
{
    const size_t rows = (size_t)T * N;
    const uint32_t width = C / groups;
    float *x;

    clrnn_check_begin(t, CLRNN_OP_LAYERNORM_FWD, T, N, C, 14000 + C + rows);
    snprintf(t->what, sizeof(t->what), "groups=%u affine=%d padded=%d shift=%g", groups, v->affine, v->padded,
             v->shift);
    t->op.norm.eps = 1e-5;
    t->op.norm.groups = groups;
    x = clrnn_check_real(t, LAYERNORM_X, rows * C);
    for (size_t i = 0; i < rows * C; i++)
        x[i] += v->shift;
    affine_and_padding(t, C, v);
    // With one feature, or three that are almost equal, rounding of the mean is multiplied by up to eps^-1/2.
    clrnn_check_out_rows(t, LAYERNORM_Y, C, tolerance(v) * (width < 4 ? 100 : 1));
    t->out[LAYERNORM_Y].absolute = width == 1 ? 1e-4 : 0;
    if (v->affine) {
        clrnn_check_out(t, LAYERNORM_MEAN, CLRNN_REAL, rows * groups, 1e-6);
        clrnn_check_out(t, LAYERNORM_INVSTD, CLRNN_REAL, rows * groups, width < 4 ? 1e-3 : tolerance(v));
    }
    op_test_run(t);
}

// Checks the backward of batch or layer normalisation, whose inputs and outputs are in the same slots. `of_row` is the
// number of groups in a row.
static void backward(struct clrnn_check *t, enum clrnn_op_kind kind, uint32_t T, uint32_t N, uint32_t C,
                     uint32_t of_row, const struct variant *v)
{
    const bool batch = kind == CLRNN_OP_BATCHNORM_BWD;
    const size_t rows = (size_t)T * N, groups = batch ? C : rows * of_row;
    float *invstd;

    clrnn_check_begin(t, kind, T, N, C, 13000 + C + rows);
    snprintf(t->what, sizeof(t->what), "groups=%u affine=%d padded=%d", of_row, v->affine, v->padded);
    t->op.norm.batch_stats = batch;
    t->op.norm.groups = of_row;
    clrnn_check_real(t, BATCHNORM_BWD_X, rows * C);
    clrnn_check_real(t, BATCHNORM_BWD_DY, rows * C);
    clrnn_check_real(t, BATCHNORM_BWD_MEAN, groups);
    invstd = clrnn_check_real(t, BATCHNORM_BWD_INVSTD, groups);
    for (size_t i = 0; i < groups; i++)
        invstd[i] = 0.5f + fabsf(invstd[i]);
    if (v->affine) {
        clrnn_check_real(t, BATCHNORM_BWD_WEIGHT, C);
        clrnn_check_out(t, BATCHNORM_DWEIGHT, CLRNN_REAL, C, 1e-6);
        clrnn_check_out(t, BATCHNORM_DBIAS, CLRNN_REAL, C, 1e-6);
        t->out[BATCHNORM_DWEIGHT].absolute = t->out[BATCHNORM_DBIAS].absolute = 1e-6 * (double)rows;
    }
    if (v->padded) {
        clrnn_check_lengths(t, BATCHNORM_BWD_LENGTHS);
        clrnn_check_poison_padding(t, BATCHNORM_BWD_X, C);
        clrnn_check_poison_padding(t, BATCHNORM_BWD_DY, C);
    }
    clrnn_check_out_rows(t, BATCHNORM_DX, C, batch ? 2e-6 : 3e-6);
    op_test_run(t);
}

static const uint32_t shapes[][3] = {{1, 2, 1},  {3, 5, 7},    {1, 64, 16},  {2, 3, 17},  {1, 65, 33},
                                     {9, 31, 8}, {30, 33, 40}, {1, 64, 128}, {70, 64, 3}, {5, 1, 600}};

static void each_shape(void **state)
{
    const size_t count = op_test_small() ? 5 : ARRAY_SIZE(shapes);

    for (size_t i = 0; i < count; i++)
        for (unsigned k = 0; k < 8; k++) {
            const struct variant v = {.affine = k & 1,
                                      .padded = k & 2,
                                      .running = k & 4 || k == 3,
                                      .cumulative = k == 5 || k == 6,
                                      .shift = k == 7 ? 100 : 0};
            const uint32_t *s = shapes[i];

            // halves the number of cases, but keeps every combination of two settings
            if (op_test_small() && (k ^ k >> 1 ^ k >> 2 ^ i) % 2)
                continue;
            batchnorm(*state, s[0], s[1], s[2], &v);
            batchnorm_eval(*state, s[0], s[1], s[2], &v);
            backward(*state, CLRNN_OP_BATCHNORM_BWD, s[0], s[1], s[2], 1, &v);
            layernorm(*state, s[0], s[1], s[2], 1, &v);
            backward(*state, CLRNN_OP_LAYERNORM_BWD, s[0], s[1], s[2], 1, &v);
        }
}

// Group normalisation. A shape is T, N, features, groups.
static void groups_of_features(void **state)
{
    static const uint32_t shape[][4] = {{3, 2, 6, 2},  {5, 3, 8, 8},    {9, 3, 20, 4},
                                        {1, 9, 34, 2}, {30, 33, 40, 5}, {2, 2, 96, 3}};
    const size_t count = op_test_small() ? 3 : ARRAY_SIZE(shape);

    for (size_t i = 0; i < count; i++)
        for (unsigned k = 0; k < 4; k++) {
            const struct variant v = {.affine = k & 1, .padded = k & 2};

            layernorm(*state, shape[i][0], shape[i][1], shape[i][2], shape[i][3], &v);
            backward(*state, CLRNN_OP_LAYERNORM_BWD, shape[i][0], shape[i][1], shape[i][2], shape[i][3], &v);
        }
}

// A mean of 1e4 with deviation 1: the variance must still be accurate.
static void large_mean(void **state)
{
    const struct variant v = {.affine = true, .running = true, .shift = 1e4f};

    batchnorm(*state, 1, 64, 33, &v);
    if (!op_test_small())
        batchnorm(*state, 100, 64, 5, &v);
    layernorm(*state, 1, 9, 64, 1, &v);
}

static void many_rows(void **state)
{
    const struct variant v = {.affine = true, .running = true, .shift = 3};

    if (op_test_small())
        skip();
    batchnorm(*state, 1000, 300, 3, &v);
    backward(*state, CLRNN_OP_BATCHNORM_BWD, 1000, 300, 3, 1, &v);
    backward(*state, CLRNN_OP_LAYERNORM_BWD, 1000, 300, 3, 1, &v);
}

// One valid row: PyTorch refuses this case; here the results must be finite.
static void one_row(void **state)
{
    const struct variant v = {.affine = true, .running = true};

    batchnorm(*state, 1, 1, 5, &v);
    backward(*state, CLRNN_OP_BATCHNORM_BWD, 1, 1, 5, 1, &v);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(each_shape), cmocka_unit_test(groups_of_features),
                                       cmocka_unit_test(large_mean), cmocka_unit_test(many_rows),
                                       cmocka_unit_test(one_row)};

    return cmocka_run_group_tests_name("ops/norm", tests, op_test_open, op_test_close);
}
