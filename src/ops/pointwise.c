// SPDX-License-Identifier: MIT
// Launches pointwise and row-wise functions.
#include "ops/graph.h"
#include "ops/split.h"

static struct clrnn_split split(struct clrnn_launches *l, const struct clrnn_op *op, bool ragged)
{
    const size_t rows = (size_t)op->T * op->N;

    if (op->pointwise.function < CLRNN_FUNCTION_SOFTMAX)
        return clrnn_split_elements(l, rows, op->C, ragged);
    return clrnn_split_rows(l, rows, op->C);
}

enum clrnn_status clrnn_pointwise_fwd(struct clrnn_launches *launches, const struct clrnn_graph *graph,
                                      const struct clrnn_op *op)
{
    struct clrnn_buffer *lengths = clrnn_in(graph, op, POINTWISE_LENGTHS);
    const struct clrnn_split s = split(launches, op, lengths != NULL);

    return clrnn_launch_kernel(launches, "pointwise", "pointwise_fwd",
                               DEFINES({"WIDTH", s.width}, {"LANES", s.lanes}, {"FUNCTION", op->pointwise.function}),
                               s.range, clrnn_class_cost(&clrnn_pointwise_fwd_class, graph, op),
                               ARGS(BUF(clrnn_in(graph, op, POINTWISE_X)), BUF(lengths),
                                    BUF(clrnn_out(graph, op, POINTWISE_Y)), UINT(op->T * op->N), UINT(op->N),
                                    UINT(op->C), REAL(op->pointwise.a), REAL(op->pointwise.b), UINT(s.chunk),
                                    LANE_SUMS(s)));
}

enum clrnn_status clrnn_pointwise_bwd(struct clrnn_launches *launches, const struct clrnn_graph *graph,
                                      const struct clrnn_op *op)
{
    struct clrnn_buffer *lengths = clrnn_in(graph, op, POINTWISE_BWD_LENGTHS);
    const struct clrnn_split s = split(launches, op, lengths != NULL);

    if (op->out[POINTWISE_DX] < 0)
        return CLRNN_OK;
    if (op->pointwise.function == CLRNN_FUNCTION_ROUND)
        return clrnn_launch_zero(launches, clrnn_out(graph, op, POINTWISE_DX));
    return clrnn_launch_kernel(
        launches, "pointwise", "pointwise_bwd",
        DEFINES({"WIDTH", s.width}, {"LANES", s.lanes}, {"FUNCTION", op->pointwise.function}), s.range,
        clrnn_class_cost(&clrnn_pointwise_bwd_class, graph, op),
        ARGS(BUF(clrnn_in(graph, op, POINTWISE_BWD_X)), BUF(lengths), BUF(clrnn_in(graph, op, POINTWISE_BWD_Y)),
             BUF(clrnn_in(graph, op, POINTWISE_BWD_DY)), BUF(clrnn_out(graph, op, POINTWISE_DX)), UINT(op->T * op->N),
             UINT(op->N), UINT(op->C), REAL(op->pointwise.a), REAL(op->pointwise.b), UINT(s.chunk), LANE_SUMS(s)));
}

// ---------------------------------------------------------------- cost functions and op classes

static double fwd_flops(const struct clrnn_op *op)
{
    const enum clrnn_function f = op->pointwise.function;

    return (f >= CLRNN_FUNCTION_SOFTMAX                               ? 4.0
            : f == CLRNN_FUNCTION_SIGMOID || f > CLRNN_FUNCTION_ROUND ? 3.0
                                                                      : 1.0) *
           op->T * op->N * op->C;
}

static double bwd_flops(const struct clrnn_op *op)
{
    return (op->pointwise.function == CLRNN_FUNCTION_ROUND ? 0.0 : 4.0) * op->T * op->N * op->C;
}

static const struct clrnn_op_backward backward = {
    .kind = CLRNN_OP_POINTWISE_BWD,
    .dy = POINTWISE_BWD_DY,
    .dx = POINTWISE_DX,
    .in_count = 3,
    .in = {{POINTWISE_BWD_X, POINTWISE_X, false},
           {POINTWISE_BWD_LENGTHS, POINTWISE_LENGTHS, false},
           {POINTWISE_BWD_Y, POINTWISE_Y, true}},
};

const struct clrnn_op_class clrnn_pointwise_fwd_class = {.flops = fwd_flops, .backward = &backward};
const struct clrnn_op_class clrnn_pointwise_bwd_class = {.flops = bwd_flops};
