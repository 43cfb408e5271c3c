// SPDX-License-Identifier: MIT
// Launches the op that gathers a batch from a data set. Targets take a launch of their own if their number of steps
// differs from that of x.
#include "base/array.h"
#include "ops/graph.h"
#include "ops/split.h"

// Gathers the targets if their number of time steps differs from that of x (own_steps).
static enum clrnn_status feed_targets(struct clrnn_launches *launches, const struct clrnn_graph *graph,
                                      const struct clrnn_op *op)
{
    const size_t rows = (size_t)op->feed.own_steps * op->N;
    const uint32_t targets = MAX2(op->feed.targets, 1);

    return clrnn_launch_kernel(launches, "feed", "feed_targets",
                               DEFINES({"WIDTH", 1}, {"TOKENS", 0}, {"TARGET", op->feed.target_real ? 2 : 1},
                                       {"TARGET_STEPS", 1}, {"TARGETS", targets}),
                               RANGE1(rows), (struct clrnn_cost){0, 8.0 * (double)rows * targets},
                               ARGS(BUF(clrnn_in(graph, op, FEED_Y)), BUF(clrnn_in(graph, op, FEED_Y_LENGTHS)),
                                    BUF(clrnn_in(graph, op, FEED_INDEX)), BUF(clrnn_out(graph, op, FEED_OUT_Y)),
                                    BUF(clrnn_out(graph, op, FEED_OUT_Y_LENGTHS)), UINT(op->feed.own_steps),
                                    UINT(op->N), UINT(op->feed.own_steps_data)));
}

enum clrnn_status clrnn_feed(struct clrnn_launches *launches, const struct clrnn_graph *graph,
                             const struct clrnn_op *op)
{
    const size_t rows = (size_t)op->T * op->N;
    const uint32_t C = op->feed.tokens ? 1 : op->C; // a token is one number
    const struct clrnn_split s = clrnn_split_rows(launches, rows, C);
    const bool cpu = clrnn_on_cpu(launches);
    struct clrnn_buffer *out_x = clrnn_out(graph, op, FEED_OUT_X);
    const bool own = op->feed.own_steps > 0;
    const int target = !op->feed.target || own ? 0 : op->feed.target_real ? 2 : 1;

    if (!out_x) // the copy was left out (clrnn_graph_elide_copy): ops that read the batch gather its rows
        return CLRNN_OK;
    if (op->feed.target && own)
        TRY(feed_targets(launches, graph, op));
    return clrnn_launch_kernel(
        launches, "feed", "feed",
        DEFINES({"WIDTH", s.width}, {"TOKENS", op->feed.tokens}, {"TARGET", target},
                {"TARGET_STEPS", op->feed.target_steps}, {"TARGETS", MAX2(op->feed.targets, 1)}),
        cpu ? s.range : RANGE1(rows * C), clrnn_class_cost(&clrnn_feed_class, graph, op),
        ARGS(BUF(clrnn_in(graph, op, FEED_X)), BUF(clrnn_in(graph, op, FEED_Y)), BUF(clrnn_in(graph, op, FEED_LENGTHS)),
             BUF(clrnn_in(graph, op, FEED_INDEX)), BUF(clrnn_in(graph, op, FEED_MEAN)),
             BUF(clrnn_in(graph, op, FEED_STD)), BUF(clrnn_in(graph, op, FEED_WEIGHT)),
             BUF(clrnn_in(graph, op, FEED_COUNTER)), BUF(out_x), BUF(clrnn_out(graph, op, FEED_OUT_Y)),
             BUF(clrnn_out(graph, op, FEED_OUT_LENGTHS)), BUF(clrnn_out(graph, op, FEED_OUT_WEIGHT)), UINT(op->T),
             UINT(op->N), UINT(C), UINT(op->feed.T_data), UINT(cpu ? s.chunk : 0)));
}

// ---------------------------------------------------------------- cost functions and op classes

static double flops(const struct clrnn_op *op)
{
    return op->in[FEED_MEAN] >= 0 ? 2.0 * op->T * op->N * op->C : 0;
}

// Returns the bytes that FEED reads or writes in a slot. Of the data set it reads only the batch's rows. 0: the copy of
// the batch was left out (clrnn_graph_elide_copy). -1: the size of the whole tensor.
static double slot_bytes(const struct clrnn_graph *graph, const struct clrnn_op *op, int slot, bool out)
{
    const double rows = (double)op->T * op->N;

    if (graph->tensor[op->out[FEED_OUT_X]].rows_of != CLRNN_NONE)
        return 0;
    if (out || slot == FEED_MEAN || slot == FEED_STD)
        return -1;
    if (slot == FEED_X)
        return 4 * rows * (op->feed.tokens ? 1 : op->C);
    if (slot == FEED_Y)
        return 4.0 * MAX2(op->feed.targets, 1) *
               (op->feed.own_steps      ? (double)op->feed.own_steps * op->N
                : op->feed.target_steps ? rows
                                        : op->N);
    return 4.0 * op->N;
}

const struct clrnn_op_class clrnn_feed_class = {.flops = flops, .slot_bytes = slot_bytes};
