// SPDX-License-Identifier: MIT
// Runs a recurrent layer over its time steps: all at once or, with train.recompute, in parts whose activations are not
// kept. Forward then keeps only the state at the end of each part. Backward goes through the parts from the last to the
// first. In each part, it first runs forward again from the state at the end of the part before.
#include "base/array.h"
#include "ops/rnn_states.h"
#include "ops/rnn_variants.h"

static enum clrnn_status steps_fwd(struct clrnn_launches *l, const struct clrnn_rnn *r)
{
    return r->variant == CLRNN_RNN_STEPS   ? clrnn_rnn_steps_fwd(l, r)
           : r->variant == CLRNN_RNN_GROUP ? clrnn_rnn_group_fwd(l, r)
                                           : clrnn_rnn_sequence_fwd(l, r);
}

static enum clrnn_status steps_bwd(struct clrnn_launches *l, const struct clrnn_rnn *r, struct clrnn_rnn_bias *bias)
{
    return r->variant == CLRNN_RNN_STEPS   ? clrnn_rnn_steps_bwd(l, r)
           : r->variant == CLRNN_RNN_GROUP ? clrnn_rnn_group_bwd(l, r)
                                           : clrnn_rnn_sequence_bwd(l, r, bias);
}

// ---------------------------------------------------------------- parts

// Buffers y [T, N, D*H], gates [D, T, N, R*H] and cell [D, T, N, H] for one part of the sequence. All parts use the
// same buffers in turn. T is the number of the part's steps plus one step before and one after the part, for the states
// there.
struct own {
    struct clrnn_buffer *y, *gates, *cell;
};

static enum clrnn_status own_init(struct clrnn_launches *l, const struct clrnn_rnn *r, struct own *own)
{
    const size_t units = (size_t)(r->part + 2) * r->N * r->D * r->H;

    *own = (struct own){0};
    TRY(clrnn_launches_scratch(l, units, &own->y));
    TRY(clrnn_launches_scratch(l, units * r->R, &own->gates));
    return r->cell == CLRNN_CELL_LSTM ? clrnn_launches_scratch(l, units, &own->cell) : CLRNN_OK;
}

static uint32_t parts_of(const struct clrnn_rnn *r)
{
    return clrnn_divide_up(r->T, r->part);
}

static struct clrnn_rnn take(const struct clrnn_rnn *r, const struct own *own, uint32_t d,
                             const struct clrnn_rnn_part *part)
{
    struct clrnn_rnn p = *r;

    p.T = part->T;
    p.low = part->low;
    p.steps = part->steps;
    p.offset = part->offset;
    p.direction = d;
    p.directions = 1;
    p.y = own->y;
    p.gates = own->gates;
    p.memory = own->cell;
    p.hn = NULL;
    return p;
}

// Returns the rows of y at time step t of a part's buffers. cell_at and gates_at return the rows of the cell and of the
// gates.
static struct clrnn_rows y_at(const struct clrnn_rnn *p, uint32_t t)
{
    return (struct clrnn_rows){p->y, ((size_t)t * p->N * p->D + p->direction) * p->H, p->D * p->H};
}

static struct clrnn_rows cell_at(const struct clrnn_rnn *p, uint32_t t)
{
    return (struct clrnn_rows){p->memory, ((size_t)p->direction * p->T + t) * p->N * p->H, p->H};
}

static struct clrnn_rows gates_at(const struct clrnn_rnn *p, uint32_t t)
{
    return (struct clrnn_rows){p->gates, ((size_t)p->direction * p->T + t) * p->N * p->R * p->H, p->R * p->H};
}

// Returns the rows of the state that was kept in `kept` at the end of part k.
static struct clrnn_rows kept_at(const struct clrnn_rnn *p, struct clrnn_buffer *kept, uint32_t k)
{
    return (struct clrnn_rows){kept, ((size_t)k * p->D + p->direction) * p->N * p->H, p->H};
}

static enum clrnn_status part_fwd(struct clrnn_launches *l, const struct clrnn_rnn *p,
                                  const struct clrnn_rnn_part *part, uint32_t k)
{
    if (!part->is_first) {
        TRY(clrnn_launch_move(l, kept_at(p, p->kept_h, k - 1), y_at(p, part->before), p->N, p->H));
        TRY(clrnn_launch_move(l, kept_at(p, p->kept_c, k - 1), cell_at(p, part->before), p->N, p->H));
    }
    return steps_fwd(l, p);
}

// Runs forward through part k of the sequence. Then stores the part's y and, unless it is the last part, the state at
// its end.
static enum clrnn_status keep_part(struct clrnn_launches *l, const struct clrnn_rnn *r, const struct own *own,
                                   uint32_t d, uint32_t k)
{
    const struct clrnn_rnn_part part = clrnn_rnn_part_of(r->T, r->part, d, k);
    const struct clrnn_rnn p = take(r, own, d, &part);
    const size_t row = (size_t)(part.low + part.offset) * r->N;

    TRY(part_fwd(l, &p, &part, k));
    TRY(clrnn_launch_move(l, y_at(&p, part.low), (struct clrnn_rows){r->y, (row * r->D + d) * r->H, r->D * r->H},
                          part.steps * r->N, r->H));
    TRY(clrnn_rnn_end(l, &p));
    if (part.is_last)
        return CLRNN_OK;
    TRY(clrnn_launch_move(l, y_at(&p, part.last), kept_at(&p, r->kept_h, k), r->N, r->H));
    return clrnn_launch_move(l, cell_at(&p, part.last), kept_at(&p, r->kept_c, k), r->N, r->H);
}

enum clrnn_status clrnn_rnn_parts_fwd(struct clrnn_launches *l, struct clrnn_rnn *r)
{
    struct own own;
    size_t mark;

    if (!r->part) {
        TRY(steps_fwd(l, r));
        return clrnn_rnn_end(l, r);
    }
    TRY(own_init(l, r, &own));
    mark = clrnn_launches_mark(l);
    for (uint32_t d = 0; d < r->D; d++)
        for (uint32_t k = 0; k < parts_of(r); k++) {
            clrnn_launches_reset(l, mark);
            TRY(keep_part(l, r, &own, d, k));
        }
    r->cn = NULL;
    return clrnn_rnn_end(l, r);
}

// ---------------------------------------------------------------- backward

static enum clrnn_status part_bwd(struct clrnn_launches *l, const struct clrnn_rnn *r, const struct own *own,
                                  uint32_t d, uint32_t k, struct clrnn_rnn_bias *bias)
{
    const struct clrnn_rnn_part part = clrnn_rnn_part_of(r->T, r->part, d, k);
    const struct clrnn_rnn p = take(r, own, d, &part);

    if (!part.is_last) { // copies the gate gradients of the step that follows this part
        const struct clrnn_rnn_part after = clrnn_rnn_part_of(r->T, r->part, d, k + 1);
        const struct clrnn_rnn q = take(r, own, d, &after);

        TRY(clrnn_launch_move(l, gates_at(&q, after.first), gates_at(&p, part.after), r->N, r->R * r->H));
    }
    TRY(part_fwd(l, &p, &part, k));
    TRY(steps_bwd(l, &p, bias));
    TRY(clrnn_rnn_gradients(l, &p, bias));
    return part.is_first ? clrnn_rnn_end_bwd(l, &p) : CLRNN_OK;
}

enum clrnn_status clrnn_rnn_parts_bwd(struct clrnn_launches *l, struct clrnn_rnn *r)
{
    struct clrnn_rnn_bias bias = {.wanted = r->dbias_ih[0] || r->dbias_hh[0] || r->dbias_ih[1] || r->dbias_hh[1]};
    const size_t state = (size_t)r->D * r->N * r->H;
    struct own own;
    size_t mark;

    if (!r->part) {
        TRY(steps_bwd(l, r, &bias));
        bias.at_once = true;
        TRY(clrnn_rnn_gradients(l, r, &bias));
        return clrnn_rnn_end_bwd(l, r);
    }
    TRY(clrnn_rnn_begin(l, r));
    TRY(own_init(l, r, &own));
    TRY(clrnn_launches_scratch(l, state, &r->through));
    if (r->cell != CLRNN_CELL_RNN && !r->carry)
        TRY(clrnn_launches_scratch(l, state, &r->carry));
    mark = clrnn_launches_mark(l);
    for (uint32_t d = 0; d < r->D; d++)
        for (uint32_t k = parts_of(r); k-- > 0;) {
            clrnn_launches_reset(l, mark);
            TRY(part_bwd(l, r, &own, d, k, &bias));
            // From here on, a reset keeps the scratch memory of the bias sums, which all parts share.
            if (d == 0 && k + 1 == parts_of(r))
                mark = clrnn_launches_mark(l);
        }
    return clrnn_rnn_bias_sum(l, r, &bias);
}
