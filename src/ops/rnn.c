// SPDX-License-Identifier: MIT
// The recurrent layer: dispatches to a variant for the time steps, and launches the multiplies over all
// steps.
#include <stdio.h>

#include "device/remember/choice.h"
#include "ops/columns.h"
#include "ops/rnn_variants.h"
#include "ops/split.h"

static size_t rows_of(const struct clrnn_rnn *r)
{
    return (size_t)r->T * r->N;
}

// Common to forward and backward: their in[] start with the same slots.
static struct clrnn_rnn layer_of(const struct clrnn_graph *g, const struct clrnn_op *op)
{
    struct clrnn_rnn r = {
        .T = op->T,
        .N = op->N,
        .C = op->C,
        .H = op->rnn.H,
        .D = op->rnn.D,
        .G = clrnn_cell_gates(op->rnn.cell),
        .R = clrnn_cell_reserve(op->rnn.cell),
        .cell = op->rnn.cell,
        .relu = op->rnn.relu,
        .bias = op->in[RNN_BIAS_IH] != CLRNN_NONE,
        .lengths = clrnn_in(g, op, RNN_LENGTHS),
    };
    const bool forward = op->kind == CLRNN_OP_RNN_FWD;

    r.x = clrnn_rows(g, op, RNN_X, &r.x_rows);
    for (uint32_t d = 0; d < r.D; d++) {
        r.weight_ih[d] = clrnn_in(g, op, (int)(RNN_WEIGHT_IH + 4 * d));
        r.weight_hh[d] = clrnn_in(g, op, (int)(RNN_WEIGHT_HH + 4 * d));
        r.bias_ih[d] = clrnn_in(g, op, (int)(RNN_BIAS_IH + 4 * d));
        r.bias_hh[d] = clrnn_in(g, op, (int)(RNN_BIAS_HH + 4 * d));
    }
    r.h0 = clrnn_in(g, op, forward ? RNN_H0 : RNN_BWD_H0);
    r.c0 = clrnn_in(g, op, forward ? RNN_C0 : RNN_BWD_C0);
    return r;
}

static bool variant_fits(const struct clrnn_launches *l, const struct clrnn_rnn *r)
{
    if (r->variant == CLRNN_RNN_STEPS)
        return true;
    if (r->variant == CLRNN_RNN_GROUP)
        return !clrnn_on_cpu(l) && clrnn_rnn_group_fits(l, r);
    return clrnn_on_cpu(l) && clrnn_rnn_sequence_fits(l, r);
}

// The autotuned variant among those that fit; otherwise the persistent kernel if it fits and, on GPUs, is
// expected to be faster. A single step has no recurrent multiply: STEPS.
static enum clrnn_rnn_variant choose_variant(struct clrnn_launches *l, struct clrnn_rnn r)
{
    static const char *const word[] = {"steps", "sequence", "shared", "group"};
    const enum clrnn_rnn_variant wanted = clrnn_on_cpu(l)            ? clrnn_rnn_sequence_standard(l, &r)
                                          : clrnn_rnn_group_pays(&r) ? CLRNN_RNN_GROUP
                                                                     : CLRNN_RNN_STEPS;
    const char *fit[CLRNN_RNN_VARIANTS];
    enum clrnn_rnn_variant variant[CLRNN_RNN_VARIANTS];
    unsigned count = 0, standard = 0;

    if (r.T == 1)
        return CLRNN_RNN_STEPS;
    for (r.variant = CLRNN_RNN_STEPS; r.variant < CLRNN_RNN_VARIANTS; r.variant++) {
        if (!variant_fits(l, &r))
            continue;
        if (r.variant == wanted)
            standard = count;
        variant[count] = r.variant;
        fit[count++] = word[r.variant];
    }
    return variant[clrnn_choose(l, "variant", standard, count, fit)];
}

enum clrnn_status clrnn_rnn_fwd(struct clrnn_launches *launches, const struct clrnn_graph *graph,
                                const struct clrnn_op *op)
{
    struct clrnn_rnn r = layer_of(graph, op);

    r.y = clrnn_out(graph, op, RNN_Y);
    r.gates = clrnn_out(graph, op, RNN_GATES);
    r.memory = clrnn_out(graph, op, RNN_CELL);
    r.hn = clrnn_out(graph, op, RNN_HN);
    r.cn = clrnn_out(graph, op, RNN_CN);
    TRY(clrnn_rnn_begin(launches, &r));
    if (clrnn_rnn_single_fits(launches, &r)) {
        TRY(clrnn_rnn_single_fwd(launches, &r));
    } else {
        r.variant = choose_variant(launches, r);
        TRY(r.variant == CLRNN_RNN_STEPS   ? clrnn_rnn_steps_fwd(launches, &r)
            : r.variant == CLRNN_RNN_GROUP ? clrnn_rnn_group_fwd(launches, &r)
                                           : clrnn_rnn_sequence_fwd(launches, &r));
    }
    return clrnn_rnn_end(launches, &r);
}

// Launches the multiplies of both directions whose result is needed, as a batched pair if both are.
static enum clrnn_status launch_both(struct clrnn_launches *l, struct clrnn_gemm m[2])
{
    bool fused;

    if (!m[0].c && !m[1].c)
        return CLRNN_OK;
    return clrnn_launch_gemm_batch(l, m[0].c ? m : &m[1], m[0].c && m[1].c ? 2 : 1, NULL, &fused);
}

// dW_hh [G*H, H] = dgates^T h_prev. Row r of the gates belongs to row r - N of y (reverse: r + N), so this is
// one multiply over T-1 steps. gru: the hidden part of n is column block 3 of the gates.
static enum clrnn_status hidden_weight_gradients(struct clrnn_launches *l, const struct clrnn_rnn *r)
{
    const size_t ld = (size_t)r->R * r->H;
    struct clrnn_gemm m[2] = {{.c = NULL}};

    for (uint32_t d = 0; d < r->D; d++) {
        if (r->T == 1 && r->dweight_hh[d])
            TRY(clrnn_launch_zero(l, r->dweight_hh[d]));
        if (r->T == 1)
            continue;
        m[d] = (struct clrnn_gemm){
            .transpose_a = true,
            .M = r->cell == CLRNN_CELL_GRU ? 2 * r->H : r->G * r->H,
            .N = r->H,
            .K = (r->T - 1) * r->N,
            .alpha = 1,
            .a = r->gates,
            .a_offset = d * rows_of(r) * ld + (d ? 0 : r->N * ld),
            .a_ld = (uint32_t)ld,
            .b = r->y,
            .b_offset = d * (size_t)r->H + (d ? (size_t)r->N * r->D * r->H : 0),
            .b_ld = r->D * r->H,
            .c = r->dweight_hh[d],
            .c_ld = r->H,
        };
    }
    TRY(launch_both(l, m));
    if (r->cell != CLRNN_CELL_GRU || r->T == 1)
        return CLRNN_OK;
    for (uint32_t d = 0; d < r->D; d++) {
        m[d].M = r->H;
        m[d].a_offset += 3 * (size_t)r->H;
        m[d].c_offset = 2 * (size_t)r->H * r->H;
    }
    return launch_both(l, m);
}

// Gate gradients are 0 in padding, but x there may be NaN, and 0 * NaN is NaN.
static enum clrnn_status without_padding(struct clrnn_launches *l, struct clrnn_rnn *r)
{
    struct clrnn_buffer *clean;

    if (!r->lengths || (!r->dweight_ih[0] && !r->dweight_ih[1]))
        return CLRNN_OK;
    TRY(clrnn_launches_scratch(l, rows_of(r) * r->C, &clean));
    TRY(clrnn_launch_mask_rows(l, r->x, r->lengths, r->T, r->N, r->C, clean));
    r->x = clean;
    return CLRNN_OK;
}

// dW_ih [G*H, C] = dgates^T x.
static enum clrnn_status input_weight_gradients(struct clrnn_launches *l, const struct clrnn_rnn *r)
{
    const uint32_t rows = (uint32_t)rows_of(r), ld = r->R * r->H;
    struct clrnn_gemm m[2] = {{.c = NULL}};

    for (uint32_t d = 0; d < r->D; d++)
        m[d] = (struct clrnn_gemm){
            .transpose_a = true,
            .M = r->G * r->H,
            .N = r->C,
            .K = rows,
            .alpha = 1,
            .a = r->gates,
            .a_offset = (size_t)d * rows * ld,
            .a_ld = ld,
            .b = r->x,
            .b_ld = r->C,
            .b_rows = r->x_rows,
            .c = r->dweight_ih[d],
            .c_ld = r->C,
        };
    return launch_both(l, m);
}

// Column sums of the gate gradients: first in blocks of rows, unless the variant has already written these
// partial sums or there are few rows.
static enum clrnn_status bias_gradients(struct clrnn_launches *l, const struct clrnn_rnn *r,
                                        struct clrnn_rnn_bias *bias)
{
    const uint32_t rows = (uint32_t)rows_of(r), columns = r->R * r->H, width = clrnn_rnn_width(l);
    const struct clrnn_defines defines = DEFINES({"CELL", r->cell}, {"RELU", r->relu}, {"WIDTH", width});

    if (!bias->wanted)
        return CLRNN_OK;
    if (!bias->blocks && rows <= 256) {
        bias->blocks = rows;
        bias->partial = r->gates;
    } else if (!bias->blocks) {
        const uint32_t block_rows = rows < 8192 ? 128 : rows / 64 + 1;

        bias->blocks = (rows + block_rows - 1) / block_rows;
        TRY(clrnn_launches_scratch(l, (size_t)r->D * bias->blocks * columns, &bias->partial));
        TRY(clrnn_launch_kernel(
            l, "rnn", "rnn_bias_partial", defines, RANGE3((columns + width - 1) / width, bias->blocks, r->D),
            (struct clrnn_cost){(double)r->D * rows * columns, 4.0 * r->D * rows * columns},
            ARGS(BUF(r->gates), BUF(bias->partial), UINT(rows), UINT(columns), UINT(block_rows),
                 UINT(bias->blocks), UINT(r->D))));
    }
    return clrnn_launch_kernel(
        l, "rnn", "rnn_bias_sum", defines, RANGE3((r->H + width - 1) / width, r->G, r->D),
        (struct clrnn_cost){2.0 * r->D * bias->blocks * columns, 4.0 * r->D * bias->blocks * columns},
        ARGS(BUF(bias->partial), BUF(r->dbias_ih[0]), BUF(r->dbias_hh[0]), BUF(r->dbias_ih[1]),
             BUF(r->dbias_hh[1]), UINT(r->H), UINT(bias->blocks), UINT(r->D)));
}

// dx [rows, C] = sum over directions of dgates W_ih.
static enum clrnn_status input_gradient(struct clrnn_launches *l, const struct clrnn_rnn *r)
{
    const uint32_t rows = (uint32_t)rows_of(r), ld = r->R * r->H;

    for (uint32_t d = 0; d < r->D; d++) {
        const struct clrnn_gemm m = {
            .M = rows,
            .N = r->C,
            .K = r->G * r->H,
            .alpha = 1,
            .beta = d ? 1 : 0,
            .a = r->gates,
            .a_offset = (size_t)d * rows * ld,
            .a_ld = ld,
            .b = r->weight_ih[d],
            .b_ld = r->C,
            .c = r->dx,
            .c_ld = r->C,
        };
        TRY(clrnn_launch_gemm(l, &m));
    }
    return CLRNN_OK;
}

enum clrnn_status clrnn_rnn_bwd(struct clrnn_launches *launches, const struct clrnn_graph *graph,
                                const struct clrnn_op *op)
{
    struct clrnn_rnn r = layer_of(graph, op);
    struct clrnn_rnn_bias bias = {0};
    bool single, whole = false;

    r.y = clrnn_in(graph, op, RNN_BWD_Y);
    r.gates = clrnn_in(graph, op, RNN_BWD_GATES);
    r.memory = clrnn_in(graph, op, RNN_BWD_CELL);
    r.dy = clrnn_in(graph, op, RNN_BWD_DY);
    r.dx = clrnn_out(graph, op, RNN_DX);
    r.dhn = clrnn_in(graph, op, RNN_BWD_DHN);
    r.dcn = clrnn_in(graph, op, RNN_BWD_DCN);
    r.dh0 = clrnn_out(graph, op, RNN_DH0);
    r.dc0 = clrnn_out(graph, op, RNN_DC0);
    for (uint32_t d = 0; d < r.D; d++) {
        r.dweight_ih[d] = clrnn_out(graph, op, (int)(RNN_DWEIGHT_IH + 4 * d));
        r.dweight_hh[d] = clrnn_out(graph, op, (int)(RNN_DWEIGHT_HH + 4 * d));
        r.dbias_ih[d] = clrnn_out(graph, op, (int)(RNN_DBIAS_IH + 4 * d));
        r.dbias_hh[d] = clrnn_out(graph, op, (int)(RNN_DBIAS_HH + 4 * d));
        bias.wanted |= r.dbias_ih[d] || r.dbias_hh[d];
    }

    TRY(clrnn_rnn_begin_bwd(launches, &r));
    single = r.T == 1 && clrnn_on_cpu(launches) && !r.h0 && !r.dcn && !r.dc0;
    if (single) {
        TRY(clrnn_rnn_single_bwd(launches, &r, &whole));
        if (whole)
            return CLRNN_OK;
    } else {
        r.variant = choose_variant(launches, r);
        TRY(r.variant == CLRNN_RNN_STEPS   ? clrnn_rnn_steps_bwd(launches, &r)
            : r.variant == CLRNN_RNN_GROUP ? clrnn_rnn_group_bwd(launches, &r)
                                           : clrnn_rnn_sequence_bwd(launches, &r, &bias));
    }
    TRY(without_padding(launches, &r));
    TRY(input_weight_gradients(launches, &r));
    if (!single) {
        TRY(hidden_weight_gradients(launches, &r));
        TRY(bias_gradients(launches, &r, &bias));
    }
    TRY(clrnn_rnn_end_bwd(launches, &r));
    return r.dx ? input_gradient(launches, &r) : CLRNN_OK;
}

// ---------------------------------------------------------------- class

// Matrix products, then about 8 per gate and unit for the activations (a transcendental counts as one).
static double fwd_flops(const struct clrnn_op *op)
{
    const double rows = (double)op->T * op->N, gates = (double)clrnn_cell_gates(op->rnn.cell) * op->rnn.H;

    return (2.0 * op->C + 2.0 * op->rnn.H + 8) * rows * gates * op->rnn.D;
}

// dx and dweight_ih cost the forward product each; so do dh and dweight_hh.
static double bwd_flops(const struct clrnn_op *op)
{
    const double rows = (double)op->T * op->N, gates = (double)clrnn_cell_gates(op->rnn.cell) * op->rnn.H;
    const double input = (op->out[RNN_DX] >= 0 ? 4.0 : 2.0) * op->C;

    return (input + 4.0 * op->rnn.H + 16) * rows * gates * op->rnn.D;
}

static void sizes(const struct clrnn_op *op, char *text, size_t size)
{
    static const char *const cell[] = {"rnn", "lstm", "gru"};

    snprintf(text, size, " %s%s T%u N%u C%u H%u D%u", cell[op->rnn.cell],
             op->kind == CLRNN_OP_RNN_FWD && op->out[RNN_GATES] == CLRNN_NONE ? " inference" : "",
             (unsigned)clrnn_tune_size(op->T), (unsigned)clrnn_tune_size(op->N),
             (unsigned)clrnn_tune_size(op->C), (unsigned)clrnn_tune_size(op->rnn.H), (unsigned)op->rnn.D);
}

static const struct clrnn_op_backward backward = {
    .kind = CLRNN_OP_RNN_BWD,
    .dy = RNN_BWD_DY,
    .dx = RNN_DX,
    .in_count = 15,
    .in = {{RNN_BWD_X, RNN_X, false},
           {RNN_BWD_LENGTHS, RNN_LENGTHS, false},
           {RNN_BWD_WEIGHT_IH, RNN_WEIGHT_IH, false},
           {RNN_BWD_WEIGHT_HH, RNN_WEIGHT_HH, false},
           {RNN_BWD_BIAS_IH, RNN_BIAS_IH, false},
           {RNN_BWD_BIAS_HH, RNN_BIAS_HH, false},
           {RNN_BWD_WEIGHT_IH + 4, RNN_WEIGHT_IH + 4, false},
           {RNN_BWD_WEIGHT_HH + 4, RNN_WEIGHT_HH + 4, false},
           {RNN_BWD_BIAS_IH + 4, RNN_BIAS_IH + 4, false},
           {RNN_BWD_BIAS_HH + 4, RNN_BIAS_HH + 4, false},
           {RNN_BWD_Y, RNN_Y, true},
           {RNN_BWD_GATES, RNN_GATES, true},
           {RNN_BWD_CELL, RNN_CELL, true},
           {RNN_BWD_H0, RNN_H0, false},
           {RNN_BWD_C0, RNN_C0, false}},
    .grad_count = 8,
    .grad = {{RNN_DWEIGHT_IH, RNN_WEIGHT_IH},
             {RNN_DWEIGHT_HH, RNN_WEIGHT_HH},
             {RNN_DBIAS_IH, RNN_BIAS_IH},
             {RNN_DBIAS_HH, RNN_BIAS_HH},
             {RNN_DWEIGHT_IH + 4, RNN_WEIGHT_IH + 4},
             {RNN_DWEIGHT_HH + 4, RNN_WEIGHT_HH + 4},
             {RNN_DBIAS_IH + 4, RNN_BIAS_IH + 4},
             {RNN_DBIAS_HH + 4, RNN_BIAS_HH + 4}},
};

const struct clrnn_op_class clrnn_rnn_fwd_class = {.flops = fwd_flops, .sizes = sizes, .backward = &backward};
const struct clrnn_op_class clrnn_rnn_bwd_class = {.flops = bwd_flops, .sizes = sizes};
