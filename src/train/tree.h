// SPDX-License-Identifier: MIT
// Sums over the shards of a batch along a binary tree: 0 + 1, 2 + 3, ..., then pairs of these sums. The order of
// additions depends only on the number of shards, and not on which worker computes which shard.
#ifndef CLRNN_SRC_TRAIN_TREE_H
#define CLRNN_SRC_TRAIN_TREE_H

#include "train/workers.h"

/** Combines the value `right` into the value `left`, `count` numbers each: usually adds them. */
typedef void clrnn_tree_sum(void *left, const void *right, size_t count);

struct clrnn_tree;

/** Each shard has a value: `count` numbers of `size` bytes each. */
struct clrnn_tree_params {
    uint32_t shards;
    size_t count, size;
    size_t piece; // numbers per message; 0: all; `sum` must work on any piece of a value
    bool patient; // the sums are not needed soon: waits for messages poll less often
    clrnn_tree_sum *sum;
};

/** Creates one worker's part of the tree. The worker must outlive the tree. Errors: CLRNN_ERR_MEMORY. */
enum clrnn_status clrnn_tree_create(const struct clrnn_worker *worker, const struct clrnn_tree_params *params,
                                    struct clrnn_tree **tree);
void clrnn_tree_destroy(struct clrnn_tree **tree);

/** Returns the first shard of worker `number` if there are `count` workers. The shards of a worker end where those of
 * worker `number` + 1 begin. */
uint32_t clrnn_tree_first(uint32_t shards, uint32_t number, uint32_t count);

/** Sets *value to memory for the value of this worker's next shard, in order; the caller fills it. The memory is valid
 * until the next clrnn_tree_next. */
enum clrnn_status clrnn_tree_next(struct clrnn_tree *tree, void **value);
/** Call it after this worker's last shard: exchanges sums with the other workers. In every worker, *total becomes the
 * sum over all shards, which is valid until the next clrnn_tree_next. Errors: as clrnn_worker_send. */
enum clrnn_status clrnn_tree_total(struct clrnn_tree *tree, void **total);

// The functions below do what clrnn_tree_total does, but piece by piece, so that messages of several pieces are in
// transit at once. All workers must use their trees in the same order, and the pieces of a tree in order.

/** Returns the number of pieces. */
size_t clrnn_tree_pieces(const struct clrnn_tree *tree);
/** Begins to receive all pieces of other workers' sums. May be called before the first shard. */
enum clrnn_status clrnn_tree_begin(struct clrnn_tree *tree);
/** Call it after the last shard: exchanges sums of a piece, so that worker 0 has the sum over all shards. */
enum clrnn_status clrnn_tree_reduce(struct clrnn_tree *tree, size_t piece);
/** Call it after clrnn_tree_reduce, possibly in another thread: begins to send worker 0's sums of the piece to all
 * workers, on the channel of `worker`. */
enum clrnn_status clrnn_tree_share(struct clrnn_tree *tree, size_t piece, const struct clrnn_worker *worker,
                                   struct clrnn_transfer *transfer);
/** Returns the sums over all shards. Each piece is complete when the *transfer of its clrnn_tree_share finishes. */
void *clrnn_tree_sums(const struct clrnn_tree *tree);

#endif
