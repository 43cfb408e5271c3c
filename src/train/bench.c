// SPDX-License-Identifier: MIT
// Times one training step and one inference of a config, on one device or on several devices.
#include <math.h>
#include <stdlib.h>
#include <time.h>

#include "base/array.h"
#include "base/clock.h"
#include "base/stats.h"
#include "base/words.h"
#include "clrnn/train.h"
#include "train/session.h"

enum { MOST_REPS = 64, FEWEST_REPS = 5 };

struct bench {
    const struct clrnn_log *log;
    const struct clrnn_bench_params *params;
    uint32_t count;                                  // number of devices
    struct clrnn_team *team;                         // workers on all devices
    struct clrnn_data_sets data;                     // without a validation set
    struct clrnn_session *train[CLRNN_MOST_DEVICES]; // sessions that train, in shards if the config has train.shards
    struct clrnn_session *infer[CLRNN_MOST_DEVICES]; // sessions that infer with the same models; NULL: `train` infers
};

// A pass to be timed: one batch in each of `count` sessions. Training has one session, which leads all devices.
struct pass {
    struct clrnn_session *const *session;
    uint32_t count;
    enum clrnn_mode mode;
};

static double thread_seconds(void)
{
    struct timespec now;

    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
    return (double)now.tv_sec + 1e-9 * (double)now.tv_nsec;
}

static enum clrnn_status queue(const struct pass *p)
{
    for (uint32_t i = 0; i < p->count; i++)
        TRY(clrnn_session_queue(p->session[i], p->mode, 0));
    return CLRNN_OK;
}

// Runs `count` passes and waits until they are done. *seconds becomes the wall-clock time, *host_seconds the CPU time
// that this thread took to queue the passes.
static enum clrnn_status window(const struct pass *p, uint32_t count, double *seconds, double *host_seconds)
{
    const double start = clrnn_clock(), host_start = thread_seconds();

    for (uint32_t i = 0; i < count; i++)
        TRY(queue(p));
    *host_seconds = thread_seconds() - host_start;
    for (uint32_t i = 0; i < p->count; i++)
        TRY(clrnn_device_finish(p->session[i]->device));
    *seconds = clrnn_clock() - start;
    return CLRNN_OK;
}

// Runs passes until it is decided whether launches run as chains (device/list/replay.h). Long runs have the speed that
// follows this decision. Without shards, the chains are built and timed at once. With shards, each device decides by
// itself, as in a long run, and this function waits for that decision for at most `most_s` seconds.
static enum clrnn_status settle(const struct pass *p, double most_s)
{
    const double start = clrnn_clock();

    TRY(queue(p));
    for (uint32_t i = 0; i < p->count; i++) {
        struct clrnn_session *s = p->session[i];

        if (!s->shards)
            TRY(clrnn_replay_chain(s->plan->replay));
        while (!clrnn_replay_settled(s->plan->replay) && !(s->shards && clrnn_clock() - start > most_s))
            TRY(queue(p));
    }
    return CLRNN_OK;
}

// Times series of passes, each about 1/30 of params->seconds long, until params->seconds are used up. There are
// FEWEST_REPS to MOST_REPS series. *ms becomes the median, least and largest milliseconds per batch among the series,
// *host_ms this thread's CPU milliseconds per pass.
static enum clrnn_status measure(const struct bench *b, const struct pass *p, struct clrnn_timing *ms, double *host_ms)
{
    const double wanted = b->params->seconds > 0 ? b->params->seconds : 2;
    double each[MOST_REPS], seconds, host, host_sum = 0, spent = 0;
    uint64_t passes = 0;
    uint32_t count;

    TRY(settle(p, wanted));
    TRY(window(p, b->params->warm_up ? b->params->warm_up : 10, &seconds, &host));
    TRY(window(p, 3, &seconds, &host));
    count = (uint32_t)fmin(fmax(wanted / 30 / (seconds / 3), 1), 1000);
    *ms = (struct clrnn_timing){.reps = 0};
    while (ms->reps < MOST_REPS && (spent < wanted || ms->reps < FEWEST_REPS)) {
        TRY(window(p, count, &seconds, &host));
        each[ms->reps++] = 1e3 * seconds / count / p->count;
        spent += seconds;
        host_sum += host;
        passes += count;
    }
    ms->median = clrnn_median(each, ms->reps);
    ms->min = each[0];
    ms->max = each[ms->reps - 1];
    *host_ms = 1e3 * host_sum / (double)passes;
    return CLRNN_OK;
}

static enum clrnn_status measure_training(const struct bench *b, struct clrnn_bench_result *r)
{
    const struct clrnn_session *s = b->train[0];
    struct clrnn_plan_cost cost;

    TRY(measure(b, &(struct pass){b->train, 1, CLRNN_MODE_TRAIN}, &r->train_ms, &r->host_ms_per_step));
    cost = s->shards ? clrnn_shards_cost(s->shards) : clrnn_plan_cost(s->plan);
    r->launches_per_step = cost.launches;
    r->queued_per_step = cost.queued;
    r->flops = cost.flops;
    r->bytes = cost.bytes;
    r->gflops = 1e-6 * cost.flops / r->train_ms.median;
    r->gb_per_s = 1e-6 * cost.bytes / r->train_ms.median;
    r->samples_per_s = 1e3 * s->config->train.batch_size * clrnn_feed_batches_per_step(s->feed) / r->train_ms.median;
    return CLRNN_OK;
}

static enum clrnn_status follow(void *shards)
{
    return clrnn_shards_follow(shards);
}

// Measures training on all devices: the first device leads the steps, and the other devices compute their shards of
// each step. `called`: the time at which clrnn_bench was called, for first_step_s.
static enum clrnn_status measure_together(const struct bench *b, struct clrnn_bench_result *r, double called)
{
    struct clrnn_session *s = b->train[0];
    void *shards[CLRNN_MOST_DEVICES];
    enum clrnn_status st;

    for (uint32_t i = 0; i < b->count; i++)
        shards[i] = b->train[i]->shards;
    st = clrnn_team_start(b->team, follow, shards);
    if (st == CLRNN_OK)
        st = clrnn_session_begin_epoch(s, 0, 0);
    if (st == CLRNN_OK)
        st = clrnn_session_queue(s, CLRNN_MODE_TRAIN, 0);
    if (st == CLRNN_OK)
        st = clrnn_device_finish(s->device);
    r->first_step_s = clrnn_clock() - called;
    if (st == CLRNN_OK)
        st = measure_training(b, r);
    if (st == CLRNN_OK && s->shards)
        st = clrnn_shards_end(s->shards, st);
    return clrnn_team_join(b->team, st);
}

// Measures inference on whole batches that the devices take in turn, as in clrnn_eval.
static enum clrnn_status measure_inference(struct bench *b, struct clrnn_bench_result *r)
{
    struct clrnn_session_params params = {.set = b->data.train, .feed = {.drop_last = true}, .endless = true};
    struct clrnn_plan_cost cost;
    double unused;

    for (uint32_t i = 0; i < b->count && b->train[0]->shards; i++) {
        params.model = b->train[i]->model;
        TRY(clrnn_session_open(b->train[i]->device, &params, &b->infer[i]));
    }
    TRY(measure(b, &(struct pass){b->train[0]->shards ? b->infer : b->train, b->count, CLRNN_MODE_PREDICT},
                &r->infer_ms, &unused));
    cost = clrnn_plan_cost((b->infer[0] ? b->infer : b->train)[0]->plan);
    r->infer_flops = cost.flops;
    r->infer_gflops = 1e-6 * cost.flops / r->infer_ms.median;
    return CLRNN_OK;
}

// Opens the data and, on each device, a session with its own model.
static enum clrnn_status open_all(struct bench *b, struct clrnn_device *const *device,
                                  const struct clrnn_config *config, struct clrnn_bench_result *r)
{
    struct clrnn_session_params params = {.config = config, .feed = {.drop_last = true}, .endless = true};
    const struct clrnn_dataset_info *info;

    TRY(clrnn_team_create(b->log, device, b->count, &b->team));
    TRY(clrnn_shards_check(b->log, config, b->count));
    TRY(clrnn_dataset_open(b->log, config, &config->data.train, config->folder, "train", CLRNN_CHECK_ALL,
                           &b->data.train));
    info = clrnn_dataset_info(b->data.train);
    r->steps = info->T;
    r->features = info->C;
    if (info->S < config->train.batch_size)
        return clrnn_error(b->log, CLRNN_ERR_DATA, "bench needs one whole batch of %u samples, the data set has %u",
                           config->train.batch_size, info->S);
    TRY(clrnn_feed_count_steps(b->log, config, b->data.train, 1, &b->data.batches));
    params.data = &b->data;
    params.set = b->data.train;
    for (uint32_t i = 0; i < b->count; i++) {
        params.worker = clrnn_team_worker(b->team, i);
        TRY(clrnn_session_open(device[i], &params, &b->train[i]));
    }
    return CLRNN_OK;
}

static void close_all(struct bench *b)
{
    for (uint32_t i = 0; i < b->count; i++)
        clrnn_session_close(&b->infer[i]);
    for (uint32_t i = 0; i < b->count; i++)
        clrnn_session_close(&b->train[i]);
    clrnn_data_sets_close(&b->data);
    clrnn_team_destroy(&b->team);
}

enum clrnn_status clrnn_bench(struct clrnn_device *device, const struct clrnn_config *config,
                              const struct clrnn_bench_params *params, struct clrnn_bench_result *result)
{
    CLRNN_C_LOCALE;
    NEED(clrnn_device_log(device), device);
    NEED(clrnn_device_log(device), config);
    NEED(clrnn_device_log(device), result);
    NEED(clrnn_device_log(device), params);

    const double called = clrnn_clock();
    struct clrnn_device *devices[CLRNN_MOST_DEVICES];
    struct bench b = {.log = clrnn_device_log(device), .params = params};
    enum clrnn_status st;

    *result = (struct clrnn_bench_result){.batch = config->train.batch_size};
    TRY(clrnn_team_devices(device, params->further, params->further_count, devices));
    b.count = (uint32_t)params->further_count + 1;
    st = open_all(&b, devices, config, result);
    if (st == CLRNN_OK)
        st = measure_together(&b, result, called);
    if (st == CLRNN_OK)
        st = measure_inference(&b, result);
    for (uint32_t i = 0; i < b.count; i++) {
        uint64_t bytes;

        clrnn_device_memory(devices[i], NULL, &bytes);
        result->peak_device_bytes = MAX2(result->peak_device_bytes, bytes);
    }
    close_all(&b);
    return st;
}
