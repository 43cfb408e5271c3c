// SPDX-License-Identifier: MIT
// A linear baseline: softmax regression or least squares on the T * C inputs of a sample.
#ifndef CLRNN_SRC_DIAGNOSE_DOCTOR_LINEAR_H
#define CLRNN_SRC_DIAGNOSE_DOCTOR_LINEAR_H

#include "clrnn/config.h"
#include "train/dataset.h"

struct clrnn_linear_result {
    bool done; // false: the data are unsuitable (tokens, several labels per sample, ctc, too large), or time ran out
    double quality; // accuracy on the set `valid` (regression: R2)
    uint32_t iterations;
};

/** Fits the linear model on `train` with standardised inputs and evaluates it on `valid`. `classes`: number of classes;
 * not used for regression. `seconds`: time limit. CLRNN_ERR_MEMORY. */
enum clrnn_status clrnn_linear_fit(const struct clrnn_log *log, const struct clrnn_config *config,
                                   const struct clrnn_dataset *train, const struct clrnn_dataset *valid,
                                   uint32_t classes, double seconds, struct clrnn_linear_result *result);

#endif
