// SPDX-License-Identifier: MIT
// Functions that evaluation and prediction share.
#ifndef CLRNN_SRC_TRAIN_EVALUATE_H
#define CLRNN_SRC_TRAIN_EVALUATE_H

#include "clrnn/train.h"
#include "train/session.h"

/** Opens a data set for a model. A CSV file is read like the training file: with the training file's delimiter and
 * other settings, unless `source` has its own, and with the column and class names that the model keeps. `targets`:
 * read y if there is one. Errors: as clrnn_dataset_open; CLRNN_ERR_DATA also if the data have another number of
 * features than the model. */
enum clrnn_status clrnn_open_for(struct clrnn_model *model, const struct clrnn_source *source, bool targets,
                                 struct clrnn_dataset **dataset);

/** Like clrnn_eval, on an open data set that has targets. */
enum clrnn_status clrnn_eval_set(struct clrnn_model *model, struct clrnn_dataset *dataset,
                                 struct clrnn_eval_result *result);

#endif
