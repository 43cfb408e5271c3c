// SPDX-License-Identifier: MIT
// A stand-alone recurrent layer: weights, forward and backward on the caller's arrays.
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/array.h"
#include "base/log.h"
#include "model/build.h"
#include "model/pass.h"

// ---------------------------------------------------------------- creating

static enum clrnn_status check_params(const struct clrnn_log *log, const struct clrnn_layer_params *p)
{
    if (p->kind != CLRNN_LAYER_RNN && p->kind != CLRNN_LAYER_LSTM && p->kind != CLRNN_LAYER_GRU)
        return clrnn_error(log, CLRNN_ERR_ARG, "a recurrent layer is rnn, lstm or gru, not kind %d", (int)p->kind);
    if (p->input_size < 1)
        return clrnn_error(log, CLRNN_ERR_CONFIG, "input_size is 0, expected 1 or more");
    if (p->proj_size && p->kind != CLRNN_LAYER_LSTM)
        return clrnn_error(log, CLRNN_ERR_CONFIG, "proj_size is %" PRIu32 ", but only lstm has a projection",
                           p->proj_size);
    return CLRNN_OK;
}

static enum clrnn_status make_model(struct clrnn_recurrent *layer)
{
    const struct clrnn_layer_params *p = &layer->params;
    const struct clrnn_data_shape shape = {.features = p->input_size};
    struct clrnn_config *config = NULL;
    struct clrnn_layer *l;
    enum clrnn_status st = clrnn_config_create(layer->log, &config);

    if (st == CLRNN_OK && !(l = clrnn_config_add_layer(config, p->kind)))
        st = clrnn_error_memory(layer->log, sizeof(*l), "a layer");
    if (st == CLRNN_OK) {
        l->hidden_size = p->hidden_size;
        l->num_layers = p->num_layers;
        l->proj_size = p->proj_size;
        l->bias = !p->no_bias;
        l->bidirectional = p->bidirectional;
        l->relu = p->relu;
        l->dropout = p->dropout;
        config->train.seed = p->seed;
        config->train.loss.kind = CLRNN_LOSS_MSE;
        config->train.optimizer.kind = CLRNN_OPTIMIZER_SGD; // SGD keeps no state for each weight
        st = clrnn_model_create(layer->device, config, &shape, &layer->model);
    }
    clrnn_config_destroy(&config);
    return st;
}

static enum clrnn_status make_params(struct clrnn_recurrent *layer)
{
    const struct clrnn_model *m = layer->model;

    layer->param_count = m->entry_count;
    layer->param = calloc(m->entry_count, sizeof(*layer->param));
    layer->weights = calloc(m->flat_count, sizeof(*layer->weights));
    if (!layer->param || !layer->weights)
        return clrnn_error_memory(layer->log, m->flat_count * sizeof(float), "a layer's weights");
    for (size_t i = 0; i < m->entry_count; i++) {
        layer->param[i] = m->entry[i].param;
        // Drops the prefix of "0.weight_ih_l0".
        layer->param[i].name = strchr(m->entry[i].param.name, '.') + 1;
    }
    return clrnn_buffer_read_f32(m->params, 0, m->flat_count, layer->weights);
}

enum clrnn_status clrnn_layer_create(struct clrnn_device *device, const struct clrnn_layer_params *params,
                                     struct clrnn_recurrent **layer)
{
    NEED(clrnn_device_log(device), layer);
    *layer = NULL;
    NEED(clrnn_device_log(device), device);
    NEED(clrnn_device_log(device), params);

    const struct clrnn_log *log = clrnn_device_log(device);
    struct clrnn_recurrent *l;
    enum clrnn_status st;

    TRY(check_params(log, params));
    l = calloc(1, sizeof(*l));
    if (!l)
        return clrnn_error_memory(log, sizeof(*l), "a recurrent layer");
    l->device = device;
    l->log = log;
    l->params = *params;
    l->P = params->proj_size ? params->proj_size : params->hidden_size;
    l->levels = params->num_layers * (params->bidirectional ? 2 : 1);
    st = make_model(l);
    if (st == CLRNN_OK)
        st = make_params(l);
    if (st == CLRNN_OK)
        *layer = l;
    else
        clrnn_layer_destroy(&l);
    return st;
}

void clrnn_layer_destroy(struct clrnn_recurrent **layer)
{
    struct clrnn_recurrent *l = layer ? *layer : NULL;

    if (!l)
        return;
    clrnn_passes_destroy(l);
    clrnn_model_destroy(&l->model);
    free(l->param);
    free(l->weights);
    free(l->pending);
    free(l);
    *layer = NULL;
}

// ---------------------------------------------------------------- weights

size_t clrnn_layer_param_count(const struct clrnn_recurrent *layer)
{
    return layer ? layer->param_count : 0;
}

const struct clrnn_param *clrnn_layer_param(const struct clrnn_recurrent *layer, size_t index)
{
    return layer && index < layer->param_count ? &layer->param[index] : NULL;
}

// Returns the address of a weight in the flat host copy. If there is no such weight, logs an error and returns NULL.
static float *find(const struct clrnn_recurrent *layer, size_t index)
{
    if (index < layer->param_count)
        return layer->weights + layer->model->entry[index].first;
    clrnn_error(layer->log, CLRNN_ERR_ARG, "the layer has no weight %zu; there are %zu", index, layer->param_count);
    return NULL;
}

enum clrnn_status clrnn_layer_read(struct clrnn_recurrent *layer, size_t index, float *values)
{
    NEED(NULL, layer);
    NEED(layer->log, values);

    const float *from = find(layer, index);

    if (!from)
        return CLRNN_ERR_ARG;
    memcpy(values, from, layer->param[index].count * sizeof(*values));
    return CLRNN_OK;
}

enum clrnn_status clrnn_layer_write(struct clrnn_recurrent *layer, size_t index, const float *values)
{
    NEED(NULL, layer);
    NEED(layer->log, values);

    float *to = find(layer, index);

    if (!to)
        return CLRNN_ERR_ARG;
    memcpy(to, values, layer->param[index].count * sizeof(*to));
    layer->version++;
    return clrnn_buffer_write_f32(layer->model->entry[index].value, 0, layer->param[index].count, values);
}

// Appends an element to layer->pending, for the token (clrnn_buffer_write_async) of one more transfer. Returns the
// address of the element. If memory runs out, logs an error and returns NULL.
static uint64_t *next_token(struct clrnn_recurrent *layer)
{
    if (ARRAY_GROW(layer->pending, layer->pending_count))
        return &layer->pending[layer->pending_count++];
    clrnn_error_memory(layer->log, 2 * layer->pending_count * sizeof(*layer->pending), "a layer's transfers");
    return NULL;
}

// Queues a write from the array `from`, which must not change until finish_transfers has returned.
static enum clrnn_status begin_write(struct clrnn_recurrent *layer, struct clrnn_buffer *to, size_t count,
                                     const float *from)
{
    uint64_t *token = next_token(layer);

    return token ? clrnn_buffer_write_async(to, 0, count, from, token) : CLRNN_ERR_MEMORY;
}

// Queues a read into the array `to`, which has the values once finish_transfers has returned.
static enum clrnn_status begin_read(struct clrnn_recurrent *layer, struct clrnn_buffer *from, size_t first,
                                    size_t count, float *to)
{
    uint64_t *token = next_token(layer);

    return token ? clrnn_buffer_read_async(from, first, count, to, token) : CLRNN_ERR_MEMORY;
}

// Waits for all queued transfers, even if `st` is an error. Returns `st` if it is an error, else the first error here.
static enum clrnn_status finish_transfers(struct clrnn_recurrent *layer, enum clrnn_status st)
{
    const enum clrnn_status flushed = clrnn_device_flush(layer->device);

    st = st == CLRNN_OK ? flushed : st;
    while (layer->pending_count) { // once the last transfer is done, so are the others
        const enum clrnn_status waited = clrnn_device_wait(layer->device, layer->pending[--layer->pending_count]);

        st = st == CLRNN_OK ? waited : st;
    }
    return st;
}

// Copies the caller's weights to the host copy, and uploads them if they differ from those on the device. weights NULL:
// the layer's weights stay.
static enum clrnn_status take_weights(struct clrnn_recurrent *layer, const float *const *weights)
{
    bool changed = false;

    for (size_t i = 0; weights && i < layer->param_count; i++) {
        float *to = layer->weights + layer->model->entry[i].first;
        const size_t bytes = layer->param[i].count * sizeof(*to);

        if (!weights[i])
            return clrnn_error(layer->log, CLRNN_ERR_ARG, "weight %s is NULL", layer->param[i].name);
        if (memcmp(to, weights[i], bytes) == 0)
            continue;
        memcpy(to, weights[i], bytes);
        changed = true;
    }
    if (!changed)
        return CLRNN_OK;
    layer->version++;
    return begin_write(layer, layer->model->params, layer->model->flat_count, layer->weights);
}

// ---------------------------------------------------------------- forward

static enum clrnn_status check_input(const struct clrnn_recurrent *layer, const struct clrnn_layer_input *in)
{
    if (!in->x)
        return clrnn_error(layer->log, CLRNN_ERR_ARG, "the layer's x is NULL");
    if (in->T < 1 || in->N < 1 || (uint64_t)in->T * in->N > UINT32_MAX)
        return clrnn_error(layer->log, CLRNN_ERR_ARG,
                           "the layer's x has T=%" PRIu32 ", N=%" PRIu32 ", expected both from 1 and T * N below 2^32",
                           in->T, in->N);
    if (in->c0 && (!in->h0 || layer->params.kind != CLRNN_LAYER_LSTM))
        return clrnn_error(layer->log, CLRNN_ERR_ARG, "c0 is there %s",
                           in->h0 ? "but only an lstm has a cell" : "without h0");
    if (in->h0 && !in->c0 && layer->params.kind == CLRNN_LAYER_LSTM)
        return clrnn_error(layer->log, CLRNN_ERR_ARG, "an lstm has h0 without c0");
    for (uint32_t n = 0; in->lengths && n < in->N; n++)
        if (in->lengths[n] < 1 || (uint32_t)in->lengths[n] > in->T)
            return clrnn_error(layer->log, CLRNN_ERR_ARG,
                               "the length of sample %" PRIu32 " is %" PRId32 ", expected 1 to T=%" PRIu32, n,
                               in->lengths[n], in->T);
    return CLRNN_OK;
}

static enum clrnn_status upload(struct clrnn_layer_pass *p, const struct clrnn_layer_input *in)
{
    const struct clrnn_layer_params *l = &p->layer->params;
    const int32_t counter[COUNTER_FIELDS] = {
        [COUNTER_SEED_LO] = (int32_t)(uint32_t)in->seed, [COUNTER_SEED_HI] = (int32_t)(uint32_t)(in->seed >> 32)};
    const size_t h = (size_t)p->layer->levels / l->num_layers * in->N * p->layer->P,
                 c = (size_t)p->layer->levels / l->num_layers * in->N * l->hidden_size;

    TRY(begin_write(p->layer, p->x, (size_t)in->T * in->N * l->input_size, in->x));
    if (in->lengths)
        TRY(clrnn_buffer_write_i32(p->lengths, 0, in->N, in->lengths));
    if (p->shape.dropout)
        TRY(clrnn_buffer_write_i32(p->counter, 0, COUNTER_FIELDS, counter));
    for (uint32_t i = 0; i < l->num_layers; i++) {
        if (in->h0)
            TRY(clrnn_buffer_write_f32(p->state[i].h0, 0, h, in->h0 + i * h));
        if (in->c0)
            TRY(clrnn_buffer_write_f32(p->state[i].c0, 0, c, in->c0 + i * c));
    }
    return CLRNN_OK;
}

// Queues a read of a tensor of the graph. Does nothing if there is no such tensor or `to` is NULL.
static enum clrnn_status download(const struct clrnn_layer_pass *p, int tensor, float *to)
{
    if (tensor < 0 || !to)
        return CLRNN_OK;
    return begin_read(p->layer, p->graph->tensor[tensor].buffer, 0, p->graph->tensor[tensor].count, to);
}

static enum clrnn_status read_output(const struct clrnn_layer_pass *p, const struct clrnn_layer_output *out)
{
    TRY(download(p, p->y, out->y));
    for (uint32_t i = 0; i < p->layer->params.num_layers; i++) {
        const struct clrnn_states *s = &p->state[i];

        TRY(download(p, s->hn, out->hn ? out->hn + i * p->graph->tensor[s->hn].count : NULL));
        if (s->cn >= 0 && out->cn)
            TRY(download(p, s->cn, out->cn + i * p->graph->tensor[s->cn].count));
    }
    return CLRNN_OK;
}

// Uploads changed weights and the input, runs forward and queues the reads of the outputs. *pass is the pass that ran.
static enum clrnn_status run_forward(struct clrnn_recurrent *layer, const struct clrnn_pass_shape *shape,
                                     const struct clrnn_layer_input *input, const struct clrnn_layer_output *output,
                                     struct clrnn_layer_pass **pass)
{
    TRY(take_weights(layer, input->weights));
    TRY(clrnn_pass_get(layer, shape, pass));
    TRY(upload(*pass, input));
    TRY(clrnn_pass_run(*pass, PASS_FORWARD));
    return read_output(*pass, output);
}

enum clrnn_status clrnn_layer_forward(struct clrnn_recurrent *layer, const struct clrnn_layer_input *input,
                                      const struct clrnn_layer_output *output, struct clrnn_layer_pass **pass)
{
    if (pass)
        *pass = NULL;
    NEED(NULL, layer);
    NEED(layer->log, input);
    NEED(layer->log, output);

    const struct clrnn_pass_shape shape = {.T = input->T,
                                           .N = input->N,
                                           .lengths = input->lengths != NULL,
                                           .h0 = input->h0 != NULL,
                                           .c0 = input->c0 != NULL,
                                           .dropout = input->training && layer->params.dropout > 0 &&
                                                      layer->params.num_layers > 1,
                                           .backward = pass != NULL,
                                           .dx = pass && !input->no_dx};
    struct clrnn_layer_pass *p;

    TRY(check_input(layer, input));
    TRY(finish_transfers(layer, run_forward(layer, &shape, input, output, &p)));
    p->version = layer->version;
    p->consumed = false;
    if (!pass)
        return CLRNN_OK;
    p->used = true;
    *pass = p;
    return CLRNN_OK;
}

// ---------------------------------------------------------------- backward

static enum clrnn_status check_gradients(const struct clrnn_layer_pass *p, const struct clrnn_layer_gradients *g)
{
    if (g->dx && !p->shape.dx)
        return clrnn_error(p->layer->log, CLRNN_ERR_ARG, "dx is wanted, but forward was told that it is not");
    if ((g->dh0 && !p->shape.h0) || (g->dc0 && !p->shape.c0))
        return clrnn_error(p->layer->log, CLRNN_ERR_ARG, "%s is wanted, but forward had no %s", g->dh0 ? "dh0" : "dc0",
                           g->dh0 ? "h0" : "c0");
    if (!g->weights && p->version != p->layer->version)
        return clrnn_error(p->layer->log, CLRNN_ERR_ARG,
                           "the layer's weights have changed since the forward that this backward belongs to");
    return CLRNN_OK;
}

// Writes the gradient of a final state, or zeros if `from` is NULL. The gradient begins at element `first` of `from`.
// Does nothing if `to` is NULL.
static enum clrnn_status write_gradient(struct clrnn_buffer *to, const float *from, size_t first)
{
    if (!to)
        return CLRNN_OK;
    return from ? clrnn_buffer_write_f32(to, 0, clrnn_buffer_count(to), from + first) : clrnn_buffer_zero(to);
}

static enum clrnn_status write_gradients(struct clrnn_layer_pass *p, const struct clrnn_layer_gradients *g, bool final)
{
    if (g->dy)
        TRY(begin_write(p->layer, p->dy, clrnn_buffer_count(p->dy), g->dy));
    else
        TRY(clrnn_buffer_zero(p->dy));
    for (uint32_t i = 0; final && i < p->layer->params.num_layers; i++) {
        const struct clrnn_states *s = &p->state[i];

        TRY(write_gradient(s->dhn, g->dhn, i * clrnn_buffer_count(s->dhn)));
        if (s->dcn)
            TRY(write_gradient(s->dcn, g->dcn, i * clrnn_buffer_count(s->dcn)));
    }
    return CLRNN_OK;
}

static enum clrnn_status read_gradients(struct clrnn_layer_pass *p, const struct clrnn_layer_gradients *g)
{
    struct clrnn_recurrent *layer = p->layer;
    const struct clrnn_model *m = layer->model;

    TRY(download(p, p->dx, g->dx));
    for (uint32_t i = 0; i < layer->params.num_layers; i++) {
        const struct clrnn_states *s = &p->state[i];

        if (g->dh0)
            TRY(download(p, s->dh0, g->dh0 + i * p->graph->tensor[s->dh0].count));
        if (g->dc0)
            TRY(download(p, s->dc0, g->dc0 + i * p->graph->tensor[s->dc0].count));
    }
    for (size_t i = 0; g->dweights && i < layer->param_count; i++)
        if (g->dweights[i])
            TRY(begin_read(layer, m->grads, m->entry[i].first, layer->param[i].count, g->dweights[i]));
    return CLRNN_OK;
}

static enum clrnn_status run_backward(struct clrnn_layer_pass *pass, const struct clrnn_layer_gradients *gradients)
{
    // PASS_BACKWARD_FINAL also runs if there are lengths: unlike PASS_BACKWARD, it does not read dy in the padding.
    const bool final = gradients->dhn || gradients->dcn || pass->shape.lengths;

    TRY(take_weights(pass->layer, gradients->weights));
    pass->version = pass->layer->version;
    if (pass->consumed)
        TRY(clrnn_pass_run(pass, PASS_FORWARD));
    pass->consumed = true;
    TRY(write_gradients(pass, gradients, final));
    TRY(clrnn_pass_run(pass, final ? PASS_BACKWARD_FINAL : PASS_BACKWARD));
    return read_gradients(pass, gradients);
}

enum clrnn_status clrnn_layer_backward(struct clrnn_layer_pass *pass, const struct clrnn_layer_gradients *gradients)
{
    NEED(NULL, pass);
    NEED(pass->layer->log, gradients);

    TRY(check_gradients(pass, gradients));
    return finish_transfers(pass->layer, run_backward(pass, gradients));
}

void clrnn_layer_pass_destroy(struct clrnn_layer_pass **pass)
{
    if (!pass || !*pass)
        return;
    (*pass)->used = false;
    *pass = NULL;
}
