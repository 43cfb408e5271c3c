// SPDX-License-Identifier: MIT
// Buckets of gradients on their way. The worker's own thread queues kernels, and a job for each bucket of
// each shard; the threads take jobs in this order, which is the same for all workers. A single bucket is
// carried by the worker's own thread, after each shard.
#include "train/buckets.h"

#include <stdlib.h>
#include <string.h>

#include "base/array.h"
#include "base/log.h"
#include "train/tree.h"

// A bucket of a shard that is to be read.
struct job {
    uint32_t bucket, slot; // slot: of the record
    bool empty, last;      // a shard without samples; the worker's last shard
    struct clrnn_mark mark;
};

struct clrnn_buckets {
    struct clrnn_model *model;
    const struct clrnn_worker *reduce, *share; // channels
    size_t count, shards;                      // buckets; this worker's shards
    struct clrnn_tree **tree;                  // [count]
    float **total;                             // [count]
    struct job *job;                           // [shards * count], of a step
    uint64_t steps;                            // begun
    size_t taken;                              // shards of the step
    pthread_t thread[2];
    int threads; // that run

    pthread_mutex_t lock; // of all that follows
    pthread_cond_t changed;
    uint64_t queued, read;    // jobs, of all steps
    uint64_t reduced, shared; // buckets, of all steps
    enum clrnn_status failed;
    bool end;
};

static void add_floats(void *left, const void *right, size_t count)
{
    float *to = left;
    const float *from = right;

    for (size_t i = 0; i < count; i++)
        to[i] += from[i];
}

enum clrnn_status clrnn_buckets_create(struct clrnn_model *model, const struct clrnn_worker *worker,
                                       uint32_t shards, struct clrnn_buckets **buckets)
{
    struct clrnn_buckets *b = calloc(1, sizeof(*b));

    *buckets = b;
    if (!b)
        return clrnn_error_memory(model->log, sizeof(*b), "buckets of gradients");
    pthread_mutex_init(&b->lock, NULL);
    pthread_cond_init(&b->changed, NULL);
    b->model = model;
    b->reduce = clrnn_worker_on(worker, CLRNN_CHANNEL_REDUCE);
    b->share = clrnn_worker_on(worker, CLRNN_CHANNEL_SHARE);
    b->shards = shards;
    return CLRNN_OK;
}

void clrnn_buckets_destroy(struct clrnn_buckets **buckets)
{
    struct clrnn_buckets *b = *buckets;

    *buckets = NULL;
    if (!b)
        return;
    clrnn_buckets_stop(b);
    for (size_t i = 0; b->tree && i < b->count; i++)
        clrnn_tree_destroy(&b->tree[i]);
    for (size_t i = 0; b->job && i < b->count * b->shards; i++)
        clrnn_mark_destroy(b->model->device, &b->job[i].mark);
    free(b->tree);
    free(b->total);
    free(b->job);
    pthread_cond_destroy(&b->changed);
    pthread_mutex_destroy(&b->lock);
    free(b);
}

// ---------------------------------------------------------------- carrying

static enum clrnn_status read_sums(const struct clrnn_buckets *b, const struct job *job, float *sums)
{
    const struct clrnn_model *m = b->model;
    const struct clrnn_bucket *bucket = &m->bucket[job->bucket];

    TRY(clrnn_buffer_read_after(bucket->grads, &job->mark, 0, bucket->count, sums));
    return job->bucket ? CLRNN_OK
                       : clrnn_buffer_read_after(m->records, &job->mark, (size_t)job->slot * RECORD_FIELDS,
                                                 RECORD_NORM, sums + bucket->count);
}

// Gives a bucket's tree the shard's part.
static enum clrnn_status take(const struct clrnn_buckets *b, struct job *job)
{
    const size_t count = b->model->bucket[job->bucket].count + (job->bucket ? 0 : RECORD_FIELDS);
    enum clrnn_status st;
    void *value;

    TRY(clrnn_tree_next(b->tree[job->bucket], &value));
    if (job->empty || !job->bucket)
        memset(value, 0, count * sizeof(float));
    if (job->empty)
        return CLRNN_OK;
    st = read_sums(b, job, value);
    clrnn_mark_destroy(b->model->device, &job->mark);
    return st;
}

static enum clrnn_status share(const struct clrnn_buckets *b, size_t bucket)
{
    void *total;

    TRY(clrnn_tree_share(b->tree[bucket], b->share, &total));
    b->total[bucket] = total;
    return CLRNN_OK;
}

// ---------------------------------------------------------------- threads

// Waits until a counter is at least `count`; CLRNN_INTERRUPTED: the thread is to end.
static enum clrnn_status wait_for(struct clrnn_buckets *b, const uint64_t *counter, uint64_t count)
{
    enum clrnn_status st;

    pthread_mutex_lock(&b->lock);
    while (*counter < count && !b->end && b->failed == CLRNN_OK)
        pthread_cond_wait(&b->changed, &b->lock);
    st = b->failed == CLRNN_OK && b->end ? CLRNN_INTERRUPTED : b->failed;
    pthread_mutex_unlock(&b->lock);
    return st;
}

// Counts one more, or keeps the error, which ends all waits of this process.
static void done(struct clrnn_buckets *b, enum clrnn_status status, uint64_t *counter)
{
    pthread_mutex_lock(&b->lock);
    if (status == CLRNN_OK)
        ++*counter;
    else if (b->failed == CLRNN_OK)
        b->failed = status;
    pthread_cond_broadcast(&b->changed);
    pthread_mutex_unlock(&b->lock);
    if (status != CLRNN_OK)
        clrnn_worker_fail(b->reduce, status);
}

static void *run_reduce(void *user)
{
    struct clrnn_buckets *b = user;

    for (uint64_t at = 0; wait_for(b, &b->queued, at + 1) == CLRNN_OK; at++) {
        struct job *job = &b->job[at % (b->shards * b->count)];
        const bool last = job->last;
        const uint32_t bucket = job->bucket;

        done(b, take(b, job), &b->read);
        if (last) // the job may be that of another step soon
            done(b, clrnn_tree_reduce(b->tree[bucket]), &b->reduced);
    }
    return NULL;
}

static void *run_share(void *user)
{
    struct clrnn_buckets *b = user;

    for (uint64_t at = 0; wait_for(b, &b->reduced, at + 1) == CLRNN_OK; at++)
        done(b, share(b, at % b->count), &b->shared);
    return NULL;
}

void clrnn_buckets_stop(struct clrnn_buckets *b)
{
    pthread_mutex_lock(&b->lock);
    b->end = true;
    pthread_cond_broadcast(&b->changed);
    pthread_mutex_unlock(&b->lock);
    while (b->threads)
        pthread_join(b->thread[--b->threads], NULL);
}

// ---------------------------------------------------------------- the worker's own thread

// Cuts the gradients as worker 0 says.
static enum clrnn_status cut(struct clrnn_buckets *b, const struct clrnn_worker *worker)
{
    struct clrnn_model *m = b->model;
    uint64_t bytes = clrnn_ranks_have_threads() ? clrnn_bucket_bytes() : 0;

    TRY(clrnn_worker_broadcast(worker, &bytes, sizeof(bytes)));
    TRY(bytes ? clrnn_ranks_check_threads(m->log) : CLRNN_OK);
    TRY(clrnn_model_cut(m, bytes));
    b->count = m->bucket_count;
    b->tree = calloc(b->count, sizeof(struct clrnn_tree *));
    b->total = calloc(b->count, sizeof(float *));
    b->job = calloc(b->count * b->shards, sizeof(*b->job));
    if (!b->tree || !b->total || !b->job)
        return clrnn_error_memory(m->log, b->count * b->shards * sizeof(*b->job), "buckets of gradients");
    for (size_t i = 0; i < b->count; i++)
        TRY(clrnn_tree_create(b->reduce, m->config->train.shards,
                              m->bucket[i].count + (i ? 0 : RECORD_FIELDS), sizeof(float), add_floats,
                              &b->tree[i]));
    clrnn_log(m->log, CLRNN_LOG_DEBUG, "%.3g MB of gradients go in %zu bucket%s",
              (double)m->flat_count * sizeof(float) * 1e-6, b->count, b->count > 1 ? "s" : "");
    return CLRNN_OK;
}

enum clrnn_status clrnn_buckets_begin(struct clrnn_buckets *b, const struct clrnn_worker *worker)
{
    static void *(*const work[])(void *) = {run_reduce, run_share};

    if (!b->count)
        TRY(cut(b, worker));
    b->steps++;
    b->taken = 0;
    while (b->count > 1 && b->threads < 2) {
        const int error = clrnn_worker_thread(&b->thread[b->threads], work[b->threads], b);

        if (error)
            return clrnn_error(b->model->log, CLRNN_ERR_MEMORY,
                               "a thread that sums gradients cannot be started: %s", strerror(error));
        b->threads++;
    }
    return CLRNN_OK;
}

enum clrnn_status clrnn_buckets_wait(struct clrnn_buckets *b)
{
    return b->count > 1 ? wait_for(b, &b->read, b->queued) : CLRNN_OK;
}

// Gives the threads the next bucket of the shard; a single bucket is taken here.
static enum clrnn_status give(struct clrnn_buckets *b, struct job job)
{
    struct job *next = &b->job[((b->taken - 1) * b->count + job.bucket)];

    job.last = b->taken == b->shards;
    if (b->count > 1 && !job.empty)
        TRY(clrnn_device_mark(b->model->device, &job.mark));
    *next = job;
    if (b->count == 1)
        return take(b, next);
    pthread_mutex_lock(&b->lock);
    b->queued++;
    pthread_cond_broadcast(&b->changed);
    pthread_mutex_unlock(&b->lock);
    return CLRNN_OK;
}

static enum clrnn_status run(struct clrnn_plan *plan, size_t first, size_t end, bool alone)
{
    if (first >= end)
        return CLRNN_OK;
    return alone ? clrnn_launches_run_part(plan->launches, first, end)
                 : clrnn_plan_run_part(plan, first, end);
}

enum clrnn_status clrnn_buckets_run(struct clrnn_buckets *b, struct clrnn_plan *plan, size_t first,
                                    bool alone, uint32_t slot)
{
    const size_t launches = plan ? clrnn_launches_count(plan->launches) : 0;
    size_t at = first;

    b->taken++;
    if (plan && b->count > 1) {
        at = MAX2(first, plan->gradients_begin);
        TRY(run(plan, first, at, alone));
        TRY(clrnn_buckets_wait(b));
    }
    for (uint32_t i = 0; i < b->count; i++) {
        if (plan) {
            const size_t end = MAX2(at, b->count > 1 ? plan->bucket_end[i] : launches);

            TRY(run(plan, at, end, alone));
            at = end;
        }
        TRY(give(b, (struct job){.bucket = i, .slot = slot, .empty = !plan}));
    }
    return plan ? run(plan, at, launches, alone) : CLRNN_OK;
}

enum clrnn_status clrnn_buckets_total(struct clrnn_buckets *b, size_t bucket, float **sums)
{
    if (b->count > 1) {
        TRY(wait_for(b, &b->shared, (b->steps - 1) * b->count + bucket + 1));
    } else {
        TRY(clrnn_tree_reduce(b->tree[0]));
        TRY(share(b, 0));
    }
    *sums = b->total[bucket];
    return CLRNN_OK;
}
