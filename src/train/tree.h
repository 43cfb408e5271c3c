// SPDX-License-Identifier: MIT
// Sums over the shards of a batch along a binary tree over their numbers: 0 + 1, 2 + 3, ..., then pairs of
// those. Its order depends on the number of shards alone, not on which worker has which shard.
#ifndef CLRNN_SRC_TRAIN_TREE_H
#define CLRNN_SRC_TRAIN_TREE_H

#include "train/workers.h"

/** Adds `right` to `left`, `count` numbers each. */
typedef void clrnn_tree_sum(void *left, const void *right, size_t count);

struct clrnn_tree;

/** A worker's part, which must outlive it; for values of `count` numbers of `size` bytes each.
 * CLRNN_ERR_MEMORY. */
enum clrnn_status clrnn_tree_create(const struct clrnn_worker *worker, uint32_t shards, size_t count,
                                    size_t size, clrnn_tree_sum *sum, struct clrnn_tree **tree);
void clrnn_tree_destroy(struct clrnn_tree **tree);

/** The first shard of the worker of a number, of `count`; number + 1 gives the end of its shards. */
uint32_t clrnn_tree_first(uint32_t shards, uint32_t number, uint32_t count);

/** Memory for the value of this worker's next shard: shards come in order. Valid until the next call. */
enum clrnn_status clrnn_tree_next(struct clrnn_tree *tree, void **value);
/** After this worker's last shard: exchanges sums with the others. *total: the sum over all shards, for every
 * worker, valid until the next clrnn_tree_next. Errors: as clrnn_worker_send. */
enum clrnn_status clrnn_tree_total(struct clrnn_tree *tree, void **total);
/** The same in two steps, which may be in different threads: worker 0 gets the sum; all get it, on the
 * channel of `worker`. */
enum clrnn_status clrnn_tree_reduce(struct clrnn_tree *tree);
enum clrnn_status clrnn_tree_share(struct clrnn_tree *tree, const struct clrnn_worker *worker, void **total);

#endif
