// SPDX-License-Identifier: MIT
// Naive predictions, which need no model, as baselines. For series: the last value, the value one season before, or a
// straight line through the window. For classes: the most common class.
#ifndef CLRNN_SRC_TRAIN_NAIVE_H
#define CLRNN_SRC_TRAIN_NAIVE_H

#include <jansson.h>

#include "clrnn/train.h"
#include "train/dataset.h"

/** Sets *naive to the scores of the naive predictions on a data set of windows over series. For other data sets *naive
 * has no results. Missing (NaN) targets are left out. Errors: CLRNN_ERR_MEMORY. */
enum clrnn_status clrnn_naive_eval(const struct clrnn_dataset *dataset, struct clrnn_naive *naive);

/** Returns the results as text, "last value MAE 1.2 RMSE 1.5, linear MAE ...", which the caller frees. The text is ""
 * if there are no results. Returns NULL if there is no memory. */
char *clrnn_naive_text(const struct clrnn_naive *naive);
/** Returns the results as a JSON list of objects with name, mae, rmse and accuracy, or NULL if there is no memory. */
json_t *clrnn_naive_json(const struct clrnn_naive *naive);

#endif
