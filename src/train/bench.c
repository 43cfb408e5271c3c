// SPDX-License-Identifier: MIT
// Timing one training step and one inference of a config.
#include <math.h>
#include <stdlib.h>
#include <time.h>

#include "base/array.h"
#include "base/clock.h"
#include "base/stats.h"
#include "clrnn/train.h"
#include "train/session.h"

enum { MOST_REPS = 64, FEWEST_REPS = 5 };

static double thread_seconds(void)
{
    struct timespec now;

    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
    return (double)now.tv_sec + 1e-9 * (double)now.tv_nsec;
}

// Times `count` passes and the wait for them: seconds of wall clock, and of this thread's CPU time.
static enum clrnn_status window(struct clrnn_session *s, enum clrnn_mode mode, uint32_t count,
                                double *seconds, double *host_seconds)
{
    const double start = clrnn_clock(), host_start = thread_seconds();

    for (uint32_t i = 0; i < count; i++)
        TRY(clrnn_session_queue(s, mode, 0));
    *host_seconds = thread_seconds() - host_start;
    TRY(clrnn_device_finish(s->device));
    *seconds = clrnn_clock() - start;
    return CLRNN_OK;
}

// Measures windows of about a thirtieth of the time each, until the time is used up.
static enum clrnn_status measure(struct clrnn_session *s, enum clrnn_mode mode,
                                 const struct clrnn_bench_params *params, struct clrnn_timing *ms,
                                 double *host_ms)
{
    const double wanted = params->seconds > 0 ? params->seconds : 2;
    double each[MOST_REPS], seconds, host, host_sum = 0, spent = 0;
    uint64_t passes = 0;
    uint32_t count;

    TRY(clrnn_session_queue(s, mode, 0));
    TRY(clrnn_replay_chain(s->plan->replay)); // what long runs come to
    while (!clrnn_replay_settled(s->plan->replay))
        TRY(clrnn_session_queue(s, mode, 0));
    TRY(window(s, mode, params->warm_up ? params->warm_up : 10, &seconds, &host));
    TRY(window(s, mode, 3, &seconds, &host));
    count = (uint32_t)fmin(fmax(wanted / 30 / (seconds / 3), 1), 1000);
    *ms = (struct clrnn_timing){.reps = 0};
    while (ms->reps < MOST_REPS && (spent < wanted || ms->reps < FEWEST_REPS)) {
        TRY(window(s, mode, count, &seconds, &host));
        each[ms->reps++] = 1e3 * seconds / count;
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

static enum clrnn_status measure_both(struct clrnn_session *s, const struct clrnn_bench_params *params,
                                      struct clrnn_bench_result *r)
{
    struct clrnn_plan_cost cost;
    double unused;

    TRY(measure(s, CLRNN_MODE_TRAIN, params, &r->train_ms, &r->host_ms_per_step));
    cost = clrnn_plan_cost(s->plan);
    r->launches_per_step = cost.launches;
    r->queued_per_step = cost.queued;
    r->flops = cost.flops;
    r->bytes = cost.bytes;
    r->gflops = 1e-6 * cost.flops / r->train_ms.median;
    r->gb_per_s = 1e-6 * cost.bytes / r->train_ms.median;
    r->samples_per_s = 1e3 * s->config->train.batch_size / r->train_ms.median;
    TRY(measure(s, CLRNN_MODE_PREDICT, params, &r->infer_ms, &unused));
    cost = clrnn_plan_cost(s->plan);
    r->infer_flops = cost.flops;
    r->infer_gflops = 1e-6 * cost.flops / r->infer_ms.median;
    clrnn_device_memory(s->device, &(uint64_t){0}, &r->peak_device_bytes);
    return CLRNN_OK;
}

enum clrnn_status clrnn_bench(struct clrnn_device *device, const struct clrnn_config *config,
                              const struct clrnn_bench_params *params, struct clrnn_bench_result *result)
{
    NEED(clrnn_device_log(device), device);
    NEED(clrnn_device_log(device), config);
    NEED(clrnn_device_log(device), result);

    const struct clrnn_log *log = clrnn_device_log(device);
    const double start = clrnn_clock();
    struct clrnn_session_params session = {.config = config, .feed = {.drop_last = true}, .endless = true};
    const struct clrnn_dataset_info *info;
    struct clrnn_session *s = NULL;
    enum clrnn_status st;

    *result = (struct clrnn_bench_result){.batch = config->train.batch_size};
    TRY(clrnn_dataset_open(log, config, &config->data.train, config->folder, "train", CLRNN_CHECK_ALL,
                           &session.set));
    info = clrnn_dataset_info(session.set);
    result->steps = info->T;
    result->features = info->C;
    if (info->S < config->train.batch_size)
        st =
            clrnn_error(log, CLRNN_ERR_DATA, "bench needs one whole batch of %u samples, the data set has %u",
                        config->train.batch_size, info->S);
    else
        st = clrnn_session_open(device, &session, &s);
    if (st == CLRNN_OK)
        st = clrnn_session_queue(s, CLRNN_MODE_TRAIN, 0);
    if (st == CLRNN_OK)
        st = clrnn_device_finish(device);
    result->first_step_s = clrnn_clock() - start;
    if (st == CLRNN_OK)
        st = measure_both(s, params, result);
    clrnn_session_close(&s);
    clrnn_dataset_close(&session.set);
    return st;
}
