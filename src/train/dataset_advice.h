// SPDX-License-Identifier: MIT
// What files that do not fit look like, and what to do about it: the ends of error messages.
#ifndef CLRNN_SRC_TRAIN_DATASET_ADVICE_H
#define CLRNN_SRC_TRAIN_DATASET_ADVICE_H

#include "train/dataset_private.h"

/** On labels of another kind: from 1, or -1 and 1. Writes into `text` and returns it; "": nothing to say. */
const char *clrnn_label_advice(const struct clrnn_dataset *dataset, char *text, size_t size);
/** On a y of two dimensions: "; it is one-hot: ...". T: steps of X; `real`: targets are real numbers. */
const char *clrnn_y_advice(const struct clrnn_npy *y, uint32_t T, bool real, char *text, size_t size);
/** On an X that has `samples` (of y) elsewhere than first. */
const char *clrnn_samples_advice(const struct clrnn_npy *x, size_t samples, char *text, size_t size);
/** On an X of one or four dimensions; static. */
const char *clrnn_x_advice(const struct clrnn_npy *x);

#endif
