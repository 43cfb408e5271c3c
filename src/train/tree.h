// SPDX-License-Identifier: MIT
// Sums over the shards of a batch along a binary tree: 0 + 1, 2 + 3, ..., then pairs of these sums. The order
// of additions depends only on the number of shards, not on which worker has which shard.
#ifndef CLRNN_SRC_TRAIN_TREE_H
#define CLRNN_SRC_TRAIN_TREE_H

#include "train/workers.h"

/** Adds `right` to `left`, `count` numbers each. */
typedef void clrnn_tree_sum(void *left, const void *right, size_t count);

struct clrnn_tree;

/** Each shard's value is `count` numbers of `size` bytes. */
struct clrnn_tree_params {
    uint32_t shards;
    size_t count, size;
    size_t piece; // numbers per message, 0: all; `sum` must work on any piece
    bool patient; // nobody needs the sums soon: waits for them poll less often
    clrnn_tree_sum *sum;
};

/** Creates one worker's part of the tree; the worker must outlive it. CLRNN_ERR_MEMORY. */
enum clrnn_status clrnn_tree_create(const struct clrnn_worker *worker, const struct clrnn_tree_params *params,
                                    struct clrnn_tree **tree);
void clrnn_tree_destroy(struct clrnn_tree **tree);

/** The first shard of worker `number` of `count`. Its shards end where those of `number` + 1 begin. */
uint32_t clrnn_tree_first(uint32_t shards, uint32_t number, uint32_t count);

/** Memory for the value of this worker's next shard, in order. Valid until the next call. */
enum clrnn_status clrnn_tree_next(struct clrnn_tree *tree, void **value);
/** Call it after this worker's last shard: exchanges sums with the other workers. In every worker, *total
 * becomes the sum over all shards, valid until the next clrnn_tree_next. Errors: as clrnn_worker_send. */
enum clrnn_status clrnn_tree_total(struct clrnn_tree *tree, void **total);

/** clrnn_tree_total piece by piece, in order, so that several are under way at once; all workers must use
 * their trees in the same order. Begin posts the receives and may be called before the first shard. Reduce,
 * after the last shard, sums up a piece in worker 0. Share, which another thread may call, sends these sums
 * to all on the channel of `worker`; clrnn_tree_sums has them when the transfer finishes. */
size_t clrnn_tree_pieces(const struct clrnn_tree *tree);
enum clrnn_status clrnn_tree_begin(struct clrnn_tree *tree);
enum clrnn_status clrnn_tree_reduce(struct clrnn_tree *tree, size_t piece);
enum clrnn_status clrnn_tree_share(struct clrnn_tree *tree, size_t piece, const struct clrnn_worker *worker,
                                   struct clrnn_transfer *transfer);
void *clrnn_tree_sums(const struct clrnn_tree *tree);

#endif
