// SPDX-License-Identifier: MIT
// Summarises the trace of a short training: whether the loss fell, how good the model became, whether a linear model is
// better.
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/array.h"
#include "base/stats.h"
#include "diagnose/doctor/trace.h"

double clrnn_trace_lowest(const struct clrnn_trace *c)
{
    double lowest = INFINITY;

    for (uint32_t w = 0; w < c->window_count; w++)
        lowest = fmin(lowest, c->window[w]);
    return lowest;
}

double clrnn_trace_median(const struct clrnn_trace *c)
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

bool clrnn_trace_still_falling(const struct clrnn_trace *c)
{
    const uint32_t n = c->window_count;

    return !c->complete && (c->may_rest || (n >= 4 && c->window[n - 1] < 0.99 * c->window[n / 2]));
}

bool clrnn_trace_stuck(const struct clrnn_examination *v, const struct clrnn_trace *c, double share)
{
    const double limit = clrnn_doctor_loss_at(v, share);

    if (!c->finite)
        return true;
    return v->chance > 0 && !clrnn_trace_still_falling(c) && clrnn_trace_lowest(c) > limit &&
           !(c->trained.loss < limit);
}

const char *clrnn_trace_span(const struct clrnn_trace *c, char text[64])
{
    snprintf(text, 64, "%u of the run's %llu steps", c->steps, (unsigned long long)c->wanted);
    return text;
}

double clrnn_trace_best_quality(const struct clrnn_trace *c)
{
    double best = -INFINITY;

    for (size_t i = 0; i < c->valid_count; i++)
        best = fmax(best, c->valid_quality[i]);
    return best;
}

static double quality_error(const struct clrnn_examination *v, double quality)
{
    const double p = fmin(fmax(quality, 0.02), 0.98);

    return clrnn_loss_is_regression(v->d->config->train.loss.kind) ? 0.02 : sqrt(p * (1 - p) / fmax(v->valid_rows, 1));
}

bool clrnn_trace_linear_is_better(const struct clrnn_examination *v, const struct clrnn_trace *c)
{
    const double gap = c->linear.quality - clrnn_trace_best_quality(c);

    return c->linear.done && c->valid_count && isfinite(gap) && gap > clrnn_threshold.linear_gap &&
           gap > clrnn_threshold.linear_sigma * quality_error(v, c->linear.quality);
}

// Whether `quality`, on the validation rows, exceeds that of the best constant answer by no more than chance allows.
// Also true if it is lower.
static bool at_chance(const struct clrnn_examination *v, double quality)
{
    const struct clrnn_scan *s = &v->d->valid_scan;
    const double constant = clrnn_scan_constant_accuracy(s);

    if (clrnn_loss_is_regression(v->d->config->train.loss.kind))
        return quality < 0.05; // false for quantile, whose quality is NaN
    return quality < constant + clrnn_threshold.random_sigma * quality_error(v, constant);
}

bool clrnn_trace_generalises(const struct clrnn_examination *v, const struct clrnn_trace *c)
{
    return c->finite && c->complete && c->valid_count && c->linear.done && !clrnn_trace_linear_is_better(v, c) &&
           !at_chance(v, c->valid_quality[c->valid_count - 1]) &&
           c->trained.loss < clrnn_doctor_loss_at(v, clrnn_threshold.flat);
}

bool clrnn_trace_wants_shuffled(const struct clrnn_examination *v, const struct clrnn_trace *c)
{
    const struct clrnn_doctor *d = v->d;

    // the model can learn if its loss on one batch fell below half the loss of a constant answer
    if (!c->finite || !(v->overfits || v->overfit_lowest < clrnn_doctor_loss_at(v, 0.5)) || v->no_gradient ||
        clrnn_doctor_found(d, CLRNN_FINDING_SCHEDULER_PER_BATCH) ||
        clrnn_doctor_found(d, CLRNN_FINDING_LR_OUT_OF_RANGE) || clrnn_doctor_found(d, CLRNN_FINDING_SINGLE_CLASS) ||
        c->steps < 20 || d->per_step)
        return false;
    if (clrnn_doctor_found(d, CLRNN_FINDING_TRAIN_VALID_SHIFT))
        return false; // the validation rows then do not show whether the labels were learnt
    return c->valid_count && at_chance(v, c->valid_quality[c->valid_count - 1]) &&
           !(c->linear.done && !at_chance(v, c->linear.quality));
}

bool clrnn_trace_looks_random(const struct clrnn_examination *v, const struct clrnn_trace *c)
{
    return v->chance - c->real_loss <= clrnn_threshold.random_gain * fmax(v->chance - c->random_loss, 0) +
                                           clrnn_threshold.random_slack * (v->chance - v->floor);
}

// Whether training went well enough that it does not matter if one batch cannot be overfitted: with a small model or
// noisy rows, the loss on one batch may not reach 0.
bool clrnn_trace_went_well(const struct clrnn_examination *v, const struct clrnn_trace *c)
{
    return c->finite && c->trained.loss < clrnn_doctor_loss_at(v, clrnn_threshold.underfit) &&
           !clrnn_trace_linear_is_better(v, c) &&
           !clrnn_doctor_found(v->d, CLRNN_FINDING_SOFTMAX_BEFORE_CROSS_ENTROPY) &&
           !clrnn_doctor_found(v->d, CLRNN_FINDING_ACTIVATION_LOSS_MISMATCH);
}
