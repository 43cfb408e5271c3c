// SPDX-License-Identifier: MIT
// Prediction, one time step at a time. A copy of the model on the device ref runs a plan of one sample and one time
// step. A state (struct clrnn_state) has the values that the recurrent levels carry from one step to the next. A level
// is one of a layer's num_layers.
#include "clrnn/state.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/array.h"
#include "base/log.h"
#include "base/words.h"
#include "formats/safetensors.h"
#include "model/layer.h"
#include "model/network.h"
#include "model/plan.h"

// The copy of the model on the device ref, with the plan that runs it.
struct stepper {
    struct clrnn_device *device;
    struct clrnn_model *model;
    struct clrnn_buffer *x, *index;
    struct clrnn_plan *plan;
    uint64_t steps, writes; // the counters steps and writes of the original when it was copied
};

struct clrnn_state {
    struct clrnn_model *model;
    struct stepper stepper;
    size_t count;
    double *value; // [count]
};

static void stepper_finish(struct stepper *s)
{
    clrnn_plan_destroy(&s->plan);
    clrnn_buffer_destroy(&s->x);
    clrnn_buffer_destroy(&s->index);
    clrnn_model_destroy(&s->model);
    clrnn_device_destroy(&s->device);
    *s = (struct stepper){0};
}

// ---------------------------------------------------------------- the copy

static enum clrnn_status check_causal(const struct clrnn_model *m)
{
    char label[1024];

    for (size_t i = 0; i < m->config->layer_count; i++) {
        const struct clrnn_layer *layer = &m->config->layer[i];
        const char *why = NULL;

        if (layer->kind == CLRNN_LAYER_POOL && m->layer[i].steps && layer->over != CLRNN_POOL_LAST)
            why = "needs all steps of a sequence; only over: last predicts step by step";
        else if (layer->kind == CLRNN_LAYER_BATCHNORM && !layer->track_running_stats)
            why = "takes the statistics of its batch, which a single step is not";
        else if (layer->kind != CLRNN_LAYER_POOL && !clrnn_layer_is_causal(layer))
            why = layer->bidirectional ? "is bidirectional: it reads steps that come later"
                                       : "reads more than one step and cannot predict step by step";
        if (why)
            return clrnn_error(m->log, CLRNN_ERR_CONFIG, "%s: %s",
                               clrnn_layer_label(m->config, i, label, sizeof(label)), why);
    }
    return CLRNN_OK;
}

static enum clrnn_status copy_moments(struct clrnn_model *to, const struct clrnn_model *from)
{
    const size_t C = from->shape.features;
    double *values;
    enum clrnn_status st;

    if (from->target_mean)
        TRY(clrnn_model_set_target_normalization(to, from->target_mean, from->target_std));
    if (!from->input_mean || !from->input_std)
        return CLRNN_OK;
    values = malloc(2 * C * sizeof(*values));
    if (!values)
        return clrnn_error_memory(from->log, 2 * C * sizeof(*values), "input.mean");
    st = clrnn_buffer_read_f64(from->input_mean, 0, C, values);
    if (st == CLRNN_OK)
        st = clrnn_buffer_read_f64(from->input_std, 0, C, values + C);
    if (st == CLRNN_OK)
        st = clrnn_model_set_normalization(to, values, values + C);
    free(values);
    return st;
}

enum clrnn_status clrnn_model_copy_values(struct clrnn_model *to, struct clrnn_model *from)
{
    for (size_t i = 0; i < from->entry_count; i++) {
        const size_t count = from->entry[i].param.count;
        double *values = malloc(MAX2(count, 1) * sizeof(*values));
        enum clrnn_status st;

        if (!values)
            return clrnn_error_memory(from->log, count * sizeof(*values), from->entry[i].param.name);
        st = clrnn_model_read(from, i, values);
        if (st == CLRNN_OK)
            st = clrnn_model_write(to, i, values);
        free(values);
        TRY(st);
    }
    return CLRNN_OK;
}

static enum clrnn_status make_plan(struct stepper *s)
{
    struct clrnn_model *m = s->model;
    const bool tokens = m->shape.tokens;
    struct clrnn_plan_params params = {.mode = CLRNN_MODE_PREDICT, .N = 1, .T = 1, .carried = 1};

    TRY(clrnn_buffer_create(s->device, tokens ? CLRNN_I32 : CLRNN_REAL, tokens ? 1 : m->shape.features, "x", &s->x));
    TRY(clrnn_buffer_create(s->device, CLRNN_U32, 1, "the batch's index", &s->index));
    params.data = (struct clrnn_plan_data){.S = 1, .T_data = 1, .x = s->x, .index = s->index};
    m->carry = true;
    return clrnn_plan_create(m, &params, &s->plan);
}

static enum clrnn_status stepper_init(struct stepper *s, struct clrnn_model *m)
{
    const struct clrnn_device_params params = {.select = "ref", .log = m->log};

    TRY(clrnn_model_check_normalization(m));
    s->steps = m->steps;
    s->writes = m->writes;
    TRY(clrnn_device_open(&params, &s->device));
    TRY(clrnn_model_describe(s->device, m->config, &m->shape, &s->model));
    TRY(clrnn_model_allocate(s->model));
    TRY(copy_moments(s->model, m));
    TRY(clrnn_model_copy_values(s->model, m));
    return make_plan(s);
}

// Makes a copy of the model if there is none, or if the original's weights have changed.
static enum clrnn_status refresh(struct clrnn_state *state)
{
    struct stepper *s = &state->stepper;
    enum clrnn_status st;

    if (s->plan && s->steps == state->model->steps && s->writes == state->model->writes)
        return CLRNN_OK;
    stepper_finish(s);
    st = stepper_init(s, state->model);
    if (st != CLRNN_OK)
        stepper_finish(s);
    return st;
}

enum { NAME_SIZE = 1024 };

// Prints the name of h or c (`what`) of a recurrent level: "lstm.h", "0.l1.c".
static void print_name(const struct clrnn_model *m, size_t level, char what, char name[NAME_SIZE])
{
    char prefix[NAME_SIZE - 16];
    size_t i = 0;

    // a recurrent layer after a pool has no steps and carries no state
    for (;; i++) {
        const struct clrnn_layer *layer = &m->config->layer[i];

        if (!clrnn_layer_is_recurrent(layer) || !m->layer[i].steps)
            continue;
        if (level < layer->num_layers)
            break;
        level -= layer->num_layers;
    }
    clrnn_layer_prefix(m->config, i, prefix, sizeof(prefix));
    if (m->config->layer[i].num_layers > 1)
        snprintf(name, NAME_SIZE, "%s.l%u.%c", prefix, (unsigned)level, what);
    else
        snprintf(name, NAME_SIZE, "%s.%c", prefix, what);
}

// Returns the buffer of h (if `part` is even) or c (odd) of the recurrent level part / 2; NULL: the level has no c.
// Prints the name of this state into `name` unless `name` is NULL.
static struct clrnn_buffer *part_of(const struct clrnn_state *state, size_t part, char *name)
{
    const struct clrnn_carried *level = &state->stepper.model->carried[part / 2];

    if (name)
        print_name(state->stepper.model, part / 2, part % 2 ? 'c' : 'h', name);
    return part % 2 ? level->c : level->h;
}

static size_t parts_of(const struct clrnn_state *state)
{
    return 2 * state->stepper.model->carried_count;
}

// ---------------------------------------------------------------- states

enum clrnn_status clrnn_state_create(struct clrnn_model *model, struct clrnn_state **state)
{
    NEED(model ? model->log : NULL, state);
    *state = NULL;
    NEED(NULL, model);

    struct clrnn_state *s;
    enum clrnn_status st;

    TRY(check_causal(model));
    s = calloc(1, sizeof(*s));
    if (!s)
        return clrnn_error_memory(model->log, sizeof(*s), "a state");
    s->model = model;
    st = refresh(s);
    for (size_t part = 0; st == CLRNN_OK && part < parts_of(s); part++) {
        const struct clrnn_buffer *buffer = part_of(s, part, NULL);

        s->count += buffer ? clrnn_buffer_count(buffer) : 0;
    }
    if (st == CLRNN_OK && !(s->value = calloc(MAX2(s->count, 1), sizeof(*s->value))))
        st = clrnn_error_memory(model->log, s->count * sizeof(*s->value), "a state");
    if (st != CLRNN_OK)
        clrnn_state_destroy(&s);
    *state = s;
    return st;
}

void clrnn_state_destroy(struct clrnn_state **state)
{
    if (!state || !*state)
        return;
    stepper_finish(&(*state)->stepper);
    free((*state)->value);
    free(*state);
    *state = NULL;
}

void clrnn_state_reset(struct clrnn_state *state)
{
    if (state)
        memset(state->value, 0, state->count * sizeof(*state->value));
}

size_t clrnn_state_size(const struct clrnn_state *state)
{
    return state ? state->count : 0;
}

enum clrnn_status clrnn_state_copy(struct clrnn_state *to, const struct clrnn_state *from)
{
    NEED(NULL, to);
    NEED(to->model->log, from);

    if (to->model != from->model)
        return clrnn_error(to->model->log, CLRNN_ERR_ARG, "the two states belong to different models");
    memcpy(to->value, from->value, to->count * sizeof(*to->value));
    return CLRNN_OK;
}

enum clrnn_status clrnn_state_read(const struct clrnn_state *state, double *values)
{
    NEED(NULL, state);
    NEED(state->model->log, values);

    memcpy(values, state->value, state->count * sizeof(*values));
    return CLRNN_OK;
}

enum clrnn_status clrnn_state_write(struct clrnn_state *state, const double *values)
{
    NEED(NULL, state);
    NEED(state->model->log, values);

    for (size_t i = 0; i < state->count; i++)
        if (!isfinite(values[i]))
            return clrnn_error(state->model->log, CLRNN_ERR_ARG, "value %zu of the state is %g, expected a finite one",
                               i, clrnn_unsigned_nan(values[i]));
    memcpy(state->value, values, state->count * sizeof(*values));
    return CLRNN_OK;
}

// ---------------------------------------------------------------- files

enum clrnn_status clrnn_state_save(const struct clrnn_state *state, const char *path)
{
    NEED(NULL, state);
    NEED(state->model->log, path);

    struct clrnn_safetensors_writer *writer;
    enum clrnn_status st;
    size_t at = 0;
    char name[NAME_SIZE];

    TRY(clrnn_safetensors_writer_create(state->model->log, &writer));
    st = clrnn_safetensors_add_metadata(writer, "format", "pt");
    for (size_t part = 0; part < parts_of(state) && st == CLRNN_OK; part++) {
        const struct clrnn_buffer *buffer = part_of(state, part, name);
        const size_t count = buffer ? clrnn_buffer_count(buffer) : 0;

        if (count)
            st = clrnn_safetensors_add(writer, name, CLRNN_DTYPE_F64, 1, &count, state->value + at);
        at += count;
    }
    if (st == CLRNN_OK)
        st = clrnn_safetensors_write(writer, path);
    clrnn_safetensors_writer_destroy(&writer);
    return st;
}

static enum clrnn_status load(const struct clrnn_state *state, const struct clrnn_safetensors *file, double *values)
{
    size_t at = 0, tensors = 0;
    char name[NAME_SIZE];

    for (size_t part = 0; part < parts_of(state); part++) {
        const struct clrnn_buffer *buffer = part_of(state, part, name);
        const size_t count = buffer ? clrnn_buffer_count(buffer) : 0;
        const struct clrnn_safetensor *t = count ? clrnn_safetensors_find(file, name) : NULL;

        if (!count)
            continue;
        if (!t || t->count != count || t->dtype != CLRNN_DTYPE_F64)
            return clrnn_error(state->model->log, CLRNN_ERR_DATA,
                               "%s: is no state of this model: %s of %zu float64 is %s", file->path, name, count,
                               t ? "wrongly shaped" : "missing");
        clrnn_dtype_to_f64(t->dtype, t->data, count, values + at);
        at += count;
        tensors++;
    }
    if (tensors != file->count)
        return clrnn_error(state->model->log, CLRNN_ERR_DATA,
                           "%s: is no state of this model: holds %zu tensors, expected %zu", file->path, file->count,
                           tensors);
    for (size_t i = 0; i < at; i++)
        if (!isfinite(values[i]))
            return clrnn_error(state->model->log, CLRNN_ERR_DATA, "%s: value %zu is %g, expected a finite one",
                               file->path, i, clrnn_unsigned_nan(values[i]));
    return CLRNN_OK;
}

enum clrnn_status clrnn_state_load(struct clrnn_state *state, const char *path)
{
    NEED(NULL, state);
    NEED(state->model->log, path);

    struct clrnn_safetensors *file = NULL;
    double *values = malloc(MAX2(state->count, 1) * sizeof(*values));
    enum clrnn_status st =
        values ? CLRNN_OK : clrnn_error_memory(state->model->log, state->count * sizeof(*values), path);

    if (st == CLRNN_OK)
        st = clrnn_safetensors_open(state->model->log, path, &file);
    if (st == CLRNN_OK)
        st = load(state, file, values);
    if (st == CLRNN_OK)
        st = clrnn_safetensors_check(state->model->log, file);
    if (st == CLRNN_OK)
        memcpy(state->value, values, state->count * sizeof(*values));
    clrnn_safetensors_close(&file);
    free(values);
    return st;
}

// ---------------------------------------------------------------- a step

// Copies the state's values to the buffers of the recurrent levels or, with `out`, from these buffers.
static void move(struct clrnn_state *state, bool out)
{
    double *value = state->value;

    for (size_t part = 0; part < parts_of(state); part++) {
        struct clrnn_buffer *buffer = part_of(state, part, NULL);
        const size_t count = buffer ? clrnn_buffer_count(buffer) : 0;

        if (count && out)
            memcpy(value, clrnn_buffer_host(buffer), count * sizeof(*value));
        else if (count)
            memcpy(clrnn_buffer_host(buffer), value, count * sizeof(*value));
        value += count;
    }
}

static enum clrnn_status take_input(const struct clrnn_model *m, const struct stepper *s, const float *x)
{
    const uint32_t V = m->shape.tokens ? m->config->layer[0].num_embeddings : 0;

    for (uint32_t c = 0; c < m->shape.features && !m->shape.tokens; c++)
        ((double *)clrnn_buffer_host(s->x))[c] = (double)x[c];
    if (!m->shape.tokens)
        return CLRNN_OK;
    if (!(x[0] >= 0 && (double)x[0] < (double)V && floorf(x[0]) == x[0]))
        return clrnn_error(m->log, CLRNN_ERR_ARG, "the token is %g, expected a whole number from 0 to %" PRIu32,
                           clrnn_unsigned_nan((double)x[0]), V - 1);
    *(int32_t *)clrnn_buffer_host(s->x) = (int32_t)x[0];
    return CLRNN_OK;
}

enum clrnn_status clrnn_model_predict_step(struct clrnn_model *model, struct clrnn_state *state, const float *x,
                                           float *out)
{
    NEED(NULL, model);
    NEED(model->log, state);
    NEED(model->log, x);
    NEED(model->log, out);

    if (state->model != model)
        return clrnn_error(model->log, CLRNN_ERR_ARG, "the state belongs to another model");
    TRY(refresh(state));
    TRY(take_input(model, &state->stepper, x));
    move(state, false);
    TRY(clrnn_model_begin_step(state->stepper.model, 0, false));
    TRY(clrnn_plan_run(state->stepper.plan));
    TRY(clrnn_plan_read_output(state->stepper.plan, out));
    move(state, true);
    return CLRNN_OK;
}
