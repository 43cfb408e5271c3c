// SPDX-License-Identifier: MIT
// Predicates and shapes of layers and losses, and defaults of a data source.
#ifndef CLRNN_SRC_MODEL_LAYER_H
#define CLRNN_SRC_MODEL_LAYER_H

#include "clrnn/config.h"

/** Is it rnn, lstm or gru? */
bool clrnn_layer_is_recurrent(const struct clrnn_layer *layer);
/** Is it a differentiable function of each value, or of the features of a step: relu, tanh, softmax, ...? */
bool clrnn_layer_is_activation(const struct clrnn_layer *layer);
/** Does it have weight matrices (recurrent, linear, embedding, conv1d, attention_pool)? A norm has none. */
bool clrnn_layer_has_weights(const struct clrnn_layer *layer);

/** Does each output step depend only on steps up to it, so that a run can go on from carried states? */
bool clrnn_layer_is_causal(const struct clrnn_layer *layer);

/** Features of a recurrent layer's h in one direction: proj_size if it is set, else hidden_size. */
uint32_t clrnn_layer_state(const struct clrnn_layer *layer);

/** The windows of conv1d, max_pool1d and avg_pool1d over time. */
struct clrnn_windows {
    uint32_t kernel, stride, dilation;
    uint32_t padding, all_padding; // steps before the first step; before and after together
};

/** Is it conv1d, max_pool1d or avg_pool1d? */
bool clrnn_layer_has_windows(const struct clrnn_layer *layer);
struct clrnn_windows clrnn_layer_windows(const struct clrnn_layer *layer);
/** Number of windows in T steps by PyTorch's formula; 0 where that is below 1. */
uint32_t clrnn_windows_count(const struct clrnn_windows *windows, uint32_t T);
/** Does it remove the time axis: pool, attention_pool, flatten? */
bool clrnn_layer_pools(const struct clrnn_layer *layer);

/** Input features of layer `index` for data of C features and T steps; index = layer_count: of the output. 0
 * if the result depends on a C or T that is 0 (unknown). clrnn_config_outputs: after all layers. */
uint32_t clrnn_layers_width(const struct clrnn_config *config, size_t index, uint32_t C, uint32_t T);
/** Input time steps of layer `index` for data of T steps; index = layer_count: of the output. 1 after a pool;
 * 0 if T is too short for a layer before it. */
uint32_t clrnn_layers_steps(const struct clrnn_config *config, size_t index, uint32_t T);
/** Time steps after the layers [first, end) of one list, for an input of T steps. */
uint32_t clrnn_layers_steps_between(const struct clrnn_config *config, size_t first, size_t end, uint32_t T);

/** Whether the output has a time axis: no pool, attention_pool or flatten took it away. */
bool clrnn_layers_per_step(const struct clrnn_config *config);
/** Are the targets real numbers, not classes: all but cross_entropy, nll and ctc? */
bool clrnn_loss_is_real(enum clrnn_loss_kind kind);
/** Are predictions values, not classes or labels, so that there is no accuracy: mse, l1, quantile, ...? */
bool clrnn_loss_is_regression(enum clrnn_loss_kind kind);
/** Is this metric ("loss", or one of train/metrics.h) defined for the config's loss? */
bool clrnn_loss_has_metric(const struct clrnn_config *config, const char *metric);
/** The quantiles [*count] that the loss `quantile` predicts for each target; NULL and 0 for other losses. */
const double *clrnn_loss_quantiles(const struct clrnn_loss_config *loss, size_t *count);
/** Number of target values in y for a prediction of `outputs` numbers: 1 for classes. */
uint32_t clrnn_loss_targets(const struct clrnn_loss_config *loss, uint32_t outputs);

/** The horizon of a source with a window: the config's, else 1 with `target` and 0 with `label`. */
uint32_t clrnn_source_horizon(const struct clrnn_source *source);

#endif
