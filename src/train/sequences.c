// SPDX-License-Identifier: MIT
// Collects sequences of unequal length in one table, and turns their labels into numbers.
#include "train/sequences.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/array.h"
#include "formats/cell.h"

// ---------------------------------------------------------------- a table of all sequences

enum clrnn_status clrnn_sequences_memory(const struct clrnn_sequences *b, size_t bytes)
{
    return clrnn_error_memory(b->d->log, bytes, b->d->x_path);
}

enum clrnn_status clrnn_sequences_begin(struct clrnn_sequences *b)
{
    struct clrnn_table *t = calloc(1, sizeof(*t));
    struct clrnn_series *w = calloc(1, sizeof(*w));

    if (t)
        t->references = 1;
    b->d->table = t;
    b->d->windows = w;
    if (!t || !w)
        return clrnn_sequences_memory(b, sizeof(*t));
    t->time = t->group = SIZE_MAX;
    w->stride = 1;
    w->sequences = true;
    return CLRNN_OK;
}

enum clrnn_status clrnn_sequences_column(struct clrnn_sequences *b, const char *name)
{
    struct clrnn_table *t = b->d->table;

    if (!ARRAY_GROW(t->feature, t->features) || !clrnn_texts_add(&t->column, name))
        return clrnn_sequences_memory(b, t->features * sizeof(*t->feature));
    t->feature[t->features] = t->features;
    t->features++;
    t->width++;
    return CLRNN_OK;
}

enum clrnn_status clrnn_sequences_add(struct clrnn_sequences *b, size_t rows, double **values)
{
    struct clrnn_table *t = b->d->table;
    struct clrnn_series *w = b->d->windows;
    const size_t needed = (t->rows + rows) * t->width;

    if (!t->missing)
        t->missing = calloc(t->width, sizeof(*t->missing));
    if (!t->missing)
        return clrnn_sequences_memory(b, t->width * sizeof(*t->missing));
    if (needed > b->capacity) {
        const size_t capacity = MAX2(needed, 2 * b->capacity);
        double *larger = realloc(t->values, capacity * sizeof(*larger));

        if (!larger)
            return clrnn_sequences_memory(b, capacity * sizeof(*larger));
        t->values = larger;
        b->capacity = capacity;
    }
    if (!ARRAY_GROW(w->span, w->count))
        return clrnn_sequences_memory(b, 2 * w->count * sizeof(*w->span));
    w->span[w->count] = (struct clrnn_span){t->rows, rows, (uint32_t)w->count};
    w->samples = (uint32_t)++w->count;
    w->window = MAX2(w->window, (uint32_t)rows);
    *values = t->values + t->rows * t->width;
    t->rows += rows;
    if (t->rows > INT32_MAX)
        return clrnn_error(b->d->log, CLRNN_ERR_DATA, "%s: %zu steps are too many", b->d->x_path, t->rows);
    return CLRNN_OK;
}

// ---------------------------------------------------------------- labels

// Parses a label as a number. The table of label_from may use the recordings' decimal point or '.'.
static bool number_of(const struct clrnn_sequences *b, size_t label, double *value)
{
    const char *text = b->labels.text[label], *decimal = b->source->decimal;

    return clrnn_cell_number(text, strlen(text), decimal ? *decimal : '.', value) ||
           clrnn_cell_number(text, strlen(text), '.', value);
}

static bool all_numbers(const struct clrnn_sequences *b)
{
    double value;

    for (size_t i = 0; i < b->labels.count; i++)
        if (!number_of(b, i, &value))
            return false;
    return true;
}

// Makes the list of classes: the distinct labels in sorted order.
static enum clrnn_status sort_classes(struct clrnn_sequences *b)
{
    char **sorted = malloc(b->labels.count * sizeof(*sorted));
    bool good = sorted;

    if (good) {
        memcpy(sorted, b->labels.text, b->labels.count * sizeof(*sorted));
        qsort(sorted, b->labels.count, sizeof(*sorted), clrnn_texts_compare);
    }
    for (size_t i = 0; i < b->labels.count && good; i++)
        if (!i || strcmp(sorted[i], sorted[i - 1]) != 0)
            good = clrnn_texts_add(&b->d->table->classes, sorted[i]);
    free(sorted);
    return good ? CLRNN_OK : clrnn_sequences_memory(b, b->labels.count * sizeof(*sorted));
}

void clrnn_dataset_describe_sequence(const struct clrnn_dataset *root, size_t sequence, char *text, size_t size)
{
    if (root->recording.count)
        snprintf(text, size, "recording %s", root->recording.text[sequence]);
    else
        snprintf(text, size, "sequence %zu (counted from 0)", sequence);
}

static enum clrnn_status bad_label(const struct clrnn_sequences *b, size_t sequence, const char *why)
{
    char name[512];

    clrnn_dataset_describe_sequence(b->d, sequence, name, sizeof(name));
    return clrnn_error(b->d->log, CLRNN_ERR_DATA, "%s: %s: the label \"%.60s\" %s", b->d->y_path, name,
                       b->labels.text[sequence], why);
}

// Turns labels into numbers. Labels that are class names become the indices of their classes. Other labels must be
// numbers and keep their values. `texts`: labels are class names even if they look like numbers.
static enum clrnn_status number_labels(struct clrnn_sequences *b, bool texts)
{
    struct clrnn_dataset *d = b->d;
    const struct clrnn_names *names = b->rules->names;
    const bool fixed = names && names->classes.count, classes = d->goal.classes || d->goal.binary;
    const bool named = classes && (fixed || (!names && (texts || !all_numbers(b))));

    d->label = malloc(MAX2(b->labels.count, 1u) * sizeof(*d->label));
    if (!d->label)
        return clrnn_sequences_memory(b, b->labels.count * sizeof(*d->label));
    for (size_t k = 0; named && fixed && k < names->classes.count; k++)
        if (!clrnn_texts_add(&d->table->classes, names->classes.text[k]))
            return clrnn_sequences_memory(b, 0);
    if (named && !fixed)
        TRY(sort_classes(b));
    for (size_t i = 0; i < b->labels.count; i++) {
        char *const *found = !named ? NULL
                                    : bsearch(&b->labels.text[i], d->table->classes.text, d->table->classes.count,
                                              sizeof(*found), clrnn_texts_compare);

        if (named && !found)
            return bad_label(b, i, "is none of the model's classes");
        if (named)
            d->label[i] = (double)(found - d->table->classes.text);
        else if (!number_of(b, i, &d->label[i]))
            return bad_label(b, i, "is no number");
    }
    return CLRNN_OK;
}

enum clrnn_status clrnn_sequences_finish(struct clrnn_sequences *b, const struct clrnn_config *config, bool texts)
{
    struct clrnn_dataset *d = b->d;
    const struct clrnn_series *w = d->windows;

    if (b->labels.count)
        TRY(number_labels(b, texts));
    d->length = malloc(w->count * sizeof(*d->length));
    if (!d->length)
        return clrnn_sequences_memory(b, w->count * sizeof(*d->length));
    for (size_t s = 0; s < w->count; s++)
        d->length[s] = (int32_t)w->span[s].rows;
    if (d->info.tokens && d->table->features != 1)
        return clrnn_error(d->log, CLRNN_ERR_DATA,
                           "%s: sequences of %zu columns are no tokens, expected one column for an embedding",
                           d->x_path, d->table->features);
    d->info.S = (uint32_t)w->count;
    d->info.T = w->window;
    d->info.C = d->info.tokens ? 0 : (uint32_t)d->table->features;
    d->info.has_lengths = true;
    d->info.has_y = d->label;
    TRY(clrnn_dataset_find_steps(d, config));
    d->info.targets = clrnn_dataset_count_targets(config, d);
    if (d->label && (d->info.targets > 1 || d->goal.per_step))
        return clrnn_error(d->log, CLRNN_ERR_DATA, "%s: has one label a sequence, but the model predicts %s: %s",
                           d->y_path, d->goal.per_step ? "at every step" : "several targets",
                           d->goal.per_step ? "add `- pool: {over: last}`" : "use out_features: 1");
    if (clrnn_source_missing(b->source) != CLRNN_MISSING_MEAN)
        return CLRNN_OK;
    if (!b->rules->names || !b->rules->names->fill)
        return clrnn_dataset_fill(d, d->table);
    d->table->fill = malloc(d->table->width * sizeof(*d->table->fill));
    if (!d->table->fill)
        return clrnn_sequences_memory(b, d->table->width * sizeof(*d->table->fill));
    for (size_t k = 0; k < d->table->features && k < b->rules->names->columns.count; k++)
        d->table->fill[k] = b->rules->names->fill[k];
    return CLRNN_OK;
}
