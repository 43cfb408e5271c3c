// SPDX-License-Identifier: MIT
// A multiply's shape in words, its operations and bytes.
#include "device/gemm/internal.h"

#include <stdio.h>

void clrnn_gemm_shape(const struct clrnn_gemm *gemm, char shape[64])
{
    snprintf(shape, 64, "%ux%ux%u %c%c", (unsigned)gemm->M, (unsigned)gemm->N, (unsigned)gemm->K,
             gemm->transpose_a ? 'T' : 'N', gemm->transpose_b ? 'T' : 'N');
}

struct clrnn_cost clrnn_gemm_cost(const struct clrnn_gemm *gemm)
{
    const double M = gemm->M, N = gemm->N, K = gemm->K;

    return (struct clrnn_cost){2 * M * N * K, 4 * (M * K + K * N + M * N * (gemm->beta == 0 ? 1 : 2))};
}
