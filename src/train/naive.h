// SPDX-License-Identifier: MIT
// Naive baselines that need no model: for series the last value, the last season or a straight line; for
// classes the most common class.
#ifndef CLRNN_SRC_TRAIN_NAIVE_H
#define CLRNN_SRC_TRAIN_NAIVE_H

#include <jansson.h>

#include "clrnn/train.h"
#include "train/dataset.h"

/** Evaluates the naive predictions on a set of windows; other sets get none. Missing targets are left out.
 * CLRNN_ERR_MEMORY. */
enum clrnn_status clrnn_naive_eval(const struct clrnn_dataset *dataset, struct clrnn_naive *naive);

/** Text "last value MAE 1.2 RMSE 1.5, linear MAE ...", to be freed; "" without results. NULL: no memory. */
char *clrnn_naive_text(const struct clrnn_naive *naive);
/** The results as a list of objects with name, mae, rmse and accuracy. NULL: no memory. */
json_t *clrnn_naive_json(const struct clrnn_naive *naive);

#endif
