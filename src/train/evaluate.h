// SPDX-License-Identifier: MIT
// Helpers of evaluation and prediction.
#ifndef CLRNN_SRC_TRAIN_EVALUATE_H
#define CLRNN_SRC_TRAIN_EVALUATE_H

#include "train/session.h"

/** Opens a data set for a model. CLRNN_ERR_DATA also if the features differ. */
enum clrnn_status clrnn_open_for(struct clrnn_model *model, const struct clrnn_source *source,
                                 struct clrnn_dataset **dataset);

/** The index of the largest of `count` numbers, the first of equal ones. */
uint32_t clrnn_argmax(const float *x, uint32_t count);
#endif
