// SPDX-License-Identifier: MIT
// A loss with its gradient, over `rows` predictions (after a pool T is 1). Writes one record.
#ifndef CLRNN_SRC_OPS_LOSS_H
#define CLRNN_SRC_OPS_LOSS_H

#include "clrnn/config.h"

// X(KIND, stem, name)
// clang-format off
#define CLRNN_LOSS_OPS(X) \
    X(LOSS, loss, loss)
// clang-format on

// Targets: I32 classes for cross_entropy and nll, REAL for bce_with_logits and mse (C = 1).
enum {
    LOSS_X, // [rows, C]
    LOSS_LENGTHS,
    LOSS_TARGET,  // [rows]
    LOSS_WEIGHT,  // REAL [C] class weights, or [1] pos_weight, or NONE
    LOSS_COUNTER, // COUNTER_SLOT says which record
};
enum {
    LOSS_DX,     // NONE in evaluation
    LOSS_RECORD, // updated: REAL [slots, RECORD_FIELDS]
};

struct clrnn_loss_attributes {
    enum clrnn_loss_kind kind;
    double label_smoothing;
    int32_t ignore_index;
    uint32_t slots;
};

#endif
