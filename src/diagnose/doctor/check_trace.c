// SPDX-License-Identifier: MIT
// Stage 3: what the short training says.
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/array.h"
#include "base/stats.h"
#include "diagnose/doctor/trace.h"

static bool tiny_lr(const struct clrnn_examination *v)
{
    const struct clrnn_optimizer_config *o = &v->d->config->train.optimizer;

    return clrnn_doctor_found(v->d, CLRNN_FINDING_SCHEDULER_PER_BATCH) ||
           (clrnn_doctor_found(v->d, CLRNN_FINDING_LR_OUT_OF_RANGE) && o->lr < 1e-2);
}

static double lowest_window(const struct clrnn_trace *c)
{
    double lowest = INFINITY;

    for (uint32_t w = 0; w < c->window_count; w++)
        lowest = fmin(lowest, c->window[w]);
    return lowest;
}

static double median_window(const struct clrnn_trace *c)
{
    double *sorted = malloc(MAX2(c->window_count, 1u) * sizeof(*sorted)), median;

    if (!sorted)
        return NAN;
    for (uint32_t w = 0; w < c->window_count; w++)
        sorted[w] = c->window[w];
    median = clrnn_median(sorted, c->window_count);
    free(sorted);
    return median;
}

// Time was up while the loss still fell: what it would come to is open.
static bool still_falling(const struct clrnn_trace *c)
{
    const uint32_t n = c->window_count;

    return !c->complete && n >= 4 && c->window[n - 1] < 0.99 * c->window[n / 2];
}

static bool stuck(const struct clrnn_examination *v, const struct clrnn_trace *c, double share)
{
    if (!c->finite)
        return true;
    return v->chance > 0 && !still_falling(c) && lowest_window(c) > share * v->chance &&
           !(c->trained.loss < share * v->chance);
}

static const char *of_run(const struct clrnn_trace *c, char text[64])
{
    snprintf(text, 64, "%u of the run's %llu steps", c->steps, (unsigned long long)c->wanted);
    return text;
}

// ---------------------------------------------------------------- gradients and units

static void judge_vanishing(struct clrnn_examination *v, const struct clrnn_trace *c)
{
    const struct clrnn_activity *a = v->end.time ? &v->end : &v->start, *s = &v->start;
    struct clrnn_doctor *d = v->d;
    double most = 0, by_time = NAN, by_layer = NAN;

    for (uint32_t t = 0; t < a->T; t++)
        most = fmax(most, a->time[t]);
    if (a->T > 1 && most > 0)
        by_time = a->time[0] / most;
    if (s->first_layer != s->last_layer && s->last_norm > 0)
        by_layer = s->first_norm / s->last_norm;
    if (v->no_gradient || !c->finite || !stuck(v, c, clrnn_threshold.stuck))
        return;
    if (!(by_time < clrnn_threshold.vanishing_time) &&
        !(by_layer < clrnn_threshold.vanishing_layer && s->first_norm > 0))
        return;
    clrnn_doctor_finding(d, CLRNN_FINDING_VANISHING_GRADIENT, CLRNN_SEVERITY_WARNING);
    if (by_time < clrnn_threshold.vanishing_time) {
        clrnn_doctor_where(d, "time steps of the first recurrent layer");
        clrnn_doctor_evidence(
            d,
            "after %u steps the gradient of the input at step 1 is %.2g, at its largest step %.2g (T = %u)",
            c->steps, a->time[0], most, a->T);
    } else {
        clrnn_doctor_where_layer(d, s->first_layer);
        clrnn_doctor_evidence(d, "before training the first layer's gradient is %.2g, the last one's %.2g",
                              s->first_norm, s->last_norm);
    }
    clrnn_doctor_evidence(d, "; the loss stays at %.4g, the best constant answer has %.4g", lowest_window(c),
                          v->chance);
    clrnn_doctor_cost(d, by_time < clrnn_threshold.vanishing_time ? "what the early steps say is not learnt"
                                                                  : "the lower layers hardly move");
    clrnn_doctor_remedy(
        d,
        by_time < clrnn_threshold.vanishing_time
            ? "`lstm` or `gru` instead of `rnn`, `pool: {over: mean}` or `{over: max}` instead of last, or "
              "shorter sequences"
            : "`tanh` or `relu` instead of `sigmoid`, batchnorm between the layers, or fewer layers");
}

static void judge_exploding(struct clrnn_examination *v, const struct clrnn_trace *c)
{
    const struct clrnn_activity *s = &v->start;
    struct clrnn_doctor *d = v->d;
    const double scale = clrnn_loss_is_regression(d->config->train.loss.kind) ? fmax(1, sqrt(v->chance)) : 1;
    const double limit = clrnn_threshold.exploding_norm * scale;
    double most = v->initial_norm, time = NAN;
    bool infinite = !isfinite(v->initial_norm);

    for (uint32_t i = 0; i < c->steps; i++) {
        infinite = infinite || isinf(c->norm[i]);
        if (isfinite(c->norm[i]))
            most = fmax(most, c->norm[i]);
    }
    if (s->T > 1 && s->time[s->T - 1] > 0)
        time = s->time[0] / s->time[s->T - 1];
    if (!infinite && !(most > limit) && !(time > clrnn_threshold.exploding_time && most > 0.1 * limit))
        return;
    clrnn_doctor_finding(d, CLRNN_FINDING_EXPLODING_GRADIENT,
                         d->config->train.clip_grad_norm > 0 && c->finite ? CLRNN_SEVERITY_NOTE
                                                                          : CLRNN_SEVERITY_ERROR);
    clrnn_doctor_where(d, "gradient norm before clipping");
    clrnn_doctor_evidence(d, "it is %.3g on the first batch and up to %.3g%s in %u steps", v->initial_norm,
                          most, infinite ? ", then infinite," : "", c->steps);
    if (time > clrnn_threshold.exploding_time)
        clrnn_doctor_evidence(d, "; the input at step 1 gets %.2g, at step %u %.2g", s->time[0], s->T,
                              s->time[s->T - 1]);
    clrnn_doctor_remedy(d, "train.clip_grad_norm=1.0, a smaller lr%s",
                        d->params->init ? ", and other initial weights than those in --init" : "");
}

static void judge_units(struct clrnn_examination *v, const struct clrnn_trace *c)
{
    const struct clrnn_activity *s = &v->start, *e = v->end.unit_count ? &v->end : &v->start;
    struct clrnn_doctor *d = v->d;
    const bool high = stuck(v, c, clrnn_threshold.stuck);

    if (s->worst_saturated != SIZE_MAX && e->worst_saturated != SIZE_MAX) {
        const struct clrnn_activity_units *first = &s->unit[s->worst_saturated],
                                          *last = &e->unit[e->worst_saturated];

        if (high &&
            (first->saturated >= clrnn_threshold.saturated || last->saturated >= clrnn_threshold.saturated)) {
            clrnn_doctor_finding(d, CLRNN_FINDING_SATURATED_UNITS, CLRNN_SEVERITY_WARNING);
            clrnn_doctor_where(d, "layer %s",
                               first->saturated >= clrnn_threshold.saturated ? first->layer : last->layer);
            clrnn_doctor_evidence(
                d,
                "%.0f%% of its values stand at their ends before training, %.0f%% (layer %s) after %u steps; "
                "the loss stays at %.4g",
                100 * first->saturated, 100 * last->saturated, last->layer, c->steps, lowest_window(c));
            clrnn_doctor_remedy(d, clrnn_doctor_found(d, CLRNN_FINDING_UNSCALED_INPUT)
                                       ? "data.normalize=standard"
                                   : d->params->init ? "other initial weights than those in --init"
                                                     : "a smaller lr, or data.normalize=standard");
        }
    }
    if (s->worst_dead != SIZE_MAX && e->worst_dead != SIZE_MAX) {
        const struct clrnn_activity_units *first = &s->unit[s->worst_dead], *last = &e->unit[e->worst_dead];

        if (first->dead >= clrnn_threshold.dead || last->dead >= clrnn_threshold.dead) {
            clrnn_doctor_finding(d, CLRNN_FINDING_DEAD_UNITS,
                                 high || first->dead > 0.8 ? CLRNN_SEVERITY_WARNING : CLRNN_SEVERITY_NOTE);
            clrnn_doctor_where(d, "layer %s",
                               first->dead >= clrnn_threshold.dead ? first->layer : last->layer);
            clrnn_doctor_evidence(
                d,
                "%.0f%% of its relu units are on for none of %u samples before training, %.0f%% (layer %s) "
                "after %u steps",
                100 * first->dead, v->probe_rows, 100 * last->dead, last->layer, c->steps);
            clrnn_doctor_remedy(d, d->params->init ? "other initial weights than those in --init"
                                                   : "a smaller lr, or `tanh`");
        }
    }
}

// ---------------------------------------------------------------- updates

static void judge_updates(struct clrnn_examination *v, struct clrnn_trace *c)
{
    struct clrnn_doctor *d = v->d;
    double most[64], early[64], start, fastest;
    const size_t n = c->update_count, first = MIN2(c->update_early, n);
    char run[64];

    if (!n || v->no_gradient)
        return;
    for (size_t i = 0; i < n; i++) {
        most[i] = c->update_most[i];
        early[i] = c->update_median[i];
    }
    start = clrnn_median(early, MAX2(first, 1));
    // over the whole run: the first steps were looked at more often than the others
    fastest = clrnn_median(most + (n > first + 4 ? first : 0), n > first + 4 ? n - first : n);
    if (fastest < clrnn_threshold.update_small && c->finite &&
        (stuck(v, c, clrnn_threshold.stuck) || fastest < clrnn_threshold.half_ulp)) {
        clrnn_doctor_finding(d, CLRNN_FINDING_UPDATE_TOO_SMALL, CLRNN_SEVERITY_WARNING);
        clrnn_doctor_where(d, "updates over %s", of_run(c, run));
        clrnn_doctor_evidence(
            d,
            "in a step even the fastest parameter changes by %.2g of its size (median), at the "
            "start by %.2g; "
            "about 1e-3 is usual, and under 6e-8 float32 rounds it away",
            fastest, c->update_most[0]);
        clrnn_doctor_remedy(d, "a larger lr%s",
                            d->config->train.scheduler.kind == CLRNN_SCHEDULER_NONE
                                ? ""
                                : ", or a schedule that does not take it away");
    }
    if (start > clrnn_threshold.update_large || (first && early[first - 1] > 1)) {
        const bool harm = !c->finite || c->trained.loss > 0.3 * v->chance;

        clrnn_doctor_finding(d, CLRNN_FINDING_UPDATE_TOO_LARGE,
                             harm ? CLRNN_SEVERITY_WARNING : CLRNN_SEVERITY_NOTE);
        clrnn_doctor_where(d, "updates of the first %zu steps", first);
        clrnn_doctor_evidence(
            d, "a step changes a parameter by %.2g of its size (median), up to %.2g; about 1e-3 is usual",
            start, early[MAX2(first, 1) - 1]);
    }
}

// ---------------------------------------------------------------- the loss

static void judge_finite(struct clrnn_examination *v, const struct clrnn_trace *c)
{
    struct clrnn_doctor *d = v->d;

    if (c->finite || clrnn_doctor_found(d, CLRNN_FINDING_LOSS_NOT_FINITE))
        return;
    clrnn_doctor_finding(d, CLRNN_FINDING_LOSS_NOT_FINITE, CLRNN_SEVERITY_ERROR);
    clrnn_doctor_where(d, "step %u of %llu", c->steps, (unsigned long long)c->wanted);
    clrnn_doctor_evidence(d, "the loss starts at %.4g and is %g at step %u, the gradient norm %.3g",
                          v->initial_loss, c->loss[c->steps - 1], c->steps, c->norm[c->steps - 1]);
}

static void judge_flat(struct clrnn_examination *v, const struct clrnn_trace *c)
{
    struct clrnn_doctor *d = v->d;
    const double lowest = lowest_window(c);
    bool high, still;
    char run[64];

    if (!c->finite || !(v->chance > 0) || still_falling(c) || c->window_count < 2)
        return;
    high = lowest > clrnn_threshold.flat * v->chance;
    // first weights may happen to be a little better than a constant
    still = lowest > clrnn_threshold.stuck * v->chance &&
            c->window[0] - lowest < (1 - clrnn_threshold.flat) * 0.3 * v->chance;
    if (!high && !still)
        return;
    clrnn_doctor_finding(d, CLRNN_FINDING_LOSS_FLAT, CLRNN_SEVERITY_WARNING);
    clrnn_doctor_where(d, "training loss over %s", of_run(c, run));
    clrnn_doctor_evidence(
        d, "it goes from %.4g to %.4g (lowest %.4g); answering the same to every input has %.4g",
        c->window[0], c->window[c->window_count - 1], lowest_window(c), v->chance);
    clrnn_doctor_remedy(
        d, v->overfits
               ? "one batch is learnt by heart, all are not: more steps, another lr, or a task and labels "
                 "that fit together"
               : "mend what stands above; `clrnn grow` names the part that breaks it");
}

static void judge_oscillation(struct clrnn_examination *v, const struct clrnn_trace *c)
{
    struct clrnn_doctor *d = v->d;
    double rises = 0;

    if (!c->finite || c->window_count < 4 || !(v->chance > 0))
        return;
    for (uint32_t w = 1; w < c->window_count; w++)
        rises += fmax(c->window[w] - c->window[w - 1], 0) / (c->window_count - 1);
    if (!(rises > clrnn_threshold.oscillation * v->chance))
        return;
    clrnn_doctor_finding(d, CLRNN_FINDING_LOSS_OSCILLATES, CLRNN_SEVERITY_WARNING);
    clrnn_doctor_where(d, "training loss by epoch");
    clrnn_doctor_evidence(
        d,
        "counting rises alone it climbs by %.3g an epoch; it ranges around %.4g and ends at %.4g, the best "
        "constant answer has %.4g",
        rises, median_window(c), c->window[c->window_count - 1], v->chance);
    clrnn_doctor_remedy(d, "a tenth of the lr%s", d->config->train.shuffle ? "" : ", and train.shuffle=true");
}

// ---------------------------------------------------------------- how good it became

static double best_quality(const struct clrnn_trace *c)
{
    double best = -INFINITY;

    for (size_t i = 0; i < c->valid_count; i++)
        best = fmax(best, c->valid_quality[i]);
    return best;
}

static double quality_error(const struct clrnn_examination *v, double quality)
{
    const double p = fmin(fmax(quality, 0.02), 0.98);

    return clrnn_loss_is_regression(v->d->config->train.loss.kind)
               ? 0.02
               : sqrt(p * (1 - p) / fmax(v->valid_rows, 1));
}

static bool linear_is_better(const struct clrnn_examination *v, const struct clrnn_trace *c)
{
    const double gap = c->linear.quality - best_quality(c);

    return c->linear.done && c->valid_count && gap > clrnn_threshold.linear_gap &&
           gap > clrnn_threshold.linear_sigma * quality_error(v, c->linear.quality);
}

static void judge_linear(struct clrnn_examination *v, const struct clrnn_trace *c)
{
    struct clrnn_doctor *d = v->d;
    const bool mse = clrnn_loss_is_regression(d->config->train.loss.kind);

    if (!c->finite || still_falling(c) || !linear_is_better(v, c))
        return;
    clrnn_doctor_finding(d, CLRNN_FINDING_WORSE_THAN_LINEAR, CLRNN_SEVERITY_WARNING);
    clrnn_doctor_where(d, "validation %s", mse ? "R2" : "accuracy");
    clrnn_doctor_evidence(d, "a linear model on the same inputs reaches %.3f, this net at best %.3f",
                          c->linear.quality, best_quality(c));
}

static void judge_underfitting(struct clrnn_examination *v, const struct clrnn_trace *c)
{
    struct clrnn_doctor *d = v->d;
    const struct clrnn_optimizer_config *o = &d->config->train.optimizer;
    char run[64];

    if (!c->finite || !(v->chance > 0) || still_falling(c) ||
        clrnn_doctor_found(d, CLRNN_FINDING_SINGLE_CLASS) ||
        !(c->trained.loss > clrnn_threshold.underfit * v->chance))
        return;
    clrnn_doctor_finding(d, CLRNN_FINDING_UNDERFITTING, CLRNN_SEVERITY_WARNING);
    clrnn_doctor_where(d, "training loss after %s", of_run(c, run));
    clrnn_doctor_evidence(d, "on its own training rows the net has %.4g; the best constant answer has %.4g",
                          c->trained.loss, v->chance);
    if (o->weight_decay >= 0.1)
        clrnn_doctor_evidence(d, "; weight_decay %g pulls every weight to 0", o->weight_decay);
    clrnn_doctor_remedy(d,
                        o->weight_decay >= 0.1 ? "train.optimizer.%s.weight_decay=0"
                                               : "more units or layers, more epochs, or a larger lr%.0s",
                        clrnn_optimizer_word(o->kind));
}

static void judge_overfitting(struct clrnn_examination *v, const struct clrnn_trace *c)
{
    struct clrnn_doctor *d = v->d;
    const size_t looks = c->valid_count, some = MAX2(looks / 5, 3);
    double lowest = INFINITY, last, end[64];
    size_t at = 0;

    if (!c->finite || c->valid_count < 3 || !(v->chance > 0))
        return;
    for (size_t i = 0; i < c->valid_count; i++)
        if (c->valid_loss[i] < lowest) {
            lowest = c->valid_loss[i];
            at = i;
        }
    for (size_t i = 0; i < some; i++) // not one look's, which may be a spike
        end[i] = c->valid_loss[looks - some + i];
    last = clrnn_median(end, some);
    if (!(last > clrnn_threshold.overfit_ratio * lowest) ||
        !(last - lowest > clrnn_threshold.overfit_rise * v->chance) || !(c->trained.loss < 0.5 * last))
        return;
    clrnn_doctor_finding(d, CLRNN_FINDING_OVERFITTING, CLRNN_SEVERITY_WARNING);
    clrnn_doctor_where(d, "validation loss");
    clrnn_doctor_evidence(
        d, "it rises from %.4g (after %zu of %zu looks) to %.4g while the training loss is %.4g", lowest,
        at + 1, c->valid_count, last, c->trained.loss);
}

// ---------------------------------------------------------------- what it looks at

static void judge_modes(struct clrnn_examination *v, const struct clrnn_trace *c)
{
    struct clrnn_doctor *d = v->d;
    double slowest = 1;
    bool norm = false, frozen;

    for (size_t i = 0; i < d->config->layer_count; i++) {
        const struct clrnn_layer *l = &d->config->layer[i];

        if (l->kind == CLRNN_LAYER_BATCHNORM && l->track_running_stats && !l->cumulative) {
            norm = true;
            slowest = fmin(slowest, l->momentum);
        }
    }
    frozen = norm && c->steps * slowest < 1 && slowest < 0.05; // the running statistics will never get there
    if (!c->finite || !isfinite(c->trained.loss) ||
        !(c->trained.loss > (frozen ? 1.5 : clrnn_threshold.mode_ratio) * c->train_mode) ||
        !(c->trained.loss - c->train_mode > (frozen ? 0.1 : 1) * clrnn_threshold.mode_gap * v->chance))
        return;
    if (norm && slowest >= 0.05 && c->steps * slowest < 5)
        return; // they are still on their way
    clrnn_doctor_finding(d, CLRNN_FINDING_TRAIN_EVAL_MISMATCH, CLRNN_SEVERITY_ERROR);
    clrnn_doctor_where(d, "train and eval mode");
    clrnn_doctor_evidence(d, "the same training rows have loss %.4g in train mode and %.4g in eval mode",
                          c->train_mode, c->trained.loss);
    if (norm)
        clrnn_doctor_evidence(d, "; a batchnorm has momentum %g", slowest);
    clrnn_doctor_remedy(d, norm ? "momentum 0.1 for the batchnorm:"
                                : "look for a layer that behaves otherwise in eval mode");
    for (size_t i = 0; norm && i < d->config->layer_count; i++) {
        const struct clrnn_layer *l = &d->config->layer[i];

        if (l->kind != CLRNN_LAYER_BATCHNORM || l->cumulative || l->momentum >= 0.05)
            continue;
        clrnn_doctor_remedy(d, " model.layers.%zu.batchnorm.momentum=0.1", i);
        clrnn_doctor_fix(d, FIX_BATCHNORM, i, 0);
    }
}

static void judge_inputs(struct clrnn_examination *v, const struct clrnn_trace *c)
{
    struct clrnn_doctor *d = v->d;
    const bool high = stuck(v, c, clrnn_threshold.underfit);
    const double slack = clrnn_threshold.ignored * v->chance;
    const bool blank = c->blank.loss <= c->trained.loss + slack;
    const bool time = c->shuffled.loss <= c->trained.loss + slack;

    if (!c->finite || !(v->chance > 0) || v->no_gradient || clrnn_doctor_found(d, CLRNN_FINDING_SINGLE_CLASS))
        return;
    if (blank && high) {
        clrnn_doctor_finding(d, CLRNN_FINDING_INPUTS_IGNORED, CLRNN_SEVERITY_WARNING);
        clrnn_doctor_where(d, "model");
        clrnn_doctor_evidence(
            d, "with every input replaced by its mean the loss is %.4g, with the real ones %.4g",
            c->blank.loss, c->trained.loss);
    }
    if (time && (high || linear_is_better(v, c))) {
        clrnn_doctor_finding(d, CLRNN_FINDING_TIME_IGNORED, CLRNN_SEVERITY_WARNING);
        clrnn_doctor_where(d, "model");
        clrnn_doctor_evidence(
            d, "with the time steps of every row shuffled the loss is %.4g, in their order %.4g (T = %u)",
            c->shuffled.loss, c->trained.loss, d->T);
    } else if (time) {
        clrnn_doctor_finding(d, CLRNN_FINDING_TIME_IGNORED, CLRNN_SEVERITY_NOTE);
        clrnn_doctor_where(d, "model");
        clrnn_doctor_evidence(
            d,
            "with the time steps of every row shuffled the loss is %.4g, in their order %.4g: "
            "these labels do "
            "not need the order",
            c->shuffled.loss, c->trained.loss);
        clrnn_doctor_cost(d, "nothing: a net without recurrence would do");
        clrnn_doctor_remedy(d, "`pool: {over: mean}` and `linear`, if a smaller net is wanted");
    }
}

// ---------------------------------------------------------------- labels

// Validation no better than chance allows.
static bool at_chance(const struct clrnn_examination *v, double quality)
{
    const struct clrnn_scan *s = &v->d->valid_scan;
    double total = 0, largest = 0;

    if (clrnn_loss_is_regression(v->d->config->train.loss.kind))
        return quality < 0.05;
    for (uint32_t k = 0; k < s->classes; k++) {
        total += (double)s->count[k];
        largest = fmax(largest, (double)s->count[k]);
    }
    if (total < 1)
        return false;
    return quality < largest / total + clrnn_threshold.random_sigma * quality_error(v, largest / total);
}

bool clrnn_doctor_wants_shuffled(const struct clrnn_examination *v, const struct clrnn_trace *c)
{
    const struct clrnn_doctor *d = v->d;

    // a batch need not be learnt to the end to show that the net can
    if (!c->finite || !(v->overfits || v->overfit_lowest < 0.5 * v->chance) || v->no_gradient || tiny_lr(v) ||
        clrnn_doctor_found(d, CLRNN_FINDING_LR_OUT_OF_RANGE) ||
        clrnn_doctor_found(d, CLRNN_FINDING_SINGLE_CLASS) || c->steps < 20 || d->per_step)
        return false;
    if (clrnn_doctor_found(d, CLRNN_FINDING_TRAIN_VALID_SHIFT))
        return false; // validation says nothing
    return c->valid_count && at_chance(v, c->valid_quality[c->valid_count - 1]) &&
           !(c->linear.done && !at_chance(v, c->linear.quality));
}

static void judge_labels(struct clrnn_examination *v, const struct clrnn_trace *c)
{
    static const enum clrnn_finding_kind broken[] = {
        CLRNN_FINDING_SATURATED_UNITS,         CLRNN_FINDING_DEAD_UNITS,
        CLRNN_FINDING_ZERO_GRADIENT,           CLRNN_FINDING_UNSCALED_INPUT,
        CLRNN_FINDING_EXPLODING_GRADIENT,      CLRNN_FINDING_NON_DIFFERENTIABLE_OP,
        CLRNN_FINDING_PADDING_WITHOUT_LENGTHS, CLRNN_FINDING_SEQUENCE_TOO_LONG,
        CLRNN_FINDING_POOL_IGNORES_SEQUENCE,   CLRNN_FINDING_NO_SHUFFLE_SORTED_LABELS,
        CLRNN_FINDING_INITIAL_LOSS_OFF,        CLRNN_FINDING_DROPOUT_TOO_HIGH,
        CLRNN_FINDING_UPDATE_TOO_SMALL,        CLRNN_FINDING_UPDATE_TOO_LARGE,
    };
    struct clrnn_doctor *d = v->d;

    if (!(v->chance - c->real_loss <= clrnn_threshold.random_gain * fmax(v->chance - c->random_loss, 0) +
                                          clrnn_threshold.random_slack * v->chance))
        return;
    for (size_t i = 0; i < ARRAY_SIZE(broken); i++)
        if (clrnn_doctor_found(d, broken[i]))
            return; // with such a net no labels are learnt
    clrnn_doctor_finding(d, CLRNN_FINDING_LABELS_LOOK_RANDOM, CLRNN_SEVERITY_WARNING);
    clrnn_doctor_where(d, "data.train y");
    clrnn_doctor_evidence(
        d,
        "after %u steps the loss is %.4g with the real labels and %.4g with shuffled ones; on the validation "
        "rows the net has %.3f",
        c->random_steps, c->real_loss, c->random_loss, c->valid_quality[c->valid_count - 1]);
    if (c->linear.done)
        clrnn_doctor_evidence(d, ", a linear model %.3f", c->linear.quality);
}

// Whether the training went well enough that one batch by heart is not the question: a small net, or noisy
// rows, may have no zero to reach.
static bool went_well(const struct clrnn_examination *v, const struct clrnn_trace *c)
{
    return c->finite && c->trained.loss < clrnn_threshold.underfit * v->chance && !linear_is_better(v, c) &&
           !clrnn_doctor_found(v->d, CLRNN_FINDING_SOFTMAX_BEFORE_CROSS_ENTROPY) &&
           !clrnn_doctor_found(v->d, CLRNN_FINDING_ACTIVATION_LOSS_MISMATCH);
}

void clrnn_doctor_check_trace(struct clrnn_examination *v, struct clrnn_trace *c)
{
    clrnn_doctor_report_overfit(v, went_well(v, c));

    judge_finite(v, c);
    judge_updates(v, c);
    judge_exploding(v, c);
    judge_vanishing(v, c);
    judge_units(v, c);
    judge_flat(v, c);
    judge_oscillation(v, c);
    judge_modes(v, c);
    judge_labels(v, c);
    judge_underfitting(v, c);
    judge_inputs(v, c);
    judge_linear(v, c);
    judge_overfitting(v, c);
}
