// SPDX-License-Identifier: MIT
// Launches dropout.
#include <math.h>

#include "base/array.h"
#include "ops/graph.h"
#include "ops/split.h"

enum clrnn_status clrnn_dropout_fwd(struct clrnn_launches *launches, const struct clrnn_graph *graph,
                                    const struct clrnn_op *op)
{
    const bool cpu = clrnn_on_cpu(launches);
    const uint32_t steps = op->dropout.variational ? op->T : 1; // time steps that share a mask
    const size_t count = (size_t)op->T * op->N * op->C / steps;
    const uint32_t chunk = cpu ? 1024 : 4;
    const double p = op->dropout.p;
    const struct clrnn_arg args[] = {
        BUF(clrnn_in(graph, op, DROPOUT_X)),
        BUF(clrnn_in(graph, op, DROPOUT_COUNTER)),
        BUF(clrnn_out(graph, op, DROPOUT_Y)),
        UINT(count),
        UINT(steps),
        UINT(op->dropout.stream),
        UINT(ceil(p * 0x1p24)),
        REAL(p < 1 ? 1 / (1 - p) : 0),
        UINT(chunk),
        UINT(op->N * op->C), // this argument and the next are for the kernel dropout_part only
        UINT(op->C),
    };

    if (op->out[DROPOUT_Y] < 0)
        return CLRNN_OK;
    return clrnn_launch_kernel(launches, "dropout", op->dropout.part ? "dropout_part" : "dropout",
                               DEFINES({"WIDTH", cpu ? 16 : 1}), RANGE1((count + chunk - 1) / chunk),
                               clrnn_class_cost(&clrnn_dropout_fwd_class, graph, op),
                               ARRAY_SIZE(args) - (op->dropout.part ? 0 : 2), args);
}

enum clrnn_status clrnn_dropout_bwd(struct clrnn_launches *launches, const struct clrnn_graph *graph,
                                    const struct clrnn_op *op)
{
    return clrnn_dropout_fwd(launches, graph, op); // backward multiplies dy by the same mask
}

// ---------------------------------------------------------------- cost functions and op classes

static double flops(const struct clrnn_op *op)
{
    return 2.0 * op->T * op->N * op->C;
}

static const struct clrnn_op_backward backward = {
    .kind = CLRNN_OP_DROPOUT_BWD,
    .dy = DROPOUT_X,
    .dx = DROPOUT_Y,
    .in_count = 1,
    .in = {{DROPOUT_COUNTER, DROPOUT_COUNTER, false}},
};

const struct clrnn_op_class clrnn_dropout_fwd_class = {.flops = flops, .backward = &backward};
const struct clrnn_op_class clrnn_dropout_bwd_class = {.flops = flops};
