// SPDX-License-Identifier: MIT
// Finds the parts of a config, in the order in which `clrnn grow` adds them to the base.
#include "diagnose/grow/grow.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/array.h"
#include "base/file.h"
#include "base/log.h"
#include "base/text.h"
#include "model/layer.h"
#include "model/nest.h"

#define SANE_CLIP 0.1 // a smaller clip_grad_norm may itself break learning

bool clrnn_ladder_is_activation(const struct clrnn_layer *layer)
{
    return clrnn_layer_is_activation(layer) || layer->kind == CLRNN_LAYER_ROUND;
}

// ---------------------------------------------------------------- finding the parts

static enum clrnn_status CLRNN_PRINTF(5, 6)
    add(struct clrnn_ladder *l, enum clrnn_part_kind kind, size_t layer, size_t count, const char *name, ...)
{
    struct clrnn_part *part;
    va_list arguments;

    if (!ARRAY_GROW(l->part, l->count))
        return clrnn_error_memory(l->log, 2 * l->count * sizeof(*l->part), "the ladder");
    part = &l->part[l->count++];
    *part = (struct clrnn_part){.kind = kind, .layer = layer, .count = count};
    if (count)
        part->line = l->config->layer[layer].line;
    va_start(arguments, name);
    vsnprintf(part->name, sizeof(part->name), name, arguments);
    va_end(arguments);
    return CLRNN_OK;
}

// Appends text to the last part's name, truncated to the size of the name.
static void CLRNN_PRINTF(2, 3) add_name(struct clrnn_ladder *l, const char *more, ...)
{
    char *name = l->part[l->count - 1].name;
    const size_t used = strlen(name);
    va_list arguments;

    va_start(arguments, more);
    vsnprintf(name + used, sizeof(l->part->name) - used, more, arguments);
    va_end(arguments);
}

// Adds a part named after its layers.
static enum clrnn_status add_layers(struct clrnn_ladder *l, enum clrnn_part_kind kind, size_t layer, size_t count)
{
    TRY(add(l, kind, layer, count, "+"));
    for (size_t i = 0; i < count; i++) {
        char text[64];

        clrnn_layer_describe(l->config, layer + i, text, sizeof(text));
        add_name(l, "%s %s", i ? "," : "", text);
    }
    return CLRNN_OK;
}

// Whether the layer or a layer inside it has weights.
static bool has_weights(const struct clrnn_config *c, size_t index)
{
    for (size_t i = index; i < clrnn_layer_end(c, index); i++)
        if (clrnn_layer_has_weights(&c->layer[i]))
            return true;
    return false;
}

static void find_ends(struct clrnn_ladder *l)
{
    const struct clrnn_config *c = l->config;
    long last = -1, inside = -1; // last top-level layer with weights; first recurrent layer at any level

    l->recurrent = l->head = l->holder = -1;
    for (size_t i = 0; i < c->layer_count; i++) {
        if (!clrnn_layer_is_recurrent(&c->layer[i]))
            continue;
        if (clrnn_layer_parent(c, i) == SIZE_MAX && l->recurrent < 0)
            l->recurrent = (long)i;
        if (inside < 0)
            inside = (long)i;
    }
    for (size_t i = 0; i < c->layer_count; i = clrnn_layer_end(c, i)) {
        if (has_weights(c, i))
            last = (long)i;
        if (l->recurrent < 0 && inside >= (long)i && inside < (long)clrnn_layer_end(c, i))
            l->holder = (long)i;
    }
    if (l->recurrent < 0)
        l->recurrent = inside;
    if (last >= 0 && c->layer[last].kind == CLRNN_LAYER_LINEAR)
        l->head = last;
}

// Returns the index of the first layer after all layers with weights.
static size_t tail_of(const struct clrnn_ladder *l)
{
    size_t tail = 0;

    for (size_t i = 0; i < l->config->layer_count; i = clrnn_layer_end(l->config, i))
        if (has_weights(l->config, i))
            tail = clrnn_layer_end(l->config, i);
    return tail;
}

static enum clrnn_status find_recurrent_parts(struct clrnn_ladder *l)
{
    const struct clrnn_layer *layer = l->recurrent >= 0 ? &l->config->layer[l->recurrent] : NULL;

    if (!layer || l->holder >= 0) // a residual or concat with its layers is one part
        return CLRNN_OK;
    if (layer->num_layers > 1)
        TRY(add(l, CLRNN_PART_LAYERS, (size_t)l->recurrent, 1, "+ %u layers", layer->num_layers));
    if (layer->bidirectional) {
        TRY(add(l, CLRNN_PART_DIRECTION, (size_t)l->recurrent, 1, "+ bidirectional"));
    }
    if (layer->kind == CLRNN_LAYER_RNN && layer->relu)
        TRY(add(l, CLRNN_PART_RELU, (size_t)l->recurrent, 1, "+ nonlinearity relu"));
    return CLRNN_OK;
}

// Adds a part for each top-level layer of model.layers for which `is` holds.
static enum clrnn_status add_each(struct clrnn_ladder *l, enum clrnn_part_kind kind,
                                  bool (*is)(const struct clrnn_ladder *, size_t))
{
    for (size_t i = 0; i < l->config->layer_count; i = clrnn_layer_end(l->config, i)) {
        if (!is(l, i))
            continue;
        if (kind == CLRNN_PART_BLOCK) // named by its place, since a description of its layers would be long
            TRY(add(l, kind, i, 1, "+ %s at layers[%zu]", clrnn_layer_word(l->config->layer[i].kind),
                    clrnn_layer_place(l->config, i)));
        else
            TRY(add_layers(l, kind, i, 1));
    }
    return CLRNN_OK;
}

static bool is_window(const struct clrnn_ladder *l, size_t i)
{
    return clrnn_layer_has_windows(&l->config->layer[i]) && !l->per_step;
}

static bool is_norm(const struct clrnn_ladder *l, size_t i)
{
    return l->config->layer[i].kind == CLRNN_LAYER_BATCHNORM || l->config->layer[i].kind == CLRNN_LAYER_LAYERNORM;
}

static bool is_further_recurrent(const struct clrnn_ladder *l, size_t i)
{
    return clrnn_layer_is_recurrent(&l->config->layer[i]) && (long)i != l->recurrent;
}

static bool is_block(const struct clrnn_ladder *l, size_t i)
{
    return clrnn_layer_nests(&l->config->layer[i]);
}

static bool is_groupnorm(const struct clrnn_ladder *l, size_t i)
{
    return l->config->layer[i].kind == CLRNN_LAYER_GROUPNORM;
}

static enum clrnn_status find_dense_parts(struct clrnn_ladder *l)
{
    const size_t tail = tail_of(l);
    size_t count;

    for (size_t i = 0; i < tail; i += count) {
        const struct clrnn_layer *layer = &l->config->layer[i];
        const bool linear = layer->kind == CLRNN_LAYER_LINEAR && (long)i != l->head;

        count = 1 + layer->inner;
        if (!linear && !clrnn_ladder_is_activation(layer))
            continue;
        while (linear && i + count < tail && clrnn_ladder_is_activation(&layer[count]))
            count++;
        TRY(add_layers(l, CLRNN_PART_DENSE, i, count));
    }
    return CLRNN_OK;
}

// Adds residuals, concats and groupnorms after all parts that may set the width of their input, since they must fit
// that width.
static enum clrnn_status find_layer_parts(struct clrnn_ladder *l)
{
    TRY(add_each(l, CLRNN_PART_WINDOWS, is_window));
    TRY(add_each(l, CLRNN_PART_NORM, is_norm));
    TRY(add_each(l, CLRNN_PART_RECURRENT, is_further_recurrent));
    TRY(find_dense_parts(l));
    TRY(add_each(l, CLRNN_PART_BLOCK, is_block));
    return add_each(l, CLRNN_PART_NORM, is_groupnorm);
}

static enum clrnn_status find_dropouts(struct clrnn_ladder *l)
{

    for (size_t i = 0; i < l->config->layer_count; i = clrnn_layer_end(l->config, i)) {
        const struct clrnn_layer *layer = &l->config->layer[i];

        if (layer->kind == CLRNN_LAYER_DROPOUT && layer->p > 0)
            TRY(add_layers(l, CLRNN_PART_DROPOUT, i, 1));
        if (!clrnn_layer_is_recurrent(layer) || layer->num_layers < 2 || !(layer->dropout > 0))
            continue;
        TRY(add(l, CLRNN_PART_INNER_DROPOUT, i, 1, "+ dropout %g in %s", layer->dropout,
                clrnn_layer_word(layer->kind)));
    }
    return CLRNN_OK;
}

static enum clrnn_status find_tail(struct clrnn_ladder *l)
{
    const bool nll = l->config->train.loss.kind == CLRNN_LOSS_NLL;
    const size_t tail = tail_of(l), layers = l->config->layer_count;
    size_t with_nll = layers; // index of the activation that belongs to nll, the last one; `layers`: none

    if (l->head < 0)
        TRY(add(l, CLRNN_PART_HEADLESS, 0, 0, "- linear"));
    for (size_t i = tail; nll && i < layers; i++)
        if (clrnn_ladder_is_activation(&l->config->layer[i]))
            with_nll = i;
    for (size_t i = tail; i < layers; i++)
        if (clrnn_ladder_is_activation(&l->config->layer[i]) && i != with_nll)
            TRY(add_layers(l, CLRNN_PART_ACTIVATION, i, 1));
    if (!nll)
        return CLRNN_OK;
    TRY(add(l, CLRNN_PART_NLL, with_nll, with_nll < layers, "+ %s%snll",
            with_nll < layers ? clrnn_layer_word(l->config->layer[with_nll].kind) : "", with_nll < layers ? ", " : ""));
    return CLRNN_OK;
}

bool clrnn_ladder_base_clip(double clip)
{
    return clip == 0.0 || clip >= SANE_CLIP;
}

static bool is_base_optimizer(const struct clrnn_train_config *t)
{
    const struct clrnn_optimizer_config *o = &t->optimizer;

    return o->kind == CLRNN_OPTIMIZER_ADAM && o->lr == CLRNN_BASE_LR && o->beta1 == 0.9 && o->beta2 == 0.999 &&
           o->eps == 1e-8 && o->weight_decay == 0.0 && !o->amsgrad && clrnn_ladder_base_clip(t->clip_grad_norm);
}

static enum clrnn_status find_training_parts(struct clrnn_ladder *l, const char *init)
{
    const struct clrnn_train_config *t = &l->config->train;

    if (t->loss.kind != CLRNN_LOSS_NLL && (t->loss.weight_count || t->loss.label_smoothing > 0)) {
        if (t->loss.label_smoothing > 0)
            TRY(add(l, CLRNN_PART_LOSS, 0, 0, "+ label smoothing %g%s", t->loss.label_smoothing,
                    t->loss.weight_count ? ", class weights" : ""));
        else
            TRY(add(l, CLRNN_PART_LOSS, 0, 0, "+ %s",
                    t->loss.kind == CLRNN_LOSS_BCE_WITH_LOGITS ? "pos_weight" : "class weights"));
    }
    if (!is_base_optimizer(t)) {
        TRY(add(l, CLRNN_PART_OPTIMIZER, 0, 0, "+ %s, lr %g", clrnn_optimizer_word(t->optimizer.kind),
                t->optimizer.lr));
        if (t->optimizer.weight_decay != 0.0)
            add_name(l, ", decay %g", t->optimizer.weight_decay);
        if (!clrnn_ladder_base_clip(t->clip_grad_norm))
            add_name(l, ", clip %g", t->clip_grad_norm);
    }
    if (t->scheduler.kind != CLRNN_SCHEDULER_NONE)
        TRY(add(l, CLRNN_PART_SCHEDULER, 0, 0, "+ %s per %s", clrnn_scheduler_word(t->scheduler.kind),
                t->scheduler.per_batch ? "batch" : "epoch"));
    if (!t->shuffle) {
        TRY(add(l, CLRNN_PART_ORDER, 0, 0, "+ order of the file"));
    }
    if (init) {
        const char *slash = strrchr(init, '/');

        TRY(add(l, CLRNN_PART_INIT, 0, 0, "+ weights of %.50s", slash ? slash + 1 : init));
    }
    return CLRNN_OK;
}

enum clrnn_status clrnn_ladder_make(const struct clrnn_log *log, const struct clrnn_config *config, uint32_t outputs,
                                    const char *init, struct clrnn_ladder *ladder)
{
    enum clrnn_status st;

    *ladder = (struct clrnn_ladder){
        .log = log, .config = config, .outputs = outputs, .per_step = clrnn_layers_per_step(config)};
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

char *clrnn_part_name(const struct clrnn_config *config, const struct clrnn_part *part)
{
    if (!part->line || !config->path)
        return clrnn_format("'%s'", part->name);
    return clrnn_text_take(clrnn_format("'%s' (%s:%d)", part->name, config->path, part->line), CLRNN_TEXT_SHOWN);
}

bool clrnn_ladder_lacks_weights(const struct clrnn_ladder *l)
{
    for (size_t i = 0; i < l->count; i++)
        if (l->part[i].off && (l->part[i].kind <= CLRNN_PART_BLOCK || l->part[i].kind == CLRNN_PART_HEADLESS))
            return true;
    return false;
}
