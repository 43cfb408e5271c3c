// SPDX-License-Identifier: MIT
// Op of a loss and its gradient, over rows = T * N predictions. After a pool, T is 1. The op writes one record
// (RECORD_... in cl/slots.h).
#ifndef CLRNN_SRC_OPS_LOSS_H
#define CLRNN_SRC_OPS_LOSS_H

#include <stdbool.h>

#include "clrnn/config.h"

// The op kinds of this header as X(KIND, stem, name). op.h says what a stem is, and declares these ops.
// clang-format off
#define CLRNN_LOSS_OPS(X) \
    X(LOSS, loss, loss)
// clang-format on

// Input slots. LOSS_TARGET is I32 for cross_entropy and nll, REAL for the other losses.
enum {
    LOSS_X, // [rows, C]
    LOSS_LENGTHS,
    LOSS_TARGET, // [rows] classes, or [rows, C] numbers; for loss quantile [rows, C / quantiles] numbers
    // REAL, or CLRNN_NONE. cross_entropy, nll: class weights [C]. bce_with_logits: pos_weight [C]. quantile: the
    // quantiles [quantiles].
    LOSS_WEIGHT,
    LOSS_COUNTER,       // its COUNTER_SLOT is the index of the record to write
    LOSS_SAMPLE_WEIGHT, // REAL [N]: weights of the samples, or CLRNN_NONE
    LOSS_LABEL_WEIGHT,  // REAL [C]: the option `weight` of bce_with_logits, or CLRNN_NONE
    // REAL [2, targets]: deviation and mean with which the targets were standardised, or CLRNN_NONE. The record is then
    // in the units of the data, while the gradient is that of the standardised targets.
    LOSS_SCALE,
};
enum {
    LOSS_DX,     // CLRNN_NONE in evaluation
    LOSS_RECORD, // updated: REAL [slots, RECORD_FIELDS]
};

struct clrnn_loss_attributes {
    enum clrnn_loss_kind kind;
    double label_smoothing, beta, delta;
    uint32_t quantiles; // loss quantile: number of quantiles; output o * quantiles + q of x is quantile q of
                        // target o
    bool missing;       // targets that are NaN are missing: they add nothing to loss, gradient or counts
    // dx is the gradient of the sum of the losses, not of their weighted mean: the batch is only a part of a larger one
    // (train.shards).
    bool total;
    int32_t ignore_index;
    uint32_t slots;
};

/** Whether the loss takes classes, one for each row. Each row of x then has a score for each class. */
static inline bool clrnn_loss_is_classes(enum clrnn_loss_kind kind)
{
    return kind == CLRNN_LOSS_CROSS_ENTROPY || kind == CLRNN_LOSS_NLL;
}

#endif
