// SPDX-License-Identifier: MIT
// Short trainings at learning rates around the one that the range test suggests.
#include <math.h>
#include <stdlib.h>

#include "base/log.h"
#include "search/lr_find.h"
#include "search/say.h"

#define MOST_TRIALS 24u
#define WORSE 0.2       // a trial is clearly worse if its loss exceeds the best by this fraction of the best,
#define WORSE_GAIN 0.25 // or by this fraction of the fall from the untrained loss to the best
#define WORSE_TWICE 2   // so many clearly worse trials in a row end the search in a direction

// How the best constant rate falls with the number of steps: as (1 / steps)^0.32, measured by Bjorck et al.,
// arXiv:2409.19913; bounds for stochastic gradient descent say 0.5.
#define HORIZON 0.32

// The learning rates that are tried: 1, 2 and 5 times powers of ten. Number 0 is 1, number 3 is 10.
static double candidate(int number)
{
    static const double step[] = {1, 2, 5};
    const int decade = (int)floor(number / 3.0);

    return step[number - 3 * decade] * pow(10.0, decade);
}

static int nearest_candidate(double lr)
{
    int number = 3 * (int)floor(log10(lr));

    while (candidate(number + 1) * candidate(number) < lr * lr)
        number++;
    return number;
}

// ---------------------------------------------------------------- one training

static void set_lr(struct clrnn_config *config, double lr)
{
    config->train.optimizer.lr = lr;
    if (config->train.scheduler.kind == CLRNN_SCHEDULER_ONE_CYCLE_LR)
        config->train.scheduler.max_lr = lr;
}

// Trains up to result->steps steps; *loss is the mean of the last epoch, NaN where a loss was not finite.
static enum clrnn_status train(struct clrnn_lr_finder *f, struct clrnn_session *s, double *loss)
{
    const volatile sig_atomic_t *stop = f->params->stop;
    const bool plateau = s->config->train.scheduler.kind == CLRNN_SCHEDULER_REDUCE_LR_ON_PLATEAU;
    struct clrnn_session_record record;

    for (uint32_t epoch = 0; epoch < f->result->epochs; epoch++) {
        double sum = 0.0, weight = 0.0;

        TRY(clrnn_session_begin_epoch(s, epoch, 0));
        while (s->step < f->result->steps) {
            if (stop && *stop)
                return CLRNN_INTERRUPTED;
            TRY(clrnn_session_step(s, CLRNN_MODE_TRAIN, &record));
            if (!s->plan)
                break;
            if (record.sum[RECORD_WEIGHT] == 0.0)
                continue;
            sum += record.loss * s->weight;
            weight += s->weight;
            if (!isfinite(record.loss)) {
                *loss = NAN;
                return CLRNN_OK;
            }
        }
        *loss = sum / weight;
        record.loss = *loss;
        if (plateau && f->data.valid)
            TRY(clrnn_session_evaluate(s, f->data.valid, stop, &record));
        clrnn_session_end_epoch(s, record.loss);
    }
    return CLRNN_OK;
}

static enum clrnn_status judge(struct clrnn_lr_finder *f, struct clrnn_session *s, double *loss)
{
    struct clrnn_session_record record;

    TRY(train(f, s, loss));
    if (!f->result->valid || !isfinite(*loss))
        return CLRNN_OK;
    TRY(clrnn_session_evaluate(s, f->data.valid, f->params->stop, &record));
    *loss = record.loss;
    return f->params->stop && *f->params->stop ? CLRNN_INTERRUPTED : CLRNN_OK;
}

static enum clrnn_status try_lr(struct clrnn_lr_finder *f, double lr, double *loss)
{
    struct clrnn_session_params params = {
        .init = f->params->init,
        .data = &f->data,
        .set = f->data.train,
        .feed = clrnn_feed_as_trained(f->config),
    };
    struct clrnn_config *config = NULL;
    struct clrnn_session *session = NULL;
    struct clrnn_team *team;
    enum clrnn_status st = clrnn_team_create(f->log, &f->device, 1, &team);

    *loss = NAN;
    if (st == CLRNN_OK)
        st = clrnn_config_copy(f->log, f->config, &config);
    clrnn_search_say(f->params->progress, f->params->progress_user, "short training at lr %.3g", lr);
    if (st == CLRNN_OK) {
        set_lr(config, lr);
        config->train.epochs = f->result->epochs;
        params.config = config;
        params.worker = clrnn_team_worker(team, 0);
        st = clrnn_session_open(f->device, &params, &session);
    }
    if (st == CLRNN_OK)
        st = judge(f, session, loss);
    clrnn_session_close(&session);
    clrnn_config_destroy(&config);
    clrnn_team_destroy(&team);
    return st;
}

// ---------------------------------------------------------------- all trainings

static enum clrnn_status add(struct clrnn_lr_finder *f, int number)
{
    struct clrnn_lr_result *r = f->result;
    struct clrnn_lr_trial trial = {.lr = candidate(number)};
    size_t at;

    TRY(try_lr(f, trial.lr, &trial.loss));
    for (at = r->trial_count++; at && r->trial[at - 1].lr > trial.lr; at--)
        r->trial[at] = r->trial[at - 1];
    r->trial[at] = trial;
    return CLRNN_OK;
}

static double best_loss(const struct clrnn_lr_result *r)
{
    double best = INFINITY;

    for (size_t i = 0; i < r->trial_count; i++)
        best = fmin(best, r->trial[i].loss); // fmin ignores NaN
    return best;
}

// Whether a trial diverged, or is so much worse than the best that one further on is unlikely to be better.
static bool clearly_worse(const struct clrnn_lr_result *r, const struct clrnn_lr_trial *t)
{
    // the loss of an untrained model: the larger one of the first batch and the trial with the smallest lr
    const double first = r->curve_count ? r->curve[0].smoothed : NAN;
    const double best = best_loss(r), start = fmax(first, r->trial[0].loss);

    return !(t->loss <=
             best + fmin(WORSE * fabs(best), start > best ? WORSE_GAIN * (start - best) : INFINITY));
}

// Tries the rates after `number`, in steps of `step`, until trainings are clearly worse.
static enum clrnn_status walk(struct clrnn_lr_finder *f, int number, int step)
{
    struct clrnn_lr_result *r = f->result;
    int worse = 0;

    while (worse < WORSE_TWICE && r->trial_count < MOST_TRIALS) {
        number += step;
        TRY(add(f, number));
        worse = clearly_worse(r, &r->trial[step > 0 ? r->trial_count - 1 : 0]) ? worse + 1 : 0;
    }
    return CLRNN_OK;
}

// The loss that a trial is judged by, or its logarithm if all losses are above 0. A trial that diverged
// counts as the worst of the others.
static double judged(const struct clrnn_lr_result *r, size_t i)
{
    double worst = -INFINITY, least = INFINITY;

    for (size_t k = 0; k < r->trial_count; k++)
        if (isfinite(r->trial[k].loss)) {
            worst = fmax(worst, r->trial[k].loss);
            least = fmin(least, r->trial[k].loss);
        }
    if (isfinite(r->trial[i].loss))
        worst = r->trial[i].loss;
    return least > 0 ? log(worst) : worst;
}

// Chooses the best trial. Single losses are noisy, so each trial is judged by the mean of its loss, counted
// twice, and its neighbours' losses; the mean is geometric if all losses are above 0.
static void choose(struct clrnn_lr_result *r)
{
    double least = INFINITY;

    for (size_t i = 0; i < r->trial_count; i++) {
        const double left = judged(r, i ? i - 1 : i), right = judged(r, i + 1 < r->trial_count ? i + 1 : i);
        const double mean = (left + 2 * judged(r, i) + right) / 4;

        if (isfinite(r->trial[i].loss) && mean < least) {
            least = mean;
            r->best_trial = r->trial[i].lr;
        }
    }
}

// The rate for the whole training: lower than the best of the short ones if it is constant to the last epoch.
// Early stopping keeps the weights of an earlier epoch, and schedulers lower the rate themselves.
static double suggest(const struct clrnn_lr_finder *f)
{
    const struct clrnn_lr_result *r = f->result;
    const struct clrnn_train_config *train = &f->config->train;
    const double whole = (double)train->epochs * (double)f->data.batches;

    if (!isfinite(r->best_trial) || train->scheduler.kind != CLRNN_SCHEDULER_NONE ||
        train->early_stopping.on || !(r->steps < whole))
        return r->best_trial;
    return candidate(nearest_candidate(r->best_trial * pow(r->steps / whole, HORIZON)));
}

enum clrnn_status clrnn_lr_trials(struct clrnn_lr_finder *f)
{
    struct clrnn_lr_result *r = f->result;
    const int start =
        nearest_candidate(isfinite(r->classic) ? r->classic : sqrt(f->params->from * f->params->to));

    r->trial = calloc(MOST_TRIALS, sizeof(*r->trial));
    if (!r->trial)
        return clrnn_error_memory(f->log, MOST_TRIALS * sizeof(*r->trial), "the trials");
    TRY(add(f, start));
    TRY(walk(f, start, 1));
    TRY(walk(f, start, -1));
    choose(r);
    r->suggestion = suggest(f);
    return CLRNN_OK;
}
