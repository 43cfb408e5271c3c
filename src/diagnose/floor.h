// SPDX-License-Identifier: MIT
// How low a loss can fall on a given set of samples, whatever the weights are.
#ifndef CLRNN_SRC_DIAGNOSE_FLOOR_H
#define CLRNN_SRC_DIAGNOSE_FLOOR_H

#include "model/model.h"
#include "train/dataset.h"

struct clrnn_loss_floor {
    double floor;       // the least loss; 0 for most
    double scale;       // what losses are measured by: 1; for mse the variance of the targets
    const char *reason; // why it is not 0, static, or NULL
    bool blocked;       // because of the layers before the loss: no weights bring it near 0
    uint32_t classes;   // different classes among the samples; 0 for mse
};

/** CLRNN_ERR_MEMORY. */
enum clrnn_status clrnn_loss_floor(const struct clrnn_model *model, const struct clrnn_dataset *set,
                                   struct clrnn_loss_floor *floor);

#endif
