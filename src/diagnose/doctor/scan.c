// SPDX-License-Identifier: MIT
// Computes the statistics of a data set in one pass: moments and extremes of each feature, hashes of rows, counts of
// labels, padding at the ends of rows, and sample values for comparisons.
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/array.h"
#include "base/hash.h"
#include "base/log.h"
#include "base/random.h"
#include "diagnose/doctor/doctor.h"

#define SAMPLE_ROWS 2048u      // maximum number of (row, step) pairs that are kept for comparisons
#define SAMPLE_VALUES 8000000u // maximum number of values in these pairs
#define Y_SAMPLE 4096u
#define PADDING_ROWS 256u  // maximum number of rows that are read again to see if rows are padded
#define RELEASE_ROWS 1024u // mapped pages are released after this number of rows

// Sums and scratch memory of one pass.
struct pass {
    struct clrnn_scan *s;
    float *x;              // [T, C] of the current row
    int32_t *tokens;       // [T]
    float *y;              // [y_T, targets]
    double *sum, *squares; // [C]
    uint64_t *finite;      // [C]
    uint64_t *end_hash;    // [S] hash of each row's last step
    uint32_t *end_run;     // [S] number of equal steps at the end of each row
    uint64_t step;         // number of (row, step) pairs so far, padding included
    uint32_t sampled;      // number of pairs in the sample so far
    uint64_t next;         // number of the next pair to sample
};

// Divides `all` indices into `count` parts of equal size and returns a random index of part `part`. Indices at equal
// distances would be no fair sample: in [S, T] they can all be of the same time step.
static uint64_t pick(uint64_t all, uint64_t count, uint64_t part)
{
    const struct clrnn_random r = {0, RANDOM_PROBE, 0, 3};
    const uint64_t from = part * all / count, until = (part + 1) * all / count;

    return from + clrnn_random_u32(&r, part) % (until - from);
}

static enum clrnn_status allocate(struct clrnn_doctor *d, struct pass *p)
{
    struct clrnn_scan *s = p->s;
    const size_t S = s->info->S, T = s->info->T, C = s->C;
    const size_t rows = MIN2((size_t)SAMPLE_ROWS, MAX2(SAMPLE_VALUES / C, 1));
    const bool labels = d->config->train.loss.kind == CLRNN_LOSS_BCE_WITH_LOGITS && s->info->targets > 1;

    s->mean = calloc(C, sizeof(double));
    s->rms = calloc(C, sizeof(double));
    s->least = malloc(C * sizeof(double));
    s->most = malloc(C * sizeof(double));
    s->sample = malloc(MIN2(rows, S * T) * C * sizeof(float));
    s->hash = malloc(S * sizeof(*s->hash));
    s->count = calloc(MAX2(s->classes, 1u), sizeof(*s->count));
    s->y_sample = malloc(MIN2(S, Y_SAMPLE) * sizeof(double));
    s->labelled = calloc(S, 1);
    s->weight = calloc(MAX2(s->classes, 1u), sizeof(*s->weight));
    s->label = labels ? calloc(s->info->targets, sizeof(*s->label)) : NULL;
    s->label_weight = labels ? calloc(s->info->targets, sizeof(*s->label_weight)) : NULL;
    p->x = malloc(T * C * sizeof(float));
    p->tokens = malloc(T * sizeof(int32_t));
    p->y = malloc(clrnn_dataset_y_count(p->s->set) * sizeof(float));
    p->sum = calloc(C, sizeof(double));
    p->squares = calloc(C, sizeof(double));
    p->finite = calloc(C, sizeof(uint64_t));
    p->end_hash = malloc(S * sizeof(uint64_t));
    p->end_run = malloc(S * sizeof(uint32_t));
    s->sample_count = (uint32_t)MIN2(rows, S * T);
    if (s->mean && s->rms && s->least && s->most && s->sample && s->hash && s->count && s->y_sample && s->labelled &&
        p->x && p->tokens && p->y && p->sum && p->squares && p->finite && p->end_hash && p->end_run && s->weight &&
        ((s->label && s->label_weight) || !labels))
        return CLRNN_OK;
    return clrnn_error_memory(d->log, S * sizeof(*s->hash) + rows * C * sizeof(float), "looking at the data");
}

static void release(struct pass *p)
{
    free(p->x);
    free(p->tokens);
    free(p->y);
    free(p->sum);
    free(p->squares);
    free(p->finite);
    free(p->end_hash);
    free(p->end_run);
}

void clrnn_doctor_scan_finish(struct clrnn_scan *s)
{
    free(s->mean);
    free(s->rms);
    free(s->least);
    free(s->most);
    free(s->sample);
    free(s->hash);
    free(s->count);
    free(s->y_sample);
    free(s->labelled);
    free(s->weight);
    free(s->label);
    free(s->label_weight);
    *s = (struct clrnn_scan){0};
}

// ---------------------------------------------------------------- X

static void take_values(struct pass *p, uint32_t row, uint32_t step, const float *x)
{
    struct clrnn_scan *s = p->s;

    for (uint32_t c = 0; c < s->C; c++) {
        const double value = x[c];

        if (!isfinite(value)) {
            if (!s->bad_values++) {
                s->bad_row = row;
                s->bad_step = step;
                s->bad_feature = c;
                s->bad_value = value;
            }
            continue;
        }
        p->finite[c]++;
        p->sum[c] += value;
        p->squares[c] += value * value;
        s->least[c] = fmin(s->least[c], value);
        s->most[c] = fmax(s->most[c], value);
    }
    s->steps++;
}

static uint64_t step_hash(const struct pass *p, uint32_t step)
{
    struct clrnn_hash h;

    clrnn_hash_init(&h);
    clrnn_hash_add(&h, p->x + (size_t)step * p->s->C, p->s->C * sizeof(float));
    return h.lane[0] ^ h.lane[1];
}

static void read_row(struct pass *p, uint32_t row)
{
    const struct clrnn_scan *s = p->s;

    if (!s->info->tokens) {
        clrnn_dataset_x(s->set, row, p->x);
        return;
    }
    clrnn_dataset_tokens(s->set, row, p->tokens);
    for (uint32_t t = 0; t < s->info->T; t++)
        p->x[t] = (float)p->tokens[t];
}

static void take_token(const struct clrnn_doctor *d, struct clrnn_scan *s, uint32_t row, double token)
{
    if (!s->least_token && !s->most_token && !row)
        s->least_token = s->most_token = token;
    s->least_token = fmin(s->least_token, token);
    s->most_token = fmax(s->most_token, token);
    if (token != floor(token)) {
        if (!s->real_tokens++) {
            s->real_token_row = row;
            s->real_token = token;
        }
    } else if ((token < 0 || token >= d->config->layer[0].num_embeddings) && !s->bad_tokens++) {
        s->bad_token_row = row;
    }
}

static void take_row(struct clrnn_doctor *d, struct pass *p, uint32_t row)
{
    struct clrnn_scan *s = p->s;
    const uint32_t length = clrnn_dataset_length(s->set, row), C = s->C;
    const size_t width = C * sizeof(float);
    struct clrnn_hash h;
    uint32_t run = 1;

    s->shortest = MIN2(s->shortest, length);
    s->longest = MAX2(s->longest, length);
    read_row(p, row);
    for (uint32_t t = 0; s->info->tokens && t < length; t++)
        take_token(d, s, row, clrnn_dataset_token(s->set, row, t));
    for (uint32_t t = 0; t < length; t++)
        take_values(p, row, t, p->x + (size_t)t * C);
    clrnn_hash_init(&h);
    clrnn_hash_add(&h, p->x, length * width);
    memcpy(s->hash[row], h.lane, sizeof(h.lane));
    p->end_hash[row] = step_hash(p, length - 1);
    while (run < length && !memcmp(p->x + (size_t)(length - 1) * C, p->x + (size_t)(length - 1 - run) * C, width))
        run++;
    p->end_run[row] = run;
    // samples (row, step) pairs; for a step of padding, takes a valid step of the row
    for (uint32_t t = 0; t < s->info->T; t++, p->step++) {
        if (p->step != p->next)
            continue;
        memcpy(s->sample + (size_t)p->sampled++ * C, p->x + (size_t)(t % length) * C, width);
        p->next = pick((uint64_t)s->info->S * s->info->T, s->sample_count, p->sampled);
    }
}

static int compare_u64(const void *a, const void *b)
{
    const uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

    return (x > y) - (x < y);
}

// Returns the mean length of the runs of steps with the hash `common`, not counting the run at the end of each row. 0:
// there is no such run. If data have few different values, long runs also occur inside rows. Equal steps at the end are
// then no padding.
static double usual_run(struct pass *p, uint64_t common)
{
    uint64_t runs = 0, steps = 0;

    for (uint32_t row = 0; row < MIN2(p->s->info->S, PADDING_ROWS); row++) {
        bool inside = false;

        read_row(p, row);
        for (uint32_t t = 0; t + p->end_run[row] < p->s->info->T; t++) {
            const bool same = step_hash(p, t) == common;

            runs += same && !inside;
            steps += same;
            inside = same;
        }
    }
    return runs ? (double)steps / (double)runs : 0;
}

// Sets pad_rows and pad_share if no row is shorter than T. The most common last step of the rows may be padding. Rows
// that end in copies of this step count as padded under two conditions. The number of copies at the end differs by 2 or
// more between rows. It is on average at least 2, and at least twice the length of other runs of copies (usual_run).
static enum clrnn_status find_padding(struct clrnn_doctor *d, struct pass *p)
{
    struct clrnn_scan *s = p->s;
    const uint32_t S = s->info->S, T = s->info->T;
    uint64_t *sorted = malloc(S * sizeof(*sorted)), common = 0, steps = 0, rows = 0;
    uint32_t most = 0, shortest = UINT32_MAX, longest = 0;

    if (!sorted)
        return clrnn_error_memory(d->log, S * sizeof(*sorted), "looking for padding");
    memcpy(sorted, p->end_hash, S * sizeof(*sorted));
    qsort(sorted, S, sizeof(*sorted), compare_u64);
    for (uint32_t i = 0, from = 0; i < S; i++) {
        if (sorted[i] != sorted[from])
            from = i;
        if (i - from + 1 > most) {
            most = i - from + 1;
            common = sorted[i];
        }
    }
    free(sorted);
    for (uint32_t i = 0; i < S; i++) {
        if (p->end_hash[i] != common || p->end_run[i] >= T)
            continue;
        rows++;
        steps += p->end_run[i];
        shortest = MIN2(shortest, p->end_run[i]);
        longest = MAX2(longest, p->end_run[i]);
    }
    if (!rows || s->shortest < T || T < 2 || longest - shortest < 2 ||
        (double)steps < (double)rows * fmax(2, 2 * usual_run(p, common)))
        return CLRNN_OK;
    s->pad_rows = (double)rows / S;
    s->pad_share = (double)steps / (double)rows / T;
    return CLRNN_OK;
}

static void finish_features(struct pass *p)
{
    struct clrnn_scan *s = p->s;

    for (uint32_t c = 0; c < s->C; c++) {
        s->mean[c] = p->finite[c] ? p->sum[c] / (double)p->finite[c] : 0;
        s->rms[c] = p->finite[c] ? sqrt(p->squares[c] / (double)p->finite[c]) : 0;
    }
}

// ---------------------------------------------------------------- y

static bool label_fits(const struct clrnn_doctor *d, const struct clrnn_scan *s, double value)
{
    const enum clrnn_loss_kind kind = d->config->train.loss.kind;

    if (!clrnn_loss_is_real(kind)) // for ctc, clrnn_ctc_scan_row also looks for the blank
        return value >= 0 && value < s->classes && value == floor(value);
    return kind == CLRNN_LOSS_BCE_WITH_LOGITS ? value >= 0 && value <= 1 : isfinite(value);
}

// Sums over the labels that fit, as differences from the first of them: with equal labels all are exactly 0, and labels
// far from 0 lose no digits.
struct labels {
    double first, sum, squares, products;
    double weights, weighted_sum, weighted_squares; // sums of w, w x and w x^2; w: sample weight, x: such a difference
    uint64_t pairs;
    double last; // label of the previous row
    bool has_first, has_last;
    uint32_t sampled;  // number of rows so far that were picked for y_sample
    uint64_t next_row; // the next one
};

// Counts the label at index i of a row. class: `value` is a class index, else a target of bce.
static void count_label(struct clrnn_scan *s, bool class, size_t i, double value, double weight)
{
    const size_t label = i % MAX2(s->info->targets, 1u);

    s->count[class ? (uint32_t)value : value > 0.5]++;
    if (class) {
        s->weight[(uint32_t)value] += weight;
        return;
    }
    s->soft_labels += value > 0 && value < 1;
    s->weight[0] += weight * (1 - value);
    s->weight[1] += weight * value;
    if (!s->label)
        return;
    s->label[label][value > 0.5]++;
    s->label_weight[label][0] += weight * (1 - value);
    s->label_weight[label][1] += weight * value;
}

static void take_labels(struct clrnn_doctor *d, struct pass *p, struct labels *l, uint32_t row)
{
    struct clrnn_scan *s = p->s;
    const struct clrnn_loss_config *loss = &d->config->train.loss;
    const bool classes = !clrnn_loss_is_real(loss->kind);
    const size_t count = clrnn_dataset_y_valid(s->set, row);
    const double weight = clrnn_dataset_weight(s->set, row);

    clrnn_dataset_targets(s->set, row, p->y);
    if (loss->kind == CLRNN_LOSS_CTC)
        clrnn_ctc_scan_row(d, s, row, count, p->y);
    for (size_t i = 0; i < count; i++) {
        const double value = p->y[i];

        if (classes ? value == loss->ignore_index && loss->kind != CLRNN_LOSS_CTC
                    : isnan(value) && d->config->data.missing_ignore)
            continue;
        s->labels++;
        s->labelled[row] = weight > 0;
        s->least_label = fmin(s->least_label, value);
        s->most_label = fmax(s->most_label, value);
        if (!label_fits(d, s, value)) {
            if (!s->bad_labels++) {
                s->bad_label_row = row;
                s->bad_label = value;
            }
            continue;
        }
        if (!clrnn_loss_is_regression(loss->kind))
            count_label(s, classes, i, value, weight);
        if (!l->has_first)
            l->first = value;
        l->has_first = true;
        l->sum += value - l->first;
        l->squares += (value - l->first) * (value - l->first);
        l->weights += weight;
        l->weighted_sum += weight * (value - l->first);
        l->weighted_squares += weight * (value - l->first) * (value - l->first);
        if (clrnn_dataset_y_count(s->set) > 1)
            continue;
        if (l->has_last) {
            s->changes += value != l->last;
            l->products += (value - l->first) * (l->last - l->first);
            l->pairs++;
        }
        l->last = value;
        l->has_last = true;
    }
    if (row != l->next_row)
        return;
    if (isfinite(p->y[0]))
        s->y_sample[s->y_sample_count++] = p->y[0];
    l->next_row = pick(s->info->S, MIN2(s->info->S, Y_SAMPLE), ++l->sampled);
}

static void finish_labels(const struct clrnn_doctor *d, struct clrnn_scan *s, const struct labels *l)
{
    const double good = (double)(s->labels - s->bad_labels);
    const double mean = good > 0 ? l->sum / good : 0; // of the differences
    const double weighted_mean = l->weights > 0 ? l->weighted_sum / l->weights : 0;
    double same = 0, all = 0;

    s->order_known = l->pairs > 1;
    s->y_mean = l->first + mean;
    s->y_std = good > 0 ? sqrt(fmax(l->squares / good - mean * mean, 0)) : 0;
    if (l->weights > 0)
        s->y_variance = fmax(l->weighted_squares / l->weights - weighted_mean * weighted_mean, 0);
    s->y_square = s->y_variance + (l->first + weighted_mean) * (l->first + weighted_mean);
    if (clrnn_loss_is_regression(d->config->train.loss.kind)) {
        s->changes = 0;
        if (l->pairs > 1 && s->y_std > 0)
            s->y_autocorrelation = (l->products / (double)l->pairs - mean * mean) / (s->y_std * s->y_std);
        return;
    }
    for (uint32_t k = 0; k < s->classes; k++)
        all += (double)s->count[k];
    for (uint32_t k = 0; k < s->classes && all > 0; k++)
        same += (double)s->count[k] / all * ((double)s->count[k] / all);
    s->changes_expected = l->pairs ? (double)l->pairs * (1 - same) : 0;
}

enum clrnn_status clrnn_doctor_scan_data(struct clrnn_doctor *d, const struct clrnn_dataset *set, struct clrnn_scan *s)
{
    const enum clrnn_loss_kind loss = d->config->train.loss.kind;
    struct labels labels = {0};
    struct pass p = {.s = s};
    enum clrnn_status st;

    s->set = set;
    s->counter = UINT32_MAX;
    s->info = clrnn_dataset_info(set);
    s->C = MAX2(s->info->C, 1u);
    s->classes = clrnn_loss_is_regression(loss) ? 0 : loss == CLRNN_LOSS_BCE_WITH_LOGITS ? 2 : d->outputs;
    s->least_label = INFINITY;
    s->shortest = UINT32_MAX;
    s->most_label = -INFINITY;
    st = allocate(d, &p);
    for (uint32_t c = 0; st == CLRNN_OK && c < s->C; c++) {
        s->least[c] = INFINITY;
        s->most[c] = -INFINITY;
    }
    if (st == CLRNN_OK) {
        p.next = pick((uint64_t)s->info->S * s->info->T, s->sample_count, 0);
        labels.next_row = pick(s->info->S, MIN2(s->info->S, Y_SAMPLE), 0);
    }
    for (uint32_t row = 0; st == CLRNN_OK && row < s->info->S; row++) {
        take_row(d, &p, row);
        take_labels(d, &p, &labels, row);
        if (row % RELEASE_ROWS == RELEASE_ROWS - 1)
            clrnn_dataset_release(set);
        if (clrnn_doctor_stopped(d))
            break;
    }
    if (st == CLRNN_OK) {
        finish_features(&p);
        finish_labels(d, s, &labels);
        st = find_padding(d, &p);
    }
    if (st == CLRNN_OK && !clrnn_doctor_stopped(d))
        st = clrnn_doctor_look_at_rows(d, s);
    if (st == CLRNN_OK)
        st = clrnn_doctor_measure_joins(d, s);
    if (st == CLRNN_OK)
        st = clrnn_dataset_whole(set);
    clrnn_dataset_release(set);
    release(&p);
    return st;
}
