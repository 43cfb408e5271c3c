// SPDX-License-Identifier: MIT
// Stage 3: checks whether the trained model uses its inputs and fits the labels. Also checks whether the model is as
// good in eval mode as in train mode, and as good on validation rows as on training rows.
#include <math.h>
#include <stdio.h>

#include "base/array.h"
#include "base/stats.h"
#include "diagnose/doctor/trace.h"
#include "model/nest.h"

// ---------------------------------------------------------------- quality of the trained model

static void judge_linear(struct clrnn_examination *v, const struct clrnn_trace *c)
{
    struct clrnn_doctor *d = v->d;
    const bool mse = clrnn_loss_is_regression(d->config->train.loss.kind);

    if (!c->finite || clrnn_trace_still_falling(c) || !clrnn_trace_linear_is_better(v, c) ||
        c->naive_equal) // the target equals an input, which a linear model can copy; judge_naive reports that
        return;
    clrnn_doctor_finding(d, CLRNN_FINDING_WORSE_THAN_LINEAR, CLRNN_SEVERITY_WARNING);
    clrnn_doctor_where(d, "validation %s", mse ? "R2" : "accuracy");
    clrnn_doctor_evidence(d, "a linear model on the same inputs reaches %.3f, this net at best %.3f", c->linear.quality,
                          clrnn_trace_best_quality(c));
}

// Whether an error or warning can be the cause of a high training loss. The kinds in `sight` cannot: they are signs of
// such a loss, or faults of the data that do not raise it.
static bool explained(const struct clrnn_doctor *d)
{
    static const enum clrnn_finding_kind sight[] = {
        CLRNN_FINDING_LOSS_FLAT,           CLRNN_FINDING_WORSE_THAN_LINEAR, CLRNN_FINDING_INPUTS_IGNORED,
        CLRNN_FINDING_TIME_IGNORED,        CLRNN_FINDING_OVERFITTING,       CLRNN_FINDING_CANNOT_OVERFIT_ONE_BATCH,
        CLRNN_FINDING_DUPLICATE_ROWS,      CLRNN_FINDING_TRAIN_VALID_LEAK,  CLRNN_FINDING_TRAIN_VALID_SHIFT,
        CLRNN_FINDING_TRAIN_VALID_OVERLAP, CLRNN_FINDING_CONSTANT_FEATURES, CLRNN_FINDING_CLASS_IMBALANCE,
        CLRNN_FINDING_LABELS_LOOK_RANDOM,
    };

    for (size_t i = 0; i < d->result->count; i++) {
        const struct clrnn_finding *f = &d->result->finding[i];
        bool mere = f->severity == CLRNN_SEVERITY_NOTE;

        for (size_t k = 0; k < ARRAY_SIZE(sight); k++)
            mere = mere || f->id == clrnn_finding_table[sight[k]].id;
        if (!mere)
            return true;
    }
    return false;
}

// Reports a net whose training loss never became low. A net whose loss was low and rose again, for example because a
// gradient exploded late, is not reported: it is not too small.
static void judge_underfitting(struct clrnn_examination *v, const struct clrnn_trace *c)
{
    struct clrnn_doctor *d = v->d;
    const struct clrnn_optimizer_config *o = &d->config->train.optimizer;
    char run[64];

    if (!c->finite || !(v->chance > 0) || clrnn_trace_still_falling(c) || explained(d) ||
        !(fmin(c->trained.loss, clrnn_trace_lowest(c)) > clrnn_doctor_loss_at(v, clrnn_threshold.underfit)))
        return;
    clrnn_doctor_finding(d, CLRNN_FINDING_UNDERFITTING, CLRNN_SEVERITY_WARNING);
    clrnn_doctor_where(d, "training loss after %s", clrnn_trace_span(c, run));
    clrnn_doctor_evidence(d, "on its own training rows the net has %.4g; the best constant answer has %.4g",
                          c->trained.loss, v->chance);
    if (o->weight_decay < clrnn_threshold.weight_decay) {
        clrnn_doctor_blame_linear(d);
    } else {
        clrnn_doctor_evidence(d, "; weight_decay %g pulls every weight to 0", o->weight_decay);
        clrnn_doctor_remedy(d, "train.optimizer.%s.weight_decay=0", clrnn_optimizer_word(o->kind));
        clrnn_doctor_set(d, "train.optimizer.%s.weight_decay=0.0", clrnn_optimizer_word(o->kind));
    }
}

static void judge_overfitting(struct clrnn_examination *v, const struct clrnn_trace *c)
{
    struct clrnn_doctor *d = v->d;
    double lowest = INFINITY, last, end[64];
    const size_t looks = c->valid_count, some = MIN2(MAX2(looks / 5, 3), ARRAY_SIZE(end));
    size_t at = 0;

    if (!c->finite || c->valid_count < 3 || !(v->chance > 0))
        return;
    for (size_t i = 0; i < c->valid_count; i++)
        if (c->valid_loss[i] < lowest) {
            lowest = c->valid_loss[i];
            at = i;
        }
    for (size_t i = 0; i < some; i++) // takes the median of the last evaluations, since one may be a spike
        end[i] = c->valid_loss[looks - some + i];
    last = clrnn_median(end, some);
    if (!(last > clrnn_threshold.overfit_ratio * lowest) ||
        !(last - lowest > clrnn_threshold.overfit_rise * v->chance) || !(c->trained.loss < 0.5 * last))
        return;
    clrnn_doctor_finding(d, CLRNN_FINDING_OVERFITTING, CLRNN_SEVERITY_WARNING);
    clrnn_doctor_where(d, "validation loss");
    clrnn_doctor_evidence(d, "it rises from %.4g (after %zu of %zu looks) to %.4g while the training loss is %.4g",
                          lowest, at + 1, c->valid_count, last, c->trained.loss);
}

// ---------------------------------------------------------------- train and eval mode, use of the inputs

static void judge_modes(struct clrnn_examination *v, const struct clrnn_trace *c)
{
    struct clrnn_doctor *d = v->d;
    char entry[CLRNN_ENTRY_SIZE];
    double slowest = 1;
    bool norm = false, frozen;

    for (size_t i = 0; i < d->config->layer_count; i++) {
        const struct clrnn_layer *l = &d->config->layer[i];

        if (l->kind == CLRNN_LAYER_BATCHNORM && l->track_running_stats && !l->cumulative) {
            norm = true;
            slowest = fmin(slowest, l->momentum);
        }
    }
    frozen = norm && c->steps * slowest < 1 && slowest < 0.05; // the running statistics hardly move
    if (!c->finite || !isfinite(c->trained.loss) ||
        !(c->trained.loss > (frozen ? 1.5 : clrnn_threshold.mode_ratio) * c->train_mode) ||
        !(c->trained.loss - c->train_mode > (frozen ? 0.1 : 1) * clrnn_threshold.mode_gap * v->chance))
        return;
    if (norm && slowest >= 0.05 && c->steps * slowest < 5)
        return; // the running statistics are still converging
    clrnn_doctor_finding(d, CLRNN_FINDING_TRAIN_EVAL_MISMATCH, CLRNN_SEVERITY_ERROR);
    clrnn_doctor_where(d, "train and eval mode");
    clrnn_doctor_evidence(d, "the same training rows have loss %.4g in train mode and %.4g in eval mode", c->train_mode,
                          c->trained.loss);
    if (norm)
        clrnn_doctor_evidence(d, "; a batchnorm has momentum %g", slowest);
    clrnn_doctor_remedy(d, norm ? "momentum 0.1 for the batchnorm:"
                                : "look for a layer that behaves otherwise in eval mode");
    for (size_t i = 0; norm && i < d->config->layer_count; i++) {
        const struct clrnn_layer *l = &d->config->layer[i];

        if (l->kind != CLRNN_LAYER_BATCHNORM || l->cumulative || l->momentum >= 0.05)
            continue;
        clrnn_doctor_remedy(d, " %s.batchnorm.momentum=0.1", clrnn_layer_entry(d->config, i, entry));
        clrnn_doctor_set_layer(d, i, "track_running_stats=true");
        clrnn_doctor_set_layer(d, i, "momentum=0.1");
    }
}

static void judge_inputs(struct clrnn_examination *v, const struct clrnn_trace *c)
{
    struct clrnn_doctor *d = v->d;
    const bool high = clrnn_trace_stuck(v, c, clrnn_threshold.underfit);
    const double slack = clrnn_threshold.ignored * (v->chance - v->floor);
    const bool blank = c->blank.loss <= c->trained.loss + slack;
    const bool time = c->shuffled.loss <= c->trained.loss + slack;
    bool harm;

    if (!c->finite || !(v->chance > 0) || v->no_gradient || clrnn_doctor_found(d, CLRNN_FINDING_SINGLE_CLASS))
        return;
    if (blank && high) {
        clrnn_doctor_finding(d, CLRNN_FINDING_INPUTS_IGNORED, CLRNN_SEVERITY_WARNING);
        clrnn_doctor_where(d, "model");
        clrnn_doctor_evidence(d, "with every input replaced by its mean the loss is %.4g, with the real ones %.4g",
                              c->blank.loss, c->trained.loss);
    }
    if (!time)
        return;
    harm = high || (clrnn_trace_linear_is_better(v, c) && !c->naive_equal);
    clrnn_doctor_finding(d, CLRNN_FINDING_TIME_IGNORED, harm ? CLRNN_SEVERITY_WARNING : CLRNN_SEVERITY_NOTE);
    clrnn_doctor_where(d, "model");
    clrnn_doctor_evidence(d, "with the time steps of every row shuffled the loss is %.4g, in their order %.4g",
                          c->shuffled.loss, c->trained.loss);
    if (harm) {
        clrnn_doctor_evidence(d, " (T = %u)", d->T);
        return;
    }
    clrnn_doctor_evidence(d, ": these labels do not need the order");
    clrnn_doctor_cost(d, "nothing: a net without recurrence would do");
    clrnn_doctor_remedy(d, "`pool: {over: mean}` and `linear`, if a smaller net is wanted");
}

// ---------------------------------------------------------------- labels

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
        CLRNN_FINDING_VANISHING_GRADIENT,      CLRNN_FINDING_AXES_SWAPPED,
        CLRNN_FINDING_PADDING_IN_FRONT,        CLRNN_FINDING_UNSCALED_TARGET,
        CLRNN_FINDING_SCHEDULE_EXHAUSTED,      CLRNN_FINDING_LR_OUT_OF_RANGE,
        CLRNN_FINDING_CLASS_WEIGHTS_INVERTED,  CLRNN_FINDING_NO_BETTER_THAN_NAIVE,
    };
    struct clrnn_doctor *d = v->d;

    // a net without nonlinear layers may fit real labels no better than shuffled ones
    if (!clrnn_trace_looks_random(v, c) || d->only_linear)
        return;
    for (size_t i = 0; i < ARRAY_SIZE(broken); i++)
        if (clrnn_doctor_found(d, broken[i]))
            return; // with this fault the model could not have learnt any labels
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

// Reports targets that deviate by far more than the limit of a robust loss (beta or delta; for l1: 1). For errors above
// the limit, the loss grows linearly, and its gradient shows only the sign of an error, not its size.
static void judge_robust(struct clrnn_examination *v, const struct clrnn_trace *c)
{
    struct clrnn_doctor *d = v->d;
    const struct clrnn_loss_config *l = &d->config->train.loss;
    const struct clrnn_scan *s = &d->train_scan;
    const bool bends = l->kind == CLRNN_LOSS_SMOOTH_L1 || l->kind == CLRNN_LOSS_HUBER;
    const double bend = l->kind == CLRNN_LOSS_SMOOTH_L1 ? l->beta : l->kind == CLRNN_LOSS_HUBER ? l->delta : 1;

    if ((!bends && l->kind != CLRNN_LOSS_L1) || d->config->data.standard_targets || !c->finite || v->no_gradient ||
        !(s->y_std > clrnn_threshold.target_size * fmax(bend, 1)) ||
        !(c->trained.loss > clrnn_threshold.stuck * v->chance) || clrnn_trace_still_falling(c))
        return;
    clrnn_doctor_finding(d, CLRNN_FINDING_ROBUST_LOSS_SCALE, CLRNN_SEVERITY_WARNING);
    clrnn_doctor_where(d, "train.loss.%s", clrnn_loss_word(l->kind));
    clrnn_doctor_evidence(d, "the targets deviate by %.4g", s->y_std);
    if (bends)
        clrnn_doctor_evidence(d, ", from errors of %g on the loss grows in a straight line", bend);
    clrnn_doctor_evidence(
        d,
        ": whatever the size of an error, its gradient is %g; the training loss is %.4g, the best constant answer has "
        "%.4g",
        l->kind == CLRNN_LOSS_HUBER ? bend : 1.0, c->trained.loss, v->chance);
    if (clrnn_doctor_found(d, CLRNN_FINDING_UNSCALED_TARGET))
        clrnn_doctor_remedy(d, "data.normalize_targets=standard");
    else
        clrnn_doctor_set(d, "data.normalize_targets=standard");
}

void clrnn_doctor_check_quality(struct clrnn_examination *v, struct clrnn_trace *c)
{
    v->d->generalises = clrnn_trace_generalises(v, c);
    judge_modes(v, c);
    clrnn_ctc_judge_blanks(v, c);
    judge_robust(v, c);
    judge_labels(v, c);
    clrnn_doctor_check_majority(v, c);
    judge_inputs(v, c);
    judge_linear(v, c);
    judge_overfitting(v, c);
    judge_underfitting(v, c);
}
