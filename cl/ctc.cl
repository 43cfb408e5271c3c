// SPDX-License-Identifier: MIT
// Connectionist temporal classification. x, dx [T, N, C]; target [L, N]; stats [T * N, 2] and best [T * N] of
// each row; alpha [T, N, 2 L + 1], beta [2, N, 2 L + 1]: states are blanks and labels in turn, from a blank
// to a blank. LANES work-items take a sample together.
#include "reduce.h"
#include "slots.h"

#if LANES > 1
#define LANE_FENCE() barrier(CLK_LOCAL_MEM_FENCE | CLK_GLOBAL_MEM_FENCE)
#else
#define LANE_FENCE()
#endif

// What the sample's functions work on.
typedef struct {
    global const real *x;
    global const real *stats;
    global const int *target;
    uint n, N, C, blank;
    uint states; // 2 * labels + 1
} ctc_sample;

// Of each row the largest x, ln(sum of e^(x - largest)) and the first class that has it.
kernel void ctc_rows(global const real *x, global const int *lengths, global real *stats, global real *best,
                     uint rows, uint N, uint C)
{
    const uint r = get_global_id(0);
    global const real *row = x + (size_t)r * C;
    real top = -INFINITY, sum = 0.0f;
    int at = 0;

    if (r >= rows)
        return;
    if (row_valid(lengths, N, r)) {
        top = row[0];
        for (uint c = 1; c < C; c++)
            if (row[c] > top) {
                top = row[c];
                at = (int)c;
            }
        for (uint c = 0; c < C; c++)
            sum += exp(row[c] - top);
    }
    stats[2 * (size_t)r] = top;
    stats[2 * (size_t)r + 1] = log(sum);
    best[r] = (real)at; // scratch memory holds reals only
}

static inline real log_add(real a, real b)
{
    const real top = fmax(a, b), low = fmin(a, b);

    return top == -INFINITY ? top : top + log1p(exp(low - top));
}

static inline uint label_of(const ctc_sample *s, uint state)
{
    return state & 1 ? (uint)clamp(s->target[(size_t)(state / 2) * s->N + s->n], 0, (int)s->C - 1) : s->blank;
}

// The logarithm of the probability of class c at step t.
static inline real log_prob(const ctc_sample *s, uint t, uint c)
{
    const size_t r = (size_t)t * s->N + s->n;

    return (s->x[r * s->C + c] - s->stats[2 * r]) - s->stats[2 * r + 1];
}

// Whether a path may go from state - 2 to state: over the blank between two different labels.
static inline bool skips(const ctc_sample *s, uint state)
{
    return (state & 1) != 0 && state > 1 && label_of(s, state) != label_of(s, state - 2);
}

// Subtracts the largest of the states, which is returned; -INFINITY: there is no path.
static inline real normalise(global real *row, uint states, real part, local real *scratch)
{
    const real top = LANE_MAX(part, scratch);

    for (uint i = LANE; i < states && top > -INFINITY; i += LANES)
        row[i] -= top;
    LANE_FENCE();
    return top;
}

// alpha, the paths' logarithms from the start up to each step, each less its largest. Returns the logarithm
// of the target's probability.
static inline real forward(const ctc_sample *s, global real *alpha, uint stride, uint steps,
                           local real *scratch)
{
    real sum = 0.0f, lost = 0.0f;
    global real *row = alpha;

    for (uint t = 0; t < steps; t++) {
        global const real *before = row - stride;
        real part = -INFINITY, top;

        for (uint i = LANE; i < s->states; i += LANES) {
            real v = t == 0 ? (i < 2 ? 0.0f : -INFINITY) : before[i];

            if (t > 0 && i > 0)
                v = log_add(v, before[i - 1]);
            if (t > 0 && skips(s, i))
                v = log_add(v, before[i - 2]);
            v += log_prob(s, t, label_of(s, i));
            row[i] = v;
            part = fmax(part, v);
        }
        top = normalise(row, s->states, part, scratch);
        {
            const real v = top - lost, next = sum + v;

            lost = isinf(next) ? 0.0f : (next - sum) - v;
            sum = next;
        }
        row += stride;
    }
    row -= stride;
    return sum + (s->states > 1 ? log_add(row[s->states - 1], row[s->states - 2]) : row[0]);
}

// dx = factor (softmax - the share of the paths that have class c at step t).
static inline void backward(const ctc_sample *s, global real *alpha, global real *beta, uint stride, uint T,
                            uint steps, real factor, global real *dx, local real *scratch)
{
    for (uint t = steps; t-- > 0;) {
        const size_t r = (size_t)t * s->N + s->n;
        global real *row = alpha + (size_t)t * stride;
        global real *now = beta + (size_t)(t & 1) * stride;
        global const real *after = beta + (size_t)(~t & 1) * stride;
        real part = -INFINITY, top, sum = 0.0f, blanks = 0.0f;

        for (uint i = LANE; i < s->states; i += LANES) {
            real v = i + 2 >= s->states ? 0.0f : -INFINITY;

            if (t + 1 < steps) {
                v = after[i] + log_prob(s, t + 1, label_of(s, i));
                if (i + 1 < s->states)
                    v = log_add(v, after[i + 1] + log_prob(s, t + 1, label_of(s, i + 1)));
                if (i + 2 < s->states && skips(s, i + 2))
                    v = log_add(v, after[i + 2] + log_prob(s, t + 1, label_of(s, i + 2)));
            }
            now[i] = v;
            part = fmax(part, v);
        }
        normalise(now, s->states, part, scratch);
        part = -INFINITY;
        for (uint i = LANE; i < s->states; i += LANES) {
            row[i] += now[i];
            part = fmax(part, row[i]);
        }
        top = LANE_MAX(part, scratch);
        for (uint i = LANE; i < s->states; i += LANES) {
            const real v = exp(row[i] - top);

            row[i] = v;
            sum += v;
            blanks += i & 1 ? 0.0f : v;
        }
        LANE_FENCE();
        sum = LANE_SUM(sum, scratch);
        blanks = LANE_SUM(blanks, scratch);
        for (uint c = LANE; c < s->C; c += LANES)
            dx[r * s->C + c] =
                factor * exp(log_prob(s, t, c)) - (c == s->blank ? factor * (blanks / sum) : 0.0f);
        LANE_FENCE();
        for (uint i = 2 * LANE + 1; i < s->states; i += 2 * LANES) {
            const uint label = label_of(s, i);
#if LANES == 1
            dx[r * s->C + label] -= factor * (row[i] / sum);
#else
            bool first = true;
            real own = 0.0f;

            for (uint j = 1; j < i && first; j += 2)
                first = label_of(s, j) != label;
            for (uint j = i; j < s->states && first; j += 2)
                own += label_of(s, j) == label ? row[j] : 0.0f;
            if (first)
                dx[r * s->C + label] -= factor * (own / sum);
#endif
        }
        LANE_FENCE();
    }
}

// Whether the greedy decoding, equal neighbours merged and blanks dropped, is the target.
static inline bool decodes(const ctc_sample *s, global const real *best, uint steps)
{
    uint found = 0;
    int before = -1;

    for (uint t = 0; t < steps; t++) {
        const int c = (int)best[(size_t)t * s->N + s->n];

        if (c != before && c != (int)s->blank) {
            if (2 * found + 1 >= s->states || (int)label_of(s, 2 * found + 1) != c)
                return false;
            found++;
        }
        before = c;
    }
    return 2 * found + 1 == s->states;
}

// result [N, 2]: weighted loss, and whether the decoding is right. A team takes `chunk` samples. dx and
// weight may be NULL. With `total`, dx is the gradient of the sum, not of the mean.
kernel void ctc_samples(global const real *x, global const real *stats, global const real *best,
                        global const int *lengths, global const int *target, global const int *target_lengths,
                        global const real *weight, global real *dx, global real *alpha, global real *beta,
                        global real *result, uint T, uint N, uint C, uint L, uint blank, uint zero_infinity,
                        uint total, uint chunk, local real *scratch)
{
    const uint last = min(N, (TEAM + 1) * chunk), width = 2 * L + 1, stride = N * width;
    real weights = total != 0 ? 1.0f : 0.0f;

    for (uint n = 0; n < N && total == 0; n++)
        weights += weight != 0 ? weight[n] : 1.0f;
    for (uint n = TEAM * chunk; n < last; n++) {
        const uint steps = lengths != 0 ? (uint)clamp(lengths[n], 1, (int)T) : T;
        const uint labels = (uint)clamp(target_lengths[n], 0, (int)L);
        const real w = weight != 0 ? weight[n] : 1.0f, size = (real)max(labels, 1u);
        ctc_sample s;
        real loss;
        bool none;

        s.x = x;
        s.stats = stats;
        s.target = target;
        s.n = n;
        s.N = N;
        s.C = C;
        s.blank = blank;
        s.states = 2 * labels + 1;
        loss = -forward(&s, alpha + (size_t)n * width, stride, steps, scratch);
        none = loss == INFINITY && zero_infinity != 0;
        if (LANE == 0) {
            result[2 * n] = none || w == 0.0f ? 0.0f : w * loss / size;
            result[2 * n + 1] = decodes(&s, best, steps) ? 1.0f : 0.0f;
        }
        if (dx == 0)
            continue;
        for (uint t = none || w == 0.0f || loss == INFINITY ? 0 : steps; t < T;
             t++) // padding, and without a path
            for (uint c = LANE; c < C; c += LANES)
                dx[((size_t)t * N + n) * C + c] = t < steps && !none && w != 0.0f ? NAN : 0.0f;
        if (loss < INFINITY && w != 0.0f)
            backward(&s, alpha + (size_t)n * width, beta + (size_t)n * width, stride, T, steps,
                     w / size / weights, dx, scratch);
    }
}

// Adds the samples up to one record.
kernel void ctc_finish(global const real *result, global const real *weight, global const uint *counter,
                       global real *record, uint N, uint slots)
{
    const uint slot = counter[COUNTER_SLOT];
    real loss = 0.0f, weights = 0.0f, correct = 0.0f;

    if (get_global_id(0) > 0 || slot >= slots)
        return;
    record += (size_t)slot * RECORD_FIELDS;
    for (uint n = 0; n < N; n++) {
        loss += result[2 * n];
        weights += weight != 0 ? weight[n] : 1.0f;
        correct += result[2 * n + 1];
    }
    for (uint i = 0; i < RECORD_NORM; i++)
        record[i] = 0.0f;
    record[RECORD_LOSS] = loss;
    record[RECORD_WEIGHT] = weights;
    record[RECORD_CORRECT] = correct;
    record[RECORD_COUNT] = (real)N;
}
