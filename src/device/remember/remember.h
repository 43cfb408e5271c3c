// SPDX-License-Identifier: MIT
// What was measured per device, driver and shape class, kept as JSON in the user's cache folder.
#ifndef CLRNN_SRC_DEVICE_REMEMBER_REMEMBER_H
#define CLRNN_SRC_DEVICE_REMEMBER_REMEMBER_H

#include "device/device.h"

struct clrnn_gemm;

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

#endif
