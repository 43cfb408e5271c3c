// SPDX-License-Identifier: MIT
// States of recurrent layers: the same bits carried on, or zero.
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
        {.T = 1, .N = 3, .C = 1, .H = 5, .D = 1},
        {.T = 1, .N = 65, .C = 1, .H = 33, .D = 1},
    };
    struct clrnn_check *t = *state;
    struct clrnn_cases cases = {t, run, t};

    for (size_t i = 0; i < ARRAY_SIZE(size); i++)
        assert_int_equal(clrnn_state_cases(&cases, &size[i]), CLRNN_OK);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(shapes)};

    return cmocka_run_group_tests_name("ops/state", tests, op_test_open, op_test_close);
}
