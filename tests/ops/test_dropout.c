// SPDX-License-Identifier: MIT
// Dropout: the mask must equal the reference's bit for bit.
#include "op_test.h"

#include <math.h>
#include <stdio.h>

#include "base/array.h"

static void run(struct clrnn_check *t, enum clrnn_op_kind kind, uint32_t rows, uint32_t C, double p, uint32_t stream)
{
    clrnn_check_begin(t, kind, 1, rows, C, 9000 + C + stream);
    snprintf(t->what, sizeof(t->what), "p=%g stream=%u", p, stream);
    t->op.dropout.p = p;
    t->op.dropout.stream = stream;
    clrnn_check_real(t, DROPOUT_X, (size_t)rows * C);
    clrnn_check_counter(t, DROPOUT_COUNTER, stream * 3, 0);
    clrnn_check_out(t, DROPOUT_Y, CLRNN_REAL, (size_t)rows * C, 2e-7);
    op_test_run(t);
    for (size_t i = 0; i < (size_t)rows * C; i++)
        if ((t->got[DROPOUT_Y][i] == 0) != (t->want[DROPOUT_Y][i] == 0) && t->in[DROPOUT_X].real[i] != 0)
            fail_msg("dropout rows=%u C=%u p=%g: element %zu: got %g, want %g", rows, C, p, i, t->got[DROPOUT_Y][i],
                     t->want[DROPOUT_Y][i]);
}

// Variational dropout must use the mask of the first time step at every step.
static void variational(void **state)
{
    static const uint32_t shape[][3] = {{1, 1, 1}, {3, 2, 3}, {7, 4, 16}, {5, 3, 31}, {2, 65, 33}};
    struct clrnn_check *t = *state;

    for (size_t i = 0; i < ARRAY_SIZE(shape); i++) {
        const size_t count = (size_t)shape[i][1] * shape[i][2];

        clrnn_check_begin(t, CLRNN_OP_DROPOUT_FWD, shape[i][0], shape[i][1], shape[i][2], 9500 + i);
        t->op.dropout.p = 0.4;
        t->op.dropout.variational = true;
        clrnn_check_real(t, DROPOUT_X, shape[i][0] * count);
        clrnn_check_counter(t, DROPOUT_COUNTER, 5, 0);
        clrnn_check_out(t, DROPOUT_Y, CLRNN_REAL, shape[i][0] * count, 2e-7);
        op_test_run(t);
        for (size_t e = 0; e < shape[i][0] * count; e++)
            assert_int_equal(t->got[DROPOUT_Y][e] == 0, t->got[DROPOUT_Y][e % count] == 0);
    }
}

static void shapes(void **state)
{
    static const uint32_t shape[][2] = {{1, 1}, {1, 3}, {3, 5}, {4, 16}, {7, 9}, {13, 31}, {64, 64}, {1, 1025}};
    static const double p[] = {0, 0.1, 0.5, 0.999, 1};
    const size_t count = op_test_small() ? 6 : ARRAY_SIZE(shape);

    for (size_t i = 0; i < count; i++)
        for (size_t k = 0; k < ARRAY_SIZE(p); k++) {
            run(*state, CLRNN_OP_DROPOUT_FWD, shape[i][0], shape[i][1], p[k], (uint32_t)(i + k));
            run(*state, CLRNN_OP_DROPOUT_BWD, shape[i][0], shape[i][1], p[k], (uint32_t)(i + k));
        }
}

// A dropped element must be 0 even if x is NaN or infinite.
static void not_finite(void **state)
{
    struct clrnn_check *t = *state;

    clrnn_check_begin(t, CLRNN_OP_DROPOUT_FWD, 1, 1, 200, 1);
    t->op.dropout.p = 0.5;
    clrnn_check_real(t, DROPOUT_X, 200);
    for (size_t i = 0; i < 200; i++)
        t->in[DROPOUT_X].real[i] = i % 2 ? NAN : INFINITY;
    clrnn_check_counter(t, DROPOUT_COUNTER, 5, 0);
    clrnn_check_out(t, DROPOUT_Y, CLRNN_REAL, 200, 0);
    op_test_run(t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(shapes), cmocka_unit_test(variational),
                                       cmocka_unit_test(not_finite)};

    return cmocka_run_group_tests_name("ops/dropout", tests, op_test_open, op_test_close);
}
