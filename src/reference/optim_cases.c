// SPDX-License-Identifier: MIT
// Test cases of the gradient norm and of the updates by the optimisers (cases.h).
#include <stdio.h>

#include "base/log.h"
#include "reference/cases.h"

static enum clrnn_status grad_norm(struct clrnn_cases *s, size_t count)
{
    struct clrnn_check *c = s->check;

    clrnn_check_begin(c, CLRNN_OP_GRAD_NORM, 1, 1, 1, 1);
    snprintf(c->what, sizeof(c->what), "count=%zu", count);
    c->op.optim.count = count;
    clrnn_check_real(c, GRAD_NORM_GRADS, count);
    clrnn_check_counter(c, GRAD_NORM_COUNTER, 3, CLRNN_CASE_RECORD);
    clrnn_case_out(s, GRAD_NORM_NORM, 1);
    clrnn_check_updated(c, GRAD_NORM_RECORD, CLRNN_CASE_RECORDS * RECORD_FIELDS, 0);
    return clrnn_case_run(s);
}

static void fill_hyper(float *hyper)
{
    if (!hyper)
        return;
    hyper[HYPER_LR] = 0.01f;
    hyper[HYPER_MOMENTUM] = 0.9f;
    hyper[HYPER_STEP_SIZE] = 0.037f;
    hyper[HYPER_ROOT_BC2] = 0.0547f;
    hyper[HYPER_ONE_MINUS_BETA1] = 0.1f;
    hyper[HYPER_FIRST] = 0;
}

static enum clrnn_status update(struct clrnn_cases *s, size_t count, enum clrnn_optimizer_kind kind, bool more)
{
    struct clrnn_check *c = s->check;
    float *v, *norm;

    clrnn_check_begin(c, CLRNN_OP_OPTIM, 1, 1, 1, 2);
    snprintf(c->what, sizeof(c->what), "kind=%d count=%zu more=%d", kind, count, more);
    c->op.optim.kind = kind;
    c->op.optim.count = count;
    c->op.optim.beta2 = 0.999;
    c->op.optim.alpha = 0.99;
    c->op.optim.eps = 1e-8;
    c->op.optim.clip_max_norm = more ? 1 : 0;
    c->op.optim.weight_decay = more ? 0.1 : 0;
    c->op.optim.nesterov = kind == CLRNN_OPTIMIZER_SGD && more;
    c->op.optim.momentum = kind == CLRNN_OPTIMIZER_SGD || (kind == CLRNN_OPTIMIZER_RMSPROP && more);
    c->op.optim.amsgrad = (kind == CLRNN_OPTIMIZER_ADAM || kind == CLRNN_OPTIMIZER_ADAMW) && more;
    c->op.optim.centered = kind == CLRNN_OPTIMIZER_RMSPROP && more;
    clrnn_check_real(c, OPTIM_GRADS, count);
    fill_hyper(clrnn_check_real(c, OPTIM_HYPER, HYPER_FIELDS));
    if (more) {
        norm = clrnn_check_real(c, OPTIM_NORM, 1);
        if (norm)
            norm[0] = 1.5f;
    } else {
        clrnn_check_counter(c, OPTIM_COUNTER, 3, CLRNN_CASE_RECORD);
        clrnn_case_out(s, OPTIM_NORM_OUT, 1);
        clrnn_check_updated(c, OPTIM_RECORD, CLRNN_CASE_RECORDS * RECORD_FIELDS, 0);
    }
    clrnn_check_updated(c, OPTIM_PARAMS, count, 0);
    if (kind != CLRNN_OPTIMIZER_RMSPROP || more)
        clrnn_check_updated(c, OPTIM_M, count, 0);
    if (kind != CLRNN_OPTIMIZER_SGD)
        clrnn_case_positive(clrnn_check_updated(c, OPTIM_V, count, 0), count, 0.1f);
    if (c->op.optim.amsgrad || c->op.optim.centered) {
        v = clrnn_check_updated(c, OPTIM_VMAX, count, 0);
        clrnn_case_positive(v, count, 0);
        clrnn_case_scale(v, count, 0.1f);
    }
    return clrnn_case_run(s);
}

enum clrnn_status clrnn_optim_cases(struct clrnn_cases *s, const struct clrnn_case_size *z)
{
    // With `sums`, there are more parameters than one block of the sum of squares has.
    const size_t count = z->sums ? 8200 : clrnn_case_rows(z) * z->C;

    if (z->sums && z->T == 1)
        return CLRNN_OK;
    TRY(grad_norm(s, count));
    for (int kind = CLRNN_OPTIMIZER_SGD; kind <= CLRNN_OPTIMIZER_RMSPROP; kind++)
        TRY(update(s, count, (enum clrnn_optimizer_kind)kind, z->padded));
    return CLRNN_OK;
}
