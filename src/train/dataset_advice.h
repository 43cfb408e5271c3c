// SPDX-License-Identifier: MIT
// Advice for files that do not fit, appended to error messages: what they look like, and how to convert
// them.
#ifndef CLRNN_SRC_TRAIN_DATASET_ADVICE_H
#define CLRNN_SRC_TRAIN_DATASET_ADVICE_H

#include "train/dataset_private.h"

/** Advice on labels in another encoding: from 1, or -1 and 1. Writes into `text` and returns it; "":
 * none. */
const char *clrnn_label_advice(const struct clrnn_dataset *dataset, char *text, size_t size);
/** Advice on a y of two dimensions: "; it is one-hot: ...". T: steps of X; outputs: of the last layer for
 * each target, 0 for classes. */
const char *clrnn_y_advice(const struct clrnn_npy *y, uint32_t T, uint32_t outputs, char *text, size_t size);
/** Advice on an X whose first dimension is not `samples` (that of y), but another one is. */
const char *clrnn_samples_advice(const struct clrnn_npy *x, size_t samples, char *text, size_t size);
/** Advice on an X of one or four dimensions; static. */
const char *clrnn_x_advice(const struct clrnn_npy *x);

/** What is wrong with a cell of a CSV file that should hold a number, and what mends it, as a sentence that
 * begins with the cell. `trained`: the rules of reading are those of a trained model. To be freed; NULL: no
 * memory. */
char *clrnn_no_number(const char *text, char decimal, bool trained, const char *column);

#endif
