// SPDX-License-Identifier: MIT
// Sessions step a model over the batches of a data set.
#include "train/session.h"

#include <math.h>
#include <stdlib.h>

#include "base/array.h"
#include "base/clock.h"
#include "base/words.h"
#include "model/layer.h"

#define QUEUE 64u             // most passes between two reads of their records
#define QUEUE_SECONDS 0.1     // intended seconds between two reads, so that `stop` takes effect soon
#define EVALUATED_AT_ONCE 64u // smallest batch size of an evaluation
#define RESIDENT_BYTES \
    (32u << 20) // largest set copied to the device for a few steps or one evaluation; a larger one is staged

// ---------------------------------------------------------------- data

static enum clrnn_status open_sets(const struct clrnn_log *log, const struct clrnn_config *config,
                                   enum clrnn_dataset_check check, struct clrnn_data_sets *data)
{
    const struct clrnn_train_config *train = &config->train;
    uint32_t S;

    TRY(clrnn_dataset_open_named(log, config, check, true, &data->train, &data->valid));
    S = clrnn_dataset_info(data->train)->S;
    data->batch = MIN2(MAX2(train->batch_size, 1u), S);
    TRY(clrnn_feed_count_steps(log, config, data->train, 1, &data->batches));
    if (train->stateful && !train->drop_last && S > data->batch && S % data->batch)
        return clrnn_error(log, CLRNN_ERR_CONFIG,
                           "train.stateful needs batches of the same N: %u samples are no multiple of "
                           "batch_size %u; change it or set drop_last: true",
                           S, data->batch);
    data->batches = MAX2(data->batches, 1);
    return CLRNN_OK;
}

enum clrnn_status clrnn_data_sets_open(const struct clrnn_log *log, const struct clrnn_config *config,
                                       enum clrnn_dataset_check check, struct clrnn_data_sets *data)
{
    enum clrnn_status st;

    *data = (struct clrnn_data_sets){0};
    st = open_sets(log, config, check, data);
    if (st != CLRNN_OK)
        clrnn_data_sets_close(data);
    return st;
}

void clrnn_data_sets_close(struct clrnn_data_sets *data)
{
    clrnn_dataset_close(&data->train);
    clrnn_dataset_close(&data->valid);
    free(data->mean);
    *data = (struct clrnn_data_sets){0};
}

enum clrnn_status clrnn_data_sets_moments(const struct clrnn_log *log, struct clrnn_data_sets *data)
{
    const size_t C = clrnn_dataset_info(data->train)->C;
    enum clrnn_status st;

    if (data->mean)
        return CLRNN_OK;
    data->mean = malloc(2 * C * sizeof(*data->mean));
    if (!data->mean)
        return clrnn_error_memory(log, 2 * C * sizeof(*data->mean), "data.normalize");
    data->std = data->mean + C;
    st = clrnn_dataset_moments(data->train, data->mean, data->std);
    if (st != CLRNN_OK) {
        free(data->mean);
        data->mean = NULL;
    }
    return st;
}

enum clrnn_status clrnn_data_sets_first_batch(const struct clrnn_log *log, const struct clrnn_config *config,
                                              const struct clrnn_data_sets *data, uint32_t count,
                                              struct clrnn_dataset **batch)
{
    const uint32_t S = clrnn_dataset_info(data->train)->S;
    const struct clrnn_feed_params params = clrnn_feed_as_trained(config);
    uint32_t *order = malloc(S * sizeof(*order));
    enum clrnn_status st;

    *batch = NULL;
    if (!order)
        return clrnn_error_memory(log, S * sizeof(*order), "one batch");
    st = clrnn_feed_order(log, data->train, &params, 0, order);
    if (st == CLRNN_OK)
        st = clrnn_dataset_view(data->train,
                                &(struct clrnn_view){.row = order, .count = MIN2(count ? count : data->batch, S)},
                                "one batch", batch);
    free(order);
    return st;
}

// ---------------------------------------------------------------- opening

static enum clrnn_status set_target_moments(struct clrnn_model *m, const struct clrnn_dataset *train)
{
    double *values = malloc(2 * m->targets * sizeof(*values));
    enum clrnn_status st;

    if (!values)
        return clrnn_error_memory(m->log, 2 * m->targets * sizeof(*values), "data.normalize_targets");
    st = clrnn_dataset_target_moments(train, values, values + m->targets);
    if (st == CLRNN_OK)
        st = clrnn_model_set_target_normalization(m, values, values + m->targets);
    free(values);
    return st;
}

// Sets *balanced to a copy of the config in which `weight: balanced` is replaced by the computed weights.
static enum clrnn_status balance(const struct clrnn_log *log, const struct clrnn_config *config,
                                 const struct clrnn_dataset *train, struct clrnn_config **balanced)
{
    struct clrnn_loss_config *loss;
    enum clrnn_status st;

    TRY(clrnn_config_copy(log, config, balanced));
    loss = &(*balanced)->train.loss;
    st = clrnn_dataset_balanced_weights(train, &loss->weight, &loss->weight_count);
    if (st != CLRNN_OK)
        clrnn_config_destroy(balanced);
    return st;
}

enum clrnn_status clrnn_session_model(struct clrnn_device *device, const struct clrnn_config *config,
                                      const struct clrnn_dataset *set, const char *init, bool partial,
                                      struct clrnn_data_sets *data, struct clrnn_model **model)
{
    const struct clrnn_dataset_info *info = clrnn_dataset_info(set);
    const struct clrnn_data_shape shape = {.features = info->C, .tokens = info->tokens, .steps = info->T};
    const struct clrnn_loss_config *loss = &config->train.loss;
    struct clrnn_config *balanced = NULL;
    enum clrnn_status st = CLRNN_OK;

    *model = NULL;
    if (loss->balanced && !loss->weight)
        st = balance(clrnn_device_log(device), config, data ? data->train : set, &balanced);
    if (st == CLRNN_OK)
        st = clrnn_model_create(device, balanced ? balanced : config, &shape, model);
    clrnn_config_destroy(&balanced);
    if (st == CLRNN_OK)
        st = clrnn_dataset_names(data ? data->train : set, &(*model)->names);
    if (st == CLRNN_OK && init)
        st = clrnn_model_init(*model, init, partial);
    if (st == CLRNN_OK && data && config->data.standard && !info->tokens) {
        st = clrnn_data_sets_moments(clrnn_device_log(device), data);
        if (st == CLRNN_OK)
            st = clrnn_model_set_normalization(*model, data->mean, data->std);
    }
    if (st == CLRNN_OK && data && clrnn_model_wants_target_normalization(*model))
        st = set_target_moments(*model, data->train);
    if (st != CLRNN_OK)
        clrnn_model_destroy(model);
    return st;
}

enum clrnn_status clrnn_session_count_run(struct clrnn_model *model, const struct clrnn_dataset *train)
{
    const struct clrnn_train_config *config = &model->config->train;
    uint64_t steps;

    if (config->scheduler.kind != CLRNN_SCHEDULER_ONE_CYCLE_LR || !config->scheduler.per_batch || !config->bptt)
        return CLRNN_OK;
    TRY(clrnn_feed_count_steps(model->log, model->config, train, config->epochs, &steps));
    clrnn_schedule_set_run(&model->schedule, config, steps);
    return CLRNN_OK;
}

static enum clrnn_status open(struct clrnn_session *s, const struct clrnn_session_params *p)
{
    struct clrnn_feed_params feed = p->feed;
    const struct clrnn_log *log = clrnn_device_log(s->device);

    TRY(clrnn_dataset_view(p->set, &p->view, clrnn_dataset_info(p->set)->name, &s->set));
    s->model = p->model;
    s->owns_model = !p->model;
    if (s->owns_model)
        TRY(clrnn_session_model(s->device, p->config, s->set, p->init, p->config->train.init_partial, p->data,
                                &s->model));
    s->config = s->model->config;
    feed.seed = s->config->train.seed;
    if (!feed.batch_size)
        feed.batch_size = s->config->train.batch_size;
    TRY(clrnn_batch_check(log, clrnn_dataset_info(s->set)->S, feed.batch_size, feed.drop_last));
    feed.parts = p->worker && s->config->train.shards > 1 ? s->config->train.shards : 0;
    TRY(clrnn_feed_create(s->model, s->set, &feed, &s->feed));
    if (feed.parts)
        TRY(clrnn_shards_create(s->model, s->feed, p->worker, &s->shards));
    s->batches = p->data ? p->data->batches : clrnn_feed_steps(s->feed);
    if (s->owns_model)
        clrnn_model_start_schedule(s->model, s->batches);
    return s->owns_model && p->data ? clrnn_session_count_run(s->model, p->data->train) : CLRNN_OK;
}

enum clrnn_status clrnn_session_open(struct clrnn_device *device, const struct clrnn_session_params *params,
                                     struct clrnn_session **session)
{
    struct clrnn_session *s = calloc(1, sizeof(*s));
    enum clrnn_status st;

    *session = NULL;
    if (!s)
        return clrnn_error_memory(clrnn_device_log(device), sizeof(*s), "a session");
    s->device = device;
    s->endless = params->endless;
    st = open(s, params);
    if (st != CLRNN_OK)
        clrnn_session_close(&s);
    *session = s;
    return st;
}

enum clrnn_status clrnn_session_open_training(struct clrnn_device *device, const struct clrnn_config *config,
                                              const char *init, struct clrnn_data_sets *data,
                                              struct clrnn_session **session)
{
    struct clrnn_session_params params = {
        .config = config,
        .init = init,
        .data = data,
        .set = data->train,
        .feed = clrnn_feed_as_trained(config),
        .endless = true,
    };

    params.feed.resident_bytes = RESIDENT_BYTES;
    return clrnn_session_open(device, &params, session);
}

// Sets s->plan to the plan of the next batch, without running the plan. After the last batch, an endless session begins
// the next epoch.
static enum clrnn_status next_plan(struct clrnn_session *s, enum clrnn_mode mode)
{
    TRY(clrnn_feed_next(s->feed, mode, &s->plan, &s->samples));
    if (s->plan || !s->endless)
        return CLRNN_OK;
    TRY(clrnn_session_begin_epoch(s, s->epoch + 1, 0));
    return clrnn_feed_next(s->feed, mode, &s->plan, &s->samples);
}

enum clrnn_status clrnn_session_of_one_batch(struct clrnn_device *device, const struct clrnn_config *config,
                                             enum clrnn_mode mode, struct clrnn_session **session)
{
    struct clrnn_session_params params = {.config = config, .feed = {.whole_steps = true}};
    const uint32_t shards = mode == CLRNN_MODE_SHARD ? config->train.shards : 1;
    enum clrnn_status st;

    *session = NULL;
    TRY(clrnn_dataset_open(clrnn_device_log(device), config, &config->data.train, config->folder, "train",
                           CLRNN_CHECK_SHAPES_ONLY, &params.set));
    params.view.count = MIN2(MAX2(config->train.batch_size, 1u), clrnn_dataset_info(params.set)->S);
    params.view.count = (params.view.count + shards - 1) / shards;
    st = clrnn_session_open(device, &params, session);
    if (st == CLRNN_OK && mode == CLRNN_MODE_SHARD)
        st = clrnn_model_cut((*session)->model, clrnn_bucket_bytes());
    if (st == CLRNN_OK)
        st = next_plan(*session, mode);
    if (st != CLRNN_OK)
        clrnn_session_close(session);
    clrnn_dataset_close(&params.set);
    return st;
}

void clrnn_session_close(struct clrnn_session **session)
{
    struct clrnn_session *s = *session;

    *session = NULL;
    if (!s)
        return;
    clrnn_shards_destroy(&s->shards);
    clrnn_feed_destroy(&s->feed);
    if (s->owns_model)
        clrnn_model_destroy(&s->model);
    clrnn_dataset_close(&s->set);
    free(s);
}

// ---------------------------------------------------------------- passes

enum clrnn_status clrnn_session_begin_epoch(struct clrnn_session *s, uint64_t epoch, uint32_t step)
{
    s->epoch = epoch;
    return s->shards ? clrnn_shards_start(s->shards, epoch, step) : clrnn_feed_start(s->feed, epoch, step);
}

static enum clrnn_status queue_shards(struct clrnn_session *s, uint32_t slot)
{
    s->plan = NULL;
    TRY(clrnn_feed_next_batch(s->feed, CLRNN_MODE_SHARD, &s->samples));
    if (!s->samples && s->endless) {
        TRY(clrnn_session_begin_epoch(s, s->epoch + 1, 0));
        TRY(clrnn_feed_next_batch(s->feed, CLRNN_MODE_SHARD, &s->samples));
    }
    if (!s->samples)
        return CLRNN_OK;
    s->weight = s->samples * clrnn_feed_share(s->feed, &s->fresh);
    TRY(clrnn_shards_step(s->shards, s->samples, slot, &s->plan));
    return clrnn_device_flush(s->device);
}

enum clrnn_status clrnn_session_queue(struct clrnn_session *s, enum clrnn_mode mode, uint32_t slot)
{
    if (s->shards)
        return queue_shards(s, slot);
    TRY(next_plan(s, mode));
    if (!s->plan)
        return CLRNN_OK;
    s->weight = s->samples * clrnn_feed_share(s->feed, &s->fresh);
    TRY(clrnn_model_begin_step(s->model, slot, clrnn_mode_trains(mode)));
    TRY(s->hook ? s->hook(s->user, s->plan) : clrnn_plan_run(s->plan));
    return clrnn_device_flush(s->device);
}

static void conclude(const struct clrnn_session *s, struct clrnn_session_record *r)
{
    r->loss = clrnn_unsigned_nan(r->sum[RECORD_LOSS] / r->sum[RECORD_WEIGHT]);
    r->accuracy =
        clrnn_loss_is_regression(s->config->train.loss.kind) ? NAN : r->sum[RECORD_CORRECT] / r->sum[RECORD_COUNT];
    r->grad_norm = NAN;
}

enum clrnn_status clrnn_session_step(struct clrnn_session *s, enum clrnn_mode mode, struct clrnn_session_record *record)
{
    record->lr = s->model->schedule.lr;
    TRY(clrnn_session_queue(s, mode, 0));
    if (!s->plan)
        return CLRNN_OK;
    TRY(clrnn_model_read_records(s->model, 0, 1, record->sum));
    conclude(s, record);
    if (mode == CLRNN_MODE_TRAIN || mode == CLRNN_MODE_GRADIENT)
        record->grad_norm = clrnn_unsigned_nan(record->sum[RECORD_NORM]);
    if (mode != CLRNN_MODE_TRAIN)
        return CLRNN_OK;
    s->step++;
    if (s->config->train.scheduler.per_batch) {
        if (s->config->train.scheduler.kind != CLRNN_SCHEDULER_REDUCE_LR_ON_PLATEAU ||
            record->sum[RECORD_WEIGHT] != 0.0) // if no label counts, there is no loss to judge
            clrnn_model_step_schedule(s->model, record->loss);
    } else if (s->endless && s->step % s->batches == 0)
        clrnn_session_end_epoch(s, record->loss);
    return CLRNN_OK;
}

void clrnn_session_end_epoch(struct clrnn_session *s, double metric)
{
    if (!s->config->train.scheduler.per_batch)
        clrnn_model_step_schedule(s->model, metric);
}

// ---------------------------------------------------------------- evaluation

static enum clrnn_status add_records(struct clrnn_session *s, uint32_t count, double sum[RECORD_FIELDS])
{
    double record[QUEUE * RECORD_FIELDS];

    TRY(clrnn_model_read_records(s->model, 0, count, record));
    for (uint32_t i = 0; i < count; i++)
        for (uint32_t field = 0; field < RECORD_FIELDS; field++)
            sum[field] += record[i * RECORD_FIELDS + field];
    return CLRNN_OK;
}

enum clrnn_status clrnn_session_pass(struct clrnn_session *s, const volatile sig_atomic_t *stop,
                                     struct clrnn_session_record *record)
{
    double since = clrnn_clock();
    uint32_t queued = 0, limit = 1;

    *record = (struct clrnn_session_record){.lr = s->model->schedule.lr};
    TRY(clrnn_session_begin_epoch(s, 0, 0));
    do {
        const bool stopped = stop && *stop;

        s->plan = NULL;
        if (!stopped)
            TRY(clrnn_session_queue(s, CLRNN_MODE_EVAL, queued));
        queued += s->plan != NULL;
        if (queued && (!s->plan || queued == limit)) {
            TRY(add_records(s, queued, record->sum));
            limit = (uint32_t)fmin(fmax(QUEUE_SECONDS * queued / fmax(clrnn_clock() - since, 1e-9), 1), QUEUE);
            since = clrnn_clock();
            queued = 0;
        }
    } while (s->plan);
    conclude(s, record);
    return CLRNN_OK;
}

enum clrnn_status clrnn_session_evaluate(struct clrnn_session *session, struct clrnn_dataset *set,
                                         const volatile sig_atomic_t *stop, struct clrnn_session_record *record)
{
    const struct clrnn_session_params params = {
        .model = session->model,
        .set = set,
        .feed = {.batch_size = MAX2(session->config->train.batch_size, EVALUATED_AT_ONCE),
                 .bucket = session->config->data.bucket,
                 .resident_bytes = RESIDENT_BYTES},
    };
    struct clrnn_session *s;
    enum clrnn_status st;

    TRY(clrnn_session_open(session->device, &params, &s));
    s->hook = session->hook;
    s->user = session->user;
    st = clrnn_session_pass(s, stop, record);
    clrnn_session_close(&s);
    return st;
}

enum clrnn_status clrnn_session_read(const struct clrnn_session *s, int tensor, double **values)
{
    const struct clrnn_tensor *t = &s->plan->graph->tensor[tensor];

    *values = malloc(MAX2(t->count, 1) * sizeof(**values));
    if (!*values)
        return clrnn_error_memory(s->model->log, t->count * sizeof(**values), t->name);
    return clrnn_buffer_read_f64(t->buffer, 0, t->count, *values);
}
