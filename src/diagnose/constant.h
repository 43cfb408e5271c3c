// SPDX-License-Identifier: MIT
// The baseline of a model: the best constant answer.
#ifndef CLRNN_SRC_DIAGNOSE_CONSTANT_H
#define CLRNN_SRC_DIAGNOSE_CONSTANT_H

#include "clrnn/config.h"

/** The loss of the best constant answer, from the class counts [classes] or the variance of the targets; NaN:
 * there is none (nll of raw outputs). */
double clrnn_constant_loss(const struct clrnn_config *config, uint32_t classes, const uint64_t *counts,
                           double target_variance);

/** The loss of the best constant answer for real targets, whatever the loss; sorts `y` [count]. quantile: the
 * mean over its quantiles. NaN: no target, or no loss of real targets. */
double clrnn_constant_target_loss(const struct clrnn_loss_config *loss, size_t count, double *y);
/** The mean loss of the answer 0; y [count]. */
double clrnn_zero_loss(const struct clrnn_loss_config *loss, size_t count, const double *y);

#endif
