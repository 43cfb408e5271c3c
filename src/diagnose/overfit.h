// SPDX-License-Identifier: MIT
// Overfitting a given batch: training on that batch alone until the loss is close to its lowest value.
#ifndef CLRNN_SRC_DIAGNOSE_OVERFIT_H
#define CLRNN_SRC_DIAGNOSE_OVERFIT_H

#include "clrnn/diagnose.h"
#include "train/session.h"

struct clrnn_overfit_task {
    const struct clrnn_config *config; // config of the model: the run's config, or a variant
    struct clrnn_data_sets *data;
    struct clrnn_dataset *batch;
    const char *init; // file of initial weights, or NULL
    uint32_t steps;   // maximum number of steps
    double seconds;   // time limit; 0: none
    double target;    // loss to reach; 0: the default of struct clrnn_overfit_params
    const volatile sig_atomic_t *stop;
};

/** Trains on task->batch alone until the loss reaches task->target, or a limit of steps or time is reached. The caller
 * calls clrnn_overfit_finish on *result, also after an error.
 * Errors  as clrnn_overfit. */
enum clrnn_status clrnn_overfit_batch(struct clrnn_device *device, const struct clrnn_overfit_task *task,
                                      struct clrnn_overfit_result *result);

#endif
