// SPDX-License-Identifier: MIT
// The doctor's sure remedies: as text to paste, and carried out on a copy of the config.
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/words.h"
#include "diagnose/doctor/doctor.h"

void clrnn_doctor_fix_text(const struct clrnn_config *config, const struct clrnn_doctor_fix *fix, char *text,
                           size_t size)
{
    const struct clrnn_train_config *t = &config->train;
    const char *scheduler = clrnn_scheduler_word(t->scheduler.kind);
    const char *layer =
        fix->layer < config->layer_count ? clrnn_layer_word(config->layer[fix->layer].kind) : "";
    char number[CLRNN_NUMBER_SIZE];

    clrnn_number_text(fix->value, number);
    switch (fix->kind) {
    case FIX_REMOVE_LAYER:
        snprintf(text, size, "delete model.layers.%zu (%s)", fix->layer, layer);
        break;
    case FIX_SWAP_LAYERS:
        snprintf(text, size, "exchange model.layers.%zu (%s) and model.layers.%zu", fix->layer, layer,
                 fix->layer + 1);
        break;
    case FIX_LAYER_P:
        snprintf(text, size, "model.layers.%zu.%s.p=%s", fix->layer, layer, number);
        break;
    case FIX_LAYER_DROPOUT:
        snprintf(text, size, "model.layers.%zu.%s.dropout=%s", fix->layer, layer, number);
        break;
    case FIX_POOL_FINAL:
        snprintf(text, size, "model.layers.%zu.pool.over=final", fix->layer);
        break;
    case FIX_BATCHNORM:
        snprintf(
            text, size,
            "model.layers.%zu.batchnorm.track_running_stats=true\nmodel.layers.%zu.batchnorm.momentum=0.1",
            fix->layer, fix->layer);
        break;
    case FIX_LOSS_CROSS_ENTROPY:
        snprintf(text, size, "train.loss=cross_entropy");
        break;
    case FIX_PER_EPOCH:
        snprintf(text, size, "train.scheduler.%s.interval=epoch", scheduler ? scheduler : "");
        break;
    case FIX_NO_SCHEDULER:
        snprintf(text, size, "train.scheduler=null");
        break;
    case FIX_LR:
        snprintf(text, size, "train.optimizer.%s.lr=%s", clrnn_optimizer_word(t->optimizer.kind), number);
        break;
    case FIX_SHUFFLE:
        snprintf(text, size, "train.shuffle=true");
        break;
    case FIX_DROP_LAST:
        snprintf(text, size, "train.drop_last=%s", fix->value != 0 ? "true" : "false");
        break;
    case FIX_NORMALIZE:
        snprintf(text, size, "data.normalize=standard");
        break;
    }
}

// What changes settings; layers keep their places, so that every fix finds its own.
static void apply_setting(struct clrnn_config *c, const struct clrnn_doctor_fix *fix)
{
    struct clrnn_layer *layer = fix->layer < c->layer_count ? &c->layer[fix->layer] : NULL;

    switch (fix->kind) {
    case FIX_LAYER_P:
        layer->p = fix->value;
        break;
    case FIX_LAYER_DROPOUT:
        layer->dropout = fix->value;
        break;
    case FIX_POOL_FINAL:
        layer->over = CLRNN_POOL_FINAL;
        break;
    case FIX_BATCHNORM:
        layer->track_running_stats = true;
        layer->momentum = 0.1;
        break;
    case FIX_LOSS_CROSS_ENTROPY:
        c->train.loss.kind = CLRNN_LOSS_CROSS_ENTROPY;
        break;
    case FIX_PER_EPOCH:
        c->train.scheduler.per_batch = false;
        break;
    case FIX_NO_SCHEDULER:
        c->train.scheduler.kind = CLRNN_SCHEDULER_NONE;
        break;
    case FIX_LR:
        c->train.optimizer.lr = fix->value;
        break;
    case FIX_SHUFFLE:
        c->train.shuffle = true;
        break;
    case FIX_DROP_LAST:
        c->train.drop_last = fix->value != 0;
        break;
    case FIX_NORMALIZE:
        c->data.standard = true;
        break;
    case FIX_REMOVE_LAYER:
    case FIX_SWAP_LAYERS:
        break;
    }
}

static void remove_layer(struct clrnn_config *c, size_t at)
{
    free(c->layer[at].name);
    memmove(&c->layer[at], &c->layer[at + 1], (c->layer_count - at - 1) * sizeof(*c->layer));
    c->layer_count--;
}

static bool removed(const struct clrnn_doctor *d, size_t layer)
{
    for (size_t i = 0; i < d->fix_count; i++)
        if (d->fix[i].kind == FIX_REMOVE_LAYER && d->fix[i].layer == layer)
            return true;
    return false;
}

enum clrnn_status clrnn_doctor_apply_fixes(const struct clrnn_doctor *d, char **text)
{
    struct clrnn_config *c = NULL;

    *text = NULL;
    TRY(clrnn_config_copy(d->log, d->config, &c));
    for (size_t i = 0; i < d->fix_count; i++)
        apply_setting(c, &d->fix[i]);
    for (size_t i = 0; i < d->fix_count; i++)
        if (d->fix[i].kind == FIX_SWAP_LAYERS && d->fix[i].layer + 1 < c->layer_count) {
            const struct clrnn_layer lower = c->layer[d->fix[i].layer];

            c->layer[d->fix[i].layer] = c->layer[d->fix[i].layer + 1];
            c->layer[d->fix[i].layer + 1] = lower;
        }
    for (size_t at = c->layer_count; at-- > 0;)
        if (removed(d, at) && c->layer_count > 1)
            remove_layer(c, at);
    *text = clrnn_config_text(c);
    clrnn_config_destroy(&c);
    return *text ? CLRNN_OK : clrnn_error_memory(d->log, 0, "the repaired config");
}
