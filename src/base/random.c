// SPDX-License-Identifier: MIT
// Philox 4x32-10 on the host, through Random123.
#include "base/random.h"

#include <math.h>

#include <Random123/philox.h>

void clrnn_random_block(const struct clrnn_random *r, uint32_t index, uint32_t words[4])
{
    const philox4x32_ctr_t counter = {{index, r->a, r->b, r->stream}};
    const philox4x32_key_t key = {{(uint32_t)r->seed, (uint32_t)(r->seed >> 32)}};
    const philox4x32_ctr_t out = philox4x32(counter, key);

    for (int i = 0; i < 4; i++)
        words[i] = out.v[i];
}

uint32_t clrnn_random_u32(const struct clrnn_random *r, uint64_t index)
{
    uint32_t words[4];

    clrnn_random_block(r, (uint32_t)(index / 4), words);
    return words[index % 4];
}

float clrnn_random_uniform(const struct clrnn_random *r, uint64_t index)
{
    return (float)(clrnn_random_u32(r, index) >> 8) * 0x1p-24f;
}

double clrnn_random_normal(const struct clrnn_random *r, uint64_t index)
{
    const double two_pi = 6.283185307179586476925;
    const double u = ((double)clrnn_random_u32(r, 2 * index) + 1.0) * 0x1p-32; // (0, 1]
    const double v = (double)clrnn_random_u32(r, 2 * index + 1) * 0x1p-32;

    return sqrt(-2.0 * log(u)) * cos(two_pi * v);
}

float clrnn_random_normal_portable(const struct clrnn_random *r, uint64_t index)
{
    int64_t sum = 0; // of twelve uniform numbers, each of variance 1/12: the sum has variance 1

    for (uint64_t i = 0; i < 6; i++) {
        const uint32_t word = clrnn_random_u32(r, 6 * index + i);

        sum += (int64_t)(word & 0xffff) + (int64_t)(word >> 16);
    }
    // A 16-bit number k stands for the uniform number (k + 0.5) / 65536. The mean of the sum, 6, is subtracted.
    return (float)((double)(2 * sum + 12 - 12 * 65536) / 131072.0);
}

void clrnn_random_permutation(const struct clrnn_random *r, uint32_t count, uint32_t *order)
{
    uint64_t next = 0;

    for (uint32_t i = 0; i < count; i++)
        order[i] = i;
    for (uint32_t i = count; i > 1; i--) {
        const uint32_t unbiased = UINT32_MAX - UINT32_MAX % i; // draws of this value or more are rejected
        uint32_t draw, kept;

        do
            draw = clrnn_random_u32(r, next++);
        while (draw >= unbiased);
        draw %= i;
        kept = order[i - 1];
        order[i - 1] = order[draw];
        order[draw] = kept;
    }
}
