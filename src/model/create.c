// SPDX-License-Identifier: MIT
// Creates and destroys a model, and sets the normalisation of its inputs and targets.
#include <float.h>
#include <stdlib.h>

#include "base/array.h"
#include "base/log.h"
#include "model/layer.h"
#include "model/network.h"
#include "model/options.h"

void clrnn_model_destroy(struct clrnn_model **model)
{
    struct clrnn_model *m = model ? *model : NULL;

    if (!m)
        return;
    clrnn_stage_destroy(&m->stage);
    for (size_t i = 0; i < m->entry_count; i++) {
        clrnn_buffer_destroy(&m->entry[i].value);
        clrnn_buffer_destroy(&m->entry[i].grad);
        free((char *)(uintptr_t)m->entry[i].param.name);
    }
    free(m->entry);
    free(m->by_name);
    free(m->layer);
    for (size_t i = 0; i < m->carried_count; i++) {
        clrnn_buffer_destroy(&m->carried[i].h);
        clrnn_buffer_destroy(&m->carried[i].c);
    }
    free(m->carried);
    clrnn_model_uncut(m);
    clrnn_buffer_destroy(&m->params);
    clrnn_buffer_destroy(&m->grads);
    for (int k = 0; k < 3; k++)
        clrnn_buffer_destroy(&m->moment[k]);
    clrnn_buffer_destroy(&m->state);
    clrnn_buffer_destroy(&m->batches);
    clrnn_buffer_destroy(&m->hyper);
    clrnn_buffer_destroy(&m->counter);
    clrnn_buffer_destroy(&m->records);
    clrnn_buffer_destroy(&m->loss_weight);
    clrnn_buffer_destroy(&m->label_weight);
    clrnn_buffer_destroy(&m->target_scale);
    clrnn_buffer_destroy(&m->input_mean);
    clrnn_buffer_destroy(&m->input_std);
    free(m->target_mean);
    clrnn_names_destroy(&m->names);
    clrnn_buffer_destroy(&m->arena);
    for (size_t i = 0; i < m->arena_count; i++)
        clrnn_buffer_destroy(&m->arenas[i]);
    free(m->arenas);
    clrnn_config_destroy(&m->config);
    free(m);
    *model = NULL;
}

enum clrnn_status clrnn_model_describe(struct clrnn_device *device, const struct clrnn_config *config,
                                       const struct clrnn_data_shape *shape, struct clrnn_model **model)
{
    const struct clrnn_log *log = clrnn_device_log(device);
    struct clrnn_model *m = calloc(1, sizeof(*m));
    enum clrnn_status st;

    *model = NULL;
    if (!m)
        return clrnn_error_memory(log, sizeof(*m), "a model");
    m->device = device;
    m->log = log;
    m->shape = *shape;
    st = clrnn_config_copy(log, config, &m->config);
    if (st != CLRNN_OK)
        goto fail;
    m->layer = calloc(MAX2(config->layer_count, 1), sizeof(*m->layer));
    if (!m->layer) {
        st = clrnn_error_memory(log, config->layer_count * sizeof(*m->layer), "the layers");
        goto fail;
    }
    st = clrnn_network_shapes(log, m->config, &m->shape, m->layer, &m->outputs, &m->per_step);
    m->targets = clrnn_loss_targets(&m->config->train.loss, m->outputs);
    if (st == CLRNN_OK) // a config made in code may not have been checked
        st = clrnn_config_check(log, config, NULL, config->path ? config->path : "config");
    if (st == CLRNN_OK)
        st = clrnn_model_make_table(m);
    if (st != CLRNN_OK)
        goto fail;
    clrnn_model_start_schedule(m, 0);
    *model = m;
    return CLRNN_OK;

fail:
    clrnn_model_destroy(&m);
    return st;
}

enum clrnn_status clrnn_model_create(struct clrnn_device *device, const struct clrnn_config *config,
                                     const struct clrnn_data_shape *shape, struct clrnn_model **model)
{
    NEED(clrnn_device_log(device), model);
    *model = NULL;
    NEED(clrnn_device_log(device), device);
    NEED(clrnn_device_log(device), config);
    NEED(clrnn_device_log(device), shape);

    enum clrnn_status st = clrnn_model_describe(device, config, shape, model);

    if (st == CLRNN_OK)
        st = clrnn_model_allocate(*model);
    if (st == CLRNN_OK)
        st = clrnn_model_draw(*model);
    if (st != CLRNN_OK)
        clrnn_model_destroy(model);
    return st;
}

enum clrnn_status clrnn_model_set_normalization(struct clrnn_model *model, const double *mean, const double *std)
{
    NEED(NULL, model);
    NEED(model->log, mean);
    NEED(model->log, std);

    const size_t C = model->shape.features;
    enum clrnn_status st;
    double *usable;

    if (model->shape.tokens)
        return clrnn_error(model->log, CLRNN_ERR_ARG, "tokens cannot be normalised; expected real features");
    model->writes++;
    if (!model->input_mean || !model->input_std)
        clrnn_stage_destroy(&model->stage); // the stage has plans that do not normalise inputs
    if (!model->input_mean)
        TRY(clrnn_buffer_create(model->device, CLRNN_REAL, C, "input.mean", &model->input_mean));
    if (!model->input_std)
        TRY(clrnn_buffer_create(model->device, CLRNN_REAL, C, "input.std", &model->input_std));
    usable = malloc(C * sizeof(*usable));
    if (!usable)
        return clrnn_error_memory(model->log, C * sizeof(*usable), "input.std");
    // A deviation below FLT_MIN becomes 1, since a device may treat a denormal float32 as 0.
    for (size_t i = 0; i < C; i++)
        usable[i] = std[i] < (double)FLT_MIN ? 1.0 : std[i];
    st = clrnn_buffer_write_f64(model->input_mean, 0, C, mean);
    if (st == CLRNN_OK)
        st = clrnn_buffer_write_f64(model->input_std, 0, C, usable);
    free(usable);
    return st;
}

enum clrnn_status clrnn_model_set_target_normalization(struct clrnn_model *model, const double *mean, const double *std)
{
    NEED(NULL, model);
    NEED(model->log, mean);
    NEED(model->log, std);

    const size_t count = model->targets;
    enum clrnn_status st;
    double *values;

    if (!clrnn_loss_is_regression(model->config->train.loss.kind))
        return clrnn_error(model->log, CLRNN_ERR_ARG, "classes cannot be normalised; expected real targets");
    model->writes++;
    if (!model->target_scale) {
        clrnn_stage_destroy(&model->stage); // the stage has plans without target scale
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
