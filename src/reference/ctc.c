// SPDX-License-Identifier: MIT
// Connectionist temporal classification; doc/maths.md, "CTC".
#include <math.h>

#include "reference/rows.h"

// One sample. Its states alternate between blanks and labels; the first and the last state are blanks.
struct sample {
    const struct clrnn_op *op;
    const int32_t *target;
    size_t n, steps, states;
    double *log_prob; // [T, C]
};

static size_t label_of(const struct sample *s, size_t state)
{
    return state & 1 ? (size_t)s->target[state / 2 * s->op->N + s->n] : s->op->ctc.blank;
}

// Returns the log-probability of the state's class, a label or the blank, at step t.
static double emission(const struct sample *s, size_t t, size_t state)
{
    return s->log_prob[t * s->op->C + label_of(s, state)];
}

static double log_add(double a, double b)
{
    const double top = a > b ? a : b, low = a > b ? b : a;

    return top == -INFINITY ? top : top + log1p(exp(low - top));
}

// Checks whether a path may go from state - 2 directly to `state`.
static bool skips(const struct sample *s, size_t state)
{
    return (state & 1) && state > 1 && label_of(s, state) != label_of(s, state - 2);
}

static double forward(const struct sample *s, double *alpha)
{
    for (size_t t = 0; t < s->steps; t++)
        for (size_t i = 0; i < s->states; i++) {
            const double *before = t ? alpha + (t - 1) * s->states : NULL;
            double v = t ? before[i] : i < 2 ? 0 : -INFINITY;

            if (t && i > 0)
                v = log_add(v, before[i - 1]);
            if (t && skips(s, i))
                v = log_add(v, before[i - 2]);
            alpha[t * s->states + i] = v + emission(s, t, i);
        }
    alpha += (s->steps - 1) * s->states;
    return s->states > 1 ? log_add(alpha[s->states - 1], alpha[s->states - 2]) : alpha[0];
}

static void backward(const struct sample *s, double *beta)
{
    for (size_t t = s->steps; t-- > 0;)
        for (size_t i = 0; i < s->states; i++) {
            const double *after = beta + (t + 1) * s->states;
            double v = i + 2 >= s->states ? 0 : -INFINITY;

            if (t + 1 < s->steps) {
                v = after[i] + emission(s, t + 1, i);
                if (i + 1 < s->states)
                    v = log_add(v, after[i + 1] + emission(s, t + 1, i + 1));
                if (i + 2 < s->states && skips(s, i + 2))
                    v = log_add(v, after[i + 2] + emission(s, t + 1, i + 2));
            }
            beta[t * s->states + i] = v;
        }
}

static bool decodes(const struct sample *s)
{
    size_t before = SIZE_MAX, found = 0;

    for (size_t t = 0; t < s->steps; t++) {
        const double *row = s->log_prob + t * s->op->C;
        size_t best = 0;

        for (size_t c = 1; c < s->op->C; c++)
            if (row[c] > row[best])
                best = c;
        if (best != before && best != s->op->ctc.blank) {
            if (2 * found + 1 >= s->states || label_of(s, 2 * found + 1) != best)
                return false;
            found++;
        }
        before = best;
    }
    return 2 * found + 1 == s->states;
}

// Computes dx of the sample for each step and class: factor * (probability of the class - p / all). `all` is the
// probability of all paths of the target, p that of its paths with the class at this step. dx is NaN if no path gives
// the target.
static void gradient(const struct sample *s, double log_total, const double *alpha, const double *beta, double factor,
                     double *dx)
{
    const size_t C = s->op->C;

    for (size_t t = 0; t < s->steps; t++) {
        double *row = dx + (t * s->op->N + s->n) * C;

        for (size_t c = 0; c < C; c++)
            row[c] = log_total > -INFINITY ? factor * exp(s->log_prob[t * C + c]) : NAN;
        for (size_t i = 0; i < s->states && log_total > -INFINITY; i++)
            row[label_of(s, i)] -= factor * exp(alpha[t * s->states + i] + beta[t * s->states + i] - log_total);
    }
}

static void run_sample(struct sample *s, void *const in[], double weights, double *alpha, double *beta, double *dx,
                       double record[RECORD_FIELDS])
{
    const struct clrnn_op *op = s->op;
    const double *x = in[CTC_X], *samples = in[CTC_SAMPLE_WEIGHT], w = samples ? samples[s->n] : 1;
    const double size = s->states > 1 ? (double)(s->states / 2) : 1;
    double log_total;

    for (size_t t = 0; t < s->steps; t++) {
        const double *row = x + (t * op->N + s->n) * op->C;
        const struct ref_logsumexp total = ref_logsumexp(row, op->C);

        for (size_t c = 0; c < op->C; c++)
            s->log_prob[t * op->C + c] = ref_log_softmax(row[c], total);
    }
    log_total = forward(s, alpha);
    record[RECORD_WEIGHT] += w;
    record[RECORD_COUNT] += 1;
    record[RECORD_CORRECT] += decodes(s);
    if (w == 0 || (log_total == -INFINITY && op->ctc.zero_infinity))
        return;
    record[RECORD_LOSS] += w * -log_total / size;
    if (!dx)
        return;
    backward(s, beta);
    gradient(s, log_total, alpha, beta, w / size / weights, dx);
}

static bool ctc(const struct clrnn_op *op, void *const in[], void *const out[])
{
    const uint32_t slot = ((const uint32_t *)in[CTC_COUNTER])[COUNTER_SLOT];
    const int32_t *labels = in[CTC_TARGET_LENGTHS];
    const double *samples = in[CTC_SAMPLE_WEIGHT];
    const size_t states = 2 * (size_t)op->ctc.L + 1, T = op->T;
    double *alpha = malloc(T * states * sizeof(*alpha)), *beta = malloc(T * states * sizeof(*beta));
    double *log_prob = malloc(T * op->C * sizeof(*log_prob)), record[RECORD_FIELDS] = {0}, weights = 0;
    const bool there = alpha && beta && log_prob;

    ref_zero(out[CTC_DX], ref_rows(op) * op->C);
    for (size_t n = 0; n < op->N; n++)
        weights += samples ? samples[n] : 1;
    for (size_t n = 0; there && n < op->N; n++) {
        struct sample s = {op,      in[CTC_TARGET], n, ref_length(op, in[CTC_LENGTHS], n), 2 * (size_t)labels[n] + 1,
                           log_prob};

        run_sample(&s, in, op->ctc.total ? 1 : weights, alpha, beta, out[CTC_DX], record);
    }
    if (there && slot < op->ctc.slots)
        memcpy((double *)out[CTC_RECORD] + (size_t)slot * RECORD_FIELDS, record, RECORD_NORM * sizeof(*record));
    free(alpha);
    free(beta);
    free(log_prob);
    return there;
}

// The error bounds allow for paths of T steps, each with an exp and a log.
const struct clrnn_reference clrnn_ctc_reference = {
    ctc, {{CTC_DX, 64, TERMS_STEPS, OF_TENSOR}, {ANY_SLOT, 16, TERMS_ROWS, OF_ELEMENT}}};
