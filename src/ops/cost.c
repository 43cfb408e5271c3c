// SPDX-License-Identifier: MIT
// Computes the FLOPs and bytes of an op.
#include "base/array.h"
#include "ops/graph.h"

static double slot_bytes(const struct clrnn_op_class *class, const struct clrnn_graph *graph, const struct clrnn_op *op,
                         int slot, bool out)
{
    const int id = out ? op->out[slot] : op->in[slot];
    const double part = id >= 0 && class->slot_bytes ? class->slot_bytes(graph, op, slot, out) : -1;

    if (id < 0)
        return 0;
    if (out && class->record >> slot & 1)
        return 4.0 * class->record_numbers;
    return (out && class->updated >> slot & 1 ? 2 : 1) * (part >= 0 ? part : 4 * (double)graph->tensor[id].count);
}

struct clrnn_cost clrnn_class_cost(const struct clrnn_op_class *class, const struct clrnn_graph *graph,
                                   const struct clrnn_op *op)
{
    struct clrnn_cost cost = {class->flops ? class->flops(op) : 0, 0};

    for (int i = 0; i < CLRNN_OP_MAX_IN; i++)
        cost.bytes += slot_bytes(class, graph, op, i, false);
    for (int i = 0; i < CLRNN_OP_MAX_OUT; i++)
        cost.bytes += slot_bytes(class, graph, op, i, true);
    return cost;
}
