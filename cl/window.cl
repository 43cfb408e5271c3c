// SPDX-License-Identifier: MIT
// Maximum and mean over windows of K time steps (max_pool1d, avg_pool1d). A work-item computes `columns` columns of
// `samples` samples at one step.
//   x, dx          [T, N, C]
//   y, dy, argmax  [T_out, N, C]; step t of y is window t
//   old_lengths    [N]: number of steps of each sample in x; may be NULL
//   new_lengths    [N]: number of windows of each sample; may be NULL
//
// Defines: MEAN, whether y is the mean and not the maximum; COUNT_PADDING, whether the mean divides by K and not by the
// number of steps that are in the sample; WIDTH as in vector.h.
#include "vector.h"

#ifndef MEAN
#define MEAN 0
#endif
#ifndef COUNT_PADDING
#define COUNT_PADDING 0
#endif

// Returns the number of steps of sample n, at most T.
static inline int steps_of(global const int *lengths, uint n, uint T)
{
    return lengths != 0 ? min(lengths[n], (int)T) : (int)T;
}

// Returns the divisor of the mean of window t: K, or the number of its steps that are inside the sample, which has
// `length` steps.
static inline real divisor(uint t, int length, uint K, uint stride, uint padding)
{
#if COUNT_PADDING
    return (real)K;
#else
    const int first = (int)(t * stride) - (int)padding;

    return (real)max(min(first + (int)K, length) - max(first, 0), 1);
#endif
}

// Computes columns [c, c + WIDTH) of y for window t of sample n. The sample has `length` steps; if length is 0, row t
// of y is padding.
static inline void forward_at(global const real *x, int length, global real *y, global int *argmax, uint t, uint n,
                              uint c, uint N, uint C, uint K, uint stride, uint dilation, uint padding)
{
    const uint left = C - c;
    const size_t at = ((size_t)t * N + n) * C + c;
    const int first = (int)(t * stride) - (int)padding;

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
                // Takes the first valid step, then each larger number and each NaN. Of equal numbers the first stays.
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

kernel void window_fwd(global const real *x, global const int *old_lengths, global const int *new_lengths,
                       global real *y, global int *argmax, uint T, uint N, uint C, uint T_out, uint K,
                       uint stride, uint dilation, uint padding, uint columns, uint samples)
{
    const uint c_first = get_global_id(0) * columns, n_first = get_global_id(1) * samples, t = get_global_id(2);

    if (t >= T_out)
        return;
    for (uint n = n_first; n < min(N, n_first + samples); n++) {
        const int length = (int)t < steps_of(new_lengths, n, T_out) ? steps_of(old_lengths, n, T) : 0;

        for (uint c = c_first; c < min(C, c_first + columns); c += WIDTH)
            forward_at(x, length, y, argmax, t, n, c, N, C, K, stride, dilation, padding);
    }
}

// Computes columns [c, c + WIDTH) of dx at step t. Adds up the gradients from all windows that contain the step, in the
// order of k, the position of the step in the window. The sample has `windows` windows; if windows is 0, the step is
// padding.
static inline void backward_at(int length, int windows, global const int *argmax, global const real *dy,
                               global real *dx, uint t, uint n, uint c, uint N, uint C, uint K, uint stride,
                               uint dilation, uint padding)
{
    const uint left = C - c;
    realv sum = 0.0f;

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

kernel void window_bwd(global const int *old_lengths, global const int *new_lengths, global const int *argmax,
                       global const real *dy, global real *dx, uint T, uint N, uint C, uint T_out, uint K,
                       uint stride, uint dilation, uint padding, uint columns, uint samples)
{
    const uint c_first = get_global_id(0) * columns, n_first = get_global_id(1) * samples, t = get_global_id(2);

    if (t >= T)
        return;
    for (uint n = n_first; n < min(N, n_first + samples); n++) {
        const int length = steps_of(old_lengths, n, T);
        const int windows = (int)t < length ? steps_of(new_lengths, n, T_out) : 0;

        for (uint c = c_first; c < min(C, c_first + columns); c += WIDTH)
            backward_at(length, windows, argmax, dy, dx, t, n, c, N, C, K, stride, dilation, padding);
    }
}

// Writes the number of windows of each sample. span: the number of steps that a window covers, minus the padding at
// both ends of a sample.
kernel void window_lengths(global const int *old, global int *new, uint N, uint T_out, int span, uint stride)
{
    const uint n = get_global_id(0);

    if (n < N)
        new[n] = old[n] < span ? 0 : min((old[n] - span) / (int)stride + 1, (int)T_out);
}
