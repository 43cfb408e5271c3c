// SPDX-License-Identifier: MIT
// Batchnorm statistics over all shards of a batch. A shard's plan is divided into parts at each batchnorm with sync:
// true (clrnn_plan_part_end). Between two parts, the host sums up the statistics of all shards and writes back the
// results.
#ifndef CLRNN_SRC_TRAIN_NORM_SUMS_H
#define CLRNN_SRC_TRAIN_NORM_SUMS_H

#include "model/plan.h"
#include "train/workers.h"

struct clrnn_norm_sums;

/** Creates the sums for the model's batchnorm layers with sync: true. *sums becomes NULL if there is no such layer.
 * Errors: CLRNN_ERR_MEMORY. */
enum clrnn_status clrnn_norm_sums_create(struct clrnn_model *model, const struct clrnn_worker *worker,
                                         struct clrnn_norm_sums **sums);
void clrnn_norm_sums_destroy(struct clrnn_norm_sums **sums);

/** Reads the statistics of this worker's next shard from the device and adds them to the sums. The part of `plan` that
 * ends before op `op` has computed them. Call it for the shards in order. `empty`: the shard has no samples and adds
 * zeros; `plan` is then the plan of another shard. */
enum clrnn_status clrnn_norm_sums_take(struct clrnn_norm_sums *sums, const struct clrnn_plan *plan, size_t op,
                                       bool empty);
/** Call it after all shards of this worker: sums up the statistics over all workers and computes what
 * clrnn_norm_sums_give writes. In the forward pass, worker 0 also updates the running statistics. */
enum clrnn_status clrnn_norm_sums_add(struct clrnn_norm_sums *sums, const struct clrnn_plan *plan, size_t op);
/** Writes the results of clrnn_norm_sums_add into the tensors of one shard's plan. */
enum clrnn_status clrnn_norm_sums_give(struct clrnn_norm_sums *sums, const struct clrnn_plan *plan, size_t op);

#endif
