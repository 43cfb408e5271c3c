// SPDX-License-Identifier: MIT
// Stage 1: checks whether the last activation puts out values that the loss expects.
#include <math.h>

#include "base/array.h"
#include "diagnose/doctor/doctor.h"
#include "model/nest.h"

// Returns the index of the last activation, if all layers after it keep its range of values; SIZE_MAX: none.
static size_t last_activation(const struct clrnn_config *c)
{
    for (size_t i = clrnn_layer_last(c); i != SIZE_MAX; i = clrnn_layer_before(c, i)) {
        if (clrnn_layer_is_activation(&c->layer[i]))
            return c->layer[i].kind == CLRNN_LAYER_LEAKY_RELU ? SIZE_MAX : i; // its outputs have no bounds
        if (c->layer[i].kind != CLRNN_LAYER_DROPOUT && c->layer[i].kind != CLRNN_LAYER_ROUND &&
            c->layer[i].kind != CLRNN_LAYER_POOL)
            return SIZE_MAX;
    }
    return SIZE_MAX;
}

bool clrnn_doctor_is_linear(const struct clrnn_config *c)
{
    for (size_t i = 0; i < c->layer_count; i++) {
        const struct clrnn_layer *l = &c->layer[i];
        const bool linear = l->kind == CLRNN_LAYER_LINEAR || l->kind == CLRNN_LAYER_CONV1D ||
                            l->kind == CLRNN_LAYER_BATCHNORM || l->kind == CLRNN_LAYER_DROPOUT ||
                            l->kind == CLRNN_LAYER_FLATTEN || l->kind == CLRNN_LAYER_AVG_POOL1D ||
                            clrnn_layer_nests(l) || // the layers inside are checked themselves
                            (l->kind == CLRNN_LAYER_POOL && l->over != CLRNN_POOL_MAX);

        if (!linear && !(clrnn_layer_is_activation(l) && i == clrnn_layer_last(c)))
            return false;
    }
    return true;
}

bool clrnn_doctor_blame_linear(struct clrnn_doctor *d)
{
    if (!d->only_linear)
        return false;
    clrnn_doctor_evidence(d, "; no layer is nonlinear: whatever their number, they are one linear model");
    clrnn_doctor_remedy(d, "put a nonlinear layer between the others: `relu` or `tanh`, or `gru` for sequences");
    return true;
}

// Sets *low and *high to the range of values that an activation can put out.
static void range_of(const struct clrnn_layer *l, double *low, double *high)
{
    *low = 0;
    *high = INFINITY;
    switch (l->kind) {
    case CLRNN_LAYER_TANH:
        *low = -1;
        *high = 1;
        break;
    case CLRNN_LAYER_LOG_SOFTMAX:
        *low = -INFINITY;
        *high = 0;
        break;
    case CLRNN_LAYER_ELU:
        *low = -l->alpha;
        break;
    case CLRNN_LAYER_GELU:
        *low = -0.17;
        break;
    case CLRNN_LAYER_SILU:
        *low = -0.2785;
        break;
    case CLRNN_LAYER_RELU:
    case CLRNN_LAYER_SOFTPLUS:
        break;
    default:
        *high = 1;
        break;
    }
}

// ---------------------------------------------------------------- the loss and the layer before it

static void softmax_before_cross_entropy(struct clrnn_doctor *d, size_t at)
{
    const uint32_t K = MAX2(d->outputs, 2u);

    clrnn_doctor_layer_finding(d, at, CLRNN_FINDING_SOFTMAX_BEFORE_CROSS_ENTROPY, CLRNN_SEVERITY_ERROR);
    clrnn_doctor_evidence(
        d,
        "cross_entropy applies its own softmax; on top of this one its logits lie in [0, 1], so that even "
        "a perfect answer costs ln(1 + %u/e) = %.4f, and gradients shrink with the softmax's slope",
        K - 1, log1p((K - 1) * exp(-1.0)));
    clrnn_doctor_cost(d, "the loss never falls below %.4f; learning is slower or stops", log1p((K - 1) * exp(-1.0)));
    clrnn_doctor_remove_layer(d, at);
}

static void mismatch(struct clrnn_doctor *d, size_t at, enum clrnn_severity severity)
{
    clrnn_doctor_finding(d, CLRNN_FINDING_ACTIVATION_LOSS_MISMATCH, severity);
    if (at < d->config->layer_count)
        clrnn_doctor_where_layer(d, at);
    else
        clrnn_doctor_where(d, "train.loss");
}

static void check_cross_entropy(struct clrnn_doctor *d, size_t at, enum clrnn_layer_kind kind)
{
    const double width = kind == CLRNN_LAYER_TANH ? 2.0 : 1.0;
    const uint32_t K = MAX2(d->outputs, 2u);

    if (kind == CLRNN_LAYER_SOFTMAX) {
        softmax_before_cross_entropy(d, at);
    } else if (kind == CLRNN_LAYER_SIGMOID || kind == CLRNN_LAYER_TANH) {
        mismatch(d, at, CLRNN_SEVERITY_ERROR);
        clrnn_doctor_evidence(
            d,
            "cross_entropy wants logits of any size; a %s keeps them within %g of each other, so that even "
            "a perfect answer costs %.4f",
            clrnn_layer_word(kind), width, log1p((K - 1) * exp(-width)));
        clrnn_doctor_cost(d, "the loss cannot fall below that, and saturated outputs get no gradient");
        clrnn_doctor_remedy(d, "take the %s out of model.layers", clrnn_layer_word(kind));
        clrnn_doctor_remove_layer(d, at);
    } else if (kind == CLRNN_LAYER_LOG_SOFTMAX) {
        mismatch(d, at, CLRNN_SEVERITY_NOTE);
        clrnn_doctor_evidence(
            d, "cross_entropy applies its own log-softmax; the log-softmax of a log-softmax is the same again");
        clrnn_doctor_cost(d, "nothing but the time to compute it");
        clrnn_doctor_remedy(d, "take it out, or use the loss nll");
    } else if (kind == CLRNN_LAYER_RELU) {
        mismatch(d, at, CLRNN_SEVERITY_NOTE);
        clrnn_doctor_evidence(
            d, "a relu before cross_entropy leaves no logit below 0, and a class whose logit is at 0 gets no "
               "gradient through it");
        clrnn_doctor_cost(d, "slower learning, outputs that can die");
        clrnn_doctor_remedy(d, "take the relu out of model.layers");
    }
}

static void check_nll(struct clrnn_doctor *d, size_t at, enum clrnn_layer_kind kind)
{
    const size_t last = clrnn_layer_last(d->config);

    if (kind == CLRNN_LAYER_LOG_SOFTMAX ||
        clrnn_layer_nests(&d->config->layer[last])) // the layers inside may end in a log_softmax
        return;
    mismatch(d, at, CLRNN_SEVERITY_ERROR);
    clrnn_doctor_evidence(
        d,
        "nll wants log-probabilities, as log_softmax gives them; it gets %s, and its loss is minus the "
        "value of the target's output",
        at < d->config->layer_count ? clrnn_layer_word(kind) : "the raw output of the last layer");
    clrnn_doctor_cost(d, at < d->config->layer_count
                             ? "the outputs are no longer pushed towards the right class alone"
                             : "the loss has no lower bound: all outputs grow, no class is learnt");
    clrnn_doctor_remedy(d,
                        at < d->config->layer_count ? "take the %s out and use `loss: cross_entropy`%s"
                                                    : "%s`loss: cross_entropy`, or a log_softmax as the last layer%s",
                        at < d->config->layer_count ? clrnn_layer_word(kind) : "", "");
    if (at < d->config->layer_count)
        clrnn_doctor_remove_layer(d, at);
    clrnn_doctor_set(d, "train.loss=cross_entropy");
}

static void check_bce(struct clrnn_doctor *d, size_t at, enum clrnn_layer_kind kind)
{
    double low, high;

    if (at >= d->config->layer_count)
        return;
    range_of(&d->config->layer[at], &low, &high);
    mismatch(d, at, CLRNN_SEVERITY_ERROR);
    if (kind == CLRNN_LAYER_SIGMOID)
        clrnn_doctor_evidence(
            d, "bce_with_logits applies its own sigmoid; on top of this one probabilities lie in [0.5, 0.731]: "
               "0 is never answered, and a perfect answer costs 0.6931 for each 0 and 0.3133 for each 1");
    else if (isinf(high))
        clrnn_doctor_evidence(d, "bce_with_logits wants a logit of any size; behind a %s no probability is under %.2g",
                              clrnn_layer_word(kind), 1 / (1 + exp(-low)));
    else if (kind == CLRNN_LAYER_SOFTMAX || kind == CLRNN_LAYER_LOG_SOFTMAX)
        clrnn_doctor_evidence(
            d, "bce_with_logits wants a logit of any size for each label by itself; a %s ties the labels together%s",
            clrnn_layer_word(kind),
            kind == CLRNN_LAYER_SOFTMAX ? ", and probabilities lie in [0.5, 0.731]"
                                        : ", and no probability is over 0.5");
    else
        clrnn_doctor_evidence(
            d, "bce_with_logits wants a logit of any size; behind a tanh probabilities lie in [0.27, 0.73]");
    clrnn_doctor_cost(d, "the loss cannot fall to 0");
    clrnn_doctor_remedy(d, "take the %s out of model.layers", clrnn_layer_word(kind));
    clrnn_doctor_remove_layer(d, at);
}

// Regression losses: reports targets outside of the last activation's range. Standardised targets have mean 0 and
// standard deviation 1. Several outputs are standardised separately; their targets are assumed to lie in -1 to 1.
static void check_mse(struct clrnn_doctor *d, size_t at, enum clrnn_layer_kind kind)
{
    const struct clrnn_scan *s = &d->train_scan;
    const bool standard = d->config->data.standard_targets;
    const double unit = fmax(s->y_std, 1e-300), slack = standard ? 0.05 : 0.05 * s->y_std;
    double least = s->least_label, most = s->most_label, low, high;

    if (at >= d->config->layer_count)
        return;
    if (standard) {
        least = s->info->targets > 1 ? -1 : (least - s->y_mean) / unit;
        most = s->info->targets > 1 ? 1 : (most - s->y_mean) / unit;
    }
    range_of(&d->config->layer[at], &low, &high);
    if (least >= low - slack && most <= high + slack)
        return;
    mismatch(d, at, CLRNN_SEVERITY_WARNING);
    clrnn_doctor_evidence(d, "%stargets lie in [%.4g, %.4g], but a %s puts out [%g, %g]",
                          standard ? "standardised " : "", least, most, clrnn_layer_word(kind), low, high);
    clrnn_doctor_cost(d, "targets outside are never reached, and pull units to their ends");
    clrnn_doctor_remedy(d, "take the %s out of model.layers%s", clrnn_layer_word(kind),
                        standard ? "" : ", or scale the targets");
    clrnn_doctor_remove_layer(d, at);
}

// Reports a softmax or log_softmax over one output.
static void softmax_of_one(struct clrnn_doctor *d, size_t at)
{
    const char *word = clrnn_layer_word(d->config->layer[at].kind);

    mismatch(d, at, CLRNN_SEVERITY_ERROR);
    clrnn_doctor_evidence(d, "a %s over one output is %d whatever the weights are: the loss is a constant", word,
                          d->config->layer[at].kind == CLRNN_LAYER_SOFTMAX);
    clrnn_doctor_cost(d, "no parameter gets a gradient");
    clrnn_doctor_remedy(d, "take the %s out of model.layers", word);
    clrnn_doctor_remove_layer(d, at);
}

// Reports activations before ctc, which applies its own log-softmax to each step.
static void check_ctc(struct clrnn_doctor *d, size_t at, enum clrnn_layer_kind kind)
{
    const double width = kind == CLRNN_LAYER_TANH ? 2.0 : 1.0;
    const uint32_t K = MAX2(d->outputs, 2u);

    if (kind == CLRNN_LAYER_SOFTMAX || kind == CLRNN_LAYER_SIGMOID || kind == CLRNN_LAYER_TANH) {
        mismatch(d, at, CLRNN_SEVERITY_ERROR);
        clrnn_doctor_evidence(
            d,
            "ctc applies its own log-softmax to each step; behind a %s its logits lie within %g of each other, "
            "and no class of a step gets a probability over %.3f",
            clrnn_layer_word(kind), width, 1 / (1 + (K - 1) * exp(-width)));
        clrnn_doctor_cost(d, "the loss cannot fall to 0, and blanks and labels hardly stand out");
        clrnn_doctor_remedy(d, "take the %s out of model.layers", clrnn_layer_word(kind));
        clrnn_doctor_remove_layer(d, at);
    } else if (kind == CLRNN_LAYER_LOG_SOFTMAX) {
        mismatch(d, at, CLRNN_SEVERITY_NOTE);
        clrnn_doctor_evidence(d, "ctc applies its own log-softmax; the log-softmax of a log-softmax is the same again");
        clrnn_doctor_cost(d, "nothing but the time to compute it");
        clrnn_doctor_remedy(d, "take it out of model.layers");
    }
}

void clrnn_doctor_check_loss(struct clrnn_doctor *d)
{
    const size_t at = last_activation(d->config);
    const enum clrnn_layer_kind kind = at < d->config->layer_count ? d->config->layer[at].kind : CLRNN_LAYER_LINEAR;

    if (d->outputs == 1 && (kind == CLRNN_LAYER_SOFTMAX || kind == CLRNN_LAYER_LOG_SOFTMAX)) {
        softmax_of_one(d, at);
        return;
    }
    switch (d->config->train.loss.kind) {
    case CLRNN_LOSS_CROSS_ENTROPY:
        check_cross_entropy(d, at, kind);
        break;
    case CLRNN_LOSS_NLL:
        check_nll(d, at, kind);
        break;
    case CLRNN_LOSS_BCE_WITH_LOGITS:
        check_bce(d, at, kind);
        break;
    case CLRNN_LOSS_CTC:
        check_ctc(d, at, kind);
        break;
    default:
        check_mse(d, at, kind);
        break;
    }
}
