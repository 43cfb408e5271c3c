// SPDX-License-Identifier: MIT
// Launches a convolution over time: copies the inputs of each output step into a row of a matrix (im2col), then
// multiplies the matrix by the weights.
#include <stdio.h>

#include "base/array.h"
#include "device/gemm/gemm.h"
#include "device/remember/choice.h"
#include "ops/columns.h"
#include "ops/graph.h"
#include "ops/split.h"

// Copies to *columns [T_out * N, kernel * C] the values of x that each output step reads.
static enum clrnn_status gather(struct clrnn_launches *l, const struct clrnn_op *op, struct clrnn_buffer *x,
                                struct clrnn_buffer *lengths, struct clrnn_buffer **columns)
{
    const struct clrnn_conv_attributes *a = &op->conv;
    const size_t taps = (size_t)a->T_out * op->N * a->kernel;
    const struct clrnn_split s = clrnn_split_elements(l, taps, op->C, true);

    TRY(clrnn_launches_scratch(l, taps * op->C, columns));
    return clrnn_launch_kernel(l, "conv", "conv_gather", DEFINES({"WIDTH", s.width}), s.range,
                               (struct clrnn_cost){0, 8.0 * (double)taps * op->C},
                               ARGS(BUF(x), BUF(lengths), BUF(*columns), UINT(op->T), UINT(op->N), UINT(op->C),
                                    UINT(a->T_out), UINT(a->kernel), UINT(a->stride), UINT(a->dilation),
                                    UINT(a->padding), UINT(s.chunk)));
}

// Transposes [O, first, second] to [O, second, first].
static enum clrnn_status swap(struct clrnn_launches *l, const struct clrnn_op *op, struct clrnn_buffer *in,
                              uint32_t first, uint32_t second, struct clrnn_buffer *out)
{
    const double count = (double)op->conv.O * first * second;

    return clrnn_launch_kernel(l, "conv", "conv_swap", DEFINES({"WIDTH", 1}), RANGE2(first * second, op->conv.O),
                               (struct clrnn_cost){0, 8 * count},
                               ARGS(BUF(in), BUF(out), UINT(op->conv.O), UINT(first), UINT(second)));
}

// Sets *ordered to the weight as [O, kernel, C]. If kernel or C is 1, *ordered is the weight itself; otherwise it is a
// transposed copy in scratch memory.
static enum clrnn_status order_weight(struct clrnn_launches *l, const struct clrnn_op *op, struct clrnn_buffer *weight,
                                      struct clrnn_buffer **ordered)
{
    *ordered = weight;
    if (op->conv.kernel == 1 || op->C == 1)
        return CLRNN_OK;
    TRY(clrnn_launches_scratch(l, (size_t)op->conv.O * op->C * op->conv.kernel, ordered));
    return swap(l, op, weight, op->C, op->conv.kernel, *ordered);
}

enum clrnn_status clrnn_conv_fwd(struct clrnn_launches *launches, const struct clrnn_graph *graph,
                                 const struct clrnn_op *op)
{
    const uint32_t rows = op->conv.T_out * op->N, O = op->conv.O, width = op->C * op->conv.kernel;
    struct clrnn_buffer *columns, *weight;
    struct clrnn_gemm m;

    TRY(gather(launches, op, clrnn_in(graph, op, CONV_X), clrnn_in(graph, op, CONV_LENGTHS), &columns));
    TRY(order_weight(launches, op, clrnn_in(graph, op, CONV_WEIGHT), &weight));
    m = clrnn_gemm_dense(CLRNN_GEMM_NT, rows, O, width, columns, weight, clrnn_out(graph, op, CONV_Y));
    return clrnn_launch_biased_product(launches, &m, clrnn_in(graph, op, CONV_BIAS),
                                       clrnn_in(graph, op, CONV_NEW_LENGTHS), op->N);
}

// ---------------------------------------------------------------- backward

static enum clrnn_status input_gradient(struct clrnn_launches *l, const struct clrnn_graph *g,
                                        const struct clrnn_op *op, struct clrnn_buffer *dy)
{
    const struct clrnn_conv_attributes *a = &op->conv;
    const uint32_t rows = a->T_out * op->N, width = op->C * a->kernel;
    const struct clrnn_split s = clrnn_split_elements(l, (size_t)op->T * op->N, op->C, true);
    struct clrnn_buffer *columns, *weight;

    TRY(order_weight(l, op, clrnn_in(g, op, CONV_BWD_WEIGHT), &weight));
    TRY(clrnn_launches_scratch(l, (size_t)rows * width, &columns));
    TRY(clrnn_launch_gemm_dense(l, CLRNN_GEMM_NN, rows, width, a->O, dy, weight, columns));
    return clrnn_launch_kernel(
        l, "conv", "conv_scatter", DEFINES({"WIDTH", s.width}), s.range,
        (struct clrnn_cost){(double)rows * width, 4.0 * rows * width + 4.0 * op->T * op->N * op->C},
        ARGS(BUF(columns), BUF(clrnn_in(g, op, CONV_BWD_LENGTHS)), BUF(clrnn_out(g, op, CONV_DX)), UINT(op->T),
             UINT(op->N), UINT(op->C), UINT(a->T_out), UINT(a->kernel), UINT(a->stride), UINT(a->dilation),
             UINT(a->padding), UINT(s.chunk)));
}

static enum clrnn_status weight_gradient(struct clrnn_launches *l, const struct clrnn_graph *g,
                                         const struct clrnn_op *op, struct clrnn_buffer *dy)
{
    const uint32_t width = op->C * op->conv.kernel, O = op->conv.O;
    const bool ordered = op->conv.kernel == 1 || op->C == 1;
    struct clrnn_buffer *dweight = clrnn_out(g, op, CONV_DWEIGHT), *columns, *product = dweight;

    TRY(gather(l, op, clrnn_in(g, op, CONV_BWD_X), clrnn_in(g, op, CONV_BWD_LENGTHS), &columns));
    if (!ordered)
        TRY(clrnn_launches_scratch(l, (size_t)O * width, &product));
    TRY(clrnn_launch_gemm_dense(l, CLRNN_GEMM_TN, O, width, op->conv.T_out * op->N, dy, columns, product));
    return ordered ? CLRNN_OK : swap(l, op, product, op->conv.kernel, op->C, dweight);
}

enum clrnn_status clrnn_conv_bwd(struct clrnn_launches *launches, const struct clrnn_graph *graph,
                                 const struct clrnn_op *op)
{
    const uint32_t T_out = op->conv.T_out, O = op->conv.O;
    struct clrnn_buffer *lengths = clrnn_in(graph, op, CONV_BWD_NEW_LENGTHS);
    struct clrnn_buffer *dy = clrnn_in(graph, op, CONV_BWD_DY);
    struct clrnn_buffer *dbias = clrnn_out(graph, op, CONV_DBIAS);

    // the multiplies need zeros in the padding of dy
    TRY(clrnn_launch_mask_rows(launches, lengths, T_out, op->N, O, &dy));
    if (op->out[CONV_DX] >= 0)
        TRY(input_gradient(launches, graph, op, dy));
    if (op->out[CONV_DWEIGHT] >= 0)
        TRY(weight_gradient(launches, graph, op, dy));
    return dbias != NULL ? clrnn_launch_column_sum(launches, dy, NULL, T_out, op->N, O, dbias) : CLRNN_OK;
}

// ---------------------------------------------------------------- cost functions and op classes

static double product_flops(const struct clrnn_op *op)
{
    return 2.0 * op->conv.T_out * op->N * op->C * op->conv.kernel * op->conv.O;
}

static double fwd_flops(const struct clrnn_op *op)
{
    return product_flops(op) + (op->in[CONV_BIAS] >= 0 ? (double)op->conv.T_out * op->N * op->conv.O : 0);
}

static double bwd_flops(const struct clrnn_op *op)
{
    return product_flops(op) * ((op->out[CONV_DX] >= 0) + (op->out[CONV_DWEIGHT] >= 0));
}

static void sizes(const struct clrnn_op *op, char *text, size_t size)
{
    snprintf(text, size, " T%u N%u C%u O%u K%u", (unsigned)clrnn_tune_size(op->T), (unsigned)clrnn_tune_size(op->N),
             (unsigned)clrnn_tune_size(op->C), (unsigned)clrnn_tune_size(op->conv.O), (unsigned)op->conv.kernel);
}

static const struct clrnn_op_backward backward = {
    .kind = CLRNN_OP_CONV_BWD,
    .dy = CONV_BWD_DY,
    .dx = CONV_DX,
    .in_count = 4,
    .in = {{CONV_BWD_X, CONV_X, false},
           {CONV_BWD_LENGTHS, CONV_LENGTHS, false},
           {CONV_BWD_NEW_LENGTHS, CONV_NEW_LENGTHS, false},
           {CONV_BWD_WEIGHT, CONV_WEIGHT, false}},
    .grad_count = 2,
    .grad = {{CONV_DWEIGHT, CONV_WEIGHT}, {CONV_DBIAS, CONV_BIAS}},
};

const struct clrnn_op_class clrnn_conv_fwd_class = {.flops = fwd_flops, .sizes = sizes, .backward = &backward};
const struct clrnn_op_class clrnn_conv_bwd_class = {.flops = bwd_flops, .sizes = sizes};
