// SPDX-License-Identifier: MIT
// What kinds of layers and losses have in common.
#include "model/layer.h"

#include <string.h>

bool clrnn_layer_is_recurrent(const struct clrnn_layer *layer)
{
    return layer->kind == CLRNN_LAYER_RNN || layer->kind == CLRNN_LAYER_LSTM ||
           layer->kind == CLRNN_LAYER_GRU;
}

bool clrnn_layer_is_activation(const struct clrnn_layer *layer)
{
    return layer->kind == CLRNN_LAYER_RELU || layer->kind == CLRNN_LAYER_TANH ||
           layer->kind == CLRNN_LAYER_SIGMOID || layer->kind == CLRNN_LAYER_SOFTMAX ||
           layer->kind == CLRNN_LAYER_LOG_SOFTMAX || layer->kind == CLRNN_LAYER_LEAKY_RELU ||
           layer->kind == CLRNN_LAYER_ELU || layer->kind == CLRNN_LAYER_GELU ||
           layer->kind == CLRNN_LAYER_SILU || layer->kind == CLRNN_LAYER_SOFTPLUS;
}

bool clrnn_layer_has_weights(const struct clrnn_layer *layer)
{
    return clrnn_layer_is_recurrent(layer) || layer->kind == CLRNN_LAYER_LINEAR ||
           layer->kind == CLRNN_LAYER_EMBEDDING;
}

uint32_t clrnn_layer_state(const struct clrnn_layer *layer)
{
    return layer->proj_size ? layer->proj_size : layer->hidden_size;
}

uint32_t clrnn_layers_width(const struct clrnn_config *config, size_t count, uint32_t C)
{
    for (size_t i = count; i-- > 0;) {
        const struct clrnn_layer *layer = &config->layer[i];

        if (clrnn_layer_is_recurrent(layer))
            return clrnn_layer_state(layer) * (layer->bidirectional ? 2 : 1);
        if (layer->kind == CLRNN_LAYER_LINEAR)
            return layer->out_features;
        if (layer->kind == CLRNN_LAYER_EMBEDDING)
            return layer->embedding_dim;
    }
    return C;
}

uint32_t clrnn_layers_steps(const struct clrnn_config *config, size_t count, uint32_t T)
{
    for (size_t i = 0; i < count; i++)
        if (config->layer[i].kind == CLRNN_LAYER_POOL)
            return 1;
    return T;
}

bool clrnn_loss_is_real(enum clrnn_loss_kind kind)
{
    return kind != CLRNN_LOSS_CROSS_ENTROPY && kind != CLRNN_LOSS_NLL;
}

bool clrnn_loss_is_regression(enum clrnn_loss_kind kind)
{
    return clrnn_loss_is_real(kind) && kind != CLRNN_LOSS_BCE_WITH_LOGITS;
}

const double *clrnn_loss_quantiles(const struct clrnn_loss_config *loss, size_t *count)
{
    static const double usual[] = {0.1, 0.5, 0.9};

    *count = 0;
    if (loss->kind != CLRNN_LOSS_QUANTILE)
        return NULL;
    *count = loss->quantile ? loss->quantile_count : sizeof(usual) / sizeof(*usual);
    return loss->quantile ? loss->quantile : usual;
}

uint32_t clrnn_loss_targets(const struct clrnn_loss_config *loss, uint32_t outputs)
{
    size_t quantiles;

    if (!clrnn_loss_is_real(loss->kind))
        return 1;
    if (clrnn_loss_quantiles(loss, &quantiles) && quantiles)
        outputs /= (uint32_t)quantiles;
    return outputs ? outputs : 1;
}

bool clrnn_loss_has_metric(const struct clrnn_config *config, const char *metric)
{
    const struct clrnn_loss_config *loss = &config->train.loss;
    const uint32_t outputs = clrnn_layers_width(config, config->layer_count, 1);
    const bool value = !strcmp(metric, "mae") || !strcmp(metric, "rmse") || !strcmp(metric, "r2");

    if (!strcmp(metric, "loss"))
        return true;
    if (!strcmp(metric, "balanced_accuracy") && clrnn_loss_targets(loss, outputs) > 1)
        return false; // several labels
    return loss->kind != CLRNN_LOSS_QUANTILE && value == clrnn_loss_is_regression(loss->kind);
}
