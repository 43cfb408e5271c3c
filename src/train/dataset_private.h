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
    bool tokens, per_step; // embedding comes first; no pool
    bool classes, binary;  // y holds classes; bce_with_logits
    uint32_t vocabulary;   // of the embedding
    uint32_t outputs;      // number of classes of the last layer
    int32_t ignore;        // ignored label
    bool missing;          // targets may be NaN
    bool ctc;              // y holds labels without their steps
    uint32_t blank;        // of ctc
};

struct clrnn_dataset {
    const struct clrnn_log *log;
    struct clrnn_dataset_info info;
    struct clrnn_data_goal goal;
    char *name; // of info.name
    unsigned references;

    uint32_t *steps; // [T + 1] of a set with windows over time: steps of the output for inputs of so many;
                     // else NULL

    struct clrnn_dataset *parent; // for a view: the set that it changes
    uint32_t *row, *label_row;    // [S] samples of the parent; label_row NULL: y of `row`
    bool blanked;
    double *blank;         // [C]
    uint32_t *permutation; // [T] with shuffled time: of the last sample read

    struct clrnn_npy *x, *y;
    char *x_path, *y_path, *lengths_path, *weights_path; // for messages
    int32_t *length;                                     // [S] or NULL
    double *weight;                                      // [S] or NULL
    char *y_lengths_path;
    int32_t *y_length;            // [S] or NULL
    struct clrnn_table *table;    // of a CSV file, or NULL
    double *label;                // [S] of whole sequences, or NULL
    struct clrnn_series *windows; // cut from its rows, or NULL: a row is a sample
    bool synthetic;
    uint64_t seed; // of a synthetic set, or of a view with shuffled time
    uint32_t synthetic_classes;
};

/** Opens the file at `path`, or one of the arrays that stand in place of files. */
enum clrnn_status clrnn_dataset_open_array(const struct clrnn_dataset *d, const struct clrnn_array *array,
                                           const char *path, struct clrnn_npy **npy);
/** What messages call an array or a file; NULL where there is none. Sets *status where memory is short. */
char *clrnn_dataset_name_array(const struct clrnn_dataset *d, const struct clrnn_array *array,
                               const char *folder, const char *path, const char *word,
                               enum clrnn_status *status);
/** Open what stands beside X, whose shape is known. */
enum clrnn_status clrnn_dataset_open_lengths(struct clrnn_dataset *d, const struct clrnn_array *array);
/** The lengths of y [N, L], which is open. */
enum clrnn_status clrnn_dataset_open_y_lengths(struct clrnn_dataset *d, const struct clrnn_source *source,
                                               const char *folder);
/** Of synthetic labels: up to a quarter of the steps that the model puts out. */
enum clrnn_status clrnn_dataset_make_y_lengths(struct clrnn_dataset *d);
enum clrnn_status clrnn_dataset_open_weights(struct clrnn_dataset *d, const struct clrnn_source *source,
                                             const char *folder);
/** Finds info.y_T and, where windows over time change the number of steps, `steps`; T and lengths are known.
 * CLRNN_ERR_DATA where a sample has too few. */
enum clrnn_status clrnn_dataset_find_steps(struct clrnn_dataset *d, const struct clrnn_config *config);

/** The set that views are made of; *sample, unless NULL, becomes the sample there. */
static inline const struct clrnn_dataset *clrnn_dataset_root(const struct clrnn_dataset *d, uint32_t *sample)
{
    for (; d->parent; d = d->parent)
        if (sample)
            *sample = d->row[*sample];
    return d;
}

/** A sample's y number `index` of clrnn_dataset_y_count. */
double clrnn_dataset_y(const struct clrnn_dataset *dataset, uint32_t sample, size_t index);

/** The row of the table that holds step `step` of a sample, or what lies behind it. */
size_t clrnn_dataset_table_row(const struct clrnn_dataset *root, uint32_t sample, size_t step);
/** Number `index` of X of a sample from a table. */
double clrnn_dataset_cell(const struct clrnn_dataset *root, uint32_t sample, size_t index);
/** Numbers [first, first + count) of X, and number `index` of y, of a sample from a table. */
void clrnn_dataset_table_x(const struct clrnn_dataset *root, uint32_t sample, size_t first, size_t count,
                           float *x);
double clrnn_dataset_table_y(const struct clrnn_dataset *root, uint32_t sample, size_t index);
/** As clrnn_dataset_moments, each row of the windows once. */
void clrnn_series_moments(const struct clrnn_dataset *dataset, double *mean, double *std);
/** Adds the rows of the windows to a fingerprint. */
void clrnn_series_hash(const struct clrnn_dataset *dataset, struct clrnn_hash *hash);

/** Numbers of y for a prediction of the config's model on these data. */
uint32_t clrnn_dataset_count_targets(const struct clrnn_config *config, const struct clrnn_dataset *d);
/** Opens source->csv, at d->x_path, into `d`. */
enum clrnn_status clrnn_dataset_open_csv(struct clrnn_dataset *d, const struct clrnn_config *config,
                                         const struct clrnn_source *source,
                                         const struct clrnn_open_rules *rules);
/** Whether csv names several files, by a pattern or by label_from beside it. */
bool clrnn_source_is_files(const struct clrnn_source *source);
/** Opens the files of the pattern source->csv, d->x_path, in sorted order, each one sequence. CLRNN_ERR_DATA:
 * no file, other columns than the first file's, a recording without a label or a label without a recording.
 */
enum clrnn_status clrnn_dataset_open_files(struct clrnn_dataset *d, const struct clrnn_config *config,
                                           const struct clrnn_source *source, const char *folder,
                                           const struct clrnn_open_rules *rules);
/** The path of a source's .ts file, of the UCR and UEA archives, or NULL. */
const char *clrnn_source_ts(const struct clrnn_source *source);
/** Opens it, from d->x_path. CLRNN_ERR_DATA. */
enum clrnn_status clrnn_dataset_open_ts(struct clrnn_dataset *d, const struct clrnn_config *config,
                                        const struct clrnn_source *source,
                                        const struct clrnn_open_rules *rules);
/** Sets table->fill to the means of the columns over the set's rows, where data.missing is `mean`. */
enum clrnn_status clrnn_dataset_fill(const struct clrnn_dataset *dataset, struct clrnn_table *table);
/** Splits windows in time: `train` keeps those before the split point, *valid gets those after it. */
enum clrnn_status clrnn_dataset_split_time(struct clrnn_dataset *train, const struct clrnn_source *source,
                                           struct clrnn_dataset **valid);

/** Call after each sample of a pass over all samples: releases mapped pages at intervals. */
void clrnn_dataset_passed(const struct clrnn_dataset *dataset, uint32_t sample);

/** Checks every value and sets info.classes. */
enum clrnn_status clrnn_dataset_check(struct clrnn_dataset *root, enum clrnn_dataset_check check);

#endif
