// SPDX-License-Identifier: MIT
// Stage 3: checks whether the model of the short training predicts only the commonest class, predicts no better than
// the repeated last value, or stays far from the targets. To find causes, runs the same training with shuffled rows, a
// larger lr for sgd, normalised targets, or a pool over all time steps.
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/array.h"
#include "base/log.h"
#include "base/stats.h"
#include "base/words.h"
#include "diagnose/doctor/trace.h"
#include "diagnose/doctor/trial.h"
#include "model/schedule.h"

#define NAIVE_ROWS 2048u
#define NAIVE_FEATURES 64u
#define NAIVE_OUTPUTS 16u
#define LEAST_SUPPORT 5u // minimum number of labels of a class whose recall is judged

// ---------------------------------------------------------------- trials

static enum clrnn_status try_changes(struct clrnn_examination *v, const struct clrnn_trace *c, size_t count,
                                     const char *const *set, struct clrnn_trial *trial)
{
    struct clrnn_config *config;
    enum clrnn_status st = clrnn_doctor_apply(v->d, count, set, &config);

    *trial = (struct clrnn_trial){0};
    if (st == CLRNN_ERR_CONFIG)
        return CLRNN_OK;
    TRY(st);
    st = clrnn_trial_run(v->d, config, c->steps, 0.2 * v->d->seconds, trial);
    clrnn_config_destroy(&config);
    return st;
}

// Returns the median, over the measured steps, of the largest |change| / |weight| of any weight matrix in a step.
static double fastest_update(const struct clrnn_trace *c)
{
    double most[ARRAY_SIZE(c->update_most)];

    memcpy(most, c->update_most, c->update_count * sizeof(*most));
    return clrnn_median(most, c->update_count);
}

// Whether the lr of sgd is so small that the whole run hardly changes the weights, although there is a gradient.
static bool sgd_may_be_slow(const struct clrnn_examination *v, const struct clrnn_trace *c)
{
    const struct clrnn_doctor *d = v->d;

    if (d->config->train.optimizer.kind != CLRNN_OPTIMIZER_SGD || !c->update_count || !c->finite || v->no_gradient ||
        clrnn_doctor_found(d, CLRNN_FINDING_LR_OUT_OF_RANGE) ||
        clrnn_doctor_found(d, CLRNN_FINDING_SCHEDULER_PER_BATCH) ||
        clrnn_doctor_found(d, CLRNN_FINDING_SCHEDULE_EXHAUSTED) ||
        !(c->trained.loss > clrnn_doctor_loss_at(v, clrnn_threshold.stuck)))
        return false;
    return fastest_update(c) * (double)c->wanted < clrnn_threshold.sgd_run;
}

static enum clrnn_status find_sgd_lr(struct clrnn_examination *v, struct clrnn_trace *c)
{
    static const double factor[] = {10, 50, 250};
    const struct clrnn_train_config *t = &v->d->config->train;
    const bool cycles = clrnn_schedule_cycles_momentum(t); // the momentum is not sgd's, and is not changed
    const double lr = clrnn_schedule_peak(t);
    const double momentum = cycles ? t->optimizer.momentum : fmax(t->optimizer.momentum, 0.9);
    double least = INFINITY;

    if (!sgd_may_be_slow(v, c))
        return CLRNN_OK;
    for (size_t i = 0; i < ARRAY_SIZE(factor); i++) {
        struct clrnn_trial trial;
        char set[128], key[CLRNN_LR_KEY_SIZE];
        const char *const line = set;

        if (lr * factor[i] / (1 - (cycles ? t->scheduler.base_momentum : momentum)) > clrnn_threshold.sgd_lr_high)
            break;
        snprintf(set, sizeof(set), "%s=%.9g\ntrain.optimizer.sgd.momentum=%.9g", clrnn_schedule_peak_key(t, key),
                 lr * factor[i], momentum);
        TRY(try_changes(v, c, 1, &line, &trial));
        if (trial.ran && trial.finite && trial.train.loss < least && trial.train.loss < 0.9 * v->d->asked.train.loss) {
            least = trial.train.loss;
            c->sgd_lr = lr * factor[i];
            c->sgd_momentum = momentum;
        }
        clrnn_trial_finish(&trial);
    }
    return CLRNN_OK;
}

// Runs the same training with normalised targets and keeps the result in c->scaled if it is far better. Two conditions
// must hold. The mean or deviation of the targets is large. The net is worse than a linear model, or hardly better than
// a constant answer.
static enum clrnn_status try_scaled_targets(struct clrnn_examination *v, struct clrnn_trace *c)
{
    const struct clrnn_doctor *d = v->d;
    const struct clrnn_scan *s = &d->train_scan;
    const char *const set = "data.normalize_targets=standard";

    if (!clrnn_loss_is_regression(d->config->train.loss.kind) || d->config->data.standard_targets || !c->finite ||
        v->no_gradient || s->bad_labels || fmax(fabs(s->y_mean), s->y_std) < clrnn_threshold.target_some ||
        clrnn_doctor_found(d, CLRNN_FINDING_ACTIVATION_LOSS_MISMATCH) ||
        !(c->trained.loss > clrnn_threshold.stuck * v->chance || clrnn_trace_linear_is_better(v, c)))
        return CLRNN_OK;
    TRY(try_changes(v, c, 1, &set, &c->scaled));
    if (c->scaled.ran && !clrnn_trial_is_far_better(&d->asked, &c->scaled))
        clrnn_trial_finish(&c->scaled);
    return CLRNN_OK;
}

// If the labels look random and the gradient fades over time, runs the same training with a pool that takes the mean
// over all time steps. Keeps the result in c->mean if it is better.
static enum clrnn_status try_mean(struct clrnn_examination *v, struct clrnn_trace *c)
{
    const struct clrnn_activity *a = v->end.time ? &v->end : &v->start;
    enum clrnn_status st;
    char *set;

    if (!clrnn_trace_looks_random(v, c) || !(clrnn_activity_fading(a) < clrnn_threshold.fading_time))
        return CLRNN_OK;
    TRY(clrnn_candidate(v->d, "pool-ignores-sequence", 0, &set));
    st = set && *set ? try_changes(v, c, 1, (const char *const *)&set, &c->mean) : CLRNN_OK;
    free(set);
    if (c->mean.ran && clrnn_trial_compare(&v->d->asked, &c->mean, false) != CLRNN_GAIN_BETTER)
        clrnn_trial_finish(&c->mean);
    return st;
}

struct repeats {
    // off[o][k]: sum of (feature k - target)^2 over all targets of output o
    double off[NAIVE_OUTPUTS][NAIVE_FEATURES];
    // of each output: sum, sum of squares and number of its targets
    double y[NAIVE_OUTPUTS], yy[NAIVE_OUTPUTS], count[NAIVE_OUTPUTS];
};

// Adds the differences between a row's targets and the features of its last step. If each time step has targets, takes
// the features of the target's step.
static void add_repeats(struct repeats *r, const struct clrnn_scan *s, uint32_t row, const float *x, const float *y)
{
    const uint32_t outputs = MAX2(s->info->targets, 1u), features = MIN2(s->C, NAIVE_FEATURES);
    const size_t count = clrnn_dataset_y_valid(s->set, row);

    for (size_t i = 0; i < count; i++) {
        const size_t o = i % outputs, step = s->info->y_steps ? i / outputs : clrnn_dataset_length(s->set, row) - 1;

        if (isnan(y[i]))
            continue;
        r->y[o] += y[i];
        r->yy[o] += (double)y[i] * y[i];
        r->count[o]++;
        for (uint32_t k = 0; k < features; k++) {
            const double off = (double)x[step * s->C + k] - y[i];

            r->off[o][k] += off * off;
        }
    }
}

// For each output, finds the feature that is closest to its targets. Sets c->naive to the R2 of predicting the targets
// by these features: the mean over the outputs, as the net's R2 is.
static void sum_up_repeats(struct clrnn_trace *c, const struct repeats *r, uint32_t outputs, uint32_t features)
{
    double off = 0, count = 0, r2 = 0;

    for (uint32_t o = 0; o < outputs; o++) {
        uint32_t best = 0;

        for (uint32_t k = 1; k < features; k++)
            if (r->off[o][k] < r->off[o][best])
                best = k;
        c->naive_feature = best;
        off += r->off[o][best];
        count += r->count[o];
        r2 += 1 - r->off[o][best] / fmax(r->yy[o] - r->y[o] * r->y[o] / fmax(r->count[o], 1), 1e-300);
    }
    c->naive = r2 / outputs;
    c->naive_equal = off == 0 && count > outputs;
}

// Computes how well a repeated input predicts the target, on the validation rows or, if there are none, on the training
// rows.
static enum clrnn_status find_naive(struct clrnn_examination *v, struct clrnn_trace *c)
{
    struct clrnn_doctor *d = v->d;
    const struct clrnn_scan *s = d->valid ? &d->valid_scan : &d->train_scan;
    const uint32_t outputs = MAX2(s->info->targets, 1u);
    struct repeats r = {.count = {0}};
    enum clrnn_status st = CLRNN_OK;
    float *x, *y;

    if (!clrnn_loss_is_regression(d->config->train.loss.kind) || outputs > NAIVE_OUTPUTS || s->info->tokens ||
        s->bad_values)
        return CLRNN_OK;
    x = malloc((size_t)s->info->T * s->C * sizeof(*x));
    y = malloc(clrnn_dataset_y_count(s->set) * sizeof(*y));
    if (!x || !y)
        st = clrnn_error_memory(d->log, s->info->T * s->C * sizeof(*x), "the last values");
    for (uint32_t row = 0; st == CLRNN_OK && row < MIN2(s->info->S, NAIVE_ROWS); row++) {
        clrnn_dataset_x(s->set, row, x);
        clrnn_dataset_targets(s->set, row, y);
        add_repeats(&r, s, row, x, y);
    }
    if (st == CLRNN_OK)
        sum_up_repeats(c, &r, outputs, MIN2(s->C, NAIVE_FEATURES));
    free(x);
    free(y);
    return st;
}

static bool shuffled_is_better(const struct clrnn_examination *v, const struct clrnn_trace *c)
{
    return c->shuffled_rows.ran &&
           clrnn_trial_compare(c->plain.ran ? &c->plain : &v->d->asked, &c->shuffled_rows, false) == CLRNN_GAIN_BETTER;
}

// Runs the same training with shuffled rows. If the result is no better, trains once without and once with shuffled
// rows, both times with the changes that other findings offer.
static enum clrnn_status train_with_shuffled_rows(struct clrnn_examination *v, struct clrnn_trace *c)
{
    const struct clrnn_doctor_result *r = v->d->result;
    const char *set[32] = {"train.shuffle=true"};
    size_t count = 1;

    TRY(try_changes(v, c, 1, set, &c->shuffled_rows));
    for (size_t i = 0; i < r->count && count < ARRAY_SIZE(set); i++)
        if (r->finding[i].set && r->finding[i].severity != CLRNN_SEVERITY_NOTE)
            set[count++] = r->finding[i].set;
    if (count == 1 || shuffled_is_better(v, c))
        return CLRNN_OK;
    clrnn_trial_finish(&c->shuffled_rows);
    TRY(try_changes(v, c, count - 1, set + 1, &c->plain));
    return try_changes(v, c, count, set, &c->shuffled_rows);
}

enum clrnn_status clrnn_doctor_compare_answers(struct clrnn_examination *v, struct clrnn_trace *c)
{
    if (v->d->sorted)
        TRY(train_with_shuffled_rows(v, c));
    TRY(find_sgd_lr(v, c));
    TRY(try_scaled_targets(v, c));
    TRY(try_mean(v, c));
    return find_naive(v, c);
}

// ---------------------------------------------------------------- findings

static void judge_order(struct clrnn_examination *v, const struct clrnn_trace *c)
{
    struct clrnn_doctor *d = v->d;
    char *harm;

    if (!d->sorted)
        return;
    if (!c->shuffled_rows.ran) {
        clrnn_doctor_report_order(d, CLRNN_SEVERITY_WARNING, NULL);
    } else if (!shuffled_is_better(v, c)) {
        clrnn_doctor_report_order(d, CLRNN_SEVERITY_NOTE, NULL);
    } else {
        harm = clrnn_trial_text(c->plain.ran ? &c->plain : &d->asked, &c->shuffled_rows, false);
        clrnn_doctor_report_order(d, CLRNN_SEVERITY_ERROR, harm);
        free(harm);
    }
}

static void judge_sgd(struct clrnn_examination *v, const struct clrnn_trace *c)
{
    struct clrnn_doctor *d = v->d;
    const struct clrnn_optimizer_config *o = &d->config->train.optimizer;
    char lr[CLRNN_NUMBER_SIZE], momentum[CLRNN_NUMBER_SIZE], key[CLRNN_LR_KEY_SIZE];

    if (!c->sgd_lr)
        return;
    clrnn_doctor_finding(d, CLRNN_FINDING_LR_OUT_OF_RANGE, CLRNN_SEVERITY_ERROR);
    clrnn_schedule_peak_key(&d->config->train, key);
    clrnn_doctor_where(d, "%s", key);
    clrnn_doctor_evidence(
        d,
        "a step of lr %g times gradients of norm %.2g changes even the fastest parameter by %.2g of its size, the "
        "whole run of %llu steps by at most %.2g; the training loss stays at %.4g, the best constant answer has %.4g",
        clrnn_schedule_peak(&d->config->train), v->initial_norm, fastest_update(c), (unsigned long long)c->wanted,
        fastest_update(c) * (double)c->wanted, c->trained.loss, v->chance);
    clrnn_doctor_cost(d, "the weights stay what they were drawn");
    clrnn_doctor_remedy(d, "%s=%g", key, c->sgd_lr);
    if (c->sgd_momentum > o->momentum)
        clrnn_doctor_remedy(d, " with train.optimizer.sgd.momentum=%g", c->sgd_momentum);
    clrnn_number_text(c->sgd_lr, lr);
    clrnn_number_text(c->sgd_momentum, momentum);
    clrnn_doctor_set(d, "%s=%s", key, lr);
    if (c->sgd_momentum > o->momentum)
        clrnn_doctor_set(d, "train.optimizer.sgd.momentum=%s", momentum);
}

// Returns how large an output can become in the whole run; infinity for sgd, whose steps grow with the gradient. A step
// of any other optimiser moves a weight by about lr at most. An output of the last linear layer has a bias and `width`
// weights. For inputs of size 1, each of them adds at most lr * steps.
static double reach(const struct clrnn_examination *v, const struct clrnn_trace *c)
{
    const struct clrnn_config *config = v->d->config;
    size_t last = config->layer_count;
    double width = 1;

    while (last > 0 && config->layer[last - 1].kind != CLRNN_LAYER_LINEAR)
        last--;
    if (last)
        width = clrnn_layers_width(config, last - 1, v->d->train_scan.C, v->d->T);
    return config->train.optimizer.kind == CLRNN_OPTIMIZER_SGD
               ? INFINITY
               : clrnn_schedule_peak(&config->train) * (double)c->wanted * (1 + width);
}

static void judge_target(struct clrnn_examination *v, const struct clrnn_trace *c)
{
    struct clrnn_doctor *d = v->d;
    const struct clrnn_scan *s = &d->train_scan;
    const double size = fmax(fabs(s->y_mean), s->y_std);
    bool offset, far;

    if (!clrnn_loss_is_regression(d->config->train.loss.kind) || d->config->data.standard_targets || !(v->chance > 0) ||
        v->no_gradient || (!c->scaled.ran && size < clrnn_threshold.target_size * (c->finite ? 1 : 10)) ||
        d->train_scan.bad_labels || clrnn_doctor_found(d, CLRNN_FINDING_ACTIVATION_LOSS_MISMATCH))
        return;
    offset = c->finite && c->trained.loss > 1.2 * v->chance && fabs(s->y_mean) > s->y_std;
    far = c->finite && c->trained.loss > clrnn_threshold.underfit * v->chance && size > 0.2 * reach(v, c);
    if (c->finite && !far && !c->scaled.ran && (!offset || clrnn_trace_still_falling(c)))
        return;
    clrnn_doctor_finding(d, CLRNN_FINDING_UNSCALED_TARGET, CLRNN_SEVERITY_WARNING);
    clrnn_doctor_where(d, "data.train y");
    clrnn_doctor_evidence(d, "the targets have mean %.4g and deviation %.4g, from %.4g to %.4g; ", s->y_mean, s->y_std,
                          s->least_label, s->most_label);
    if (c->finite)
        clrnn_doctor_evidence(d, "after %u of %llu steps the training loss is %.4g, the best constant answer has %.4g",
                              c->steps, (unsigned long long)c->wanted, c->trained.loss, v->chance);
    else
        clrnn_doctor_evidence(d, "gradients are as large as they are, and the loss is not finite after %u steps",
                              c->steps);
    if (far)
        clrnn_doctor_evidence(
            d,
            "; %s moves a weight by about lr a step at most, which brings the outputs to about %.3g in the whole "
            "run",
            clrnn_optimizer_word(d->config->train.optimizer.kind), reach(v, c));
    clrnn_doctor_set(d, "data.normalize_targets=standard");
}

// Finds the classes whose samples are hardly ever predicted correctly, and that are far rarer than class `common`. If
// `labels`, finds the labels whose ones are hardly ever found, and are far rarer than their zeros. Returns the
// commonest of these classes or labels; *count: how many there are.
static uint32_t find_lost(const struct clrnn_eval_result *r, uint32_t common, bool labels, uint32_t *count)
{
    const double rows = (double)r->counted / MAX2(r->classes, 1u);
    uint32_t lost = 0;

    *count = 0;
    for (uint32_t k = 0; k < r->classes; k++) {
        const struct clrnn_class_result *p = &r->per_class[k];
        const double support = (double)p->support,
                     others = labels ? rows - support : (double)r->per_class[common].support;

        if (p->support < LEAST_SUPPORT || p->recall > clrnn_threshold.hardly_answered ||
            support * clrnn_threshold.majority_ratio > others)
            continue;
        if (!*count || p->support > r->per_class[lost].support)
            lost = k;
        ++*count;
    }
    return lost;
}

void clrnn_doctor_check_majority(struct clrnn_examination *v, const struct clrnn_trace *c)
{
    struct clrnn_doctor *d = v->d;
    const struct clrnn_eval_result *r = &d->asked.train;
    const struct clrnn_loss_config *loss = &d->config->train.loss;
    const bool labels = d->train_scan.label;
    const double rows = (double)r->counted / MAX2(r->classes, 1u);
    uint32_t common = 0, lost, count;

    if (!c->finite || v->no_gradient || (!labels && r->classes < 2) || !r->counted ||
        clrnn_doctor_found(d, CLRNN_FINDING_LABELS_LOOK_RANDOM) || clrnn_trace_still_falling(c))
        return;
    for (uint32_t k = 0; k < r->classes; k++)
        if (r->per_class[k].support > r->per_class[common].support)
            common = k;
    lost = find_lost(r, common, labels, &count);
    if (!count || (!labels && r->per_class[common].recall < 0.9))
        return;
    clrnn_doctor_finding(d, CLRNN_FINDING_MAJORITY_CLASS_ONLY, CLRNN_SEVERITY_WARNING);
    clrnn_doctor_where(d, "training rows after %u steps", c->steps);
    if (labels) {
        clrnn_doctor_where(d, ", label %u", lost);
        clrnn_doctor_evidence(d,
                              "of the %llu rows of %.0f in which it is 1 the net finds %.0f%%; answering 0 "
                              "always is right in %.1f%%",
                              (unsigned long long)r->per_class[lost].support, rows, 100 * r->per_class[lost].recall,
                              100 * (1 - (double)r->per_class[lost].support / rows));
    } else {
        clrnn_doctor_evidence(
            d,
            "accuracy is %.3f, and answering class %u always has %.3f; of class %u, %llu of the %llu rows, "
            "it finds %.0f%%",
            r->accuracy, common, (double)r->per_class[common].support / (double)r->counted, lost,
            (unsigned long long)r->per_class[lost].support, (unsigned long long)r->counted,
            100 * r->per_class[lost].recall);
    }
    if (count > 1)
        clrnn_doctor_evidence(d, " (%u %s are found so rarely)", count, labels ? "labels" : "classes");
    if (!loss->weight && !loss->balanced)
        clrnn_doctor_balance(d);
}

// Prints the repeated value into text, and returns text: "feature 0's last value", or for several targets "the last
// values of the features".
static const char *repeated(const struct clrnn_doctor *d, const struct clrnn_trace *c, char text[64])
{
    const struct clrnn_dataset_info *info = d->train_scan.info;

    if (info->targets > 1)
        snprintf(text, 64, "the %s values of the features", info->y_steps ? "step's" : "last");
    else
        snprintf(text, 64, "feature %u's %s value", c->naive_feature, info->y_steps ? "present" : "last");
    return text;
}

static void judge_naive(struct clrnn_examination *v, const struct clrnn_trace *c)
{
    struct clrnn_doctor *d = v->d;
    const double best = d->valid ? clrnn_trace_best_quality(c) : c->trained.quality;
    char what[64];

    if (!c->finite || !isfinite(best) || !(c->naive > clrnn_threshold.naive) ||
        (clrnn_trace_still_falling(c) && !c->naive_equal) ||
        (!c->naive_equal && 1 - c->naive > clrnn_threshold.naive_gap * (1 - best)))
        return;
    clrnn_doctor_finding(d, CLRNN_FINDING_NO_BETTER_THAN_NAIVE,
                         c->naive_equal ? CLRNN_SEVERITY_ERROR : CLRNN_SEVERITY_WARNING);
    clrnn_doctor_where(d, "%s R2", d->valid ? "validation" : "training");
    if (c->naive_equal) {
        clrnn_doctor_evidence(d, "the target is %s in every row; the net has %.3f", repeated(d, c, what), best);
        clrnn_doctor_cost(d, "there is nothing to forecast: the answer stands in the inputs");
        clrnn_doctor_remedy(d, "move the targets ahead of the inputs, or leave %s out of X",
                            d->train_scan.info->targets > 1 ? "these features" : "this feature");
        return;
    }
    clrnn_doctor_evidence(d, "repeating %s has %.4f, the net at best %.4f", repeated(d, c, what), c->naive, best);
}

// Reports that a linear model predicts as well as the net, unless judge_naive reported that a repeated value does.
static void judge_as_linear(struct clrnn_examination *v, const struct clrnn_trace *c)
{
    struct clrnn_doctor *d = v->d;
    const double best = clrnn_trace_best_quality(c), linear = c->linear.quality;

    if (!c->finite || !c->linear.done || !c->valid_count || !isfinite(best) ||
        !clrnn_loss_is_regression(d->config->train.loss.kind) || !(linear > clrnn_threshold.naive) ||
        1 - linear > clrnn_threshold.naive_gap * (1 - best) || clrnn_trace_still_falling(c) ||
        clrnn_doctor_found(d, CLRNN_FINDING_NO_BETTER_THAN_NAIVE) || clrnn_trace_linear_is_better(v, c))
        return;
    clrnn_doctor_finding(d, CLRNN_FINDING_NO_BETTER_THAN_NAIVE, CLRNN_SEVERITY_NOTE);
    clrnn_doctor_where(d, "validation R2");
    clrnn_doctor_evidence(d, "a linear model on the same inputs has %.4f, the net at best %.4f", linear, best);
    clrnn_doctor_cost(d, "nothing but time: a straight line says as much");
    clrnn_doctor_remedy(d, "`linear` alone, unless the net is to learn more than it shows here");
}

void clrnn_doctor_check_answers(struct clrnn_examination *v, struct clrnn_trace *c)
{
    judge_order(v, c);
    judge_sgd(v, c);
    judge_target(v, c);
    judge_naive(v, c);
    judge_as_linear(v, c);
}
