// SPDX-License-Identifier: MIT
// Helpers of the model tests.
#include "fixture.h"

#include "base/array.h"
#include "base/random.h"

struct clrnn_config *fixture_config(struct scratch *f, const char *layers, const char *train)
{
    struct clrnn_config *config = NULL;
    char text[8192], *at = text;

    at += snprintf(text, sizeof(text), "model:\n  layers:\n");
    for (const char *line = layers; *line;) {
        const char *end = strchr(line, '\n');
        const size_t length = end ? (size_t)(end - line) : strlen(line);

        at += snprintf(at, sizeof(text) - (size_t)(at - text), "    %.*s\n", (int)length, line);
        line += length + (end ? 1 : 0);
    }
    snprintf(at, sizeof(text) - (size_t)(at - text), "train: {%s}\n", train);
    if (clrnn_config_parse(&f->log, text, ".", &config) != CLRNN_OK)
        fail_msg("%s\nin\n%s", f->error, text);
    return config;
}

struct clrnn_model *fixture_model(struct scratch *f, const char *layers, const char *train,
                                  struct clrnn_data_shape shape)
{
    struct clrnn_config *config = fixture_config(f, layers, train);
    struct clrnn_model *model = NULL;
    const enum clrnn_status st = clrnn_model_create(f->device, config, &shape, &model);

    clrnn_config_destroy(&config);
    if (st != CLRNN_OK)
        fail_msg("status %d: %s", st, f->error);
    return model;
}

const char *fixture_refusal(struct scratch *f, const char *layers, const char *train, struct clrnn_data_shape shape)
{
    struct clrnn_config *config = fixture_config(f, layers, train);
    struct clrnn_model *model = NULL;

    f->errors = 0;
    assert_int_equal(clrnn_model_create(f->device, config, &shape, &model), CLRNN_ERR_CONFIG);
    assert_null(model);
    assert_int_equal(f->errors, 1);
    clrnn_config_destroy(&config);
    return f->error;
}

struct clrnn_batch fixture_batch(const struct clrnn_model *model, uint32_t N, uint32_t T, bool lengths, uint64_t seed)
{
    const struct clrnn_random r = {.seed = seed, .stream = RANDOM_PROBE};
    const bool real = clrnn_loss_is_real(model->config->train.loss.kind);
    const size_t rows = (size_t)N * T, C = model->shape.features,
                 targets = (model->per_step ? rows : N) * (real ? model->targets : 1);
    float *x = calloc(rows * C + 1, sizeof(*x)), *y_real = calloc(targets, sizeof(*y_real));
    int32_t *tokens = calloc(rows, sizeof(*tokens)), *y = calloc(targets, sizeof(*y));
    int32_t *length = calloc(N, sizeof(*length));

    assert_true(x && y_real && tokens && y && length);
    for (size_t i = 0; i < rows * C; i++)
        x[i] = (float)clrnn_random_normal(&r, i);
    for (size_t i = 0; i < rows; i++)
        tokens[i] = (int32_t)(clrnn_random_u32(&r, i) % MAX2(model->config->layer[0].num_embeddings, 1));
    for (size_t i = 0; i < targets; i++) {
        y[i] = (int32_t)(clrnn_random_u32(&r, 7000 + i) % model->outputs);
        y_real[i] = (float)(clrnn_random_u32(&r, 8000 + i) % 2);
    }
    for (size_t n = 0; n < N; n++)
        length[n] = n == 0 ? (int32_t)T : 1 + (int32_t)(clrnn_random_u32(&r, 9000 + n) % T);
    if (!lengths) {
        free(length);
        length = NULL;
    }
    if (model->shape.tokens) {
        free(x);
        x = NULL;
    } else {
        free(tokens);
        tokens = NULL;
    }
    free(real ? (void *)y : (void *)y_real);
    return (struct clrnn_batch){.N = N,
                                .T = T,
                                .x = x,
                                .tokens = tokens,
                                .lengths = length,
                                .classes = real ? NULL : y,
                                .targets = real ? y_real : NULL};
}

void fixture_batch_free(struct clrnn_batch *b)
{
    free((void *)(uintptr_t)b->x);
    free((void *)(uintptr_t)b->tokens);
    free((void *)(uintptr_t)b->lengths);
    free((void *)(uintptr_t)b->classes);
    free((void *)(uintptr_t)b->targets);
    memset(b, 0, sizeof(*b));
}

struct clrnn_plan_data fixture_data(struct clrnn_model *m, const struct clrnn_batch *b)
{
    const size_t rows = (size_t)b->N * b->T, targets = m->per_step ? rows : b->N;
    struct clrnn_plan_data d = {.S = b->N, .T_data = b->T, .y_real = b->targets != NULL, .y_steps = m->per_step};
    int32_t *index = calloc(b->N, sizeof(*index));
    struct clrnn_device *device = m->device;

    assert_non_null(index);
    for (uint32_t n = 0; n < b->N; n++)
        index[n] = (int32_t)n;
    assert_int_equal(clrnn_buffer_create(device, CLRNN_U32, b->N, "index", &d.index), CLRNN_OK);
    assert_int_equal(clrnn_buffer_write_i32(d.index, 0, b->N, index), CLRNN_OK);
    free(index);
    if (b->tokens) {
        assert_int_equal(clrnn_buffer_create(device, CLRNN_I32, rows, "tokens", &d.x), CLRNN_OK);
        assert_int_equal(clrnn_buffer_write_i32(d.x, 0, rows, b->tokens), CLRNN_OK);
    } else {
        const size_t count = rows * m->shape.features;

        assert_int_equal(clrnn_buffer_create(device, CLRNN_REAL, count, "x", &d.x), CLRNN_OK);
        assert_int_equal(clrnn_buffer_write_f32(d.x, 0, count, b->x), CLRNN_OK);
    }
    if (b->targets) {
        assert_int_equal(clrnn_buffer_create(device, CLRNN_REAL, targets, "y", &d.y), CLRNN_OK);
        assert_int_equal(clrnn_buffer_write_f32(d.y, 0, targets, b->targets), CLRNN_OK);
    } else {
        assert_int_equal(clrnn_buffer_create(device, CLRNN_I32, targets, "y", &d.y), CLRNN_OK);
        assert_int_equal(clrnn_buffer_write_i32(d.y, 0, targets, b->classes), CLRNN_OK);
    }
    if (b->lengths) {
        assert_int_equal(clrnn_buffer_create(device, CLRNN_I32, b->N, "lengths", &d.lengths), CLRNN_OK);
        assert_int_equal(clrnn_buffer_write_i32(d.lengths, 0, b->N, b->lengths), CLRNN_OK);
    }
    return d;
}

void fixture_data_free(struct clrnn_plan_data *data)
{
    clrnn_buffer_destroy(&data->x);
    clrnn_buffer_destroy(&data->y);
    clrnn_buffer_destroy(&data->lengths);
    clrnn_buffer_destroy(&data->index);
}

size_t fixture_find(const struct clrnn_model *model, const char *name)
{
    for (size_t i = 0; i < clrnn_model_param_count(model); i++)
        if (!strcmp(clrnn_model_param(model, i)->name, name))
            return i;
    fail_msg("the model has no %s", name);
    return 0;
}
