// SPDX-License-Identifier: MIT
// The parts of a config in the order of growth, and the configs made of the first of them.
#include "diagnose/grow/grow.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/array.h"
#include "base/file.h"
#include "base/log.h"
#include "model/layer.h"

#define BASE_LR 1e-3  // torch.optim.Adam's default
#define SANE_CLIP 0.1 // a smaller clip_grad_norm is a suspect itself

// Layers without weights that change values; round counts here, although it passes no gradient.
static bool is_activation(const struct clrnn_layer *layer)
{
    return clrnn_layer_is_activation(layer) || layer->kind == CLRNN_LAYER_ROUND;
}

// ---------------------------------------------------------------- descriptions

static void describe_layer(const struct clrnn_layer *layer, char *text, size_t size)
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

char *clrnn_layers_text(const struct clrnn_config *config)
{
    char *text = NULL;

    for (size_t i = 0; i < config->layer_count; i++) {
        char layer[80], *longer;

        describe_layer(&config->layer[i], layer, sizeof(layer));
        longer = text ? clrnn_format("%s, %s", text, layer) : clrnn_format("%s", layer);
        free(text);
        if (!longer)
            return NULL;
        text = longer;
    }
    return text;
}

// ---------------------------------------------------------------- finding the parts

static enum clrnn_status add(struct clrnn_ladder *l, enum clrnn_part_kind kind, size_t layer, size_t count,
                             struct clrnn_part **part)
{
    if (!ARRAY_GROW(l->part, l->count))
        return clrnn_error_memory(l->log, 2 * l->count * sizeof(*l->part), "the ladder");
    *part = &l->part[l->count++];
    **part = (struct clrnn_part){.kind = kind, .layer = layer, .count = count};
    if (count)
        (*part)->line = l->config->layer[layer].line;
    return CLRNN_OK;
}

// Adds a part named after its layers.
static enum clrnn_status add_layers(struct clrnn_ladder *l, enum clrnn_part_kind kind, size_t layer,
                                    size_t count)
{
    struct clrnn_part *part = NULL;
    size_t used;

    TRY(add(l, kind, layer, count, &part));
    used = (size_t)snprintf(part->name, sizeof(part->name), "+");
    for (size_t i = 0; i < count && used < sizeof(part->name); i++) {
        char text[48];

        describe_layer(&l->config->layer[layer + i], text, sizeof(text));
        used += (size_t)snprintf(part->name + used, sizeof(part->name) - used, "%s %s", i ? "," : "", text);
    }
    return CLRNN_OK;
}

static void find_ends(struct clrnn_ladder *l)
{
    long last = -1; // layer with weights

    l->recurrent = l->head = -1;
    for (size_t i = 0; i < l->config->layer_count; i++) {
        if (clrnn_layer_is_recurrent(&l->config->layer[i]) && l->recurrent < 0)
            l->recurrent = (long)i;
        if (clrnn_layer_has_weights(&l->config->layer[i]))
            last = (long)i;
    }
    if (last >= 0 && l->config->layer[last].kind == CLRNN_LAYER_LINEAR)
        l->head = last;
}

// The first layer after all layers with weights.
static size_t tail_of(const struct clrnn_ladder *l)
{
    size_t at = l->config->layer_count;

    while (at > 0 && !clrnn_layer_has_weights(&l->config->layer[at - 1]))
        at--;
    return at;
}

static enum clrnn_status find_recurrent_parts(struct clrnn_ladder *l)
{
    const struct clrnn_layer *layer = l->recurrent >= 0 ? &l->config->layer[l->recurrent] : NULL;
    struct clrnn_part *part = NULL;

    if (!layer)
        return CLRNN_OK;
    if (layer->num_layers > 1) {
        TRY(add(l, CLRNN_PART_LAYERS, (size_t)l->recurrent, 1, &part));
        snprintf(part->name, sizeof(part->name), "+ %u layers", layer->num_layers);
    }
    if (layer->bidirectional) {
        TRY(add(l, CLRNN_PART_DIRECTION, (size_t)l->recurrent, 1, &part));
        snprintf(part->name, sizeof(part->name), "+ bidirectional");
    }
    if (layer->kind == CLRNN_LAYER_RNN && layer->relu) {
        TRY(add(l, CLRNN_PART_RELU, (size_t)l->recurrent, 1, &part));
        snprintf(part->name, sizeof(part->name), "+ nonlinearity relu");
    }
    return CLRNN_OK;
}

static enum clrnn_status find_layer_parts(struct clrnn_ladder *l)
{
    const size_t tail = tail_of(l);

    for (size_t i = 0; i < l->config->layer_count; i++)
        if (l->config->layer[i].kind == CLRNN_LAYER_BATCHNORM ||
            l->config->layer[i].kind == CLRNN_LAYER_LAYERNORM)
            TRY(add_layers(l, CLRNN_PART_NORM, i, 1));
    for (size_t i = 0; i < l->config->layer_count; i++)
        if (clrnn_layer_is_recurrent(&l->config->layer[i]) && (long)i != l->recurrent)
            TRY(add_layers(l, CLRNN_PART_RECURRENT, i, 1));
    for (size_t i = 0; i < tail; i++) {
        const struct clrnn_layer *layer = &l->config->layer[i];
        const bool linear = layer->kind == CLRNN_LAYER_LINEAR && (long)i != l->head;
        size_t count = 1;

        if (!linear && !is_activation(layer))
            continue;
        while (linear && i + count < tail && is_activation(&layer[count]))
            count++;
        TRY(add_layers(l, CLRNN_PART_DENSE, i, count));
        i += count - 1;
    }
    return CLRNN_OK;
}

static enum clrnn_status find_dropouts(struct clrnn_ladder *l)
{
    struct clrnn_part *part = NULL;

    for (size_t i = 0; i < l->config->layer_count; i++) {
        const struct clrnn_layer *layer = &l->config->layer[i];

        if (layer->kind == CLRNN_LAYER_DROPOUT && layer->p > 0)
            TRY(add_layers(l, CLRNN_PART_DROPOUT, i, 1));
        if (!clrnn_layer_is_recurrent(layer) || layer->num_layers < 2 || !(layer->dropout > 0))
            continue;
        TRY(add(l, CLRNN_PART_INNER_DROPOUT, i, 1, &part));
        snprintf(part->name, sizeof(part->name), "+ dropout %g in %s", layer->dropout,
                 clrnn_layer_word(layer->kind));
    }
    return CLRNN_OK;
}

static enum clrnn_status find_tail(struct clrnn_ladder *l)
{
    const bool nll = l->config->train.loss.kind == CLRNN_LOSS_NLL;
    const size_t tail = tail_of(l), layers = l->config->layer_count;
    struct clrnn_part *part = NULL;
    size_t with_nll = layers; // the activation that belongs to nll: the last one

    if (l->head < 0) {
        TRY(add(l, CLRNN_PART_HEADLESS, 0, 0, &part));
        snprintf(part->name, sizeof(part->name), "- linear");
    }
    for (size_t i = tail; nll && i < layers; i++)
        if (is_activation(&l->config->layer[i]))
            with_nll = i;
    for (size_t i = tail; i < layers; i++)
        if (is_activation(&l->config->layer[i]) && i != with_nll)
            TRY(add_layers(l, CLRNN_PART_ACTIVATION, i, 1));
    if (!nll)
        return CLRNN_OK;
    TRY(add(l, CLRNN_PART_NLL, with_nll, with_nll < layers, &part));
    snprintf(part->name, sizeof(part->name), "+ %s%snll",
             with_nll < layers ? clrnn_layer_word(l->config->layer[with_nll].kind) : "",
             with_nll < layers ? ", " : "");
    return CLRNN_OK;
}

static bool base_clip(double clip)
{
    return clip == 0.0 || clip >= SANE_CLIP;
}

static bool is_base_optimizer(const struct clrnn_train_config *t)
{
    const struct clrnn_optimizer_config *o = &t->optimizer;

    return o->kind == CLRNN_OPTIMIZER_ADAM && o->lr == BASE_LR && o->beta1 == 0.9 && o->beta2 == 0.999 &&
           o->eps == 1e-8 && o->weight_decay == 0.0 && !o->amsgrad && base_clip(t->clip_grad_norm);
}

static enum clrnn_status find_training_parts(struct clrnn_ladder *l, const char *init)
{
    const struct clrnn_train_config *t = &l->config->train;
    struct clrnn_part *part = NULL;

    if (t->loss.kind != CLRNN_LOSS_NLL && (t->loss.weight_count || t->loss.label_smoothing > 0)) {
        TRY(add(l, CLRNN_PART_LOSS, 0, 0, &part));
        if (t->loss.label_smoothing > 0)
            snprintf(part->name, sizeof(part->name), "+ label smoothing %g%s", t->loss.label_smoothing,
                     t->loss.weight_count ? ", class weights" : "");
        else
            snprintf(part->name, sizeof(part->name), "+ %s",
                     t->loss.kind == CLRNN_LOSS_BCE_WITH_LOGITS ? "pos_weight" : "class weights");
    }
    if (!is_base_optimizer(t)) {
        size_t used;

        TRY(add(l, CLRNN_PART_OPTIMIZER, 0, 0, &part));
        used = (size_t)snprintf(part->name, sizeof(part->name), "+ %s, lr %g",
                                clrnn_optimizer_word(t->optimizer.kind), t->optimizer.lr);
        if (t->optimizer.weight_decay != 0.0)
            used += (size_t)snprintf(part->name + used, sizeof(part->name) - used, ", decay %g",
                                     t->optimizer.weight_decay);
        if (!base_clip(t->clip_grad_norm))
            snprintf(part->name + used, sizeof(part->name) - used, ", clip %g", t->clip_grad_norm);
    }
    if (t->scheduler.kind != CLRNN_SCHEDULER_NONE) {
        TRY(add(l, CLRNN_PART_SCHEDULER, 0, 0, &part));
        snprintf(part->name, sizeof(part->name), "+ %s per %s", clrnn_scheduler_word(t->scheduler.kind),
                 t->scheduler.per_batch ? "batch" : "epoch");
    }
    if (!t->shuffle) {
        TRY(add(l, CLRNN_PART_ORDER, 0, 0, &part));
        snprintf(part->name, sizeof(part->name), "+ order of the file");
    }
    if (init) {
        const char *slash = strrchr(init, '/');

        TRY(add(l, CLRNN_PART_INIT, 0, 0, &part));
        snprintf(part->name, sizeof(part->name), "+ weights of %.50s", slash ? slash + 1 : init);
    }
    return CLRNN_OK;
}

enum clrnn_status clrnn_ladder_make(const struct clrnn_log *log, const struct clrnn_config *config,
                                    uint32_t outputs, const char *init, struct clrnn_ladder *ladder)
{
    enum clrnn_status st;

    *ladder = (struct clrnn_ladder){.log = log, .config = config, .outputs = outputs};
    find_ends(ladder);
    st = find_recurrent_parts(ladder);
    if (st == CLRNN_OK)
        st = find_layer_parts(ladder);
    if (st == CLRNN_OK)
        st = find_dropouts(ladder);
    if (st == CLRNN_OK)
        st = find_tail(ladder);
    if (st == CLRNN_OK)
        st = find_training_parts(ladder, init);
    if (st != CLRNN_OK)
        clrnn_ladder_finish(ladder);
    return st;
}

void clrnn_ladder_finish(struct clrnn_ladder *ladder)
{
    free(ladder->part);
    *ladder = (struct clrnn_ladder){0};
}

bool clrnn_ladder_lacks_weights(const struct clrnn_ladder *l)
{
    for (size_t i = 0; i < l->count; i++)
        if (l->part[i].off && (l->part[i].kind <= CLRNN_PART_DENSE || l->part[i].kind == CLRNN_PART_HEADLESS))
            return true;
    return false;
}

// ---------------------------------------------------------------- variants

// Whether a part of this kind for this layer is included.
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
        return true;
    case CLRNN_LAYER_RNN:
    case CLRNN_LAYER_LSTM:
    case CLRNN_LAYER_GRU:
        return (long)layer == l->recurrent || has(l, parts, CLRNN_PART_RECURRENT, layer);
    case CLRNN_LAYER_BATCHNORM:
    case CLRNN_LAYER_LAYERNORM:
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

// Keeps the layers with keep[] set. Unnamed ones are named by their index in the config, as in its state
// dict.
static enum clrnn_status keep_layers(const struct clrnn_log *log, struct clrnn_config *c, const bool *keep)
{
    size_t count = 0;

    for (size_t i = 0; i < c->layer_count; i++) {
        struct clrnn_layer layer = c->layer[i];

        c->layer[i].name = NULL;
        if (!keep[i]) {
            free(layer.name);
            continue;
        }
        if (!layer.name)
            layer.name = clrnn_format("%zu", i);
        c->layer[count++] = layer;
        if (!layer.name)
            return clrnn_error_memory(log, 0, "a layer's name");
    }
    c->layer_count = count;
    return CLRNN_OK;
}

// pool: final needs a recurrent layer before it; elsewhere pool: last comes closest.
static void fit_pools(struct clrnn_config *c)
{
    for (size_t i = 0; i < c->layer_count; i++)
        if (c->layer[i].kind == CLRNN_LAYER_POOL && c->layer[i].over == CLRNN_POOL_FINAL &&
            (i == 0 || !clrnn_layer_is_recurrent(&c->layer[i - 1])))
            c->layer[i].over = CLRNN_POOL_LAST;
}

// Appends a linear layer, before final activations and dropouts.
static enum clrnn_status add_head(const struct clrnn_ladder *l, struct clrnn_config *c)
{
    struct clrnn_layer head, *added = clrnn_config_add_layer(c, CLRNN_LAYER_LINEAR);
    size_t at = c->layer_count - 1;

    if (!added || !(added->name = clrnn_format("%s", "head")))
        return clrnn_error_memory(l->log, sizeof(head), "a layer");
    added->out_features = l->outputs;
    head = *added;
    while (at > 0 && (is_activation(&c->layer[at - 1]) || c->layer[at - 1].kind == CLRNN_LAYER_DROPOUT))
        at--;
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
                                                       .lr = BASE_LR,
                                                       .beta1 = 0.9,
                                                       .beta2 = 0.999,
                                                       .eps = 1e-8,
                                                       .alpha = 0.99};
        if (!base_clip(t->clip_grad_norm))
            t->clip_grad_norm = 0.0;
    }
    if (!in[CLRNN_PART_SCHEDULER])
        t->scheduler.kind = CLRNN_SCHEDULER_NONE;
    if (!in[CLRNN_PART_ORDER])
        t->shuffle = true;
}

static enum clrnn_status make_variant(const struct clrnn_ladder *l, size_t parts, bool linear,
                                      struct clrnn_config **variant)
{
    const size_t layers = l->config->layer_count;
    struct clrnn_config *c;
    enum clrnn_status st;
    bool *keep = calloc(layers + 1, sizeof(*keep)), headless = false;

    *variant = NULL;
    if (!keep)
        return clrnn_error_memory(l->log, layers, "the ladder");
    st = clrnn_config_copy(l->log, l->config, &c);
    if (st != CLRNN_OK)
        goto done;
    for (size_t i = 0; i < layers; i++) {
        keep[i] = is_in(l, parts, i) && !(linear && clrnn_layer_is_recurrent(&c->layer[i]));
        fit_layer(l, parts, i, &c->layer[i]);
        if (linear && c->layer[i].kind == CLRNN_LAYER_POOL)
            c->layer[i].over = CLRNN_POOL_MEAN;
    }
    for (size_t i = 0; i < parts; i++)
        headless |= l->part[i].kind == CLRNN_PART_HEADLESS && !l->part[i].off;
    st = keep_layers(l->log, c, keep);
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

enum clrnn_status clrnn_ladder_variant(const struct clrnn_ladder *ladder, size_t parts,
                                       struct clrnn_config **variant)
{
    return make_variant(ladder, parts, false, variant);
}

enum clrnn_status clrnn_ladder_linear(const struct clrnn_ladder *ladder, struct clrnn_config **variant)
{
    return make_variant(ladder, 0, true, variant);
}
