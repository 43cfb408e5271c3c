// SPDX-License-Identifier: MIT
// Autotune: measures multiplies with CLBlast's settings and with clRNN's kernels.
#ifndef CLRNN_SRC_DEVICE_TUNE_TUNE_H
#define CLRNN_SRC_DEVICE_TUNE_TUNE_H

#include <signal.h>

#include "device/gemm/gemm.h"

/** How to measure multiplies (struct clrnn_tuned_multiply). */
struct clrnn_tune_search {
    // Time limit; 0: 120 s. After the limit, no setting or shape is measured, except that the first shape always is.
    double seconds;
    size_t most_settings;              // most settings to try in this call; 0: no limit
    bool restart;                      // discard earlier measurements, also those of choices (device/remember/choice.h)
    bool defaults_only;                // measure only CLBlast's defaults and clRNN's kernels, no other settings
    const volatile sig_atomic_t *stop; // may be NULL; once *stop is set, no further setting is measured
};

/** Measures shape [count] with CLBlast's defaults, with settings not yet tried, and with clRNN's kernels. Writes the
 * times to `shape`, and the best parameters to the device's file. Each setting is stored as soon as it is measured, so
 * that a later call continues. The device must have been opened with no_tune, and must not have done a multiply by
 * CLBlast. Errors: CLRNN_ERR_ARG: on ref, or opened without no_tune. CLRNN_ERR_DISK, CLRNN_ERR_DEVICE,
 * CLRNN_ERR_MEMORY. */
enum clrnn_status clrnn_tune_run(struct clrnn_device *device, const struct clrnn_tune_search *params,
                                 struct clrnn_tuned_multiply *shape, size_t count);

#endif
