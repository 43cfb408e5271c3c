// SPDX-License-Identifier: MIT
// Launches pooling over time.
#include "base/array.h"
#include "ops/graph.h"
#include "ops/split.h"

static uint32_t forward_features(const struct clrnn_op *op)
{
    return op->pool.over == CLRNN_POOL_FINAL ? op->C / MAX2(op->pool.D, 1) : op->C;
}

static uint32_t vector_width(const struct clrnn_launches *l, const struct clrnn_op *op)
{
    return clrnn_on_cpu(l) && op->C >= 8 ? 16 : 1;
}

enum clrnn_status clrnn_pool_fwd(struct clrnn_launches *launches, const struct clrnn_graph *graph,
                                 const struct clrnn_op *op)
{
    const uint32_t width = vector_width(launches, op);

    return clrnn_launch_kernel(launches, "pool", "pool_fwd", DEFINES({"WIDTH", width}, {"OVER", op->pool.over}),
                               RANGE2((op->C + width - 1) / width, op->N),
                               clrnn_class_cost(&clrnn_pool_fwd_class, graph, op),
                               ARGS(BUF(clrnn_in(graph, op, POOL_X)), BUF(clrnn_in(graph, op, POOL_LENGTHS)),
                                    BUF(clrnn_out(graph, op, POOL_Y)), BUF(clrnn_out(graph, op, POOL_ARGMAX)),
                                    UINT(op->T), UINT(op->N), UINT(op->C), UINT(forward_features(op))));
}

enum clrnn_status clrnn_pool_bwd(struct clrnn_launches *launches, const struct clrnn_graph *graph,
                                 const struct clrnn_op *op)
{
    const uint32_t width = vector_width(launches, op);
    // time steps of dx per work-item, which reads dy once for all of them
    const uint32_t steps = clrnn_on_cpu(launches) ? 64 : 4;

    if (op->out[POOL_DX] < 0)
        return CLRNN_OK;
    return clrnn_launch_kernel(launches, "pool", "pool_bwd", DEFINES({"WIDTH", width}, {"OVER", op->pool.over}),
                               RANGE3((op->C + width - 1) / width, op->N, (op->T + steps - 1) / steps),
                               clrnn_class_cost(&clrnn_pool_bwd_class, graph, op),
                               ARGS(BUF(clrnn_in(graph, op, POOL_BWD_LENGTHS)),
                                    BUF(clrnn_in(graph, op, POOL_BWD_ARGMAX)), BUF(clrnn_in(graph, op, POOL_BWD_DY)),
                                    BUF(clrnn_out(graph, op, POOL_DX)), UINT(op->T), UINT(op->N), UINT(op->C),
                                    UINT(forward_features(op)), UINT(steps)));
}

// ---------------------------------------------------------------- cost functions and op classes

static double fwd_flops(const struct clrnn_op *op)
{
    return op->pool.over >= CLRNN_POOL_MEAN ? (double)op->T * op->N * op->C : 0;
}

static double bwd_flops(const struct clrnn_op *op)
{
    return op->pool.over == CLRNN_POOL_MEAN ? (double)op->T * op->N * op->C : 0;
}

static const struct clrnn_op_backward backward = {
    .kind = CLRNN_OP_POOL_BWD,
    .dy = POOL_BWD_DY,
    .dx = POOL_DX,
    .in_count = 2,
    .in = {{POOL_BWD_LENGTHS, POOL_LENGTHS, false}, {POOL_BWD_ARGMAX, POOL_ARGMAX, true}},
};

const struct clrnn_op_class clrnn_pool_fwd_class = {.flops = fwd_flops, .backward = &backward};
const struct clrnn_op_class clrnn_pool_bwd_class = {.flops = bwd_flops};
