// SPDX-License-Identifier: MIT
// Describes the data as text and as JSON: files, rows, column statistics, classes, lengths, first samples.
#include <jansson.h>
#include <math.h>
#include <stdlib.h>

#include "base/array.h"
#include "base/file.h"
#include "base/json.h"
#include "base/text.h"
#include "base/words.h"
#include "clrnn/train.h"
#include "train/dataset_private.h"
#include "train/folder.h"
#include "train/naive.h"

#define FIRST_SAMPLES 2u
#define FIRST_STEPS 6u
#define MOST_COLUMNS 1000u // most columns listed in the text; JSON has all

struct figures {
    double least, most, sum, count;
    uint64_t missing;
};

static void take(struct figures *f, double value)
{
    if (isnan(value)) {
        f->missing++;
        return;
    }
    f->least = f->count ? fmin(f->least, value) : value;
    f->most = f->count ? fmax(f->most, value) : value;
    f->sum += value;
    f->count++;
}

static json_t *column(const char *name, const char *role, const struct figures *f)
{
    return json_pack("{s:o, s:s, s:o, s:o, s:o, s:I}", "name", clrnn_json_text(name), "role", role, "min",
                     clrnn_json_number(f->count ? f->least : (double)NAN), "mean", clrnn_json_number(f->sum / f->count),
                     "max", clrnn_json_number(f->count ? f->most : (double)NAN), "missing", (json_int_t)f->missing);
}

// ---------------------------------------------------------------- parts of the description

// Adds the statistics of a table's columns. Uses the values as read from the file, before missing ones are replaced,
// and each row once, even if several windows contain it.
static void table_columns(const struct clrnn_table *t, json_t *columns)
{
    for (size_t k = 0; k < t->features + t->targets; k++) {
        const bool feature = k < t->features;
        const size_t place = feature ? t->feature[k] : t->target[k - t->features];
        struct figures f = {0};

        for (size_t i = 0; i < t->rows; clrnn_table_passed(t, i++))
            take(&f, t->values[i * t->width + place]);
        f.missing = t->missing[place];
        json_array_append_new(columns, column(t->column.text[place], feature ? "feature" : "target", &f));
    }
}

// Adds the statistics of data that were not read from a table: of each feature over all valid time steps, and of each
// real-valued target.
static enum clrnn_status array_columns(const struct clrnn_dataset *d, json_t *columns)
{
    const struct clrnn_dataset_info *info = &d->info;
    struct figures *f = calloc((size_t)info->C + info->targets + 1, sizeof(*f));
    float *x = malloc((size_t)info->T * MAX2(info->C, 1u) * sizeof(*x));
    char name[32];

    if (!f || !x) {
        free(f);
        free(x);
        return clrnn_error_memory(d->log, (size_t)info->T * info->C * sizeof(*x), "figures of the data");
    }
    for (uint32_t s = 0; s < info->S; s++) {
        if (info->C)
            clrnn_dataset_x(d, s, x);
        for (size_t i = 0; i < (size_t)clrnn_dataset_length(d, s) * info->C; i++)
            take(&f[i % info->C], x[i]);
        for (size_t i = 0; info->has_y && info->y_real && i < clrnn_dataset_y_valid(d, s); i++)
            take(&f[info->C + i % info->targets], clrnn_dataset_y(d, s, i));
        clrnn_dataset_passed(d, s);
    }
    for (uint32_t c = 0; c < info->C + (info->has_y && info->y_real ? info->targets : 0); c++) {
        snprintf(name, sizeof(name), "%s%u", c < info->C ? "x" : "y", c < info->C ? c : c - info->C);
        json_array_append_new(columns, column(name, c < info->C ? "feature" : "target", &f[c]));
    }
    free(f);
    free(x);
    return clrnn_dataset_whole(d);
}

static enum clrnn_status add_classes(const struct clrnn_dataset *d, const struct clrnn_table *t, json_t *object)
{
    uint64_t *counts = calloc(MAX2(d->info.classes, 1u), sizeof(*counts));
    json_t *classes = json_array();
    enum clrnn_status st;

    json_object_set_new(object, "classes", classes);
    if (!counts || !classes) {
        free(counts);
        return clrnn_error_memory(d->log, d->info.classes * sizeof(*counts), "classes of the data");
    }
    st = clrnn_dataset_class_counts(d, counts);
    for (uint32_t k = 0; k < d->info.classes; k++)
        json_array_append_new(classes, json_pack("{s:i, s:o*, s:I}", "class", (int)k, "name",
                                                 t && k < t->classes.count ? clrnn_json_text(t->classes.text[k]) : NULL,
                                                 "samples", (json_int_t)counts[k]));
    free(counts);
    return st;
}

static void add_lengths(const struct clrnn_dataset *d, json_t *object)
{
    struct figures f = {0};

    for (uint32_t s = 0; s < d->info.S; s++)
        take(&f, clrnn_dataset_length(d, s));
    json_object_set_new(object, "lengths",
                        json_pack("{s:o, s:o, s:o}", "min", clrnn_json_number(f.least), "mean",
                                  clrnn_json_number(f.sum / f.count), "max", clrnn_json_number(f.most)));
}

static enum clrnn_status add_first(const struct clrnn_dataset *d, json_t *object)
{
    const struct clrnn_dataset_info *info = &d->info;
    const size_t width = MAX2(info->C, 1u);
    float *x = malloc(info->T * width * sizeof(*x));
    json_t *first = json_array();

    json_object_set_new(object, "first", first);
    if (!x || !first) {
        free(x);
        return clrnn_error_memory(d->log, info->T * width * sizeof(*x), "the first samples");
    }
    for (uint32_t s = 0; s < MIN2(info->S, FIRST_SAMPLES); s++) {
        json_t *steps = json_array(), *targets = json_array();

        if (info->tokens)
            clrnn_dataset_tokens(d, s, (int32_t *)(void *)x);
        else
            clrnn_dataset_x(d, s, x);
        for (uint32_t t = 0; t < MIN2(clrnn_dataset_length(d, s), FIRST_STEPS); t++) {
            json_t *row = json_array();

            for (size_t c = 0; c < MIN2(width, 8u); c++)
                json_array_append_new(row, info->tokens ? json_integer(((int32_t *)(void *)x)[t])
                                                        : clrnn_json_number((double)x[t * width + c]));
            json_array_append_new(steps, row);
        }
        for (size_t i = 0; info->has_y && i < MIN2(clrnn_dataset_y_valid(d, s), 8u); i++)
            json_array_append_new(targets, clrnn_json_number(clrnn_dataset_y(d, s, i)));
        json_array_append_new(first, json_pack("{s:o, s:o}", "x", steps, "y", targets));
    }
    free(x);
    return CLRNN_OK;
}

static enum clrnn_status describe(const struct clrnn_dataset *d, json_t *object)
{
    const struct clrnn_dataset *root = clrnn_dataset_root(d, NULL);
    json_t *columns = json_array();
    struct clrnn_naive naive;

    json_object_set_new(object, "file", clrnn_json_text(root->x_path ? root->x_path : d->info.name));
    json_object_set_new(object, "samples", json_integer(d->info.S));
    json_object_set_new(object, "steps", json_integer(d->info.T));
    json_object_set_new(object, "features", json_integer(d->info.C));
    if (root->table) {
        json_object_set_new(object, "rows", json_integer((json_int_t)root->table->rows));
        json_object_set_new(object, "groups", json_integer((json_int_t)root->table->groups.count));
    }
    if (root->windows && !root->windows->sequences)
        json_object_set_new(object, "windows",
                            json_pack("{s:i, s:i, s:i}", "window", (int)root->windows->window, "horizon",
                                      (int)root->windows->after, "stride", (int)root->windows->stride));
    json_object_set_new(object, "columns", columns);
    if (root->table)
        table_columns(root->table, columns);
    else
        TRY(array_columns(d, columns));
    if (d->info.classes)
        TRY(add_classes(d, root->table, object));
    if (d->info.has_lengths)
        add_lengths(d, object);
    TRY(add_first(d, object));
    TRY(clrnn_naive_eval(d, &naive));
    if (naive.count)
        json_object_set_new(object, "baselines", clrnn_naive_json(&naive));
    return CLRNN_OK;
}

// ---------------------------------------------------------------- text

static void print_number(FILE *to, const json_t *value)
{
    if (json_is_null(value) || !value)
        fprintf(to, "  %12s", "-");
    else
        fprintf(to, "  %12.6g", json_number_value(value));
}

static void print_name(FILE *to, const json_t *name, int width)
{
    char *shown = clrnn_text_fit(name ? json_string_value(name) : "", -width);

    fprintf(to, "%s", shown ? shown : "");
    free(shown);
}

static void print_columns(FILE *to, const json_t *columns)
{
    const size_t count = json_array_size(columns);

    if (count)
        fprintf(to, "  %-24s%-8s  %12s  %12s  %12s  %9s\n", "column", "", "min", "mean", "max", "missing");
    for (size_t i = 0; i < MIN2(count, MOST_COLUMNS); i++) {
        const json_t *c = json_array_get(columns, i);

        fprintf(to, "  ");
        print_name(to, json_object_get(c, "name"), 24);
        fprintf(to, "%-8s", json_string_value(json_object_get(c, "role")));
        print_number(to, json_object_get(c, "min"));
        print_number(to, json_object_get(c, "mean"));
        print_number(to, json_object_get(c, "max"));
        fprintf(to, "  %9lld\n", (long long)json_integer_value(json_object_get(c, "missing")));
    }
    if (count > MOST_COLUMNS)
        fprintf(to, "  and %zu more; --json has them\n", count - MOST_COLUMNS);
}

static void print_first(FILE *to, const json_t *first)
{
    for (size_t s = 0; s < json_array_size(first); s++) {
        const json_t *x = json_object_get(json_array_get(first, s), "x");
        const json_t *y = json_object_get(json_array_get(first, s), "y");

        fprintf(to, "  sample %zu:", s);
        for (size_t t = 0; t < json_array_size(x); t++) {
            const json_t *row = json_array_get(x, t);

            for (size_t c = 0; c < json_array_size(row); c++)
                fprintf(to, "%s%.6g", c ? " " : t ? "; " : " ", json_number_value(json_array_get(row, c)));
        }
        fprintf(to, json_array_size(y) ? " -> " : "");
        for (size_t i = 0; i < json_array_size(y); i++)
            if (json_is_null(json_array_get(y, i))) // the target is missing
                fprintf(to, "%s-", i ? " " : "");
            else
                fprintf(to, "%s%.6g", i ? " " : "", json_number_value(json_array_get(y, i)));
        fprintf(to, "\n");
    }
}

static void print_set(FILE *to, const char *name, const json_t *o)
{
    const json_t *windows = json_object_get(o, "windows"), *lengths = json_object_get(o, "lengths");
    const json_t *classes = json_object_get(o, "classes"), *naive = json_object_get(o, "baselines");

    fprintf(to, "%s: ", name);
    fprintf(to, "%s\n  ", json_string_value(json_object_get(o, "file")));
    if (json_object_get(o, "rows"))
        fprintf(to, "%lld rows, ", (long long)json_integer_value(json_object_get(o, "rows")));
    if (json_integer_value(json_object_get(o, "groups")))
        fprintf(to, "%lld groups, ", (long long)json_integer_value(json_object_get(o, "groups")));
    fprintf(to, "%lld samples of %lld steps, %lld features",
            (long long)json_integer_value(json_object_get(o, "samples")),
            (long long)json_integer_value(json_object_get(o, "steps")),
            (long long)json_integer_value(json_object_get(o, "features")));
    if (windows)
        fprintf(to, "; windows of %lld rows, horizon %lld, stride %lld",
                (long long)json_integer_value(json_object_get(windows, "window")),
                (long long)json_integer_value(json_object_get(windows, "horizon")),
                (long long)json_integer_value(json_object_get(windows, "stride")));
    if (lengths)
        fprintf(to, "; lengths from %g to %g, mean %.6g", json_number_value(json_object_get(lengths, "min")),
                json_number_value(json_object_get(lengths, "max")),
                json_number_value(json_object_get(lengths, "mean")));
    fprintf(to, "\n");
    print_columns(to, json_object_get(o, "columns"));
    for (size_t k = 0; k < json_array_size(classes); k++) {
        const json_t *c = json_array_get(classes, k);

        fprintf(to, "  class %-4lld  ", (long long)json_integer_value(json_object_get(c, "class")));
        print_name(to, json_object_get(c, "name"), 24);
        fprintf(to, "%9lld samples\n", (long long)json_integer_value(json_object_get(c, "samples")));
    }
    print_first(to, json_object_get(o, "first"));
    for (size_t i = 0; i < json_array_size(naive); i++) {
        const json_t *r = json_array_get(naive, i);
        const bool values = json_is_null(json_object_get(r, "accuracy"));

        fprintf(to, "  baseline %s: ", json_string_value(json_object_get(r, "name")));
        if (values)
            fprintf(to, "MAE %.6g RMSE %.6g\n", json_number_value(json_object_get(r, "mae")),
                    json_number_value(json_object_get(r, "rmse")));
        else
            fprintf(to, "accuracy %.4f\n", json_number_value(json_object_get(r, "accuracy")));
    }
}

// ---------------------------------------------------------------- all sets of a config

static enum clrnn_status collect(const struct clrnn_log *log, const struct clrnn_config *config, json_t *all)
{
    struct clrnn_dataset *d[3] = {NULL, NULL, NULL};
    static const char *const name[] = {"train", "valid", "test"};
    struct clrnn_names *names = NULL;
    enum clrnn_status st;

    TRY(clrnn_dataset_open_named(log, config, CLRNN_CHECK_ALL, true, &d[0], &d[1]));
    st = clrnn_dataset_names(d[0], &names);
    if (st == CLRNN_OK && config->data.test.there)
        st = clrnn_dataset_open_beside(log, config, &config->data.test, "test", CLRNN_CHECK_ALL,
                                       &(struct clrnn_open_rules){.names = names}, &d[2]);
    for (int i = 0; i < 3 && st == CLRNN_OK; i++) {
        json_t *object = d[i] ? json_object() : NULL;

        if (!d[i])
            continue;
        json_object_set_new(all, name[i], object);
        st = describe(d[i], object);
    }
    clrnn_names_destroy(&names);
    for (int i = 0; i < 3; i++)
        clrnn_dataset_close(&d[i]);
    return st;
}

enum clrnn_status clrnn_data_text(const struct clrnn_log *log, const struct clrnn_config *config, bool json,
                                  char **text)
{
    CLRNN_C_LOCALE;
    NEED(log, text);
    *text = NULL;
    NEED(log, config);

    json_t *all = json_object();
    FILE *stream;
    size_t size;
    const char *name;
    json_t *object;
    enum clrnn_status st;

    clrnn_json_out_of_memory();
    if (!all)
        return clrnn_error_memory(log, 0, "a description of the data");
    st = collect(log, config, all);
    if (st == CLRNN_OK && json) {
        char *line = clrnn_json_dump(all, JSON_INDENT(2) | JSON_PRESERVE_ORDER);

        *text = line ? clrnn_format("%s\n", line) : NULL;
        free(line);
    } else if (st == CLRNN_OK && (stream = clrnn_text_open(text, &size))) {
        json_object_foreach(all, name, object) print_set(stream, name, object);
        if (!clrnn_text_close(stream, text))
            *text = NULL;
    }
    json_decref(all);
    return st == CLRNN_OK && !*text ? clrnn_error_memory(log, 0, "a description of the data") : st;
}
