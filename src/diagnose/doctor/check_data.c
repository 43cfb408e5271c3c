// SPDX-License-Identifier: MIT
// Stage 1: checks X and y of the training and the validation set.
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/array.h"
#include "base/stats.h"
#include "diagnose/doctor/doctor.h"
#include "model/nest.h"
#include "train/dataset_advice.h"

// ---------------------------------------------------------------- X

static void check_finite(struct clrnn_doctor *d)
{
    const struct clrnn_scan *t = &d->train_scan, *v = &d->valid_scan;
    const struct clrnn_scan *bad = t->bad_values ? t : v;

    clrnn_doctor_check_rows(d);
    if (t->bad_tokens || v->bad_tokens) {
        const struct clrnn_scan *b = t->bad_tokens ? t : v;

        clrnn_doctor_finding(d, CLRNN_FINDING_TOKEN_RANGE, CLRNN_SEVERITY_ERROR);
        clrnn_doctor_where(d, "data.%s X", b->info->name);
        clrnn_doctor_evidence(d, "%llu tokens lie outside 0 to num_embeddings - 1 = %u, first in row %u",
                              (unsigned long long)b->bad_tokens, d->config->layer[0].num_embeddings - 1,
                              b->bad_token_row);
        if (fmin(t->least_token, v->least_token) >= 0 && !clrnn_doctor_found(d, CLRNN_FINDING_NON_INTEGER_TOKENS)) {
            const double size = fmax(t->most_token, v->most_token) + 1;

            clrnn_doctor_evidence(d, "; the largest is %.0f", size - 1);
            clrnn_doctor_remedy(d, "model.layers.0.embedding.num_embeddings=%.0f, or correct the rows", size);
        }
        d->not_run = "some tokens have no row in the embedding.";
    }
    if (!t->bad_values && !v->bad_values)
        return;
    clrnn_doctor_finding(d, CLRNN_FINDING_NON_FINITE_INPUT, CLRNN_SEVERITY_ERROR);
    clrnn_doctor_where(d, "data.%s X, row %u, step %u, feature %u", bad->info->name, bad->bad_row, bad->bad_step,
                       bad->bad_feature);
    clrnn_doctor_evidence(d, "%llu values of %s%llu in train, %llu in valid; the first is %g",
                          (unsigned long long)(t->bad_values + v->bad_values),
                          "X are NaN or infinite: ", (unsigned long long)t->bad_values,
                          (unsigned long long)v->bad_values, bad->bad_value);
    d->not_run = "its inputs are not finite.";
}

// Whether, among the layers [first, end), a batchnorm or layernorm comes before every layer that depends on the scale
// and offset of its input. A concat counts as such a norm if this is true of each of its branches.
static bool scales_itself(const struct clrnn_config *c, size_t first, size_t end)
{
    for (size_t i = first; i < end; i = clrnn_layer_end(c, i)) {
        const enum clrnn_layer_kind kind = c->layer[i].kind;
        bool all = kind == CLRNN_LAYER_CONCAT;

        for (uint32_t b = 0; all && b < c->layer[i].branches; b++) {
            size_t from, to;

            clrnn_layer_branch(c, i, b, &from, &to);
            all = scales_itself(c, from, to);
        }
        if (all || kind == CLRNN_LAYER_BATCHNORM || kind == CLRNN_LAYER_LAYERNORM)
            return true;
        if (kind != CLRNN_LAYER_DROPOUT && kind != CLRNN_LAYER_POOL)
            return false;
    }
    return false;
}

static void check_scale(struct clrnn_doctor *d)
{
    const struct clrnn_scan *s = &d->train_scan;
    uint32_t large = 0, largest = 0;
    double *sorted, median;

    if (s->info->tokens || d->config->data.standard || scales_itself(d->config, 0, d->config->layer_count))
        return;
    sorted = malloc(s->C * sizeof(*sorted));
    if (!sorted)
        return;
    largest = s->counter == 0 && s->C > 1;
    for (uint32_t c = 0; c < s->C; c++) {
        sorted[c] = s->rms[c];
        if (c == s->counter) // a feature that numbers the rows has a finding of its own
            continue;
        large += s->rms[c] > clrnn_threshold.feature_rms;
        if (s->rms[c] > s->rms[largest])
            largest = c;
    }
    median = clrnn_median(sorted, s->C);
    free(sorted);
    if (!large && median <= clrnn_threshold.median_rms && s->rms[largest] >= clrnn_threshold.tiny_rms)
        return;
    if (s->rms[largest] == 0)
        return; // all features are 0
    clrnn_doctor_finding(d, CLRNN_FINDING_UNSCALED_INPUT, CLRNN_SEVERITY_WARNING);
    clrnn_doctor_where(d, "data.train X");
    clrnn_doctor_evidence(
        d,
        "%u of %u features have a root mean square over %g; median %.3g, largest %.3g (feature %u, values "
        "%.4g to %.4g, mean %.4g)",
        large, s->C, clrnn_threshold.feature_rms, median, s->rms[largest], largest, s->least[largest], s->most[largest],
        s->mean[largest]);
    clrnn_doctor_cost(d, s->rms[largest] < 1
                             ? "the inputs hardly move any unit, and weights on them get tiny gradients"
                             : "units sit at their ends or never switch, and gradients are as large as the inputs");
    clrnn_doctor_set(d, "data.normalize=standard");
}

static void check_constant(struct clrnn_doctor *d)
{
    const struct clrnn_scan *s = &d->train_scan;
    uint32_t count = 0, shown = 0;

    if (s->info->tokens || s->info->S < 2)
        return;
    for (uint32_t c = 0; c < s->C; c++)
        count += s->least[c] == s->most[c];
    if (!count)
        return;
    clrnn_doctor_finding(d, CLRNN_FINDING_CONSTANT_FEATURES,
                         count >= clrnn_threshold.constant_share * s->C ? CLRNN_SEVERITY_WARNING : CLRNN_SEVERITY_NOTE);
    clrnn_doctor_where(d, "data.train X");
    clrnn_doctor_evidence(d, "%u of %u features hold one value in every row and step:", count, s->C);
    for (uint32_t c = 0; c < s->C && shown < 6; c++)
        if (s->least[c] == s->most[c])
            clrnn_doctor_evidence(d, "%s %u (%.4g)", shown++ ? "," : "", c, s->least[c]);
    clrnn_doctor_evidence(d, "%s", count > shown ? ", ..." : "");
}

static void check_padding(struct clrnn_doctor *d)
{
    const struct clrnn_scan *s = &d->train_scan;

    if (s->pad_rows < clrnn_threshold.padding_rows || s->pad_share < clrnn_threshold.padding_share)
        return;
    clrnn_doctor_finding(d, CLRNN_FINDING_PADDING_WITHOUT_LENGTHS, CLRNN_SEVERITY_WARNING);
    clrnn_doctor_where(d, "data.train");
    clrnn_doctor_evidence(
        d,
        "%.0f%% of the rows end in the same repeated step, on average the last %.1f of T = %u, each row for "
        "another while; %s",
        100 * s->pad_rows, s->pad_share * s->info->T, s->info->T,
        s->info->has_lengths ? "all `lengths` are T" : "no `lengths` are given");
    if (s->info->has_lengths)
        clrnn_doctor_remedy(d, "give each row its own length in data.train.lengths, for valid, too");
}

static void check_count(struct clrnn_doctor *d)
{
    const struct clrnn_scan *s = &d->train_scan;
    const struct clrnn_train_config *t = &d->config->train;
    const bool mse = clrnn_loss_is_regression(t->loss.kind);
    const uint32_t S = s->info->S, least = (uint32_t)clrnn_threshold.samples;
    uint32_t classes = 0;
    double wanted, labels = 0;

    for (uint32_t k = 0; k < s->classes; k++) {
        classes += s->count[k] > 0;
        labels += (double)s->count[k];
    }
    wanted = mse || s->info->y_steps ? least : fmax(least, clrnn_threshold.samples_per_class * classes);
    if (!d->batches) {
        clrnn_doctor_finding(d, CLRNN_FINDING_TOO_FEW_SAMPLES, CLRNN_SEVERITY_ERROR);
        clrnn_doctor_where(d, "train.batch_size");
        clrnn_doctor_evidence(
            d, "%u samples do not fill one batch of %u, and drop_last drops what is left: there is no batch", S,
            t->batch_size);
        clrnn_doctor_cost(d, "no step is ever made");
        clrnn_doctor_remedy(d, "train.drop_last=false, or a batch_size of at most %u", S);
        clrnn_doctor_set(d, "train.drop_last=false");
        d->not_run = "an epoch has no batch.";
        return;
    }
    if ((s->info->y_steps ? (double)s->labels : S) >= wanted)
        return;
    clrnn_doctor_finding(d, CLRNN_FINDING_TOO_FEW_SAMPLES, CLRNN_SEVERITY_WARNING);
    clrnn_doctor_where(d, "data.train");
    clrnn_doctor_evidence(d, "%u sample%s of ", S, S == 1 ? "" : "s");
    if (s->info->tokens)
        clrnn_doctor_evidence(d, "%u token%s", s->info->T, s->info->T == 1 ? "" : "s");
    else
        clrnn_doctor_evidence(d, "C = %u features in %u step%s", s->info->C, s->info->T, s->info->T == 1 ? "" : "s");
    clrnn_doctor_evidence(d, ", %llu batch%s an epoch", (unsigned long long)d->batches, d->batches == 1 ? "" : "es");
    if (s->info->y_steps)
        clrnn_doctor_evidence(d, ", %llu targets in all", (unsigned long long)s->labels);
    if (!mse && !s->label)
        clrnn_doctor_evidence(d, "; %.1f a class", labels / MAX2(classes, 1u));
    if (S == 1 && s->info->y_steps && s->info->T >= 8)
        clrnn_doctor_remedy(d,
                            "cut the series into windows, X[i] = x[i:i + %u] with y[i] = y[i:i + %u], the last of "
                            "them for valid; ",
                            s->info->T / 4, s->info->T / 4);
    clrnn_doctor_remedy(d, "more data (at least %.0f %s), or a linear model", wanted,
                        s->info->y_steps ? "targets" : "samples");
}

void clrnn_doctor_check_inputs(struct clrnn_doctor *d)
{
    check_finite(d);
    check_scale(d);
    check_constant(d);
    check_padding(d);
    check_count(d);
}

// ---------------------------------------------------------------- y

static void check_range(struct clrnn_doctor *d)
{
    const struct clrnn_scan *t = &d->train_scan, *v = &d->valid_scan, *bad = t->bad_labels ? t : v;
    const enum clrnn_loss_kind loss = d->config->train.loss.kind;
    char advice[128];

    if (!t->bad_labels && !v->bad_labels)
        return;
    clrnn_doctor_finding(d, CLRNN_FINDING_LABEL_RANGE, CLRNN_SEVERITY_ERROR);
    clrnn_doctor_where(d, "data.%s y, row %u", bad->info->name, bad->bad_label_row);
    clrnn_doctor_evidence(
        d, "%llu labels in train and %llu in valid do not fit, the first is %.9g; labels lie in [%.9g, %.9g], ",
        (unsigned long long)t->bad_labels, (unsigned long long)v->bad_labels, bad->bad_label, t->least_label,
        t->most_label);
    if (clrnn_loss_is_regression(loss))
        clrnn_doctor_evidence(d, "expected finite numbers");
    else if (loss == CLRNN_LOSS_BCE_WITH_LOGITS)
        clrnn_doctor_evidence(d, "expected 0 to 1");
    else
        clrnn_doctor_evidence(d, "expected whole numbers from 0 to %u (the last layer has %u outputs)", d->outputs - 1,
                              d->outputs);
    if (clrnn_loss_is_classes(loss))
        clrnn_doctor_evidence(d, " or ignore_index %d", (int)d->config->train.loss.ignore_index);
    if (bad->set && *clrnn_label_advice(bad->set, advice, sizeof(advice)))
        clrnn_doctor_remedy(d, "%s", advice);
    else if (clrnn_loss_is_classes(loss) && t->least_label >= 0)
        clrnn_doctor_remedy(d, "give the last layer out_features: %.0f, or correct the labels", t->most_label + 1);
    else if (loss == CLRNN_LOSS_BCE_WITH_LOGITS && t->least_label == -1 && t->most_label == 1)
        clrnn_doctor_remedy(d, "write 0 for -1: y = (y + 1) / 2");
    else if (loss == CLRNN_LOSS_BCE_WITH_LOGITS || loss == CLRNN_LOSS_CTC || clrnn_loss_is_regression(loss))
        clrnn_doctor_remedy(d, "correct these labels");
    else
        clrnn_doctor_remedy(
            d, "correct these labels, or set train.loss.%s.ignore_index to the value that is to be skipped",
            clrnn_loss_word(loss));
    d->not_run = "some labels do not fit its outputs.";
}

// Reports class weights that give the commonest class a larger weight than the rarest class.
static void check_weights(struct clrnn_doctor *d, uint32_t common, uint32_t rare)
{
    const struct clrnn_scan *s = &d->train_scan;
    const struct clrnn_loss_config *loss = &d->config->train.loss;
    const bool binary = loss->kind == CLRNN_LOSS_BCE_WITH_LOGITS;
    const double counts = (double)s->count[common] / (double)s->count[rare];
    double heavy, light;

    if (!loss->weight)
        return;
    heavy = binary ? common ? loss->weight[0] : 1 : loss->weight[common];
    light = binary ? common ? 1 : loss->weight[0] : loss->weight[rare];
    if (counts < clrnn_threshold.weights_ratio || !(heavy > clrnn_threshold.weights_ratio * light))
        return;
    clrnn_doctor_finding(d, CLRNN_FINDING_CLASS_WEIGHTS_INVERTED, CLRNN_SEVERITY_ERROR);
    clrnn_doctor_where(d, "train.loss.%s.%s", clrnn_loss_word(loss->kind), binary ? "pos_weight" : "weight");
    clrnn_doctor_evidence(d,
                          "class %u has %llu labels and weight %.3g, class %u has %llu and %.3g: the common class "
                          "counts %.3g times as much as the rare one",
                          common, (unsigned long long)s->count[common], heavy, rare, (unsigned long long)s->count[rare],
                          light, counts * heavy / fmax(light, 1e-300));
    clrnn_doctor_remedy(d, "train.loss.%s.%s=balanced", clrnn_loss_word(loss->kind), binary ? "pos_weight" : "weight");
    clrnn_doctor_balance(d);
}

// Whether a class is rare. share: its part of the labels or of their weights. present: number of classes that occur.
static bool is_rare(double share, uint32_t present)
{
    return share <= clrnn_threshold.rare_share && share * present <= clrnn_threshold.rare_of_balanced;
}

static void check_balance(struct clrnn_doctor *d)
{
    const struct clrnn_scan *s = &d->train_scan;
    const struct clrnn_loss_config *loss = &d->config->train.loss;
    const bool real = clrnn_loss_is_regression(loss->kind) || s->soft_labels;
    uint32_t present = 0, rare = 0, common = 0;
    double total = 0, weights = 0, share;
    bool weighted, made_up; // the loss has class weights; sample weights compensate for the imbalance

    for (uint32_t k = 0; k < s->classes; k++) {
        if (!s->count[k])
            continue;
        if (!present || s->count[k] < s->count[rare])
            rare = k;
        if (!present || s->count[k] > s->count[common])
            common = k;
        present++;
        total += (double)s->count[k];
        weights += s->weight[k];
    }
    if (real ? s->y_std == 0 && s->labels > 1 : present == 1 && total > 1) {
        clrnn_doctor_finding(d, CLRNN_FINDING_SINGLE_CLASS, CLRNN_SEVERITY_ERROR);
        clrnn_doctor_where(d, "data.train y");
        if (real)
            clrnn_doctor_evidence(d, "all %llu targets are %.9g", (unsigned long long)s->labels, s->y_mean);
        else
            clrnn_doctor_evidence(d, "all %.0f labels are class %u", total, common);
        return;
    }
    if (s->label) {
        clrnn_doctor_check_each_label(d);
        return;
    }
    if (present < 2)
        return;
    check_weights(d, common, rare);
    if (s->info->has_weights)
        clrnn_doctor_check_sample_weights(d, common, rare);
    share = (double)s->count[rare] / total;
    made_up = !is_rare(s->weight[rare] / fmax(weights, 1e-300), present);
    if (!is_rare(share, present) || (made_up && !s->info->has_weights)) // soft labels: it is not rare in sum
        return;
    weighted = loss->weight || loss->balanced;
    clrnn_doctor_finding(d, CLRNN_FINDING_CLASS_IMBALANCE,
                         weighted || made_up ? CLRNN_SEVERITY_NOTE : CLRNN_SEVERITY_WARNING);
    clrnn_doctor_where(d, "data.train y");
    clrnn_doctor_evidence(
        d,
        "class %u has %llu of %.0f labels (%.2g%%), class %u has %llu; always answering %u is right in "
        "%.1f%%%s",
        rare, (unsigned long long)s->count[rare], total, 100 * share, common, (unsigned long long)s->count[common],
        common, 100 * (double)s->count[common] / total,
        weighted  ? "; the loss has weights"
        : made_up ? "; the samples' weights balance the classes"
                  : "");
    if (made_up && !weighted) {
        clrnn_doctor_remedy(d, "judge by `clrnn eval`'s recall of each class");
        return;
    }
    if (loss->kind == CLRNN_LOSS_BCE_WITH_LOGITS) {
        clrnn_doctor_remedy(
            d, "train.loss.bce_with_logits.pos_weight=[%.3g], and judge by `clrnn eval`'s recall of each class",
            (double)s->count[0] / (double)s->count[1]);
        return;
    }
    clrnn_doctor_remedy(d, "train.loss.%s.weight=[", clrnn_loss_word(loss->kind));
    for (uint32_t k = 0; k < s->classes; k++)
        clrnn_doctor_remedy(d, "%s%.3g", k ? ", " : "", s->count[k] ? total / present / (double)s->count[k] : 1.0);
    clrnn_doctor_remedy(d, "], and judge by `clrnn eval`'s recall of each class");
}

void clrnn_doctor_check_labels(struct clrnn_doctor *d)
{
    clrnn_doctor_check_ctc(d);
    check_range(d);
    if (!d->train_scan.bad_labels &&                  // bad labels distort the classes' shares
        d->config->train.loss.kind != CLRNN_LOSS_CTC) // rare labels are usual for ctc
        check_balance(d);
}
