// SPDX-License-Identifier: MIT
// Stage 1: checks for duplicate rows and for rows in both the training and the validation set, and whether both sets
// have the same distribution.
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/array.h"
#include "base/log.h"
#include "base/stats.h"
#include "diagnose/doctor/doctor.h"

static int compare_hash(const void *a, const void *b)
{
    return memcmp(a, b, 2 * sizeof(uint64_t));
}

// ---------------------------------------------------------------- equal rows

// Sets *nats to the natural logarithm of the number of possible rows: T times the sum, over features, of log(number of
// different values in the sample); for tokens, T * log(num_embeddings). If it is low, rows are often equal by chance.
static enum clrnn_status row_entropy(struct clrnn_doctor *d, double *nats)
{
    const struct clrnn_scan *s = &d->train_scan;
    const uint32_t n = s->sample_count;
    double *column;

    *nats = 0;
    if (s->info->tokens) {
        *nats = s->info->T * log(fmax(d->config->layer[0].num_embeddings, 2));
        return CLRNN_OK;
    }
    column = malloc(n * sizeof(*column));
    if (!column)
        return clrnn_error_memory(d->log, n * sizeof(*column), "comparing rows");
    for (uint32_t c = 0; c < s->C && *nats < 100; c++) {
        uint32_t different = 1;

        for (uint32_t i = 0; i < n; i++)
            column[i] = s->sample[(size_t)i * s->C + c];
        clrnn_sort(column, n);
        for (uint32_t i = 1; i < n; i++)
            different += column[i] != column[i - 1];
        *nats += s->info->T * log(different);
    }
    free(column);
    return CLRNN_OK;
}

static void check_duplicates(struct clrnn_doctor *d, uint32_t duplicates, bool telling)
{
    const uint32_t S = d->train_scan.info->S;

    if (!duplicates || duplicates < clrnn_threshold.duplicate_share * S / 4)
        return;
    clrnn_doctor_finding(d, CLRNN_FINDING_DUPLICATE_ROWS,
                         telling && duplicates >= clrnn_threshold.duplicate_share * S ? CLRNN_SEVERITY_WARNING
                                                                                      : CLRNN_SEVERITY_NOTE);
    clrnn_doctor_where(d, "data.train X");
    clrnn_doctor_evidence(d, "%u of %u rows repeat an earlier one bit for bit; %u are different", duplicates, S,
                          S - duplicates);
    clrnn_doctor_cost(d, "the net sees %u samples, some of them often; a split puts copies on both sides",
                      S - duplicates);
}

static void check_leak(struct clrnn_doctor *d, uint32_t leaked, bool telling)
{
    const uint32_t V = d->valid_scan.info->S;

    if (!leaked || leaked < clrnn_threshold.leak_share * V / 4)
        return;
    clrnn_doctor_finding(d, CLRNN_FINDING_TRAIN_VALID_LEAK,
                         telling && leaked >= clrnn_threshold.leak_share * V ? CLRNN_SEVERITY_WARNING
                                                                             : CLRNN_SEVERITY_NOTE);
    clrnn_doctor_where(d, "data.valid X");
    clrnn_doctor_evidence(d, "%u of %u validation rows stand in the training set, too", leaked, V);
}

static enum clrnn_status compare_rows(struct clrnn_doctor *d)
{
    double shared;
    struct clrnn_scan *t = &d->train_scan, *v = &d->valid_scan;
    const uint32_t S = t->info->S;
    uint32_t duplicates = 0, leaked = 0;
    uint64_t(*sorted)[2] = malloc(S * sizeof(*sorted));
    double nats;
    bool telling;

    if (!sorted)
        return clrnn_error_memory(d->log, S * sizeof(*sorted), "comparing rows");
    memcpy(sorted, t->hash, S * sizeof(*sorted));
    qsort(sorted, S, sizeof(*sorted), compare_hash);
    for (uint32_t i = 1; i < S; i++)
        duplicates += !memcmp(sorted[i], sorted[i - 1], sizeof(*sorted));
    for (uint32_t i = 0; d->valid && i < v->info->S; i++)
        leaked += bsearch(v->hash[i], sorted, S, sizeof(*sorted), compare_hash) != NULL;
    free(sorted);
    TRY(row_entropy(d, &nats));
    telling = nats > log(clrnn_threshold.discrete_margin * S);
    check_duplicates(d, duplicates, telling);
    if (!d->valid)
        return CLRNN_OK;
    check_leak(d, leaked, telling);
    // below, rows are compared by half of their steps, so half of a row must be enough to identify it
    if (nats / 2 < log(clrnn_threshold.discrete_margin * S * t->info->T))
        return CLRNN_OK;
    TRY(clrnn_doctor_shared_rows(d, &shared));
    clrnn_doctor_check_overlap(d, shared);
    return CLRNN_OK;
}

// ---------------------------------------------------------------- distributions

// Returns the Kolmogorov-Smirnov distance above which two samples, of n and m values, differ by more than chance and by
// enough to be reported.
static double ks_limit(double n, double m, double alpha)
{
    return fmax(clrnn_threshold.shift_ks, clrnn_ks_limit(n, m, alpha));
}

static void shifted(struct clrnn_doctor *d, const char *where)
{
    clrnn_doctor_finding(d, CLRNN_FINDING_TRAIN_VALID_SHIFT, CLRNN_SEVERITY_WARNING);
    clrnn_doctor_where(d, "%s", where);
    if (d->train_scan.series || d->valid_scan.series ||
        d->sorted) // advises no random split: it would put steps of one stretch into both sets
        clrnn_doctor_remedy(
            d, "%sa series that drifts is learnt better as differences from step to step",
            d->config->data.standard ? "" : "scale both sets with the same numbers (data.normalize=standard); ");
}

static enum clrnn_status compare_features(struct clrnn_doctor *d)
{
    const struct clrnn_scan *t = &d->train_scan, *v = &d->valid_scan;
    const uint32_t n = t->sample_count, m = v->sample_count, C = t->C;
    // steps of one row are not independent, so the limit depends on the number of rows
    const double limit = ks_limit(MIN2(n, t->info->S), MIN2(m, v->info->S), clrnn_threshold.shift_alpha / C);
    double *a = malloc((n + m) * sizeof(*a)), *b = a ? a + n : NULL;
    uint32_t over = 0, worst = 0;
    double worst_ks = 0;

    if (!a)
        return clrnn_error_memory(d->log, (n + m) * sizeof(*a), "comparing train and valid");
    for (uint32_t c = 0; c < C; c++) {
        double ks;

        for (uint32_t i = 0; i < n; i++)
            a[i] = t->sample[(size_t)i * C + c];
        for (uint32_t i = 0; i < m; i++)
            b[i] = v->sample[(size_t)i * C + c];
        clrnn_sort(a, n);
        clrnn_sort(b, m);
        ks = clrnn_ks_distance(a, n, b, m);
        over += ks > limit;
        if (ks > worst_ks) {
            worst_ks = ks;
            worst = c;
        }
    }
    free(a);
    if (!over)
        return CLRNN_OK;
    shifted(d, "data.valid X");
    clrnn_doctor_evidence(
        d,
        "%u of %u features are distributed otherwise (Kolmogorov-Smirnov distance over %.2f); feature %u by "
        "%.2f: mean %.4g in train, %.4g in valid, root mean square %.4g and %.4g",
        over, C, limit, worst, worst_ks, t->mean[worst], v->mean[worst], t->rms[worst], v->rms[worst]);
    return CLRNN_OK;
}

static void compare_classes(struct clrnn_doctor *d)
{
    const struct clrnn_scan *t = &d->train_scan, *v = &d->valid_scan;
    double n = 0, m = 0, worst = 0;
    uint32_t at = 0;

    for (uint32_t k = 0; k < t->classes; k++) {
        n += (double)t->count[k];
        m += (double)v->count[k];
    }
    if (n < 1 || m < 1)
        return;
    for (uint32_t k = 0; k < t->classes; k++) {
        const double difference = fabs((double)t->count[k] / n - (double)v->count[k] / m);

        if (difference > worst) {
            worst = difference;
            at = k;
        }
    }
    {
        // labels of steps of one row are not independent, so the limit depends on the number of rows
        const double rows = fmin(n, t->info->S), valid_rows = fmin(m, v->info->S);
        const double share = ((double)t->count[at] + (double)v->count[at]) / (n + m);
        const double error = sqrt(share * (1 - share) * (1 / rows + 1 / valid_rows));

        if (worst < clrnn_threshold.label_shift || worst < clrnn_threshold.label_sigma * error)
            return;
    }
    shifted(d, "data.valid y");
    clrnn_doctor_evidence(d, "class %u has %.1f%% of the labels in train and %.1f%% in valid", at,
                          100 * (double)t->count[at] / n, 100 * (double)v->count[at] / m);
}

static void compare_targets(struct clrnn_doctor *d)
{
    struct clrnn_scan *t = &d->train_scan, *v = &d->valid_scan;
    const uint32_t n = t->y_sample_count, m = v->y_sample_count;
    double ks;

    if (!n || !m)
        return;
    clrnn_sort(t->y_sample, n);
    clrnn_sort(v->y_sample, m);
    ks = clrnn_ks_distance(t->y_sample, n, v->y_sample, m);
    if (ks <= ks_limit(n, m, clrnn_threshold.shift_alpha))
        return;
    shifted(d, "data.valid y");
    clrnn_doctor_evidence(
        d,
        "the targets are distributed otherwise (Kolmogorov-Smirnov distance %.2f): mean %.4g in train, %.4g "
        "in valid",
        ks, t->y_mean, v->y_mean);
}

enum clrnn_status clrnn_doctor_compare_sets(struct clrnn_doctor *d)
{
    // with these two faults, rows that differ may look equal
    if (!clrnn_doctor_found(d, CLRNN_FINDING_NON_INTEGER_TOKENS) &&
        !clrnn_doctor_found(d, CLRNN_FINDING_PADDING_IN_FRONT))
        TRY(compare_rows(d));
    if (!d->valid || d->train_scan.bad_values || d->valid_scan.bad_values)
        return CLRNN_OK;
    TRY(compare_features(d));
    if (clrnn_loss_is_regression(d->config->train.loss.kind))
        compare_targets(d);
    else if (!d->train_scan.bad_labels && !d->valid_scan.bad_labels)
        compare_classes(d);
    return CLRNN_OK;
}
