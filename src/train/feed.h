// SPDX-License-Identifier: MIT
// A feed gives the batches of a data set to a model's plans: from a copy of the whole set on the device or, if the set
// does not fit there, by copying each batch to the device (staging).
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
    bool keep_tensors;       // keep every tensor of a pass readable; in CLRNN_MODE_GRADIENT also compute dx
    uint32_t parts;          // largest number of parts of a batch (train.shards); 0: whole batches
};

/** Returns the feed parameters that training with this config uses. */
struct clrnn_feed_params clrnn_feed_as_trained(const struct clrnn_config *config);

/** Returns the number of batches in an epoch of S samples. */
uint32_t clrnn_batch_count(uint32_t S, uint32_t batch_size, bool drop_last);
/** Returns CLRNN_ERR_CONFIG if train.drop_last leaves no batch of S samples. */
enum clrnn_status clrnn_batch_check(const struct clrnn_log *log, uint32_t S, uint32_t batch_size, bool drop_last);

/** Provides the batches of one data set to one model, and caches plans by shape. */
struct clrnn_feed;

enum clrnn_status clrnn_feed_create(struct clrnn_model *model, const struct clrnn_dataset *dataset,
                                    const struct clrnn_feed_params *params, struct clrnn_feed **feed);
void clrnn_feed_destroy(struct clrnn_feed **feed);

/** Returns the number of training steps in the current epoch: one per batch or, with train.bptt, one per piece of a
 * batch (clrnn_feed_pieces). */
uint32_t clrnn_feed_steps(const struct clrnn_feed *feed);
/** Returns how many batches a training step completes on average: 1, or less if train.bptt cuts batches into pieces. */
double clrnn_feed_batches_per_step(const struct clrnn_feed *feed);
/** Computes the sum of what clrnn_feed_steps returns in the first `epochs` epochs of a config, without a feed. Errors:
 * CLRNN_ERR_MEMORY. */
enum clrnn_status clrnn_feed_count_steps(const struct clrnn_log *log, const struct clrnn_config *config,
                                         const struct clrnn_dataset *dataset, uint64_t epochs, uint64_t *steps);

/** Returns the number of pieces in a batch of samples, sample [N]. A piece is `bptt` consecutive time steps of all
 * samples. Pieces in which no sample has a valid step are left out. `bptt` 0: the whole batch is one piece. */
uint32_t clrnn_feed_pieces(const struct clrnn_dataset *dataset, uint32_t bptt, const uint32_t *sample, uint32_t N);

/** Sets the order of the samples in an epoch (clrnn_feed_order), and starts at training step `step` of that epoch.
 * Epochs and steps are counted from 0. */
enum clrnn_status clrnn_feed_start(struct clrnn_feed *feed, uint64_t epoch, uint32_t step);

/** Prepares the next batch and its plan or, in a training mode with train.bptt, the next piece of a batch and its plan.
 * Writes the batch's sample indices to the device, or stages its data; the device may still be working on earlier
 * batches. *samples becomes the batch's N. After the last batch *plan becomes NULL. */
enum clrnn_status clrnn_feed_next(struct clrnn_feed *feed, enum clrnn_mode mode, struct clrnn_plan **plan,
                                  uint32_t *samples);

/** These two functions replace clrnn_feed_next for a feed with `parts`. clrnn_feed_next_batch moves to the next batch
 * or piece; *samples becomes the batch's N, or 0 after the last batch. clrnn_feed_part then prepares samples [first,
 * first + count) of that batch or piece, and their plan (CLRNN_MODE_SHARD). */
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

/** Returns which fraction of a batch's time steps is in the piece prepared last; 1 for a whole batch. *first: whether
 * that piece is the first piece of its batch. */
double clrnn_feed_share(const struct clrnn_feed *feed, bool *first);

/** Returns the sample indices of the batch prepared last, in the order of the batch. */
const uint32_t *clrnn_feed_samples(const struct clrnn_feed *feed);

/** Computes order [S]: the sample indices in the order in which a feed with these parameters reads them in an epoch.
 * Errors: CLRNN_ERR_MEMORY. */
enum clrnn_status clrnn_feed_order(const struct clrnn_log *log, const struct clrnn_dataset *dataset,
                                   const struct clrnn_feed_params *params, uint64_t epoch, uint32_t *order);
#endif
