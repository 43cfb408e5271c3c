// SPDX-License-Identifier: MIT
// The norm of the gradients and the optimisers, against the reference.
#include "op_test.h"

#include <math.h>
#include <stdio.h>

#include "base/array.h"

enum { SLOTS = 2 };

static void norm(struct clrnn_check *t, size_t count, float scale, float spike)
{
    float *g;

    clrnn_check_begin(t, CLRNN_OP_GRAD_NORM, 1, 1, 1, 4000 + count);
    snprintf(t->what, sizeof(t->what), "count=%zu scale=%g spike=%g", count, scale, spike);
    t->op.optim.count = count;
    g = clrnn_check_real(t, GRAD_NORM_GRADS, count);
    for (size_t i = 0; i < count; i++)
        g[i] *= scale;
    if (spike != 0)
        g[count / 2] = spike;
    clrnn_check_counter(t, GRAD_NORM_COUNTER, 3, 1);
    clrnn_check_out(t, GRAD_NORM_NORM, CLRNN_REAL, 1, 1e-6);
    clrnn_check_updated(t, GRAD_NORM_RECORD, SLOTS * RECORD_FIELDS, 1e-6);
    op_test_run(t);
    assert_true(t->got[GRAD_NORM_RECORD][RECORD_FIELDS + RECORD_NORM] == t->got[GRAD_NORM_NORM][0] ||
                isnan(t->got[GRAD_NORM_NORM][0]));
}

static void norms(void **state)
{
    static const size_t count[] = {1, 2, 15, 16, 17, 8191, 8192, 8193, 50001};
    const size_t counts = op_test_small() ? 5 : ARRAY_SIZE(count);

    for (size_t i = 0; i < counts; i++) {
        norm(*state, count[i], 1, 0);
        norm(*state, count[i], 1e20f, 0);  // squares above the range of float32
        norm(*state, count[i], 1e-30f, 0); // squares below the range of float32
        norm(*state, count[i], 1e-10f, 1e15f);
        norm(*state, count[i], 0, 0);
        norm(*state, count[i], 1, NAN);
        norm(*state, count[i], 1, INFINITY);
    }
}

struct optimiser {
    enum clrnn_optimizer_kind kind;
    double weight_decay, dampening, eps, clip;
    bool momentum, nesterov, amsgrad, centered, first;
    float lr;
};

static void update(struct clrnn_check *t, size_t count, const struct optimiser *o)
{
    const bool adam = o->kind == CLRNN_OPTIMIZER_ADAM || o->kind == CLRNN_OPTIMIZER_ADAMW;
    float *hyper, *v;

    clrnn_check_begin(t, CLRNN_OP_OPTIM, 1, 1, 1, 5000 + count);
    snprintf(t->what, sizeof(t->what),
             "count=%zu kind=%d wd=%g damp=%g clip=%g mom=%d nest=%d ams=%d cent=%d "
             "first=%d lr=%g",
             count, o->kind, o->weight_decay, o->dampening, o->clip, o->momentum, o->nesterov, o->amsgrad, o->centered,
             o->first, o->lr);
    t->op.optim.kind = o->kind;
    t->op.optim.count = count;
    t->op.optim.beta2 = 0.999;
    t->op.optim.alpha = 0.99;
    t->op.optim.eps = o->eps;
    t->op.optim.weight_decay = o->weight_decay;
    t->op.optim.dampening = o->dampening;
    t->op.optim.clip_max_norm = o->clip;
    t->op.optim.nesterov = o->nesterov;
    t->op.optim.amsgrad = o->amsgrad;
    t->op.optim.centered = o->centered;
    t->op.optim.momentum = o->momentum;
    clrnn_check_real(t, OPTIM_GRADS, count);
    hyper = clrnn_check_real(t, OPTIM_HYPER, HYPER_FIELDS);
    hyper[HYPER_LR] = o->lr;
    hyper[HYPER_MOMENTUM] = 0.9f;
    hyper[HYPER_STEP_SIZE] = o->lr / 0.271f;
    hyper[HYPER_ROOT_BC2] = 0.0547f;
    hyper[HYPER_ONE_MINUS_BETA1] = 0.1f;
    hyper[HYPER_FIRST] = o->first;
    if (o->clip > 0) {
        clrnn_check_real(t, OPTIM_NORM, 1)[0] = 12.5f;
    } else {
        clrnn_check_counter(t, OPTIM_COUNTER, 3, 1);
        clrnn_check_out(t, OPTIM_NORM_OUT, CLRNN_REAL, 1, 1e-6);
        clrnn_check_updated(t, OPTIM_RECORD, SLOTS * RECORD_FIELDS, 1e-6);
    }
    clrnn_check_updated(t, OPTIM_PARAMS, count, 1e-6);
    if (adam || o->momentum)
        clrnn_check_updated(t, OPTIM_M, count, 1e-6);
    if (o->kind != CLRNN_OPTIMIZER_SGD) {
        v = clrnn_check_updated(t, OPTIM_V, count, 1e-6);
        for (size_t i = 0; i < count; i++)
            v[i] = v[i] * v[i] + 0.01f;
    }
    if (o->amsgrad || o->centered) {
        v = clrnn_check_updated(t, OPTIM_VMAX, count, 1e-6);
        for (size_t i = 0; i < count; i++)
            v[i] = o->amsgrad ? v[i] * v[i] : 0.01f * v[i];
    }
    op_test_run(t);
    if (o->lr == 0)
        assert_memory_equal(t->got[OPTIM_PARAMS], t->out[OPTIM_PARAMS].real, count * sizeof(float));
}

static const struct optimiser kinds[] = {
    {.kind = CLRNN_OPTIMIZER_SGD, .lr = 0.1f},
    {.kind = CLRNN_OPTIMIZER_SGD, .lr = 0.1f, .weight_decay = 0.01, .clip = 1},
    {.kind = CLRNN_OPTIMIZER_SGD, .lr = 0.1f, .momentum = true, .first = true, .dampening = 0.5},
    {.kind = CLRNN_OPTIMIZER_SGD, .lr = 0.1f, .momentum = true, .dampening = 0.5},
    {.kind = CLRNN_OPTIMIZER_SGD, .lr = 0.1f, .momentum = true, .nesterov = true, .weight_decay = 0.1},
    {.kind = CLRNN_OPTIMIZER_ADAM, .lr = 1e-3f, .eps = 1e-8},
    {.kind = CLRNN_OPTIMIZER_ADAM, .lr = 1e-3f, .eps = 1e-8, .weight_decay = 0.1, .amsgrad = true, .clip = 3},
    {.kind = CLRNN_OPTIMIZER_ADAMW, .lr = 1e-3f, .eps = 1e-8, .weight_decay = 0.1, .clip = 100},
    {.kind = CLRNN_OPTIMIZER_ADAMW, .lr = 1e-3f, .eps = 1e-4, .amsgrad = true},
    {.kind = CLRNN_OPTIMIZER_RMSPROP, .lr = 1e-2f, .eps = 1e-8},
    {.kind = CLRNN_OPTIMIZER_RMSPROP, .lr = 1e-2f, .eps = 1e-8, .momentum = true, .weight_decay = 0.1, .clip = 1},
    {.kind = CLRNN_OPTIMIZER_RMSPROP, .lr = 1e-2f, .eps = 1e-8, .centered = true},
    {.kind = CLRNN_OPTIMIZER_RMSPROP, .lr = 1e-2f, .eps = 1e-8, .centered = true, .momentum = true},
};

static void updates(void **state)
{
    static const size_t count[] = {1, 31, 64, 1025, 5000};
    const size_t counts = op_test_small() ? 3 : ARRAY_SIZE(count);

    for (size_t k = 0; k < ARRAY_SIZE(kinds); k++)
        for (size_t i = 0; i < counts; i++)
            update(*state, count[i], &kinds[k]);
}

// A learning rate that is 0 in float32, as 1e-304 is, must leave all parameters unchanged, also with weight decay.
static void no_learning_rate(void **state)
{
    for (size_t k = 0; k < ARRAY_SIZE(kinds); k++) {
        struct optimiser o = kinds[k];

        o.lr = 0;
        update(*state, 77, &o);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(norms), cmocka_unit_test(updates),
                                       cmocka_unit_test(no_learning_rate)};

    return cmocka_run_group_tests_name("ops/optim", tests, op_test_open, op_test_close);
}
