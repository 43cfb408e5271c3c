// SPDX-License-Identifier: MIT
// Matrix multiply for CPUs, used if C has few rows or few columns. A is stored (M, K), B is stored (N, K). Packing B,
// as cl/gemm.cl does, would take longer than the multiply.
//
// Defines: WIDTH 4, 8 or 16.
#include "vector.h"
#include "gemm_args.h"

// Computes C = alpha A B' + beta C with A (M, K) and B (N, K); strides as in gemm_args.h. A work-item computes n_block
// columns of C, DOT x DOT dot products at a time, each in WIDTH partial sums. For rows beyond the last row of A or B,
// the last row is read again; their sums are not stored.
#define DOT 4

kernel void gemm_dot(struct gemm_args g, global const real *restrict A, global const real *restrict B,
                     global real *restrict C)
{
    const uint M = g.M, N = g.N, K = g.K, a_ld = g.a_ld, b_ld = g.b_ld;
    const uint n_first = get_global_id(0) * g.n_block, n_end = min(n_first + g.n_block, N);

    A += g.a_offset[0];
    B += g.b_offset[0];
    C += g.c_offset[0];
    for (uint n0 = n_first; n0 < n_end; n0 += DOT)
        for (uint m0 = 0; m0 < M; m0 += DOT) {
            global const real *a[DOT], *b[DOT];
            realv part[DOT][DOT];
            real tail[DOT][DOT];
            uint k = 0;

#pragma unroll
            for (int i = 0; i < DOT; i++) {
                a[i] = A + (size_t)min(m0 + i, M - 1) * a_ld;
                b[i] = B + (size_t)min(n0 + i, N - 1) * b_ld;
#pragma unroll
                for (int j = 0; j < DOT; j++) {
                    part[i][j] = 0.0f;
                    tail[i][j] = 0.0f;
                }
            }
            for (; k + WIDTH <= K; k += WIDTH) {
                realv x[DOT], y[DOT];

#pragma unroll
                for (int i = 0; i < DOT; i++) {
                    x[i] = vec_load(0, a[i] + k);
                    y[i] = vec_load(0, b[i] + k);
                }
#pragma unroll
                for (int i = 0; i < DOT; i++)
#pragma unroll
                    for (int j = 0; j < DOT; j++)
                        part[i][j] = fma(x[i], y[j], part[i][j]);
            }
            for (; k < K; k++)
#pragma unroll
                for (int i = 0; i < DOT; i++)
#pragma unroll
                    for (int j = 0; j < DOT; j++)
                        tail[i][j] = fma(a[i][k], b[j][k], tail[i][j]);
#pragma unroll
            for (int i = 0; i < DOT; i++)
#pragma unroll
                for (int j = 0; j < DOT; j++)
                    if (m0 + i < M && n0 + j < n_end) {
                        global real *one = C + (size_t)(m0 + i) * g.c_ld + (size_t)(n0 + j) * g.c_step;
                        const real sum = g.alpha * (sum_of(part[i][j]) + tail[i][j]);

                        *one = g.beta != 0.0f ? fma(g.beta, *one, sum) : sum;
                    }
        }
}
