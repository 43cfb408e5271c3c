// SPDX-License-Identifier: MIT
// A training run from the config to its folder: data, model, feeds, and the messages and files before and
// after the loop.
#include "clrnn/train.h"

#include <math.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/array.h"
#include "base/clock.h"
#include "base/file.h"
#include "model/layer.h"
#include "model/network.h"
#include "train/agree.h"
#include "train/folder.h"
#include "train/naive.h"
#include "train/ranks.h"
#include "train/report.h"

#define MOST_CLASSES_SHOWN 12u

// ---------------------------------------------------------------- data

// "train: 22644 samples, T 1, C 2474; classes 0: 11322 (50.0%), 1: 11322 (50.0%)"
// What predictions without a model are worth on a series.
static enum clrnn_status compare_naive(struct clrnn_loop *l, const struct clrnn_dataset *set)
{
    char *text;

    TRY(clrnn_naive_eval(set, &l->naive));
    text = clrnn_naive_text(&l->naive);
    if (!text)
        return clrnn_error_memory(l->log, 0, "baselines");
    if (*text)
        clrnn_log(l->log, CLRNN_LOG_INFO, "%s, baselines: %s", clrnn_dataset_info(set)->name, text);
    free(text);
    return CLRNN_OK;
}

static enum clrnn_status describe(const struct clrnn_loop *l, const struct clrnn_dataset *set)
{
    const struct clrnn_dataset_info *info = clrnn_dataset_info(set);
    char text[1024];
    uint64_t *counts, total = 0;
    size_t used;

    used = (size_t)snprintf(text, sizeof(text), "%s: %u samples, T %u", info->name, info->S, info->T);
    if (info->has_lengths)
        used += (size_t)snprintf(text + used, sizeof(text) - used, " at most");
    if (info->tokens)
        used += (size_t)snprintf(text + used, sizeof(text) - used, ", tokens");
    else
        used += (size_t)snprintf(text + used, sizeof(text) - used, ", C %u", info->C);
    counts = malloc(MAX2(info->classes, 1u) * sizeof(*counts));
    if (!counts)
        return clrnn_error_memory(l->log, info->classes * sizeof(*counts), "class counts");
    if (info->classes) {
        const enum clrnn_status st = clrnn_dataset_class_counts(set, counts);

        if (st != CLRNN_OK) {
            free(counts);
            return st;
        }
    }
    for (uint32_t k = 0; k < info->classes; k++)
        total += counts[k];
    for (uint32_t k = 0; k < MIN2(info->classes, MOST_CLASSES_SHOWN); k++)
        used += (size_t)snprintf(text + used, sizeof(text) - used, "%s %u: %llu (%.1f%%)",
                                 k                              ? ","
                                 : info->y_steps && info->T > 1 ? "; classes of the steps"
                                                                : "; classes",
                                 k, (unsigned long long)counts[k],
                                 total ? 100.0 * (double)counts[k] / (double)total : 0.0);
    if (info->classes > MOST_CLASSES_SHOWN)
        snprintf(text + used, sizeof(text) - used, ", ... %u classes", info->classes);
    clrnn_log(l->log, CLRNN_LOG_INFO, "%s", text);
    free(counts);
    return CLRNN_OK;
}

static enum clrnn_status identify(struct clrnn_loop *l)
{
    struct clrnn_data_identity *identity = &l->identity;

    *identity = (struct clrnn_data_identity){.train_samples = clrnn_dataset_info(l->data.train)->S};
    TRY(clrnn_dataset_fingerprint(l->data.train, identity->train));
    if (!l->data.valid)
        return CLRNN_OK;
    identity->valid_samples = clrnn_dataset_info(l->data.valid)->S;
    return clrnn_dataset_fingerprint(l->data.valid, identity->valid);
}

// ---------------------------------------------------------------- model and sessions

static enum clrnn_status make_model(struct clrnn_loop *l, const struct clrnn_config *config)
{
    char *init = config->train.init ? clrnn_path_join(config->folder, config->train.init) : NULL;
    enum clrnn_status st = CLRNN_OK;

    if (config->train.init && !init)
        return clrnn_error_memory(l->log, 0, "a path");
    st = clrnn_session_model(l->device, config, l->data.train, init, config->train.init_partial, &l->data,
                             &l->model);
    free(init);
    TRY(st);
    l->config = l->model->config;
    l->state.stop_best = config->train.early_stopping.mode_max ? -INFINITY : INFINITY;
    l->state.best_value = INFINITY;
    l->state.last_lr = l->state.last_norm = NAN;
    return CLRNN_OK;
}

// Copies what may change when a run is resumed into the config of the checkpoint.
static enum clrnn_status take_over(struct clrnn_loop *l, const struct clrnn_config *config)
{
    struct clrnn_train_config *kept = &l->model->config->train;
    struct clrnn_progress_state *s = &l->state;
    const struct clrnn_early_stopping_config *now = &config->train.early_stopping;
    const char *monitored = kept->early_stopping.monitor ? kept->early_stopping.monitor : "";
    const bool same = kept->early_stopping.on && kept->early_stopping.mode_max == now->mode_max &&
                      !strcmp(monitored, now->monitor ? now->monitor : "");
    char *monitor = NULL;

    if (now->monitor) {
        monitor = clrnn_format("%s", now->monitor);
        if (!monitor)
            return clrnn_error_memory(l->log, 0, "train.early_stopping");
    }
    free(kept->early_stopping.monitor);
    kept->early_stopping = *now;
    kept->early_stopping.monitor = monitor;
    kept->epochs = config->train.epochs;
    kept->log_every = config->train.log_every;
    kept->tensorboard = config->train.tensorboard;
    kept->checkpoint_minutes = config->train.checkpoint_minutes;
    if (!same) {
        s->stop_best = now->mode_max ? -INFINITY : INFINITY;
        s->stop_bad = 0;
    }
    s->finished =
        s->epoch >= kept->epochs || (s->epoch && kept->early_stopping.on &&
                                     s->stop_bad >= (uint64_t)MAX2(kept->early_stopping.patience, 1));
    return CLRNN_OK;
}

static enum clrnn_status resume_model(struct clrnn_loop *l, const struct clrnn_config *config,
                                      const char *path)
{
    const struct clrnn_dataset_info *info = clrnn_dataset_info(l->data.train);

    TRY(clrnn_checkpoint_read(l->device, path, &l->model, &l->state));
    l->config = l->model->config;
    TRY(clrnn_resume_check(l->log, l->params->resume, l->config, config));
    if (l->model->shape.features != info->C || l->model->shape.tokens != info->tokens)
        return clrnn_error(l->log, CLRNN_ERR_CONFIG, "%s: was trained on %u features, the data have %u", path,
                           l->model->shape.features, info->C);
    l->done = l->model->steps;
    l->kept_epochs = l->state.epoch;
    return take_over(l, config);
}

// Has validation count predictions by class, for a picture.
static enum clrnn_status count_confusion(struct clrnn_loop *l)
{
    const size_t classes = l->metrics.groups;

    if (!clrnn_metrics_has_confusion(&l->metrics) || classes > CLRNN_MOST_CLASSES_DRAWN)
        return CLRNN_OK;
    l->confusion = calloc(classes * classes, sizeof(*l->confusion));
    l->metrics.confusion = l->confusion;
    return l->confusion ? CLRNN_OK
                        : clrnn_error_memory(l->log, classes * classes * sizeof(*l->confusion), "a picture");
}

static enum clrnn_status open_sessions(struct clrnn_loop *l)
{
    const struct clrnn_session_params train = {
        .model = l->model,
        .set = l->data.train,
        .feed = {.shuffle = l->config->train.shuffle,
                 .drop_last = l->config->train.drop_last,
                 .bucket = l->config->data.bucket},
        .sharded = true,
    };
    const struct clrnn_session_params valid = {.model = l->model, .set = l->data.valid};

    TRY(clrnn_session_open(l->device, &train, &l->train));
    if (!l->data.valid)
        return CLRNN_OK;
    TRY(clrnn_session_open(l->device, &valid, &l->valid));
    TRY(clrnn_metrics_open(&l->metrics, l->model, l->data.valid));
    return l->params->plot ? count_confusion(l) : CLRNN_OK;
}

static enum clrnn_status check_monitor(const struct clrnn_loop *l, const struct clrnn_config *config)
{
    const struct clrnn_early_stopping_config *c = &config->train.early_stopping;
    const char *monitor = c->monitor ? c->monitor : "valid_loss";

    if (!c->on)
        return CLRNN_OK;
    if (!strncmp(monitor, "valid", 5) && !l->data.valid)
        return clrnn_error(
            l->log, CLRNN_ERR_CONFIG,
            "train.early_stopping monitors %s, but there are no validation data: name data.valid or "
            "data.valid_fraction, or monitor train_loss",
            monitor);
    return CLRNN_OK;
}

// ---------------------------------------------------------------- a fresh run, a resumed run

static enum clrnn_status begin(struct clrnn_loop *l, const struct clrnn_config *config)
{
    TRY(make_model(l, config));
    TRY(open_sessions(l));
    clrnn_model_start_schedule(l->model, clrnn_feed_steps(l->train->feed));
    TRY(clrnn_loop_check(l));
    return identify(l);
}

static enum clrnn_status begin_folder(struct clrnn_loop *l, const struct clrnn_config *config,
                                      const char *out)
{
    char *name, *path;
    enum clrnn_status st;

    if (!l->folder.path) {
        name = clrnn_folder_name(config);
        if (!name)
            return clrnn_error_memory(l->log, 0, "a path");
        st = clrnn_run_folder_create(l->log, out, name, &l->folder);
        free(name);
        TRY(st);
    }
    TRY(clrnn_run_folder_begin(&l->folder));
    TRY(clrnn_run_folder_config(&l->folder, config));
    TRY(clrnn_run_folder_identity(&l->folder, &l->identity));
    path = clrnn_path_join(l->folder.files,
                           "last.safetensors"); // so that a run killed in its first epoch can be resumed
    if (!path)
        return clrnn_error_memory(l->log, 0, "a path");
    st = clrnn_checkpoint_write(l->model, &l->state, path);
    free(path);
    return st;
}

static enum clrnn_status take_up(struct clrnn_loop *l, const struct clrnn_config *config, const char *path)
{
    TRY(resume_model(l, config, path));
    TRY(open_sessions(l));
    TRY(clrnn_loop_check(l));
    return identify(l);
}

static enum clrnn_status take_up_folder(struct clrnn_loop *l, const struct clrnn_config *config)
{
    TRY(clrnn_run_folder_resume(&l->folder, l->state.epoch, l->done));
    TRY(clrnn_run_folder_same_data(&l->folder, &l->identity));
    for (size_t i = 0; i < l->folder.count; i++)
        l->former_seconds += l->folder.row[i].seconds > 0.0 ? l->folder.row[i].seconds : 0.0;
    TRY(clrnn_run_folder_config(&l->folder, config));
    clrnn_log(l->log, CLRNN_LOG_INFO, "%s: goes on after epoch %llu, step %llu%s", l->params->resume,
              (unsigned long long)l->state.epoch, (unsigned long long)l->done,
              l->state.finished ? ": it is finished, nothing is left to train" : "");
    return CLRNN_OK;
}

// A copy of the config that says what --init did, so that the run's config.yaml repeats the run.
static enum clrnn_status with_init(const struct clrnn_loop *l, const struct clrnn_config *config,
                                   struct clrnn_config **own)
{
    char *here = getcwd(NULL, 0);
    enum clrnn_status st = clrnn_config_copy(l->log, config, own);

    if (st == CLRNN_OK) {
        free((*own)->train.init);
        (*own)->train.init = here ? clrnn_path_join(here, l->params->init) : NULL;
        (*own)->train.init_partial = l->params->init_partial;
        if (!(*own)->train.init)
            st = clrnn_error_memory(l->log, 0, "a path");
    }
    free(here);
    return st;
}

// Opens data, makes or resumes the model, feeds and folder.
static enum clrnn_status prepare(struct clrnn_loop *l)
{
    const struct clrnn_train_params *p = l->params;
    struct clrnn_config *own = NULL;
    const struct clrnn_config *config = p->config;
    char *checkpoint = NULL, *text = NULL;
    enum clrnn_status st = CLRNN_OK;
    bool there = false;
    const bool leads = !clrnn_ranks_own(); // and writes files

    if (p->resume) {
        checkpoint = clrnn_path_join(p->resume, "last.safetensors");
        text = clrnn_path_join(p->resume, "config.yaml");
        if (!checkpoint || !text) {
            st = clrnn_error_memory(l->log, 0, "a path");
            goto done;
        }
        if (leads)
            st = clrnn_run_folder_open(l->log, p->resume, &l->folder);
        if (st != CLRNN_OK)
            goto done;
        there = access(checkpoint, F_OK) == 0;
        if (!config) {
            st = clrnn_config_read(l->log, text, 0, NULL, &own);
            config = own;
        }
        if (st == CLRNN_OK && !there)
            clrnn_log(l->log, CLRNN_LOG_WARNING, "%s: has no checkpoint yet, the run begins anew", p->resume);
    } else if (!config) {
        st = clrnn_error(l->log, CLRNN_ERR_ARG, "no config and no run to resume");
    } else if (p->init) {
        st = with_init(l, config, &own);
        config = own;
    }
    if (st == CLRNN_OK && !p->resume && p->out && leads)
        st = clrnn_run_folder_check(l->log, p->out, config);
    if (st == CLRNN_OK)
        st = clrnn_data_sets_open(l->log, config, CLRNN_CHECK_ALL, &l->data);
    if (st == CLRNN_OK)
        st = clrnn_shards_check(l->log, config);
    if (st == CLRNN_OK)
        st = check_monitor(l, config);
    if (st == CLRNN_OK)
        st = describe(l, l->data.train);
    if (st == CLRNN_OK && l->data.valid)
        st = describe(l, l->data.valid);
    if (st == CLRNN_OK)
        st = compare_naive(l, l->data.valid ? l->data.valid : l->data.train);
    if (st == CLRNN_OK)
        st = there ? take_up(l, config, checkpoint) : begin(l, config);

done:
    st = clrnn_agree(l->log, l->model, &l->identity, st);
    if (st == CLRNN_OK && leads) {
        st = there ? take_up_folder(l, config) : begin_folder(l, config, p->out);
        l->folder.regression = clrnn_loss_is_regression(l->config->train.loss.kind);
        if (st == CLRNN_OK)
            st = clrnn_tensorboard_open(&l->folder, config, l->done, &l->events);
        if (st != CLRNN_OK)
            clrnn_ranks_abort(st);
    }
    clrnn_config_destroy(&own);
    free(checkpoint);
    free(text);
    return st;
}

// ---------------------------------------------------------------- the run

// Logs what is left of a run after an error.
static void say_what_is_kept(const struct clrnn_loop *l)
{
    if (strcmp(l->folder.files, l->folder.path) != 0)
        clrnn_log(l->log, CLRNN_LOG_WARNING,
                  "%s: holds the earlier run as it was: this one ended before its first checkpoint",
                  l->folder.path);
    else
        clrnn_log(
            l->log, CLRNN_LOG_WARNING,
            "the run broke off after step %llu, its checkpoint is whole: `clrnn train --resume %s` goes "
            "on from epoch %llu",
            (unsigned long long)l->done, l->folder.path, (unsigned long long)l->kept_epochs + 1);
}

// Trains; on other ranks than 0 as rank 0 says.
static enum clrnn_status run(struct clrnn_loop *l)
{
    const bool leads = !clrnn_ranks_own();
    enum clrnn_status st = leads ? clrnn_loop_run(l) : clrnn_shards_follow(l->train->shards);

    if (st == CLRNN_OK || st == CLRNN_INTERRUPTED) {
        if (leads && l->train->shards)
            TRY(clrnn_shards_end(l->train->shards, st));
        return st;
    }
    if (leads)
        say_what_is_kept(l);
    clrnn_ranks_abort(st);
    return st;
}

enum clrnn_status clrnn_train(struct clrnn_device *device, const struct clrnn_train_params *params,
                              struct clrnn_train_result *result)
{
    NEED(clrnn_device_log(device), device);
    NEED(clrnn_device_log(device), params);
    if (!params->resume)
        NEED(clrnn_device_log(device), params->config);

    struct clrnn_loop l = {
        .params = params,
        .device = device,
        .log = clrnn_device_log(device),
        .folder = {.metrics = -1, .lock = -1},
        .profile = {.on = params->profile},
        .last_loss = NAN,
        .called = clrnn_clock(),
    };
    struct clrnn_train_result own = {0},
                              *r = &own; // the caller's params may point into its result of an earlier run
    enum clrnn_status st;
    bool nothing_done;

    st = prepare(&l);
    if (st == CLRNN_OK)
        st = clrnn_watch_init(&l.watch, !params->no_watch, l.model, l.data.train, l.folder.path,
                              clrnn_feed_steps(l.train->feed), l.done);
    if (st == CLRNN_OK)
        st = run(&l);
    clrnn_report_result(&l, r);
    nothing_done = st == CLRNN_OK && !l.steps_here && params->resume;
    if (nothing_done)
        clrnn_run_folder_former(&l.folder, r);
    if (st == CLRNN_OK)
        st = clrnn_profile_print(&l.profile, l.log);
    if (clrnn_ranks_own())
        goto done;
    if (st == CLRNN_OK)
        st = clrnn_report_end(&l, r, !nothing_done || isnan(r->ms_per_step_median));
    if (st == CLRNN_OK && r->epochs && isnan(r->train_loss))
        st = CLRNN_FAILED; // metrics.jsonl and a warning have said so

done:
    free(l.pace);
    clrnn_watch_finish(&l.watch);
    clrnn_tfevents_close(&l.events);
    clrnn_run_folder_finish(&l.folder);
    clrnn_session_close(&l.train);
    clrnn_session_close(&l.valid);
    free(l.confusion);
    clrnn_metrics_close(&l.metrics);
    clrnn_model_destroy(&l.model);
    clrnn_data_sets_close(&l.data);
    if (result)
        *result = own;
    return st;
}
