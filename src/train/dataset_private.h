// SPDX-License-Identifier: MIT
// A data set's internals, for the files that open, check and read it.
#ifndef CLRNN_SRC_TRAIN_DATASET_PRIVATE_H
#define CLRNN_SRC_TRAIN_DATASET_PRIVATE_H

#include "base/hash.h"
#include "formats/npy.h"
#include "train/dataset.h"
#include "train/series.h"

/** What the config requires of the data. */
struct clrnn_data_goal {
    bool tokens,         // the first layer is an embedding
        per_step;        // the model has no pool, but an output for each step
    bool classes,        // y holds classes
        binary;          // the loss is bce_with_logits
    uint32_t vocabulary; // num_embeddings of the embedding
    uint32_t outputs;    // outputs of the last layer; if y holds classes, the number of classes
    int32_t ignore;      // label to ignore (ignore_index)
    bool missing;        // missing targets are NaN, and loss and metrics leave them out
    bool ctc;            // y holds a sequence of labels for each sample, not a label for each step
    uint32_t blank;      // the blank label of ctc
};

struct clrnn_dataset {
    const struct clrnn_log *log;
    struct clrnn_dataset_info info;
    struct clrnn_data_goal goal;
    char *name; // owned; info.name points to it
    unsigned references;

    uint32_t *steps; // [T + 1] output steps for each number of input steps; NULL: the model has no windows over time

    struct clrnn_dataset *parent; // of a view: the set from which it reads; else NULL
    uint32_t *row,                // of a view: [S] the parent's sample from which X is read
        *label_row;               // of a view: [S] the parent's sample whose y and weight are read; NULL: as in `row`
    bool blanked;
    double *blank;         // [C]
    uint32_t *permutation; // of a view with shuffled time: [T] order of the steps in the sample read last

    struct clrnn_npy *x, *y;
    char *x_path, *y_path, *lengths_path, *weights_path; // for messages
    int32_t *length;                                     // [S] or NULL
    double *weight;                                      // [S] or NULL
    char *y_lengths_path;
    int32_t *y_length;            // [S] or NULL
    struct clrnn_table *table;    // rows of a CSV file or of sequences, or NULL
    double *label;                // [S] labels of sequences, or NULL
    struct clrnn_texts recording; // [S] paths of recordings, each of which is a sequence; else none
    struct clrnn_series *windows; // the table rows of each window or sequence; NULL: each row is a sample
    bool synthetic;
    uint64_t seed; // of a synthetic set, or of a view with shuffled time
    uint32_t synthetic_classes;
};

/** Opens the array in memory `array` or, if `array` is NULL, the file at `path`. */
enum clrnn_status clrnn_dataset_open_array(const struct clrnn_dataset *d, const struct clrnn_array *array,
                                           const char *path, struct clrnn_npy **npy);
/** Returns the name by which messages refer to an array or file; the caller frees it. Returns NULL if there is neither
 * array nor file, or if there is no memory; in the latter case sets *status. */
char *clrnn_dataset_name_array(const struct clrnn_dataset *d, const struct clrnn_array *array, const char *folder,
                               const char *path, const char *word, enum clrnn_status *status);
/** Opens the lengths [S] of the samples, at d->lengths_path or in `array`. The shape of X must be known. */
enum clrnn_status clrnn_dataset_open_lengths(struct clrnn_dataset *d, const struct clrnn_array *array);
/** Opens the y_lengths [S] of ctc: the number of labels in each row of y [S, L]. y must be open already. */
enum clrnn_status clrnn_dataset_open_y_lengths(struct clrnn_dataset *d, const struct clrnn_source *source,
                                               const char *folder);
/** Draws the number of labels of each sample for synthetic ctc data: from 1 to a quarter of the model's output
 * steps. */
enum clrnn_status clrnn_dataset_make_y_lengths(struct clrnn_dataset *d);
/** Opens the weights [S] of the samples, if `source` has any. S must be known. */
enum clrnn_status clrnn_dataset_open_weights(struct clrnn_dataset *d, const struct clrnn_source *source,
                                             const char *folder);
/** Sets info.y_T. If the model has windows over time (conv1d, max_pool1d, avg_pool1d), which change the number of
 * steps, also sets d->steps. T and lengths must be known. CLRNN_ERR_DATA: a sample has too few steps. */
enum clrnn_status clrnn_dataset_find_steps(struct clrnn_dataset *d, const struct clrnn_config *config);

/** Follows a chain of views and returns the data set at its end, which is not a view. Replaces *sample, an index in
 * `d`, by the index of the same sample in the returned set; `sample` may be NULL. */
static inline const struct clrnn_dataset *clrnn_dataset_root(const struct clrnn_dataset *d, uint32_t *sample)
{
    for (; d->parent; d = d->parent)
        if (sample)
            *sample = d->row[*sample];
    return d;
}

/** Returns element `index`, below clrnn_dataset_y_count, of a sample's y. */
double clrnn_dataset_y(const struct clrnn_dataset *dataset, uint32_t sample, size_t index);

/** Returns the table row of time step `step` of a sample. Steps after those of the window are those
 * of the horizon. */
size_t clrnn_dataset_table_row(const struct clrnn_dataset *root, uint32_t sample, size_t step);
/** Returns element `index` of X [T, C] of a sample whose data are in a table. */
double clrnn_dataset_cell(const struct clrnn_dataset *root, uint32_t sample, size_t index);
/** Reads elements [first, first + count) of X, or element `index` of y, of a sample whose data are in a table. */
void clrnn_dataset_table_x(const struct clrnn_dataset *root, uint32_t sample, size_t first, size_t count, float *x);
double clrnn_dataset_table_y(const struct clrnn_dataset *root, uint32_t sample, size_t index);
/** Like clrnn_dataset_moments, but counts each row of overlapping windows once. */
void clrnn_series_moments(const struct clrnn_dataset *dataset, double *mean, double *std);
/** Adds the table rows of all windows to a fingerprint, each row once. */
void clrnn_series_hash(const struct clrnn_dataset *dataset, struct clrnn_hash *hash);

/** Returns how many numbers of y the config's loss compares with one prediction of the model. */
uint32_t clrnn_dataset_count_targets(const struct clrnn_config *config, const struct clrnn_dataset *d);
/** Opens the CSV file source->csv, found at d->x_path, into `d`. */
enum clrnn_status clrnn_dataset_open_csv(struct clrnn_dataset *d, const struct clrnn_config *config,
                                         const struct clrnn_source *source, const struct clrnn_open_rules *rules);
/** Sets *files: whether source->csv names recordings, each file one sequence. They are if the config's training set is
 * of recordings, or if source->csv is a pattern or label_from is set. Errors: CLRNN_ERR_ARG if the config's training
 * set is a table of rows or windows, which no recording fits; CLRNN_ERR_CONFIG if recordings have a label or target. */
enum clrnn_status clrnn_source_is_files(const struct clrnn_dataset *d, const struct clrnn_config *config,
                                        const struct clrnn_source *source, const char *folder, bool *files);
/** Opens the files that match the pattern source->csv (d->x_path) in sorted order, each as one sequence.
 * CLRNN_ERR_DATA: no file matches, a file has other columns than the first, a file has no label, or a label has no
 * file. */
enum clrnn_status clrnn_dataset_open_files(struct clrnn_dataset *d, const struct clrnn_config *config,
                                           const struct clrnn_source *source, const char *folder,
                                           const struct clrnn_open_rules *rules);
/** Opens the .ts file at d->x_path. Errors: CLRNN_ERR_DATA. */
enum clrnn_status clrnn_dataset_open_ts(struct clrnn_dataset *d, const struct clrnn_config *config,
                                        const struct clrnn_source *source, const struct clrnn_open_rules *rules);
/** Names a sequence in messages: "recording r/7.csv", else "sequence 3 (counted from 0)". */
void clrnn_dataset_describe_sequence(const struct clrnn_dataset *root, size_t sequence, char *text, size_t size);
/** Sets table->fill, the replacements for missing cells with the setting `missing: mean`, to each column's mean over
 * the rows that the samples of `dataset` contain. */
enum clrnn_status clrnn_dataset_fill(const struct clrnn_dataset *dataset, struct clrnn_table *table);
/** Splits windows in time: `train` keeps the windows before the split point of each group, *valid gets the windows
 * after it. */
enum clrnn_status clrnn_dataset_split_time(struct clrnn_dataset *train, const struct clrnn_source *source,
                                           struct clrnn_dataset **valid);

/** Releases mapped pages at intervals. Call it after each sample of a pass over all samples. */
void clrnn_dataset_passed(const struct clrnn_dataset *dataset, uint32_t sample);

/** Checks every value, unless `check` is CLRNN_CHECK_SHAPES_ONLY, and sets info.classes. */
enum clrnn_status clrnn_dataset_check(struct clrnn_dataset *root, enum clrnn_dataset_check check);

#endif
