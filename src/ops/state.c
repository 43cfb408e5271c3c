// SPDX-License-Identifier: MIT
// Launches the op that makes the initial states of recurrent layers: a copy, or zeros.
#include "ops/graph.h"
#include "ops/split.h"

enum clrnn_status clrnn_state(struct clrnn_launches *launches, const struct clrnn_graph *graph,
                              const struct clrnn_op *op)
{
    const size_t count = (size_t)op->N * op->C;
    const struct clrnn_split s = clrnn_split_flat(launches, count);

    return clrnn_launch_kernel(launches, "state", "state", DEFINES({"WIDTH", s.width}), s.range,
                               clrnn_class_cost(&clrnn_state_class, graph, op),
                               ARGS(BUF(clrnn_in(graph, op, STATE_FROM)), BUF(clrnn_in(graph, op, STATE_COUNTER)),
                                    BUF(clrnn_out(graph, op, STATE_TO)), UINT(count), UINT(s.chunk)));
}

// ---------------------------------------------------------------- cost functions and op classes

static double slot_bytes(const struct clrnn_graph *graph, const struct clrnn_op *op, int slot, bool out)
{
    (void)graph;
    return out || slot == STATE_FROM ? 4.0 * op->N * op->C : -1;
}

const struct clrnn_op_class clrnn_state_class = {.slot_bytes = slot_bytes};
