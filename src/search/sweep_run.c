// SPDX-License-Identifier: MIT
// Trains the trials of a sweep, several at a time, each in a child process.
#include <math.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/child.h"
#include "base/file.h"
#include "base/log.h"
#include "clrnn/train.h"
#include "model/checkpoint.h"
#include "search/say.h"
#include "search/sweep.h"
#include "train/run_folder.h"

#define LOOK_MS 100    // milliseconds between two checks of params->stop
#define PATIENCE_S 1e9 // seconds; a training may take any length of time

// Memory that a child process and its parent share.
struct block {
    struct clrnn_child_report report;
    volatile sig_atomic_t stop;
    volatile bool opened, // the device was opened
        ended;            // the training ended, with `status`
    enum clrnn_status status;
};

// A job trains one trial at a time, each in a new child process. There are params->jobs jobs.
struct job {
    const struct clrnn_sweep *sweep;
    struct clrnn_sweep_trial *trial; // NULL: the job has no child at the moment
    struct clrnn_config *config;
    uint32_t epochs;
    char *folder;
    struct block *block;
    struct clrnn_child child;
};

// ---------------------------------------------------------------- in the child

static void note_epoch(void *user, const struct clrnn_progress *p)
{
    clrnn_child_doing(user, "training epoch %u", p->epoch);
}

// Whether the trial's folder holds a run that can be resumed. If the lr schedule depends on train.epochs, a run can be
// resumed only with the same train.epochs.
static bool goes_on(const struct job *j)
{
    char *checkpoint = clrnn_path_join(j->folder, "last.safetensors");
    struct clrnn_config *before = NULL;
    bool goes = checkpoint && access(checkpoint, F_OK) == 0;

    if (goes && clrnn_epochs_shape_lr(j->config))
        goes = clrnn_run_config(NULL, j->folder, 0, NULL, &before) == CLRNN_OK && before->train.epochs == j->epochs;
    clrnn_config_destroy(&before);
    free(checkpoint);
    return goes;
}

// If the checkpoint file `name` still has the train.epochs of an earlier rung, changes its train.epochs and `finished`
// to the values of a single run with this rung's train.epochs. `last_epoch`: number of epochs that the trial has
// trained.
static enum clrnn_status update(const struct job *j, struct clrnn_device *device, const char *name, uint64_t last_epoch)
{
    char *path = clrnn_path_join(j->folder, name);
    struct clrnn_model *model = NULL;
    struct clrnn_progress_state state;
    enum clrnn_status st = CLRNN_OK;

    if (!path)
        return clrnn_error_memory(clrnn_device_log(device), 0, "a path");
    if (access(path, F_OK) == 0)
        st = clrnn_checkpoint_read(device, path, &model, &state);
    if (st == CLRNN_OK && model && model->config->train.epochs != j->epochs) {
        model->config->train.epochs = j->epochs;
        state.finished = state.epoch == last_epoch;
        st = clrnn_checkpoint_write(model, &state, path);
    }
    clrnn_model_destroy(&model);
    free(path);
    return st;
}

static void train(void *user)
{
    struct job *j = user;
    const struct clrnn_sweep_params *p = j->sweep->params;
    const struct clrnn_log log = {.fn = clrnn_child_log, .user = &j->block->report, .level = CLRNN_LOG_ERROR};
    const struct clrnn_device_params device_params = {
        .select = p->device, .log = &log, .gemm = p->gemm, .no_tune = p->no_tune};
    const bool on = goes_on(j);
    const struct clrnn_train_params params = {
        .config = j->config,
        .out = on ? NULL : j->folder,
        .resume = on ? j->folder : NULL,
        .init = on ? NULL : p->init,
        .plot = p->plot,
        .no_watch = true,
        .progress = note_epoch,
        .progress_user = &j->block->report,
        .stop = &j->block->stop,
    };
    struct clrnn_device *device = NULL;
    struct clrnn_train_result result;
    enum clrnn_status st;

    clrnn_child_doing(&j->block->report, "opening the device");
    st = clrnn_device_open(&device_params, &device);
    j->block->opened = st == CLRNN_OK;
    clrnn_child_doing(&j->block->report, "reading the data");
    if (st == CLRNN_OK)
        st = clrnn_train(device, &params, &result);
    // best.safetensors and, after early stopping, last.safetensors may be from an earlier rung: they get this rung's
    // train.epochs
    if (st == CLRNN_OK && on)
        st = update(j, device, "best.safetensors", result.epochs);
    if (st == CLRNN_OK && on)
        st = update(j, device, "last.safetensors", result.epochs);
    clrnn_device_destroy(&device);
    j->block->status = st;
    j->block->ended = true;
}

// ---------------------------------------------------------------- starting

static void release(struct job *j)
{
    clrnn_config_destroy(&j->config);
    free(j->folder);
    j->folder = NULL;
    j->trial = NULL;
}

static enum clrnn_status prepare(struct clrnn_sweep *s, struct job *j)
{
    const struct clrnn_sweep_result *r = s->result;
    char **set = calloc(r->key_count + 1, sizeof(*set));
    enum clrnn_status st = set ? CLRNN_OK : CLRNN_ERR_MEMORY;

    for (size_t i = 0; st == CLRNN_OK && i <= r->key_count; i++) {
        set[i] = i < r->key_count ? clrnn_format("%s=%s", r->key[i], j->trial->value[i])
                                  : clrnn_format("train.epochs=%u", j->epochs);
        st = set[i] ? CLRNN_OK : CLRNN_ERR_MEMORY;
    }
    j->folder = clrnn_sweep_trial_folder(s, j->trial->number);
    if (st == CLRNN_OK && j->folder)
        st = clrnn_vary_config(s->log, s->params, r->key_count + 1, set, &j->config);
    else
        st = clrnn_error_memory(s->log, 0, "a trial");
    for (size_t i = 0; set && i <= r->key_count; i++)
        free(set[i]);
    free(set);
    return st;
}

static enum clrnn_status start(struct clrnn_sweep *s, struct job *j, struct clrnn_sweep_trial *trial, uint32_t epochs)
{
    enum clrnn_status st;

    j->trial = trial;
    j->epochs = epochs;
    memset(j->block, 0, sizeof(*j->block));
    st = prepare(s, j);
    if (st == CLRNN_OK)
        st = clrnn_child_start(s->log, train, j, &j->block->report, &j->child);
    if (st != CLRNN_OK)
        release(j);
    return st;
}

// ---------------------------------------------------------------- ending

struct reading {
    bool highest, best_epoch; // best_epoch: read the metric of the best epoch, not of the last
    uint32_t epochs;          // epochs that the trial has trained
    double value;
};

static void read_epoch(void *user, uint32_t epoch, double value)
{
    struct reading *r = user;
    const bool better = isnan(r->value) || (r->highest ? value > r->value : value < r->value);

    r->epochs = epoch;
    if (!r->best_epoch || better)
        r->value = value;
}

static void read_nan(void *user, uint32_t epoch, double value)
{
    uint32_t *first = user;

    if (!isfinite(value) && !*first)
        *first = epoch;
}

static enum clrnn_status fail(struct clrnn_sweep *s, struct clrnn_sweep_trial *t, const char *why)
{
    t->reason = strdup(why);
    return t->reason ? CLRNN_OK : clrnn_error_memory(s->log, strlen(why) + 1, "a trial");
}

// Fills in the metric of a job's trial whose training ended without an error: that of its last epoch or, with early
// stopping, of its best one. The trial fails if the metric is not finite.
static enum clrnn_status pass(struct clrnn_sweep *s, const struct job *j)
{
    struct clrnn_sweep_result *r = s->result;
    struct clrnn_sweep_trial *t = j->trial;
    struct reading reading = {.highest = r->highest, .best_epoch = j->config->train.early_stopping.on, .value = NAN};
    char why[128];

    TRY(clrnn_sweep_epochs(s, t->number, r->metric, j->epochs, read_epoch, &reading));
    if (!isfinite(reading.value)) {
        snprintf(why, sizeof(why), "%s is not finite after %u epochs", r->metric, reading.epochs);
        return fail(s, t, why);
    }
    t->rung[t->rungs++] = t->metric = reading.value;
    t->epochs = j->epochs;
    clrnn_search_say(s->params->progress, s->params->progress_user, "trial %u: %s %.6g after %u epochs", t->number,
                     r->metric, t->metric, reading.epochs);
    return CLRNN_OK;
}

// Whether a job failed for a reason that concerns every trial: the device cannot be opened, or the disk cannot be
// written. Such a failure ends the sweep.
static bool concerns_all(const struct block *b)
{
    return !b->opened || b->status == CLRNN_ERR_DISK;
}

static enum clrnn_status conclude(struct clrnn_sweep *s, struct job *j, const char *ending)
{
    struct clrnn_sweep_trial *t = j->trial;
    const struct block *b = j->block;
    char why[128];
    uint32_t first = 0;

    if (!b->ended)
        return fail(s, t, ending);
    if (b->status == CLRNN_OK)
        return pass(s, j);
    if (b->status == CLRNN_INTERRUPTED)
        return CLRNN_OK; // a later call of clrnn_sweep resumes the trial
    if (concerns_all(b))
        return clrnn_error(s->log, b->status, "trial %u: %s", t->number, b->report.error);
    if (b->status == CLRNN_FAILED) {
        TRY(clrnn_sweep_epochs(s, t->number, "train_loss", j->epochs, read_nan, &first));
        snprintf(why, sizeof(why), "the training loss is not finite from epoch %u on", first);
        return fail(s, t, why);
    }
    return fail(s, t, b->report.error[0] ? b->report.error : clrnn_status_text(b->status));
}

// Ends a job whose child has ended: fills in the trial's metric or reason, and writes sweep.json.
static enum clrnn_status end(struct clrnn_sweep *s, struct job *j)
{
    struct clrnn_sweep_trial *t = j->trial;
    char ending[CLRNN_ENDING_SIZE];
    enum clrnn_status st;

    clrnn_child_wait(&j->child, PATIENCE_S, NULL, ending);
    st = conclude(s, j, ending);
    if (st == CLRNN_OK && t->reason)
        clrnn_search_say(s->params->progress, s->params->progress_user, "trial %u failed: %s", t->number, t->reason);
    release(j);
    return st == CLRNN_OK ? clrnn_sweep_save(s, false) : st;
}

// ---------------------------------------------------------------- all trials of a rung

static bool stopped(const struct clrnn_sweep *s)
{
    return s->params->stop && *s->params->stop;
}

// Waits until a child ends, but at most LOOK_MS, so that the caller can check params->stop. Then calls end() for each
// job whose child has ended.
static enum clrnn_status wait_for_some(struct clrnn_sweep *s, struct job *job, struct pollfd *alive)
{
    enum clrnn_status st = CLRNN_OK;

    for (uint32_t i = 0; i < s->params->jobs; i++)
        alive[i] = (struct pollfd){.fd = job[i].trial ? job[i].child.alive : -1, .events = POLLIN};
    if (poll(alive, s->params->jobs, LOOK_MS) <= 0)
        return CLRNN_OK;
    for (uint32_t i = 0; i < s->params->jobs; i++)
        if (alive[i].fd >= 0 && alive[i].revents) {
            const enum clrnn_status ended = end(s, &job[i]);

            st = st == CLRNN_OK ? ended : st;
        }
    return st;
}

static bool busy(const struct job *job, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++)
        if (job[i].trial)
            return true;
    return false;
}

static enum clrnn_status run(struct clrnn_sweep *s, size_t rung, const size_t *trial, size_t count, struct job *job,
                             struct pollfd *alive)
{
    enum clrnn_status st = CLRNN_OK;
    size_t next = 0;

    while ((st == CLRNN_OK && !stopped(s) && next < count) || busy(job, s->params->jobs)) {
        for (uint32_t i = 0; i < s->params->jobs; i++) {
            if (st != CLRNN_OK || stopped(s))
                job[i].block->stop = 1; // the child writes a checkpoint and ends
            else if (!job[i].trial && next < count)
                st = start(s, &job[i], &s->result->trial[trial[next++]], s->result->budget[rung]);
        }
        const enum clrnn_status waited = wait_for_some(s, job, alive);

        st = st == CLRNN_OK ? waited : st;
    }
    return st == CLRNN_OK && stopped(s) ? CLRNN_INTERRUPTED : st;
}

enum clrnn_status clrnn_sweep_rung(struct clrnn_sweep *s, size_t rung, const size_t *trial, size_t count)
{
    const uint32_t jobs = s->params->jobs;
    struct job *job = calloc(jobs, sizeof(*job));
    struct pollfd *alive = calloc(jobs, sizeof(*alive));
    bool whole = job && alive;
    enum clrnn_status st;

    for (uint32_t i = 0; whole && i < jobs; i++) {
        job[i] = (struct job){.sweep = s, .block = clrnn_shared_create(sizeof(struct block))};
        whole = job[i].block;
    }
    st = whole ? run(s, rung, trial, count, job, alive) : clrnn_error_memory(s->log, 0, "the trials");
    for (uint32_t i = 0; job && i < jobs; i++)
        clrnn_shared_destroy(job[i].block, sizeof(struct block));
    free(job);
    free(alive);
    return st;
}
