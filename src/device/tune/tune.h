// SPDX-License-Identifier: MIT
// Autotune: measures multiplies with CLBlast's settings and with clRNN's kernels.
#ifndef CLRNN_SRC_DEVICE_TUNE_TUNE_H
#define CLRNN_SRC_DEVICE_TUNE_TUNE_H

#include <signal.h>

#include "device/gemm/gemm.h"

/** How to measure multiplies (struct clrnn_tuned_multiply). */
struct clrnn_tune_search {
    double seconds;       // nothing but the first shape is begun after these; 0: 120
    size_t most_settings; // tried in this call; 0: any number
    bool restart;         // forget what was measured before, choices (device/remember/choice.h) too
    bool defaults_only;   // CLBlast as it comes and our kernels, no settings
    const volatile sig_atomic_t *stop; // or NULL: ends after the setting under way
};

/**
 * Measures the shapes with CLBlast as it comes, with settings not yet tried, and with our kernels; keeps the
 * best. Each setting is written down as soon as it is measured, so that a later call goes on from there.
 * The device must have been opened with no_tune, and no multiply by CLBlast been done with it. Errors:
 * CLRNN_ERR_DISK, CLRNN_ERR_DEVICE, CLRNN_ERR_MEMORY; CLRNN_ERR_ARG on ref.
 */
enum clrnn_status clrnn_tune_run(struct clrnn_device *device, const struct clrnn_tune_search *params,
                                 struct clrnn_tuned_multiply *shape, size_t count);

#endif
