// SPDX-License-Identifier: MIT
// The recurrent op backward: the time steps, then multiplies over all of them for the weights.
#include "device/gemm/gemm.h"
#include "ops/columns.h"
#include "ops/recurrent_direction.h"
#include "ops/rnn_states.h"

// ---------------------------------------------------------------- backward, the time steps

// Scratch of backward, for one direction after the other where there are two.
struct scratch {
    struct clrnn_buffer *through, *carry, *dh, *dwide; // [N, P], [N, H], [D, rows, P], [N, H]
    bool kept;                                         // carry is dc0 or dh0, [D, N, H]
    struct clrnn_buffer *da, *db, *ga, *gb; // [D, rows, G*H]: of the gates' sums, and of their products
    struct clrnn_buffer *dcell;             // [D, rows, H]: of gamma_c times the normalised cell
    struct clrnn_buffer *clean, *dropped;   // x and h as the weight gradients read them; NULL: as they are
};

static enum clrnn_status scratch_init(struct clrnn_launches *l, const struct clrnn_recurrent_direction *r,
                                      struct scratch *s)
{
    const bool norm = r->op->recurrent.layer_norm, gru = r->op->rnn.cell == CLRNN_CELL_GRU;
    const size_t all = r->D * clrnn_recurrent_rows(r), GH = clrnn_recurrent_columns(r);

    TRY(clrnn_recurrent_scratch(l, (size_t)r->N * r->P, &s->through));
    s->carry = r->op->rnn.cell == CLRNN_CELL_LSTM ? r->dc0 : gru ? r->dh0 : NULL;
    s->kept = s->carry != NULL;
    TRY(clrnn_recurrent_scratch(l, r->op->rnn.cell == CLRNN_CELL_RNN ? 0 : (size_t)r->N * r->H, &s->carry));
    TRY(clrnn_recurrent_scratch(l, all * r->P, &s->dh));
    TRY(clrnn_recurrent_scratch(l, r->WEIGHT(WEIGHT_HR) ? (size_t)r->N * r->H : 0, &s->dwide));
    TRY(clrnn_recurrent_scratch(l, all * GH, &s->da));
    TRY(clrnn_recurrent_scratch(l, gru ? all * GH : 0, &s->db));
    s->db = gru ? s->db : s->da;
    TRY(clrnn_recurrent_scratch(l, norm ? all * GH : 0, &s->ga));
    TRY(clrnn_recurrent_scratch(l, norm ? all * GH : 0, &s->gb));
    s->ga = norm ? s->ga : s->da;
    s->gb = norm ? s->gb : s->db;
    TRY(clrnn_recurrent_scratch(l, norm && r->cell ? all * r->H : 0, &s->dcell));
    TRY(clrnn_recurrent_scratch(l, r->op->recurrent.p > 0 ? clrnn_recurrent_rows(r) * r->P : 0, &s->dropped));
    if (!r->lengths) // gate gradients are 0 in padding, but x there may be NaN
        return CLRNN_OK;
    TRY(clrnn_launches_scratch(l, clrnn_recurrent_rows(r) * r->C, &s->clean));
    return clrnn_launch_mask_rows(l, r->x, r->lengths, r->T, r->N, r->C, s->clean);
}

static size_t carry_first(const struct clrnn_recurrent_direction *r, const struct scratch *s)
{
    return s->kept ? (size_t)r->d * r->N * r->H : 0;
}

// dh of the step's rows, the first of which is `row`, and what it is before the projection.
static enum clrnn_status gradient_of_h(struct clrnn_launches *l, const struct clrnn_recurrent_direction *r,
                                       const struct scratch *s, uint32_t step, size_t row)
{
    const size_t GH = clrnn_recurrent_columns(r), after = r->d ? row - r->N : row + r->N;

    if (step > 0)
        TRY(clrnn_launch_gemm(l,
                              &(struct clrnn_gemm){.M = r->N,
                                                   .N = r->P,
                                                   .K = (uint32_t)GH,
                                                   .alpha = 1,
                                                   .a = s->gb,
                                                   .a_offset = (r->d * clrnn_recurrent_rows(r) + after) * GH,
                                                   .a_ld = (uint32_t)GH,
                                                   .b = r->WEIGHT(WEIGHT_HH),
                                                   .b_ld = r->P,
                                                   .c = s->through,
                                                   .c_ld = r->P}));
    TRY(clrnn_launch_kernel(l, "recurrent", "recurrent_join", DEFINES_OF(r, r->split),
                            RANGE1((size_t)r->N * r->P), clrnn_recurrent_cost((double)r->N * r->P, 3, 4),
                            ARGS(BUF(r->dy), BUF(s->through), BUF(r->mask), BUF(s->carry), BUF(s->dh),
                                 BUF(r->lengths), UINT(r->T), UINT(r->N), UINT(r->P), UINT(r->D), UINT(r->d),
                                 UINT(step), UINT(carry_first(r, s)))));
    if (!s->dwide)
        return CLRNN_OK;
    return clrnn_launch_gemm(l,
                             &(struct clrnn_gemm){.M = r->N,
                                                  .N = r->H,
                                                  .K = r->P,
                                                  .alpha = 1,
                                                  .a = s->dh,
                                                  .a_offset = (r->d * clrnn_recurrent_rows(r) + row) * r->P,
                                                  .a_ld = r->P,
                                                  .b = r->WEIGHT(WEIGHT_HR),
                                                  .b_ld = r->H,
                                                  .c = s->dwide,
                                                  .c_ld = r->H});
}

static enum clrnn_status steps_bwd(struct clrnn_launches *l, struct clrnn_recurrent_direction *r,
                                   const struct scratch *s)
{
    TRY(clrnn_recurrent_mask(l, r));
    for (uint32_t step = 0; step < r->T; step++) {
        const size_t row = (size_t)(r->d ? step : r->T - 1 - step) * r->N;

        TRY(gradient_of_h(l, r, s, step, row));
        TRY(clrnn_launch_kernel(
            l, "recurrent", "recurrent_step_bwd", DEFINES_OF(r, r->split), r->split.range,
            clrnn_recurrent_cost((double)r->N * clrnn_recurrent_columns(r), 30, 12),
            ARGS(BUF(r->input), BUF(r->hidden), BUF(r->stats), BUF(r->WEIGHT(GAMMA_IH)),
                 BUF(r->WEIGHT(GAMMA_HH)), BUF(r->WEIGHT(GAMMA_C)), BUF(r->WEIGHT(BETA_C)), BUF(r->gates),
                 BUF(r->cell), BUF(r->y), BUF(r->lengths), BUF(s->dwide ? s->dwide : s->dh), BUF(s->carry),
                 BUF(s->da), BUF(s->db), BUF(s->ga), BUF(s->gb), BUF(s->dcell), BUF(r->state), BUF(r->dcn),
                 UINT(carry_first(r, s)), UINT(s->dwide ? 0 : (r->d * clrnn_recurrent_rows(r) + row) * r->H),
                 UINT(r->T), UINT(r->N), UINT(r->H), UINT(r->D), UINT(r->d), UINT(step),
                 LANE_SUMS(r->split))));
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
static enum clrnn_status sums(struct clrnn_launches *l, const struct clrnn_recurrent_direction *r,
                              struct clrnn_buffer *g, struct clrnn_buffer *x, uint32_t C,
                              struct clrnn_buffer *dbias, struct clrnn_buffer *dgain)
{
    const uint32_t rows = (uint32_t)clrnn_recurrent_rows(r);
    const struct clrnn_split s = clrnn_split_columns(l, rows, C);
    struct clrnn_buffer *bias_blocks = dbias, *gain_blocks = dgain;

    if (!dbias && !dgain)
        return CLRNN_OK;
    if (s.teams > 1 && dbias)
        TRY(clrnn_launches_scratch(l, (size_t)s.teams * C, &bias_blocks));
    if (s.teams > 1 && dgain)
        TRY(clrnn_launches_scratch(l, (size_t)s.teams * C, &gain_blocks));
    TRY(clrnn_launch_kernel(l, "recurrent", "recurrent_sums", DEFINES_OF(r, s), s.range,
                            clrnn_recurrent_cost((double)rows * C, 3, 2),
                            ARGS(BUF(g), BUF(x), BUF(r->lengths), BUF(bias_blocks), BUF(gain_blocks),
                                 UINT(r->d * rows), UINT(rows), UINT(r->N), UINT(C), UINT(s.chunk))));
    if (s.teams > 1 && dbias)
        TRY(clrnn_launch_block_sum(l, bias_blocks, 0, s.teams, C, dbias));
    if (s.teams > 1 && dgain)
        TRY(clrnn_launch_block_sum(l, gain_blocks, 0, s.teams, C, dgain));
    return CLRNN_OK;
}

// dh0, and the first steps' part of dW_hh, which is added to that of the others.
static enum clrnn_status initial_gradients(struct clrnn_launches *l,
                                           const struct clrnn_recurrent_direction *r, const struct scratch *s)
{
    const uint32_t count = r->N * r->P;
    const struct clrnn_state_size rows = {r->T, r->N, clrnn_recurrent_columns(r), r->D};
    struct clrnn_buffer *first = s->gb;
    struct clrnn_gemm m = {.alpha = 1, .a_ld = clrnn_recurrent_columns(r)};

    if (!r->h0)
        return CLRNN_OK;
    TRY(clrnn_launch_first(l, &rows, r->d, r->lengths, &first, &m.a_offset));
    m.a = first;
    if (r->GRADIENT(WEIGHT_HH)) {
        struct clrnn_gemm outer_product = m;

        outer_product.transpose_a = true;
        outer_product.M = clrnn_recurrent_columns(r);
        outer_product.N = r->P;
        outer_product.K = r->N;
        outer_product.beta = 1;
        TRY(clrnn_recurrent_initial(l, r, &outer_product.b, &outer_product.b_offset));
        outer_product.b_ld = r->P;
        outer_product.c = r->GRADIENT(WEIGHT_HH);
        outer_product.c_ld = r->P;
        TRY(clrnn_launch_gemm(l, &outer_product));
    }
    if (!r->dh0)
        return CLRNN_OK;
    m.M = r->N;
    m.N = r->P;
    m.K = clrnn_recurrent_columns(r);
    m.b = r->WEIGHT(WEIGHT_HH);
    m.b_ld = r->P;
    m.c = s->through;
    m.c_ld = r->P;
    TRY(clrnn_launch_gemm(l, &m));
    return clrnn_launch_kernel(l, "recurrent", "recurrent_initial", DEFINES_OF(r, r->split), RANGE1(count),
                               clrnn_recurrent_cost(count, 2, 3),
                               ARGS(BUF(s->through), BUF(r->mask), BUF(r->dh0), UINT(count),
                                    UINT(r->d * count), UINT(r->op->rnn.cell == CLRNN_CELL_GRU)));
}

static enum clrnn_status weight_gradients(struct clrnn_launches *l, const struct clrnn_recurrent_direction *r,
                                          const struct scratch *s)
{
    const size_t rows = clrnn_recurrent_rows(r), GH = clrnn_recurrent_columns(r), first = r->d * rows,
                 past = rows - r->N;
    const size_t gates =
        (first + (r->d ? 0 : r->N)) * GH; // row r of the gates belongs to row r - N of h, or r + N

    TRY(outer(l, rows, s->ga, first * GH, (uint32_t)GH, s->clean ? s->clean : r->x, 0, r->C, r->C,
              r->GRADIENT(WEIGHT_IH)));
    if (s->dropped && past > 0) {
        TRY(clrnn_recurrent_drop(l, r, r->d ? r->N : 0, past, s->dropped));
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
    struct clrnn_recurrent_direction r = clrnn_recurrent_layer(launches, graph, op);
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
    r.dh0 = clrnn_out(graph, op, RECURRENT_DH0);
    r.dc0 = clrnn_out(graph, op, RECURRENT_DC0);
    r.dcn = clrnn_in(graph, op, RECURRENT_BWD_DCN);
    TRY(clrnn_launch_join_final(launches, &(struct clrnn_state_size){r.T, r.N, r.P, r.D}, r.lengths,
                                clrnn_in(graph, op, RECURRENT_BWD_DHN), &r.dy));
    clrnn_recurrent_take(&r, graph, 0);
    TRY(scratch_init(launches, &r, &s));
    for (uint32_t d = 0; d < r.D; d++) {
        clrnn_recurrent_take(&r, graph, d);
        TRY(steps_bwd(launches, &r, &s));
        TRY(weight_gradients(launches, &r, &s));
        TRY(initial_gradients(launches, &r, &s));
        if (!r.dx)
            continue;
        TRY(clrnn_launch_gemm(launches, &(struct clrnn_gemm){.M = (uint32_t)clrnn_recurrent_rows(&r),
                                                             .N = r.C,
                                                             .K = clrnn_recurrent_columns(&r),
                                                             .alpha = 1,
                                                             .beta = d ? 1 : 0,
                                                             .a = s.ga,
                                                             .a_offset = d * clrnn_recurrent_rows(&r) *
                                                                         clrnn_recurrent_columns(&r),
                                                             .a_ld = clrnn_recurrent_columns(&r),
                                                             .b = r.WEIGHT(WEIGHT_IH),
                                                             .b_ld = r.C,
                                                             .c = r.dx,
                                                             .c_ld = r.C}));
    }
    return CLRNN_OK;
}
