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
    bool tokens, per_step; // tokens: the first layer is an embedding; per_step: there is no pool layer
    bool classes, binary;  // classes: y holds classes; binary: the loss is bce_with_logits
    uint32_t vocabulary;   // num_embeddings of the embedding
    uint32_t outputs;      // outputs of the last layer, which is the number of classes
    int32_t ignore;        // label to ignore (ignore_index)
    bool missing;          // targets may be NaN, and such targets are left out
    bool ctc;              // y holds label sequences without their steps
    uint32_t blank;        // the blank label of ctc
};

struct clrnn_dataset {
    const struct clrnn_log *log;
    struct clrnn_dataset_info info;
    struct clrnn_data_goal goal;
    char *name; // memory of info.name
    unsigned references;

    uint32_t *steps; // [T + 1] output steps for each number of input steps, if the model has windows over
                     // time (conv1d, max_pool1d, avg_pool1d); else NULL

    struct clrnn_dataset *parent; // of a view: the set that it changes; else NULL
    uint32_t *row, *label_row;    // [S] samples of the parent; label_row NULL: y also comes from `row`
    bool blanked;
    double *blank;         // [C]
    uint32_t *permutation; // [T] of a view with shuffled time: step order of the sample read last

    struct clrnn_npy *x, *y;
    char *x_path, *y_path, *lengths_path, *weights_path; // for messages
    int32_t *length;                                     // [S] or NULL
    double *weight;                                      // [S] or NULL
    char *y_lengths_path;
    int32_t *y_length;            // [S] or NULL
    struct clrnn_table *table;    // rows of a CSV file or of sequences, or NULL
    double *label;                // [S] labels of sequences, or NULL
    struct clrnn_series *windows; // windows or sequences cut from the table, or NULL: each row is a sample
    bool synthetic;
    uint64_t seed; // of a synthetic set, or of a view with shuffled time
    uint32_t synthetic_classes;
};

/** Opens the file at `path`, or, where `array` is given, that array in memory instead. */
enum clrnn_status clrnn_dataset_open_array(const struct clrnn_dataset *d, const struct clrnn_array *array,
                                           const char *path, struct clrnn_npy **npy);
/** The name of an array or file in messages, to be freed; NULL: none, or no memory, which sets *status. */
char *clrnn_dataset_name_array(const struct clrnn_dataset *d, const struct clrnn_array *array,
                               const char *folder, const char *path, const char *word,
                               enum clrnn_status *status);
/** These functions open further arrays of the set. The shape of X must be known. */
enum clrnn_status clrnn_dataset_open_lengths(struct clrnn_dataset *d, const struct clrnn_array *array);
/** Opens the lengths of y [N, L]; y must be open already. */
enum clrnn_status clrnn_dataset_open_y_lengths(struct clrnn_dataset *d, const struct clrnn_source *source,
                                               const char *folder);
/** Draws label lengths for synthetic ctc data: up to a quarter of the model's output steps. */
enum clrnn_status clrnn_dataset_make_y_lengths(struct clrnn_dataset *d);
enum clrnn_status clrnn_dataset_open_weights(struct clrnn_dataset *d, const struct clrnn_source *source,
                                             const char *folder);
/** Sets info.y_T and, where windows over time change the number of steps, `steps`; T and lengths must be
 * known. CLRNN_ERR_DATA where a sample has too few steps. */
enum clrnn_status clrnn_dataset_find_steps(struct clrnn_dataset *d, const struct clrnn_config *config);

/** The set at the bottom of a chain of views. *sample, unless NULL, becomes the sample's index there. */
static inline const struct clrnn_dataset *clrnn_dataset_root(const struct clrnn_dataset *d, uint32_t *sample)
{
    for (; d->parent; d = d->parent)
        if (sample)
            *sample = d->row[*sample];
    return d;
}

/** Returns element `index`, below clrnn_dataset_y_count, of a sample's y. */
double clrnn_dataset_y(const struct clrnn_dataset *dataset, uint32_t sample, size_t index);

/** Returns the table row of time step `step` of a sample; steps past the window lie in the horizon. */
size_t clrnn_dataset_table_row(const struct clrnn_dataset *root, uint32_t sample, size_t step);
/** Returns element `index` of X [T, C] of a sample whose data are in a table. */
double clrnn_dataset_cell(const struct clrnn_dataset *root, uint32_t sample, size_t index);
/** Reads elements [first, first + count) of X, or element `index` of y, of a sample whose data are in a
 * table. */
void clrnn_dataset_table_x(const struct clrnn_dataset *root, uint32_t sample, size_t first, size_t count,
                           float *x);
double clrnn_dataset_table_y(const struct clrnn_dataset *root, uint32_t sample, size_t index);
/** Like clrnn_dataset_moments, but counts each row of overlapping windows once. */
void clrnn_series_moments(const struct clrnn_dataset *dataset, double *mean, double *std);
/** Adds the rows of all windows to a fingerprint, each once. */
void clrnn_series_hash(const struct clrnn_dataset *dataset, struct clrnn_hash *hash);

/** How many numbers of y one prediction of the config's model needs on these data. */
uint32_t clrnn_dataset_count_targets(const struct clrnn_config *config, const struct clrnn_dataset *d);
/** Opens the CSV file source->csv, found at d->x_path, into `d`. */
enum clrnn_status clrnn_dataset_open_csv(struct clrnn_dataset *d, const struct clrnn_config *config,
                                         const struct clrnn_source *source,
                                         const struct clrnn_open_rules *rules);
/** Whether source->csv names several files, because it is a pattern or label_from is set. */
bool clrnn_source_is_files(const struct clrnn_source *source);
/** Opens the files that match the pattern source->csv (d->x_path) in sorted order, each as one sequence.
 * CLRNN_ERR_DATA: no file matches, a file has other columns than the first, a recording has no label or a
 * label no recording. */
enum clrnn_status clrnn_dataset_open_files(struct clrnn_dataset *d, const struct clrnn_config *config,
                                           const struct clrnn_source *source, const char *folder,
                                           const struct clrnn_open_rules *rules);
/** The path of a source's .ts file (the format of the UCR and UEA archives), or NULL. */
const char *clrnn_source_ts(const struct clrnn_source *source);
/** Opens the .ts file at d->x_path. CLRNN_ERR_DATA. */
enum clrnn_status clrnn_dataset_open_ts(struct clrnn_dataset *d, const struct clrnn_config *config,
                                        const struct clrnn_source *source,
                                        const struct clrnn_open_rules *rules);
/** Sets table->fill to each column's mean over the rows that `dataset` uses. Needed for `missing: mean`. */
enum clrnn_status clrnn_dataset_fill(const struct clrnn_dataset *dataset, struct clrnn_table *table);
/** Splits windows in time: `train` keeps those before the split point, *valid gets those after it. */
enum clrnn_status clrnn_dataset_split_time(struct clrnn_dataset *train, const struct clrnn_source *source,
                                           struct clrnn_dataset **valid);

/** Call after each sample of a pass over all samples: releases mapped pages at intervals. */
void clrnn_dataset_passed(const struct clrnn_dataset *dataset, uint32_t sample);

/** Checks every value and sets info.classes. */
enum clrnn_status clrnn_dataset_check(struct clrnn_dataset *root, enum clrnn_dataset_check check);

#endif
