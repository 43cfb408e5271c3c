// SPDX-License-Identifier: MIT
// Standardised targets: the net learns (y - mean) / std, everything that is read is in the user's units.
#include <float.h>
#include <math.h>
#include <stdlib.h>

#include "base/array.h"
#include "base/log.h"
#include "model/layer.h"
#include "model/network.h"

bool clrnn_model_wants_target_normalization(const struct clrnn_model *model)
{
    return model->config->data.standard_targets && clrnn_loss_is_regression(model->config->train.loss.kind);
}

enum clrnn_status clrnn_model_set_target_normalization(struct clrnn_model *model, const double *mean,
                                                       const double *std)
{
    NEED(NULL, model);
    NEED(model->log, mean);
    NEED(model->log, std);

    const size_t count = model->targets;
    enum clrnn_status st;
    double *values;

    if (!clrnn_loss_is_regression(model->config->train.loss.kind))
        return clrnn_error(model->log, CLRNN_ERR_ARG, "classes cannot be normalised; expected real targets");
    if (!model->target_scale) {
        clrnn_stage_destroy(&model->stage); // its plans know of no scale
        TRY(clrnn_buffer_create(model->device, CLRNN_REAL, 2 * count, "target scale", &model->target_scale));
    }
    values = malloc(2 * count * sizeof(*values));
    if (!values)
        return clrnn_error_memory(model->log, 2 * count * sizeof(*values), "target.mean");
    for (size_t i = 0; i < count; i++) {
        values[i] = mean[i];
        values[count + i] = std[i] < (double)FLT_MIN ? 1.0 : std[i];
    }
    st = clrnn_buffer_write_f64(model->target_scale, 0, count, values + count);
    if (st == CLRNN_OK)
        st = clrnn_buffer_write_f64(model->target_scale, count, count, values);
    free(model->target_mean);
    model->target_mean = values;
    model->target_std = values + count;
    return st;
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
