// SPDX-License-Identifier: MIT
// Shape inference: features and time axis after each layer of a config, with an error where layers do not
// fit.
#include "model/network.h"

#include <inttypes.h>
#include <stdio.h>

#include "base/log.h"
#include "model/layer.h"

// Widest layer: four gates and two directions of it still fit the 32-bit indices of the kernels.
#define MAX_WIDTH (1u << 28)

const char *clrnn_layer_label(const struct clrnn_config *config, size_t index, char *text, size_t size)
{
    const struct clrnn_layer *layer = &config->layer[index];
    char place[900] = "";

    if (config->path && layer->line > 0)
        snprintf(place, sizeof(place), "%.800s:%d: ", config->path, layer->line);
    else if (config->path)
        snprintf(place, sizeof(place), "%.800s: ", config->path);
    snprintf(text, size, "%slayers[%zu] (%s%s%s)", place, index, clrnn_layer_word(layer->kind),
             layer->name ? " " : "", layer->name ? layer->name : "");
    return text;
}

const char *clrnn_layer_prefix(const struct clrnn_config *config, size_t index, char *text, size_t size)
{
    if (config->layer[index].name)
        snprintf(text, size, "%s", config->layer[index].name);
    else
        snprintf(text, size, "%zu", index);
    return text;
}

enum clrnn_cell clrnn_layer_cell(enum clrnn_layer_kind kind)
{
    return kind == CLRNN_LAYER_LSTM  ? CLRNN_CELL_LSTM
           : kind == CLRNN_LAYER_GRU ? CLRNN_CELL_GRU
                                     : CLRNN_CELL_RNN;
}

struct inference {
    const struct clrnn_log *log;
    const struct clrnn_config *config;
    size_t at;         // layer
    long pool;         // layer that left one time step, -1: none yet
    bool again;        // a recurrent layer follows that pool: it reads one step and returns one
    uint32_t features; // 0: tokens
    uint32_t stream;
};

static enum clrnn_status wrong(const struct inference *w, const char *what)
{
    char label[1024];

    return clrnn_error(w->log, CLRNN_ERR_CONFIG, "%s: %s",
                       clrnn_layer_label(w->config, w->at, label, sizeof(label)), what);
}

static enum clrnn_status check_width(const struct inference *w, const char *key, uint32_t value)
{
    char what[160];

    if (value >= 1 && value <= MAX_WIDTH)
        return CLRNN_OK;
    snprintf(what, sizeof(what), "%s is %" PRIu32 ", expected 1 to %u", key, value, MAX_WIDTH);
    return wrong(w, what);
}

static enum clrnn_status check_time(const struct inference *w)
{
    char what[200];

    if (w->pool < 0 || w->again)
        return CLRNN_OK;
    snprintf(what, sizeof(what),
             "its input is (N, C=%" PRIu32 "), for the pool at layers[%ld] took the time "
             "axis away; expected (N, T, C): take one of them out",
             w->features, w->pool);
    return wrong(w, what);
}

static enum clrnn_status infer_recurrent(struct inference *w, const struct clrnn_layer *layer,
                                         struct clrnn_layer_shape *s)
{
    w->again =
        w->pool >= 0; // as PyTorch takes such an input with one step: allowed, and for the doctor to say
    TRY(check_width(w, "hidden_size", layer->hidden_size));
    if (layer->num_layers < 1 || layer->num_layers > 1024)
        return wrong(w, "num_layers is out of range, expected 1 to 1024");
    s->D = layer->bidirectional ? 2 : 1;
    s->out = clrnn_layer_state(layer) * s->D;
    w->stream += layer->num_layers - 1;
    if (layer->recurrent_dropout > 0)
        w->stream += layer->num_layers * s->D;
    return CLRNN_OK;
}

static enum clrnn_status infer_embedding(struct inference *w, const struct clrnn_layer *layer,
                                         struct clrnn_layer_shape *s)
{
    TRY(check_width(w, "num_embeddings", layer->num_embeddings));
    TRY(check_width(w, "embedding_dim", layer->embedding_dim));
    if (layer->padding_idx >= 0 && (uint32_t)layer->padding_idx >= layer->num_embeddings)
        return wrong(w, "padding_idx lies beyond num_embeddings, expected a row of the table");
    s->out = layer->embedding_dim;
    return CLRNN_OK;
}

static enum clrnn_status infer_pool(struct inference *w, const struct clrnn_layer *layer,
                                    const struct clrnn_layer_shape *before, struct clrnn_layer_shape *s)
{
    const bool follows = before && clrnn_layer_is_recurrent(&w->config->layer[w->at - 1]);

    TRY(check_time(w));
    s->D = follows ? before->D : 0;
    if (layer->over == CLRNN_POOL_FINAL && !follows)
        return wrong(w, "'over: final' takes h_n of a recurrent layer and must stand directly after one; "
                        "elsewhere use 'over: last'");
    w->pool = (long)w->at;
    w->again = false;
    return CLRNN_OK;
}

static enum clrnn_status infer_layer(struct inference *w, const struct clrnn_layer *layer,
                                     const struct clrnn_layer_shape *before, struct clrnn_layer_shape *s)
{
    if (w->at == 0 && w->features == 0 && layer->kind != CLRNN_LAYER_EMBEDDING)
        return wrong(w, "X holds tokens (N, T), which only an embedding reads; put "
                        "'- embedding: {num_embeddings: ..., embedding_dim: ...}' first");
    if (layer->kind == CLRNN_LAYER_EMBEDDING && w->at > 0)
        return wrong(w, "an embedding reads tokens and can only be the first layer");
    if (layer->kind == CLRNN_LAYER_EMBEDDING && w->features != 0)
        return wrong(w, "an embedding reads integer tokens (N, T), but X is real (N, T, C)");

    *s = (struct clrnn_layer_shape){
        .in = w->features, .out = w->features, .steps = w->pool < 0, .stream = w->stream};
    switch (layer->kind) {
    case CLRNN_LAYER_RNN:
    case CLRNN_LAYER_LSTM:
    case CLRNN_LAYER_GRU:
        TRY(infer_recurrent(w, layer, s));
        break;
    case CLRNN_LAYER_EMBEDDING:
        TRY(infer_embedding(w, layer, s));
        break;
    case CLRNN_LAYER_LINEAR:
        TRY(check_width(w, "out_features", layer->out_features));
        s->out = layer->out_features;
        break;
    case CLRNN_LAYER_POOL:
        TRY(infer_pool(w, layer, before, s));
        break;
    case CLRNN_LAYER_DROPOUT:
        w->stream++;
        break;
    default:
        break;
    }
    w->features = s->out;
    return CLRNN_OK;
}

static enum clrnn_status check_loss(const struct inference *w, const struct clrnn_data_shape *data)
{
    const struct clrnn_loss_config *loss = &w->config->train.loss;
    const bool classes = !clrnn_loss_is_real(loss->kind);
    size_t quantiles;
    char what[240];

    if (clrnn_loss_quantiles(loss, &quantiles) && (!quantiles || w->features % quantiles)) {
        snprintf(what, sizeof(what),
                 "the last layer gives %" PRIu32
                 " outputs, but train.loss quantile expects a multiple of its "
                 "%zu quantiles",
                 w->features, quantiles);
        return wrong(w, what);
    }
    if (classes && data->outputs > w->features) {
        snprintf(what, sizeof(what),
                 "the last layer gives %" PRIu32 " outputs, but the labels reach class "
                 "%" PRIu32 ": %s expects at least %" PRIu32,
                 w->features, data->outputs - 1, clrnn_loss_word(loss->kind), data->outputs);
        return wrong(w, what);
    }
    if (loss->weight_count && loss->weight_count != w->features) {
        snprintf(what, sizeof(what),
                 "the last layer gives %" PRIu32 " outputs, but train.loss.%s.%s has %zu "
                 "numbers; expected one for each",
                 w->features, clrnn_loss_word(loss->kind), classes ? "weight" : "pos_weight",
                 loss->weight_count);
        return wrong(w, what);
    }
    return CLRNN_OK;
}

enum clrnn_status clrnn_network_shapes(const struct clrnn_log *log, const struct clrnn_config *config,
                                       const struct clrnn_data_shape *data, struct clrnn_layer_shape *shapes,
                                       uint32_t *outputs, bool *per_step)
{
    struct inference w = {
        .log = log, .config = config, .pool = -1, .features = data->tokens ? 0 : data->features};

    if (config->layer_count == 0)
        return clrnn_error(log, CLRNN_ERR_CONFIG, "%s%smodel.layers is empty, expected at least one layer",
                           config->path ? config->path : "", config->path ? ": " : "");
    if (!data->tokens && (data->features < 1 || data->features > MAX_WIDTH))
        return clrnn_error(log, CLRNN_ERR_CONFIG, "X has %" PRIu32 " features, expected 1 to %u",
                           data->features, MAX_WIDTH);
    for (w.at = 0; w.at < config->layer_count; w.at++)
        TRY(infer_layer(&w, &config->layer[w.at], w.at ? &shapes[w.at - 1] : NULL, &shapes[w.at]));
    w.at = config->layer_count - 1;
    TRY(check_loss(&w, data));
    *outputs = w.features;
    *per_step = w.pool < 0;
    return CLRNN_OK;
}
