// SPDX-License-Identifier: MIT
// Sums batchnorm's statistics over the tree of shards (tree.h), in double. Forward: count, mean and sum of squared
// deviations of each feature, combined pairwise (Chan, Golub, LeVeque). Backward: the sums of dy xhat and of dy, where
// xhat is the normalised input.
#include "train/norm_sums.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/array.h"
#include "base/log.h"
#include "train/tree.h"

struct norm {
    struct clrnn_tree *forward, *backward; // trees of [3, C] and of [2, C] numbers
    double count;                          // number of rows in the batch
};

struct clrnn_norm_sums {
    struct clrnn_model *model;
    const struct clrnn_worker *worker;
    size_t count;
    struct norm *norm; // [count], indexed by the member norm.number of a batchnorm op
    // Results of the latest clrnn_norm_sums_add. Forward [3, C]: 1 / sqrt(variance + eps), mean, variance. Backward [2,
    // C]: means of dy and of dy xhat.
    double *result;
    size_t result_count;
};

static void join_moments(void *left, const void *right, size_t numbers)
{
    const size_t C = numbers / 3;
    double *a = left;
    const double *b = right;

    for (size_t c = 0; c < C; c++) {
        const double n = a[c] + b[c], d = b[C + c] - a[C + c], share = n > 0 ? b[c] / n : 0;

        a[C + c] += d * share;
        a[2 * C + c] += b[2 * C + c] + d * d * a[c] * share;
        a[c] = n;
    }
}

static void add_doubles(void *left, const void *right, size_t numbers)
{
    double *a = left;
    const double *b = right;

    for (size_t i = 0; i < numbers; i++)
        a[i] += b[i];
}

enum clrnn_status clrnn_norm_sums_create(struct clrnn_model *model, const struct clrnn_worker *worker,
                                         struct clrnn_norm_sums **sums)
{
    const struct clrnn_config *config = model->config;
    struct clrnn_norm_sums *s;
    size_t count = 0;

    *sums = NULL;
    for (size_t i = 0; i < config->layer_count; i++)
        count += config->layer[i].kind == CLRNN_LAYER_BATCHNORM && config->layer[i].sync;
    if (!count)
        return CLRNN_OK;
    s = calloc(1, sizeof(*s));
    *sums = s;
    if (s)
        s->norm = calloc(count, sizeof(*s->norm));
    if (!s || !s->norm) {
        clrnn_norm_sums_destroy(sums);
        return clrnn_error_memory(model->log, count * sizeof(*s->norm), "sums of batchnorm");
    }
    s->model = model;
    s->worker = worker;
    s->count = count;
    return CLRNN_OK;
}

void clrnn_norm_sums_destroy(struct clrnn_norm_sums **sums)
{
    struct clrnn_norm_sums *s = *sums;

    *sums = NULL;
    if (!s)
        return;
    for (size_t i = 0; i < s->count; i++) {
        clrnn_tree_destroy(&s->norm[i].forward);
        clrnn_tree_destroy(&s->norm[i].backward);
    }
    free(s->norm);
    free(s->result);
    free(s);
}

// Sets *done to op number op - 1, and *tree to the tree in which the host sums the outputs of that op. Creates the tree
// when it is first needed.
static enum clrnn_status find(struct clrnn_norm_sums *s, const struct clrnn_plan *plan, size_t op,
                              const struct clrnn_op **done, struct clrnn_tree **tree)
{
    const uint32_t shards = s->model->config->train.shards;
    const bool forward = plan->graph->op[op - 1].kind == CLRNN_OP_BATCHNORM_MOMENTS;
    struct clrnn_tree **at;

    *done = &plan->graph->op[op - 1];
    at = forward ? &s->norm[(*done)->norm.number].forward : &s->norm[(*done)->norm.number].backward;
    if (!*at)
        TRY(clrnn_tree_create(s->worker,
                              &(struct clrnn_tree_params){.shards = shards,
                                                          .count = (forward ? 3 : 2) * (size_t)(*done)->C,
                                                          .size = sizeof(double),
                                                          .sum = forward ? join_moments : add_doubles},
                              at));
    *tree = *at;
    return CLRNN_OK;
}

// Reads `count` outputs of an op, [C] each, from output slot `first` on, into consecutive parts of `values`.
static enum clrnn_status read_slots(const struct clrnn_plan *plan, const struct clrnn_op *op, int first, int count,
                                    double *values)
{
    for (int i = 0; i < count; i++)
        TRY(clrnn_buffer_read_f64(clrnn_out(plan->graph, op, first + i), 0, op->C, values + (size_t)i * op->C));
    return CLRNN_OK;
}

enum clrnn_status clrnn_norm_sums_take(struct clrnn_norm_sums *s, const struct clrnn_plan *plan, size_t op, bool empty)
{
    const struct clrnn_op *done;
    struct clrnn_tree *tree;
    void *value;

    TRY(find(s, plan, op, &done, &tree));
    TRY(clrnn_tree_next(tree, &value));
    if (empty) {
        memset(value, 0, (done->kind == CLRNN_OP_BATCHNORM_MOMENTS ? 3 : 2) * (size_t)done->C * sizeof(double));
        return CLRNN_OK;
    }
    return done->kind == CLRNN_OP_BATCHNORM_MOMENTS ? read_slots(plan, done, MOMENTS_COUNT, 3, value)
                                                    : read_slots(plan, done, BATCHNORM_DWEIGHT, 2, value);
}

// Updates running statistics: running = (1 - f) running + f values / divisor.
static enum clrnn_status update(const struct clrnn_log *log, struct clrnn_buffer *running, double f,
                                const double *values, double divisor, size_t C)
{
    double *now = malloc(C * sizeof(*now));
    enum clrnn_status st;

    if (!now)
        return clrnn_error_memory(log, C * sizeof(*now), "running statistics");
    st = clrnn_buffer_read_f64(running, 0, C, now);
    for (size_t c = 0; c < C; c++)
        now[c] = (1 - f) * now[c] + f * values[c] / divisor;
    if (st == CLRNN_OK)
        st = clrnn_buffer_write_f64(running, 0, C, now);
    free(now);
    return st;
}

static enum clrnn_status update_running(const struct clrnn_norm_sums *s, const struct clrnn_op *op, const double *mean,
                                        const double *squares, double count)
{
    const struct clrnn_entry *e = &s->model->entry[MAX2(op->norm.entry, 0)];
    int32_t batches;
    double f;

    if (op->norm.entry < 0 || s->worker->number)
        return CLRNN_OK;
    TRY(clrnn_buffer_read_i32(e[2].value, 0, 1, &batches));
    batches++;
    f = op->norm.cumulative ? 1.0 / batches : op->norm.momentum;
    TRY(clrnn_buffer_write_i32(e[2].value, 0, 1, &batches));
    TRY(update(s->model->log, e[0].value, f, mean, 1, op->C));
    return update(s->model->log, e[1].value, f, squares, fmax(count - 1, 1), op->C);
}

enum clrnn_status clrnn_norm_sums_add(struct clrnn_norm_sums *s, const struct clrnn_plan *plan, size_t op)
{
    const struct clrnn_op *done;
    struct clrnn_tree *tree;
    double *r, count;
    void *total;
    size_t C;

    TRY(find(s, plan, op, &done, &tree));
    C = done->C;
    TRY(clrnn_tree_total(tree, &total));
    if (s->result_count < 3 * C) {
        free(s->result);
        s->result_count = 0;
        s->result = malloc(3 * C * sizeof(*s->result));
        if (!s->result)
            return clrnn_error_memory(s->model->log, 3 * C * sizeof(*s->result), "sums of batchnorm");
        s->result_count = 3 * C;
    }
    r = s->result;
    if (done->kind != CLRNN_OP_BATCHNORM_MOMENTS) {
        // `total` has the sums of dy xhat first, then those of dy; SPREAD_MEANS has the means of dy first
        memcpy(r, (double *)total + C, C * sizeof(*r));
        memcpy(r + C, total, C * sizeof(*r));
        for (size_t i = 0; i < 2 * C; i++)
            r[i] /= fmax(s->norm[done->norm.number].count, 1);
        return CLRNN_OK;
    }
    memcpy(r, total, 3 * C * sizeof(*r));
    count = s->norm[done->norm.number].count = r[0];
    TRY(update_running(s, done, r + C, r + 2 * C, count));
    for (size_t c = 0; c < C; c++) {
        r[2 * C + c] /= fmax(count, 1);
        r[c] = 1 / sqrt(r[2 * C + c] + done->norm.eps);
    }
    return CLRNN_OK;
}

enum clrnn_status clrnn_norm_sums_give(struct clrnn_norm_sums *s, const struct clrnn_plan *plan, size_t op)
{
    const struct clrnn_op *done = &plan->graph->op[op - 1];
    const size_t C = done->C;

    if (done->kind != CLRNN_OP_BATCHNORM_MOMENTS)
        return clrnn_buffer_write_f64(clrnn_in(plan->graph, done + 1, SPREAD_MEANS), 0, 2 * C, s->result);
    for (int i = 0; i < 3; i++)
        TRY(clrnn_buffer_write_f64(clrnn_out(plan->graph, done, MOMENTS_COUNT + i), 0, C, s->result + (size_t)i * C));
    return CLRNN_OK;
}
