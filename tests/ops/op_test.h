// SPDX-License-Identifier: MIT
// Helpers of the op tests. They open the test device, run a check (reference/check.h), and fail the test if the
// device's results differ from those of the reference.
//
//     clrnn_check_begin(t, CLRNN_OP_LINEAR_FWD, T, N, C, seed);
//     t->op.linear.O = O;
//     clrnn_check_real(t, LINEAR_X, rows * C);
//     clrnn_check_out(t, LINEAR_Y, CLRNN_REAL, rows * O, 1e-6);
//     op_test_run(t);
#ifndef CLRNN_TESTS_OPS_OP_TEST_H
#define CLRNN_TESTS_OPS_OP_TEST_H

#include "reference/cases.h"
#include "reference/check.h"
#include "tests/test.h"

/** Setup and teardown of a group of tests. Setup opens a device and sets *state to a struct clrnn_check; without a
 * device the tests are skipped. */
int op_test_open(void **state);
int op_test_close(void **state);

/** Whether tests must use only tiny sizes: CLRNN_TEST_SMALL is set, and not to 0 (simulators, software GPUs). */
bool op_test_small(void);

/** Runs the check, and fails the test if a result is wrong. Frees nothing: the next clrnn_check_begin frees the
 * arrays. */
void op_test_run(struct clrnn_check *t);

/** Runs the self-test's cases of an op (the files ..._cases.c in src/reference) at small and awkward sizes. The errors
 * must be within the bounds of reference/bound.h. */
void op_test_cases(void **state,
                   enum clrnn_status (*cases)(struct clrnn_cases *cases, const struct clrnn_case_size *size));

#endif
