// SPDX-License-Identifier: MIT
// The words that a config uses for values of enums, and a function that appends to a config's list of layers.
#include <stdlib.h>

#include "model/options.h"

struct clrnn_layer *clrnn_config_add_layer(struct clrnn_config *config, enum clrnn_layer_kind kind)
{
    struct clrnn_layer *grown;

    if (!config || (unsigned)kind >= CLRNN_LAYER_KINDS)
        return NULL;
    grown = realloc(config->layer, (config->layer_count + 1) * sizeof(*grown));
    if (!grown)
        return NULL;
    config->layer = grown;
    clrnn_layer_default(&grown[config->layer_count], kind);
    return &grown[config->layer_count++];
}

static const char *word(const struct clrnn_option_group *const *groups, int kind)
{
    const struct clrnn_option_group *group = clrnn_options_kind(groups, kind);

    return group ? group->word : NULL;
}

const char *clrnn_layer_word(enum clrnn_layer_kind kind)
{
    return word(clrnn_options_layers, (int)kind);
}

const char *clrnn_loss_word(enum clrnn_loss_kind kind)
{
    return word(clrnn_options_losses, (int)kind);
}

const char *clrnn_optimizer_word(enum clrnn_optimizer_kind kind)
{
    return word(clrnn_options_optimizers, (int)kind);
}

const char *clrnn_scheduler_word(enum clrnn_scheduler_kind kind)
{
    return word(clrnn_options_schedulers, (int)kind);
}
