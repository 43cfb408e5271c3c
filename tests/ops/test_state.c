// SPDX-License-Identifier: MIT
// The op that sets the initial states of recurrent layers: either a copy of the last states, bit by bit, or zeros.
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
