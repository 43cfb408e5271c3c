// SPDX-License-Identifier: MIT
// The passes of a stand-alone recurrent layer: graph, launches and buffers for one shape.
#include "model/pass.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/array.h"
#include "base/log.h"
#include "device/list/replay.h"
#include "model/build.h"
#include "model/launch.h"

enum { MOST_FREE = 32 }; // most unused passes that are kept for later inputs of their shape

// ---------------------------------------------------------------- graph

// A kind of recurrent op, and its slots of dx, of the states h0 and hn, and of their gradients. The slots of c0, cn,
// dcn and dc0 (lstm) directly follow those of h0, hn, dhn and dh0.
struct slots {
    enum clrnn_op_kind forward, backward;
    int h0, hn,       // slots of the forward op
        dhn, dx, dh0; // slots of the backward op
};
static const struct slots slots[] = {
    {CLRNN_OP_RNN_FWD, CLRNN_OP_RNN_BWD, RNN_H0, RNN_HN, RNN_BWD_DHN, RNN_DX, RNN_DH0},
    {CLRNN_OP_RECURRENT_FWD, CLRNN_OP_RECURRENT_BWD, RECURRENT_H0, RECURRENT_HN, RECURRENT_BWD_DHN, RECURRENT_DX,
     RECURRENT_DH0},
};

// Returns the slots of an op. NULL: the op is not a recurrent one.
static const struct slots *slots_of(const struct clrnn_graph *g, size_t op)
{
    for (size_t i = 0; i < ARRAY_SIZE(slots); i++)
        if (g->op[op].kind == slots[i].forward || g->op[op].kind == slots[i].backward)
            return &slots[i];
    return NULL;
}

// Gives the forward op of a level (one of num_layers) its initial states as inputs and its final states as outputs.
static enum clrnn_status add_states(struct clrnn_build *b, struct clrnn_layer_pass *p, size_t op,
                                    const struct slots *at, struct clrnn_states *s)
{
    const struct clrnn_layer_params *l = &p->layer->params;
    const uint32_t D = l->bidirectional ? 2 : 1, P = p->layer->P, N = p->shape.N;
    const bool lstm = l->kind == CLRNN_LAYER_LSTM;

    TRY(clrnn_build_bound(b, "h0", CLRNN_ROLE_DATA, s->h0, &b->g->op[op].in[at->h0]));
    TRY(clrnn_build_bound(b, "c0", CLRNN_ROLE_DATA, s->c0, &b->g->op[op].in[at->h0 + 1]));
    TRY(clrnn_build_activation(b, b->g->op[op].layer, "hn", CLRNN_REAL, DIMS(D, N, P), &s->hn));
    if (lstm)
        TRY(clrnn_build_activation(b, b->g->op[op].layer, "cn", CLRNN_REAL, DIMS(D, N, l->hidden_size), &s->cn));
    b->g->op[op].out[at->hn] = s->hn;
    b->g->op[op].out[at->hn + 1] = s->cn;
    b->g->tensor[s->hn].keep = true;
    if (lstm)
        b->g->tensor[s->cn].keep = true;
    return CLRNN_OK;
}

// Gives the backward op of a level the gradients of its final states as inputs and those of its initial states as
// outputs.
static enum clrnn_status add_state_gradients(struct clrnn_build *b, struct clrnn_layer_pass *p, size_t op,
                                             const struct slots *at, struct clrnn_states *s)
{
    const struct clrnn_layer_params *l = &p->layer->params;
    const uint32_t D = l->bidirectional ? 2 : 1, N = p->shape.N;

    TRY(clrnn_build_bound(b, "dhn", CLRNN_ROLE_DATA, s->dhn, &b->g->op[op].in[at->dhn]));
    TRY(clrnn_build_bound(b, "dcn", CLRNN_ROLE_DATA, s->dcn, &b->g->op[op].in[at->dhn + 1]));
    if (s->h0)
        TRY(clrnn_build_activation(b, b->g->op[op].layer, "dh0", CLRNN_REAL, DIMS(D, N, p->layer->P), &s->dh0));
    if (s->c0)
        TRY(clrnn_build_activation(b, b->g->op[op].layer, "dc0", CLRNN_REAL, DIMS(D, N, l->hidden_size), &s->dc0));
    b->g->op[op].out[at->dh0] = s->dh0;
    b->g->op[op].out[at->dh0 + 1] = s->dc0;
    if (s->dh0 >= 0)
        b->g->tensor[s->dh0].keep = true;
    if (s->dc0 >= 0)
        b->g->tensor[s->dc0].keep = true;
    return CLRNN_OK;
}

static enum clrnn_status build(struct clrnn_build *b, struct clrnn_layer_pass *p)
{
    const struct clrnn_model *m = p->layer->model;
    struct clrnn_layer config = m->config->layer[0];
    const size_t levels = config.num_layers;
    size_t level = 0;
    int dy;

    config.dropout = p->shape.dropout ? config.dropout : 0;
    TRY(clrnn_build_bound(b, "counter", CLRNN_ROLE_DATA, p->counter, &b->counter));
    TRY(clrnn_build_entries(b));
    TRY(clrnn_graph_tensor(b->g, "x", CLRNN_ROLE_DATA, CLRNN_REAL, 3, (uint32_t[]){b->T, p->shape.N, b->C}, p->x,
                           &b->x));
    b->batch = b->x;
    TRY(clrnn_build_bound(b, "lengths", CLRNN_ROLE_DATA, p->lengths, &b->lengths));
    TRY(clrnn_build_recurrent(b, &config, &m->layer[0], "layer"));
    p->forward = b->g->op_count;
    p->y = b->x;
    b->g->tensor[p->y].keep = true;
    for (size_t i = 0; i < p->forward; i++)
        if (slots_of(b->g, i))
            TRY(add_states(b, p, i, slots_of(b->g, i), &p->state[level++]));
    if (!p->shape.backward)
        return CLRNN_OK;
    TRY(clrnn_graph_tensor(b->g, "dy", CLRNN_ROLE_DATA, CLRNN_REAL, 3, (uint32_t[]){b->T, p->shape.N, b->C}, p->dy,
                           &dy));
    TRY(clrnn_build_backward(b, 0, p->forward, p->y, dy));
    level = levels;
    for (size_t i = p->forward; i < b->g->op_count; i++) {
        const struct slots *at = slots_of(b->g, i);

        if (!at)
            continue;
        // Each level sets p->dx. The first level comes last in backward, and its dx is the layer's dx.
        p->dx = b->g->op[i].out[at->dx];
        TRY(add_state_gradients(b, p, i, at, &p->state[--level]));
    }
    if (p->dx >= 0)
        b->g->tensor[p->dx].keep = true;
    return CLRNN_OK;
}

static enum clrnn_status build_graph(struct clrnn_layer_pass *p)
{
    struct clrnn_model *m = p->layer->model;
    const struct clrnn_plan_params params = {
        .mode = CLRNN_MODE_GRADIENT, .N = p->shape.N, .T = p->shape.T, .input_grad = p->shape.dx};
    struct clrnn_build b = {.m = m,
                            .p = &params,
                            .g = p->graph,
                            .train = true,
                            .norm = CLRNN_NONE,
                            .y = CLRNN_NONE,
                            .weights = CLRNN_NONE,
                            .T = p->shape.T,
                            .C = p->layer->params.input_size,
                            .value = calloc(m->entry_count, sizeof(int)),
                            .grad = calloc(m->entry_count, sizeof(int))};
    const enum clrnn_status st = b.value && b.grad
                                     ? build(&b, p)
                                     : clrnn_error_memory(m->log, 2 * m->entry_count * sizeof(int), "a layer's table");

    free(b.value);
    free(b.grad);
    return st;
}

// ---------------------------------------------------------------- buffers and launches

static enum clrnn_status make_buffers(struct clrnn_layer_pass *p)
{
    const struct clrnn_layer_params *l = &p->layer->params;
    const struct clrnn_pass_shape *s = &p->shape;
    const size_t rows = (size_t)s->T * s->N, D = l->bidirectional ? 2 : 1;
    const size_t h = D * s->N * p->layer->P, c = D * s->N * l->hidden_size;
    struct clrnn_device *d = p->layer->device;

    TRY(clrnn_buffer_create(d, CLRNN_REAL, rows * l->input_size, "a layer's x", &p->x));
    TRY(clrnn_buffer_create(d, CLRNN_U32, COUNTER_FIELDS, "a layer's counter", &p->counter));
    if (s->lengths)
        TRY(clrnn_buffer_create(d, CLRNN_I32, s->N, "a layer's lengths", &p->lengths));
    if (s->backward)
        TRY(clrnn_buffer_create(d, CLRNN_REAL, rows * D * p->layer->P, "a layer's dy", &p->dy));
    for (uint32_t i = 0; i < l->num_layers; i++) {
        struct clrnn_states *state = &p->state[i];

        state->hn = state->cn = state->dh0 = state->dc0 = CLRNN_NONE;
        if (s->h0)
            TRY(clrnn_buffer_create(d, CLRNN_REAL, h, "a layer's h0", &state->h0));
        if (s->c0)
            TRY(clrnn_buffer_create(d, CLRNN_REAL, c, "a layer's c0", &state->c0));
        if (s->backward)
            TRY(clrnn_buffer_create(d, CLRNN_REAL, h, "a layer's dhn", &state->dhn));
        if (s->backward && l->kind == CLRNN_LAYER_LSTM)
            TRY(clrnn_buffer_create(d, CLRNN_REAL, c, "a layer's dcn", &state->dcn));
    }
    return CLRNN_OK;
}

// Adds the launches of op i. For the list PASS_BACKWARD they are made without the inputs dhn and dcn.
static enum clrnn_status launch_op(struct clrnn_layer_pass *p, enum clrnn_pass_list list, size_t i,
                                   struct clrnn_host_call *call)
{
    const struct slots *at = list == PASS_BACKWARD ? slots_of(p->graph, i) : NULL;
    int *in = at ? &p->graph->op[i].in[at->dhn] : NULL; // the slot of dcn follows
    const int dhn = in ? in[0] : CLRNN_NONE, dcn = in ? in[1] : CLRNN_NONE;
    enum clrnn_status st;

    if (!in)
        return clrnn_launch_op(p->launches[list], p->graph, i, call);
    in[0] = in[1] = CLRNN_NONE;
    st = clrnn_launch_op(p->launches[list], p->graph, i, call);
    in[0] = dhn;
    in[1] = dcn;
    return st;
}

static enum clrnn_status make_list(struct clrnn_layer_pass *p, enum clrnn_pass_list list)
{
    const size_t first = list == PASS_FORWARD ? 0 : p->forward,
                 count = (list == PASS_FORWARD ? p->forward : p->graph->op_count) - first;

    p->calls[list] = calloc(count, sizeof(**p->calls));
    if (!p->calls[list])
        return clrnn_error_memory(p->layer->log, count * sizeof(**p->calls), "a layer's launches");
    TRY(clrnn_launches_create(p->layer->device, &p->launches[list]));
    for (size_t i = 0; i < count; i++)
        TRY(launch_op(p, list, first + i, &p->calls[list][i]));
    return clrnn_replay_create(p->launches[list], &p->replay[list]);
}

static void destroy_list(struct clrnn_layer_pass *p, enum clrnn_pass_list list)
{
    clrnn_replay_destroy(&p->replay[list]);
    clrnn_launches_destroy(&p->launches[list]);
    free(p->calls[list]);
    p->calls[list] = NULL;
}

enum clrnn_status clrnn_pass_run(struct clrnn_layer_pass *p, enum clrnn_pass_list list)
{
    enum clrnn_status st = p->replay[list] ? CLRNN_OK : make_list(p, list);

    if (st == CLRNN_OK)
        return clrnn_replay_run(p->replay[list]);
    destroy_list(p, list);
    return st;
}

static void destroy(struct clrnn_layer_pass *p)
{
    for (int list = 0; list < PASS_LISTS; list++)
        destroy_list(p, (enum clrnn_pass_list)list);
    clrnn_graph_destroy(&p->graph);
    clrnn_buffer_destroy(&p->x);
    clrnn_buffer_destroy(&p->lengths);
    clrnn_buffer_destroy(&p->counter);
    clrnn_buffer_destroy(&p->dy);
    for (uint32_t i = 0; p->state && i < p->layer->params.num_layers; i++) {
        clrnn_buffer_destroy(&p->state[i].h0);
        clrnn_buffer_destroy(&p->state[i].c0);
        clrnn_buffer_destroy(&p->state[i].dhn);
        clrnn_buffer_destroy(&p->state[i].dcn);
    }
    free(p->state);
    free(p);
}

static enum clrnn_status create(struct clrnn_recurrent *layer, const struct clrnn_pass_shape *shape,
                                struct clrnn_layer_pass **pass)
{
    struct clrnn_layer_pass *p = calloc(1, sizeof(*p));
    struct clrnn_buffer *arena = NULL;
    enum clrnn_status st = CLRNN_OK;

    *pass = NULL;
    if (!p)
        return clrnn_error_memory(layer->log, sizeof(*p), "a layer's pass");
    p->layer = layer;
    p->shape = *shape;
    p->y = p->dx = CLRNN_NONE;
    p->state = calloc(layer->params.num_layers, sizeof(*p->state));
    if (!p->state)
        st = clrnn_error_memory(layer->log, layer->params.num_layers * sizeof(*p->state), "a layer's states");
    if (st == CLRNN_OK)
        st = make_buffers(p);
    if (st == CLRNN_OK)
        st = clrnn_graph_create(layer->log, &p->graph);
    if (st == CLRNN_OK)
        st = build_graph(p);
    if (st == CLRNN_OK)
        st = clrnn_graph_place(p->graph, layer->device, false, &arena);
    clrnn_buffer_destroy(&arena); // the tensors retain it
    if (st == CLRNN_OK)
        *pass = p;
    else
        destroy(p);
    return st;
}

// ---------------------------------------------------------------- the layer's passes

static bool same(const struct clrnn_pass_shape *a, const struct clrnn_pass_shape *b)
{
    return a->T == b->T && a->N == b->N && a->lengths == b->lengths && a->h0 == b->h0 && a->c0 == b->c0 &&
           a->dropout == b->dropout && a->backward == b->backward && a->dx == b->dx;
}

// Frees the least recently used of the unused passes, if there are MOST_FREE of them.
static void make_room(struct clrnn_recurrent *layer)
{
    struct clrnn_layer_pass **oldest = NULL, *gone;
    size_t count = 0;

    for (struct clrnn_layer_pass **p = &layer->passes; *p; p = &(*p)->next) {
        if ((*p)->used)
            continue;
        count++;
        if (!oldest || (*p)->last < (*oldest)->last)
            oldest = p;
    }
    if (count < MOST_FREE)
        return;
    gone = *oldest;
    *oldest = gone->next;
    destroy(gone);
}

enum clrnn_status clrnn_pass_get(struct clrnn_recurrent *layer, const struct clrnn_pass_shape *shape,
                                 struct clrnn_layer_pass **pass)
{
    struct clrnn_layer_pass *p = layer->passes;

    while (p && (p->used || !same(&p->shape, shape)))
        p = p->next;
    if (!p) {
        make_room(layer);
        TRY(create(layer, shape, &p));
        p->next = layer->passes;
        layer->passes = p;
    }
    p->last = ++layer->clock;
    *pass = p;
    return CLRNN_OK;
}

void clrnn_passes_destroy(struct clrnn_recurrent *layer)
{
    while (layer->passes) {
        struct clrnn_layer_pass *p = layer->passes;

        layer->passes = p->next;
        destroy(p);
    }
}
