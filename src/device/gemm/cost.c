// SPDX-License-Identifier: MIT
// Describes multiplies of whole matrices. Writes a multiply's shape as text, and computes its FLOPs and bytes.
#include "device/gemm/internal.h"

#include <stdio.h>

struct clrnn_gemm clrnn_gemm_dense(enum clrnn_gemm_form form, uint32_t M, uint32_t N, uint32_t K,
                                   struct clrnn_buffer *a, struct clrnn_buffer *b, struct clrnn_buffer *c)
{
    return (struct clrnn_gemm){.transpose_a = form == CLRNN_GEMM_TN,
                               .transpose_b = form == CLRNN_GEMM_NT,
                               .M = M,
                               .N = N,
                               .K = K,
                               .alpha = 1,
                               .a = a,
                               .a_ld = form == CLRNN_GEMM_TN ? M : K,
                               .b = b,
                               .b_ld = form == CLRNN_GEMM_NT ? K : N,
                               .c = c,
                               .c_ld = N};
}

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
