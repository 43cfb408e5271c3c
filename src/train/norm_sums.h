// SPDX-License-Identifier: MIT
// Statistics of batchnorm over the shards of a batch: what the host does between the parts of a shard's plan
// (clrnn_plan_part_end).
#ifndef CLRNN_SRC_TRAIN_NORM_SUMS_H
#define CLRNN_SRC_TRAIN_NORM_SUMS_H

#include "model/plan.h"
#include "train/workers.h"

struct clrnn_norm_sums;

/** For the batchnorms with sync: true of a worker's model; *sums is NULL if it has none. CLRNN_ERR_MEMORY. */
enum clrnn_status clrnn_norm_sums_create(struct clrnn_model *model, const struct clrnn_worker *worker,
                                         struct clrnn_norm_sums **sums);
void clrnn_norm_sums_destroy(struct clrnn_norm_sums **sums);

/** Takes what a shard of this worker has after the part that ended before op `op` of its plan. Shards come in
 * order; `empty`: it has no samples, and the plan is of another. */
enum clrnn_status clrnn_norm_sums_take(struct clrnn_norm_sums *sums, const struct clrnn_plan *plan, size_t op,
                                       bool empty);
/** After all shards: sums up over all workers, and worker 0 updates running statistics. */
enum clrnn_status clrnn_norm_sums_add(struct clrnn_norm_sums *sums, const struct clrnn_plan *plan, size_t op);
/** Writes the results for one shard's plan. */
enum clrnn_status clrnn_norm_sums_give(struct clrnn_norm_sums *sums, const struct clrnn_plan *plan,
                                       size_t op);

#endif
