// SPDX-License-Identifier: MIT
// Data sets: opening them from .npy, .npz, CSV or .ts files, from arrays in memory or as synthetic data; checking them,
// reading their samples, and making views of them.
#ifndef CLRNN_SRC_TRAIN_DATASET_H
#define CLRNN_SRC_TRAIN_DATASET_H

#include "clrnn/config.h"
#include "clrnn/model.h"
#include "model/names.h"

/** An opened data set. Values are read on demand (npy files stay mapped). */
struct clrnn_dataset;

struct clrnn_dataset_info {
    const char *name; // for messages: "train", or the path of X
    uint32_t S,       // samples
        T,            // time steps of X, padding included
        C;            // features; 0: X holds tokens
    bool tokens, has_y, has_lengths, has_weights;
    bool has_y_lengths; // ctc only: y is [S, y_T], and each sample has its own number of labels
    bool y_real,        // targets are real numbers (bce, mse)
        y_steps;        // each step has a target
    uint32_t y_T;       // size of y's second axis: time steps, or labels with ctc; 1: no such axis
    uint32_t targets;   // numbers in y per sample or step
    uint32_t classes;   // largest class in y + 1, or 2 with a single bce label; 0: y holds no classes
    uint64_t bytes;     // size of X, all samples, as float32
};

/** How strictly to check a data set. With SHAPES_ONLY the doctor can open sets that training refuses. */
enum clrnn_dataset_check { CLRNN_CHECK_ALL, CLRNN_CHECK_SHAPES_ONLY };

/** Opens `source`; the config (loss, last layer, pool) determines what y means. Paths are relative to `folder` (NULL:
 * the working directory). Returns CLRNN_ERR_DATA unless
 * - X and y have the same number of samples,
 * - X (valid steps only) and y have no NaN or infinity; `missing_targets: ignore` allows NaN in y,
 * - labels are below the number of outputs or equal ignore_index,
 * - lengths lie in 1..T, and tokens in 0..num_embeddings-1.
 * The message names the first bad value, its file, row, step and feature, and what was expected. */
enum clrnn_status clrnn_dataset_open(const struct clrnn_log *log, const struct clrnn_config *config,
                                     const struct clrnn_source *source, const char *folder, const char *name,
                                     enum clrnn_dataset_check check, struct clrnn_dataset **dataset);
/** How the columns of a CSV file are chosen. If the struct is zeroed, `source` alone decides. */
struct clrnn_open_rules {
    const struct clrnn_names *names; // names of columns and classes to use, as in training; or NULL
    bool by_position;                // the model has no names: match columns by position
    bool no_targets;                 // for predictions: do not read y
    bool report;                     // log which columns are not used
};
/** clrnn_dataset_open with rules for CSV columns. */
enum clrnn_status clrnn_dataset_open_by(const struct clrnn_log *log, const struct clrnn_config *config,
                                        const struct clrnn_source *source, const char *folder, const char *name,
                                        enum clrnn_dataset_check check, const struct clrnn_open_rules *rules,
                                        struct clrnn_dataset **dataset);
/** Opens data.valid or data.test like clrnn_dataset_open_by. Settings that `source` does not contain are taken from
 * data.train, except delimiter, comment and decimal. */
enum clrnn_status clrnn_dataset_open_beside(const struct clrnn_log *log, const struct clrnn_config *config,
                                            const struct clrnn_source *source, const char *name,
                                            enum clrnn_dataset_check check, const struct clrnn_open_rules *rules,
                                            struct clrnn_dataset **dataset);
/** Returns a copy of `source` in which missing settings are those of the config's training set: the treatment of
 * missing cells and, if both are CSV files, file format, windows and, if `names` is NULL, columns. The horizon is the
 * training set's in any case. `source` and `config` still own the strings. */
struct clrnn_source clrnn_source_as_trained(const struct clrnn_config *config, const struct clrnn_names *names,
                                            const struct clrnn_source *source);
/** Sets *names to a copy of the column and class names of a data set from a table, or to NULL for other data sets. The
 * caller frees it with clrnn_names_destroy. Errors: CLRNN_ERR_MEMORY. */
enum clrnn_status clrnn_dataset_names(const struct clrnn_dataset *dataset, struct clrnn_names **names);
/** Opens the training set of a config as training uses it, without the part that is used for validation. Errors: as
 * clrnn_dataset_open_named. */
enum clrnn_status clrnn_dataset_open_train(const struct clrnn_log *log, const struct clrnn_config *config,
                                           struct clrnn_dataset **train);
/** Sets *names to the names of columns and classes that training on the config's training set gives the model, or to
 * NULL if that set is not a table or its file does not exist. The caller frees it with clrnn_names_destroy. Errors: as
 * clrnn_dataset_open_named. */
enum clrnn_status clrnn_config_names(const struct clrnn_log *log, const struct clrnn_config *config,
                                     struct clrnn_names **names);
/** Opens the training and validation sets of a config. *valid becomes data.valid, or the part that data.valid_fraction
 * or data.train.split takes from the training set, or NULL. `report`: log which columns are not used. Errors, after
 * which both are NULL: as clrnn_dataset_open; CLRNN_ERR_CONFIG if data.train or a set's targets are missing;
 * CLRNN_ERR_DATA if the sets differ in features. */
enum clrnn_status clrnn_dataset_open_named(const struct clrnn_log *log, const struct clrnn_config *config,
                                           enum clrnn_dataset_check check, bool report, struct clrnn_dataset **train,
                                           struct clrnn_dataset **valid);
void clrnn_dataset_close(struct clrnn_dataset **dataset);
const struct clrnn_dataset_info *clrnn_dataset_info(const struct clrnn_dataset *dataset);

/** What a view changes. A view is a data set that reads its samples from another data set and changes them. A zeroed
 * struct changes nothing. The view copies these arrays. */
struct clrnn_view {
    const uint32_t *row;       // [count] indices of the samples to use, in this order; NULL: the first `count`
    uint32_t count;            // number of samples; 0 if `row` is NULL: all samples
    const uint32_t *label_row; // [samples of the view] index of the sample whose y and weight to use; NULL: its own
    const double *blank;       // [C] features that replace those of every step of X (tokens become 0)
    bool shuffle_time;         // shuffle the valid steps of each sample, seeded by `seed`
    uint64_t seed;
    uint32_t steps; // truncate samples to this many steps; 0: do not truncate
};

/** Makes a view of `dataset`, which may itself be a view. The view keeps `dataset` open. With shuffle_time, two threads
 * must not read the view at once. Errors: CLRNN_ERR_MEMORY. */
enum clrnn_status clrnn_dataset_view(struct clrnn_dataset *dataset, const struct clrnn_view *view, const char *name,
                                     struct clrnn_dataset **result);

/** Detects whether the samples are overlapping windows of one time series, in order. If they are, *apart becomes the
 * smallest k for which samples n and n + k share no time step. Otherwise *apart becomes 0. Errors: CLRNN_ERR_MEMORY. */
enum clrnn_status clrnn_dataset_series(const struct clrnn_dataset *dataset, uint32_t *apart);
/** Splits a data set into two views; `valid` gets a stratified random `fraction` (data.valid_fraction) of the samples,
 * seeded by `seed`. If the samples are windows of one series (clrnn_dataset_series), `valid` gets the last windows, and
 * `train` the earlier windows that share no time step with them. Errors: CLRNN_ERR_MEMORY; CLRNN_ERR_DATA if a part
 * would have no sample. */
enum clrnn_status clrnn_dataset_split(struct clrnn_dataset *dataset, double fraction, uint64_t seed,
                                      struct clrnn_dataset **train, struct clrnn_dataset **valid);

/** Read X of one sample: float32 features x [T, C], or tokens [T]. T is that of the info. Padding is as in the file, or
 * 0 after a sequence from CSV or .ts files. */
void clrnn_dataset_x(const struct clrnn_dataset *dataset, uint32_t sample, float *x);
void clrnn_dataset_tokens(const struct clrnn_dataset *dataset, uint32_t sample, int32_t *tokens);
/** Returns the token of one step as it is in the file, before it is converted to int32. */
double clrnn_dataset_token(const struct clrnn_dataset *dataset, uint32_t sample, uint32_t step);
/** Read y of one sample, clrnn_dataset_y_count numbers, as classes or as real numbers. With bce_with_logits, the class
 * is 1 if the target is above 0.5, -1 if it is missing, else 0. */
void clrnn_dataset_classes(const struct clrnn_dataset *dataset, uint32_t sample, int32_t *y);
void clrnn_dataset_targets(const struct clrnn_dataset *dataset, uint32_t sample, float *y);
/** Return the length of one sample (T if the set has no lengths), and its weight (1 if the set has no weights). */
uint32_t clrnn_dataset_length(const struct clrnn_dataset *dataset, uint32_t sample);
double clrnn_dataset_weight(const struct clrnn_dataset *dataset, uint32_t sample);
/** Return the number of time steps of the model's output: for an input of T steps, and for one sample. */
uint32_t clrnn_dataset_output_steps(const struct clrnn_dataset *dataset, uint32_t T);
uint32_t clrnn_dataset_output_length(const struct clrnn_dataset *dataset, uint32_t sample);
/** Returns the number of y values of each sample, padding included: y_T * targets. */
size_t clrnn_dataset_y_count(const struct clrnn_dataset *dataset);
/** Returns the number of y values of one sample without padding. Only these values count; they come first in memory. */
size_t clrnn_dataset_y_valid(const struct clrnn_dataset *dataset, uint32_t sample);

/** Returns a pointer to a sample's X inside the mapped file or the array in memory. Returns NULL if there is no file or
 * array of float32 in C order, or if a view changes X. If the set is not a view, its samples are contiguous. */
const float *clrnn_dataset_x_mapped(const struct clrnn_dataset *dataset, uint32_t sample);
/** Whether clrnn_dataset_x_mapped finds the X of all samples, one after the other and in order. */
bool clrnn_dataset_in_order(const struct clrnn_dataset *dataset);
/** Returns CLRNN_ERR_DATA if a file of the set was truncated since it was opened. Call it after reading. */
enum clrnn_status clrnn_dataset_whole(const struct clrnn_dataset *dataset);
/** Releases the mapped pages read so far (madvise); they are read from the file again when accessed. */
void clrnn_dataset_release(const struct clrnn_dataset *dataset);

/** Counts the samples of each class, or the steps if each step has a target: counts [classes]. */
enum clrnn_status clrnn_dataset_class_counts(const struct clrnn_dataset *dataset, uint64_t *counts);

/** Computes the loss's weights for the setting `weight: balanced`. If the n labels of the set are in k different
 * classes, a class with m labels gets the weight n / (k m), and a class without labels gets 1. With bce_with_logits,
 * each label gets (number of negatives) / (number of positives), or 1 if it has no positives. The caller frees *weight
 * [*count]. */
enum clrnn_status clrnn_dataset_balanced_weights(const struct clrnn_dataset *dataset, double **weight, size_t *count);
/** Computes mean [targets] and population standard deviation std [targets] of real targets over valid steps; a
 * deviation of 0 is replaced by 1. */
enum clrnn_status clrnn_dataset_target_moments(const struct clrnn_dataset *dataset, double *mean, double *std);

/** Computes mean [C] and population standard deviation std [C] of each feature over valid steps, in float64 and two
 * passes; a deviation of 0 is replaced by 1. */
enum clrnn_status clrnn_dataset_moments(const struct clrnn_dataset *dataset, double *mean, double *std);

/** Computes a hash of shape and content as 32 hex digits. `--resume` compares it to check that the data have not
 * changed. Reads all of the data once. */
enum clrnn_status clrnn_dataset_fingerprint(const struct clrnn_dataset *dataset, char hex[33]);
#endif
