// SPDX-License-Identifier: MIT
// Reads an opened data set sample by sample.
#include "train/dataset.h"

#include <math.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/array.h"
#include "base/file.h"
#include "base/random.h"
#include "train/dataset_private.h"

// Values of member b of struct clrnn_random, one for each use of random numbers in a synthetic set.
enum { DRAW_X = 100, DRAW_Y };

#define RELEASE_BYTES ((uint64_t)16 << 20) // mapped pages are released after this many bytes

const struct clrnn_dataset_info *clrnn_dataset_info(const struct clrnn_dataset *dataset)
{
    return &dataset->info;
}

void clrnn_dataset_close(struct clrnn_dataset **dataset)
{
    struct clrnn_dataset *d = *dataset;

    *dataset = NULL;
    if (!d || --d->references)
        return;
    if (d->parent)
        clrnn_dataset_close(&d->parent);
    free(d->row);
    free(d->label_row);
    free(d->blank);
    free(d->permutation);
    clrnn_npy_close(&d->x);
    clrnn_npy_close(&d->y);
    free(d->label);
    clrnn_texts_finish(&d->recording);
    clrnn_series_destroy(&d->windows);
    clrnn_table_close(&d->table);
    free(d->length);
    free(d->y_length);
    free(d->y_lengths_path);
    free(d->steps);
    free(d->weight);
    free(d->x_path);
    free(d->y_path);
    free(d->lengths_path);
    free(d->weights_path);
    free(d->name);
    free(d);
}

// Returns the set behind all views from which y of a sample is read. *sample: index of the sample in `dataset`; becomes
// its index in the returned set.
static const struct clrnn_dataset *label_root(const struct clrnn_dataset *dataset, uint32_t *sample)
{
    const struct clrnn_dataset *root = dataset;

    for (; root->parent; root = root->parent)
        *sample = root->label_row ? root->label_row[*sample] : root->row[*sample];
    return root;
}

double clrnn_dataset_y(const struct clrnn_dataset *dataset, uint32_t sample, size_t index)
{
    const struct clrnn_dataset *root = label_root(dataset, &sample);
    uint32_t label;
    double value;

    if (root->synthetic) {
        const struct clrnn_random r = {root->seed, RANDOM_SYNTH, sample, DRAW_Y};

        if (!root->goal.classes && !root->goal.binary)
            return 2.0 * clrnn_random_uniform(&r, index) - 1.0;
        label = clrnn_random_u32(&r, (uint32_t)index) % root->synthetic_classes;
        return root->goal.ctc && label >= root->goal.blank ? label + 1 : label;
    }
    if (root->label)
        return root->label[sample];
    if (root->table)
        return clrnn_dataset_table_y(root, sample, index);
    clrnn_npy_read_f64(root->y, sample * clrnn_dataset_y_count(root) + index, 1, &value);
    return value;
}

// Converts to int32. Values outside the range of int32 become its nearest end, and NaN becomes INT32_MIN: padding and
// unchecked sets may hold such values.
static int32_t to_i32(double value)
{
    return !(value > (double)INT32_MIN) ? INT32_MIN : value >= (double)INT32_MAX ? INT32_MAX : (int32_t)value;
}

static void synthetic_x(const struct clrnn_dataset *root, uint32_t sample, size_t first, size_t count, float *x)
{
    const struct clrnn_random r = {root->seed, RANDOM_SYNTH, sample, DRAW_X};
    const float root_3 = 1.7320508f; // sqrt(3): half the width of a uniform distribution of variance 1
    uint32_t words[4];

    for (size_t i = first; i < first + count; i++) {
        if (i == first || i % 4 == 0)
            clrnn_random_block(&r, (uint32_t)(i / 4), words);
        x[i - first] = ((float)(words[i % 4] >> 8) * 0x1p-23f - 1.0f) * root_3;
    }
}

// Reads numbers [first, first + count) of a sample's X, from a set that is not a view.
static void root_x(const struct clrnn_dataset *root, uint32_t sample, size_t first, size_t count, float *x)
{
    if (root->synthetic)
        synthetic_x(root, sample, first, count, x);
    else if (root->table)
        clrnn_dataset_table_x(root, sample, first, count, x);
    else
        clrnn_npy_read_f32(root->x, (size_t)sample * root->info.T * root->info.C + first, count, x);
}

static void root_tokens(const struct clrnn_dataset *root, uint32_t sample, uint32_t first, uint32_t count,
                        int32_t *tokens)
{
    const struct clrnn_random r = {root->seed, RANDOM_SYNTH, sample, DRAW_X};
    const size_t at = (size_t)sample * root->info.T + first;
    double values[64];

    if (root->synthetic || root->table) {
        for (uint32_t t = 0; t < count; t++)
            tokens[t] = root->table ? to_i32(clrnn_dataset_cell(root, sample, first + t))
                                    : (int32_t)(clrnn_random_u32(&r, first + t) % root->goal.vocabulary);
        return;
    }
    for (uint32_t t = 0; t < count; t += ARRAY_SIZE(values)) {
        const uint32_t some = MIN2(count - t, (uint32_t)ARRAY_SIZE(values));

        clrnn_npy_read_f64(root->x, at + t, some, values);
        for (uint32_t i = 0; i < some; i++)
            tokens[t + i] = to_i32(values[i]);
    }
}

// Reads steps [first, first + count) of a sample: float32 features, or tokens as int32.
static void read_steps(const struct clrnn_dataset *d, uint32_t sample, uint32_t first, uint32_t count, void *steps)
{
    const size_t C = MAX2(d->info.C, 1u);
    uint32_t length;

    if (!d->parent && d->info.tokens) {
        root_tokens(d, sample, first, count, steps);
    } else if (!d->parent) {
        root_x(d, sample, first * C, count * C, steps);
    } else if (d->blanked) {
        for (size_t i = 0; i < count * C; i++)
            if (d->info.tokens)
                ((int32_t *)steps)[i] = 0;
            else
                ((float *)steps)[i] = (float)d->blank[i % C];
    } else if (!d->permutation) {
        read_steps(d->parent, d->row[sample], first, count, steps);
    } else {
        const struct clrnn_random r = {d->seed, RANDOM_PROBE, d->row[sample], 1};

        length = clrnn_dataset_length(d, sample);
        clrnn_random_permutation(&r, length, d->permutation);
        for (uint32_t t = first; t < first + count; t++)
            read_steps(d->parent, d->row[sample], t < length ? d->permutation[t] : t, 1,
                       (uint32_t *)steps + (t - first) * C);
    }
}

const float *clrnn_dataset_x_mapped(const struct clrnn_dataset *dataset, uint32_t sample)
{
    const struct clrnn_dataset *root = dataset;
    const float *x;

    for (; root->parent; root = root->parent) {
        if (root->blanked || root->permutation)
            return NULL;
        sample = root->row[sample];
    }
    x = root->x && !root->info.tokens ? clrnn_npy_f32(root->x) : NULL;
    return x ? x + (size_t)sample * root->info.T * root->info.C : NULL;
}

void clrnn_dataset_x(const struct clrnn_dataset *dataset, uint32_t sample, float *x)
{
    read_steps(dataset, sample, 0, dataset->info.T, x);
}

void clrnn_dataset_tokens(const struct clrnn_dataset *dataset, uint32_t sample, int32_t *tokens)
{
    read_steps(dataset, sample, 0, dataset->info.T, tokens);
}

double clrnn_dataset_token(const struct clrnn_dataset *dataset, uint32_t sample, uint32_t step)
{
    const struct clrnn_dataset *root = clrnn_dataset_root(dataset, &sample);
    double value = NAN;
    int32_t token;

    if (root->table)
        return clrnn_dataset_cell(root, sample, step);
    if (root->x) {
        clrnn_npy_read_f64(root->x, (size_t)sample * root->info.T + step, 1, &value);
        return value;
    }
    root_tokens(root, sample, step, 1, &token);
    return token;
}

void clrnn_dataset_classes(const struct clrnn_dataset *dataset, uint32_t sample, int32_t *y)
{
    for (size_t i = 0; i < clrnn_dataset_y_count(dataset); i++) {
        const double value = clrnn_dataset_y(dataset, sample, i);

        y[i] = !dataset->goal.binary ? to_i32(value) : isnan(value) ? -1 : value > 0.5;
    }
}

void clrnn_dataset_targets(const struct clrnn_dataset *dataset, uint32_t sample, float *y)
{
    for (size_t i = 0; i < clrnn_dataset_y_count(dataset); i++)
        y[i] = (float)clrnn_dataset_y(dataset, sample, i);
}

size_t clrnn_dataset_y_count(const struct clrnn_dataset *dataset)
{
    return (size_t)dataset->info.y_T * dataset->info.targets;
}

size_t clrnn_dataset_y_valid(const struct clrnn_dataset *dataset, uint32_t sample)
{
    uint32_t row = sample;
    const struct clrnn_dataset *root = label_root(dataset, &row);

    if (root->y_length)
        return (size_t)root->y_length[row];
    return (size_t)(dataset->info.y_steps ? clrnn_dataset_output_length(dataset, sample) : 1) * dataset->info.targets;
}

double clrnn_dataset_weight(const struct clrnn_dataset *dataset, uint32_t sample)
{
    const struct clrnn_dataset *root = label_root(dataset, &sample); // the weight belongs to y

    return root->weight ? root->weight[sample] : 1.0;
}

uint32_t clrnn_dataset_length(const struct clrnn_dataset *dataset, uint32_t sample)
{
    const struct clrnn_dataset *root = clrnn_dataset_root(dataset, &sample);

    return root->length ? MIN2((uint32_t)root->length[sample], dataset->info.T) : dataset->info.T;
}

uint32_t clrnn_dataset_output_steps(const struct clrnn_dataset *dataset, uint32_t T)
{
    const struct clrnn_dataset *root = clrnn_dataset_root(dataset, NULL);

    return root->steps ? root->steps[T] : T;
}

uint32_t clrnn_dataset_output_length(const struct clrnn_dataset *dataset, uint32_t sample)
{
    return clrnn_dataset_output_steps(dataset, clrnn_dataset_length(dataset, sample));
}

enum clrnn_status clrnn_dataset_whole(const struct clrnn_dataset *dataset)
{
    const struct clrnn_dataset *root = clrnn_dataset_root(dataset, NULL);

    if (root->x)
        TRY(clrnn_npy_check(root->log, root->x));
    return root->y ? clrnn_npy_check(root->log, root->y) : CLRNN_OK;
}

void clrnn_dataset_release(const struct clrnn_dataset *dataset)
{
    const struct clrnn_dataset *root = clrnn_dataset_root(dataset, NULL);
    const uintptr_t page = (uintptr_t)sysconf(_SC_PAGESIZE);
    uintptr_t first, last;

    if (root->table)
        clrnn_table_release(root->table);
    if (!root->x || !root->x->map_.data)
        return;
    first = ((uintptr_t)root->x->data + page - 1) / page * page;
    last = ((uintptr_t)root->x->data + root->x->count * clrnn_dtype_bytes(root->x->dtype)) / page * page;
    if (first < last) // only advice: if it fails, the pages stay mapped
        madvise((void *)first, last - first, MADV_DONTNEED);
}

void clrnn_dataset_passed(const struct clrnn_dataset *dataset, uint32_t sample)
{
    const struct clrnn_dataset *root = clrnn_dataset_root(dataset, NULL);
    const uint32_t S = MAX2(dataset->info.S, 1u);
    uint64_t bytes = dataset->info.bytes / S, // bytes per sample
        file;                                 // approximate size of the file
    uint32_t often;

    file = root->table ? root->table->on_disk : root->info.bytes;
    bytes = MAX2(bytes, MIN2(file / S, CLRNN_FAULT_BYTES)); // a view may use few samples of each page
    often = (uint32_t)MAX2(RELEASE_BYTES / MAX2(bytes, 1), 1);

    if (sample % often == often - 1)
        clrnn_dataset_release(dataset);
}

bool clrnn_dataset_in_order(const struct clrnn_dataset *dataset)
{
    const uint32_t last = clrnn_dataset_info(dataset)->S - 1;
    const struct clrnn_dataset_info *info = clrnn_dataset_info(dataset);
    const float *first = clrnn_dataset_x_mapped(dataset, 0);

    if (!first)
        return false;
    for (uint32_t s = 1; s <= last; s++)
        if (clrnn_dataset_x_mapped(dataset, s) != first + (size_t)s * info->T * info->C)
            return false;
    return true;
}
