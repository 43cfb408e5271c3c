// SPDX-License-Identifier: MIT
// Layers inside layers. config->layer has the tree of layers in preorder: the layers inside a residual or concat
// directly follow that layer. Its field `inner` is the number of all layers inside it, however deep. A list of layers
// is model.layers, the layers directly inside a residual, or one branch of a concat.
#ifndef CLRNN_SRC_MODEL_NEST_H
#define CLRNN_SRC_MODEL_NEST_H

#include "clrnn/config.h"

#define CLRNN_MOST_BRANCHES 16
#define CLRNN_DEEPEST 16 // deepest nesting of residual and concat

/** Whether the layer is residual or concat. */
bool clrnn_layer_nests(const struct clrnn_layer *layer);
/** Returns the index just after the layer and all layers inside it. The next layer of the same list, if there is one,
 * has this index. */
size_t clrnn_layer_end(const struct clrnn_config *config, size_t index);
/** Returns the index of the residual or concat that directly contains the layer. SIZE_MAX: the layer is directly in
 * model.layers. */
size_t clrnn_layer_parent(const struct clrnn_config *config, size_t index);
/** Returns the index of the layer before this one in the same list, or SIZE_MAX. */
size_t clrnn_layer_before(const struct clrnn_config *config, size_t index);
/** Returns the index of the layer after this one in the same list, or SIZE_MAX. */
size_t clrnn_layer_after(const struct clrnn_config *config, size_t index);
/** Returns the layer's position in its list, from 0. */
size_t clrnn_layer_place(const struct clrnn_config *config, size_t index);
/** Returns the index of the last layer directly in model.layers, or SIZE_MAX. */
size_t clrnn_layer_last(const struct clrnn_config *config);
/** Whether the config has a residual or concat layer. */
bool clrnn_config_nests(const struct clrnn_config *config);

#define CLRNN_ENTRY_SIZE 256 // bytes for the text of clrnn_layer_entry
/** Prints the path of the layer in the config, as `--set` takes it, such as "model.layers.1.residual.layers.0", into
 * `text`; returns `text`. */
const char *clrnn_layer_entry(const struct clrnn_config *config, size_t index, char text[CLRNN_ENTRY_SIZE]);
/** Returns the index of the layer with the path (clrnn_layer_entry) at the start of `text`. The path ends before the
 * first space, '=' or newline, or at the end of `text`. SIZE_MAX: there is no such layer. */
size_t clrnn_layer_find(const struct clrnn_config *config, const char *text);

/** Sets [*first, *end) to the layers of one branch of a concat. */
void clrnn_layer_branch(const struct clrnn_config *config, size_t concat, uint32_t branch, size_t *first, size_t *end);

/** Whether the fields `inner`, `branches` and `branch` of all layers describe a valid tree. */
bool clrnn_config_tree_fits(const struct clrnn_config *config);

#endif
