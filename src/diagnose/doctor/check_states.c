// SPDX-License-Identifier: MIT
// Stage 1: checks whether train.bptt divides any row into shorter pieces. With train.stateful, a row starts from the
// final state of the row one batch earlier. Checks whether the row also continues the values of that earlier row.
#include <math.h>
#include <stdlib.h>

#include "base/array.h"
#include "base/log.h"
#include "base/stats.h"
#include "diagnose/doctor/doctor.h"

#define ROWS 512u // maximum number of rows looked at
#define STEPS 8u  // maximum number of steps of each row

// Distances between steps. `inside`: between neighbouring steps of a row; `next`: between a row's last step and the
// first step of the next row; `far`: between a row's last step and the first step of the row one batch later.
struct joins {
    uint32_t batch;
    float *x, *other; // [T, C] two rows
    double *inside, *next, *far;
    size_t inside_count, count;
};

// Returns the distance between two steps: the sum over features of |a - b| / standard deviation of the feature.
static double distance(const struct clrnn_scan *s, const float *a, const float *b)
{
    double sum = 0;

    for (uint32_t c = 0; c < s->C; c++) {
        const double deviation = sqrt(fmax(s->rms[c] * s->rms[c] - s->mean[c] * s->mean[c], 0));

        sum += deviation > 0 ? fabs((double)a[c] - b[c]) / deviation : 0;
    }
    return sum;
}

static void add(const struct clrnn_scan *s, uint32_t row, struct joins *j)
{
    const uint32_t length = clrnn_dataset_length(s->set, row), stride = MAX2(length / STEPS, 1u);
    const float *last = j->x + (size_t)(length - 1) * s->C;

    clrnn_dataset_x(s->set, row, j->x);
    for (uint32_t t = 1, i = 0; t < length && i < STEPS; t += stride, i++)
        j->inside[j->inside_count++] = distance(s, j->x + (size_t)t * s->C, j->x + (size_t)(t - 1) * s->C);
    clrnn_dataset_x(s->set, row + 1, j->other);
    j->next[j->count] = distance(s, last, j->other);
    clrnn_dataset_x(s->set, row + j->batch, j->other);
    j->far[j->count++] = distance(s, last, j->other);
}

// Sets join_next and join_batch. Uses medians, since a series may have a few large jumps.
static void conclude(const struct clrnn_doctor *d, struct clrnn_scan *s, struct joins *j)
{
    const double usual = clrnn_median(j->inside, j->inside_count);

    if (!(usual > 0))
        return;
    s->join_next = clrnn_median(j->next, j->count) / usual;
    s->join_batch = clrnn_median(j->far, j->count) / usual;
    clrnn_log(d->log, CLRNN_LOG_DEBUG, "%s: jumps to the next row %.3g times those of steps, to that a batch on %.3g",
              s->info->name, s->join_next, s->join_batch);
}

enum clrnn_status clrnn_doctor_measure_joins(const struct clrnn_doctor *d, struct clrnn_scan *s)
{
    const uint32_t batch = d->config->train.batch_size, S = s->info->S;
    const size_t cells = (size_t)s->info->T * s->C;
    struct joins j = {.batch = batch};
    bool there;

    if (!d->config->train.stateful || s->info->tokens || s->info->T < 4 || batch < 2 || S < 2 * batch || s->bad_values)
        return CLRNN_OK;
    j.x = malloc(2 * cells * sizeof(*j.x));
    j.inside = malloc((STEPS + 2) * (size_t)ROWS * sizeof(*j.inside));
    there = j.x && j.inside;
    if (there) {
        j.other = j.x + cells;
        j.next = j.inside + (size_t)STEPS * ROWS;
        j.far = j.next + ROWS;
        for (uint32_t row = 0; row < MIN2(S - batch, ROWS); row++)
            add(s, row, &j);
        conclude(d, s, &j);
    }
    free(j.x);
    free(j.inside);
    return there ? CLRNN_OK : clrnn_error_memory(d->log, 2 * cells * sizeof(*j.x), "joins of rows");
}

static void check_order(struct clrnn_doctor *d)
{
    const struct clrnn_scan *s = &d->train_scan;
    const uint32_t batch = d->config->train.batch_size;

    if (!d->config->train.stateful || s->join_batch < clrnn_threshold.join_apart)
        return;
    clrnn_doctor_finding(d, CLRNN_FINDING_STATEFUL_ORDER, CLRNN_SEVERITY_WARNING);
    clrnn_doctor_where(d, "train.stateful");
    clrnn_doctor_evidence(
        d,
        "sample n of a batch starts from the state of sample n of the batch before, %u rows earlier; from the last "
        "step of that row to its first one the values jump by %.1f times what they do from step to step (medians)",
        batch, s->join_batch);
    if (s->join_next < clrnn_threshold.join_near) {
        clrnn_doctor_evidence(
            d, ", to the next row by %.1f times: the rows of the file are one series, one after the other",
            s->join_next);
        clrnn_doctor_remedy(
            d,
            "cut the series into %u strips and take a row of each in turn: row b * %u + n is row b of strip n, "
            "X.reshape(%u, -1, T, C).swapaxes(0, 1).reshape(-1, T, C), y likewise; or train.stateful=false",
            batch, batch, batch);
        return;
    }
    clrnn_doctor_remedy(d, "train.stateful=false, where rows do not go on one after the other");
}

static void check_pieces(struct clrnn_doctor *d)
{
    const uint32_t bptt = d->config->train.bptt, longest = d->train_scan.longest ? d->train_scan.longest : d->T;

    if (!bptt || bptt < longest)
        return;
    clrnn_doctor_finding(d, CLRNN_FINDING_BPTT_LONGER_THAN_ROWS, CLRNN_SEVERITY_NOTE);
    clrnn_doctor_where(d, "train.bptt");
    clrnn_doctor_evidence(d, "the longest row has %u steps, a piece %u: no row is cut", longest, bptt);
}

void clrnn_doctor_check_states(struct clrnn_doctor *d)
{
    check_order(d);
    check_pieces(d);
}
