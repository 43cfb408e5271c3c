// SPDX-License-Identifier: MIT
// After tuning: the device's self-test, then the time of the training step by which devices are compared.
// Both in a child process, because CLBlast cannot return to its defaults in one that has tried other
// settings.
#ifndef CLRNN_TOOLS_TUNE_STEP_H
#define CLRNN_TOOLS_TUNE_STEP_H

#include <signal.h>

#include "clrnn/diagnose.h"

/** The child, which waits. Opaque. */
struct tune_step;

/** Starts the child. To be called before this process loads drivers. The caller ends it with tune_step_end.
 */
enum clrnn_status tune_step_start(const struct clrnn_log *log, struct tune_step **step);

/** Has the child test and measure a device, and stores *ms for later choices of a default device.
 * CLRNN_FAILED, with a logged warning and nothing stored: the device fails its test. CLRNN_INTERRUPTED: *stop
 * was set. Otherwise as clrnn_device_keep_step_ms. */
enum clrnn_status tune_step_measure(struct tune_step *step, const struct clrnn_log *log,
                                    const struct clrnn_device_info *info, const volatile sig_atomic_t *stop,
                                    double *ms);

/** Ends the child and sets *step to NULL; does nothing if it is NULL. */
void tune_step_end(struct tune_step **step);

#endif
