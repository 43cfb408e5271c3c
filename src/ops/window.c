// SPDX-License-Identifier: MIT
// Launches maximum and mean of windows over time, and the lengths of the resulting sequences.
#include "base/array.h"
#include "ops/graph.h"
#include "ops/split.h"

// On CPUs a work-item computes about this many numbers of one time step, rounded up to whole samples.
enum { ITEM_NUMBERS = 1024 };

struct share {
    uint32_t width, columns, samples;
};

static struct share share_of(const struct clrnn_launches *l, const struct clrnn_op *op)
{
    if (!clrnn_on_cpu(l))
        return (struct share){1, 1, 1};
    return (struct share){op->C >= 8 ? 16 : 1, op->C, ITEM_NUMBERS / op->C + 1};
}

// The defines, size arguments and range of a launch, the same for forward and backward.
#define WINDOW_DEFINES(op, share) \
    DEFINES({"WIDTH", (share).width}, {"MEAN", (op)->window.mean}, {"COUNT_PADDING", (op)->window.count_padding})
#define WINDOW_SIZES(op, share) \
    UINT((op)->T), UINT((op)->N), UINT((op)->C), UINT((op)->window.T_out), UINT((op)->window.kernel), \
        UINT((op)->window.stride), UINT((op)->window.dilation), UINT((op)->window.padding), UINT((share).columns), \
        UINT((share).samples)
#define WINDOW_RANGE(op, share, steps) \
    RANGE3(clrnn_divide_up((op)->C, (share).columns), clrnn_divide_up((op)->N, (share).samples), steps)

enum clrnn_status clrnn_window_fwd(struct clrnn_launches *launches, const struct clrnn_graph *graph,
                                   const struct clrnn_op *op)
{
    const struct share s = share_of(launches, op);

    return clrnn_launch_kernel(launches, "window", "window_fwd", WINDOW_DEFINES(op, s),
                               WINDOW_RANGE(op, s, op->window.T_out),
                               clrnn_class_cost(&clrnn_window_fwd_class, graph, op),
                               ARGS(BUF(clrnn_in(graph, op, WINDOW_X)), BUF(clrnn_in(graph, op, WINDOW_OLD_LENGTHS)),
                                    BUF(clrnn_in(graph, op, WINDOW_NEW_LENGTHS)), BUF(clrnn_out(graph, op, WINDOW_Y)),
                                    BUF(clrnn_out(graph, op, WINDOW_ARGMAX)), WINDOW_SIZES(op, s)));
}

enum clrnn_status clrnn_window_bwd(struct clrnn_launches *launches, const struct clrnn_graph *graph,
                                   const struct clrnn_op *op)
{
    const struct share s = share_of(launches, op);

    if (op->out[WINDOW_DX] < 0)
        return CLRNN_OK;
    return clrnn_launch_kernel(
        launches, "window", "window_bwd", WINDOW_DEFINES(op, s), WINDOW_RANGE(op, s, op->T),
        clrnn_class_cost(&clrnn_window_bwd_class, graph, op),
        ARGS(BUF(clrnn_in(graph, op, WINDOW_BWD_OLD_LENGTHS)), BUF(clrnn_in(graph, op, WINDOW_BWD_NEW_LENGTHS)),
             BUF(clrnn_in(graph, op, WINDOW_BWD_ARGMAX)), BUF(clrnn_in(graph, op, WINDOW_BWD_DY)),
             BUF(clrnn_out(graph, op, WINDOW_DX)), WINDOW_SIZES(op, s)));
}

enum clrnn_status clrnn_window_lengths(struct clrnn_launches *launches, const struct clrnn_graph *graph,
                                       const struct clrnn_op *op)
{
    const struct clrnn_window_attributes *a = &op->window;
    const int64_t span = (int64_t)a->dilation * (a->kernel - 1) + 1 - 2 * (int64_t)a->padding;

    return clrnn_launch_kernel(launches, "window", "window_lengths", DEFINES({"WIDTH", 1}), RANGE1(op->N),
                               clrnn_class_cost(&clrnn_window_lengths_class, graph, op),
                               ARGS(BUF(clrnn_in(graph, op, LENGTHS_OLD)), BUF(clrnn_out(graph, op, LENGTHS_NEW)),
                                    UINT(op->N), UINT(a->T_out), INT(span), UINT(a->stride)));
}

// ---------------------------------------------------------------- cost functions and op classes

static double flops(const struct clrnn_op *op)
{
    return (double)op->window.T_out * op->window.kernel * op->N * op->C;
}

static const struct clrnn_op_backward backward = {
    .kind = CLRNN_OP_WINDOW_BWD,
    .dy = WINDOW_BWD_DY,
    .dx = WINDOW_DX,
    .in_count = 3,
    .in = {{WINDOW_BWD_OLD_LENGTHS, WINDOW_OLD_LENGTHS, false},
           {WINDOW_BWD_NEW_LENGTHS, WINDOW_NEW_LENGTHS, false},
           {WINDOW_BWD_ARGMAX, WINDOW_ARGMAX, true}},
};

const struct clrnn_op_class clrnn_window_fwd_class = {.flops = flops, .backward = &backward};
const struct clrnn_op_class clrnn_window_bwd_class = {.flops = flops};
const struct clrnn_op_class clrnn_window_lengths_class = {.flops = NULL};
