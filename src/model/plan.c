// SPDX-License-Identifier: MIT
// Plans, each of which is made once for a batch shape and replayed every step, and the cache of plans.
#include "model/plan.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/array.h"
#include "base/log.h"
#include "model/launch.h"
#include "model/network.h"

#define CACHE_PLANS 32u

// ---------------------------------------------------------------- checks

static enum clrnn_status check_buffer(const struct clrnn_model *m, const struct clrnn_buffer *b, enum clrnn_type type,
                                      size_t count, const char *what)
{
    static const char *const word[] = {[CLRNN_REAL] = "REAL", [CLRNN_I32] = "I32", [CLRNN_U32] = "U32"};

    if (!b)
        return clrnn_error(m->log, CLRNN_ERR_ARG, "a plan needs the %s, but there are none", what);
    if (clrnn_buffer_type(b) != type)
        return clrnn_error(m->log, CLRNN_ERR_ARG, "the plan's %s are %s, expected %s", what, word[clrnn_buffer_type(b)],
                           word[type]);
    if (clrnn_buffer_count(b) < count)
        return clrnn_error(m->log, CLRNN_ERR_ARG, "the plan's %s hold %zu elements, expected %zu", what,
                           clrnn_buffer_count(b), count);
    return CLRNN_OK;
}

static enum clrnn_status check_targets(const struct clrnn_model *m, const struct clrnn_plan_params *p)
{
    const struct clrnn_plan_data *d = &p->data;
    const enum clrnn_loss_kind loss = m->config->train.loss.kind;
    const bool real = clrnn_loss_is_real(loss);

    const uint32_t steps = !d->y_steps ? 1 : d->y_T ? d->y_T : clrnn_model_output_steps(m, d->T_data);

    TRY(check_buffer(m, d->y, real ? CLRNN_REAL : CLRNN_I32, (size_t)d->S * steps * m->targets, "targets"));
    if (loss == CLRNN_LOSS_CTC)
        TRY(check_buffer(m, d->y_lengths, CLRNN_I32, d->S, "lengths of targets"));
    if (d->weights)
        TRY(check_buffer(m, d->weights, CLRNN_REAL, d->S, "weights of samples"));
    if (d->y_real != real)
        return clrnn_error(m->log, CLRNN_ERR_ARG, "y is %s, but train.loss %s expects %s",
                           d->y_real ? "real" : "classes", clrnn_loss_word(loss), real ? "real" : "classes");
    if (m->per_step && !d->y_steps && d->T_data != 1)
        return clrnn_error(m->log, CLRNN_ERR_CONFIG,
                           "without a pool the model predicts each of T=%" PRIu32 " steps, but y is (N), expected "
                           "(N, T): give such a y, or add '- pool: {over: last}' before the last linear layer",
                           d->T_data);
    if (!m->per_step && d->y_steps && d->T_data != 1)
        return clrnn_error(m->log, CLRNN_ERR_CONFIG,
                           "with a pool the model makes one prediction a sample, but y is (N, T=%" PRIu32 "), "
                           "expected (N): give such a y, or take the pool out",
                           d->T_data);
    return CLRNN_OK;
}

static enum clrnn_status check_params(const struct clrnn_model *m, const struct clrnn_plan_params *p)
{
    const struct clrnn_plan_data *d = &p->data;
    size_t elements;

    if (p->mode == CLRNN_MODE_UPDATE) // reads no data
        return CLRNN_OK;
    if (p->N < 1 || p->T < 1 || p->T > d->T_data)
        return clrnn_error(m->log, CLRNN_ERR_ARG,
                           "a plan for N=%" PRIu32 ", T=%" PRIu32 " over data of T=%" PRIu32 " was asked for, "
                           "expected N from 1 and T from 1 to the data's",
                           p->N, p->T, d->T_data);
    if (!clrnn_mul_size(d->S, d->T_data, &elements) ||
        !clrnn_mul_size(elements, m->shape.tokens ? 1 : m->shape.features, &elements))
        return clrnn_error(m->log, CLRNN_ERR_ARG,
                           "a data set of S=%" PRIu32 ", T=%" PRIu32 ", C=%" PRIu32 " has "
                           "more elements than can be counted",
                           d->S, d->T_data, m->shape.features);
    TRY(check_buffer(m, d->x, m->shape.tokens ? CLRNN_I32 : CLRNN_REAL, elements, "inputs"));
    TRY(check_buffer(m, d->index, CLRNN_U32, p->N, "indices"));
    if (d->lengths)
        TRY(check_buffer(m, d->lengths, CLRNN_I32, d->S, "lengths"));
    return p->mode == CLRNN_MODE_PREDICT ? CLRNN_OK : check_targets(m, p);
}

// ---------------------------------------------------------------- creating

static enum clrnn_status make_launches(struct clrnn_plan *p)
{
    const bool ref = clrnn_device_is_ref(p->model->device);
    const size_t count = p->graph->op_count;

    p->op_launch = calloc(count + 1, sizeof(*p->op_launch));
    if (ref)
        p->calls = calloc(count, sizeof(*p->calls));
    if (!p->op_launch || (ref && !p->calls))
        return clrnn_error_memory(p->model->log, count * sizeof(*p->calls), "a plan");
    TRY(clrnn_launches_create(p->model->device, &p->launches));
    for (size_t i = 0; i < count; i++) {
        p->op_launch[i] = clrnn_launches_count(p->launches);
        TRY(clrnn_launch_op(p->launches, p->graph, i, ref ? &p->calls[i] : NULL));
    }
    p->op_launch[count] = clrnn_launches_count(p->launches);
    return CLRNN_OK;
}

// Finds after which launch each bucket of gradients is final, and which launch is the first to use gradients. Lets a
// run of the plan stop after the former and before the latter.
static enum clrnn_status find_buckets(struct clrnn_plan *p)
{
    const struct clrnn_model *m = p->model;
    const size_t launches = clrnn_launches_count(p->launches);
    struct clrnn_use *use = calloc(m->bucket_count, sizeof(*use));
    size_t end = 0;

    p->bucket_end = calloc(m->bucket_count, sizeof(*p->bucket_end));
    if (!use || !p->bucket_end) {
        free(use);
        return clrnn_error_memory(m->log, m->bucket_count * sizeof(*use), "a plan");
    }
    for (size_t i = 0; i < m->bucket_count; i++)
        use[i] = (struct clrnn_use){.first = m->bucket[i].first, .count = m->bucket[i].count};
    clrnn_launches_use(p->launches, m->grads, m->bucket_count, use);
    p->gradients_begin = launches;
    for (size_t i = 0; i < m->bucket_count; i++) {
        p->gradients_begin = MIN2(p->gradients_begin, use[i].begin);
        p->bucket_end[i] = end = MAX2(end, use[i].end);
        clrnn_launches_stop(p->launches, end);
    }
    clrnn_launches_stop(p->launches, p->gradients_begin);
    free(use);
    return CLRNN_OK;
}

// Sets *arena to the arena of the plans with params.arena = `number`.
static enum clrnn_status arena_of(struct clrnn_model *m, uint32_t number, struct clrnn_buffer ***arena)
{
    while (m->arena_count < number) {
        if (!ARRAY_GROW(m->arenas, m->arena_count))
            return clrnn_error_memory(m->log, 2 * m->arena_count * sizeof(struct clrnn_buffer *), "arenas");
        m->arenas[m->arena_count++] = NULL;
    }
    *arena = &m->arenas[number - 1];
    return CLRNN_OK;
}

static enum clrnn_status place(struct clrnn_plan *p)
{
    struct clrnn_buffer *own = NULL;
    enum clrnn_status st;

    if (!p->params.separate && !p->params.arena) {
        clrnn_graph_elide_copy(p->graph, p->model->device);
        return clrnn_graph_place(p->graph, p->model->device, false, &p->model->arena);
    }
    // With params.arena, FEED always copies the batch. Without the copy, later ops would gather rows by data.index,
    // which another plan may have overwritten by then.
    if (p->params.arena) {
        struct clrnn_buffer **arena = NULL;

        TRY(arena_of(p->model, p->params.arena, &arena));
        return clrnn_graph_place(p->graph, p->model->device, false, arena);
    }
    // The plan gets an arena of its own, which no other plan uses; the tensors retain it.
    st = clrnn_graph_place(p->graph, p->model->device, true, &own);
    clrnn_buffer_destroy(&own);
    return st;
}

enum clrnn_status clrnn_plan_create(struct clrnn_model *model, const struct clrnn_plan_params *params,
                                    struct clrnn_plan **plan)
{
    struct clrnn_plan *p;
    enum clrnn_status st;

    *plan = NULL;
    TRY(check_params(model, params));
    p = calloc(1, sizeof(*p));
    if (!p)
        return clrnn_error_memory(model->log, sizeof(*p), "a plan");
    p->model = model;
    p->params = *params;
    st = clrnn_graph_create(model->log, &p->graph);
    if (st == CLRNN_OK)
        st = clrnn_network_build(model, &p->params, p->graph, &p->output, &p->output_steps);
    if (st == CLRNN_OK)
        st = place(p);
    if (st == CLRNN_OK)
        st = make_launches(p);
    if (st == CLRNN_OK && params->mode == CLRNN_MODE_SHARD && model->bucket_count > 1)
        st = find_buckets(p);
    if (st == CLRNN_OK)
        st = clrnn_replay_create(p->launches, &p->replay);
    if (st != CLRNN_OK) {
        clrnn_plan_destroy(&p);
        return st;
    }
    *plan = p;
    return CLRNN_OK;
}

void clrnn_plan_destroy(struct clrnn_plan **plan)
{
    struct clrnn_plan *p = *plan;

    if (!p)
        return;
    clrnn_replay_destroy(&p->replay);
    clrnn_launches_destroy(&p->launches);
    free(p->calls);
    free(p->op_launch);
    free(p->bucket_end);
    clrnn_graph_destroy(&p->graph);
    free(p);
    *plan = NULL;
}

// ---------------------------------------------------------------- running and reading

enum clrnn_status clrnn_plan_run(struct clrnn_plan *plan)
{
    TRY(clrnn_replay_run(plan->replay));
    if (plan->params.mode == CLRNN_MODE_TRAIN || plan->params.mode == CLRNN_MODE_UPDATE)
        plan->model->steps++;
    return CLRNN_OK;
}

enum clrnn_status clrnn_plan_run_part(struct clrnn_plan *plan, size_t first, size_t last)
{
    return clrnn_replay_run_part(plan->replay, first, last);
}

size_t clrnn_plan_part_end(const struct clrnn_plan *plan, size_t op)
{
    const struct clrnn_graph *g = plan->graph;

    while (op < g->op_count && g->op[op].kind != CLRNN_OP_BATCHNORM_MOMENTS &&
           (op + 1 == g->op_count || g->op[op + 1].kind != CLRNN_OP_BATCHNORM_SPREAD))
        op++;
    return MIN2(op + 1, g->op_count);
}

enum clrnn_status clrnn_plan_read_output(struct clrnn_plan *plan, float *out)
{
    const struct clrnn_tensor *t = &plan->graph->tensor[plan->output];
    const size_t T = plan->output_steps, N = plan->params.N, C = plan->model->outputs;
    enum clrnn_status st;
    float *steps;

    if (T == 1 || N == 1) {
        TRY(clrnn_buffer_read_f32(t->buffer, 0, T * N * C, out));
        clrnn_model_restore_targets(plan->model, T * N * C, out);
        return CLRNN_OK;
    }
    steps = malloc(T * N * C * sizeof(*steps));
    if (!steps)
        return clrnn_error_memory(plan->model->log, T * N * C * sizeof(*steps), "reading the output");
    st = clrnn_buffer_read_f32(t->buffer, 0, T * N * C, steps);
    if (st == CLRNN_OK)
        for (size_t time = 0; time < T; time++)
            for (size_t n = 0; n < N; n++)
                memcpy(out + (n * T + time) * C, steps + (time * N + n) * C, C * sizeof(*out));
    if (st == CLRNN_OK)
        clrnn_model_restore_targets(plan->model, T * N * C, out);
    free(steps);
    return st;
}

enum clrnn_status clrnn_model_read_records(struct clrnn_model *model, uint32_t first, uint32_t count, double *records)
{
    if (first > CLRNN_RECORD_SLOTS || count > CLRNN_RECORD_SLOTS - first)
        return clrnn_error(model->log, CLRNN_ERR_ARG,
                           "records %" PRIu32 " to %" PRIu32 " were asked for, but there are %d", first, first + count,
                           CLRNN_RECORD_SLOTS);
    return clrnn_buffer_read_f64(model->records, (size_t)first * RECORD_FIELDS, (size_t)count * RECORD_FIELDS, records);
}

struct clrnn_plan_cost clrnn_plan_cost(const struct clrnn_plan *plan)
{
    struct clrnn_plan_cost cost = {.launches = clrnn_launches_count(plan->launches),
                                   .ops = plan->graph->op_count,
                                   .queued = clrnn_replay_queued(plan->replay),
                                   .arena_bytes = plan->graph->arena_bytes};

    for (size_t i = 0; i < plan->graph->op_count; i++) {
        const struct clrnn_cost op = clrnn_op_cost(plan->graph, &plan->graph->op[i]);

        cost.flops += op.flops;
        cost.bytes += op.bytes;
    }
    cost.param_bytes = clrnn_model_size(plan->model) * clrnn_type_bytes(plan->model->device, CLRNN_REAL);
    return cost;
}

// ---------------------------------------------------------------- cache

struct clrnn_plan_cache {
    struct clrnn_model *model;
    uint64_t clock;
    size_t count, most;
    struct {
        struct clrnn_plan *plan;
        uint64_t used;
    } slot[];
};

enum clrnn_status clrnn_plan_cache_create(struct clrnn_model *model, size_t most, struct clrnn_plan_cache **cache)
{
    const size_t slots = MAX2(most, CACHE_PLANS), bytes = sizeof(**cache) + slots * sizeof((*cache)->slot[0]);

    *cache = calloc(1, bytes);
    if (!*cache)
        return clrnn_error_memory(model->log, bytes, "the plan cache");
    (*cache)->model = model;
    (*cache)->most = slots;
    return CLRNN_OK;
}

static bool same(const struct clrnn_plan_params *a, const struct clrnn_plan_params *b)
{
    return a->mode == b->mode && a->N == b->N && a->T == b->T && a->separate == b->separate &&
           a->input_grad == b->input_grad && a->arena == b->arena && a->statistics == b->statistics &&
           a->carried == b->carried && a->data.S == b->data.S && a->data.T_data == b->data.T_data &&
           a->data.x == b->data.x && a->data.y == b->data.y && a->data.lengths == b->data.lengths &&
           a->data.weights == b->data.weights && a->data.y_lengths == b->data.y_lengths &&
           a->data.index == b->data.index && a->data.y_real == b->data.y_real && a->data.y_steps == b->data.y_steps &&
           a->data.y_T == b->data.y_T;
}

enum clrnn_status clrnn_plan_cache_get(struct clrnn_plan_cache *cache, const struct clrnn_plan_params *params,
                                       struct clrnn_plan **plan)
{
    struct clrnn_plan *fresh;
    size_t oldest = 0, at;

    *plan = NULL;
    for (size_t i = 0; i < cache->count; i++) {
        if (same(&cache->slot[i].plan->params, params)) {
            cache->slot[i].used = ++cache->clock;
            *plan = cache->slot[i].plan;
            return CLRNN_OK;
        }
        if (cache->slot[i].used < cache->slot[oldest].used)
            oldest = i;
    }
    TRY(clrnn_plan_create(cache->model, params, &fresh));
    at = cache->count < cache->most ? cache->count++ : oldest;
    clrnn_plan_destroy(&cache->slot[at].plan);
    cache->slot[at].plan = fresh;
    cache->slot[at].used = ++cache->clock;
    *plan = fresh;
    return CLRNN_OK;
}

void clrnn_plan_cache_destroy(struct clrnn_plan_cache **cache)
{
    if (!*cache)
        return;
    for (size_t i = 0; i < (*cache)->count; i++)
        clrnn_plan_destroy(&(*cache)->slot[i].plan);
    free(*cache);
    *cache = NULL;
}
