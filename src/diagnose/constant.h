// SPDX-License-Identifier: MIT
// Losses of constant answers (the same output for every input), the baselines that a model must beat.
#ifndef CLRNN_SRC_DIAGNOSE_CONSTANT_H
#define CLRNN_SRC_DIAGNOSE_CONSTANT_H

#include "train/dataset.h"

/** Returns the lowest mean loss that a constant answer can have. For losses on classes and for bce it follows from
 * `counts` [classes], the number of labels of each class (bce: of zeros and ones); for mse it is target_variance.
 * Returns NaN for nll unless the last layer is a log_softmax, since the loss then has no lower bound. Returns NaN also
 * for ctc, l1, smooth_l1, huber and quantile: use the functions below. */
double clrnn_constant_loss(const struct clrnn_config *config, uint32_t classes, const uint64_t *counts,
                           double target_variance);

/** Returns the lowest mean of a regression loss over the targets y [count] that a constant answer can have. Sorts y.
 * For the quantile loss each quantile has its own answer, and the result is the mean over the quantiles. Returns NaN if
 * count is 0 or the loss is not a regression loss. */
double clrnn_constant_target_loss(const struct clrnn_loss_config *loss, size_t count, double *y);
/** Returns the mean loss over the targets y [count] if every prediction is 0. */
double clrnn_zero_loss(const struct clrnn_loss_config *loss, size_t count, const double *y);

/** Computes mean regression losses over the finite targets of a set, as means over its outputs: *best as
 * clrnn_constant_target_loss, with an answer for each output, and *zero as clrnn_zero_loss. Reads up to 2048 rows
 * spread over the set, and up to 20,000 targets of an output. CLRNN_ERR_MEMORY. */
enum clrnn_status clrnn_target_baseline(const struct clrnn_log *log, const struct clrnn_loss_config *loss,
                                        const struct clrnn_dataset *set, double *best, double *zero);

/** Computes the mean ctc loss of constant answers; such an answer gives every time step the same class probabilities.
 * Reads up to 200 samples spread over the set. *best: the lowest loss of several answers that are tried. *equal: the
 * loss if all `classes` are equally probable. Leaves out samples that have too few steps for their labels; if no sample
 * remains, both are NaN. Skips labels that are the blank or not below `classes`. CLRNN_ERR_MEMORY. */
enum clrnn_status clrnn_ctc_constant_loss(const struct clrnn_log *log, const struct clrnn_config *config,
                                          const struct clrnn_dataset *set, uint32_t classes, double *best,
                                          double *equal);

#endif
