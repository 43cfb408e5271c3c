// SPDX-License-Identifier: MIT
// Launches the CTC loss: a kernel for the softmax statistics of each row, one that computes the samples in parallel,
// and one that writes the record.
#include <stdio.h>

#include "base/array.h"
#include "device/remember/choice.h"
#include "ops/graph.h"
#include "ops/split.h"

enum { PAD = 2, WORK_ROWS = 5 }; // see cl/ctc.cl

enum clrnn_status clrnn_ctc(struct clrnn_launches *launches, const struct clrnn_graph *graph, const struct clrnn_op *op)
{
    const uint32_t T = op->T, N = op->N, C = op->C, rows = T * N;
    const bool cpu = clrnn_on_cpu(launches);
    const uint32_t lanes = cpu ? 1 : clrnn_lanes(launches, 64), width = cpu ? 16 : 1;
    const uint32_t stride = clrnn_divide_up(2 * op->ctc.L + 1, width) * width + 2 * PAD;
    const struct clrnn_split s = clrnn_split_blocks(N, 1, width, lanes), each = clrnn_split_rows(launches, rows, C);
    const struct clrnn_defines defines =
        DEFINES({"WIDTH", s.width}, {"LANES", s.lanes}, {"PAD", PAD}, {"WORK_ROWS", WORK_ROWS});
    struct clrnn_buffer *x = clrnn_in(graph, op, CTC_X), *lengths = clrnn_in(graph, op, CTC_LENGTHS);
    struct clrnn_buffer *weight = clrnn_in(graph, op, CTC_SAMPLE_WEIGHT);
    struct clrnn_buffer *stats, *best, *alpha, *work, *result;

    TRY(clrnn_launches_scratch(launches, 2 * (size_t)rows, &stats));
    TRY(clrnn_launches_scratch(launches, rows, &best));
    TRY(clrnn_launches_scratch(launches, (size_t)rows * stride, &alpha));
    TRY(clrnn_launches_scratch(launches, (size_t)N * WORK_ROWS * stride, &work));
    TRY(clrnn_launches_scratch(launches, 2 * (size_t)N, &result));
    TRY(clrnn_launch_kernel(launches, "ctc_rows", "ctc_rows", DEFINES({"WIDTH", each.width}, {"LANES", each.lanes}),
                            each.range, (struct clrnn_cost){3.0 * rows * C, 4.0 * rows * C},
                            ARGS(BUF(x), BUF(lengths), BUF(stats), BUF(best), UINT(rows), UINT(N), UINT(C),
                                 UINT(each.chunk), LANE_SUMS(each))));
    TRY(clrnn_launch_kernel(
        launches, "ctc", "ctc_samples", defines, s.range, clrnn_class_cost(&clrnn_ctc_class, graph, op),
        ARGS(BUF(x), BUF(stats), BUF(best), BUF(lengths), BUF(clrnn_in(graph, op, CTC_TARGET)),
             BUF(clrnn_in(graph, op, CTC_TARGET_LENGTHS)), BUF(weight), BUF(clrnn_out(graph, op, CTC_DX)), BUF(alpha),
             BUF(work), BUF(result), UINT(T), UINT(N), UINT(C), UINT(op->ctc.L), UINT(stride), UINT(op->ctc.blank),
             UINT(op->ctc.zero_infinity), UINT(op->ctc.total), UINT(s.chunk), LANE_SUMS(s))));
    return clrnn_launch_kernel(launches, "ctc", "ctc_finish", defines, RANGE1(1),
                               (struct clrnn_cost){3.0 * N, 12.0 * N},
                               ARGS(BUF(result), BUF(weight), BUF(clrnn_in(graph, op, CTC_COUNTER)),
                                    BUF(clrnn_out(graph, op, CTC_RECORD)), UINT(N), UINT(op->ctc.slots)));
}

// ---------------------------------------------------------------- cost functions and op classes

// Counts 3 operations per class for the softmax. Counts three additions of logarithms for each of the 2 L + 1 CTC
// states in each time step forward, and three more backward. An addition of logarithms counts as 5 operations.
static double flops(const struct clrnn_op *op)
{
    return (double)op->T * op->N * (3.0 * op->C + (op->out[CTC_DX] >= 0 ? 30.0 : 15.0) * (2.0 * op->ctc.L + 1));
}

static void sizes(const struct clrnn_op *op, char *text, size_t size)
{
    snprintf(text, size, " T%u N%u C%u L%u", (unsigned)clrnn_tune_size(op->T), (unsigned)clrnn_tune_size(op->N),
             (unsigned)clrnn_tune_size(op->C), (unsigned)clrnn_tune_size(op->ctc.L));
}

const struct clrnn_op_class clrnn_ctc_class = {
    .flops = flops, .sizes = sizes, .record = 1u << CTC_RECORD, .record_numbers = RECORD_FIELDS - 1};
