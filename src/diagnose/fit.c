// SPDX-License-Identifier: MIT
// Checks, without a model, whether a config's layers fit its data. Picks samples of a data set.
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

enum clrnn_status clrnn_data_sets_fit(const struct clrnn_log *log, const struct clrnn_config *config,
                                      struct clrnn_data_sets *data, uint32_t *outputs)
{
    TRY(clrnn_data_sets_open(log, config, CLRNN_CHECK_ALL, data));
    TRY(clrnn_batch_check(log, clrnn_dataset_info(data->train)->S, config->train.batch_size, config->train.drop_last));
    return clrnn_layers_fit(log, config, data->train, outputs);
}

enum clrnn_status clrnn_dataset_spread(const struct clrnn_log *log, struct clrnn_dataset *set, uint32_t most,
                                       const char *what, struct clrnn_dataset **some)
{
    const struct clrnn_dataset_info *info = clrnn_dataset_info(set);
    const uint32_t count = MIN2(info->S, most);
    uint32_t *row = malloc(count * sizeof(*row));
    enum clrnn_status st;

    if (!row)
        return clrnn_error_memory(log, count * sizeof(*row), what);
    for (uint32_t i = 0; i < count; i++)
        row[i] = (uint32_t)((uint64_t)i * info->S / count);
    st = clrnn_dataset_view(set, &(struct clrnn_view){.row = row, .count = count}, info->name, some);
    free(row);
    return st;
}
