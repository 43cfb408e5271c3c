// SPDX-License-Identifier: MIT
// Linear layers against the reference: few outputs (clRNN's own kernels), many outputs (matrix multiplies), padding, no
// bias.
#include "op_test.h"

#include <stdio.h>

#include "base/array.h"

// Returns a tolerance for dot products of length K in float32, summed in any order. The error is at most K ulps of the
// sum of magnitudes, and in practice about sqrt(K) ulps. For K above 20 the tolerance lies between the two.
static double dot_tolerance(double K)
{
    return 4e-7 * (4 + 0.1 * K);
}

static void forward(struct clrnn_check *t, uint32_t T, uint32_t N, uint32_t C, uint32_t O, bool bias, bool padded)
{
    clrnn_check_begin(t, CLRNN_OP_LINEAR_FWD, T, N, C, 1000 + C * 7 + O);
    snprintf(t->what, sizeof(t->what), "O=%u bias=%d padded=%d", O, bias, padded);
    t->op.linear.O = O;
    clrnn_check_real(t, LINEAR_X, (size_t)T * N * C);
    clrnn_check_real(t, LINEAR_WEIGHT, (size_t)O * C);
    if (bias)
        clrnn_check_real(t, LINEAR_BIAS, O);
    if (padded) {
        clrnn_check_lengths(t, LINEAR_LENGTHS);
        clrnn_check_poison_padding(t, LINEAR_X, C);
    }
    clrnn_check_out_rows(t, LINEAR_Y, O, dot_tolerance(C));
    op_test_run(t);
}

static void backward(struct clrnn_check *t, uint32_t T, uint32_t N, uint32_t C, uint32_t O, bool bias, bool padded)
{
    clrnn_check_begin(t, CLRNN_OP_LINEAR_BWD, T, N, C, 2000 + C * 7 + O);
    snprintf(t->what, sizeof(t->what), "O=%u bias=%d padded=%d", O, bias, padded);
    t->op.linear.O = O;
    clrnn_check_real(t, LINEAR_BWD_X, (size_t)T * N * C);
    clrnn_check_real(t, LINEAR_BWD_WEIGHT, (size_t)O * C);
    clrnn_check_real(t, LINEAR_BWD_DY, (size_t)T * N * O);
    if (padded) {
        clrnn_check_lengths(t, LINEAR_BWD_LENGTHS);
        clrnn_check_poison_padding(t, LINEAR_BWD_X, C);
        clrnn_check_poison_padding(t, LINEAR_BWD_DY, O);
    }
    // the cases without bias also test that dx, which a first layer does not need, can be omitted
    if (bias)
        clrnn_check_out_rows(t, LINEAR_DX, C, dot_tolerance(O));
    clrnn_check_out(t, LINEAR_DWEIGHT, CLRNN_REAL, (size_t)O * C, dot_tolerance(T * N));
    if (bias)
        clrnn_check_out(t, LINEAR_DBIAS, CLRNN_REAL, O, 1e-6);
    op_test_run(t);
}

static void shapes(void **state)
{
    static const uint32_t shape[][4] = {
        // T, N, C, O
        {1, 1, 1, 1},    {1, 64, 64, 2}, {3, 5, 7, 8},    {2, 3, 16, 9},  {5, 4, 17, 3},
        {1, 65, 31, 33}, {7, 9, 33, 1},  {1, 2, 128, 57}, {20, 33, 6, 2}, {40, 31, 3, 11},
    };
    const size_t count = op_test_small() ? 5 : ARRAY_SIZE(shape);

    for (size_t i = 0; i < count; i++)
        for (int padded = 0; padded < 2; padded++) {
            const uint32_t *s = shape[i];

            forward(*state, s[0], s[1], s[2], s[3], i % 3 != 1, padded);
            backward(*state, s[0], s[1], s[2], s[3], i % 3 != 1, padded);
        }
}

static void wide_input(void **state)
{
    if (op_test_small())
        skip();
    forward(*state, 1, 64, 2474, 2, true, false);
    backward(*state, 1, 64, 2474, 2, true, false);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(shapes), cmocka_unit_test(wide_input)};

    return cmocka_run_group_tests_name("ops/linear", tests, op_test_open, op_test_close);
}
