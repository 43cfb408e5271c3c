// SPDX-License-Identifier: MIT
// What stands behind the door: kernels of our own and CLBlast. Both are called with arguments
// that it has checked: three REAL buffers of one OpenCL device, M, N, K > 0, every element within
// its buffer, C not overlapping A or B.
#ifndef CLRNN_SRC_DEVICE_GEMM_INTERNAL_H
#define CLRNN_SRC_DEVICE_GEMM_INTERNAL_H

#include <jansson.h>

#include "device/gemm/gemm.h"

/** Appends one or two multiplies as kernels of cl/gemm.cl. *taken is false, and nothing appended, where no
 *  kernel of ours serves the shape or device. The rest as clrnn_launch_gemm_batch; `fused` starts false. */
enum clrnn_status clrnn_gemm_own_append(struct clrnn_launches *launches, const struct clrnn_gemm *gemm,
                                        uint32_t count, const struct clrnn_epilogue *epilogue, bool *taken,
                                        bool *fused);

/** Appends it as a call of CLBlastSgemm; serves every shape and device. */
enum clrnn_status clrnn_gemm_clblast_append(struct clrnn_launches *launches, const struct clrnn_gemm *gemm);

/** "64x128x2474 NT" into shape: M, N, K and whether A and B are transposed. */
void clrnn_gemm_shape(const struct clrnn_gemm *gemm, char shape[64]);

/** FLOPs (2 M N K) and bytes (A, B and C once; C twice where beta is not 0). */
struct clrnn_cost clrnn_gemm_cost(const struct clrnn_gemm *gemm);

// ---------------------------------------------------------------- settings of CLBlast (settings.c)

#define CLRNN_TUNE_MOST_PARAMETERS 20
#define CLRNN_TUNE_NEVER 60000 // XGEMM_MIN_INDIRECT_SIZE that no multiply reaches

/** Setting `index` of a fixed sequence, of XgemmDirect or Xgemm: fresh JSON {"WGD": 32, ...}, NULL: no
 * memory. False where it does not suit the device. */
bool clrnn_setting_get(const struct clrnn_device_info *info, size_t index, bool *direct, json_t **parameters);

/** Whether parameters are whole and hold to what the kernel ("XgemmDirect", "Xgemm", "GemmRoutine") needs. */
bool clrnn_setting_fits(const struct clrnn_device_info *info, const char *kernel, const json_t *parameters);

/** Hands them to CLBlast for a kernel; whether it took them. They hold for the process. */
bool clrnn_setting_override(struct clrnn_device *device, const char *kernel, const json_t *parameters);

/** Has CLBlast do every multiply by XgemmDirect, or by Xgemm. */
bool clrnn_setting_route(struct clrnn_device *device, bool direct);

/** Whether a small multiply by CLBlast gives the right numbers. The status says whether it ran at all. */
enum clrnn_status clrnn_setting_check(struct clrnn_device *device, bool *right);

#endif
