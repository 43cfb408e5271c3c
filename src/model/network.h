// SPDX-License-Identifier: MIT
// Shape inference over the config's layers, and building the ops of one batch shape.
#ifndef CLRNN_SRC_MODEL_NETWORK_H
#define CLRNN_SRC_MODEL_NETWORK_H

#include "model/layer.h"
#include "model/plan.h"

/** A layer's input and output shape, its rows of the model's table and its first dropout. */
struct clrnn_layer_shape {
    uint32_t in, out; // features; embedding: in is 0
    bool steps;       // its input has a time axis
    uint32_t D;       // recurrent: directions; pool: directions of the recurrent layer before it, else 0
    uint32_t stream;  // number of its first dropout in the model
    size_t first_entry, entry_count;
};

/** Prints "config.yaml:7: layers[2] (linear fc7)" into `text`; returns `text`. */
const char *clrnn_layer_label(const struct clrnn_config *config, size_t index, char *text, size_t size);
/** Prints the layer's position in each list from model.layers down to its own, such as "2.1". */
const char *clrnn_layer_path(const struct clrnn_config *config, size_t index, char *text, size_t size);
/** The layer's prefix in a state dict: its name, or its index. */
const char *clrnn_layer_prefix(const struct clrnn_config *config, size_t index, char *text, size_t size);

/** The cell of a recurrent layer. */
enum clrnn_cell clrnn_layer_cell(enum clrnn_layer_kind kind);

/** Infers the shape of every layer and checks it against the layer before, the data and the loss. Fills
 *  shapes[layer_count] except first_entry and entry_count. CLRNN_ERR_CONFIG. */
enum clrnn_status clrnn_network_shapes(const struct clrnn_log *log, const struct clrnn_config *config,
                                       const struct clrnn_data_shape *data, struct clrnn_layer_shape *shapes,
                                       uint32_t *outputs, bool *per_step);

/** Adds every op of a pass to the graph: feed, forward, and depending on the mode loss, backward, gradient
 * norm and optimiser. *output: the tensor id of the last layer's output. */
enum clrnn_status clrnn_network_build(struct clrnn_model *model, const struct clrnn_plan_params *params,
                                      struct clrnn_graph *graph, int *output, uint32_t *output_steps);

/** Whether the optimiser (sgd, rmsprop) needs a momentum buffer: momentum is set, or a scheduler sets it. */
bool clrnn_uses_momentum(const struct clrnn_train_config *train);

/** Frees the staging buffers of clrnn_model_step and clrnn_model_predict. */
void clrnn_stage_destroy(struct clrnn_stage **stage);
#endif
