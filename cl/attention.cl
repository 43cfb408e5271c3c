// SPDX-License-Identifier: MIT
// Attention pooling: everything but the matrix multiplies, which are launches of their own.
//
// Shapes: x, dx [T, N, C]; hidden, dhidden [T * N, A], where A is the size of the hidden layer that computes the
// scores; score, dscore, share (softmax of score over the steps of a sample) [T, N]; y, dy [N, C]; bias, v [A].
#include "reduce.h"

// hidden: on entry x weight^T, on return tanh(x weight^T + bias), and 0 in padding. score: the dot product of v and
// each row of hidden. A team of LANES work-items (reduce.h) computes `chunk` rows.
kernel void attention_score(global real *hidden, global const int *lengths, global const real *bias,
                            global const real *v, global real *score, uint rows, uint N, uint A, uint chunk,
                            local real *scratch)
{
    const uint last = min(rows, (TEAM + 1) * chunk);

    for (uint r = TEAM * chunk; r < last; r++) {
        const bool valid = row_valid(lengths, N, r);
        global real *h = hidden + (size_t)r * A;
        realv part = 0.0f;
        real sum;

        for (uint a = LANE * WIDTH; a < A; a += LANES * WIDTH) {
            realv value = 0.0f;

            if (valid)
                value = tanh_vec(load(h + a, A - a) + load(bias + a, A - a));
            store(value, h + a, A - a);
            part = fma(value, load(v + a, A - a), part);
        }
        sum = LANE_SUM(sum_of(part), scratch);
        if (LANE == 0)
            score[r] = sum;
    }
}

// Replaces score by its softmax over the valid steps of each sample, and by 0 in padding.
kernel void attention_softmax(global real *score, global const int *lengths, uint T, uint N)
{
    const uint n = get_global_id(0);
    const uint length = lengths == 0 ? T : (uint)clamp(lengths[min(n, N - 1)], 1, (int)T);
    real top = -INFINITY;
    kahan sum = kahan_zero();

    if (n >= N)
        return;
    for (uint t = 0; t < length; t++)
        top = fmax(top, score[(size_t)t * N + n]);
    for (uint t = 0; t < length; t++)
        sum = kahan_add(sum, (realv)exp(score[(size_t)t * N + n] - top));
    for (uint t = 0; t < T; t++)
        score[(size_t)t * N + n] = t < length ? exp(score[(size_t)t * N + n] - top) / sum_of(sum.sum) : 0.0f;
}

kernel void attention_sum(global const real *x, global const int *lengths, global const real *share,
                          global real *y, uint T, uint N, uint C)
{
    const uint c = get_global_id(0) * WIDTH, n = get_global_id(1), left = C - c;
    const size_t at = (size_t)n * C + c, stride = (size_t)N * C;
    kahan sum = kahan_zero();
    uint length;

    if (c >= C || n >= N)
        return;
    length = lengths == 0 ? T : (uint)clamp(lengths[n], 1, (int)T);
    for (uint t = 0; t < length; t++)
        sum = kahan_add(sum, share[(size_t)t * N + n] * load(x + at + t * stride, left));
    store(sum.sum, y + at, left);
}

// Writes to dscore[r] the gradient of share[r]: the dot product of x[r] and dy of the sample, and 0 in padding.
// attention_dscore then turns dscore into the gradient of score.
kernel void attention_dot(global const real *x, global const int *lengths, global const real *dy,
                          global real *dscore, uint rows, uint N, uint C, uint chunk, local real *scratch)
{
    const uint last = min(rows, (TEAM + 1) * chunk);

    for (uint r = TEAM * chunk; r < last; r++) {
        const uint end = row_valid(lengths, N, r) ? C : 0;
        global const real *a = x + (size_t)r * C, *b = dy + (size_t)(r % N) * C;
        realv part = 0.0f;
        real sum;

        for (uint c = LANE * WIDTH; c < end; c += LANES * WIDTH)
            part = fma(load(a + c, C - c), load(b + c, C - c), part);
        sum = LANE_SUM(sum_of(part), scratch);
        if (LANE == 0)
            dscore[r] = sum;
    }
}

// Backward of the softmax over a sample's steps. dscore: on entry the gradient of share, on return the gradient of
// score, share * (dscore - sum over steps of share * dscore).
kernel void attention_dscore(global const real *share, global real *dscore, uint T, uint N)
{
    const uint n = get_global_id(0);
    kahan sum = kahan_zero();
    real mean;

    if (n >= N)
        return;
    for (uint t = 0; t < T; t++)
        sum = kahan_add(sum, (realv)(share[(size_t)t * N + n] * dscore[(size_t)t * N + n]));
    mean = sum_of(sum.sum);
    for (uint t = 0; t < T; t++)
        dscore[(size_t)t * N + n] = share[(size_t)t * N + n] * (dscore[(size_t)t * N + n] - mean);
}

// Computes dhidden = dscore * v * (1 - hidden^2), the gradient before tanh, and weighted = dscore * hidden. The column
// sums of `weighted` are the gradient of v.
kernel void attention_dhidden(global const real *hidden, global const real *v, global const real *dscore,
                              global real *dhidden, global real *weighted, uint rows, uint A, uint chunk)
{
    const size_t last = min((size_t)rows * A, ((size_t)get_global_id(0) + 1) * chunk);

    for (size_t e = (size_t)get_global_id(0) * chunk; e < last;) {
        const uint r = (uint)(e / A);
        const size_t stop = min(last, ((size_t)r + 1) * A);

        for (uint a = (uint)(e - (size_t)r * A); e < stop; e += WIDTH, a += WIDTH) {
            const uint n = (uint)(stop - e);
            const realv h = load(hidden + e, n), d = (realv)(dscore[r]);

            store(d * load(v + a, n) * (1.0f - h * h), dhidden + e, n);
            store(d * h, weighted + e, n);
        }
        e = stop;
    }
}

// Adds share * dy to dx, which on entry holds the gradient that goes through the scores, and sets dx to 0 in padding.
kernel void attention_dx(global const real *share, global const int *lengths, global const real *dy,
                         global real *dx, uint rows, uint N, uint C, uint chunk)
{
    const size_t last = min((size_t)rows * C, ((size_t)get_global_id(0) + 1) * chunk);

    for (size_t e = (size_t)get_global_id(0) * chunk; e < last;) {
        const uint r = (uint)(e / C);
        const size_t stop = min(last, ((size_t)r + 1) * C);
        const bool valid = row_valid(lengths, N, r);
        global const real *d = dy + (size_t)(r % N) * C;

        for (uint c = (uint)(e - (size_t)r * C); e < stop; e += WIDTH, c += WIDTH) {
            const uint n = (uint)(stop - e);
            realv value = 0.0f;

            if (valid)
                value = load(dx + e, n) + share[r] * load(d + c, n);
            store(value, dx + e, n);
        }
        e = stop;
    }
}
