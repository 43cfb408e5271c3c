// SPDX-License-Identifier: MIT
// Helpers of evaluation and prediction.
#ifndef CLRNN_SRC_TRAIN_EVALUATE_H
#define CLRNN_SRC_TRAIN_EVALUATE_H

#include "clrnn/train.h"
#include "train/session.h"

/** Opens a data set for a model. A CSV file is read as that of the training: with its delimiter and other
 * rules where `source` has none, and by the names of columns and classes that the model keeps. `targets`: y
 * is read, if there is one. Errors: as clrnn_dataset_open; CLRNN_ERR_DATA also if the features differ. */
enum clrnn_status clrnn_open_for(struct clrnn_model *model, const struct clrnn_source *source, bool targets,
                                 struct clrnn_dataset **dataset);

/** As clrnn_eval, on an opened data set that has targets. */
enum clrnn_status clrnn_eval_set(struct clrnn_model *model, struct clrnn_dataset *dataset,
                                 struct clrnn_eval_result *result);

#endif
