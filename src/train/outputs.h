// SPDX-License-Identifier: MIT
// From what the last layer puts out to probabilities and classes.
#ifndef CLRNN_SRC_TRAIN_OUTPUTS_H
#define CLRNN_SRC_TRAIN_OUTPUTS_H

#include "clrnn/train.h"

struct clrnn_outputs {
    enum { CLRNN_FROM_LOGITS, CLRNN_FROM_LOG_PROBS, CLRNN_FROM_PROBS } from; // what the last layer puts out
    bool binary;
    uint32_t count, labels; // outputs; classes of each prediction
};

/** CLRNN_ERR_ARG: the model predicts values, of which there are no probabilities and classes. */
enum clrnn_status clrnn_outputs_init(struct clrnn_outputs *outputs, const struct clrnn_model *model,
                                     enum clrnn_predict_kind kind);
/** probs [count] of x [count]. */
void clrnn_outputs_probs(const struct clrnn_outputs *outputs, const float *x, float *probs);
/** The class of label `k` below `labels`. */
int64_t clrnn_outputs_class(const struct clrnn_outputs *outputs, const float *x, uint32_t k);

#endif
