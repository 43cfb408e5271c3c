// SPDX-License-Identifier: MIT
// Data sets from npy or CSV files, or synthetic ones: opening, checking, reading samples, views.
#ifndef CLRNN_SRC_TRAIN_DATASET_H
#define CLRNN_SRC_TRAIN_DATASET_H

#include "clrnn/config.h"
#include "clrnn/model.h"
#include "model/names.h"

/** An opened data set. Values are read on demand (npy files stay mapped). */
struct clrnn_dataset;

struct clrnn_dataset_info {
    const char *name; // for messages: "train", or the path of X
    uint32_t S, T, C; // samples, steps of the longest sample, features (0: tokens)
    bool tokens, has_y, has_lengths, has_weights;
    bool has_y_lengths;   // ctc only: y is (N, y_T), and each sample has its own number of labels
    bool y_real, y_steps; // y_real: targets are real numbers (bce, mse); y_steps: each step has a target
    uint32_t y_T;         // steps that y has in memory, 1 where it has no time axis
    uint32_t targets; // numbers in y per sample or step: the number of outputs if targets are real, else 1
    uint32_t classes; // largest class + 1; bce_with_logits of one label: 2; 0: no y, or real targets
    uint64_t bytes;   // size of x as float32
};

/** How strictly to check a data set. With SHAPES_ONLY the doctor can open sets that training refuses. */
enum clrnn_dataset_check { CLRNN_CHECK_ALL, CLRNN_CHECK_SHAPES_ONLY };

/** Opens `source`; the config (loss, last layer, pool) determines what y means. Checks that X and y have the
 * same N, that X (valid steps only) and y have no NaN or infinity, that labels are below the number of
 * outputs or equal ignore_index, lengths lie in 1..T, and tokens in 0..num_embeddings-1. Otherwise
 * CLRNN_ERR_DATA with file, first bad row, step and feature, value and what was expected. Paths are relative
 * to `folder` (NULL: the working directory). */
enum clrnn_status clrnn_dataset_open(const struct clrnn_log *log, const struct clrnn_config *config,
                                     const struct clrnn_source *source, const char *folder, const char *name,
                                     enum clrnn_dataset_check check, struct clrnn_dataset **dataset);
/** How the columns of a CSV file are chosen. If the struct is zeroed, `source` alone decides. */
struct clrnn_open_rules {
    const struct clrnn_names *names; // columns and classes to use, of a model or training set; or NULL
    bool by_position;                // the model has no names: match columns by position
    bool no_targets;                 // for predictions: do not read y
    bool report;                     // say which columns are not used
};
/** clrnn_dataset_open with rules for CSV columns. */
enum clrnn_status clrnn_dataset_open_by(const struct clrnn_log *log, const struct clrnn_config *config,
                                        const struct clrnn_source *source, const char *folder,
                                        const char *name, enum clrnn_dataset_check check,
                                        const struct clrnn_open_rules *rules, struct clrnn_dataset **dataset);
/** Opens data.valid or data.test like clrnn_dataset_open_by. Settings that `source` does not contain are
 * taken from data.train, except delimiter, comment and decimal. */
enum clrnn_status clrnn_dataset_open_beside(const struct clrnn_log *log, const struct clrnn_config *config,
                                            const struct clrnn_source *source, const char *name,
                                            enum clrnn_dataset_check check,
                                            const struct clrnn_open_rules *rules,
                                            struct clrnn_dataset **dataset);
/** Returns a copy of a CSV `source` in which missing settings are those of the config's training set: file
 * format, windows and, if `names` is NULL, columns. Its strings still belong to `source` and `config`. */
struct clrnn_source clrnn_source_as_trained(const struct clrnn_config *config,
                                            const struct clrnn_names *names,
                                            const struct clrnn_source *source);
/** Makes *names: column and class names of a CSV file; NULL for other files. CLRNN_ERR_MEMORY. */
enum clrnn_status clrnn_dataset_names(const struct clrnn_dataset *dataset, struct clrnn_names **names);
/** Opens the training and validation sets of a config. `valid` becomes data.valid, or the part that
 * data.valid_fraction or a split takes from the training set, or NULL. `report`: log which columns are not
 * used. Errors, after which both are NULL: as clrnn_dataset_open; CLRNN_ERR_CONFIG if data.train or a set's
 * targets are missing; CLRNN_ERR_DATA if the sets differ in features. */
enum clrnn_status clrnn_dataset_open_named(const struct clrnn_log *log, const struct clrnn_config *config,
                                           enum clrnn_dataset_check check, bool report,
                                           struct clrnn_dataset **train, struct clrnn_dataset **valid);
void clrnn_dataset_close(struct clrnn_dataset **dataset);
const struct clrnn_dataset_info *clrnn_dataset_info(const struct clrnn_dataset *dataset);

/** What a view changes. A zeroed struct changes nothing. The view copies the arrays. */
struct clrnn_view {
    const uint32_t *row;       // [count] samples, in this order; NULL: the first `count`
    uint32_t count;            // 0 with row NULL: all samples
    const uint32_t *label_row; // [samples of the view] samples that the y come from; NULL: their own
    const double *blank;       // [C] values that replace every step of X (tokens are replaced by 0)
    bool shuffle_time;         // shuffle the valid steps of each sample, seeded by `seed`
    uint64_t seed;
    uint32_t steps; // truncate samples to this many steps; 0: do not truncate
};

/** Makes a view of a data set, which may itself be a view; the view keeps it open. With shuffle_time, two
 * threads must not read the view at once. CLRNN_ERR_MEMORY. */
enum clrnn_status clrnn_dataset_view(struct clrnn_dataset *dataset, const struct clrnn_view *view,
                                     const char *name, struct clrnn_dataset **result);

/** Detects overlapping windows of one series: if the rows are such windows, *apart becomes the smallest
 * distance between two rows that share no step, otherwise 0. CLRNN_ERR_MEMORY. */
enum clrnn_status clrnn_dataset_series(const struct clrnn_dataset *dataset, uint32_t *apart);
/** Splits a data set into two views; `valid` gets a stratified, seeded `fraction` (data.valid_fraction). Of
 * windows of one series it gets the last ones, and `train` the earlier ones that share no step with them. */
enum clrnn_status clrnn_dataset_split(struct clrnn_dataset *dataset, double fraction, uint64_t seed,
                                      struct clrnn_dataset **train, struct clrnn_dataset **valid);

/** Read a sample: x [T, C] as float32 (T of the info, padding as in the file), tokens [T], y, length. */
void clrnn_dataset_x(const struct clrnn_dataset *dataset, uint32_t sample, float *x);
void clrnn_dataset_tokens(const struct clrnn_dataset *dataset, uint32_t sample, int32_t *tokens);
double clrnn_dataset_token(const struct clrnn_dataset *dataset, uint32_t sample,
                           uint32_t step); // the unconverted value in the file
void clrnn_dataset_classes(const struct clrnn_dataset *dataset, uint32_t sample,
                           int32_t *y); // clrnn_dataset_y_count numbers; bce: y > 0.5
void clrnn_dataset_targets(const struct clrnn_dataset *dataset, uint32_t sample, float *y); // y_count numbers
uint32_t clrnn_dataset_length(const struct clrnn_dataset *dataset, uint32_t sample);        // T if no lengths
double clrnn_dataset_weight(const struct clrnn_dataset *dataset, uint32_t sample);          // 1 if no weights
/** Number of steps that the model puts out: for inputs of T steps, and for one sample. */
uint32_t clrnn_dataset_output_steps(const struct clrnn_dataset *dataset, uint32_t T);
uint32_t clrnn_dataset_output_length(const struct clrnn_dataset *dataset, uint32_t sample);
/** Returns how many numbers of y each sample has in memory: y_T * targets. */
size_t clrnn_dataset_y_count(const struct clrnn_dataset *dataset);
/** Returns how many of a sample's numbers of y belong to valid steps and so count; they come first. */
size_t clrnn_dataset_y_valid(const struct clrnn_dataset *dataset, uint32_t sample);

/** A sample's X inside the mapped file if that is float32 in C order, else NULL. If the set is not a view,
 * its samples are contiguous. */
const float *clrnn_dataset_x_mapped(const struct clrnn_dataset *dataset, uint32_t sample);
/** Whether the samples are contiguous and in order in the mapped file. */
bool clrnn_dataset_in_order(const struct clrnn_dataset *dataset);
/** CLRNN_ERR_DATA if a file of the set was truncated since it was opened. Call it after reading. */
enum clrnn_status clrnn_dataset_whole(const struct clrnn_dataset *dataset);
/** Releases the mapped pages read so far (madvise); they are read from the file again when accessed. */
void clrnn_dataset_release(const struct clrnn_dataset *dataset);

/** Counts the samples (or steps) of each class: counts [classes]. */
enum clrnn_status clrnn_dataset_class_counts(const struct clrnn_dataset *dataset, uint64_t *counts);

/** Computes the weights for `weight: balanced`: n / (k count) of the n labels in k classes that occur, 1 for
 * a class that does not occur; for bce_with_logits negatives / positives. The caller frees *weight
 * [*count]. */
enum clrnn_status clrnn_dataset_balanced_weights(const struct clrnn_dataset *dataset, double **weight,
                                                 size_t *count);
/** Mean and population std of real targets over valid steps; a std of 0 becomes 1. */
enum clrnn_status clrnn_dataset_target_moments(const struct clrnn_dataset *dataset, double *mean,
                                               double *std);

/** Mean and population std per feature over valid steps, in float64 and two passes; a std of 0 becomes 1. */
enum clrnn_status clrnn_dataset_moments(const struct clrnn_dataset *dataset, double *mean, double *std);

/** A fingerprint of shape and content in 32 hex digits, for `--resume`. Reads all of the data once. */
enum clrnn_status clrnn_dataset_fingerprint(const struct clrnn_dataset *dataset, char hex[33]);
#endif
