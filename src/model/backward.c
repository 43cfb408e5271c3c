// SPDX-License-Identifier: MIT
// Adds the ops of a training step that follow the loss: the backward ops, in reverse order of the forward ops, the
// gradient norm, and the optimiser's update.
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/array.h"
#include "base/log.h"
#include "model/build.h"
#include "model/schedule.h"

// Returns the gradient tensor of the parameter whose tensor is `value`, or CLRNN_NONE.
static int grad_of(const struct clrnn_build *b, int value)
{
    for (size_t i = 0; value >= 0 && i < b->m->entry_count; i++)
        if (b->value[i] == value)
            return b->grad[i];
    return CLRNN_NONE;
}

// What backward knows about each tensor of the forward pass. Both arrays are indexed by tensor id.
struct tape {
    struct clrnn_build *b;
    bool *needed; // the tensor depends on a parameter or, with input_grad, on the batch's x
    // Tensor id of the gradient so far: the sum over the ops visited so far that read the tensor. CLRNN_NONE: none yet.
    int *gradient;
};

// Adds `dx` to the gradient of `tensor`. dx comes from one of the ops that read the tensor; backward visits these ops
// in reverse order. If dx is CLRNN_NONE, the gradient does not change.
static enum clrnn_status pass_back(struct tape *t, const char *layer, int tensor, const uint32_t shape[3], int dx)
{
    int sum;

    if (dx < 0 || t->gradient[tensor] < 0) {
        t->gradient[tensor] = dx < 0 ? t->gradient[tensor] : dx;
        return CLRNN_OK;
    }
    TRY(clrnn_build_sum(t->b, layer, "dx sum", shape, t->gradient[tensor], dx, &sum));
    t->gradient[tensor] = sum;
    return CLRNN_OK;
}

static enum clrnn_status add_split(struct tape *t, const struct clrnn_op *f, int dy)
{
    struct clrnn_build *b = t->b;
    int dx[CLRNN_JOIN_MOST];
    struct clrnn_op *op;

    for (uint32_t i = 0; i < f->join.count; i++) {
        dx[i] = CLRNN_NONE;
        if (t->needed[f->in[i]])
            TRY(clrnn_build_activation(b, f->layer, "dx", CLRNN_REAL, DIMS(f->T, f->N, f->join.width[i]), &dx[i]));
    }
    TRY(clrnn_graph_op(b->g, CLRNN_OP_CONCAT_BWD, f->layer, f->T, f->N, f->C, &op));
    op->join = f->join;
    op->in[CONCAT_BWD_DY] = dy;
    for (uint32_t i = 0; i < f->join.count; i++)
        op->out[i] = dx[i];
    for (uint32_t i = 0; i < f->join.count; i++)
        TRY(pass_back(t, f->layer, f->in[i], (uint32_t[]){f->T, f->N, f->join.width[i]}, dx[i]));
    return CLRNN_OK;
}

// Adds the two backward ops of the batchnorm `f` in a plan of a shard, if f uses the statistics of the whole batch. The
// first op computes sums over the rows of the shard. The second computes dx from the sums over all shards (ops/norm.h).
static enum clrnn_status add_summed_batchnorm(struct tape *t, const struct clrnn_op *f, int dy)
{
    static const int same[][2] = {{BATCHNORM_BWD_X, BATCHNORM_X},
                                  {BATCHNORM_BWD_LENGTHS, BATCHNORM_LENGTHS},
                                  {BATCHNORM_BWD_WEIGHT, BATCHNORM_WEIGHT},
                                  {BATCHNORM_BWD_MEAN, BATCHNORM_RUNNING_MEAN}};
    const uint32_t shape[3] = {f->T, f->N, f->C};
    int sums[] = {grad_of(t->b, f->in[BATCHNORM_WEIGHT]), grad_of(t->b, f->in[BATCHNORM_BIAS])};
    int invstd = CLRNN_NONE, means, dx;
    struct clrnn_op *op;

    for (size_t i = 0; i < t->b->g->op_count; i++)
        if (t->b->g->op[i].kind == CLRNN_OP_BATCHNORM_MOMENTS && t->b->g->op[i].norm.number == f->norm.number)
            invstd = t->b->g->op[i].out[MOMENTS_COUNT];
    for (int i = 0; i < 2; i++) // dx needs both sums even without weight and bias
        if (sums[i] < 0)
            TRY(clrnn_build_activation(t->b, f->layer, i ? "sum of dy" : "sum of dy xhat", CLRNN_REAL, DIMS(f->C),
                                       &sums[i]));
    TRY(clrnn_graph_op(t->b->g, CLRNN_OP_BATCHNORM_BWD, f->layer, f->T, f->N, f->C, &op));
    op->norm = f->norm;
    for (size_t i = 0; i < ARRAY_SIZE(same); i++)
        op->in[same[i][0]] = f->in[same[i][1]];
    op->in[BATCHNORM_BWD_INVSTD] = invstd;
    op->in[BATCHNORM_BWD_DY] = dy;
    op->out[BATCHNORM_DWEIGHT] = sums[0];
    op->out[BATCHNORM_DBIAS] = sums[1];
    if (!t->needed[f->in[BATCHNORM_X]])
        return CLRNN_OK;
    TRY(clrnn_build_activation(t->b, f->layer, "means", CLRNN_REAL, DIMS(2, f->C), &means));
    TRY(clrnn_build_activation(t->b, f->layer, "dx", CLRNN_REAL, 3, shape, &dx));
    TRY(clrnn_graph_op(t->b->g, CLRNN_OP_BATCHNORM_SPREAD, f->layer, f->T, f->N, f->C, &op));
    for (size_t i = 0; i < ARRAY_SIZE(same); i++)
        op->in[same[i][0]] = f->in[same[i][1]];
    op->in[SPREAD_INVSTD] = invstd;
    op->in[SPREAD_DY] = dy;
    op->in[SPREAD_MEANS] = means;
    op->out[SPREAD_DX] = dx;
    return pass_back(t, f->layer, f->in[BATCHNORM_X], shape, dx);
}

// Adds the backward op of the forward op `f`. The backward op computes the gradients of f's inputs from `dy`, the
// gradient of f's output.
static enum clrnn_status add_backward(struct tape *t, const struct clrnn_op *f, int dy)
{
    const struct clrnn_op_backward *m = clrnn_op_class(f->kind)->backward;
    const uint32_t shape[3] = {f->T, f->N, f->C};
    struct clrnn_build *b = t->b;
    int dx = CLRNN_NONE;
    struct clrnn_op *op, fresh;

    if (f->kind == CLRNN_OP_ADD) { // both terms get the gradient of the sum
        TRY(pass_back(t, f->layer, f->in[ADD_SECOND], shape, t->needed[f->in[ADD_SECOND]] ? dy : CLRNN_NONE));
        return pass_back(t, f->layer, f->in[ADD_FIRST], shape, t->needed[f->in[ADD_FIRST]] ? dy : CLRNN_NONE);
    }
    if (f->kind == CLRNN_OP_CONCAT_FWD)
        return add_split(t, f, dy);
    if (f->kind == CLRNN_OP_BATCHNORM_FWD && f->norm.summed)
        return add_summed_batchnorm(t, f, dy);
    if (t->needed[f->in[0]])
        TRY(clrnn_build_activation(b, f->layer, f->kind == CLRNN_OP_DROPOUT_FWD ? "dropped dx" : "dx", CLRNN_REAL, 3,
                                   shape, &dx));
    TRY(clrnn_graph_op(b->g, m->kind, f->layer, f->T, f->N, f->C, &op));
    fresh = *op;
    *op = *f; // takes over the sizes and attributes of the forward op
    op->kind = m->kind;
    memcpy(op->in, fresh.in, sizeof(op->in));
    memcpy(op->out, fresh.out, sizeof(op->out));
    for (int i = 0; i < m->in_count; i++)
        op->in[m->in[i].to] = m->in[i].out ? f->out[m->in[i].from] : f->in[m->in[i].from];
    for (int i = 0; i < m->grad_count; i++)
        op->out[m->grad[i].to] = grad_of(b, f->in[m->grad[i].from]);
    op->in[m->dy] = dy;
    if (f->kind == CLRNN_OP_RNN_FWD && f->rnn.part)
        op->in[RNN_BWD_Y] = CLRNN_NONE;
    if (f->kind == CLRNN_OP_RECURRENT_FWD && f->rnn.part)
        op->in[RECURRENT_BWD_Y] = CLRNN_NONE;
    if (m->dx >= 0)
        op->out[m->dx] = dx;
    return pass_back(t, f->layer, f->in[0], shape, dx);
}

static bool has_params(const struct clrnn_build *b, const struct clrnn_op *f)
{
    const struct clrnn_op_backward *m = clrnn_op_class(f->kind)->backward;

    for (int i = 0; m && i < m->grad_count; i++)
        if (grad_of(b, f->in[m->grad[i].from]) >= 0)
            return true;
    return false;
}

// Returns how many activations an op reads: all terms of a sum or concatenation, otherwise only the one in slot 0.
static size_t inputs_of(const struct clrnn_op *f)
{
    return f->kind == CLRNN_OP_ADD ? 2 : f->kind == CLRNN_OP_CONCAT_FWD ? f->join.count : 1;
}

static enum clrnn_status walk_back(struct tape *t, size_t first, size_t last)
{
    const struct clrnn_graph *g = t->b->g;

    for (size_t i = first; i < last; i++) {
        bool needed = has_params(t->b, &g->op[i]);

        for (size_t k = 0; k < inputs_of(&g->op[i]); k++)
            needed |= t->needed[g->op[i].in[k]];
        t->needed[g->op[i].out[0]] = needed;
    }
    for (size_t i = last; i-- > first;) {
        const struct clrnn_op f = g->op[i]; // a copy, since adding an op may move the array of ops

        if (t->needed[f.out[0]] && t->gradient[f.out[0]] >= 0)
            TRY(add_backward(t, &f, t->gradient[f.out[0]]));
    }
    return CLRNN_OK;
}

enum clrnn_status clrnn_build_backward(struct clrnn_build *b, size_t first, size_t last, int y, int dy)
{
    const size_t count = b->g->tensor_count; // tensors that are added later are gradients
    const bool to_input = b->p->input_grad && !b->m->shape.tokens;
    struct tape t = {b, calloc(count, sizeof(bool)), malloc(count * sizeof(int))};
    enum clrnn_status st;

    if (!t.needed || !t.gradient) {
        st = clrnn_error_memory(b->g->log, count * (sizeof(bool) + sizeof(int)), "the plan's gradients");
    } else {
        for (size_t i = 0; i < count; i++)
            t.gradient[i] = CLRNN_NONE;
        t.gradient[y] = dy;
        t.needed[b->batch] = to_input;
        st = walk_back(&t, first, last);
    }
    free(t.needed);
    free(t.gradient);
    return st;
}

// ---------------------------------------------------------------- norm and update

bool clrnn_uses_momentum(const struct clrnn_train_config *train)
{
    const bool can = train->optimizer.kind == CLRNN_OPTIMIZER_SGD || train->optimizer.kind == CLRNN_OPTIMIZER_RMSPROP;

    return can && (clrnn_schedule_cycles_momentum(train) || train->optimizer.momentum != 0);
}

static enum clrnn_status norm_tensor(struct clrnn_build *b)
{
    snprintf(b->layer, sizeof(b->layer), "optimizer");
    return clrnn_build_activation(b, "gradient", "norm", CLRNN_REAL, DIMS(1), &b->norm);
}

static enum clrnn_status add_norm(struct clrnn_build *b, int grads)
{
    struct clrnn_op *op;

    TRY(norm_tensor(b));
    TRY(clrnn_graph_op(b->g, CLRNN_OP_GRAD_NORM, b->layer, 1, 1, 1, &op));
    op->optim.count = b->m->flat_count;
    op->in[GRAD_NORM_GRADS] = grads;
    op->in[GRAD_NORM_COUNTER] = b->counter;
    op->out[GRAD_NORM_NORM] = b->norm;
    op->out[GRAD_NORM_RECORD] = b->records;
    return CLRNN_OK;
}

static enum clrnn_status gradients(struct clrnn_build *b, int *grads)
{
    return clrnn_build_bound(b, "gradients", CLRNN_ROLE_GRAD, b->m->grads, grads);
}

enum clrnn_status clrnn_build_norm(struct clrnn_build *b)
{
    int grads;

    TRY(gradients(b, &grads));
    return add_norm(b, grads);
}

enum clrnn_status clrnn_build_update(struct clrnn_build *b)
{
    const struct clrnn_train_config *train = &b->m->config->train;
    const struct clrnn_optimizer_config *o = &train->optimizer;
    const bool clips = train->clip_grad_norm > 0;
    int grads;
    struct clrnn_op *op;

    TRY(gradients(b, &grads));
    if (clips)
        TRY(add_norm(b, grads));
    else
        TRY(norm_tensor(b));
    TRY(clrnn_graph_op(b->g, CLRNN_OP_OPTIM, b->layer, 1, 1, 1, &op));
    TRY(clrnn_build_bound(b, "hyper", CLRNN_ROLE_DATA, b->m->hyper, &op->in[OPTIM_HYPER]));
    TRY(clrnn_build_bound(b, "parameters", CLRNN_ROLE_PARAM, b->m->params, &op->out[OPTIM_PARAMS]));
    TRY(clrnn_build_bound(b, "optim.m", CLRNN_ROLE_MOMENT, b->m->moment[0], &op->out[OPTIM_M]));
    TRY(clrnn_build_bound(b, "optim.v", CLRNN_ROLE_MOMENT, b->m->moment[1], &op->out[OPTIM_V]));
    TRY(clrnn_build_bound(b, "optim.vmax", CLRNN_ROLE_MOMENT, b->m->moment[2], &op->out[OPTIM_VMAX]));
    op->optim.kind = o->kind;
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
    op->in[OPTIM_NORM] = clips ? b->norm : CLRNN_NONE;
    if (!clips) {
        op->in[OPTIM_COUNTER] = b->counter;
        op->out[OPTIM_NORM_OUT] = b->norm;
        op->out[OPTIM_RECORD] = b->records;
    }
    return CLRNN_OK;
}
