// SPDX-License-Identifier: MIT
// The self-test inside: what runs the cases, and the cases.
#ifndef CLRNN_SRC_VERIFY_SELFTEST_H
#define CLRNN_SRC_VERIFY_SELFTEST_H

#include "clrnn/diagnose.h"
#include "reference/check.h"

/** In a child that is to open the device with that number: reads kernels from where CLRNN_TEST_KERNEL_DIRS
 *  ("0:0=FOLDER,1:0=FOLDER"), which only tests set, says. */
void clrnn_selftest_take_kernel_dir(const char *spec);

/** A test's verdict from its result, whether it came to its end, and how its child ended ("": well). */
void clrnn_selftest_judge(const struct clrnn_selftest_result *result, bool done, const char *ending,
                          struct clrnn_device_test *test);

#endif
