// SPDX-License-Identifier: MIT
// Stage 1: checks the options of each layer, given the sizes of the data.
#include <math.h>

#include "base/array.h"
#include "diagnose/doctor/doctor.h"
#include "model/nest.h"
#include "model/network.h"

static bool is_affine_norm(const struct clrnn_layer *layer)
{
    return (layer->kind == CLRNN_LAYER_BATCHNORM || layer->kind == CLRNN_LAYER_LAYERNORM) && layer->affine;
}

// Counts the layers with weights whose only path to the loss leads through layer `at`. If a residual, or a concat of
// several branches, contains `at`, the layers before that block have another path and are not counted.
static size_t weights_below(const struct clrnn_config *c, size_t at)
{
    size_t count = 0;

    for (size_t i = at, parent = at; parent != SIZE_MAX; i = parent) {
        for (size_t k = clrnn_layer_before(c, i); k != SIZE_MAX; k = clrnn_layer_before(c, k))
            for (size_t inside = k; inside < clrnn_layer_end(c, k); inside++)
                count += clrnn_layer_has_weights(&c->layer[inside]) || is_affine_norm(&c->layer[inside]);
        parent = clrnn_layer_parent(c, i);
        if (parent != SIZE_MAX && c->layer[parent].branches != 1)
            break;
    }
    return count;
}

static void check_round(struct clrnn_doctor *d, size_t at)
{
    const size_t below = weights_below(d->config, at);

    if (!below)
        return;
    d->gradient_blocked = true;
    clrnn_doctor_layer_finding(d, at, CLRNN_FINDING_NON_DIFFERENTIABLE_OP, CLRNN_SEVERITY_ERROR);
    clrnn_doctor_evidence(d,
                          "round() is flat between its steps: its gradient is 0 everywhere, and the %zu layer%s with "
                          "weights below it get%s none",
                          below, below == 1 ? "" : "s", below == 1 ? "s" : "");
    clrnn_doctor_remove_layer(d, at);
}

// Reports that dropout in a recurrent layer leaves few of its units. p: the probability, set by the config key `key`,
// of dropping a unit. `units`: number of units. `what`: text that says which units.
static void dropout_too_high(struct clrnn_doctor *d, size_t at, const char *key, double p, uint32_t units,
                             const char *what)
{
    const char *layer = clrnn_layer_word(d->config->layer[at].kind);
    char entry[CLRNN_ENTRY_SIZE];

    clrnn_doctor_layer_finding(d, at, CLRNN_FINDING_DROPOUT_TOO_HIGH, CLRNN_SEVERITY_WARNING);
    clrnn_doctor_evidence(d, "%s: %g leaves on average %.1f of %u %s", key, p, (1 - p) * units, units, what);
    clrnn_doctor_remedy(d, "%s.%s.%s=0.3", clrnn_layer_entry(d->config, at, entry), layer, key);
    clrnn_doctor_set(d, "%s.%s.%s=0.3", entry, layer, key);
}

// Reports a plain rnn whose gradient runs back over many steps: all steps of the longest row, or of a piece of it.
static void check_length(struct clrnn_doctor *d, size_t at)
{
    const uint32_t T = clrnn_layers_steps(d->config, at, d->T), bptt = d->config->train.bptt;
    const uint32_t longest = MIN2(T, clrnn_layers_steps(d->config, at, d->train_scan.longest));
    const uint32_t steps = bptt ? MIN2(longest, bptt) : longest;
    const double ends = 0.05;

    if (d->config->layer[at].kind != CLRNN_LAYER_RNN || steps < clrnn_threshold.long_sequence)
        return;
    clrnn_doctor_layer_finding(d, at, CLRNN_FINDING_SEQUENCE_TOO_LONG, CLRNN_SEVERITY_WARNING);
    clrnn_doctor_evidence(d,
                          "a plain rnn runs over %s%u steps; a gradient that shrinks by 5%% a step reaches the first "
                          "with %.1e of its size, one that grows by 5%% with %.1e",
                          steps < longest ? "pieces (train.bptt) of "
                          : steps < T     ? "up to "
                                          : "T = ",
                          steps, pow(1 - ends, steps), pow(1 + ends, steps));
}

static void check_recurrent(struct clrnn_doctor *d, size_t at)
{
    const struct clrnn_layer *l = &d->config->layer[at];
    const uint32_t T = clrnn_layers_steps(d->config, at, d->T);
    const bool by_lengths = T > 1 && d->train_scan.longest == 1;

    if (T == 1 || by_lengths) {
        const bool from_data = d->T == 1;

        clrnn_doctor_layer_finding(d, at, CLRNN_FINDING_SINGLE_TIME_STEP, CLRNN_SEVERITY_WARNING);
        clrnn_doctor_evidence(
            d, "%s: with T = 1 and h0 = 0 the layer never recurs; the gradient of its %u weight_hh is exactly 0",
            by_lengths  ? "data.train.lengths gives every row one step that counts"
            : from_data ? "X has one time step"
                        : "the layers before it leave one step",
            l->num_layers * (l->bidirectional ? 2 : 1));
        if (by_lengths)
            clrnn_doctor_remedy(d, "correct the lengths: the number of each row's steps, up to T = %u", d->T);
        else if (from_data && d->train_scan.info->tokens)
            clrnn_doctor_remedy(d, "give each sample more tokens, X as (N, T), or use `linear` with `tanh` instead");
        else if (from_data && d->train_scan.info->C == 1)
            clrnn_doctor_remedy(d, "give each sample more steps, X as (N, T, 1): of a series s and T = 32 "
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
    check_length(d, at);
    if (l->dropout > 0 && l->num_layers == 1) {
        clrnn_doctor_layer_finding(d, at, CLRNN_FINDING_DROPOUT_ONE_LAYER, CLRNN_SEVERITY_NOTE);
        clrnn_doctor_evidence(d, "dropout: %g stands between the layers of a stack, but num_layers is 1", l->dropout);
        clrnn_doctor_remedy(d, "take the argument out, or put `- dropout: {p: %g}` after the layer", l->dropout);
        clrnn_doctor_set_layer(d, at, "dropout=0.0");
    }
    if (l->dropout >= clrnn_threshold.dropout_p && l->num_layers > 1)
        dropout_too_high(d, at, "dropout", l->dropout, clrnn_layer_state(l) * (l->bidirectional ? 2 : 1),
                         "units between the layers");
    if (l->recurrent_dropout >= clrnn_threshold.dropout_p)
        dropout_too_high(d, at, "recurrent_dropout", l->recurrent_dropout, clrnn_layer_state(l),
                         "units of the hidden state, the same ones in all steps");
}

static void check_dropout(struct clrnn_doctor *d, size_t at)
{
    const struct clrnn_config *c = d->config;
    const double p = c->layer[at].p;
    const size_t after = clrnn_layer_after(c, at);
    char entry[CLRNN_ENTRY_SIZE], path[CLRNN_ENTRY_SIZE];
    size_t next = after;

    if (p >= clrnn_threshold.dropout_p) {
        const uint32_t width = clrnn_layers_width(c, at, d->train_scan.C, d->T);

        clrnn_doctor_layer_finding(d, at, CLRNN_FINDING_DROPOUT_TOO_HIGH, CLRNN_SEVERITY_WARNING);
        clrnn_doctor_evidence(d, "p: %g leaves on average %.1f of %u features", p, (1 - p) * width, width);
        clrnn_doctor_remedy(d, "%s.dropout.p=0.5 or less", clrnn_layer_entry(c, at, entry));
        clrnn_doctor_set_layer(d, at, "p=0.5");
    }
    // Dropout changes the variance. Activations and pools pass the change on to a batchnorm, so they are skipped here.
    // A linear layer passes it on as well, but the sequence dropout, linear, batchnorm is common and learns.
    while (next != SIZE_MAX && (clrnn_layer_is_activation(&c->layer[next]) || c->layer[next].kind == CLRNN_LAYER_POOL))
        next = clrnn_layer_after(c, next);
    if (p <= 0 || next == SIZE_MAX || c->layer[next].kind != CLRNN_LAYER_BATCHNORM)
        return;
    clrnn_doctor_layer_finding(d, at, CLRNN_FINDING_DROPOUT_BEFORE_BATCHNORM, CLRNN_SEVERITY_WARNING);
    clrnn_doctor_evidence(
        d,
        "dropout %g multiplies the variance that the batchnorm at layers[%s] learns by up to %.2g; in eval "
        "mode there is no dropout, and the running variance is wrong",
        p, clrnn_layer_path(c, next, path, sizeof(path)), 1 / fmax(1 - p, 1e-3));
    if (next == after)
        clrnn_doctor_set(d, "exchange %s (dropout) and %s", clrnn_layer_entry(c, at, entry),
                         clrnn_layer_entry(c, after, path));
}

static void check_momentum(struct clrnn_doctor *d, size_t at)
{
    const struct clrnn_layer *l = &d->config->layer[at];
    const double steps = (double)d->batches * MAX2(d->config->train.epochs, 1u);
    const bool high = l->momentum >= clrnn_threshold.momentum_high, low = l->momentum * steps < 1;
    char entry[CLRNN_ENTRY_SIZE];

    if (!l->track_running_stats || l->cumulative || (!high && !low))
        return;
    clrnn_doctor_layer_finding(d, at, CLRNN_FINDING_BATCHNORM_MOMENTUM, CLRNN_SEVERITY_WARNING);
    if (high)
        clrnn_doctor_evidence(d,
                              "momentum %g: new running statistics are %g of the old ones and %g of the newest batch; "
                              "frameworks that count the old ones' share write %g for this layer's 0.1",
                              l->momentum, 1 - l->momentum, l->momentum, 0.9);
    else
        clrnn_doctor_evidence(d,
                              "momentum %g over %.0f steps: the running statistics keep %.0f%% of the mean 0 and "
                              "variance 1 that they were made with",
                              l->momentum, steps, 100 * pow(1 - l->momentum, steps));
    clrnn_doctor_cost(d, high ? "eval mode normalises by the last few rows alone: validation jumps"
                              : "eval mode is another function than train mode");
    clrnn_doctor_remedy(d, "%s.batchnorm.momentum=0.1", clrnn_layer_entry(d->config, at, entry));
    clrnn_doctor_set_layer(d, at, "track_running_stats=true");
    clrnn_doctor_set_layer(d, at, "momentum=0.1");
}

static void check_batchnorm(struct clrnn_doctor *d, size_t at)
{
    const struct clrnn_config *c = d->config;
    const uint32_t S = d->train_scan.info->S, B = c->train.batch_size, T = clrnn_layers_steps(d->config, at, d->T);
    const uint32_t rest = c->train.drop_last || B == 0 ? 0 : S % B;
    uint32_t larger = MIN2(32u, S);
    size_t below = clrnn_layer_before(c, at);
    char text[CLRNN_ENTRY_SIZE];

    while (larger > 2 && S % larger == 1)
        larger--;
    while (below != SIZE_MAX && c->layer[below].kind == CLRNN_LAYER_POOL)
        below = clrnn_layer_before(c, below);
    if (below != SIZE_MAX && c->layer[below].kind == CLRNN_LAYER_LINEAR && c->layer[below].bias) {
        clrnn_doctor_layer_finding(d, below, CLRNN_FINDING_DEAD_BIAS, CLRNN_SEVERITY_NOTE);
        clrnn_doctor_evidence(d, "its %u biases are taken out again with the mean by the batchnorm at layers[%s]",
                              c->layer[below].out_features, clrnn_layer_path(c, at, text, sizeof(text)));
        clrnn_doctor_remedy(d, "%s.linear.bias=false", clrnn_layer_entry(c, below, text));
    }
    check_momentum(d, at);
    if (T > 1 || (B != 1 && rest != 1))
        return;
    clrnn_doctor_layer_finding(d, at, CLRNN_FINDING_BATCH_OF_ONE_BATCHNORM, CLRNN_SEVERITY_ERROR);
    if (B == 1) {
        clrnn_doctor_evidence(d, "batch_size is 1 and the layer sees one step: the batch's variance is 0");
        clrnn_doctor_cost(d, "every output is the layer's bias, whatever the input; PyTorch refuses to train");
        clrnn_doctor_remedy(d, "train.batch_size=%u, or layernorm instead", larger);
        clrnn_doctor_set(d, "train.batch_size=%u", larger);
        return;
    }
    clrnn_doctor_evidence(d, "%u samples in batches of %u leave a last batch of 1, whose variance is 0", S, B);
    clrnn_doctor_set(d, "train.drop_last=true");
}

// Whether each output step of the layer is made from the same step of its input.
static bool keeps_steps(const struct clrnn_layer *layer)
{
    const struct clrnn_windows w = clrnn_layer_windows(layer);

    if (clrnn_layer_is_recurrent(layer) || clrnn_layer_nests(layer))
        return false;
    return !clrnn_layer_has_windows(layer) || (w.kernel == 1 && w.stride == 1 && !w.all_padding);
}

// Reports a pool over the last step, where a bidirectional layer's reverse direction has read one step only.
static void check_pool(struct clrnn_doctor *d, size_t at)
{
    const struct clrnn_config *c = d->config;
    const size_t before = clrnn_layer_before(c, at);
    const uint32_t T = clrnn_layers_steps(c, at, d->T);
    char path[CLRNN_ENTRY_SIZE];
    size_t from = before;

    if (c->layer[at].over != CLRNN_POOL_LAST || T == 1)
        return;
    while (from != SIZE_MAX && keeps_steps(&c->layer[from]))
        from = clrnn_layer_before(c, from);
    if (from == SIZE_MAX || !clrnn_layer_is_recurrent(&c->layer[from]) || !c->layer[from].bidirectional)
        return;
    clrnn_doctor_layer_finding(d, at, CLRNN_FINDING_POOL_IGNORES_SEQUENCE, CLRNN_SEVERITY_WARNING);
    clrnn_doctor_evidence(
        d,
        "`over: last` takes step %u of %u; there the reverse direction of layers[%s] has read one step, and "
        "its weight_hh_l%u_reverse gets gradient 0",
        T, T, clrnn_layer_path(c, from, path, sizeof(path)), c->layer[from].num_layers - 1);
    clrnn_doctor_cost(d, "half of the layer, %u units, knows the last step alone", c->layer[from].hidden_size);
    if (from != before) {
        clrnn_doctor_remedy(d,
                            "use `over: mean` or `over: max` in layers[%s], or `over: final` directly after the "
                            "recurrent layer",
                            clrnn_layer_path(c, at, path, sizeof(path)));
        return;
    }
    clrnn_doctor_remedy(d, "%s.pool.over=final (h_n: both directions after all they read)",
                        clrnn_layer_entry(c, at, path));
    clrnn_doctor_set_layer(d, at, "over=final");
}

void clrnn_doctor_check_layers(struct clrnn_doctor *d)
{
    static void (*const checks[CLRNN_LAYER_KINDS])(struct clrnn_doctor *, size_t) = {
        [CLRNN_LAYER_RNN] = check_recurrent,   [CLRNN_LAYER_LSTM] = check_recurrent,
        [CLRNN_LAYER_GRU] = check_recurrent,   [CLRNN_LAYER_ROUND] = check_round,
        [CLRNN_LAYER_DROPOUT] = check_dropout, [CLRNN_LAYER_BATCHNORM] = check_batchnorm,
        [CLRNN_LAYER_POOL] = check_pool,
    };

    clrnn_doctor_check_loss(d);
    clrnn_doctor_check_blocks(d);
    for (size_t i = 0; i < d->config->layer_count; i++)
        if (checks[d->config->layer[i].kind])
            checks[d->config->layer[i].kind](d, i);
}
