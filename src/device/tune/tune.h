// SPDX-License-Identifier: MIT
// Tuning: measured choices per device, driver and shape class, kept as JSON in the user's cache folder.
#ifndef CLRNN_SRC_DEVICE_TUNE_TUNE_H
#define CLRNN_SRC_DEVICE_TUNE_TUNE_H

#include <signal.h>

#include "device/gemm/gemm.h"

/** The next power of two: sizes of one class are near enough for the same launches to be fastest. */
uint32_t clrnn_tune_size(uint32_t size);

/** What a device's file says, as multiplies need it. Opaque. */
struct clrnn_tune;

/** Reads the device's file; *tune is NULL where there is none, and, with a warning, where it is damaged,
 *  another user's or another version's: tuning may cost speed, never a run. The caller's to destroy. */
void clrnn_tune_load(const struct clrnn_log *log, const struct clrnn_device_info *info,
                     struct clrnn_tune **tune);
void clrnn_tune_destroy(struct clrnn_tune **tune);

/** Whether a kernel of ours was measured to be faster for this shape class: 1 yes, 0 no, -1 not measured. */
int clrnn_tune_prefers_own(const struct clrnn_tune *tune, const struct clrnn_gemm *gemm);

/** Hands the remembered parameters to CLBlast, once, and checks a small multiply with each. They hold for
 * every later multiply of this process on the driver's device. What does not suit the device, or computes
 * wrong, is dropped with a warning. */
void clrnn_tune_apply(struct clrnn_tune *tune, struct clrnn_device *device);

/** The device's file in fresh memory; NULL: no folder or no memory. */
char *clrnn_tune_path(const struct clrnn_device_info *info);

/** How to measure multiplies (struct clrnn_tuned_multiply). */
struct clrnn_tune_search {
    double seconds;                    // nothing but the first shape is begun after these; 0: 120
    size_t most_settings;              // tried in this call; 0: any number
    bool restart;                      // forget what was measured before, choices (device/tune/choice.h) too
    bool defaults_only;                // CLBlast as it comes and our kernels, no settings
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
