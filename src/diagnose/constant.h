// SPDX-License-Identifier: MIT
// Losses of constant answers, the baselines that a model must beat.
#ifndef CLRNN_SRC_DIAGNOSE_CONSTANT_H
#define CLRNN_SRC_DIAGNOSE_CONSTANT_H

#include "train/dataset.h"

/** Returns the loss of the best constant answer, from the class counts [classes] or the variance of the
 * targets. It is NaN for nll of raw outputs, which has no best answer, and for the losses of the functions
 * below. */
double clrnn_constant_loss(const struct clrnn_config *config, uint32_t classes, const uint64_t *counts,
                           double target_variance);

/** The lowest value of a regression loss that one constant answer reaches on the targets y [count]; sorts y.
 * quantile: the mean over its quantiles. NaN: count is 0, or the loss is for classes or labels. */
double clrnn_constant_target_loss(const struct clrnn_loss_config *loss, size_t count, double *y);
/** Returns the mean loss of the answer 0 to the targets y [count]. */
double clrnn_zero_loss(const struct clrnn_loss_config *loss, size_t count, const double *y);

/** ctc: mean losses over up to 200 samples spread over the set. *best: of the best answer that gives every
 * step the same probabilities; *equal: of equal probabilities for all `classes`. Samples with too few steps
 * for their labels are left out; NaN: all are. Labels that are the blank or no class of the outputs are
 * skipped. CLRNN_ERR_MEMORY. */
enum clrnn_status clrnn_ctc_constant_loss(const struct clrnn_log *log, const struct clrnn_config *config,
                                          const struct clrnn_dataset *set, uint32_t classes, double *best,
                                          double *equal);

#endif
