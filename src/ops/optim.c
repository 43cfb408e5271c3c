// SPDX-License-Identifier: MIT
// Launches the norm of the gradients and the optimiser's update.
#include <stdio.h>

#include "base/array.h"
#include "device/remember/choice.h"
#include "ops/graph.h"
#include "ops/split.h"

enum { NORM_BLOCK = 8192, CPU_UPDATE = 4096 };

// Sums of squares over blocks of the gradients, from which the norm is computed.
struct squares {
    uint32_t blocks;
    // [blocks, 2]: a scale s, and the sum of (s * gradient)^2 over the block.
    struct clrnn_buffer *partial;
};

static enum clrnn_status append_blocks(struct clrnn_launches *l, struct clrnn_buffer *grads, size_t count,
                                       struct squares *q)
{
    const bool cpu = clrnn_on_cpu(l);
    const struct clrnn_split s = clrnn_split_blocks(count, NORM_BLOCK, cpu ? 16 : 1, cpu ? 1 : clrnn_lanes(l, 256));

    q->blocks = s.teams;
    TRY(clrnn_launches_scratch(l, 2 * (size_t)MAX2(s.teams, 1), &q->partial));
    return clrnn_launch_kernel(l, "optim", "norm_blocks", DEFINES({"WIDTH", s.width}, {"LANES", s.lanes}), s.range,
                               (struct clrnn_cost){2.0 * count, 4.0 * count},
                               ARGS(BUF(grads), BUF(q->partial), UINT(count), UINT(s.chunk), LANE_SUMS(s)));
}

static enum clrnn_status append_finish(struct clrnn_launches *l, const struct squares *q, struct clrnn_buffer *counter,
                                       struct clrnn_buffer *norm, struct clrnn_buffer *record)
{
    const size_t slots = record == NULL ? 0 : clrnn_buffer_count(record) / RECORD_FIELDS;

    return clrnn_launch_kernel(
        l, "optim", "norm_finish", DEFINES({"WIDTH", 1}, {"LANES", 1}), RANGE1(1),
        (struct clrnn_cost){4.0 * q->blocks, 8.0 * q->blocks},
        ARGS(BUF(q->partial), UINT(q->blocks), BUF(norm), BUF(counter), UINT(slots), BUF(record)));
}

enum clrnn_status clrnn_grad_norm(struct clrnn_launches *launches, const struct clrnn_graph *graph,
                                  const struct clrnn_op *op)
{
    struct squares squares;

    TRY(append_blocks(launches, clrnn_in(graph, op, GRAD_NORM_GRADS), op->optim.count, &squares));
    return append_finish(launches, &squares, clrnn_in(graph, op, GRAD_NORM_COUNTER),
                         clrnn_out(graph, op, GRAD_NORM_NORM), clrnn_out(graph, op, GRAD_NORM_RECORD));
}

// Whether the work-items of the update also sum the squares of their gradients for the norm. They do on CPUs, unless
// the driver takes minutes to build such a kernel.
static bool sums_along(const struct clrnn_launches *l)
{
    return clrnn_on_cpu(l) && !clrnn_device_quirks(clrnn_launches_device(l))->builds_slowly;
}

enum clrnn_status clrnn_optim(struct clrnn_launches *launches, const struct clrnn_graph *graph,
                              const struct clrnn_op *op)
{
    const bool cpu = clrnn_on_cpu(launches);
    const struct clrnn_split s =
        cpu ? clrnn_split_blocks(op->optim.count, CPU_UPDATE, 16, 1) : clrnn_split_flat(launches, op->optim.count);
    const bool rmsprop = op->optim.kind == CLRNN_OPTIMIZER_RMSPROP;
    const double decay2 = rmsprop ? op->optim.alpha : op->optim.beta2;
    const bool clips = op->optim.clip_max_norm > 0;
    struct clrnn_buffer *norm = clrnn_out(graph, op, OPTIM_NORM_OUT), *grads = clrnn_in(graph, op, OPTIM_GRADS);
    struct squares squares = {s.teams, NULL};
    const bool along = norm && sums_along(launches);

    if (along)
        TRY(clrnn_launches_scratch(launches, 2 * (size_t)MAX2(s.teams, 1), &squares.partial));
    else if (norm)
        TRY(append_blocks(launches, grads, op->optim.count, &squares));
    TRY(clrnn_launch_kernel(
        launches, "optim", "optim",
        DEFINES({"WIDTH", s.width}, {"OPTIM_KIND", op->optim.kind}, {"NESTEROV", op->optim.nesterov},
                {"AMSGRAD", op->optim.amsgrad}, {"CENTERED", op->optim.centered}, {"MOMENTUM", op->optim.momentum},
                {"SQUARES", along}),
        s.range, clrnn_class_cost(&clrnn_optim_class, graph, op),
        ARGS(BUF(clrnn_out(graph, op, OPTIM_PARAMS)), BUF(grads), BUF(clrnn_out(graph, op, OPTIM_M)),
             BUF(clrnn_out(graph, op, OPTIM_V)), BUF(clrnn_out(graph, op, OPTIM_VMAX)),
             BUF(clrnn_in(graph, op, OPTIM_HYPER)), BUF(clips ? clrnn_in(graph, op, OPTIM_NORM) : NULL),
             BUF(along ? squares.partial : NULL), REAL(op->optim.clip_max_norm), REAL(op->optim.weight_decay),
             REAL(1 - op->optim.dampening), REAL(decay2), REAL(1 - decay2), REAL(op->optim.eps), UINT(op->optim.count),
             UINT(s.chunk))));
    return norm ? append_finish(launches, &squares, clrnn_in(graph, op, OPTIM_COUNTER), norm,
                                clrnn_out(graph, op, OPTIM_RECORD))
                : CLRNN_OK;
}

// ---------------------------------------------------------------- cost functions and op classes

static double norm_flops(const struct clrnn_op *op)
{
    return 2.0 * op->optim.count;
}

static double optim_flops(const struct clrnn_op *op)
{
    const double update = op->optim.kind == CLRNN_OPTIMIZER_SGD       ? 6
                          : op->optim.kind == CLRNN_OPTIMIZER_RMSPROP ? 10
                                                                      : 13;

    return (update + (op->out[OPTIM_NORM_OUT] >= 0 ? 2 : 0)) * op->optim.count;
}

static void sizes(const struct clrnn_op *op, char *text, size_t size)
{
    snprintf(text, size, " P%u", (unsigned)clrnn_tune_size((uint32_t)MIN2(op->optim.count, UINT32_MAX)));
}

const struct clrnn_op_class clrnn_grad_norm_class = {
    .flops = norm_flops, .sizes = sizes, .record = 1u << GRAD_NORM_RECORD, .record_numbers = 1};
const struct clrnn_op_class clrnn_optim_class = {
    .flops = optim_flops,
    .sizes = sizes,
    .record = 1u << OPTIM_RECORD,
    .record_numbers = 1,
    .updated = 1u << OPTIM_PARAMS | 1u << OPTIM_M | 1u << OPTIM_V | 1u << OPTIM_VMAX,
};
