// SPDX-License-Identifier: MIT
// Checks batches from the caller, copies them to the model's staging buffers, and runs them.
#include <float.h>
#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/array.h"
#include "base/log.h"
#include "base/words.h"
#include "model/network.h"

// Staging buffers, which are large enough for the largest batch so far. `index` has 0, 1, 2, ..., so that FEED keeps
// the order of the samples.
struct clrnn_stage {
    struct clrnn_buffer *x, *y, *lengths, *weights, *y_lengths, *index;
    // Capacities. rows: N * T.
    // samples: N.
    // targets: elements of y.
    uint32_t rows, samples;
    size_t targets;
    struct clrnn_plan_cache *cache;
};

void clrnn_stage_destroy(struct clrnn_stage **stage)
{
    struct clrnn_stage *s = *stage;

    if (!s)
        return;
    clrnn_plan_cache_destroy(&s->cache);
    clrnn_buffer_destroy(&s->x);
    clrnn_buffer_destroy(&s->y);
    clrnn_buffer_destroy(&s->lengths);
    clrnn_buffer_destroy(&s->weights);
    clrnn_buffer_destroy(&s->y_lengths);
    clrnn_buffer_destroy(&s->index);
    free(s);
    *stage = NULL;
}

static bool real_targets(const struct clrnn_model *m)
{
    return clrnn_loss_is_real(m->config->train.loss.kind);
}

// ---------------------------------------------------------------- checks

// Whether time step t of sample n is valid, not padding.
static bool valid(const struct clrnn_batch *b, size_t n, size_t t)
{
    return !b->lengths || t < (size_t)b->lengths[n];
}

// Returns the number of valid steps of the output for sample n.
static size_t output_length(const struct clrnn_model *m, const struct clrnn_batch *b, size_t n)
{
    return clrnn_model_output_steps(m, b->lengths ? (uint32_t)b->lengths[n] : b->T);
}

static enum clrnn_status check_tokens(const struct clrnn_model *m, const struct clrnn_batch *b)
{
    const uint32_t V = m->config->layer[0].num_embeddings;

    for (size_t n = 0; n < b->N; n++)
        for (size_t t = 0; t < b->T; t++) {
            const int32_t token = b->tokens[n * b->T + t];

            if (valid(b, n, t) && (token < 0 || (uint32_t)token >= V))
                return clrnn_error(m->log, CLRNN_ERR_ARG,
                                   "the batch's token of sample %zu, step %zu is %" PRId32 ", expected 0 to %" PRIu32,
                                   n, t, token, V - 1);
        }
    return CLRNN_OK;
}

static bool is_ctc(const struct clrnn_model *m)
{
    return m->config->train.loss.kind == CLRNN_LOSS_CTC;
}

static enum clrnn_status check_labels(const struct clrnn_model *m, const struct clrnn_batch *b)
{
    if (!b->y_lengths || !b->y_steps)
        return clrnn_error(
            m->log, CLRNN_ERR_ARG,
            "the batch has no y_steps and y_lengths, which train.loss ctc needs: classes are [N, y_steps]");
    for (size_t n = 0; n < b->N; n++) {
        if (b->y_lengths[n] < 0 || (uint32_t)b->y_lengths[n] > b->y_steps)
            return clrnn_error(m->log, CLRNN_ERR_ARG,
                               "the batch's sample %zu has %" PRId32 " labels, expected 0 to y_steps=%" PRIu32, n,
                               b->y_lengths[n], b->y_steps);
        for (size_t i = 0; i < (size_t)b->y_lengths[n]; i++) {
            const int32_t y = b->classes[n * b->y_steps + i];

            if (y < 0 || (uint32_t)y >= m->outputs || (uint32_t)y == m->config->train.loss.blank)
                return clrnn_error(m->log, CLRNN_ERR_ARG,
                                   "the batch's label %zu of sample %zu is %" PRId32 ", expected 0 to %" PRIu32
                                   " other than the blank, %" PRIu32,
                                   i, n, y, m->outputs - 1, m->config->train.loss.blank);
        }
    }
    return CLRNN_OK;
}

static enum clrnn_status check_classes(const struct clrnn_model *m, const struct clrnn_batch *b)
{
    const size_t T = m->per_step ? clrnn_model_output_steps(m, b->T) : 1;
    const int32_t ignored = m->config->train.loss.ignore_index;

    for (size_t n = 0; n < b->N; n++)
        for (size_t t = 0; t < T; t++) {
            const int32_t y = b->classes[n * T + t];

            if (y != ignored && (!m->per_step || t < output_length(m, b, n)) && (y < 0 || (uint32_t)y >= m->outputs))
                return clrnn_error(m->log, CLRNN_ERR_ARG,
                                   "the batch's class of sample %zu, step %zu is %" PRId32 ", expected 0 to %" PRIu32
                                   " or %" PRId32 " (ignore_index)",
                                   n, t, y, m->outputs - 1, ignored);
        }
    return CLRNN_OK;
}

static enum clrnn_status check(const struct clrnn_model *m, const struct clrnn_batch *b, bool targets)
{
    if (b->N < 1 || b->T < 1 || (uint64_t)b->N * b->T > UINT32_MAX)
        return clrnn_error(m->log, CLRNN_ERR_ARG,
                           "the batch has N=%" PRIu32 ", T=%" PRIu32 ", expected both from "
                           "1 and N * T below 2^32",
                           b->N, b->T);
    if (m->shape.tokens ? !b->tokens : !b->x)
        return clrnn_error(m->log, CLRNN_ERR_ARG, "the batch has no %s, which the model reads",
                           m->shape.tokens ? "tokens" : "x");
    TRY(clrnn_model_check_normalization(m));
    for (size_t n = 0; b->lengths && n < b->N; n++)
        if (b->lengths[n] < 1 || (uint32_t)b->lengths[n] > b->T)
            return clrnn_error(m->log, CLRNN_ERR_ARG,
                               "the batch's length of sample %zu is %" PRId32 ", expected 1 to T=%" PRIu32, n,
                               b->lengths[n], b->T);
    for (size_t n = 0; n < b->N; n++)
        if (!output_length(m, b, n))
            return clrnn_error(m->log, CLRNN_ERR_ARG,
                               "the batch's sample %zu has too few steps for the model's windows over time", n);
    if (m->shape.tokens)
        TRY(check_tokens(m, b));
    if (!targets)
        return CLRNN_OK;
    for (size_t n = 0; b->weights && n < b->N; n++)
        if (!(b->weights[n] >= 0 && b->weights[n] <= FLT_MAX))
            return clrnn_error(m->log, CLRNN_ERR_ARG,
                               "the batch's weight of sample %zu is %g, expected a finite number from 0", n,
                               clrnn_unsigned_nan(b->weights[n]));
    if (real_targets(m) ? !b->targets : !b->classes)
        return clrnn_error(m->log, CLRNN_ERR_ARG, "the batch has no %s, which train.loss %s needs",
                           real_targets(m) ? "targets" : "classes", clrnn_loss_word(m->config->train.loss.kind));
    if (m->config->train.loss.balanced && !m->config->train.loss.weight)
        return clrnn_error(m->log, CLRNN_ERR_CONFIG,
                           "train.loss.%s has balanced weights, which are measured on a training set; give numbers "
                           "where batches are given",
                           clrnn_loss_word(m->config->train.loss.kind));
    return real_targets(m) ? CLRNN_OK : is_ctc(m) ? check_labels(m, b) : check_classes(m, b);
}

// ---------------------------------------------------------------- staging

static enum clrnn_status make_stage(struct clrnn_model *m, uint32_t rows, uint32_t samples, size_t targets,
                                    struct clrnn_stage *s)
{
    const enum clrnn_type x = m->shape.tokens ? CLRNN_I32 : CLRNN_REAL;
    size_t elements;
    enum clrnn_status st;
    int32_t *index;

    if (!clrnn_mul_size(rows, m->shape.tokens ? 1 : m->shape.features, &elements))
        return clrnn_error(m->log, CLRNN_ERR_ARG, "the batch has more elements than can be counted");
    s->rows = rows;
    s->samples = samples;
    s->targets = targets;
    TRY(clrnn_buffer_create(m->device, x, elements, "a batch's x", &s->x));
    TRY(clrnn_buffer_create(m->device, real_targets(m) ? CLRNN_REAL : CLRNN_I32, targets, "a batch's y", &s->y));
    TRY(clrnn_buffer_create(m->device, CLRNN_REAL, samples, "a batch's weights", &s->weights));
    TRY(clrnn_buffer_create(m->device, CLRNN_I32, samples, "a batch's lengths", &s->lengths));
    if (is_ctc(m))
        TRY(clrnn_buffer_create(m->device, CLRNN_I32, samples, "a batch's y_lengths", &s->y_lengths));
    TRY(clrnn_buffer_create(m->device, CLRNN_U32, samples, "a batch's index", &s->index));
    TRY(clrnn_plan_cache_create(m, 0, &s->cache));
    index = malloc(samples * sizeof(*index));
    if (!index)
        return clrnn_error_memory(m->log, samples * sizeof(*index), "a batch's index");
    for (uint32_t n = 0; n < samples; n++)
        index[n] = (int32_t)n;
    st = clrnn_buffer_write_i32(s->index, 0, samples, index);
    free(index);
    return st;
}

// Returns how many elements of y a sample has.
static size_t output_count(const struct clrnn_model *m, const struct clrnn_batch *b)
{
    if (is_ctc(m))
        return MAX2(b->y_steps, 1u); // 1 in prediction, where batches have no labels
    return (size_t)(m->per_step ? clrnn_model_output_steps(m, b->T) : 1) * m->targets;
}

static enum clrnn_status fit_stage(struct clrnn_model *m, const struct clrnn_batch *b)
{
    uint32_t rows = b->N * b->T, samples = b->N;
    size_t targets = (size_t)b->N * output_count(m, b);
    struct clrnn_stage *s = m->stage;
    enum clrnn_status st;

    if (s && rows <= s->rows && samples <= s->samples && targets <= s->targets)
        return CLRNN_OK;
    if (s) {
        rows = MAX2(rows, s->rows);
        samples = MAX2(samples, s->samples);
        targets = MAX2(targets, s->targets);
    }
    clrnn_stage_destroy(&m->stage);
    s = calloc(1, sizeof(*s));
    if (!s)
        return clrnn_error_memory(m->log, sizeof(*s), "staging a batch");
    st = make_stage(m, rows, samples, targets, s);
    if (st != CLRNN_OK)
        clrnn_stage_destroy(&s);
    m->stage = s;
    return st;
}

static enum clrnn_status write_targets(const struct clrnn_model *m, struct clrnn_stage *s, size_t rows,
                                       const float *targets)
{
    float *scaled;
    enum clrnn_status st;

    if (!m->target_mean)
        return clrnn_buffer_write_f32(s->y, 0, rows, targets);
    scaled = malloc(rows * sizeof(*scaled));
    if (!scaled)
        return clrnn_error_memory(m->log, rows * sizeof(*scaled), "a batch's y");
    memcpy(scaled, targets, rows * sizeof(*scaled));
    clrnn_model_standardise_targets(m, rows, scaled);
    st = clrnn_buffer_write_f32(s->y, 0, rows, scaled);
    free(scaled);
    return st;
}

static enum clrnn_status stage(struct clrnn_model *m, const struct clrnn_batch *b, enum clrnn_mode mode,
                               struct clrnn_plan **plan)
{
    const size_t rows = (size_t)b->N * b->T, targets = b->N * output_count(m, b);
    struct clrnn_plan_params params = {.mode = mode, .N = b->N, .T = b->T};
    struct clrnn_stage *s;

    m->first_step = 0; // the caller's batch is whole, and its states begin at zero
    m->carry = false;
    m->first_sample = m->samples = 0;
    TRY(fit_stage(m, b));
    s = m->stage;
    if (m->shape.tokens)
        TRY(clrnn_buffer_write_i32(s->x, 0, rows, b->tokens));
    else
        TRY(clrnn_buffer_write_f32(s->x, 0, rows * m->shape.features, b->x));
    if (b->lengths)
        TRY(clrnn_buffer_write_i32(s->lengths, 0, b->N, b->lengths));
    if (mode != CLRNN_MODE_PREDICT && b->weights)
        TRY(clrnn_buffer_write_f32(s->weights, 0, b->N, b->weights));
    if (mode != CLRNN_MODE_PREDICT && real_targets(m))
        TRY(write_targets(m, s, targets, b->targets));
    else if (mode != CLRNN_MODE_PREDICT)
        TRY(clrnn_buffer_write_i32(s->y, 0, targets, b->classes));
    if (mode != CLRNN_MODE_PREDICT && is_ctc(m))
        TRY(clrnn_buffer_write_i32(s->y_lengths, 0, b->N, b->y_lengths));
    params.data = (struct clrnn_plan_data){
        .S = b->N,
        .T_data = b->T,
        .x = s->x,
        .y = s->y,
        .lengths = b->lengths ? s->lengths : NULL,
        .weights = b->weights && mode != CLRNN_MODE_PREDICT ? s->weights : NULL,
        .index = s->index,
        .y_real = real_targets(m),
        .y_steps = m->per_step,
        .y_T = is_ctc(m) ? MAX2(b->y_steps, 1u) : 0,
        .y_lengths = mode == CLRNN_MODE_PREDICT ? NULL : s->y_lengths,
    };
    return clrnn_plan_cache_get(s->cache, &params, plan);
}

// ---------------------------------------------------------------- step and prediction

// Waits for the device and fills *result from record 0, except for lr.
static enum clrnn_status read_result(struct clrnn_model *m, struct clrnn_step_result *result)
{
    double record[RECORD_FIELDS];

    TRY(clrnn_model_read_records(m, 0, 1, record));
    result->loss = clrnn_unsigned_nan(record[RECORD_LOSS] / record[RECORD_WEIGHT]);
    result->accuracy =
        clrnn_loss_is_regression(m->config->train.loss.kind) ? NAN : record[RECORD_CORRECT] / record[RECORD_COUNT];
    result->grad_norm = clrnn_unsigned_nan(record[RECORD_NORM]);
    return CLRNN_OK;
}

bool clrnn_model_step_schedule(struct clrnn_model *m, double metric)
{
    const struct clrnn_train_config *train = &m->config->train;

    return train->scheduler.kind == CLRNN_SCHEDULER_NONE ||
           clrnn_schedule_step(&m->schedule, train, m->steps_per_epoch, metric);
}

static enum clrnn_status step_schedule(struct clrnn_model *m, double loss)
{
    if (clrnn_model_step_schedule(m, loss))
        return CLRNN_OK;
    return clrnn_error(m->log, CLRNN_ERR_CONFIG,
                       "train.scheduler.%s was stepped more often than its total_steps, at step %" PRIu64
                       ": give it total_steps that cover the run",
                       clrnn_scheduler_word(m->config->train.scheduler.kind), m->steps);
}

// Checks a batch, copies it to the staging buffers, and queues a run of a plan over it.
static enum clrnn_status queue(struct clrnn_model *m, const struct clrnn_batch *batch, enum clrnn_mode mode,
                               struct clrnn_plan **plan)
{
    TRY(check(m, batch, mode != CLRNN_MODE_PREDICT));
    TRY(stage(m, batch, mode, plan));
    TRY(clrnn_model_begin_step(m, 0, mode == CLRNN_MODE_TRAIN));
    return clrnn_plan_run(*plan);
}

enum clrnn_status clrnn_model_step(struct clrnn_model *model, const struct clrnn_batch *batch,
                                   struct clrnn_step_result *result)
{
    NEED(NULL, model);
    NEED(model->log, batch);

    const struct clrnn_train_config *train = &model->config->train;
    const bool plateau = train->scheduler.kind == CLRNN_SCHEDULER_REDUCE_LR_ON_PLATEAU;
    struct clrnn_step_result got = {.loss = NAN, .lr = model->schedule.lr};
    struct clrnn_plan *plan;

    TRY(queue(model, batch, CLRNN_MODE_TRAIN, &plan));
    TRY(clrnn_device_flush(model->device));
    if (result || (plateau && train->scheduler.per_batch))
        TRY(read_result(model, &got));
    if (result)
        *result = got;
    return train->scheduler.per_batch ? step_schedule(model, got.loss) : CLRNN_OK;
}

enum clrnn_status clrnn_model_end_epoch(struct clrnn_model *model, double loss)
{
    NEED(NULL, model);

    const struct clrnn_train_config *train = &model->config->train;

    return train->scheduler.per_batch ? CLRNN_OK : step_schedule(model, loss);
}

enum clrnn_status clrnn_model_evaluate(struct clrnn_model *model, const struct clrnn_batch *batch,
                                       struct clrnn_step_result *result)
{
    NEED(NULL, model);
    NEED(model->log, batch);
    NEED(model->log, result);

    struct clrnn_plan *plan;

    TRY(queue(model, batch, CLRNN_MODE_EVAL, &plan));
    *result = (struct clrnn_step_result){.lr = NAN};
    TRY(read_result(model, result));
    result->grad_norm = NAN;
    return CLRNN_OK;
}

enum clrnn_status clrnn_model_predict(struct clrnn_model *model, const struct clrnn_batch *batch, float *out)
{
    NEED(NULL, model);
    NEED(model->log, batch);
    NEED(model->log, out);

    struct clrnn_plan *plan;

    TRY(queue(model, batch, CLRNN_MODE_PREDICT, &plan));
    return clrnn_plan_read_output(plan, out);
}
