// SPDX-License-Identifier: MIT
// Autotune: measures multiplies with CLBlast's settings and with clRNN's kernels.
#ifndef CLRNN_SRC_DEVICE_TUNE_TUNE_H
#define CLRNN_SRC_DEVICE_TUNE_TUNE_H

#include <signal.h>

#include "device/gemm/gemm.h"

/** How to measure multiplies (struct clrnn_tuned_multiply). */
struct clrnn_tune_search {
    double seconds;       // time limit: after it, only the first shape and no setting is begun; 0: 120
    size_t most_settings; // tried in this call; 0: any number
    bool restart;         // discard earlier measurements, also those of choices (device/remember/choice.h)
    bool defaults_only;   // CLBlast's defaults and clRNN's kernels only, no settings
    const volatile sig_atomic_t *stop; // may be NULL; once it is set, the setting being measured is the last
};

/** Measures the shapes with CLBlast's defaults, with settings not yet tried, and with clRNN's kernels;
 * keeps the best. Each setting is stored as soon as it is measured, so that a later call continues. The
 * device must have been opened with no_tune, and must not have done a multiply by CLBlast. Errors:
 * CLRNN_ERR_DISK, CLRNN_ERR_DEVICE, CLRNN_ERR_MEMORY; CLRNN_ERR_ARG on ref. */
enum clrnn_status clrnn_tune_run(struct clrnn_device *device, const struct clrnn_tune_search *params,
                                 struct clrnn_tuned_multiply *shape, size_t count);

#endif
