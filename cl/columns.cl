// SPDX-License-Identifier: MIT
// Sums the columns of a matrix in a fixed order, in two launches: column_sum adds up the rows of each block of rows,
// then block_sum adds up the sums of the blocks.
#include "reduce.h"

// Writes partial [blocks, C], the sums of x [rows, C] over the valid rows of each block. get_global_id(1) is the block.
kernel void column_sum(global const real *x, global const int *lengths, global real *partial, uint rows,
                       uint N, uint C, uint block_rows)
{
    const uint c = get_global_id(0) * WIDTH, block = get_global_id(1);
    const uint first = block * block_rows, last = min(rows, first + block_rows);
    total sum = total_zero();

    if (c >= C || first >= rows)
        return;
    for (uint r = first; r < last; sum = total_run(sum))
        for (const uint stop = min(last, r + RUN); r < stop; r++)
            if (row_valid(lengths, N, r))
                sum = total_add(sum, load(x + (size_t)r * C + c, C - c));
    store(sum.sum, partial + (size_t)block * C + c, C - c);
}

// Adds up partial [blocks, count] over the blocks, and writes the sums to out [count]. `partial` begins at element
// `start` of its buffer.
kernel void block_sum(global const real *partial, uint start, global real *out, uint blocks, uint count)
{
    const uint c = get_global_id(0) * WIDTH;
    kahan sum = kahan_zero();

    if (c >= count)
        return;
    for (uint b = 0; b < blocks; b++)
        sum = kahan_add(sum, load(partial + start + (size_t)b * count + c, count - c));
    store(sum.sum, out + c, count - c);
}

// Copies x into out [rows, C], with zeros in padding.
kernel void mask_rows(global const real *x, global const int *lengths, global real *out, uint rows, uint N,
                      uint C, uint chunk)
{
    const size_t count = (size_t)rows * C, last = min(count, ((size_t)get_global_id(0) + 1) * chunk);

    for (size_t e = (size_t)get_global_id(0) * chunk; e < last;) {
        const uint r = (uint)e / C;
        const size_t stop = min(last, ((size_t)r + 1) * C);

        if (row_valid(lengths, N, r))
            for (; e < stop; e += WIDTH)
                store(load(x + e, (uint)(stop - e)), out + e, (uint)(stop - e));
        else
            for (; e < stop; e += WIDTH)
                store((realv)(0.0f), out + e, (uint)(stop - e));
        e = stop;
    }
}
