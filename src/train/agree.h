// SPDX-License-Identifier: MIT
// Checks that the ranks of a run have the same version, config, weights and parameter layout, and its devices the same
// parameter layout.
#ifndef CLRNN_SRC_TRAIN_AGREE_H
#define CLRNN_SRC_TRAIN_AGREE_H

#include "model/model.h"

/** Compares this rank's version, config, parameter layout and weights with those of rank 0. Every rank must call it
 * before its first step, and all ranks get the same status back. `status`: CLRNN_OK, or the error with which this
 * rank's own preparations failed; `model` may be NULL in that case. CLRNN_ERR_CONFIG: a rank differs from rank 0. */
enum clrnn_status clrnn_agree(const struct clrnn_log *log, const struct clrnn_model *model, enum clrnn_status status);

/** Checks that the parameters of two models on different devices have the same positions in the models' flat buffers,
 * so that gradients can be added element by element. CLRNN_ERR_ARG: positions differ. */
enum clrnn_status clrnn_agree_layout(const struct clrnn_log *log, const struct clrnn_model *first,
                                     const struct clrnn_model *other);

#endif
