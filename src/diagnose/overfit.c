// SPDX-License-Identifier: MIT
// Overfits one batch: the first test of a model that does not learn.
#include "diagnose/overfit.h"

#include <math.h>
#include <stdlib.h>

#include "base/array.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/words.h"
#include "diagnose/floor.h"
#include "diagnose/thresholds.h"

#define DEFAULT_STEPS 1000u
#define DEFAULT_TARGET 0.01
#define ABOVE_FLOOR 0.05     // the default target exceeds the floor by this fraction of the floor
#define STILL_STEPS 10u      // number of steps with a gradient of exactly 0 after which nothing will change
#define LATE_STILL_STEPS 50u // the same if there was a gradient before: the optimiser's moments may still move weights
#define WRONG_STEPS 50u      // a run that cannot reach its target ends after so many steps at the floor, or below 0

// ---------------------------------------------------------------- when to end

struct overfitting {
    struct clrnn_session *session;
    const struct clrnn_overfit_task *task;
    struct clrnn_overfit_result *r;
    uint32_t still; // number of consecutive steps, up to the latest one, with a gradient of exactly 0
    // if the target cannot be reached: number of steps whose loss is at the floor, or below 0 if there is no floor
    uint32_t at_floor;
    double started; // on clrnn_clock
};

// Whether weight decay moves weights even without a gradient.
static bool decays(const struct clrnn_session *t)
{
    return t->config->train.optimizer.weight_decay != 0.0;
}

static bool ends(struct overfitting *c, const struct clrnn_session_record *record)
{
    struct clrnn_overfit_result *r = c->r;
    const double grad_norm = record->grad_norm;
    const bool never = c->still == r->steps; // no step had a gradient

    r->reached = !r->cannot && r->last_loss < r->target;
    if (r->reached)
        return true;
    if (record->sum[RECORD_WEIGHT] == 0.0) {
        r->ended = "all labels are ignored, missing or of weight 0";
        return true;
    }
    if (!isfinite(r->last_loss) || !isfinite(grad_norm)) {
        r->ended = isfinite(r->last_loss) ? "the gradient is not finite" : "the loss is not finite";
        return true;
    }
    if (c->still >= (never ? STILL_STEPS : LATE_STILL_STEPS) && !decays(c->session)) {
        r->ended = "the gradient is exactly 0: no step changes a weight";
        return true;
    }
    c->at_floor += r->cannot && (isfinite(r->floor) ? r->last_loss < r->floor + DEFAULT_TARGET : r->last_loss < 0.0);
    if (c->at_floor >= WRONG_STEPS) {
        r->ended = isfinite(r->floor) ? "the loss is as low as it can get" : "the loss is below 0";
        return true;
    }
    if (c->task->seconds > 0.0 && clrnn_clock() - c->started > c->task->seconds) {
        r->ended = "the time is up";
        return true;
    }
    return false;
}

// ---------------------------------------------------------------- steps

// Returns the mean of the losses. *variance: the variance of that mean.
static double mean(const double *loss, size_t count, double *variance)
{
    double sum = 0.0, square = 0.0, m;

    for (size_t i = 0; i < count; i++)
        sum += loss[i];
    m = sum / (double)count;
    for (size_t i = 0; i < count; i++)
        square += (loss[i] - m) * (loss[i] - m);
    *variance = square / ((double)count * (double)count);
    return m;
}

// Whether the mean loss still fell from the third to the last quarter of the run, by more than noise from dropout.
static bool still_falls(const struct clrnn_overfit_result *r)
{
    const size_t quarter = r->curve_count / 4;
    double before, last, noise[2];

    if (r->reached || quarter < 2 || !isfinite(r->last_loss) || !isfinite(r->floor))
        return false;
    before = mean(r->curve + r->curve_count - 2 * quarter, quarter, &noise[0]);
    last = mean(r->curve + r->curve_count - quarter, quarter, &noise[1]);
    return before - last > clrnn_threshold.overfit_still * (before - r->floor) &&
           before - last > 3.0 * sqrt(noise[0] + noise[1]);
}

static enum clrnn_status keep(struct overfitting *c, double loss)
{
    struct clrnn_overfit_result *r = c->r;

    if (!ARRAY_GROW(r->curve, r->curve_count))
        return clrnn_error_memory(c->session->model->log, 2 * r->curve_count * sizeof(*r->curve), "the loss curve");
    r->curve[r->curve_count++] = loss;
    return CLRNN_OK;
}

static enum clrnn_status run(struct overfitting *c)
{
    const struct clrnn_overfit_task *task = c->task;
    struct clrnn_overfit_result *r = c->r;

    r->lowest_loss = INFINITY;
    c->started = clrnn_clock();
    while (r->steps < task->steps) {
        struct clrnn_session_record record;

        if (task->stop && *task->stop)
            return CLRNN_INTERRUPTED;
        TRY(clrnn_session_step(c->session, CLRNN_MODE_TRAIN, &record));
        if (!r->steps) {
            r->first_loss = record.loss;
            r->grad_norm_first = record.grad_norm;
        }
        TRY(keep(c, record.loss));
        r->steps++;
        r->last_loss = record.loss;
        r->last_lr = record.lr;
        r->lowest_loss = fmin(r->lowest_loss, record.loss);
        r->accuracy = record.accuracy;
        c->still = record.grad_norm == 0.0 ? c->still + 1 : 0;
        if (ends(c, &record))
            break;
    }
    r->falling = still_falls(r);
    return CLRNN_OK;
}

static void choose_target(const struct clrnn_overfit_task *task, const struct clrnn_loss_floor *floor,
                          struct clrnn_overfit_result *r)
{
    const double low = DEFAULT_TARGET * floor->scale;

    r->floor = floor->floor;
    r->floor_reason = floor->reason;
    r->target = task->target > 0.0 ? task->target
                : floor->blocked   ? low
                                   : floor->floor + fmax(low, ABOVE_FLOOR * floor->floor);
    r->cannot = floor->blocked && !(floor->floor >= 0.0 && floor->floor < r->target);
}

enum clrnn_status clrnn_overfit_batch(struct clrnn_device *device, const struct clrnn_overfit_task *task,
                                      struct clrnn_overfit_result *result)
{
    const struct clrnn_session_params params = {
        .config = task->config,
        .init = task->init,
        .data = task->data,
        .set = task->batch,
        .feed = {.batch_size = clrnn_dataset_info(task->batch)->S, .bucket = task->config->data.bucket},
        .endless = true,
    };
    struct overfitting c = {.task = task, .r = result};
    struct clrnn_loss_floor floor;
    enum clrnn_status st;

    *result = (struct clrnn_overfit_result){.samples = params.feed.batch_size, .accuracy = NAN, .last_loss = NAN};
    st = clrnn_session_open(device, &params, &c.session);
    if (st == CLRNN_OK)
        st = clrnn_loss_floor(c.session->model, task->batch, &floor);
    if (st == CLRNN_OK) {
        choose_target(task, &floor, result);
        result->classes = floor.classes;
        st = run(&c);
    }
    clrnn_session_close(&c.session);
    return st;
}

// ---------------------------------------------------------------- for a config

static enum clrnn_status overfit(struct clrnn_device *device, const struct clrnn_config *config,
                                 const struct clrnn_overfit_params *params, struct clrnn_overfit_result *result)
{
    const struct clrnn_log *log = clrnn_device_log(device);
    struct clrnn_overfit_task task = {
        .config = config,
        .init = params->init,
        .steps = params->steps ? params->steps : DEFAULT_STEPS,
        .target = params->target,
        .stop = params->stop,
    };
    struct clrnn_data_sets data;
    enum clrnn_status st;

    TRY(clrnn_data_sets_open(log, config, CLRNN_CHECK_ALL, &data));
    task.data = &data;
    st = clrnn_data_sets_first_batch(log, config, &data, params->samples, &task.batch);
    if (st == CLRNN_OK)
        st = clrnn_overfit_batch(device, &task, result);
    if (st == CLRNN_OK && result->classes == 1)
        clrnn_log(log, CLRNN_LOG_WARNING,
                  "the %u samples of this batch have one label only, which any constant "
                  "answer learns by heart: set train.shuffle=true, or take more by --samples",
                  result->samples);
    clrnn_dataset_close(&task.batch);
    clrnn_data_sets_close(&data);
    return st;
}

// Makes a copy of a config without dropout and scheduler.
static enum clrnn_status make_plain(const struct clrnn_log *log, const struct clrnn_config *config,
                                    struct clrnn_config **plain)
{
    TRY(clrnn_config_copy(log, config, plain));
    for (size_t i = 0; i < (*plain)->layer_count; i++) {
        struct clrnn_layer *layer = &(*plain)->layer[i];

        if (layer->kind == CLRNN_LAYER_DROPOUT)
            layer->p = 0.0;
        layer->dropout = layer->recurrent_dropout = 0.0;
    }
    (*plain)->train.scheduler.kind = CLRNN_SCHEDULER_NONE;
    return CLRNN_OK;
}

enum clrnn_status clrnn_overfit(struct clrnn_device *device, const struct clrnn_config *config,
                                const struct clrnn_overfit_params *params, struct clrnn_overfit_result *result)
{
    CLRNN_C_LOCALE;
    NEED(clrnn_device_log(device), device);
    NEED(clrnn_device_log(device), config);
    NEED(clrnn_device_log(device), params);
    NEED(clrnn_device_log(device), result);

    struct clrnn_config *plain = NULL;
    enum clrnn_status st = CLRNN_OK;

    *result = (struct clrnn_overfit_result){0};
    if (params->plain)
        st = make_plain(clrnn_device_log(device), config, &plain);
    if (st == CLRNN_OK)
        st = overfit(device, plain ? plain : config, params, result);
    clrnn_config_destroy(&plain);
    if (st != CLRNN_OK)
        clrnn_overfit_finish(result);
    return st;
}

void clrnn_overfit_finish(struct clrnn_overfit_result *result)
{
    if (!result)
        return;

    free(result->curve);
    *result = (struct clrnn_overfit_result){0};
}
