// SPDX-License-Identifier: MIT
// Stage 3: trains the config for a short time and records losses, updates and gradients.
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/array.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/stats.h"
#include "diagnose/doctor/trace.h"
#include "diagnose/doctor/trial.h"

#define EARLY_UPDATES 20u // number of first steps; the update of each of these is measured
#define LATE_UPDATES 24u  // approximate number of later steps whose update is measured
#define BUILD_STEPS 2u    // number of first steps that the time limit leaves out, since they build kernels
#define MOST_STEPS 20000u
#define VALID_LOOKS 60u // a run is validated at most VALID_LOOKS + 2 times, with reduce_lr_on_plateau every epoch
#define VALID_ROWS 4096u
#define FINITE_LOSS 1e30

// ---------------------------------------------------------------- updates

struct updates {
    double *before; // [count] all trained parameters before a step, one after the other
    size_t count;
};

static enum clrnn_status read_params(struct clrnn_model *m, double *values)
{
    size_t at = 0;

    for (size_t i = 0; i < m->entry_count; i++) {
        if (!m->entry[i].param.trained)
            continue;
        TRY(clrnn_model_read(m, i, values + at));
        at += m->entry[i].param.count;
    }
    return CLRNN_OK;
}

// Writes |change| / |weight| (Euclidean norms) of each trained matrix to ratio. Returns the number of matrices. Leaves
// out vectors: biases start at about 0, where the ratio means nothing.
static size_t ratios(const struct clrnn_model *m, const double *before, const double *after, double *ratio)
{
    size_t at = 0, count = 0;

    for (size_t i = 0; i < m->entry_count; i++) {
        const struct clrnn_param *p = &m->entry[i].param;
        double change = 0, weight = 0;

        if (!p->trained)
            continue;
        for (size_t k = 0; k < p->count; k++, at++) {
            change += (after[at] - before[at]) * (after[at] - before[at]);
            weight += before[at] * before[at];
        }
        if (p->ndim > 1 && weight > 0 && isfinite(change))
            ratio[count++] = sqrt(change / weight);
    }
    return count;
}

static enum clrnn_status note_update(struct clrnn_examination *v, struct clrnn_trace *c, const struct updates *u)
{
    struct clrnn_model *m = v->session->model;
    double *after = malloc((u->count + m->entry_count) * sizeof(*after)), *ratio = after ? after + u->count : NULL;
    enum clrnn_status st;
    size_t count;

    if (!after)
        return clrnn_error_memory(v->d->log, u->count * sizeof(*after), "updates");
    st = read_params(m, after);
    if (st == CLRNN_OK && c->update_count < ARRAY_SIZE(c->update_median)) {
        count = ratios(m, u->before, after, ratio);
        if (count) {
            c->update_median[c->update_count] = clrnn_median(ratio, count);
            c->update_most[c->update_count] = ratio[count - 1];
            c->update_early += c->steps < MIN2(MAX2(v->d->batches, 10), (uint64_t)EARLY_UPDATES);
            c->update_count++;
        }
    }
    free(after);
    return st;
}

// ---------------------------------------------------------------- the run

// For real targets: sets *variation to the sum of (y - mean of y)^2.
static enum clrnn_status find_variation(const struct clrnn_session *s, double *variation)
{
    const struct clrnn_dataset_info *info = clrnn_dataset_info(s->set);
    double sum = 0, squares = 0, count = 0;
    float *y = malloc(clrnn_dataset_y_count(s->set) * sizeof(*y));

    if (!y)
        return clrnn_error_memory(s->model->log, info->T * sizeof(*y), "targets");
    for (uint32_t n = 0; n < info->S; n++) {
        clrnn_dataset_targets(s->set, n, y);
        for (size_t i = 0; i < clrnn_dataset_y_valid(s->set, n); i++) {
            if (isnan(y[i]))
                continue;
            sum += (double)y[i];
            squares += (double)y[i] * y[i];
            count++;
        }
    }
    free(y);
    *variation = squares - sum * sum / fmax(count, 1);
    return CLRNN_OK;
}

static enum clrnn_status evaluate(struct clrnn_session *s, struct clrnn_doctor_score *score)
{
    struct clrnn_session_record record;
    double variation = 0;

    TRY(clrnn_session_pass(s, NULL, &record));
    score->loss = record.loss;
    score->quality = record.accuracy;
    if (!clrnn_loss_is_regression(s->config->train.loss.kind))
        return CLRNN_OK;
    // R2 weights all targets equally, so it cannot be computed from a loss with sample weights
    if (s->config->train.loss.kind != CLRNN_LOSS_MSE || clrnn_dataset_info(s->set)->targets > 1 ||
        clrnn_dataset_info(s->set)->has_weights) {
        struct clrnn_eval_result result;

        TRY(clrnn_eval_set(s->model, s->set, &result));
        score->quality = result.r2; // NaN for quantile
        clrnn_eval_finish(&result);
        return CLRNN_OK;
    }
    TRY(find_variation(s, &variation));
    score->quality = 1 - record.sum[RECORD_LOSS] / fmax(variation, 1e-300);
    return CLRNN_OK;
}

static enum clrnn_status evaluate_view(struct clrnn_examination *v, struct clrnn_view view,
                                       struct clrnn_doctor_score *score)
{
    const struct clrnn_session_params params = {
        .model = v->session->model, .view = view, .feed = {.batch_size = v->eval_rows}};
    struct clrnn_session *s;
    enum clrnn_status st;

    TRY(clrnn_doctor_session(v, v->d->device, params, &s));
    st = evaluate(s, score);
    clrnn_session_close(&s);
    return st;
}

static enum clrnn_status validate(struct clrnn_trace *c)
{
    struct clrnn_doctor_score score;

    if (!c->valid || c->valid_count == c->valid_capacity)
        return CLRNN_OK;
    TRY(evaluate(c->valid, &score));
    c->valid_loss[c->valid_count] = score.loss;
    c->valid_quality[c->valid_count++] = score.quality;
    return CLRNN_OK;
}

static enum clrnn_status prepare(struct clrnn_examination *v, struct clrnn_trace *c, struct updates *u)
{
    c->wanted = v->d->batches * MAX2(v->d->config->train.epochs, 1u);
    c->capacity = (uint32_t)MIN2(c->wanted, (uint64_t)MOST_STEPS);
    c->valid_capacity = (size_t)MIN2(v->d->config->train.epochs, MOST_STEPS) + 2; // an epoch has a step or more
    c->loss = malloc(MAX2(c->capacity, 1u) * sizeof(*c->loss));
    c->norm = malloc(MAX2(c->capacity, 1u) * sizeof(*c->norm));
    c->weight = malloc(MAX2(c->capacity, 1u) * sizeof(*c->weight));
    c->valid_loss = malloc(c->valid_capacity * sizeof(*c->valid_loss));
    c->valid_quality = malloc(c->valid_capacity * sizeof(*c->valid_quality));
    u->count = (size_t)clrnn_model_size(v->session->model);
    u->before = malloc(MAX2(u->count, 1) * sizeof(*u->before));
    if (!c->loss || !c->norm || !c->weight || !c->valid_loss || !c->valid_quality || !u->before)
        return clrnn_error_memory(v->d->log, u->count * sizeof(double), "a short training");
    if (!v->d->valid)
        return CLRNN_OK;
    return clrnn_doctor_session(v, v->d->device,
                                (struct clrnn_session_params){.model = v->session->model,
                                                              .set = v->d->valid,
                                                              .view = {.count = MIN2(v->valid_rows, VALID_ROWS)},
                                                              .feed = {.batch_size = v->eval_rows}},
                                &c->valid);
}

static enum clrnn_status trace_step(struct clrnn_examination *v, struct clrnn_trace *c, struct updates *u)
{
    const uint32_t stride = MAX2(c->capacity / LATE_UPDATES, 1u);
    const bool watch = c->steps < EARLY_UPDATES || c->steps % stride == 0;
    struct clrnn_session_record r;

    if (watch)
        TRY(read_params(v->session->model, u->before));
    TRY(clrnn_session_step(v->session, CLRNN_MODE_TRAIN, &r));
    if (watch)
        TRY(note_update(v, c, u));
    if (r.sum[RECORD_WEIGHT] == 0) // all labels are ignored: repeats the last loss instead of 0 / 0
        r.loss = c->steps ? c->loss[c->steps - 1] : v->initial_loss;
    c->loss[c->steps] = r.loss;
    c->norm[c->steps] = r.grad_norm;
    c->weight[c->steps++] = r.sum[RECORD_WEIGHT] == 0 ? 0 : v->session->samples;
    c->finite = c->finite && isfinite(r.loss) && fabs(r.loss) < FINITE_LOSS && !isnan(r.grad_norm);
    return CLRNN_OK;
}

static enum clrnn_status run_epoch(struct clrnn_examination *v, struct clrnn_trace *c, struct updates *u,
                                   uint64_t epoch, double seconds)
{
    const struct clrnn_train_config *t = &v->d->config->train;
    const uint32_t batches = clrnn_feed_steps(v->session->feed);
    const uint32_t look = MAX2(clrnn_divide_up(t->epochs, VALID_LOOKS), 1u); // epochs from one validation to the next

    TRY(clrnn_session_begin_epoch(v->session, epoch, 0));
    for (uint32_t i = 0; i < batches && c->steps < c->capacity && c->finite; i++) {
        if (c->steps == BUILD_STEPS)
            c->until = clrnn_clock() + seconds;
        if ((c->steps > BUILD_STEPS && clrnn_clock() > c->until) || clrnn_doctor_stopped(v->d)) {
            c->timed_out = true;
            return CLRNN_OK;
        }
        TRY(trace_step(v, c, u));
    }
    c->epochs++;
    if (!c->finite)
        return CLRNN_OK;
    if (epoch % look == look - 1 || epoch + 1 == t->epochs || t->scheduler.kind == CLRNN_SCHEDULER_REDUCE_LR_ON_PLATEAU)
        TRY(validate(c));
    clrnn_session_end_epoch(v->session, c->valid_count ? c->valid_loss[c->valid_count - 1] : c->loss[c->steps - 1]);
    return CLRNN_OK;
}

static void trace_finish(struct clrnn_trace *c)
{
    free(c->loss);
    free(c->norm);
    free(c->weight);
    free(c->window);
    free(c->valid_loss);
    free(c->valid_quality);
    clrnn_session_close(&c->valid);
    clrnn_trial_finish(&c->shuffled_rows);
    clrnn_trial_finish(&c->plain);
    clrnn_trial_finish(&c->mean);
    clrnn_trial_finish(&c->scaled);
    *c = (struct clrnn_trace){0};
}

// Computes c->window: the mean loss of each epoch or, if there are fewer than 5 epochs, of each tenth of the run.
static enum clrnn_status make_windows(struct clrnn_examination *v, struct clrnn_trace *c)
{
    const uint32_t by_epoch = (uint32_t)MIN2(c->epochs, (uint64_t)c->steps), parts = MIN2(c->steps, 10u);
    const uint32_t count = by_epoch >= 5 ? by_epoch : parts;

    c->window = malloc(MAX2(count, 1u) * sizeof(*c->window));
    if (!c->window)
        return clrnn_error_memory(v->d->log, count * sizeof(*c->window), "a short training");
    for (uint32_t w = 0; w < count; w++) {
        const uint32_t from = (uint32_t)((uint64_t)c->steps * w / count);
        const uint32_t to = (uint32_t)((uint64_t)c->steps * (w + 1) / count);
        double sum = 0, weight = 0;

        for (uint32_t i = from; i < to; i++) {
            sum += c->loss[i] * c->weight[i];
            weight += c->weight[i];
        }
        c->window[w] = sum / fmax(weight, 1);
    }
    c->window_count = count;
    c->by_epoch = by_epoch >= 5;
    return CLRNN_OK;
}

// Measures the trained model's loss on the same rows: in train mode, in eval mode, with each input replaced by its
// mean, and with the time steps of each row shuffled. Also measures v->end.
static enum clrnn_status look_at_trained(struct clrnn_examination *v, struct clrnn_trace *c)
{
    const uint32_t batches = clrnn_feed_steps(v->probe->feed);
    struct clrnn_view view = {.row = v->rows, .count = clrnn_dataset_info(v->probe->set)->S};
    struct clrnn_session_record record;

    c->train_mode = 0;
    TRY(clrnn_session_begin_epoch(v->probe, 0, 0));
    for (uint32_t i = 0; i < batches; i++) {
        TRY(clrnn_session_step(v->probe, CLRNN_MODE_GRADIENT, &record));
        c->train_mode += record.loss;
    }
    c->train_mode /= batches;
    TRY(evaluate_view(v, view, &c->trained));
    view.blank = v->d->train_scan.mean;
    TRY(evaluate_view(v, view, &c->blank));
    view.blank = NULL;
    view.shuffle_time = true;
    view.seed = v->d->config->train.seed;
    c->shuffled.loss = NAN;
    if (v->d->T > 2 && !v->session->model->per_step)
        TRY(evaluate_view(v, view, &c->shuffled));
    return clrnn_activity_measure(v, &v->end);
}

static enum clrnn_status run(struct clrnn_examination *v, struct clrnn_trace *c, double seconds)
{
    struct updates u = {0};
    enum clrnn_status st;

    *c = (struct clrnn_trace){.finite = true, .may_rest = v->d->config->train.loss.kind == CLRNN_LOSS_CTC};
    st = prepare(v, c, &u);
    for (uint64_t e = 0; st == CLRNN_OK && c->steps < c->capacity && c->finite && !c->timed_out; e++)
        st = run_epoch(v, c, &u, e, seconds);
    if (st == CLRNN_OK && c->finite && c->timed_out)
        st = validate(c);
    if (st == CLRNN_OK)
        st = make_windows(v, c);
    c->complete = c->steps >= c->wanted;
    free(u.before);
    return st;
}

// Runs the same training with shuffled labels for up to 400 steps. Stores the mean losses over the last quarter of
// these steps, of this training and of the training on real labels. If time runs out first, stores no losses.
static enum clrnn_status run_shuffled(struct clrnn_examination *v, struct clrnn_trace *c)
{
    const struct clrnn_random r = {v->d->config->train.seed, RANDOM_PROBE, 0, 2};
    const double until = clrnn_clock() + 0.2 * v->d->seconds;
    const uint32_t most = MIN2(c->steps, 400u);
    uint32_t *labels = malloc(v->train_rows * sizeof(*labels)), done = 0;
    struct clrnn_session *s = NULL;
    double real = 0, random = 0;
    enum clrnn_status st;

    if (!labels)
        return clrnn_error_memory(v->d->log, v->train_rows * sizeof(*labels), "shuffled labels");
    clrnn_random_permutation(&r, v->train_rows, labels);
    st = clrnn_doctor_session(
        v, v->d->device,
        (struct clrnn_session_params){.view = {.label_row = labels},
                                      .feed = {.shuffle = v->d->config->train.shuffle, .drop_last = v->drop_last}},
        &s);
    for (uint64_t e = 0; st == CLRNN_OK && done < most && clrnn_clock() < until; e++) {
        st = clrnn_session_begin_epoch(s, e, 0);
        while (st == CLRNN_OK && done < most) {
            struct clrnn_session_record record;

            st = clrnn_session_step(s, CLRNN_MODE_TRAIN, &record);
            if (st != CLRNN_OK || !s->plan)
                break;
            if (done >= most - most / 4) {
                random += record.loss;
                real += c->loss[done];
            }
            done++;
        }
        clrnn_session_end_epoch(s, random);
    }
    c->random_steps = done;
    if (st == CLRNN_OK && done >= most) {
        c->real_loss = real / fmax(most / 4, 1);
        c->random_loss = random / fmax(most / 4, 1);
    }
    clrnn_session_close(&s);
    free(labels);
    return st;
}

static void tell(const struct clrnn_examination *v, const struct clrnn_trace *c)
{
    clrnn_log(v->d->log, CLRNN_LOG_DEBUG,
              "%u of %llu steps%s: epoch loss %.6g to %.6g; train mode %.6g, eval mode %.6g "
              "(%.4g), blank inputs %.6g, shuffled time %.6g",
              c->steps, (unsigned long long)c->wanted, c->finite ? "" : ", not finite",
              c->window_count ? c->window[0] : NAN, c->window_count ? c->window[c->window_count - 1] : NAN,
              c->train_mode, c->trained.loss, c->trained.quality, c->blank.loss, c->shuffled.loss);
    clrnn_log(v->d->log, CLRNN_LOG_DEBUG,
              "valid loss %.6g (%.4g), linear model %.4g in %u iterations; real labels %.6g, "
              "shuffled %.6g after %u steps",
              c->valid_count ? c->valid_loss[c->valid_count - 1] : NAN,
              c->valid_count ? c->valid_quality[c->valid_count - 1] : NAN, c->linear.quality, c->linear.iterations,
              c->real_loss, c->random_loss, c->random_steps);
}

// Stores the result of this training, whose config is as given, in d->asked. Trials of changes are compared with it.
static enum clrnn_status keep_as_asked(struct clrnn_examination *v, const struct clrnn_trace *c)
{
    const struct clrnn_loss_config *loss = &v->d->config->train.loss;
    struct clrnn_trial *asked = &v->d->asked;

    *asked = (struct clrnn_trial){
        .finite = c->finite,
        .steps = c->steps,
        .wanted = c->wanted,
        .seconds = c->seconds,
        .loss = malloc(MAX2(c->steps, 1u) * sizeof(*asked->loss)),
        .loss_kind = loss->kind,
        .weighted = loss->weight_count > 0,
    };
    if (!asked->loss)
        return clrnn_error_memory(v->d->log, c->steps * sizeof(*asked->loss), "a short training");
    memcpy(asked->loss, c->loss, c->steps * sizeof(*asked->loss));
    return clrnn_trial_judge(v->d, v->session->model, v->d->train, v->d->valid, asked);
}

enum clrnn_status clrnn_doctor_train(struct clrnn_examination *v)
{
    const double started = clrnn_clock();
    struct clrnn_trace c = {0};
    enum clrnn_status st = run(v, &c, 0.5 * v->d->seconds);

    c.seconds = clrnn_clock() - started;
    c.real_loss = c.random_loss = c.naive = NAN;
    c.linear = (struct clrnn_linear_result){.quality = NAN};
    if (st == CLRNN_OK && c.finite)
        st = look_at_trained(v, &c);
    if (st == CLRNN_OK && v->d->valid)
        st = clrnn_linear_fit(v->d->log, v->d->config, v->d->train, v->d->valid, v->d->train_scan.classes,
                              0.1 * v->d->seconds, &c.linear);
    v->d->only_linear = c.linear.done && clrnn_doctor_is_linear(v->d->config) &&
                        v->d->config->train.optimizer.weight_decay < clrnn_threshold.weight_decay &&
                        !clrnn_trace_linear_is_better(v, &c);
    if (st == CLRNN_OK && clrnn_trace_wants_shuffled(v, &c))
        st = run_shuffled(v, &c);
    if (st == CLRNN_OK)
        tell(v, &c);
    if (st == CLRNN_OK)
        st = clrnn_ctc_find_blanks(v, &c);
    if (st == CLRNN_OK)
        st = keep_as_asked(v, &c);
    if (st == CLRNN_OK)
        st = clrnn_doctor_compare_answers(v, &c);
    if (st == CLRNN_OK) {
        if (c.finite)
            clrnn_doctor_excuse(v, c.trained.loss);
        clrnn_doctor_report_overfit(v, clrnn_trace_went_well(v, &c));
        clrnn_doctor_check_trace(v, &c);
        clrnn_doctor_check_answers(v, &c);
        clrnn_doctor_check_quality(v, &c);
    }
    trace_finish(&c);
    return st;
}
