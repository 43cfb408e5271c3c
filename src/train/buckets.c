// SPDX-License-Identifier: MIT
// Sums gradients over shards, bucket by bucket. The worker's own thread queues kernels and, for each bucket of each
// shard, a job. Two threads process the jobs in the order in which they were queued. This order is the same for all
// workers. If there is only one bucket, the worker's own thread processes it after each shard. Processes send a bucket
// to each other in many small pieces at once, so that little is left to send after the last bucket.
#include "train/buckets.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/array.h"
#include "base/log.h"
#include "train/tree.h"

// Time between two polls for messages while no sum is ready to be sent. At 10 Gbit/s, 5 MB arrive in this time. The
// buffers of the operating system hold that much.
#define IDLE_NS 4000000
#define NS_PER_S 1000000000
// Number of reduced pieces that run_share sends together if other buckets follow. It makes the thread wake less often;
// a woken thread takes a core from a CPU device.
#define PIECES_AT_ONCE 8

// A bucket of one shard that is to be read from the device.
struct job {
    uint32_t bucket, slot;  // slot: index of the shard's record
    bool empty,             // the shard has no samples
        last;               // the shard is the worker's last one
    struct clrnn_mark mark; // point in the device's queue after which the bucket is final
};

// A piece of a bucket: the unit in which gradients are summed over shards and sent to all workers.
struct piece {
    uint32_t bucket;
    size_t number;               // index of the piece within its bucket
    struct clrnn_transfer share; // sends the sum to all workers
};

// Counts events over all steps. At most one thread waits for a counter. That thread is woken only when `count` reaches
// `wanted`, because a woken thread takes a core from a CPU device.
struct counter {
    uint64_t count, wanted;
    pthread_cond_t reached; // signalled when count >= wanted, by begin_trees, and when threads are to end
};

struct clrnn_buckets {
    struct clrnn_model *model;
    const struct clrnn_worker *reduce, *share; // this worker on channels REDUCE and SHARE
    size_t count,                              // number of buckets
        shards;                                // number of this worker's shards
    struct clrnn_tree **tree;                  // [count]
    size_t piece_count;                        // number of pieces in all buckets
    struct piece *piece;                       // [piece_count]: in the order of buckets
    struct job *job;                           // [shards * count] jobs of a step
    uint64_t steps;                            // steps begun
    size_t taken;                              // shards of this step that have begun
    float weight;                              // sum of RECORD_WEIGHT over the step's shards
    pthread_t thread[2];
    int threads; // threads that run

    pthread_mutex_t lock;   // guards all members below
    struct counter queued,  // jobs queued
        read;               // jobs whose bucket was read
    struct counter reduced, // pieces summed up
        shared;             // pieces sent to all workers
    enum clrnn_status failed;
    bool end;
};

// Whether further buckets follow in the step, so that the sums of bucket `bucket` are not needed soon.
static bool others_follow(const struct clrnn_buckets *b, uint32_t bucket)
{
    return bucket + 1 < b->count;
}

static void add_floats(void *left, const void *right, size_t count)
{
    float *to = left;
    const float *from = right;

    for (size_t i = 0; i < count; i++)
        to[i] += from[i];
}

enum clrnn_status clrnn_buckets_create(struct clrnn_model *model, const struct clrnn_worker *worker, uint32_t shards,
                                       struct clrnn_buckets **buckets)
{
    struct clrnn_buckets *b = calloc(1, sizeof(*b));
    pthread_condattr_t clock;

    *buckets = b;
    if (!b)
        return clrnn_error_memory(model->log, sizeof(*b), "buckets of gradients");
    pthread_mutex_init(&b->lock, NULL);
    pthread_condattr_init(&clock);
    pthread_condattr_setclock(&clock, CLOCK_MONOTONIC);
    pthread_cond_init(&b->queued.reached, &clock);
    pthread_cond_init(&b->read.reached, &clock);
    pthread_cond_init(&b->reduced.reached, &clock);
    pthread_cond_init(&b->shared.reached, &clock);
    pthread_condattr_destroy(&clock);
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
    free(b->piece);
    free(b->job);
    pthread_cond_destroy(&b->queued.reached);
    pthread_cond_destroy(&b->read.reached);
    pthread_cond_destroy(&b->reduced.reached);
    pthread_cond_destroy(&b->shared.reached);
    pthread_mutex_destroy(&b->lock);
    free(b);
}

// ---------------------------------------------------------------- moving one bucket or piece

static enum clrnn_status read_sums(const struct clrnn_buckets *b, const struct job *job, float *sums)
{
    const struct clrnn_model *m = b->model;
    const struct clrnn_bucket *bucket = &m->bucket[job->bucket];

    TRY(clrnn_buffer_read_after(bucket->grads, &job->mark, 0, bucket->count, sums));
    if (job->bucket)
        return CLRNN_OK;
    memset(sums + bucket->count, 0, RECORD_FIELDS * sizeof(float));
    return clrnn_buffer_read_after(m->records, &job->mark, (size_t)job->slot * RECORD_FIELDS, RECORD_NORM,
                                   sums + bucket->count);
}

// Reads the gradients of `job`, one bucket of one shard, from the device into the tree of that bucket.
static enum clrnn_status take(const struct clrnn_buckets *b, struct job *job)
{
    const size_t count = b->model->bucket[job->bucket].count + (job->bucket ? 0 : RECORD_FIELDS);
    enum clrnn_status st;
    void *value;

    TRY(clrnn_tree_next(b->tree[job->bucket], &value));
    if (job->empty) {
        memset(value, 0, count * sizeof(float));
        return CLRNN_OK;
    }
    st = read_sums(b, job, value);
    clrnn_mark_destroy(b->model->device, &job->mark);
    return st;
}

static enum clrnn_status reduce(const struct clrnn_buckets *b, const struct piece *p)
{
    return clrnn_tree_reduce(b->tree[p->bucket], p->number);
}

static enum clrnn_status share(const struct clrnn_buckets *b, struct piece *p)
{
    return clrnn_tree_share(b->tree[p->bucket], p->number, b->share, &p->share);
}

// ---------------------------------------------------------------- threads

// Waits until the counter is at least `count`. Returns b->failed after an error, CLRNN_INTERRUPTED at the threads' end.
static enum clrnn_status wait_for(struct clrnn_buckets *b, struct counter *counter, uint64_t count)
{
    enum clrnn_status st;

    pthread_mutex_lock(&b->lock);
    counter->wanted = count;
    while (counter->count < count && !b->end && b->failed == CLRNN_OK)
        pthread_cond_wait(&counter->reached, &b->lock);
    st = b->failed == CLRNN_OK && b->end ? CLRNN_INTERRUPTED : b->failed;
    pthread_mutex_unlock(&b->lock);
    return st;
}

static void wake_all(struct clrnn_buckets *b)
{
    pthread_cond_signal(&b->queued.reached);
    pthread_cond_signal(&b->read.reached);
    pthread_cond_signal(&b->reduced.reached);
    pthread_cond_signal(&b->shared.reached);
}

// If `status` is CLRNN_OK, increments a counter; else stores the error, which ends all waits of this process.
static void done(struct clrnn_buckets *b, enum clrnn_status status, struct counter *counter)
{
    bool enough = false;

    pthread_mutex_lock(&b->lock);
    if (status == CLRNN_OK)
        enough = ++counter->count >= counter->wanted;
    else if (b->failed == CLRNN_OK)
        b->failed = status;
    pthread_mutex_unlock(&b->lock);
    if (enough) // after unlocking, since the woken thread locks the mutex at once
        pthread_cond_signal(&counter->reached);
    if (status == CLRNN_OK)
        return;
    wake_all(b);
    clrnn_worker_fail(b->reduce, status);
}

// Posts the receives of all trees: from now on other workers' sums may arrive.
static enum clrnn_status begin_trees(struct clrnn_buckets *b)
{
    for (size_t i = 0; i < b->count; i++)
        TRY(clrnn_tree_begin(b->tree[i]));
    pthread_mutex_lock(&b->lock);
    pthread_cond_signal(&b->reduced.reached); // wakes run_share, which polls for messages
    pthread_mutex_unlock(&b->lock);
    return CLRNN_OK;
}

static void *run_reduce(void *user)
{
    struct clrnn_buckets *b = user;
    size_t at = 0, next = 0; // next job, next piece

    while (wait_for(b, &b->queued, at + 1) == CLRNN_OK) {
        struct job *job = &b->job[at++ % (b->shards * b->count)];
        const bool last = job->last;
        const uint32_t bucket = job->bucket;
        enum clrnn_status st = last && !bucket ? begin_trees(b) : CLRNN_OK;

        if (st == CLRNN_OK)
            st = take(b, job);
        done(b, st, &b->read); // from now on another step may overwrite *job
        for (; st == CLRNN_OK && last && b->piece[next].bucket == bucket; next = (next + 1) % b->piece_count) {
            st = reduce(b, &b->piece[next]);
            done(b, st, &b->reduced);
        }
    }
    return NULL;
}

// Waits until `wanted` pieces in all steps are reduced, `pause` ns pass (0: no limit), or begin_trees wakes the thread.
static enum clrnn_status wait_for_pieces(struct clrnn_buckets *b, uint64_t wanted, long pause, uint64_t *reduced)
{
    struct timespec end;
    enum clrnn_status st;

    clock_gettime(CLOCK_MONOTONIC, &end);
    end.tv_sec += (end.tv_nsec + pause) / NS_PER_S;
    end.tv_nsec = (end.tv_nsec + pause) % NS_PER_S;
    pthread_mutex_lock(&b->lock);
    b->reduced.wanted = wanted;
    if (b->reduced.count < wanted && !b->end && b->failed == CLRNN_OK) {
        if (pause)
            pthread_cond_timedwait(&b->reduced.reached, &b->lock, &end);
        else
            pthread_cond_wait(&b->reduced.reached, &b->lock);
    }
    *reduced = b->reduced.count;
    st = b->failed == CLRNN_OK && b->end ? CLRNN_INTERRUPTED : b->failed;
    pthread_mutex_unlock(&b->lock);
    return st;
}

// Waits until piece `next`, and possibly a few pieces after it, are reduced. If the sums of pieces [at, next) have not
// arrived yet, waits at most *pause nanoseconds, so that the caller can poll for these sums.
static enum clrnn_status look(struct clrnn_buckets *b, uint64_t at, uint64_t next, long *pause, uint64_t *reduced)
{
    const struct piece *p = &b->piece[next % b->piece_count];
    const size_t left = clrnn_tree_pieces(b->tree[p->bucket]) - p->number; // in the bucket
    const uint64_t wanted = next + (others_follow(b, p->bucket) ? MIN2(PIECES_AT_ONCE, left) : 1);
    long sleep = 0;
    bool busy;

    if (at < next) {
        clrnn_ranks_pause(clrnn_ranks_count() > 1 ? CLRNN_PIECE_BYTES : 0,
                          others_follow(b, b->piece[at % b->piece_count].bucket), pause);
        sleep = *pause;
    } else {
        TRY(clrnn_ranks_progress(clrnn_device_log(b->model->device), &busy));
        sleep = busy ? IDLE_NS : 0;
        *pause = 0;
    }
    return wait_for_pieces(b, wanted, sleep, reduced);
}

// Finishes the transfers of pieces [*at, next) whose sums have arrived, in order, and advances *at past them.
static enum clrnn_status take_sums(struct clrnn_buckets *b, uint64_t *at, uint64_t next)
{
    while (*at < next) {
        struct piece *p = &b->piece[*at % b->piece_count];
        bool arrived;

        TRY(clrnn_transfer_test(&p->share, &arrived));
        if (!arrived)
            return CLRNN_OK;
        TRY(clrnn_transfer_finish(&p->share));
        ++*at;
        done(b, CLRNN_OK, &b->shared);
    }
    return CLRNN_OK;
}

// Thread that sends the sums of reduced pieces to all workers, and polls for all other messages under way.
static void *run_share(void *user)
{
    struct clrnn_buckets *b = user;
    uint64_t at = 0, // first piece whose sums have not arrived, counted over all steps
        next = 0;    // first piece that was not sent, counted over all steps
    enum clrnn_status st;
    long pause = 0;

    do {
        const uint64_t before = at;
        uint64_t reduced = next;

        st = look(b, at, next, &pause, &reduced);
        while (st == CLRNN_OK && next < reduced)
            st = share(b, &b->piece[next++ % b->piece_count]);
        if (st == CLRNN_OK)
            st = take_sums(b, &at, next);
        if (at > before)
            pause /= 4; // clrnn_ranks_pause doubles it unless patient: the next pause is half as long as the last
    } while (st == CLRNN_OK);
    if (st != CLRNN_INTERRUPTED)
        done(b, st, &b->shared);
    return NULL;
}

void clrnn_buckets_stop(struct clrnn_buckets *b)
{
    pthread_mutex_lock(&b->lock);
    b->end = true;
    wake_all(b);
    pthread_mutex_unlock(&b->lock);
    while (b->threads)
        pthread_join(b->thread[--b->threads], NULL);
}

// ---------------------------------------------------------------- the worker's own thread

// Makes a bucket's tree and pieces. The bucket has only one piece if there is one process, or one bucket.
static enum clrnn_status make_tree(struct clrnn_buckets *b, uint32_t bucket, uint64_t bucket_bytes)
{
    const struct clrnn_model *m = b->model;
    const uint64_t bytes = MIN2(CLRNN_PIECE_BYTES, bucket_bytes);
    const struct clrnn_tree_params params = {
        .shards = m->config->train.shards,
        .count = m->bucket[bucket].count + (bucket ? 0 : RECORD_FIELDS),
        .size = sizeof(float),
        .piece = clrnn_ranks_count() > 1 && b->count > 1 ? (size_t)MAX2(bytes / sizeof(float), 1) : 0,
        .patient = others_follow(b, bucket),
        .sum = add_floats};

    TRY(clrnn_tree_create(b->reduce, &params, &b->tree[bucket]));
    for (size_t i = 0; i < clrnn_tree_pieces(b->tree[bucket]); i++) {
        if (!ARRAY_GROW(b->piece, b->piece_count))
            return clrnn_error_memory(m->log, 2 * b->piece_count * sizeof(*b->piece), "buckets of gradients");
        b->piece[b->piece_count++] = (struct piece){.bucket = bucket, .number = i};
    }
    return CLRNN_OK;
}

// Divides the gradients into buckets of the size that CLRNN_BUCKET_BYTES says for worker 0.
static enum clrnn_status cut(struct clrnn_buckets *b, const struct clrnn_worker *worker)
{
    struct clrnn_model *m = b->model;
    uint64_t bytes = clrnn_ranks_have_threads() ? clrnn_bucket_bytes() : 0;

    TRY(clrnn_worker_broadcast(worker, &bytes, sizeof(bytes)));
    TRY(bytes ? clrnn_ranks_check_threads(m->log) : CLRNN_OK);
    TRY(clrnn_model_cut(m, bytes));
    b->count = m->bucket_count;
    b->tree = calloc(b->count, sizeof(struct clrnn_tree *));
    b->job = calloc(b->count * b->shards, sizeof(*b->job));
    if (!b->tree || !b->job)
        return clrnn_error_memory(m->log, b->count * b->shards * sizeof(*b->job), "buckets of gradients");
    for (uint32_t i = 0; i < b->count; i++)
        TRY(make_tree(b, i, bytes));
    clrnn_log(m->log, CLRNN_LOG_DEBUG, "%.3g MB of gradients go in %zu bucket%s, %zu message%s",
              (double)m->flat_count * sizeof(float) * 1e-6, b->count, b->count > 1 ? "s" : "", b->piece_count,
              b->piece_count > 1 ? "s" : "");
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
            return clrnn_error(b->model->log, CLRNN_ERR_MEMORY, "a thread that sums gradients cannot be started: %s",
                               strerror(error));
        b->threads++;
    }
    return CLRNN_OK;
}

enum clrnn_status clrnn_buckets_wait(struct clrnn_buckets *b)
{
    return b->count > 1 ? wait_for(b, &b->read, b->queued.count) : CLRNN_OK;
}

// Queues `job`, the shard's next bucket, for the threads. If there is only one bucket, reads it at once.
static enum clrnn_status give(struct clrnn_buckets *b, struct job job)
{
    struct job *next = &b->job[((b->taken - 1) * b->count + job.bucket)];

    job.last = b->taken == b->shards;
    if (b->count > 1 && !job.empty)
        TRY(clrnn_device_mark(b->model->device, &job.mark));
    *next = job;
    if (b->count == 1)
        return take(b, next);
    done(b, CLRNN_OK, &b->queued);
    return CLRNN_OK;
}

static enum clrnn_status run(struct clrnn_plan *plan, size_t first, size_t end, bool alone)
{
    if (first >= end)
        return CLRNN_OK;
    return alone ? clrnn_launches_run_part(plan->launches, first, end) : clrnn_plan_run_part(plan, first, end);
}

enum clrnn_status clrnn_buckets_run(struct clrnn_buckets *b, struct clrnn_plan *plan, size_t first, bool alone,
                                    uint32_t slot)
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

// Returns the number of pieces in buckets 0 to `bucket`.
static size_t pieces_up_to(const struct clrnn_buckets *b, size_t bucket)
{
    size_t count = 0;

    while (count < b->piece_count && b->piece[count].bucket <= bucket)
        count++;
    return count;
}

static void divide(float *sums, size_t count, float weight)
{
    for (size_t i = 0; i < count; i++) {
        const float mean = sums[i] / weight; // computed even if it is not used, so that the loop vectorises

        sums[i] = sums[i] == 0.0f ? 0.0f : mean; // 0 stays 0, even if no label counts (0 / 0)
    }
}

enum clrnn_status clrnn_buckets_means(struct clrnn_buckets *b, size_t bucket, float **means)
{
    const size_t count = b->model->bucket[bucket].count;
    void *total;

    if (b->count > 1) {
        TRY(wait_for(b, &b->shared, (b->steps - 1) * b->piece_count + pieces_up_to(b, bucket)));
        total = clrnn_tree_sums(b->tree[bucket]);
    } else {
        TRY(clrnn_tree_total(b->tree[0], &total));
    }
    *means = total;
    if (!bucket)
        b->weight = (*means)[count + RECORD_WEIGHT];
    divide(*means, count, b->weight);
    return CLRNN_OK;
}
