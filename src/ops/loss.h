// SPDX-License-Identifier: MIT
// A loss with its gradient, over `rows` predictions (after a pool T is 1). Writes one record.
#ifndef CLRNN_SRC_OPS_LOSS_H
#define CLRNN_SRC_OPS_LOSS_H

#include <stdbool.h>

#include "clrnn/config.h"

// X(KIND, stem, name)
// clang-format off
#define CLRNN_LOSS_OPS(X) \
    X(LOSS, loss, loss)
// clang-format on

// Targets: I32 classes for cross_entropy and nll, else REAL.
enum {
    LOSS_X, // [rows, C]
    LOSS_LENGTHS,
    LOSS_TARGET,        // [rows] classes, or [rows, C]; quantile: [rows, C / quantiles]
    LOSS_WEIGHT,        // REAL [C] class weights or pos_weight, or NONE; quantile: [quantiles], the quantiles
    LOSS_COUNTER,       // COUNTER_SLOT says which record
    LOSS_SAMPLE_WEIGHT, // REAL [N] or NONE
    LOSS_LABEL_WEIGHT,  // bce_with_logits: REAL [C], its weight, or NONE
    LOSS_SCALE,         // REAL [2, targets]: deviation and mean by which targets were standardised, or NONE;
                        // the record is in the targets' units before that, the gradient is not
};
enum {
    LOSS_DX,     // NONE in evaluation
    LOSS_RECORD, // updated: REAL [slots, RECORD_FIELDS]
};

struct clrnn_loss_attributes {
    enum clrnn_loss_kind kind;
    double label_smoothing, beta, delta;
    uint32_t quantiles; // quantile: their number; output o * quantiles + q is quantile q of target o
    bool missing;       // targets that are NaN are missing: they count nowhere
    bool total;         // dx is the gradient of the numerator alone, for a part of a batch (train.shards)
    int32_t ignore_index;
    uint32_t slots;
};

/** Whether the targets are classes, one a row: each row of x is then a score for each class. */
static inline bool clrnn_loss_is_classes(enum clrnn_loss_kind kind)
{
    return kind == CLRNN_LOSS_CROSS_ENTROPY || kind == CLRNN_LOSS_NLL;
}

#endif
