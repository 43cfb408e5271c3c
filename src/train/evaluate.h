// SPDX-License-Identifier: MIT
// Functions that evaluation and prediction share.
#ifndef CLRNN_SRC_TRAIN_EVALUATE_H
#define CLRNN_SRC_TRAIN_EVALUATE_H

#include "clrnn/train.h"
#include "train/session.h"

/** Opens the data set that `source` names or, with source->own, the test or validation data of the model's config. A
 * CSV file is read with the column and class names that the model keeps. If `source` names the file, settings that
 * `source` lacks are those of the training file. `targets`: read y if there is one. Errors: as clrnn_dataset_open;
 * CLRNN_ERR_DATA also if the data have another number of features than the model, or if the model lacks the mean and
 * std that its config requires; CLRNN_ERR_ARG if the config has no such data. */
enum clrnn_status clrnn_open_for(struct clrnn_model *model, const struct clrnn_source *source, bool targets,
                                 struct clrnn_dataset **dataset);

/** Like clrnn_eval, on an open data set that has targets. */
enum clrnn_status clrnn_eval_set(struct clrnn_model *model, struct clrnn_dataset *dataset,
                                 struct clrnn_eval_result *result);

#endif
