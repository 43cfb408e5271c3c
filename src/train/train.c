// SPDX-License-Identifier: MIT
// Runs a training from the config to its folder: opens the data, makes the model, and calls the training loop (loop.c).
// Also writes the messages and files that come before and after the loop.
#include "clrnn/train.h"

#include <math.h>
#include <string.h>
#include <unistd.h>

#include "base/array.h"
#include "base/clock.h"
#include "base/file.h"
#include "base/words.h"
#include "model/layer.h"
#include "train/agree.h"
#include "train/data_once.h"
#include "train/folder.h"
#include "train/ranks.h"
#include "train/loop.h"

// ---------------------------------------------------------------- model and sessions

// Creates a model with initial parameters, which are read from the file train.init if it is set. The parameters are the
// same on every device.
static enum clrnn_status new_model(struct clrnn_loop *l, struct clrnn_device *device, const struct clrnn_config *config,
                                   struct clrnn_model **model)
{
    char *init = config->train.init ? clrnn_path_join(config->folder, config->train.init) : NULL;
    enum clrnn_status st;

    if (config->train.init && !init)
        return clrnn_error_memory(l->log, 0, "a path");
    st = clrnn_session_model(device, config, l->data.train, init, config->train.init_partial, &l->data, model);
    free(init);
    return st;
}

static enum clrnn_status make_model(struct clrnn_loop *l, const struct clrnn_config *config)
{
    TRY(new_model(l, l->device, config, &l->model));
    l->config = l->model->config;
    l->state.stop_best = config->train.early_stopping.mode_max ? -INFINITY : INFINITY;
    l->state.best_value = INFINITY;
    l->state.last_lr = l->state.last_norm = NAN;
    return CLRNN_OK;
}

// A resumed run uses the config of its checkpoint. Some options may change on resuming: copies these from `config` into
// the checkpoint's config.
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
    kept->recompute = config->train.recompute;
    if (!same) {
        s->stop_best = now->mode_max ? -INFINITY : INFINITY;
        s->stop_bad = 0;
    }
    s->finished = s->epoch >= kept->epochs || (s->epoch && kept->early_stopping.on &&
                                               s->stop_bad >= (uint64_t)MAX2(kept->early_stopping.patience, 1));
    return CLRNN_OK;
}

static enum clrnn_status resume_model(struct clrnn_loop *l, const struct clrnn_config *config, const char *path)
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

// Makes validation count a confusion matrix, which is drawn as a picture, unless there are too many classes to draw.
static enum clrnn_status count_confusion(struct clrnn_loop *l)
{
    struct clrnn_metrics *m = &l->metrics;
    const size_t cells = (size_t)m->groups * m->groups;

    if (!clrnn_metrics_has_confusion(m) || m->groups > CLRNN_MOST_CLASSES_DRAWN)
        return CLRNN_OK;
    m->confusion = calloc(cells, sizeof(*m->confusion));
    return m->confusion ? CLRNN_OK : clrnn_error_memory(l->log, cells * sizeof(*m->confusion), "a picture");
}

// Opens a training session on each further device, with a model of its own. The model is read from the checkpoint or,
// if `checkpoint` is NULL, created from the config.
static enum clrnn_status open_followers(struct clrnn_loop *l, struct clrnn_session_params params,
                                        const struct clrnn_config *config, const char *checkpoint)
{
    const uint32_t count = clrnn_team_count(l->team);

    l->follower = calloc(count, sizeof(*l->follower));
    if (!l->follower)
        return clrnn_error_memory(l->log, count * sizeof(*l->follower), "the devices that train together");
    for (uint32_t i = 1; i < count; i++) {
        struct clrnn_follower *f = &l->follower[i - 1];
        struct clrnn_progress_state state; // unused, but without it carried states are not read

        params.worker = clrnn_team_worker(l->team, i);
        TRY(checkpoint ? clrnn_checkpoint_read(params.worker->device, checkpoint, &f->model, &state)
                       : new_model(l, params.worker->device, config, &f->model));
        f->model->config->train.recompute = l->config->train.recompute; // as take_over() does
        TRY(clrnn_agree_layout(l->log, l->model, f->model));
        params.model = f->model;
        TRY(clrnn_session_open(params.worker->device, &params, &f->train));
    }
    return CLRNN_OK;
}

// Checks that early stopping does not monitor an area under a curve that is left out because of too many scores.
static enum clrnn_status check_areas(const struct clrnn_loop *l)
{
    const struct clrnn_early_stopping_config *c = &l->config->train.early_stopping;
    const enum clrnn_metric metric = clrnn_metric_monitored(c->monitor ? c->monitor : "");

    if (!c->on || clrnn_metrics_has_areas(&l->metrics) ||
        (metric != CLRNN_METRIC_roc_auc && metric != CLRNN_METRIC_pr_auc))
        return CLRNN_OK;
    return clrnn_error(l->log, CLRNN_ERR_CONFIG,
                       "train.early_stopping monitors %s, which is not computed for so many scores (%u samples, %u "
                       "outputs): monitor valid_loss or another metric",
                       c->monitor, clrnn_dataset_info(l->data.valid)->S, l->model->outputs);
}

static enum clrnn_status open_sessions(struct clrnn_loop *l, const struct clrnn_config *config, const char *checkpoint)
{
    const struct clrnn_session_params train = {
        .model = l->model,
        .set = l->data.train,
        .feed = clrnn_feed_as_trained(l->config),
        .worker = clrnn_team_worker(l->team, 0),
    };
    const struct clrnn_session_params valid = {.model = l->model, .set = l->data.valid};

    TRY(clrnn_session_open(l->device, &train, &l->train));
    TRY(open_followers(l, train, config, checkpoint));
    if (!l->data.valid)
        return CLRNN_OK;
    TRY(clrnn_turns_open(&valid, &l->valid));
    TRY(clrnn_metrics_open(&l->metrics, l->model, l->data.valid));
    TRY(check_areas(l));
    return l->params->plot ? count_confusion(l) : CLRNN_OK;
}

static enum clrnn_status check_monitor(const struct clrnn_loop *l, const struct clrnn_config *config)
{
    const struct clrnn_early_stopping_config *c = &config->train.early_stopping;
    const char *monitor = c->monitor ? c->monitor : "valid_loss";

    if (!c->on)
        return CLRNN_OK;
    if (!strncmp(monitor, "valid", 5) && !l->data.valid)
        return clrnn_error(l->log, CLRNN_ERR_CONFIG,
                           "train.early_stopping monitors %s, but there are no validation data: name data.valid or "
                           "data.valid_fraction, or monitor train_loss",
                           monitor);
    return CLRNN_OK;
}

// ---------------------------------------------------------------- new and resumed runs

static enum clrnn_status begin(struct clrnn_loop *l, const struct clrnn_config *config)
{
    TRY(make_model(l, config));
    TRY(open_sessions(l, config, NULL));
    clrnn_model_start_schedule(l->model, clrnn_feed_steps(l->train->feed));
    TRY(clrnn_session_count_run(l->model, l->data.train));
    return clrnn_loop_check(l);
}

static enum clrnn_status begin_folder(struct clrnn_loop *l, const struct clrnn_config *config, const char *out)
{
    char *path;
    enum clrnn_status st;

    if (!l->folder.path)
        TRY(clrnn_run_folder_create(l->log, out, config, &l->folder));
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
    TRY(open_sessions(l, config, path));
    TRY(clrnn_session_count_run(l->model, l->data.train));
    return clrnn_loop_check(l);
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

// Sets *own to a copy of the config with train.init and train.init_partial as the parameters set them, so that the
// run's config.yaml repeats the run.
static enum clrnn_status with_init(const struct clrnn_loop *l, const struct clrnn_config *config,
                                   struct clrnn_config **own)
{
    const struct clrnn_train_params *p = l->params;
    char *here, *path;

    if (!p->init && !config->train.init)
        return clrnn_error(
            l->log, CLRNN_ERR_ARG,
            "init_partial (--init-partial) has no effect without initial weights: name their file by init "
            "(--init) or train.init");
    TRY(clrnn_config_copy(l->log, config, own));
    (*own)->train.init_partial = p->init_partial;
    if (!p->init)
        return CLRNN_OK;
    here = getcwd(NULL, 0);
    path = here ? clrnn_path_join(here, p->init) : NULL;
    free(here);
    free((*own)->train.init);
    (*own)->train.init = path;
    return path ? CLRNN_OK : clrnn_error_memory(l->log, 0, "a path");
}

// Opens data, folder and feeds, and creates or resumes the model.
static enum clrnn_status prepare(struct clrnn_loop *l)
{
    const struct clrnn_train_params *p = l->params;
    struct clrnn_config *own = NULL;
    const struct clrnn_config *config = p->config;
    char *checkpoint = NULL, *text = NULL;
    enum clrnn_status st = CLRNN_OK;
    bool there = false;
    const bool leads = !clrnn_ranks_own(); // rank 0 leads the training and writes all files

    if (p->resume) {
        checkpoint = clrnn_path_join(p->resume, "last.safetensors");
        text = clrnn_path_join(p->resume, "config.yaml");
        if (!checkpoint || !text)
            st = clrnn_error_memory(l->log, 0, "a path");
        else if (leads)
            st = clrnn_run_folder_open(l->log, p->resume, &l->folder);
        there = st == CLRNN_OK && access(checkpoint, F_OK) == 0;
        if (st == CLRNN_OK && !config) {
            st = clrnn_config_read(l->log, text, 0, NULL, &own);
            config = own;
        }
        if (st == CLRNN_OK && !there)
            clrnn_log(l->log, CLRNN_LOG_WARNING, "%s: has no checkpoint yet, the run begins anew", p->resume);
    } else if (!config) {
        st = clrnn_error(l->log, CLRNN_ERR_ARG, "no config and no run to resume");
    } else if (p->init || p->init_partial) {
        st = with_init(l, config, &own);
        config = own;
    }
    if (st == CLRNN_OK && !p->resume && p->out && leads)
        st = clrnn_run_folder_check(l->log, p->out, config);
    st = clrnn_data_once(l->log, config, st, !p->resume, &l->data, &l->identity);
    if (st == CLRNN_OK)
        st = clrnn_shards_check(l->log, config, clrnn_team_worker(l->team, 0)->count);
    if (st == CLRNN_OK)
        st = check_monitor(l, config);
    if (st == CLRNN_OK && leads)
        st = clrnn_report_data(l);
    if (st == CLRNN_OK)
        st = there ? take_up(l, config, checkpoint) : begin(l, config);
    st = clrnn_agree(l->log, l->model, st);
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

// Called after an error: logs which run or checkpoint is left in the folder.
static void say_what_is_kept(const struct clrnn_loop *l)
{
    if (strcmp(l->folder.files, l->folder.path) != 0)
        clrnn_log(l->log, CLRNN_LOG_WARNING,
                  "%s: holds the earlier run as it was: this one ended before its first checkpoint", l->folder.path);
    else
        clrnn_log(l->log, CLRNN_LOG_WARNING,
                  "the run broke off after step %llu, its checkpoint is whole: `clrnn train --resume %s` goes "
                  "on from epoch %llu",
                  (unsigned long long)l->done, l->folder.path, (unsigned long long)l->kept_epochs + 1);
}

static enum clrnn_status follow(void *shards)
{
    return clrnn_shards_follow(shards);
}

// Trains. Rank 0 runs the loop. Other ranks, and the threads of further devices, repeat the steps of rank 0
// (clrnn_shards_follow).
static enum clrnn_status run(struct clrnn_loop *l)
{
    const bool leads = !clrnn_ranks_own();
    struct clrnn_shards *own = l->train->shards;
    void *shards[CLRNN_MOST_DEVICES] = {own};
    enum clrnn_status st;

    for (uint32_t i = 1; i < clrnn_team_count(l->team); i++)
        shards[i] = l->follower[i - 1].train->shards;
    st = clrnn_team_start(l->team, follow, shards);
    if (st == CLRNN_OK)
        st = leads ? clrnn_loop_run(l) : clrnn_shards_follow(own);
    if (leads && own && (st == CLRNN_OK || st == CLRNN_INTERRUPTED)) {
        const enum clrnn_status ended = clrnn_shards_end(own, st);

        st = ended == CLRNN_OK ? st : ended;
    }
    st = clrnn_team_join(l->team, st);
    if (st == CLRNN_OK || st == CLRNN_INTERRUPTED)
        return st;
    if (leads)
        say_what_is_kept(l);
    clrnn_ranks_abort(st);
    return st;
}

static enum clrnn_status make_team(struct clrnn_loop *l)
{
    const struct clrnn_train_params *p = l->params;
    struct clrnn_device *devices[CLRNN_MOST_DEVICES];
    enum clrnn_status st;

    TRY(clrnn_team_devices(l->device, p->further, p->further_count, devices));
    st = clrnn_team_create(l->log, devices, (uint32_t)p->further_count + 1, &l->team);
    if (st != CLRNN_OK)
        clrnn_ranks_abort(st);
    else
        l->log = clrnn_device_log(l->device);
    return st;
}

enum clrnn_status clrnn_train(struct clrnn_device *device, const struct clrnn_train_params *params,
                              struct clrnn_train_result *result)
{
    CLRNN_C_LOCALE;
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
                              *r = &own; // *result is written last: params may point into it
    enum clrnn_status st;
    bool nothing_done;

    st = make_team(&l);
    if (st == CLRNN_OK)
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
        st = CLRNN_FAILED; // already reported by metrics.jsonl and a warning

done:
    free(l.pace);
    clrnn_watch_finish(&l.watch);
    clrnn_profile_finish(&l.profile);
    clrnn_tfevents_close(&l.events);
    clrnn_run_folder_finish(&l.folder);
    for (size_t i = 0; l.follower && i < params->further_count; i++) {
        clrnn_session_close(&l.follower[i].train);
        clrnn_model_destroy(&l.follower[i].model);
    }
    free(l.follower);
    clrnn_session_close(&l.train);
    clrnn_turns_close(&l.valid);
    free(l.metrics.confusion);
    clrnn_metrics_close(&l.metrics);
    clrnn_model_destroy(&l.model);
    clrnn_data_sets_close(&l.data);
    clrnn_team_destroy(&l.team);
    if (result)
        *result = own;
    return st;
}
