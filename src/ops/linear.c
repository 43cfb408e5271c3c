// SPDX-License-Identifier: MIT
// Launches linear layers: a GEMM, and a kernel that adds the bias and writes zeros to padding rows. Without lengths,
// the GEMM may add the bias itself. Few outputs have kernels of their own.
#include <stdio.h>

#include "base/array.h"
#include "device/gemm/gemm.h"
#include "device/remember/choice.h"
#include "ops/columns.h"
#include "ops/graph.h"
#include "ops/split.h"

// With at most this many outputs, which is usual for a classifier, one fused kernel is faster than a GEMM with bias:
// the product has few columns, so that most time is spent on reading x.
enum { FEW_OUTPUTS = 8 };

static enum clrnn_status fwd_few(struct clrnn_launches *l, const struct clrnn_graph *g, const struct clrnn_op *op)
{
    const uint32_t rows = op->T * op->N;
    const struct clrnn_split s = clrnn_split_rows(l, rows, op->C);

    return clrnn_launch_kernel(
        l, "linear", "linear_fwd", DEFINES({"WIDTH", s.width}, {"LANES", s.lanes}, {"OUTPUTS", op->linear.O}), s.range,
        clrnn_class_cost(&clrnn_linear_fwd_class, g, op),
        ARGS(BUF(clrnn_in(g, op, LINEAR_X)), BUF(clrnn_in(g, op, LINEAR_LENGTHS)), BUF(clrnn_in(g, op, LINEAR_WEIGHT)),
             BUF(clrnn_in(g, op, LINEAR_BIAS)), BUF(clrnn_out(g, op, LINEAR_Y)), UINT(rows), UINT(op->N), UINT(op->C),
             UINT(op->linear.O), UINT(s.chunk), LANE_SUMS(s)));
}

enum clrnn_status clrnn_linear_fwd(struct clrnn_launches *launches, const struct clrnn_graph *graph,
                                   const struct clrnn_op *op)
{
    const uint32_t rows = op->T * op->N, O = op->linear.O;
    const struct clrnn_gemm product =
        clrnn_gemm_dense(CLRNN_GEMM_NT, rows, O, op->C, clrnn_in(graph, op, LINEAR_X),
                         clrnn_in(graph, op, LINEAR_WEIGHT), clrnn_out(graph, op, LINEAR_Y));

    if (O <= FEW_OUTPUTS)
        return fwd_few(launches, graph, op);
    // NaN in padding rows of x reaches only padding rows of y, which are set to 0.
    return clrnn_launch_biased_product(launches, &product, clrnn_in(graph, op, LINEAR_BIAS),
                                       clrnn_in(graph, op, LINEAR_LENGTHS), op->N);
}

// ---------------------------------------------------------------- backward

static enum clrnn_status bwd_few(struct clrnn_launches *l, const struct clrnn_graph *g, const struct clrnn_op *op)
{
    const uint32_t rows = op->T * op->N, O = op->linear.O, C = op->C;
    struct clrnn_buffer *dx = clrnn_out(g, op, LINEAR_DX);
    struct clrnn_buffer *dweight = clrnn_out(g, op, LINEAR_DWEIGHT), *dbias = clrnn_out(g, op, LINEAR_DBIAS);
    struct clrnn_buffer *dweight_blocks = dweight, *dbias_blocks = dbias;
    const struct clrnn_split to_x = clrnn_split_elements(l, rows, C, true);
    const struct clrnn_split to_weight = clrnn_split_columns(l, rows, C);
    const uint32_t dx_items = dx ? to_x.teams : 0, columns = clrnn_divide_up(C, to_x.width);
    const uint32_t items = dx_items + (dweight || dbias ? columns * to_weight.teams : 0);

    if (items == 0)
        return CLRNN_OK;
    if (to_weight.teams > 1 && dweight != NULL)
        TRY(clrnn_launches_scratch(l, (size_t)to_weight.teams * O * C, &dweight_blocks));
    if (to_weight.teams > 1 && dbias != NULL)
        TRY(clrnn_launches_scratch(l, (size_t)to_weight.teams * O, &dbias_blocks));
    TRY(clrnn_launch_kernel(l, "linear", "linear_bwd", DEFINES({"WIDTH", to_x.width}, {"LANES", 1}, {"OUTPUTS", O}),
                            RANGE1(items), clrnn_class_cost(&clrnn_linear_bwd_class, g, op),
                            ARGS(BUF(clrnn_in(g, op, LINEAR_BWD_X)), BUF(clrnn_in(g, op, LINEAR_BWD_LENGTHS)),
                                 BUF(clrnn_in(g, op, LINEAR_BWD_WEIGHT)), BUF(clrnn_in(g, op, LINEAR_BWD_DY)), BUF(dx),
                                 BUF(dweight_blocks), BUF(dbias_blocks), UINT(rows), UINT(op->N), UINT(C),
                                 UINT(dx_items), UINT(to_x.chunk), UINT(columns), UINT(to_weight.chunk))));
    if (to_weight.teams > 1 && dweight != NULL)
        TRY(clrnn_launch_block_sum(l, dweight_blocks, 0, to_weight.teams, O * C, dweight));
    if (to_weight.teams > 1 && dbias != NULL)
        TRY(clrnn_launch_block_sum(l, dbias_blocks, 0, to_weight.teams, O, dbias));
    return CLRNN_OK;
}

enum clrnn_status clrnn_linear_bwd(struct clrnn_launches *launches, const struct clrnn_graph *graph,
                                   const struct clrnn_op *op)
{
    const uint32_t rows = op->T * op->N, O = op->linear.O;
    struct clrnn_buffer *lengths = clrnn_in(graph, op, LINEAR_BWD_LENGTHS);
    struct clrnn_buffer *x = clrnn_in(graph, op, LINEAR_BWD_X), *dy = clrnn_in(graph, op, LINEAR_BWD_DY);
    struct clrnn_buffer *dx = clrnn_out(graph, op, LINEAR_DX);
    struct clrnn_buffer *dweight = clrnn_out(graph, op, LINEAR_DWEIGHT);
    struct clrnn_buffer *dbias = clrnn_out(graph, op, LINEAR_DBIAS);

    if (O <= FEW_OUTPUTS)
        return bwd_few(launches, graph, op);
    // the multiplies need zeros in the padding of dy
    TRY(clrnn_launch_mask_rows(launches, lengths, op->T, op->N, O, &dy));
    if (dx != NULL)
        TRY(clrnn_launch_gemm_dense(launches, CLRNN_GEMM_NN, rows, op->C, O, dy, clrnn_in(graph, op, LINEAR_BWD_WEIGHT),
                                    dx));
    if (dweight != NULL) {
        TRY(clrnn_launch_mask_rows(launches, lengths, op->T, op->N, op->C, &x));
        TRY(clrnn_launch_gemm_dense(launches, CLRNN_GEMM_TN, O, op->C, rows, dy, x, dweight));
    }
    return dbias != NULL ? clrnn_launch_column_sum(launches, dy, NULL, op->T, op->N, O, dbias) : CLRNN_OK;
}

// ---------------------------------------------------------------- cost functions and op classes

static double fwd_flops(const struct clrnn_op *op)
{
    const double rows = (double)op->T * op->N, O = op->linear.O;

    return 2 * rows * op->C * O + (op->in[LINEAR_BIAS] >= 0 ? rows * O : 0);
}

static double bwd_flops(const struct clrnn_op *op)
{
    const double rows = (double)op->T * op->N, O = op->linear.O;

    return 2 * rows * op->C * O * ((op->out[LINEAR_DX] >= 0) + (op->out[LINEAR_DWEIGHT] >= 0)) +
           (op->out[LINEAR_DBIAS] >= 0 ? rows * O : 0);
}

static void sizes(const struct clrnn_op *op, char *text, size_t size)
{
    snprintf(text, size, " T%u N%u C%u O%u", (unsigned)clrnn_tune_size(op->T), (unsigned)clrnn_tune_size(op->N),
             (unsigned)clrnn_tune_size(op->C), (unsigned)clrnn_tune_size(op->linear.O));
}

static const struct clrnn_op_backward backward = {
    .kind = CLRNN_OP_LINEAR_BWD,
    .dy = LINEAR_BWD_DY,
    .dx = LINEAR_DX,
    .in_count = 3,
    .in = {{LINEAR_BWD_X, LINEAR_X, false},
           {LINEAR_BWD_LENGTHS, LINEAR_LENGTHS, false},
           {LINEAR_BWD_WEIGHT, LINEAR_WEIGHT, false}},
    .grad_count = 2,
    .grad = {{LINEAR_DWEIGHT, LINEAR_WEIGHT}, {LINEAR_DBIAS, LINEAR_BIAS}},
};

const struct clrnn_op_class clrnn_linear_fwd_class = {.flops = fwd_flops, .sizes = sizes, .backward = &backward};
const struct clrnn_op_class clrnn_linear_bwd_class = {.flops = bwd_flops, .sizes = sizes};
