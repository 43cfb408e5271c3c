// SPDX-License-Identifier: MIT
// Reads samples from a table: each sample is a row, or a window of rows.
#include <float.h>
#include <math.h>
#include <string.h>

#include "base/array.h"
#include "train/dataset_private.h"

size_t clrnn_dataset_table_row(const struct clrnn_dataset *root, uint32_t sample, size_t step)
{
    return root->windows ? clrnn_series_row(root->windows, clrnn_series_start(root->windows, sample) + step) : sample;
}

double clrnn_dataset_cell(const struct clrnn_dataset *root, uint32_t sample, size_t index)
{
    const size_t C = MAX2(root->info.C, 1u), column = root->windows ? index % C : index;

    if (root->windows && root->windows->sequences && index / C >= (size_t)root->length[sample])
        return 0; // padding after the sequence's last step
    return clrnn_table_value(root->table, clrnn_dataset_table_row(root, sample, index / C),
                             root->table->feature[column]);
}

double clrnn_dataset_table_y(const struct clrnn_dataset *root, uint32_t sample, size_t index)
{
    const struct clrnn_series *w = root->windows;
    const size_t step = !w ? 0 : w->after ? w->window + index / root->table->targets : w->window - 1;

    return clrnn_table_value(root->table, clrnn_dataset_table_row(root, sample, step),
                             root->table->target[index % root->table->targets]);
}

void clrnn_dataset_table_x(const struct clrnn_dataset *root, uint32_t sample, size_t first, size_t count, float *x)
{
    const struct clrnn_table *t = root->table;
    const size_t start = root->windows ? clrnn_series_start(root->windows, sample) : sample;
    size_t step = root->windows ? first / t->features : 0, column = first - step * t->features;
    size_t row = root->windows ? clrnn_series_row(root->windows, start + step) : start;

    if (root->windows && root->windows->sequences) { // zeros after the last step
        const size_t length = (size_t)root->length[sample] * t->features;
        const size_t there = first < length ? MIN2(count, length - first) : 0;

        memset(x + there, 0, (count - there) * sizeof(*x));
        count = there;
    }
    for (size_t i = 0; i < count; i++) {
        x[i] = (float)clrnn_table_value(t, row, t->feature[column]);
        if (++column < t->features || i + 1 == count)
            continue;
        column = 0;
        row = root->windows ? clrnn_series_row(root->windows, start + ++step) : row;
    }
}

// ---------------------------------------------------------------- statistics over the rows of windows

// Returns a feature of table row clrnn_series_row(d->windows, at), rounded to float32.
static double feature_at(const struct clrnn_dataset *d, size_t at, size_t feature)
{
    clrnn_table_passed(d->table, at);
    return (float)clrnn_table_value(d->table, clrnn_series_row(d->windows, at), d->table->feature[feature]);
}

void clrnn_series_moments(const struct clrnn_dataset *d, double *mean, double *std)
{
    const struct clrnn_series *w = d->windows;

    for (size_t c = 0; c < d->table->features; c++) {
        double sum = 0, squares = 0, count = 0;

        for (size_t k = 0; k < w->count; k++)
            for (size_t i = 0; i < w->span[k].rows; i++)
                sum += feature_at(d, w->span[k].first + i, c);
        for (size_t k = 0; k < w->count; k++)
            count += (double)w->span[k].rows;
        mean[c] = sum / count;
        for (size_t k = 0; k < w->count; k++)
            for (size_t i = 0; i < w->span[k].rows; i++) {
                const double off = feature_at(d, w->span[k].first + i, c) - mean[c];

                squares += off * off;
            }
        std[c] = sqrt(squares / count);
        if (std[c] <= count * DBL_EPSILON * fabs(mean[c]))
            std[c] = 1.0;
    }
}

void clrnn_series_hash(const struct clrnn_dataset *d, struct clrnn_hash *hash)
{
    const struct clrnn_series *w = d->windows;
    const struct clrnn_table *t = d->table;

    if (d->label)
        clrnn_hash_add(hash, d->label, d->info.S * sizeof(*d->label));
    clrnn_hash_add(hash, &(const uint32_t[]){w->window, w->after, w->stride}, 3 * sizeof(uint32_t));
    for (size_t k = 0; k < w->count; k++) {
        clrnn_hash_add(hash, &w->span[k].rows, sizeof(w->span[k].rows));
        for (size_t i = 0; i < w->span[k].rows; i++) {
            const size_t row = clrnn_series_row(w, w->span[k].first + i);

            clrnn_table_passed(t, w->span[k].first + i);
            for (size_t n = 0; n < t->features + t->targets; n++) {
                const size_t place = n < t->features ? t->feature[n] : t->target[n - t->features];
                const double value = clrnn_table_value(t, row, place);

                clrnn_hash_add(hash, &value, sizeof(value));
            }
        }
    }
}
