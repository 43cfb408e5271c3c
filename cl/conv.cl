// SPDX-License-Identifier: MIT
// Convolution over time is a matrix multiply of `columns` and the weights (im2col). In forward, conv_gather copies rows
// of x to `columns`. In backward, conv_scatter sums the gradients in `columns` into dx. conv_swap reorders the weights.
//
// Shapes: x, dx [T, N, C]; columns [T_out * N, K, C]; weight [O, C, K] and, for the multiplies, [O, K, C].
#include "vector.h"

// Copies `count` numbers, first in vectors of WIDTH, then in vectors of 8, because rows are often shorter than WIDTH.
static inline void copy(global real *to, global const real *from, uint count)
{
    uint i = 0;

    for (; WIDTH > 1 && i + WIDTH <= count; i += WIDTH)
        vec_store(vec_load(0, from + i), 0, to + i);
    for (; i + 8 <= count; i += 8)
        vstore8(vload8(0, from + i), 0, to + i);
    ROLLED for (; i < count; i++)
        to[i] = from[i];
}

// Writes to columns[r, k] the row of x that tap k reads for output row r, or zeros if this row is outside the sample.
kernel void conv_gather(global const real *x, global const int *lengths, global real *columns, uint T, uint N,
                        uint C, uint T_out, uint K, uint stride, uint dilation, uint padding, uint chunk)
{
    const size_t count = (size_t)T_out * N * K * C, last = min(count, ((size_t)get_global_id(0) + 1) * chunk);

    size_t e = (size_t)get_global_id(0) * chunk, tap = e / C;
    uint c = (uint)(e - tap * C), k = (uint)(tap % K), r = (uint)(tap / K), n = r % N, t_out = r / N;

    while (e < last) {
        const size_t stop = min(last, e + (C - c));
        const int t = (int)(t_out * stride + k * dilation) - (int)padding;
        const int length = lengths != 0 ? min(lengths[n], (int)T) : (int)T;

        if (t >= 0 && t < length)
            copy(columns + e, x + ((size_t)t * N + n) * C + c, (uint)(stop - e));
        else
            ROLLED for (; e < stop; e += WIDTH)
                store((realv)(0.0f), columns + e, (uint)(stop - e));
        e = stop;
        c = 0;
        if (++k == K) {
            k = 0;
            if (++n == N) {
                n = 0;
                t_out++;
            }
        }
    }
}

// Computes each row of dx: adds up the gradients, which are in `columns`, of all taps that read the row. The order of
// additions is that of k.
kernel void conv_scatter(global const real *columns, global const int *lengths, global real *dx, uint T,
                         uint N, uint C, uint T_out, uint K, uint stride, uint dilation, uint padding,
                         uint chunk)
{
    const size_t count = (size_t)T * N * C, last = min(count, ((size_t)get_global_id(0) + 1) * chunk);

    for (size_t e = (size_t)get_global_id(0) * chunk; e < last;) {
        const uint r = (uint)(e / C), t = r / N, n = r % N;
        const size_t stop = min(last, ((size_t)r + 1) * C);
        const bool valid = lengths == 0 || (int)t < lengths[n];

        for (uint c = (uint)(e - (size_t)r * C); e < stop; e += WIDTH, c += WIDTH) {
            realv sum = 0.0f;

            for (uint k = 0; valid && k < K; k++) {
                const int from = (int)(t + padding) - (int)(k * dilation);

                if (from >= 0 && from % (int)stride == 0 && (uint)from / stride < T_out)
                    sum += load(columns + (((size_t)((uint)from / stride) * N + n) * K + k) * C + c,
                                (uint)(stop - e));
            }
            store(sum, dx + e, (uint)(stop - e));
        }
        e = stop;
    }
}

// Swaps the last two dimensions: out [O, second, first] = in [O, first, second].
kernel void conv_swap(global const real *in, global real *out, uint O, uint first, uint second)
{
    const uint i = get_global_id(0), o = get_global_id(1);

    if (o >= O || i >= first * second)
        return;
    out[(size_t)o * first * second + i] = in[(size_t)o * first * second + i % first * second + i / first];
}
