// SPDX-License-Identifier: MIT
// Moves gradients from the device to the reduction tree over shards, one bucket at a time. A bucket is a range of the
// flat gradient buffer (struct clrnn_bucket). With several buckets, two threads of the worker do this while its device
// computes. One thread reads each bucket as soon as its gradients are final, and sums it over the shards. The other
// thread sends the sums to all workers.
#ifndef CLRNN_SRC_TRAIN_BUCKETS_H
#define CLRNN_SRC_TRAIN_BUCKETS_H

#include "model/plan.h"
#include "train/workers.h"

/** Size of one message between ranks. MPI sends up to this many bytes eagerly (Open MPI over TCP: 64 KiB with its
 * header). For a larger message MPI asks the receiver first, and this handshake waits behind all other messages between
 * the two ranks. */
#define CLRNN_PIECE_BYTES 60000

struct clrnn_buckets;

/** Creates the buckets of a worker that has `shards` shards. `model` and `worker` must outlive *buckets. Errors:
 * CLRNN_ERR_MEMORY. */
enum clrnn_status clrnn_buckets_create(struct clrnn_model *model, const struct clrnn_worker *worker, uint32_t shards,
                                       struct clrnn_buckets **buckets);
void clrnn_buckets_destroy(struct clrnn_buckets **buckets);

/** Begins a step; every worker calls it from its own thread. The first call divides the model's gradients into buckets
 * (clrnn_model_cut) and starts the threads. All workers use the bucket size of worker 0: its environment variable
 * CLRNN_BUCKET_BYTES. Errors: CLRNN_ERR_MEMORY; CLRNN_ERR_ARG if MPI cannot serve several threads; as
 * clrnn_worker_send. */
enum clrnn_status clrnn_buckets_begin(struct clrnn_buckets *buckets, const struct clrnn_worker *worker);

/** Waits until the host has read all buckets queued so far; the device may then overwrite gradients. */
enum clrnn_status clrnn_buckets_wait(struct clrnn_buckets *buckets);
/** Runs the last part of the next shard's plan: all launches from `first` on. Queues each bucket to be read as soon as
 * its gradients are final. Bucket 0 is read together with the shard's record, at index `slot` of the model's records.
 * `plan` is NULL if the shard has no samples. `alone`: the launches before `first` were queued with
 * clrnn_launches_run_part, so queue the rest with it instead of clrnn_plan_run_part. */
enum clrnn_status clrnn_buckets_run(struct clrnn_buckets *buckets, struct clrnn_plan *plan, size_t first, bool alone,
                                    uint32_t slot);
/** Waits for the sum of a bucket's gradients over all shards, and divides it by the sum of RECORD_WEIGHT
 * (cl/slots.h) over all shards. Call it after the last shard, once for each bucket, in order. *means becomes the
 * resulting gradients, [count of the bucket]; it is valid until the next step. In bucket 0 they are followed by
 * RECORD_NORM numbers: the sums of the fields before RECORD_NORM of the shards' records, not divided. Also returns
 * errors of the threads, which are logged already. */
enum clrnn_status clrnn_buckets_means(struct clrnn_buckets *buckets, size_t bucket, float **means);

/** Ends the threads and joins them. If a thread may still wait for a message, call clrnn_worker_fail first, which ends
 * the wait. */
void clrnn_buckets_stop(struct clrnn_buckets *buckets);

#endif
