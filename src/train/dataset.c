// SPDX-License-Identifier: MIT
// Reading an opened data set: samples, subsets, class counts, moments and fingerprint.
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

// What numbers of a synthetic set are drawn for: the generator's b.
enum { DRAW_X = 100, DRAW_Y };

#define RELEASE_BYTES ((uint64_t)16 << 20) // mapped pages are let go after so many bytes

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
    free(d->order);
    clrnn_npy_close(&d->x);
    clrnn_npy_close(&d->y);
    clrnn_csv_destroy(&d->csv);
    free(d->length);
    free(d->x_path);
    free(d->y_path);
    free(d->lengths_path);
    free(d->name);
    free(d);
}

// The set that holds the values, and the sample's number there.
static const struct clrnn_dataset *find_root(const struct clrnn_dataset *d, uint32_t *sample)
{
    if (!d->parent)
        return d;
    *sample = d->order[*sample];
    return d->parent;
}

double clrnn_dataset_cell(const struct clrnn_dataset *root, uint32_t sample, size_t feature)
{
    const size_t column = root->label >= 0 && feature >= (size_t)root->label ? feature + 1 : feature;

    return root->csv->values[sample * root->csv->columns + column];
}

double clrnn_dataset_y(const struct clrnn_dataset *root, uint32_t sample, uint32_t step)
{
    const size_t index = root->info.y_steps ? (size_t)sample * root->info.T + step : sample;
    double value;

    if (root->synthetic) {
        const struct clrnn_random r = {root->seed, RANDOM_SYNTH, sample, DRAW_Y};

        if (!root->goal.classes && !root->goal.binary)
            return 2.0 * clrnn_random_uniform(&r, step) - 1.0;
        return clrnn_random_u32(&r, step) % root->synthetic_classes;
    }
    if (root->csv)
        return root->csv->values[sample * root->csv->columns + (size_t)root->label];
    clrnn_npy_read_f64(root->y, index, 1, &value);
    return value;
}

static void synthetic_x(const struct clrnn_dataset *root, uint32_t sample, float *x)
{
    const struct clrnn_random r = {root->seed, RANDOM_SYNTH, sample, DRAW_X};
    const size_t count = (size_t)root->info.T * root->info.C;
    const float root_3 = 1.7320508f; // half the width of a uniform number with variance 1
    uint32_t words[4];

    for (size_t i = 0; i < count; i++) {
        if (i % 4 == 0)
            clrnn_random_block(&r, (uint32_t)(i / 4), words);
        x[i] = ((float)(words[i % 4] >> 8) * 0x1p-23f - 1.0f) * root_3;
    }
}

const float *clrnn_dataset_x_mapped(const struct clrnn_dataset *dataset, uint32_t sample)
{
    const struct clrnn_dataset *root = find_root(dataset, &sample);
    const float *x = root->x && !root->info.tokens ? clrnn_npy_f32(root->x) : NULL;

    return x ? x + (size_t)sample * root->info.T * root->info.C : NULL;
}

void clrnn_dataset_x(const struct clrnn_dataset *dataset, uint32_t sample, float *x)
{
    const struct clrnn_dataset *root = find_root(dataset, &sample);
    const size_t count = (size_t)root->info.T * root->info.C;

    if (root->synthetic) {
        synthetic_x(root, sample, x);
    } else if (root->csv) {
        for (size_t i = 0; i < count; i++)
            x[i] = (float)clrnn_dataset_cell(root, sample, i);
    } else {
        clrnn_npy_read_f32(root->x, sample * count, count, x);
    }
}

// Beyond int32, and NaN: padding and unchecked sets may hold anything.
static int32_t to_i32(double value)
{
    return !(value > (double)INT32_MIN) ? INT32_MIN : value >= (double)INT32_MAX ? INT32_MAX : (int32_t)value;
}

void clrnn_dataset_tokens(const struct clrnn_dataset *dataset, uint32_t sample, int32_t *tokens)
{
    const struct clrnn_dataset *root = find_root(dataset, &sample);
    const uint32_t T = root->info.T;

    if (root->synthetic) {
        const struct clrnn_random r = {root->seed, RANDOM_SYNTH, sample, DRAW_X};

        for (uint32_t t = 0; t < T; t++)
            tokens[t] = (int32_t)(clrnn_random_u32(&r, t) % root->goal.vocabulary);
    } else if (root->csv) {
        for (uint32_t t = 0; t < T; t++)
            tokens[t] = to_i32(clrnn_dataset_cell(root, sample, t));
    } else {
        double values[64];

        for (uint32_t t = 0; t < T; t += ARRAY_SIZE(values)) {
            const uint32_t count = MIN2(T - t, (uint32_t)ARRAY_SIZE(values));

            clrnn_npy_read_f64(root->x, (size_t)sample * T + t, count, values);
            for (uint32_t i = 0; i < count; i++)
                tokens[t + i] = to_i32(values[i]);
        }
    }
}

void clrnn_dataset_classes(const struct clrnn_dataset *dataset, uint32_t sample, int32_t *y)
{
    const struct clrnn_dataset *root = find_root(dataset, &sample);

    for (uint32_t t = 0; t < (root->info.y_steps ? root->info.T : 1); t++) {
        const double value = clrnn_dataset_y(root, sample, t);

        y[t] = root->goal.binary ? value > 0.5 : to_i32(value);
    }
}

void clrnn_dataset_targets(const struct clrnn_dataset *dataset, uint32_t sample, float *y)
{
    const struct clrnn_dataset *root = find_root(dataset, &sample);

    for (uint32_t t = 0; t < (root->info.y_steps ? root->info.T : 1); t++)
        y[t] = (float)clrnn_dataset_y(root, sample, t);
}

uint32_t clrnn_dataset_length(const struct clrnn_dataset *dataset, uint32_t sample)
{
    const struct clrnn_dataset *root = find_root(dataset, &sample);

    return root->length ? (uint32_t)root->length[sample] : root->info.T;
}

void clrnn_dataset_release(const struct clrnn_dataset *dataset)
{
    const struct clrnn_dataset *root = dataset->parent ? dataset->parent : dataset;
    const uintptr_t page = (uintptr_t)sysconf(_SC_PAGESIZE);
    uintptr_t first, last;

    if (!root->x)
        return;
    first = ((uintptr_t)root->x->data + page - 1) / page * page;
    last = ((uintptr_t)root->x->data + root->x->count * clrnn_dtype_bytes(root->x->dtype)) / page * page;
    if (first < last) // advice only: where it fails the pages just stay
        madvise((void *)first, last - first, MADV_DONTNEED);
}

void clrnn_dataset_passed(const struct clrnn_dataset *dataset, uint32_t sample)
{
    const uint64_t bytes = dataset->info.bytes / MAX2(dataset->info.S, 1u); // about, as to the file
    const uint32_t often = (uint32_t)MAX2(RELEASE_BYTES / MAX2(bytes, 1), 1);

    if (sample % often == often - 1)
        clrnn_dataset_release(dataset);
}

// ---------------------------------------------------------------- subsets

enum clrnn_status clrnn_dataset_subset(struct clrnn_dataset *dataset, const uint32_t *samples, uint32_t count,
                                       const char *name, struct clrnn_dataset **subset)
{
    struct clrnn_dataset *root = dataset->parent ? dataset->parent : dataset;
    struct clrnn_dataset *d = calloc(1, sizeof(*d));
    uint32_t *order = malloc(MAX2(count, 1u) * sizeof(*order));
    char *copy = clrnn_format("%s", name);

    *subset = NULL;
    if (!d || !order || !copy) {
        free(d);
        free(order);
        free(copy);
        return clrnn_error_memory(dataset->log, sizeof(*d) + count * sizeof(*order), name);
    }
    for (uint32_t i = 0; i < count; i++)
        order[i] = dataset->parent ? dataset->order[samples[i]] : samples[i];
    d->log = dataset->log;
    d->goal = root->goal;
    d->info = root->info;
    d->info.S = count;
    d->info.bytes = (uint64_t)count * root->info.T * MAX2(root->info.C, 1u) * sizeof(float);
    d->info.name = d->name = copy;
    d->label = -1;
    d->references = 1;
    d->parent = root;
    d->order = order;
    root->references++;
    *subset = d;
    return CLRNN_OK;
}

// How many of each stratum's samples go to the validation part: its share, rounded so that the sum fits
// (largest remainders first; the lower stratum among equals).
static void share_out(const uint32_t *counts, uint32_t strata, double fraction, uint32_t total,
                      uint32_t *takes, double *remainders)
{
    uint32_t given = 0;

    for (uint32_t k = 0; k < strata; k++) {
        const double share = counts[k] * fraction;

        takes[k] = (uint32_t)share;
        remainders[k] = share - takes[k];
        given += takes[k];
    }
    for (; given < total; given++) {
        uint32_t best = 0;

        for (uint32_t k = 1; k < strata; k++)
            if (remainders[k] > remainders[best])
                best = k;
        if (remainders[best] <= 0.0)
            break;
        takes[best]++;
        remainders[best] = 0.0;
    }
}

// The stratum of each sample: its class, the last for ignored labels.
static void find_strata(const struct clrnn_dataset *dataset, uint32_t strata, uint32_t *stratum,
                        uint32_t *counts)
{
    for (uint32_t s = 0; s < dataset->info.S; s++) {
        int32_t label = 0;

        if (strata > 1)
            clrnn_dataset_classes(dataset, s, &label);
        stratum[s] = label < 0 || (uint32_t)label >= strata ? strata - 1 : (uint32_t)label;
        counts[stratum[s]]++;
    }
}

// Marks the samples that go to the validation part: of each stratum the first ones of a permutation.
static void draw_strata(const uint32_t *counts, const uint32_t *takes, uint32_t strata,
                        const uint32_t *members, uint64_t seed, uint32_t *order, unsigned char *taken)
{
    for (uint32_t k = 0; k < strata; k++) {
        const struct clrnn_random r = {seed, RANDOM_SPLIT, k, 0};

        clrnn_random_permutation(&r, counts[k], order);
        for (uint32_t i = 0; i < takes[k]; i++)
            taken[members[order[i]]] = 1;
        members += counts[k];
    }
}

enum clrnn_status clrnn_dataset_split(struct clrnn_dataset *dataset, double fraction, uint64_t seed,
                                      struct clrnn_dataset **train, struct clrnn_dataset **valid)
{
    const uint32_t S = dataset->info.S, total = (uint32_t)llround(fraction * S);
    const bool stratified = dataset->info.has_y && dataset->info.classes && !dataset->info.y_steps;
    const uint32_t strata = stratified ? dataset->info.classes + 1 : 1;
    uint32_t *samples = malloc(3 * (size_t)S * sizeof(*samples)), *kept = samples, *order = samples + S;
    uint32_t *members = samples + 2 * (size_t)S, *stratum = samples;
    uint32_t *counts = calloc(3 * (size_t)strata, sizeof(*counts)), *takes = counts + strata;
    uint32_t *next = counts + 2 * (size_t)strata, kept_count = 0, taken_count = 0;
    double *remainders = malloc(strata * sizeof(*remainders));
    unsigned char *taken = calloc(S, 1);
    enum clrnn_status st = CLRNN_OK;

    *train = *valid = NULL;
    if (!samples || !counts || !remainders || !taken) {
        st = clrnn_error_memory(dataset->log, 13 * (size_t)S, "splitting off data.valid_fraction");
        goto done;
    }
    find_strata(dataset, strata, stratum, counts);
    share_out(counts, strata, fraction, total, takes, remainders);
    for (uint32_t k = 1; k < strata; k++)
        next[k] = next[k - 1] + counts[k - 1];
    for (uint32_t s = 0; s < S; s++) // stratum by stratum, each in the order of the file
        members[next[stratum[s]]++] = s;
    draw_strata(counts, takes, strata, members, seed, order, taken);
    for (uint32_t s = 0; s < S; s++) // both parts in the order of the file
        if (!taken[s])
            kept[kept_count++] = s;
        else
            order[taken_count++] = s;
    if (!kept_count || !taken_count) {
        st = clrnn_error(
            dataset->log, CLRNN_ERR_DATA,
            "data.valid_fraction %g of the %u samples of %s leaves %u to train and %u to validate: "
            "both need at least one",
            fraction, S, dataset->name, kept_count, taken_count);
        goto done;
    }
    st = clrnn_dataset_subset(dataset, kept, kept_count, dataset->name, train);
    if (st == CLRNN_OK)
        st = clrnn_dataset_subset(dataset, order, taken_count, "valid", valid);
    if (st != CLRNN_OK)
        clrnn_dataset_close(train);

done:
    free(samples);
    free(counts);
    free(remainders);
    free(taken);
    return st;
}

// ---------------------------------------------------------------- figures over the whole set

enum clrnn_status clrnn_dataset_class_counts(const struct clrnn_dataset *dataset, uint64_t *counts)
{
    const struct clrnn_dataset_info *info = &dataset->info;
    int32_t *y = malloc((info->y_steps ? info->T : 1) * sizeof(*y));

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
    return CLRNN_OK;
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
            } else { // a constant feature's deviation may come out as the rounding of its sum
                std[c] = sqrt(std[c] / (double)count);
                if (std[c] <= (double)count * DBL_EPSILON * fabs(mean[c]))
                    std[c] = 1.0;
            }
    }
    clrnn_dataset_release(dataset);
    free(row);
    return CLRNN_OK;
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
        uint32_t inside = s;
        const struct clrnn_dataset *root = find_root(dataset, &inside);

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
        for (uint32_t t = 0; info->has_y && t < (info->y_steps ? length : 1); t++) {
            const double y = clrnn_dataset_y(root, inside, t);

            clrnn_hash_add(&h, &y, sizeof(y));
        }
        clrnn_dataset_passed(dataset, s);
    }
    clrnn_dataset_release(dataset);
    clrnn_hash_hex(&h, hex);
    free(row);
    return CLRNN_OK;
}
