// SPDX-License-Identifier: MIT
// Running a model over a whole data set in eval mode: shared by evaluation and prediction.
#ifndef CLRNN_SRC_TRAIN_EVALUATE_H
#define CLRNN_SRC_TRAIN_EVALUATE_H

#include "train/session.h"

/** Opens the data that a model is to run on; their features must be the model's. */
enum clrnn_status clrnn_open_for(struct clrnn_model *model, const struct clrnn_source *source,
                                 struct clrnn_dataset **dataset);

/** The first of the largest of `count` numbers. */
uint32_t clrnn_argmax(const float *x, uint32_t count);
#endif
