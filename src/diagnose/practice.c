// SPDX-License-Identifier: MIT
// Models that are made to be looked at for some steps.
#include "diagnose/practice.h"

#include <math.h>
#include <stdlib.h>

#include "base/array.h"
#include "base/log.h"
#include "train/session.h"

#define EVALUATED_AT_ONCE 64u
#define RESIDENT_BYTES (32u << 20) // larger sets are staged batch by batch: practice sees little of them

// ---------------------------------------------------------------- data

enum clrnn_status clrnn_practice_data_open(const struct clrnn_log *log, const struct clrnn_config *config,
                                           struct clrnn_practice_data *data)
{
    const struct clrnn_train_config *train = &config->train;
    const struct clrnn_dataset_info *info;
    enum clrnn_status st;

    *data = (struct clrnn_practice_data){0};
    st = clrnn_dataset_open_named(log, config, CLRNN_CHECK_ALL, &data->train, &data->valid);
    if (st != CLRNN_OK)
        goto fail;
    info = clrnn_dataset_info(data->train);
    data->batch = MIN2(MAX2(train->batch_size, 1u), info->S);
    data->batches = MAX2(clrnn_batch_count(info->S, train->batch_size, train->drop_last), 1u);
    if (!config->data.standard || info->tokens)
        return CLRNN_OK;
    data->mean = malloc(info->C * sizeof(*data->mean));
    data->std = malloc(info->C * sizeof(*data->std));
    st = data->mean && data->std ? clrnn_dataset_moments(data->train, data->mean, data->std)
                                 : clrnn_error_memory(log, 16 * (size_t)info->C, "data.normalize");
    if (st == CLRNN_OK)
        return st;

fail:
    clrnn_practice_data_close(data);
    return st;
}

void clrnn_practice_data_close(struct clrnn_practice_data *data)
{
    clrnn_dataset_close(&data->train);
    clrnn_dataset_close(&data->valid);
    free(data->mean);
    free(data->std);
    *data = (struct clrnn_practice_data){0};
}

// ---------------------------------------------------------------- one batch

enum clrnn_status clrnn_practice_first_batch(struct clrnn_device *device, const struct clrnn_config *config,
                                             const struct clrnn_practice_data *data, uint32_t count,
                                             struct clrnn_dataset **batch)
{
    return clrnn_data_sets_first_batch(clrnn_device_log(device), config,
                                       &(struct clrnn_data_sets){.train = data->train, .batch = data->batch},
                                       count, batch);
}

enum clrnn_status clrnn_practice_plain(const struct clrnn_log *log, const struct clrnn_config *config,
                                       struct clrnn_config **plain)
{
    TRY(clrnn_config_copy(log, config, plain));
    for (size_t i = 0; i < (*plain)->layer_count; i++) {
        struct clrnn_layer *layer = &(*plain)->layer[i];

        if (layer->kind == CLRNN_LAYER_DROPOUT)
            layer->p = 0.0;
        layer->dropout = 0.0;
    }
    (*plain)->train.scheduler.kind = CLRNN_SCHEDULER_NONE;
    return CLRNN_OK;
}

// ---------------------------------------------------------------- a model at practice

static enum clrnn_status prepare(struct clrnn_practice *t, const struct clrnn_practice_params *p)
{
    const struct clrnn_dataset_info *info = clrnn_dataset_info(p->set);
    const struct clrnn_data_shape shape = {.features = info->C, .tokens = info->tokens};
    const struct clrnn_feed_params feed = {
        .batch_size = p->batch_size ? p->batch_size : p->config->train.batch_size,
        .shuffle = p->shuffle,
        .drop_last = p->drop_last,
        .bucket = p->config->data.bucket,
        .seed = p->config->train.seed,
        .resident_bytes = RESIDENT_BYTES,
    };

    TRY(clrnn_model_create(t->device, p->config, &shape, &t->model));
    t->config = t->model->config;
    if (p->init)
        TRY(clrnn_model_init(t->model, p->init, false));
    if (p->data->mean)
        TRY(clrnn_model_set_normalization(t->model, p->data->mean, p->data->std));
    TRY(clrnn_batch_check(t->model->log, info->S, feed.batch_size, feed.drop_last));
    TRY(clrnn_feed_create(t->model, p->set, &feed, &t->feed));
    clrnn_model_start_schedule(t->model, t->batches);
    return CLRNN_OK;
}

enum clrnn_status clrnn_practice_create(struct clrnn_device *device,
                                        const struct clrnn_practice_params *params,
                                        struct clrnn_practice **practice)
{
    struct clrnn_practice *t = calloc(1, sizeof(*t));
    enum clrnn_status st;

    *practice = NULL;
    if (!t)
        return clrnn_error_memory(clrnn_device_log(device), sizeof(*t), "a practice run");
    t->device = device;
    t->batches = params->data->batches;
    st = prepare(t, params);
    if (st != CLRNN_OK)
        clrnn_practice_destroy(&t);
    *practice = t;
    return st;
}

void clrnn_practice_destroy(struct clrnn_practice **practice)
{
    struct clrnn_practice *t = *practice;

    *practice = NULL;
    if (!t)
        return;
    clrnn_feed_destroy(&t->feed);
    clrnn_model_destroy(&t->model);
    free(t);
}

// ---------------------------------------------------------------- steps

static enum clrnn_status run_batch(struct clrnn_practice *t, struct clrnn_plan *plan, bool training,
                                   double record[RECORD_FIELDS])
{
    t->plan = plan;
    TRY(clrnn_model_begin_step(t->model, 0, training));
    TRY(t->run ? t->run(t->run_user, plan) : clrnn_plan_run(plan));
    TRY(clrnn_device_flush(t->device));
    return clrnn_model_read_records(t->model, 0, 1, record);
}

static void step_schedule(struct clrnn_practice *t, double loss)
{
    const struct clrnn_scheduler_config *c = &t->config->train.scheduler;

    if (c->kind == CLRNN_SCHEDULER_NONE || t->schedule_over || (!c->per_batch && t->step % t->batches))
        return;
    t->schedule_over = !clrnn_schedule_step(&t->model->schedule, &t->config->train, t->batches, loss);
}

static bool is_regression(const struct clrnn_practice *t)
{
    return t->config->train.loss.kind == CLRNN_LOSS_MSE;
}

enum clrnn_status clrnn_practice_step(struct clrnn_practice *t, enum clrnn_mode mode,
                                      struct clrnn_practice_record *record)
{
    double r[RECORD_FIELDS];
    struct clrnn_plan *plan;
    uint32_t samples;

    TRY(clrnn_feed_next(t->feed, mode, &plan, &samples));
    if (!plan) {
        TRY(clrnn_feed_start(t->feed, ++t->epoch, 0));
        TRY(clrnn_feed_next(t->feed, mode, &plan, &samples));
    }
    record->lr = t->model->schedule.lr;
    TRY(run_batch(t, plan, mode == CLRNN_MODE_TRAIN || mode == CLRNN_MODE_GRADIENT, r));
    record->loss = r[RECORD_LOSS] / r[RECORD_WEIGHT];
    record->accuracy = is_regression(t) ? NAN : r[RECORD_CORRECT] / r[RECORD_COUNT];
    record->grad_norm = mode == CLRNN_MODE_EVAL ? NAN : r[RECORD_NORM];
    if (mode != CLRNN_MODE_TRAIN)
        return CLRNN_OK;
    t->step++;
    step_schedule(t, record->loss);
    return CLRNN_OK;
}

static enum clrnn_status sum_up(struct clrnn_practice *t, struct clrnn_feed *feed,
                                const volatile sig_atomic_t *stop, double sum[RECORD_FIELDS])
{
    double r[RECORD_FIELDS];
    struct clrnn_plan *plan;
    uint32_t samples;

    while (!(stop && *stop)) {
        TRY(clrnn_feed_next(feed, CLRNN_MODE_EVAL, &plan, &samples));
        if (!plan)
            break;
        TRY(run_batch(t, plan, false, r));
        for (int i = 0; i < RECORD_FIELDS; i++)
            sum[i] += r[i];
    }
    return CLRNN_OK;
}

enum clrnn_status clrnn_practice_evaluate(struct clrnn_practice *t, const struct clrnn_dataset *set,
                                          const volatile sig_atomic_t *stop,
                                          struct clrnn_practice_record *record)
{
    const struct clrnn_feed_params params = {.batch_size =
                                                 MAX2(t->config->train.batch_size, EVALUATED_AT_ONCE),
                                             .bucket = t->config->data.bucket,
                                             .resident_bytes = RESIDENT_BYTES};
    struct clrnn_feed *feed;
    double sum[RECORD_FIELDS] = {0}, mean;
    enum clrnn_status st;

    TRY(clrnn_feed_create(t->model, set, &params, &feed));
    st = sum_up(t, feed, stop, sum);
    clrnn_feed_destroy(&feed);
    mean = sum[RECORD_Y] / sum[RECORD_COUNT];
    *record = (struct clrnn_practice_record){
        .loss = sum[RECORD_LOSS] / sum[RECORD_WEIGHT],
        .accuracy = is_regression(t) ? NAN : sum[RECORD_CORRECT] / sum[RECORD_COUNT],
        .grad_norm = NAN,
        .lr = t->model->schedule.lr,
        .spread = sum[RECORD_YY] / sum[RECORD_COUNT] - mean * mean,
    };
    return st;
}
