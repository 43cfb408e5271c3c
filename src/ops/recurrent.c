// SPDX-License-Identifier: MIT
// Forward of the ops of recurrent.h: recurrent layers with layer normalisation, a projection or dropout of the hidden
// state. The input is multiplied by W_ih for all time steps at once. Each time step is then a multiply by W_hh and a
// kernel that computes whole rows (cl/recurrent.cl). Backward is in recurrent_backward.c.
#include "ops/recurrent.h"

#include <stdio.h>

#include "device/gemm/gemm.h"
#include "device/remember/choice.h"
#include "ops/blocks.h"
#include "ops/recurrent_direction.h"
#include "ops/rnn_states.h"

// ---------------------------------------------------------------- forward

static enum clrnn_status input_products(struct clrnn_launches *l, const struct clrnn_recurrent_direction *r)
{
    const uint32_t GH = clrnn_recurrent_columns(r);
    const struct clrnn_blocks blocks = clrnn_blocks_of(l, r->d, 0, r->steps, r->whole, r->N);
    struct clrnn_gemm m =
        clrnn_gemm_dense(CLRNN_GEMM_NT, r->steps * r->N, GH, r->C, r->x, r->WEIGHT(WEIGHT_IH), r->input);

    m.a_offset = (size_t)(r->low + r->offset) * r->N * r->C;
    m.c_offset = (r->d * clrnn_recurrent_rows(r) + (size_t)r->low * r->N) * GH;
    return clrnn_launch_gemm_rows(l, &m, 1, &blocks);
}

static enum clrnn_status hidden_products(struct clrnn_launches *l, const struct clrnn_recurrent_direction *r,
                                         size_t row, size_t before, struct clrnn_buffer *dropped)
{
    const uint32_t GH = clrnn_recurrent_columns(r);
    struct clrnn_gemm m = clrnn_gemm_dense(CLRNN_GEMM_NT, r->N, GH, r->P, dropped, r->WEIGHT(WEIGHT_HH), r->hidden);

    if (dropped) {
        TRY(clrnn_recurrent_drop(l, r, before, r->N, dropped));
    } else {
        m.a = r->y;
        m.a_offset = (before * r->D + r->d) * r->P;
        m.a_ld = r->D * r->P;
    }
    m.c_offset = (r->d * clrnn_recurrent_rows(r) + row) * GH;
    m.panels = &r->packed->hidden;
    return clrnn_launch_gemm(l, &m);
}

// Computes the product of the initial state with W_hh, which the kernel uses in each sample's first time step.
static enum clrnn_status begin(struct clrnn_launches *l, struct clrnn_recurrent_direction *r)
{
    const uint32_t GH = clrnn_recurrent_columns(r);
    struct clrnn_gemm m;

    if (!r->h0)
        return CLRNN_OK;
    if (!r->begin)
        TRY(clrnn_launches_scratch(l, (size_t)r->N * GH, &r->begin));
    m = clrnn_gemm_dense(CLRNN_GEMM_NT, r->N, GH, r->P, NULL, r->WEIGHT(WEIGHT_HH), r->begin);
    m.panels = &r->packed->hidden;
    TRY(clrnn_recurrent_initial(l, r, &m.a, &m.a_offset));
    return clrnn_launch_gemm(l, &m);
}

// Computes y = W_hr h for the time step whose first row is `row`.
static enum clrnn_status project(struct clrnn_launches *l, const struct clrnn_recurrent_direction *r, size_t row)
{
    struct clrnn_gemm m = clrnn_gemm_dense(CLRNN_GEMM_NT, r->N, r->P, r->H, r->wide, r->WEIGHT(WEIGHT_HR), r->y);

    m.a_offset = (r->d * clrnn_recurrent_rows(r) + row) * r->H;
    m.c_offset = (row * r->D + r->d) * r->P;
    m.c_ld = r->D * r->P;
    m.panels = &r->packed->projection;
    return clrnn_launch_gemm(l, &m);
}

enum clrnn_status clrnn_recurrent_prepare(struct clrnn_launches *l, struct clrnn_recurrent_direction *r)
{
    TRY(clrnn_recurrent_mask(l, r));
    return begin(l, r);
}

static enum clrnn_status steps_fwd(struct clrnn_launches *l, const struct clrnn_recurrent_direction *r,
                                   struct clrnn_buffer *dropped)
{
    const bool projected = r->WEIGHT(WEIGHT_HR) != NULL;
    const uint32_t first = clrnn_recurrent_first(r, false);

    TRY(input_products(l, r));
    for (uint32_t step = first; step < first + r->steps; step++) {
        const size_t t = r->d ? r->T - 1 - step : step, row = t * r->N;
        struct recurrent_args args = clrnn_recurrent_args(r, step);

        args.h_first = projected ? (uint32_t)(r->d * clrnn_recurrent_rows(r) * r->H) : r->d * r->H;
        args.h_ld = projected ? r->H : r->D * r->H;
        if (step > 0)
            TRY(hidden_products(l, r, row, r->d ? row + r->N : row - r->N, dropped));
        TRY(clrnn_launch_kernel(l, "recurrent", "recurrent_step_fwd", DEFINES_OF(r, r->split), r->split.range,
                                clrnn_cost_of((double)r->N * clrnn_recurrent_columns(r), 16, 6),
                                ARGS(STRUCT(recurrent_args, &args), BUF(r->input), BUF(r->hidden), BUF(r->stats),
                                     BUF(r->WEIGHT(BIAS_IH)), BUF(r->WEIGHT(BIAS_HH)), BUF(r->WEIGHT(GAMMA_IH)),
                                     BUF(r->WEIGHT(GAMMA_HH)), BUF(r->WEIGHT(GAMMA_C)), BUF(r->WEIGHT(BETA_C)),
                                     BUF(r->gates), BUF(r->cell), BUF(projected ? r->wide : r->y), BUF(r->lengths),
                                     BUF(r->begin), BUF(r->state), LANE_SUMS(r->split))));
        if (projected)
            TRY(project(l, r, row));
    }
    return CLRNN_OK;
}

enum clrnn_status clrnn_recurrent_part_steps(struct clrnn_launches *l, const struct clrnn_recurrent_direction *p,
                                             const struct clrnn_rnn_part *part, uint32_t k,
                                             struct clrnn_buffer *dropped)
{
    if (!part->is_first) {
        TRY(clrnn_launch_move(l, clrnn_recurrent_kept(p, p->kept_h, p->P, k - 1), clrnn_recurrent_y(p, part->before),
                              p->N, p->P));
        TRY(clrnn_launch_move(l, clrnn_recurrent_kept(p, p->kept_c, p->H, k - 1),
                              clrnn_recurrent_at(p, p->cell, p->H, part->before), p->N, p->H));
    }
    return steps_fwd(l, p, dropped);
}

// Writes the final cells of the samples whose last time step is among the steps that r covers.
static enum clrnn_status final_cells(struct clrnn_launches *l, const struct clrnn_recurrent_direction *r,
                                     struct clrnn_buffer *cn)
{
    const struct clrnn_state_size z = {r->whole, r->N, r->H, r->D, r->low + r->offset, r->steps, r->low};

    return clrnn_launch_final(l, &z, r->lengths, r->cell, r->H, clrnn_recurrent_rows(r) * r->H, r->c0, cn);
}

// Runs forward through part k of the sequence. Then stores the part's y and, unless it is the last part, the state at
// its end.
static enum clrnn_status keep_part(struct clrnn_launches *l, const struct clrnn_recurrent_direction *r, uint32_t k,
                                   struct clrnn_buffer *dropped, struct clrnn_buffer *cn)
{
    const struct clrnn_rnn_part part = clrnn_rnn_part_of(r->whole, r->op->rnn.part, r->d, k);
    const struct clrnn_recurrent_direction p = clrnn_recurrent_part(r, &part);

    TRY(clrnn_recurrent_part_steps(l, &p, &part, k, dropped));
    TRY(clrnn_launch_move(l, clrnn_recurrent_y(&p, part.low), clrnn_recurrent_y(r, part.low + part.offset),
                          part.steps * r->N, r->P));
    TRY(final_cells(l, &p, cn));
    if (part.is_last)
        return CLRNN_OK;
    TRY(clrnn_launch_move(l, clrnn_recurrent_y(&p, part.last), clrnn_recurrent_kept(r, r->kept_h, r->P, k), r->N,
                          r->P));
    return clrnn_launch_move(l, clrnn_recurrent_at(&p, p.cell, p.H, part.last),
                             clrnn_recurrent_kept(r, r->kept_c, r->H, k), r->N, r->H);
}

static enum clrnn_status direction_fwd(struct clrnn_launches *l, struct clrnn_recurrent_direction *r,
                                       struct clrnn_buffer *dropped, struct clrnn_buffer *cn)
{
    TRY(clrnn_recurrent_prepare(l, r));
    if (!r->op->rnn.part)
        return steps_fwd(l, r, dropped);
    for (uint32_t k = 0; k < clrnn_recurrent_parts(r); k++)
        TRY(keep_part(l, r, k, dropped, cn));
    return CLRNN_OK;
}

enum clrnn_status clrnn_recurrent_fwd(struct clrnn_launches *launches, const struct clrnn_graph *graph,
                                      const struct clrnn_op *op)
{
    struct clrnn_recurrent_packed packed;
    struct clrnn_recurrent_direction r = clrnn_recurrent_layer(launches, graph, op, &packed);
    struct clrnn_buffer *dropped = NULL, *cn = clrnn_out(graph, op, RECURRENT_CN);

    r.y = clrnn_out(graph, op, RECURRENT_Y);
    r.input = clrnn_out(graph, op, RECURRENT_INPUT);
    r.hidden = clrnn_out(graph, op, RECURRENT_HIDDEN);
    r.stats = clrnn_out(graph, op, RECURRENT_STATS);
    r.gates = clrnn_out(graph, op, RECURRENT_GATES);
    r.cell = clrnn_out(graph, op, RECURRENT_CELL);
    r.wide = clrnn_out(graph, op, RECURRENT_WIDE);
    r.kept_h = clrnn_out(graph, op, RECURRENT_KEPT_H);
    r.kept_c = clrnn_out(graph, op, RECURRENT_KEPT_C);
    TRY(clrnn_recurrent_own(launches, &r));
    TRY(clrnn_recurrent_scratch(launches, op->recurrent.p > 0 ? (size_t)r.N * r.P : 0, &dropped));
    for (uint32_t d = 0; d < r.D; d++) {
        clrnn_recurrent_take(&r, graph, d);
        TRY(direction_fwd(launches, &r, dropped, cn));
    }
    TRY(clrnn_launch_final(launches, &(struct clrnn_state_size){.T = r.T, .N = r.N, .W = r.P, .D = r.D}, r.lengths, r.y,
                           (size_t)r.D * r.P, r.P, clrnn_in(graph, op, RECURRENT_H0),
                           clrnn_out(graph, op, RECURRENT_HN)));
    return op->rnn.part ? CLRNN_OK : final_cells(launches, &r, cn);
}

// ---------------------------------------------------------------- cost functions and op classes

static double products(const struct clrnn_op *op)
{
    const struct clrnn_recurrent_attributes *a = &op->recurrent;
    const double gates = (double)clrnn_cell_gates(a->rnn.cell) * a->rnn.H;
    const double projection = a->P == a->rnn.H ? 0 : (double)a->P * a->rnn.H;

    return (double)op->T * op->N * a->rnn.D * ((op->C + a->P + 8.0) * gates + projection);
}

static double flops(const struct clrnn_op *op)
{
    return (op->kind == CLRNN_OP_RECURRENT_FWD ? 2 : op->rnn.part ? 6 : 4) * products(op);
}

static void sizes(const struct clrnn_op *op, char *text, size_t size)
{
    snprintf(text, size, " cell%d T%u N%u C%u H%u P%u D%u", (int)op->rnn.cell, (unsigned)clrnn_tune_size(op->T),
             (unsigned)clrnn_tune_size(op->N), (unsigned)clrnn_tune_size(op->C), (unsigned)clrnn_tune_size(op->rnn.H),
             (unsigned)clrnn_tune_size(op->recurrent.P), (unsigned)op->rnn.D);
}

#define SAME(name) \
    { \
        RECURRENT_##name, RECURRENT_##name, false \
    }
#define BOTH(name) \
    SAME(name), \
    { \
        RECURRENT_##name + RECURRENT_WEIGHTS, RECURRENT_##name + RECURRENT_WEIGHTS, false \
    }
#define KEPT(name) \
    { \
        RECURRENT_BWD_##name, RECURRENT_##name, true \
    }
#define GRAD(name) \
    {RECURRENT_##name - RECURRENT_WEIGHT_IH + RECURRENT_DWEIGHT_IH, RECURRENT_##name}, \
    { \
        RECURRENT_##name - RECURRENT_WEIGHT_IH + RECURRENT_DWEIGHT_IH + RECURRENT_WEIGHTS, \
            RECURRENT_##name + RECURRENT_WEIGHTS \
    }

// clang-format off
static const struct clrnn_op_backward backward = {
    .kind = CLRNN_OP_RECURRENT_BWD,
    .dy = RECURRENT_BWD_DY,
    .dx = RECURRENT_DX,
    .in_count = 32,
    .in = {SAME(X), SAME(LENGTHS), SAME(COUNTER), BOTH(WEIGHT_IH), BOTH(WEIGHT_HH), BOTH(BIAS_IH), BOTH(BIAS_HH),
           BOTH(WEIGHT_HR), BOTH(GAMMA_IH), BOTH(GAMMA_HH), BOTH(GAMMA_C), BOTH(BETA_C), KEPT(Y), KEPT(INPUT),
           KEPT(HIDDEN), KEPT(STATS), KEPT(GATES), KEPT(CELL), KEPT(WIDE), {RECURRENT_BWD_H0, RECURRENT_H0, false},
           {RECURRENT_BWD_C0, RECURRENT_C0, false}, KEPT(KEPT_H), KEPT(KEPT_C)},
    .grad_count = 18,
    .grad = {GRAD(WEIGHT_IH), GRAD(WEIGHT_HH), GRAD(BIAS_IH), GRAD(BIAS_HH), GRAD(WEIGHT_HR), GRAD(GAMMA_IH),
             GRAD(GAMMA_HH), GRAD(GAMMA_C), GRAD(BETA_C)},
};
// clang-format on

const struct clrnn_op_class clrnn_recurrent_fwd_class = {.flops = flops, .sizes = sizes, .backward = &backward};
const struct clrnn_op_class clrnn_recurrent_bwd_class = {.flops = flops, .sizes = sizes};
