// SPDX-License-Identifier: MIT
// What all ranks and devices of a run must have in common.
#ifndef CLRNN_SRC_TRAIN_AGREE_H
#define CLRNN_SRC_TRAIN_AGREE_H

#include "model/model.h"

/** Before the first step, on every rank, with how its preparations went: the same status on all. Compares
 * version, config, layout of the parameters and weights with those of rank 0, `model` NULL only where
 * `status` is an error. CLRNN_ERR_CONFIG where they differ. */
enum clrnn_status clrnn_agree(const struct clrnn_log *log, const struct clrnn_model *model,
                              enum clrnn_status status);

/** Whether two devices lay out the parameters alike, so that gradients can be added: CLRNN_ERR_ARG where not.
 */
enum clrnn_status clrnn_agree_layout(const struct clrnn_log *log, const struct clrnn_model *first,
                                     const struct clrnn_model *other);

#endif
