// SPDX-License-Identifier: MIT
// Adds the ops of dropout and of recurrent layers. Each of the num_layers levels of a recurrent layer is an op of its
// own.
#include <inttypes.h>
#include <stdio.h>

#include "base/array.h"
#include "model/build.h"
#include "model/layer.h"
#include "ops/blocks.h"

enum clrnn_status clrnn_build_dropout(struct clrnn_build *b, double p, bool variational, uint32_t stream)
{
    struct clrnn_op *op;
    int y;

    if (!b->train || p <= 0)
        return CLRNN_OK;
    TRY(clrnn_build_activation(b, b->layer, "dropped", CLRNN_REAL, DIMS(b->T, b->p->N, b->C), &y));
    TRY(clrnn_build_op(b, CLRNN_OP_DROPOUT_FWD, &op));
    op->dropout.p = p;
    op->dropout.variational = variational;
    op->dropout.part = b->p->mode == CLRNN_MODE_SHARD;
    op->dropout.stream = stream;
    op->in[DROPOUT_X] = b->x;
    op->in[DROPOUT_COUNTER] = b->counter;
    op->out[DROPOUT_Y] = y;
    b->x = y;
    return CLRNN_OK;
}

// Tensor ids of a level's initial and final states if the states are carried from run to run; else CLRNN_NONE. In modes
// GRADIENT and EVAL the final states are not stored: hn and cn are CLRNN_NONE.
struct states {
    int h0, c0, hn, cn;
};

static enum clrnn_status add_state(struct clrnn_build *b, struct clrnn_buffer *buffer, const char *what,
                                   uint32_t features, int *begin, int *end)
{
    struct clrnn_op *op;
    char name[96];
    int from;

    snprintf(name, sizeof(name), "%.40s.%s", b->layer, what);
    TRY(clrnn_build_bound(b, name, CLRNN_ROLE_STATE, buffer, &from));
    TRY(clrnn_build_activation(b, b->layer, what, CLRNN_REAL, DIMS(b->p->N, features), begin));
    TRY(clrnn_graph_op(b->g, CLRNN_OP_STATE, b->layer, 1, b->p->N, features, &op));
    op->in[STATE_FROM] = from;
    op->in[STATE_COUNTER] = b->counter;
    op->out[STATE_TO] = *begin;
    if (b->update || b->p->mode == CLRNN_MODE_PREDICT)
        *end = from;
    return CLRNN_OK;
}

// Adds the tensors of a level's states, if states are carried from run to run: P features of h, and H features of the
// cell state (0: the level has no cell state).
static enum clrnn_status add_states(struct clrnn_build *b, uint32_t P, uint32_t H, struct states *s)
{
    const size_t level = b->level;

    *s = (struct states){CLRNN_NONE, CLRNN_NONE, CLRNN_NONE, CLRNN_NONE};
    // If pooled, the sequence is a single time step, and there is no earlier step to carry a state from.
    if (!b->p->carried || b->pooled)
        return CLRNN_OK;
    b->level++;
    TRY(clrnn_model_carry(b->m, level, b->p->carried, P, H));
    TRY(add_state(b, b->m->carried[level].h, "h0", P, &s->h0, &s->hn));
    return H ? add_state(b, b->m->carried[level].c, "c0", H, &s->c0, &s->cn) : CLRNN_OK;
}

// Returns the number of time steps in a part of the sequence. With train.recompute, backward computes activations a
// second time, part by part. A part has train.recompute steps, rounded up to whole blocks (ops/blocks.h). 0: there are
// no parts, and all activations are kept.
static uint32_t part_of(const struct clrnn_build *b)
{
    const uint32_t block = clrnn_block_steps(b->m->device), steps = b->m->config->train.recompute;
    const uint32_t part = clrnn_divide_up(steps, block) * block;

    return b->train && part < b->T ? part : 0;
}

// Adds a tensor [(T - 1) / part, D, N, W] for the states at the end of each part of the sequence (part_of). The last
// part is left out, because no part follows it. *kept is CLRNN_NONE if there are no parts or W is 0.
static enum clrnn_status add_kept_state(struct clrnn_build *b, const char *what, uint32_t D, uint32_t W, int *kept)
{
    const uint32_t part = part_of(b);

    *kept = CLRNN_NONE;
    if (!part || !W)
        return CLRNN_OK;
    return clrnn_build_activation(b, b->layer, what, CLRNN_REAL, DIMS((b->T - 1) / part, D, b->p->N, W), kept);
}

static enum clrnn_status add_rnn_level(struct clrnn_build *b, const struct clrnn_layer *layer, uint32_t D)
{
    const enum clrnn_cell cell = clrnn_layer_cell(layer->kind);
    const uint32_t N = b->p->N, H = layer->hidden_size;
    const bool keeps = b->train && !part_of(b);
    uint32_t rows;
    struct states states;
    struct clrnn_op *op;

    TRY(add_states(b, H, cell == CLRNN_CELL_LSTM ? H : 0, &states));
    TRY(clrnn_build_layer(b, CLRNN_OP_RNN_FWD, b->T, D * H, &op));
    rows = b->T * N; // cannot overflow: clrnn_build_layer has added y, which has T * N * D * H elements
    if (keeps)
        TRY(clrnn_build_activation(b, b->layer, "gates", CLRNN_REAL, DIMS(D, rows, clrnn_cell_reserve(cell) * H),
                                   &op->out[RNN_GATES]));
    if (keeps && cell == CLRNN_CELL_LSTM)
        TRY(clrnn_build_activation(b, b->layer, "cell", CLRNN_REAL, DIMS(D, rows, H), &op->out[RNN_CELL]));
    TRY(add_kept_state(b, "kept h", D, H, &op->out[RNN_KEPT_H]));
    TRY(add_kept_state(b, "kept c", D, cell == CLRNN_CELL_LSTM ? H : 0, &op->out[RNN_KEPT_C]));
    op->rnn.cell = cell;
    op->rnn.relu = layer->relu;
    op->rnn.bias = layer->bias;
    op->rnn.H = H;
    op->rnn.D = D;
    op->rnn.part = part_of(b);
    op->in[RNN_LENGTHS] = b->lengths;
    for (uint32_t d = 0; d < D; d++) {
        op->in[RNN_WEIGHT_IH + 4 * d] = b->value[b->entry++];
        op->in[RNN_WEIGHT_HH + 4 * d] = b->value[b->entry++];
        if (!layer->bias)
            continue;
        op->in[RNN_BIAS_IH + 4 * d] = b->value[b->entry++];
        op->in[RNN_BIAS_HH + 4 * d] = b->value[b->entry++];
    }
    op->in[RNN_H0] = states.h0;
    op->in[RNN_C0] = states.c0;
    op->out[RNN_HN] = states.hn;
    op->out[RNN_CN] = states.cn;
    return CLRNN_OK;
}

// Adds the tensors that the level keeps for backward. kept[] has their ids in the order of the slots from
// RECURRENT_INPUT on; CLRNN_NONE: the tensor is not kept.
static enum clrnn_status add_kept(struct clrnn_build *b, const struct clrnn_layer *layer, uint32_t D,
                                  int kept[RECURRENT_WIDE])
{
    static const char *const what[RECURRENT_WIDE] = {"input", "hidden", "stats", "gates", "cell", "wide"};
    const enum clrnn_cell cell = clrnn_layer_cell(layer->kind);
    const uint32_t H = layer->hidden_size, GH = clrnn_cell_gates(cell) * H;
    const uint32_t width[RECURRENT_WIDE] = {
        GH, GH, 4, cell == CLRNN_CELL_RNN ? 0 : 4 * H, cell == CLRNN_CELL_LSTM ? H : 0, layer->proj_size ? H : 0};

    for (int i = 0; i < RECURRENT_WIDE; i++) {
        kept[i] = CLRNN_NONE;
        if (b->train && width[i] && !part_of(b))
            TRY(clrnn_build_activation(b, b->layer, what[i], CLRNN_REAL, DIMS(D, b->T * b->p->N, width[i]), &kept[i]));
    }
    return CLRNN_OK;
}

// Adds one level of a recurrent layer with layer_norm, proj_size or recurrent_dropout.
static enum clrnn_status add_cell_level(struct clrnn_build *b, const struct clrnn_layer *layer, uint32_t D,
                                        uint32_t stream)
{
    const enum clrnn_cell cell = clrnn_layer_cell(layer->kind);
    const double p = b->train ? layer->recurrent_dropout : 0;
    const uint32_t P = clrnn_layer_state(layer);
    struct states states;
    struct clrnn_op *op;

    TRY(add_states(b, P, cell == CLRNN_CELL_LSTM ? layer->hidden_size : 0, &states));
    TRY(clrnn_build_layer(b, CLRNN_OP_RECURRENT_FWD, b->T, D * P, &op));
    TRY(add_kept(b, layer, D, &op->out[RECURRENT_INPUT]));
    TRY(add_kept_state(b, "kept h", D, P, &op->out[RECURRENT_KEPT_H]));
    TRY(add_kept_state(b, "kept c", D, cell == CLRNN_CELL_LSTM ? layer->hidden_size : 0, &op->out[RECURRENT_KEPT_C]));
    op->recurrent = (struct clrnn_recurrent_attributes){.rnn = {.cell = cell,
                                                                .relu = layer->relu,
                                                                .bias = layer->bias,
                                                                .H = layer->hidden_size,
                                                                .D = D,
                                                                .part = part_of(b)},
                                                        .layer_norm = layer->layer_norm,
                                                        .P = P,
                                                        .p = p,
                                                        .stream = stream};
    op->in[RECURRENT_LENGTHS] = b->lengths;
    op->in[RECURRENT_COUNTER] = p > 0 ? b->counter : CLRNN_NONE;
    for (uint32_t d = 0; d < D; d++) {
        int *in = op->in + RECURRENT_WEIGHTS * d;

        in[RECURRENT_WEIGHT_IH] = b->value[b->entry++];
        in[RECURRENT_WEIGHT_HH] = b->value[b->entry++];
        if (layer->bias) {
            in[RECURRENT_BIAS_IH] = b->value[b->entry++];
            in[RECURRENT_BIAS_HH] = b->value[b->entry++];
        }
        if (layer->proj_size)
            in[RECURRENT_WEIGHT_HR] = b->value[b->entry++];
        if (!layer->layer_norm)
            continue;
        in[RECURRENT_GAMMA_IH] = b->value[b->entry++];
        in[RECURRENT_GAMMA_HH] = b->value[b->entry++];
        if (cell != CLRNN_CELL_LSTM)
            continue;
        in[RECURRENT_GAMMA_C] = b->value[b->entry++];
        in[RECURRENT_BETA_C] = b->value[b->entry++];
    }
    op->in[RECURRENT_H0] = states.h0;
    op->in[RECURRENT_C0] = states.c0;
    op->out[RECURRENT_HN] = states.hn;
    op->out[RECURRENT_CN] = states.cn;
    return CLRNN_OK;
}

enum clrnn_status clrnn_build_recurrent(struct clrnn_build *b, const struct clrnn_layer *layer,
                                        const struct clrnn_layer_shape *s, const char *prefix)
{
    b->pooled = !s->steps;
    for (uint32_t l = 0; l < layer->num_layers; l++) {
        if (layer->num_layers > 1)
            snprintf(b->layer, sizeof(b->layer), "%.40s.l%" PRIu32, prefix, l);
        if (layer->layer_norm || layer->proj_size || (b->train && layer->recurrent_dropout > 0))
            TRY(add_cell_level(b, layer, s->D, s->stream + layer->num_layers - 1 + l * s->D));
        else
            TRY(add_rnn_level(b, layer, s->D));
        if (l + 1 < layer->num_layers)
            TRY(clrnn_build_dropout(b, layer->dropout, false, s->stream + l));
    }
    return CLRNN_OK;
}
