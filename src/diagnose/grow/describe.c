// SPDX-License-Identifier: MIT
// Prints layers as text, for the names and descriptions of stages.
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "diagnose/grow/grow.h"
#include "model/layer.h"
#include "model/nest.h"

static void describe_leaf(const struct clrnn_layer *layer, char *text, size_t size)
{
    char times[24] = "";

    if (layer->num_layers > 1)
        snprintf(times, sizeof(times), " x %u", layer->num_layers);
    if (clrnn_layer_is_recurrent(layer))
        snprintf(text, size, "%s%s%s %u%s", layer->bidirectional ? "bi" : "", layer->relu ? "relu-" : "",
                 clrnn_layer_word(layer->kind), layer->hidden_size, times);
    else if (layer->kind == CLRNN_LAYER_LINEAR)
        snprintf(text, size, "linear %u", layer->out_features);
    else if (layer->kind == CLRNN_LAYER_EMBEDDING)
        snprintf(text, size, "embedding %u", layer->embedding_dim);
    else if (layer->kind == CLRNN_LAYER_DROPOUT)
        snprintf(text, size, "dropout %g", layer->p);
    else if (layer->kind == CLRNN_LAYER_POOL)
        snprintf(text, size, "%s",
                 layer->over == CLRNN_POOL_LAST    ? "last step"
                 : layer->over == CLRNN_POOL_FINAL ? "final state"
                 : layer->over == CLRNN_POOL_MEAN  ? "mean over time"
                                                   : "max over time");
    else
        snprintf(text, size, "%s", clrnn_layer_word(layer->kind));
}

// Appends a list of layers to text, "layernorm, gru 16", truncated to `size` bytes in all.
static void describe_list(const struct clrnn_config *config, size_t first, size_t end, char *text, size_t size)
{
    for (size_t i = first; i < end; i = clrnn_layer_end(config, i)) {
        const size_t used = strlen(text);

        snprintf(text + used, size - used, "%s", i > first ? ", " : "");
        clrnn_layer_describe(config, i, text + strlen(text), size - strlen(text));
    }
}

void clrnn_layer_describe(const struct clrnn_config *config, size_t index, char *text, size_t size)
{
    const struct clrnn_layer *layer = &config->layer[index];

    if (!clrnn_layer_nests(layer)) {
        describe_leaf(layer, text, size);
        return;
    }
    snprintf(text, size, "%s (", clrnn_layer_word(layer->kind));
    for (uint32_t b = 0; b < (layer->kind == CLRNN_LAYER_CONCAT ? layer->branches : 1); b++) {
        size_t first = index + 1, end = clrnn_layer_end(config, index);

        if (layer->kind == CLRNN_LAYER_CONCAT)
            clrnn_layer_branch(config, index, b, &first, &end);
        snprintf(text + strlen(text), size - strlen(text), "%s", b ? " | " : "");
        describe_list(config, first, end, text, size);
    }
    snprintf(text + strlen(text), size - strlen(text), ")");
}

char *clrnn_layers_text(const struct clrnn_config *config)
{
    char text[1024] = "";

    describe_list(config, 0, config->layer_count, text, sizeof(text));
    return strdup(text);
}
