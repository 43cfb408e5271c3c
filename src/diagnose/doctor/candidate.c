// SPDX-License-Identifier: MIT
// Makes candidate remedies, which the doctor tries for findings that offer no change of their own: another lr, scaled
// inputs, clipping, wider layers, gated layers and others.
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/array.h"
#include "base/file.h"
#include "base/log.h"
#include "base/text.h"
#include "base/words.h"
#include "diagnose/doctor/trial.h"
#include "model/nest.h"
#include "model/schedule.h"

#define CLIP_LEAST 0.1 // a smaller clip_grad_norm is unusual: 1 to 10 is common
#define BATCH 32u
#define WIDE 16u // minimum number of units of a widened layer

enum kind {
    NONE,
    NORMALIZE,
    NORMALIZE_TARGETS,
    CLIP,
    CLIP_USUAL,
    SMALLER_BATCH,
    LR_USUAL,
    LR_UP,
    LR_UP_MORE,
    LR_DOWN,
    LR_DOWN_MORE,
    NO_DECAY,
    NO_INIT,
    GATED,
    MEAN,
    TANH,
    NO_LAST_RELU,
    WIDER,
    BALANCED
};

// Finding ids, each with its changes in the order in which they are tried.
static const struct row {
    const char *id;
    enum kind kind[11];
} rows[] = {
    {"loss-not-finite", {CLIP, LR_DOWN, NORMALIZE}},
    {"exploding-gradient", {NO_INIT, CLIP, LR_DOWN}},
    {"update-too-large", {LR_DOWN, LR_DOWN_MORE}},
    {"update-too-small", {CLIP_USUAL, LR_UP, LR_UP_MORE, LR_USUAL}},
    {"loss-oscillates", {LR_DOWN, LR_DOWN_MORE}},
    {"initial-loss-off", {NO_INIT, NORMALIZE_TARGETS, NORMALIZE}},
    {"unscaled-target", {NORMALIZE_TARGETS}},
    {"saturated-units", {NO_INIT, NORMALIZE, LR_DOWN}},
    {"dead-units", {NO_INIT, NO_LAST_RELU, NORMALIZE, LR_DOWN, TANH}},
    {"zero-gradient", {NO_INIT, NO_LAST_RELU, TANH}},
    {"vanishing-gradient", {NO_INIT, GATED, TANH, MEAN, LR_UP}},
    {"sequence-too-long", {GATED, CLIP, MEAN}},
    {"pool-ignores-sequence", {MEAN}},
    {"class-imbalance", {BALANCED}},
    {"majority-class-only", {BALANCED, LR_UP}},
    {"cannot-overfit-one-batch", {NO_INIT, NORMALIZE_TARGETS, NORMALIZE, LR_UP, LR_DOWN, LR_USUAL, NO_DECAY, WIDER}},
    {"loss-flat",
     {SMALLER_BATCH, NO_INIT, NORMALIZE_TARGETS, NORMALIZE, LR_UP, LR_DOWN, LR_USUAL, NO_DECAY, GATED, WIDER}},
    {"ctc-blank-only", {SMALLER_BATCH, LR_UP, NORMALIZE, CLIP, LR_DOWN, LR_USUAL, NO_DECAY, WIDER}},
    {"inputs-ignored", {SMALLER_BATCH, NORMALIZE_TARGETS, NORMALIZE, LR_UP, LR_DOWN, LR_USUAL, NO_DECAY, WIDER}},
    {"worse-than-linear", {SMALLER_BATCH, NORMALIZE_TARGETS, NORMALIZE, LR_UP, LR_DOWN, LR_USUAL, NO_DECAY, WIDER}},
    {"underfitting", {SMALLER_BATCH, NO_DECAY, NORMALIZE_TARGETS, NORMALIZE, LR_UP, LR_DOWN, LR_USUAL, GATED, WIDER}},
};

static char *other_lr(const struct clrnn_config *c, double factor)
{
    const struct clrnn_train_config *t = &c->train;
    char number[CLRNN_NUMBER_SIZE], key[CLRNN_LR_KEY_SIZE];

    // nine digits, so that 0.0001 times 10 becomes 0.001, not 0.001000...02
    snprintf(number, sizeof(number), "%.9g", clrnn_schedule_peak(t) * factor);
    return clrnn_format("%s=%s", clrnn_schedule_peak_key(t, key), number);
}

// Calls `line` for each layer and joins the change lines that it returns ("": no change). Returns NULL if memory runs
// out.
static char *of_layers(const struct clrnn_config *c, char *(*line)(const struct clrnn_config *, size_t))
{
    char *text = clrnn_format("%s", "");

    for (size_t i = 0; i < c->layer_count && text; i++) {
        char *more = line(c, i), *longer;

        if (!more) {
            free(text);
            return NULL;
        }
        longer = *more ? clrnn_format("%s%s%s", text, *text ? "\n" : "", more) : strdup(text);
        free(more);
        free(text);
        text = longer;
    }
    return text;
}

static bool weights_above(const struct clrnn_config *c, size_t at)
{
    for (size_t i = at + 1; i < c->layer_count; i++)
        if (clrnn_layer_has_weights(&c->layer[i]))
            return true;
    return false;
}

// Returns the entry "name: 'NAME', " of a YAML map, or "" if the layer has no name.
static char *name_entry(const struct clrnn_layer *l)
{
    char *name, *text = NULL;
    FILE *stream;
    size_t size;

    if (!l->name)
        return clrnn_format("%s", "");
    name = clrnn_text_escape(l->name, CLRNN_TEXT_STORED);
    stream = name ? clrnn_text_open(&text, &size) : NULL;
    if (stream) {
        fputs("name: '", stream);
        for (const char *c = name; *c; c++)
            fputs(*c == '\'' ? "''" : (const char[]){*c, '\0'}, stream); // YAML doubles an apostrophe in apostrophes
        fputs("', ", stream);
        clrnn_text_close(stream, &text);
    }
    free(name);
    return text;
}

// Replaces a plain rnn by a gru of the same size.
static char *gated(const struct clrnn_config *c, size_t at)
{
    const struct clrnn_layer *l = &c->layer[at];
    char entry[CLRNN_ENTRY_SIZE], *name, *text;

    if (l->kind != CLRNN_LAYER_RNN)
        return clrnn_format("%s", "");
    name = name_entry(l);
    text = name ? clrnn_format("%s={gru: {%shidden_size: %u, num_layers: %u, bidirectional: %s, dropout: %g, bias: %s, "
                               "recurrent_dropout: %g, layer_norm: %s}}",
                               clrnn_layer_entry(c, at, entry), name, l->hidden_size, l->num_layers,
                               l->bidirectional ? "true" : "false", l->dropout, l->bias ? "true" : "false",
                               l->recurrent_dropout, l->layer_norm ? "true" : "false")
                : NULL;
    free(name);
    return text;
}

// Replaces relu or sigmoid, whose units may be dead or saturated, by tanh.
static char *as_tanh(const struct clrnn_config *c, size_t at)
{
    const struct clrnn_layer *l = &c->layer[at];
    char entry[CLRNN_ENTRY_SIZE];

    if (l->kind == CLRNN_LAYER_RNN && l->relu)
        return clrnn_format("%s.rnn.nonlinearity=tanh", clrnn_layer_entry(c, at, entry));
    if ((l->kind == CLRNN_LAYER_RELU || l->kind == CLRNN_LAYER_SIGMOID) && weights_above(c, at))
        return clrnn_format("%s=tanh", clrnn_layer_entry(c, at, entry));
    return clrnn_format("%s", "");
}

// Deletes a relu after the last layer with weights: if its output is 0 for all samples, no parameter has a gradient.
static char *no_last_relu(const struct clrnn_config *c, size_t at)
{
    char entry[CLRNN_ENTRY_SIZE];

    if (c->layer[at].kind != CLRNN_LAYER_RELU || weights_above(c, at))
        return clrnn_format("%s", "");
    return clrnn_format("delete %s (relu)", clrnn_layer_entry(c, at, entry));
}

static char *own_init(const struct clrnn_config *c, size_t at)
{
    char entry[CLRNN_ENTRY_SIZE];

    return c->layer[at].init.on
               ? clrnn_format("%s.%s.init=null", clrnn_layer_entry(c, at, entry), clrnn_layer_word(c->layer[at].kind))
               : clrnn_format("%s", "");
}

// Whether layer `at` may be widened. It may not if it sets the width of f(x) in a residual, since f(x) and x must have
// the same width. It also may not if a residual or concat reads its output, directly or through layers without weights.
static bool may_widen(const struct clrnn_config *c, size_t at)
{
    size_t next = at;

    do {
        size_t after = clrnn_layer_after(c, next);

        while (after == SIZE_MAX && clrnn_layer_parent(c, next) != SIZE_MAX) {
            next = clrnn_layer_parent(c, next);
            if (c->layer[next].kind == CLRNN_LAYER_RESIDUAL)
                return false;
            after = clrnn_layer_after(c, next);
        }
        next = after;
    } while (next != SIZE_MAX && !clrnn_layer_nests(&c->layer[next]) && !clrnn_layer_has_weights(&c->layer[next]));
    return next == SIZE_MAX || !clrnn_layer_nests(&c->layer[next]);
}

static char *wider(const struct clrnn_config *c, size_t at)
{
    const struct clrnn_layer *l = &c->layer[at];
    char entry[CLRNN_ENTRY_SIZE];

    if (!may_widen(c, at))
        return clrnn_format("%s", "");
    clrnn_layer_entry(c, at, entry);
    if (clrnn_layer_is_recurrent(l) && l->proj_size)
        return clrnn_format("%s.%s.hidden_size=%u\n%s.%s.proj_size=%u", entry, clrnn_layer_word(l->kind),
                            MAX2(2 * l->hidden_size, 2 * WIDE), entry, clrnn_layer_word(l->kind),
                            MAX2(2 * l->proj_size, WIDE));
    if (clrnn_layer_is_recurrent(l))
        return clrnn_format("%s.%s.hidden_size=%u", entry, clrnn_layer_word(l->kind), MAX2(2 * l->hidden_size, WIDE));
    if (l->kind == CLRNN_LAYER_LINEAR && weights_above(c, at))
        return clrnn_format("%s.linear.out_features=%u", entry, MAX2(2 * l->out_features, WIDE));
    return clrnn_format("%s", "");
}

static char *pool_mean(const struct clrnn_config *c, size_t at)
{
    char entry[CLRNN_ENTRY_SIZE];

    if (c->layer[at].kind != CLRNN_LAYER_POOL || c->layer[at].over == CLRNN_POOL_MEAN)
        return clrnn_format("%s", "");
    return clrnn_format("%s.pool.over=mean", clrnn_layer_entry(c, at, entry));
}

static char *balanced(const struct clrnn_loss_config *l)
{
    if (l->weight_count || clrnn_loss_is_regression(l->kind))
        return clrnn_format("%s", "");
    return clrnn_format("train.loss.%s.%s=balanced", clrnn_loss_word(l->kind),
                        l->kind == CLRNN_LOSS_BCE_WITH_LOGITS ? "pos_weight" : "weight");
}

static char *make(const struct clrnn_doctor *d, enum kind kind)
{
    // These changes are not offered with --init. The weights in its file would not fit the changed layers or, with
    // NO_INIT, would replace what a layer's init sets.
    static char *(*const other_shapes[])(const struct clrnn_config *, size_t) = {
        [NO_INIT] = own_init, [GATED] = gated, [NO_LAST_RELU] = no_last_relu, [WIDER] = wider};
    const struct clrnn_config *c = d->config;
    const double lr = clrnn_schedule_peak(&c->train);
    double usual;

    switch (kind) {
    case NORMALIZE:
        return clrnn_format("%s", c->data.standard || d->train_scan.info->tokens ? "" : "data.normalize=standard");
    case NORMALIZE_TARGETS:
        return clrnn_format("%s", c->data.standard_targets || !clrnn_loss_is_regression(c->train.loss.kind)
                                      ? ""
                                      : "data.normalize_targets=standard");
    case CLIP:
        return clrnn_format("%s", c->train.clip_grad_norm > 0 ? "" : "train.clip_grad_norm=1");
    case CLIP_USUAL: // replaces a clip_grad_norm so small that hardly any gradient is left
        return clrnn_format(
            "%s", c->train.clip_grad_norm > 0 && c->train.clip_grad_norm < CLIP_LEAST ? "train.clip_grad_norm=1" : "");
    case SMALLER_BATCH:
        return clrnn_format(
            "%s", d->asked.wanted < CLRNN_FEW_STEPS && c->train.batch_size > 2 * BATCH ? "train.batch_size=32" : "");
    case LR_USUAL: // only if far from the lrs that LR_UP and LR_DOWN try
        usual = c->train.optimizer.kind == CLRNN_OPTIMIZER_SGD ? 0.1 : 1e-3;
        return lr > 0 && (usual > 200 * lr || usual < lr / 20) ? other_lr(c, usual / lr) : clrnn_format("%s", "");
    case LR_UP:
        return other_lr(c, 10);
    case LR_UP_MORE:
        return other_lr(c, 100);
    case LR_DOWN:
        return other_lr(c, 0.1);
    case LR_DOWN_MORE:
        return other_lr(c, 0.01);
    case NO_DECAY:
        return c->train.optimizer.weight_decay > 0
                   ? clrnn_format("train.optimizer.%s.weight_decay=0", clrnn_optimizer_word(c->train.optimizer.kind))
                   : clrnn_format("%s", "");
    case MEAN:
        return of_layers(c, pool_mean);
    case TANH:
        return of_layers(c, as_tanh);
    case BALANCED:
        return balanced(&c->train.loss);
    default:
        return d->params->init ? clrnn_format("%s", "") : of_layers(c, other_shapes[kind]);
    }
}

enum clrnn_status clrnn_candidate(const struct clrnn_doctor *d, const char *id, size_t index, char **change)
{
    const struct row *row = NULL;

    *change = NULL;
    for (size_t i = 0; i < ARRAY_SIZE(rows) && !row; i++)
        row = !strcmp(rows[i].id, id) ? &rows[i] : NULL;
    if (!row || index >= ARRAY_SIZE(row->kind) || row->kind[index] == NONE)
        return CLRNN_OK;
    *change = make(d, row->kind[index]);
    return *change ? CLRNN_OK : clrnn_error_memory(d->log, 0, "a change to try");
}
