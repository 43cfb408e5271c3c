// SPDX-License-Identifier: MIT
// From config layers to shapes, and from shapes to the ops of one batch shape.
#ifndef CLRNN_SRC_MODEL_NETWORK_H
#define CLRNN_SRC_MODEL_NETWORK_H

#include "model/layer.h"
#include "model/plan.h"

/** What one layer makes of its input, and where its rows of the table and its dropouts stand. */
struct clrnn_layer_shape {
    uint32_t in, out; // features; embedding: in is 0
    bool steps;       // its input still has its time axis
    uint32_t D;       // recurrent: directions; pool: of the recurrent layer right before it, else 0
    uint32_t stream;  // number of its first dropout in the model
    size_t first_entry, entry_count;
};

/** "config.yaml:7: layers[2] (linear fc7)" into `text`; returns it. */
const char *clrnn_layer_label(const struct clrnn_config *config, size_t index, char *text, size_t size);
/** The layer's prefix in a state dict: its name, or its index. */
const char *clrnn_layer_prefix(const struct clrnn_config *config, size_t index, char *text, size_t size);

/** The cell of a recurrent layer. */
enum clrnn_cell clrnn_layer_cell(enum clrnn_layer_kind kind);

/** Follows the features through the layers and checks each against the one before, the data and the
 *  loss; fills shapes[layer_count] but for the entries. CLRNN_ERR_CONFIG. */
enum clrnn_status clrnn_network_shapes(const struct clrnn_log *log, const struct clrnn_config *config,
                                       const struct clrnn_data_shape *data, struct clrnn_layer_shape *shapes,
                                       uint32_t *outputs, bool *per_step);

/** Adds every op of a pass to the graph: feed, forward, and by mode loss, backward in reverse, gradient
 *  norm and optimiser. *output: the tensor that the last layer puts out. */
enum clrnn_status clrnn_network_build(struct clrnn_model *model, const struct clrnn_plan_params *params,
                                      struct clrnn_graph *graph, int *output, uint32_t *output_steps);

/** Whether an update keeps a momentum buffer (sgd, rmsprop): momentum, or a scheduler that sets it. */
bool clrnn_uses_momentum(const struct clrnn_train_config *train);

/** The buffers that clrnn_model_step and clrnn_model_predict stage batches in. */
void clrnn_stage_destroy(struct clrnn_stage **stage);
#endif
