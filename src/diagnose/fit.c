// SPDX-License-Identifier: MIT
// Shape inference of a config on a data set, without a model.
#include "diagnose/fit.h"

#include <stdlib.h>

#include "base/array.h"
#include "base/log.h"
#include "model/network.h"

enum clrnn_status clrnn_layers_fit(const struct clrnn_log *log, const struct clrnn_config *config,
                                   const struct clrnn_dataset *set, uint32_t *outputs)
{
    const struct clrnn_dataset_info *info = clrnn_dataset_info(set);
    const struct clrnn_data_shape shape = {.features = info->C, .tokens = info->tokens, .steps = info->T};
    struct clrnn_layer_shape *layers = calloc(MAX2(config->layer_count, 1), sizeof(*layers));
    enum clrnn_status st;
    bool per_step;

    if (!layers)
        return clrnn_error_memory(log, config->layer_count * sizeof(*layers), "the layers");
    st = clrnn_network_shapes(log, config, &shape, layers, outputs, &per_step);
    free(layers);
    return st;
}
