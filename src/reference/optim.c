// SPDX-License-Identifier: MIT
// Gradient norm, clipping and the optimisers; doc/maths.md, "Gradient norm and clipping" and "Optimisers".
#include <math.h>

#include "reference/rows.h"

// Computes the norm of grad [count]. Writes it to `norm` and to the record that `counter` selects, each unless it is
// NULL.
static void norm_of(const double *grad, size_t count, const uint32_t *counter, double *norm, double *record)
{
    double squares = 0;

    for (size_t i = 0; i < count; i++)
        squares += grad[i] * grad[i];
    if (norm)
        norm[0] = sqrt(squares);
    if (record && counter)
        record[(size_t)counter[COUNTER_SLOT] * RECORD_FIELDS + RECORD_NORM] = sqrt(squares);
}

static bool grad_norm(const struct clrnn_op *op, void *const in[], void *const out[])
{
    norm_of(in[GRAD_NORM_GRADS], op->optim.count, in[GRAD_NORM_COUNTER], out[GRAD_NORM_NORM], out[GRAD_NORM_RECORD]);
    return true;
}

// The optimiser's moments of one parameter (ops/optim.h); NULL: the optimiser does not use this moment.
struct moments {
    double *m, *v, *vmax;
};

static double sgd(const struct clrnn_op *op, const double *hyper, double w, double g, struct moments s)
{
    g += op->optim.weight_decay * w;
    if (op->optim.momentum) {
        *s.m = hyper[HYPER_FIRST] > 0 ? g : hyper[HYPER_MOMENTUM] * *s.m + (1 - op->optim.dampening) * g;
        g = op->optim.nesterov ? g + hyper[HYPER_MOMENTUM] * *s.m : *s.m;
    }
    return w - hyper[HYPER_LR] * g;
}

static double adam(const struct clrnn_op *op, const double *hyper, double w, double g, struct moments s)
{
    double v;

    if (op->optim.kind == CLRNN_OPTIMIZER_ADAMW)
        w *= 1 - hyper[HYPER_LR] * op->optim.weight_decay;
    else
        g += op->optim.weight_decay * w;
    *s.m = hyper[HYPER_MOMENTUM] * *s.m + hyper[HYPER_ONE_MINUS_BETA1] * g;
    *s.v = op->optim.beta2 * *s.v + (1 - op->optim.beta2) * g * g;
    v = *s.v;
    if (op->optim.amsgrad)
        v = *s.vmax = *s.vmax > v ? *s.vmax : v;
    return w - hyper[HYPER_STEP_SIZE] * *s.m / (sqrt(v) / hyper[HYPER_ROOT_BC2] + op->optim.eps);
}

static double rmsprop(const struct clrnn_op *op, const double *hyper, double w, double g, struct moments s)
{
    const double alpha = op->optim.alpha;
    double v, step;

    g += op->optim.weight_decay * w;
    *s.v = alpha * *s.v + (1 - alpha) * g * g;
    v = *s.v;
    if (op->optim.centered) {
        *s.vmax = alpha * *s.vmax + (1 - alpha) * g;
        v -= *s.vmax * *s.vmax;
    }
    step = g / (sqrt(v) + op->optim.eps);
    if (op->optim.momentum)
        step = *s.m = hyper[HYPER_MOMENTUM] * *s.m + step;
    return w - hyper[HYPER_LR] * step;
}

static bool optim(const struct clrnn_op *op, void *const in[], void *const out[])
{
    const double *grad = in[OPTIM_GRADS], *hyper = in[OPTIM_HYPER], *norm = in[OPTIM_NORM];
    double *param = out[OPTIM_PARAMS], *m = out[OPTIM_M], *v = out[OPTIM_V], *vmax = out[OPTIM_VMAX];
    double scale = 1;

    if (out[OPTIM_NORM_OUT])
        norm_of(grad, op->optim.count, in[OPTIM_COUNTER], out[OPTIM_NORM_OUT], out[OPTIM_RECORD]);
    if (op->optim.clip_max_norm > 0 && norm)
        scale = op->optim.clip_max_norm / (norm[0] + 1e-6);
    if (scale > 1) // with a NaN norm all gradients become NaN, as in PyTorch
        scale = 1;
    for (size_t i = 0; i < op->optim.count; i++) {
        const struct moments s = {m ? m + i : NULL, v ? v + i : NULL, vmax ? vmax + i : NULL};
        const double g = scale * grad[i];

        switch (op->optim.kind) {
        case CLRNN_OPTIMIZER_SGD:
            param[i] = sgd(op, hyper, param[i], g, s);
            break;
        case CLRNN_OPTIMIZER_ADAM:
        case CLRNN_OPTIMIZER_ADAMW:
            param[i] = adam(op, hyper, param[i], g, s);
            break;
        case CLRNN_OPTIMIZER_RMSPROP:
            param[i] = rmsprop(op, hyper, param[i], g, s);
            break;
        }
    }
    return true;
}

// The error bound of the norm allows for a sum of squares that is compensated or computed in blocks. The error bound of
// the update allows for a dozen operations on each element.
const struct clrnn_reference clrnn_grad_norm_reference = {grad_norm, {{ANY_SLOT, 16, TERMS_ONE, OF_ELEMENT}}};
const struct clrnn_reference clrnn_optim_reference = {optim, {{ANY_SLOT, 16, TERMS_ONE, OF_ELEMENT}}};
