// SPDX-License-Identifier: MIT
// Kernels with which the host measures the peak rates of a device: of multiply-adds in registers, and of copying.
//
// Defines: WIDTH as in vector.h. On CPUs it is the width of a vector register: for wider vectors the sums would need
// more registers than there are.
#include "vector.h"

#define CHAINS 12 // number of independent sums: more than any device needs to hide the latency of an fma

// Each work-item computes rounds * CHAINS * WIDTH multiply-adds. The results go to `out`, so that compilers cannot drop
// the computation.
kernel void peak_fma(global real *out, real a, uint rounds)
{
    realv sum[CHAINS];
    const realv factor = (realv)(a), term = (realv)(1.0f - a);
    realv all = (realv)(0.0f);

#pragma unroll // so that the sums stay in registers
    for (uint i = 0; i < CHAINS; i++)
        sum[i] = (realv)((real)i + (real)get_global_id(0));
    for (uint r = 0; r < rounds; r++) {
#pragma unroll
        for (uint i = 0; i < CHAINS; i++)
            sum[i] = fma(sum[i], factor, term);
    }
#pragma unroll
    for (uint i = 0; i < CHAINS; i++)
        all += sum[i];
    store(all, out + get_global_id(0) * WIDTH, WIDTH);
}

// Work-item i copies elements [i * chunk, (i + 1) * chunk), WIDTH at a time. If chunk is WIDTH, neighbouring work-items
// copy neighbouring elements.
kernel void peak_copy(global const real *from, global real *to, uint chunk)
{
    const size_t first = (size_t)get_global_id(0) * chunk;

    for (size_t i = first; i < first + chunk; i += WIDTH)
        store(load(from + i, WIDTH), to + i, WIDTH);
}
