// SPDX-License-Identifier: MIT
// Computes statistics of a whole data set: class counts, moments, balanced weights, fingerprint.
#include <float.h>
#include <math.h>
#include <string.h>

#include "base/array.h"
#include "base/hash.h"
#include "train/dataset_private.h"

enum clrnn_status clrnn_dataset_class_counts(const struct clrnn_dataset *dataset, uint64_t *counts)
{
    const struct clrnn_dataset_info *info = &dataset->info;
    int32_t *y = malloc(clrnn_dataset_y_count(dataset) * sizeof(*y));

    if (!y)
        return clrnn_error_memory(dataset->log, info->y_T * sizeof(*y), "class counts");
    memset(counts, 0, info->classes * sizeof(*counts));
    for (uint32_t s = 0; s < info->S && info->classes; s++) {
        const size_t steps = clrnn_dataset_y_valid(dataset, s);

        clrnn_dataset_classes(dataset, s, y);
        for (size_t t = 0; t < steps; t++)
            if (y[t] >= 0 && (uint32_t)y[t] < info->classes && (dataset->goal.binary || y[t] != dataset->goal.ignore))
                counts[y[t]]++;
        clrnn_dataset_passed(dataset, s);
    }
    free(y);
    return clrnn_dataset_whole(dataset);
}

// For bce_with_logits: sets weight[o] of each label o to negatives / positives, or to 1 without positives. y may lie
// between 0 and 1, so the number of positives is the sum of y.
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

enum clrnn_status clrnn_dataset_balanced_weights(const struct clrnn_dataset *dataset, double **weight, size_t *count)
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
            for (uint32_t s = 0; s < dataset->info.S; clrnn_dataset_passed(dataset, s++))
                for (size_t i = o; i < clrnn_dataset_y_valid(dataset, s); i += targets) {
                    const double y = clrnn_dataset_y(dataset, s, i);

                    if (isnan(y)) // the target is missing
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
    if (!dataset->parent && dataset->windows) {
        clrnn_series_moments(dataset, mean, std);
        free(row);
        return CLRNN_OK;
    }
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
            } else { // rounding may give a constant feature a deviation just above 0
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
    const uint32_t shape[] = {info->S, info->T, info->C, info->tokens, info->has_y, info->has_lengths, info->y_steps};
    const size_t width = info->tokens ? info->T : (size_t)info->T * info->C;
    float *row = malloc(width * sizeof(*row));
    struct clrnn_hash h;

    if (!row)
        return clrnn_error_memory(dataset->log, width * sizeof(*row), "the data's fingerprint");
    clrnn_hash_init(&h);
    clrnn_hash_add(&h, shape, sizeof(shape));
    if (!dataset->parent && dataset->windows)
        clrnn_series_hash(dataset, &h);
    for (uint32_t s = 0; s < info->S && dataset->windows && info->has_weights; s++) {
        const double weight = clrnn_dataset_weight(dataset, s);

        clrnn_hash_add(&h, &weight, sizeof(weight));
    }
    for (uint32_t s = 0; s < (dataset->windows ? 0 : info->S); s++) { // padding is not hashed
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
