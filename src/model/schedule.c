// SPDX-License-Identifier: MIT
// Learning-rate schedulers as torch.optim.lr_scheduler computes them, operation by operation, so that rounding agrees
// as well.
#include "model/schedule.h"

#include <math.h>
#include <stdio.h>

static double optimizer_momentum(const struct clrnn_optimizer_config *o)
{
    return o->kind == CLRNN_OPTIMIZER_ADAM || o->kind == CLRNN_OPTIMIZER_ADAMW ? o->beta1 : o->momentum;
}

static double one_cycle_total(const struct clrnn_schedule *s, const struct clrnn_train_config *train,
                              uint64_t steps_per_epoch)
{
    const struct clrnn_scheduler_config *c = &train->scheduler;

    if (c->total_steps)
        return (double)c->total_steps;
    if (c->epochs && c->steps_per_epoch)
        return (double)c->epochs * (double)c->steps_per_epoch;
    if (c->per_batch && s->run_steps)
        return (double)s->run_steps;
    return (double)train->epochs * (c->per_batch ? (double)steps_per_epoch : 1.0);
}

static double anneal(const struct clrnn_scheduler_config *c, double start, double end, double pct)
{
    if (c->linear_anneal)
        return (end - start) * pct + start;
    return end + (start - end) / 2.0 * (cos(M_PI * pct) + 1);
}

// Sets lr and momentum to those of one_cycle_lr at step s->count, by a closed formula.
static void one_cycle(struct clrnn_schedule *s, const struct clrnn_train_config *train, double total)
{
    const struct clrnn_scheduler_config *c = &train->scheduler;
    const double initial = c->max_lr / c->div_factor, least = initial / c->final_div_factor;
    const struct {
        double end, start_lr, end_lr, start_momentum, end_momentum;
    } phase[3] = {
        {c->pct_start * total - 1, initial, c->max_lr, c->max_momentum, c->base_momentum},
        {c->three_phase ? 2 * c->pct_start * total - 2 : total - 1, c->max_lr, c->three_phase ? initial : least,
         c->base_momentum, c->max_momentum},
        {total - 1, initial, least, c->max_momentum, c->max_momentum},
    };
    const int last = c->three_phase ? 2 : 1;
    const double step = (double)s->count;
    double start = 0, pct;
    int i = 0;

    while (i < last && step > phase[i].end)
        start = phase[i++].end;
    // PyTorch divides by zero if a phase has length 0, such as a rise of a single step; here such a phase is complete
    pct = phase[i].end == start ? 1 : (step - start) / (phase[i].end - start);
    s->lr = anneal(c, phase[i].start_lr, phase[i].end_lr, pct);
    if (c->cycle_momentum)
        s->momentum = anneal(c, phase[i].start_momentum, phase[i].end_momentum, pct);
}

static double cosine(const struct clrnn_schedule *s, const struct clrnn_scheduler_config *c)
{
    const double n = (double)s->count, T = c->T_max;

    if (fmod(n - 1 - T, 2 * T) == 0) // the recurrence below would divide by 0
        return s->lr + (s->initial_lr - c->eta_min) * (1 - cos(M_PI / T)) / 2;
    return (1 + cos(M_PI * n / T)) / (1 + cos(M_PI * (n - 1) / T)) * (s->lr - c->eta_min) + c->eta_min;
}

static double multistep(const struct clrnn_schedule *s, const struct clrnn_scheduler_config *c)
{
    double times = 0;

    for (size_t i = 0; i < c->milestone_count; i++)
        times += c->milestone[i] == (double)s->count;
    return times > 0 ? s->lr * pow(c->gamma, times) : s->lr;
}

static double linear(const struct clrnn_schedule *s, const struct clrnn_scheduler_config *c)
{
    const double n = (double)s->count, rise = c->end_factor - c->start_factor;

    if (n > c->total_iters)
        return s->lr;
    return s->lr * (1. + rise / (c->total_iters * c->start_factor + (n - 1) * rise));
}

static bool is_better(const struct clrnn_schedule *s, const struct clrnn_scheduler_config *c, double metric)
{
    if (c->mode_max)
        return c->threshold_abs ? metric > s->best + c->threshold : metric > s->best * (c->threshold + 1.);
    return c->threshold_abs ? metric < s->best - c->threshold : metric < s->best * (1. - c->threshold);
}

static void plateau(struct clrnn_schedule *s, const struct clrnn_scheduler_config *c, double metric)
{
    if (is_better(s, c, metric)) {
        s->best = metric;
        s->bad = 0;
    } else {
        s->bad++;
    }
    if (s->cooldown_left > 0) {
        s->cooldown_left--;
        s->bad = 0;
    }
    if (s->bad > c->patience) {
        const double reduced = s->lr * c->factor, lr = reduced > c->min_lr ? reduced : c->min_lr;

        if (s->lr - lr > c->plateau_eps)
            s->lr = lr;
        s->cooldown_left = c->cooldown;
        s->bad = 0;
    }
}

void clrnn_schedule_init(struct clrnn_schedule *s, const struct clrnn_train_config *train, uint64_t steps_per_epoch)
{
    const struct clrnn_scheduler_config *c = &train->scheduler;

    *s = (struct clrnn_schedule){.lr = train->optimizer.lr, .momentum = optimizer_momentum(&train->optimizer)};
    s->initial_lr = train->optimizer.lr;
    switch (c->kind) {
    case CLRNN_SCHEDULER_MULTISTEP_LR:
        s->lr = multistep(s, c); // a milestone at step 0 takes effect at once
        break;
    case CLRNN_SCHEDULER_LINEAR_LR:
        s->lr *= c->start_factor;
        break;
    case CLRNN_SCHEDULER_ONE_CYCLE_LR:
        s->initial_lr = c->max_lr / c->div_factor;
        one_cycle(s, train, one_cycle_total(s, train, steps_per_epoch));
        break;
    case CLRNN_SCHEDULER_REDUCE_LR_ON_PLATEAU:
        s->best = c->mode_max ? -(double)INFINITY : (double)INFINITY;
        break;
    case CLRNN_SCHEDULER_NONE:
    case CLRNN_SCHEDULER_STEP_LR:
    case CLRNN_SCHEDULER_EXPONENTIAL_LR:
    case CLRNN_SCHEDULER_COSINE_ANNEALING_LR:
        break;
    }
}

void clrnn_schedule_set_run(struct clrnn_schedule *s, const struct clrnn_train_config *train, uint64_t run_steps)
{
    s->run_steps = run_steps;
    if (train->scheduler.kind == CLRNN_SCHEDULER_ONE_CYCLE_LR)
        one_cycle(s, train, one_cycle_total(s, train, 0));
}

double clrnn_schedule_peak(const struct clrnn_train_config *train)
{
    return train->scheduler.kind == CLRNN_SCHEDULER_ONE_CYCLE_LR ? train->scheduler.max_lr : train->optimizer.lr;
}

bool clrnn_schedule_cycles_momentum(const struct clrnn_train_config *train)
{
    return train->scheduler.kind == CLRNN_SCHEDULER_ONE_CYCLE_LR && train->scheduler.cycle_momentum;
}

const char *clrnn_schedule_peak_key(const struct clrnn_train_config *train, char text[CLRNN_LR_KEY_SIZE])
{
    if (train->scheduler.kind == CLRNN_SCHEDULER_ONE_CYCLE_LR)
        snprintf(text, CLRNN_LR_KEY_SIZE, "train.scheduler.one_cycle_lr.max_lr");
    else
        snprintf(text, CLRNN_LR_KEY_SIZE, "train.optimizer.%s.lr", clrnn_optimizer_word(train->optimizer.kind));
    return text;
}

bool clrnn_schedule_step(struct clrnn_schedule *s, const struct clrnn_train_config *train, uint64_t steps_per_epoch,
                         double metric)
{
    const struct clrnn_scheduler_config *c = &train->scheduler;
    const double total = one_cycle_total(s, train, steps_per_epoch);

    if (c->kind == CLRNN_SCHEDULER_ONE_CYCLE_LR && (double)s->count + 1 > total)
        return false;
    s->count++;
    switch (c->kind) {
    case CLRNN_SCHEDULER_NONE:
        break;
    case CLRNN_SCHEDULER_STEP_LR:
        if (fmod((double)s->count, c->step_size) == 0)
            s->lr *= c->gamma;
        break;
    case CLRNN_SCHEDULER_MULTISTEP_LR:
        s->lr = multistep(s, c);
        break;
    case CLRNN_SCHEDULER_EXPONENTIAL_LR:
        s->lr *= c->gamma;
        break;
    case CLRNN_SCHEDULER_COSINE_ANNEALING_LR:
        s->lr = cosine(s, c);
        break;
    case CLRNN_SCHEDULER_LINEAR_LR:
        s->lr = linear(s, c);
        break;
    case CLRNN_SCHEDULER_ONE_CYCLE_LR:
        one_cycle(s, train, total);
        break;
    case CLRNN_SCHEDULER_REDUCE_LR_ON_PLATEAU:
        plateau(s, c, metric);
        break;
    }
    return true;
}
