// SPDX-License-Identifier: MIT
// Launches attention pooling over time.
#include <stdio.h>

#include "base/array.h"
#include "device/gemm/gemm.h"
#include "device/remember/choice.h"
#include "ops/columns.h"
#include "ops/graph.h"
#include "ops/split.h"

enum clrnn_status clrnn_attention_fwd(struct clrnn_launches *launches, const struct clrnn_graph *graph,
                                      const struct clrnn_op *op)
{
    const uint32_t T = op->T, N = op->N, C = op->C, A = op->attention.A, rows = T * N;
    const struct clrnn_split s = clrnn_split_rows(launches, rows, A);
    const uint32_t width = clrnn_on_cpu(launches) && C >= 8 ? 16 : 1;
    struct clrnn_buffer *x = clrnn_in(graph, op, ATTENTION_X), *hidden = clrnn_out(graph, op, ATTENTION_HIDDEN);
    struct clrnn_buffer *lengths = clrnn_in(graph, op, ATTENTION_LENGTHS);
    struct clrnn_buffer *share = clrnn_out(graph, op, ATTENTION_SHARE);

    if (hidden == NULL)
        TRY(clrnn_launches_scratch(launches, (size_t)rows * A, &hidden));
    if (share == NULL)
        TRY(clrnn_launches_scratch(launches, rows, &share));
    TRY(clrnn_launch_gemm_dense(launches, CLRNN_GEMM_NT, rows, A, C, x, clrnn_in(graph, op, ATTENTION_WEIGHT), hidden));
    TRY(clrnn_launch_kernel(launches, "attention", "attention_score", DEFINES({"WIDTH", s.width}, {"LANES", s.lanes}),
                            s.range, clrnn_cost_of((double)rows * A, 4, 2),
                            ARGS(BUF(hidden), BUF(lengths), BUF(clrnn_in(graph, op, ATTENTION_BIAS)),
                                 BUF(clrnn_in(graph, op, ATTENTION_V)), BUF(share), UINT(rows), UINT(N), UINT(A),
                                 UINT(s.chunk), LANE_SUMS(s))));
    TRY(clrnn_launch_kernel(launches, "attention", "attention_softmax", DEFINES({"WIDTH", 1}), RANGE1(N),
                            clrnn_cost_of(rows, 4, 4), ARGS(BUF(share), BUF(lengths), UINT(T), UINT(N))));
    return clrnn_launch_kernel(
        launches, "attention", "attention_sum", DEFINES({"WIDTH", width}, {"LANES", 1}),
        RANGE2((C + width - 1) / width, N), clrnn_cost_of((double)rows * C, 2, 1),
        ARGS(BUF(x), BUF(lengths), BUF(share), BUF(clrnn_out(graph, op, ATTENTION_Y)), UINT(T), UINT(N), UINT(C)));
}

// ---------------------------------------------------------------- backward

static enum clrnn_status input_gradient(struct clrnn_launches *l, const struct clrnn_graph *g,
                                        const struct clrnn_op *op, struct clrnn_buffer *dhidden)
{
    const uint32_t rows = op->T * op->N, C = op->C, A = op->attention.A;
    const struct clrnn_split s = clrnn_split_elements(l, rows, C, true);
    struct clrnn_buffer *dx = clrnn_out(g, op, ATTENTION_DX);

    TRY(clrnn_launch_gemm_dense(l, CLRNN_GEMM_NN, rows, C, A, dhidden, clrnn_in(g, op, ATTENTION_BWD_WEIGHT), dx));
    return clrnn_launch_kernel(l, "attention", "attention_dx", DEFINES({"WIDTH", s.width}, {"LANES", 1}), s.range,
                               clrnn_cost_of((double)rows * C, 2, 2),
                               ARGS(BUF(clrnn_in(g, op, ATTENTION_BWD_SHARE)),
                                    BUF(clrnn_in(g, op, ATTENTION_BWD_LENGTHS)), BUF(clrnn_in(g, op, ATTENTION_BWD_DY)),
                                    BUF(dx), UINT(rows), UINT(op->N), UINT(C), UINT(s.chunk)));
}

static enum clrnn_status weight_gradient(struct clrnn_launches *l, const struct clrnn_graph *g,
                                         const struct clrnn_op *op, struct clrnn_buffer *dhidden)
{
    const uint32_t rows = op->T * op->N, C = op->C, A = op->attention.A;
    struct clrnn_buffer *lengths = clrnn_in(g, op, ATTENTION_BWD_LENGTHS);
    struct clrnn_buffer *x = clrnn_in(g, op, ATTENTION_BWD_X);

    TRY(clrnn_launch_mask_rows(l, lengths, op->T, op->N, C, &x)); // padding rows of x may be NaN
    return clrnn_launch_gemm_dense(l, CLRNN_GEMM_TN, A, C, rows, dhidden, x, clrnn_out(g, op, ATTENTION_DWEIGHT));
}

enum clrnn_status clrnn_attention_bwd(struct clrnn_launches *launches, const struct clrnn_graph *graph,
                                      const struct clrnn_op *op)
{
    const uint32_t T = op->T, N = op->N, C = op->C, A = op->attention.A, rows = T * N;
    const struct clrnn_split over_x = clrnn_split_rows(launches, rows, C);
    const struct clrnn_split flat = clrnn_split_elements(launches, rows, A, true);
    struct clrnn_buffer *share = clrnn_in(graph, op, ATTENTION_BWD_SHARE), *dscore, *dhidden, *weighted;
    struct clrnn_buffer *lengths = clrnn_in(graph, op, ATTENTION_BWD_LENGTHS);

    TRY(clrnn_launches_scratch(launches, rows, &dscore));
    TRY(clrnn_launches_scratch(launches, (size_t)rows * A, &dhidden));
    TRY(clrnn_launches_scratch(launches, (size_t)rows * A, &weighted));
    TRY(clrnn_launch_kernel(
        launches, "attention", "attention_dot", DEFINES({"WIDTH", over_x.width}, {"LANES", over_x.lanes}), over_x.range,
        clrnn_cost_of((double)rows * C, 2, 1),
        ARGS(BUF(clrnn_in(graph, op, ATTENTION_BWD_X)), BUF(lengths), BUF(clrnn_in(graph, op, ATTENTION_BWD_DY)),
             BUF(dscore), UINT(rows), UINT(N), UINT(C), UINT(over_x.chunk), LANE_SUMS(over_x))));
    TRY(clrnn_launch_kernel(launches, "attention", "attention_dscore", DEFINES({"WIDTH", 1}), RANGE1(N),
                            clrnn_cost_of(rows, 4, 4), ARGS(BUF(share), BUF(dscore), UINT(T), UINT(N))));
    TRY(clrnn_launch_kernel(launches, "attention", "attention_dhidden", DEFINES({"WIDTH", flat.width}, {"LANES", 1}),
                            flat.range, clrnn_cost_of((double)rows * A, 5, 3),
                            ARGS(BUF(clrnn_in(graph, op, ATTENTION_BWD_HIDDEN)),
                                 BUF(clrnn_in(graph, op, ATTENTION_BWD_V)), BUF(dscore), BUF(dhidden), BUF(weighted),
                                 UINT(rows), UINT(A), UINT(flat.chunk))));
    if (op->out[ATTENTION_DX] >= 0)
        TRY(input_gradient(launches, graph, op, dhidden));
    if (op->out[ATTENTION_DWEIGHT] >= 0)
        TRY(weight_gradient(launches, graph, op, dhidden));
    if (op->out[ATTENTION_DBIAS] >= 0)
        TRY(clrnn_launch_column_sum(launches, dhidden, NULL, T, N, A, clrnn_out(graph, op, ATTENTION_DBIAS)));
    return op->out[ATTENTION_DV] < 0
               ? CLRNN_OK
               : clrnn_launch_column_sum(launches, weighted, NULL, T, N, A, clrnn_out(graph, op, ATTENTION_DV));
}

// ---------------------------------------------------------------- cost functions and op classes

static double fwd_flops(const struct clrnn_op *op)
{
    return (double)op->T * op->N * (2.0 * op->C * op->attention.A + 4.0 * op->attention.A + 2.0 * op->C + 4);
}

static double bwd_flops(const struct clrnn_op *op)
{
    return (double)op->T * op->N * (4.0 * op->C * op->attention.A + 7.0 * op->attention.A + 4.0 * op->C + 4);
}

static void sizes(const struct clrnn_op *op, char *text, size_t size)
{
    snprintf(text, size, " T%u N%u C%u A%u", (unsigned)clrnn_tune_size(op->T), (unsigned)clrnn_tune_size(op->N),
             (unsigned)clrnn_tune_size(op->C), (unsigned)clrnn_tune_size(op->attention.A));
}

static const struct clrnn_op_backward backward = {
    .kind = CLRNN_OP_ATTENTION_BWD,
    .dy = ATTENTION_BWD_DY,
    .dx = ATTENTION_DX,
    .in_count = 6,
    .in = {{ATTENTION_BWD_X, ATTENTION_X, false},
           {ATTENTION_BWD_LENGTHS, ATTENTION_LENGTHS, false},
           {ATTENTION_BWD_WEIGHT, ATTENTION_WEIGHT, false},
           {ATTENTION_BWD_V, ATTENTION_V, false},
           {ATTENTION_BWD_HIDDEN, ATTENTION_HIDDEN, true},
           {ATTENTION_BWD_SHARE, ATTENTION_SHARE, true}},
    .grad_count = 3,
    .grad = {{ATTENTION_DWEIGHT, ATTENTION_WEIGHT}, {ATTENTION_DBIAS, ATTENTION_BIAS}, {ATTENTION_DV, ATTENTION_V}},
};

const struct clrnn_op_class clrnn_attention_fwd_class = {.flops = fwd_flops, .sizes = sizes, .backward = &backward};
const struct clrnn_op_class clrnn_attention_bwd_class = {.flops = bwd_flops, .sizes = sizes};
