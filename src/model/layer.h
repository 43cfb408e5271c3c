// SPDX-License-Identifier: MIT
// Predicates of layer and loss kinds, and what a data source leaves open.
#ifndef CLRNN_SRC_MODEL_LAYER_H
#define CLRNN_SRC_MODEL_LAYER_H

#include "clrnn/config.h"

/** Is it rnn, lstm or gru? */
bool clrnn_layer_is_recurrent(const struct clrnn_layer *layer);
/** Is it a differentiable function of each value, or of the features of a step: relu, tanh, softmax, ...? */
bool clrnn_layer_is_activation(const struct clrnn_layer *layer);
/** Has it weight matrices: recurrent, linear and embedding layers? A norm has only factors and offsets. */
bool clrnn_layer_has_weights(const struct clrnn_layer *layer);

/** Does a step of its output depend on the steps up to it alone, so that it can go on from a state? */
bool clrnn_layer_is_causal(const struct clrnn_layer *layer);

/** Features of a recurrent layer's hidden state in one direction: hidden_size, or proj_size. */
uint32_t clrnn_layer_state(const struct clrnn_layer *layer);

/** The windows of conv1d, max_pool1d and avg_pool1d over time. */
struct clrnn_windows {
    uint32_t kernel, stride, dilation;
    uint32_t padding, all_padding; // before the first step; in all
};

/** Is it conv1d, max_pool1d or avg_pool1d? */
bool clrnn_layer_has_windows(const struct clrnn_layer *layer);
struct clrnn_windows clrnn_layer_windows(const struct clrnn_layer *layer);
/** How many windows lie in T steps: PyTorch's formula, 0 where it is below 1. */
uint32_t clrnn_windows_count(const struct clrnn_windows *windows, uint32_t T);
/** Does it take the time axis away: pool, attention_pool, flatten? */
bool clrnn_layer_pools(const struct clrnn_layer *layer);

/** Features that layer `index` reads for data of C features and T steps; with layer_count those of the
 * output. 0 where they depend on a C or T that is 0. clrnn_config_outputs: after all layers. */
uint32_t clrnn_layers_width(const struct clrnn_config *config, size_t index, uint32_t C, uint32_t T);
/** Time steps that layer `index` reads, or of the output, for data of T steps: 1 after a pool, 0 where the
 * steps are too few for a layer before. */
uint32_t clrnn_layers_steps(const struct clrnn_config *config, size_t index, uint32_t T);
/** Time steps after the layers [first, end) of one list for an input of T steps. */
uint32_t clrnn_layers_steps_between(const struct clrnn_config *config, size_t first, size_t end, uint32_t T);

/** Whether the output has a time axis: no pool, attention_pool or flatten took it away. */
bool clrnn_layers_per_step(const struct clrnn_config *config);
/** Are the targets real numbers, not classes: all but cross_entropy, nll and ctc? */
bool clrnn_loss_is_real(enum clrnn_loss_kind kind);
/** Are predictions values, not classes or labels, so that there is no accuracy: mse, l1, quantile, ...? */
bool clrnn_loss_is_regression(enum clrnn_loss_kind kind);
/** Has a config's loss this metric: "loss", or one of train/metrics.h? */
bool clrnn_loss_has_metric(const struct clrnn_config *config, const char *metric);
/** The quantiles that a loss predicts for each target, [*count]; none where it is not `quantile`. */
const double *clrnn_loss_quantiles(const struct clrnn_loss_config *loss, size_t *count);
/** Numbers of y that a prediction of `outputs` numbers is compared with: 1 for classes. */
uint32_t clrnn_loss_targets(const struct clrnn_loss_config *loss, uint32_t outputs);

/** The horizon of a source with a window: that of the config, else 1 with target and 0 with label. */
uint32_t clrnn_source_horizon(const struct clrnn_source *source);

#endif
