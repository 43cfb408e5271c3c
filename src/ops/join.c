// SPDX-License-Identifier: MIT
// Launches sums of two tensors, concatenations of features, and flatten.
#include "base/array.h"
#include "ops/columns.h"
#include "ops/graph.h"
#include "ops/split.h"

enum clrnn_status clrnn_add(struct clrnn_launches *launches, const struct clrnn_graph *graph, const struct clrnn_op *op)
{
    const size_t count = (size_t)op->T * op->N * op->C;
    const struct clrnn_split s = clrnn_split_flat(launches, count);

    return clrnn_launch_kernel(launches, "join", "add", DEFINES({"WIDTH", s.width}), s.range,
                               clrnn_class_cost(&clrnn_add_class, graph, op),
                               ARGS(BUF(clrnn_in(graph, op, ADD_FIRST)), BUF(clrnn_in(graph, op, ADD_SECOND)),
                                    BUF(clrnn_out(graph, op, ADD_Y)), UINT(count), UINT(s.chunk)));
}

enum clrnn_status clrnn_concat_fwd(struct clrnn_launches *launches, const struct clrnn_graph *graph,
                                   const struct clrnn_op *op)
{
    uint32_t first = 0;

    for (uint32_t i = 0; i < op->join.count; first += op->join.width[i], i++)
        TRY(clrnn_launch_copy_columns(launches, op->T * op->N, op->join.width[i], clrnn_in(graph, op, (int)i), 0,
                                      op->join.width[i], clrnn_out(graph, op, CONCAT_Y), first, op->C));
    return CLRNN_OK;
}

enum clrnn_status clrnn_concat_bwd(struct clrnn_launches *launches, const struct clrnn_graph *graph,
                                   const struct clrnn_op *op)
{
    uint32_t first = 0;

    for (uint32_t i = 0; i < op->join.count; first += op->join.width[i], i++)
        if (op->out[i] >= 0)
            TRY(clrnn_launch_copy_columns(launches, op->T * op->N, op->join.width[i],
                                          clrnn_in(graph, op, CONCAT_BWD_DY), first, op->C,
                                          clrnn_out(graph, op, (int)i), 0, op->join.width[i]));
    return CLRNN_OK;
}

// Transposes [T, N, C] to [N, T, C] or, with `back`, [N, T, C] to [T, N, C].
static enum clrnn_status swap_rows(struct clrnn_launches *l, const struct clrnn_op *op, struct clrnn_buffer *from,
                                   struct clrnn_buffer *to, bool back)
{
    const struct clrnn_split s = clrnn_split_elements(l, (size_t)op->T * op->N, op->C, true);

    return clrnn_launch_kernel(
        l, "join", "swap_rows", DEFINES({"WIDTH", s.width}), s.range,
        (struct clrnn_cost){0, 8.0 * op->T * op->N * op->C},
        ARGS(BUF(from), BUF(to), UINT(back ? op->N : op->T), UINT(back ? op->T : op->N), UINT(op->C), UINT(s.chunk)));
}

enum clrnn_status clrnn_flatten_fwd(struct clrnn_launches *launches, const struct clrnn_graph *graph,
                                    const struct clrnn_op *op)
{
    return swap_rows(launches, op, clrnn_in(graph, op, FLATTEN_X), clrnn_out(graph, op, FLATTEN_Y), false);
}

enum clrnn_status clrnn_flatten_bwd(struct clrnn_launches *launches, const struct clrnn_graph *graph,
                                    const struct clrnn_op *op)
{
    if (op->out[FLATTEN_DX] < 0)
        return CLRNN_OK;
    return swap_rows(launches, op, clrnn_in(graph, op, FLATTEN_BWD_DY), clrnn_out(graph, op, FLATTEN_DX), true);
}

// ---------------------------------------------------------------- cost functions and op classes

static double add_flops(const struct clrnn_op *op)
{
    return (double)op->T * op->N * op->C;
}

const struct clrnn_op_class clrnn_add_class = {.flops = add_flops};
const struct clrnn_op_class clrnn_concat_fwd_class = {.flops = NULL};
const struct clrnn_op_class clrnn_concat_bwd_class = {.flops = NULL};

static const struct clrnn_op_backward flatten_backward = {
    .kind = CLRNN_OP_FLATTEN_BWD, .dy = FLATTEN_BWD_DY, .dx = FLATTEN_DX};

const struct clrnn_op_class clrnn_flatten_fwd_class = {.backward = &flatten_backward};
const struct clrnn_op_class clrnn_flatten_bwd_class = {.flops = NULL};
