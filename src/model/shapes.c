// SPDX-License-Identifier: MIT
// Shape inference: finds the number of features and the time axis after each layer of a config, and reports an error
// where layers do not fit.
#include "model/network.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/array.h"
#include "base/log.h"
#include "model/layer.h"
#include "model/nest.h"

// The largest number of features of a layer. Four gates and two directions then make 2^31 columns, which still fit the
// 32-bit indices of the kernels.
#define MAX_WIDTH (1u << 28)

// Appends ".word" to a dotted path.
static void append(char *text, size_t size, const char *word)
{
    const size_t used = strlen(text);

    snprintf(text + used, size - used, "%s%s", used ? "." : "", word);
}

// Prints where a layer is in the config, such as "2.1". First come the positions of the layers that contain this layer,
// outermost first. Then comes its position in its own list. Inside a concat, the index of the branch precedes the
// position. With `names`, a layer that has a name is printed by its name.
static void path_of(const struct clrnn_config *config, size_t index, bool names, char *text, size_t size)
{
    const size_t parent = clrnn_layer_parent(config, index);
    char word[24];

    *text = '\0';
    if (parent != SIZE_MAX)
        path_of(config, parent, names, text, size);
    if (parent != SIZE_MAX && config->layer[parent].kind == CLRNN_LAYER_CONCAT) {
        snprintf(word, sizeof(word), "%" PRIu32, config->layer[index].branch);
        append(text, size, word);
    }
    snprintf(word, sizeof(word), "%zu", clrnn_layer_place(config, index));
    append(text, size, names && config->layer[index].name ? config->layer[index].name : word);
}

const char *clrnn_layer_label(const struct clrnn_config *config, size_t index, char *text, size_t size)
{
    const struct clrnn_layer *layer = &config->layer[index];
    char place[900] = "", path[128];

    path_of(config, index, false, path, sizeof(path));
    if (config->path && layer->line > 0)
        snprintf(place, sizeof(place), "%.700s:%d: ", config->path, layer->line);
    else if (config->path)
        snprintf(place, sizeof(place), "%.700s: ", config->path);
    snprintf(text, size, "%slayers[%s] (%s%s%s)", place, path, clrnn_layer_word(layer->kind), layer->name ? " " : "",
             layer->name ? layer->name : "");
    return text;
}

const char *clrnn_layer_path(const struct clrnn_config *config, size_t index, char *text, size_t size)
{
    path_of(config, index, false, text, size);
    return text;
}

const char *clrnn_layer_prefix(const struct clrnn_config *config, size_t index, char *text, size_t size)
{
    path_of(config, index, true, text, size);
    return text;
}

enum clrnn_cell clrnn_layer_cell(enum clrnn_layer_kind kind)
{
    return kind == CLRNN_LAYER_LSTM ? CLRNN_CELL_LSTM : kind == CLRNN_LAYER_GRU ? CLRNN_CELL_GRU : CLRNN_CELL_RNN;
}

// What is known about the input of the current layer.
struct position {
    long pool;         // index of the layer that removed the time axis; -1: none has
    bool again;        // after that layer comes a recurrent layer, which reads and returns a single time step
    uint32_t features; // 0: the input is tokens
};

struct inference {
    const struct clrnn_log *log;
    const struct clrnn_config *config;
    struct clrnn_layer_shape *shapes;
    size_t at; // index of the current layer
    struct position now;
    uint32_t stream, steps;
};

static CLRNN_PRINTF(2, 3) enum clrnn_status wrong(const struct inference *w, const char *format, ...)
{
    char label[1024], what[320];
    va_list args;

    va_start(args, format);
    vsnprintf(what, sizeof(what), format, args);
    va_end(args);
    return clrnn_error(w->log, CLRNN_ERR_CONFIG, "%s: %s", clrnn_layer_label(w->config, w->at, label, sizeof(label)),
                       what);
}

static enum clrnn_status check_width(const struct inference *w, const char *key, uint32_t value)
{
    if (value >= 1 && value <= MAX_WIDTH)
        return CLRNN_OK;
    return wrong(w, "%s is %" PRIu32 ", expected 1 to %u", key, value, MAX_WIDTH);
}

static enum clrnn_status check_time(const struct inference *w)
{
    char path[128];

    if (w->now.pool < 0 || w->now.again)
        return CLRNN_OK;
    path_of(w->config, (size_t)w->now.pool, false, path, sizeof(path));
    return wrong(w,
                 "its input is (N, C=%" PRIu32 "), for the %s at layers[%s] took the time "
                 "axis away; expected (N, T, C): take one of them out",
                 w->now.features, clrnn_layer_word(w->config->layer[w->now.pool].kind), path);
}

static enum clrnn_status infer_recurrent(struct inference *w, const struct clrnn_layer *layer,
                                         struct clrnn_layer_shape *s)
{
    // A recurrent layer after a pool is allowed, and reads one time step. The command `clrnn doctor` reports such
    // layers.
    w->now.again = w->now.pool >= 0;
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

static enum clrnn_status infer_pool(struct inference *w, const struct clrnn_layer *layer, struct clrnn_layer_shape *s)
{
    const size_t before = clrnn_layer_before(w->config, w->at);
    const bool follows = before != SIZE_MAX && clrnn_layer_is_recurrent(&w->config->layer[before]);

    TRY(check_time(w));
    s->D = follows ? w->shapes[before].D : 0;
    if (layer->over == CLRNN_POOL_FINAL && !follows)
        return wrong(w, "'over: final' takes h_n of a recurrent layer and must stand directly after one; "
                        "elsewhere use 'over: last'");
    w->now.pool = (long)w->at;
    w->now.again = false;
    return CLRNN_OK;
}

static enum clrnn_status infer_windows(struct inference *w, const struct clrnn_layer *layer,
                                       struct clrnn_layer_shape *s)
{
    TRY(check_time(w));
    TRY(check_width(w, "kernel_size", layer->kernel_size));
    if (layer->kind != CLRNN_LAYER_CONV1D)
        return CLRNN_OK;
    TRY(check_width(w, "out_channels", layer->out_channels));
    if ((uint64_t)w->now.features * layer->kernel_size > MAX_WIDTH)
        return wrong(w, "an output reads %" PRIu32 " features of %" PRIu32 " steps, expected at most %u numbers",
                     w->now.features, layer->kernel_size, MAX_WIDTH);
    s->out = layer->out_channels;
    return CLRNN_OK;
}

// Infers the output shape of attention_pool or flatten, which remove the time axis.
static enum clrnn_status infer_whole(struct inference *w, const struct clrnn_layer *layer, struct clrnn_layer_shape *s)
{
    TRY(check_time(w));
    if (layer->kind == CLRNN_LAYER_ATTENTION_POOL)
        TRY(check_width(w, "attention_size", layer->attention_size));
    if (layer->kind == CLRNN_LAYER_FLATTEN) {
        const uint64_t steps = clrnn_layers_steps(w->config, w->at, w->steps);

        if (!steps)
            return wrong(w, "flatten needs the number of steps, which the data fix, and there are none");
        s->out = (uint32_t)MIN2(steps * w->now.features, UINT32_MAX);
        TRY(check_width(w, "the number of features of all steps", s->out));
    }
    w->now.pool = (long)w->at;
    w->now.again = false;
    return CLRNN_OK;
}

static enum clrnn_status check_groups(const struct inference *w, const struct clrnn_layer *layer)
{
    if (layer->num_groups && w->now.features % layer->num_groups == 0)
        return CLRNN_OK;
    return wrong(w, "num_groups is %" PRIu32 ", expected a divisor of the %" PRIu32 " features it reads",
                 layer->num_groups, w->now.features);
}

static enum clrnn_status infer_list(struct inference *w, size_t first, size_t end);

// Checks that the list of layers [first, end) turns T time steps into `steps`. The output of the list is joined with an
// input or a branch of `steps` steps. Passes if the number of steps of the data is unknown.
static enum clrnn_status check_steps(const struct inference *w, size_t first, size_t end, uint32_t T, uint32_t steps)
{
    const uint32_t after = clrnn_layers_steps_between(w->config, first, end, T);

    if (!w->steps || after == steps)
        return CLRNN_OK;
    return wrong(w,
                 "of a sequence of %" PRIu32 " steps it would join %" PRIu32 " and %" PRIu32
                 " steps, expected the same number",
                 T, steps, after);
}

static enum clrnn_status infer_residual(struct inference *w, size_t at)
{
    const uint32_t T = clrnn_layers_steps(w->config, at, w->steps);
    const struct position before = w->now;

    TRY(infer_list(w, at + 1, clrnn_layer_end(w->config, at)));
    w->at = at;
    if ((w->now.pool < 0) != (before.pool < 0))
        return wrong(w, "its layers take the time axis away, expected f(x) of the shape of x: put the pool behind it");
    if (w->now.features != before.features)
        return wrong(
            w, "its layers give %" PRIu32 " features, but x has %" PRIu32 ": expected the same, for both are added",
            w->now.features, before.features);
    TRY(check_steps(w, at + 1, clrnn_layer_end(w->config, at), T, T));
    w->now = before;
    return CLRNN_OK;
}

static enum clrnn_status infer_concat(struct inference *w, size_t at, struct clrnn_layer_shape *s)
{
    const uint32_t T = clrnn_layers_steps(w->config, at, w->steps);
    const struct position before = w->now;
    struct position all = before;
    size_t first, end;
    uint32_t steps = 0;

    s->out = 0;
    for (uint32_t b = 0; b < w->config->layer[at].branches; b++) {
        clrnn_layer_branch(w->config, at, b, &first, &end);
        w->now = before;
        TRY(infer_list(w, first, end));
        w->at = at;
        if (b && (w->now.pool < 0) != (all.pool < 0))
            return wrong(w, "some of its branches have a pool and others have time steps, expected all of one kind: "
                            "give each branch a pool, or put one behind the concat");
        if (b)
            TRY(check_steps(w, first, end, T, steps));
        steps = clrnn_layers_steps_between(w->config, first, end, T);
        all = w->now;
        s->out += w->now.features;
        TRY(check_width(w, "the sum of its branches' features", s->out));
    }
    w->now.features = s->out;
    return CLRNN_OK;
}

static enum clrnn_status infer_layer(struct inference *w, const struct clrnn_layer *layer, struct clrnn_layer_shape *s)
{
    if (w->at == 0 && w->now.features == 0 && layer->kind != CLRNN_LAYER_EMBEDDING)
        return wrong(w, "X holds tokens (N, T), which only an embedding reads; put "
                        "'- embedding: {num_embeddings: ..., embedding_dim: ...}' first");
    if (layer->kind == CLRNN_LAYER_EMBEDDING && w->at > 0)
        return wrong(w, "an embedding reads tokens and can only be the first layer");
    if (layer->kind == CLRNN_LAYER_EMBEDDING && w->now.features != 0)
        return wrong(w, "an embedding reads integer tokens (N, T), but X is real (N, T, C)");

    *s = (struct clrnn_layer_shape){
        .in = w->now.features, .out = w->now.features, .steps = w->now.pool < 0, .stream = w->stream};
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
        TRY(infer_pool(w, layer, s));
        break;
    case CLRNN_LAYER_GROUPNORM:
        TRY(check_groups(w, layer));
        break;
    case CLRNN_LAYER_CONV1D:
    case CLRNN_LAYER_MAX_POOL1D:
    case CLRNN_LAYER_AVG_POOL1D:
        TRY(infer_windows(w, layer, s));
        break;
    case CLRNN_LAYER_ATTENTION_POOL:
    case CLRNN_LAYER_FLATTEN:
        TRY(infer_whole(w, layer, s));
        break;
    case CLRNN_LAYER_RESIDUAL:
        TRY(infer_residual(w, w->at));
        break;
    case CLRNN_LAYER_CONCAT:
        TRY(infer_concat(w, w->at, s));
        break;
    case CLRNN_LAYER_DROPOUT:
        w->stream++;
        break;
    default:
        break;
    }
    w->now.features = s->out;
    return CLRNN_OK;
}

// Infers the shapes of the layers [first, end), which form one list (nest.h).
static enum clrnn_status infer_list(struct inference *w, size_t first, size_t end)
{
    for (size_t i = first; i < end; i = clrnn_layer_end(w->config, i)) {
        w->at = i;
        TRY(infer_layer(w, &w->config->layer[i], &w->shapes[i]));
    }
    return CLRNN_OK;
}

static enum clrnn_status check_loss(const struct inference *w, const struct clrnn_data_shape *data)
{
    const struct clrnn_loss_config *loss = &w->config->train.loss;
    const bool classes = !clrnn_loss_is_real(loss->kind);
    size_t quantiles;

    if (clrnn_loss_quantiles(loss, &quantiles) && (!quantiles || w->now.features % quantiles))
        return wrong(w,
                     "the last layer gives %" PRIu32
                     " outputs, but train.loss quantile expects a multiple of its %zu quantiles",
                     w->now.features, quantiles);
    if (classes && data->outputs > w->now.features)
        return wrong(w,
                     "the last layer gives %" PRIu32 " outputs, but the labels reach class %" PRIu32
                     ": %s expects at least %" PRIu32,
                     w->now.features, data->outputs - 1, clrnn_loss_word(loss->kind), data->outputs);
    if (loss->weight_count && loss->weight_count != w->now.features)
        return wrong(
            w, "the last layer gives %" PRIu32 " outputs, but train.loss.%s.%s has %zu numbers; expected one for each",
            w->now.features, clrnn_loss_word(loss->kind), classes ? "weight" : "pos_weight", loss->weight_count);
    return CLRNN_OK;
}

enum clrnn_status clrnn_network_shapes(const struct clrnn_log *log, const struct clrnn_config *config,
                                       const struct clrnn_data_shape *data, struct clrnn_layer_shape *shapes,
                                       uint32_t *outputs, bool *per_step)
{
    struct inference w = {
        .log = log,
        .config = config,
        .shapes = shapes,
        .steps = data->steps,
        .now = {.pool = -1, .features = data->tokens ? 0 : data->features},
    };

    if (config->layer_count == 0)
        return clrnn_error(log, CLRNN_ERR_CONFIG, "%s%smodel.layers is empty, expected at least one layer",
                           config->path ? config->path : "", config->path ? ": " : "");
    if (!data->tokens && (data->features < 1 || data->features > MAX_WIDTH))
        return clrnn_error(log, CLRNN_ERR_CONFIG, "X has %" PRIu32 " features, expected 1 to %u", data->features,
                           MAX_WIDTH);
    if (!clrnn_config_tree_fits(config))
        return clrnn_error(log, CLRNN_ERR_CONFIG, "%s%sinner, branches and branch of the layers do not describe a tree",
                           config->path ? config->path : "", config->path ? ": " : "");
    TRY(infer_list(&w, 0, config->layer_count));
    w.at = clrnn_layer_last(config);
    TRY(check_loss(&w, data));
    *outputs = w.now.features;
    *per_step = w.now.pool < 0;
    return CLRNN_OK;
}
