// SPDX-License-Identifier: MIT
// What predictions without a model are worth on a series: the last value, the season before, a straight line;
// for classes the commonest.
#ifndef CLRNN_SRC_TRAIN_NAIVE_H
#define CLRNN_SRC_TRAIN_NAIVE_H

#include <jansson.h>

#include "clrnn/train.h"
#include "train/dataset.h"

/** Evaluates the naive predictions of a set of windows; none for other sets. Targets that are missing count
 * nowhere. CLRNN_ERR_MEMORY. */
enum clrnn_status clrnn_naive_eval(const struct clrnn_dataset *dataset, struct clrnn_naive *naive);

/** "last value MAE 1.2 RMSE 1.5, linear MAE ...", to be freed; "" without any. NULL: no memory. */
char *clrnn_naive_text(const struct clrnn_naive *naive);
/** The same as a list of objects with name, mae, rmse and accuracy. NULL: no memory. */
json_t *clrnn_naive_json(const struct clrnn_naive *naive);

#endif
