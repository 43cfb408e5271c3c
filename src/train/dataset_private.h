// SPDX-License-Identifier: MIT
// Inside of a data set: shared by what opens, checks and reads it.
#ifndef CLRNN_SRC_TRAIN_DATASET_PRIVATE_H
#define CLRNN_SRC_TRAIN_DATASET_PRIVATE_H

#include "formats/csv.h"
#include "formats/npy.h"
#include "train/dataset.h"

/** What the config asks of data. */
struct clrnn_data_goal {
    bool tokens, per_step; // embedding comes first; no pool
    bool classes, binary;  // y holds classes; bce_with_logits
    uint32_t vocabulary;   // of the embedding
    uint32_t outputs;      // classes that the last layer tells apart
    int32_t ignore;        // label that does not count
};

struct clrnn_dataset {
    const struct clrnn_log *log;
    struct clrnn_dataset_info info;
    struct clrnn_data_goal goal;
    char *name; // what info.name shows
    unsigned references;

    struct clrnn_dataset *parent; // a view: the set that it changes, as struct clrnn_view says
    uint32_t *row, *label_row;    // [S] of the parent; label_row NULL: y of `row`
    bool blanked;
    double *blank;         // [C]
    uint32_t *permutation; // [T] where time is shuffled: that of the sample read last

    struct clrnn_npy *x, *y;
    char *x_path, *y_path, *lengths_path; // for messages
    int32_t *length;                      // [S] or NULL
    struct clrnn_csv *csv;
    int label; // column of y, -1: none
    bool synthetic;
    uint64_t seed; // of synthetic numbers, or a view's shuffled time
    uint32_t synthetic_classes;
};

/** y at a step (0 unless y_steps) of a sample. */
double clrnn_dataset_y(const struct clrnn_dataset *dataset, uint32_t sample, uint32_t step);

/** A cell of a CSV row without its label column. */
double clrnn_dataset_cell(const struct clrnn_dataset *root, uint32_t sample, size_t feature);

/** For passes over all samples in their order: lets go of mapped pages now and then. */
void clrnn_dataset_passed(const struct clrnn_dataset *dataset, uint32_t sample);

/** Looks at every value; fills in info.classes. */
enum clrnn_status clrnn_dataset_check(struct clrnn_dataset *root, enum clrnn_dataset_check check);

#endif
