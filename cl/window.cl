// SPDX-License-Identifier: MIT
// Maximum and mean of windows over time. x, dx [T, N, C]; y, dy, argmax [T_out, N, C]; lengths may be NULL.
// Needs -DMEAN and -DCOUNT_PADDING (the mean divides by K).
#include "vector.h"

#ifndef MEAN
#define MEAN 0
#endif
#ifndef COUNT_PADDING
#define COUNT_PADDING 0
#endif

// Steps of sample n, at most T.
static inline int steps_of(global const int *lengths, uint n, uint T)
{
    return lengths != 0 ? min(lengths[n], (int)T) : (int)T;
}

// How many steps of window t lie in a sample of `length` steps: what its sum is divided by.
static inline real divisor(uint t, int length, uint K, uint stride, uint padding)
{
#if COUNT_PADDING
    return (real)K;
#else
    const int first = (int)(t * stride) - (int)padding;

    return (real)max(min(first + (int)K, length) - max(first, 0), 1);
#endif
}

kernel void window_fwd(global const real *x, global const int *old_lengths, global const int *new_lengths,
                       global real *y, global int *argmax, uint T, uint N, uint C, uint T_out, uint K,
                       uint stride, uint dilation, uint padding)
{
    const uint c = get_global_id(0) * WIDTH, n = get_global_id(1), t = get_global_id(2), left = C - c;
    const size_t at = ((size_t)t * N + n) * C + c;
    const int first = (int)(t * stride) - (int)padding;
    int length;

    if (c >= C || n >= N || t >= T_out)
        return;
    length = (int)t < steps_of(new_lengths, n, T_out) ? steps_of(old_lengths, n, T) : 0;
#if MEAN
    {
        realv sum = 0.0f;

        for (uint k = 0; k < K; k++) {
            const int step = first + (int)(k * dilation);

            if (step >= 0 && step < length)
                sum += load(x + ((size_t)step * N + n) * C + c, left);
        }
        store(length > 0 ? sum / divisor(t, length, K, stride, padding) : (realv)(0.0f), y + at, left);
    }
#else
    {
        realv best = length > 0 ? (realv)(-INFINITY) : (realv)(0.0f);
        intv taken = -1;

        for (uint k = 0; k < K; k++) {
            const int step = first + (int)(k * dilation);

            if (step >= 0 && step < length) {
                const realv v = load(x + ((size_t)step * N + n) * C + c, left);
                // the first one, the first of equals, and any NaN
                const intv take = AS_INTV(v > best) | AS_INTV(v != v) | (taken < 0);

                best = WHERE(best, v, take);
                taken = WHERE(taken, (intv)step, take);
            }
        }
        store(best, y + at, left);
        if (argmax != 0)
            store_int(taken, argmax + at, left);
    }
#endif
}

// dx: the sum over the windows that a step lies in, in the order of k.
kernel void window_bwd(global const int *old_lengths, global const int *new_lengths, global const int *argmax,
                       global const real *dy, global real *dx, uint T, uint N, uint C, uint T_out, uint K,
                       uint stride, uint dilation, uint padding)
{
    const uint c = get_global_id(0) * WIDTH, n = get_global_id(1), t = get_global_id(2), left = C - c;
    realv sum = 0.0f;
    int length, windows;

    if (c >= C || n >= N || t >= T)
        return;
    length = steps_of(old_lengths, n, T);
    windows = (int)t < length ? steps_of(new_lengths, n, T_out) : 0;
    for (uint k = 0; k < K; k++) {
        const int from = (int)(t + padding) - (int)(k * dilation);
        const int window = from >= 0 && from % (int)stride == 0 ? from / (int)stride : windows;

        if (window < windows) {
            const size_t at = ((size_t)window * N + n) * C + c;
            const realv d = load(dy + at, left);

#if MEAN
            sum += d / divisor((uint)window, length, K, stride, padding);
#else
            sum += WHERE((realv)(0.0f), d, load_int(argmax + at, left) == (int)t);
#endif
        }
    }
    store(sum, dx + ((size_t)t * N + n) * C + c, left);
}

// span: steps of a window less all padding
kernel void window_lengths(global const int *old, global int *new, uint N, uint T_out, int span, uint stride)
{
    const uint n = get_global_id(0);

    if (n < N)
        new[n] = old[n] < span ? 0 : min((old[n] - span) / (int)stride + 1, (int)T_out);
}
