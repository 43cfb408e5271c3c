// SPDX-License-Identifier: MIT
// Runs the training of a comparison on one device, in a child process.
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/array.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/random.h"
#include "base/stats.h"
#include "verify/compare.h"

#define DISTURBANCE 0x1p-21 // 4 units in the last place of float32
#define BENCH_SECONDS 0.6   // seconds of training steps, and as many seconds of inference, to measure speed
#define SLOW_STEP_S 0.25    // with slower steps, the speed is taken from the steps of the run itself

// ---------------------------------------------------------------- at the start

// Rounds the reference's initial weights to float32, in which a device stores them.
static enum clrnn_status round_weights(struct clrnn_model *m)
{
    for (size_t i = 0; i < m->entry_count; i++) {
        const size_t count = m->entry[i].param.count;
        double *values = malloc(MAX2(count, 1) * sizeof(*values));
        enum clrnn_status st = values ? clrnn_model_read(m, i, values)
                                      : clrnn_error_memory(m->log, count * sizeof(*values), m->entry[i].param.name);

        for (size_t k = 0; st == CLRNN_OK && k < count; k++)
            values[k] = (float)values[k];
        if (st == CLRNN_OK)
            st = clrnn_model_write(m, i, values);
        free(values);
        TRY(st);
    }
    return CLRNN_OK;
}

enum clrnn_status clrnn_compare_open(const struct clrnn_compare *c, struct clrnn_device *device,
                                     struct clrnn_session **session)
{
    struct clrnn_data_sets data = c->data;
    enum clrnn_status st;

    TRY(clrnn_session_open_training(device, c->config, c->params->init, &data, session));
    st = clrnn_device_is_ref(device) ? round_weights((*session)->model) : CLRNN_OK;
    if (st != CLRNN_OK)
        clrnn_session_close(session);
    return st;
}

// ---------------------------------------------------------------- the reference, op by op

struct disturbed {
    struct clrnn_compare_block *block;
    uint32_t run;   // number of the perturbed run, which seeds the perturbation; 0: nothing is perturbed
    uint32_t count; // number of passes so far
};

// Perturbs an op's outputs by up to 4 units in the last place of float32, as rounding on a device may.
static void disturb(const struct clrnn_plan *p, const struct clrnn_op *op, struct clrnn_random *r)
{
    uint64_t drawn = 0;

    for (int slot = 0; slot < CLRNN_OP_MAX_OUT; slot++) {
        struct clrnn_buffer *b = clrnn_out(p->graph, op, slot);
        const bool disturbed = b && !clrnn_op_is_record(op, slot) && clrnn_buffer_type(b) == CLRNN_REAL;
        double *v = disturbed ? clrnn_buffer_host(b) : NULL;

        for (size_t i = 0; v && i < clrnn_buffer_count(b); i++)
            v[i] *= 1 + DISTURBANCE * (2 * (double)clrnn_random_uniform(r, drawn++) - 1);
    }
}

static enum clrnn_status run_on_ref(void *user, struct clrnn_plan *p)
{
    struct disturbed *d = user;

    d->count++;
    for (size_t i = 0; i < p->graph->op_count; i++) {
        const struct clrnn_op *op = &p->graph->op[i];
        struct clrnn_random r = {d->run, RANDOM_PROBE, d->count, (uint32_t)i};

        clrnn_child_doing(&d->block->report, "running %s %s on the reference", clrnn_op_name(op->kind), op->layer);
        TRY(clrnn_launches_run_part(p->launches, p->op_launch[i], p->op_launch[i + 1]));
        if (d->run)
            disturb(p, op, &r);
    }
    if (p->params.mode == CLRNN_MODE_TRAIN)
        p->model->steps++;
    return CLRNN_OK;
}

// ---------------------------------------------------------------- the run

static enum clrnn_status keep_first_step(const struct clrnn_compare *c, struct clrnn_session *t,
                                         struct clrnn_compare_block *b)
{
    const struct clrnn_tensor *out = &t->plan->graph->tensor[t->plan->output];
    struct clrnn_model *m = t->model;
    size_t trained = 0;

    b->logit_count = (uint32_t)MIN2(out->count, c->logit_capacity);
    TRY(clrnn_buffer_read_f64(out->buffer, 0, b->logit_count, b->logits));
    for (size_t i = 0; i < m->entry_count; i++)
        if (m->entry[i].param.trained)
            TRY(clrnn_model_read_grad(m, i, b->grads + c->grad_first[trained++]));
    return CLRNN_OK;
}

// Writes the cost and the times of a step to *b. `each` [count]: the seconds of each step after the first; they are
// sorted here.
static void time_steps(const struct clrnn_session *t, double *each, uint32_t count, struct clrnn_compare_block *b)
{
    const struct clrnn_plan_cost cost = clrnn_plan_cost(t->plan);

    b->flops = cost.flops;
    b->bytes = cost.bytes;
    b->launches = cost.launches;
    clrnn_device_memory(t->device, NULL, &b->peak_bytes);
    if (!count)
        return;
    b->step_s = clrnn_median(each, count);
    b->step_ms = (struct clrnn_timing){1e3 * b->step_s, 1e3 * each[0], 1e3 * each[count - 1], count};
    b->samples_per_s = t->plan->params.N * clrnn_feed_batches_per_step(t->feed) / b->step_s;
}

static enum clrnn_status run_steps(const struct clrnn_compare *c, struct clrnn_session *t,
                                   struct clrnn_compare_block *b, double *each)
{
    struct clrnn_session_record record;

    for (uint32_t i = 0; i < c->steps; i++) {
        const double start = clrnn_clock();

        clrnn_child_doing(&b->report, "running training step %u", i + 1);
        TRY(clrnn_session_step(t, CLRNN_MODE_TRAIN, &record));
        if (i == 0)
            b->first_s = clrnn_clock() - start;
        else
            each[i - 1] = clrnn_clock() - start;
        b->curve[i] = record.loss;
        if (i == 0)
            TRY(keep_first_step(c, t, b));
        b->steps = i + 1;
    }
    time_steps(t, each, c->steps - 1, b);
    clrnn_child_doing(&b->report, "evaluating");
    TRY(clrnn_session_evaluate(t, c->judged, NULL, &record));
    b->final_loss = record.loss;
    b->final_accuracy = record.accuracy;
    b->finished = true;
    return CLRNN_OK;
}

static void keep_reason(void *user, enum clrnn_log_level level, const char *line)
{
    struct clrnn_compare_block *b = user;

    (void)level;
    if (!b->unmeasured[0])
        snprintf(b->unmeasured, sizeof(b->unmeasured), "%s", line);
}

// Measures the speed by running many steps without waiting for each, unless the device is too slow for that. Also
// measures the device's peak speed. If there is too little memory for a measurement, leaves it out, which does not
// affect the verdict.
static enum clrnn_status measure_speed(const struct clrnn_compare *c, struct clrnn_device *device,
                                       struct clrnn_compare_block *b)
{
    const struct clrnn_log reason = {.fn = keep_reason, .user = b, .level = CLRNN_LOG_WARNING}, *log;
    const struct clrnn_bench_params params = {.seconds = BENCH_SECONDS, .warm_up = 3};
    struct clrnn_bench_result bench;
    enum clrnn_status st = CLRNN_OK;

    if (c->params->no_speed || clrnn_device_is_ref(device))
        return CLRNN_OK;
    log = clrnn_device_set_log(device, &reason);
    if (b->step_s > 0 && b->step_s < SLOW_STEP_S &&
        clrnn_dataset_info(c->data.train)->S >= c->config->train.batch_size) {
        clrnn_child_doing(&b->report, "measuring its speed");
        st = clrnn_bench(device, c->config, &params, &bench);
        if (st == CLRNN_OK) {
            b->step_ms = bench.train_ms;
            b->samples_per_s = bench.samples_per_s;
        }
    }
    clrnn_child_doing(&b->report, "measuring what it can do at most");
    if (st == CLRNN_OK || st == CLRNN_ERR_MEMORY)
        st = clrnn_device_peak(device, &b->peak);
    clrnn_device_set_log(device, log);
    if (st == CLRNN_ERR_MEMORY)
        return CLRNN_OK;
    return st == CLRNN_OK ? st : clrnn_error(log, st, "%s", b->unmeasured);
}

enum clrnn_status clrnn_compare_run(const struct clrnn_compare *c, struct clrnn_device *device, uint32_t run,
                                    struct clrnn_compare_block *b)
{
    struct disturbed d = {.block = b, .run = run};
    struct clrnn_session *t = NULL;
    double *each = malloc(MAX2(c->steps, 1u) * sizeof(*each));
    enum clrnn_status st =
        each ? CLRNN_OK : clrnn_error_memory(clrnn_device_log(device), c->steps * sizeof(*each), "step times");

    clrnn_child_doing(&b->report, "making the model");
    if (st == CLRNN_OK)
        st = clrnn_compare_open(c, device, &t);
    if (st == CLRNN_OK && clrnn_device_is_ref(device)) {
        t->hook = run_on_ref;
        t->user = &d;
    }
    if (st == CLRNN_OK)
        st = run_steps(c, t, b, each);
    clrnn_session_close(&t);
    if (st == CLRNN_OK)
        st = measure_speed(c, device, b);
    free(each);
    return st;
}

enum clrnn_status clrnn_compare_run_start(const struct clrnn_compare *c, struct clrnn_device *device,
                                          struct clrnn_compare_block *b)
{
    struct clrnn_session *t = NULL;
    struct clrnn_session_record record;
    double start, second;
    enum clrnn_status st;

    clrnn_child_doing(&b->report, "building for the first step");
    st = clrnn_compare_open(c, device, &t);
    start = clrnn_clock();
    if (st == CLRNN_OK)
        st = clrnn_session_step(t, CLRNN_MODE_TRAIN, &record);
    second = clrnn_clock();
    if (st == CLRNN_OK)
        st = clrnn_session_step(t, CLRNN_MODE_TRAIN, &record);
    b->first_s = second - start;
    b->step_s = clrnn_clock() - second;
    b->finished = st == CLRNN_OK;
    clrnn_session_close(&t);
    return st;
}
