// SPDX-License-Identifier: MIT
// The self-test inside: a device's in a subprocess.
#ifndef CLRNN_SRC_VERIFY_SELFTEST_H
#define CLRNN_SRC_VERIFY_SELFTEST_H

#include "clrnn/diagnose.h"

/** In a child that is to open the device with that number: reads kernels from where CLRNN_TEST_KERNEL_DIRS
 *  ("0:0=FOLDER,1:0=FOLDER"), which only tests set, says. */
void clrnn_selftest_take_kernel_dir(const char *spec);

/** The self-test of the device that `open` means, in a subprocess; open->log is not used. Of `params`
 * seconds, timeout_s and stop count. CLRNN_INTERRUPTED: stop was set; a device that fails is in *test. */
enum clrnn_status clrnn_selftest_device(const struct clrnn_log *log, const struct clrnn_device_params *open,
                                        const struct clrnn_devices_params *params,
                                        struct clrnn_device_test *test);

#endif
