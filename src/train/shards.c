// SPDX-License-Identifier: MIT
// A step in shards. Of a batch of N samples, shard s of S has samples N s / S to N (s + 1) / S - 1. The shard's plan
// computes the gradient of the sum of its losses. The gradients are summed over all shards and divided by the sum of
// RECORD_WEIGHT, which is summed along with them in the shards' records.
#include "train/shards.h"

#include <stdlib.h>
#include <string.h>

#include "base/array.h"
#include "base/log.h"
#include "train/buckets.h"
#include "train/norm_sums.h"
#include "train/tree.h"

// Record slot of this worker's shard i, counted from the end of the slots. The records of whole steps begin at slot 0.
// There are never so many queued steps and shards that both use the same slot.
#define SHARD_SLOT(i) (CLRNN_RECORD_SLOTS - 1 - (i))

struct clrnn_shards {
    struct clrnn_model *model;
    struct clrnn_feed *feed;
    struct clrnn_worker *worker;
    struct clrnn_plan *update;
    uint32_t count, begin, end;    // number of all shards; this worker has [begin, end)
    struct clrnn_buckets *sums;    // sums of gradients and records
    struct clrnn_norm_sums *norms; // batchnorm statistics over all shards; NULL: no layer needs them
    struct clrnn_plan **plan;      // [end - begin] each shard's plan of this step; NULL: the shard has no samples
    struct clrnn_buffer **grads;   // [end - begin] a shard's gradients between parts of its plan; NULL without `norms`
    uint32_t samples,              // samples in the last step's batch
        carried;                   // samples whose states `state` holds
    size_t state_count;            // elements of `state`: one for each level of each recurrent layer
    struct clrnn_carried *state;   // states of all samples; the model holds the states of one shard at a time
};

enum clrnn_status clrnn_shards_check(const struct clrnn_log *log, const struct clrnn_config *config, uint32_t workers)
{
    const struct clrnn_train_config *train = &config->train;
    const char *word = workers > clrnn_ranks_count() ? "devices" : "processes";

    if (workers > train->shards)
        return clrnn_error(
            log, CLRNN_ERR_CONFIG,
            "%u %s are to train together, but train.shards is %u: each needs a shard, set train.shards to a "
            "number that all numbers of %s have in common, such as 8",
            workers, word, train->shards, word);
    if (train->shards > train->batch_size)
        return clrnn_error(log, CLRNN_ERR_CONFIG,
                           "train.shards is %u, but train.batch_size only %u: a shard has at least a sample",
                           train->shards, train->batch_size);
    return CLRNN_OK;
}

// Returns the first sample of a shard, of a batch of `samples`.
static uint32_t first_of(const struct clrnn_shards *s, uint32_t samples, uint32_t shard)
{
    return (uint32_t)((uint64_t)samples * shard / s->count);
}

static enum clrnn_status make_shards(struct clrnn_shards *s)
{
    const uint32_t own = s->end - s->begin;

    s->plan = calloc(own, sizeof(*s->plan));
    s->grads = calloc(own, sizeof(struct clrnn_buffer *));
    if (!s->plan || !s->grads)
        return clrnn_error_memory(s->model->log, own * 2 * sizeof(void *), "shards");
    for (uint32_t i = 0; i < own && s->norms; i++)
        TRY(clrnn_buffer_create(s->model->device, CLRNN_REAL, s->model->flat_count, "gradients of a shard",
                                &s->grads[i]));
    return CLRNN_OK;
}

enum clrnn_status clrnn_shards_create(struct clrnn_model *model, struct clrnn_feed *feed, struct clrnn_worker *worker,
                                      struct clrnn_shards **shards)
{
    const struct clrnn_plan_params params = {.mode = CLRNN_MODE_UPDATE};
    struct clrnn_shards *s = calloc(1, sizeof(*s));
    enum clrnn_status st;

    *shards = s;
    if (!s)
        return clrnn_error_memory(model->log, sizeof(*s), "shards");
    s->model = model;
    s->feed = feed;
    s->worker = worker;
    s->count = model->config->train.shards;
    s->begin = clrnn_tree_first(s->count, worker->number, worker->count);
    s->end = clrnn_tree_first(s->count, worker->number + 1, worker->count);
    st = clrnn_buckets_create(model, worker, s->end - s->begin, &s->sums);
    if (st == CLRNN_OK)
        st = clrnn_plan_create(model, &params, &s->update);
    if (st == CLRNN_OK)
        st = clrnn_norm_sums_create(model, worker, &s->norms);
    if (st == CLRNN_OK)
        st = make_shards(s);
    if (st != CLRNN_OK)
        clrnn_shards_destroy(shards);
    return st;
}

void clrnn_shards_destroy(struct clrnn_shards **shards)
{
    struct clrnn_shards *s = *shards;

    *shards = NULL;
    if (!s)
        return;
    for (size_t i = 0; i < s->state_count; i++) {
        clrnn_buffer_destroy(&s->state[i].h);
        clrnn_buffer_destroy(&s->state[i].c);
    }
    free(s->state);
    for (uint32_t i = 0; s->grads && i < s->end - s->begin; i++)
        clrnn_buffer_destroy(&s->grads[i]);
    free(s->grads);
    free(s->plan);
    clrnn_norm_sums_destroy(&s->norms);
    clrnn_plan_destroy(&s->update);
    clrnn_buckets_destroy(&s->sums);
    free(s);
}

// ---------------------------------------------------------------- orders of worker 0

enum order_kind { ORDER_EPOCH, ORDER_STEP, ORDER_GATHER, ORDER_END };

struct order {
    enum order_kind kind;
    uint64_t epoch;
    uint32_t step;
    struct clrnn_schedule schedule; // with the step's learning rate, which only worker 0 knows
    enum clrnn_status status;
};

static enum clrnn_status tell(const struct clrnn_shards *s, const struct order *order)
{
    struct order copy = *order;

    return s->worker->number ? CLRNN_OK : clrnn_worker_broadcast(s->worker, &copy, sizeof(copy));
}

// ---------------------------------------------------------------- carried states

static enum clrnn_status copy_of(struct clrnn_buffer *from, struct clrnn_buffer **copy)
{
    const size_t count = from ? clrnn_buffer_count(from) : 0;

    if (!from)
        return CLRNN_OK;
    TRY(clrnn_buffer_create(clrnn_buffer_device(from), CLRNN_REAL, count, "states of recurrent layers", copy));
    return clrnn_buffer_copy(*copy, 0, from, 0, count);
}

// The first call copies the model's states into s->state: zeros, or the states of a checkpoint. Later calls do nothing.
static enum clrnn_status keep_states(struct clrnn_shards *s)
{
    const struct clrnn_model *m = s->model;

    if (s->state_count == m->carried_count)
        return CLRNN_OK;
    s->state = calloc(m->carried_count, sizeof(*s->state));
    if (!s->state)
        return clrnn_error_memory(m->log, m->carried_count * sizeof(*s->state), "states");
    s->state_count = m->carried_count;
    for (size_t i = 0; i < s->state_count; i++) {
        TRY(copy_of(m->carried[i].h, &s->state[i].h));
        TRY(copy_of(m->carried[i].c, &s->state[i].c));
    }
    return CLRNN_OK;
}

// Copies the states of samples [first, first + count) between `all` and `model`. `all` holds `samples` samples. In
// `model`, the states begin at index 0, where the plans expect them.
static enum clrnn_status move(struct clrnn_buffer *all, struct clrnn_buffer *model, size_t samples, size_t first,
                              size_t count, bool to_model)
{
    const size_t width = all ? clrnn_buffer_count(all) / samples : 0;

    if (!all)
        return CLRNN_OK;
    return to_model ? clrnn_buffer_copy(model, 0, all, first * width, count * width)
                    : clrnn_buffer_copy(all, first * width, model, 0, count * width);
}

static enum clrnn_status move_states(const struct clrnn_shards *s, uint32_t first, uint32_t count, bool to_model)
{
    const struct clrnn_carried *model = s->model->carried;

    for (size_t i = 0; i < s->state_count; i++) {
        TRY(move(s->state[i].h, model[i].h, s->carried, first, count, to_model));
        TRY(move(s->state[i].c, model[i].c, s->carried, first, count, to_model));
    }
    return CLRNN_OK;
}

// Each worker except worker 0 sends the states of its samples. Worker 0 writes these states to `all`. In every worker,
// sets the states beyond the batch's samples to 0. `values`: scratch memory.
static enum clrnn_status gather(const struct clrnn_shards *s, struct clrnn_buffer *all, double *values)
{
    const struct clrnn_worker *w = s->worker;
    const size_t width = clrnn_buffer_count(all) / s->carried;

    for (uint32_t number = 1; number < w->count; number++) {
        const uint32_t begin = first_of(s, s->samples, clrnn_tree_first(s->count, number, w->count)),
                       end = first_of(s, s->samples, clrnn_tree_first(s->count, number + 1, w->count));
        const size_t first = begin * width, count = (end - begin) * width;

        if (number == w->number) {
            TRY(clrnn_buffer_read_f64(all, first, count, values));
            TRY(clrnn_worker_send(w, 0, values, count * sizeof(*values)));
        } else if (!w->number) {
            TRY(clrnn_worker_receive(w, number, values, count * sizeof(*values)));
            TRY(clrnn_buffer_write_f64(all, first, count, values));
        }
    }
    memset(values, 0, clrnn_buffer_count(all) * sizeof(*values));
    return clrnn_buffer_write_f64(all, s->samples * width, (s->carried - s->samples) * width, values);
}

static enum clrnn_status gather_all(struct clrnn_shards *s)
{
    TRY(tell(s, &(struct order){.kind = ORDER_GATHER}));
    for (size_t i = 0; i < 2 * s->state_count; i++) {
        struct clrnn_buffer *all = i % 2 ? s->state[i / 2].c : s->state[i / 2].h;
        const size_t count = all ? clrnn_buffer_count(all) : 0;
        double *values = malloc(MAX2(count, 1) * sizeof(*values));
        enum clrnn_status st = CLRNN_OK;

        if (!values)
            return clrnn_error_memory(s->model->log, count * sizeof(*values), "states");
        if (all)
            st = gather(s, all, values);
        free(values);
        TRY(st);
    }
    return move_states(s, 0, s->carried, true);
}

// ---------------------------------------------------------------- a step

static uint32_t size_of(const struct clrnn_shards *s, uint32_t i)
{
    return first_of(s, s->samples, s->begin + i + 1) - first_of(s, s->samples, s->begin + i);
}

// Prepares this worker's shard i and its plan. For a shard without samples, s->plan[i] becomes NULL. With carried
// states, a plan is prepared even then if this worker has none yet: that creates the states, which gather() needs.
static enum clrnn_status prepare(struct clrnn_shards *s, uint32_t i)
{
    const struct clrnn_train_config *train = &s->model->config->train;
    const uint32_t count = size_of(s, i);
    const struct clrnn_feed_part part = {.first = first_of(s, s->samples, s->begin + i),
                                         .count = MAX2(count, 1),
                                         .arena = s->norms ? i + 1 : 0,
                                         .statistics = s->begin + i == 0};
    struct clrnn_plan *plan;

    s->plan[i] = NULL;
    if (!count && (s->carried || !(train->bptt || train->stateful)))
        return CLRNN_OK;
    TRY(clrnn_feed_part(s->feed, &part, &plan));
    s->plan[i] = count ? plan : NULL;
    s->carried = plan->params.carried;
    return s->carried ? keep_states(s) : CLRNN_OK;
}

// Runs ops [op, next) of shard i's plan. The last part gives its gradient and record to the buckets.
static enum clrnn_status run_part(struct clrnn_shards *s, uint32_t i, size_t op, size_t next)
{
    const uint32_t first = first_of(s, s->samples, s->begin + i), N = size_of(s, i);
    struct clrnn_plan *plan = s->plan[i];
    const size_t launch = plan->op_launch[op];

    s->model->first_sample = first;
    TRY(move_states(s, first, N, true));
    TRY(clrnn_model_begin_step(s->model, SHARD_SLOT(i), false));
    TRY(next == plan->graph->op_count ? clrnn_buckets_run(s->sums, plan, launch, s->norms, SHARD_SLOT(i))
                                      : clrnn_launches_run_part(plan->launches, launch, plan->op_launch[next]));
    return move_states(s, first, N, false);
}

// Runs whole shards one after the other. Used if no statistics are computed over all shards.
static enum clrnn_status run_in_turn(struct clrnn_shards *s)
{
    for (uint32_t i = 0; i < s->end - s->begin; i++) {
        TRY(prepare(s, i));
        TRY(s->plan[i] ? run_part(s, i, 0, s->plan[i]->graph->op_count)
                       : clrnn_buckets_run(s->sums, NULL, 0, false, 0));
    }
    return CLRNN_OK;
}

// Runs ops [op, next) of shard i. All shards write gradients to the same buffer of the model. Therefore each part of
// the backward pass except the last saves the shard's gradients. `kept`: restores the saved gradients first.
static enum clrnn_status run_kept(struct clrnn_shards *s, uint32_t i, size_t op, size_t next, bool kept)
{
    const struct clrnn_graph *graph = s->plan[i]->graph;
    const size_t count = s->model->flat_count;

    if (kept) {
        TRY(clrnn_buckets_wait(s->sums));
        TRY(clrnn_buffer_copy(s->model->grads, 0, s->grads[i], 0, count));
    }
    TRY(run_part(s, i, op, next));
    if (next == graph->op_count || graph->op[next - 1].kind == CLRNN_OP_BATCHNORM_MOMENTS)
        return CLRNN_OK;
    return clrnn_buffer_copy(s->grads[i], 0, s->model->grads, 0, count);
}

// Replaces run_kept for a shard without samples: adds zeros to the sums for the part that ends at op `next`.
static enum clrnn_status run_empty(struct clrnn_shards *s, const struct clrnn_plan *any, size_t next)
{
    return next == any->graph->op_count ? clrnn_buckets_run(s->sums, NULL, 0, true, 0)
                                        : clrnn_norm_sums_take(s->norms, any, next, true);
}

// Runs the first part of all shards, then the next part of all shards, and so on. In between, batchnorm's statistics
// are summed over the shards.
static enum clrnn_status run_in_parts(struct clrnn_shards *s)
{
    const uint32_t own = s->end - s->begin;
    struct clrnn_plan *any = NULL; // plan of any shard: all have the same parts
    bool kept = false;
    size_t next = 0;

    for (uint32_t i = 0; i < own && !any; i++)
        if (!size_of(s, i))
            TRY(clrnn_feed_part(s->feed, &(struct clrnn_feed_part){.count = 1, .arena = 1}, &any));
    for (size_t op = 0;; op = next) {
        for (uint32_t i = 0; i < own; i++) {
            if (!op)
                TRY(prepare(s, i));
            any = any ? any : s->plan[i];
            next = clrnn_plan_part_end(any, op);
            if (!s->plan[i]) {
                TRY(run_empty(s, any, next));
                continue;
            }
            TRY(run_kept(s, i, op, next, kept));
            if (next < any->graph->op_count)
                TRY(clrnn_norm_sums_take(s->norms, s->plan[i], next, false));
        }
        if (next == any->graph->op_count)
            return CLRNN_OK;
        TRY(clrnn_norm_sums_add(s->norms, any, next));
        for (uint32_t i = 0; i < own; i++)
            if (s->plan[i])
                TRY(clrnn_norm_sums_give(s->norms, s->plan[i], next));
        kept = any->graph->op[next - 1].kind != CLRNN_OP_BATCHNORM_MOMENTS;
    }
}

// Queues the update of the parameters with the means of the gradients over all shards. *token identifies the last write
// of `means` to the device. The host must not change `means` before that write ends.
static enum clrnn_status queue_update(struct clrnn_shards *s, uint32_t slot, uint64_t *token)
{
    struct clrnn_model *m = s->model;
    double record[RECORD_FIELDS];
    float *means;

    for (size_t k = 0; k < m->bucket_count; k++) {
        const struct clrnn_bucket *b = &m->bucket[k];

        TRY(clrnn_buckets_means(s->sums, k, &means));
        for (int i = 0; i < RECORD_NORM && !k; i++)
            record[i] = means[b->count + i];
        TRY(clrnn_device_wait(m->device, *token));
        TRY(clrnn_buffer_write_async(b->grads, 0, b->count, means, token));
    }
    TRY(clrnn_buffer_write_f64(m->records, (size_t)slot * RECORD_FIELDS, RECORD_NORM, record));
    TRY(clrnn_model_begin_step(m, slot, true));
    return clrnn_plan_run(s->update);
}

static enum clrnn_status update(struct clrnn_shards *s, uint32_t slot)
{
    uint64_t token = 0;
    const enum clrnn_status st = queue_update(s, slot, &token);
    const enum clrnn_status written = clrnn_device_wait(s->model->device, token);

    return st == CLRNN_OK ? written : st;
}

static enum clrnn_status step(struct clrnn_shards *s, uint32_t samples, uint32_t slot, struct clrnn_plan **plan)
{
    TRY(tell(s, &(struct order){.kind = ORDER_STEP, .schedule = s->model->schedule}));
    s->samples = samples;
    TRY(clrnn_buckets_begin(s->sums, s->worker));
    TRY(s->norms ? run_in_parts(s) : run_in_turn(s));
    *plan = s->update;
    for (uint32_t i = 0; i < s->end - s->begin; i++)
        *plan = s->plan[i] ? s->plan[i] : *plan;
    return update(s, slot);
}

bool clrnn_shards_plan(const struct clrnn_shards *s, uint32_t i, struct clrnn_plan **plan)
{
    const uint32_t own = s->end - s->begin;

    *plan = i < own ? s->plan[i] : s->update;
    return i <= own;
}

struct clrnn_plan_cost clrnn_shards_cost(const struct clrnn_shards *s)
{
    const uint32_t own = s->end - s->begin;
    struct clrnn_plan_cost all = clrnn_plan_cost(s->update);

    all.flops *= s->worker->count;
    all.bytes *= s->worker->count;
    all.launches *= s->worker->count;
    all.queued *= s->worker->count;
    for (uint32_t shard = 0; shard < s->count; shard++) {
        const struct clrnn_plan *plan = s->plan[shard % own];

        if (!plan)
            continue;
        all.flops += clrnn_plan_cost(plan).flops;
        all.bytes += clrnn_plan_cost(plan).bytes;
        all.launches += clrnn_plan_cost(plan).launches;
        all.queued += clrnn_plan_cost(plan).queued;
    }
    return all;
}

// ---------------------------------------------------------------- public functions, and following worker 0

static enum clrnn_status begin_epoch(struct clrnn_shards *s, uint64_t epoch, uint32_t first)
{
    TRY(tell(s, &(struct order){.kind = ORDER_EPOCH, .epoch = epoch, .step = first}));
    return clrnn_feed_start(s->feed, epoch, first);
}

static enum clrnn_status follow(struct clrnn_shards *s)
{
    struct clrnn_plan *plan;
    struct order order;
    uint32_t samples;

    for (;;) {
        TRY(clrnn_worker_broadcast(s->worker, &order, sizeof(order)));
        switch (order.kind) {
        case ORDER_EPOCH:
            TRY(begin_epoch(s, order.epoch, order.step));
            break;
        case ORDER_STEP:
            s->model->schedule = order.schedule;
            TRY(clrnn_feed_next_batch(s->feed, CLRNN_MODE_SHARD, &samples));
            TRY(step(s, samples, 0, &plan));
            break;
        case ORDER_GATHER:
            TRY(gather_all(s));
            break;
        case ORDER_END:
            return order.status;
        }
    }
}

static enum clrnn_status ended(const struct clrnn_shards *s, enum clrnn_status status)
{
    if (status != CLRNN_OK && status != CLRNN_INTERRUPTED) {
        clrnn_worker_fail(s->worker, status);
        clrnn_buckets_stop(s->sums);
    }
    clrnn_worker_end(s->worker);
    return status;
}

enum clrnn_status clrnn_shards_start(struct clrnn_shards *s, uint64_t epoch, uint32_t first)
{
    clrnn_worker_begin(s->worker);
    return ended(s, begin_epoch(s, epoch, first));
}

enum clrnn_status clrnn_shards_step(struct clrnn_shards *s, uint32_t samples, uint32_t slot, struct clrnn_plan **plan)
{
    clrnn_worker_begin(s->worker);
    return ended(s, step(s, samples, slot, plan));
}

enum clrnn_status clrnn_shards_gather(struct clrnn_shards *s)
{
    clrnn_worker_begin(s->worker);
    return ended(s, gather_all(s));
}

enum clrnn_status clrnn_shards_end(struct clrnn_shards *s, enum clrnn_status status)
{
    clrnn_worker_begin(s->worker);
    return ended(s, tell(s, &(struct order){.kind = ORDER_END, .status = status}));
}

enum clrnn_status clrnn_shards_follow(struct clrnn_shards *s)
{
    clrnn_worker_begin(s->worker);
    return ended(s, follow(s));
}
