// SPDX-License-Identifier: MIT
// Finds the op of a step that computes wrong numbers: runs each op of the step on the device, and on the reference with
// the same inputs.
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/array.h"
#include "base/log.h"
#include "verify/compare.h"
#include "reference/bound.h"

#define NOISE_RUNS 3

struct search {
    const struct clrnn_compare *c;
    struct clrnn_compare_block *block;
    uint32_t pass, // training passes so far
        wanted;    // number (from 1) of the training pass to examine; 0: examine the evaluation passes
    bool differs;  // a repeated step had another loss than in the first run
};

// ---------------------------------------------------------------- reading an op's tensors for the check

static enum clrnn_status read_tensor(const struct clrnn_tensor *t, const struct clrnn_log *log, float **real,
                                     int32_t **word)
{
    void *values = malloc(MAX2(t->count, 1) * sizeof(float));

    if (!values)
        return clrnn_error_memory(log, t->count * sizeof(float), t->name);
    if (t->type == CLRNN_REAL) {
        *real = values;
        return clrnn_buffer_read_f32(t->buffer, 0, t->count, values);
    }
    *word = values;
    return clrnn_buffer_read_i32(t->buffer, 0, t->count, values);
}

// Whether an op reads this output before it writes it, as an optimiser does with weights. True for all tensors but
// activations and gradients.
static bool is_updated(const struct clrnn_tensor *t)
{
    return t->role != CLRNN_ROLE_ACTIVATION && t->role != CLRNN_ROLE_GRAD;
}

static enum clrnn_status take_values(struct clrnn_check *c, const struct clrnn_graph *g, const struct clrnn_op *op)
{
    for (int i = 0; i < CLRNN_OP_MAX_IN; i++) {
        const struct clrnn_tensor *t = op->in[i] < 0 ? NULL : &g->tensor[op->in[i]];

        if (!t)
            continue;
        c->in[i] = (struct clrnn_check_slot){.there = true, .type = t->type, .count = t->count};
        TRY(read_tensor(t, c->log, &c->in[i].real, &c->in[i].word));
    }
    for (int i = 0; i < CLRNN_OP_MAX_OUT; i++) {
        const struct clrnn_tensor *t = op->out[i] < 0 ? NULL : &g->tensor[op->out[i]];

        if (!t)
            continue;
        c->out[i] = (struct clrnn_check_slot){
            .there = true, .type = t->type, .count = t->count, .same_as = -1, .updated = is_updated(t)};
        for (int k = 0; k < CLRNN_OP_MAX_IN; k++)
            if (op->in[k] == op->out[i])
                c->out[i].same_as = k;
        if (c->out[i].updated && c->out[i].same_as < 0)
            TRY(read_tensor(t, c->log, &c->out[i].real, &c->out[i].word));
    }
    return CLRNN_OK;
}

static enum clrnn_status take_results(struct clrnn_check *c, const struct clrnn_graph *g, const struct clrnn_op *op)
{
    for (int i = 0; i < CLRNN_OP_MAX_OUT; i++) {
        const struct clrnn_tensor *t = op->out[i] < 0 ? NULL : &g->tensor[op->out[i]];
        float *real = NULL;
        int32_t *word = NULL;
        enum clrnn_status st;

        if (!t)
            continue;
        st = read_tensor(t, c->log, &real, &word);
        c->got[i] = real ? real : (float *)(void *)word;
        TRY(st);
    }
    return CLRNN_OK;
}

// ---------------------------------------------------------------- op by op

static void keep_blame(struct clrnn_compare_block *b, const struct clrnn_graph *g, const struct clrnn_op *op,
                       const struct clrnn_check *c)
{
    const struct clrnn_tensor *t = c->fault_slot < 0 ? NULL : &g->tensor[op->out[c->fault_slot]];

    b->blamed = true;
    snprintf(b->blamed_op, sizeof(b->blamed_op), "%s %s", clrnn_op_name(op->kind), op->layer);
    if (!t) {
        snprintf(b->blame, sizeof(b->blame), "%.390s", c->fault);
        return;
    }
    snprintf(b->blamed_tensor, sizeof(b->blamed_tensor), "%s", t->name);
    snprintf(b->blame, sizeof(b->blame),
             "%s[%zu] is %.9g, and in double %.9g from the same inputs; the largest error is %.2g of the tensor's "
             "largest value, %.3g times what rounding explains",
             t->name, c->fault_index, (double)c->got[c->fault_slot][c->fault_index],
             c->want[c->fault_slot][c->fault_index], c->error, c->share);
}

static enum clrnn_status check_op(struct search *s, struct clrnn_plan *p, size_t at, struct clrnn_check *c)
{
    const struct clrnn_op *op = &p->graph->op[at];

    clrnn_child_doing(&s->block->report, "checking %s %s", clrnn_op_name(op->kind), op->layer);
    clrnn_check_begin(c, op->kind, op->T, op->N, op->C, at);
    c->op = *op;
    TRY(take_values(c, p->graph, op));
    TRY(clrnn_launches_run_part(p->launches, p->op_launch[at], p->op_launch[at + 1]));
    TRY(take_results(c, p->graph, op));
    clrnn_bound_apply(c);
    TRY(clrnn_check_judge(c));
    if (c->fault[0])
        keep_blame(s->block, p->graph, op, c);
    return CLRNN_OK;
}

static enum clrnn_status look_into(struct search *s, const struct clrnn_plan *like)
{
    struct clrnn_plan_params params = like->params;
    struct clrnn_model *m = like->model;
    struct clrnn_check c = {.device = m->device, .log = m->log, .noise_runs = NOISE_RUNS};
    struct clrnn_plan *p;
    enum clrnn_status st;

    params.separate = true;
    TRY(clrnn_plan_create(m, &params, &p));
    st = CLRNN_OK;
    for (size_t i = 0; st == CLRNN_OK && i < p->graph->op_count && !s->block->blamed; i++)
        st = check_op(s, p, i, &c);
    clrnn_check_finish(&c);
    clrnn_plan_destroy(&p);
    return st;
}

static enum clrnn_status run_pass(void *user, struct clrnn_plan *plan)
{
    struct search *s = user;
    const bool training = plan->params.mode == CLRNN_MODE_TRAIN;

    s->pass += training;
    if (s->block->blamed || (training ? s->pass != s->wanted : s->wanted != 0))
        return clrnn_plan_run(plan);
    return look_into(s, plan); // the ops after the one to blame need not run
}

// Repeats the training steps up to s->wanted (0: all steps, then the evaluation). Sets s->differs if a step before
// s->wanted has another loss than in the first run: the device is then not deterministic.
static enum clrnn_status replay(struct search *s, struct clrnn_session *t)
{
    const uint32_t steps = s->wanted ? s->wanted : s->c->steps;
    struct clrnn_session_record record;

    for (uint32_t i = 0; i < steps && !s->block->blamed; i++) {
        clrnn_child_doing(&s->block->report, "repeating training step %u", i + 1);
        TRY(clrnn_session_step(t, CLRNN_MODE_TRAIN, &record));
        if (i + 1 != s->wanted && clrnn_compare_deviation(record.loss, s->block->curve[i], 1e-30) > 0)
            s->differs = true;
    }
    return s->wanted ? CLRNN_OK : clrnn_session_evaluate(t, s->c->judged, NULL, &record);
}

enum clrnn_status clrnn_compare_blame(const struct clrnn_compare *c, struct clrnn_device *device, uint32_t step,
                                      struct clrnn_compare_block *block)
{
    struct search s = {.c = c, .block = block, .wanted = step};
    struct clrnn_session *t;
    enum clrnn_status st;

    clrnn_child_doing(&block->report, "making the model again");
    TRY(clrnn_compare_open(c, device, &t));
    t->hook = run_pass;
    t->user = &s;
    st = replay(&s, t);
    clrnn_session_close(&t);
    if (st != CLRNN_OK || block->blamed)
        return st;
    snprintf(block->blame, sizeof(block->blame), "%s",
             s.differs ? "a second run of the same steps gives other numbers: the device does not repeat itself"
                       : "each op of that step is within its bound when run alone: what is wrong comes from their "
                         "sequence, or from many small errors of earlier steps");
    return CLRNN_OK;
}
