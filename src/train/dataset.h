// SPDX-License-Identifier: MIT
// Data sets from npy or CSV files or synthetic: opening, checking, reading samples, views.
#ifndef CLRNN_SRC_TRAIN_DATASET_H
#define CLRNN_SRC_TRAIN_DATASET_H

#include "clrnn/config.h"
#include "clrnn/model.h"
#include "model/names.h"

/** An opened data set. Values are read on demand (npy files stay mapped). */
struct clrnn_dataset;

struct clrnn_dataset_info {
    const char *name; // "train", or the path of X, for messages
    uint32_t S, T, C; // samples, steps (the largest), features (0: tokens)
    bool tokens, has_y, has_lengths, has_weights;
    bool has_y_lengths;   // of ctc: y is (N, y_T), and each sample has its own number of labels
    bool y_real, y_steps; // targets are real (bce, mse), one per step
    uint32_t y_T;         // steps of y in memory, 1 where it has none
    uint32_t targets;     // numbers of y per sample or step: outputs of real targets, otherwise 1
    uint32_t classes;     // largest class + 1; bce_with_logits of one label: 2; 0: no y, or real targets
    uint64_t bytes;       // of x as float32
};

/** How strictly to check: the doctor opens data sets that training refuses. */
enum clrnn_dataset_check { CLRNN_CHECK_ALL, CLRNN_CHECK_SHAPES_ONLY };

/** Opens `source`; the config (loss, last layer, pool) determines what y means. Checks that N of X and y
 * agree, that X (valid steps only) and y have no NaN or infinity, that labels are below the number of outputs
 * or ignore_index, lengths 1..T, and tokens 0..num_embeddings-1: CLRNN_ERR_DATA with file, first bad row,
 * step and feature, value and what was expected. Paths are relative to `folder` (NULL: the working
 * directory).
 */
enum clrnn_status clrnn_dataset_open(const struct clrnn_log *log, const struct clrnn_config *config,
                                     const struct clrnn_source *source, const char *folder, const char *name,
                                     enum clrnn_dataset_check check, struct clrnn_dataset **dataset);
/** How the columns of a CSV file are chosen. Zeroed: as the source says. */
struct clrnn_open_rules {
    const struct clrnn_names *names; // of a model or training set: the same columns and classes, or NULL
    bool by_position;                // of a model without names
    bool no_targets;                 // for predictions: y is not read
    bool report;                     // say which columns are not used
};
/** clrnn_dataset_open with rules. */
enum clrnn_status clrnn_dataset_open_by(const struct clrnn_log *log, const struct clrnn_config *config,
                                        const struct clrnn_source *source, const char *folder,
                                        const char *name, enum clrnn_dataset_check check,
                                        const struct clrnn_open_rules *rules, struct clrnn_dataset **dataset);
/** Opens data.valid or data.test: as clrnn_dataset_open_by, with what `source` leaves open as in data.train,
 * but for delimiter, comment and decimal. */
enum clrnn_status clrnn_dataset_open_beside(const struct clrnn_log *log, const struct clrnn_config *config,
                                            const struct clrnn_source *source, const char *name,
                                            enum clrnn_dataset_check check,
                                            const struct clrnn_open_rules *rules,
                                            struct clrnn_dataset **dataset);
/** A source of a CSV file, with what it leaves open as in the config's training set: how the file is written,
 * windows, and where there are no `names` the columns. Its texts belong to the two. */
struct clrnn_source clrnn_source_as_trained(const struct clrnn_config *config,
                                            const struct clrnn_names *names,
                                            const struct clrnn_source *source);
/** Makes *names, the names of a CSV file's columns and classes; NULL for other files. CLRNN_ERR_MEMORY. */
enum clrnn_status clrnn_dataset_names(const struct clrnn_dataset *dataset, struct clrnn_names **names);
/** Opens the training and validation sets of a config: `valid` is data.valid, or the part that
 * data.valid_fraction splits off, or NULL. `report`: say which columns are not used. Errors: as
 * clrnn_dataset_open; CLRNN_ERR_CONFIG if data.train or a set's targets are missing; CLRNN_ERR_DATA if the
 * sets differ in features. Both are then NULL.
 */
enum clrnn_status clrnn_dataset_open_named(const struct clrnn_log *log, const struct clrnn_config *config,
                                           enum clrnn_dataset_check check, bool report,
                                           struct clrnn_dataset **train, struct clrnn_dataset **valid);
void clrnn_dataset_close(struct clrnn_dataset **dataset);
const struct clrnn_dataset_info *clrnn_dataset_info(const struct clrnn_dataset *dataset);

/** What a view changes; zeroed: nothing. Arrays are copied. */
struct clrnn_view {
    const uint32_t *row;       // [count] samples, in this order; NULL: the first `count`
    uint32_t count;            // 0 without rows: all
    const uint32_t *label_row; // [samples of the view] whose y each takes; NULL: its own
    const double *blank;       // [C] replaces every step of X (tokens are replaced by 0)
    bool shuffle_time;         // shuffle the valid steps of each sample, seeded by `seed`
    uint64_t seed;
    uint32_t steps; // truncate samples to this many steps; 0: no
};

/** Makes a view of a data set, which may itself be a view and is kept open. With shuffle_time the view must
 * not be read by two threads at once. CLRNN_ERR_MEMORY. */
enum clrnn_status clrnn_dataset_view(struct clrnn_dataset *dataset, const struct clrnn_view *view,
                                     const char *name, struct clrnn_dataset **result);

/** Whether the rows are overlapping windows of one series: sets *apart to the smallest distance of two rows
 * that share no step, or to 0 if they are not. CLRNN_ERR_MEMORY. */
enum clrnn_status clrnn_dataset_series(const struct clrnn_dataset *dataset, uint32_t *apart);
/** Splits a data set into two views: `valid` gets the stratified, seeded fraction (data.valid_fraction). Of
 * windows of one series it gets the last ones, and `train` those before that share no step with them. */
enum clrnn_status clrnn_dataset_split(struct clrnn_dataset *dataset, double fraction, uint64_t seed,
                                      struct clrnn_dataset **train, struct clrnn_dataset **valid);

/** Read a sample: x [T, C] as float32 (T of the info, padding as in the file), tokens [T], y, length. */
void clrnn_dataset_x(const struct clrnn_dataset *dataset, uint32_t sample, float *x);
void clrnn_dataset_tokens(const struct clrnn_dataset *dataset, uint32_t sample, int32_t *tokens);
double clrnn_dataset_token(const struct clrnn_dataset *dataset, uint32_t sample,
                           uint32_t step); // as the file has it
void clrnn_dataset_classes(const struct clrnn_dataset *dataset, uint32_t sample,
                           int32_t *y); // as many as clrnn_dataset_y_count; bce: y > 0.5
void clrnn_dataset_targets(const struct clrnn_dataset *dataset, uint32_t sample, float *y); // likewise
uint32_t clrnn_dataset_length(const struct clrnn_dataset *dataset, uint32_t sample);        // T where none
double clrnn_dataset_weight(const struct clrnn_dataset *dataset, uint32_t sample);          // 1 where none
/** Steps of the model's output for inputs of T steps; for a sample. */
uint32_t clrnn_dataset_output_steps(const struct clrnn_dataset *dataset, uint32_t T);
uint32_t clrnn_dataset_output_length(const struct clrnn_dataset *dataset, uint32_t sample);
/** Numbers of y that a sample has in memory, [y_T, targets]. */
size_t clrnn_dataset_y_count(const struct clrnn_dataset *dataset);
/** Numbers of y of a sample that count: those of its valid steps, which come first. */
size_t clrnn_dataset_y_valid(const struct clrnn_dataset *dataset, uint32_t sample);

/** X of a sample in the mapped file if it is float32 in C order, else NULL. Samples of a set that is not a
 * view are contiguous. */
const float *clrnn_dataset_x_mapped(const struct clrnn_dataset *dataset, uint32_t sample);
/** Whether the samples lie in the mapped file one after the other. */
bool clrnn_dataset_in_order(const struct clrnn_dataset *dataset);
/** CLRNN_ERR_DATA if a file of the set became shorter after it was opened; to be called after reading. */
enum clrnn_status clrnn_dataset_whole(const struct clrnn_dataset *dataset);
/** Releases the mapped pages read so far (madvise); they are read from the file again when accessed. */
void clrnn_dataset_release(const struct clrnn_dataset *dataset);

/** Counts the samples (steps) of each class, [classes]. */
enum clrnn_status clrnn_dataset_class_counts(const struct clrnn_dataset *dataset, uint64_t *counts);

/** The weights that `weight: balanced` means, n / (k count) of the n labels in k classes that occur, 1 for a
 * class that does not; bce_with_logits: negatives / positives. *weight [*count] is to be freed by the caller.
 */
enum clrnn_status clrnn_dataset_balanced_weights(const struct clrnn_dataset *dataset, double **weight,
                                                 size_t *count);
/** Mean and population deviation of real targets, over valid steps; deviation 0 becomes 1. */
enum clrnn_status clrnn_dataset_target_moments(const struct clrnn_dataset *dataset, double *mean,
                                               double *std);

/** Mean and population deviation per feature over valid steps, float64, two passes; deviation 0 becomes 1. */
enum clrnn_status clrnn_dataset_moments(const struct clrnn_dataset *dataset, double *mean, double *std);

/** A 32-digit fingerprint of shape and content, for `--resume`; reads everything once. */
enum clrnn_status clrnn_dataset_fingerprint(const struct clrnn_dataset *dataset, char hex[33]);
#endif
