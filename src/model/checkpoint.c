// SPDX-License-Identifier: MIT
// Writing and reading model files. Reading validates everything.
#include "model/checkpoint.h"

#include <float.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "base/array.h"
#include "base/file.h"
#include "base/log.h"
#include "base/text.h"
#include "model/fields.h"
#include "model/weights.h"

#define FORMAT_VERSION "1"
#define NAMES_KEY "clrnn.data"

// ---------------------------------------------------------------- numbers in the metadata

// Ranges of fields (struct clrnn_field): lowest and highest value. COUNTER is for epochs and steps, which the code
// counts in 32 bits.
#define COUNTER 0, UINT32_MAX
#define LONG_COUNTER 0, 0x1p53 // a config may give as many
#define ANYTHING 0, 0

// clang-format off
#define SCHEDULE(kind, name, ...) {"clrnn.schedule." #name, kind, offsetof(struct clrnn_schedule, name), __VA_ARGS__}
static const struct clrnn_field schedule_field[] = {
    SCHEDULE(CLRNN_FIELD_F64, lr, ANYTHING), SCHEDULE(CLRNN_FIELD_F64, momentum, ANYTHING),
    SCHEDULE(CLRNN_FIELD_I64, count, COUNTER),        SCHEDULE(CLRNN_FIELD_F64, best, ANYTHING),
    SCHEDULE(CLRNN_FIELD_I64, bad, LONG_COUNTER),     SCHEDULE(CLRNN_FIELD_I64, cooldown_left, LONG_COUNTER),
    SCHEDULE(CLRNN_FIELD_F64, initial_lr, ANYTHING),
};

#define PROGRESS(kind, name, ...) \
    {"clrnn.progress." #name, kind, offsetof(struct clrnn_progress_state, name), __VA_ARGS__}
static const struct clrnn_field progress_field[] = {
    PROGRESS(CLRNN_FIELD_U64, epoch, COUNTER),         PROGRESS(CLRNN_FIELD_U64, step_in_epoch, COUNTER),
    PROGRESS(CLRNN_FIELD_F64, loss_sum, ANYTHING),     PROGRESS(CLRNN_FIELD_F64, weight_sum, 0, 0x1p64),
    PROGRESS(CLRNN_FIELD_F64, correct, ANYTHING),      PROGRESS(CLRNN_FIELD_F64, counted, 0, 0x1p64),
    PROGRESS(CLRNN_FIELD_F64, best_value, ANYTHING),   PROGRESS(CLRNN_FIELD_U64, best_epoch, COUNTER),
    PROGRESS(CLRNN_FIELD_F64, stop_best, ANYTHING),    PROGRESS(CLRNN_FIELD_U64, stop_bad, COUNTER),
    PROGRESS(CLRNN_FIELD_BOOL, finished, ANYTHING),    PROGRESS(CLRNN_FIELD_F64, seconds, 0, 1e12),
    PROGRESS(CLRNN_FIELD_F64, last_lr, ANYTHING),      PROGRESS(CLRNN_FIELD_F64, last_norm, ANYTHING),
};

struct counts { // numbers that belong to the model, not to the training loop
    uint64_t steps, steps_per_epoch, features, tokens, outputs, T;
};
#define COUNT(key, name, ...) {key, CLRNN_FIELD_U64, offsetof(struct counts, name), __VA_ARGS__}
static const struct clrnn_field count_field[] = {
    COUNT("clrnn.steps", steps, COUNTER),
    COUNT("clrnn.steps_per_epoch", steps_per_epoch, COUNTER),
    COUNT("clrnn.shape.features", features, COUNTER),
    COUNT("clrnn.shape.tokens", tokens, 0, 1),
    COUNT("clrnn.shape.outputs", outputs, COUNTER),
};
// This field is only in models with a flatten layer, since the parameters' shapes then depend on T.
static const struct clrnn_field steps_field[] = {COUNT("clrnn.shape.steps", T, COUNTER)};
// clang-format on

// ---------------------------------------------------------------- writing

// Adds `text` to the metadata and frees it. text NULL: reports that memory ran out when the text was made.
static enum clrnn_status put_text(struct clrnn_bundle *b, const char *key, char *text, const char *what)
{
    const enum clrnn_status st =
        text ? clrnn_safetensors_add_metadata(b->writer, key, text) : clrnn_error_memory(b->model->log, 0, what);

    free(text);
    return st;
}

static enum clrnn_status put_config(struct clrnn_bundle *b)
{
    struct clrnn_config own = *b->model->config;

    own.train.init = NULL; // a file of initial weights is irrelevant once the model has its weights
    own.train.init_partial = false;
    return put_text(b, "clrnn.config", clrnn_config_text(&own), "the config's text");
}

static enum clrnn_status put_tensors(struct clrnn_bundle *b)
{
    const struct clrnn_model *m = b->model;
    const struct clrnn_loss_config *loss = &m->config->train.loss;
    const size_t C = m->shape.features;
    enum clrnn_status st;

    TRY(clrnn_bundle_weights(b));
    if (m->input_mean && m->input_std) {
        TRY(clrnn_bundle_real(b, CLRNN_INPUT_MEAN, 1, &C, m->input_mean, 0));
        TRY(clrnn_bundle_real(b, CLRNN_INPUT_STD, 1, &C, m->input_std, 0));
    }
    if (m->target_mean) {
        TRY(clrnn_bundle_doubles(b, CLRNN_TARGET_MEAN, m->targets, m->target_mean));
        TRY(clrnn_bundle_doubles(b, CLRNN_TARGET_STD, m->targets, m->target_std));
    }
    if (loss->balanced && loss->weight)
        TRY(clrnn_bundle_doubles(b, CLRNN_LOSS_WEIGHT, loss->weight_count, loss->weight));
    for (int k = 0; k < 3; k++)
        for (size_t i = 0; m->moment[k] && i < m->entry_count; i++) {
            const struct clrnn_entry *e = &m->entry[i];
            char *name;

            if (!e->param.trained)
                continue;
            name = clrnn_format(CLRNN_OPTIM_PREFIX "%s.%s", clrnn_moment_word(k), e->param.name);
            if (!name)
                return clrnn_error_memory(m->log, 0, "a tensor's name");
            st = clrnn_bundle_real(b, name, e->param.ndim, e->param.shape, m->moment[k], e->first);
            free(name);
            TRY(st);
        }
    return CLRNN_OK;
}

static bool has_flatten(const struct clrnn_config *config)
{
    for (size_t i = 0; i < config->layer_count; i++)
        if (config->layer[i].kind == CLRNN_LAYER_FLATTEN)
            return true;
    return false;
}

// Adds the state h or c of a recurrent level, as tensor optim.state.LEVEL.h or optim.state.LEVEL.c. An unfinished epoch
// continues from these states.
static enum clrnn_status put_state(struct clrnn_bundle *b, size_t level, const char *what, struct clrnn_buffer *buffer)
{
    const size_t count = buffer ? clrnn_buffer_count(buffer) : 0;
    char name[64];

    snprintf(name, sizeof(name), CLRNN_OPTIM_PREFIX "state.%zu.%s", level, what);
    return buffer ? clrnn_bundle_real(b, name, 1, &count, buffer, 0) : CLRNN_OK;
}

static enum clrnn_status put_states(struct clrnn_bundle *b)
{
    for (size_t i = 0; i < b->model->carried_count; i++) {
        TRY(put_state(b, i, "h", b->model->carried[i].h));
        TRY(put_state(b, i, "c", b->model->carried[i].c));
    }
    return CLRNN_OK;
}

static enum clrnn_status put_all(struct clrnn_bundle *b, const struct clrnn_progress_state *state)
{
    const struct clrnn_model *m = b->model;
    const struct counts counts = {m->steps,        m->steps_per_epoch, m->shape.features,
                                  m->shape.tokens, m->shape.outputs,   m->shape.steps};

    TRY(clrnn_safetensors_add_metadata(b->writer, "format", "pt"));
    TRY(clrnn_safetensors_add_metadata(b->writer, CLRNN_FORMAT_KEY, FORMAT_VERSION));
    TRY(clrnn_safetensors_add_metadata(b->writer, "clrnn.version", clrnn_version()));
    TRY(put_config(b));
    TRY(clrnn_fields_put(b->writer, count_field, ARRAY_SIZE(count_field), &counts));
    if (has_flatten(m->config))
        TRY(clrnn_fields_put(b->writer, steps_field, ARRAY_SIZE(steps_field), &counts));
    TRY(clrnn_fields_put(b->writer, schedule_field, ARRAY_SIZE(schedule_field), &m->schedule));
    if (m->names)
        TRY(put_text(b, NAMES_KEY, clrnn_names_text(m->names), "names of the data's columns"));
    if (state)
        TRY(clrnn_fields_put(b->writer, progress_field, ARRAY_SIZE(progress_field), state));
    if (state && state->step_in_epoch)
        TRY(put_states(b));
    return put_tensors(b);
}

enum clrnn_status clrnn_checkpoint_write(struct clrnn_model *model, const struct clrnn_progress_state *state,
                                         const char *path)
{
    struct clrnn_bundle bundle;
    enum clrnn_status st = clrnn_bundle_init(&bundle, model);

    if (st == CLRNN_OK)
        st = put_all(&bundle, state);
    if (st == CLRNN_OK)
        st = clrnn_safetensors_write(bundle.writer, path);
    clrnn_bundle_finish(&bundle);
    return st;
}

// ---------------------------------------------------------------- reading

static enum clrnn_status check_format(const struct clrnn_log *log, const struct clrnn_safetensors *file)
{
    const char *format = clrnn_safetensors_metadata(file, CLRNN_FORMAT_KEY);

    if (!format)
        return clrnn_error(log, CLRNN_ERR_DATA,
                           "%s: holds no clrnn model, only tensors: load it with --init and "
                           "a config",
                           file->path);
    if (strcmp(format, FORMAT_VERSION) != 0)
        return clrnn_error(log, CLRNN_ERR_DATA,
                           "%s: is of model file format %.20s, expected %s; it was written by "
                           "another version of clrnn",
                           file->path, format, FORMAT_VERSION);
    return CLRNN_OK;
}

// Log function that stores the text of the first error in *user. The caller then logs it with the file's name.
static void keep_line(void *user, enum clrnn_log_level level, const char *line)
{
    char **kept = user;

    if (level == CLRNN_LOG_ERROR && !*kept)
        *kept = clrnn_format("%s", line);
}

static enum clrnn_status parse_config(const struct clrnn_log *log, const struct clrnn_safetensors *file,
                                      struct clrnn_config **config)
{
    const char *text = clrnn_safetensors_metadata(file, "clrnn.config");
    char *why = NULL;
    const struct clrnn_log quiet = {.fn = keep_line, .user = &why, .level = CLRNN_LOG_ERROR};
    enum clrnn_status st;

    *config = NULL;
    if (!text)
        return clrnn_error(log, CLRNN_ERR_DATA, "%s: its metadata lack clrnn.config; it is no complete model file",
                           file->path);
    st = clrnn_config_parse(&quiet, text, NULL, config); // needs no folder: its paths are absolute
    if (st != CLRNN_OK)
        st = clrnn_error(log, st == CLRNN_ERR_MEMORY ? st : CLRNN_ERR_DATA, "%s: the config inside is wrong: %s",
                         file->path, why ? why : clrnn_status_text(st));
    free(why);
    return st;
}

static enum clrnn_status load_moments(struct clrnn_model *m, const struct clrnn_safetensors *file)
{
    for (int k = 0; k < 3; k++)
        for (size_t i = 0; m->moment[k] && i < m->entry_count; i++) {
            const struct clrnn_entry *e = &m->entry[i];
            const struct clrnn_safetensor *t;
            char *name;

            if (!e->param.trained)
                continue;
            name = clrnn_format(CLRNN_OPTIM_PREFIX "%s.%s", clrnn_moment_word(k), e->param.name);
            if (!name)
                return clrnn_error_memory(m->log, 0, "a tensor's name");
            t = clrnn_safetensors_find(file, name);
            free(name);
            if (!t || !clrnn_weights_fits(t, e->param.ndim, e->param.shape))
                return clrnn_error(m->log, CLRNN_ERR_DATA,
                                   "%s: the tensor optim.%s.%s is %s, expected the "
                                   "optimiser's state of that parameter",
                                   file->path, clrnn_moment_word(k), e->param.name, t ? "wrongly shaped" : "missing");
            TRY(clrnn_weights_load(m, file, t, m->moment[k], e->first));
        }
    return CLRNN_OK;
}

static enum clrnn_status load_moments_of_data(struct clrnn_model *m, const struct clrnn_safetensors *file)
{
    bool found;

    TRY(clrnn_weights_load_moments(m, file, false, &found));
    if (m->config->data.standard && !m->shape.tokens && !found)
        return clrnn_error(m->log, CLRNN_ERR_DATA,
                           "%s: the config inside says 'normalize: standard', but "
                           "input.mean and input.std of %" PRIu32 " numbers each are not there",
                           file->path, m->shape.features);
    TRY(clrnn_weights_load_moments(m, file, true, &found));
    if (clrnn_model_wants_target_normalization(m) && !found)
        return clrnn_error(m->log, CLRNN_ERR_DATA,
                           "%s: the config inside says 'normalize_targets: standard', but "
                           "target.mean and target.std of %" PRIu32 " numbers each are not there",
                           file->path, m->targets);
    return CLRNN_OK;
}

// Checks that the file is large enough for the config's weights, before memory is allocated for them.
static enum clrnn_status check_size(const struct clrnn_model *m, const struct clrnn_safetensors *file)
{
    uint64_t held = 0;

    for (size_t i = 0; i < file->count; i++)
        held += file->tensor[i].count;
    if (held < clrnn_model_size(m))
        return clrnn_error(m->log, CLRNN_ERR_DATA,
                           "%s: holds %" PRIu64 " numbers, but the config inside is of a "
                           "model with %" PRIu64 " parameters",
                           file->path, held, clrnn_model_size(m));
    return CLRNN_OK;
}

// Loads the class weights that were computed for `weight: balanced`. The stored config has only the word `balanced`.
// The file of a model that was saved before its first step may lack them.
static enum clrnn_status load_balanced(const struct clrnn_model *m, const struct clrnn_safetensors *file,
                                       const struct counts *counts)
{
    const struct clrnn_safetensor *t = clrnn_safetensors_find(file, CLRNN_LOSS_WEIGHT);
    struct clrnn_loss_config *loss = &m->config->train.loss;
    const size_t count = m->outputs;

    if (!loss->balanced || (!t && !counts->steps))
        return CLRNN_OK;
    loss->weight = malloc(count * sizeof(*loss->weight));
    if (!loss->weight)
        return clrnn_error_memory(m->log, count * sizeof(*loss->weight), CLRNN_LOSS_WEIGHT);
    loss->weight_count = count;
    for (size_t i = 0; i < count; i++)
        loss->weight[i] = NAN;
    if (t && clrnn_weights_fits(t, 1, &count))
        clrnn_dtype_to_f64(t->dtype, t->data, count, loss->weight);
    for (size_t i = 0; i < count; i++)
        if (!(loss->weight[i] >= 0 && loss->weight[i] <= (double)FLT_MAX))
            return clrnn_error(m->log, CLRNN_ERR_DATA,
                               "%s: the config inside has balanced weights, but loss.weight of %zu finite numbers "
                               "from 0 is not there",
                               file->path, count);
    return CLRNN_OK;
}

static enum clrnn_status load_model(struct clrnn_model *m, const struct clrnn_safetensors *file,
                                    const struct counts *counts)
{
    TRY(check_size(m, file));
    TRY(load_balanced(m, file, counts));
    TRY(clrnn_model_allocate(m));
    TRY(clrnn_weights_load_all(m, file, false));
    TRY(load_moments_of_data(m, file));
    TRY(load_moments(m, file));
    if (clrnn_safetensors_metadata(file, NAMES_KEY))
        TRY(clrnn_names_parse(m->log, file->path, clrnn_safetensors_metadata(file, NAMES_KEY), &m->names));
    m->opened = true;
    m->steps = counts->steps;
    m->steps_per_epoch = counts->steps_per_epoch;
    return clrnn_fields_get(m->log, file, schedule_field, ARRAY_SIZE(schedule_field), &m->schedule);
}

static enum clrnn_status load_state(struct clrnn_model *m, const struct clrnn_safetensors *file, size_t level,
                                    bool cell, bool *found)
{
    const struct clrnn_safetensor *t;
    char name[64];

    snprintf(name, sizeof(name), CLRNN_OPTIM_PREFIX "state.%zu.%s", level, cell ? "c" : "h");
    t = clrnn_safetensors_find(file, name);
    *found = t && t->count <= UINT32_MAX;
    if (!*found)
        return CLRNN_OK;
    TRY(clrnn_model_carry(m, level, (uint32_t)t->count, !cell, cell));
    return clrnn_weights_load(m, file, t, cell ? m->carried[level].c : m->carried[level].h, 0);
}

static enum clrnn_status load_states(struct clrnn_model *m, const struct clrnn_safetensors *file)
{
    bool found = true, cell;

    for (size_t level = 0; found; level++) {
        TRY(load_state(m, file, level, false, &found));
        if (found)
            TRY(load_state(m, file, level, true, &cell));
    }
    return CLRNN_OK;
}

// Checks that the counters fit each other: each epoch takes at least one step, and the best epoch is a finished one.
static enum clrnn_status check_progress(const struct clrnn_log *log, const struct clrnn_safetensors *file,
                                        const struct counts *counts, const struct clrnn_progress_state *p)
{
    if (p->epoch <= counts->steps && p->step_in_epoch <= counts->steps - p->epoch && p->best_epoch <= p->epoch)
        return CLRNN_OK;
    return clrnn_error(log, CLRNN_ERR_DATA,
                       "%s: the counters in its metadata do not fit each other: %" PRIu64 " steps, %" PRIu64
                       " epochs and %" PRIu64 " steps of the next, the best epoch %" PRIu64,
                       file->path, counts->steps, p->epoch, p->step_in_epoch, p->best_epoch);
}

static enum clrnn_status read_file(struct clrnn_device *device, const struct clrnn_safetensors *file,
                                   struct clrnn_model **model, struct clrnn_progress_state *state)
{
    const struct clrnn_log *log = clrnn_device_log(device);
    struct clrnn_config *config;
    struct clrnn_data_shape shape;
    struct counts counts = {.T = 0};
    enum clrnn_status st;

    TRY(check_format(log, file));
    TRY(clrnn_fields_get(log, file, count_field, ARRAY_SIZE(count_field), &counts));
    if (state) {
        TRY(clrnn_fields_get(log, file, progress_field, ARRAY_SIZE(progress_field), state));
        TRY(check_progress(log, file, &counts, state));
    }
    if (clrnn_safetensors_metadata(file, steps_field[0].key))
        TRY(clrnn_fields_get(log, file, steps_field, ARRAY_SIZE(steps_field), &counts));
    shape = (struct clrnn_data_shape){(uint32_t)counts.features, counts.tokens, (uint32_t)counts.outputs,
                                      (uint32_t)counts.T};
    TRY(parse_config(log, file, &config));
    st = clrnn_model_describe(device, config, &shape, model);
    clrnn_config_destroy(&config);
    if (st == CLRNN_OK)
        st = load_model(*model, file, &counts);
    if (st == CLRNN_OK && state && state->step_in_epoch)
        st = load_states(*model, file);
    if (st != CLRNN_OK)
        clrnn_model_destroy(model);
    return st == CLRNN_ERR_CONFIG ? CLRNN_ERR_DATA : st; // an invalid config in a model file is invalid data
}

enum clrnn_status clrnn_checkpoint_read(struct clrnn_device *device, const char *path, struct clrnn_model **model,
                                        struct clrnn_progress_state *state)
{
    struct clrnn_safetensors *file;
    enum clrnn_status st;

    *model = NULL;
    TRY(clrnn_safetensors_open(clrnn_device_log(device), path, &file));
    st = read_file(device, file, model, state);
    clrnn_safetensors_close(&file);
    return st;
}

// ---------------------------------------------------------------- public functions

enum clrnn_status clrnn_model_save(struct clrnn_model *model, const char *path)
{
    NEED(NULL, model);
    NEED(model->log, path);

    return clrnn_checkpoint_write(model, NULL, path);
}

enum clrnn_status clrnn_model_open(struct clrnn_device *device, const char *path, struct clrnn_model **model)
{
    NEED(clrnn_device_log(device), model);
    *model = NULL;
    NEED(clrnn_device_log(device), device);
    NEED(clrnn_device_log(device), path);

    static const char *const name[] = {"last.safetensors", "best.safetensors"};
    const struct clrnn_log *log = clrnn_device_log(device);
    enum clrnn_status st;
    struct stat info;
    char *inside = NULL;

    *model = NULL;
    if (stat(path, &info) || !S_ISDIR(info.st_mode))
        return clrnn_checkpoint_read(device, path, model, NULL);
    for (size_t i = 0; i < ARRAY_SIZE(name); i++) {
        inside = clrnn_path_join(path, name[i]);
        if (!inside)
            return clrnn_error_memory(log, 0, "a path");
        if (!stat(inside, &info))
            break;
        free(inside);
        inside = NULL;
    }
    if (!inside)
        return clrnn_error(log, CLRNN_ERR_DATA,
                           "%s: is no run folder, for it has neither last.safetensors nor "
                           "best.safetensors",
                           path);
    st = clrnn_checkpoint_read(device, inside, model, NULL);
    free(inside);
    return st;
}
