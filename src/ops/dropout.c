// SPDX-License-Identifier: MIT
// Dropout.
#include <math.h>

#include "ops/graph.h"
#include "ops/split.h"

static enum clrnn_status launch(struct clrnn_launches *l, const struct clrnn_graph *g,
                                const struct clrnn_op *op)
{
    const uint32_t steps = op->dropout.variational ? op->T : 1; // that share a mask
    const size_t count = (size_t)op->T * op->N * op->C / steps;
    const uint32_t chunk = clrnn_on_cpu(l) ? 1024 : 4, width = clrnn_on_cpu(l) ? 16 : 1;
    const double p = op->dropout.p;

    if (op->out[DROPOUT_Y] < 0)
        return CLRNN_OK;
    if (op->dropout.part)
        return clrnn_launch_kernel(
            l, "dropout", "dropout_part", DEFINES({"WIDTH", width}), RANGE1((count + chunk - 1) / chunk),
            clrnn_class_cost(&clrnn_dropout_fwd_class, g, op),
            ARGS(BUF(clrnn_in(g, op, DROPOUT_X)), BUF(clrnn_in(g, op, DROPOUT_COUNTER)),
                 BUF(clrnn_out(g, op, DROPOUT_Y)), UINT(count), UINT(steps), UINT(op->dropout.stream),
                 UINT(ceil(p * 0x1p24)), REAL(p < 1 ? 1 / (1 - p) : 0), UINT(chunk), UINT(op->N * op->C),
                 UINT(op->C)));
    return clrnn_launch_kernel(
        l, "dropout", "dropout", DEFINES({"WIDTH", width}), RANGE1((count + chunk - 1) / chunk),
        clrnn_class_cost(&clrnn_dropout_fwd_class, g, op),
        ARGS(BUF(clrnn_in(g, op, DROPOUT_X)), BUF(clrnn_in(g, op, DROPOUT_COUNTER)),
             BUF(clrnn_out(g, op, DROPOUT_Y)), UINT(count), UINT(steps), UINT(op->dropout.stream),
             UINT(ceil(p * 0x1p24)), REAL(p < 1 ? 1 / (1 - p) : 0), UINT(chunk)));
}

enum clrnn_status clrnn_dropout_fwd(struct clrnn_launches *launches, const struct clrnn_graph *graph,
                                    const struct clrnn_op *op)
{
    return launch(launches, graph, op);
}

enum clrnn_status clrnn_dropout_bwd(struct clrnn_launches *launches, const struct clrnn_graph *graph,
                                    const struct clrnn_op *op)
{
    return launch(launches, graph, op);
}

// ---------------------------------------------------------------- class

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
