// SPDX-License-Identifier: MIT
// Launches the losses: one launch for a small batch; otherwise three, which compute blocks of rows in parallel.
#include "base/array.h"
#include "ops/graph.h"
#include "ops/split.h"

// MANY_CLASSES: on GPUs, if there are more classes, the work-items of a group compute a row together.
// CPU_NUMBERS: on CPUs, a block has at least about this many numbers. A row of fewer than 8 classes counts as 8
// numbers, and so does each element of a loss on real targets.
// GPU_ROWS: on GPUs, a block has at least this many rows (real targets: elements), unless work-items compute a row
// together.
enum { MANY_CLASSES = 32, CPU_NUMBERS = 4096, GPU_ROWS = 512 };

// Returns how the loss is divided among work-items: by rows for a loss on classes, by elements for a loss on real
// targets. `cooperate`: several work-items compute a row together.
static struct clrnn_split split_loss(struct clrnn_launches *l, const struct clrnn_op *op, bool cooperate)
{
    const uint32_t width = clrnn_loss_is_classes(op->loss.kind) ? op->C : 1;
    const size_t items = (size_t)op->T * op->N * (op->C / width);

    if (clrnn_on_cpu(l))
        return clrnn_split_blocks(items, CPU_NUMBERS / MAX2(width, 8), width < 16 ? 1 : 16, 1);
    return clrnn_split_blocks(items, cooperate ? 1 : GPU_ROWS, 1, clrnn_lanes(l, cooperate ? 64 : 128));
}

// Returns the value of the kernels' argument `parameter`, whose meaning depends on the loss.
static double parameter_of(const struct clrnn_op *op)
{
    switch (op->loss.kind) {
    case CLRNN_LOSS_CROSS_ENTROPY:
        return op->loss.label_smoothing;
    case CLRNN_LOSS_SMOOTH_L1:
        return op->loss.beta;
    case CLRNN_LOSS_HUBER:
        return op->loss.delta;
    default:
        return 0;
    }
}

enum clrnn_status clrnn_loss(struct clrnn_launches *launches, const struct clrnn_graph *graph,
                             const struct clrnn_op *op)
{
    const bool cooperate = !clrnn_on_cpu(launches) && clrnn_loss_is_classes(op->loss.kind) && op->C > MANY_CLASSES;
    const struct clrnn_split s = split_loss(launches, op, cooperate);
    const uint32_t rows = op->T * op->N;
    struct clrnn_buffer *x = clrnn_in(graph, op, LOSS_X), *lengths = clrnn_in(graph, op, LOSS_LENGTHS);
    struct clrnn_buffer *index, *target = clrnn_rows(graph, op, LOSS_TARGET, &index),
                                *weight = clrnn_in(graph, op, LOSS_WEIGHT);
    struct clrnn_buffer *unused, *samples = clrnn_rows(graph, op, LOSS_SAMPLE_WEIGHT, &unused),
                                 *labels = clrnn_in(graph, op, LOSS_LABEL_WEIGHT),
                                 *scale = clrnn_in(graph, op, LOSS_SCALE);
    struct clrnn_buffer *counter = clrnn_in(graph, op, LOSS_COUNTER), *dx = clrnn_out(graph, op, LOSS_DX);
    struct clrnn_buffer *record = clrnn_out(graph, op, LOSS_RECORD), *sums, *weights;
    const struct clrnn_defines defines =
        DEFINES({"LOSS_KIND", op->loss.kind}, {"COOPERATE", cooperate}, {"WIDTH", s.width}, {"LANES", s.lanes},
                {"QUANTILES", MAX2(op->loss.quantiles, 1)}, {"MISSING", op->loss.missing}, {"TOTAL", op->loss.total});

    if (s.teams <= 1)
        return clrnn_launch_kernel(
            launches, "loss", "loss_whole", defines, s.range, clrnn_class_cost(&clrnn_loss_class, graph, op),
            ARGS(BUF(x), BUF(lengths), BUF(target), BUF(index), BUF(weight), BUF(labels), BUF(samples), BUF(scale),
                 BUF(dx), UINT(rows), UINT(op->N), UINT(op->C), REAL(parameter_of(op)), INT(op->loss.ignore_index),
                 BUF(counter), UINT(op->loss.slots), BUF(record), LANE_SUMS(s)));
    TRY(clrnn_launches_scratch(launches, (size_t)s.teams * RECORD_FIELDS, &sums));
    TRY(clrnn_launches_scratch(launches, s.teams, &weights));
    TRY(clrnn_launch_kernel(launches, "loss", "loss_weights", defines, s.range, (struct clrnn_cost){rows, 4.0 * rows},
                            ARGS(BUF(lengths), BUF(target), BUF(index), BUF(weight), BUF(samples), UINT(rows),
                                 UINT(op->N), UINT(op->C), INT(op->loss.ignore_index), BUF(weights), UINT(s.chunk),
                                 LANE_SUMS(s))));
    TRY(clrnn_launch_kernel(
        launches, "loss", "loss_rows", defines, s.range, clrnn_class_cost(&clrnn_loss_class, graph, op),
        ARGS(BUF(x), BUF(lengths), BUF(target), BUF(index), BUF(weight), BUF(labels), BUF(samples), BUF(scale), BUF(dx),
             UINT(rows), UINT(op->N), UINT(op->C), REAL(parameter_of(op)), INT(op->loss.ignore_index), BUF(weights),
             UINT(s.teams), BUF(sums), UINT(s.chunk), LANE_SUMS(s))));
    return clrnn_launch_kernel(launches, "loss", "loss_finish", defines, RANGE1(RECORD_FIELDS),
                               (struct clrnn_cost){7.0 * s.teams, 28.0 * s.teams},
                               ARGS(BUF(sums), UINT(s.teams), BUF(counter), UINT(op->loss.slots), BUF(record)));
}

// ---------------------------------------------------------------- cost functions and op classes

static double flops(const struct clrnn_op *op)
{
    return (op->out[LOSS_DX] >= 0 ? 8.0 : 5.0) * op->T * op->N * op->C;
}

const struct clrnn_op_class clrnn_loss_class = {
    .flops = flops, .record = 1u << LOSS_RECORD, .record_numbers = RECORD_FIELDS - 1};
