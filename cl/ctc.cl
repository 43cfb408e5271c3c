// SPDX-License-Identifier: MIT
// Connectionist temporal classification; formulas: doc/maths.md, "CTC".
//
// x, dx [T, N, C]; target [L, N]. cl/ctc_rows.cl has computed stats [T * N, 2] and best [T * N], which have an entry
// for each row of x. The states of a sample alternate between blanks and labels. The first and the last state are
// blanks, so there are 2 * labels + 1 states. A team of LANES work-items (reduce.h) computes a sample, WIDTH states at
// a time.
//
// alpha [T, N, stride]; work [N, WORK_ROWS, stride]. A row of `stride` numbers begins with PAD times -INFINITY. A
// number for each state follows, padded to a multiple of WIDTH, and then PAD more numbers. So the two states before and
// the two after each state can be read without a test.
//
// Defines: LANES; WIDTH 1 or 16; PAD 2; WORK_ROWS 5.
#include "reduce.h"
#include "slots.h"

#if LANES > 1
#define LANE_FENCE() barrier(CLK_LOCAL_MEM_FENCE | CLK_GLOBAL_MEM_FENCE)
#else
#define LANE_FENCE()
#endif

// Rows of `work`. Each has a number for each state.
#define ROW_CLASS 0 // the state's class: blank or a label
#define ROW_SKIP 1  // 0 if a path may skip the blank before the state (between different labels), else -INFINITY
#define ROW_EMIT 2  // log probability of the state's class at the current step
#define ROW_BETA 3  // beta + ROW_EMIT of even steps; the row after ROW_BETA: of odd steps

// The sample that a team works on.
typedef struct {
    global const real *x;
    global const real *stats;
    global const int *target;
    global real *work; // [WORK_ROWS, stride], of this sample
    uint n, N, C, blank, stride;
    uint states; // 2 * labels + 1
} ctc_sample;

static inline uint label_of(const ctc_sample *s, uint state)
{
    return state & 1 ? (uint)clamp(s->target[(size_t)(state / 2) * s->N + s->n], 0, (int)s->C - 1) : s->blank;
}

// Points at state 0 in row `row` of `work`.
static inline global real *row_at(const ctc_sample *s, uint row)
{
    return s->work + (size_t)row * s->stride + PAD;
}

// Fills ROW_CLASS and ROW_SKIP, which are the same in all steps, and sets the other rows of `work` to -INFINITY.
static inline void prepare(const ctc_sample *s)
{
    for (uint i = LANE; i < s->stride; i += LANES) {
        const uint state = i - PAD; // wraps to a large number in the padding before state 0
        const bool inside = state < s->states;
        const uint label = inside ? label_of(s, state) : s->blank;
        const bool skips = inside && (state & 1) != 0 && state > 1 && label != label_of(s, state - 2);

        s->work[ROW_CLASS * s->stride + i] = (real)label;
        s->work[ROW_SKIP * s->stride + i] = skips ? 0.0f : -INFINITY;
        for (uint row = ROW_EMIT; row < WORK_ROWS; row++)
            s->work[row * s->stride + i] = -INFINITY;
    }
    LANE_FENCE();
}

// Fills ROW_EMIT for step t. There is no barrier after it: a lane later reads only those states of ROW_EMIT that it has
// written itself.
static inline void emissions(const ctc_sample *s, uint t)
{
    const size_t r = (size_t)t * s->N + s->n;
    const real top = s->stats[2 * r], log_sum = s->stats[2 * r + 1];
    global const real *row = s->x + r * s->C, *label = row_at(s, ROW_CLASS);
    global real *emit = row_at(s, ROW_EMIT);

    for (uint i = LANE; i < s->states; i += LANES)
        emit[i] = (row[(uint)label[i]] - top) - log_sum;
}

// Returns ln(e^a + e^b + e^c).
static inline realv log_add(realv a, realv b, realv c)
{
    const realv top = fmax(fmax(a, b), c), base = top == -INFINITY ? (realv)(0.0f) : top;

    return top + log_vec(exp_vec(a - base) + exp_vec(b - base) + exp_vec(c - base));
}

// Returns the number to subtract from a row of log probabilities: `top`, its largest, or 0 if all are -INFINITY.
static inline real shift_of(real top)
{
    return top > -INFINITY ? top : 0.0f;
}

// Computes a row of alpha for each step: the log probability of all paths from the first step to each state. The
// largest number of each row is subtracted from all later rows, so that numbers stay small. Returns the log probability
// of the target, -INFINITY if no path gives the target.
static inline real forward(const ctc_sample *s, global real *alpha, size_t step, uint steps, local real *scratch)
{
    global const real *emit = row_at(s, ROW_EMIT), *skip = row_at(s, ROW_SKIP);
    real sum = 0.0f, lost = 0.0f, shift = 0.0f;

    for (uint t = 0; t < steps; t++) {
        global real *row = alpha + t * step + PAD;
        global const real *before = row - step;
        realv part = -INFINITY;
        real top, corrected, next;

        emissions(s, t);
        for (uint i = LANE; i < PAD; i += LANES)
            row[(int)i - PAD] = -INFINITY;
        for (uint i = LANE * WIDTH; i < s->states; i += LANES * WIDTH) {
            realv v = WHERE((realv)(-INFINITY), (realv)(0.0f), (int)i + INDEXES < 2);

            if (t > 0)
                v = log_add(vec_load(0, before + i), vec_load(0, before + i - 1),
                            vec_load(0, before + i - 2) + vec_load(0, skip + i)) -
                    shift;
            v += vec_load(0, emit + i);
            vec_store(v, 0, row + i);
            part = fmax(part, v);
        }
        top = LANE_MAX(max_of(part), scratch);
        LANE_FENCE();
        shift = shift_of(top);
        corrected = top - lost;
        next = sum + corrected;
        lost = isinf(next) ? 0.0f : (next - sum) - corrected;
        sum = isnan(s->stats[2 * ((size_t)t * s->N + s->n) + 1]) ? NAN : next; // fmax has ignored NaN
    }
    if (s->states == 1)
        return sum;
    {
        global const real *row = alpha + (steps - 1) * step + PAD;
        const real a = row[s->states - 1] - shift, b = row[s->states - 2] - shift, high = fmax(a, b);

        return sum + (high > -INFINITY ? high + log1p(exp(fmin(a, b) - high)) : high);
    }
}

// Computes dx[t, n, c] = factor * (softmax of x - P). P is the probability of class c at step t among the paths that
// give the target.
static inline void backward(const ctc_sample *s, global real *alpha, size_t step, uint T, uint steps, real factor,
                            global real *dx, local real *scratch)
{
    global const real *emit = row_at(s, ROW_EMIT), *skip = row_at(s, ROW_SKIP);
    const int last = (int)s->states - 1;
    real shift = 0.0f;

    LANE_FENCE(); // waits until every lane has read alpha's last row in `forward`
    for (uint t = steps; t-- > 0;) {
        const size_t r = (size_t)t * s->N + s->n;
        global real *row = alpha + t * step + PAD, *slope = dx + r * s->C;
        global real *now = row_at(s, ROW_BETA + (t & 1)); // beta + ROW_EMIT of this step
        global const real *after = row_at(s, ROW_BETA + (~t & 1)), *x = s->x + r * s->C;
        realv part = -INFINITY, ahead = -INFINITY, shares = 0.0f, blanks = 0.0f;
        real top, share, blank;

        emissions(s, t);
        for (uint i = LANE * WIDTH; i < s->states; i += LANES * WIDTH) {
            const intv state = (int)i + INDEXES;
            realv v = WHERE((realv)(-INFINITY), (realv)(0.0f), state >= last - 1 && state <= last), both;

            if (t + 1 < steps)
                v = log_add(vec_load(0, after + i), vec_load(0, after + i + 1),
                            vec_load(0, after + i + 2) + vec_load(0, skip + i + 2)) -
                    shift;
            both = vec_load(0, row + i) + v;
            v += vec_load(0, emit + i);
            vec_store(v, 0, now + i);
            vec_store(both, 0, row + i);
            ahead = fmax(ahead, v);
            part = fmax(part, both);
        }
        shift = shift_of(LANE_MAX(max_of(ahead), scratch));
        top = LANE_MAX(max_of(part), scratch);
        for (uint i = LANE * WIDTH; i < s->states; i += LANES * WIDTH) {
            const realv v = exp_vec(vec_load(0, row + i) - top);

            vec_store(v, 0, row + i);
            shares += v;
            blanks += WHERE(v, (realv)(0.0f), (((int)i + INDEXES) & 1) != 0);
        }
        share = factor / LANE_SUM(sum_of(shares), scratch);
        blank = LANE_SUM(sum_of(blanks), scratch);
        for (uint c = LANE * WIDTH; c < s->C; c += LANES * WIDTH) {
            const realv all = factor * exp_vec((load(x + c, s->C - c) - s->stats[2 * r]) - s->stats[2 * r + 1]);
            const realv own = WHERE((realv)(0.0f), (realv)(share * blank), (int)c + INDEXES == (int)s->blank);

            store(all - own, slope + c, s->C - c);
        }
        LANE_FENCE();
        for (uint i = 2 * LANE + 1; i < s->states; i += 2 * LANES) {
#if LANES == 1
            slope[(uint)row_at(s, ROW_CLASS)[i]] -= share * row[i];
#else
            global const real *label = row_at(s, ROW_CLASS);
            bool first = true;
            real own = 0.0f;

            for (uint j = 1; j < i && first; j += 2)
                first = label[j] != label[i];
            for (uint j = i; j < s->states && first; j += 2)
                own += label[j] == label[i] ? row[j] : 0.0f;
            if (first)
                slope[(uint)label[i]] -= share * own;
#endif
        }
        LANE_FENCE();
    }
}

// Checks whether greedy decoding gives the target: the best class of each step, equal neighbours merged, blanks
// dropped.
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

// Writes result [N, 2]: for each sample weight * loss / number of labels, and 1 if its greedy decoding is the target,
// else 0. A team computes `chunk` samples. lengths, dx and weight may be NULL. If `total`, dx is the gradient of the
// sum of these losses, not of their mean.
kernel void ctc_samples(global const real *x, global const real *stats, global const real *best,
                        global const int *lengths, global const int *target, global const int *target_lengths,
                        global const real *weight, global real *dx, global real *alpha, global real *work,
                        global real *result, uint T, uint N, uint C, uint L, uint stride, uint blank,
                        uint zero_infinity, uint total, uint chunk, local real *scratch)
{
    const uint last = min(N, (TEAM + 1) * chunk);
    const size_t step = (size_t)N * stride;
    real weights = total != 0 ? 1.0f : 0.0f;

    for (uint n = 0; n < N && total == 0; n++)
        weights += weight != 0 ? weight[n] : 1.0f;
    for (uint n = TEAM * chunk; n < last; n++) {
        const uint steps = lengths != 0 ? (uint)clamp(lengths[n], 1, (int)T) : T;
        const uint labels = (uint)clamp(target_lengths[n], 0, (int)L);
        const real w = weight != 0 ? weight[n] : 1.0f, size = (real)max(labels, 1u);
        ctc_sample s;
        real loss;
        bool none, counts;

        s.x = x;
        s.stats = stats;
        s.target = target;
        s.work = work + (size_t)n * WORK_ROWS * stride;
        s.n = n;
        s.N = N;
        s.C = C;
        s.blank = blank;
        s.stride = stride;
        s.states = 2 * labels + 1;
        prepare(&s);
        loss = -forward(&s, alpha + (size_t)n * stride, step, steps, scratch);
        none = w == 0.0f || (loss == INFINITY && zero_infinity != 0);
        counts = !none && loss < INFINITY;
        if (LANE == 0) {
            result[2 * n] = none ? 0.0f : w * loss / size;
            result[2 * n + 1] = decodes(&s, best, steps) ? 1.0f : 0.0f;
        }
        if (dx == 0)
            continue;
        for (uint t = counts ? steps : 0; t < T; t++) // steps that `backward` does not write
            for (uint c = LANE; c < C; c += LANES)
                dx[((size_t)t * N + n) * C + c] = t < steps && !none ? NAN : 0.0f;
        if (counts)
            backward(&s, alpha + (size_t)n * stride, step, T, steps, w / size / weights, dx, scratch);
    }
}

// Adds up the samples' results into one record (RECORD_... in slots.h).
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
