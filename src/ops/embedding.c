// SPDX-License-Identifier: MIT
// Launches embeddings.
#include "base/array.h"
#include "ops/graph.h"
#include "ops/split.h"

enum clrnn_status clrnn_embedding_fwd(struct clrnn_launches *launches, const struct clrnn_graph *graph,
                                      const struct clrnn_op *op)
{
    const uint32_t rows = op->T * op->N;
    const struct clrnn_split s = clrnn_split_elements(launches, rows, op->C, true);

    return clrnn_launch_kernel(launches, "embedding", "embedding_fwd", DEFINES({"WIDTH", s.width}), s.range,
                               clrnn_class_cost(&clrnn_embedding_fwd_class, graph, op),
                               ARGS(BUF(clrnn_in(graph, op, EMBEDDING_X)), BUF(clrnn_in(graph, op, EMBEDDING_WEIGHT)),
                                    BUF(clrnn_out(graph, op, EMBEDDING_Y)), UINT(rows), UINT(op->C),
                                    UINT(op->embedding.V), UINT(s.chunk)));
}

enum clrnn_status clrnn_embedding_bwd(struct clrnn_launches *launches, const struct clrnn_graph *graph,
                                      const struct clrnn_op *op)
{
    const bool cpu = clrnn_on_cpu(launches);
    // The rows of the weight matrix are divided into slices, and the work-items of each slice read all tokens. So there
    // are few slices on CPUs, and enough to fill the device on GPUs.
    const uint32_t most = cpu ? 16 : 512;
    const uint32_t width = cpu && op->C >= 8 ? 16 : 1, columns = cpu ? MIN2(op->C, 256) : 1;
    uint32_t slices = 1; // a power of two

    while (slices < most && slices < op->embedding.V)
        slices *= 2;
    return clrnn_launch_kernel(
        launches, "embedding", "embedding_bwd", DEFINES({"WIDTH", width}),
        RANGE2((op->C + columns - 1) / columns, slices), clrnn_class_cost(&clrnn_embedding_bwd_class, graph, op),
        ARGS(BUF(clrnn_in(graph, op, EMBEDDING_BWD_X)), BUF(clrnn_in(graph, op, EMBEDDING_BWD_DY)),
             BUF(clrnn_out(graph, op, EMBEDDING_DWEIGHT)), UINT(op->T * op->N), UINT(op->C), UINT(op->embedding.V),
             INT(op->embedding.padding_idx), UINT(slices), UINT(columns)));
}

// ---------------------------------------------------------------- cost functions and op classes

static double bwd_flops(const struct clrnn_op *op)
{
    return (double)op->T * op->N * op->C;
}

// Returns the bytes that forward reads or writes in a slot. Of the weights it reads one row per token. -1: the size of
// the whole tensor.
static double fwd_slot_bytes(const struct clrnn_graph *graph, const struct clrnn_op *op, int slot, bool out)
{
    (void)graph;
    return !out && slot == EMBEDDING_WEIGHT ? 4 * (double)op->T * op->N * op->C : -1;
}

static const struct clrnn_op_backward backward = {
    .kind = CLRNN_OP_EMBEDDING_BWD,
    .dy = EMBEDDING_BWD_DY,
    .dx = CLRNN_NONE,
    .in_count = 1,
    .in = {{EMBEDDING_BWD_X, EMBEDDING_X, false}},
    .grad_count = 1,
    .grad = {{EMBEDDING_DWEIGHT, EMBEDDING_WEIGHT}},
};

const struct clrnn_op_class clrnn_embedding_fwd_class = {.slot_bytes = fwd_slot_bytes, .backward = &backward};
const struct clrnn_op_class clrnn_embedding_bwd_class = {.flops = bwd_flops};
