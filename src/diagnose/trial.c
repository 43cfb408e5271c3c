// SPDX-License-Identifier: MIT
// Training and evaluating a model on batches gathered by the host.
#include "diagnose/trial.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/array.h"
#include "base/random.h"
#include "model/network.h"

static bool real_targets(const struct clrnn_config *config)
{
    return config->train.loss.kind == CLRNN_LOSS_BCE_WITH_LOGITS || config->train.loss.kind == CLRNN_LOSS_MSE;
}

// ---------------------------------------------------------------- making

static enum clrnn_status make_model(struct trial *t)
{
    const struct trial_params *p = t->params;
    const struct clrnn_dataset_info *info = clrnn_dataset_info(p->train);
    const struct clrnn_data_shape shape = {.features = info->C, .tokens = info->tokens};

    TRY(clrnn_model_create(p->device, t->own, &shape, &t->model));
    if (p->init)
        TRY(clrnn_model_init(t->model, p->init, false));
    if (p->mean)
        TRY(clrnn_model_set_normalization(t->model, p->mean, p->std));
    clrnn_schedule_init(&t->model->schedule, &p->config->train, p->batches);
    return CLRNN_OK;
}

static enum clrnn_status make_arrays(struct trial *t, const struct clrnn_log *log)
{
    const struct clrnn_dataset_info *info = clrnn_dataset_info(t->params->train);
    const size_t rows = (size_t)t->room * t->T, width = info->tokens ? 1 : info->C;

    t->x = info->tokens ? NULL : malloc(rows * width * sizeof(float));
    t->tokens = info->tokens ? malloc(rows * sizeof(int32_t)) : NULL;
    t->lengths = malloc(t->room * sizeof(int32_t));
    t->classes = malloc(rows * sizeof(int32_t));
    t->targets = malloc(rows * sizeof(float));
    t->order = malloc(t->T * sizeof(uint32_t));
    t->scratch = malloc(t->T * width * sizeof(uint32_t));
    if ((info->tokens ? (void *)t->tokens : (void *)t->x) && t->lengths && t->classes && t->targets &&
        t->order && t->scratch)
        return CLRNN_OK;
    return clrnn_error_memory(log, rows * (width + 3) * sizeof(float), "a batch");
}

enum clrnn_status trial_create(const struct trial_params *params, struct trial *trial)
{
    const struct clrnn_log *log = clrnn_device_log(params->device);
    const struct clrnn_dataset_info *info = clrnn_dataset_info(params->train);
    enum clrnn_status st;

    *trial = (struct trial){.params = params, .T = info->T, .room = MAX2(params->room, 1u)};
    st = clrnn_config_copy(log, params->config, &trial->own);
    if (st == CLRNN_OK) {
        trial->own->train.scheduler.per_batch = false;
        st = make_model(trial);
    }
    if (st == CLRNN_OK)
        st = make_arrays(trial, log);
    if (st != CLRNN_OK)
        trial_finish(trial);
    return st;
}

void trial_finish(struct trial *t)
{
    clrnn_model_destroy(&t->model);
    clrnn_config_destroy(&t->own);
    free(t->x);
    free(t->tokens);
    free(t->lengths);
    free(t->classes);
    free(t->targets);
    free(t->order);
    free(t->scratch);
    *t = (struct trial){0};
}

// ---------------------------------------------------------------- gathering

// The steps of a row in another order, the same each time. A step is `width` 32-bit words.
static void shuffle_steps(struct trial *t, uint32_t row, uint32_t length, void *steps, size_t width)
{
    const struct clrnn_random r = {t->params->config->train.seed, RANDOM_PROBE, row, 1};
    uint32_t *to = steps;

    clrnn_random_permutation(&r, length, t->order);
    memcpy(t->scratch, steps, length * width * sizeof(*to));
    for (uint32_t i = 0; i < length; i++)
        memcpy(to + i * width, t->scratch + t->order[i] * width, width * sizeof(*to));
}

static void gather_x(struct trial *t, const struct trial_data *d, uint32_t row, uint32_t n, uint32_t T)
{
    const struct clrnn_dataset_info *info = clrnn_dataset_info(d->set);
    const size_t C = info->tokens ? 1 : info->C;
    const uint32_t length = MIN2(clrnn_dataset_length(d->set, row), T);
    int32_t *tokens = info->tokens ? t->tokens + (size_t)n * T : NULL;
    float *x = info->tokens ? NULL : t->x + (size_t)n * T * C;

    if (tokens)
        clrnn_dataset_tokens(d->set, row, tokens);
    else
        clrnn_dataset_x(d->set, row, x);
    if (tokens && d->blank_tokens)
        memset(tokens, 0, T * sizeof(*tokens));
    for (size_t i = 0; x && d->blank && i < (size_t)T * C; i++)
        x[i] = (float)d->blank[i % C];
    if (d->shuffle_time)
        shuffle_steps(t, row, length, tokens ? (void *)tokens : (void *)x, C);
    t->lengths[n] = (int32_t)length;
}

enum clrnn_status trial_gather(struct trial *t, const struct trial_data *d, const uint32_t *rows,
                               uint32_t count, struct clrnn_batch *batch)
{
    const struct clrnn_dataset_info *info = clrnn_dataset_info(d->set);
    const uint32_t T = d->shorten ? MIN2(d->steps, info->T) : info->T;
    const uint32_t label_steps = info->y_steps ? T : 1;
    const struct clrnn_log *log = clrnn_device_log(t->params->device);

    if (count > t->room || info->T > t->T)
        return clrnn_error(log, CLRNN_ERR_ARG,
                           "%u samples of %u steps were asked for, but there is room for %u of %u", count,
                           info->T, t->room, t->T);
    // in this order: a row that is cut to T steps is first read whole, over where the next ones will lie
    for (uint32_t i = 0; i < count; i++) {
        const uint32_t label = d->labels_from ? d->labels_from[rows[i]] : rows[i];

        gather_x(t, d, rows[i], i, T);
        if (real_targets(t->params->config))
            clrnn_dataset_targets(d->set, label, t->targets + (size_t)i * label_steps);
        else
            clrnn_dataset_classes(d->set, label, t->classes + (size_t)i * label_steps);
    }
    *batch = (struct clrnn_batch){
        .N = count,
        .T = T,
        .x = t->x,
        .tokens = t->tokens,
        .lengths = info->has_lengths ? t->lengths : NULL,
        .classes = real_targets(t->params->config) ? NULL : t->classes,
        .targets = real_targets(t->params->config) ? t->targets : NULL,
    };
    return CLRNN_OK;
}

void trial_order(const struct clrnn_config *config, uint32_t S, uint64_t epoch, uint32_t *order)
{
    const struct clrnn_random r = {config->train.seed, RANDOM_SHUFFLE, (uint32_t)epoch, 0};

    if (config->train.shuffle) {
        clrnn_random_permutation(&r, S, order);
        return;
    }
    for (uint32_t i = 0; i < S; i++)
        order[i] = i;
}

// ---------------------------------------------------------------- stepping

static void step_schedule(struct trial *t, double metric)
{
    if (t->params->config->train.scheduler.kind == CLRNN_SCHEDULER_NONE || t->schedule_ended)
        return;
    // one cycle beyond its total: stays where it ended
    t->schedule_ended =
        !clrnn_schedule_step(&t->model->schedule, &t->params->config->train, t->params->batches, metric);
}

enum clrnn_status trial_step(struct trial *t, const struct clrnn_batch *batch,
                             struct clrnn_step_result *result)
{
    TRY(clrnn_model_step(t->model, batch, result));
    if (t->params->config->train.scheduler.per_batch)
        step_schedule(t, result->loss);
    return CLRNN_OK;
}

void trial_end_epoch(struct trial *t, double metric)
{
    if (!t->params->config->train.scheduler.per_batch)
        step_schedule(t, metric);
}

// ---------------------------------------------------------------- evaluating

struct sums {
    double record[RECORD_FIELDS];
    double y, yy; // mse: of the targets, in double as their variance is a difference of the two
};

static void add_targets(const struct clrnn_model *m, const struct clrnn_batch *b, struct sums *s)
{
    const uint32_t T = m->per_step ? b->T : 1;

    for (uint32_t n = 0; n < b->N; n++)
        for (uint32_t i = 0; i < T; i++) {
            const double y = b->targets[(size_t)n * T + i];

            if (m->per_step && b->lengths && i >= (uint32_t)b->lengths[n])
                continue;
            s->y += y;
            s->yy += y * y;
        }
}

static enum clrnn_status evaluate_batch(struct trial *t, const struct clrnn_batch *batch, struct sums *s)
{
    double record[RECORD_FIELDS];
    struct clrnn_step_result result;

    TRY(clrnn_model_evaluate(t->model, batch, &result));
    TRY(clrnn_model_read_records(t->model, 0, 1, record));
    for (int i = 0; i < RECORD_FIELDS; i++)
        s->record[i] += record[i];
    if (t->params->config->train.loss.kind == CLRNN_LOSS_MSE)
        add_targets(t->model, batch, s);
    return CLRNN_OK;
}

enum clrnn_status trial_evaluate(struct trial *t, const struct trial_data *d, const uint32_t *rows,
                                 uint32_t count, struct trial_score *score)
{
    uint32_t *some = malloc(t->room * sizeof(*some));
    struct sums s = {{0}, 0, 0};
    double counted;
    enum clrnn_status st = CLRNN_OK;

    if (!some)
        return clrnn_error_memory(clrnn_device_log(t->params->device), t->room * sizeof(*some),
                                  "an evaluation");
    for (uint32_t first = 0; st == CLRNN_OK && first < count; first += t->room) {
        const uint32_t n = MIN2(t->room, count - first);
        struct clrnn_batch batch;

        for (uint32_t i = 0; i < n; i++)
            some[i] = rows ? rows[first + i] : first + i;
        st = trial_gather(t, d, some, n, &batch);
        if (st == CLRNN_OK)
            st = evaluate_batch(t, &batch, &s);
    }
    free(some);
    counted = s.record[RECORD_COUNT];
    score->loss = s.record[RECORD_LOSS] / s.record[RECORD_WEIGHT];
    if (t->params->config->train.loss.kind == CLRNN_LOSS_MSE)
        score->quality = 1 - s.record[RECORD_LOSS] / fmax(s.yy - s.y * s.y / fmax(counted, 1), 1e-300);
    else
        score->quality = s.record[RECORD_CORRECT] / counted;
    return st;
}

// ---------------------------------------------------------------- the best constant answer

static double constant_cross_entropy(const struct clrnn_loss_config *l, uint32_t K, const uint64_t *counts)
{
    double total = 0, weight = 0, all = 0, loss = 0;

    for (uint32_t k = 0; k < K; k++)
        total += (double)counts[k];
    for (uint32_t pass = 0; pass < 2;
         pass++) // the answer's shares are those of the weighted, smoothed targets
        for (uint32_t k = 0; k < K; k++) {
            const double w = l->weight ? l->weight[k] : 1, share = (double)counts[k] / total;
            const double smooth = l->kind == CLRNN_LOSS_CROSS_ENTROPY ? l->label_smoothing : 0;
            const double target = w * ((1 - smooth) * share + smooth / K);

            if (!pass) {
                all += target;
                weight += w * share;
            } else if (target > 0) {
                loss -= target * log(target / all);
            }
        }
    return loss / weight;
}

double trial_constant_loss(const struct clrnn_config *config, uint32_t classes, const uint64_t *counts,
                           double target_variance)
{
    const struct clrnn_loss_config *l = &config->train.loss;
    double ones, zeros, share;

    switch (l->kind) {
    case CLRNN_LOSS_CROSS_ENTROPY:
        return constant_cross_entropy(l, classes, counts);
    case CLRNN_LOSS_NLL:
        return config->layer_count && config->layer[config->layer_count - 1].kind == CLRNN_LAYER_LOG_SOFTMAX
                   ? constant_cross_entropy(l, classes, counts)
                   : NAN;
    case CLRNN_LOSS_BCE_WITH_LOGITS:
        ones = (double)counts[1] / (double)(counts[0] + counts[1]);
        zeros = 1 - ones;
        ones *= l->weight ? l->weight[0] : 1;
        share = ones / (ones + zeros);
        return share > 0 && share < 1 ? -ones * log(share) - zeros * log(1 - share) : 0;
    case CLRNN_LOSS_MSE:
        break;
    }
    return target_variance;
}
