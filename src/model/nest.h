// SPDX-License-Identifier: MIT
// Layers inside layers. config->layer is the tree in preorder: the layers inside a residual or concat follow
// it, and its `inner` counts all of them.
#ifndef CLRNN_SRC_MODEL_NEST_H
#define CLRNN_SRC_MODEL_NEST_H

#include "clrnn/config.h"

#define CLRNN_MOST_BRANCHES 16
#define CLRNN_DEEPEST 16 // deepest nesting of residual and concat

/** Is it residual or concat? */
bool clrnn_layer_nests(const struct clrnn_layer *layer);
/** The index after the layer and all layers inside it, where the next layer of the same list stands. */
size_t clrnn_layer_end(const struct clrnn_config *config, size_t index);
/** The residual or concat directly around the layer; SIZE_MAX: it stands in model.layers. */
size_t clrnn_layer_parent(const struct clrnn_config *config, size_t index);
/** The layer before this one in the same list, or SIZE_MAX. */
size_t clrnn_layer_before(const struct clrnn_config *config, size_t index);
/** The layer after this one in the same list, or SIZE_MAX. */
size_t clrnn_layer_after(const struct clrnn_config *config, size_t index);
/** The layer's position in its list, from 0. */
size_t clrnn_layer_place(const struct clrnn_config *config, size_t index);
/** The last layer of model.layers itself, or SIZE_MAX. */
size_t clrnn_layer_last(const struct clrnn_config *config);
/** Whether any layer lies inside another one. */
bool clrnn_config_nests(const struct clrnn_config *config);

#define CLRNN_ENTRY_SIZE 256 // bytes of an entry's text
/** Prints the layer's entry in the config as `--set` names it, "model.layers.1.residual.layers.0", into
 * `text`; returns it. */
const char *clrnn_layer_entry(const struct clrnn_config *config, size_t index, char text[CLRNN_ENTRY_SIZE]);
/** The layer with whose entry `text` begins; a space, '=', a newline or the end must follow. SIZE_MAX: none.
 */
size_t clrnn_layer_find(const struct clrnn_config *config, const char *text);

/** The layers of a concat's branch: [*first, *end). */
void clrnn_layer_branch(const struct clrnn_config *config, size_t concat, uint32_t branch, size_t *first,
                        size_t *end);

/** Whether `inner`, `branches` and `branch` of all layers fit each other. */
bool clrnn_config_tree_fits(const struct clrnn_config *config);

#endif
