// SPDX-License-Identifier: MIT
// Checks what all ranks and devices of a run must have in common.
#ifndef CLRNN_SRC_TRAIN_AGREE_H
#define CLRNN_SRC_TRAIN_AGREE_H

#include "model/model.h"

/** Every rank calls this before its first step; `status` says how its own preparations went, and all ranks
 * get the same status back. Compares version, config, parameter layout and weights with rank 0.
 * CLRNN_ERR_CONFIG where they differ. `model` may be NULL only where `status` is an error. */
enum clrnn_status clrnn_agree(const struct clrnn_log *log, const struct clrnn_model *model,
                              enum clrnn_status status);

/** Checks that two devices lay out the parameters alike, so that gradients can be added. CLRNN_ERR_ARG if
 * not. */
enum clrnn_status clrnn_agree_layout(const struct clrnn_log *log, const struct clrnn_model *first,
                                     const struct clrnn_model *other);

#endif
