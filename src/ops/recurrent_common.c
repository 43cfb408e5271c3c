// SPDX-License-Identifier: MIT
// What forward and backward of the ops of recurrent.h share: the buffers of a direction, and dropout of the hidden
// state.
#include "ops/recurrent_direction.h"

#include <math.h>

#include "base/array.h"

// Returns the range of a kernel in which a team of `lanes` work-items computes each row.
static struct clrnn_range teams_of(uint32_t lanes, size_t rows)
{
    return lanes == 1 ? RANGE1(rows) : GROUPS1(rows * lanes, lanes);
}

// Serves both forward and backward, which begin with the same input slots.
struct clrnn_recurrent_direction clrnn_recurrent_layer(struct clrnn_launches *l, const struct clrnn_graph *g,
                                                       const struct clrnn_op *op, struct clrnn_recurrent_packed *packed)
{
    const struct clrnn_recurrent_attributes *a = &op->recurrent;
    struct clrnn_recurrent_direction r = {.T = op->T,
                                          .N = op->N,
                                          .C = op->C,
                                          .H = a->rnn.H,
                                          .P = a->P,
                                          .D = a->rnn.D,
                                          .G = clrnn_cell_gates(a->rnn.cell),
                                          .op = op,
                                          .packed = packed,
                                          .whole = op->T,
                                          .steps = op->T,
                                          .x = clrnn_in(g, op, RECURRENT_X),
                                          .lengths = clrnn_in(g, op, RECURRENT_LENGTHS),
                                          .counter = clrnn_in(g, op, RECURRENT_COUNTER)};
    const bool forward = op->kind == CLRNN_OP_RECURRENT_FWD;

    r.h0 = clrnn_in(g, op, forward ? RECURRENT_H0 : RECURRENT_BWD_H0);
    r.c0 = clrnn_in(g, op, forward ? RECURRENT_C0 : RECURRENT_BWD_C0);
    r.state = a->rnn.cell == CLRNN_CELL_LSTM ? r.c0 : a->rnn.cell == CLRNN_CELL_GRU ? r.h0 : NULL;

    r.split = clrnn_split_rows(l, op->N, a->rnn.H);
    r.split.range = teams_of(r.split.lanes, op->N);
    return r;
}

void clrnn_recurrent_take(struct clrnn_recurrent_direction *r, const struct clrnn_graph *g, uint32_t d)
{
    r->d = d;
    *r->packed = (struct clrnn_recurrent_packed){0};
    for (uint32_t i = 0; i < RECURRENT_WEIGHTS; i++) {
        r->weight[i] = clrnn_in(g, r->op, (int)(RECURRENT_WEIGHT_IH + RECURRENT_WEIGHTS * d + i));
        r->gradient[i] = r->op->kind == CLRNN_OP_RECURRENT_FWD
                             ? NULL
                             : clrnn_out(g, r->op, (int)(RECURRENT_DWEIGHT_IH + RECURRENT_WEIGHTS * d + i));
    }
}

uint32_t clrnn_recurrent_first(const struct clrnn_recurrent_direction *r, bool backward)
{
    return (r->d == 0) == backward ? r->T - r->low - r->steps : r->low;
}

enum clrnn_status clrnn_recurrent_own(struct clrnn_launches *l, struct clrnn_recurrent_direction *r)
{
    const uint32_t part = r->op->rnn.part;
    const size_t all = (size_t)r->D * (part ? part + 2 : r->T) * r->N, GH = clrnn_recurrent_columns(r);
    const enum clrnn_cell cell = r->op->rnn.cell;

    TRY(clrnn_recurrent_scratch(l, all * GH, &r->input));
    TRY(clrnn_recurrent_scratch(l, all * GH, &r->hidden));
    TRY(clrnn_recurrent_scratch(l, all * 4, &r->stats));
    TRY(clrnn_recurrent_scratch(l, cell == CLRNN_CELL_RNN ? 0 : all * 4 * r->H, &r->gates));
    TRY(clrnn_recurrent_scratch(l, cell == CLRNN_CELL_LSTM ? all * r->H : 0, &r->cell));
    TRY(clrnn_recurrent_scratch(l, r->P == r->H ? 0 : all * r->H, &r->wide));
    return clrnn_recurrent_scratch(l, part ? all * r->P : 0, &r->part_y);
}

struct clrnn_recurrent_direction clrnn_recurrent_part(const struct clrnn_recurrent_direction *r,
                                                      const struct clrnn_rnn_part *part)
{
    struct clrnn_recurrent_direction p = *r;

    p.T = part->T;
    p.low = part->low;
    p.steps = part->steps;
    p.offset = part->offset;
    p.y = r->part_y;
    return p;
}

uint32_t clrnn_recurrent_parts(const struct clrnn_recurrent_direction *r)
{
    return r->op->rnn.part ? clrnn_divide_up(r->whole, r->op->rnn.part) : 1;
}

struct clrnn_rows clrnn_recurrent_y(const struct clrnn_recurrent_direction *r, uint32_t t)
{
    return (struct clrnn_rows){r->y, ((size_t)t * r->N * r->D + r->d) * r->P, r->D * r->P};
}

struct clrnn_rows clrnn_recurrent_at(const struct clrnn_recurrent_direction *r, struct clrnn_buffer *of, uint32_t W,
                                     uint32_t t)
{
    return (struct clrnn_rows){of, (r->d * clrnn_recurrent_rows(r) + (size_t)t * r->N) * W, W};
}

struct clrnn_rows clrnn_recurrent_kept(const struct clrnn_recurrent_direction *r, struct clrnn_buffer *kept, uint32_t W,
                                       uint32_t k)
{
    return (struct clrnn_rows){kept, ((size_t)k * r->D + r->d) * r->N * W, W};
}

enum clrnn_status clrnn_recurrent_scratch(struct clrnn_launches *l, size_t count, struct clrnn_buffer **buffer)
{
    return *buffer || !count ? CLRNN_OK : clrnn_launches_scratch(l, count, buffer);
}

enum clrnn_status clrnn_recurrent_mask(struct clrnn_launches *l, struct clrnn_recurrent_direction *r)
{
    const double p = r->op->recurrent.p;
    const uint32_t count = r->N * r->P;

    if (p <= 0)
        return CLRNN_OK;
    if (!r->mask)
        TRY(clrnn_launches_scratch(l, count, &r->mask));
    return clrnn_launch_kernel(
        l, "recurrent", "recurrent_mask", DEFINES_OF(r, r->split), RANGE1((count + 3) / 4), clrnn_cost_of(count, 1, 1),
        ARGS(BUF(r->counter), BUF(r->mask), UINT(count), UINT(r->P), UINT(r->op->recurrent.stream + r->d),
             UINT(ceil(p * 0x1p24)), REAL(p < 1 ? 1 / (1 - p) : 0)));
}

// Computes out [rows, P] = the dropout mask times rows of h. The rows of h begin at element `first` and are ld numbers
// apart.
static enum clrnn_status drop_rows(struct clrnn_launches *l, const struct clrnn_recurrent_direction *r,
                                   struct clrnn_buffer *h, size_t first, size_t ld, size_t rows,
                                   struct clrnn_buffer *out)
{
    return clrnn_launch_kernel(
        l, "recurrent", "recurrent_drop", DEFINES_OF(r, r->split), teams_of(r->split.lanes, rows),
        clrnn_cost_of((double)rows * r->P, 1, 3),
        ARGS(BUF(h), BUF(r->mask), BUF(out), UINT(first), UINT(rows), UINT(r->N), UINT(r->P), UINT(ld)));
}

enum clrnn_status clrnn_recurrent_drop(struct clrnn_launches *l, const struct clrnn_recurrent_direction *r, size_t row,
                                       size_t rows, struct clrnn_buffer *out)
{
    return drop_rows(l, r, r->y, (row * r->D + r->d) * r->P, (size_t)r->D * r->P, rows, out);
}

enum clrnn_status clrnn_recurrent_initial(struct clrnn_launches *l, const struct clrnn_recurrent_direction *r,
                                          struct clrnn_buffer **h, size_t *offset)
{
    const size_t first = (size_t)r->d * r->N * r->P;

    *h = r->h0;
    *offset = first;
    if (!r->mask)
        return CLRNN_OK;
    *offset = 0;
    TRY(clrnn_launches_scratch(l, (size_t)r->N * r->P, h));
    return drop_rows(l, r, r->h0, first, r->P, r->N, *h);
}
