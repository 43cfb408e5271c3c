// SPDX-License-Identifier: MIT
// Opens a CSV file as a data set: each row is a sample, or the samples are windows of consecutive rows.
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/array.h"
#include "base/file.h"
#include "model/layer.h"
#include "train/dataset_private.h"

#define MAX_EXTENT ((size_t)INT32_MAX)

uint32_t clrnn_dataset_count_targets(const struct clrnn_config *config, const struct clrnn_dataset *d)
{
    return clrnn_loss_targets(&config->train.loss,
                              clrnn_layers_width(config, config->layer_count, d->info.C, d->info.T));
}

static enum clrnn_status check_outputs(const struct clrnn_dataset *d, const struct clrnn_config *config,
                                       const struct clrnn_source *source)
{
    const struct clrnn_table *t = d->table;
    const uint32_t horizon = d->windows ? MAX2(clrnn_source_horizon(source), 1u) : 1;
    const uint64_t has = (uint64_t)t->targets * horizon;
    size_t quantiles;
    char each[48] = "";

    clrnn_loss_quantiles(&config->train.loss, &quantiles);
    quantiles = MAX2(quantiles, 1);
    if (quantiles > 1)
        snprintf(each, sizeof(each), ", %zu quantiles each", quantiles);
    if (d->goal.per_step && d->info.T > 1)
        return clrnn_error(d->log, CLRNN_ERR_DATA,
                           "%s: has one label a row, but without a pool layer the model makes a prediction for each "
                           "of %u steps: add `- pool: {over: last}`",
                           d->x_path, d->info.T);
    if (has == d->info.targets)
        return CLRNN_OK;
    if (source->label || d->goal.classes)
        return clrnn_error(d->log, CLRNN_ERR_DATA,
                           "%s: has one label a row, but the last layer has outputs for %u targets: use "
                           "out_features: %zu%s, or name several columns by target",
                           d->x_path, d->info.targets, quantiles,
                           d->goal.binary ? ", for classes the loss cross_entropy" : "");
    return clrnn_error(d->log, CLRNN_ERR_DATA,
                       "%s: %zu target %s at horizon %u make %llu numbers a sample%s, but the last layer "
                       "puts out %zu: set its out_features to %llu",
                       d->x_path, t->targets, t->targets == 1 ? "column" : "columns", horizon, (unsigned long long)has,
                       each, quantiles * d->info.targets, (unsigned long long)has * quantiles);
}

// Sets S, T and C of a set in which each row is a sample.
static enum clrnn_status shape_rows(struct clrnn_dataset *d, const struct clrnn_source *source)
{
    const uint32_t steps = MAX2(source->csv_steps, 1u);
    const size_t columns = d->table->features;

    if (!d->info.tokens && columns % steps)
        return clrnn_error(d->log, CLRNN_ERR_DATA, "%s: %zu columns cannot be folded into %u steps", d->x_path, columns,
                           steps);
    d->info.S = (uint32_t)d->table->rows;
    d->info.T = d->info.tokens ? (uint32_t)columns : steps;
    d->info.C = d->info.tokens ? 0 : (uint32_t)(columns / steps);
    return CLRNN_OK;
}

static enum clrnn_status shape_windows(struct clrnn_dataset *d, const struct clrnn_source *source)
{
    const uint32_t after = d->table->targets ? clrnn_source_horizon(source) : 0;

    if (d->info.tokens && d->table->features != 1)
        return clrnn_error(d->log, CLRNN_ERR_DATA,
                           "%s: windows of %zu columns are no tokens, expected one column for an embedding", d->x_path,
                           d->table->features);
    TRY(clrnn_series_make(d->log, d->x_path, d->table, source, after, CLRNN_PART_ALL, &d->windows));
    d->info.S = d->windows->samples;
    d->info.T = source->window;
    d->info.C = d->info.tokens ? 0 : (uint32_t)d->table->features;
    return CLRNN_OK;
}

enum clrnn_status clrnn_dataset_open_csv(struct clrnn_dataset *d, const struct clrnn_config *config,
                                         const struct clrnn_source *source, const struct clrnn_open_rules *rules)
{
    const struct clrnn_table_wish wish = {.source = source,
                                          .path = d->x_path,
                                          .names = rules->names,
                                          .classes = d->goal.classes || d->goal.binary,
                                          .targets = !rules->no_targets,
                                          .missing_targets = config->data.missing_ignore && !d->goal.classes,
                                          .report = rules->report,
                                          .by_position = rules->by_position};

    TRY(clrnn_table_read(d->log, &wish, &d->table));
    if (d->table->rows > MAX_EXTENT || d->table->features > MAX_EXTENT)
        return clrnn_error(d->log, CLRNN_ERR_DATA, "%s: %zu rows of %zu columns are too many", d->x_path,
                           d->table->rows, d->table->features);
    TRY(source->window ? shape_windows(d, source) : shape_rows(d, source));
    if (rules->report && !source->window && d->info.T == 1)
        TRY(clrnn_table_check_order(d->log, &wish, d->table));
    d->info.has_y = d->table->targets > 0;
    d->info.y_steps = d->goal.per_step && d->info.T == 1;
    TRY(clrnn_dataset_find_steps(d, config));
    d->info.targets = clrnn_dataset_count_targets(config, d);
    if (d->info.has_y)
        TRY(check_outputs(d, config, source));
    return clrnn_source_missing(source) == CLRNN_MISSING_MEAN && !d->table->fill ? clrnn_dataset_fill(d, d->table)
                                                                                 : CLRNN_OK;
}

struct clrnn_source clrnn_source_as_trained(const struct clrnn_config *config, const struct clrnn_names *names,
                                            const struct clrnn_source *source)
{
    const struct clrnn_source *t = &config->data.train;
    struct clrnn_source s = *source;

    s.missing = s.missing ? s.missing : t->missing; // for .ts files, too
    if (!s.csv || !t->csv)
        return s;
    if (!s.label && !s.target && !names) {
        s.label = t->label;
        s.target = t->target;
    }
    s.columns = s.columns || names ? s.columns : t->columns;
    s.delimiter = s.delimiter ? s.delimiter : t->delimiter;
    s.comment = s.comment ? s.comment : t->comment;
    s.decimal = s.decimal ? s.decimal : t->decimal;
    s.time = s.time ? s.time : t->time;
    s.group = s.group ? s.group : t->group;
    s.csv_steps = s.csv_steps ? s.csv_steps : t->csv_steps;
    s.window = s.window ? s.window : t->window;
    s.stride = s.stride ? s.stride : t->stride;
    s.season = s.season ? s.season : t->season;
    s.season = s.season <= s.window ? s.season : 0; // a window without a whole season has no seasonal baseline
    if (t->window)
        s.horizon = clrnn_source_horizon(t); // the model predicts no other
    return s;
}

// ---------------------------------------------------------------- column means for missing cells

// Sets marked[i] to 1 for each table row i that a sample of `d` contains. If `d` is a view, the table is that of
// clrnn_dataset_root.
static void mark_rows(const struct clrnn_dataset *d, unsigned char *marked)
{
    const struct clrnn_series *w = d->windows;

    if (!d->parent && w) {
        for (size_t k = 0; k < w->count; k++)
            for (size_t i = 0; i < w->span[k].rows; i++)
                marked[clrnn_series_row(w, w->span[k].first + i)] = 1;
        return;
    }
    for (uint32_t s = 0; s < d->info.S; s++) {
        uint32_t sample = s;
        const struct clrnn_dataset *root = clrnn_dataset_root(d, &sample);
        const uint32_t T = root->length ? (uint32_t)root->length[sample] : root->windows ? root->windows->window : 1;

        for (uint32_t t = 0; t < T; t++)
            marked[clrnn_dataset_table_row(root, sample, t)] = 1;
    }
}

enum clrnn_status clrnn_dataset_fill(const struct clrnn_dataset *d, struct clrnn_table *table)
{
    const struct clrnn_table *from = clrnn_dataset_root(d, NULL)->table;
    const size_t width = from->width;
    unsigned char *marked = calloc(from->rows, 1);
    double *fill = calloc(2 * width, sizeof(*fill)), *count = fill ? fill + width : NULL;

    if (!marked || !fill) {
        free(marked);
        free(fill);
        return clrnn_error_memory(d->log, from->rows, "means of columns");
    }
    mark_rows(d, marked);
    for (size_t i = 0; i < from->rows; clrnn_table_passed(from, i++))
        for (size_t k = 0; k < width && marked[i]; k++) {
            const double value = from->values[i * width + k];

            fill[k] += isnan(value) ? 0 : value;
            count[k] += !isnan(value);
        }
    for (size_t k = 0; k < width; k++)
        fill[k] /= fmax(count[k], 1);
    for (size_t k = 0; k < from->targets && d->goal.missing && !d->goal.classes; k++)
        fill[from->target[k]] = NAN; // missing targets stay missing
    free(marked);
    free(table->fill);
    table->fill = fill;
    return CLRNN_OK;
}

enum clrnn_status clrnn_dataset_names(const struct clrnn_dataset *dataset, struct clrnn_names **names)
{
    const struct clrnn_table *table = clrnn_dataset_root(dataset, NULL)->table;

    *names = table ? clrnn_table_names(table) : NULL;
    return table && !*names ? clrnn_error_memory(dataset->log, 0, "names of the data's columns") : CLRNN_OK;
}

// ---------------------------------------------------------------- split by time

// Gives the windows of `part` their weights. `weight`: those of the windows `whole`, which were found without a split.
static enum clrnn_status take_weights(struct clrnn_dataset *part, const struct clrnn_series *whole,
                                      const double *weight, const char *path)
{
    const struct clrnn_series *w = part->windows;
    const struct clrnn_span *from = whole->span;
    double sum = 0;

    part->weight = malloc(w->samples * sizeof(*part->weight));
    if (!part->weight)
        return clrnn_error_memory(part->log, w->samples * sizeof(*part->weight), path);
    for (size_t k = 0; k < w->count; k++) {
        const struct clrnn_span *to = &w->span[k];
        const uint32_t end = k + 1 < w->count ? to[1].before : w->samples;
        const double *first;

        while (from->first + from->rows <= to->first)
            from++; // to the span of which `to` is a part
        if ((to->first - from->first) % w->stride)
            return clrnn_error(part->log, CLRNN_ERR_DATA,
                               "%s: has no weights for the windows behind split.valid, which lie between those of "
                               "stride %u: leave stride out, or name a file in data.valid",
                               path, w->stride);
        first = weight + from->before + (to->first - from->first) / w->stride;
        for (uint32_t s = to->before; s < end; s++) {
            part->weight[s] = first[s - to->before];
            sum += part->weight[s];
        }
    }
    return sum > 0 ? CLRNN_OK
                   : clrnn_error(part->log, CLRNN_ERR_DATA,
                                 "%s: all weights of the %s part are 0: no sample would count", path, part->name);
}

static enum clrnn_status split_weights(struct clrnn_dataset *train, const struct clrnn_series *whole,
                                       struct clrnn_dataset *valid)
{
    double *weight = train->weight;
    enum clrnn_status st;

    if (!weight)
        return CLRNN_OK;
    st = take_weights(valid, whole, weight, train->weights_path);
    if (st == CLRNN_OK)
        st = take_weights(train, whole, weight, train->weights_path);
    if (train->weight != weight)
        free(weight);
    return st;
}

enum clrnn_status clrnn_dataset_split_time(struct clrnn_dataset *train, const struct clrnn_source *source,
                                           struct clrnn_dataset **valid)
{
    struct clrnn_dataset *v = calloc(1, sizeof(*v));
    struct clrnn_series *whole = train->windows;
    const uint32_t after = whole->after;
    enum clrnn_status st;

    *valid = NULL;
    if (!v)
        return clrnn_error_memory(train->log, sizeof(*v), "valid");
    *v = (struct clrnn_dataset){
        .log = train->log, .info = train->info, .goal = train->goal, .references = 1, .table = train->table};
    train->table->references++;
    v->info.name = v->name = clrnn_format("valid");
    v->x_path = clrnn_format("%s", train->x_path);
    v->y_path = clrnn_format("%s", train->y_path);
    train->windows = NULL;
    if (!train->weight)
        clrnn_series_destroy(&whole); // saves memory
    if (train->steps)
        v->steps = malloc(((size_t)train->info.T + 1) * sizeof(*v->steps));
    if (v->steps)
        memcpy(v->steps, train->steps, ((size_t)train->info.T + 1) * sizeof(*v->steps));
    st = v->name && v->x_path && v->y_path && !train->steps == !v->steps ? CLRNN_OK
                                                                         : clrnn_error_memory(train->log, 0, "valid");
    if (st == CLRNN_OK)
        st = clrnn_series_make(train->log, train->x_path, train->table, source, after, CLRNN_PART_TRAIN,
                               &train->windows);
    if (st == CLRNN_OK)
        st = clrnn_series_make(train->log, train->x_path, train->table, source, after, CLRNN_PART_VALID, &v->windows);
    if (st == CLRNN_OK)
        st = split_weights(train, whole, v);
    clrnn_series_destroy(&whole);
    if (st != CLRNN_OK) {
        clrnn_dataset_close(&v);
        return st;
    }
    train->info.bytes = train->info.bytes / train->info.S * train->windows->samples;
    v->info.bytes = v->info.bytes / v->info.S * v->windows->samples;
    train->info.S = train->windows->samples;
    v->info.S = v->windows->samples;
    *valid = v;
    return CLRNN_OK;
}
