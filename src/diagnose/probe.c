// SPDX-License-Identifier: MIT
// A gradient plan on one batch whose tensors keep memory of their own.
#include <math.h>
#include <stdlib.h>

#include "base/array.h"
#include "diagnose/trial.h"

static enum clrnn_status make_buffers(struct probe *p, bool lengths)
{
    struct clrnn_model *m = p->model;
    const size_t rows = (size_t)p->N * p->T;
    const enum clrnn_loss_kind loss = m->config->train.loss.kind;
    const bool real = loss == CLRNN_LOSS_BCE_WITH_LOGITS || loss == CLRNN_LOSS_MSE;
    int32_t *index = malloc(p->N * sizeof(*index));
    enum clrnn_status st;

    if (!index)
        return clrnn_error_memory(m->log, p->N * sizeof(*index), "a probe");
    for (uint32_t n = 0; n < p->N; n++)
        index[n] = (int32_t)n;
    st = clrnn_buffer_create(m->device, m->shape.tokens ? CLRNN_I32 : CLRNN_REAL,
                             rows * (m->shape.tokens ? 1 : m->shape.features), "a probe's x", &p->x);
    if (st == CLRNN_OK)
        st = clrnn_buffer_create(m->device, real ? CLRNN_REAL : CLRNN_I32, m->per_step ? rows : p->N,
                                 "a probe's y", &p->y);
    if (st == CLRNN_OK && lengths)
        st = clrnn_buffer_create(m->device, CLRNN_I32, p->N, "a probe's lengths", &p->lengths);
    if (st == CLRNN_OK)
        st = clrnn_buffer_create(m->device, CLRNN_U32, p->N, "a probe's index", &p->index);
    if (st == CLRNN_OK)
        st = clrnn_buffer_write_i32(p->index, 0, p->N, index);
    free(index);
    return st;
}

enum clrnn_status probe_create(struct clrnn_model *model, uint32_t N, uint32_t T, bool lengths,
                               struct probe *probe)
{
    const enum clrnn_loss_kind loss = model->config->train.loss.kind;
    struct clrnn_plan_params params = {
        .mode = CLRNN_MODE_GRADIENT, .N = N, .T = T, .separate = true, .input_grad = true};
    enum clrnn_status st;

    *probe = (struct probe){.model = model, .N = N, .T = T};
    st = make_buffers(probe, lengths);
    params.data = (struct clrnn_plan_data){
        .S = N,
        .T_data = T,
        .x = probe->x,
        .y = probe->y,
        .lengths = probe->lengths,
        .index = probe->index,
        .y_real = loss == CLRNN_LOSS_BCE_WITH_LOGITS || loss == CLRNN_LOSS_MSE,
        .y_steps = model->per_step,
    };
    if (st == CLRNN_OK)
        st = clrnn_plan_create(model, &params, &probe->plan);
    if (st != CLRNN_OK)
        probe_finish(probe);
    return st;
}

void probe_finish(struct probe *p)
{
    clrnn_plan_destroy(&p->plan);
    clrnn_buffer_destroy(&p->x);
    clrnn_buffer_destroy(&p->y);
    clrnn_buffer_destroy(&p->lengths);
    clrnn_buffer_destroy(&p->index);
    *p = (struct probe){0};
}

enum clrnn_status probe_run(struct probe *p, const struct clrnn_batch *b, struct clrnn_step_result *result)
{
    struct clrnn_model *m = p->model;
    const size_t rows = (size_t)p->N * p->T, labels = m->per_step ? rows : p->N;

    if (b->N != p->N || b->T != p->T)
        return clrnn_error(m->log, CLRNN_ERR_ARG, "a probe for N=%u, T=%u got a batch of N=%u, T=%u", p->N,
                           p->T, b->N, b->T);
    if (m->shape.tokens)
        TRY(clrnn_buffer_write_i32(p->x, 0, rows, b->tokens));
    else
        TRY(clrnn_buffer_write_f32(p->x, 0, rows * m->shape.features, b->x));
    if (p->lengths)
        TRY(clrnn_buffer_write_i32(p->lengths, 0, p->N, b->lengths));
    if (b->targets)
        TRY(clrnn_buffer_write_f32(p->y, 0, labels, b->targets));
    else
        TRY(clrnn_buffer_write_i32(p->y, 0, labels, b->classes));
    TRY(clrnn_model_begin_step(m, 0, true));
    TRY(clrnn_plan_run(p->plan));
    *result = (struct clrnn_step_result){.lr = NAN};
    return clrnn_model_read_result(m, result);
}

enum clrnn_status probe_read(const struct probe *p, int tensor, double **values)
{
    const struct clrnn_tensor *t = &p->plan->graph->tensor[tensor];

    *values = malloc(MAX2(t->count, 1) * sizeof(**values));
    if (!*values)
        return clrnn_error_memory(p->model->log, t->count * sizeof(**values), t->name);
    TRY(clrnn_buffer_read_f64(t->buffer, 0, t->count, *values));
    return CLRNN_OK;
}
