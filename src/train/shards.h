// SPDX-License-Identifier: MIT
// Training steps on batches in shards (train.shards): each shard's gradient by itself, their sum along a
// fixed tree, one update.
#ifndef CLRNN_SRC_TRAIN_SHARDS_H
#define CLRNN_SRC_TRAIN_SHARDS_H

#include "train/feed.h"
#include "train/workers.h"

struct clrnn_shards;

/** CLRNN_ERR_CONFIG if the config's training cannot be cut into its shards, or not into one for each of
 * `workers`. */
enum clrnn_status clrnn_shards_check(const struct clrnn_log *log, const struct clrnn_config *config,
                                     uint32_t workers);

/** For a worker's model and feed with `parts`, which must all outlive it. Errors: as clrnn_plan_create. */
enum clrnn_status clrnn_shards_create(struct clrnn_model *model, struct clrnn_feed *feed,
                                      struct clrnn_worker *worker, struct clrnn_shards **shards);
void clrnn_shards_destroy(struct clrnn_shards **shards);

// Worker 0 calls the functions that follow; the others call clrnn_shards_follow, which does what it does.
// Errors of those, too: as clrnn_worker_send.

/** Starts the feed's epoch, as clrnn_feed_start. */
enum clrnn_status clrnn_shards_start(struct clrnn_shards *shards, uint64_t epoch, uint32_t step);

/** One step on the feed's batch of `samples`, with its record in `slot`. *plan: that of this worker's last
 * shard. Waits for the gradient, not for the update. */
enum clrnn_status clrnn_shards_step(struct clrnn_shards *shards, uint32_t samples, uint32_t slot,
                                    struct clrnn_plan **plan);

/** What the last step cost all workers together, as far as their shards are like this one's. */
struct clrnn_plan_cost clrnn_shards_cost(const struct clrnn_shards *shards);

/** Makes the model hold the carried states of all samples, that of worker 0 also those of others' shards: for
 * a checkpoint. */
enum clrnn_status clrnn_shards_gather(struct clrnn_shards *shards);

/** Ends the others' training: their clrnn_shards_follow returns `status`. */
enum clrnn_status clrnn_shards_end(struct clrnn_shards *shards, enum clrnn_status status);
enum clrnn_status clrnn_shards_follow(struct clrnn_shards *shards);

#endif
