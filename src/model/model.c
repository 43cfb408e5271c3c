// SPDX-License-Identifier: MIT
// Getters of a model, reading and writing of its parameters, and the hyperparameters and counters that the host
// computes for each step.
#include "model/network.h"

#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "model/layer.h"

const struct clrnn_config *clrnn_model_config(const struct clrnn_model *model)
{
    return model ? model->config : NULL;
}

const struct clrnn_data_shape *clrnn_model_shape(const struct clrnn_model *model)
{
    return model ? &model->shape : NULL;
}

struct clrnn_device *clrnn_model_device(const struct clrnn_model *model)
{
    return model ? model->device : NULL;
}

uint32_t clrnn_model_outputs(const struct clrnn_model *model)
{
    return model ? model->outputs : 0;
}

const char *clrnn_model_class_name(const struct clrnn_model *model, uint32_t index)
{
    const struct clrnn_names *names = model ? model->names : NULL;

    return names && index < names->classes.count ? names->classes.text[index] : NULL;
}

bool clrnn_model_per_step(const struct clrnn_model *model)
{
    return model && model->per_step;
}

uint32_t clrnn_model_output_steps(const struct clrnn_model *model, uint32_t T)
{
    return model ? clrnn_layers_steps(model->config, model->config->layer_count, T) : 0;
}

bool clrnn_model_changes_steps(const struct clrnn_model *model)
{
    for (size_t i = 0; i < model->config->layer_count; i++)
        if (clrnn_layer_has_windows(&model->config->layer[i]))
            return true;
    return false;
}

size_t clrnn_model_param_count(const struct clrnn_model *model)
{
    return model ? model->entry_count : 0;
}

const struct clrnn_param *clrnn_model_param(const struct clrnn_model *model, size_t index)
{
    return model && index < model->entry_count ? &model->entry[index].param : NULL;
}

uint64_t clrnn_model_size(const struct clrnn_model *model)
{
    uint64_t size = 0;

    for (size_t i = 0; model && i < model->entry_count; i++)
        if (model->entry[i].param.trained)
            size += model->entry[i].param.count;
    return size;
}

// ---------------------------------------------------------------- reading and writing

static enum clrnn_status find(struct clrnn_model *model, size_t index, struct clrnn_entry **entry)
{
    *entry = NULL;
    if (index >= model->entry_count)
        return clrnn_error(model->log, CLRNN_ERR_ARG, "parameter %zu asked for, but the model has %zu", index,
                           model->entry_count);
    *entry = &model->entry[index];
    return CLRNN_OK;
}

enum clrnn_status clrnn_model_read(struct clrnn_model *model, size_t index, double *values)
{
    NEED(NULL, model);
    NEED(model->log, values);

    struct clrnn_entry *e;
    int32_t batches;

    TRY(find(model, index, &e));
    if (!e->param.integer)
        return clrnn_buffer_read_f64(e->value, 0, e->param.count, values);
    TRY(clrnn_buffer_read_i32(e->value, 0, 1, &batches));
    *values = batches;
    return CLRNN_OK;
}

enum clrnn_status clrnn_model_read_grad(struct clrnn_model *model, size_t index, double *values)
{
    NEED(NULL, model);
    NEED(model->log, values);

    struct clrnn_entry *e;

    TRY(find(model, index, &e));
    if (!e->grad)
        return clrnn_error(model->log, CLRNN_ERR_ARG, "%s is not trained and has no gradient", e->param.name);
    return clrnn_buffer_read_f64(e->grad, 0, e->param.count, values);
}

enum clrnn_status clrnn_model_write(struct clrnn_model *model, size_t index, const double *values)
{
    NEED(NULL, model);
    NEED(model->log, values);

    struct clrnn_entry *e;
    int32_t batches;

    TRY(find(model, index, &e));
    model->writes++;
    if (!e->param.integer)
        return clrnn_buffer_write_f64(e->value, 0, e->param.count, values);
    if (!(*values >= 0 && *values <= INT32_MAX))
        return clrnn_error(model->log, CLRNN_ERR_ARG, "%s is set to %g, expected 0 to %d", e->param.name, *values,
                           INT32_MAX);
    batches = (int32_t)*values;
    return clrnn_buffer_write_i32(e->value, 0, 1, &batches);
}

enum clrnn_status clrnn_model_check_normalization(const struct clrnn_model *model)
{
    const bool inputs =
        model->config->data.standard && !model->shape.tokens && !(model->input_mean && model->input_std);
    const char *what = inputs ? "input" : "target";

    if (!inputs && (!clrnn_model_wants_target_normalization(model) || model->target_mean))
        return CLRNN_OK;
    return clrnn_error(model->log, CLRNN_ERR_DATA,
                       "the config says '%s: standard', but the model has no %s.mean and %s.std: "
                       "weights alone do not hold them; take the model file of a run, or give them",
                       inputs ? "normalize" : "normalize_targets", what, what);
}

uint64_t clrnn_model_steps(const struct clrnn_model *model)
{
    return model ? model->steps : 0;
}

// ---------------------------------------------------------------- hyperparameters and counters of a step

void clrnn_model_start_schedule(struct clrnn_model *model, uint64_t steps_per_epoch)
{
    if (!model)
        return;
    model->steps_per_epoch = steps_per_epoch;
    clrnn_schedule_init(&model->schedule, &model->config->train, steps_per_epoch);
}

// Computes the optimiser kernel's parameters, in double as PyTorch's Python code does.
static void make_hyper(const struct clrnn_model *m, double *hyper)
{
    const struct clrnn_optimizer_config *o = &m->config->train.optimizer;
    const double lr = m->schedule.lr, momentum = m->schedule.momentum, t = (double)(m->steps + 1);
    const bool adam = o->kind == CLRNN_OPTIMIZER_ADAM || o->kind == CLRNN_OPTIMIZER_ADAMW;

    for (int i = 0; i < HYPER_FIELDS; i++)
        hyper[i] = 0;
    hyper[HYPER_LR] = lr;
    hyper[HYPER_MOMENTUM] = momentum;
    hyper[HYPER_STEP_SIZE] = adam ? lr / (1 - pow(momentum, t)) : lr;
    hyper[HYPER_ROOT_BC2] = adam ? sqrt(1 - pow(o->beta2, t)) : 1;
    hyper[HYPER_ONE_MINUS_BETA1] = 1 - momentum;
    hyper[HYPER_FIRST] = m->steps == 0;
}

enum clrnn_status clrnn_model_begin_step(struct clrnn_model *model, uint32_t slot, bool training)
{
    const uint64_t seed = model->config->train.seed;
    const int32_t counter[COUNTER_FIELDS] = {
        [COUNTER_SEED_LO] = (int32_t)(uint32_t)seed,      [COUNTER_SEED_HI] = (int32_t)(uint32_t)(seed >> 32),
        [COUNTER_STEP] = (int32_t)(uint32_t)model->steps, [COUNTER_SLOT] = (int32_t)slot,
        [COUNTER_FIRST] = (int32_t)model->first_step,     [COUNTER_CARRY] = model->carry,
        [COUNTER_SAMPLE] = (int32_t)model->first_sample,  [COUNTER_SAMPLES] = (int32_t)model->samples,
    };
    double hyper[HYPER_FIELDS];

    if (slot >= CLRNN_RECORD_SLOTS)
        return clrnn_error(model->log, CLRNN_ERR_ARG, "record slot %" PRIu32 " is out of range, expected 0 to %d", slot,
                           CLRNN_RECORD_SLOTS - 1);
    if (memcmp(counter, model->counter_there, sizeof(counter)) != 0) {
        TRY(clrnn_buffer_write_i32(model->counter, 0, COUNTER_FIELDS, counter));
        memcpy(model->counter_there, counter, sizeof(counter));
    }
    if (!training)
        return CLRNN_OK;
    make_hyper(model, hyper);
    return clrnn_buffer_write_f64(model->hyper, 0, HYPER_FIELDS, hyper);
}
