// SPDX-License-Identifier: MIT
// Timing one training step and one inference of a config.
#include <math.h>
#include <stdlib.h>
#include <time.h>

#include "base/array.h"
#include "base/clock.h"
#include "clrnn/train.h"
#include "train/feed.h"
#include "train/loop.h"

enum { MOST_REPS = 64, FEWEST_REPS = 5 };

struct bench {
    struct clrnn_device *device;
    struct clrnn_model *model;
    struct clrnn_feed *feed;
    uint64_t epoch;
    enum clrnn_mode mode;
    struct clrnn_plan *plan; // of the last pass
};

static double thread_seconds(void)
{
    struct timespec now;

    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
    return (double)now.tv_sec + 1e-9 * (double)now.tv_nsec;
}

// Queues one pass over the next batch, through the epochs for ever.
static enum clrnn_status pass(struct bench *b)
{
    uint32_t samples;

    TRY(clrnn_feed_next(b->feed, b->mode, &b->plan, &samples));
    if (!b->plan) {
        TRY(clrnn_feed_start(b->feed, ++b->epoch, 0));
        TRY(clrnn_feed_next(b->feed, b->mode, &b->plan, &samples));
    }
    TRY(clrnn_model_begin_step(b->model, 0, b->mode == CLRNN_MODE_TRAIN));
    TRY(clrnn_plan_run(b->plan));
    return clrnn_device_flush(b->device);
}

// `count` passes and the wait for them; seconds of wall clock, and of this thread's processor.
static enum clrnn_status window(struct bench *b, uint32_t count, double *seconds, double *host_seconds)
{
    const double start = clrnn_clock(), host_start = thread_seconds();

    for (uint32_t i = 0; i < count; i++)
        TRY(pass(b));
    *host_seconds = thread_seconds() - host_start;
    TRY(clrnn_device_finish(b->device));
    *seconds = clrnn_clock() - start;
    return CLRNN_OK;
}

static int by_size(const void *a, const void *b)
{
    const double x = *(const double *)a, y = *(const double *)b;

    return (x > y) - (x < y);
}

// Windows of about a thirtieth of the time each, until it is spent.
static enum clrnn_status measure(struct bench *b, enum clrnn_mode mode,
                                 const struct clrnn_bench_params *params, struct clrnn_timing *ms,
                                 double *host_ms)
{
    const double wanted = params->seconds > 0 ? params->seconds : 2;
    double each[MOST_REPS], seconds, host, host_sum = 0, spent = 0;
    uint64_t passes = 0;
    uint32_t count;

    b->mode = mode;
    TRY(pass(b));
    TRY(clrnn_launches_chain(b->plan->launches)); // what long runs come to
    while (!clrnn_launches_settled(b->plan->launches))
        TRY(pass(b));
    TRY(window(b, params->warm_up ? params->warm_up : 10, &seconds, &host));
    TRY(window(b, 3, &seconds, &host));
    count = (uint32_t)fmin(fmax(wanted / 30 / (seconds / 3), 1), 1000);
    *ms = (struct clrnn_timing){.reps = 0};
    while (ms->reps < MOST_REPS && (spent < wanted || ms->reps < FEWEST_REPS)) {
        TRY(window(b, count, &seconds, &host));
        each[ms->reps++] = 1e3 * seconds / count;
        spent += seconds;
        host_sum += host;
        passes += count;
    }
    qsort(each, ms->reps, sizeof(*each), by_size);
    ms->median = ms->reps % 2 ? each[ms->reps / 2] : (each[ms->reps / 2 - 1] + each[ms->reps / 2]) / 2;
    ms->min = each[0];
    ms->max = each[ms->reps - 1];
    *host_ms = 1e3 * host_sum / (double)passes;
    return CLRNN_OK;
}

enum clrnn_status clrnn_bench(struct clrnn_device *device, const struct clrnn_config *config,
                              const struct clrnn_bench_params *params, struct clrnn_bench_result *result)
{
    const struct clrnn_log *log = clrnn_device_log(device);
    const double start = clrnn_clock();
    const struct clrnn_feed_params feeding = {
        .batch_size = config->train.batch_size, .drop_last = true, .seed = config->train.seed};
    struct bench b = {.device = device, .mode = CLRNN_MODE_TRAIN};
    struct clrnn_dataset *dataset = NULL;
    const struct clrnn_dataset_info *info;
    struct clrnn_data_shape shape;
    struct clrnn_plan_cost cost;
    double unused;
    enum clrnn_status st;

    *result = (struct clrnn_bench_result){.batch = config->train.batch_size};
    st = clrnn_dataset_open(log, config, &config->data.train, config->folder, "train", CLRNN_CHECK_ALL,
                            &dataset);
    if (st != CLRNN_OK)
        return st;
    info = clrnn_dataset_info(dataset);
    if (info->S < config->train.batch_size) {
        st =
            clrnn_error(log, CLRNN_ERR_DATA, "bench needs one whole batch of %u samples, the data set has %u",
                        config->train.batch_size, info->S);
        goto end;
    }
    shape = (struct clrnn_data_shape){.features = info->C, .tokens = info->tokens};
    if ((st = clrnn_model_create(device, config, &shape, &b.model)) != CLRNN_OK)
        goto end;
    if ((st = clrnn_feed_create(b.model, dataset, &feeding, &b.feed)) != CLRNN_OK)
        goto end;
    if ((st = clrnn_feed_start(b.feed, 0, 0)) != CLRNN_OK)
        goto end;
    if ((st = pass(&b)) != CLRNN_OK || (st = clrnn_device_finish(device)) != CLRNN_OK)
        goto end;
    result->first_step_s = clrnn_clock() - start;

    if ((st = measure(&b, CLRNN_MODE_TRAIN, params, &result->train_ms, &result->host_ms_per_step)) !=
        CLRNN_OK)
        goto end;
    cost = clrnn_plan_cost(b.plan);
    result->steps = info->T;
    result->features = info->C;
    result->launches_per_step = cost.launches;
    result->queued_per_step = cost.queued;
    result->flops = cost.flops;
    result->bytes = cost.bytes;
    result->gflops = 1e-6 * cost.flops / result->train_ms.median;
    result->gb_per_s = 1e-6 * cost.bytes / result->train_ms.median;
    result->samples_per_s = 1e3 * config->train.batch_size / result->train_ms.median;
    if ((st = measure(&b, CLRNN_MODE_PREDICT, params, &result->infer_ms, &unused)) != CLRNN_OK)
        goto end;
    cost = clrnn_plan_cost(b.plan);
    result->infer_flops = cost.flops;
    result->infer_gflops = 1e-6 * cost.flops / result->infer_ms.median;
    clrnn_device_memory(device, &(uint64_t){0}, &result->peak_device_bytes);

end:
    clrnn_feed_destroy(&b.feed);
    clrnn_model_destroy(&b.model);
    clrnn_dataset_close(&dataset);
    return st;
}
