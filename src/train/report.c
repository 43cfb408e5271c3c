// SPDX-License-Identifier: MIT
// Logs a description of a run's data; writes the run's summary and pictures after each epoch and at the end.
#include "train/loop.h"

#include <math.h>
#include <stdio.h>

#include "base/array.h"
#include "base/clock.h"
#include "train/naive.h"
#include "train/ranks.h"

#define MOST_CLASSES_SHOWN 12u
#define PICTURES_SHARE 0.05 // largest fraction of a run's time that drawing may take before the run ends

// Computes the scores of naive predictions (naive.h) on a set, and logs them if there are any.
static enum clrnn_status compare_naive(struct clrnn_loop *l, const struct clrnn_dataset *set)
{
    char *text;

    TRY(clrnn_naive_eval(set, &l->naive));
    text = clrnn_naive_text(&l->naive);
    if (!text)
        return clrnn_error_memory(l->log, 0, "baselines");
    if (*text)
        clrnn_log(l->log, CLRNN_LOG_INFO, "%s, baselines: %s", clrnn_dataset_info(set)->name, text);
    free(text);
    return CLRNN_OK;
}

// Logs a line such as "train: 22644 samples, T 1, C 2474; classes 0: 11322 (50.0%), 1: 11322 (50.0%)".
static enum clrnn_status describe(const struct clrnn_loop *l, const struct clrnn_dataset *set)
{
    const struct clrnn_dataset_info *info = clrnn_dataset_info(set);
    char text[1024];
    uint64_t *counts, total = 0;
    enum clrnn_status st;
    size_t used;

    used = (size_t)snprintf(text, sizeof(text), "%s: %u samples, T %u", info->name, info->S, info->T);
    if (info->has_lengths)
        used += (size_t)snprintf(text + used, sizeof(text) - used, " at most");
    if (info->tokens)
        used += (size_t)snprintf(text + used, sizeof(text) - used, ", tokens");
    else
        used += (size_t)snprintf(text + used, sizeof(text) - used, ", C %u", info->C);
    counts = malloc(MAX2(info->classes, 1u) * sizeof(*counts));
    if (!counts)
        return clrnn_error_memory(l->log, info->classes * sizeof(*counts), "class counts");
    st = info->classes ? clrnn_dataset_class_counts(set, counts) : CLRNN_OK;
    if (st != CLRNN_OK) {
        free(counts);
        return st;
    }
    for (uint32_t k = 0; k < info->classes; k++)
        total += counts[k];
    for (uint32_t k = 0; k < MIN2(info->classes, MOST_CLASSES_SHOWN); k++)
        used +=
            (size_t)snprintf(text + used, sizeof(text) - used, "%s %u: %llu (%.1f%%)",
                             k                              ? ","
                             : info->y_steps && info->T > 1 ? "; classes of the steps"
                                                            : "; classes",
                             k, (unsigned long long)counts[k], total ? 100.0 * (double)counts[k] / (double)total : 0.0);
    if (info->classes > MOST_CLASSES_SHOWN)
        snprintf(text + used, sizeof(text) - used, ", ... %u classes", info->classes);
    clrnn_log(l->log, CLRNN_LOG_INFO, "%s", text);
    free(counts);
    return CLRNN_OK;
}

enum clrnn_status clrnn_report_data(struct clrnn_loop *l)
{
    TRY(describe(l, l->data.train));
    if (l->data.valid)
        TRY(describe(l, l->data.valid));
    return compare_naive(l, l->data.valid ? l->data.valid : l->data.train);
}

static int by_seconds(const void *a, const void *b)
{
    const double x = ((const struct clrnn_loop_pace *)a)->seconds, y = ((const struct clrnn_loop_pace *)b)->seconds;

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
    const struct clrnn_names *names = l->model->names;
    const struct clrnn_picture_counts confusion = {l->metrics.groups, l->metrics.confusion,
                                                   names && names->classes.count ? &names->classes : NULL};
    const double began = clrnn_clock();
    const enum clrnn_status st = clrnn_plot(&l->folder, l->data.train, &confusion, events, plot);

    l->pictures_ended = clrnn_clock();
    l->pictures_took = l->pictures_ended - began;
    return st;
}

enum clrnn_status clrnn_report_epoch(struct clrnn_loop *l)
{
    struct clrnn_train_result r = {0};

    if (clrnn_ranks_own()) // only rank 0 writes
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
