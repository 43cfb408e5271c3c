// SPDX-License-Identifier: MIT
// Sums and concatenations against the reference.
#include "op_test.h"

#include <stdio.h>

#include "base/array.h"

static void add(struct clrnn_check *t, uint32_t T, uint32_t N, uint32_t C)
{
    clrnn_check_begin(t, CLRNN_OP_ADD, T, N, C, 8100 + C);
    clrnn_check_real(t, ADD_FIRST, (size_t)T * N * C);
    clrnn_check_real(t, ADD_SECOND, (size_t)T * N * C);
    clrnn_check_out(t, ADD_Y, CLRNN_REAL, (size_t)T * N * C, 1e-7);
    op_test_run(t);
}

static void flatten(struct clrnn_check *t, uint32_t T, uint32_t N, uint32_t C)
{
    clrnn_check_begin(t, CLRNN_OP_FLATTEN_FWD, T, N, C, 8150 + C);
    clrnn_check_real(t, FLATTEN_X, (size_t)T * N * C);
    clrnn_check_out(t, FLATTEN_Y, CLRNN_REAL, (size_t)T * N * C, 0);
    op_test_run(t);
    clrnn_check_begin(t, CLRNN_OP_FLATTEN_BWD, T, N, C, 8160 + C);
    clrnn_check_real(t, FLATTEN_BWD_DY, (size_t)T * N * C);
    clrnn_check_out(t, FLATTEN_DX, CLRNN_REAL, (size_t)T * N * C, 0);
    op_test_run(t);
}

// Checks concat with branches of width C, 1, 2, ... In backward, the gradients of every third branch are not wanted.
static void concat(struct clrnn_check *t, uint32_t T, uint32_t N, uint32_t C, uint32_t count, bool backward)
{
    uint32_t all = 0;

    for (uint32_t i = 0; i < count; i++)
        all += i ? i : C;
    clrnn_check_begin(t, backward ? CLRNN_OP_CONCAT_BWD : CLRNN_OP_CONCAT_FWD, T, N, all, 8200 + C);
    snprintf(t->what, sizeof(t->what), "count=%u", count);
    t->op.join.count = count;
    for (uint32_t i = 0; i < count; i++) {
        const uint32_t width = t->op.join.width[i] = i ? i : C;

        if (!backward)
            clrnn_check_real(t, (int)i, (size_t)T * N * width);
        else if (i % 3 != 2)
            clrnn_check_out(t, (int)i, CLRNN_REAL, (size_t)T * N * width, 0);
    }
    if (backward)
        clrnn_check_real(t, CONCAT_BWD_DY, (size_t)T * N * all);
    else
        clrnn_check_out(t, CONCAT_Y, CLRNN_REAL, (size_t)T * N * all, 0);
    op_test_run(t);
}

static void shapes(void **state)
{
    static const uint32_t shape[][3] = {{1, 1, 1},  {5, 3, 8},   {4, 2, 16},  {3, 5, 17},
                                        {65, 2, 3}, {130, 9, 1}, {17, 31, 33}};
    const size_t count = op_test_small() ? 4 : ARRAY_SIZE(shape);

    for (size_t i = 0; i < count; i++) {
        add(*state, shape[i][0], shape[i][1], shape[i][2]);
        flatten(*state, shape[i][0], shape[i][1], shape[i][2]);
        for (uint32_t n = 1; n <= CLRNN_JOIN_MOST; n = n * 2 + 1)
            for (int backward = 0; backward < 2; backward++)
                concat(*state, shape[i][0], shape[i][1], shape[i][2], n, backward);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(shapes)};

    return cmocka_run_group_tests_name("ops/join", tests, op_test_open, op_test_close);
}
