// SPDX-License-Identifier: MIT
// Runs short trainings of changed configs (trials), and compares them with the training of the config as given.
#include "diagnose/doctor/trial.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/array.h"
#include "base/clock.h"
#include "base/file.h"
#include "base/log.h"
#include "diagnose/fit.h"
#include "train/session.h"

#define MOST_ROWS 2048u     // maximum number of rows of a set on which a trial is evaluated
#define MOST_VALUES 2000000 // maximum number of values of X in these rows
#define LEAST_ROWS 64u      // this many rows are used even if their values exceed MOST_VALUES
#define MOST_PAIRS 256u     // maximum number of targets, and of their predictions, that are kept
#define BUILD_STEPS 2u      // number of first steps that the time limit leaves out, since they build kernels
#define FINITE_LOSS 1e30

// Minimum difference between the figures of two trials for one of them to count as better. For accuracy, the minimum is
// LEAST_GAIN plus LEAST_ERRORS standard errors.
#define LEAST_GAIN 0.02
#define LEAST_ERRORS 1.5
#define LEAST_R2 0.05
#define LEAST_RECALL 0.1
#define LEAST_LOSS 0.1   // share of the training loss, if both trials minimise the same loss
#define GOOD 0.97        // accuracy or R2 from which a change can hardly show a gain
#define NOTHING_READ 0.7 // a net with more edits per label (cer) counts as useless; random labels: 0.8, only blanks: 1

void clrnn_trial_finish(struct clrnn_trial *t)
{
    clrnn_eval_finish(&t->train);
    clrnn_eval_finish(&t->valid);
    free(t->loss);
    free(t->target);
    free(t->prediction);
    *t = (struct clrnn_trial){0};
}

// ---------------------------------------------------------------- judging a model

// Reads one target and its prediction for each of the session's rows. If each step has a target, reads that of the last
// step.
static enum clrnn_status read_pairs(struct clrnn_session *s, struct clrnn_trial *t)
{
    const struct clrnn_dataset_info *info = clrnn_dataset_info(s->set);
    const size_t steps = s->model->per_step ? info->T : 1;
    float *out = malloc(MOST_PAIRS * steps * s->model->outputs * sizeof(*out)),
          *y = malloc(clrnn_dataset_y_count(s->set) * sizeof(*y));
    enum clrnn_status st = out && y ? CLRNN_OK : CLRNN_ERR_MEMORY;

    t->target = malloc(MOST_PAIRS * sizeof(*t->target));
    t->prediction = malloc(MOST_PAIRS * sizeof(*t->prediction));
    if (st == CLRNN_OK && t->target && t->prediction)
        st = clrnn_session_queue(s, CLRNN_MODE_PREDICT, 0);
    else
        st = clrnn_error_memory(s->model->log, 0, "a trial");
    if (st == CLRNN_OK)
        st = clrnn_plan_read_output(s->plan, out);
    for (uint32_t n = 0; st == CLRNN_OK && n < s->samples; n++) {
        const uint32_t sample = clrnn_feed_samples(s->feed)[n];
        const size_t last = s->model->per_step ? clrnn_dataset_output_length(s->set, sample) - 1 : 0;

        clrnn_dataset_targets(s->set, sample, y);
        t->target[t->pairs] = y[info->y_steps ? last : 0];
        t->prediction[t->pairs++] =
            out[((size_t)n * s->plan->output_steps + MIN2(last, s->plan->output_steps - 1)) * s->model->outputs];
    }
    free(out);
    free(y);
    return st;
}

static enum clrnn_status predict_pairs(struct clrnn_model *model, struct clrnn_dataset *set, struct clrnn_trial *t)
{
    const uint32_t count = MIN2(clrnn_dataset_info(set)->S, MOST_PAIRS);
    struct clrnn_session *s;
    enum clrnn_status st;

    TRY(clrnn_session_open(
        model->device,
        &(struct clrnn_session_params){
            .model = model, .set = set, .view = {.count = count}, .feed = {.batch_size = count, .resident_bytes = 1}},
        &s));
    st = read_pairs(s, t);
    clrnn_session_close(&s);
    return st;
}

static enum clrnn_status judge_set(const struct clrnn_doctor *d, struct clrnn_model *model, struct clrnn_dataset *set,
                                   bool pairs, struct clrnn_trial *t, struct clrnn_eval_result *result)
{
    const struct clrnn_dataset_info *info = clrnn_dataset_info(set);
    const double width = fmax((double)info->T * fmax(info->C, 1), 1);
    const uint32_t most = (uint32_t)fmin(fmax(MOST_VALUES / width, LEAST_ROWS), MOST_ROWS);
    struct clrnn_dataset *some;
    enum clrnn_status st;

    TRY(clrnn_dataset_spread(d->log, set, most, "a trial", &some));
    st = clrnn_eval_set(model, some, result);
    if (st == CLRNN_OK && pairs && clrnn_loss_is_regression(model->config->train.loss.kind))
        st = predict_pairs(model, some, t);
    clrnn_dataset_close(&some);
    return st;
}

enum clrnn_status clrnn_trial_judge(const struct clrnn_doctor *d, struct clrnn_model *model,
                                    struct clrnn_dataset *train, struct clrnn_dataset *valid, struct clrnn_trial *t)
{
    const bool pairs = clrnn_dataset_info(train)->targets <= 1; // pictures show one output

    TRY(judge_set(d, model, train, pairs && !valid, t, &t->train));
    if (valid)
        TRY(judge_set(d, model, valid, pairs, t, &t->valid));
    t->ran = true;
    return CLRNN_OK;
}

// ---------------------------------------------------------------- training

// Keeps the first error message, which says why a config was refused.
static void keep_message(void *user, enum clrnn_log_level level, const char *message)
{
    char *why = user;

    if (level == CLRNN_LOG_ERROR && !*why)
        snprintf(why, sizeof(((struct clrnn_trial *)0)->why), "%s", message);
}

static enum clrnn_status end_epoch(struct clrnn_session *s, const struct clrnn_data_sets *data, double loss)
{
    struct clrnn_session_record record = {.loss = loss};

    if (s->config->train.scheduler.kind == CLRNN_SCHEDULER_REDUCE_LR_ON_PLATEAU && data->valid)
        TRY(clrnn_session_evaluate(s, data->valid, NULL, &record));
    clrnn_session_end_epoch(s, record.loss);
    return CLRNN_OK;
}

// Trains until `steps` steps are done, time runs out, or the loss is not finite.
static enum clrnn_status train(const struct clrnn_doctor *d, struct clrnn_session *s,
                               const struct clrnn_data_sets *data, uint32_t steps, double seconds,
                               struct clrnn_trial *t)
{
    double until = INFINITY;
    struct clrnn_session_record r = {0};

    for (uint64_t epoch = 0; t->steps < steps && t->finite; epoch++) {
        TRY(clrnn_session_begin_epoch(s, epoch, 0));
        while (t->steps < steps && t->finite) {
            if (clrnn_clock() > until || clrnn_doctor_stopped(d))
                return CLRNN_OK;
            TRY(clrnn_session_step(s, CLRNN_MODE_TRAIN, &r));
            if (!s->plan)
                break;
            t->loss[t->steps++] = r.loss;
            t->finite = !isinf(r.loss) && fabs(isnan(r.loss) ? 0 : r.loss) < FINITE_LOSS && !isnan(r.grad_norm);
            if (t->steps == BUILD_STEPS)
                until = clrnn_clock() + seconds;
        }
        TRY(end_epoch(s, data, r.loss));
    }
    return CLRNN_OK;
}

static enum clrnn_status train_and_judge(const struct clrnn_doctor *d, const struct clrnn_config *config,
                                         struct clrnn_data_sets *data, uint32_t steps, double seconds,
                                         struct clrnn_trial *t)
{
    const uint32_t S = clrnn_dataset_info(data->train)->S;
    // as in the training of the config as given, leaves out a last batch that batchnorm cannot process
    const bool drop_last = config->train.drop_last || (S > data->batch && S % data->batch == 1 &&
                                                       clrnn_doctor_found(d, CLRNN_FINDING_BATCH_OF_ONE_BATCHNORM));
    const struct clrnn_session_params params = {
        .config = config,
        .init = d->params->init,
        .data = data,
        .set = data->train,
        .feed = {.shuffle = config->train.shuffle, .drop_last = drop_last, .whole_steps = true},
    };
    struct clrnn_session *s = NULL;
    enum clrnn_status st;

    t->loss_kind = config->train.loss.kind;
    t->weighted = config->train.loss.weight_count > 0;
    t->wanted = data->batches * MAX2(config->train.epochs, 1u);
    t->finite = true;
    steps = (uint32_t)MIN2(t->wanted, (uint64_t)steps);
    t->loss = malloc(MAX2(steps, 1u) * sizeof(*t->loss));
    if (!t->loss)
        return clrnn_error_memory(d->log, steps * sizeof(*t->loss), "a trial");
    TRY(clrnn_session_open(d->device, &params, &s));
    st = train(d, s, data, steps, seconds, t);
    // A trial that ran out of time is judged in two cases only: d->asked was not trained, or d->asked diverged and the
    // trial made at least twice as many steps.
    if (st == CLRNN_OK && t->finite && t->steps < steps && d->asked.steps &&
        (d->asked.finite || t->steps < 2 * d->asked.steps))
        snprintf(t->why, sizeof(t->why), "%u steps take more than %.0f s", steps, seconds);
    else if (st == CLRNN_OK)
        st = clrnn_trial_judge(d, s->model, data->train, data->valid, t);
    clrnn_session_close(&s);
    return st;
}

enum clrnn_status clrnn_trial_run(const struct clrnn_doctor *d, const struct clrnn_config *config, uint32_t steps,
                                  double seconds, struct clrnn_trial *t)
{
    const struct clrnn_log log = {.fn = keep_message, .user = t->why, .level = CLRNN_LOG_ERROR};
    const double started = clrnn_clock();
    struct clrnn_data_sets data = {0};
    enum clrnn_status st;
    uint32_t outputs;

    *t = (struct clrnn_trial){0};
    if (d->params->init && config->layer_count != d->config->layer_count) {
        snprintf(t->why, sizeof(t->why), "the weights of --init are those of the config as it is");
        return CLRNN_OK;
    }
    st = clrnn_data_sets_fit(&log, config, &data, &outputs);
    if (st == CLRNN_OK)
        st = train_and_judge(d, config, &data, steps, seconds, t);
    if (st == CLRNN_ERR_CONFIG || st == CLRNN_ERR_DATA) { // trial->why says what is wrong
        if (!*t->why)
            snprintf(t->why, sizeof(t->why), "the model does not take it");
        st = CLRNN_OK;
    }
    clrnn_data_sets_close(&data);
    t->seconds = clrnn_clock() - started;
    return st;
}

// ---------------------------------------------------------------- comparing

static const struct clrnn_eval_result *judged(const struct clrnn_trial *t)
{
    return t->valid.counted ? &t->valid : &t->train;
}

static double least_recall(const struct clrnn_eval_result *r, uint32_t *class)
{
    double least = NAN;

    for (uint32_t k = 0; k < r->classes; k++)
        if (r->per_class[k].support && !(r->per_class[k].recall >= least)) {
            least = r->per_class[k].recall;
            *class = k;
        }
    return least;
}

static double quality(const struct clrnn_trial *t, const struct clrnn_eval_result *r, bool recall)
{
    uint32_t class;

    if (!t->finite)
        return -1;
    if (t->loss_kind == CLRNN_LOSS_CTC)
        return r->cer < NOTHING_READ ? 1 - r->cer : 0;
    if (!r->classes)
        return fmax(isfinite(r->r2) ? r->r2 : -1, -1);
    return recall ? least_recall(r, &class) : r->accuracy;
}

// Compares two trials on one set by accuracy, R2 or recall: b is the result of `before`, a that of `after`.
static enum clrnn_gain compare_set(const struct clrnn_trial *before, const struct clrnn_trial *after,
                                   const struct clrnn_eval_result *b, const struct clrnn_eval_result *a, bool recall)
{
    const double was = quality(before, b, recall), is = quality(after, a, recall);
    const double share = fmin(fmax(was, 0.02), 0.98);
    const double error = a->classes ? sqrt(share * (1 - share) / fmax((double)a->counted, 1)) : 0;
    const double least = !a->classes ? LEAST_R2 : recall ? LEAST_RECALL : LEAST_GAIN + LEAST_ERRORS * error;

    return is - was >= least ? CLRNN_GAIN_BETTER : was - is >= least ? CLRNN_GAIN_WORSE : CLRNN_GAIN_NONE;
}

// Whether a trial is better than the best constant answer.
static bool beats_constant(const struct clrnn_trial *t)
{
    const struct clrnn_eval_result *r = judged(t);
    const double counted = fmax((double)r->counted, 1);
    double largest = 0;

    for (uint32_t k = 0; k < r->classes; k++) {
        const double ones = (double)r->per_class[k].support;

        if (t->loss_kind == CLRNN_LOSS_BCE_WITH_LOGITS && !r->confusion) // several labels
            largest += fmax(ones, counted / r->classes - ones);
        else
            largest = fmax(largest, ones);
    }
    return quality(t, r, false) > (r->classes ? largest / counted : 0) + LEAST_GAIN;
}

/** The figure by which two trials are compared: accuracy, recall or R2 on the validation rows, the same on the training
 * rows, or the loss on the training rows. */
enum figure { VALID, TRAIN, TRAIN_LOSS };

// Compares the training losses, if both trials minimise the same loss. If the validation loss is higher, a lower
// training loss is no gain.
static enum clrnn_gain compare_losses(const struct clrnn_trial *before, const struct clrnn_trial *after)
{
    if (before->loss_kind != after->loss_kind || before->weighted != after->weighted)
        return CLRNN_GAIN_NONE;
    if (before->train.loss < (1 - LEAST_LOSS) * after->train.loss)
        return CLRNN_GAIN_WORSE;
    return after->train.loss < (1 - LEAST_LOSS) * before->train.loss && judged(after)->loss <= judged(before)->loss
               ? CLRNN_GAIN_BETTER
               : CLRNN_GAIN_NONE;
}

static enum clrnn_gain compare(const struct clrnn_trial *before, const struct clrnn_trial *after, bool recall,
                               enum figure *by)
{
    enum clrnn_gain gain;

    *by = before->valid.counted && after->valid.counted ? VALID : TRAIN;
    if (!after->ran || !after->finite)
        return before->ran && before->finite ? CLRNN_GAIN_WORSE : CLRNN_GAIN_NONE;
    if (!before->ran)
        return CLRNN_GAIN_BETTER;
    if (!before->finite)
        return beats_constant(after) ? CLRNN_GAIN_BETTER : CLRNN_GAIN_NONE;
    if (before->loss_kind != CLRNN_LOSS_CTC && !before->train.classes &&
        isnan(before->train.r2)) { // the quantile loss has no R2
        *by = TRAIN_LOSS;
        return compare_losses(before, after);
    }
    if (after->loss_kind == CLRNN_LOSS_CTC && !beats_constant(after)) {
        *by = TRAIN_LOSS; // the losses still tell: a ctc loss falls long before the net predicts any label
        return compare_losses(before, after);
    }
    if (!recall && !beats_constant(after))
        return quality(before, judged(before), false) > quality(after, judged(after), false) + LEAST_GAIN &&
                       beats_constant(before)
                   ? CLRNN_GAIN_WORSE
                   : CLRNN_GAIN_NONE;
    gain = compare_set(before, after, judged(before), judged(after), recall);
    if (gain != CLRNN_GAIN_NONE || recall)
        return gain;
    gain = compare_set(before, after, &before->train, &after->train, false);
    if (gain != CLRNN_GAIN_NONE) {
        *by = TRAIN;
        return gain;
    }
    gain = compare_losses(before, after);
    if (gain != CLRNN_GAIN_BETTER)
        return CLRNN_GAIN_NONE;
    *by = TRAIN_LOSS;
    return gain;
}

enum clrnn_gain clrnn_trial_compare(const struct clrnn_trial *before, const struct clrnn_trial *after, bool recall)
{
    enum figure by;

    return compare(before, after, recall, &by);
}

bool clrnn_trial_is_better_on_valid(const struct clrnn_trial *before, const struct clrnn_trial *after)
{
    return !before->ran || compare_set(before, after, judged(before), judged(after), false) == CLRNN_GAIN_BETTER;
}

bool clrnn_trial_is_good(const struct clrnn_trial *t)
{
    return t->ran && t->finite && quality(t, judged(t), false) >= GOOD;
}

bool clrnn_trial_is_far_better(const struct clrnn_trial *before, const struct clrnn_trial *after)
{
    if (!after->ran || !after->finite || !beats_constant(after))
        return false;
    return !before->ran || !before->finite ||
           1 - quality(after, judged(after), false) <= 0.5 * (1 - quality(before, judged(before), false));
}

static double value_of(const struct clrnn_trial *t, enum figure by, bool recall)
{
    const struct clrnn_eval_result *r = by == VALID ? &t->valid : &t->train;

    return by == TRAIN_LOSS                 ? t->train.loss
           : t->loss_kind == CLRNN_LOSS_CTC ? r->cer
           : r->classes                     ? quality(t, r, recall)
                                            : r->r2;
}

static const char *value_text(const struct clrnn_trial *t, enum figure by, bool recall, char text[32])
{
    if (!t->finite)
        return "not finite";
    snprintf(text, 32, "%.3g", value_of(t, by, recall));
    return text;
}

char *clrnn_trial_text(const struct clrnn_trial *before, const struct clrnn_trial *after, bool recall)
{
    char was[32], is[32];
    const char *what;
    enum figure by;

    compare(before, after, recall, &by);
    what = by == TRAIN_LOSS                     ? "training loss"
           : after->loss_kind == CLRNN_LOSS_CTC ? by == VALID ? "valid cer" : "training cer"
           : !after->train.classes              ? by == VALID ? "valid R2" : "training R2"
           : recall                             ? by == VALID ? "valid recall of the class that is found least"
                                                              : "training recall of the class that is found least"
           : by == VALID                        ? "valid accuracy"
                                                : "training accuracy";
    if (!before->ran)
        return clrnn_format("%s %s after %u steps, where as asked it cannot be trained", what,
                            value_text(after, by, recall, is), after->steps);
    return clrnn_format("%s %s -> %s in %s%u steps", what, value_text(before, by, recall, was),
                        value_text(after, by, recall, is), before->steps == after->steps ? "the same " : "",
                        after->steps);
}
