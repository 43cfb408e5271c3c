// SPDX-License-Identifier: MIT
// States that recurrent layers carry from run to run: the same bits, or zero.
#include "op_test.h"

static void shapes(void **state)
{
    op_test_cases(state, clrnn_state_cases);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(shapes)};

    return cmocka_run_group_tests_name("ops/state", tests, op_test_open, op_test_close);
}
