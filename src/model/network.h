// SPDX-License-Identifier: MIT
// Shape inference over the config's layers, and building the ops of one batch shape.
#ifndef CLRNN_SRC_MODEL_NETWORK_H
#define CLRNN_SRC_MODEL_NETWORK_H

#include "model/layer.h"
#include "model/plan.h"

/** What shape inference finds out about a layer: the shapes of input and output, its entries in model->entry, and the
 * number of its first dropout. */
struct clrnn_layer_shape {
    uint32_t in, out;                // features of input and output; `in` of an embedding is 0
    bool steps;                      // its input has a time axis
    uint32_t D;                      // directions of a recurrent layer, or of the one directly before this pool; else 0
    uint32_t stream;                 // number of the layer's first dropout among all dropouts of the model
    size_t first_entry, entry_count; // its entries in model->entry
};

/** Prints "config.yaml:7: layers[2] (linear fc7)" into `text`; returns `text`. */
const char *clrnn_layer_label(const struct clrnn_config *config, size_t index, char *text, size_t size);
/** Prints where the layer is in the config, such as "2.1", into `text`; returns `text`. First come the positions of the
 * residual and concat layers that contain the layer, then its position in its own list. In a concat, the index of the
 * branch precedes the position. */
const char *clrnn_layer_path(const struct clrnn_config *config, size_t index, char *text, size_t size);
/** Prints the layer's prefix in a state dict into `text`, as clrnn_layer_path, but with the name in place of the
 * position for each layer that has a name. Returns `text`. */
const char *clrnn_layer_prefix(const struct clrnn_config *config, size_t index, char *text, size_t size);

/** Returns the cell of a recurrent layer of this kind. */
enum clrnn_cell clrnn_layer_cell(enum clrnn_layer_kind kind);

/** Infers the shape of every layer and checks it against the layer before, the data and the loss. Fills
 * shapes[layer_count] except first_entry and entry_count. *outputs: features of the last layer's output; *per_step:
 * whether that output has a time axis. Errors: CLRNN_ERR_CONFIG. */
enum clrnn_status clrnn_network_shapes(const struct clrnn_log *log, const struct clrnn_config *config,
                                       const struct clrnn_data_shape *data, struct clrnn_layer_shape *shapes,
                                       uint32_t *outputs, bool *per_step);

/** Adds all ops of a plan to the graph: feed, forward and, depending on the mode, loss, backward, gradient norm and
 * optimiser. *output is the tensor id of the last layer's output, *output_steps its number of time steps; in
 * mode UPDATE, CLRNN_NONE and 0. */
enum clrnn_status clrnn_network_build(struct clrnn_model *model, const struct clrnn_plan_params *params,
                                      struct clrnn_graph *graph, int *output, uint32_t *output_steps);

/** Whether the optimiser (sgd, rmsprop) needs a momentum buffer: momentum is set, or a scheduler sets it. */
bool clrnn_uses_momentum(const struct clrnn_train_config *train);

/** Frees the plans and staging buffers of clrnn_model_step, clrnn_model_evaluate and clrnn_model_predict. */
void clrnn_stage_destroy(struct clrnn_stage **stage);
#endif
