// SPDX-License-Identifier: MIT
// The training loop: queues steps without waiting and reads their records at intervals; after each epoch runs
// validation, scheduler, early stopping, metrics and checkpoints.
#include "train/loop.h"

#include <math.h>
#include <string.h>

#include "base/array.h"
#include "base/clock.h"
#include "base/file.h"
#include "base/words.h"
#include "model/layer.h"

#define READ_SECONDS 0.1 // intended seconds between two reads of the records
#define SHOW_SECONDS 0.1 // seconds to leave between two calls of the progress callback
#define MOST_PACES 65536u

static bool asked_to_stop(const struct clrnn_loop *l)
{
    return l->params->stop && *l->params->stop;
}

static bool is_regression(const struct clrnn_loop *l)
{
    return clrnn_loss_is_regression(l->config->train.loss.kind);
}

// ---------------------------------------------------------------- reading records

static enum clrnn_status note_pace(struct clrnn_loop *l, double seconds, uint32_t steps)
{
    if (l->pace_count == MOST_PACES)
        return CLRNN_OK; // enough for a good median
    if (!ARRAY_GROW(l->pace, l->pace_count))
        return clrnn_error_memory(l->log, 2 * l->pace_count * sizeof(*l->pace), "step times");
    l->pace[l->pace_count++] = (struct clrnn_loop_pace){seconds, steps};
    return CLRNN_OK;
}

static void fill_progress(const struct clrnn_loop *l, struct clrnn_progress *p)
{
    const uint64_t batches = clrnn_feed_steps(l->train->feed), steps_left = batches * l->config->train.epochs - l->done;
    const double now = clrnn_clock(), run = now - l->started;

    *p = (struct clrnn_progress){
        .epoch = (uint32_t)l->state.epoch + 1,
        .epochs = l->config->train.epochs,
        .batch = (uint32_t)l->state.step_in_epoch,
        .batches = (uint32_t)batches,
        .samples = (uint64_t)l->state.weight_sum,
        .samples_total = clrnn_dataset_info(l->data.train)->S,
        .step = l->done,
        .loss = l->last_loss,
        .lr = l->state.last_lr,
        .samples_per_s = (double)l->epoch_samples / fmax(now - l->epoch_started, 1e-9),
        .seconds_left = l->steps_here ? run / (double)l->steps_here * (double)steps_left : NAN,
        .train_loss = NAN,
        .train_accuracy = NAN,
        .valid_loss = NAN,
        .valid_accuracy = NAN,
        .train_mae = NAN,
        .valid_mae = NAN,
        .valid_rmse = NAN,
        .valid_r2 = NAN,
        .grad_norm = l->state.last_norm,
        .seconds = now - l->epoch_started,
    };
}

static void show(struct clrnn_loop *l, bool now_or_later)
{
    struct clrnn_progress progress;
    const double now = clrnn_clock();

    if (!l->params->progress || (!now_or_later && now - l->shown < SHOW_SECONDS))
        return;
    l->shown = now;
    fill_progress(l, &progress);
    l->params->progress(l->params->progress_user, &progress);
}

// Waits for the queued training steps and reads their records, in order.
static enum clrnn_status read_records(struct clrnn_loop *l)
{
    struct clrnn_loop_queue *q = &l->queue;
    const uint32_t log_every = l->config->train.log_every;
    double now;

    if (!q->count)
        return CLRNN_OK;
    TRY(clrnn_model_read_records(l->model, 0, q->count, q->record));
    for (uint32_t i = 0; i < q->count; i++) {
        const double *r = q->record + (size_t)i * RECORD_FIELDS;

        // NaN (0 / 0) if all labels are ignored, as in PyTorch
        l->last_loss = clrnn_unsigned_nan(r[RECORD_LOSS] / r[RECORD_WEIGHT]);
        l->last_weight = r[RECORD_WEIGHT];
        l->state.last_norm = clrnn_unsigned_nan(r[RECORD_NORM]);
        l->state.last_lr = q->lr[i];
        clrnn_watch_step(&l->watch, r, l->last_loss, q->lr[i]);
        if (r[RECORD_WEIGHT] != 0.0) { // the epoch's mean leaves out batches in which no label counts
            l->state.loss_sum += l->last_loss * q->weight[i];
            l->state.weight_sum += q->weight[i];
        }
        l->state.correct += is_regression(l) ? r[RECORD_ABS] : r[RECORD_CORRECT];
        l->state.counted += r[RECORD_COUNT];
        l->state.step_in_epoch++;
        l->done++;
        l->steps_here++;
        l->epoch_samples += q->samples[i];
        if (log_every && l->done % log_every == 0) {
            TRY(clrnn_run_folder_step(&l->folder, l->done, l->last_loss, l->last_weight != 0.0, l->state.last_lr));
            TRY(clrnn_tensorboard_step(l->events, l->done, l->last_loss, l->state.last_lr));
        }
    }
    now = clrnn_clock();
    TRY(note_pace(l, (now - l->last_read) / q->count, q->count));
    q->limit = (uint32_t)fmin(fmax(READ_SECONDS * q->count / fmax(now - l->last_read, 1e-9), 1.0), LOOP_QUEUE);
    l->last_read = now;
    q->count = 0;
    TRY(clrnn_watch_weights(&l->watch, l->model));
    if (l->profile.on)
        TRY(clrnn_profile_fetch(&l->profile));
    show(l, l->state.step_in_epoch == clrnn_feed_steps(l->train->feed));
    return CLRNN_OK;
}

// ---------------------------------------------------------------- training

// Notes for the profile what the step has run: a plan or, with train.shards, one for each shard and one of the update.
static enum clrnn_status note_plans(struct clrnn_loop *l)
{
    struct clrnn_plan *plan = l->train->plan;

    if (!l->profile.on)
        return CLRNN_OK;
    if (!l->train->shards)
        return clrnn_profile_add(&l->profile, plan);
    for (uint32_t i = 0; clrnn_shards_plan(l->train->shards, i, &plan); i++)
        TRY(clrnn_profile_add(&l->profile, plan));
    return CLRNN_OK;
}

static enum clrnn_status step_schedule(struct clrnn_loop *l)
{
    if (clrnn_model_step_schedule(l->model, l->last_loss))
        return CLRNN_OK;
    return clrnn_error(l->log, CLRNN_ERR_CONFIG, "one_cycle_lr has ended, but the run goes on: set larger total_steps");
}

static enum clrnn_status train_step(struct clrnn_loop *l, double lr)
{
    const struct clrnn_scheduler_config *scheduler = &l->config->train.scheduler;
    struct clrnn_loop_queue *q = &l->queue;

    q->samples[q->count] = l->train->fresh ? l->train->samples : 0;
    q->weight[q->count] = l->train->weight;
    q->lr[q->count++] = lr;
    if (l->train->samples >= l->largest_batch) { // leaves out a smaller last batch
        l->largest_batch = l->train->samples;
        l->chained = clrnn_replay_chained(l->train->plan->replay);
    }
    TRY(note_plans(l));
    if (scheduler->per_batch && scheduler->kind == CLRNN_SCHEDULER_REDUCE_LR_ON_PLATEAU)
        TRY(read_records(l)); // the scheduler needs this batch's loss
    // if no label of the batch counts, there is no loss for reduce_lr_on_plateau: do not step the scheduler
    if (scheduler->per_batch && (scheduler->kind != CLRNN_SCHEDULER_REDUCE_LR_ON_PLATEAU || l->last_weight != 0.0))
        TRY(step_schedule(l));
    return q->count >= q->limit ? read_records(l) : CLRNN_OK;
}

static enum clrnn_status checkpoint(struct clrnn_loop *l, const char *name)
{
    char *path = clrnn_path_join(l->folder.files, name);
    enum clrnn_status st = CLRNN_OK;

    if (!path)
        return clrnn_error_memory(l->log, 0, "a path");
    if (l->train->shards)
        st = clrnn_shards_gather(l->train->shards);
    if (st == CLRNN_OK)
        st = clrnn_checkpoint_write(l->model, &l->state, path);
    free(path);
    l->kept = clrnn_clock();
    return st;
}

// Saves the run to disk in the middle of an epoch, so that it can be resumed from this step.
static enum clrnn_status keep(struct clrnn_loop *l)
{
    TRY(clrnn_run_folder_sync(&l->folder));
    TRY(checkpoint(l, "last.safetensors"));
    return clrnn_run_folder_publish(&l->folder);
}

static bool is_time_to_keep(const struct clrnn_loop *l)
{
    const double minutes = l->config->train.checkpoint_minutes;

    return minutes > 0 && clrnn_clock() - l->kept >= 60 * minutes;
}

static enum clrnn_status train_epoch(struct clrnn_loop *l)
{
    TRY(clrnn_session_begin_epoch(l->train, l->state.epoch, (uint32_t)l->state.step_in_epoch));
    while (!asked_to_stop(l)) {
        const double lr = l->model->schedule.lr;

        TRY(clrnn_session_queue(l->train, CLRNN_MODE_TRAIN, l->queue.count));
        if (!l->train->plan)
            break;
        TRY(train_step(l, lr));
        if (is_time_to_keep(l)) {
            TRY(read_records(l));
            TRY(keep(l));
        }
    }
    return read_records(l);
}

// ---------------------------------------------------------------- the end of an epoch

static void make_row(const struct clrnn_loop *l, const struct clrnn_session_record *valid, struct clrnn_epoch_row *row)
{
    const double *metric = l->metrics.value;
    const struct clrnn_progress_state *s = &l->state;
    const bool regression = is_regression(l), validated = l->valid;
    const double seconds = clrnn_clock() - l->epoch_started;

    *row = (struct clrnn_epoch_row){
        .epoch = s->epoch + 1,
        .step = l->done,
        .train_loss = clrnn_unsigned_nan(s->loss_sum / s->weight_sum),
        .train_accuracy = regression ? NAN : s->correct / s->counted,
        .valid_loss = validated ? valid->loss : NAN,
        .valid_accuracy = validated ? valid->accuracy : NAN,
        .lr = l->state.last_lr,
        .grad_norm = l->state.last_norm,
        .seconds = seconds,
        .samples_per_s = (double)l->epoch_samples / fmax(l->train_seconds, 1e-9),
        .train_mae = clrnn_loss_has_metric(l->config, "mae") ? s->correct / s->counted : NAN,
        .valid_mae = validated ? metric[CLRNN_METRIC_mae] : NAN,
        .valid_rmse = validated ? metric[CLRNN_METRIC_rmse] : NAN,
        .valid_r2 = validated ? metric[CLRNN_METRIC_r2] : NAN,
    };
}

// Updates the state of early stopping. Returns whether early stopping ends the run after this epoch. An epoch does not
// count if the validation data leave the metric undefined, as r2 is for targets that are all equal.
static bool stops_early(struct clrnn_loop *l, const struct clrnn_epoch_row *row)
{
    const struct clrnn_early_stopping_config *c = &l->config->train.early_stopping;
    const char *monitor = c->monitor ? c->monitor : "valid_loss";
    const enum clrnn_metric metric = clrnn_metric_monitored(monitor);
    const double value = metric < CLRNN_METRIC_COUNT          ? l->metrics.value[metric]
                         : !strcmp(monitor, "train_loss")     ? row->train_loss
                         : !strcmp(monitor, "train_accuracy") ? row->train_accuracy
                                                              : row->valid_loss;

    if (!c->on)
        return false;
    if (metric < CLRNN_METRIC_COUNT && isnan(value) && !isnan(row->valid_loss)) {
        if (!l->unmonitored)
            clrnn_log(l->log, CLRNN_LOG_WARNING,
                      "%s is undefined on these validation data: early stopping on it does not end the run", monitor);
        l->unmonitored = true;
        return false;
    }
    if (c->mode_max ? value > l->state.stop_best + c->min_delta : value < l->state.stop_best - c->min_delta) {
        l->state.stop_best = value;
        l->state.stop_bad = 0;
        return false;
    }
    l->state.stop_bad++;
    return l->state.stop_bad >= (uint64_t)MAX2(c->patience, 1);
}

static void show_epoch(struct clrnn_loop *l, const struct clrnn_epoch_row *row, bool best)
{
    struct clrnn_progress progress;

    if (!l->params->progress)
        return;
    fill_progress(l, &progress);
    progress.epoch_end = true;
    progress.epoch = (uint32_t)row->epoch;
    progress.batch = progress.batches;
    progress.train_loss = row->train_loss;
    progress.train_accuracy = row->train_accuracy;
    progress.valid_loss = row->valid_loss;
    progress.valid_accuracy = row->valid_accuracy;
    progress.train_mae = row->train_mae;
    progress.valid_mae = row->valid_mae;
    progress.valid_rmse = row->valid_rmse;
    progress.valid_r2 = row->valid_r2;
    progress.samples_per_s = row->samples_per_s;
    progress.seconds = row->seconds;
    progress.best = best;
    progress.metrics = l->folder.line;
    l->params->progress(l->params->progress_user, &progress);
}

// Writes the epoch's metrics first and the checkpoint last.safetensors at the end. A run that is killed in between
// resumes from the previous checkpoint, and writes the same metrics again.
static enum clrnn_status end_epoch(struct clrnn_loop *l, const struct clrnn_session_record *valid)
{
    struct clrnn_progress_state *s = &l->state;
    struct clrnn_epoch_row row;
    enum clrnn_status st;
    char *more = NULL;
    double judged;
    const bool counts = s->weight_sum != 0.0;
    bool best, early;

    make_row(l, valid, &row);
    judged = l->valid ? row.valid_loss : row.train_loss;
    clrnn_session_end_epoch(l->train, judged);
    early = stops_early(l, &row);
    best = isfinite(judged) && (!s->best_epoch || judged < s->best_value);
    if (best) {
        s->best_value = judged;
        s->best_epoch = row.epoch;
    }
    s->epoch++;
    s->step_in_epoch = 0;
    s->loss_sum = s->weight_sum = s->correct = s->counted = 0.0;
    s->finished = early || s->epoch >= l->config->train.epochs;
    if (l->valid && !(more = clrnn_metrics_json(&l->metrics)))
        return clrnn_error_memory(l->log, 0, "an epoch's metrics");
    st = clrnn_run_folder_epoch(&l->folder, &row, counts, more ? more : "");
    free(more);
    TRY(st);
    TRY(clrnn_tensorboard_epoch(l->events, &row, l->model));
    TRY(clrnn_run_folder_sync(&l->folder));
    if (best)
        TRY(checkpoint(l, "best.safetensors"));
    TRY(checkpoint(l, "last.safetensors"));
    TRY(clrnn_run_folder_publish(&l->folder));
    l->kept_epochs = s->epoch;
    TRY(clrnn_report_epoch(l));
    show_epoch(l, &row, best);
    clrnn_watch_epoch(&l->watch, &row);
    if (early)
        clrnn_log(l->log, CLRNN_LOG_INFO,
                  "early stopping after epoch %llu: %s has not improved on %.9g for %llu epochs",
                  (unsigned long long)s->epoch,
                  l->config->train.early_stopping.monitor ? l->config->train.early_stopping.monitor : "valid_loss",
                  s->stop_best, (unsigned long long)s->stop_bad);
    return CLRNN_OK;
}

static enum clrnn_status interrupt(struct clrnn_loop *l)
{
    if (!l->done && clrnn_run_folder_has_earlier(&l->folder)) {
        clrnn_log(l->log, CLRNN_LOG_INFO, "interrupted before the first step; %s still holds the earlier run",
                  l->folder.path);
        return CLRNN_INTERRUPTED;
    }
    TRY(keep(l));
    clrnn_log(l->log, CLRNN_LOG_INFO, "interrupted in epoch %llu after step %llu; `clrnn train --resume %s` goes on",
              (unsigned long long)l->state.epoch + 1, (unsigned long long)l->done, l->folder.path);
    return CLRNN_INTERRUPTED;
}

enum clrnn_status clrnn_loop_run(struct clrnn_loop *l)
{
    struct clrnn_session_record valid = {0};

    l->queue.limit = 1;
    l->started = l->kept = clrnn_clock();
    while (!l->state.finished) {
        l->epoch_started = l->last_read = clrnn_clock();
        l->epoch_samples = 0;
        TRY(train_epoch(l));
        l->train_seconds = clrnn_clock() - l->epoch_started;
        l->train_seconds_here += l->train_seconds;
        l->samples_here += l->epoch_samples;
        if (asked_to_stop(l))
            return interrupt(l);
        if (l->valid)
            TRY(clrnn_metrics_pass(&l->metrics, l->valid, l->params->stop, &valid));
        if (asked_to_stop(l))
            return interrupt(l);
        TRY(end_epoch(l, &valid));
    }
    return CLRNN_OK;
}
