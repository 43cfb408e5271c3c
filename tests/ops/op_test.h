// SPDX-License-Identifier: MIT
// Helpers of the op tests: the test device, and a check (reference/check.h) whose fault fails the test.
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

/** Group setup and teardown: *state becomes a struct clrnn_check with an open device, or the group is
 * skipped. */
int op_test_open(void **state);
int op_test_close(void **state);

/** Whether only tiny sizes are wanted: CLRNN_TEST_SMALL is set (simulators, software GPUs). */
bool op_test_small(void);

/** Runs and compares. Frees nothing: the next begin does. */
void op_test_run(struct clrnn_check *t);

/** A test that runs the self-test's cases of an op, from STEM_cases.c, at small and awkward sizes, each
 * within the bounds of reference/bound.h. */
void op_test_cases(void **state,
                   enum clrnn_status (*cases)(struct clrnn_cases *cases, const struct clrnn_case_size *size));

#endif
