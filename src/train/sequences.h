// SPDX-License-Identifier: MIT
// Builds a data set of whole sequences of unequal length, one sequence at a time.
#ifndef CLRNN_SRC_TRAIN_SEQUENCES_H
#define CLRNN_SRC_TRAIN_SEQUENCES_H

#include "train/dataset_private.h"

/** A data set under construction. The caller frees the contents of `labels`. */
struct clrnn_sequences {
    struct clrnn_dataset *d;
    const struct clrnn_source *source;
    const struct clrnn_open_rules *rules;
    size_t capacity;           // numbers allocated for the table's values
    struct clrnn_texts labels; // one per sequence, or none at all
};

/** Logs a failed allocation and returns CLRNN_ERR_MEMORY. */
enum clrnn_status clrnn_sequences_memory(const struct clrnn_sequences *b, size_t bytes);
/** Creates the table of b->d, with no columns or rows yet. */
enum clrnn_status clrnn_sequences_begin(struct clrnn_sequences *b);
/** Adds a column (feature) to the table, before any sequence. */
enum clrnn_status clrnn_sequences_column(struct clrnn_sequences *b, const char *name);
/** Appends a sequence of `rows` rows. The caller then writes its values [rows, columns] to *values. */
enum clrnn_status clrnn_sequences_add(struct clrnn_sequences *b, size_t rows, double **values);
/** Call it after all sequences are added: sets the shape and the labels of the data set. `texts`: labels are class
 * names even if they look like numbers. */
enum clrnn_status clrnn_sequences_finish(struct clrnn_sequences *b, const struct clrnn_config *config, bool texts);

#endif
