// SPDX-License-Identifier: MIT
// Functions of single numbers and of rows (softmax), with their gradients. Needs -DFUNCTION.
// x, y, dy, dx [rows, C]; lengths may be NULL; room: memory for LANES numbers, for rows.
#include "enums.h"
#include "reduce.h"

#if FUNCTION < FUNCTION_SOFTMAX
static inline realv value(realv x)
{
#if FUNCTION == FUNCTION_RELU
    return WHERE(x, (realv)(0.0f), x < 0.0f); // NaN stays
#elif FUNCTION == FUNCTION_TANH
    return tanh(x);
#elif FUNCTION == FUNCTION_SIGMOID
    return 1.0f / (1.0f + exp(-x));
#else
    return rint(x);
#endif
}

static inline realv gradient(realv y, realv dy)
{
#if FUNCTION == FUNCTION_RELU
    return WHERE((realv)(0.0f), dy, y > 0.0f);
#elif FUNCTION == FUNCTION_TANH
    return dy * (1.0f - y * y);
#elif FUNCTION == FUNCTION_SIGMOID
    return dy * (1.0f - y) * y;
#else
    return (realv)(0.0f);
#endif
}

// The end of the run of elements from e on, before `last`, that are padding all or none.
static inline size_t run_end(global const int *lengths, uint N, uint C, size_t e, size_t last, bool *valid)
{
    const uint r = (uint)e / C;

    *valid = row_valid(lengths, N, r);
    return lengths == 0 ? last : min(last, ((size_t)r + 1) * C);
}

kernel void pointwise_fwd(global const real *x, global const int *lengths, global real *y, uint rows, uint N,
                          uint C, uint chunk, local real *room)
{
    const size_t last = min((size_t)rows * C, ((size_t)get_global_id(0) + 1) * chunk);
    bool valid;

    for (size_t e = (size_t)get_global_id(0) * chunk; e < last;) {
        const size_t stop = run_end(lengths, N, C, e, last, &valid);

        for (; e < stop; e += WIDTH)
            store(valid ? value(load(x + e, (uint)(stop - e))) : (realv)(0.0f), y + e, (uint)(stop - e));
        e = stop;
    }
}

kernel void pointwise_bwd(global const int *lengths, global const real *y, global const real *dy,
                          global real *dx, uint rows, uint N, uint C, uint chunk, local real *room)
{
    const size_t last = min((size_t)rows * C, ((size_t)get_global_id(0) + 1) * chunk);
    bool valid;

    for (size_t e = (size_t)get_global_id(0) * chunk; e < last;) {
        const size_t stop = run_end(lengths, N, C, e, last, &valid);

        for (; e < stop; e += WIDTH) {
            const uint n = (uint)(stop - e);

            store(valid ? gradient(load(y + e, n), load(dy + e, n)) : (realv)(0.0f), dx + e, n);
        }
        e = stop;
    }
}
#else
// A team of LANES items takes `chunk` rows; in padding sums are over nothing.
kernel void pointwise_fwd(global const real *x, global const int *lengths, global real *y, uint rows, uint N,
                          uint C, uint chunk, local real *room)
{
    const uint last = min(rows, (TEAM + 1) * chunk);

    for (uint r = TEAM * chunk; r < last; r++) {
        const bool valid = row_valid(lengths, N, r);
        const uint end = valid ? C : 0;
        global const real *a = x + (size_t)r * C;
        global real *b = y + (size_t)r * C;
        realv part = -INFINITY;
        real top, sum;

        for (uint c = LANE * WIDTH; c < end; c += LANES * WIDTH)
            part = fmax(part, load_or(a + c, C - c, -INFINITY));
        top = LANE_MAX(max_of(part), room);
        part = 0.0f;
        for (uint c = LANE * WIDTH; c < end; c += LANES * WIDTH) {
            const realv v = exp(load_or(a + c, C - c, -INFINITY) - top);

            part += v;
#if FUNCTION == FUNCTION_SOFTMAX
            store(v, b + c, C - c);
#endif
        }
        sum = LANE_SUM(sum_of(part), room);
#if FUNCTION == FUNCTION_LOG_SOFTMAX
        sum = log(sum);
#endif
        for (uint c = LANE * WIDTH; c < C; c += LANES * WIDTH) {
            realv v = 0.0f;

            if (valid)
#if FUNCTION == FUNCTION_SOFTMAX
                v = load(b + c, C - c) / sum;
#else
                v = (load(a + c, C - c) - top) - sum;
#endif
            store(v, b + c, C - c);
        }
    }
}

kernel void pointwise_bwd(global const int *lengths, global const real *y, global const real *dy,
                          global real *dx, uint rows, uint N, uint C, uint chunk, local real *room)
{
    const uint last = min(rows, (TEAM + 1) * chunk);

    for (uint r = TEAM * chunk; r < last; r++) {
        const bool valid = row_valid(lengths, N, r);
        const uint end = valid ? C : 0;
        global const real *a = y + (size_t)r * C, *b = dy + (size_t)r * C;
        global real *d = dx + (size_t)r * C;
        realv part = 0.0f;
        real sum;

        for (uint c = LANE * WIDTH; c < end; c += LANES * WIDTH)
#if FUNCTION == FUNCTION_SOFTMAX
            part += load(a + c, C - c) * load(b + c, C - c);
#else
            part += load(b + c, C - c);
#endif
        sum = LANE_SUM(sum_of(part), room);
        for (uint c = LANE * WIDTH; c < C; c += LANES * WIDTH) {
            realv v = 0.0f;

            if (valid)
#if FUNCTION == FUNCTION_SOFTMAX
                v = load(a + c, C - c) * (load(b + c, C - c) - sum);
#else
                v = load(b + c, C - c) - exp(load(a + c, C - c)) * sum;
#endif
            store(v, d + c, C - c);
        }
    }
}
#endif
