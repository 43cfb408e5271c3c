// SPDX-License-Identifier: MIT
// Finds layers in the tree of layers.
#include "model/nest.h"

#include <stdio.h>
#include <string.h>

bool clrnn_layer_nests(const struct clrnn_layer *layer)
{
    return layer->kind == CLRNN_LAYER_RESIDUAL || layer->kind == CLRNN_LAYER_CONCAT;
}

size_t clrnn_layer_end(const struct clrnn_config *config, size_t index)
{
    return index + 1 + config->layer[index].inner;
}

size_t clrnn_layer_parent(const struct clrnn_config *config, size_t index)
{
    for (size_t i = index; i-- > 0;)
        if (clrnn_layer_end(config, i) > index)
            return i;
    return SIZE_MAX;
}

// Returns the index of the first layer of the list to which layer `index` belongs.
static size_t list_start(const struct clrnn_config *config, size_t index)
{
    const size_t parent = clrnn_layer_parent(config, index);
    size_t first, end;

    if (parent == SIZE_MAX)
        return 0;
    if (config->layer[parent].kind != CLRNN_LAYER_CONCAT)
        return parent + 1;
    clrnn_layer_branch(config, parent, config->layer[index].branch, &first, &end);
    return first;
}

size_t clrnn_layer_before(const struct clrnn_config *config, size_t index)
{
    size_t before = SIZE_MAX;

    for (size_t i = list_start(config, index); i < index; i = clrnn_layer_end(config, i))
        before = i;
    return before;
}

size_t clrnn_layer_after(const struct clrnn_config *config, size_t index)
{
    const size_t parent = clrnn_layer_parent(config, index), next = clrnn_layer_end(config, index);
    const size_t stop = parent == SIZE_MAX ? config->layer_count : clrnn_layer_end(config, parent);

    return next < stop && config->layer[next].branch == config->layer[index].branch ? next : SIZE_MAX;
}

size_t clrnn_layer_place(const struct clrnn_config *config, size_t index)
{
    size_t place = 0;

    for (size_t i = list_start(config, index); i < index; i = clrnn_layer_end(config, i))
        place++;
    return place;
}

size_t clrnn_layer_last(const struct clrnn_config *config)
{
    size_t last = SIZE_MAX;

    for (size_t i = 0; i < config->layer_count; i = clrnn_layer_end(config, i))
        last = i;
    return last;
}

bool clrnn_config_nests(const struct clrnn_config *config)
{
    for (size_t i = 0; i < config->layer_count; i++)
        if (clrnn_layer_nests(&config->layer[i]))
            return true;
    return false;
}

const char *clrnn_layer_entry(const struct clrnn_config *config, size_t index, char text[CLRNN_ENTRY_SIZE])
{
    const size_t parent = clrnn_layer_parent(config, index);
    char list[CLRNN_ENTRY_SIZE] = "model.layers";
    size_t used;

    if (parent != SIZE_MAX) {
        const bool concat = config->layer[parent].kind == CLRNN_LAYER_CONCAT;

        clrnn_layer_entry(config, parent, list);
        used = strlen(list);
        if (concat)
            snprintf(list + used, sizeof(list) - used, ".concat.branches.%u", config->layer[index].branch);
        else
            snprintf(list + used, sizeof(list) - used, ".residual.layers");
    }
    snprintf(text, CLRNN_ENTRY_SIZE, "%.220s.%zu", list, clrnn_layer_place(config, index));
    return text;
}

size_t clrnn_layer_find(const struct clrnn_config *config, const char *text)
{
    const size_t length = strcspn(text, " =\n");
    char entry[CLRNN_ENTRY_SIZE];

    for (size_t i = 0; i < config->layer_count; i++)
        if (strlen(clrnn_layer_entry(config, i, entry)) == length && !strncmp(entry, text, length))
            return i;
    return SIZE_MAX;
}

void clrnn_layer_branch(const struct clrnn_config *config, size_t concat, uint32_t branch, size_t *first, size_t *end)
{
    const size_t stop = clrnn_layer_end(config, concat);

    for (*first = concat + 1; *first < stop && config->layer[*first].branch < branch;)
        *first = clrnn_layer_end(config, *first);
    for (*end = *first; *end < stop && config->layer[*end].branch == branch;)
        *end = clrnn_layer_end(config, *end);
}

// Whether the layers [first, end) are a valid list, or the valid branches of a concat. `branches` is the number of the
// concat's branches, or 1 for a list. `depth` is the number of layers that contain the list or the branches.
static bool list_fits(const struct clrnn_config *config, size_t first, size_t end, uint32_t branches, unsigned depth)
{
    uint32_t branch = 0;

    if (depth > CLRNN_DEEPEST)
        return false;
    for (size_t i = first; i < end; i = clrnn_layer_end(config, i)) {
        const struct clrnn_layer *layer = &config->layer[i];
        const bool concat = layer->kind == CLRNN_LAYER_CONCAT;

        if (layer->branch < branch || layer->branch >= branches || layer->inner > end - i - 1 ||
            (layer->inner && !clrnn_layer_nests(layer)) ||
            (concat && (layer->branches < 1 || layer->branches > CLRNN_MOST_BRANCHES)) ||
            (layer->inner && !list_fits(config, i + 1, i + 1 + layer->inner, concat ? layer->branches : 1, depth + 1)))
            return false;
        branch = layer->branch;
    }
    return true;
}

bool clrnn_config_tree_fits(const struct clrnn_config *config)
{
    return list_fits(config, 0, config->layer_count, 1, 0);
}
