// SPDX-License-Identifier: MIT
// Sums over the shards of a batch along a binary tree over their numbers: 0 + 1, 2 + 3, ..., then pairs of
// those. Its order depends on the number of shards alone, not on which worker has which shard.
#ifndef CLRNN_SRC_TRAIN_TREE_H
#define CLRNN_SRC_TRAIN_TREE_H

#include "train/workers.h"

/** Adds `right` to `left`, `count` numbers each. */
typedef void clrnn_tree_sum(void *left, const void *right, size_t count);

struct clrnn_tree;

/** Values of `count` numbers of `size` bytes each. */
struct clrnn_tree_params {
    uint32_t shards;
    size_t count, size;
    size_t piece; // numbers that go in one message, 0: all; `sum` must do for each of them
    bool patient; // nobody needs the sums soon: waits for them look less often
    clrnn_tree_sum *sum;
};

/** A worker's part, which must outlive it. CLRNN_ERR_MEMORY. */
enum clrnn_status clrnn_tree_create(const struct clrnn_worker *worker, const struct clrnn_tree_params *params,
                                    struct clrnn_tree **tree);
void clrnn_tree_destroy(struct clrnn_tree **tree);

/** The first shard of the worker of a number, of `count`; number + 1 gives the end of its shards. */
uint32_t clrnn_tree_first(uint32_t shards, uint32_t number, uint32_t count);

/** Memory for the value of this worker's next shard: shards come in order. Valid until the next call. */
enum clrnn_status clrnn_tree_next(struct clrnn_tree *tree, void **value);
/** After this worker's last shard: exchanges sums with the others. *total: the sum over all shards, for every
 * worker, valid until the next clrnn_tree_next. Errors: as clrnn_worker_send. */
enum clrnn_status clrnn_tree_total(struct clrnn_tree *tree, void **total);

/** The same piece by piece, in order, so that several are on their way at once; all workers must use their
 * trees in the same order. Begin may be called before the first shard, and has messages come from then on.
 * Reduce, after the last shard: worker 0 gets the sums of the piece. Share, which another thread may call:
 * all get them, in clrnn_tree_sums when the transfer finishes, on the channel of `worker`. */
size_t clrnn_tree_pieces(const struct clrnn_tree *tree);
enum clrnn_status clrnn_tree_begin(struct clrnn_tree *tree);
enum clrnn_status clrnn_tree_reduce(struct clrnn_tree *tree, size_t piece);
enum clrnn_status clrnn_tree_share(struct clrnn_tree *tree, size_t piece, const struct clrnn_worker *worker,
                                   struct clrnn_transfer *transfer);
void *clrnn_tree_sums(const struct clrnn_tree *tree);

#endif
