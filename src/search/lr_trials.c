// SPDX-License-Identifier: MIT
// Short trainings at the learning rate that the range test suggests, and at higher and lower rates.
#include <math.h>
#include <stdlib.h>

#include "base/log.h"
#include "base/words.h"
#include "search/lr_find.h"
#include "search/say.h"

#define MOST_TRIALS 24u
// A trial is a short training at one learning rate. It is clearly worse if its loss exceeds the best trial's loss by
// WORSE times the best loss, or by WORSE_GAIN times the fall from the untrained model's loss to the best loss.
// WORSE_TWICE clearly worse trials in succession end the search toward higher, or toward lower, rates.
#define WORSE 0.2
#define WORSE_GAIN 0.25
#define WORSE_TWICE 2

// The best constant learning rate of a training is proportional to steps^-HORIZON, where `steps` is the length of the
// training. Bjorck et al., arXiv:2409.19913, measured 0.32. Theoretical bounds for stochastic gradient descent give
// 0.5.
#define HORIZON 0.32

// Returns candidate learning rate `number`. The candidates are 1, 2 and 5 times powers of ten in rising order: number
// -1 is 0.5, number 0 is 1, number 1 is 2, number 3 is 10.
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

// Trains for at most result->steps steps. *loss becomes the mean training loss of the last epoch. It becomes NaN if
// all of this epoch's targets are ignored, missing or of weight 0, or if a step's loss was not finite; training then
// ends at that step.
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
        *loss = clrnn_unsigned_nan(sum / weight);
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

// Checks whether a trial diverged or is clearly worse (see WORSE) than the best trial. Trials at rates further in the
// same direction are then unlikely to be better.
static bool clearly_worse(const struct clrnn_lr_result *r, const struct clrnn_lr_trial *t)
{
    // estimate of the untrained model's loss: the loss of the range test's first batch, or the loss of the trial with
    // the smallest lr if that loss is larger
    const double first = r->curve_count ? r->curve[0].smoothed : NAN;
    const double best = best_loss(r), start = fmax(first, r->trial[0].loss);

    return !(t->loss <= best + fmin(WORSE * fabs(best), start > best ? WORSE_GAIN * (start - best) : INFINITY));
}

// Runs trials at candidates number + step, number + 2 step, ... until WORSE_TWICE trials in succession are clearly
// worse, or MOST_TRIALS trials have run. `step` is 1 (rising rates) or -1 (falling rates).
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

// Returns the loss of trial `i` or, if the losses of all trials are above 0, its logarithm. A trial that diverged gets
// the highest loss of the trials that did not diverge.
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

// Whether at least two trials did not diverge and their losses are all the same. The rate then has no effect: no
// gradient reaches a parameter, for example because of a last layer `round`.
static bool nothing_learns(const struct clrnn_lr_result *r)
{
    double first = NAN;
    size_t same = 0;

    for (size_t i = 0; i < r->trial_count; i++) {
        if (!isfinite(r->trial[i].loss))
            continue;
        if (same++ && r->trial[i].loss != first)
            return false;
        first = r->trial[i].loss;
    }
    return same > 1;
}

// Sets r->best_trial to the learning rate of the best trial, or leaves it NaN if nothing learns. Single losses are
// noisy, so each trial is judged by a mean: its own loss counts twice, the losses of the trials at the next lower and
// next higher rate count once each. The mean is geometric if all losses are above 0.
static void choose(struct clrnn_lr_result *r)
{
    double least = INFINITY;

    if (nothing_learns(r))
        return;
    for (size_t i = 0; i < r->trial_count; i++) {
        const double left = judged(r, i ? i - 1 : i), right = judged(r, i + 1 < r->trial_count ? i + 1 : i);
        const double mean = (left + 2 * judged(r, i) + right) / 4;

        if (isfinite(r->trial[i].loss) && mean < least) {
            least = mean;
            r->best_trial = r->trial[i].lr;
        }
    }
}

// Returns the learning rate for the whole training. The best constant rate of a long training is lower than that of a
// short one (see HORIZON), so the best trial's rate is lowered accordingly. The best trial's rate is returned as it is
// if the config has a scheduler, which changes the rate during training, or early stopping, which keeps the weights of
// an earlier epoch, or if the short trainings were as long as the whole training.
static double suggest(const struct clrnn_lr_finder *f)
{
    const struct clrnn_lr_result *r = f->result;
    const struct clrnn_train_config *train = &f->config->train;
    const double whole = (double)train->epochs * (double)f->data.batches;

    if (!isfinite(r->best_trial) || train->scheduler.kind != CLRNN_SCHEDULER_NONE || train->early_stopping.on ||
        !(r->steps < whole))
        return r->best_trial;
    return candidate(nearest_candidate(r->best_trial * pow(r->steps / whole, HORIZON)));
}

enum clrnn_status clrnn_lr_trials(struct clrnn_lr_finder *f)
{
    struct clrnn_lr_result *r = f->result;
    const int start = nearest_candidate(isfinite(r->classic) ? r->classic : sqrt(f->params->from * f->params->to));

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
