// SPDX-License-Identifier: MIT
// A data set of whole sequences of unequal length, put together one by one.
#ifndef CLRNN_SRC_TRAIN_SEQUENCES_H
#define CLRNN_SRC_TRAIN_SEQUENCES_H

#include "train/dataset_private.h"

/** What is put together. Its labels are to be freed. */
struct clrnn_sequences {
    struct clrnn_dataset *d;
    const struct clrnn_source *source;
    const struct clrnn_open_rules *rules;
    size_t capacity;           // numbers allocated for the table's values
    struct clrnn_texts labels; // of the sequences, or none
};

/** Logs a failed allocation; CLRNN_ERR_MEMORY. */
enum clrnn_status clrnn_sequences_memory(const struct clrnn_sequences *b, size_t bytes);
/** Makes the empty table of b->d. */
enum clrnn_status clrnn_sequences_begin(struct clrnn_sequences *b);
enum clrnn_status clrnn_sequences_column(struct clrnn_sequences *b, const char *name);
/** Appends a sequence of so many rows; *values: where the caller writes them. */
enum clrnn_status clrnn_sequences_add(struct clrnn_sequences *b, size_t rows, double **values);
/** Sets the shape of the set and its labels, once all is read. `texts`: labels are names even where they are
 * numbers. */
enum clrnn_status clrnn_sequences_finish(struct clrnn_sequences *b, const struct clrnn_config *config,
                                         bool texts);

#endif
