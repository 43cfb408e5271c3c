// SPDX-License-Identifier: MIT
// How low a loss can fall on a given set of samples, whatever the weights are.
#ifndef CLRNN_SRC_DIAGNOSE_FLOOR_H
#define CLRNN_SRC_DIAGNOSE_FLOOR_H

#include "model/model.h"
#include "train/dataset.h"

/** What the last layers let through to the loss. */
struct clrnn_value_range {
    double low, high; // of each output; infinite where nothing bounds it
    bool simplex;     // a softmax's: the outputs of a row sum to 1
    bool log_simplex; // a log_softmax's
    bool whole;       // rounded
    long layer;       // index of the layer that bounds them, -1: none
};

/** Follows the range of values through the model's layers to the loss. */
struct clrnn_value_range clrnn_value_range(const struct clrnn_model *model);

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
