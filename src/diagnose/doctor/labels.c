// SPDX-License-Identifier: MIT
// Checks labels and sample weights: labels that are constant or rare, and weights that favour the wrong class. Computes
// the best constant answer's accuracy and, for bce, the losses of constant answers.
#include <math.h>
#include <stdlib.h>

#include "base/array.h"
#include "base/log.h"
#include "diagnose/constant.h"
#include "diagnose/doctor/run.h"

#define FLOOR_ROWS 4096u // maximum number of rows that clrnn_doctor_label_floor reads

double clrnn_scan_constant_accuracy(const struct clrnn_scan *s)
{
    double total = 0, largest = 0, sum = 0;

    for (uint32_t k = 0; s->label && k < s->info->targets; k++)
        sum += (double)MAX2(s->label[k][0], s->label[k][1]) / fmax((double)(s->label[k][0] + s->label[k][1]), 1) /
               s->info->targets;
    if (s->label)
        return sum;
    for (uint32_t k = 0; k < s->classes; k++) {
        total += (double)s->count[k];
        largest = fmax(largest, (double)s->count[k]);
    }
    return total > 0 ? largest / total : NAN;
}

// Returns the weight (pos_weight) of a label's ones in the loss. `count`: number of zeros and ones of the label.
static double positive_weight(const struct clrnn_loss_config *l, uint32_t label, const uint64_t count[2])
{
    if (l->weight)
        return label < l->weight_count ? l->weight[label] : 1;
    return l->balanced && count[1] ? (double)count[0] / (double)count[1] : 1;
}

void clrnn_doctor_label_baseline(struct clrnn_examination *v)
{
    const struct clrnn_doctor *d = v->d;
    const struct clrnn_scan *s = &d->train_scan;
    const uint32_t labels = s->label ? s->info->targets : 1;
    double expected = 0, chance = 0, all = 0;

    for (uint32_t k = 0; k < labels; k++) {
        const double *weight = s->label ? s->label_weight[k] : s->weight, zeros = weight[0];
        const double ones = weight[1] * positive_weight(&d->config->train.loss, k, s->label ? s->label[k] : s->count);
        const double factor = clrnn_bce_weight(&d->config->train.loss, k);

        all += weight[0] + weight[1];
        expected += factor * log(2) * (zeros + ones);
        chance += factor * clrnn_least_bce(zeros, ones);
    }
    v->expected = expected / all;
    if (s->label)
        v->chance = chance / all;
}

// Returns the lowest mean cross_entropy that label smoothing allows; 0 if there is no label smoothing.
static double smoothing_floor(const struct clrnn_examination *v)
{
    const struct clrnn_loss_config *l = &v->d->config->train.loss;
    const double K = fmax(v->d->outputs, 2), s = l->label_smoothing, right = 1 - s + s / K, wrong = s / K;

    if (l->kind != CLRNN_LOSS_CROSS_ENTROPY || s <= 0)
        return 0;
    return -right * log(right) - (K - 1) * wrong * log(wrong);
}

enum clrnn_status clrnn_doctor_label_floor(const struct clrnn_examination *v, const struct clrnn_dataset *set,
                                           double *floor)
{
    const struct clrnn_scan *s = &v->d->train_scan;
    const uint32_t S = clrnn_dataset_info(set)->S, rows = MIN2(S, FLOOR_ROWS), targets = MAX2(s->info->targets, 1u);
    double sum = 0, all = 0;
    float *y;

    *floor = smoothing_floor(v);
    if (!s->soft_labels)
        return CLRNN_OK;
    y = malloc(clrnn_dataset_y_count(set) * sizeof(*y));
    if (!y)
        return clrnn_error_memory(v->d->log, clrnn_dataset_y_count(set) * sizeof(*y), "soft labels");
    for (uint32_t i = 0; i < rows; i++) {
        const uint32_t row = (uint32_t)((uint64_t)i * S / rows);
        const double weight = clrnn_dataset_weight(set, row);

        clrnn_dataset_targets(set, row, y);
        for (size_t k = 0; k < clrnn_dataset_y_valid(set, row); k++) {
            const uint32_t label = (uint32_t)(k % targets);
            const double ones =
                y[k] * positive_weight(&v->d->config->train.loss, label, s->label ? s->label[label] : s->count);

            if (isnan(y[k])) // missing
                continue;
            all += weight;
            sum += weight * clrnn_bce_weight(&v->d->config->train.loss, label) * clrnn_least_bce(1 - y[k], ones);
        }
    }
    free(y);
    *floor = all > 0 ? sum / all : 0;
    return CLRNN_OK;
}

double clrnn_doctor_loss_at(const struct clrnn_examination *v, double share)
{
    return v->floor + share * (v->chance - v->floor);
}

// ---------------------------------------------------------------- findings

// Reports labels that are 0 in every row, or 1 in every row.
static void check_constant_labels(struct clrnn_doctor *d)
{
    const struct clrnn_scan *s = &d->train_scan;
    uint32_t count = 0, first = 0;

    for (uint32_t k = 0; k < s->info->targets; k++) {
        if (s->label[k][0] + s->label[k][1] < 2 || (s->label[k][0] && s->label[k][1]) ||
            (s->soft_labels && s->label_weight[k][0] > 0 && s->label_weight[k][1] > 0))
            continue;
        first = count++ ? first : k;
    }
    if (!count)
        return;
    clrnn_doctor_finding(d, CLRNN_FINDING_SINGLE_CLASS, CLRNN_SEVERITY_WARNING);
    clrnn_doctor_where(d, "data.train y, label %u", first);
    clrnn_doctor_evidence(d, "it is %d in all %llu rows", s->label[first][1] > 0,
                          (unsigned long long)(s->label[first][0] + s->label[first][1]));
    if (count > 1)
        clrnn_doctor_evidence(d, "; %u of %u labels never change", count, s->info->targets);
    clrnn_doctor_cost(d, "that output learns a constant, and its accuracy of 1 lifts the mean over labels");
    clrnn_doctor_remedy(d, "leave this column out of y, or check how it was made");
}

// Whether the zeros or the ones of a label are rare. weight: sums of their sample weights.
static bool is_rare(const double weight[2])
{
    return fmin(weight[0], weight[1]) <= clrnn_threshold.rare_share * (weight[0] + weight[1]);
}

static void check_rare_labels(struct clrnn_doctor *d)
{
    const struct clrnn_scan *s = &d->train_scan;
    const struct clrnn_loss_config *loss = &d->config->train.loss;
    uint32_t count = 0, rarest = 0;
    bool made_up = true; // sample weights compensate for each rare label
    double least = clrnn_threshold.rare_share;

    for (uint32_t k = 0; k < s->info->targets; k++) {
        const double all = (double)(s->label[k][0] + s->label[k][1]);
        const double share = (double)MIN2(s->label[k][0], s->label[k][1]) / fmax(all, 1);
        const bool rare = is_rare(s->label_weight[k]);

        if (!(share > 0) || share > clrnn_threshold.rare_share || (!rare && !s->info->has_weights))
            continue; // !rare without sample weights: soft labels, whose sum is not small
        made_up = made_up && !rare;
        count++;
        if (share <= least) {
            least = share;
            rarest = k;
        }
    }
    if (!count)
        return;
    clrnn_doctor_finding(d, CLRNN_FINDING_CLASS_IMBALANCE,
                         loss->weight || loss->balanced || made_up ? CLRNN_SEVERITY_NOTE : CLRNN_SEVERITY_WARNING);
    clrnn_doctor_where(d, "data.train y, label %u", rarest);
    clrnn_doctor_evidence(d, "it is 1 in %llu rows and 0 in %llu; always answering %d is right in %.1f%%",
                          (unsigned long long)s->label[rarest][1], (unsigned long long)s->label[rarest][0],
                          s->label[rarest][1] > s->label[rarest][0], 100 * (1 - least));
    if (count > 1)
        clrnn_doctor_evidence(d, "; %u of %u labels are so rare", count, s->info->targets);
    if (made_up)
        clrnn_doctor_evidence(d, "; the samples' weights balance the labels");
    clrnn_doctor_remedy(d, "%sjudge by `clrnn eval`'s recall of each label",
                        made_up ? "" : "train.loss.bce_with_logits.pos_weight=balanced, and ");
}

void clrnn_doctor_check_each_label(struct clrnn_doctor *d)
{
    check_constant_labels(d);
    check_rare_labels(d);
}

// Reports sample weights that favour the common class, or are 0 for all samples of a class.
void clrnn_doctor_check_sample_weights(struct clrnn_doctor *d, uint32_t common, uint32_t rare)
{
    const struct clrnn_scan *s = &d->train_scan;
    const double heavy = s->weight[common] / (double)s->count[common], light = s->weight[rare] / (double)s->count[rare];
    const double counts = (double)s->count[common] / (double)s->count[rare];
    uint32_t none = UINT32_MAX;
    bool lost;

    for (uint32_t k = 0; k < s->classes; k++)
        if (s->count[k] && s->weight[k] == 0)
            none = k;
    lost = none != UINT32_MAX && s->weight[common] + s->weight[rare] > 0;
    if (!lost && !(counts >= clrnn_threshold.weights_ratio && heavy > clrnn_threshold.weights_ratio * light))
        return;
    clrnn_doctor_finding(d, CLRNN_FINDING_CLASS_WEIGHTS_INVERTED, CLRNN_SEVERITY_ERROR);
    clrnn_doctor_where(d, "data.train.weights");
    if (lost) {
        clrnn_doctor_evidence(d, "all %llu samples of class %u have weight 0", (unsigned long long)s->count[none],
                              none);
        clrnn_doctor_cost(d, "this class is not learnt");
    } else {
        clrnn_doctor_evidence(
            d,
            "class %u has %llu samples of weight %.3g on average, class %u has %llu of %.3g: the common class "
            "counts %.3g times as much as the rare one",
            common, (unsigned long long)s->count[common], heavy, rare, (unsigned long long)s->count[rare], light,
            counts * heavy / light);
    }
    clrnn_doctor_remedy(d,
                        "data.train.weights=null with train.loss.%s.%s=balanced, or weights that grow as "
                        "classes get rarer",
                        clrnn_loss_word(d->config->train.loss.kind),
                        d->config->train.loss.kind == CLRNN_LOSS_BCE_WITH_LOGITS ? "pos_weight" : "weight");
    clrnn_doctor_set(d, "data.train.weights=null");
}
