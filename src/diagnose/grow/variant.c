// SPDX-License-Identifier: MIT
// Makes the config of a stage: the base with the first `parts` parts of the ladder (grow.h).
#include <stdlib.h>
#include <string.h>

#include "base/array.h"
#include "base/file.h"
#include "base/log.h"
#include "diagnose/grow/grow.h"
#include "model/layer.h"
#include "model/nest.h"
#include "model/options.h"

// Whether one of the first `parts` parts has this kind, belongs to this layer, and is not `off`.
static bool has(const struct clrnn_ladder *l, size_t parts, enum clrnn_part_kind kind, size_t layer)
{
    for (size_t i = 0; i < parts; i++)
        if (l->part[i].kind == kind && !l->part[i].off && layer >= l->part[i].layer &&
            layer < l->part[i].layer + MAX2(l->part[i].count, 1))
            return true;
    return false;
}

static bool is_in(const struct clrnn_ladder *l, size_t parts, size_t layer)
{
    switch (l->config->layer[layer].kind) {
    case CLRNN_LAYER_EMBEDDING:
    case CLRNN_LAYER_POOL:
    case CLRNN_LAYER_ATTENTION_POOL:
    case CLRNN_LAYER_FLATTEN:
        return true;
    case CLRNN_LAYER_CONV1D: // always kept if each step has a target: windows set the number of steps
    case CLRNN_LAYER_MAX_POOL1D:
    case CLRNN_LAYER_AVG_POOL1D:
        return l->per_step || has(l, parts, CLRNN_PART_WINDOWS, layer);
    case CLRNN_LAYER_RESIDUAL:
    case CLRNN_LAYER_CONCAT:
        return has(l, parts, CLRNN_PART_BLOCK, layer);
    case CLRNN_LAYER_RNN:
    case CLRNN_LAYER_LSTM:
    case CLRNN_LAYER_GRU:
        return (long)layer == l->recurrent || has(l, parts, CLRNN_PART_RECURRENT, layer);
    case CLRNN_LAYER_BATCHNORM:
    case CLRNN_LAYER_LAYERNORM:
    case CLRNN_LAYER_GROUPNORM:
        return has(l, parts, CLRNN_PART_NORM, layer);
    case CLRNN_LAYER_LINEAR:
        return (long)layer == l->head || has(l, parts, CLRNN_PART_DENSE, layer);
    case CLRNN_LAYER_DROPOUT:
        return has(l, parts, CLRNN_PART_DROPOUT, layer);
    default:
        return has(l, parts, CLRNN_PART_DENSE, layer) || has(l, parts, CLRNN_PART_ACTIVATION, layer) ||
               has(l, parts, CLRNN_PART_NLL, layer);
    }
}

static void fit_layer(const struct clrnn_ladder *l, size_t parts, size_t index, struct clrnn_layer *layer)
{
    if (!clrnn_layer_is_recurrent(layer))
        return;
    if (!has(l, parts, CLRNN_PART_INNER_DROPOUT, index))
        layer->dropout = 0.0;
    if ((long)index != l->recurrent)
        return;
    if (!has(l, parts, CLRNN_PART_LAYERS, index))
        layer->num_layers = 1;
    if (!has(l, parts, CLRNN_PART_DIRECTION, index))
        layer->bidirectional = false;
    if (!has(l, parts, CLRNN_PART_RELU, index))
        layer->relu = false;
}

// Whether the layer removes the time axis: a pool, or a concat whose first branch contains a pool.
static bool takes_time(const struct clrnn_config *c, size_t index)
{
    size_t first, end;
    bool takes = clrnn_layer_pools(&c->layer[index]);

    if (c->layer[index].kind != CLRNN_LAYER_CONCAT)
        return takes;
    clrnn_layer_branch(c, index, 0, &first, &end);
    for (size_t i = first; i < end; i = clrnn_layer_end(c, i))
        takes = takes || takes_time(c, i);
    return takes;
}

static struct clrnn_layer make_pool(enum clrnn_pool_over over)
{
    struct clrnn_layer pool;

    clrnn_layer_default(&pool, CLRNN_LAYER_POOL);
    pool.over = over;
    return pool;
}

/** The layers of a variant while they are chosen. */
struct choice {
    const struct clrnn_ladder *l;
    struct clrnn_config *config; // chosen layers are moved to the front of config->layer
    bool *keep;                  // [number of layers of l->config] the layer is in the variant
    bool linear;
    size_t count;
};

// Replaces a residual or concat that the variant does not have yet. The base's recurrent layer takes its place if the
// block contains that layer, but not in a linear model. A pool is added if the block removes the time axis.
static void replace_block(struct choice *c, size_t index)
{
    const struct clrnn_ladder *l = c->l;
    const bool takes = takes_time(l->config, index);
    struct clrnn_layer recurrent = {.name = NULL};

    if (l->holder == (long)index && !c->linear) {
        recurrent = c->config->layer[l->recurrent];
        c->config->layer[l->recurrent].name = NULL;
        free(recurrent.name); // its name is for the list of layers inside the residual or concat
        recurrent.name = NULL;
        recurrent.branch = 0;
    }
    for (size_t i = index; i < clrnn_layer_end(l->config, index); i++) {
        free(c->config->layer[i].name);
        c->config->layer[i].name = NULL;
    }
    if (l->holder == (long)index && !c->linear)
        c->config->layer[c->count++] = recurrent;
    if (takes)
        c->config->layer[c->count++] = make_pool(c->linear ? CLRNN_POOL_MEAN : CLRNN_POOL_LAST);
}

// Keeps the layers with keep[] set. Layers without a name are named by their index in the config, so that their
// parameters have the same names as in the config's state dict.
static enum clrnn_status keep_layers(struct choice *c)
{
    const struct clrnn_config *asked = c->l->config;
    struct clrnn_config *to = c->config;

    for (size_t i = 0; i < asked->layer_count; i = clrnn_layer_end(asked, i)) {
        const size_t from = c->count, size = clrnn_layer_end(asked, i) - i;

        if (!c->keep[i] && clrnn_layer_nests(&asked->layer[i])) {
            replace_block(c, i);
        } else if (!c->keep[i]) {
            free(to->layer[i].name);
            to->layer[i].name = NULL;
        } else {
            memmove(&to->layer[c->count], &to->layer[i], size * sizeof(*to->layer));
            c->count += size;
            for (size_t k = MAX2(c->count, i); k < i + size; k++)
                to->layer[k].name = NULL; // moved
        }
        for (size_t k = from; k < c->count; k = clrnn_layer_end(to, k)) {
            if (to->layer[k].name)
                continue;
            to->layer[k].name = clrnn_format(k > from ? "pool_%zu" : "%zu", clrnn_layer_place(asked, i));
            if (!to->layer[k].name)
                return clrnn_error_memory(c->l->log, 0, "a layer's name");
        }
    }
    to->layer_count = c->count;
    return CLRNN_OK;
}

// Turns a pool over the final state into a pool over the last step if no recurrent layer is directly before the pool.
static void fit_pools(struct clrnn_config *c)
{
    for (size_t i = 0; i < c->layer_count; i = clrnn_layer_end(c, i)) {
        const size_t before = clrnn_layer_before(c, i);

        if (c->layer[i].kind == CLRNN_LAYER_POOL && c->layer[i].over == CLRNN_POOL_FINAL &&
            (before == SIZE_MAX || !clrnn_layer_is_recurrent(&c->layer[before])))
            c->layer[i].over = CLRNN_POOL_LAST;
    }
}

// Adds a linear layer at the end, but before final activations and dropouts.
static enum clrnn_status add_head(const struct clrnn_ladder *l, struct clrnn_config *c)
{
    struct clrnn_layer head, *added = clrnn_config_add_layer(c, CLRNN_LAYER_LINEAR);
    size_t at = c->layer_count - 1, before = clrnn_layer_before(c, at);

    if (!added || !(added->name = clrnn_format("%s", "head")))
        return clrnn_error_memory(l->log, sizeof(head), "a layer");
    added->out_features = l->outputs;
    head = *added;
    while (before != SIZE_MAX &&
           (clrnn_ladder_is_activation(&c->layer[before]) || c->layer[before].kind == CLRNN_LAYER_DROPOUT)) {
        at = before;
        before = clrnn_layer_before(c, at);
    }
    memmove(&c->layer[at + 1], &c->layer[at], (c->layer_count - 1 - at) * sizeof(head));
    c->layer[at] = head;
    return CLRNN_OK;
}

static void fit_training(const struct clrnn_ladder *l, size_t parts, struct clrnn_train_config *t)
{
    bool in[CLRNN_PART_INIT + 1] = {false};

    for (size_t i = 0; i < parts; i++)
        in[l->part[i].kind] |= !l->part[i].off;
    if (!in[CLRNN_PART_LOSS] && !in[CLRNN_PART_NLL]) {
        free(t->loss.weight);
        t->loss.weight = NULL;
        t->loss.weight_count = 0;
        t->loss.label_smoothing = 0.0;
    }
    if (t->loss.kind == CLRNN_LOSS_NLL && !in[CLRNN_PART_NLL])
        t->loss.kind = CLRNN_LOSS_CROSS_ENTROPY;
    if (!in[CLRNN_PART_OPTIMIZER]) {
        t->optimizer = (struct clrnn_optimizer_config){.kind = CLRNN_OPTIMIZER_ADAM,
                                                       .lr = CLRNN_BASE_LR,
                                                       .beta1 = 0.9,
                                                       .beta2 = 0.999,
                                                       .eps = 1e-8,
                                                       .alpha = 0.99};
        if (!clrnn_ladder_base_clip(t->clip_grad_norm))
            t->clip_grad_norm = 0.0;
    }
    if (!in[CLRNN_PART_SCHEDULER])
        t->scheduler.kind = CLRNN_SCHEDULER_NONE;
    if (!in[CLRNN_PART_ORDER])
        t->shuffle = true;
}

// For a linear model: replaces a pool or an attention_pool by a pool that takes the mean over time.
static void simplify(struct clrnn_layer *layer)
{
    char *name = layer->name;

    if (layer->kind != CLRNN_LAYER_POOL && layer->kind != CLRNN_LAYER_ATTENTION_POOL)
        return;
    *layer = make_pool(CLRNN_POOL_MEAN);
    layer->name = name;
}

static enum clrnn_status make_variant(const struct clrnn_ladder *l, size_t parts, bool linear,
                                      struct clrnn_config **variant)
{
    const size_t layers = l->config->layer_count;
    struct clrnn_config *c;
    enum clrnn_status st;
    bool *keep = calloc(layers + 1, sizeof(*keep)), headless = false;
    struct choice choice = {.l = l, .keep = keep, .linear = linear};

    *variant = NULL;
    if (!keep)
        return clrnn_error_memory(l->log, layers, "the ladder");
    st = clrnn_config_copy(l->log, l->config, &c);
    if (st != CLRNN_OK)
        goto done;
    for (size_t i = 0; i < layers; i = clrnn_layer_end(l->config, i)) {
        keep[i] = is_in(l, parts, i) && !(linear && clrnn_layer_is_recurrent(&c->layer[i]));
        fit_layer(l, parts, i, &c->layer[i]);
        if (linear)
            simplify(&c->layer[i]);
    }
    if (l->holder >= 0 && !keep[l->holder])
        fit_layer(l, parts, (size_t)l->recurrent, &c->layer[l->recurrent]);
    for (size_t i = 0; i < parts; i++)
        headless |= l->part[i].kind == CLRNN_PART_HEADLESS && !l->part[i].off;
    choice.config = c;
    st = keep_layers(&choice);
    if (st == CLRNN_OK && l->head < 0 && !headless)
        st = add_head(l, c);
    if (st == CLRNN_OK) {
        fit_pools(c);
        fit_training(l, parts, &c->train);
        *variant = c;
    } else {
        clrnn_config_destroy(&c);
    }

done:
    free(keep);
    return st;
}

enum clrnn_status clrnn_ladder_variant(const struct clrnn_ladder *ladder, size_t parts, struct clrnn_config **variant)
{
    return make_variant(ladder, parts, false, variant);
}

enum clrnn_status clrnn_ladder_linear(const struct clrnn_ladder *ladder, struct clrnn_config **variant)
{
    return make_variant(ladder, 0, true, variant);
}
