// SPDX-License-Identifier: MIT
// Training steps in shards (train.shards): each shard's gradient is computed by itself, the gradients are
// summed along a fixed tree, and one update follows.
#ifndef CLRNN_SRC_TRAIN_SHARDS_H
#define CLRNN_SRC_TRAIN_SHARDS_H

#include "train/feed.h"
#include "train/workers.h"

struct clrnn_shards;

/** CLRNN_ERR_CONFIG if the config's batches cannot be cut into train.shards shards, or if these are fewer
 * than `workers`. */
enum clrnn_status clrnn_shards_check(const struct clrnn_log *log, const struct clrnn_config *config,
                                     uint32_t workers);

/** Creates the shards of a worker from its model and its feed with `parts`; all of these must outlive
 * *shards. Errors: as clrnn_plan_create. */
enum clrnn_status clrnn_shards_create(struct clrnn_model *model, struct clrnn_feed *feed,
                                      struct clrnn_worker *worker, struct clrnn_shards **shards);
void clrnn_shards_destroy(struct clrnn_shards **shards);

// Worker 0 calls the functions below. The other workers call clrnn_shards_follow, which repeats what worker 0
// does. In addition to their own errors they return those of clrnn_worker_send.

/** Starts the feed's epoch, as clrnn_feed_start. */
enum clrnn_status clrnn_shards_start(struct clrnn_shards *shards, uint64_t epoch, uint32_t step);

/** Runs one step on the feed's batch of `samples`, with its record in `slot`. *plan becomes the plan of this
 * worker's last shard. Waits for the gradient, not for the update. */
enum clrnn_status clrnn_shards_step(struct clrnn_shards *shards, uint32_t samples, uint32_t slot,
                                    struct clrnn_plan **plan);

/** The cost of the last step over all workers, assuming that their shards are like this worker's. */
struct clrnn_plan_cost clrnn_shards_cost(const struct clrnn_shards *shards);

/** Before a checkpoint: puts the carried states of all samples into the model; in worker 0 that includes the
 * states of other workers' shards. */
enum clrnn_status clrnn_shards_gather(struct clrnn_shards *shards);

/** Ends the training of the other workers: their clrnn_shards_follow returns `status`. */
enum clrnn_status clrnn_shards_end(struct clrnn_shards *shards, enum clrnn_status status);
enum clrnn_status clrnn_shards_follow(struct clrnn_shards *shards);

#endif
