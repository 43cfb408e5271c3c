// SPDX-License-Identifier: MIT
// Stage 1: finds padding in front, a column of row numbers, swapped axes, and windows of a series.
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/array.h"
#include "base/log.h"
#include "base/stats.h"
#include "diagnose/doctor/doctor.h"

#define ROWS 512u        // maximum number of rows looked at
#define CELLS 4000000u   // maximum number of values in these rows
#define COUNTERS 8u      // number of features that are tested for row numbers, however many rows there are
#define SORTED 16000000u // more features are tested while they have fewer values than this
#define KEPT 8000000u    // maximum number of values that are read in one pass for this test
#define COUNTING 0.1     // row numbers have a left_of_line() below this / S; sorted random values have about 1 / S
#define LUCK 0.01        // maximum probability that any feature of random whole numbers is taken for row numbers

// Whether a row's padding is in front: its first T - length steps are all equal, and its last step differs from them.
static bool padded_in_front(const struct clrnn_scan *s, uint32_t row, const float *x)
{
    const uint32_t T = s->info->T, C = s->C, padding = T - clrnn_dataset_length(s->set, row);
    uint32_t run = 1;

    while (run < padding && !memcmp(x, x + (size_t)run * C, C * sizeof(*x)))
        run++;
    return run == padding && memcmp(x, x + (size_t)(T - 1) * C, C * sizeof(*x));
}

// Returns the embedding's padding_idx if X holds tokens and the set has no lengths; otherwise -1.
static int32_t padding_token(const struct clrnn_doctor *d, const struct clrnn_scan *s)
{
    const struct clrnn_config *c = d->config;

    return s->info->tokens && !s->info->has_lengths && c->layer_count && c->layer[0].kind == CLRNN_LAYER_EMBEDDING
               ? c->layer[0].padding_idx
               : -1;
}

// Sets front_rows to the fraction of padded rows that begin, but do not end, with the token `padding`. Rows that begin
// or end with this token count as padded. If there are few of them, sets front_rows to 0.
static void look_for_token(struct clrnn_scan *s, int32_t padding, uint32_t rows, uint32_t stride, float *x)
{
    uint32_t padded = 0, front = 0;

    for (uint32_t row = 0; row < rows * stride; row += stride) {
        clrnn_doctor_read_row(s, row, x);
        padded += x[0] == padding || x[s->info->T - 1] == padding;
        front += x[0] == padding && x[s->info->T - 1] != padding;
    }
    s->front_rows = padded >= clrnn_threshold.padding_rows * rows ? (double)front / padded : 0;
}

static enum clrnn_status look_along(const struct clrnn_doctor *d, struct clrnn_scan *s, uint32_t rows, uint32_t stride,
                                    float *x)
{
    uint32_t shorter = 0, front = 0, apart;
    const int32_t padding = padding_token(d, s);

    for (uint32_t row = 0; s->info->has_lengths && row < rows * stride; row += stride) {
        if (clrnn_dataset_length(s->set, row) == s->info->T)
            continue;
        clrnn_doctor_read_row(s, row, x);
        shorter++;
        front += padded_in_front(s, row, x);
    }
    s->front_rows = shorter ? (double)front / shorter : 0;
    if (padding >= 0)
        look_for_token(s, padding, rows, stride, x);
    TRY(clrnn_dataset_series(s->set, &apart));
    s->series = apart > 0;
    return CLRNN_OK;
}

// For T = 1: sets feature_windows, the fraction of rows that equal the previous row shifted by one feature. If the
// fraction is high, the features are the steps of a series.
static void look_across(struct clrnn_scan *s, uint32_t rows, float *x)
{
    const uint32_t C = s->C;
    uint32_t moved = 0;

    if (s->info->T != 1 || C < 3 || s->info->tokens || rows < 3)
        return;
    clrnn_dataset_x(s->set, 0, x);
    for (uint32_t row = 1; row < rows; row++) {
        float before[2] = {x[1], x[C - 1]}, first = x[0];

        clrnn_dataset_x(s->set, row, x);
        moved += x[0] == before[0] && x[C - 2] == before[1] && x[0] != first;
    }
    s->feature_windows = (double)moved / (rows - 1);
}

// ---------------------------------------------------------------- columns of row numbers

// Returns the fraction of the variation of sorted values [S] that a straight line does not explain.
static double left_of_line(const double *value, uint32_t S, double mean)
{
    const double n = S;
    double xy = 0, yy = 0;

    for (uint32_t i = 0; i < S; i++) {
        xy += (i - (n - 1) / 2) * (value[i] - mean);
        yy += (value[i] - mean) * (value[i] - mean);
    }
    return yy > 0 ? 1 - xy * xy / (yy * n * (n * n - 1) / 12) : 1;
}

// Whether sorted values [S] are row numbers. They are, if they lie closer to a straight line than measured values do.
// Different multiples of one distance with few gaps are row numbers, too: of rows drawn at random from a larger set.
// S random ones of n multiples are all different with a probability of about exp(-S^2 / 2n).
static bool is_counter(const double *value, uint32_t S, double mean, uint32_t features)
{
    double step = INFINITY, possible;
    uint32_t multiples = 0;

    for (uint32_t i = 1; i < S; i++)
        step = fmin(step, value[i] - value[i - 1]);
    for (uint32_t i = 1; i < S && step > 0; i++)
        multiples += fabs((value[i] - value[i - 1]) / step - round((value[i] - value[i - 1]) / step)) < 0.05;
    possible = (value[S - 1] - value[0]) / step + 1;
    return left_of_line(value, S, mean) < COUNTING / S ||
           (multiples == S - 1 && possible < 4.0 * S + 1 && features * exp(-0.5 * S * S / possible) < LUCK);
}

// Tests `count` features. value [count, S] is scratch memory.
static void try_counters(struct clrnn_scan *s, const uint32_t *feature, uint32_t count, float *x, double *value)
{
    const uint32_t S = s->info->S;

    for (uint32_t row = 0; row < S; row++) {
        clrnn_dataset_x(s->set, row, x);
        for (uint32_t i = 0; i < count; i++)
            value[(size_t)i * S + row] = x[feature[i]];
    }
    for (uint32_t i = 0; i < count && s->counter == UINT32_MAX; i++, value += S) {
        double mean = 0;

        for (uint32_t row = 0; row < S; row++)
            mean += value[row] / S;
        clrnn_sort(value, S);
        if (!is_counter(value, S, mean, s->C))
            continue;
        s->counter = feature[i];
        s->counter_first = value[0];
        s->counter_last = value[S - 1];
    }
}

// Whether the values of a feature are spread evenly, as row numbers are.
static bool spread_evenly(const struct clrnn_scan *s, uint32_t c)
{
    const double range = s->most[c] - s->least[c], middle = (s->most[c] + s->least[c]) / 2;
    const double deviation = sqrt(fmax(s->rms[c] * s->rms[c] - s->mean[c] * s->mean[c], 0));

    return deviation > 0 && fabs(range / deviation / sqrt(12) - 1) <= 0.1 && fabs(s->mean[c] - middle) <= 0.05 * range;
}

static enum clrnn_status find_counter(struct clrnn_doctor *d, struct clrnn_scan *s, float *x)
{
    const uint32_t S = s->info->S, most = MAX2(COUNTERS, SORTED / MAX2(S, 1u));
    uint32_t *feature, count = 0, together;
    double *value;

    if (s->info->tokens || S < 20 || (s->C == 1 && s->info->T == 1))
        return CLRNN_OK;
    feature = malloc(s->C * sizeof(*feature));
    if (!feature)
        return clrnn_error_memory(d->log, s->C * sizeof(*feature), "columns that count");
    for (uint32_t c = 0; c < s->C && count < most; c++)
        if (spread_evenly(s, c))
            feature[count++] = c;
    together = MIN2(MAX2(KEPT / S, 1u), MAX2(count, 1u));
    value = malloc((size_t)together * S * sizeof(*value));
    for (uint32_t i = 0; value && i < count && s->counter == UINT32_MAX; i += together)
        try_counters(s, feature + i, MIN2(together, count - i), x, value);
    free(feature);
    free(value);
    return value ? CLRNN_OK : clrnn_error_memory(d->log, (size_t)together * S * sizeof(*value), "columns that count");
}

// ---------------------------------------------------------------- neighbouring cells

struct pair_sums {
    double n, a, b, aa, bb, ab;
};

static void add_pair(struct pair_sums *p, double a, double b)
{
    p->n++;
    p->a += a;
    p->b += b;
    p->aa += a * a;
    p->bb += b * b;
    p->ab += a * b;
}

static double correlation(const struct pair_sums *p)
{
    const double va = p->aa - p->a * p->a / p->n, vb = p->bb - p->b * p->b / p->n;

    return va > 1e-9 * p->aa && vb > 1e-9 * p->bb ? (p->ab - p->a * p->b / p->n) / sqrt(va * vb) : 0;
}

// Sets across_features and across_steps: the mean correlation, over rows, of the value at a (step, feature) with the
// value at the next feature and with the value at the next step.
static enum clrnn_status correlate(struct clrnn_doctor *d, struct clrnn_scan *s, uint32_t rows, uint32_t stride,
                                   float *x)
{
    const uint32_t T = s->info->T, C = s->C;
    const size_t cells = (size_t)T * C;
    struct pair_sums *pair;

    if (T < 2 || C < 2 || cells > CELLS / 64 || s->info->tokens || s->info->has_lengths)
        return CLRNN_OK;
    pair = calloc(2 * cells, sizeof(*pair));
    if (!pair)
        return clrnn_error_memory(d->log, 2 * cells * sizeof(*pair), "neighbouring features");
    for (uint32_t i = 0; i < rows; i++) {
        clrnn_doctor_read_row(s, i * stride, x);
        for (size_t k = 0; k < cells; k++) {
            const double value = x[k] - s->mean[k % C];

            if (k % C + 1 < C)
                add_pair(&pair[k], value, x[k + 1] - s->mean[k % C + 1]);
            if (k + C < cells)
                add_pair(&pair[cells + k], value, x[k + C] - s->mean[k % C]);
        }
    }
    for (size_t k = 0; k < cells; k++) {
        if (k % C + 1 < C)
            s->across_features += correlation(&pair[k]) / (double)T / (C - 1);
        if (k + C < cells)
            s->across_steps += correlation(&pair[cells + k]) / (double)(T - 1) / C;
    }
    free(pair);
    return CLRNN_OK;
}

void clrnn_doctor_read_row(const struct clrnn_scan *s, uint32_t row, float *x)
{
    if (!s->info->tokens) {
        clrnn_dataset_x(s->set, row, x);
        return;
    }
    for (uint32_t t = 0; t < s->info->T; t++)
        x[t] = (float)clrnn_dataset_token(s->set, row, t);
}

enum clrnn_status clrnn_doctor_look_at_rows(struct clrnn_doctor *d, struct clrnn_scan *s)
{
    const size_t cells = (size_t)s->info->T * s->C;
    const uint32_t rows = (uint32_t)MAX2(MIN2(MIN2(s->info->S, ROWS), CELLS / cells), 1u);
    float *x = malloc(cells * sizeof(*x));
    enum clrnn_status st;

    if (!x)
        return clrnn_error_memory(d->log, cells * sizeof(*x), "neighbouring rows");
    st = look_along(d, s, rows, s->info->S / rows, x);
    look_across(s, rows, x);
    if (!s->bad_values && st == CLRNN_OK)
        st = correlate(d, s, rows, s->info->S / rows, x);
    if (!s->bad_values && st == CLRNN_OK)
        st = find_counter(d, s, x);
    if (st == CLRNN_OK)
        st = clrnn_doctor_find_reshaped(d, s);
    free(x);
    return st;
}
