// SPDX-License-Identifier: MIT
// Data sets: opened from npy, CSV or made up, checked, and handed to the device whole or in pieces.
#ifndef CLRNN_SRC_TRAIN_DATASET_H
#define CLRNN_SRC_TRAIN_DATASET_H

#include "clrnn/config.h"
#include "clrnn/model.h"

/** An opened data set. Values are read on demand (npy files stay mapped). */
struct clrnn_dataset;

struct clrnn_dataset_info {
    const char *name; // "train", or the path of X, for messages
    uint32_t S, T, C; // samples, steps (of the longest), features (0: tokens)
    bool tokens, has_y, has_lengths;
    bool y_real, y_steps; // targets are real (bce, mse), one per step
    uint32_t classes;     // largest class + 1; bce_with_logits: 2; 0: no y, or mse
    uint64_t bytes;       // of x as float32
};

/** How strictly to look: the doctor wants to open what training would refuse. */
enum clrnn_dataset_check { CLRNN_CHECK_ALL, CLRNN_CHECK_SHAPES_ONLY };

/**
 * Opens `source`; what y means follows from the config (loss, last layer, pool). Checks N of X and y,
 * NaN and infinity in X (valid steps only) and y, labels against the number of outputs (ignore_index
 * is fine), lengths 1..T, tokens 0..num_embeddings-1: CLRNN_ERR_DATA naming file, first bad row, step and
 * feature, value and what was expected. `folder`: paths are relative to it (NULL: to nothing).
 */
enum clrnn_status clrnn_dataset_open(const struct clrnn_log *log, const struct clrnn_config *config,
                                     const struct clrnn_source *source, const char *folder, const char *name,
                                     enum clrnn_dataset_check check, struct clrnn_dataset **dataset);
/**
 * Opens the sets that a config names, as training takes them: `valid` is data.valid, or what
 * data.valid_fraction splits off, or NULL. Errors: those of opening; CLRNN_ERR_CONFIG where data.train or a
 * set's targets are missing; CLRNN_ERR_DATA where the two have other features. Both are NULL then.
 */
enum clrnn_status clrnn_dataset_open_named(const struct clrnn_log *log, const struct clrnn_config *config,
                                           enum clrnn_dataset_check check, struct clrnn_dataset **train,
                                           struct clrnn_dataset **valid);
void clrnn_dataset_close(struct clrnn_dataset **dataset);
const struct clrnn_dataset_info *clrnn_dataset_info(const struct clrnn_dataset *dataset);

/** What a view changes; zeros change nothing. Arrays are copied. */
struct clrnn_view {
    const uint32_t *row;       // [count] samples, in this order; NULL: the first `count`
    uint32_t count;            // 0 without rows: all
    const uint32_t *label_row; // [samples of the view] whose y each takes; NULL: its own
    const double *blank;       // [C] stands in place of every step of X; of tokens: 0 does
    bool shuffle_time;         // valid steps in an order of each sample's own, drawn from `seed`
    uint64_t seed;
    uint32_t steps; // of a sample at most; 0: all
};

/** The same set seen through a view; holds `dataset` open, which may be a view itself. Shuffled time is read
 *  through memory of the view: not by two threads at once. CLRNN_ERR_MEMORY. */
enum clrnn_status clrnn_dataset_view(struct clrnn_dataset *dataset, const struct clrnn_view *view,
                                     const char *name, struct clrnn_dataset **result);

/** Splits off a stratified, seeded fraction (data.valid_fraction). */
enum clrnn_status clrnn_dataset_split(struct clrnn_dataset *dataset, double fraction, uint64_t seed,
                                      struct clrnn_dataset **train, struct clrnn_dataset **valid);

/** Samples: x [T, C] float32 (T of info, padding as in the file), tokens, y as info says, length. */
void clrnn_dataset_x(const struct clrnn_dataset *dataset, uint32_t sample, float *x);
void clrnn_dataset_tokens(const struct clrnn_dataset *dataset, uint32_t sample, int32_t *tokens);
void clrnn_dataset_classes(const struct clrnn_dataset *dataset, uint32_t sample,
                           int32_t *y); // 1 or T; bce: y > 0.5
void clrnn_dataset_targets(const struct clrnn_dataset *dataset, uint32_t sample, float *y); // 1 or T
uint32_t clrnn_dataset_length(const struct clrnn_dataset *dataset, uint32_t sample);        // T where none

/** X of a sample where it lies in a mapped file as float32 in C order (samples of a set that is no view
 *  follow each other), else NULL. */
const float *clrnn_dataset_x_mapped(const struct clrnn_dataset *dataset, uint32_t sample);
/** CLRNN_ERR_DATA where a file of the set has become shorter since it was opened; for after reading. */
enum clrnn_status clrnn_dataset_whole(const struct clrnn_dataset *dataset);
/** Lets go of the mapped pages that were read so far; they come back from the file when touched. */
void clrnn_dataset_release(const struct clrnn_dataset *dataset);

/** Samples (steps) of each class, [classes]. */
enum clrnn_status clrnn_dataset_class_counts(const struct clrnn_dataset *dataset, uint64_t *counts);

/** Mean and population deviation per feature over valid steps, float64, two passes; deviation 0 becomes 1. */
enum clrnn_status clrnn_dataset_moments(const struct clrnn_dataset *dataset, double *mean, double *std);

/** A 32-digit fingerprint of shape and content, for `--resume`; reads everything once. */
enum clrnn_status clrnn_dataset_fingerprint(const struct clrnn_dataset *dataset, char hex[33]);
#endif
