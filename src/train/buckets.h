// SPDX-License-Identifier: MIT
// Moves gradients from the device to the reduction tree over shards, one bucket (struct clrnn_bucket) at a
// time. With several buckets, two threads of the worker do this while its device computes: one reads final
// buckets and reduces them, the other distributes the sums.
#ifndef CLRNN_SRC_TRAIN_BUCKETS_H
#define CLRNN_SRC_TRAIN_BUCKETS_H

#include "model/plan.h"
#include "train/workers.h"

/** Size of one message between ranks. MPI sends up to this many bytes eagerly (Open MPI over TCP: 64 KiB with
 * its header). For a larger message it asks the receiver first, and this handshake waits behind all other
 * messages between the two ranks. */
#define CLRNN_PIECE_BYTES 60000

struct clrnn_buckets;

/** For a worker with `shards` shards; model and worker must outlive the result. CLRNN_ERR_MEMORY. */
enum clrnn_status clrnn_buckets_create(struct clrnn_model *model, const struct clrnn_worker *worker,
                                       uint32_t shards, struct clrnn_buckets **buckets);
void clrnn_buckets_destroy(struct clrnn_buckets **buckets);

/** Begins a step; every worker calls it from its own thread. The first call cuts the model's gradients
 * (clrnn_model_cut) into buckets of worker 0's CLRNN_BUCKET_BYTES and starts the threads. CLRNN_ERR_MEMORY;
 * CLRNN_ERR_ARG where MPI cannot serve several threads; errors as clrnn_worker_send. */
enum clrnn_status clrnn_buckets_begin(struct clrnn_buckets *buckets, const struct clrnn_worker *worker);

/** Waits until all buckets queued so far are read from the device, so that gradients may be overwritten. */
enum clrnn_status clrnn_buckets_wait(struct clrnn_buckets *buckets);
/** Runs the last part of the next shard's plan, launches [first, end), and queues each bucket as it becomes
 * final; the first goes together with the record in `slot`. plan NULL: the shard has no samples. `alone`:
 * launches before `first` were queued by other means than clrnn_plan_run_part. */
enum clrnn_status clrnn_buckets_run(struct clrnn_buckets *buckets, struct clrnn_plan *plan, size_t first,
                                    bool alone, uint32_t slot);
/** After the last shard: waits for the sum of a bucket over all shards and divides its [count] gradients by
 * the sum of RECORD_WEIGHT. With bucket 0 the sum of the records follows, RECORD_NORM numbers, not divided.
 * Call it once for each bucket, in order; *means is valid until the next step. Returns errors of the threads,
 * which are logged. */
enum clrnn_status clrnn_buckets_means(struct clrnn_buckets *buckets, size_t bucket, float **means);

/** Ends the threads. None may still wait for messages: clrnn_worker_fail ends such waits. */
void clrnn_buckets_stop(struct clrnn_buckets *buckets);

#endif
