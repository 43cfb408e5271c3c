// SPDX-License-Identifier: MIT
// Predicates of layer and loss kinds.
#ifndef CLRNN_SRC_MODEL_LAYER_H
#define CLRNN_SRC_MODEL_LAYER_H

#include "clrnn/config.h"

/** Is it rnn, lstm or gru? */
bool clrnn_layer_is_recurrent(const struct clrnn_layer *layer);
/** Is it a differentiable function of each value, or of the features of a step: relu, tanh, softmax, ...? */
bool clrnn_layer_is_activation(const struct clrnn_layer *layer);
/** Has it weight matrices: recurrent, linear and embedding layers? A norm has only factors and offsets. */
bool clrnn_layer_has_weights(const struct clrnn_layer *layer);

/** Features of a recurrent layer's hidden state in one direction: hidden_size, or proj_size. */
uint32_t clrnn_layer_state(const struct clrnn_layer *layer);

/** Features after the first `count` layers for data of C features. clrnn_config_outputs: after all layers. */
uint32_t clrnn_layers_width(const struct clrnn_config *config, size_t count, uint32_t C);
/** Time steps after the first `count` layers for data of T steps: 1 after a pool. */
uint32_t clrnn_layers_steps(const struct clrnn_config *config, size_t count, uint32_t T);

/** Are the targets real numbers, not classes: all but cross_entropy and nll? */
bool clrnn_loss_is_real(enum clrnn_loss_kind kind);
/** Are predictions values, not classes or labels, so that there is no accuracy: mse, l1, quantile, ...? */
bool clrnn_loss_is_regression(enum clrnn_loss_kind kind);
/** Has a config's loss this metric: "loss", or one of train/metrics.h? */
bool clrnn_loss_has_metric(const struct clrnn_config *config, const char *metric);
/** The quantiles that a loss predicts for each target, [*count]; none where it is not `quantile`. */
const double *clrnn_loss_quantiles(const struct clrnn_loss_config *loss, size_t *count);
/** Numbers of y that a prediction of `outputs` numbers is compared with: 1 for classes. */
uint32_t clrnn_loss_targets(const struct clrnn_loss_config *loss, uint32_t outputs);

#endif
