// SPDX-License-Identifier: MIT
// Dividing a program into passes over time, with as few buffered sequences as bidirectional layers allow.
#include "export/c_passes.h"

#include "base/array.h"
#include "base/log.h"

// Whether it treats features separately, so that it can be applied to half of them.
static bool is_separable(const struct clrnn_export_op *op)
{
    switch (op->kind) {
    case CLRNN_EXPORT_NORMALIZE:
    case CLRNN_EXPORT_BATCHNORM:
    case CLRNN_EXPORT_RESTORE:
    case CLRNN_EXPORT_RELU:
    case CLRNN_EXPORT_TANH:
    case CLRNN_EXPORT_SIGMOID:
    case CLRNN_EXPORT_ROUND:
        return true;
    default:
        return false;
    }
}

// Whether computing it once for each direction is cheaper than a buffer.
static bool is_cheap(const struct clrnn_export_op *op)
{
    return op->kind != CLRNN_EXPORT_CELL && op->kind != CLRNN_EXPORT_LINEAR;
}

void clrnn_c_order(struct clrnn_export_program *p)
{
    size_t to = p->pool;
    struct clrnn_export_op pool;

    if (p->pool == p->count || p->op[p->pool].layer->over != CLRNN_POOL_LAST)
        return;
    while (to && p->op[to - 1].kind != CLRNN_EXPORT_CELL && p->op[to - 1].kind != CLRNN_EXPORT_EMBEDDING)
        to--;
    pool = p->op[p->pool];
    memmove(&p->op[to + 1], &p->op[to], (p->pool - to) * sizeof(pool));
    p->op[to] = pool;
    p->op[to].in = p->op[to].out = to ? p->op[to - 1].out : p->model->shape.features;
    p->pool = to;
    for (size_t i = to + 1; i < p->count; i++)
        p->op[i].steps = false;
}

static enum clrnn_status append(const struct clrnn_export_program *p, struct clrnn_c_passes *passes,
                                struct clrnn_c_pass pass)
{
    if (!ARRAY_GROW(passes->pass, passes->count))
        return clrnn_error_memory(p->model->log, 2 * passes->count * sizeof(pass), "the exported passes");
    if (pass.sink == CLRNN_C_TO_SEQUENCE)
        passes->sequence[pass.to] = MAX2(passes->sequence[pass.to], pass.row);
    passes->pass[passes->count++] = pass;
    return CLRNN_OK;
}

// State of the division: operations from `start` on read buffer `from`.
struct division {
    const struct clrnn_export_program *p;
    struct clrnn_c_passes *passes;
    size_t start;
    int from;
    enum clrnn_c_sink last; // of the passes that reach the pool or the end
    bool done;
};

static uint32_t width_at(const struct clrnn_export_program *p, size_t op)
{
    return op ? p->op[op - 1].out : p->model->shape.features;
}

static enum clrnn_status divide_level(struct division *d, size_t at)
{
    const struct clrnn_export_op *level = &d->p->op[at];
    struct clrnn_c_pass pass = {.from = d->from};
    size_t end = at + 1;
    bool cheap = true;

    for (size_t i = d->start; i < at; i++)
        cheap &= is_cheap(&d->p->op[i]);
    if (!cheap) {
        pass = (struct clrnn_c_pass){.first = d->start,
                                     .end = at,
                                     .from = d->from,
                                     .to = d->from == 0,
                                     .sink = CLRNN_C_TO_SEQUENCE,
                                     .width = width_at(d->p, d->start),
                                     .row = level->in};
        TRY(append(d->p, d->passes, pass));
        d->from = pass.to;
        d->start = at;
    }
    while (end < d->p->pool && is_separable(&d->p->op[end]))
        end++;
    d->done = end == d->p->pool;
    for (uint32_t direction = 0; direction < 2; direction++) {
        pass = (struct clrnn_c_pass){.first = d->start,
                                     .end = d->done ? end : at + 1,
                                     .from = d->from,
                                     .to = d->from == 0,
                                     .direction = direction,
                                     .sink = d->done ? d->last : CLRNN_C_TO_SEQUENCE,
                                     .width = width_at(d->p, d->start),
                                     .row = level->out,
                                     .offset = direction * level->layer->hidden_size};
        // going backward the last step comes first
        pass.once = direction && d->done && d->last == CLRNN_C_TO_POOL &&
                    d->p->op[d->p->pool].layer->over == CLRNN_POOL_LAST;
        TRY(append(d->p, d->passes, pass));
    }
    d->start = d->done ? end : at + 1;
    d->from = pass.to;
    return CLRNN_OK;
}

enum clrnn_status clrnn_c_divide(const struct clrnn_export_program *p, struct clrnn_c_passes *passes)
{
    struct division d = {
        .p = p, .passes = passes, .from = -1, .last = p->pool < p->count ? CLRNN_C_TO_POOL : CLRNN_C_TO_OUT};

    *passes = (struct clrnn_c_passes){0};
    for (size_t i = 0; i < p->pool && !d.done; i++)
        if (p->op[i].kind == CLRNN_EXPORT_CELL && p->op[i].D == 2)
            TRY(divide_level(&d, i));
    if (d.done)
        return CLRNN_OK;
    return append(p, passes,
                  (struct clrnn_c_pass){.first = d.start,
                                        .end = p->pool,
                                        .from = d.from,
                                        .sink = d.last,
                                        .width = width_at(p, d.start),
                                        .row = width_at(p, p->pool)});
}
