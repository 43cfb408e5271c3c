// SPDX-License-Identifier: MIT
// Windows over time against the reference, at awkward sizes.
#include "op_test.h"

static void shapes(void **state)
{
    op_test_cases(state, clrnn_window_cases);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(shapes)};

    return cmocka_run_group_tests_name("ops/window", tests, op_test_open, op_test_close);
}
