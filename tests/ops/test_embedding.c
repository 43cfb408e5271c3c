// SPDX-License-Identifier: MIT
// Embedding against the reference.
#include "op_test.h"

#include <stdio.h>

#include "base/array.h"

static void both(struct clrnn_check *t, uint32_t T, uint32_t N, uint32_t C, uint32_t V, int32_t padding_idx)
{
    const size_t rows = (size_t)T * N;

    for (int backward = 0; backward < 2; backward++) {
        clrnn_check_begin(t, backward ? CLRNN_OP_EMBEDDING_BWD : CLRNN_OP_EMBEDDING_FWD, T, N, C, 10000 + C + V);
        snprintf(t->what, sizeof(t->what), "V=%u padding_idx=%d", V, padding_idx);
        t->op.embedding.V = V;
        t->op.embedding.padding_idx = padding_idx;
        clrnn_check_int(t, EMBEDDING_X, rows, -1, (int32_t)V - 1);
        if (rows > 3)
            t->in[EMBEDDING_X].word[2] = (int32_t)V; // a token outside the table
        clrnn_check_real(t, backward ? EMBEDDING_BWD_DY : EMBEDDING_WEIGHT, (backward ? rows : V) * C);
        // The gradient of a token is a sum of up to `rows` numbers, added one after the other.
        clrnn_check_out(t, 0, CLRNN_REAL, (backward ? V : rows) * C, backward ? 2e-7 + 3e-8 * (double)rows / V : 0);
        op_test_run(t);
    }
}

static void shapes(void **state)
{
    static const uint32_t shape[][4] = {{1, 1, 1, 1},  {3, 5, 7, 4},     {2, 8, 16, 57},   {9, 3, 17, 1},
                                        {5, 4, 33, 3}, {20, 32, 8, 128}, {1, 64, 300, 999}};
    const size_t count = op_test_small() ? 5 : ARRAY_SIZE(shape);

    for (size_t i = 0; i < count; i++) {
        const uint32_t *s = shape[i];

        both(*state, s[0], s[1], s[2], s[3], -1);
        both(*state, s[0], s[1], s[2], s[3], (int32_t)s[3] / 2);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(shapes)};

    return cmocka_run_group_tests_name("ops/embedding", tests, op_test_open, op_test_close);
}
