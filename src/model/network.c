// SPDX-License-Identifier: MIT
// Config layers become ops: feed, forward, loss, backward in reverse, gradient norm, optimiser.
#include "model/network.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/array.h"
#include "base/log.h"

struct build {
    struct clrnn_model *m;
    const struct clrnn_plan_params *p;
    struct clrnn_graph *g;
    bool train;           // layers in train mode, and a backward pass
    bool update;          // running statistics and parameters change
    int *value, *grad;    // tensor of each entry of the model's table
    int counter, records, norm, y;

    // where the walk stands
    int x, lengths;
    uint32_t T, C;
    char layer[64];       // of the op being made
    size_t entry;         // next row of the table to hand out
};

#define DIMS(...) sizeof((uint32_t[]){__VA_ARGS__}) / sizeof(uint32_t), (uint32_t[]){__VA_ARGS__}

static enum clrnn_status activation(struct build *b, const char *layer, const char *what,
                                    enum clrnn_type type, unsigned ndim, const uint32_t *dims, int *id)
{
    char name[128];

    snprintf(name, sizeof(name), "%s %s", layer, what);
    return clrnn_graph_tensor(b->g, name, CLRNN_ROLE_ACTIVATION, type, ndim, dims, NULL, id);
}

static enum clrnn_status bound(struct build *b, const char *name, enum clrnn_role role,
                               struct clrnn_buffer *buffer, int *id)
{
    *id = CLRNN_NONE;
    if (!buffer)
        return CLRNN_OK;
    return clrnn_graph_tensor(b->g, name, role, clrnn_buffer_type(buffer), 1,
                              (uint32_t[]){(uint32_t)clrnn_buffer_count(buffer)}, buffer, id);
}

// ---------------------------------------------------------------- what lies outside the arena

static enum clrnn_status bind_entries(struct build *b)
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

// The gradient's tensor of the parameter that stands in a slot.
static int grad_of(const struct build *b, int value)
{
    for (size_t i = 0; value >= 0 && i < b->m->entry_count; i++)
        if (b->value[i] == value)
            return b->grad[i];
    return CLRNN_NONE;
}

static enum clrnn_status add_op(struct build *b, enum clrnn_op_kind kind, struct clrnn_op **op)
{
    return clrnn_graph_op(b->g, kind, b->layer, b->T, b->p->N, b->C, op);
}

// ---------------------------------------------------------------- feed

static enum clrnn_status add_feed(struct build *b)
{
    const struct clrnn_plan_data *d = &b->p->data;
    const struct clrnn_model *m = b->m;
    const uint32_t N = b->p->N, T = b->p->T;
    const bool tokens = m->shape.tokens, target = b->p->mode != CLRNN_MODE_PREDICT;
    int x, y = CLRNN_NONE, lengths, index, mean, std;
    struct clrnn_op *op;

    b->C = tokens ? 1 : m->shape.features;
    snprintf(b->layer, sizeof(b->layer), "data");
    TRY(bound(b, "data x", CLRNN_ROLE_DATA, d->x, &x));
    if (target)
        TRY(bound(b, "data y", CLRNN_ROLE_DATA, d->y, &y));
    TRY(bound(b, "data lengths", CLRNN_ROLE_DATA, d->lengths, &lengths));
    TRY(bound(b, "data index", CLRNN_ROLE_DATA, d->index, &index));
    TRY(bound(b, "input.mean", CLRNN_ROLE_DATA, m->input_mean, &mean));
    TRY(bound(b, "input.std", CLRNN_ROLE_DATA, m->input_std, &std));

    TRY(activation(b, "batch", "x", tokens ? CLRNN_I32 : CLRNN_REAL,
                   tokens ? 2 : 3, (uint32_t[]){T, N, b->C}, &b->x));
    if (target)
        TRY(activation(b, "batch", "y", d->y_real ? CLRNN_REAL : CLRNN_I32,
                       DIMS(d->y_steps ? T : 1, N), &b->y));
    if (d->lengths)
        TRY(activation(b, "batch", "lengths", CLRNN_I32, DIMS(N), &b->lengths));

    TRY(add_op(b, CLRNN_OP_FEED, &op));
    op->feed.S = d->S;
    op->feed.T_data = d->T_data;
    op->feed.tokens = tokens;
    op->feed.target = target;
    op->feed.target_real = d->y_real;
    op->feed.target_steps = d->y_steps;
    op->in[FEED_X] = x;
    op->in[FEED_Y] = y;
    op->in[FEED_LENGTHS] = lengths;
    op->in[FEED_INDEX] = index;
    op->in[FEED_MEAN] = mean;
    op->in[FEED_STD] = std;
    op->out[FEED_OUT_X] = b->x;
    op->out[FEED_OUT_Y] = b->y;
    op->out[FEED_OUT_LENGTHS] = b->lengths;
    return CLRNN_OK;
}

// ---------------------------------------------------------------- forward, one function a family

static enum clrnn_status add_embedding(struct build *b, const struct clrnn_layer *layer)
{
    struct clrnn_op *op;
    int y;

    b->C = layer->embedding_dim;
    TRY(activation(b, b->layer, "y", CLRNN_REAL, DIMS(b->T, b->p->N, b->C), &y));
    TRY(add_op(b, CLRNN_OP_EMBEDDING_FWD, &op));
    op->embedding.V = layer->num_embeddings;
    op->embedding.padding_idx = layer->padding_idx;
    op->in[EMBEDDING_X] = b->x;
    op->in[EMBEDDING_WEIGHT] = b->value[b->entry++];
    op->out[EMBEDDING_Y] = y;
    b->x = y;
    return CLRNN_OK;
}

static enum clrnn_status add_dropout(struct build *b, double p, uint32_t stream)
{
    struct clrnn_op *op;
    int y;

    if (!b->train || p <= 0)
        return CLRNN_OK;
    TRY(activation(b, b->layer, "dropped", CLRNN_REAL, DIMS(b->T, b->p->N, b->C), &y));
    TRY(add_op(b, CLRNN_OP_DROPOUT_FWD, &op));
    op->dropout.p = p;
    op->dropout.stream = stream;
    op->in[DROPOUT_X] = b->x;
    op->in[DROPOUT_COUNTER] = b->counter;
    op->out[DROPOUT_Y] = y;
    b->x = y;
    return CLRNN_OK;
}

static enum clrnn_status add_rnn_level(struct build *b, const struct clrnn_layer *layer, uint32_t D)
{
    const enum clrnn_cell cell = layer->kind == CLRNN_LAYER_LSTM  ? CLRNN_CELL_LSTM
                                 : layer->kind == CLRNN_LAYER_GRU ? CLRNN_CELL_GRU
                                                                  : CLRNN_CELL_RNN;
    const uint32_t N = b->p->N, H = layer->hidden_size;
    uint32_t rows;
    int y, gates = CLRNN_NONE, state = CLRNN_NONE;
    struct clrnn_op *op;

    TRY(activation(b, b->layer, "y", CLRNN_REAL, DIMS(b->T, N, D * H), &y));
    rows = b->T * N; // fits: y has more elements
    if (b->train)
        TRY(activation(b, b->layer, "gates", CLRNN_REAL, DIMS(D, rows, clrnn_cell_reserve(cell) * H), &gates));
    if (b->train && cell == CLRNN_CELL_LSTM)
        TRY(activation(b, b->layer, "cell", CLRNN_REAL, DIMS(D, rows, H), &state));
    TRY(add_op(b, CLRNN_OP_RNN_FWD, &op));
    op->rnn.cell = cell;
    op->rnn.relu = layer->relu;
    op->rnn.bias = layer->bias;
    op->rnn.H = H;
    op->rnn.D = D;
    op->in[RNN_X] = b->x;
    op->in[RNN_LENGTHS] = b->lengths;
    for (uint32_t d = 0; d < D; d++) {
        op->in[RNN_WEIGHT_IH + 4 * d] = b->value[b->entry++];
        op->in[RNN_WEIGHT_HH + 4 * d] = b->value[b->entry++];
        if (!layer->bias)
            continue;
        op->in[RNN_BIAS_IH + 4 * d] = b->value[b->entry++];
        op->in[RNN_BIAS_HH + 4 * d] = b->value[b->entry++];
    }
    op->out[RNN_Y] = y;
    op->out[RNN_GATES] = gates;
    op->out[RNN_CELL] = state;
    b->x = y;
    b->C = D * H;
    return CLRNN_OK;
}

static enum clrnn_status add_recurrent(struct build *b, const struct clrnn_layer *layer,
                                       const struct clrnn_layer_shape *s, const char *prefix)
{
    for (uint32_t l = 0; l < layer->num_layers; l++) {
        if (layer->num_layers > 1)
            snprintf(b->layer, sizeof(b->layer), "%.40s.l%" PRIu32, prefix, l);
        TRY(add_rnn_level(b, layer, s->D));
        if (l + 1 < layer->num_layers)
            TRY(add_dropout(b, layer->dropout, s->stream + l));
    }
    return CLRNN_OK;
}

static enum clrnn_status add_batchnorm(struct build *b, const struct clrnn_layer *layer, size_t index)
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
    TRY(activation(b, b->layer, "y", CLRNN_REAL, DIMS(b->T, b->p->N, b->C), &y));
    if (batch_stats) {
        TRY(activation(b, b->layer, "mean", CLRNN_REAL, DIMS(b->C), &batch_mean));
        TRY(activation(b, b->layer, "invstd", CLRNN_REAL, DIMS(b->C), &invstd));
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

static enum clrnn_status add_layernorm(struct build *b, const struct clrnn_layer *layer)
{
    int y, mean = CLRNN_NONE, invstd = CLRNN_NONE;
    struct clrnn_op *op;

    TRY(activation(b, b->layer, "y", CLRNN_REAL, DIMS(b->T, b->p->N, b->C), &y));
    if (b->train) {
        TRY(activation(b, b->layer, "mean", CLRNN_REAL, DIMS(b->T, b->p->N), &mean));
        TRY(activation(b, b->layer, "invstd", CLRNN_REAL, DIMS(b->T, b->p->N), &invstd));
    }
    TRY(add_op(b, CLRNN_OP_LAYERNORM_FWD, &op));
    op->norm.eps = layer->eps;
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

static enum clrnn_status add_linear(struct build *b, const struct clrnn_layer *layer)
{
    struct clrnn_op *op;
    int y;

    TRY(activation(b, b->layer, "y", CLRNN_REAL, DIMS(b->T, b->p->N, layer->out_features), &y));
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

static enum clrnn_status add_pointwise(struct build *b, enum clrnn_function function)
{
    struct clrnn_op *op;
    int y;

    TRY(activation(b, b->layer, "y", CLRNN_REAL, DIMS(b->T, b->p->N, b->C), &y));
    TRY(add_op(b, CLRNN_OP_POINTWISE_FWD, &op));
    op->pointwise.function = function;
    op->in[POINTWISE_X] = b->x;
    op->in[POINTWISE_LENGTHS] = b->lengths;
    op->out[POINTWISE_Y] = y;
    b->x = y;
    return CLRNN_OK;
}

static enum clrnn_status add_pool(struct build *b, const struct clrnn_layer *layer, uint32_t D)
{
    static const enum clrnn_pool over[] = {
        [CLRNN_OVER_LAST] = CLRNN_POOL_LAST,
        [CLRNN_OVER_FINAL] = CLRNN_POOL_FINAL,
        [CLRNN_OVER_MEAN] = CLRNN_POOL_MEAN,
        [CLRNN_OVER_MAX] = CLRNN_POOL_MAX,
    };
    int y, argmax = CLRNN_NONE;
    struct clrnn_op *op;

    TRY(activation(b, b->layer, "y", CLRNN_REAL, DIMS(1, b->p->N, b->C), &y));
    if (layer->over == CLRNN_OVER_MAX)
        TRY(activation(b, b->layer, "argmax", CLRNN_I32, DIMS(b->p->N, b->C), &argmax));
    TRY(add_op(b, CLRNN_OP_POOL_FWD, &op));
    op->pool.over = over[layer->over];
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

static enum clrnn_status add_layer(struct build *b, size_t index)
{
    const struct clrnn_layer *layer = &b->m->config->layer[index];
    const struct clrnn_layer_shape *s = &b->m->layer[index];
    char prefix[64];

    clrnn_layer_prefix(b->m->config, index, prefix, sizeof(prefix));
    snprintf(b->layer, sizeof(b->layer), "%s", prefix);
    b->entry = s->first_entry;
    switch (layer->kind) {
    case CLRNN_LAYER_RNN:
    case CLRNN_LAYER_LSTM:
    case CLRNN_LAYER_GRU:
        return add_recurrent(b, layer, s, prefix);
    case CLRNN_LAYER_BATCHNORM:
        return add_batchnorm(b, layer, index);
    case CLRNN_LAYER_LAYERNORM:
        return add_layernorm(b, layer);
    case CLRNN_LAYER_LINEAR:
        return add_linear(b, layer);
    case CLRNN_LAYER_EMBEDDING:
        return add_embedding(b, layer);
    case CLRNN_LAYER_DROPOUT:
        return add_dropout(b, layer->p, s->stream);
    case CLRNN_LAYER_RELU:
        return add_pointwise(b, CLRNN_RELU);
    case CLRNN_LAYER_TANH:
        return add_pointwise(b, CLRNN_TANH);
    case CLRNN_LAYER_SIGMOID:
        return add_pointwise(b, CLRNN_SIGMOID);
    case CLRNN_LAYER_SOFTMAX:
        return add_pointwise(b, CLRNN_SOFTMAX);
    case CLRNN_LAYER_LOG_SOFTMAX:
        return add_pointwise(b, CLRNN_LOG_SOFTMAX);
    case CLRNN_LAYER_ROUND:
        return add_pointwise(b, CLRNN_ROUND);
    case CLRNN_LAYER_POOL:
        return add_pool(b, layer, s->D);
    case CLRNN_LAYER_KINDS:
        break;
    }
    return clrnn_error(b->g->log, CLRNN_ERR_ARG, "layers[%zu] is of unknown kind %d", index, (int)layer->kind);
}

// ---------------------------------------------------------------- loss

static enum clrnn_status add_loss(struct build *b, int *dy)
{
    static const enum clrnn_loss kind[] = {
        [CLRNN_CROSS_ENTROPY] = CLRNN_LOSS_CROSS_ENTROPY,
        [CLRNN_NLL] = CLRNN_LOSS_NLL,
        [CLRNN_BCE_WITH_LOGITS] = CLRNN_LOSS_BCE_WITH_LOGITS,
        [CLRNN_MSE] = CLRNN_LOSS_MSE,
    };
    const struct clrnn_loss_config *loss = &b->m->config->train.loss;
    struct clrnn_op *op;
    int weight;

    snprintf(b->layer, sizeof(b->layer), "loss");
    TRY(bound(b, "loss weight", CLRNN_ROLE_DATA, b->m->loss_weight, &weight));
    *dy = CLRNN_NONE;
    if (b->train)
        TRY(activation(b, "loss", "dx", CLRNN_REAL, DIMS(b->T, b->p->N, b->C), dy));
    TRY(add_op(b, CLRNN_OP_LOSS, &op));
    op->loss.kind = kind[loss->kind];
    op->loss.label_smoothing = loss->label_smoothing;
    op->loss.ignore_index = loss->ignore_index;
    op->loss.slots = CLRNN_RECORD_SLOTS;
    op->in[LOSS_X] = b->x;
    op->in[LOSS_LENGTHS] = b->lengths;
    op->in[LOSS_TARGET] = b->y;
    op->in[LOSS_WEIGHT] = weight;
    op->in[LOSS_COUNTER] = b->counter;
    op->out[LOSS_DX] = *dy;
    op->out[LOSS_RECORD] = b->records;
    return CLRNN_OK;
}

// ---------------------------------------------------------------- backward

// Which of the forward's slots each backward op reads, and where gradients go.
struct mirror {
    enum clrnn_op_kind forward, backward;
    int dy, dx; // slots; dx CLRNN_NONE: tokens have no gradient
    struct { int to, from; bool out; } in[13];
    struct { int to, from; } grad[8]; // output slot, and the forward's slot of its parameter
    int in_count, grad_count;
};

static const struct mirror mirror[] = {
    {CLRNN_OP_EMBEDDING_FWD, CLRNN_OP_EMBEDDING_BWD, EMBEDDING_BWD_DY, CLRNN_NONE,
     {{EMBEDDING_BWD_X, EMBEDDING_X, false}}, {{EMBEDDING_DWEIGHT, EMBEDDING_WEIGHT}}, 1, 1},
    {CLRNN_OP_RNN_FWD, CLRNN_OP_RNN_BWD, RNN_BWD_DY, RNN_DX,
     {{RNN_BWD_X, RNN_X, false}, {RNN_BWD_LENGTHS, RNN_LENGTHS, false},
      {RNN_BWD_WEIGHT_IH, RNN_WEIGHT_IH, false}, {RNN_BWD_WEIGHT_HH, RNN_WEIGHT_HH, false},
      {RNN_BWD_BIAS_IH, RNN_BIAS_IH, false}, {RNN_BWD_BIAS_HH, RNN_BIAS_HH, false},
      {RNN_BWD_WEIGHT_IH + 4, RNN_WEIGHT_IH + 4, false}, {RNN_BWD_WEIGHT_HH + 4, RNN_WEIGHT_HH + 4, false},
      {RNN_BWD_BIAS_IH + 4, RNN_BIAS_IH + 4, false}, {RNN_BWD_BIAS_HH + 4, RNN_BIAS_HH + 4, false},
      {RNN_BWD_Y, RNN_Y, true}, {RNN_BWD_GATES, RNN_GATES, true}, {RNN_BWD_CELL, RNN_CELL, true}},
     {{RNN_DWEIGHT_IH, RNN_WEIGHT_IH}, {RNN_DWEIGHT_HH, RNN_WEIGHT_HH},
      {RNN_DBIAS_IH, RNN_BIAS_IH}, {RNN_DBIAS_HH, RNN_BIAS_HH},
      {RNN_DWEIGHT_IH + 4, RNN_WEIGHT_IH + 4}, {RNN_DWEIGHT_HH + 4, RNN_WEIGHT_HH + 4},
      {RNN_DBIAS_IH + 4, RNN_BIAS_IH + 4}, {RNN_DBIAS_HH + 4, RNN_BIAS_HH + 4}}, 13, 8},
    {CLRNN_OP_BATCHNORM_FWD, CLRNN_OP_BATCHNORM_BWD, BATCHNORM_BWD_DY, BATCHNORM_DX,
     {{BATCHNORM_BWD_X, BATCHNORM_X, false}, {BATCHNORM_BWD_LENGTHS, BATCHNORM_LENGTHS, false},
      {BATCHNORM_BWD_WEIGHT, BATCHNORM_WEIGHT, false}, {BATCHNORM_BWD_MEAN, BATCHNORM_MEAN, true},
      {BATCHNORM_BWD_INVSTD, BATCHNORM_INVSTD, true}},
     {{BATCHNORM_DWEIGHT, BATCHNORM_WEIGHT}, {BATCHNORM_DBIAS, BATCHNORM_BIAS}}, 5, 2},
    {CLRNN_OP_LAYERNORM_FWD, CLRNN_OP_LAYERNORM_BWD, LAYERNORM_BWD_DY, LAYERNORM_DX,
     {{LAYERNORM_BWD_X, LAYERNORM_X, false}, {LAYERNORM_BWD_LENGTHS, LAYERNORM_LENGTHS, false},
      {LAYERNORM_BWD_WEIGHT, LAYERNORM_WEIGHT, false}, {LAYERNORM_BWD_MEAN, LAYERNORM_MEAN, true},
      {LAYERNORM_BWD_INVSTD, LAYERNORM_INVSTD, true}},
     {{LAYERNORM_DWEIGHT, LAYERNORM_WEIGHT}, {LAYERNORM_DBIAS, LAYERNORM_BIAS}}, 5, 2},
    {CLRNN_OP_LINEAR_FWD, CLRNN_OP_LINEAR_BWD, LINEAR_BWD_DY, LINEAR_DX,
     {{LINEAR_BWD_X, LINEAR_X, false}, {LINEAR_BWD_LENGTHS, LINEAR_LENGTHS, false},
      {LINEAR_BWD_WEIGHT, LINEAR_WEIGHT, false}},
     {{LINEAR_DWEIGHT, LINEAR_WEIGHT}, {LINEAR_DBIAS, LINEAR_BIAS}}, 3, 2},
    {CLRNN_OP_DROPOUT_FWD, CLRNN_OP_DROPOUT_BWD, DROPOUT_X, DROPOUT_Y,
     {{DROPOUT_COUNTER, DROPOUT_COUNTER, false}}, {{0, 0}}, 1, 0},
    {CLRNN_OP_POINTWISE_FWD, CLRNN_OP_POINTWISE_BWD, POINTWISE_BWD_DY, POINTWISE_DX,
     {{POINTWISE_BWD_X, POINTWISE_X, false}, {POINTWISE_BWD_LENGTHS, POINTWISE_LENGTHS, false},
      {POINTWISE_BWD_Y, POINTWISE_Y, true}}, {{0, 0}}, 3, 0},
    {CLRNN_OP_POOL_FWD, CLRNN_OP_POOL_BWD, POOL_BWD_DY, POOL_DX,
     {{POOL_BWD_LENGTHS, POOL_LENGTHS, false}, {POOL_BWD_ARGMAX, POOL_ARGMAX, true}}, {{0, 0}}, 2, 0},
};

static const struct mirror *mirror_of(enum clrnn_op_kind forward)
{
    for (size_t i = 0; i < ARRAY_SIZE(mirror); i++)
        if (mirror[i].forward == forward)
            return &mirror[i];
    return NULL;
}

// Backward of the forward op `at`, from the gradient `*dy` of its output to that of its input.
static enum clrnn_status add_backward(struct build *b, size_t at, bool want_dx, int *dy)
{
    const struct clrnn_op f = b->g->op[at]; // a copy: adding an op moves the list
    const struct mirror *m = mirror_of(f.kind);
    int dx = CLRNN_NONE;
    struct clrnn_op *op, fresh;

    if (want_dx)
        TRY(activation(b, f.layer, f.kind == CLRNN_OP_DROPOUT_FWD ? "dropped dx" : "dx", CLRNN_REAL,
                       DIMS(f.T, f.N, f.C), &dx));
    TRY(clrnn_graph_op(b->g, m->backward, f.layer, f.T, f.N, f.C, &op));
    fresh = *op;
    *op = f; // sizes and attributes are the forward's
    op->kind = m->backward;
    memcpy(op->in, fresh.in, sizeof(op->in));
    memcpy(op->out, fresh.out, sizeof(op->out));
    for (int i = 0; i < m->in_count; i++)
        op->in[m->in[i].to] = m->in[i].out ? f.out[m->in[i].from] : f.in[m->in[i].from];
    for (int i = 0; i < m->grad_count; i++)
        op->out[m->grad[i].to] = grad_of(b, f.in[m->grad[i].from]);
    op->in[m->dy] = *dy;
    if (m->dx >= 0)
        op->out[m->dx] = dx;
    *dy = dx;
    return CLRNN_OK;
}

static bool has_params(const struct build *b, const struct clrnn_op *f)
{
    const struct mirror *m = mirror_of(f->kind);

    for (int i = 0; m && i < m->grad_count; i++)
        if (grad_of(b, f->in[m->grad[i].from]) >= 0)
            return true;
    return false;
}

// Backward through the ops [first, last) in reverse, down to the first that has parameters.
static enum clrnn_status add_backward_pass(struct build *b, size_t first, size_t last, int dy)
{
    while (first < last && !has_params(b, &b->g->op[first]))
        first++;
    for (size_t i = last; i > first; i--)
        TRY(add_backward(b, i - 1, i - 1 > first, &dy));
    return CLRNN_OK;
}

// ---------------------------------------------------------------- norm and update

bool clrnn_uses_momentum(const struct clrnn_train_config *train)
{
    const bool cycled = train->scheduler.kind == CLRNN_SCHED_ONE_CYCLE && train->scheduler.cycle_momentum;
    const bool can = train->optimizer.kind == CLRNN_OPT_SGD || train->optimizer.kind == CLRNN_OPT_RMSPROP;

    return can && (cycled || train->optimizer.momentum != 0);
}

static enum clrnn_status add_norm(struct build *b, int grads)
{
    struct clrnn_op *op;

    snprintf(b->layer, sizeof(b->layer), "optimizer");
    TRY(activation(b, "gradient", "norm", CLRNN_REAL, DIMS(1), &b->norm));
    TRY(clrnn_graph_op(b->g, CLRNN_OP_GRAD_NORM, b->layer, 1, 1, 1, &op));
    op->optim.count = b->m->flat_count;
    op->in[GRAD_NORM_GRADS] = grads;
    op->in[GRAD_NORM_COUNTER] = b->counter;
    op->out[GRAD_NORM_NORM] = b->norm;
    op->out[GRAD_NORM_RECORD] = b->records;
    return CLRNN_OK;
}

static enum clrnn_status add_update(struct build *b, int grads)
{
    static const enum clrnn_optim kind[] = {
        [CLRNN_OPT_SGD] = CLRNN_SGD,
        [CLRNN_OPT_ADAM] = CLRNN_ADAM,
        [CLRNN_OPT_ADAMW] = CLRNN_ADAMW,
        [CLRNN_OPT_RMSPROP] = CLRNN_RMSPROP,
    };
    const struct clrnn_train_config *train = &b->m->config->train;
    const struct clrnn_optimizer_config *o = &train->optimizer;
    int hyper, params, moment[3];
    struct clrnn_op *op;

    TRY(bound(b, "hyper", CLRNN_ROLE_DATA, b->m->hyper, &hyper));
    TRY(bound(b, "parameters", CLRNN_ROLE_PARAM, b->m->params, &params));
    TRY(bound(b, "optim.m", CLRNN_ROLE_MOMENT, b->m->moment[0], &moment[0]));
    TRY(bound(b, "optim.v", CLRNN_ROLE_MOMENT, b->m->moment[1], &moment[1]));
    TRY(bound(b, "optim.vmax", CLRNN_ROLE_MOMENT, b->m->moment[2], &moment[2]));
    TRY(clrnn_graph_op(b->g, CLRNN_OP_OPTIM, b->layer, 1, 1, 1, &op));
    op->optim.kind = kind[o->kind];
    op->optim.count = b->m->flat_count;
    op->optim.beta2 = o->beta2;
    op->optim.eps = o->eps;
    op->optim.weight_decay = o->weight_decay;
    op->optim.dampening = o->dampening;
    op->optim.alpha = o->alpha;
    op->optim.clip_max_norm = train->clip_grad_norm;
    op->optim.nesterov = o->nesterov;
    op->optim.amsgrad = o->amsgrad;
    op->optim.centered = o->centered;
    op->optim.momentum = clrnn_uses_momentum(train);
    op->in[OPTIM_GRADS] = grads;
    op->in[OPTIM_HYPER] = hyper;
    op->in[OPTIM_NORM] = train->clip_grad_norm > 0 ? b->norm : CLRNN_NONE;
    op->out[OPTIM_PARAMS] = params;
    op->out[OPTIM_M] = moment[0];
    op->out[OPTIM_V] = moment[1];
    op->out[OPTIM_VMAX] = moment[2];
    return CLRNN_OK;
}

// ---------------------------------------------------------------- the whole

static enum clrnn_status build(struct build *b, int *output, uint32_t *output_steps)
{
    size_t first, last;
    int dy, grads;

    TRY(bound(b, "counter", CLRNN_ROLE_DATA, b->m->counter, &b->counter));
    TRY(bound(b, "records", CLRNN_ROLE_DATA, b->m->records, &b->records));
    TRY(bind_entries(b));
    TRY(add_feed(b));
    first = b->g->op_count;
    for (size_t i = 0; i < b->m->config->layer_count; i++)
        TRY(add_layer(b, i));
    last = b->g->op_count;
    *output = b->x;
    *output_steps = b->T;
    b->g->tensor[b->x].keep = true;
    if (b->p->mode == CLRNN_MODE_PREDICT)
        return CLRNN_OK;
    TRY(add_loss(b, &dy));
    if (!b->train)
        return CLRNN_OK;
    TRY(add_backward_pass(b, first, last, dy));
    TRY(bound(b, "gradients", CLRNN_ROLE_GRAD, b->m->grads, &grads));
    TRY(add_norm(b, grads));
    return b->update ? add_update(b, grads) : CLRNN_OK;
}

enum clrnn_status clrnn_network_build(struct clrnn_model *model, const struct clrnn_plan_params *params,
                                      struct clrnn_graph *graph, int *output, uint32_t *output_steps)
{
    const size_t room = MAX2(model->entry_count, 1);
    struct build b = {
        .m = model, .p = params, .g = graph,
        .train = params->mode == CLRNN_MODE_TRAIN || params->mode == CLRNN_MODE_GRADIENT,
        .update = params->mode == CLRNN_MODE_TRAIN,
        .norm = CLRNN_NONE, .y = CLRNN_NONE, .lengths = CLRNN_NONE, .T = params->T,
        .value = calloc(room, sizeof(int)), .grad = calloc(room, sizeof(int)),
    };
    enum clrnn_status st;

    if (b.value && b.grad)
        st = build(&b, output, output_steps);
    else
        st = clrnn_error_memory(graph->log, 2 * room * sizeof(int), "the plan's table");
    free(b.value);
    free(b.grad);
    return st;
}
