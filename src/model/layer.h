// SPDX-License-Identifier: MIT
// Properties and shapes of layers and losses, and the horizon of data sources.
#ifndef CLRNN_SRC_MODEL_LAYER_H
#define CLRNN_SRC_MODEL_LAYER_H

#include "clrnn/config.h"

/** Whether the layer is rnn, lstm or gru. */
bool clrnn_layer_is_recurrent(const struct clrnn_layer *layer);
/** Whether the layer is an activation: a differentiable function of each value, or of the features of a time step, such
 * as relu, tanh and softmax. */
bool clrnn_layer_is_activation(const struct clrnn_layer *layer);
/** Whether the layer has weight matrices: recurrent layers, linear, embedding, conv1d, attention_pool. Normalisations
 * have none. */
bool clrnn_layer_has_weights(const struct clrnn_layer *layer);

/** Whether each output step depends only on input steps up to the same step. Only then can a run continue with the
 * states of the previous run. For residual and concat the result is true: callers also ask for the layers inside
 * them. */
bool clrnn_layer_is_causal(const struct clrnn_layer *layer);

/** Returns the number of features of a recurrent layer's h in one direction: proj_size if it is set, else
 * hidden_size. */
uint32_t clrnn_layer_state(const struct clrnn_layer *layer);

/** The windows of conv1d, max_pool1d and avg_pool1d over time. */
struct clrnn_windows {
    uint32_t kernel, stride, dilation;
    // padding: steps before the first step; all_padding: steps before the first and after the last step together.
    uint32_t padding, all_padding;
};

/** Whether the layer is conv1d, max_pool1d or avg_pool1d. */
bool clrnn_layer_has_windows(const struct clrnn_layer *layer);
/** Returns the windows of a conv1d, max_pool1d or avg_pool1d layer. */
struct clrnn_windows clrnn_layer_windows(const struct clrnn_layer *layer);
/** Returns the number of windows in T time steps, by PyTorch's formula; 0 if the formula gives less than
 * 1. */
uint32_t clrnn_windows_count(const struct clrnn_windows *windows, uint32_t T);
/** Whether the layer removes the time axis: pool, attention_pool and flatten do. */
bool clrnn_layer_pools(const struct clrnn_layer *layer);

/** Returns the number of input features of layer `index`, for data of C features and T time steps; with
 * index = layer_count, the number of output features of the last layer. C = 0 or T = 0 means that this number is
 * unknown. The result is 0 if it depends on an unknown number. */
uint32_t clrnn_layers_width(const struct clrnn_config *config, size_t index, uint32_t C, uint32_t T);
/** Returns the number of input time steps of layer `index`, for data of T time steps; with
 * index = layer_count, the number of output time steps of the last layer. It is 1 after a layer that removes the time
 * axis, and 0 if T is too short for an earlier layer. */
uint32_t clrnn_layers_steps(const struct clrnn_config *config, size_t index, uint32_t T);
/** Returns the number of time steps after the layers [first, end), which must belong to one list (nest.h), for an input
 * of T time steps. */
uint32_t clrnn_layers_steps_between(const struct clrnn_config *config, size_t first, size_t end, uint32_t T);

/** Whether the output of the last layer has a time axis: no pool, attention_pool or flatten has removed
 * it. */
bool clrnn_layers_per_step(const struct clrnn_config *config);
/** Whether the targets of the loss are real numbers, not classes. That holds for all losses except cross_entropy, nll
 * and ctc. */
bool clrnn_loss_is_real(enum clrnn_loss_kind kind);
/** Whether the loss is for regression, as mse, l1 and quantile are. A prediction is then an estimate of the target's
 * value, not a score of a class or label, and no accuracy is defined. */
bool clrnn_loss_is_regression(enum clrnn_loss_kind kind);
/** Whether this metric is defined for the config's loss. `metric` is "loss", or the name of a metric of
 * train/metrics.h. */
bool clrnn_loss_has_metric(const struct clrnn_config *config, const char *metric);
/** Returns the quantiles [*count] that the loss `quantile` predicts for each target. For other losses, returns NULL and
 * sets *count to 0. */
const double *clrnn_loss_quantiles(const struct clrnn_loss_config *loss, size_t *count);
/** Returns how many numbers of y belong to a prediction of `outputs` numbers: 1 if targets are classes; with the loss
 * `quantile`, `outputs` divided by the number of quantiles; with other losses, `outputs`. */
uint32_t clrnn_loss_targets(const struct clrnn_loss_config *loss, uint32_t outputs);

/** Returns the horizon of a data source with `window`: the number in the config, else 1 with `target` and 0 with
 * `label` (doc/config.md). */
uint32_t clrnn_source_horizon(const struct clrnn_source *source);
/** Returns the path of a source's .ts file (the format of the UCR and UEA archives), or NULL. */
const char *clrnn_source_ts(const struct clrnn_source *source);

#endif
