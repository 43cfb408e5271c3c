// SPDX-License-Identifier: MIT
// Properties and shapes of layers and losses.
#include "model/layer.h"

#include <string.h>

#include "base/log.h"
#include "model/nest.h"
#include "ops/loss.h"

bool clrnn_layer_is_recurrent(const struct clrnn_layer *layer)
{
    return layer->kind == CLRNN_LAYER_RNN || layer->kind == CLRNN_LAYER_LSTM || layer->kind == CLRNN_LAYER_GRU;
}

bool clrnn_layer_is_activation(const struct clrnn_layer *layer)
{
    return layer->kind == CLRNN_LAYER_RELU || layer->kind == CLRNN_LAYER_TANH || layer->kind == CLRNN_LAYER_SIGMOID ||
           layer->kind == CLRNN_LAYER_SOFTMAX || layer->kind == CLRNN_LAYER_LOG_SOFTMAX ||
           layer->kind == CLRNN_LAYER_LEAKY_RELU || layer->kind == CLRNN_LAYER_ELU || layer->kind == CLRNN_LAYER_GELU ||
           layer->kind == CLRNN_LAYER_SILU || layer->kind == CLRNN_LAYER_SOFTPLUS;
}

bool clrnn_layer_has_weights(const struct clrnn_layer *layer)
{
    return clrnn_layer_is_recurrent(layer) || layer->kind == CLRNN_LAYER_LINEAR ||
           layer->kind == CLRNN_LAYER_EMBEDDING || layer->kind == CLRNN_LAYER_CONV1D ||
           layer->kind == CLRNN_LAYER_ATTENTION_POOL;
}

bool clrnn_layer_has_windows(const struct clrnn_layer *layer)
{
    return layer->kind == CLRNN_LAYER_CONV1D || layer->kind == CLRNN_LAYER_MAX_POOL1D ||
           layer->kind == CLRNN_LAYER_AVG_POOL1D;
}

struct clrnn_windows clrnn_layer_windows(const struct clrnn_layer *layer)
{
    struct clrnn_windows w = {.kernel = layer->kernel_size,
                              .stride = layer->stride ? layer->stride : layer->kernel_size,
                              .dilation = layer->kind == CLRNN_LAYER_AVG_POOL1D ? 1 : layer->dilation,
                              .padding = layer->padding,
                              .all_padding = 2 * layer->padding};

    if (layer->kind == CLRNN_LAYER_CONV1D && layer->padding_same) {
        w.all_padding = w.dilation * (w.kernel - 1);
        w.padding = w.all_padding / 2;
    }
    return w;
}

uint32_t clrnn_windows_count(const struct clrnn_windows *w, uint32_t T)
{
    const int64_t room = (int64_t)T + w->all_padding - (int64_t)w->dilation * (w->kernel - 1) - 1;

    return room < 0 || !T ? 0 : (uint32_t)(room / w->stride + 1);
}

bool clrnn_layer_pools(const struct clrnn_layer *layer)
{
    return layer->kind == CLRNN_LAYER_POOL || layer->kind == CLRNN_LAYER_ATTENTION_POOL ||
           layer->kind == CLRNN_LAYER_FLATTEN;
}

bool clrnn_layer_is_causal(const struct clrnn_layer *layer)
{
    switch (layer->kind) {
    case CLRNN_LAYER_RNN:
    case CLRNN_LAYER_LSTM:
    case CLRNN_LAYER_GRU:
        return !layer->bidirectional;
    case CLRNN_LAYER_BATCHNORM:
    case CLRNN_LAYER_LAYERNORM:
    case CLRNN_LAYER_LINEAR:
    case CLRNN_LAYER_EMBEDDING:
    case CLRNN_LAYER_DROPOUT:
    case CLRNN_LAYER_ROUND:
    case CLRNN_LAYER_GROUPNORM:
    case CLRNN_LAYER_RESIDUAL: // callers also ask for each layer inside
    case CLRNN_LAYER_CONCAT:
        return true;
    default:
        return clrnn_layer_is_activation(layer);
    }
}

uint32_t clrnn_layer_state(const struct clrnn_layer *layer)
{
    return layer->proj_size ? layer->proj_size : layer->hidden_size;
}

// The shape that one layer passes to the next.
struct flow {
    uint32_t width, steps; // width 0: unknown
    bool pooled;           // there is no time axis any more
};

static void follow_layer(const struct clrnn_layer *layer, struct flow *flow)
{
    if (clrnn_layer_is_recurrent(layer))
        flow->width = clrnn_layer_state(layer) * (layer->bidirectional ? 2 : 1);
    if (layer->kind == CLRNN_LAYER_LINEAR)
        flow->width = layer->out_features;
    if (layer->kind == CLRNN_LAYER_EMBEDDING)
        flow->width = layer->embedding_dim;
    if (layer->kind == CLRNN_LAYER_CONV1D)
        flow->width = layer->out_channels;
    if (clrnn_layer_has_windows(layer)) {
        const struct clrnn_windows w = clrnn_layer_windows(layer);

        flow->steps = clrnn_windows_count(&w, flow->steps);
    }
    if (layer->kind == CLRNN_LAYER_FLATTEN)
        flow->width = (uint64_t)flow->width * flow->steps <= UINT32_MAX ? flow->width * flow->steps : 0;
    if (clrnn_layer_pools(layer)) {
        flow->steps = flow->steps ? 1 : 0;
        flow->pooled = true;
    }
}

// Computes in *flow the shape after the layers [first, end) of a list. If layer `stop` is one of them, or inside one of
// them, computes the shape of the input of `stop` instead. On entry *flow is the shape of the list's input.
static void follow(const struct clrnn_config *config, size_t first, size_t end, size_t stop, struct flow *flow)
{
    for (size_t i = first; i < end && i < stop; i = clrnn_layer_end(config, i)) {
        const struct clrnn_layer *layer = &config->layer[i];
        const bool within = stop < clrnn_layer_end(config, i);
        struct flow sum = {.width = 0};

        if (layer->kind == CLRNN_LAYER_RESIDUAL && within)
            follow(config, i + 1, clrnn_layer_end(config, i), stop, flow);
        for (uint32_t b = 0; layer->kind == CLRNN_LAYER_CONCAT && b < layer->branches; b++) {
            struct flow one = *flow;
            size_t from, to;

            clrnn_layer_branch(config, i, b, &from, &to);
            follow(config, from, to, stop, &one);
            if (within && stop >= from && stop < to) {
                *flow = one;
                return;
            }
            sum.width = (b && !sum.width) || !one.width ? 0 : sum.width + one.width;
            sum.steps = b && !sum.steps ? 0 : one.steps; // 0: too few steps for a branch
            sum.pooled = one.pooled;
        }
        if (layer->kind == CLRNN_LAYER_CONCAT)
            *flow = sum;
        else
            follow_layer(layer, flow);
    }
}

uint32_t clrnn_layers_width(const struct clrnn_config *config, size_t index, uint32_t C, uint32_t T)
{
    struct flow flow = {.width = C, .steps = T};

    follow(config, 0, config->layer_count, index, &flow);
    return flow.width;
}

uint32_t clrnn_layers_steps(const struct clrnn_config *config, size_t index, uint32_t T)
{
    struct flow flow = {.steps = T};

    follow(config, 0, config->layer_count, index, &flow);
    return flow.steps;
}

uint32_t clrnn_layers_steps_between(const struct clrnn_config *config, size_t first, size_t end, uint32_t T)
{
    struct flow flow = {.steps = T};

    follow(config, first, end, SIZE_MAX, &flow);
    return flow.steps;
}

bool clrnn_layers_per_step(const struct clrnn_config *config)
{
    struct flow flow = {.pooled = false};

    follow(config, 0, config->layer_count, config->layer_count, &flow);
    return !flow.pooled;
}

bool clrnn_loss_is_real(enum clrnn_loss_kind kind)
{
    return !clrnn_loss_is_classes(kind) && kind != CLRNN_LOSS_CTC;
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
    const uint32_t outputs = clrnn_layers_width(config, config->layer_count, 1, 0);
    const bool value = !strcmp(metric, "mae") || !strcmp(metric, "rmse") || !strcmp(metric, "r2");

    if (!strcmp(metric, "loss"))
        return true;
    if (!strcmp(metric, "cer") || !strcmp(metric, "wer"))
        return loss->kind == CLRNN_LOSS_CTC;
    if (loss->kind == CLRNN_LOSS_CTC)
        return !strcmp(metric, "accuracy");
    if (!strcmp(metric, "balanced_accuracy") && clrnn_loss_targets(loss, outputs) > 1)
        return false; // balanced_accuracy is not defined for several labels
    return loss->kind != CLRNN_LOSS_QUANTILE && value == clrnn_loss_is_regression(loss->kind);
}

uint32_t clrnn_source_horizon(const struct clrnn_source *source)
{
    return source->horizon != CLRNN_HORIZON_OF_TARGET ? source->horizon : source->target != NULL;
}

const char *clrnn_source_ts(const struct clrnn_source *source)
{
    const char *path = source->ts ? source->ts : source->x ? source->x : source->csv;
    const size_t length = path ? strlen(path) : 0;

    return source->ts || (length > 3 && !strcmp(path + length - 3, ".ts")) ? path : NULL;
}
