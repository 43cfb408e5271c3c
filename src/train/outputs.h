// SPDX-License-Identifier: MIT
// Turns the outputs of the last layer into probabilities and classes.
#ifndef CLRNN_SRC_TRAIN_OUTPUTS_H
#define CLRNN_SRC_TRAIN_OUTPUTS_H

#include "clrnn/train.h"

struct clrnn_outputs {
    enum { CLRNN_FROM_LOGITS, CLRNN_FROM_LOG_PROBS, CLRNN_FROM_PROBS } from; // kind of the model's outputs
    bool binary;
    uint32_t count, labels; // outputs per prediction; classes that a prediction consists of
};

/** CLRNN_ERR_ARG if the model predicts real values but `kind` asks for probabilities or classes. */
enum clrnn_status clrnn_outputs_init(struct clrnn_outputs *outputs, const struct clrnn_model *model,
                                     enum clrnn_predict_kind kind);
/** Computes probs [count] from outputs x [count]. */
void clrnn_outputs_probs(const struct clrnn_outputs *outputs, const float *x, float *probs);
/** Returns the predicted class of label `k`, which must be below `labels`. */
int64_t clrnn_outputs_class(const struct clrnn_outputs *outputs, const float *x, uint32_t k);

#endif
