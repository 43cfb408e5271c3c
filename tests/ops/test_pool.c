// SPDX-License-Identifier: MIT
// Pools over time against the reference.
#include "op_test.h"

#include <stdio.h>

#include "base/array.h"

static void forward(struct clrnn_check *t, enum clrnn_pool_over over, uint32_t T, uint32_t N, uint32_t C, uint32_t D,
                    bool padded, bool evaluation)
{
    clrnn_check_begin(t, CLRNN_OP_POOL_FWD, T, N, C, 8000 + C + (unsigned)over);
    snprintf(t->what, sizeof(t->what), "over=%d D=%u padded=%d", over, D, padded);
    t->op.pool.over = over;
    t->op.pool.D = D;
    clrnn_check_real(t, POOL_X, (size_t)T * N * C);
    for (size_t i = 0; i < (size_t)T * N * C; i += 3) // equal values, as ties for the largest
        t->in[POOL_X].real[i] = 1;
    if (padded) {
        clrnn_check_lengths(t, POOL_LENGTHS);
        clrnn_check_poison_padding(t, POOL_X, C);
    }
    clrnn_check_out(t, POOL_Y, CLRNN_REAL, (size_t)N * C, over == CLRNN_POOL_MEAN ? 2e-7 : 0);
    if (over == CLRNN_POOL_MAX && !evaluation)
        clrnn_check_out(t, POOL_ARGMAX, CLRNN_I32, (size_t)N * C, 0);
    op_test_run(t);
}

static void backward(struct clrnn_check *t, enum clrnn_pool_over over, uint32_t T, uint32_t N, uint32_t C, uint32_t D,
                     bool padded)
{
    clrnn_check_begin(t, CLRNN_OP_POOL_BWD, T, N, C, 8500 + C + (unsigned)over);
    snprintf(t->what, sizeof(t->what), "over=%d D=%u padded=%d", over, D, padded);
    t->op.pool.over = over;
    t->op.pool.D = D;
    if (padded)
        clrnn_check_lengths(t, POOL_BWD_LENGTHS);
    if (over == CLRNN_POOL_MAX) {
        clrnn_check_int(t, POOL_BWD_ARGMAX, (size_t)N * C, 0, (int32_t)T - 1);
        for (uint32_t i = 0; padded && i < N * C; i++)
            t->in[POOL_BWD_ARGMAX].word[i] %= t->in[POOL_BWD_LENGTHS].word[i / C];
    }
    clrnn_check_real(t, POOL_BWD_DY, (size_t)N * C);
    clrnn_check_out_rows(t, POOL_DX, C, over == CLRNN_POOL_MEAN ? 2e-7 : 0);
    op_test_run(t);
}

static void shapes(void **state)
{
    static const uint32_t shape[][3] = {{1, 1, 2},  {5, 3, 8},   {4, 2, 16},  {3, 5, 34},
                                        {65, 2, 6}, {130, 9, 2}, {17, 31, 66}};
    const size_t count = op_test_small() ? 4 : ARRAY_SIZE(shape);

    for (size_t i = 0; i < count; i++)
        for (int over = CLRNN_POOL_LAST; over <= CLRNN_POOL_MAX; over++)
            for (unsigned k = 0; k < 4; k++) {
                const uint32_t *s = shape[i], D = 1 + (k & 1);

                forward(*state, (enum clrnn_pool_over)over, s[0], s[1], s[2], D, k & 2, k == 3);
                backward(*state, (enum clrnn_pool_over)over, s[0], s[1], s[2], D, k & 2);
            }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(shapes)};

    return cmocka_run_group_tests_name("ops/pool", tests, op_test_open, op_test_close);
}
