// SPDX-License-Identifier: MIT
// Training steps in shards (train.shards): each shard's gradient is computed by itself, the gradients are summed along
// a fixed tree, and one update follows.
#ifndef CLRNN_SRC_TRAIN_SHARDS_H
#define CLRNN_SRC_TRAIN_SHARDS_H

#include "train/feed.h"
#include "train/workers.h"

struct clrnn_shards;

/** Checks that the config's batches can be divided into train.shards shards, and that there are at least as many shards
 * as `workers`. Errors: CLRNN_ERR_CONFIG if not. */
enum clrnn_status clrnn_shards_check(const struct clrnn_log *log, const struct clrnn_config *config, uint32_t workers);

/** Creates the shards of a worker. `feed` must have been created with `parts` above 0 (struct clrnn_feed_params).
 * Model, feed and worker must outlive *shards. Errors: as clrnn_plan_create. */
enum clrnn_status clrnn_shards_create(struct clrnn_model *model, struct clrnn_feed *feed, struct clrnn_worker *worker,
                                      struct clrnn_shards **shards);
void clrnn_shards_destroy(struct clrnn_shards **shards);

// Worker 0 calls the functions below. The other workers call clrnn_shards_follow, which repeats what worker 0 does. All
// these functions may also return the errors of clrnn_worker_send.

/** Starts an epoch of the feed, as clrnn_feed_start. */
enum clrnn_status clrnn_shards_start(struct clrnn_shards *shards, uint64_t epoch, uint32_t step);

/** Runs one training step on the feed's batch of `samples` samples. The step's record is written to slot `slot`. *plan
 * becomes the plan of this worker's last shard that has samples; if no shard has samples, the plan of the update. Waits
 * for the gradient, but not for the update. */
enum clrnn_status clrnn_shards_step(struct clrnn_shards *shards, uint32_t samples, uint32_t slot,
                                    struct clrnn_plan **plan);

/** Sets *plan to plan `i` of the last step on this worker: one for each of its shards, NULL if the shard has no
 * samples, and after these the plan of the update. Returns false if there is no plan `i`. */
bool clrnn_shards_plan(const struct clrnn_shards *shards, uint32_t i, struct clrnn_plan **plan);

/** Returns the cost of the last step over all workers, assuming that the shards of other workers are like the shards of
 * this worker. */
struct clrnn_plan_cost clrnn_shards_cost(const struct clrnn_shards *shards);

/** Call it before a checkpoint: copies the carried states of all samples into the model. In worker 0 these include the
 * states of other workers' samples. */
enum clrnn_status clrnn_shards_gather(struct clrnn_shards *shards);

/** clrnn_shards_end ends the training of the other workers: their clrnn_shards_follow returns `status`. */
enum clrnn_status clrnn_shards_end(struct clrnn_shards *shards, enum clrnn_status status);
enum clrnn_status clrnn_shards_follow(struct clrnn_shards *shards);

#endif
