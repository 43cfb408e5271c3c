// SPDX-License-Identifier: MIT
// Measures the peak of a device: multiply-adds in registers, and copying.
//
// Defines: WIDTH, on CPUs that of a register, because sums in wider vectors need more registers than there are.
#include "vector.h"

#define CHAINS 12 // independent sums: more than any device needs to hide an fma's latency

// Each work-item does rounds * CHAINS * WIDTH multiply-adds. `out` keeps compilers from dropping them.
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

// Work-item i copies `chunk` elements from i * chunk on, WIDTH at a time. With chunk == WIDTH neighbouring work-items
// copy neighbouring elements.
kernel void peak_copy(global const real *from, global real *to, uint chunk)
{
    const size_t first = (size_t)get_global_id(0) * chunk;

    for (size_t i = first; i < first + chunk; i += WIDTH)
        store(load(from + i, WIDTH), to + i, WIDTH);
}
