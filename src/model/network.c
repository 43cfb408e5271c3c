// SPDX-License-Identifier: MIT
// Adds ops for the config's layers: feed, forward and loss; backward.c adds the rest.
#include "model/build.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/array.h"
#include "base/log.h"
#include "model/nest.h"

// ---------------------------------------------------------------- what lies outside the arena

static enum clrnn_status bind_entries(struct clrnn_build *b)
{
    for (size_t i = 0; i < b->m->entry_count; i++) {
        const struct clrnn_entry *e = &b->m->entry[i];
        const uint32_t dims[2] = {e->param.ndim > 0 ? (uint32_t)e->param.shape[0] : 1,
                                  e->param.ndim > 1 ? (uint32_t)e->param.shape[1] : 1};
        const unsigned ndim = MAX2(e->param.ndim, 1);
        char name[80];

        b->grad[i] = CLRNN_NONE;
        TRY(clrnn_graph_tensor(b->g, e->param.name, e->param.trained ? CLRNN_ROLE_PARAM : CLRNN_ROLE_STATE,
                               e->param.integer ? CLRNN_I32 : CLRNN_REAL, ndim, dims, e->value,
                               &b->value[i]));
        if (!b->train || !e->param.trained)
            continue;
        snprintf(name, sizeof(name), "%.60s.grad", e->param.name);
        TRY(clrnn_graph_tensor(b->g, name, CLRNN_ROLE_GRAD, CLRNN_REAL, ndim, dims, e->grad, &b->grad[i]));
    }
    return CLRNN_OK;
}

static enum clrnn_status add_op(struct clrnn_build *b, enum clrnn_op_kind kind, struct clrnn_op **op)
{
    return clrnn_graph_op(b->g, kind, b->layer, b->T, b->p->N, b->C, op);
}

// ---------------------------------------------------------------- feed

static enum clrnn_status add_feed(struct clrnn_build *b)
{
    const struct clrnn_plan_data *d = &b->p->data;
    const struct clrnn_model *m = b->m;
    const uint32_t N = b->p->N, T = b->p->T;
    const bool tokens = m->shape.tokens, target = b->p->mode != CLRNN_MODE_PREDICT;
    int x, y = CLRNN_NONE, weights = CLRNN_NONE, lengths, index, mean, std;
    struct clrnn_op *op;

    b->C = tokens ? 1 : m->shape.features;
    snprintf(b->layer, sizeof(b->layer), "data");
    TRY(clrnn_build_bound(b, "data x", CLRNN_ROLE_DATA, d->x, &x));
    if (target) {
        TRY(clrnn_build_bound(b, "data y", CLRNN_ROLE_DATA, d->y, &y));
        TRY(clrnn_build_bound(b, "data weights", CLRNN_ROLE_DATA, d->weights, &weights));
    }
    TRY(clrnn_build_bound(b, "data lengths", CLRNN_ROLE_DATA, d->lengths, &lengths));
    TRY(clrnn_build_bound(b, "data index", CLRNN_ROLE_DATA, d->index, &index));
    TRY(clrnn_build_bound(b, "input.mean", CLRNN_ROLE_DATA, m->input_mean, &mean));
    TRY(clrnn_build_bound(b, "input.std", CLRNN_ROLE_DATA, m->input_std, &std));

    TRY(clrnn_build_activation(b, "batch", "x", tokens ? CLRNN_I32 : CLRNN_REAL, tokens ? 2 : 3,
                               (uint32_t[]){T, N, b->C}, &b->x));
    if (target)
        TRY(clrnn_build_activation(b, "batch", "y", d->y_real ? CLRNN_REAL : CLRNN_I32,
                                   m->targets > 1 ? 3 : 2, (uint32_t[]){d->y_steps ? T : 1, N, m->targets},
                                   &b->y));
    if (weights != CLRNN_NONE)
        TRY(clrnn_build_activation(b, "batch", "weights", CLRNN_REAL, DIMS(N), &b->weights));
    if (d->lengths)
        TRY(clrnn_build_activation(b, "batch", "lengths", CLRNN_I32, DIMS(N), &b->lengths));

    TRY(add_op(b, CLRNN_OP_FEED, &op));
    op->feed.S = d->S;
    op->feed.T_data = d->T_data;
    op->feed.tokens = tokens;
    op->feed.target = target;
    op->feed.target_real = d->y_real;
    op->feed.target_steps = d->y_steps;
    op->feed.targets = m->targets;
    op->in[FEED_X] = x;
    op->in[FEED_Y] = y;
    op->in[FEED_LENGTHS] = lengths;
    op->in[FEED_INDEX] = index;
    op->in[FEED_MEAN] = mean;
    op->in[FEED_STD] = std;
    op->in[FEED_WEIGHT] = weights;
    op->out[FEED_OUT_X] = b->x;
    op->out[FEED_OUT_Y] = b->y;
    op->out[FEED_OUT_LENGTHS] = b->lengths;
    op->out[FEED_OUT_WEIGHT] = b->weights;
    return CLRNN_OK;
}

// ---------------------------------------------------------------- forward, one function a family

static enum clrnn_status add_embedding(struct clrnn_build *b, const struct clrnn_layer *layer)
{
    struct clrnn_op *op;
    int y;

    b->C = layer->embedding_dim;
    TRY(clrnn_build_activation(b, b->layer, "y", CLRNN_REAL, DIMS(b->T, b->p->N, b->C), &y));
    TRY(add_op(b, CLRNN_OP_EMBEDDING_FWD, &op));
    op->embedding.V = layer->num_embeddings;
    op->embedding.padding_idx = layer->padding_idx;
    op->in[EMBEDDING_X] = b->x;
    op->in[EMBEDDING_WEIGHT] = b->value[b->entry++];
    op->out[EMBEDDING_Y] = y;
    b->x = y;
    return CLRNN_OK;
}

static enum clrnn_status add_batchnorm(struct clrnn_build *b, const struct clrnn_layer *layer, size_t index)
{
    const bool tracked = layer->track_running_stats, batch_stats = b->train || !tracked;
    int weight = CLRNN_NONE, bias = CLRNN_NONE, mean = CLRNN_NONE, var = CLRNN_NONE, batches = CLRNN_NONE;
    int y, batch_mean = CLRNN_NONE, invstd = CLRNN_NONE;
    struct clrnn_op *op;
    char label[1024];

    if (batch_stats && (uint64_t)b->T * b->p->N == 1)
        return clrnn_error(b->g->log, CLRNN_ERR_CONFIG,
                           "%s: a batch of N=1 and T=1 has one value per channel, expected more than 1 where "
                           "batch statistics are taken: choose another batch_size, or drop_last: true",
                           clrnn_layer_label(b->m->config, index, label, sizeof(label)));
    if (layer->affine) {
        weight = b->value[b->entry++];
        bias = b->value[b->entry++];
    }
    if (tracked) {
        mean = b->value[b->entry++];
        var = b->value[b->entry++];
        batches = b->value[b->entry++];
    }
    TRY(clrnn_build_activation(b, b->layer, "y", CLRNN_REAL, DIMS(b->T, b->p->N, b->C), &y));
    if (batch_stats) {
        TRY(clrnn_build_activation(b, b->layer, "mean", CLRNN_REAL, DIMS(b->C), &batch_mean));
        TRY(clrnn_build_activation(b, b->layer, "invstd", CLRNN_REAL, DIMS(b->C), &invstd));
    }
    TRY(add_op(b, CLRNN_OP_BATCHNORM_FWD, &op));
    op->norm.eps = layer->eps;
    op->norm.momentum = layer->momentum;
    op->norm.cumulative = layer->cumulative;
    op->norm.batch_stats = batch_stats;
    op->in[BATCHNORM_X] = b->x;
    op->in[BATCHNORM_LENGTHS] = b->lengths;
    op->in[BATCHNORM_WEIGHT] = weight;
    op->in[BATCHNORM_BIAS] = bias;
    op->in[BATCHNORM_RUNNING_MEAN] = mean;
    op->in[BATCHNORM_RUNNING_VAR] = var;
    op->out[BATCHNORM_Y] = y;
    op->out[BATCHNORM_MEAN] = batch_mean;
    op->out[BATCHNORM_INVSTD] = invstd;
    if (b->update) {
        op->out[BATCHNORM_NEW_MEAN] = mean;
        op->out[BATCHNORM_NEW_VAR] = var;
        op->out[BATCHNORM_BATCHES] = batches;
    }
    b->x = y;
    return CLRNN_OK;
}

static enum clrnn_status add_layernorm(struct clrnn_build *b, const struct clrnn_layer *layer,
                                       uint32_t groups)
{
    const uint32_t saved[3] = {b->T, b->p->N, groups};
    int y, mean = CLRNN_NONE, invstd = CLRNN_NONE;
    struct clrnn_op *op;

    TRY(clrnn_build_activation(b, b->layer, "y", CLRNN_REAL, DIMS(b->T, b->p->N, b->C), &y));
    if (b->train) {
        TRY(clrnn_build_activation(b, b->layer, "mean", CLRNN_REAL, groups > 1 ? 3 : 2, saved, &mean));
        TRY(clrnn_build_activation(b, b->layer, "invstd", CLRNN_REAL, groups > 1 ? 3 : 2, saved, &invstd));
    }
    TRY(add_op(b, CLRNN_OP_LAYERNORM_FWD, &op));
    op->norm.eps = layer->eps;
    op->norm.groups = groups;
    op->in[LAYERNORM_X] = b->x;
    op->in[LAYERNORM_LENGTHS] = b->lengths;
    if (layer->affine) {
        op->in[LAYERNORM_WEIGHT] = b->value[b->entry++];
        op->in[LAYERNORM_BIAS] = b->value[b->entry++];
    }
    op->out[LAYERNORM_Y] = y;
    op->out[LAYERNORM_MEAN] = mean;
    op->out[LAYERNORM_INVSTD] = invstd;
    b->x = y;
    return CLRNN_OK;
}

static enum clrnn_status add_linear(struct clrnn_build *b, const struct clrnn_layer *layer)
{
    struct clrnn_op *op;
    int y;

    TRY(clrnn_build_activation(b, b->layer, "y", CLRNN_REAL, DIMS(b->T, b->p->N, layer->out_features), &y));
    TRY(add_op(b, CLRNN_OP_LINEAR_FWD, &op));
    op->linear.O = layer->out_features;
    op->in[LINEAR_X] = b->x;
    op->in[LINEAR_LENGTHS] = b->lengths;
    op->in[LINEAR_WEIGHT] = b->value[b->entry++];
    if (layer->bias)
        op->in[LINEAR_BIAS] = b->value[b->entry++];
    op->out[LINEAR_Y] = y;
    b->x = y;
    b->C = layer->out_features;
    return CLRNN_OK;
}

static enum clrnn_status add_pointwise(struct clrnn_build *b, enum clrnn_function function, double first,
                                       double second)
{
    struct clrnn_op *op;
    int y;

    TRY(clrnn_build_activation(b, b->layer, "y", CLRNN_REAL, DIMS(b->T, b->p->N, b->C), &y));
    TRY(add_op(b, CLRNN_OP_POINTWISE_FWD, &op));
    op->pointwise.function = function;
    op->pointwise.a = first;
    op->pointwise.b = second;
    op->in[POINTWISE_X] = b->x;
    op->in[POINTWISE_LENGTHS] = b->lengths;
    op->out[POINTWISE_Y] = y;
    b->x = y;
    return CLRNN_OK;
}

static enum clrnn_status add_pool(struct clrnn_build *b, const struct clrnn_layer *layer, uint32_t D)
{
    int y, argmax = CLRNN_NONE;
    struct clrnn_op *op;

    TRY(clrnn_build_activation(b, b->layer, "y", CLRNN_REAL, DIMS(1, b->p->N, b->C), &y));
    if (layer->over == CLRNN_POOL_MAX)
        TRY(clrnn_build_activation(b, b->layer, "argmax", CLRNN_I32, DIMS(b->p->N, b->C), &argmax));
    TRY(add_op(b, CLRNN_OP_POOL_FWD, &op));
    op->pool.over = layer->over;
    op->pool.D = MAX2(D, 1);
    op->in[POOL_X] = b->x;
    op->in[POOL_LENGTHS] = b->lengths;
    op->out[POOL_Y] = y;
    op->out[POOL_ARGMAX] = argmax;
    b->x = y;
    b->T = 1;
    b->lengths = CLRNN_NONE;
    return CLRNN_OK;
}

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
        return add_batchnorm(b, layer, index);
    case CLRNN_LAYER_LAYERNORM:
        return add_layernorm(b, layer, 1);
    case CLRNN_LAYER_GROUPNORM:
        return add_layernorm(b, layer, layer->num_groups);
    case CLRNN_LAYER_LINEAR:
        return add_linear(b, layer);
    case CLRNN_LAYER_EMBEDDING:
        return add_embedding(b, layer);
    case CLRNN_LAYER_DROPOUT:
        return clrnn_build_dropout(b, layer->p, s->stream);
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
    case CLRNN_LAYER_RESIDUAL:
        return clrnn_build_residual(b, index);
    case CLRNN_LAYER_CONCAT:
        return clrnn_build_concat(b, index);
    case CLRNN_LAYER_KINDS:
        break;
    }
    return clrnn_error(b->g->log, CLRNN_ERR_ARG, "layers[%zu] is of unknown kind %d", index,
                       (int)layer->kind);
}

enum clrnn_status clrnn_build_list(struct clrnn_build *b, size_t first, size_t end)
{
    for (size_t i = first; i < end; i = clrnn_layer_end(b->m->config, i))
        TRY(add_layer(b, i));
    return CLRNN_OK;
}

// ---------------------------------------------------------------- loss

static enum clrnn_status add_loss(struct clrnn_build *b, int *dy)
{
    const struct clrnn_loss_config *loss = &b->m->config->train.loss;
    struct clrnn_op *op;
    int weight, label, scale;

    snprintf(b->layer, sizeof(b->layer), "loss");
    TRY(clrnn_build_bound(b, "loss weight", CLRNN_ROLE_DATA, b->m->loss_weight, &weight));
    TRY(clrnn_build_bound(b, "label weight", CLRNN_ROLE_DATA, b->m->label_weight, &label));
    TRY(clrnn_build_bound(b, "target scale", CLRNN_ROLE_DATA, b->m->target_scale, &scale));
    *dy = CLRNN_NONE;
    if (b->train)
        TRY(clrnn_build_activation(b, "loss", "dx", CLRNN_REAL, DIMS(b->T, b->p->N, b->C), dy));
    TRY(add_op(b, CLRNN_OP_LOSS, &op));
    op->loss.kind = loss->kind;
    op->loss.label_smoothing = loss->label_smoothing;
    op->loss.ignore_index = loss->ignore_index;
    op->loss.beta = loss->beta;
    op->loss.delta = loss->delta;
    if (loss->kind == CLRNN_LOSS_QUANTILE)
        op->loss.quantiles = b->m->outputs / b->m->targets;
    op->loss.missing = b->m->config->data.missing_ignore;
    op->loss.slots = CLRNN_RECORD_SLOTS;
    op->in[LOSS_X] = b->x;
    op->in[LOSS_LENGTHS] = b->lengths;
    op->in[LOSS_TARGET] = b->y;
    op->in[LOSS_WEIGHT] = weight;
    op->in[LOSS_COUNTER] = b->counter;
    op->in[LOSS_SAMPLE_WEIGHT] = b->weights;
    op->in[LOSS_LABEL_WEIGHT] = label;
    op->in[LOSS_SCALE] = scale;
    op->out[LOSS_DX] = *dy;
    op->out[LOSS_RECORD] = b->records;
    return CLRNN_OK;
}

// ---------------------------------------------------------------- the graph of a model

static enum clrnn_status build(struct clrnn_build *b, int *output, uint32_t *output_steps)
{
    size_t first, last;
    int dy, grads;

    TRY(clrnn_build_bound(b, "counter", CLRNN_ROLE_DATA, b->m->counter, &b->counter));
    TRY(clrnn_build_bound(b, "records", CLRNN_ROLE_DATA, b->m->records, &b->records));
    TRY(bind_entries(b));
    TRY(add_feed(b));
    b->batch = b->x;
    first = b->g->op_count;
    TRY(clrnn_build_list(b, 0, b->m->config->layer_count));
    last = b->g->op_count;
    *output = b->x;
    *output_steps = b->T;
    b->g->tensor[b->x].keep = true;
    if (b->p->mode == CLRNN_MODE_PREDICT)
        return CLRNN_OK;
    TRY(add_loss(b, &dy));
    if (!b->train)
        return CLRNN_OK;
    TRY(clrnn_build_backward(b, first, last, *output, dy));
    TRY(clrnn_build_bound(b, "gradients", CLRNN_ROLE_GRAD, b->m->grads, &grads));
    return b->update ? clrnn_build_update(b, grads) : clrnn_build_norm(b, grads);
}

enum clrnn_status clrnn_network_build(struct clrnn_model *model, const struct clrnn_plan_params *params,
                                      struct clrnn_graph *graph, int *output, uint32_t *output_steps)
{
    const size_t count = MAX2(model->entry_count, 1);
    struct clrnn_build b = {
        .m = model,
        .p = params,
        .g = graph,
        .train = params->mode == CLRNN_MODE_TRAIN || params->mode == CLRNN_MODE_GRADIENT,
        .update = params->mode == CLRNN_MODE_TRAIN,
        .norm = CLRNN_NONE,
        .y = CLRNN_NONE,
        .lengths = CLRNN_NONE,
        .weights = CLRNN_NONE,
        .T = params->T,
        .value = calloc(count, sizeof(int)),
        .grad = calloc(count, sizeof(int)),
    };
    enum clrnn_status st;

    if (b.value && b.grad)
        st = build(&b, output, output_steps);
    else
        st = clrnn_error_memory(graph->log, 2 * count * sizeof(int), "the plan's table");
    free(b.value);
    free(b.grad);
    return st;
}
