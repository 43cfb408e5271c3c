// SPDX-License-Identifier: MIT
// Computes the lowest mean loss that a constant answer, an output that does not depend on the input, can have.
#include "diagnose/constant.h"

#include <math.h>
#include <stdlib.h>

#include "base/array.h"
#include "base/log.h"
#include "model/layer.h"
#include "model/nest.h"

#define ROWS 2048u    // maximum number of rows that clrnn_target_baseline reads
#define VALUES 20000u // maximum number of targets of one output that it reads

static double constant_cross_entropy(const struct clrnn_loss_config *l, uint32_t K, const uint64_t *counts,
                                     const double *weights)
{
    double labels = 0, present = 0, total = 0, weight = 0, all = 0, loss = 0;

    for (uint32_t k = 0; k < K; k++) {
        labels += (double)counts[k];
        total += weights[k];
        present += counts[k] > 0;
    }
    for (uint32_t pass = 0; pass < 2;
         pass++) // the best answer gives each class its share (target / all) of the weighted, smoothed targets
        for (uint32_t k = 0; k < K; k++) {
            const double share = weights[k] / total;
            const double w = l->weight                  ? l->weight[k]
                             : l->balanced && counts[k] ? labels / (present * (double)counts[k])
                                                        : 1;
            const double smooth = l->kind == CLRNN_LOSS_CROSS_ENTROPY ? l->label_smoothing : 0;
            const double target = w * ((1 - smooth) * share + smooth / K);

            if (!pass) {
                all += target;
                weight += w * share;
            } else if (target > 0) {
                loss -= target * log(target / all);
            }
        }
    return loss / weight;
}

double clrnn_bce_weight(const struct clrnn_loss_config *l, size_t label)
{
    return l->kind == CLRNN_LOSS_BCE_WITH_LOGITS && label < l->label_weight_count ? l->label_weight[label] : 1;
}

double clrnn_least_bce(double zeros, double ones)
{
    const double share = ones / (zeros + ones);

    return share > 0 && share < 1 ? -ones * log(share) - zeros * log(1 - share) : 0;
}

double clrnn_bce_mean_weight(const struct clrnn_loss_config *l)
{
    const size_t labels = MAX2(l->label_weight_count, 1u);
    double sum = 0;

    for (size_t i = 0; i < labels; i++)
        sum += clrnn_bce_weight(l, i) / (double)labels;
    return sum;
}

enum clrnn_status clrnn_class_weights(const struct clrnn_log *log, const struct clrnn_loss_config *loss,
                                      const struct clrnn_dataset *set, uint32_t classes, double *weights)
{
    const bool binary = loss->kind == CLRNN_LOSS_BCE_WITH_LOGITS;
    const size_t most = clrnn_dataset_y_count(set);
    float *real = malloc(most * sizeof(*real));
    int32_t *class = malloc(most * sizeof(*class));
    const bool there = real && class;

    for (uint32_t row = 0; there && row < clrnn_dataset_info(set)->S; row++) {
        const double weight = clrnn_dataset_weight(set, row);

        if (binary)
            clrnn_dataset_targets(set, row, real);
        else
            clrnn_dataset_classes(set, row, class);
        for (size_t i = 0; i < clrnn_dataset_y_valid(set, row); i++) {
            if (binary && !isnan(real[i])) {
                weights[0] += weight * (1 - real[i]);
                weights[1] += weight * real[i];
            } else if (!binary && class[i] != loss->ignore_index && class[i] >= 0 && (uint32_t) class[i] < classes) {
                weights[class[i]] += weight;
            }
        }
    }
    free(real);
    free(class);
    return there ? CLRNN_OK : clrnn_error_memory(log, most * sizeof(*real), "the classes' weights");
}

// Returns the loss of a prediction that differs from its target by `error`. q: the quantile, for a quantile loss.
static double loss_of(const struct clrnn_loss_config *l, double q, double error)
{
    const double size = fabs(error);

    switch (l->kind) {
    case CLRNN_LOSS_MSE:
        return error * error;
    case CLRNN_LOSS_L1:
        return size;
    case CLRNN_LOSS_SMOOTH_L1:
        return size < l->beta ? error * error / (2 * l->beta) : size - l->beta / 2;
    case CLRNN_LOSS_HUBER:
        return size < l->delta ? error * error / 2 : l->delta * (size - l->delta / 2);
    case CLRNN_LOSS_QUANTILE:
        return error > 0 ? (1 - q) * error : -q * error;
    default:
        return NAN;
    }
}

static double mean_loss(const struct clrnn_loss_config *l, double q, size_t count, const double *y,
                        const double *weight, double answer)
{
    double sum = 0, all = 0;

    for (size_t i = 0; i < count; i++) {
        const double w = weight ? weight[i] : 1;

        sum += w > 0 ? w * loss_of(l, q, answer - y[i]) : 0;
        all += w;
    }
    return sum / all;
}

// Returns the lowest weighted mean loss of a constant answer to the targets y. Finds it by ternary search, since all
// losses are convex in the answer.
static double least_loss(const struct clrnn_loss_config *l, double q, size_t count, const double *y,
                         const double *weight)
{
    double low = INFINITY, high = -INFINITY;

    for (size_t i = 0; i < count; i++) {
        low = fmin(low, y[i]);
        high = fmax(high, y[i]);
    }
    for (int i = 0; i < 60; i++) {
        const double left = low + (high - low) / 3, right = high - (high - low) / 3;

        if (mean_loss(l, q, count, y, weight, left) < mean_loss(l, q, count, y, weight, right))
            high = right;
        else
            low = left;
    }
    return mean_loss(l, q, count, y, weight, (low + high) / 2);
}

double clrnn_constant_target_loss(const struct clrnn_loss_config *l, size_t count, const double *y,
                                  const double *weight)
{
    size_t quantiles;
    const double *q = clrnn_loss_quantiles(l, &quantiles);
    double sum = 0;

    if (!count || !clrnn_loss_is_regression(l->kind))
        return NAN;
    for (size_t i = 0; i < quantiles; i++)
        sum += least_loss(l, q[i], count, y, weight) / (double)quantiles;
    return quantiles ? sum : least_loss(l, 0, count, y, weight);
}

double clrnn_zero_loss(const struct clrnn_loss_config *l, size_t count, const double *y, const double *weight)
{
    size_t quantiles;
    const double *q = clrnn_loss_quantiles(l, &quantiles);
    double sum = 0;

    for (size_t i = 0; i < quantiles; i++)
        sum += mean_loss(l, q[i], count, y, weight, 0) / (double)quantiles;
    return quantiles ? sum : mean_loss(l, 0, count, y, weight, 0);
}

// Copies finite targets of one output, from rows spread over the set, to y [VALUES], and their samples' weights to
// weight [VALUES]. Leaves out samples of weight 0. Returns how many targets it copied.
static size_t take_output(const struct clrnn_dataset *set, uint32_t output, float *row_y, double *y, double *weight)
{
    const uint32_t S = clrnn_dataset_info(set)->S, targets = MAX2(clrnn_dataset_info(set)->targets, 1u);
    const size_t steps = MAX2(clrnn_dataset_y_count(set) / targets, 1u); // targets of the output in a row
    const uint32_t rows = (uint32_t)MIN2(MIN2(S, ROWS), MAX2(VALUES / steps, 1u)), stride = S / rows;
    size_t count = 0;

    for (uint32_t i = 0; i < rows; i++) {
        const double row_weight = clrnn_dataset_weight(set, i * stride);

        clrnn_dataset_targets(set, i * stride, row_y);
        for (size_t k = output; k < clrnn_dataset_y_valid(set, i * stride) && count < VALUES; k += targets)
            if (isfinite(row_y[k]) && row_weight > 0) {
                weight[count] = row_weight;
                y[count++] = row_y[k];
            }
    }
    return count;
}

enum clrnn_status clrnn_target_baseline(const struct clrnn_log *log, const struct clrnn_loss_config *loss,
                                        const struct clrnn_dataset *set, double *best, double *zero)
{
    const uint32_t targets = MAX2(clrnn_dataset_info(set)->targets, 1u);
    float *row_y = malloc(clrnn_dataset_y_count(set) * sizeof(*row_y));
    double *y = malloc(2 * VALUES * sizeof(*y)), all = 0;
    const bool there = row_y && y;

    *best = *zero = 0;
    for (uint32_t k = 0; k < targets && there; k++) {
        double *weight = y + VALUES, sum = 0;
        const size_t count = take_output(set, k, row_y, y, weight);

        for (size_t i = 0; i < count; i++)
            sum += weight[i];
        if (!count)
            continue; // all targets of this output are missing or have weight 0
        *zero += sum * clrnn_zero_loss(loss, count, y, weight);
        *best += sum * clrnn_constant_target_loss(loss, count, y, weight);
        all += sum;
    }
    *best /= all;
    *zero /= all;
    free(y);
    free(row_y);
    return there ? CLRNN_OK : clrnn_error_memory(log, 2 * VALUES * sizeof(*y), "the targets' baseline");
}

double clrnn_constant_loss(const struct clrnn_config *config, uint32_t classes, const uint64_t *counts,
                           const double *weights, double target_variance)
{
    const struct clrnn_loss_config *l = &config->train.loss;
    double all, ones;

    switch (l->kind) {
    case CLRNN_LOSS_CROSS_ENTROPY:
        return constant_cross_entropy(l, classes, counts, weights);
    case CLRNN_LOSS_NLL:
        return config->layer_count && config->layer[clrnn_layer_last(config)].kind == CLRNN_LAYER_LOG_SOFTMAX
                   ? constant_cross_entropy(l, classes, counts, weights)
                   : NAN;
    case CLRNN_LOSS_BCE_WITH_LOGITS:
        all = weights[0] + weights[1];
        ones = weights[1];
        ones *= l->weight ? l->weight[0] : l->balanced && counts[1] ? (double)counts[0] / (double)counts[1] : 1;
        return all > 0 ? clrnn_bce_mean_weight(l) * clrnn_least_bce(weights[0], ones) / all : 0;
    case CLRNN_LOSS_MSE:
        return target_variance;
    case CLRNN_LOSS_L1: // target_variance does not determine the losses from here on: see constant.h
    case CLRNN_LOSS_SMOOTH_L1:
    case CLRNN_LOSS_HUBER:
    case CLRNN_LOSS_QUANTILE:
    case CLRNN_LOSS_CTC:
        break;
    }
    return NAN;
}
