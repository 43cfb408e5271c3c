// SPDX-License-Identifier: MIT
// Philox on the host: Random123's known answers, addressing, distributions, permutations.
#include <math.h>

#include "base/array.h"
#include "philox_known.h"
#include "tests/test.h"

static void test_known_answers(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(philox_known); i++) {
        uint32_t words[4];

        clrnn_random_block(&philox_known[i].stream, philox_known[i].index, words);
        assert_memory_equal(words, philox_known[i].words, sizeof(words));
    }
}

static void test_addressing(void **state)
{
    const struct clrnn_random r = {0x1122334455667788, RANDOM_PROBE, 3, 4};
    const struct clrnn_random others[] = {
        {0x1122334455667789, RANDOM_PROBE, 3, 4}, {0x1122334555667788, RANDOM_PROBE, 3, 4},
        {0x1122334455667788, RANDOM_INIT, 3, 4},  {0x1122334455667788, RANDOM_PROBE, 2, 4},
        {0x1122334455667788, RANDOM_PROBE, 3, 5},
    };
    uint32_t words[4], other[4];

    (void)state;
    for (uint32_t block = 0; block < 9; block++) {
        clrnn_random_block(&r, block, words);
        for (uint32_t i = 0; i < 4; i++) {
            assert_int_equal(clrnn_random_u32(&r, 4 * (uint64_t)block + i), words[i]);
            assert_true(clrnn_random_uniform(&r, 4 * (uint64_t)block + i) == (float)(words[i] >> 8) / 16777216.0f);
        }
    }
    clrnn_random_block(&r, 0, words);
    for (size_t i = 0; i < ARRAY_SIZE(others); i++) {
        clrnn_random_block(&others[i], 0, other);
        assert_memory_not_equal(words, other, sizeof(words));
    }
    assert_int_equal(clrnn_random_u32(&r, UINT64_C(17179869183)), // the last word of the last block
                     (clrnn_random_block(&r, UINT32_MAX, words), words[3]));
}

// Checks that mean and variance of many draws are within five standard errors of the expected values.
static void check_moments(const char *what, const double *x, size_t count, double mean, double var, double kurtosis)
{
    double sum = 0, squares = 0;

    for (size_t i = 0; i < count; i++)
        sum += x[i];
    sum /= (double)count;
    for (size_t i = 0; i < count; i++)
        squares += (x[i] - sum) * (x[i] - sum);
    squares /= (double)count;
    if (fabs(sum - mean) > 5 * sqrt(var / (double)count))
        fail_msg("%s: mean %g of %zu draws, want %g", what, sum, count, mean);
    if (fabs(squares - var) > 5 * var * sqrt((kurtosis - 1) / (double)count))
        fail_msg("%s: variance %g of %zu draws, want %g", what, squares, count, var);
}

static void test_distributions(void **state)
{
    enum { COUNT = 20000 };

    static double x[COUNT];
    const struct clrnn_random r = {1, RANDOM_PROBE, 0, 0};
    size_t outside = 0;

    (void)state;
    for (uint64_t i = 0; i < COUNT; i++) {
        x[i] = (double)clrnn_random_uniform(&r, i);
        assert_true(x[i] >= 0 && x[i] < 1);
    }
    check_moments("uniform", x, COUNT, 0.5, 1.0 / 12, 1.8);
    for (uint64_t i = 0; i < COUNT; i++) {
        x[i] = clrnn_random_normal(&r, i);
        assert_true(isfinite(x[i]));
        outside += fabs(x[i]) > 1.96;
    }
    check_moments("normal", x, COUNT, 0, 1, 3);
    assert_in_range(outside, 850, 1150); // 5 % of 20000 draws, within five standard errors
    for (uint64_t i = 0; i < COUNT; i++) {
        x[i] = (double)clrnn_random_normal_portable(&r, i);
        assert_true(fabs(x[i]) <= 6);
    }
    check_moments("portable normal", x, COUNT, 0, 1, 3);
}

// The portable normal numbers must have the same bytes on every machine. They must therefore equal the exact sums that
// this test computes from the random words.
static void test_portable_normal_is_exact(void **state)
{
    const struct clrnn_random r = {42, RANDOM_SYNTH, 1, 2};

    (void)state;
    for (uint64_t i = 0; i < 100; i++) {
        double want = -6; // the sum of twelve (k + 0.5) / 65536 is exact in double
        float got;

        for (uint64_t w = 6 * i; w < 6 * i + 6; w++) {
            const uint32_t word = clrnn_random_u32(&r, w);

            want += ((double)(word & 0xffff) + 0.5) / 65536 + ((double)(word >> 16) + 0.5) / 65536;
        }
        got = clrnn_random_normal_portable(&r, i);
        assert_true(got == (float)want);
    }
}

static void test_permutation(void **state)
{
    const uint32_t counts[] = {0, 1, 2, 3, 64, 1000};
    uint32_t order[1000], again[1000];

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(counts); i++) {
        struct clrnn_random r = {9, RANDOM_SHUFFLE, 5, 0};
        bool seen[1000] = {false};

        clrnn_random_permutation(&r, counts[i], order);
        for (uint32_t k = 0; k < counts[i]; k++) {
            assert_true(order[k] < counts[i] && !seen[order[k]]);
            seen[order[k]] = true;
        }
        clrnn_random_permutation(&r, counts[i], again);
        assert_memory_equal(order, again, counts[i] * sizeof(*order));
        r.a++;
        clrnn_random_permutation(&r, counts[i], again);
        if (counts[i] >= 64)
            assert_memory_not_equal(order, again, counts[i] * sizeof(*order));
    }
}

static void test_permutation_is_uniform(void **state)
{
    enum { DRAWS = 6000 };

    size_t seen[27] = {0};
    double chi2 = 0;

    (void)state;
    for (uint32_t epoch = 0; epoch < DRAWS; epoch++) {
        const struct clrnn_random r = {3, RANDOM_SHUFFLE, epoch, 0};
        uint32_t order[3];

        clrnn_random_permutation(&r, 3, order);
        seen[9 * order[0] + 3 * order[1] + order[2]]++;
    }
    for (size_t i = 0; i < ARRAY_SIZE(seen); i++)
        if (seen[i])
            chi2 += ((double)seen[i] - DRAWS / 6.0) * ((double)seen[i] - DRAWS / 6.0) / (DRAWS / 6.0);
    assert_true(chi2 < 20.5); // the 99.9 % quantile of chi-squared with 5 degrees of freedom; the seed is fixed
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_known_answers), cmocka_unit_test(test_addressing),
        cmocka_unit_test(test_distributions), cmocka_unit_test(test_portable_normal_is_exact),
        cmocka_unit_test(test_permutation),   cmocka_unit_test(test_permutation_is_uniform),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
