// SPDX-License-Identifier: MIT
// What kinds of layers and losses have in common, asked in many places and answered here.
#ifndef CLRNN_SRC_MODEL_LAYER_H
#define CLRNN_SRC_MODEL_LAYER_H

#include "clrnn/config.h"

/** rnn, lstm, gru. */
bool clrnn_layer_is_recurrent(const struct clrnn_layer *layer);
/** A differentiable function of each value, or of the features of each step: relu, tanh, softmax, ... */
bool clrnn_layer_is_activation(const struct clrnn_layer *layer);
/** Weight matrices: recurrent, linear and embedding layers. A norm has factors and offsets only. */
bool clrnn_layer_has_weights(const struct clrnn_layer *layer);

/** Features behind the first `count` layers where the data have C; clrnn_config_outputs is all of them. */
uint32_t clrnn_layers_width(const struct clrnn_config *config, size_t count, uint32_t C);
/** Time steps behind the first `count` layers where the data have T: 1 behind a pool. */
uint32_t clrnn_layers_steps(const struct clrnn_config *config, size_t count, uint32_t T);

/** Targets are real numbers, not classes: bce_with_logits, mse. */
bool clrnn_loss_is_real(enum clrnn_loss_kind kind);
/** Predictions are values, not classes, so that there is no accuracy: mse. */
bool clrnn_loss_is_regression(enum clrnn_loss_kind kind);

#endif
