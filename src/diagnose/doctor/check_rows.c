// SPDX-License-Identifier: MIT
// Stage 1: reports tokens that are not whole numbers, rows with padding in front, columns that hold row numbers,
// swapped axes, batches without a label, and validation rows that overlap training rows in time.
#include <math.h>

#include "base/array.h"
#include "diagnose/doctor/doctor.h"

static void check_tokens(struct clrnn_doctor *d)
{
    const struct clrnn_scan *t = &d->train_scan, *v = &d->valid_scan, *bad = t->real_tokens ? t : v;

    if (!bad->real_tokens)
        return;
    clrnn_doctor_finding(d, CLRNN_FINDING_NON_INTEGER_TOKENS, CLRNN_SEVERITY_ERROR);
    clrnn_doctor_where(d, "data.%s X, row %u", bad->info->name, bad->real_token_row);
    clrnn_doctor_evidence(
        d,
        "%llu of %llu numbers for the embedding are no whole ones, the first is %g; an embedding takes a number "
        "for the index of one of its %u rows",
        (unsigned long long)(t->real_tokens + v->real_tokens), (unsigned long long)(t->steps + v->steps),
        bad->real_token, d->config->layer[0].num_embeddings);
    d->not_run = "its tokens are no whole numbers.";
    clrnn_doctor_remove_layer(d, 0);
}

static void check_front(struct clrnn_doctor *d)
{
    const struct clrnn_scan *t = &d->train_scan, *v = &d->valid_scan;
    const double share = fmax(t->front_rows, v->front_rows);
    const bool lengths = t->info->has_lengths;

    if (share < clrnn_threshold.front_rows)
        return;
    clrnn_doctor_finding(d, CLRNN_FINDING_PADDING_IN_FRONT, lengths ? CLRNN_SEVERITY_ERROR : CLRNN_SEVERITY_WARNING);
    clrnn_doctor_where(d, "data.%s X%s", t->front_rows >= v->front_rows ? "train" : "valid",
                       lengths ? " and lengths" : "");
    if (!lengths) {
        clrnn_doctor_evidence(
            d,
            "of the rows that begin or end in padding_idx %d, %.0f%% have it in front, and no lengths "
            "are given: the network runs over padding before it sees a token",
            (int)d->config->layer[0].padding_idx, 100 * share);
        clrnn_doctor_cost(d, "the first steps of a row are spent on padding, and `over: mean` is diluted by it");
        clrnn_doctor_remedy(d, "move the tokens to the front of each row, padding behind, and give the rows' lengths: "
                               "data.train.lengths=lengths_train.npy (N integers), for valid, too");
        return;
    }
    clrnn_doctor_evidence(d,
                          "of the rows that are shorter than T = %u, %.0f%% begin with as many equal steps as they "
                          "are shorter, and do not end in them: the padding stands in front, while lengths say that "
                          "the first steps count",
                          t->info->T, 100 * share);
}

static void check_counter(struct clrnn_doctor *d)
{
    const struct clrnn_scan *s = &d->train_scan;

    if (s->counter == UINT32_MAX)
        return;
    clrnn_doctor_finding(d, CLRNN_FINDING_ROW_NUMBER_FEATURE, CLRNN_SEVERITY_WARNING);
    clrnn_doctor_where(d, "data.train X, feature %u", s->counter);
    clrnn_doctor_evidence(
        d,
        "sorted, its values go from %.9g to %.9g in equal steps, one for each of the %u rows: it counts them, or "
        "is a running time stamp",
        s->counter_first, s->counter_last, s->info->S);
}

// Reports that X was stored as (T, N, C) but is read as (N, T, C).
static void report_reshaped(struct clrnn_doctor *d)
{
    const struct clrnn_scan *s = &d->train_scan;
    const uint64_t steps = (uint64_t)s->info->S * s->info->T;

    clrnn_doctor_finding(d, CLRNN_FINDING_AXES_SWAPPED, CLRNN_SEVERITY_WARNING);
    clrnn_doctor_where(d, "data.train X");
    clrnn_doctor_evidence(d,
                          "neighbouring steps of a row correlate by %.2f, but steps %u apart, which lie in other rows, "
                          "by %.2f: X was stored as (T, N, C) with N = %u and reshaped to (N, T, C), which exchanges "
                          "no axes",
                          s->reshaped_near, s->reshaped, s->reshaped_far, s->reshaped);
    clrnn_doctor_cost(d, "a row holds the same moment of many samples, and its label belongs to none of them");
    if (steps % s->reshaped)
        clrnn_doctor_remedy(d, "exchange the axes before splitting: numpy.swapaxes(X, 0, 1) of X as (T, N, C)");
    else
        clrnn_doctor_remedy(d, "numpy.swapaxes(X.reshape(%llu, %u, %u), 0, 1), for valid, too",
                            (unsigned long long)steps / s->reshaped, s->reshaped, s->C);
}

static void check_axes(struct clrnn_doctor *d)
{
    const struct clrnn_scan *s = &d->train_scan;
    const uint32_t T = s->info->T, C = s->info->C;

    if (s->reshaped) {
        report_reshaped(d);
        return;
    }
    if (s->feature_windows > clrnn_threshold.window_rows && clrnn_doctor_found(d, CLRNN_FINDING_SINGLE_TIME_STEP)) {
        clrnn_doctor_finding(d, CLRNN_FINDING_AXES_SWAPPED, CLRNN_SEVERITY_WARNING);
        clrnn_doctor_where(d, "data.train X");
        clrnn_doctor_evidence(d,
                              "it is read as 1 step of %u features; %.0f%% of the rows are the row before, moved by "
                              "one feature: the features are the steps of a series",
                              C, 100 * s->feature_windows);
        clrnn_doctor_cost(d, "the recurrent layer never recurs: it sees all of time at once");
        clrnn_doctor_remedy(d, "store X as (N, T, C) = (%u, %u, 1): X.reshape(-1, %u, 1), for valid, too", s->info->S,
                            C, C);
        return;
    }
    if (C < 2 * T || !(s->across_features > clrnn_threshold.axes) ||
        !(s->across_steps < clrnn_threshold.axes_other * s->across_features))
        return;
    clrnn_doctor_finding(d, CLRNN_FINDING_AXES_SWAPPED, CLRNN_SEVERITY_WARNING);
    clrnn_doctor_where(d, "data.train X");
    clrnn_doctor_evidence(d,
                          "it is read as %u steps of %u features; neighbouring features correlate by %.2f, as the "
                          "steps of a series do, neighbouring steps by %.2f",
                          T, C, s->across_features, s->across_steps);
}

// ---------------------------------------------------------------- labels

struct ignored {
    uint64_t rows;    // number of rows whose labels are all ignored, or whose weight is 0
    uint64_t batches, // number of batches, in file order, that consist of such rows
        first;        // index of the first of these batches
    double expected;  // expected number of such batches in a random order
};

static struct ignored count_ignored(const struct clrnn_doctor *d)
{
    const struct clrnn_scan *s = &d->train_scan;
    const uint32_t S = s->info->S, B = MIN2(MAX2(d->config->train.batch_size, 1u), S);
    struct ignored i = {0};

    for (uint32_t row = 0; row < S; row++)
        i.rows += !s->labelled[row];
    for (uint64_t b = 0; b < d->batches; b++) {
        bool any = false;

        for (uint64_t row = b * B; row < (b + 1) * B && row < S; row++)
            any = any || s->labelled[row];
        if (!any && !i.batches++)
            i.first = b;
    }
    i.expected = (double)d->batches * pow((double)i.rows / S, B);
    return i;
}

static void check_ignored(struct clrnn_doctor *d)
{
    const struct clrnn_train_config *t = &d->config->train;
    const uint32_t S = d->train_scan.info->S;
    const bool classes = clrnn_loss_is_classes(t->loss.kind);
    struct ignored i;

    if (!classes && !d->config->data.missing_ignore && !d->train_scan.info->has_weights)
        return;
    i = count_ignored(d);
    if (i.rows < S && (t->shuffle ? i.expected < 0.05 : !i.batches))
        return;
    clrnn_doctor_finding(d, CLRNN_FINDING_LABELS_ALL_IGNORED,
                         classes || i.rows == S ? CLRNN_SEVERITY_ERROR : CLRNN_SEVERITY_NOTE);
    clrnn_doctor_where(d, "data.train y");
    clrnn_doctor_evidence(d, "%llu of %u rows have no ", (unsigned long long)i.rows, S);
    if (classes)
        clrnn_doctor_evidence(d, "label but ignore_index %d", (int)t->loss.ignore_index);
    else
        clrnn_doctor_evidence(d, "target%s", d->config->data.missing_ignore ? " but NaN" : "");
    if (d->train_scan.info->has_weights)
        clrnn_doctor_evidence(d, ", or weight 0");
    if (i.rows == S) {
        d->not_run = "no label counts.";
        clrnn_doctor_cost(d, "there is nothing to learn from");
        if (d->train_scan.info->has_weights && d->train_scan.labels)
            clrnn_doctor_remedy(d, "check the file of weights, data.train.weights");
        else if (classes)
            clrnn_doctor_remedy(d, "check y, and train.loss.%s.ignore_index", clrnn_loss_word(t->loss.kind));
        else
            clrnn_doctor_remedy(d, "check y: every target is NaN");
    } else if (t->shuffle) {
        clrnn_doctor_evidence(d, ": in a random order about %.2g batches of an epoch have none that counts",
                              i.expected);
        clrnn_doctor_remedy(d, "a larger batch_size, or leave these rows out");
    } else {
        clrnn_doctor_evidence(d,
                              "; in the order of the file %llu of %llu batches have none that counts, the first is "
                              "batch %llu",
                              (unsigned long long)i.batches, (unsigned long long)d->batches,
                              (unsigned long long)i.first + 1);
        clrnn_doctor_set(d, "train.shuffle=true");
    }
}

void clrnn_doctor_check_rows(struct clrnn_doctor *d)
{
    check_tokens(d);
    check_front(d);
    check_counter(d);
    check_axes(d);
    check_ignored(d);
}

void clrnn_doctor_check_overlap(struct clrnn_doctor *d, double share)
{
    if (share < clrnn_threshold.overlap_share)
        return;
    clrnn_doctor_finding(d, CLRNN_FINDING_TRAIN_VALID_OVERLAP, CLRNN_SEVERITY_WARNING);
    clrnn_doctor_where(d, "data.valid X");
    clrnn_doctor_evidence(d,
                          "%.0f%% of the validation rows have half of their steps or more in common with one "
                          "training row, moved by some steps: they are windows of the same stretch of a series",
                          100 * share);
}
