// SPDX-License-Identifier: MIT
// Small kernels for tests of the device layer.
#include "common.h"
#include "random.h"
#include "slots.h"

#ifndef FIRST
#define FIRST 0
#define SECOND 0
#endif

kernel void add(global const real *a, global const real *b, global real *sum, uint count, real factor)
{
    const uint i = get_global_id(0);

    if (i < count)
        sum[i] = a[i] + factor * b[i];
}

// One work-item sets order[cursor[0]++] = mark, so that a test can check the order of launches.
kernel void note(global uint *cursor, global int *order, int mark)
{
    if (get_global_id(0) == 0)
        order[cursor[0]++] = mark;
}

// sums[g] = sum of `values` over the work-items of work-group g, computed through local memory.
kernel void group_sum(global const int *values, local int *share, global int *sums)
{
    const uint l = get_local_id(0);

    share[l] = values[get_global_id(0)];
    barrier(CLK_LOCAL_MEM_FENCE);
    if (l == 0) {
        int sum = 0;
        for (uint i = 0; i < get_local_size(0); i++)
            sum += share[i];
        sums[get_group_id(0)] = sum;
    }
}

// to[i] = 1 + from[count - 1 - i]
kernel void mirror(global const real *from, global real *to, uint count)
{
    const uint i = get_global_id(0);

    if (i < count)
        to[i] = 1.0f + from[count - 1 - i];
}

// answer[0] = 1 if the kernel sees a NULL buffer as NULL, else 0.
kernel void is_null(global const real *nothing, global int *answer)
{
    answer[0] = nothing == 0;
}

kernel void constants(global int *values)
{
    values[0] = FIRST;
    values[1] = SECOND;
    values[2] = RECORD_FIELDS;
}

// words [count, 4] = `count` blocks of 4 words each of a random sequence (stream), from block number `first` on.
kernel void blocks(global uint *words, uint seed_lo, uint seed_hi, uint stream, uint a, uint b, uint first,
                   uint count)
{
    const uint i = get_global_id(0);

    if (i >= count)
        return;
    vstore4(random_block(seed_lo, seed_hi, stream, a, b, first + i), i, words);
}

// values[2] = values[0] * values[1], which is a denormal number if the factors are small enough.
kernel void denormal(global real *values)
{
    values[2] = values[0] * values[1];
}
