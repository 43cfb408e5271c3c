// SPDX-License-Identifier: MIT
// Convolution over time against the reference, at awkward sizes.
#include "op_test.h"

static void shapes(void **state)
{
    op_test_cases(state, clrnn_conv_cases);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(shapes)};

    return cmocka_run_group_tests_name("ops/conv", tests, op_test_open, op_test_close);
}
