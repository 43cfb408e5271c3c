// SPDX-License-Identifier: MIT
// A lower bound of the loss on a set of samples, for any weights.
#ifndef CLRNN_SRC_DIAGNOSE_FLOOR_H
#define CLRNN_SRC_DIAGNOSE_FLOOR_H

#include "model/model.h"
#include "train/dataset.h"

struct clrnn_loss_floor {
    double floor; // the lowest loss that any weights can reach; 0 in most cases
    // what counts as a large loss: 1 for classes and bce, but for bce with `weight` the mean of these weights; the
    // targets' variance for mse, their standard deviation for l1 and quantile; smooth_l1 and huber: one or the other,
    // depending on beta or delta. Several outputs: the mean of their scales
    double scale;
    const char *reason; // static text that says why `floor` is above 0, or NULL
    bool blocked;       // the layers before the loss keep the loss well above 0 for any weights
    uint32_t classes;   // number of different classes among the samples; 0 for regression
};

/** Computes the floor of the model's loss on the samples of `set`. CLRNN_ERR_MEMORY. */
enum clrnn_status clrnn_loss_floor(const struct clrnn_model *model, const struct clrnn_dataset *set,
                                   struct clrnn_loss_floor *floor);

/** Returns `scale` of struct clrnn_loss_floor for a regression loss. y: memory for the targets of one sample. */
double clrnn_target_scale(const struct clrnn_loss_config *loss, const struct clrnn_dataset *set, float *y);

#endif
