// SPDX-License-Identifier: MIT
// Makes a batch from a data set: gathers samples by index, makes them time-major, normalises x, and sets padding to 0
// (tokens to -1, class targets to INT_MIN).
//
// Defines:
//   TOKENS        whether x has tokens (ints); otherwise x has reals
//   TARGET        what targets are: 0 none, 1 ints, 2 reals
//   TARGET_STEPS  whether each step has a target; otherwise each sample has one
//   TARGETS       numbers in a target
//   WIDTH         as in vector.h
#include "slots.h"
#include "vector.h"

#if TOKENS
typedef int x_type;
#else
typedef real x_type;
#endif
#if TARGET == 2
typedef real target_type;
#define NO_TARGET 0.0f
#else
typedef int target_type;
#define NO_TARGET INT_MIN
#endif

// The data set has S samples, the batch N.
//   x, out_x              [S, T_data, C], [T, N, C]
//   y, out_y              [S, TARGETS], [N, TARGETS] or, with TARGET_STEPS, [S, T_data, TARGETS], [T, N, TARGETS];
//                         both NULL: no targets
//   lengths, out_lengths  [S], [N]; each may be NULL
//   weight, out_weight    [S], [N]; both NULL: no weights
//   index                 [N]: the samples of the batch
//   mean, deviation       [C]; both NULL: x is not normalised
//
// A work-item writes `chunk` rows of out_x or, if chunk is 0, a single number. If counter is not NULL, the batch begins
// at step COUNTER_FIRST of the samples.
kernel void feed(global const x_type *x, global const target_type *y, global const int *lengths,
                 global const uint *index, global const real *mean, global const real *deviation,
                 global const real *weight, global const uint *counter, global x_type *out_x,
                 global target_type *out_y, global int *out_lengths, global real *out_weight, uint T, uint N,
                 uint C, uint T_data, uint chunk)
{
    const size_t id = get_global_id(0), rows = (size_t)T * N;
    const size_t first = chunk == 0 ? id / C : id * chunk;
    const size_t last = min(rows, chunk == 0 ? first + 1 : first + chunk);
    const uint begin = counter ? counter[COUNTER_FIRST] : 0;
    const uint start = chunk == 0 ? (uint)(id - first * C) : 0, stop = chunk == 0 ? start + 1 : C;

    for (size_t r = first; r < last; r++) {
        const uint t = (uint)r / N, n = (uint)r % N, s = index[n];
        const size_t source = (size_t)s * T_data + begin + t;
        const int length = lengths != 0 ? clamp(lengths[s] - (int)begin, 0, (int)T) : (int)T;
        const bool valid = (int)t < length;

#if TOKENS
        for (uint c = start; c < stop; c++)
            out_x[r * C + c] = valid ? x[source * C + c] : -1;
#else
        ROLLED for (uint c = start; c < stop; c += WIDTH) {
            realv v = 0.0f;

            if (valid) {
                v = load(x + source * C + c, stop - c);
                if (mean != 0)
                    v = (v - load(mean + c, stop - c)) / load_or(deviation + c, stop - c, 1.0f);
            }
            store(v, out_x + r * C + c, stop - c);
        }
#endif
        if (start > 0)
            continue;
#if TARGET && TARGET_STEPS
        for (uint o = 0; o < TARGETS; o++)
            out_y[r * TARGETS + o] = valid ? y[source * TARGETS + o] : NO_TARGET;
#elif TARGET
        for (uint o = 0; t == 0 && o < TARGETS; o++)
            out_y[(size_t)n * TARGETS + o] = y[(size_t)s * TARGETS + o];
#endif
        if (t == 0 && out_lengths != 0)
            out_lengths[n] = length;
        if (t == 0 && out_weight != 0)
            out_weight[n] = weight[s];
    }
}

// Gathers targets that do not have as many steps as x (ctc). Copies the first `steps` steps of y
// [S, steps_data, TARGETS] to out_y [steps, N, TARGETS]. Copies lengths [S] to out_lengths [N] unless out_lengths is
// NULL.
kernel void feed_targets(global const target_type *y, global const int *lengths, global const uint *index,
                         global target_type *out_y, global int *out_lengths, uint steps, uint N,
                         uint steps_data)
{
    const uint r = get_global_id(0), t = r / N, n = r % N;

    if (t >= steps)
        return;
    for (uint o = 0; o < TARGETS; o++)
        out_y[(size_t)r * TARGETS + o] = y[((size_t)index[n] * steps_data + t) * TARGETS + o];
    if (t == 0 && out_lengths != 0)
        out_lengths[n] = lengths[index[n]];
}
