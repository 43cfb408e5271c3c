// SPDX-License-Identifier: MIT
// Adds two tensors, copies columns from one matrix into another, and transposes the first two dimensions of a tensor.
#include "vector.h"

// Computes y = a + b; all are [count].
kernel void add(global const real *a, global const real *b, global real *y, uint count, uint chunk)
{
    const size_t last = min((size_t)count, ((size_t)get_global_id(0) + 1) * chunk);

    for (size_t e = (size_t)get_global_id(0) * chunk; e < last; e += WIDTH)
        store(load(a + e, (uint)(last - e)) + load(b + e, (uint)(last - e)), y + e, (uint)(last - e));
}

// Copies columns [from_first, from_first + C) of from [rows, from_width] to columns [to_first, to_first + C) of to
// [rows, to_width].
kernel void copy_columns(global const real *from, global real *to, uint rows, uint C, uint from_first,
                         uint from_width, uint to_first, uint to_width, uint chunk)
{
    const size_t last = min((size_t)rows * C, ((size_t)get_global_id(0) + 1) * chunk);

    for (size_t e = (size_t)get_global_id(0) * chunk; e < last;) {
        const uint r = (uint)e / C;
        const size_t stop = min(last, ((size_t)r + 1) * C);
        global const real *a = from + (size_t)r * from_width + from_first;
        global real *b = to + (size_t)r * to_width + to_first;

        for (uint c = (uint)(e - (size_t)r * C); e < stop; e += WIDTH, c += WIDTH)
            store(load(a + c, (uint)(stop - e)), b + c, (uint)(stop - e));
        e = stop;
    }
}

// Transposes the first two dimensions: to [B, A, C] = from [A, B, C].
kernel void swap_rows(global const real *from, global real *to, uint A, uint B, uint C, uint chunk)
{
    const size_t last = min((size_t)A * B * C, ((size_t)get_global_id(0) + 1) * chunk);

    for (size_t e = (size_t)get_global_id(0) * chunk; e < last;) {
        const uint r = (uint)(e / C), start = (uint)(e - (size_t)r * C);
        const size_t stop = min(last, ((size_t)r + 1) * C);
        global real *row = to + ((size_t)(r % B) * A + r / B) * C;

        for (uint c = start; e < stop; e += WIDTH, c += WIDTH)
            store(load(from + e, (uint)(stop - e)), row + c, (uint)(stop - e));
        e = stop;
    }
}
