// SPDX-License-Identifier: MIT
// The summary of a run and its pictures, after each epoch and at the end.
#include "train/report.h"

#include <math.h>
#include <stdio.h>

#include "base/clock.h"
#include "train/ranks.h"

#define PICTURES_SHARE 0.05 // of a run's time that pictures may take before its end

static int by_seconds(const void *a, const void *b)
{
    const double x = ((const struct clrnn_loop_pace *)a)->seconds,
                 y = ((const struct clrnn_loop_pace *)b)->seconds;

    return (x > y) - (x < y);
}

static double median_ms(struct clrnn_loop *l)
{
    uint64_t steps = 0, passed = 0;

    if (!l->pace_count)
        return NAN;
    qsort(l->pace, l->pace_count, sizeof(*l->pace), by_seconds);
    for (size_t i = 0; i < l->pace_count; i++)
        steps += l->pace[i].steps;
    for (size_t i = 0; i < l->pace_count; i++) {
        passed += l->pace[i].steps;
        if (2 * passed >= steps)
            return 1e3 * l->pace[i].seconds;
    }
    return NAN;
}

void clrnn_report_result(struct clrnn_loop *l, struct clrnn_train_result *r)
{
    const struct clrnn_epoch_row *row = l->folder.count ? &l->folder.row[l->folder.count - 1] : NULL;
    uint64_t now;
    unsigned built, cached;

    snprintf(r->folder, sizeof(r->folder), "%s", l->folder.path ? l->folder.path : "");
    r->epochs = l->state.epoch;
    r->steps = l->done;
    r->best_epoch = l->state.best_epoch;
    r->parameters = l->model ? clrnn_model_size(l->model) : 0;
    r->train_loss = row ? row->train_loss : NAN;
    r->train_accuracy = row ? row->train_accuracy : NAN;
    r->valid_loss = row ? row->valid_loss : NAN;
    r->valid_accuracy = row ? row->valid_accuracy : NAN;
    r->seconds = l->former_seconds + clrnn_clock() - l->called;
    r->ms_per_step_median = median_ms(l);
    r->chained = l->chained;
    r->naive = l->naive;
    r->samples_per_s = l->samples_here ? (double)l->samples_here / l->train_seconds_here : NAN;
    r->build_seconds = clrnn_device_build_seconds(l->device, &built, &cached);
    clrnn_device_memory(l->device, &now, &r->peak_device_bytes);
}

static enum clrnn_status write_summary(const struct clrnn_loop *l, const struct clrnn_train_result *r)
{
    return clrnn_run_folder_summary(&l->folder, l->config->path, clrnn_device_info(l->device), r);
}

static enum clrnn_status draw(struct clrnn_loop *l, struct clrnn_tfevents *events, int plot)
{
    const struct clrnn_picture_counts confusion = {l->metrics.groups, l->metrics.confusion};
    const double began = clrnn_clock();
    const enum clrnn_status st = clrnn_plot(&l->folder, l->data.train, &confusion, events, plot);

    l->pictures_ended = clrnn_clock();
    l->pictures_took = l->pictures_ended - began;
    return st;
}

enum clrnn_status clrnn_report_epoch(struct clrnn_loop *l)
{
    struct clrnn_train_result r = {0};

    if (clrnn_ranks_own()) // rank 0 writes
        return CLRNN_OK;
    clrnn_report_result(l, &r);
    TRY(write_summary(l, &r));
    if (l->params->plot && !l->state.finished &&
        (!l->pictures_ended || PICTURES_SHARE * (clrnn_clock() - l->pictures_ended) > l->pictures_took))
        return draw(l, NULL, -1);
    return CLRNN_OK;
}

enum clrnn_status clrnn_report_end(struct clrnn_loop *l, const struct clrnn_train_result *r, bool summary)
{
    if (summary)
        TRY(write_summary(l, r));
    return draw(l, l->steps_here ? l->events : NULL, l->params->plot);
}
