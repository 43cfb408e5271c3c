// SPDX-License-Identifier: MIT
// The work after tuning: first the self-test of the device, then the time of the training step CLRNN_STEP_MODEL, by
// which devices are compared. Both run in a child process, because a process that has tried other CLBlast settings
// cannot return to the defaults.
#ifndef CLRNN_TOOLS_TUNE_STEP_H
#define CLRNN_TOOLS_TUNE_STEP_H

#include <signal.h>

#include "clrnn/diagnose.h"

/** The child process, which waits until it is told to start the work. */
struct tune_step;

/** Starts the child; call it before this process loads drivers. The caller ends the child with tune_step_end.
 */
enum clrnn_status tune_step_start(const struct clrnn_log *log, struct tune_step **step);

/** Lets the child test and measure a device. Stores the milliseconds of the training step for later choices of a
 * default device, and sets *ms to them. CLRNN_FAILED: the device fails its self-test or the child ends without a
 * result; a warning is logged, and a time stored earlier is removed. CLRNN_INTERRUPTED: *stop was set.
 * CLRNN_ERR_DEVICE: the child cannot be told to start. Other errors as clrnn_device_keep_step_ms. */
enum clrnn_status tune_step_measure(struct tune_step *step, const struct clrnn_log *log,
                                    const struct clrnn_device_info *info, const volatile sig_atomic_t *stop,
                                    double *ms);

/** Ends the child and sets *step to NULL; does nothing if it is NULL. */
void tune_step_end(struct tune_step **step);

#endif
