// SPDX-License-Identifier: MIT
// Counter-based random numbers in kernels: Philox 4x32-10 from Random123's header. As in src/base/random.h, the key is
// the seed and the counter is {index, a, b, stream}.
#ifndef CLRNN_CL_RANDOM_H
#define CLRNN_CL_RANDOM_H

#define R123_STATIC_INLINE static inline // as in C99, `inline` without `static` may leave a function undefined
#include <Random123/philox.h>

// Returns four random words, those of counter {index, a, b, stream}. Word k is for element 4 * index + k.
static inline uint4 random_block(uint seed_lo, uint seed_hi, uint stream, uint a, uint b, uint index)
{
    const philox4x32_ctr_t counter = {{index, a, b, stream}};
    const philox4x32_key_t key = {{seed_lo, seed_hi}};
    const philox4x32_ctr_t out = philox4x32(counter, key);

    return (uint4)(out.v[0], out.v[1], out.v[2], out.v[3]);
}

#endif
