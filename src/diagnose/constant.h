// SPDX-License-Identifier: MIT
// What a model has to beat: the best answer that does not look at its input.
#ifndef CLRNN_SRC_DIAGNOSE_CONSTANT_H
#define CLRNN_SRC_DIAGNOSE_CONSTANT_H

#include "clrnn/config.h"

/** Its loss, from the shares of classes or the spread of targets;
 *  NaN where there is none (nll of raw outputs). counts [classes]. */
double clrnn_constant_loss(const struct clrnn_config *config, uint32_t classes, const uint64_t *counts,
                           double target_variance);

#endif
