// SPDX-License-Identifier: MIT
// Turns the outputs of the last layer into probabilities and classes.
#ifndef CLRNN_SRC_TRAIN_OUTPUTS_H
#define CLRNN_SRC_TRAIN_OUTPUTS_H

#include "clrnn/train.h"

struct clrnn_outputs {
    enum { CLRNN_FROM_LOGITS, CLRNN_FROM_LOG_PROBS, CLRNN_FROM_PROBS } from; // kind of the model's outputs
    bool binary;    // the loss is bce_with_logits: each output is a label of its own, 0 or 1
    uint32_t count, // outputs per prediction
        labels;     // labels per prediction: `count` if binary, else 1
};

/** Finds what the outputs of a model mean. Errors: CLRNN_ERR_ARG if the model predicts real values but `kind` asks for
 * probabilities or classes. */
enum clrnn_status clrnn_outputs_init(struct clrnn_outputs *outputs, const struct clrnn_model *model,
                                     enum clrnn_predict_kind kind);
/** Computes probs [count] from outputs x [count]. */
void clrnn_outputs_probs(const struct clrnn_outputs *outputs, const float *x, float *probs);
/** Returns the class that the outputs x [count] predict for label `k`, which must be below `labels`. */
int64_t clrnn_outputs_class(const struct clrnn_outputs *outputs, const float *x, uint32_t k);

#endif
