// SPDX-License-Identifier: MIT
// Makes naive predictions of series and classes, which need no model, and computes their scores.
#include "train/naive.h"

#include <math.h>
#include <string.h>

#include "base/array.h"
#include "base/file.h"
#include "train/dataset_private.h"
#include "train/folder.h"

// Sums over the samples for each output.
struct scale {
    double *absolute, // [outputs] sum of |error|
        *squares,     // [outputs] sum of error^2
        *count;       // [outputs] number of errors that are not NaN
};

enum naive_kind { NAIVE_LAST, NAIVE_SEASON, NAIVE_LINE };
static const char *const naive_name[] = {"last value", "seasonal", "linear"};

// Reads one target's values in a window into past [window]. `start`: the window's first row, as an index that
// clrnn_series_row takes.
static void read_past(const struct clrnn_dataset *root, size_t start, size_t target, double *past)
{
    for (uint32_t t = 0; t < root->windows->window; t++)
        past[t] =
            clrnn_table_value(root->table, clrnn_series_row(root->windows, start + t), root->table->target[target]);
}

// Fits the least squares line through past [window]: value = at + slope * (t - middle), where t counts the rows of the
// window from 0 and middle = (window - 1) / 2.
static void fit_line(const double *past, uint32_t window, double *at, double *slope)
{
    const double middle = (window - 1) / 2.0;
    double sum = 0, products = 0, squares = 0;

    for (uint32_t t = 0; t < window; t++)
        sum += past[t];
    *at = sum / window;
    for (uint32_t t = 0; t < window; t++) {
        products += (t - middle) * (past[t] - *at);
        squares += (t - middle) * (t - middle);
    }
    *slope = squares > 0 ? products / squares : 0;
}

static double predict(enum naive_kind kind, const double *past, uint32_t window, uint32_t season, uint32_t step,
                      double at, double slope)
{
    switch (kind) {
    case NAIVE_SEASON: // the value at the same position in the window's last season
        return past[window - season + step % season];
    case NAIVE_LINE:
        return at + slope * (window + step - (window - 1) / 2.0);
    default:
        return past[window - 1];
    }
}

static void add_sample(const struct clrnn_dataset *d, uint32_t sample, enum naive_kind kind, double *past,
                       struct scale *scale)
{
    uint32_t at_root = sample;
    const struct clrnn_dataset *root = clrnn_dataset_root(d, &at_root);
    const struct clrnn_series *w = root->windows;
    double at = 0, slope = 0;

    for (size_t o = 0; o < root->table->targets; o++) {
        read_past(root, clrnn_series_start(w, at_root), o, past);
        if (kind == NAIVE_LINE)
            fit_line(past, w->window, &at, &slope);
        for (uint32_t h = 0; h < w->after; h++) {
            const size_t index = h * root->table->targets + o;
            const double error =
                predict(kind, past, w->window, w->season, h, at, slope) - clrnn_dataset_y(d, sample, index);

            if (isnan(error))
                continue;
            scale->absolute[index] += fabs(error);
            scale->squares[index] += error * error;
            scale->count[index]++;
        }
    }
}

static enum clrnn_status eval_values(const struct clrnn_dataset *d, const struct clrnn_series *w,
                                     struct clrnn_naive *naive)
{
    const size_t outputs = d->info.targets;
    double *sums = calloc(3 * outputs + w->window, sizeof(*sums));
    struct scale scale = {sums, sums + outputs, sums + 2 * outputs};

    if (!sums)
        return clrnn_error_memory(d->log, (3 * outputs + w->window) * sizeof(*sums), "baselines");
    for (enum naive_kind kind = NAIVE_LAST; kind <= NAIVE_LINE; kind++) {
        struct clrnn_naive_result *r = &naive->result[naive->count];

        if (kind == NAIVE_SEASON && !w->season)
            continue;
        memset(sums, 0, 3 * outputs * sizeof(*sums));
        for (uint32_t s = 0; s < d->info.S; s++) {
            add_sample(d, s, kind, sums + 3 * outputs, &scale);
            clrnn_dataset_passed(d, s);
        }
        *r = (struct clrnn_naive_result){.name = naive_name[kind], .accuracy = NAN};
        for (size_t o = 0; o < outputs; o++) { // mean over the outputs, like the model's metrics
            r->mae += scale.absolute[o] / scale.count[o] / (double)outputs;
            r->rmse += sqrt(scale.squares[o] / scale.count[o]) / (double)outputs;
        }
        naive->count++;
    }
    free(sums);
    return CLRNN_OK;
}

static enum clrnn_status eval_classes(const struct clrnn_dataset *d, struct clrnn_naive *naive)
{
    uint64_t *counts = calloc(MAX2(d->info.classes, 1u), sizeof(*counts)), most = 0, all = 0;
    enum clrnn_status st;

    if (!counts)
        return clrnn_error_memory(d->log, d->info.classes * sizeof(*counts), "baselines");
    st = clrnn_dataset_class_counts(d, counts);
    for (uint32_t k = 0; k < d->info.classes; k++) {
        most = MAX2(most, counts[k]);
        all += counts[k];
    }
    free(counts);
    if (st == CLRNN_OK && all)
        naive->result[naive->count++] =
            (struct clrnn_naive_result){"commonest class", NAN, NAN, (double)most / (double)all};
    return st;
}

enum clrnn_status clrnn_naive_eval(const struct clrnn_dataset *dataset, struct clrnn_naive *naive)
{
    const struct clrnn_dataset *root = clrnn_dataset_root(dataset, NULL);

    *naive = (struct clrnn_naive){0};
    if (!root->windows || root->windows->sequences || !dataset->info.has_y)
        return CLRNN_OK;
    if (dataset->info.classes)
        return eval_classes(dataset, naive);
    return root->windows->after ? eval_values(dataset, root->windows, naive) : CLRNN_OK;
}

char *clrnn_naive_text(const struct clrnn_naive *naive)
{
    char *text = NULL;
    size_t size;
    FILE *stream = clrnn_text_open(&text, &size);

    if (!stream)
        return NULL;
    for (uint32_t i = 0; i < naive->count; i++) {
        const struct clrnn_naive_result *r = &naive->result[i];

        fprintf(stream, "%s%s", i ? ", " : "", r->name);
        if (isnan(r->accuracy))
            fprintf(stream, " MAE %.6g RMSE %.6g", r->mae, r->rmse);
        else
            fprintf(stream, " accuracy %.4f", r->accuracy);
    }
    return clrnn_text_close(stream, &text) ? text : NULL;
}

json_t *clrnn_naive_json(const struct clrnn_naive *naive)
{
    json_t *list = json_array();

    for (uint32_t i = 0; i < naive->count; i++) {
        const struct clrnn_naive_result *r = &naive->result[i];

        json_array_append_new(list, json_pack("{s:s, s:o, s:o, s:o}", "name", r->name, "mae", clrnn_json_number(r->mae),
                                              "rmse", clrnn_json_number(r->rmse), "accuracy",
                                              clrnn_json_number(r->accuracy)));
    }
    return list;
}
