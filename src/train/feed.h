// SPDX-License-Identifier: MIT
// A feed gives a data set's batches to a model's plans, from a copy on the device or staged per batch.
#ifndef CLRNN_SRC_TRAIN_FEED_H
#define CLRNN_SRC_TRAIN_FEED_H

#include "model/plan.h"
#include "train/dataset.h"

struct clrnn_feed_params {
    uint32_t batch_size;
    bool shuffle, drop_last, bucket;
    uint64_t seed;
    uint64_t resident_bytes; // limit for the copy on the device; 0: CLRNN_RESIDENT_BYTES from the
                             // environment, or its default (doc/environment.md)
    bool whole_steps;        // do not shorten T for batches of short samples
    bool keep_tensors;       // keep every tensor of a pass readable, and compute a gradient of x
    uint32_t parts;          // most parts in which a batch is prepared (train.shards); 0: whole batches
};

/** The parameters with which the config trains. */
struct clrnn_feed_params clrnn_feed_as_trained(const struct clrnn_config *config);

/** Number of batches in an epoch of S samples. */
uint32_t clrnn_batch_count(uint32_t S, uint32_t batch_size, bool drop_last);
/** CLRNN_ERR_CONFIG if train.drop_last leaves no batch. */
enum clrnn_status clrnn_batch_check(const struct clrnn_log *log, uint32_t S, uint32_t batch_size,
                                    bool drop_last);

/** Provides the batches of one data set to one model, and caches plans by shape. */
struct clrnn_feed;

enum clrnn_status clrnn_feed_create(struct clrnn_model *model, const struct clrnn_dataset *dataset,
                                    const struct clrnn_feed_params *params, struct clrnn_feed **feed);
void clrnn_feed_destroy(struct clrnn_feed **feed);

/** Number of training steps in the epoch: one per batch or, with train.bptt, one per piece that has a valid
 * step. */
uint32_t clrnn_feed_steps(const struct clrnn_feed *feed);
/** clrnn_feed_steps of a config's first epoch, without a feed. CLRNN_ERR_MEMORY. */
enum clrnn_status clrnn_feed_count_steps(const struct clrnn_log *log, const struct clrnn_config *config,
                                         const struct clrnn_dataset *dataset, uint64_t *steps);

/** Pieces of `bptt` steps (0: one piece) in a batch of N samples, those without a valid step left out. */
uint32_t clrnn_feed_pieces(const struct clrnn_dataset *dataset, uint32_t bptt, const uint32_t *sample,
                           uint32_t N);

/** Sets the sample order of an epoch (counted from 0; a permutation from seed and epoch), and starts at
 * training step `step` of that epoch. */
enum clrnn_status clrnn_feed_start(struct clrnn_feed *feed, uint64_t epoch, uint32_t step);

/** Prepares the next batch and its plan, or in a training mode with train.bptt the batch's next piece. Writes
 * the index and stages data, while the device may still be working. *samples is the batch's N. After the last
 * batch *plan is NULL. */
enum clrnn_status clrnn_feed_next(struct clrnn_feed *feed, enum clrnn_mode mode, struct clrnn_plan **plan,
                                  uint32_t *samples);

/** These replace clrnn_feed_next for a feed with `parts`. clrnn_feed_next_batch moves to the next batch or
 * piece; *samples is its N, 0 after the last. clrnn_feed_part prepares its samples [first, first + count) and
 * their SHARD plan. */
enum clrnn_status clrnn_feed_next_batch(struct clrnn_feed *feed, enum clrnn_mode mode, uint32_t *samples);
struct clrnn_feed_part {
    uint32_t first, count;
    uint32_t arena;  // as in struct clrnn_plan_params
    bool statistics; // as in struct clrnn_plan_params
};
enum clrnn_status clrnn_feed_part(struct clrnn_feed *feed, const struct clrnn_feed_part *part,
                                  struct clrnn_plan **plan);

/** Skips this many batches, at most those that are left. */
void clrnn_feed_skip(struct clrnn_feed *feed, uint32_t batches);

/** Returns the fraction of its batch's time steps that the piece prepared last has; 1 for a whole batch.
 * *first: whether it is the batch's first piece. */
double clrnn_feed_share(const struct clrnn_feed *feed, bool *first);

/** The sample indices of the batch prepared last, in order. */
const uint32_t *clrnn_feed_samples(const struct clrnn_feed *feed);

/** Computes the sample order [S] in which a feed with these parameters reads an epoch. CLRNN_ERR_MEMORY. */
enum clrnn_status clrnn_feed_order(const struct clrnn_log *log, const struct clrnn_dataset *dataset,
                                   const struct clrnn_feed_params *params, uint64_t epoch, uint32_t *order);
#endif
