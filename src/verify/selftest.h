// SPDX-License-Identifier: MIT
// Internals of the self-test: running it for a device in a subprocess.
#ifndef CLRNN_SRC_VERIFY_SELFTEST_H
#define CLRNN_SRC_VERIFY_SELFTEST_H

#include "clrnn/diagnose.h"

/** For tests: in a child that will open the device `spec`, sets the kernel folder that CLRNN_TEST_KERNEL_DIRS
 *  ("0:0=FOLDER,1:0=FOLDER") has for it. */
void clrnn_selftest_take_kernel_dir(const char *spec);

/** Runs the self-test of the device that `open` selects in a subprocess. open->log is not used; of `params`,
 * only seconds, timeout_s and stop are used. A failing device is no error but a verdict in *test.
 * CLRNN_INTERRUPTED: *stop was set. */
enum clrnn_status clrnn_selftest_device(const struct clrnn_log *log, const struct clrnn_device_params *open,
                                        const struct clrnn_devices_params *params,
                                        struct clrnn_device_test *test);

#endif
