// SPDX-License-Identifier: MIT
// Batchnorm statistics over all shards of a batch: what the host does between the parts of a shard's plan
// (clrnn_plan_part_end).
#ifndef CLRNN_SRC_TRAIN_NORM_SUMS_H
#define CLRNN_SRC_TRAIN_NORM_SUMS_H

#include "model/plan.h"
#include "train/workers.h"

struct clrnn_norm_sums;

/** Creates the sums for a worker's batchnorms with sync: true; *sums is NULL if its model has none.
 * CLRNN_ERR_MEMORY. */
enum clrnn_status clrnn_norm_sums_create(struct clrnn_model *model, const struct clrnn_worker *worker,
                                         struct clrnn_norm_sums **sums);
void clrnn_norm_sums_destroy(struct clrnn_norm_sums **sums);

/** Takes the statistics of this worker's next shard, which the part of its plan before op `op` has computed.
 * Shards must come in order. `empty`: the shard has no samples, and `plan` is another shard's. */
enum clrnn_status clrnn_norm_sums_take(struct clrnn_norm_sums *sums, const struct clrnn_plan *plan, size_t op,
                                       bool empty);
/** After all shards: sums up over all workers; worker 0 updates the running statistics. */
enum clrnn_status clrnn_norm_sums_add(struct clrnn_norm_sums *sums, const struct clrnn_plan *plan, size_t op);
/** Writes the sums' results into the tensors of one shard's plan. */
enum clrnn_status clrnn_norm_sums_give(struct clrnn_norm_sums *sums, const struct clrnn_plan *plan,
                                       size_t op);

#endif
