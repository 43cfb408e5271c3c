// SPDX-License-Identifier: MIT
// Tunes a device for a config: finds the matrix multiplications of a training step, and measures them with different
// settings of CLBlast. Then measures the choices between variants of ops (tune_choices.h).
#include <jansson.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/array.h"
#include "base/clock.h"
#include "base/json.h"
#include "base/log.h"
#include "base/words.h"
#include "device/tune/tune.h"
#include "train/session.h"
#include "train/tune_choices.h"

enum { MOST_SHAPES = 12 }; // most matrix multiplications to measure: those with the most work

struct shapes {
    struct clrnn_tuned_multiply *shape; // [count]
    size_t count;
};

struct work {
    const struct clrnn_log *log;
    const struct clrnn_tune_params *params;
    double seconds;
    char select[24]; // spec of the device, to open it again: the default device may change meanwhile
    const struct clrnn_config *config[3];
    struct clrnn_config *standard[3]; // configs that this struct owns
    size_t config_count;
    struct shapes shapes;
    struct clrnn_tuned_list tuned;
    char *path; // path of the device's file
};

static enum clrnn_status add_shape(const struct clrnn_log *log, struct shapes *s,
                                   const struct clrnn_tuned_multiply *shape)
{
    for (size_t i = 0; i < s->count; i++) {
        struct clrnn_tuned_multiply *h = &s->shape[i];

        if (h->M == shape->M && h->N == shape->N && h->K == shape->K && h->transpose_a == shape->transpose_a &&
            h->transpose_b == shape->transpose_b) {
            h->count += shape->count;
            return CLRNN_OK;
        }
    }
    if (!ARRAY_GROW(s->shape, s->count))
        return clrnn_error_memory(log, 2 * s->count * sizeof(*s->shape), "the matrix multiplications");
    s->shape[s->count++] = *shape;
    return CLRNN_OK;
}

// Adds matrix multiplications in sizes that are common in recurrent networks: for each layer one of the forward pass,
// one that computes the input gradient, and one that computes the weight gradient.
static enum clrnn_status standard_shapes(const struct clrnn_log *log, struct shapes *s)
{
    static const uint32_t layers[][3] = {{64, 128, 2474}, {64, 256, 256}, {1600, 256, 128}, {1600, 512, 256}};

    for (size_t i = 0; i < ARRAY_SIZE(layers); i++) {
        const uint32_t rows = layers[i][0], out = layers[i][1], in = layers[i][2];
        const struct clrnn_tuned_multiply shapes[] = {
            {.M = rows, .N = out, .K = in, .transpose_b = true, .count = 1},
            {.M = rows, .N = in, .K = out, .count = 1},
            {.M = out, .N = in, .K = rows, .transpose_a = true, .count = 1},
        };

        for (size_t k = 0; k < ARRAY_SIZE(shapes); k++)
            TRY(add_shape(log, s, &shapes[k]));
    }
    return CLRNN_OK;
}

static double work(const struct clrnn_tuned_multiply *h)
{
    return (double)h->M * h->N * h->K * h->count;
}

static int by_work(const void *a, const void *b)
{
    const double x = work(a), y = work(b);

    return (x < y) - (x > y);
}

// Adds the matrix multiplications of a training step on one batch of the config's data.
static enum clrnn_status config_shapes(struct clrnn_device *device, const struct clrnn_config *config, struct shapes *s)
{
    struct clrnn_session *session;
    const struct clrnn_launches *launches;
    enum clrnn_status st = CLRNN_OK;

    TRY(clrnn_session_of_one_batch(device, config, CLRNN_MODE_TRAIN, &session));
    launches = session->plan->launches;
    for (size_t i = 0; st == CLRNN_OK && i < clrnn_launches_count(launches); i++) {
        const struct clrnn_launch_info *info = clrnn_launches_info(launches, i);
        struct clrnn_tuned_multiply h = {.count = 1};
        char a, b;

        if (strcmp(info->kernel, "gemm") || sscanf(info->shape, "%ux%ux%u %c%c", &h.M, &h.N, &h.K, &a, &b) != 5)
            continue;
        h.transpose_a = a == 'T';
        h.transpose_b = b == 'T';
        st = add_shape(clrnn_device_log(device), s, &h);
    }
    clrnn_session_close(&session);
    return st;
}

// Used if there is no config to tune for: makes a config for each kind of recurrent layer, in common sizes.
static enum clrnn_status standard_configs(struct work *w)
{
    static const char *const cells[] = {"rnn", "lstm", "gru"};

    for (size_t i = 0; i < ARRAY_SIZE(cells); i++) {
        char text[512];

        snprintf(text, sizeof(text),
                 "model:\n  layers:\n    - %s: {hidden_size: 256}\n    - pool: {over: last}\n"
                 "    - linear: {out_features: 2}\n"
                 "train: {loss: cross_entropy, optimizer: {adam: {lr: 1.0e-3}}, epochs: 1, batch_size: 64}\n"
                 "data:\n  train: {synthetic: {samples: 64, steps: 100, features: 128, classes: 2, seed: 1}}\n",
                 cells[i]);
        TRY(clrnn_config_parse(w->log, text, NULL, &w->standard[i]));
        w->config[w->config_count++] = w->standard[i];
    }
    return CLRNN_OK;
}

// ---------------------------------------------------------------- order of measuring

static enum clrnn_status open_device(const struct work *w, const char *gemm, bool no_tune, struct clrnn_device **device)
{
    return clrnn_device_open(
        &(struct clrnn_device_params){
            .select = w->select[0] ? w->select : w->params->select, .log = w->log, .gemm = gemm, .no_tune = no_tune},
        device);
}

// Measures the choices until the clock reaches `end`. Matrix multiplications in them use the settings stored so far.
static enum clrnn_status measure_choices(struct work *w, double end)
{
    struct clrnn_device *device = NULL;
    enum clrnn_status st;

    w->tuned.count = 0;
    st = open_device(w, "auto", false, &device);
    for (size_t i = 0; st == CLRNN_OK && i < w->config_count; i++)
        st = clrnn_tune_choices(device, w->config[i], fmax(end - clrnn_clock(), 0), w->params->stop, &w->tuned);
    clrnn_device_destroy(&device);
    return st;
}

// Returns the CLBlast settings that the device's file marks as in use, as JSON text, which the caller frees. Returns
// NULL if there are none.
static char *settings_in_use(const char *path)
{
    json_t *root = NULL;
    const json_t *use;
    char *text;

    if (path)
        clrnn_json_read(NULL, path, &root); // the file may not exist yet
    use = json_object_get(root, "use");
    text = json_object_size(use) ? clrnn_json_dumps(use, JSON_SORT_KEYS) : NULL;
    json_decref(root);
    return text;
}

// Measures in this order:
// 1. the matrix multiplications with CLBlast's default settings;
// 2. the choices between variants, with the settings that earlier calls stored;
// 3. the matrix multiplications with further settings;
// 4. if 3 changed the best settings, again the choices between matrix multiplications and other kernels.
// The order is fixed because CLBlast cannot return to its defaults in a process that has tried other settings.
static enum clrnn_status measure_all(struct work *w, struct clrnn_device *device)
{
    const double start = clrnn_clock(), seconds = w->seconds;
    struct clrnn_tune_search first = {
        .restart = w->params->restart, .most_settings = w->params->settings, .stop = w->params->stop};
    struct clrnn_tune_search rest = first;
    char *before, *after;
    enum clrnn_status st;

    first.seconds = 0.4 * seconds; // so much because the first call of each shape builds CLBlast's kernels
    first.defaults_only = true;
    rest.restart = false;
    TRY(clrnn_tune_run(device, &first, w->shapes.shape, w->shapes.count));
    TRY(measure_choices(w, fmax(start + 0.7 * seconds, clrnn_clock() + 0.2 * seconds)));
    before = settings_in_use(w->path);
    rest.seconds = fmax(start + 0.9 * seconds - clrnn_clock(), 1e-9);
    st = clrnn_tune_run(device, &rest, w->shapes.shape, w->shapes.count);
    after = settings_in_use(w->path);
    if (st == CLRNN_OK && after && (!before || strcmp(before, after)) && clrnn_clock() < start + seconds)
        st = measure_choices(w, start + seconds);
    free(before);
    free(after);
    return st;
}

static enum clrnn_status give(struct work *w, struct clrnn_tune_result *result)
{
    const size_t bytes = w->shapes.count * sizeof(*result->multiply);

    result->multiply = malloc(MAX2(bytes, 1));
    if (!result->multiply)
        return clrnn_error_memory(w->log, bytes, "what was tuned");
    if (bytes)
        memcpy(result->multiply, w->shapes.shape, bytes);
    result->multiply_count = w->shapes.count;
    return CLRNN_OK;
}

enum clrnn_status clrnn_tune(const struct clrnn_log *log, const struct clrnn_config *config,
                             const struct clrnn_tune_params *params, struct clrnn_tune_result *result)
{
    CLRNN_C_LOCALE;
    NEED(log, params);
    NEED(log, result);

    struct work w = {.log = log, .params = params, .seconds = params->seconds > 0 ? params->seconds : 120};
    struct clrnn_device *device = NULL;
    enum clrnn_status st =
        open_device(&w, "clblast", true, &device); // "clblast": a plan then has one launch for each multiply

    *result = (struct clrnn_tune_result){.file = NULL};
    if (st == CLRNN_OK)
        memcpy(result->device, clrnn_device_spec(clrnn_device_info(device), w.select), sizeof(w.select));
    if (st == CLRNN_OK && config) {
        w.config[w.config_count++] = config;
        st = config_shapes(device, config, &w.shapes);
    } else if (st == CLRNN_OK) {
        st = standard_shapes(log, &w.shapes);
        if (st == CLRNN_OK)
            st = standard_configs(&w);
    }
    if (w.shapes.count)
        qsort(w.shapes.shape, w.shapes.count, sizeof(*w.shapes.shape), by_work);
    w.shapes.count = MIN2(w.shapes.count, MOST_SHAPES);
    if (st == CLRNN_OK) {
        w.path = clrnn_tune_path(clrnn_device_info(device));
        st = measure_all(&w, device);
    }
    if (st == CLRNN_OK)
        st = give(&w, result);
    result->file = w.path;
    result->choice = w.tuned.tuned;
    result->choice_count = w.tuned.count;
    for (size_t i = 0; i < ARRAY_SIZE(w.standard); i++)
        clrnn_config_destroy(&w.standard[i]);
    free(w.shapes.shape);
    clrnn_device_destroy(&device);
    return st;
}

void clrnn_tune_finish(struct clrnn_tune_result *result)
{
    if (!result)
        return;

    free(result->file);
    free(result->multiply);
    free(result->choice);
    *result = (struct clrnn_tune_result){.file = NULL};
}
