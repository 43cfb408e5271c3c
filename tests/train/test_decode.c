// SPDX-License-Identifier: MIT
// Decoding of label sequences. Beam search is compared with the sum over all paths.
#include "train/decode.h"

#include <math.h>
#include <string.h>

#include "base/random.h"
#include "tests/test.h"

enum { MOST_T = 6, MOST_C = 4, SEQUENCES = 4096 };

static void test_greedy(void **state)
{
    // The likeliest classes of the steps are 1 1 0 1 2 2 0. With blank 0, greedy decoding must give 1 1 2.
    static const int best[] = {1, 1, 0, 1, 2, 2, 0};
    float x[7 * 3] = {0};
    int32_t out[7];

    (void)state;
    for (int t = 0; t < 7; t++)
        x[3 * t + best[t]] = 1;
    assert_int_equal(clrnn_decode_greedy(x, 7, 3, 0, out), 3);
    assert_memory_equal(out, ((int32_t[]){1, 1, 2}), 3 * sizeof(*out));
    assert_int_equal(clrnn_decode_greedy(x, 7, 3, 2, out), 4); // with blank 2: 1 0 1 0
    assert_memory_equal(out, ((int32_t[]){1, 0, 1, 0}), 4 * sizeof(*out));
    assert_int_equal(clrnn_decode_greedy(x, 0, 3, 0, out), 0);
}

static void test_edit_distance(void **state)
{
    const int32_t a[] = {1, 2, 3, 4, 5, 6}, b[] = {2, 3, 7, 5, 6, 8};
    uint32_t row[7];

    (void)state;
    assert_int_equal(clrnn_edit_distance(a, 6, b, 6, row), 3);
    assert_int_equal(clrnn_edit_distance(a, 6, a, 6, row), 0);
    assert_int_equal(clrnn_edit_distance(a, 0, b, 6, row), 6);
    assert_int_equal(clrnn_edit_distance(a, 6, b, 0, row), 6);
    assert_int_equal(clrnn_edit_distance(a, 1, b, 2, row), 2);
}

// Returns the label sequence of a path as a number: the labels are digits in base C, after a leading 1.
static size_t collapse(const uint32_t *path, uint32_t T, uint32_t C, uint32_t blank)
{
    size_t code = 1;

    for (uint32_t t = 0; t < T; t++)
        if (path[t] != blank && (t == 0 || path[t] != path[t - 1]))
            code = code * C + path[t];
    return code;
}

// Returns the likeliest label sequence, as a number (collapse). Adds the probability of each of the C^T paths to the
// sum of the path's label sequence.
static size_t likeliest(const float *x, uint32_t T, uint32_t C, uint32_t blank)
{
    static double sum[SEQUENCES * 2];
    uint32_t path[MOST_T] = {0};
    size_t best = 0;

    memset(sum, 0, sizeof(sum));
    for (bool more = true; more;) {
        double product = 1;

        for (uint32_t t = 0; t < T; t++)
            product *= exp((double)x[t * C + path[t]]);
        sum[collapse(path, T, C, blank)] += product;
        more = false;
        for (uint32_t t = 0; t < T && !more; t++) {
            path[t] = (path[t] + 1) % C;
            more = path[t] != 0;
        }
    }
    for (size_t i = 0; i < SEQUENCES * 2; i++)
        best = sum[i] > sum[best] ? i : best;
    return best;
}

static void test_beam(void **state)
{
    unsigned differ = 0;

    (void)state;
    for (uint32_t i = 0; i < 200; i++) {
        const struct clrnn_random r = {.seed = 7, .stream = RANDOM_PROBE, .a = i};
        const uint32_t T = 1 + i % MOST_T, C = 2 + i % (MOST_C - 1), blank = i % C;
        float x[MOST_T * MOST_C];
        int32_t out[MOST_T], greedy[MOST_T];
        uint32_t count, plain;
        size_t code = 1;

        for (uint32_t k = 0; k < T * C; k++)
            x[k] = (float)(2 * clrnn_random_normal(&r, k));
        assert_int_equal(clrnn_decode_beam(NULL, x, T, C, blank, 100000, out, &count), CLRNN_OK);
        for (uint32_t k = 0; k < count; k++)
            code = code * C + (size_t)out[k];
        assert_int_equal(code, likeliest(x, T, C, blank));
        plain = clrnn_decode_greedy(x, T, C, blank, greedy);
        differ += plain != count || memcmp(out, greedy, count * sizeof(*out)) != 0;
        // narrow beams may find another sequence, but must find one without the blank
        for (uint32_t width = 1; width < 4; width++) {
            assert_int_equal(clrnn_decode_beam(NULL, x, T, C, blank, width, out, &count), CLRNN_OK);
            for (uint32_t k = 0; k < count; k++)
                assert_true(out[k] >= 0 && (uint32_t)out[k] < C && (uint32_t)out[k] != blank);
        }
    }
    assert_true(differ > 5); // the likeliest path is not always the likeliest sequence
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_greedy), cmocka_unit_test(test_edit_distance),
                                       cmocka_unit_test(test_beam)};

    return cmocka_run_group_tests_name("train/decode", tests, NULL, NULL);
}
