// SPDX-License-Identifier: MIT
// Reading an opened data set: samples, class counts, moments and fingerprint.
#include "train/dataset.h"

#include <float.h>
#include <math.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/array.h"
#include "base/file.h"
#include "base/hash.h"
#include "base/random.h"
#include "train/dataset_private.h"

// Purposes of a synthetic set's random numbers: the generator's b.
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
    clrnn_csv_destroy(&d->csv);
    free(d->length);
    free(d->weight);
    free(d->x_path);
    free(d->y_path);
    free(d->lengths_path);
    free(d->weights_path);
    free(d->name);
    free(d);
}

double clrnn_dataset_cell(const struct clrnn_dataset *root, uint32_t sample, size_t feature)
{
    const size_t column = root->label >= 0 && feature >= (size_t)root->label ? feature + 1 : feature;

    return root->csv->values[sample * root->csv->columns + column];
}

double clrnn_dataset_y(const struct clrnn_dataset *dataset, uint32_t sample, size_t index)
{
    const struct clrnn_dataset *root = dataset;
    double value;

    for (; root->parent; root = root->parent)
        sample = root->label_row ? root->label_row[sample] : root->row[sample];
    if (root->synthetic) {
        const struct clrnn_random r = {root->seed, RANDOM_SYNTH, sample, DRAW_Y};

        if (!root->goal.classes && !root->goal.binary)
            return 2.0 * clrnn_random_uniform(&r, index) - 1.0;
        return clrnn_random_u32(&r, (uint32_t)index) % root->synthetic_classes;
    }
    if (root->csv)
        return root->csv->values[sample * root->csv->columns + (size_t)root->label];
    clrnn_npy_read_f64(root->y, sample * clrnn_dataset_y_count(root) + index, 1, &value);
    return value;
}

// Saturates values beyond int32 and NaN, which padding and unchecked sets may hold.
static int32_t to_i32(double value)
{
    return !(value > (double)INT32_MIN) ? INT32_MIN : value >= (double)INT32_MAX ? INT32_MAX : (int32_t)value;
}

static void synthetic_x(const struct clrnn_dataset *root, uint32_t sample, size_t first, size_t count,
                        float *x)
{
    const struct clrnn_random r = {root->seed, RANDOM_SYNTH, sample, DRAW_X};
    const float root_3 = 1.7320508f; // half the width of a uniform distribution with variance 1
    uint32_t words[4];

    for (size_t i = first; i < first + count; i++) {
        if (i == first || i % 4 == 0)
            clrnn_random_block(&r, (uint32_t)(i / 4), words);
        x[i - first] = ((float)(words[i % 4] >> 8) * 0x1p-23f - 1.0f) * root_3;
    }
}

// Reads numbers [first, first + count) of a sample of a set that is not a view.
static void root_x(const struct clrnn_dataset *root, uint32_t sample, size_t first, size_t count, float *x)
{
    if (root->synthetic)
        synthetic_x(root, sample, first, count, x);
    else if (root->csv)
        for (size_t i = 0; i < count; i++)
            x[i] = (float)clrnn_dataset_cell(root, sample, first + i);
    else
        clrnn_npy_read_f32(root->x, (size_t)sample * root->info.T * root->info.C + first, count, x);
}

static void root_tokens(const struct clrnn_dataset *root, uint32_t sample, uint32_t first, uint32_t count,
                        int32_t *tokens)
{
    const struct clrnn_random r = {root->seed, RANDOM_SYNTH, sample, DRAW_X};
    const size_t at = (size_t)sample * root->info.T + first;
    double values[64];

    if (root->synthetic || root->csv) {
        for (uint32_t t = 0; t < count; t++)
            tokens[t] = root->csv ? to_i32(clrnn_dataset_cell(root, sample, first + t))
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
static void read_steps(const struct clrnn_dataset *d, uint32_t sample, uint32_t first, uint32_t count,
                       void *steps)
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
    const struct clrnn_dataset *root = dataset;
    double value = NAN;
    int32_t token;

    for (; root->parent; root = root->parent)
        sample = root->row[sample];
    if (root->csv)
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

        y[i] = dataset->goal.binary ? value > 0.5 : to_i32(value);
    }
}

void clrnn_dataset_targets(const struct clrnn_dataset *dataset, uint32_t sample, float *y)
{
    for (size_t i = 0; i < clrnn_dataset_y_count(dataset); i++)
        y[i] = (float)clrnn_dataset_y(dataset, sample, i);
}

size_t clrnn_dataset_y_count(const struct clrnn_dataset *dataset)
{
    return (size_t)(dataset->info.y_steps ? dataset->info.T : 1) * dataset->info.targets;
}

size_t clrnn_dataset_y_valid(const struct clrnn_dataset *dataset, uint32_t sample)
{
    return (size_t)(dataset->info.y_steps ? clrnn_dataset_length(dataset, sample) : 1) *
           dataset->info.targets;
}

double clrnn_dataset_weight(const struct clrnn_dataset *dataset, uint32_t sample)
{
    const struct clrnn_dataset *root = dataset;

    for (; root->parent; root = root->parent)
        sample = root->row[sample];
    return root->weight ? root->weight[sample] : 1.0;
}

uint32_t clrnn_dataset_length(const struct clrnn_dataset *dataset, uint32_t sample)
{
    const struct clrnn_dataset *root = dataset;

    for (; root->parent; root = root->parent)
        sample = root->row[sample];
    return root->length ? MIN2((uint32_t)root->length[sample], dataset->info.T) : dataset->info.T;
}

enum clrnn_status clrnn_dataset_whole(const struct clrnn_dataset *dataset)
{
    const struct clrnn_dataset *root = dataset;

    while (root->parent)
        root = root->parent;
    if (root->x)
        TRY(clrnn_npy_check(root->log, root->x));
    return root->y ? clrnn_npy_check(root->log, root->y) : CLRNN_OK;
}

void clrnn_dataset_release(const struct clrnn_dataset *dataset)
{
    const struct clrnn_dataset *root = dataset;
    const uintptr_t page = (uintptr_t)sysconf(_SC_PAGESIZE);
    uintptr_t first, last;

    while (root->parent)
        root = root->parent;
    if (!root->x || !root->x->map_)
        return;
    first = ((uintptr_t)root->x->data + page - 1) / page * page;
    last = ((uintptr_t)root->x->data + root->x->count * clrnn_dtype_bytes(root->x->dtype)) / page * page;
    if (first < last) // only advice: if it fails, the pages stay mapped
        madvise((void *)first, last - first, MADV_DONTNEED);
}

void clrnn_dataset_passed(const struct clrnn_dataset *dataset, uint32_t sample)
{
    const uint64_t bytes = dataset->info.bytes / MAX2(dataset->info.S, 1u); // about, as to the file
    const uint32_t often = (uint32_t)MAX2(RELEASE_BYTES / MAX2(bytes, 1), 1);

    if (sample % often == often - 1)
        clrnn_dataset_release(dataset);
}

// ---------------------------------------------------------------- figures over the whole set

enum clrnn_status clrnn_dataset_class_counts(const struct clrnn_dataset *dataset, uint64_t *counts)
{
    const struct clrnn_dataset_info *info = &dataset->info;
    int32_t *y = malloc(clrnn_dataset_y_count(dataset) * sizeof(*y));

    if (!y)
        return clrnn_error_memory(dataset->log, info->T * sizeof(*y), "class counts");
    memset(counts, 0, info->classes * sizeof(*counts));
    for (uint32_t s = 0; s < info->S && info->classes; s++) {
        const uint32_t steps = info->y_steps ? clrnn_dataset_length(dataset, s) : 1;

        clrnn_dataset_classes(dataset, s, y);
        for (uint32_t t = 0; t < steps; t++)
            if (y[t] >= 0 && (uint32_t)y[t] < info->classes &&
                (dataset->goal.binary || y[t] != dataset->goal.ignore))
                counts[y[t]]++;
    }
    free(y);
    return clrnn_dataset_whole(dataset);
}

// bce: negatives / positives of each label, [targets]; the positives are the sum of y.
static void balance_labels(const struct clrnn_dataset *dataset, double *weight)
{
    const uint32_t targets = dataset->info.targets;

    for (uint32_t o = 0; o < targets; o++) {
        double count = 0, positives = 0;

        for (uint32_t s = 0; s < dataset->info.S; s++)
            for (size_t i = o; i < clrnn_dataset_y_valid(dataset, s); i += targets) {
                const double y = clrnn_dataset_y(dataset, s, i);

                count += !isnan(y);
                positives += isnan(y) ? 0 : y;
            }
        weight[o] = positives > 0 ? (count - positives) / positives : 1;
    }
}

static enum clrnn_status balance_classes(const struct clrnn_dataset *dataset, uint32_t outputs, size_t count,
                                         double *weight)
{
    uint64_t *counts = calloc(MAX2(outputs, 1u), sizeof(*counts));
    double total = 0, present = 0;
    enum clrnn_status st;

    if (!counts)
        return clrnn_error_memory(dataset->log, outputs * sizeof(*counts), "class weights");
    st = clrnn_dataset_class_counts(dataset, counts);
    for (uint32_t k = 0; k < outputs && st == CLRNN_OK; k++) {
        total += (double)counts[k];
        present += counts[k] > 0;
    }
    for (size_t k = 0; k < count; k++)
        weight[k] = counts[k] ? total / present / (double)counts[k] : 1;
    free(counts);
    return st;
}

enum clrnn_status clrnn_dataset_balanced_weights(const struct clrnn_dataset *dataset, double **weight,
                                                 size_t *count)
{
    const bool binary = dataset->goal.binary;
    const uint32_t outputs = MAX2(dataset->goal.outputs, dataset->info.classes);
    enum clrnn_status st;

    *count = binary ? dataset->info.targets : dataset->goal.outputs ? dataset->goal.outputs : outputs;
    *weight = malloc(MAX2(*count, 1u) * sizeof(**weight));
    if (!*weight) {
        st = clrnn_error_memory(dataset->log, *count * sizeof(**weight), "class weights");
    } else if (binary) {
        balance_labels(dataset, *weight);
        return clrnn_dataset_whole(dataset);
    } else {
        st = balance_classes(dataset, outputs, *count, *weight);
    }
    if (st != CLRNN_OK) {
        free(*weight);
        *weight = NULL;
        *count = 0;
    }
    return st;
}

enum clrnn_status clrnn_dataset_target_moments(const struct clrnn_dataset *dataset, double *mean, double *std)
{
    const uint32_t targets = dataset->info.targets;

    for (uint32_t o = 0; o < targets; o++) {
        double sum = 0, squares = 0, count = 0;

        mean[o] = 0;
        for (int pass = 0; pass < 2; pass++) {
            for (uint32_t s = 0; s < dataset->info.S; s++)
                for (size_t i = o; i < clrnn_dataset_y_valid(dataset, s); i += targets) {
                    const double y = clrnn_dataset_y(dataset, s, i);

                    if (isnan(y)) // missing
                        continue;
                    sum += pass ? 0 : y;
                    squares += pass ? (y - mean[o]) * (y - mean[o]) : 0;
                    count += !pass;
                }
            mean[o] = sum / fmax(count, 1);
        }
        std[o] = sqrt(squares / fmax(count, 1));
        if (std[o] <= count * DBL_EPSILON * fabs(mean[o]))
            std[o] = 1.0;
    }
    return clrnn_dataset_whole(dataset);
}

enum clrnn_status clrnn_dataset_moments(const struct clrnn_dataset *dataset, double *mean, double *std)
{
    const struct clrnn_dataset_info *info = &dataset->info;
    const size_t C = info->C;
    float *row = malloc((size_t)info->T * C * sizeof(*row));
    uint64_t count = 0;

    if (!row)
        return clrnn_error_memory(dataset->log, (size_t)info->T * C * sizeof(*row), "data.normalize");
    memset(mean, 0, C * sizeof(*mean));
    memset(std, 0, C * sizeof(*std));
    for (int pass = 0; pass < 2; pass++) {
        for (uint32_t s = 0; s < info->S; s++) {
            const uint32_t length = clrnn_dataset_length(dataset, s);

            clrnn_dataset_x(dataset, s, row);
            for (size_t t = 0; t < length; t++) {
                const float *x = row + t * C;

                if (pass)
                    for (size_t c = 0; c < C; c++)
                        std[c] += (x[c] - mean[c]) * (x[c] - mean[c]);
                else
                    for (size_t c = 0; c < C; c++)
                        mean[c] += x[c];
            }
            if (!pass)
                count += length;
            clrnn_dataset_passed(dataset, s);
        }
        for (size_t c = 0; c < C; c++)
            if (!pass) {
                mean[c] /= (double)count;
            } else { // a constant feature's deviation may be nonzero through rounding of its sum
                std[c] = sqrt(std[c] / (double)count);
                if (std[c] <= (double)count * DBL_EPSILON * fabs(mean[c]))
                    std[c] = 1.0;
            }
    }
    clrnn_dataset_release(dataset);
    free(row);
    return clrnn_dataset_whole(dataset);
}

enum clrnn_status clrnn_dataset_fingerprint(const struct clrnn_dataset *dataset, char hex[33])
{
    const struct clrnn_dataset_info *info = &dataset->info;
    const uint32_t shape[] = {info->S,     info->T,           info->C,      info->tokens,
                              info->has_y, info->has_lengths, info->y_steps};
    const size_t width = info->tokens ? info->T : (size_t)info->T * info->C;
    float *row = malloc(width * sizeof(*row));
    struct clrnn_hash h;

    if (!row)
        return clrnn_error_memory(dataset->log, width * sizeof(*row), "the data's fingerprint");
    clrnn_hash_init(&h);
    clrnn_hash_add(&h, shape, sizeof(shape));
    for (uint32_t s = 0; s < info->S; s++) { // padding does not count
        const uint32_t length = clrnn_dataset_length(dataset, s);
        const float *mapped = clrnn_dataset_x_mapped(dataset, s);

        if (info->has_lengths)
            clrnn_hash_add(&h, &length, sizeof(length));
        if (mapped) {
            clrnn_hash_add(&h, mapped, (size_t)length * info->C * sizeof(*mapped));
        } else if (info->tokens) {
            clrnn_dataset_tokens(dataset, s, (int32_t *)(void *)row);
            clrnn_hash_add(&h, row, length * sizeof(*row));
        } else {
            clrnn_dataset_x(dataset, s, row);
            clrnn_hash_add(&h, row, (size_t)length * info->C * sizeof(*row));
        }
        for (size_t i = 0; info->has_y && i < clrnn_dataset_y_valid(dataset, s); i++) {
            const double y = clrnn_dataset_y(dataset, s, i);

            clrnn_hash_add(&h, &y, sizeof(y));
        }
        if (info->has_weights) {
            const double weight = clrnn_dataset_weight(dataset, s);

            clrnn_hash_add(&h, &weight, sizeof(weight));
        }
        clrnn_dataset_passed(dataset, s);
    }
    clrnn_dataset_release(dataset);
    clrnn_hash_hex(&h, hex);
    free(row);
    return clrnn_dataset_whole(dataset);
}
