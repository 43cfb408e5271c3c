// SPDX-License-Identifier: MIT
// Adds the forward ops of the config's layers; cells.c has recurrent layers and dropout, norms.c has normalisation.
#include <inttypes.h>
#include <stdio.h>

#include "base/array.h"
#include "base/log.h"
#include "model/build.h"
#include "model/layer.h"
#include "model/nest.h"

// ---------------------------------------------------------------- forward ops of each kind of layer

static enum clrnn_status add_embedding(struct clrnn_build *b, const struct clrnn_layer *layer)
{
    struct clrnn_op *op;

    b->C = layer->embedding_dim;
    TRY(clrnn_build_layer(b, CLRNN_OP_EMBEDDING_FWD, b->T, b->C, &op));
    op->embedding.V = layer->num_embeddings;
    op->embedding.padding_idx = layer->padding_idx;
    op->in[EMBEDDING_WEIGHT] = b->value[b->entry++];
    return CLRNN_OK;
}

static enum clrnn_status add_linear(struct clrnn_build *b, const struct clrnn_layer *layer)
{
    struct clrnn_op *op;

    TRY(clrnn_build_layer(b, CLRNN_OP_LINEAR_FWD, b->T, layer->out_features, &op));
    op->linear.O = layer->out_features;
    op->in[LINEAR_LENGTHS] = b->lengths;
    op->in[LINEAR_WEIGHT] = b->value[b->entry++];
    if (layer->bias)
        op->in[LINEAR_BIAS] = b->value[b->entry++];
    return CLRNN_OK;
}

static enum clrnn_status add_pointwise(struct clrnn_build *b, enum clrnn_function function, double first, double second)
{
    struct clrnn_op *op;

    TRY(clrnn_build_layer(b, CLRNN_OP_POINTWISE_FWD, b->T, b->C, &op));
    op->pointwise.function = function;
    op->pointwise.a = first;
    op->pointwise.b = second;
    op->in[POINTWISE_LENGTHS] = b->lengths;
    return CLRNN_OK;
}

static enum clrnn_status add_pool(struct clrnn_build *b, const struct clrnn_layer *layer, uint32_t D)
{
    struct clrnn_op *op;

    TRY(clrnn_build_layer(b, CLRNN_OP_POOL_FWD, 1, b->C, &op));
    if (layer->over == CLRNN_POOL_MAX)
        TRY(clrnn_build_activation(b, b->layer, "argmax", CLRNN_I32, DIMS(b->p->N, b->C), &op->out[POOL_ARGMAX]));
    op->pool.over = layer->over;
    op->pool.D = MAX2(D, 1);
    op->in[POOL_LENGTHS] = b->lengths;
    b->lengths = CLRNN_NONE;
    return CLRNN_OK;
}

// ---------------------------------------------------------------- layers that read several or all steps

// Sets *T to the number of windows in the T steps of the batch, and *lengths to a tensor with the number of windows in
// each sample (CLRNN_NONE if samples have no lengths).
static enum clrnn_status add_lengths(struct clrnn_build *b, const struct clrnn_windows *w, uint32_t *T, int *lengths)
{
    struct clrnn_op *op;

    *T = clrnn_windows_count(w, b->T);
    *lengths = b->lengths;
    if (!*T)
        return clrnn_error(b->g->log, CLRNN_ERR_DATA,
                           "%s: a batch of %" PRIu32 " steps is too short for windows of %u with %u of padding",
                           b->layer, b->T, w->dilation * (w->kernel - 1) + 1, w->all_padding);
    if (b->lengths == CLRNN_NONE || (w->stride == 1 && w->all_padding == w->dilation * (w->kernel - 1)))
        return CLRNN_OK;
    TRY(clrnn_build_activation(b, b->layer, "lengths", CLRNN_I32, DIMS(b->p->N), lengths));
    TRY(clrnn_build_op(b, CLRNN_OP_WINDOW_LENGTHS, &op));
    op->window = (struct clrnn_window_attributes){
        .T_out = *T, .kernel = w->kernel, .stride = w->stride, .dilation = w->dilation, .padding = w->padding};
    op->in[LENGTHS_OLD] = b->lengths;
    op->out[LENGTHS_NEW] = *lengths;
    return CLRNN_OK;
}

static enum clrnn_status add_conv(struct clrnn_build *b, const struct clrnn_layer *layer)
{
    const struct clrnn_windows w = clrnn_layer_windows(layer);
    uint32_t T;
    int lengths;
    struct clrnn_op *op;

    TRY(add_lengths(b, &w, &T, &lengths));
    TRY(clrnn_build_layer(b, CLRNN_OP_CONV_FWD, T, layer->out_channels, &op));
    op->conv = (struct clrnn_conv_attributes){.O = layer->out_channels,
                                              .T_out = T,
                                              .kernel = w.kernel,
                                              .stride = w.stride,
                                              .dilation = w.dilation,
                                              .padding = w.padding};
    op->in[CONV_LENGTHS] = b->lengths;
    op->in[CONV_NEW_LENGTHS] = lengths;
    op->in[CONV_WEIGHT] = b->value[b->entry++];
    if (layer->bias)
        op->in[CONV_BIAS] = b->value[b->entry++];
    b->lengths = lengths;
    return CLRNN_OK;
}

static enum clrnn_status add_window(struct clrnn_build *b, const struct clrnn_layer *layer)
{
    const struct clrnn_windows w = clrnn_layer_windows(layer);
    const bool mean = layer->kind == CLRNN_LAYER_AVG_POOL1D;
    uint32_t T;
    int lengths;
    struct clrnn_op *op;

    TRY(add_lengths(b, &w, &T, &lengths));
    TRY(clrnn_build_layer(b, CLRNN_OP_WINDOW_FWD, T, b->C, &op));
    if (b->train && !mean)
        TRY(clrnn_build_activation(b, b->layer, "argmax", CLRNN_I32, DIMS(T, b->p->N, b->C), &op->out[WINDOW_ARGMAX]));
    op->window = (struct clrnn_window_attributes){.T_out = T,
                                                  .kernel = w.kernel,
                                                  .stride = w.stride,
                                                  .dilation = w.dilation,
                                                  .padding = w.padding,
                                                  .mean = mean,
                                                  .count_padding = layer->count_include_pad};
    op->in[WINDOW_OLD_LENGTHS] = b->lengths;
    op->in[WINDOW_NEW_LENGTHS] = lengths;
    b->lengths = lengths;
    return CLRNN_OK;
}

static enum clrnn_status add_attention(struct clrnn_build *b, const struct clrnn_layer *layer)
{
    struct clrnn_op *op;

    TRY(clrnn_build_layer(b, CLRNN_OP_ATTENTION_FWD, 1, b->C, &op));
    if (b->train) {
        TRY(clrnn_build_activation(b, b->layer, "hidden", CLRNN_REAL, DIMS(op->T, op->N, layer->attention_size),
                                   &op->out[ATTENTION_HIDDEN]));
        TRY(clrnn_build_activation(b, b->layer, "share", CLRNN_REAL, DIMS(op->T, op->N), &op->out[ATTENTION_SHARE]));
    }
    op->attention.A = layer->attention_size;
    op->in[ATTENTION_LENGTHS] = b->lengths;
    op->in[ATTENTION_WEIGHT] = b->value[b->entry++];
    op->in[ATTENTION_BIAS] = b->value[b->entry++];
    op->in[ATTENTION_V] = b->value[b->entry++];
    b->lengths = CLRNN_NONE;
    return CLRNN_OK;
}

static enum clrnn_status add_flatten(struct clrnn_build *b, size_t index)
{
    const struct clrnn_layer_shape *s = &b->m->layer[index];
    char label[1024];
    struct clrnn_op *op;

    clrnn_layer_label(b->m->config, index, label, sizeof(label));
    if (b->lengths != CLRNN_NONE)
        return clrnn_error(
            b->g->log, CLRNN_ERR_CONFIG,
            "%s: flatten takes all steps of a sample, so that data with lengths have no place for it: use "
            "a pool or attention_pool, or take lengths out of the data",
            label);
    if ((uint64_t)b->T * b->C != s->out)
        return clrnn_error(b->g->log, CLRNN_ERR_DATA,
                           "%s: the model was made for %" PRIu32 " steps here, but the data give %" PRIu32, label,
                           s->out / MAX2(s->in, 1), b->T);
    return clrnn_build_layer(b, CLRNN_OP_FLATTEN_FWD, 1, s->out, &op);
}

// ---------------------------------------------------------------- layers inside layers

static enum clrnn_status wrong_steps(const struct clrnn_build *b, size_t index, uint32_t T, uint32_t first,
                                     uint32_t second)
{
    char label[1024];

    return clrnn_error(b->g->log, CLRNN_ERR_CONFIG,
                       "%s: of a sequence of %" PRIu32 " steps it would join %" PRIu32 " and %" PRIu32
                       " steps, expected the same number",
                       clrnn_layer_label(b->m->config, index, label, sizeof(label)), T, first, second);
}

// Sets the name of the current layer to that of layer `index` again, after the layers inside it have been added.
static void name_layer(struct clrnn_build *b, size_t index)
{
    clrnn_layer_prefix(b->m->config, index, b->layer, sizeof(b->layer));
}

// Returns the number of steps of the shortest sequence that a batch can contain.
static uint32_t least_steps(const struct clrnn_build *b)
{
    return b->lengths == CLRNN_NONE ? b->T : 1;
}

static enum clrnn_status add_residual(struct clrnn_build *b, size_t index)
{
    const struct clrnn_config *config = b->m->config;
    const size_t end = clrnn_layer_end(config, index);
    const int x = b->x, lengths = b->lengths;
    int sum;

    for (uint32_t T = least_steps(b); T <= b->T; T++) {
        const uint32_t after = clrnn_layers_steps_between(config, index + 1, end, T);

        if (after != T)
            return wrong_steps(b, index, T, T, after);
    }
    TRY(clrnn_build_list(b, index + 1, end));
    name_layer(b, index);
    TRY(clrnn_build_sum(b, b->layer, "y", (uint32_t[]){b->T, b->p->N, b->C}, x, b->x, &sum));
    b->x = sum;
    b->lengths = lengths;
    return CLRNN_OK;
}

// Checks that all branches of a concat have the same number of output steps. Checks this for every sequence length that
// a batch can contain and that is long enough for all branches.
static enum clrnn_status check_branches(const struct clrnn_build *b, size_t index)
{
    const struct clrnn_config *config = b->m->config;
    size_t first, end;

    for (uint32_t T = least_steps(b); T <= b->T; T++) {
        uint32_t steps = 0;

        for (uint32_t i = 0; i < config->layer[index].branches; i++) {
            uint32_t after;

            clrnn_layer_branch(config, index, i, &first, &end);
            after = clrnn_layers_steps_between(config, first, end, T);
            if (!after)
                break; // clrnn_dataset_find_steps refuses samples that are so short
            if (i && after != steps)
                return wrong_steps(b, index, T, steps, after);
            steps = after;
        }
    }
    return CLRNN_OK;
}

static enum clrnn_status add_concat(struct clrnn_build *b, size_t index)
{
    const uint32_t branches = b->m->config->layer[index].branches;
    const struct clrnn_build before = *b;
    struct clrnn_join_attributes join = {.count = branches};
    int x[CLRNN_JOIN_MOST];
    uint32_t width = 0;
    struct clrnn_op *op;
    size_t first, end;

    TRY(check_branches(b, index));
    for (uint32_t i = 0; i < branches; i++) {
        b->x = before.x;
        b->lengths = before.lengths;
        b->T = before.T;
        b->C = before.C;
        clrnn_layer_branch(b->m->config, index, i, &first, &end);
        TRY(clrnn_build_list(b, first, end));
        x[i] = b->x;
        join.width[i] = b->C;
        width += b->C;
    }
    name_layer(b, index);
    b->C = width;
    TRY(clrnn_build_layer(b, CLRNN_OP_CONCAT_FWD, b->T, b->C, &op));
    op->join = join;
    for (uint32_t i = 0; i < branches; i++)
        op->in[i] = x[i];
    return CLRNN_OK;
}

// ---------------------------------------------------------------- a list of layers of any kind

static enum clrnn_status add_layer(struct clrnn_build *b, size_t index)
{
    const struct clrnn_layer *layer = &b->m->config->layer[index];
    const struct clrnn_layer_shape *s = &b->m->layer[index];
    char prefix[sizeof(b->layer)];

    clrnn_layer_prefix(b->m->config, index, prefix, sizeof(prefix));
    snprintf(b->layer, sizeof(b->layer), "%s", prefix);
    b->entry = s->first_entry;
    switch (layer->kind) {
    case CLRNN_LAYER_RNN:
    case CLRNN_LAYER_LSTM:
    case CLRNN_LAYER_GRU:
        return clrnn_build_recurrent(b, layer, s, prefix);
    case CLRNN_LAYER_BATCHNORM:
        return clrnn_build_batchnorm(b, layer, index);
    case CLRNN_LAYER_LAYERNORM:
        return clrnn_build_layernorm(b, layer, 1);
    case CLRNN_LAYER_GROUPNORM:
        return clrnn_build_layernorm(b, layer, layer->num_groups);
    case CLRNN_LAYER_LINEAR:
        return add_linear(b, layer);
    case CLRNN_LAYER_EMBEDDING:
        return add_embedding(b, layer);
    case CLRNN_LAYER_DROPOUT:
        return clrnn_build_dropout(b, layer->p, layer->variational, s->stream);
    case CLRNN_LAYER_RELU:
        return add_pointwise(b, CLRNN_FUNCTION_RELU, 0, 0);
    case CLRNN_LAYER_TANH:
        return add_pointwise(b, CLRNN_FUNCTION_TANH, 0, 0);
    case CLRNN_LAYER_SIGMOID:
        return add_pointwise(b, CLRNN_FUNCTION_SIGMOID, 0, 0);
    case CLRNN_LAYER_SOFTMAX:
        return add_pointwise(b, CLRNN_FUNCTION_SOFTMAX, 0, 0);
    case CLRNN_LAYER_LOG_SOFTMAX:
        return add_pointwise(b, CLRNN_FUNCTION_LOG_SOFTMAX, 0, 0);
    case CLRNN_LAYER_ROUND:
        return add_pointwise(b, CLRNN_FUNCTION_ROUND, 0, 0);
    case CLRNN_LAYER_LEAKY_RELU:
        return add_pointwise(b, CLRNN_FUNCTION_LEAKY_RELU, layer->negative_slope, 0);
    case CLRNN_LAYER_ELU:
        return add_pointwise(b, CLRNN_FUNCTION_ELU, layer->alpha, 0);
    case CLRNN_LAYER_GELU:
        return add_pointwise(b, layer->gelu_tanh ? CLRNN_FUNCTION_GELU_TANH : CLRNN_FUNCTION_GELU, 0, 0);
    case CLRNN_LAYER_SILU:
        return add_pointwise(b, CLRNN_FUNCTION_SILU, 0, 0);
    case CLRNN_LAYER_SOFTPLUS:
        return add_pointwise(b, CLRNN_FUNCTION_SOFTPLUS, layer->beta, layer->threshold);
    case CLRNN_LAYER_POOL:
        return add_pool(b, layer, s->D);
    case CLRNN_LAYER_CONV1D:
        return add_conv(b, layer);
    case CLRNN_LAYER_MAX_POOL1D:
    case CLRNN_LAYER_AVG_POOL1D:
        return add_window(b, layer);
    case CLRNN_LAYER_ATTENTION_POOL:
        return add_attention(b, layer);
    case CLRNN_LAYER_FLATTEN:
        return add_flatten(b, index);
    case CLRNN_LAYER_RESIDUAL:
        return add_residual(b, index);
    case CLRNN_LAYER_CONCAT:
        return add_concat(b, index);
    case CLRNN_LAYER_KINDS:
        break;
    }
    return clrnn_error(b->g->log, CLRNN_ERR_ARG, "layers[%zu] is of unknown kind %d", index, (int)layer->kind);
}

enum clrnn_status clrnn_build_list(struct clrnn_build *b, size_t first, size_t end)
{
    for (size_t i = first; i < end; i = clrnn_layer_end(b->m->config, i))
        TRY(add_layer(b, i));
    return CLRNN_OK;
}
