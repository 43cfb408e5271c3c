// SPDX-License-Identifier: MIT
// Activations of single numbers, and of rows (softmax, log_softmax), with their gradients. Define FUNCTION, one of
// FUNCTION_... (src/ops/pointwise.h), selects the activation. x, y, dy, dx [rows, C]. first, second: parameters of the
// function. lengths may be NULL. scratch: local memory for LANES numbers, used only by functions of rows.
#include "enums.h"
#include "reduce.h"

#if FUNCTION < FUNCTION_SOFTMAX
#define GELU_K 0.79788456f // sqrt(2 / pi)
#define GELU_CUBE 0.044715f
#define ROOT_HALF 0.70710678f

static inline realv value(realv x, real a, real b)
{
#if FUNCTION == FUNCTION_RELU
    return WHERE(x, (realv)(0.0f), x < 0.0f); // NaN stays NaN
#elif FUNCTION == FUNCTION_TANH
    return tanh_vec(x);
#elif FUNCTION == FUNCTION_SIGMOID
    return sigmoid_vec(x);
#elif FUNCTION == FUNCTION_LEAKY_RELU
    return WHERE(a * x, x, x > 0.0f);
#elif FUNCTION == FUNCTION_ELU
    return WHERE(a * expm1(x), x, x > 0.0f);
#elif FUNCTION == FUNCTION_GELU
    return 0.5f * x * erfc(-ROOT_HALF * x);
#elif FUNCTION == FUNCTION_GELU_TANH
    return x * sigmoid_vec(2.0f * GELU_K * (x + GELU_CUBE * x * x * x)); // (1 + tanh u) / 2 = sigmoid(2 u)
#elif FUNCTION == FUNCTION_SILU
    return x * sigmoid_vec(x);
#elif FUNCTION == FUNCTION_SOFTPLUS
    return WHERE(log1p(exp(a * x)) / a, x, a * x > b);
#else
    return rint(x);
#endif
}

// Returns dx. relu, tanh and sigmoid compute dx from y, the other functions from x. dx of round is 0.
static inline realv gradient(realv x, realv y, realv dy, real a, real b)
{
#if FUNCTION == FUNCTION_RELU
    return WHERE((realv)(0.0f), dy, y > 0.0f);
#elif FUNCTION == FUNCTION_TANH
    return dy * (1.0f - y * y);
#elif FUNCTION == FUNCTION_SIGMOID
    return dy * (1.0f - y) * y;
#elif FUNCTION == FUNCTION_LEAKY_RELU
    return WHERE(a * dy, dy, x > 0.0f);
#elif FUNCTION == FUNCTION_ELU
    return WHERE(dy * a * exp(x), dy, x > 0.0f);
#elif FUNCTION == FUNCTION_GELU
    return dy * (0.5f * erfc(-ROOT_HALF * x) + 0.5f * GELU_K * x * exp(-0.5f * x * x));
#elif FUNCTION == FUNCTION_GELU_TANH
    const realv u = 2.0f * GELU_K * (x + GELU_CUBE * x * x * x), s = sigmoid_vec(u);
    const realv slope = 2.0f * GELU_K * (1.0f + 3.0f * GELU_CUBE * fmin(x * x, (realv)(1e6f))); // fmin avoids 0 * inf

    return dy * s * (1.0f + x * sigmoid_vec(-u) * slope);
#elif FUNCTION == FUNCTION_SILU
    const realv s = sigmoid_vec(x);

    return dy * s * (1.0f + x * (1.0f - s));
#elif FUNCTION == FUNCTION_SOFTPLUS
    return WHERE(dy * sigmoid_vec(a * x), dy, a * x > b);
#else
    return (realv)(0.0f);
#endif
}

// Finds a range of elements that begins at e and is either all valid or all padding. Returns the end of the range, at
// most `last`. Sets *valid to whether the elements are valid.
static inline size_t run_end(global const int *lengths, uint N, uint C, size_t e, size_t last, bool *valid)
{
    const uint r = (uint)e / C;

    *valid = row_valid(lengths, N, r);
    return lengths == 0 ? last : min(last, ((size_t)r + 1) * C);
}

kernel void pointwise_fwd(global const real *x, global const int *lengths, global real *y, uint rows, uint N,
                          uint C, real first, real second, uint chunk, local real *scratch)
{
    const size_t last = min((size_t)rows * C, ((size_t)get_global_id(0) + 1) * chunk);
    bool valid;

    for (size_t e = (size_t)get_global_id(0) * chunk; e < last;) {
        const size_t stop = run_end(lengths, N, C, e, last, &valid);

        for (; e < stop; e += WIDTH)
            store(valid ? value(load(x + e, (uint)(stop - e)), first, second) : (realv)(0.0f), y + e,
                  (uint)(stop - e));
        e = stop;
    }
}

kernel void pointwise_bwd(global const real *x, global const int *lengths, global const real *y,
                          global const real *dy, global real *dx, uint rows, uint N, uint C, real first,
                          real second, uint chunk, local real *scratch)
{
    const size_t last = min((size_t)rows * C, ((size_t)get_global_id(0) + 1) * chunk);
    bool valid;

    for (size_t e = (size_t)get_global_id(0) * chunk; e < last;) {
        const size_t stop = run_end(lengths, N, C, e, last, &valid);

        for (; e < stop; e += WIDTH) {
            const uint n = (uint)(stop - e);

#if FUNCTION > FUNCTION_ROUND
            const realv v = load(x + e, n);
#else
            const realv v = 0.0f;
#endif
            store(valid ? gradient(v, load(y + e, n), load(dy + e, n), first, second) : (realv)(0.0f), dx + e,
                  n);
        }
        e = stop;
    }
}
#else
// A team of LANES work-items (reduce.h) computes `chunk` rows. A padding row takes part in the reductions, whose
// barriers all work-items must reach, but without elements.
kernel void pointwise_fwd(global const real *x, global const int *lengths, global real *y, uint rows, uint N,
                          uint C, real first, real second, uint chunk, local real *scratch)
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
        top = LANE_MAX(max_of(part), scratch);
        part = 0.0f;
        for (uint c = LANE * WIDTH; c < end; c += LANES * WIDTH) {
            const realv v = exp_vec(load_or(a + c, C - c, -INFINITY) - top);

            part += v;
#if FUNCTION == FUNCTION_SOFTMAX
            store(v, b + c, C - c);
#endif
        }
        sum = LANE_SUM(sum_of(part), scratch);
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

kernel void pointwise_bwd(global const real *x, global const int *lengths, global const real *y,
                          global const real *dy, global real *dx, uint rows, uint N, uint C, real first,
                          real second, uint chunk, local real *scratch)
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
        sum = LANE_SUM(sum_of(part), scratch);
        for (uint c = LANE * WIDTH; c < C; c += LANES * WIDTH) {
            realv v = 0.0f;

            if (valid)
#if FUNCTION == FUNCTION_SOFTMAX
                v = load(a + c, C - c) * (load(b + c, C - c) - sum);
#else
                v = load(b + c, C - c) - exp_vec(load(a + c, C - c)) * sum;
#endif
            store(v, d + c, C - c);
        }
    }
}
#endif
