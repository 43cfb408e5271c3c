// SPDX-License-Identifier: MIT
// Stage 1: simulates the schedule over the whole run and checks its learning rates.
#include <float.h>
#include <math.h>

#include "base/array.h"
#include "diagnose/doctor/doctor.h"
#include "model/schedule.h"

#define MOST_STEPS 4000000u // maximum number of steps of a forecast

/** The learning rates of a run. */
struct forecast {
    double first,   // lr of the first step
        last,       // lr of the last step
        most,       // highest lr
        sum,        // sum of lr over all steps
        peak;       // lr that the schedule scales
    uint64_t steps, // number of steps
        kept,       // number of steps that have at least 1% of the peak lr
        tiny_from;  // index of the step from which on every lr is below `tiny`; equal to `steps`: there is none
};

// Returns the root mean square of the initial weights of the widest layer. As in PyTorch, these are drawn uniformly
// from +-1/sqrt(fan). Considers recurrent layers and a linear first layer.
static double typical_weight(const struct clrnn_doctor *d)
{
    double fan = 1;

    for (size_t i = 0; i < d->config->layer_count; i++) {
        const struct clrnn_layer *l = &d->config->layer[i];

        if (clrnn_layer_is_recurrent(l))
            fan = fmax(fan, l->hidden_size);
        else if (l->kind == CLRNN_LAYER_LINEAR && i == 0)
            fan = fmax(fan, d->train_scan.info->C);
    }
    return 1 / sqrt(3 * fan); // root mean square of a uniform distribution within +-1/sqrt(fan)
}

static struct forecast make_forecast(const struct clrnn_doctor *d, bool per_batch, double tiny)
{
    struct clrnn_train_config train = d->config->train;
    const uint64_t batches = MAX2(d->batches, 1), epochs = MAX2(train.epochs, 1u);
    struct clrnn_schedule s;
    struct forecast f = {.tiny_from = 0};
    bool going = true;

    train.scheduler.per_batch = per_batch;
    clrnn_schedule_init(&s, &train, batches);
    f.first = s.lr;
    f.peak = clrnn_schedule_peak(&train);
    for (uint64_t e = 0; e < epochs && f.steps < MOST_STEPS; e++) {
        for (uint64_t b = 0; b < batches && f.steps < MOST_STEPS; b++) {
            f.last = s.lr;
            f.most = fmax(f.most, s.lr);
            f.sum += s.lr;
            f.steps++;
            f.kept += s.lr >= clrnn_threshold.schedule_gone * f.peak;
            if (s.lr >= tiny)
                f.tiny_from = f.steps;
            if (going && per_batch && train.scheduler.kind != CLRNN_SCHEDULER_NONE)
                going = clrnn_schedule_step(&s, &train, batches, 0);
        }
        if (going && !per_batch && train.scheduler.kind != CLRNN_SCHEDULER_NONE)
            going = clrnn_schedule_step(&s, &train, batches, 0);
    }
    return f;
}

static void check_plateau(struct clrnn_doctor *d)
{
    const struct clrnn_scheduler_config *c = &d->config->train.scheduler;

    if (!c->per_batch || (uint64_t)MAX2(c->patience, 0) >= 3 * d->batches)
        return;
    clrnn_doctor_finding(d, CLRNN_FINDING_SCHEDULER_PER_BATCH, CLRNN_SEVERITY_WARNING);
    clrnn_doctor_where(d, "train.scheduler.reduce_lr_on_plateau");
    clrnn_doctor_evidence(
        d,
        "it judges single batches' losses, with a patience of %lld batches where an epoch has %llu: their "
        "scatter alone lowers the lr",
        (long long)c->patience, (unsigned long long)d->batches);
    clrnn_doctor_cost(d, "the lr falls by %g again and again while the net still learns", c->factor);
    clrnn_doctor_remedy(d, "train.scheduler.reduce_lr_on_plateau.interval=epoch");
    clrnn_doctor_set(d, "train.scheduler.reduce_lr_on_plateau.interval=epoch");
}

static bool step_is_lr(enum clrnn_optimizer_kind kind)
{
    return kind != CLRNN_OPTIMIZER_SGD;
}

// If the config's lr is below Adam's default of 0.001, also offers to raise it to this default: the corrected schedule
// starts from the config's lr.
static void fix_low_lr(struct clrnn_doctor *d)
{
    const struct clrnn_optimizer_config *o = &d->config->train.optimizer;

    if ((o->kind == CLRNN_OPTIMIZER_ADAM || o->kind == CLRNN_OPTIMIZER_ADAMW) && o->lr < 1e-3)
        clrnn_doctor_set(d, "train.optimizer.%s.lr=0.001", clrnn_optimizer_word(o->kind));
}

static void spent_schedule(struct clrnn_doctor *d, enum clrnn_finding_kind kind, const struct forecast *f,
                           double weight)
{
    const struct clrnn_scheduler_config *c = &d->config->train.scheduler;
    const struct clrnn_optimizer_config *o = &d->config->train.optimizer;
    const char *word = clrnn_scheduler_word(c->kind);
    const double share = f->sum / ((double)f->steps * f->peak);

    clrnn_doctor_finding(d, kind, CLRNN_SEVERITY_ERROR);
    clrnn_doctor_where(d, "train.scheduler.%s", word);
    clrnn_doctor_evidence(d,
                          "stepped per %s it takes lr from %.3g to %.3g over %llu steps of %llu epochs of %llu "
                          "batches: the run "
                          "gets %.2g%% of what a constant lr of %.3g would give",
                          c->per_batch ? "batch" : "epoch", f->first, f->last, (unsigned long long)f->steps,
                          (unsigned long long)d->config->train.epochs, (unsigned long long)d->batches, 100 * share,
                          f->peak);
    if (step_is_lr(o->kind) && f->tiny_from < f->steps)
        clrnn_doctor_evidence(
            d,
            "; from step %llu on an update (about lr) is under half a float32 ulp of a weight of %.2g and "
            "changes nothing",
            (unsigned long long)f->tiny_from + 1, weight);
    if (kind == CLRNN_FINDING_SCHEDULER_PER_BATCH) {
        const struct forecast epochs = make_forecast(d, false, 0);

        clrnn_doctor_remedy(d, "train.scheduler.%s.interval=epoch (%.0f%% of a constant lr's)", word,
                            100 * epochs.sum / ((double)epochs.steps * fmax(epochs.most, DBL_MIN)));
        if (epochs.sum / ((double)epochs.steps * epochs.most) >= clrnn_threshold.schedule_share)
            clrnn_doctor_set(d, "train.scheduler.%s.interval=epoch", word);
        else
            clrnn_doctor_set(d, "train.scheduler=null");
        fix_low_lr(d);
    } else {
        clrnn_doctor_evidence(d, "; after %.0f%% of the run it is under a hundredth of that",
                              100 * (double)f->kept / (double)f->steps);
        clrnn_doctor_remedy(d, "train.scheduler=null");
        if (c->kind == CLRNN_SCHEDULER_EXPONENTIAL_LR) // with this gamma the lr falls to a tenth in the run
            clrnn_doctor_remedy(d, ", or train.scheduler.%s.gamma=%.3g", word,
                                pow(0.1, 1.0 / (double)MAX2(c->per_batch ? f->steps : d->config->train.epochs, 1u)));
        else if (c->kind == CLRNN_SCHEDULER_LINEAR_LR)
            clrnn_doctor_remedy(d, ", or train.scheduler.%s.end_factor=1", word);
        else
            clrnn_doctor_remedy(d, ", or spread it over the %u epochs", d->config->train.epochs);
        clrnn_doctor_set(d, "train.scheduler=null");
    }
}

static void check_cycles(struct clrnn_doctor *d, const struct forecast *f)
{
    const struct clrnn_scheduler_config *c = &d->config->train.scheduler;

    if (c->kind != CLRNN_SCHEDULER_COSINE_ANNEALING_LR || !c->per_batch ||
        (double)f->steps < 2 * c->T_max * clrnn_threshold.schedule_cycles)
        return;
    clrnn_doctor_finding(d, CLRNN_FINDING_SCHEDULER_PER_BATCH, CLRNN_SEVERITY_WARNING);
    clrnn_doctor_where(d, "train.scheduler.cosine_annealing_lr");
    clrnn_doctor_evidence(d, "stepped per batch with T_max: %g it falls and rises again %.0f times over %llu steps",
                          c->T_max, (double)f->steps / (2 * c->T_max), (unsigned long long)f->steps);
    clrnn_doctor_cost(d, "the lr never settles; training ends wherever the last turn stands");
    clrnn_doctor_remedy(d, "train.scheduler.cosine_annealing_lr.interval=epoch, or T_max: %llu",
                        (unsigned long long)f->steps);
    clrnn_doctor_set(d, "train.scheduler.cosine_annealing_lr.interval=epoch");
}

static void check_schedule(struct clrnn_doctor *d)
{
    const double weight = typical_weight(d), tiny = clrnn_threshold.half_ulp * weight;
    const enum clrnn_scheduler_kind kind = d->config->train.scheduler.kind;
    const bool per_batch = d->config->train.scheduler.per_batch;
    struct forecast f, epochs;
    bool spent, gone;

    if (kind == CLRNN_SCHEDULER_NONE)
        return;
    if (kind == CLRNN_SCHEDULER_REDUCE_LR_ON_PLATEAU) {
        check_plateau(d);
        return;
    }
    f = make_forecast(d, per_batch, tiny);
    f.peak = fmax(f.peak, f.most);
    epochs = make_forecast(d, false, 0);
    spent = f.steps > 1 && f.sum < clrnn_threshold.schedule_share * (double)f.steps * f.peak &&
            f.last < clrnn_threshold.schedule_end * f.peak;
    gone = (double)f.kept < clrnn_threshold.schedule_part * (double)f.steps &&
           f.last < clrnn_threshold.schedule_gone * f.peak;
    if (per_batch && (spent || (gone && epochs.kept > f.kept)))
        spent_schedule(d, CLRNN_FINDING_SCHEDULER_PER_BATCH, &f, weight);
    else if (gone)
        spent_schedule(d, CLRNN_FINDING_SCHEDULE_EXHAUSTED, &f, weight);
    else
        check_cycles(d, &f);
}

static void odd_lr(struct clrnn_doctor *d, bool high)
{
    const enum clrnn_optimizer_kind kind = d->config->train.optimizer.kind;
    char key[CLRNN_LR_KEY_SIZE];
    // PyTorch's default lr; for sgd, a value that works for recurrent networks
    const char *usual = kind == CLRNN_OPTIMIZER_SGD || kind == CLRNN_OPTIMIZER_RMSPROP ? "0.01" : "0.001";

    clrnn_doctor_finding(d, CLRNN_FINDING_LR_OUT_OF_RANGE, CLRNN_SEVERITY_ERROR);
    clrnn_schedule_peak_key(&d->config->train, key);
    clrnn_doctor_where(d, "%s", key);
    clrnn_doctor_remedy(d, "%s=%s", key, usual);
    clrnn_doctor_set(d, "%s=%s", key, usual);
    clrnn_doctor_cost(d,
                      high ? "every step throws away what the weights held" : "the weights stay what they were drawn");
}

static void check_lr(struct clrnn_doctor *d)
{
    const struct clrnn_optimizer_config *o = &d->config->train.optimizer;
    // one_cycle_lr lowers the momentum to base_momentum where the lr is highest
    const double momentum =
        clrnn_schedule_cycles_momentum(&d->config->train) ? d->config->train.scheduler.base_momentum : o->momentum;
    const double weight = typical_weight(d), brake = fmax(1 - momentum, 1e-3);
    const bool adaptive = step_is_lr(o->kind);
    const bool plateau = d->config->train.scheduler.kind == CLRNN_SCHEDULER_REDUCE_LR_ON_PLATEAU;
    const double peak = clrnn_schedule_peak(&d->config->train);
    const struct forecast f = plateau ? (struct forecast){.steps = d->batches * d->config->train.epochs,
                                                          .sum = o->lr * (double)(d->batches * d->config->train.epochs)}
                                      : make_forecast(d, d->config->train.scheduler.per_batch, 0);

    const bool spent = clrnn_doctor_found(d, CLRNN_FINDING_SCHEDULER_PER_BATCH) ||
                       clrnn_doctor_found(d, CLRNN_FINDING_SCHEDULE_EXHAUSTED);

    if (adaptive && peak > clrnn_threshold.adam_lr_high) {
        odd_lr(d, true);
        clrnn_doctor_evidence(d, "%s moves each weight by up to lr = %g a step; weights here are about %.2g",
                              clrnn_optimizer_word(o->kind), peak, weight);
    } else if (!adaptive && peak / brake > clrnn_threshold.sgd_lr_high) {
        odd_lr(d, true);
        clrnn_doctor_evidence(d, "lr %g with momentum %g adds up to %g times the gradient", peak, momentum,
                              peak / brake);
    } else if (adaptive && !spent && f.sum < clrnn_threshold.travel_low) {
        odd_lr(d, false);
        clrnn_doctor_evidence(
            d,
            "%s moves a weight by about the sum of lr at most, %.2g over all %llu steps; weights here are "
            "about %.2g",
            clrnn_optimizer_word(o->kind), f.sum, (unsigned long long)f.steps, weight);
        if (peak < clrnn_threshold.half_ulp * weight)
            clrnn_doctor_evidence(d, ", and a step of %.2g is under half a float32 ulp of them: it changes nothing",
                                  peak);
    } else if (!adaptive && !spent && f.sum / brake < clrnn_threshold.sgd_travel_low) {
        odd_lr(d, false);
        clrnn_doctor_evidence(d, "over all %llu steps the weights move by %.2g times the mean gradient",
                              (unsigned long long)f.steps, f.sum / brake);
    }
}

void clrnn_doctor_report_order(struct clrnn_doctor *d, enum clrnn_severity severity, const char *harm)
{
    const struct clrnn_train_config *t = &d->config->train;
    const struct clrnn_scan *s = &d->train_scan;

    clrnn_doctor_finding(d, CLRNN_FINDING_NO_SHUFFLE_SORTED_LABELS, severity);
    clrnn_doctor_where(d, "train.shuffle");
    if (!d->sorted)
        clrnn_doctor_evidence(d, "every epoch takes the rows in the order of the file%s",
                              s->order_known ? "; their labels are mixed" : "");
    else if (s->changes_expected > 0)
        clrnn_doctor_evidence(
            d,
            "from row to row the label changes %.0f times in %u rows, where a random order changes %.0f times: batches "
            "of %u hold next to one class each",
            s->changes, s->info->S, s->changes_expected, t->batch_size);
    else
        clrnn_doctor_evidence(
            d, "neighbouring rows' targets correlate by %.2f: each batch of %u holds one part of the range",
            s->y_autocorrelation, t->batch_size);
    if (harm)
        clrnn_doctor_evidence(d, "; with shuffled rows the same training does better: %s", harm);
    else if (d->sorted && severity == CLRNN_SEVERITY_NOTE)
        clrnn_doctor_evidence(d, "; with shuffled rows the same training does no better");
    if (severity == CLRNN_SEVERITY_NOTE)
        clrnn_doctor_cost(d, "little: the same batches each time");
    if (severity != CLRNN_SEVERITY_NOTE || (d->fix_count && !s->series))
        clrnn_doctor_set(d, "train.shuffle=true");
}

static void check_shuffle(struct clrnn_doctor *d)
{
    const struct clrnn_scan *s = &d->train_scan;
    const bool classes = s->changes_expected > 4 && s->changes < clrnn_threshold.sorted_share * s->changes_expected;
    const bool targets = s->y_autocorrelation > 0.9 && s->info->S >= 20;

    if (d->config->train.stateful)
        return; // with train.stateful, rows must stay in time order
    d->sorted = !d->config->train.shuffle && (classes || targets);
    if (!d->config->train.shuffle && !d->sorted && d->batches > 1)
        clrnn_doctor_report_order(d, CLRNN_SEVERITY_NOTE, NULL);
}

void clrnn_doctor_check_training(struct clrnn_doctor *d)
{
    check_schedule(d);
    check_lr(d);
    check_shuffle(d);
    clrnn_doctor_check_states(d);
}
