// SPDX-License-Identifier: MIT
// Internals of the self-test: running it for a device in a subprocess.
#ifndef CLRNN_SRC_VERIFY_SELFTEST_H
#define CLRNN_SRC_VERIFY_SELFTEST_H

#include "clrnn/diagnose.h"

/** For tests only. Called in a child process that will open the device `spec`: if the environment variable
 * CLRNN_TEST_KERNEL_DIRS ("0:0=FOLDER,1:0=FOLDER") names a folder for that device, its kernels are read from there. */
void clrnn_selftest_take_kernel_dir(const char *spec);

/** Runs the self-test of the device that `open` selects, in a child process. Ignores open->log; uses only seconds,
 * timeout_s and stop of `params`. If the device fails, returns CLRNN_OK and sets the verdict in *test.
 * Errors  CLRNN_INTERRUPTED: *stop was set. CLRNN_ERR_MEMORY. */
enum clrnn_status clrnn_selftest_device(const struct clrnn_log *log, const struct clrnn_device_params *open,
                                        const struct clrnn_devices_params *params, struct clrnn_device_test *test);

#endif
