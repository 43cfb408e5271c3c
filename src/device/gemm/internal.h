// SPDX-License-Identifier: MIT
// Implementations of multiplies: clRNN's kernels and CLBlast. Both are called with arguments that gemm.c
// has checked: three REAL buffers of one OpenCL device, M, N, K > 0, every element within its buffer, C not overlapping
// A or B.
#ifndef CLRNN_SRC_DEVICE_GEMM_INTERNAL_H
#define CLRNN_SRC_DEVICE_GEMM_INTERNAL_H

#include <jansson.h>

#include "device/gemm/gemm.h"

/** Appends one or two multiplies as kernels of cl/gemm.cl or gemm_dot.cl. If these kernels do not support the shapes,
 * or two separate multiplies are expected to be faster, *taken becomes false and nothing is appended. Other arguments:
 * as in clrnn_launch_gemm_batch; the caller sets *fused to false before. */
enum clrnn_status clrnn_gemm_own_append(struct clrnn_launches *launches, const struct clrnn_gemm *gemm, uint32_t count,
                                        const struct clrnn_epilogue *epilogue, bool *taken, bool *fused);

/** Appends a launch that packs B of a multiply with `panels`, unless B is packed already or the multiply reads B
 * unpacked. Call this function before clrnn_gemm_own_append. */
enum clrnn_status clrnn_gemm_own_pack(struct clrnn_launches *launches, const struct clrnn_gemm *gemm);

/** Appends a call of CLBlastSgemm; supports every shape and device. */
enum clrnn_status clrnn_gemm_clblast_append(struct clrnn_launches *launches, const struct clrnn_gemm *gemm);

/** Writes M, N, K and whether A and B are transposed, as "64x128x2474 NT". */
void clrnn_gemm_shape(const struct clrnn_gemm *gemm, char shape[64]);

/** Returns the FLOPs (2 M N K) and the bytes moved (A, B and C once; C twice if beta is not 0). */
struct clrnn_cost clrnn_gemm_cost(const struct clrnn_gemm *gemm);

// ---------------------------------------------------------------- settings of CLBlast (settings.c)

#define CLRNN_TUNE_MOST_PARAMETERS 20
#define CLRNN_TUNE_NEVER 60000 // value of XGEMM_MIN_INDIRECT_SIZE that makes CLBlast always use XgemmDirect

/** Gets setting number `index`, from 0, of the fixed sequence of CLBlast settings that tuning tries. *direct: whether
 * the setting is for CLBlast's kernel XgemmDirect, else for Xgemm. *parameters becomes new JSON, {"WGD": 32, ...};
 * NULL: out of memory. Returns false if the setting does not suit the device. */
bool clrnn_setting_get(const struct clrnn_device_info *info, size_t index, bool *direct, json_t **parameters);

/** Whether `parameters` are the integers that CLBlast's kernel ("XgemmDirect", "Xgemm", "GemmRoutine") needs, and
 * satisfy the constraints of the kernel and of the device. */
bool clrnn_setting_fits(const struct clrnn_device_info *info, const char *kernel, const json_t *parameters);

/** Passes parameters for a kernel to CLBlast; returns whether CLBlast accepted them. They apply to the
 * whole process. */
bool clrnn_setting_override(struct clrnn_device *device, const char *kernel, const json_t *parameters);

/** Makes CLBlast compute every multiply with XgemmDirect (`direct` true) or with Xgemm (false). Returns whether CLBlast
 * accepted that. */
bool clrnn_setting_route(struct clrnn_device *device, bool direct);

/** Computes a small multiply by CLBlast. *right: whether the result is correct. The status tells whether the multiply
 * could be run. */
enum clrnn_status clrnn_setting_check(struct clrnn_device *device, bool *right);

#endif
