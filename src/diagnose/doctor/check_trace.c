// SPDX-License-Identifier: MIT
// Stage 3: checks the trace of the short training (trace.h).
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/array.h"
#include "base/log.h"
#include "base/stats.h"
#include "diagnose/doctor/trace.h"
#include "diagnose/doctor/trial.h"

// ---------------------------------------------------------------- gradients and units

// Suggests those changes that shorten the gradient's path through time and apply to this model.
static void remedy_over_time(struct clrnn_doctor *d)
{
    bool plain = false, end = false;

    for (size_t i = 0; i < d->config->layer_count; i++) {
        const struct clrnn_layer *l = &d->config->layer[i];

        plain = plain || l->kind == CLRNN_LAYER_RNN;
        end = end || (l->kind == CLRNN_LAYER_POOL && l->over != CLRNN_POOL_MEAN && l->over != CLRNN_POOL_MAX);
    }
    clrnn_doctor_remedy(d, "%s%sshorter sequences, or steps left out",
                        plain ? "`lstm` or `gru` instead of `rnn`, " : "",
                        end ? "`pool: {over: mean}` or `{over: max}` instead of the last step, " : "");
}

static void judge_vanishing(struct clrnn_examination *v, const struct clrnn_trace *c)
{
    const struct clrnn_activity *a = v->end.time ? &v->end : &v->start, *s = &v->start;
    struct clrnn_doctor *d = v->d;
    double most = 0, by_time = clrnn_activity_fading(a), by_layer = NAN;
    bool over_time;

    for (uint32_t t = 0; t < a->T; t++)
        most = fmax(most, a->time[t]);
    over_time = by_time < clrnn_threshold.vanishing_time || c->mean.ran;
    if (s->first_layer != s->last_layer && s->last_norm > 0)
        by_layer = s->first_norm / s->last_norm;
    clrnn_log(d->log, CLRNN_LOG_DEBUG,
              "gradient of step 1 over the largest: %.3g; of the first layer over the last: %.3g", by_time, by_layer);
    if (v->no_gradient || !c->finite ||
        (!clrnn_trace_stuck(v, c, clrnn_threshold.stuck) && !clrnn_trace_looks_random(v, c)) ||
        d->config->train.optimizer.weight_decay >=
            clrnn_threshold.weight_decay) // weights that decayed to 0 pass no gradient
        return;
    if (!(over_time) && !(by_layer < clrnn_threshold.vanishing_layer && s->first_norm > 0))
        return;
    clrnn_doctor_finding(d, CLRNN_FINDING_VANISHING_GRADIENT, CLRNN_SEVERITY_WARNING);
    if (over_time) {
        clrnn_doctor_where(d, "time steps of the first recurrent layer");
        clrnn_doctor_evidence(
            d, "after %u steps the gradient of the input at step 1 is %.2g, at its largest step %.2g (T = %u)",
            c->steps, a->time[0], most, a->T);
    } else {
        clrnn_doctor_where_layer(d, s->first_layer);
        clrnn_doctor_evidence(d, "before training the first layer's gradient is %.2g, the last one's %.2g",
                              s->first_norm, s->last_norm);
    }
    if (c->mean.ran) {
        char *text = clrnn_trial_text(&d->asked, &c->mean, false);

        clrnn_doctor_evidence(d, "; with the mean of all steps instead of the last it learns: %s", text ? text : "");
        free(text);
    }
    clrnn_doctor_evidence(d, "; the loss stays at %.4g, the best constant answer has %.4g", clrnn_trace_lowest(c),
                          v->chance);
    clrnn_doctor_cost(d, over_time ? "what the early steps say is not learnt" : "the lower layers hardly move");
    if (over_time)
        remedy_over_time(d);
    else
        clrnn_doctor_remedy(d, "`tanh` or `relu` instead of `sigmoid`, batchnorm between the layers, or fewer layers");
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
                         d->config->train.clip_grad_norm > 0 && c->finite ? CLRNN_SEVERITY_NOTE : CLRNN_SEVERITY_ERROR);
    clrnn_doctor_where(d, "gradient norm before clipping");
    clrnn_doctor_evidence(d, "it is %.3g on the first batch and up to %.3g%s in %u steps", v->initial_norm, most,
                          infinite ? ", then infinite," : "", c->steps);
    if (time > clrnn_threshold.exploding_time)
        clrnn_doctor_evidence(d, "; the input at step 1 gets %.2g, at step %u %.2g", s->time[0], s->T,
                              s->time[s->T - 1]);
    clrnn_doctor_remedy(d, "train.clip_grad_norm=1.0, a smaller lr%s",
                        d->params->init ? ", and other initial weights than those in --init" : "");
}

void clrnn_doctor_check_dead(struct clrnn_examination *v, bool high, uint32_t steps)
{
    const struct clrnn_activity_units *first = v->start.worst_dead,
                                      *last = v->end.unit_count ? v->end.worst_dead : first;
    struct clrnn_doctor *d = v->d;

    if (!first || !last)
        return;
    if (!(first->dead >= clrnn_threshold.dead) && !(last->dead >= clrnn_threshold.dead))
        return;
    clrnn_doctor_finding(d, CLRNN_FINDING_DEAD_UNITS,
                         high || first->dead > 0.8 ? CLRNN_SEVERITY_WARNING : CLRNN_SEVERITY_NOTE);
    clrnn_doctor_where(d, "layer %s", first->dead >= clrnn_threshold.dead ? first->layer : last->layer);
    clrnn_doctor_evidence(d, "%.0f%% of its relu units are on for none of %u samples before training",
                          100 * first->dead, v->probe_rows);
    if (steps)
        clrnn_doctor_evidence(d, ", %.0f%% (layer %s) after %u steps", 100 * last->dead, last->layer, steps);
    clrnn_doctor_remedy(d, d->params->init ? "other initial weights than those in --init" : "a smaller lr, or `tanh`");
}

static void judge_units(struct clrnn_examination *v, const struct clrnn_trace *c)
{
    const struct clrnn_activity_units *first = v->start.worst_saturated,
                                      *last = v->end.unit_count ? v->end.worst_saturated : first;
    struct clrnn_doctor *d = v->d;
    const bool high = clrnn_trace_stuck(v, c, clrnn_threshold.stuck);

    if (high && first && last &&
        (first->saturated >= clrnn_threshold.saturated || last->saturated >= clrnn_threshold.saturated)) {
        clrnn_doctor_finding(d, CLRNN_FINDING_SATURATED_UNITS, CLRNN_SEVERITY_WARNING);
        clrnn_doctor_where(d, "layer %s", first->saturated >= clrnn_threshold.saturated ? first->layer : last->layer);
        clrnn_doctor_evidence(
            d,
            "%.0f%% of its values stand at their ends before training, %.0f%% (layer %s) after %u steps; "
            "the loss stays at %.4g",
            100 * first->saturated, 100 * last->saturated, last->layer, c->steps, clrnn_trace_lowest(c));
        clrnn_doctor_remedy(d, clrnn_doctor_found(d, CLRNN_FINDING_UNSCALED_INPUT) ? "data.normalize=standard"
                               : d->params->init ? "other initial weights than those in --init"
                                                 : "a smaller lr, or data.normalize=standard");
    }
    clrnn_doctor_check_dead(v, high, c->steps);
}

// ---------------------------------------------------------------- updates

static void judge_updates(struct clrnn_examination *v, struct clrnn_trace *c)
{
    struct clrnn_doctor *d = v->d;
    const struct clrnn_optimizer_config *o = &d->config->train.optimizer;
    double most[64], early[64], start, fastest;
    const size_t n = c->update_count, first = MIN2(c->update_early, n);
    char run[64];

    if (!n || v->no_gradient)
        return;
    for (size_t i = 0; i < n; i++) {
        most[i] = c->update_most[i];
        early[i] = c->update_median[i];
        // rmsprop's first steps are larger, since its mean of squares starts at 0: this is corrected here
        if (o->kind == CLRNN_OPTIMIZER_RMSPROP && i < first)
            early[i] *= sqrt(1 - pow(o->alpha, (double)i + 1));
    }
    start = clrnn_median(early, MAX2(first, 1));
    // leaves out the first steps, which were measured more densely than later ones
    fastest = clrnn_median(most + (n > first + 4 ? first : 0), n > first + 4 ? n - first : n);
    if (fastest < clrnn_threshold.update_small && c->finite &&
        (clrnn_trace_stuck(v, c, clrnn_threshold.stuck) || fastest < clrnn_threshold.half_ulp)) {
        clrnn_doctor_finding(d, CLRNN_FINDING_UPDATE_TOO_SMALL, CLRNN_SEVERITY_WARNING);
        clrnn_doctor_where(d, "updates over %s", clrnn_trace_span(c, run));
        clrnn_doctor_evidence(d,
                              "in a step even the fastest parameter changes by %.2g of its size (median), at the "
                              "start by %.2g; "
                              "about 1e-3 is usual, and under 6e-8 float32 rounds it away",
                              fastest, c->update_most[0]);
        if (d->config->train.clip_grad_norm > 0 && c->norm[0] > 10 * d->config->train.clip_grad_norm)
            clrnn_doctor_evidence(d, "; train.clip_grad_norm=%g leaves %.2g of a gradient of norm %.2g",
                                  d->config->train.clip_grad_norm, d->config->train.clip_grad_norm / c->norm[0],
                                  c->norm[0]);
        clrnn_doctor_remedy(d, "a larger lr%s",
                            d->config->train.scheduler.kind == CLRNN_SCHEDULER_NONE
                                ? ""
                                : ", or a schedule that does not take it away");
    }
    if (start > clrnn_threshold.update_large || (first && early[first - 1] > 1)) {
        const bool harm = !c->finite || c->trained.loss > clrnn_doctor_loss_at(v, 0.3);

        clrnn_doctor_finding(d, CLRNN_FINDING_UPDATE_TOO_LARGE, harm ? CLRNN_SEVERITY_WARNING : CLRNN_SEVERITY_NOTE);
        clrnn_doctor_where(d, "updates of the first %zu steps", first);
        clrnn_doctor_evidence(
            d, "a step changes a parameter by %.2g of its size (median), up to %.2g; about 1e-3 is usual", start,
            early[MAX2(first, 1) - 1]);
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
    clrnn_doctor_evidence(d, "the loss starts at %.4g and is %g at step %u, the gradient norm %.3g", v->initial_loss,
                          c->loss[c->steps - 1], c->steps, c->norm[c->steps - 1]);
}

static void judge_flat(struct clrnn_examination *v, const struct clrnn_trace *c)
{
    struct clrnn_doctor *d = v->d;
    const double lowest = clrnn_trace_lowest(c);
    bool high, still;
    char run[64];

    if (!c->finite || !(v->chance > 0) || clrnn_trace_still_falling(c) || c->window_count < 2)
        return;
    high = lowest > clrnn_doctor_loss_at(v, clrnn_threshold.flat);
    // The initial weights may by chance be slightly better than a constant answer, and `high` is then false. A loss
    // that stays close to that of the constant answer and hardly falls is therefore flat, too.
    still = lowest > clrnn_doctor_loss_at(v, clrnn_threshold.stuck) &&
            c->window[0] - lowest < (1 - clrnn_threshold.flat) * 0.3 * (v->chance - v->floor);
    if (!high && !still)
        return;
    clrnn_doctor_finding(d, CLRNN_FINDING_LOSS_FLAT, CLRNN_SEVERITY_WARNING);
    clrnn_doctor_where(d, "training loss over %s", clrnn_trace_span(c, run));
    clrnn_doctor_evidence(d, "it goes from %.4g to %.4g (lowest %.4g); answering the same to every input has %.4g",
                          c->window[0], c->window[c->window_count - 1], clrnn_trace_lowest(c), v->chance);
    if (c->wanted < CLRNN_FEW_STEPS)
        clrnn_doctor_evidence(d, "; %llu steps are few", (unsigned long long)c->wanted);
    if (clrnn_doctor_blame_linear(d))
        return;
    clrnn_doctor_remedy(
        d, c->wanted < CLRNN_FEW_STEPS ? "more steps: more train.epochs, or a smaller train.batch_size"
           : v->overfits ? "one batch is learnt by heart, all are not: more steps, another lr, or a task and labels "
                           "that fit together"
                         : "mend what it follows from; else scaled inputs, another lr, or more units");
}

// Returns the size of a rise between two windows that chance alone seldom exceeds: 0 if the windows are epochs, since
// each of them has all rows. Tenths of the run have different rows, and the mean of a few steps scatters.
static double rise_by_chance(struct clrnn_doctor *d, const struct clrnn_trace *c)
{
    double *change, scatter;

    if (c->by_epoch)
        return 0;
    change = malloc(MAX2(c->steps, 1u) * sizeof(*change));
    if (!change) {
        d->status = clrnn_error_memory(d->log, c->steps * sizeof(*change), "a short training");
        return INFINITY;
    }
    for (uint32_t i = 1; i < c->steps; i++)
        change[i - 1] = fabs(c->loss[i] - c->loss[i - 1]);
    // The standard deviation of a step's loss. The median |change| of normal values is 0.954 of it; the median is not
    // raised by a loss that falls fast at the start.
    scatter = clrnn_median(change, c->steps - 1) / 0.954;
    free(change);
    // two standard errors of the difference of two means, each over steps / window_count steps
    return 2 * scatter * sqrt(2.0 * c->window_count / c->steps);
}

static void judge_oscillation(struct clrnn_examination *v, const struct clrnn_trace *c)
{
    struct clrnn_doctor *d = v->d;
    const char *window = c->by_epoch ? "epoch" : "tenth of the run";
    double rises = 0, scale, chance;

    if (!c->finite || c->window_count < 4 || !(v->chance > 0))
        return;
    chance = rise_by_chance(d, c);
    // A ctc loss starts far above that of the best constant answer and falls unevenly, so its rises are compared with
    // its start.
    scale = d->config->train.loss.kind == CLRNN_LOSS_CTC ? fmax(v->chance, c->window[0]) : v->chance;
    for (uint32_t w = 1; w < c->window_count; w++)
        rises += fmax(c->window[w] - c->window[w - 1] - chance, 0) / (c->window_count - 1);
    if (!(rises > clrnn_threshold.oscillation * scale))
        return;
    clrnn_doctor_finding(d, CLRNN_FINDING_LOSS_OSCILLATES, CLRNN_SEVERITY_WARNING);
    clrnn_doctor_where(d, "training loss by %s", window);
    clrnn_doctor_evidence(
        d,
        "counting only its rises, it goes up by %.3g %s %s; it ranges around %.4g and ends at %.4g, the best "
        "constant answer has %.4g",
        rises, c->by_epoch ? "an" : "a", window, clrnn_trace_median(c), c->window[c->window_count - 1], v->chance);
    clrnn_doctor_remedy(d, "a tenth of the lr%s", d->config->train.shuffle ? "" : ", and train.shuffle=true");
}

void clrnn_doctor_check_trace(struct clrnn_examination *v, struct clrnn_trace *c)
{
    judge_finite(v, c);
    judge_updates(v, c);
    judge_exploding(v, c);
    judge_vanishing(v, c);
    judge_units(v, c);
    judge_flat(v, c);
    judge_oscillation(v, c);
}
