// SPDX-License-Identifier: MIT
// Recurrent layers with layer normalisation, projection and dropout against the reference, at awkward sizes.
#include "op_test.h"

static void shapes(void **state)
{
    op_test_cases(state, clrnn_recurrent_cases);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(shapes)};

    return cmocka_run_group_tests_name("ops/recurrent", tests, op_test_open, op_test_close);
}
