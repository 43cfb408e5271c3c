// SPDX-License-Identifier: MIT
// Pooling over time. Define OVER, one of POOL_LAST, POOL_FINAL, POOL_MEAN and POOL_MAX, selects the pool.
//
// x, dx [T, N, C]; y, dy [N, C]; argmax [N, C] or NULL; lengths [N] or NULL. forward_features: for POOL_FINAL, how many
// of the C features are of the forward direction; otherwise C.
#include "enums.h"
#include "reduce.h"

static inline uint valid_steps(global const int *lengths, uint n, uint T)
{
    return lengths == 0 ? T : (uint)clamp(lengths[n], 1, (int)T);
}

#if OVER == POOL_LAST || OVER == POOL_FINAL
// Returns the time step from which each of the features c to c + WIDTH - 1 is taken: the last valid step, or step 0 for
// features of the backward direction.
static inline intv step_of(uint c, uint length, uint forward_features)
{
    return WHERE((intv)0, (intv)((int)length - 1), (int)c + INDEXES < (int)forward_features);
}
#endif

kernel void pool_fwd(global const real *x, global const int *lengths, global real *y, global int *argmax,
                     uint T, uint N, uint C, uint forward_features)
{
    const uint c = get_global_id(0) * WIDTH, n = get_global_id(1), left = C - c;
    const size_t at = (size_t)n * C + c, stride = (size_t)N * C;
    uint length;

    if (c >= C || n >= N)
        return;
    length = valid_steps(lengths, n, T);
#if OVER == POOL_LAST || OVER == POOL_FINAL
    {
        const realv first = load(x + at, left), last = load(x + at + (length - 1) * stride, left);

        store(WHERE(first, last, step_of(c, length, forward_features) == (int)length - 1), y + at, left);
    }
#elif OVER == POOL_MEAN
    {
        kahan sum = kahan_zero();

        for (uint t = 0; t < length; t++)
            sum = kahan_add(sum, load(x + at + t * stride, left));
        store(sum.sum / (real)length, y + at, left);
    }
#else
    {
        realv best = load(x + at, left);
        intv step = 0;

        for (uint t = 1; t < length; t++) {
            const realv v = load(x + at + t * stride, left);
            const intv above = AS_INTV(v > best);

            best = WHERE(best, v, above);
            step = WHERE(step, (intv)(int)t, above);
        }
        store(best, y + at, left);
        if (argmax != 0)
            store_int(step, argmax + at, left);
    }
#endif
}

// A work-item computes dx at `steps` time steps, from step get_global_id(2) * steps on.
kernel void pool_bwd(global const int *lengths, global const int *argmax, global const real *dy,
                     global real *dx, uint T, uint N, uint C, uint forward_features, uint steps)
{
    const uint c = get_global_id(0) * WIDTH, n = get_global_id(1), left = C - c;
    const uint first = get_global_id(2) * steps, last = min(T, first + steps);
    const size_t at = (size_t)n * C + c, stride = (size_t)N * C;
    uint length;
    realv g;

    if (c >= C || n >= N || first >= T)
        return;
    length = valid_steps(lengths, n, T);
    g = load(dy + at, left);
#if OVER == POOL_MEAN
    g /= (real)length;
    for (uint t = first; t < last; t++)
        store(t < length ? g : (realv)(0.0f), dx + at + t * stride, left);
#else
    {
#if OVER == POOL_MAX
        const intv step = load_int(argmax + at, left);
#else
        const intv step = step_of(c, length, forward_features);
#endif
        for (uint t = first; t < last; t++)
            store(WHERE((realv)(0.0f), g, step == (int)t), dx + at + t * stride, left);
    }
#endif
}
