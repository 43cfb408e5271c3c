// SPDX-License-Identifier: MIT
// The way of gradients from the device along the tree of shards, bucket by bucket (struct clrnn_bucket). With
// several buckets two threads of the worker carry them while its device goes on: one reads those that are
// final and reduces them, the other shares the sums.
#ifndef CLRNN_SRC_TRAIN_BUCKETS_H
#define CLRNN_SRC_TRAIN_BUCKETS_H

#include "model/plan.h"
#include "train/workers.h"

/** Of one message between ranks. MPI sends up to so many bytes at once (Open MPI over TCP: 64 KiB with its
 * header). With more it asks the receiver first, and question and answer wait behind all that is on its way
 * between the two. */
#define CLRNN_PIECE_BYTES 60000

struct clrnn_buckets;

/** For a worker with `shards`; model and worker must outlive it. CLRNN_ERR_MEMORY. */
enum clrnn_status clrnn_buckets_create(struct clrnn_model *model, const struct clrnn_worker *worker,
                                       uint32_t shards, struct clrnn_buckets **buckets);
void clrnn_buckets_destroy(struct clrnn_buckets **buckets);

/** Begins a step, for every worker by its own thread; the first cuts the model's gradients (clrnn_model_cut),
 * by worker 0's CLRNN_BUCKET_BYTES, and starts the threads. CLRNN_ERR_MEMORY; CLRNN_ERR_ARG where MPI cannot
 * serve several threads; errors as clrnn_worker_send. */
enum clrnn_status clrnn_buckets_begin(struct clrnn_buckets *buckets, const struct clrnn_worker *worker);

/** Waits until what was taken so far is read, so that gradients may be overwritten. */
enum clrnn_status clrnn_buckets_wait(struct clrnn_buckets *buckets);
/** The next shard: queues launches [first, end) of its plan, the last of it, and takes the buckets as they
 * become final, the first together with the record in `slot`. plan NULL: a shard without samples. `alone`:
 * launches before `first` were not queued by clrnn_plan_run_part. */
enum clrnn_status clrnn_buckets_run(struct clrnn_buckets *buckets, struct clrnn_plan *plan, size_t first,
                                    bool alone, uint32_t slot);
/** After the last shard: waits for the sum of a bucket over all shards, and divides it by the sum of
 * RECORD_WEIGHT: [count] and, with bucket 0, behind it the sum of the records, RECORD_NORM numbers. Buckets
 * must be asked for once each, in order. Valid until the next step. Errors of the threads, which have said
 * so. */
enum clrnn_status clrnn_buckets_means(struct clrnn_buckets *buckets, size_t bucket, float **means);

/** Ends the threads, once waits for messages have been ended (clrnn_worker_fail). */
void clrnn_buckets_stop(struct clrnn_buckets *buckets);

#endif
