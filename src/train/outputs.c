// SPDX-License-Identifier: MIT
// Turns the outputs of the last layer into probabilities and classes.
#include "train/outputs.h"

#include <math.h>
#include <string.h>

#include "base/log.h"
#include "model/layer.h"
#include "model/model.h"
#include "model/nest.h"
#include "train/decode.h"

// Sets p->from by the last layer that is not round or dropout: softmax gives probabilities, log_softmax
// log-probabilities, any other layer logits.
static void find_what_comes_out(struct clrnn_outputs *p, const struct clrnn_config *config)
{
    size_t i = clrnn_layer_last(config);

    while (i != SIZE_MAX &&
           (config->layer[i].kind == CLRNN_LAYER_ROUND || config->layer[i].kind == CLRNN_LAYER_DROPOUT))
        i = clrnn_layer_before(config, i);
    p->from = i == SIZE_MAX                                      ? CLRNN_FROM_LOGITS
              : config->layer[i].kind == CLRNN_LAYER_SOFTMAX     ? CLRNN_FROM_PROBS
              : config->layer[i].kind == CLRNN_LAYER_LOG_SOFTMAX ? CLRNN_FROM_LOG_PROBS
                                                                 : CLRNN_FROM_LOGITS;
}

enum clrnn_status clrnn_outputs_init(struct clrnn_outputs *outputs, const struct clrnn_model *model,
                                     enum clrnn_predict_kind kind)
{
    const struct clrnn_config *config = model->config;

    *outputs = (struct clrnn_outputs){.binary = config->train.loss.kind == CLRNN_LOSS_BCE_WITH_LOGITS,
                                      .count = model->outputs};
    outputs->labels = outputs->binary ? outputs->count : 1;
    find_what_comes_out(outputs, config);
    if (kind != CLRNN_PREDICT_LOGITS && clrnn_loss_is_regression(config->train.loss.kind))
        return clrnn_error(model->log, CLRNN_ERR_ARG,
                           "a model trained with %s predicts numbers: it has no %s, ask for "
                           "what the last layer puts out",
                           clrnn_loss_word(config->train.loss.kind),
                           kind == CLRNN_PREDICT_PROBS ? "probabilities" : "classes");
    return CLRNN_OK;
}

void clrnn_outputs_probs(const struct clrnn_outputs *p, const float *x, float *probs)
{
    double largest = x[0], sum = 0.0;

    for (uint32_t o = 0; o < p->count && p->binary; o++)
        probs[o] = (float)(1.0 / (1.0 + exp(-(double)x[o])));
    if (p->binary)
        return;
    if (p->from == CLRNN_FROM_PROBS) {
        memcpy(probs, x, p->count * sizeof(*probs));
        return;
    }
    for (uint32_t k = 1; k < p->count; k++)
        largest = fmax(largest, x[k]);
    for (uint32_t k = 0; k < p->count; k++)
        sum += exp(x[k] - largest);
    if (p->from == CLRNN_FROM_LOG_PROBS)
        sum = exp(-largest); // the result below is then exp(x)
    for (uint32_t k = 0; k < p->count; k++)
        probs[k] = (float)(exp(x[k] - largest) / sum);
}

int64_t clrnn_outputs_class(const struct clrnn_outputs *outputs, const float *x, uint32_t k)
{
    return outputs->binary ? x[k] > 0.0f : clrnn_argmax(x, outputs->count);
}
