// SPDX-License-Identifier: MIT
// Standardised targets: the model learns (y - mean) / std, and its outputs are converted back to the units of the data.
#include <float.h>
#include <math.h>
#include <stdlib.h>

#include "base/array.h"
#include "base/log.h"
#include "model/layer.h"
#include "model/model.h"

bool clrnn_model_wants_target_normalization(const struct clrnn_model *model)
{
    return model->config->data.standard_targets && clrnn_loss_is_regression(model->config->train.loss.kind);
}

void clrnn_model_standardise_targets(const struct clrnn_model *model, size_t count, float *y)
{
    const size_t width = model->targets;

    for (size_t i = 0; model->target_mean && i < count; i++)
        y[i] = (float)((y[i] - model->target_mean[i % width]) / model->target_std[i % width]);
}

void clrnn_model_restore_targets(const struct clrnn_model *model, size_t count, float *y)
{
    const size_t width = model->outputs, quantiles = width / model->targets;

    for (size_t i = 0; model->target_mean && i < count; i++) {
        const size_t o = i % width / quantiles;

        y[i] = (float)(y[i] * model->target_std[o] + model->target_mean[o]);
    }
}
