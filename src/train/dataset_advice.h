// SPDX-License-Identifier: MIT
// Advice appended to error messages about files that do not fit: what the data look like, and how to convert them.
#ifndef CLRNN_SRC_TRAIN_DATASET_ADVICE_H
#define CLRNN_SRC_TRAIN_DATASET_ADVICE_H

#include "train/dataset_private.h"

/** Writes advice on labels whose smallest is 1 or more, or that are -1 and 1, into `text`, or "" if neither applies.
 * Returns `text`. */
const char *clrnn_label_advice(const struct clrnn_dataset *dataset, char *text, size_t size);
/** Writes advice on a y of shape (N, 2 or more), such as "; it is one-hot: ...", into `text`, or "" for other shapes.
 * Returns `text`. `T`: time steps of X. `outputs`: number of outputs that the last layer has for each target, or 0 if
 * targets are classes. */
const char *clrnn_y_advice(const struct clrnn_npy *y, uint32_t T, uint32_t outputs, char *text, size_t size);
/** Writes advice into `text` if X seems to have its samples in another dimension than the first, else "". `samples`:
 * number of samples of y. Returns `text`. */
const char *clrnn_samples_advice(const struct clrnn_npy *x, size_t samples, char *text, size_t size);
/** Returns advice on an X of one or four dimensions, else ""; a static string. */
const char *clrnn_x_advice(const struct clrnn_npy *x);

/** Says what is wrong with a CSV cell that should hold a number, and how to fix it; the sentence begins with the cell.
 * `trained`: the file is read by the rules of a trained model. The caller frees the text. Returns NULL if there is no
 * memory. */
char *clrnn_no_number(const char *text, char decimal, bool trained, const char *column);

#endif
