// SPDX-License-Identifier: MIT
// The baseline of a model: the best constant answer.
#ifndef CLRNN_SRC_DIAGNOSE_CONSTANT_H
#define CLRNN_SRC_DIAGNOSE_CONSTANT_H

#include "train/dataset.h"

/** The loss of the best constant answer, from the class counts [classes] or the variance of the targets; NaN:
 * there is none (nll of raw outputs). */
double clrnn_constant_loss(const struct clrnn_config *config, uint32_t classes, const uint64_t *counts,
                           double target_variance);

/** The lowest value of a regression loss that one constant answer reaches on the targets y [count]; sorts y.
 * quantile: the mean over its quantiles. NaN: count is 0, or the loss is for classes or labels. */
double clrnn_constant_target_loss(const struct clrnn_loss_config *loss, size_t count, double *y);
/** The mean loss of the answer 0; y [count]. */
double clrnn_zero_loss(const struct clrnn_loss_config *loss, size_t count, const double *y);

/** The mean loss of ctc over up to some hundred samples with a path to their labels, spread over the set: of
 * the best answer that gives every step the same probabilities, and of equal ones for all `classes`. NaN: no
 * sample has a path. Labels that are no class of the outputs, or the blank, are passed over.
 * CLRNN_ERR_MEMORY. */
enum clrnn_status clrnn_ctc_constant_loss(const struct clrnn_log *log, const struct clrnn_config *config,
                                          const struct clrnn_dataset *set, uint32_t classes, double *best,
                                          double *equal);

#endif
