// SPDX-License-Identifier: MIT
// Backward of the ops of recurrent.h: runs through the time steps, then computes the weight gradients by multiplies
// over all steps.
#include "device/gemm/gemm.h"
#include "base/array.h"
#include "ops/blocks.h"
#include "ops/columns.h"
#include "ops/recurrent_direction.h"
#include "ops/rnn_states.h"

// ---------------------------------------------------------------- backward, the time steps

// Scratch memory of backward. The two directions use it one after the other.
struct scratch {
    // through [N, P]: what the gradient of h at a time step gets from the next step through W_hh.
    // carry [N, H]: gradient of the previous cell (lstm), or the part of the gradient of the previous h that bypasses
    // W_hh (gru).
    struct clrnn_buffer *through, *carry;
    bool kept;                       // carry is the output dc0 or dh0 [D, N, H], and is not scratch memory
    struct clrnn_buffer *dh;         // [N, H]: gradient of h before the projection, at one time step
    struct clrnn_buffer *dprojected; // [D, rows, P]: gradient of y = W_hr h; NULL: no projection
    // [D, rows, G*H] each.
    // da: gradient of the input's part of the gates before activation.
    // db: gradient of h's part of the gates before activation.
    // ga: gradient of W_ih x, before layer normalisation.
    // gb: gradient of W_hh h, before layer normalisation.
    struct clrnn_buffer *da, *db, *ga, *gb;
    // [D, rows, H]: gradient of gamma_c * c_hat + beta_c, where c_hat is the normalised cell.
    struct clrnn_buffer *dcell;
    // For the weight gradients.
    // clean: x with zeros in padding.
    // dropped: h after dropout; NULL: there is no dropout.
    struct clrnn_buffer *clean, *dropped;
    struct clrnn_buffer *dropped_step; // [N, P]: h after dropout, in forward steps that backward runs again
    // Sums over blocks of rows that sums() keeps until all parts have run (its argument `kept`). NULL: not allocated
    // yet.
    struct clrnn_buffer *bias[3][2];
};

static enum clrnn_status scratch_init(struct clrnn_launches *l, const struct clrnn_recurrent_direction *r,
                                      struct scratch *s)
{
    const bool norm = r->op->recurrent.layer_norm, gru = r->op->rnn.cell == CLRNN_CELL_GRU;
    const uint32_t part = r->op->rnn.part;
    const size_t rows = (size_t)(part ? part + 2 : r->T) * r->N, all = r->D * rows, GH = clrnn_recurrent_columns(r);

    TRY(clrnn_recurrent_scratch(l, (size_t)r->N * r->P, &s->through));
    s->carry = r->op->rnn.cell == CLRNN_CELL_LSTM ? r->dc0 : gru ? r->dh0 : NULL;
    s->kept = s->carry != NULL;
    TRY(clrnn_recurrent_scratch(l, r->op->rnn.cell == CLRNN_CELL_RNN ? 0 : (size_t)r->N * r->H, &s->carry));
    TRY(clrnn_recurrent_scratch(l, (size_t)r->N * r->H, &s->dh));
    TRY(clrnn_recurrent_scratch(l, r->WEIGHT(WEIGHT_HR) ? all * r->P : 0, &s->dprojected));
    TRY(clrnn_recurrent_scratch(l, all * GH, &s->da));
    TRY(clrnn_recurrent_scratch(l, gru ? all * GH : 0, &s->db));
    s->db = gru ? s->db : s->da;
    TRY(clrnn_recurrent_scratch(l, norm ? all * GH : 0, &s->ga));
    TRY(clrnn_recurrent_scratch(l, norm ? all * GH : 0, &s->gb));
    s->ga = norm ? s->ga : s->da;
    s->gb = norm ? s->gb : s->db;
    TRY(clrnn_recurrent_scratch(l, norm && r->cell ? all * r->H : 0, &s->dcell));
    TRY(clrnn_recurrent_scratch(l, r->op->recurrent.p > 0 ? rows * r->P : 0, &s->dropped));
    TRY(clrnn_recurrent_scratch(l, part && r->op->recurrent.p > 0 ? (size_t)r->N * r->P : 0, &s->dropped_step));
    s->clean = r->x; // gate gradients are 0 in padding, but x may be NaN there
    return clrnn_launch_mask_rows(l, r->lengths, r->T, r->N, r->C, &s->clean);
}

// Computes s->through for the time step whose first row is `row`. With a projection also computes s->dh, the gradient
// of h before the projection.
static enum clrnn_status gradient_of_h(struct clrnn_launches *l, const struct clrnn_recurrent_direction *r,
                                       const struct scratch *s, const struct recurrent_args *args, size_t row)
{
    const uint32_t GH = clrnn_recurrent_columns(r);
    const size_t first = r->d * clrnn_recurrent_rows(r), after = r->d ? row - r->N : row + r->N;
    struct clrnn_gemm m = clrnn_gemm_dense(CLRNN_GEMM_NN, r->N, r->P, GH, s->gb, r->WEIGHT(WEIGHT_HH), s->through);

    if (args->step > 0) {
        m.a_offset = (first + after) * GH;
        m.panels = &r->packed->hidden_bwd;
        TRY(clrnn_launch_gemm(l, &m));
    }
    if (!s->dprojected)
        return CLRNN_OK;
    TRY(clrnn_launch_kernel(l, "recurrent", "recurrent_join", DEFINES_OF(r, r->split), r->split.range,
                            clrnn_cost_of((double)r->N * r->P, 3, 4),
                            ARGS(STRUCT(recurrent_args, args), BUF(r->dy), BUF(s->through), BUF(r->mask), BUF(s->carry),
                                 BUF(s->dprojected), BUF(r->lengths))));
    m = clrnn_gemm_dense(CLRNN_GEMM_NN, r->N, r->H, r->P, s->dprojected, r->WEIGHT(WEIGHT_HR), s->dh);
    m.a_offset = (first + row) * r->P;
    m.panels = &r->packed->projection_bwd;
    return clrnn_launch_gemm(l, &m);
}

static enum clrnn_status steps_bwd(struct clrnn_launches *l, const struct clrnn_recurrent_direction *r,
                                   const struct scratch *s)
{
    const uint32_t first = clrnn_recurrent_first(r, true);

    for (uint32_t step = first; step < first + r->steps; step++) {
        const size_t row = (size_t)(r->d ? step : r->T - 1 - step) * r->N;
        struct recurrent_args args = clrnn_recurrent_args(r, step);

        args.carry_first = s->kept ? r->d * r->N * r->H : 0;
        TRY(gradient_of_h(l, r, s, &args, row));
        TRY(clrnn_launch_kernel(l, "recurrent", "recurrent_step_bwd", DEFINES_OF(r, r->split), r->split.range,
                                clrnn_cost_of((double)r->N * clrnn_recurrent_columns(r), 30, 12),
                                ARGS(STRUCT(recurrent_args, &args), BUF(r->input), BUF(r->hidden), BUF(r->stats),
                                     BUF(r->WEIGHT(GAMMA_IH)), BUF(r->WEIGHT(GAMMA_HH)), BUF(r->WEIGHT(GAMMA_C)),
                                     BUF(r->WEIGHT(BETA_C)), BUF(r->gates), BUF(r->cell), BUF(r->y), BUF(r->lengths),
                                     BUF(s->dprojected ? NULL : r->dy), BUF(s->through), BUF(r->mask), BUF(s->dh),
                                     BUF(s->carry), BUF(s->da), BUF(s->db), BUF(s->ga), BUF(s->gb), BUF(s->dcell),
                                     BUF(r->state), BUF(r->dcn), LANE_SUMS(r->split))));
    }
    return CLRNN_OK;
}

// ---------------------------------------------------------------- backward, the weights

static bool latest(const struct clrnn_recurrent_direction *r)
{
    return clrnn_recurrent_first(r, true) == 0;
}

static uint32_t begun(const struct clrnn_recurrent_direction *r)
{
    const uint32_t first = r->low + r->offset;

    return r->d ? r->whole - first - r->steps : first;
}

// Computes c [M, N] = a^T b, the sum over the time steps that r covers. The sum leaves out the first `begin` of these
// steps, in the order of the direction. If backward has already run another part of the sequence, adds to the result of
// that part.
static enum clrnn_status outer(struct clrnn_launches *l, const struct clrnn_recurrent_direction *r, uint32_t begin,
                               struct clrnn_rows a, struct clrnn_rows b, uint32_t N, struct clrnn_buffer *c)
{
    const struct clrnn_blocks blocks = clrnn_blocks_of(l, r->d, begin, r->steps, r->whole, r->N);
    struct clrnn_gemm m = clrnn_gemm_dense(CLRNN_GEMM_TN, a.ld, N, (r->steps - begin) * r->N, a.of, b.of, c);

    if (!c)
        return CLRNN_OK;
    m.beta = latest(r) ? 0 : 1;
    m.a_offset = a.first;
    m.b_offset = b.first;
    m.b_ld = b.ld;
    return m.K == 0 ? clrnn_launch_zero(l, c) : clrnn_launch_gemm_sum(l, &m, 1, &blocks);
}

// Computes sums over rows: dbias = the sum of g [rows, C], dgain = the sum of g * x. Either of the two may be NULL. The
// sums of blocks of rows are stored in `kept` until backward has run all parts of the sequence. Then the blocks are
// added up.
static enum clrnn_status sums(struct clrnn_launches *l, const struct clrnn_recurrent_direction *r,
                              struct clrnn_buffer *g, struct clrnn_buffer *x, uint32_t C, struct clrnn_buffer *dbias,
                              struct clrnn_buffer *dgain, struct clrnn_buffer *kept[2])
{
    const struct clrnn_blocks b = clrnn_blocks_of(l, r->d, 0, r->steps, r->whole, r->N);
    const uint32_t rows = r->steps * r->N, all = r->whole * r->N;
    struct clrnn_split s = clrnn_split_columns(l, rows, C);
    struct clrnn_buffer *blocks[2] = {dbias, dgain};

    if (b.rows) {
        s.chunk = b.rows;
        s.teams = clrnn_divide_up(all, s.chunk);
        s.range = RANGE2(s.range.global[0], clrnn_divide_up(rows, s.chunk));
    }
    if (!dbias && !dgain)
        return CLRNN_OK;
    for (int i = 0; i < 2 && s.teams > 1; i++) {
        TRY(clrnn_recurrent_scratch(l, blocks[i] ? (size_t)s.teams * C : 0, &kept[i]));
        blocks[i] = blocks[i] ? kept[i] : NULL;
    }
    TRY(clrnn_launch_kernel(l, "recurrent", "recurrent_sums", DEFINES_OF(r, s), s.range,
                            clrnn_cost_of((double)rows * C, 3, 2),
                            ARGS(BUF(g), BUF(x), BUF(r->lengths), BUF(blocks[0]), BUF(blocks[1]),
                                 UINT(r->d * clrnn_recurrent_rows(r) + (size_t)r->low * r->N), UINT(rows),
                                 UINT((r->low + r->offset) * r->N), UINT(r->N), UINT(C), UINT(s.chunk),
                                 UINT(begun(r) * r->N / s.chunk), UINT(b.rows && r->d))));
    if (s.teams == 1 || begun(r) > 0)
        return CLRNN_OK;
    if (dbias)
        TRY(clrnn_launch_block_sum(l, blocks[0], 0, s.teams, C, dbias));
    return dgain ? clrnn_launch_block_sum(l, blocks[1], 0, s.teams, C, dgain) : CLRNN_OK;
}

// Computes dh0, and adds the contribution of the initial state to dW_hh, which already has the contributions of the
// other time steps.
static enum clrnn_status initial_gradients(struct clrnn_launches *l, const struct clrnn_recurrent_direction *r,
                                           const struct scratch *s)
{
    const uint32_t count = r->N * r->P, GH = clrnn_recurrent_columns(r);
    const struct clrnn_state_size rows = {.T = r->T, .N = r->N, .W = GH, .D = r->D};
    struct clrnn_buffer *first = s->gb;
    struct clrnn_gemm m;
    size_t offset;

    if (!r->h0)
        return CLRNN_OK;
    TRY(clrnn_launch_first(l, &rows, r->d, r->lengths, &first, &offset));
    if (r->GRADIENT(WEIGHT_HH)) {
        m = clrnn_gemm_dense(CLRNN_GEMM_TN, GH, r->P, r->N, first, NULL, r->GRADIENT(WEIGHT_HH));
        m.a_offset = offset;
        m.beta = 1;
        TRY(clrnn_recurrent_initial(l, r, &m.b, &m.b_offset));
        TRY(clrnn_launch_gemm(l, &m));
    }
    if (!r->dh0)
        return CLRNN_OK;
    m = clrnn_gemm_dense(CLRNN_GEMM_NN, r->N, r->P, GH, first, r->WEIGHT(WEIGHT_HH), s->through);
    m.a_offset = offset;
    m.panels = &r->packed->hidden_bwd;
    TRY(clrnn_launch_gemm(l, &m));
    return clrnn_launch_kernel(l, "recurrent", "recurrent_initial", DEFINES_OF(r, r->split), RANGE1(count),
                               clrnn_cost_of(count, 2, 3),
                               ARGS(BUF(s->through), BUF(r->mask), BUF(r->dh0), UINT(count), UINT(r->d * count),
                                    UINT(r->op->rnn.cell == CLRNN_CELL_GRU)));
}

static enum clrnn_status weight_gradients(struct clrnn_launches *l, const struct clrnn_recurrent_direction *r,
                                          struct scratch *s)
{
    const uint32_t GH = clrnn_recurrent_columns(r), begin = clrnn_recurrent_first(r, false) ? 0 : 1;
    // dW_hh multiplies the gate gradients of a time step by h of the step before it
    const uint32_t step = r->d ? r->low : r->low + begin, h = r->d ? r->low + 1 : r->low + begin - 1;
    const struct clrnn_rows x = {s->clean, (size_t)(r->low + r->offset) * r->N * r->C, r->C};
    struct clrnn_rows past = clrnn_recurrent_y(r, h);

    TRY(outer(l, r, 0, clrnn_recurrent_at(r, s->ga, GH, r->low), x, r->C, r->GRADIENT(WEIGHT_IH)));
    if (s->dropped && r->steps > begin) {
        TRY(clrnn_recurrent_drop(l, r, (size_t)h * r->N, (size_t)(r->steps - begin) * r->N, s->dropped));
        past = (struct clrnn_rows){s->dropped, 0, r->P};
    }
    TRY(outer(l, r, begin, clrnn_recurrent_at(r, s->gb, GH, step), past, r->P, r->GRADIENT(WEIGHT_HH)));
    TRY(outer(l, r, 0, clrnn_recurrent_at(r, s->dprojected, r->P, r->low), clrnn_recurrent_at(r, r->wide, r->H, r->low),
              r->H, r->GRADIENT(WEIGHT_HR)));
    TRY(sums(l, r, s->da, r->input, GH, r->GRADIENT(BIAS_IH), r->GRADIENT(GAMMA_IH), s->bias[0]));
    TRY(sums(l, r, s->db, r->hidden, GH, r->GRADIENT(BIAS_HH), r->GRADIENT(GAMMA_HH), s->bias[1]));
    return sums(l, r, s->dcell, r->cell, r->H, r->GRADIENT(BETA_C), r->GRADIENT(GAMMA_C), s->bias[2]);
}

static enum clrnn_status input_gradient(struct clrnn_launches *l, const struct clrnn_recurrent_direction *r,
                                        const struct scratch *s)
{
    const struct clrnn_blocks blocks = clrnn_blocks_of(l, r->d, 0, r->steps, r->whole, r->N);
    const uint32_t GH = clrnn_recurrent_columns(r);
    struct clrnn_gemm m =
        clrnn_gemm_dense(CLRNN_GEMM_NN, r->steps * r->N, r->C, GH, s->ga, r->WEIGHT(WEIGHT_IH), r->dx);

    m.beta = r->d ? 1 : 0;
    m.a_offset = clrnn_recurrent_at(r, s->ga, GH, r->low).first;
    m.c_offset = (size_t)(r->low + r->offset) * r->N * r->C;
    return r->dx ? clrnn_launch_gemm_rows(l, &m, 1, &blocks) : CLRNN_OK;
}

// Runs backward through the time steps of p, which is the whole sequence or a part of it, and computes all gradients.
static enum clrnn_status steps_and_weights(struct clrnn_launches *l, const struct clrnn_recurrent_direction *p,
                                           struct scratch *s)
{
    TRY(steps_bwd(l, p, s));
    TRY(weight_gradients(l, p, s));
    if (begun(p) == 0)
        TRY(initial_gradients(l, p, s));
    return input_gradient(l, p, s);
}

static enum clrnn_status part_bwd(struct clrnn_launches *l, const struct clrnn_recurrent_direction *r, uint32_t k,
                                  struct scratch *s)
{
    const uint32_t GH = clrnn_recurrent_columns(r);
    const struct clrnn_rnn_part part = clrnn_rnn_part_of(r->whole, r->op->rnn.part, r->d, k);
    const struct clrnn_recurrent_direction p = clrnn_recurrent_part(r, &part);

    if (!part.is_last) { // copies the gate gradients of the step that follows this part
        const struct clrnn_rnn_part after = clrnn_rnn_part_of(r->whole, r->op->rnn.part, r->d, k + 1);
        const struct clrnn_recurrent_direction q = clrnn_recurrent_part(r, &after);

        TRY(clrnn_launch_move(l, clrnn_recurrent_at(&q, s->gb, GH, after.first),
                              clrnn_recurrent_at(&p, s->gb, GH, part.after), r->N, GH));
    }
    TRY(clrnn_recurrent_part_steps(l, &p, &part, k, s->dropped_step));
    return steps_and_weights(l, &p, s);
}

static enum clrnn_status direction_bwd(struct clrnn_launches *l, struct clrnn_recurrent_direction *r, struct scratch *s)
{
    if (!r->op->rnn.part) {
        TRY(clrnn_recurrent_mask(l, r));
        return steps_and_weights(l, r, s);
    }
    TRY(clrnn_recurrent_prepare(l, r));
    for (uint32_t k = clrnn_recurrent_parts(r); k-- > 0;)
        TRY(part_bwd(l, r, k, s));
    return CLRNN_OK;
}

enum clrnn_status clrnn_recurrent_bwd(struct clrnn_launches *launches, const struct clrnn_graph *graph,
                                      const struct clrnn_op *op)
{
    struct clrnn_recurrent_packed packed;
    struct clrnn_recurrent_direction r = clrnn_recurrent_layer(launches, graph, op, &packed);
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
    r.kept_h = clrnn_in(graph, op, RECURRENT_BWD_KEPT_H);
    r.kept_c = clrnn_in(graph, op, RECURRENT_BWD_KEPT_C);
    TRY(clrnn_launch_join_final(launches, &(struct clrnn_state_size){.T = r.T, .N = r.N, .W = r.P, .D = r.D}, r.lengths,
                                clrnn_in(graph, op, RECURRENT_BWD_DHN), &r.dy));
    clrnn_recurrent_take(&r, graph, 0);
    if (op->rnn.part)
        TRY(clrnn_recurrent_own(launches, &r));
    TRY(scratch_init(launches, &r, &s));
    for (uint32_t d = 0; d < r.D; d++) {
        clrnn_recurrent_take(&r, graph, d);
        TRY(direction_bwd(launches, &r, &s));
    }
    return CLRNN_OK;
}
