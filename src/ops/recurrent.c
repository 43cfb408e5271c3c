// SPDX-License-Identifier: MIT
// A recurrent layer with layer normalisation, a projection or dropout of its hidden state, step by step: a
// multiply, then a kernel that takes whole rows (cl/recurrent.cl). Multiplies of inputs and weight gradients
// are over all steps.
#include "ops/recurrent.h"

#include <math.h>
#include <stdio.h>

#include "device/gemm/gemm.h"
#include "device/remember/choice.h"
#include "ops/columns.h"
#include "ops/graph.h"
#include "ops/split.h"

// The sizes and buffers of one direction. Shapes: ops/recurrent.h. Absent buffers are NULL.
struct layer {
    uint32_t T, N, C, H, P, D, G, d;
    const struct clrnn_op *op;
    struct clrnn_split split; // a team for each row of the batch
    struct clrnn_buffer *x, *lengths, *counter, *weight[RECURRENT_WEIGHTS], *gradient[RECURRENT_WEIGHTS];
    struct clrnn_buffer *y, *input, *hidden, *stats, *gates, *cell, *wide, *mask;
    struct clrnn_buffer *dy, *dx; // backward
};

// By the layer and how its rows or columns are divided.
#define DEFINES_OF(r, split) \
    DEFINES({"CELL", (r)->op->rnn.cell}, {"RELU", (r)->op->rnn.relu}, \
            {"NORM", (r)->op->recurrent.layer_norm}, {"WIDTH", (split).width}, {"LANES", (split).lanes})
#define WEIGHT(name) weight[RECURRENT_##name - RECURRENT_WEIGHT_IH]
#define GRADIENT(name) gradient[RECURRENT_##name - RECURRENT_WEIGHT_IH]

static size_t rows_of(const struct layer *r)
{
    return (size_t)r->T * r->N;
}

static uint32_t columns_of(const struct layer *r)
{
    return r->G * r->H;
}

// Common to forward and backward: their in[] start with the same slots.
static struct layer layer_of(struct clrnn_launches *l, const struct clrnn_graph *g, const struct clrnn_op *op)
{
    const struct clrnn_recurrent_attributes *a = &op->recurrent;
    struct layer r = {.T = op->T,
                      .N = op->N,
                      .C = op->C,
                      .H = a->rnn.H,
                      .P = a->P,
                      .D = a->rnn.D,
                      .G = clrnn_cell_gates(a->rnn.cell),
                      .op = op,
                      .x = clrnn_in(g, op, RECURRENT_X),
                      .lengths = clrnn_in(g, op, RECURRENT_LENGTHS),
                      .counter = clrnn_in(g, op, RECURRENT_COUNTER)};

    r.split = clrnn_split_rows(l, op->N, a->rnn.H);
    r.split.range =
        r.split.lanes == 1 ? RANGE1(op->N) : GROUPS1((size_t)op->N * r.split.lanes, r.split.lanes);
    return r;
}

static void take_direction(struct layer *r, const struct clrnn_graph *g, uint32_t d)
{
    r->d = d;
    for (uint32_t i = 0; i < RECURRENT_WEIGHTS; i++) {
        r->weight[i] = clrnn_in(g, r->op, (int)(RECURRENT_WEIGHT_IH + RECURRENT_WEIGHTS * d + i));
        r->gradient[i] = r->op->kind == CLRNN_OP_RECURRENT_FWD
                             ? NULL
                             : clrnn_out(g, r->op, (int)(RECURRENT_DWEIGHT_IH + RECURRENT_WEIGHTS * d + i));
    }
}

static struct clrnn_cost cost_of(double numbers, double flops, double touches)
{
    return (struct clrnn_cost){flops * numbers, 4 * touches * numbers};
}

// ---------------------------------------------------------------- dropout of h

// The mask of the direction: none where nothing is dropped.
static enum clrnn_status draw_mask(struct clrnn_launches *l, struct layer *r)
{
    const double p = r->op->recurrent.p;
    const uint32_t count = r->N * r->P;

    if (p <= 0)
        return CLRNN_OK;
    if (!r->mask)
        TRY(clrnn_launches_scratch(l, count, &r->mask));
    return clrnn_launch_kernel(l, "recurrent", "recurrent_mask", DEFINES_OF(r, r->split),
                               RANGE1((count + 3) / 4), cost_of(count, 1, 1),
                               ARGS(BUF(r->counter), BUF(r->mask), UINT(count),
                                    UINT(r->op->recurrent.stream + r->d), UINT(ceil(p * 0x1p24)),
                                    REAL(p < 1 ? 1 / (1 - p) : 0)));
}

// out [rows, P]: the mask times the rows of y from `row` on.
static enum clrnn_status drop(struct clrnn_launches *l, const struct layer *r, size_t row, size_t rows,
                              struct clrnn_buffer *out)
{
    return clrnn_launch_kernel(l, "recurrent", "recurrent_drop", DEFINES_OF(r, r->split), RANGE1(rows * r->P),
                               cost_of((double)rows * r->P, 1, 3),
                               ARGS(BUF(r->y), BUF(r->mask), BUF(out), UINT((row * r->D + r->d) * r->P),
                                    UINT(rows), UINT(r->N), UINT(r->P), UINT(r->D * r->P)));
}

// ---------------------------------------------------------------- forward

static enum clrnn_status inner(struct clrnn_launches *l, size_t count, struct clrnn_buffer **buffer)
{
    return *buffer || !count ? CLRNN_OK : clrnn_launches_scratch(l, count, buffer);
}

static enum clrnn_status input_products(struct clrnn_launches *l, const struct layer *r)
{
    return clrnn_launch_gemm(l, &(struct clrnn_gemm){.transpose_b = true,
                                                     .M = (uint32_t)rows_of(r),
                                                     .N = columns_of(r),
                                                     .K = r->C,
                                                     .alpha = 1,
                                                     .a = r->x,
                                                     .a_ld = r->C,
                                                     .b = r->WEIGHT(WEIGHT_IH),
                                                     .b_ld = r->C,
                                                     .c = r->input,
                                                     .c_offset = r->d * rows_of(r) * columns_of(r),
                                                     .c_ld = columns_of(r)});
}

static enum clrnn_status hidden_products(struct clrnn_launches *l, const struct layer *r, size_t row,
                                         size_t before, struct clrnn_buffer *dropped)
{
    struct clrnn_gemm m = {.transpose_b = true,
                           .M = r->N,
                           .N = columns_of(r),
                           .K = r->P,
                           .alpha = 1,
                           .a = r->y,
                           .a_offset = (before * r->D + r->d) * r->P,
                           .a_ld = r->D * r->P,
                           .b = r->WEIGHT(WEIGHT_HH),
                           .b_ld = r->P,
                           .c = r->hidden,
                           .c_offset = (r->d * rows_of(r) + row) * columns_of(r),
                           .c_ld = columns_of(r)};

    if (dropped) {
        TRY(drop(l, r, before, r->N, dropped));
        m.a = dropped;
        m.a_offset = 0;
        m.a_ld = r->P;
    }
    return clrnn_launch_gemm(l, &m);
}

// y of a step = W_hr h.
static enum clrnn_status project(struct clrnn_launches *l, const struct layer *r, size_t row)
{
    return clrnn_launch_gemm(l, &(struct clrnn_gemm){.transpose_b = true,
                                                     .M = r->N,
                                                     .N = r->P,
                                                     .K = r->H,
                                                     .alpha = 1,
                                                     .a = r->wide,
                                                     .a_offset = (r->d * rows_of(r) + row) * r->H,
                                                     .a_ld = r->H,
                                                     .b = r->WEIGHT(WEIGHT_HR),
                                                     .b_ld = r->H,
                                                     .c = r->y,
                                                     .c_offset = (row * r->D + r->d) * r->P,
                                                     .c_ld = r->D * r->P});
}

static enum clrnn_status direction_fwd(struct clrnn_launches *l, struct layer *r,
                                       struct clrnn_buffer *dropped)
{
    const bool projected = r->WEIGHT(WEIGHT_HR) != NULL;

    TRY(draw_mask(l, r));
    TRY(input_products(l, r));
    for (uint32_t step = 0; step < r->T; step++) {
        const size_t t = r->d ? r->T - 1 - step : step, row = t * r->N;

        if (step > 0)
            TRY(hidden_products(l, r, row, r->d ? row + r->N : row - r->N, dropped));
        TRY(clrnn_launch_kernel(
            l, "recurrent", "recurrent_step_fwd", DEFINES_OF(r, r->split), r->split.range,
            cost_of((double)r->N * columns_of(r), 16, 6),
            ARGS(BUF(r->input), BUF(r->hidden), BUF(r->stats), BUF(r->WEIGHT(BIAS_IH)),
                 BUF(r->WEIGHT(BIAS_HH)), BUF(r->WEIGHT(GAMMA_IH)), BUF(r->WEIGHT(GAMMA_HH)),
                 BUF(r->WEIGHT(GAMMA_C)), BUF(r->WEIGHT(BETA_C)), BUF(r->gates), BUF(r->cell),
                 BUF(projected ? r->wide : r->y), BUF(r->lengths), UINT(r->T), UINT(r->N), UINT(r->H),
                 UINT(r->d), UINT(step), UINT(projected ? r->d * rows_of(r) * r->H : r->d * r->H),
                 UINT(projected ? r->H : r->D * r->H), LANE_SUMS(r->split))));
        if (projected)
            TRY(project(l, r, row));
    }
    return CLRNN_OK;
}

enum clrnn_status clrnn_recurrent_fwd(struct clrnn_launches *launches, const struct clrnn_graph *graph,
                                      const struct clrnn_op *op)
{
    struct layer r = layer_of(launches, graph, op);
    const size_t all = r.D * rows_of(&r), GH = columns_of(&r);
    struct clrnn_buffer *dropped = NULL;

    r.y = clrnn_out(graph, op, RECURRENT_Y);
    r.input = clrnn_out(graph, op, RECURRENT_INPUT);
    r.hidden = clrnn_out(graph, op, RECURRENT_HIDDEN);
    r.stats = clrnn_out(graph, op, RECURRENT_STATS);
    r.gates = clrnn_out(graph, op, RECURRENT_GATES);
    r.cell = clrnn_out(graph, op, RECURRENT_CELL);
    r.wide = clrnn_out(graph, op, RECURRENT_WIDE);
    take_direction(&r, graph, 0);
    TRY(inner(launches, all * GH, &r.input));
    TRY(inner(launches, all * GH, &r.hidden));
    TRY(inner(launches, all * 4, &r.stats));
    TRY(inner(launches, op->rnn.cell == CLRNN_CELL_RNN ? 0 : all * 4 * r.H, &r.gates));
    TRY(inner(launches, op->rnn.cell == CLRNN_CELL_LSTM ? all * r.H : 0, &r.cell));
    TRY(inner(launches, r.WEIGHT(WEIGHT_HR) ? all * r.H : 0, &r.wide));
    TRY(inner(launches, op->recurrent.p > 0 ? (size_t)r.N * r.P : 0, &dropped));
    for (uint32_t d = 0; d < r.D; d++) {
        take_direction(&r, graph, d);
        TRY(direction_fwd(launches, &r, dropped));
    }
    return CLRNN_OK;
}

// ---------------------------------------------------------------- backward, the time steps

// Scratch of backward, for one direction after the other where there are two.
struct scratch {
    struct clrnn_buffer *through, *carry, *dh, *dwide; // [N, P], [N, H], [D, rows, P], [N, H]
    struct clrnn_buffer *da, *db, *ga, *gb; // [D, rows, G*H]: of the gates' sums, and of their products
    struct clrnn_buffer *dcell;             // [D, rows, H]: of gamma_c times the normalised cell
    struct clrnn_buffer *clean, *dropped;   // x and h as the weight gradients read them; NULL: as they are
};

static enum clrnn_status scratch_init(struct clrnn_launches *l, const struct layer *r, struct scratch *s)
{
    const bool norm = r->op->recurrent.layer_norm, gru = r->op->rnn.cell == CLRNN_CELL_GRU;
    const size_t all = r->D * rows_of(r), GH = columns_of(r);

    TRY(inner(l, (size_t)r->N * r->P, &s->through));
    TRY(inner(l, r->op->rnn.cell == CLRNN_CELL_RNN ? 0 : (size_t)r->N * r->H, &s->carry));
    TRY(inner(l, all * r->P, &s->dh));
    TRY(inner(l, r->WEIGHT(WEIGHT_HR) ? (size_t)r->N * r->H : 0, &s->dwide));
    TRY(inner(l, all * GH, &s->da));
    TRY(inner(l, gru ? all * GH : 0, &s->db));
    s->db = gru ? s->db : s->da;
    TRY(inner(l, norm ? all * GH : 0, &s->ga));
    TRY(inner(l, norm ? all * GH : 0, &s->gb));
    s->ga = norm ? s->ga : s->da;
    s->gb = norm ? s->gb : s->db;
    TRY(inner(l, norm && r->cell ? all * r->H : 0, &s->dcell));
    TRY(inner(l, r->op->recurrent.p > 0 ? rows_of(r) * r->P : 0, &s->dropped));
    if (!r->lengths) // gate gradients are 0 in padding, but x there may be NaN
        return CLRNN_OK;
    TRY(clrnn_launches_scratch(l, rows_of(r) * r->C, &s->clean));
    return clrnn_launch_mask_rows(l, r->x, r->lengths, r->T, r->N, r->C, s->clean);
}

// dh of the step's rows, the first of which is `row`, and what it is before the projection.
static enum clrnn_status gradient_of_h(struct clrnn_launches *l, const struct layer *r,
                                       const struct scratch *s, uint32_t step, size_t row)
{
    const size_t GH = columns_of(r), after = r->d ? row - r->N : row + r->N;

    if (step > 0)
        TRY(clrnn_launch_gemm(l, &(struct clrnn_gemm){.M = r->N,
                                                      .N = r->P,
                                                      .K = (uint32_t)GH,
                                                      .alpha = 1,
                                                      .a = s->gb,
                                                      .a_offset = (r->d * rows_of(r) + after) * GH,
                                                      .a_ld = (uint32_t)GH,
                                                      .b = r->WEIGHT(WEIGHT_HH),
                                                      .b_ld = r->P,
                                                      .c = s->through,
                                                      .c_ld = r->P}));
    TRY(clrnn_launch_kernel(l, "recurrent", "recurrent_join", DEFINES_OF(r, r->split),
                            RANGE1((size_t)r->N * r->P), cost_of((double)r->N * r->P, 3, 4),
                            ARGS(BUF(r->dy), BUF(s->through), BUF(r->mask), BUF(s->carry), BUF(s->dh),
                                 BUF(r->lengths), UINT(r->T), UINT(r->N), UINT(r->P), UINT(r->D), UINT(r->d),
                                 UINT(step))));
    if (!s->dwide)
        return CLRNN_OK;
    return clrnn_launch_gemm(l, &(struct clrnn_gemm){.M = r->N,
                                                     .N = r->H,
                                                     .K = r->P,
                                                     .alpha = 1,
                                                     .a = s->dh,
                                                     .a_offset = (r->d * rows_of(r) + row) * r->P,
                                                     .a_ld = r->P,
                                                     .b = r->WEIGHT(WEIGHT_HR),
                                                     .b_ld = r->H,
                                                     .c = s->dwide,
                                                     .c_ld = r->H});
}

static enum clrnn_status steps_bwd(struct clrnn_launches *l, struct layer *r, const struct scratch *s)
{
    TRY(draw_mask(l, r));
    for (uint32_t step = 0; step < r->T; step++) {
        const size_t row = (size_t)(r->d ? step : r->T - 1 - step) * r->N;

        TRY(gradient_of_h(l, r, s, step, row));
        TRY(clrnn_launch_kernel(
            l, "recurrent", "recurrent_step_bwd", DEFINES_OF(r, r->split), r->split.range,
            cost_of((double)r->N * columns_of(r), 30, 12),
            ARGS(BUF(r->input), BUF(r->hidden), BUF(r->stats), BUF(r->WEIGHT(GAMMA_IH)),
                 BUF(r->WEIGHT(GAMMA_HH)), BUF(r->WEIGHT(GAMMA_C)), BUF(r->WEIGHT(BETA_C)), BUF(r->gates),
                 BUF(r->cell), BUF(r->y), BUF(r->lengths), BUF(s->dwide ? s->dwide : s->dh), BUF(s->carry),
                 BUF(s->da), BUF(s->db), BUF(s->ga), BUF(s->gb), BUF(s->dcell),
                 UINT(s->dwide ? 0 : (r->d * rows_of(r) + row) * r->H), UINT(r->T), UINT(r->N), UINT(r->H),
                 UINT(r->D), UINT(r->d), UINT(step), LANE_SUMS(r->split))));
    }
    return CLRNN_OK;
}

// ---------------------------------------------------------------- backward, the weights

// c [M, N] = a^T b over `rows` rows.
static enum clrnn_status outer(struct clrnn_launches *l, size_t rows, struct clrnn_buffer *a, size_t a_offset,
                               uint32_t M, struct clrnn_buffer *b, size_t b_offset, uint32_t b_ld, uint32_t N,
                               struct clrnn_buffer *c)
{
    if (!c)
        return CLRNN_OK;
    if (rows == 0)
        return clrnn_launch_zero(l, c);
    return clrnn_launch_gemm(l, &(struct clrnn_gemm){.transpose_a = true,
                                                     .M = M,
                                                     .N = N,
                                                     .K = (uint32_t)rows,
                                                     .alpha = 1,
                                                     .a = a,
                                                     .a_offset = a_offset,
                                                     .a_ld = M,
                                                     .b = b,
                                                     .b_offset = b_offset,
                                                     .b_ld = b_ld,
                                                     .c = c,
                                                     .c_ld = N});
}

// Sums over the rows of g [rows, C] and of g x, either of which may be NULL.
static enum clrnn_status sums(struct clrnn_launches *l, const struct layer *r, struct clrnn_buffer *g,
                              struct clrnn_buffer *x, uint32_t C, struct clrnn_buffer *dbias,
                              struct clrnn_buffer *dgain)
{
    const uint32_t rows = (uint32_t)rows_of(r);
    const struct clrnn_split s = clrnn_split_columns(l, rows, C);
    struct clrnn_buffer *bias_blocks = dbias, *gain_blocks = dgain;

    if (!dbias && !dgain)
        return CLRNN_OK;
    if (s.teams > 1 && dbias)
        TRY(clrnn_launches_scratch(l, (size_t)s.teams * C, &bias_blocks));
    if (s.teams > 1 && dgain)
        TRY(clrnn_launches_scratch(l, (size_t)s.teams * C, &gain_blocks));
    TRY(clrnn_launch_kernel(l, "recurrent", "recurrent_sums", DEFINES_OF(r, s), s.range,
                            cost_of((double)rows * C, 3, 2),
                            ARGS(BUF(g), BUF(x), BUF(r->lengths), BUF(bias_blocks), BUF(gain_blocks),
                                 UINT(r->d * rows), UINT(rows), UINT(r->N), UINT(C), UINT(s.chunk))));
    if (s.teams > 1 && dbias)
        TRY(clrnn_launch_block_sum(l, bias_blocks, 0, s.teams, C, dbias));
    if (s.teams > 1 && dgain)
        TRY(clrnn_launch_block_sum(l, gain_blocks, 0, s.teams, C, dgain));
    return CLRNN_OK;
}

static enum clrnn_status weight_gradients(struct clrnn_launches *l, const struct layer *r,
                                          const struct scratch *s)
{
    const size_t rows = rows_of(r), GH = columns_of(r), first = r->d * rows, past = rows - r->N;
    const size_t gates =
        (first + (r->d ? 0 : r->N)) * GH; // row r of the gates belongs to row r - N of h, or r + N

    TRY(outer(l, rows, s->ga, first * GH, (uint32_t)GH, s->clean ? s->clean : r->x, 0, r->C, r->C,
              r->GRADIENT(WEIGHT_IH)));
    if (s->dropped && past > 0) {
        TRY(drop(l, r, r->d ? r->N : 0, past, s->dropped));
        TRY(outer(l, past, s->gb, gates, (uint32_t)GH, s->dropped, 0, r->P, r->P, r->GRADIENT(WEIGHT_HH)));
    } else {
        TRY(outer(l, past, s->gb, gates, (uint32_t)GH, r->y, ((r->d ? r->N : 0) * (size_t)r->D + r->d) * r->P,
                  r->D * r->P, r->P, r->GRADIENT(WEIGHT_HH)));
    }
    TRY(outer(l, rows, s->dh, first * r->P, r->P, r->wide, first * r->H, r->H, r->H, r->GRADIENT(WEIGHT_HR)));
    TRY(sums(l, r, s->da, r->input, (uint32_t)GH, r->GRADIENT(BIAS_IH), r->GRADIENT(GAMMA_IH)));
    TRY(sums(l, r, s->db, r->hidden, (uint32_t)GH, r->GRADIENT(BIAS_HH), r->GRADIENT(GAMMA_HH)));
    return sums(l, r, s->dcell, r->cell, r->H, r->GRADIENT(BETA_C), r->GRADIENT(GAMMA_C));
}

enum clrnn_status clrnn_recurrent_bwd(struct clrnn_launches *launches, const struct clrnn_graph *graph,
                                      const struct clrnn_op *op)
{
    struct layer r = layer_of(launches, graph, op);
    struct scratch s = {0};

    r.y = clrnn_in(graph, op, RECURRENT_BWD_Y);
    r.input = clrnn_in(graph, op, RECURRENT_BWD_INPUT);
    r.hidden = clrnn_in(graph, op, RECURRENT_BWD_HIDDEN);
    r.stats = clrnn_in(graph, op, RECURRENT_BWD_STATS);
    r.gates = clrnn_in(graph, op, RECURRENT_BWD_GATES);
    r.cell = clrnn_in(graph, op, RECURRENT_BWD_CELL);
    r.wide = clrnn_in(graph, op, RECURRENT_BWD_WIDE);
    r.dy = clrnn_in(graph, op, RECURRENT_BWD_DY);
    r.dx = clrnn_out(graph, op, RECURRENT_DX);
    take_direction(&r, graph, 0);
    TRY(scratch_init(launches, &r, &s));
    for (uint32_t d = 0; d < r.D; d++) {
        take_direction(&r, graph, d);
        TRY(steps_bwd(launches, &r, &s));
        TRY(weight_gradients(launches, &r, &s));
        if (!r.dx)
            continue;
        TRY(clrnn_launch_gemm(launches, &(struct clrnn_gemm){.M = (uint32_t)rows_of(&r),
                                                             .N = r.C,
                                                             .K = columns_of(&r),
                                                             .alpha = 1,
                                                             .beta = d ? 1 : 0,
                                                             .a = s.ga,
                                                             .a_offset = d * rows_of(&r) * columns_of(&r),
                                                             .a_ld = columns_of(&r),
                                                             .b = r.WEIGHT(WEIGHT_IH),
                                                             .b_ld = r.C,
                                                             .c = r.dx,
                                                             .c_ld = r.C}));
    }
    return CLRNN_OK;
}

// ---------------------------------------------------------------- class

static double products(const struct clrnn_op *op)
{
    const struct clrnn_recurrent_attributes *a = &op->recurrent;
    const double gates = (double)clrnn_cell_gates(a->rnn.cell) * a->rnn.H;
    const double projection = a->P == a->rnn.H ? 0 : (double)a->P * a->rnn.H;

    return (double)op->T * op->N * a->rnn.D * ((op->C + a->P + 8.0) * gates + projection);
}

static double flops(const struct clrnn_op *op)
{
    return (op->kind == CLRNN_OP_RECURRENT_FWD ? 2 : 4) * products(op);
}

static void sizes(const struct clrnn_op *op, char *text, size_t size)
{
    snprintf(text, size, " cell%d T%u N%u C%u H%u P%u D%u", (int)op->rnn.cell,
             (unsigned)clrnn_tune_size(op->T), (unsigned)clrnn_tune_size(op->N),
             (unsigned)clrnn_tune_size(op->C), (unsigned)clrnn_tune_size(op->rnn.H),
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
    .in_count = 28,
    .in = {SAME(X), SAME(LENGTHS), SAME(COUNTER), BOTH(WEIGHT_IH), BOTH(WEIGHT_HH), BOTH(BIAS_IH), BOTH(BIAS_HH),
           BOTH(WEIGHT_HR), BOTH(GAMMA_IH), BOTH(GAMMA_HH), BOTH(GAMMA_C), BOTH(BETA_C), KEPT(Y), KEPT(INPUT),
           KEPT(HIDDEN), KEPT(STATS), KEPT(GATES), KEPT(CELL), KEPT(WIDE)},
    .grad_count = 18,
    .grad = {GRAD(WEIGHT_IH), GRAD(WEIGHT_HH), GRAD(BIAS_IH), GRAD(BIAS_HH), GRAD(WEIGHT_HR), GRAD(GAMMA_IH),
             GRAD(GAMMA_HH), GRAD(GAMMA_C), GRAD(BETA_C)},
};
// clang-format on

const struct clrnn_op_class clrnn_recurrent_fwd_class = {
    .flops = flops, .sizes = sizes, .backward = &backward};
const struct clrnn_op_class clrnn_recurrent_bwd_class = {.flops = flops, .sizes = sizes};
