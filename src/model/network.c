// SPDX-License-Identifier: MIT
// Adds all ops of a plan to its graph: feed and loss here, layers in forward.c; backward, gradient norm and update in
// backward.c.
#include "model/build.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/array.h"
#include "base/log.h"

// ---------------------------------------------------------------- tensors outside the arena

enum clrnn_status clrnn_build_entries(struct clrnn_build *b)
{
    for (size_t i = 0; i < b->m->entry_count; i++) {
        const struct clrnn_entry *e = &b->m->entry[i];
        const uint32_t dims[3] = {e->param.ndim > 0 ? (uint32_t)e->param.shape[0] : 1,
                                  e->param.ndim > 1 ? (uint32_t)e->param.shape[1] : 1,
                                  e->param.ndim > 2 ? (uint32_t)e->param.shape[2] : 1};
        const unsigned ndim = MAX2(e->param.ndim, 1);
        char name[80];

        b->grad[i] = CLRNN_NONE;
        TRY(clrnn_graph_tensor(b->g, e->param.name, e->param.trained ? CLRNN_ROLE_PARAM : CLRNN_ROLE_STATE,
                               e->param.integer ? CLRNN_I32 : CLRNN_REAL, ndim, dims, e->value, &b->value[i]));
        if (!b->train || !e->param.trained)
            continue;
        snprintf(name, sizeof(name), "%.60s.grad", e->param.name);
        TRY(clrnn_graph_tensor(b->g, name, CLRNN_ROLE_GRAD, CLRNN_REAL, ndim, dims, e->grad, &b->grad[i]));
    }
    return CLRNN_OK;
}

// ---------------------------------------------------------------- feed

static enum clrnn_status add_feed(struct clrnn_build *b)
{
    const struct clrnn_plan_data *d = &b->p->data;
    const struct clrnn_model *m = b->m;
    const uint32_t N = b->p->N, T = b->p->T;
    const bool tokens = m->shape.tokens, target = b->p->mode != CLRNN_MODE_PREDICT;
    const bool ctc = m->config->train.loss.kind == CLRNN_LOSS_CTC;
    const uint32_t steps = ctc ? d->y_T : clrnn_model_output_steps(m, T); // steps of y, if it has a time axis
    struct clrnn_op *op;

    b->C = tokens ? 1 : m->shape.features;
    snprintf(b->layer, sizeof(b->layer), "data");
    TRY(clrnn_build_op(b, CLRNN_OP_FEED, &op));
    TRY(clrnn_build_bound(b, "data x", CLRNN_ROLE_DATA, d->x, &op->in[FEED_X]));
    if (target) {
        TRY(clrnn_build_bound(b, "data y", CLRNN_ROLE_DATA, d->y, &op->in[FEED_Y]));
        TRY(clrnn_build_bound(b, "data weights", CLRNN_ROLE_DATA, d->weights, &op->in[FEED_WEIGHT]));
        TRY(clrnn_build_bound(b, "data y_lengths", CLRNN_ROLE_DATA, d->y_lengths, &op->in[FEED_Y_LENGTHS]));
    }
    TRY(clrnn_build_bound(b, "data lengths", CLRNN_ROLE_DATA, d->lengths, &op->in[FEED_LENGTHS]));
    TRY(clrnn_build_bound(b, "data index", CLRNN_ROLE_DATA, d->index, &op->in[FEED_INDEX]));
    TRY(clrnn_build_bound(b, "input.mean", CLRNN_ROLE_DATA, m->input_mean, &op->in[FEED_MEAN]));
    TRY(clrnn_build_bound(b, "input.std", CLRNN_ROLE_DATA, m->input_std, &op->in[FEED_STD]));

    TRY(clrnn_build_activation(b, "batch", "x", tokens ? CLRNN_I32 : CLRNN_REAL, tokens ? 2 : 3,
                               (uint32_t[]){T, N, b->C}, &b->x));
    if (target)
        TRY(clrnn_build_activation(b, "batch", "y", d->y_real ? CLRNN_REAL : CLRNN_I32, m->targets > 1 ? 3 : 2,
                                   (uint32_t[]){d->y_steps ? steps : 1, N, m->targets}, &b->y));
    if (op->in[FEED_Y_LENGTHS] != CLRNN_NONE)
        TRY(clrnn_build_activation(b, "batch", "y_lengths", CLRNN_I32, DIMS(N), &b->y_lengths));
    if (op->in[FEED_WEIGHT] != CLRNN_NONE)
        TRY(clrnn_build_activation(b, "batch", "weights", CLRNN_REAL, DIMS(N), &b->weights));
    if (d->lengths)
        TRY(clrnn_build_activation(b, "batch", "lengths", CLRNN_I32, DIMS(N), &b->lengths));

    op->feed.S = d->S;
    op->feed.T_data = d->T_data;
    op->feed.tokens = tokens;
    op->feed.target = target;
    op->feed.target_real = d->y_real;
    op->feed.target_steps = d->y_steps;
    op->feed.targets = m->targets;
    if (d->y_steps && (ctc || clrnn_model_changes_steps(m))) {
        op->feed.own_steps = steps;
        op->feed.own_steps_data = d->y_T ? d->y_T : clrnn_model_output_steps(m, d->T_data);
    }
    op->in[FEED_COUNTER] = b->p->carried ? b->counter : CLRNN_NONE;
    op->out[FEED_OUT_X] = b->x;
    op->out[FEED_OUT_Y] = b->y;
    op->out[FEED_OUT_LENGTHS] = b->lengths;
    op->out[FEED_OUT_WEIGHT] = b->weights;
    op->out[FEED_OUT_Y_LENGTHS] = b->y_lengths;
    return CLRNN_OK;
}

// ---------------------------------------------------------------- loss

static enum clrnn_status add_ctc(struct clrnn_build *b, int *dy)
{
    const struct clrnn_loss_config *loss = &b->m->config->train.loss;
    struct clrnn_op *op;

    snprintf(b->layer, sizeof(b->layer), "loss");
    TRY(clrnn_build_op(b, CLRNN_OP_CTC, &op));
    if (b->train)
        TRY(clrnn_build_activation(b, "loss", "dx", CLRNN_REAL, DIMS(b->T, b->p->N, b->C), &op->out[CTC_DX]));
    op->ctc = (struct clrnn_ctc_attributes){.L = b->p->data.y_T,
                                            .blank = loss->blank,
                                            .slots = CLRNN_RECORD_SLOTS,
                                            .zero_infinity = loss->zero_infinity,
                                            .total = b->p->mode == CLRNN_MODE_SHARD};
    op->in[CTC_X] = b->x;
    op->in[CTC_LENGTHS] = b->lengths;
    op->in[CTC_TARGET] = b->y;
    op->in[CTC_TARGET_LENGTHS] = b->y_lengths;
    op->in[CTC_COUNTER] = b->counter;
    op->in[CTC_SAMPLE_WEIGHT] = b->weights;
    op->out[CTC_RECORD] = b->records;
    *dy = op->out[CTC_DX];
    return CLRNN_OK;
}

static enum clrnn_status add_loss(struct clrnn_build *b, int *dy)
{
    const struct clrnn_loss_config *loss = &b->m->config->train.loss;
    struct clrnn_op *op;

    snprintf(b->layer, sizeof(b->layer), "loss");
    TRY(clrnn_build_op(b, CLRNN_OP_LOSS, &op));
    TRY(clrnn_build_bound(b, "loss weight", CLRNN_ROLE_DATA, b->m->loss_weight, &op->in[LOSS_WEIGHT]));
    TRY(clrnn_build_bound(b, "label weight", CLRNN_ROLE_DATA, b->m->label_weight, &op->in[LOSS_LABEL_WEIGHT]));
    TRY(clrnn_build_bound(b, "target scale", CLRNN_ROLE_DATA, b->m->target_scale, &op->in[LOSS_SCALE]));
    if (b->train)
        TRY(clrnn_build_activation(b, "loss", "dx", CLRNN_REAL, DIMS(b->T, b->p->N, b->C), &op->out[LOSS_DX]));
    op->loss.kind = loss->kind;
    op->loss.label_smoothing = loss->label_smoothing;
    op->loss.ignore_index = loss->ignore_index;
    op->loss.beta = loss->beta;
    op->loss.delta = loss->delta;
    if (loss->kind == CLRNN_LOSS_QUANTILE)
        op->loss.quantiles = b->m->outputs / b->m->targets;
    op->loss.missing = b->m->config->data.missing_ignore;
    op->loss.total = b->p->mode == CLRNN_MODE_SHARD;
    op->loss.slots = CLRNN_RECORD_SLOTS;
    op->in[LOSS_X] = b->x;
    op->in[LOSS_LENGTHS] = b->lengths;
    op->in[LOSS_TARGET] = b->y;
    op->in[LOSS_COUNTER] = b->counter;
    op->in[LOSS_SAMPLE_WEIGHT] = b->weights;
    op->out[LOSS_RECORD] = b->records;
    *dy = op->out[LOSS_DX];
    return CLRNN_OK;
}

// ---------------------------------------------------------------- the graph of a model

static enum clrnn_status build(struct clrnn_build *b, int *output, uint32_t *output_steps)
{
    size_t first, last;
    int dy;

    *output = CLRNN_NONE;
    *output_steps = 0;
    TRY(clrnn_build_bound(b, "counter", CLRNN_ROLE_DATA, b->m->counter, &b->counter));
    TRY(clrnn_build_bound(b, "records", CLRNN_ROLE_DATA, b->m->records, &b->records));
    if (b->p->mode == CLRNN_MODE_UPDATE)
        return clrnn_build_update(b);
    TRY(clrnn_build_entries(b));
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
    TRY(b->m->config->train.loss.kind == CLRNN_LOSS_CTC ? add_ctc(b, &dy) : add_loss(b, &dy));
    if (!b->train)
        return CLRNN_OK;
    TRY(clrnn_build_backward(b, first, last, *output, dy));
    if (b->p->mode == CLRNN_MODE_SHARD)
        return CLRNN_OK;
    return b->update ? clrnn_build_update(b) : clrnn_build_norm(b);
}

enum clrnn_status clrnn_network_build(struct clrnn_model *model, const struct clrnn_plan_params *params,
                                      struct clrnn_graph *graph, int *output, uint32_t *output_steps)
{
    const size_t count = MAX2(model->entry_count, 1);
    struct clrnn_build b = {
        .m = model,
        .p = params,
        .g = graph,
        .train = clrnn_mode_trains(params->mode),
        .update = params->mode == CLRNN_MODE_TRAIN || params->mode == CLRNN_MODE_SHARD,
        .norm = CLRNN_NONE,
        .y = CLRNN_NONE,
        .lengths = CLRNN_NONE,
        .weights = CLRNN_NONE,
        .y_lengths = CLRNN_NONE,
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
