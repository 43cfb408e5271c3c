// SPDX-License-Identifier: MIT
// Measurements per device, driver and shape class, kept as JSON in the user's cache folder.
#ifndef CLRNN_SRC_DEVICE_REMEMBER_REMEMBER_H
#define CLRNN_SRC_DEVICE_REMEMBER_REMEMBER_H

#include "device/device.h"

struct clrnn_gemm;

/** Rounds a size up to a power of two. Sizes with the same result are assumed to have the same fastest launches. */
uint32_t clrnn_tune_size(uint32_t size);

/** The contents of a device's file of measurements. Opaque. */
struct clrnn_tune;

/** Reads the device's file. *tune is NULL if there is no file. It is also NULL, after a warning, if the file is damaged
 * or from another user or version. A bad file may cost speed, but never stops a run. The caller destroys *tune. */
void clrnn_tune_load(const struct clrnn_log *log, const struct clrnn_device_info *info, struct clrnn_tune **tune);
void clrnn_tune_destroy(struct clrnn_tune **tune);

/** Whether clRNN's kernels were measured as faster than CLBlast for the multiply's shape class: 1 yes, 0 no, -1 not
 * measured. */
int clrnn_tune_prefers_own(const struct clrnn_tune *tune, const struct clrnn_gemm *gemm);

/** Passes the stored parameters to CLBlast, once, and checks a small multiply with the parameters of each kernel. The
 * parameters apply to all later multiplies of this process on the same OpenCL device. Parameters that do not suit the
 * device, or that give wrong results, are dropped with a warning. */
void clrnn_tune_apply(struct clrnn_tune *tune, struct clrnn_device *device);

/** Returns the path of the device's file (to be freed). NULL: there is no cache folder, or out of memory. */
char *clrnn_tune_path(const struct clrnn_device_info *info);

#endif
