// SPDX-License-Identifier: MIT
// Losses, their gradients and the records that they write (RECORD_... in cl/slots.h), against the reference.
#include "op_test.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/array.h"

enum { SLOTS = 3, SLOT = 1 };

// The logits are of order 1. exp and log err by some units in the last place, and the sums are compensated.
static const double tolerance = 2e-6;

struct variant {
    enum clrnn_loss_kind kind;
    bool weight, padded, evaluation;
    double smoothing;
    int32_t ignore;
    bool samples, missing; // samples: with a weight for each sample; missing: some targets are NaN
};

// Sets the inputs of losses with real targets. With v->weight, bce has pos_weight and a weight for each label. The
// quantile loss has Q quantiles, where Q is a divisor of C.
static void set_up_reals(struct clrnn_check *t, size_t rows, uint32_t C, const struct variant *v)
{
    const bool quantile = v->kind == CLRNN_LOSS_QUANTILE, binary = v->kind == CLRNN_LOSS_BCE_WITH_LOGITS;
    const uint32_t Q = !quantile ? 1 : C % 3 == 0 ? 3 : C % 2 == 0 ? 2 : 1;
    float *target = clrnn_check_real(t, LOSS_TARGET, rows * (C / Q)), *weight;

    t->op.loss.quantiles = quantile ? Q : 0;
    t->op.loss.missing = v->missing;
    t->op.loss.beta = t->op.loss.delta = 0.7;
    for (size_t i = 0; i < rows * (C / Q); i++) {
        if (binary)
            target[i] = clrnn_check_u32(t) % 4 == 0 ? 0.25f : (float)(clrnn_check_u32(t) % 2);
        if (v->missing && clrnn_check_u32(t) % 3 == 0)
            target[i] = NAN;
    }
    if (quantile) {
        weight = clrnn_check_real(t, LOSS_WEIGHT, Q);
        for (uint32_t q = 0; q < Q; q++)
            weight[q] = ((float)q + 0.6f) / (float)Q;
    } else if (binary && v->weight) {
        weight = clrnn_check_real(t, LOSS_WEIGHT, C);
        for (uint32_t c = 0; c < C; c++)
            weight[c] = 0.1f + fabsf(weight[c]);
        weight = clrnn_check_real(t, LOSS_LABEL_WEIGHT, C);
        for (uint32_t c = 0; c < C; c++)
            weight[c] = 0.1f + fabsf(weight[c]);
    }
    if (!binary && v->weight) {
        weight = clrnn_check_real(t, LOSS_SCALE, 2 * (C / Q));
        for (uint32_t c = 0; c < 2 * (C / Q); c++)
            weight[c] = 0.1f + fabsf(weight[c]);
    }
    if (v->padded)
        clrnn_check_poison_padding(t, LOSS_TARGET, C / Q);
}

static void set_up(struct clrnn_check *t, uint32_t T, uint32_t N, uint32_t C, const struct variant *v)
{
    const bool classes = clrnn_loss_is_classes(v->kind);
    const size_t rows = (size_t)T * N;
    float *weight;

    clrnn_check_begin(t, CLRNN_OP_LOSS, T, N, C, 3000 + C * 31 + rows);
    snprintf(t->what, sizeof(t->what), "loss=%d weight=%d padded=%d eval=%d smoothing=%g", v->kind, v->weight,
             v->padded, v->evaluation, v->smoothing);
    t->op.loss.kind = v->kind;
    t->op.loss.label_smoothing = v->smoothing;
    t->op.loss.ignore_index = v->ignore;
    t->op.loss.slots = SLOTS;
    clrnn_check_real(t, LOSS_X, rows * C);
    if (classes) {
        clrnn_check_int(t, LOSS_TARGET, rows, 0, (int32_t)C - 1);
        for (size_t r = 1; r < rows; r += 5)
            t->in[LOSS_TARGET].word[r] = r % 2 ? INT32_MIN : v->ignore;
    }
    if (classes && v->weight) {
        weight = clrnn_check_real(t, LOSS_WEIGHT, C);
        for (size_t c = 0; c < C; c++)
            weight[c] = 0.1f + fabsf(weight[c]);
    }
    if (v->samples) {
        weight = clrnn_check_real(t, LOSS_SAMPLE_WEIGHT, N);
        for (uint32_t n = 0; n < N; n++) // every third sample has weight 0
            weight[n] = n % 3 == 2 ? 0 : 0.1f + fabsf(weight[n]);
    }
    clrnn_check_counter(t, LOSS_COUNTER, 17, SLOT);
    if (v->padded) {
        clrnn_check_lengths(t, LOSS_LENGTHS);
        clrnn_check_poison_padding(t, LOSS_X, C);
    }
    if (!classes)
        set_up_reals(t, rows, C, v);
    if (!v->evaluation)
        clrnn_check_out_rows(t, LOSS_DX, C, tolerance);
    clrnn_check_updated(t, LOSS_RECORD, SLOTS * RECORD_FIELDS, 1e-6);
}

// Compares each field of a record with a bound relative to that field, since the fields differ by orders of magnitude.
static void check_record(struct clrnn_check *t, double bound)
{
    const float *got = t->got[LOSS_RECORD];
    const double *want = t->want[LOSS_RECORD];

    for (size_t i = 0; i < SLOTS * RECORD_FIELDS; i++)
        if (!(fabs(got[i] - want[i]) <= bound * fabs(want[i]) + 1e-9) && !(isnan(got[i]) && isnan(want[i])))
            fail_msg("loss T=%u N=%u C=%u seed=%llu %s: record field %zu: got %.9g, want %.9g", t->op.T, t->op.N,
                     t->op.C, (unsigned long long)t->random.seed, t->what, i, got[i], want[i]);
}

static void classes(void **state)
{
    static const uint32_t shape[][3] = {{1, 1, 1},   {1, 64, 2},  {3, 5, 7},   {2, 9, 16},   {1, 7, 17},
                                        {7, 31, 33}, {1, 3, 501}, {40, 33, 5}, {1, 6000, 3}, {1, 70, 100}};
    const size_t count = op_test_small() ? 5 : ARRAY_SIZE(shape);

    for (size_t i = 0; i < count; i++)
        for (unsigned k = 0; k < 16; k++) {
            const struct variant v = {.kind = k & 1 ? CLRNN_LOSS_NLL : CLRNN_LOSS_CROSS_ENTROPY,
                                      .weight = k & 2,
                                      .padded = k & 4,
                                      .evaluation = (k + i) % 8 == 5,
                                      .smoothing = k & 8 ? 0.1 : 0,
                                      .ignore = k & 2 ? -100 : 0,
                                      .samples = (k + i) % 5 == 1};

            set_up(*state, shape[i][0], shape[i][1], shape[i][2], &v);
            op_test_run(*state);
            check_record(*state, 1e-6);
        }
}

static void reals(void **state)
{
    static const uint32_t shape[][3] = {{1, 1, 1},  {1, 64, 1}, {13, 17, 1},  {1, 9, 4},
                                        {3, 5, 33}, {7, 31, 6}, {3, 2000, 1}, {40, 33, 5}};
    const size_t count = op_test_small() ? 6 : ARRAY_SIZE(shape);

    for (size_t i = 0; i < count; i++)
        for (unsigned k = 0; k < 8; k++)
            for (int kind = CLRNN_LOSS_BCE_WITH_LOGITS; kind < CLRNN_LOSS_CTC; kind++) {
                const struct variant v = {.kind = (enum clrnn_loss_kind)kind,
                                          .weight = k & 1,
                                          .samples = k & 1,
                                          .missing = k & 2,
                                          .padded = k & 4,
                                          .evaluation = (k + i) % 8 == 5};

                set_up(*state, shape[i][0], shape[i][1], shape[i][2], &v);
                op_test_run(*state);
                check_record(*state, 1e-6);
            }
}

// Logits of any size must cause no overflow in the loss or the gradient.
static void extremes(void **state)
{
    static const float value[] = {0, 88, -88, 104, -104, 1e4f, -1e4f, 1e-40f, 1e6f, -1e6f, 1e18f, -1e18f};
    struct clrnn_check *t = *state;

    for (int kind = CLRNN_LOSS_CROSS_ENTROPY; kind <= CLRNN_LOSS_MSE; kind++) {
        const struct variant v = {.kind = (enum clrnn_loss_kind)kind, .ignore = -100};
        const uint32_t C = kind <= CLRNN_LOSS_NLL ? 5 : 1;

        if (kind == CLRNN_LOSS_NLL || kind == CLRNN_LOSS_MSE)
            continue; // the sums of these losses overflow, as they should
        set_up(t, 1, 60, C, &v);
        for (size_t i = 0; i < 60 * C; i++)
            t->in[LOSS_X].real[i] = value[clrnn_check_u32(t) % ARRAY_SIZE(value)];
        op_test_run(t);
    }
}

// If all targets are ignored, the loss must be 0 / 0, which is NaN as in PyTorch, and the gradients must be 0.
static void all_ignored(void **state)
{
    const struct variant v = {.kind = CLRNN_LOSS_CROSS_ENTROPY, .ignore = 1};
    struct clrnn_check *t = *state;

    set_up(t, 1, 9, 4, &v);
    for (size_t r = 0; r < 9; r++)
        t->in[LOSS_TARGET].word[r] = r % 2 ? 1 : INT32_MIN;
    op_test_run(t);
    check_record(t, 0);
    for (size_t i = 0; i < 36; i++)
        assert_true(t->got[LOSS_DX][i] == 0);
    assert_true(t->got[LOSS_RECORD][SLOT * RECORD_FIELDS + RECORD_WEIGHT] == 0);
    assert_true(t->got[LOSS_RECORD][SLOT * RECORD_FIELDS + RECORD_LOSS] == 0);
}

// Errors at which the formulas change: 0, and exactly beta or delta.
static void corners(void **state)
{
    static const float error[] = {0, 0.5f, -0.5f, 0.25f, -2};
    struct clrnn_check *t = *state;

    for (int kind = CLRNN_LOSS_L1; kind < CLRNN_LOSS_CTC; kind++) {
        const struct variant v = {.kind = (enum clrnn_loss_kind)kind};

        set_up(t, 1, 15, 1, &v);
        t->op.loss.beta = t->op.loss.delta = 0.5;
        for (size_t i = 0; i < 15; i++) {
            t->in[LOSS_TARGET].real[i] = (float)i;
            t->in[LOSS_X].real[i] = (float)i + error[i % ARRAY_SIZE(error)];
        }
        op_test_run(t);
        check_record(t, 1e-6);
        assert_true(fabs(t->got[LOSS_DX][0] * 15 + (kind == CLRNN_LOSS_QUANTILE ? 0.1 : 0)) < 1e-6);
    }
}

static void nan_logits(void **state)
{
    for (int kind = CLRNN_LOSS_CROSS_ENTROPY; kind < CLRNN_LOSS_CTC; kind++) {
        const struct variant v = {.kind = (enum clrnn_loss_kind)kind, .ignore = -100};
        struct clrnn_check *t = *state;

        set_up(t, 1, 40, kind <= CLRNN_LOSS_NLL ? 20 : 1, &v);
        if (kind <= CLRNN_LOSS_NLL)
            for (size_t r = 0; r < 40; r++)
                t->in[LOSS_TARGET].word[r] = 3;
        t->in[LOSS_X].real[3] = NAN;
        t->out[LOSS_RECORD].skip = t->out[LOSS_DX].skip = true;
        op_test_run(t);
        assert_true(isnan(t->got[LOSS_RECORD][SLOT * RECORD_FIELDS + RECORD_LOSS]));
    }
}

// A record number (COUNTER_SLOT) out of range: no record must be written.
static void no_such_record(void **state)
{
    const struct variant v = {.kind = CLRNN_LOSS_CROSS_ENTROPY, .ignore = -100};
    struct clrnn_check *t = *state;

    set_up(t, 1, 9, 4, &v);
    t->in[LOSS_COUNTER].word[COUNTER_SLOT] = SLOTS;
    op_test_run(t);
    assert_memory_equal(t->got[LOSS_RECORD], t->out[LOSS_RECORD].real, SLOTS * RECORD_FIELDS * sizeof(float));
}

static void ties(void **state)
{
    const struct variant v = {.kind = CLRNN_LOSS_CROSS_ENTROPY, .ignore = -100};
    struct clrnn_check *t = *state;

    set_up(t, 1, 64, 20, &v);
    for (size_t i = 0; i < 64 * 20; i++)
        t->in[LOSS_X].real[i] = (float)(clrnn_check_u32(t) % 3);
    for (size_t r = 0; r < 64; r++)
        t->in[LOSS_TARGET].word[r] = (int32_t)(clrnn_check_u32(t) % 4);
    op_test_run(t);
    check_record(t, 1e-6);
    assert_true(t->got[LOSS_RECORD][SLOT * RECORD_FIELDS + RECORD_CORRECT] > 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(classes),    cmocka_unit_test(reals),
                                       cmocka_unit_test(extremes),   cmocka_unit_test(all_ignored),
                                       cmocka_unit_test(nan_logits), cmocka_unit_test(no_such_record),
                                       cmocka_unit_test(ties),       cmocka_unit_test(corners)};

    return cmocka_run_group_tests_name("ops/loss", tests, op_test_open, op_test_close);
}
