// SPDX-License-Identifier: MIT
// What stands behind the door: kernels of our own and CLBlast. Both are called with arguments
// that it has checked: three REAL buffers of one OpenCL device, M, N, K > 0, every element within
// its buffer, C not overlapping A or B.
#ifndef CLRNN_SRC_DEVICE_GEMM_INTERNAL_H
#define CLRNN_SRC_DEVICE_GEMM_INTERNAL_H

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

#endif
