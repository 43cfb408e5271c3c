// SPDX-License-Identifier: MIT
// Connectionist temporal classification against the reference, at awkward sizes.
#include "op_test.h"

#include "base/array.h"
#include "reference/bound.h"
#include "reference/cases.h"

static enum clrnn_status run(void *check)
{
    clrnn_bound_apply(check);
    op_test_run(check);
    return CLRNN_OK;
}

static void shapes(void **state)
{
    static const struct clrnn_case_size size[] = {
        {.T = 1, .N = 1, .C = 1, .H = 1, .D = 1},
        {.T = 2, .N = 3, .C = 2, .H = 5, .D = 2, .padded = true},
        {.T = 4, .N = 2, .C = 17, .H = 16, .D = 2},
        {.T = 5, .N = 7, .C = 3, .H = 33, .D = 2, .padded = true},
        {.T = 3, .N = 65, .C = 31, .H = 15, .D = 1, .padded = true},
        {.T = 9, .N = 4, .C = 5, .H = 130, .D = 1},
    };
    struct clrnn_check *t = *state;
    struct clrnn_cases cases = {t, run, t};

    t->noise_runs = 2;
    for (size_t i = 0; i < (op_test_small() ? 2 : ARRAY_SIZE(size)); i++)
        assert_int_equal(clrnn_ctc_cases(&cases, &size[i]), CLRNN_OK);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(shapes)};

    return cmocka_run_group_tests_name("ops/ctc", tests, op_test_open, op_test_close);
}
