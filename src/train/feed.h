// SPDX-License-Identifier: MIT
// Feeding: batches of a data set to a model's plans, from a copy on the device or staged piece by piece.
#ifndef CLRNN_SRC_TRAIN_FEED_H
#define CLRNN_SRC_TRAIN_FEED_H

#include "model/plan.h"
#include "train/dataset.h"

struct clrnn_feed_params {
    uint32_t batch_size;
    bool shuffle, drop_last, bucket;
    uint64_t seed;
    uint64_t resident_bytes; // at most this much on the device; 0: CLRNN_RESIDENT_BYTES from
                             //   the environment, or what doc/environment.md says
    bool whole_steps;        // batches of short samples have the data's T all the same
    bool keep_tensors;       // every tensor of a pass stays readable, and there is a gradient of x
};

/** Batches that an epoch of S samples has. */
uint32_t clrnn_batch_count(uint32_t S, uint32_t batch_size, bool drop_last);
/** CLRNN_ERR_CONFIG where train.drop_last leaves none. */
enum clrnn_status clrnn_batch_check(const struct clrnn_log *log, uint32_t S, uint32_t batch_size,
                                    bool drop_last);

/** Batches of one data set for one model. Holds plans of every shape that came up. */
struct clrnn_feed;

enum clrnn_status clrnn_feed_create(struct clrnn_model *model, const struct clrnn_dataset *dataset,
                                    const struct clrnn_feed_params *params, struct clrnn_feed **feed);
void clrnn_feed_destroy(struct clrnn_feed **feed);

/** Batches an epoch has. */
uint32_t clrnn_feed_batches(const struct clrnn_feed *feed);

/** Fixes the order of an epoch (counted from 0; permutation from seed and epoch) and starts at `batch`. */
enum clrnn_status clrnn_feed_start(struct clrnn_feed *feed, uint64_t epoch, uint32_t batch);

/** Makes the next batch ready for its plan (writes the index, stages data; overlapped with what the
 *  device still does). `*samples` is its N. After the last batch *plan is NULL. */
enum clrnn_status clrnn_feed_next(struct clrnn_feed *feed, enum clrnn_mode mode, struct clrnn_plan **plan,
                                  uint32_t *samples);

/** The samples of the batch made ready last, in its order. */
const uint32_t *clrnn_feed_samples(const struct clrnn_feed *feed);

/** The samples of an epoch in the order in which a feed would take them, [S]. CLRNN_ERR_MEMORY. */
enum clrnn_status clrnn_feed_order(const struct clrnn_log *log, const struct clrnn_dataset *dataset,
                                   const struct clrnn_feed_params *params, uint64_t epoch, uint32_t *order);
#endif
