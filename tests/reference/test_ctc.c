// SPDX-License-Identifier: MIT
// The CTC loss must equal a sum over all paths, and its gradient differences of the loss. Padding must affect nothing.
#include "near.h"

#include <math.h>

enum { T = 5, N = 4, C = 3, L = 3 };

static int32_t lengths[N] = {5, 4, 3, 1}, target[L * N], target_lengths[N] = {2, 3, 1, 0};
static uint32_t counter[COUNTER_FIELDS] = {0};

static void run(bool zero, bool padded, double *x, double *weight, int32_t *labels, double *dx, double *record)
{
    struct clrnn_op op = {.kind = CLRNN_OP_CTC, .layer = "ctc", .T = T, .N = N, .C = C};

    op.ctc = (struct clrnn_ctc_attributes){.L = L, .blank = 0, .slots = 1, .zero_infinity = zero};
    assert_int_equal(
        clrnn_reference_run(NULL, &op,
                            (void *[CLRNN_OP_MAX_IN]){x, padded ? lengths : NULL, target, labels, counter, weight},
                            (void *[CLRNN_OP_MAX_OUT]){dx, record}),
        CLRNN_OK);
}

// Returns -ln of the total probability of all paths of sample n that collapse to its target.
static double by_paths(const double *x, size_t n, size_t steps)
{
    size_t path[T] = {0};
    double sum = 0;

    for (bool more = true; more;) {
        double product = 1;
        size_t found = 0;
        bool same = true;

        for (size_t t = 0; t < steps; t++) {
            const double *row = x + (t * N + n) * C;
            double total = 0;

            for (size_t c = 0; c < C; c++)
                total += exp(row[c]);
            product *= exp(row[path[t]]) / total;
            if (path[t] && (!t || path[t] != path[t - 1]))
                same =
                    same && found < (size_t)target_lengths[n] && target[found * N + n] == (int32_t)path[t] && ++found;
        }
        sum += same && found == (size_t)target_lengths[n] ? product : 0;
        more = false;
        for (size_t t = 0; t < steps && !more; t++) {
            path[t] = (path[t] + 1) % C;
            more = path[t] != 0;
        }
    }
    return -log(sum);
}

static void fill_targets(void)
{
    for (int i = 0; i < L * N; i++)
        target[i] = 1 + i % 2;
    target[1] = target[N + 1] = 2; // sample 1: labels 2, 2 and 1 need 4 steps, all that it has
    target[2 * N + 1] = 1;
}

static void test_paths(void **state)
{
    double x[T * N * C], record[RECORD_FIELDS], want = 0;

    (void)state;
    fill_targets();
    fill(x, T * N * C, 1, 2);
    run(false, true, x, NULL, target_lengths, NULL, record);
    for (size_t n = 0; n < N; n++)
        want += by_paths(x, n, (size_t)lengths[n]) / (target_lengths[n] ? target_lengths[n] : 1);
    check_near("loss", &record[RECORD_LOSS], &want, 1, 1e-12);
    assert_true(record[RECORD_WEIGHT] == N && record[RECORD_COUNT] == N);
}

static void test_gradient(void **state)
{
    double weight[N] = {1, 0.5, 2, 0};

    (void)state;
    fill_targets();
    for (int i = 0; i < 4; i++) {
        double x[T * N * C], dx[T * N * C], record[RECORD_FIELDS], *w = i & 1 ? weight : NULL;
        const bool padded = i & 2;

        fill(x, T * N * C, 2 + (uint32_t)i, 2);
        for (size_t e = 0; padded && e < T * N * C; e++)
            if (e / C / N >= (size_t)lengths[e / C % N])
                x[e] = NAN;
        run(false, padded, x, w, target_lengths, dx, record);
        for (size_t e = 0; e < T * N * C; e++) {
            const double kept = x[e], step = 1e-5;
            double loss[2], want;

            for (int side = 0; side < 2; side++) {
                x[e] = kept + (side ? step : -step);
                run(false, padded, x, w, target_lengths, NULL, record);
                loss[side] = record[RECORD_LOSS] / record[RECORD_WEIGHT];
            }
            x[e] = kept;
            want = (loss[1] - loss[0]) / (2 * step);
            if (!(fabs(dx[e] - want) <= 1e-8))
                fail_msg("weighted %d, padded %d: dx[%zu] is %.12g, differences say %.12g", i & 1, padded, e, dx[e],
                         want);
        }
    }
}

// A target that does not fit into its steps must give an infinite loss or, with zero_infinity, a loss and gradient of 0
// for that sample.
static void test_infinity(void **state)
{
    int32_t labels[N] = {2, 3, 3, 1}; // sample 2 needs 4 steps for labels 1, 1 and 2, but has 3
    double x[T * N * C], dx[T * N * C], record[RECORD_FIELDS];

    (void)state;
    fill_targets();
    target[2 * N + 2] = 2;
    fill(x, T * N * C, 9, 2);
    run(false, true, x, NULL, labels, dx, record);
    assert_true(isinf(record[RECORD_LOSS]));
    run(true, true, x, NULL, labels, dx, record);
    assert_true(isfinite(record[RECORD_LOSS]) && record[RECORD_WEIGHT] == N);
    for (size_t t = 0; t < T; t++)
        for (size_t c = 0; c < C; c++)
            assert_true(dx[(t * N + 2) * C + c] == 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_paths), cmocka_unit_test(test_gradient),
                                       cmocka_unit_test(test_infinity)};

    return cmocka_run_group_tests_name("reference/ctc", tests, NULL, NULL);
}
