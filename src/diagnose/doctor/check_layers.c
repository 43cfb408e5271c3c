// SPDX-License-Identifier: MIT
// Stage 1: checks of the layers and the loss, without data.
#include <math.h>

#include "base/array.h"
#include "diagnose/doctor/doctor.h"

// The activation whose range of values reaches the loss, through layers that keep it; SIZE_MAX: none.
static size_t last_activation(const struct clrnn_config *c)
{
    for (size_t i = c->layer_count; i-- > 0;) {
        if (clrnn_layer_is_activation(&c->layer[i]))
            return c->layer[i].kind == CLRNN_LAYER_LEAKY_RELU ? SIZE_MAX : i; // which bounds nothing
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
                            (l->kind == CLRNN_LAYER_POOL && l->over != CLRNN_POOL_MAX);

        if (!linear && !(clrnn_layer_is_activation(l) && i + 1 == c->layer_count))
            return false;
    }
    return true;
}

bool clrnn_doctor_blame_linear(struct clrnn_doctor *d)
{
    if (!d->only_linear)
        return false;
    clrnn_doctor_evidence(d, "; no layer is nonlinear: whatever their number, they are one linear model");
    clrnn_doctor_remedy(d,
                        "put a nonlinear layer between the others: `relu` or `tanh`, or `gru` for sequences");
    return true;
}

// The values that an activation can put out.
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

    clrnn_doctor_finding(d, CLRNN_FINDING_SOFTMAX_BEFORE_CROSS_ENTROPY, CLRNN_SEVERITY_ERROR);
    clrnn_doctor_where_layer(d, at);
    clrnn_doctor_evidence(
        d,
        "cross_entropy applies its own softmax; on top of this one its logits lie in [0, 1], so that even "
        "a perfect answer costs ln(1 + %u/e) = %.4f, and gradients shrink with the softmax's slope",
        K - 1, log1p((K - 1) * exp(-1.0)));
    clrnn_doctor_cost(d, "the loss never falls below %.4f; learning is slower or stops",
                      log1p((K - 1) * exp(-1.0)));
    clrnn_doctor_fix(d, FIX_REMOVE_LAYER, at, 0);
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
        clrnn_doctor_fix(d, FIX_REMOVE_LAYER, at, 0);
    } else if (kind == CLRNN_LAYER_LOG_SOFTMAX) {
        mismatch(d, at, CLRNN_SEVERITY_NOTE);
        clrnn_doctor_evidence(
            d,
            "cross_entropy applies its own log-softmax; the log-softmax of a log-softmax is the same again");
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
    if (kind == CLRNN_LAYER_LOG_SOFTMAX)
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
                        at < d->config->layer_count
                            ? "take the %s out and use `loss: cross_entropy`%s"
                            : "%s`loss: cross_entropy`, or a log_softmax as the last layer%s",
                        at < d->config->layer_count ? clrnn_layer_word(kind) : "", "");
    if (at < d->config->layer_count)
        clrnn_doctor_fix(d, FIX_REMOVE_LAYER, at, 0);
    clrnn_doctor_fix(d, FIX_LOSS_CROSS_ENTROPY, 0, 0);
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
            d,
            "bce_with_logits applies its own sigmoid; on top of this one probabilities lie in [0.5, 0.731]: "
            "0 is never answered, and a perfect answer costs 0.6931 for each 0 and 0.3133 for each 1");
    else if (isinf(high))
        clrnn_doctor_evidence(
            d, "bce_with_logits wants a logit of any size; behind a %s no probability is under %.2g",
            clrnn_layer_word(kind), 1 / (1 + exp(-low)));
    else if (kind == CLRNN_LAYER_SOFTMAX || kind == CLRNN_LAYER_LOG_SOFTMAX)
        clrnn_doctor_evidence(
            d,
            "bce_with_logits wants a logit of any size for each label by itself; a %s ties the labels together%s",
            clrnn_layer_word(kind),
            kind == CLRNN_LAYER_SOFTMAX ? ", and probabilities lie in [0.5, 0.731]"
                                        : ", and no probability is over 0.5");
    else
        clrnn_doctor_evidence(
            d, "bce_with_logits wants a logit of any size; behind a tanh probabilities lie in [0.27, 0.73]");
    clrnn_doctor_cost(d, "the loss cannot fall to 0");
    clrnn_doctor_remedy(d, "take the %s out of model.layers", clrnn_layer_word(kind));
    clrnn_doctor_fix(d, FIX_REMOVE_LAYER, at, 0);
}

// Targets outside of the last activation's range.
static void check_mse(struct clrnn_doctor *d, size_t at, enum clrnn_layer_kind kind)
{
    const struct clrnn_scan *s = &d->train_scan;
    const double slack = 0.05 * s->y_std;
    double low, high;

    if (at >= d->config->layer_count)
        return;
    range_of(&d->config->layer[at], &low, &high);
    if (s->y_least >= low - slack && s->y_most <= high + slack)
        return;
    mismatch(d, at, CLRNN_SEVERITY_WARNING);
    clrnn_doctor_evidence(d, "targets lie in [%.4g, %.4g], but a %s puts out [%g, %g]", s->y_least, s->y_most,
                          clrnn_layer_word(kind), low, high);
    clrnn_doctor_cost(d, "targets outside are never reached, and pull units to their ends");
    clrnn_doctor_remedy(d, "take the %s out of model.layers, or scale the targets", clrnn_layer_word(kind));
    clrnn_doctor_fix(d, FIX_REMOVE_LAYER, at, 0);
}

// A softmax over one number.
static void softmax_of_one(struct clrnn_doctor *d, size_t at)
{
    const char *word = clrnn_layer_word(d->config->layer[at].kind);

    mismatch(d, at, CLRNN_SEVERITY_ERROR);
    clrnn_doctor_evidence(d, "a %s over one output is %d whatever the weights are: the loss is a constant",
                          word, d->config->layer[at].kind == CLRNN_LAYER_SOFTMAX);
    clrnn_doctor_cost(d, "no parameter gets a gradient");
    clrnn_doctor_remedy(d, "take the %s out of model.layers", word);
    clrnn_doctor_fix(d, FIX_REMOVE_LAYER, at, 0);
}

static void check_loss(struct clrnn_doctor *d)
{
    const size_t at = last_activation(d->config);
    const enum clrnn_layer_kind kind =
        at < d->config->layer_count ? d->config->layer[at].kind : CLRNN_LAYER_LINEAR;

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
    default:
        check_mse(d, at, kind);
        break;
    }
}

// ---------------------------------------------------------------- layer by layer

static bool is_affine_norm(const struct clrnn_layer *layer)
{
    return (layer->kind == CLRNN_LAYER_BATCHNORM || layer->kind == CLRNN_LAYER_LAYERNORM) && layer->affine;
}

static void check_round(struct clrnn_doctor *d, size_t at)
{
    size_t below = 0;

    for (size_t i = 0; i < at; i++)
        below += clrnn_layer_has_weights(&d->config->layer[i]) || is_affine_norm(&d->config->layer[i]);
    if (!below)
        return;
    d->gradient_blocked = true;
    clrnn_doctor_finding(d, CLRNN_FINDING_NON_DIFFERENTIABLE_OP, CLRNN_SEVERITY_ERROR);
    clrnn_doctor_where_layer(d, at);
    clrnn_doctor_evidence(
        d,
        "round() is flat between its steps: its gradient is 0 everywhere, and the %zu layer%s with "
        "weights below it get%s none",
        below, below == 1 ? "" : "s", below == 1 ? "s" : "");
    clrnn_doctor_fix(d, FIX_REMOVE_LAYER, at, 0);
}

static void check_recurrent(struct clrnn_doctor *d, size_t at)
{
    const struct clrnn_layer *l = &d->config->layer[at];
    const uint32_t T = clrnn_layers_steps(d->config, at, d->T);
    const bool by_lengths = T > 1 && d->train_scan.longest == 1;
    const double ends = 0.05;

    if (T == 1 || by_lengths) {
        const bool from_data = d->T == 1;

        clrnn_doctor_finding(d, CLRNN_FINDING_SINGLE_TIME_STEP, CLRNN_SEVERITY_WARNING);
        clrnn_doctor_where_layer(d, at);
        clrnn_doctor_evidence(
            d,
            "%s: with T = 1 and h0 = 0 the layer never recurs; the gradient of its %u weight_hh is exactly 0",
            by_lengths  ? "data.train.lengths gives every row one step that counts"
            : from_data ? "X has one time step"
                        : "the pool before it leaves one step",
            l->num_layers * (l->bidirectional ? 2 : 1));
        if (by_lengths)
            clrnn_doctor_remedy(d, "correct the lengths: the number of each row's steps, up to T = %u", d->T);
        else if (from_data && d->train_scan.info->C == 1)
            clrnn_doctor_remedy(
                d, "give each sample more steps, X as (N, T, 1): of a series s and T = 32 "
                   "X[i] = s[i:i + 32] with y[i] = s[i + 32]; or use `linear` with `tanh` instead");
        else if (from_data)
            clrnn_doctor_remedy(
                d,
                "fold the C = %u features into time steps, X as (N, T, C / T) (for CSV: `steps: T`), or use "
                "`linear` with `tanh` instead",
                d->train_scan.info->C);
        else
            clrnn_doctor_remedy(d, "put the layer before the pool, or use `linear` instead");
    }
    if (l->kind == CLRNN_LAYER_RNN && T >= clrnn_threshold.long_sequence) {
        clrnn_doctor_finding(d, CLRNN_FINDING_SEQUENCE_TOO_LONG, CLRNN_SEVERITY_WARNING);
        clrnn_doctor_where_layer(d, at);
        clrnn_doctor_evidence(
            d,
            "a plain rnn runs over T = %u steps; a gradient that shrinks by 5%% a step reaches "
            "the first with "
            "%.1e of its size, one that grows by 5%% with %.1e",
            T, pow(1 - ends, T), pow(1 + ends, T));
    }
    if (l->dropout > 0 && l->num_layers == 1) {
        clrnn_doctor_finding(d, CLRNN_FINDING_DROPOUT_ONE_LAYER, CLRNN_SEVERITY_NOTE);
        clrnn_doctor_where_layer(d, at);
        clrnn_doctor_evidence(d, "dropout: %g stands between the layers of a stack, but num_layers is 1",
                              l->dropout);
        clrnn_doctor_remedy(d, "take the argument out, or put `- dropout: {p: %g}` after the layer",
                            l->dropout);
        clrnn_doctor_fix(d, FIX_LAYER_DROPOUT, at, 0);
    }
    if (l->dropout >= clrnn_threshold.dropout_p && l->num_layers > 1) {
        clrnn_doctor_finding(d, CLRNN_FINDING_DROPOUT_TOO_HIGH, CLRNN_SEVERITY_WARNING);
        clrnn_doctor_where_layer(d, at);
        clrnn_doctor_evidence(d, "dropout: %g leaves on average %.1f of %u units between the layers",
                              l->dropout, (1 - l->dropout) * l->hidden_size * (l->bidirectional ? 2 : 1),
                              l->hidden_size * (l->bidirectional ? 2 : 1));
        clrnn_doctor_remedy(d, "model.layers.%zu.%s.dropout=0.3", at, clrnn_layer_word(l->kind));
        clrnn_doctor_fix(d, FIX_LAYER_DROPOUT, at, 0.3);
    }
}

static void check_dropout(struct clrnn_doctor *d, size_t at)
{
    const struct clrnn_config *c = d->config;
    const double p = c->layer[at].p;
    size_t next = at + 1;

    if (p >= clrnn_threshold.dropout_p) {
        const uint32_t width = clrnn_layers_width(c, at, d->train_scan.C, 0);

        clrnn_doctor_finding(d, CLRNN_FINDING_DROPOUT_TOO_HIGH, CLRNN_SEVERITY_WARNING);
        clrnn_doctor_where_layer(d, at);
        clrnn_doctor_evidence(d, "p: %g leaves on average %.1f of %u features", p, (1 - p) * width, width);
        clrnn_doctor_remedy(d, "model.layers.%zu.dropout.p=0.5 or less", at);
        clrnn_doctor_fix(d, FIX_LAYER_P, at, 0.5);
    }
    // elementwise layers pass the changed variance on; so does a linear layer, to a batchnorm after it, but
    // that stack is common and learns
    while (next < c->layer_count &&
           (clrnn_layer_is_activation(&c->layer[next]) || c->layer[next].kind == CLRNN_LAYER_POOL))
        next++;
    if (p <= 0 || next >= c->layer_count || c->layer[next].kind != CLRNN_LAYER_BATCHNORM)
        return;
    clrnn_doctor_finding(d, CLRNN_FINDING_DROPOUT_BEFORE_BATCHNORM, CLRNN_SEVERITY_WARNING);
    clrnn_doctor_where_layer(d, at);
    clrnn_doctor_evidence(
        d,
        "dropout %g multiplies the variance that the batchnorm at layers[%zu] learns by up to %.2g; in eval "
        "mode there is no dropout, and the running variance is wrong",
        p, next, 1 / fmax(1 - p, 1e-3));
    if (next == at + 1)
        clrnn_doctor_fix(d, FIX_SWAP_LAYERS, at, 0);
}

static void check_momentum(struct clrnn_doctor *d, size_t at)
{
    const struct clrnn_layer *l = &d->config->layer[at];
    const double steps = (double)d->batches * MAX2(d->config->train.epochs, 1u);
    const bool high = l->momentum >= clrnn_threshold.momentum_high, low = l->momentum * steps < 1;

    if (!l->track_running_stats || l->cumulative || (!high && !low))
        return;
    clrnn_doctor_finding(d, CLRNN_FINDING_BATCHNORM_MOMENTUM, CLRNN_SEVERITY_WARNING);
    clrnn_doctor_where_layer(d, at);
    if (high)
        clrnn_doctor_evidence(
            d,
            "momentum %g: new running statistics are %g of the old ones and %g of the newest batch; "
            "frameworks that count the old ones' share write %g for this layer's 0.1",
            l->momentum, 1 - l->momentum, l->momentum, 0.9);
    else
        clrnn_doctor_evidence(
            d,
            "momentum %g over %.0f steps: the running statistics keep %.0f%% of the mean 0 and "
            "variance 1 that they were made with",
            l->momentum, steps, 100 * pow(1 - l->momentum, steps));
    clrnn_doctor_cost(d, high ? "eval mode normalises by the last few rows alone: validation jumps"
                              : "eval mode is another function than train mode");
    clrnn_doctor_remedy(d, "model.layers.%zu.batchnorm.momentum=0.1", at);
    clrnn_doctor_fix(d, FIX_BATCHNORM, at, 0);
}

static void check_batchnorm(struct clrnn_doctor *d, size_t at)
{
    const struct clrnn_config *c = d->config;
    const uint32_t S = d->train_scan.info->S, B = c->train.batch_size,
                   T = clrnn_layers_steps(d->config, at, d->T);
    const uint32_t rest = c->train.drop_last || B == 0 ? 0 : S % B;
    uint32_t larger = MIN2(32u, S);
    size_t below = at;

    while (larger > 2 && S % larger == 1)
        larger--;
    while (below > 0 && c->layer[below - 1].kind == CLRNN_LAYER_POOL)
        below--;
    if (below > 0 && c->layer[below - 1].kind == CLRNN_LAYER_LINEAR && c->layer[below - 1].bias) {
        clrnn_doctor_finding(d, CLRNN_FINDING_DEAD_BIAS, CLRNN_SEVERITY_NOTE);
        clrnn_doctor_where_layer(d, below - 1);
        clrnn_doctor_evidence(
            d, "its %u biases are taken out again with the mean by the batchnorm at layers[%zu]",
            c->layer[below - 1].out_features, at);
        clrnn_doctor_remedy(d, "model.layers.%zu.linear.bias=false", below - 1);
    }
    check_momentum(d, at);
    if (T > 1 || (B != 1 && rest != 1))
        return;
    clrnn_doctor_finding(d, CLRNN_FINDING_BATCH_OF_ONE_BATCHNORM, CLRNN_SEVERITY_ERROR);
    clrnn_doctor_where_layer(d, at);
    if (B == 1) {
        clrnn_doctor_evidence(d, "batch_size is 1 and the layer sees one step: the batch's variance is 0");
        clrnn_doctor_cost(d,
                          "every output is the layer's bias, whatever the input; PyTorch refuses to train");
        clrnn_doctor_remedy(d, "train.batch_size=%u, or layernorm instead", larger);
        clrnn_doctor_fix(d, FIX_BATCH_SIZE, 0, larger);
        return;
    }
    clrnn_doctor_evidence(d, "%u samples in batches of %u leave a last batch of 1, whose variance is 0", S,
                          B);
    clrnn_doctor_fix(d, FIX_DROP_LAST, 0, 1);
}

// A bidirectional layer whose reverse direction is read after only one step.
static void check_pool(struct clrnn_doctor *d, size_t at)
{
    const struct clrnn_config *c = d->config;
    size_t from = at;

    if (c->layer[at].over != CLRNN_POOL_LAST || d->T == 1)
        return;
    while (from > 0 && !clrnn_layer_is_recurrent(&c->layer[from - 1]))
        from--;
    if (!from-- || !c->layer[from].bidirectional)
        return;
    clrnn_doctor_finding(d, CLRNN_FINDING_POOL_IGNORES_SEQUENCE, CLRNN_SEVERITY_WARNING);
    clrnn_doctor_where_layer(d, at);
    clrnn_doctor_evidence(
        d,
        "`over: last` takes step %u of %u; there the reverse direction of layers[%zu] has read one step, and "
        "its weight_hh_l%u_reverse gets gradient 0",
        d->T, d->T, from, c->layer[from].num_layers - 1);
    clrnn_doctor_cost(d, "half of the layer, %u units, knows the last step alone",
                      c->layer[from].hidden_size);
    clrnn_doctor_remedy(
        d,
        from + 1 == at ? "model.layers.%zu.pool.over=final (h_n: both directions after all they read)"
                       : "use `over: mean` or `over: max` in layers[%zu], or `over: final` directly after "
                         "the recurrent layer",
        at);
    if (from + 1 == at)
        clrnn_doctor_fix(d, FIX_POOL_FINAL, at, 0);
}

void clrnn_doctor_check_layers(struct clrnn_doctor *d)
{
    check_loss(d);
    for (size_t i = 0; i < d->config->layer_count; i++) {
        switch (d->config->layer[i].kind) {
        case CLRNN_LAYER_ROUND:
            check_round(d, i);
            break;
        case CLRNN_LAYER_DROPOUT:
            check_dropout(d, i);
            break;
        case CLRNN_LAYER_BATCHNORM:
            check_batchnorm(d, i);
            break;
        case CLRNN_LAYER_POOL:
            check_pool(d, i);
            break;
        default:
            if (clrnn_layer_is_recurrent(&d->config->layer[i]))
                check_recurrent(d, i);
        }
    }
}
