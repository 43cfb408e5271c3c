// SPDX-License-Identifier: MIT
// Launches batch and layer normalisation. Small batches take one launch. For large batches, sums are computed over
// blocks of rows and then added up.
#include "base/array.h"
#include "ops/columns.h"
#include "ops/graph.h"
#include "ops/split.h"

// ---------------------------------------------------------------- batchnorm

static enum clrnn_status apply(struct clrnn_launches *l, const struct clrnn_graph *g, const struct clrnn_op *op,
                               struct clrnn_buffer *mean, struct clrnn_buffer *second, bool is_invstd)
{
    const uint32_t rows = op->T * op->N;
    const struct clrnn_split s = clrnn_split_columns(l, rows, op->C);

    return clrnn_launch_kernel(l, "norm", "batchnorm_apply", DEFINES({"WIDTH", s.width}), s.range,
                               clrnn_cost_of((double)rows * op->C, 2, 2),
                               ARGS(BUF(clrnn_in(g, op, BATCHNORM_X)), BUF(clrnn_in(g, op, BATCHNORM_LENGTHS)),
                                    BUF(clrnn_in(g, op, BATCHNORM_WEIGHT)), BUF(clrnn_in(g, op, BATCHNORM_BIAS)),
                                    BUF(mean), BUF(second), BUF(clrnn_out(g, op, BATCHNORM_Y)), UINT(rows), UINT(op->N),
                                    UINT(op->C), REAL(op->norm.eps), INT(is_invstd), UINT(s.chunk)));
}

// Sets *mean and *invstd to the buffers for the batch's mean and 1 / deviation: the op's outputs, which backward reads,
// or scratch memory if the op has no such outputs.
static enum clrnn_status statistics(struct clrnn_launches *l, const struct clrnn_graph *g, const struct clrnn_op *op,
                                    struct clrnn_buffer **mean, struct clrnn_buffer **invstd)
{
    *mean = clrnn_out(g, op, BATCHNORM_MEAN);
    *invstd = clrnn_out(g, op, BATCHNORM_INVSTD);
    if (*mean == NULL)
        TRY(clrnn_launches_scratch(l, op->C, mean));
    if (*invstd == NULL)
        TRY(clrnn_launches_scratch(l, op->C, invstd));
    return CLRNN_OK;
}

static enum clrnn_status train_fwd(struct clrnn_launches *l, const struct clrnn_graph *g, const struct clrnn_op *op)
{
    const uint32_t rows = op->T * op->N, C = op->C;
    const struct clrnn_split s = clrnn_split_columns(l, rows, C);
    const struct clrnn_defines width = DEFINES({"WIDTH", s.width});
    const struct clrnn_range columns = RANGE1((C + s.width - 1) / s.width);
    struct clrnn_buffer *x = clrnn_in(g, op, BATCHNORM_X), *lengths = clrnn_in(g, op, BATCHNORM_LENGTHS);
    struct clrnn_buffer *running_mean = clrnn_out(g, op, BATCHNORM_NEW_MEAN);
    struct clrnn_buffer *running_var = clrnn_out(g, op, BATCHNORM_NEW_VAR);
    struct clrnn_buffer *batches = clrnn_out(g, op, BATCHNORM_BATCHES), *mean, *invstd, *partial;
    const struct clrnn_arg eps = REAL(op->norm.eps), momentum = REAL(op->norm.momentum);
    const struct clrnn_arg cumulative = INT(op->norm.cumulative);

    TRY(statistics(l, g, op, &mean, &invstd));
    if (s.teams <= 1)
        return clrnn_launch_kernel(
            l, "norm", "batchnorm_whole", width, columns, clrnn_class_cost(&clrnn_batchnorm_fwd_class, g, op),
            ARGS(BUF(x), BUF(lengths), BUF(clrnn_in(g, op, BATCHNORM_WEIGHT)), BUF(clrnn_in(g, op, BATCHNORM_BIAS)),
                 BUF(clrnn_out(g, op, BATCHNORM_Y)), BUF(mean), BUF(invstd), BUF(running_mean), BUF(running_var),
                 BUF(batches), UINT(rows), UINT(op->N), UINT(C), eps, momentum, cumulative));
    TRY(clrnn_launches_scratch(l, 3 * (size_t)s.teams * C, &partial));
    TRY(clrnn_launch_kernel(l, "norm", "batchnorm_blocks", width, s.range, clrnn_cost_of((double)rows * C, 4, 1),
                            ARGS(BUF(x), BUF(lengths), BUF(partial), UINT(rows), UINT(op->N), UINT(C), UINT(s.chunk))));
    TRY(clrnn_launch_kernel(l, "norm", "batchnorm_finish", width, columns, clrnn_cost_of((double)s.teams * C, 8, 3),
                            ARGS(BUF(x), BUF(partial), UINT(s.teams), BUF(mean), BUF(invstd), BUF(running_mean),
                                 BUF(running_var), BUF(batches), UINT(C), eps, momentum, cumulative)));
    return apply(l, g, op, mean, invstd, true);
}

enum clrnn_status clrnn_batchnorm_fwd(struct clrnn_launches *launches, const struct clrnn_graph *graph,
                                      const struct clrnn_op *op)
{
    struct clrnn_buffer *batches = clrnn_out(graph, op, BATCHNORM_BATCHES);

    if (!op->norm.batch_stats)
        return apply(launches, graph, op, clrnn_in(graph, op, BATCHNORM_RUNNING_MEAN),
                     clrnn_in(graph, op, BATCHNORM_RUNNING_VAR), false);
    TRY(train_fwd(launches, graph, op));
    if (batches == NULL || !op->norm.cumulative)
        return CLRNN_OK; // without `cumulative`, the kernels above have already counted the batch
    return clrnn_launch_kernel(launches, "norm", "batchnorm_count", DEFINES({"WIDTH", 1}), RANGE1(1),
                               (struct clrnn_cost){1, 8}, ARGS(BUF(batches)));
}

enum clrnn_status clrnn_batchnorm_bwd(struct clrnn_launches *launches, const struct clrnn_graph *graph,
                                      const struct clrnn_op *op)
{
    const uint32_t rows = op->T * op->N, C = op->C;
    const struct clrnn_split s = clrnn_split_columns(launches, rows, C);
    const struct clrnn_defines width = DEFINES({"WIDTH", s.width});
    const struct clrnn_range columns = RANGE1((C + s.width - 1) / s.width);
    struct clrnn_buffer *lengths = clrnn_in(graph, op, BATCHNORM_BWD_LENGTHS);
    const struct clrnn_arg x = BUF(clrnn_in(graph, op, BATCHNORM_BWD_X));
    const struct clrnn_arg weight = BUF(clrnn_in(graph, op, BATCHNORM_BWD_WEIGHT));
    const struct clrnn_arg mean = BUF(clrnn_in(graph, op, BATCHNORM_BWD_MEAN));
    const struct clrnn_arg invstd = BUF(clrnn_in(graph, op, BATCHNORM_BWD_INVSTD));
    const struct clrnn_arg dy = BUF(clrnn_in(graph, op, BATCHNORM_BWD_DY));
    const struct clrnn_arg dweight = BUF(clrnn_out(graph, op, BATCHNORM_DWEIGHT));
    const struct clrnn_arg dbias = BUF(clrnn_out(graph, op, BATCHNORM_DBIAS));
    const struct clrnn_arg dx = BUF(clrnn_out(graph, op, BATCHNORM_DX));
    struct clrnn_buffer *partial, *means;

    if (s.teams <= 1)
        return clrnn_launch_kernel(
            launches, "norm", "batchnorm_bwd_whole", width, columns,
            clrnn_class_cost(&clrnn_batchnorm_bwd_class, graph, op),
            ARGS(x, BUF(lengths), weight, mean, invstd, dy, dx, dweight, dbias, UINT(rows), UINT(op->N), UINT(C)));
    TRY(clrnn_launches_scratch(launches, 3 * (size_t)s.teams * C, &partial));
    TRY(clrnn_launches_scratch(launches, 2 * (size_t)C, &means));
    TRY(clrnn_launch_kernel(
        launches, "norm", "batchnorm_bwd_blocks", width, s.range, clrnn_cost_of((double)rows * C, 5, 2),
        ARGS(x, BUF(lengths), mean, invstd, dy, BUF(partial), UINT(rows), UINT(op->N), UINT(C), UINT(s.chunk))));
    TRY(clrnn_launch_kernel(launches, "norm", "batchnorm_bwd_finish", width, columns,
                            clrnn_cost_of((double)s.teams * C, 3, 3),
                            ARGS(BUF(partial), UINT(s.teams), BUF(means), dweight, dbias, UINT(C))));
    if (dx.buffer == NULL)
        return CLRNN_OK;
    return clrnn_launch_kernel(launches, "norm", "batchnorm_bwd_apply", width, s.range,
                               clrnn_cost_of((double)rows * C, 6, 3),
                               ARGS(x, BUF(lengths), weight, mean, invstd, dy, BUF(means), dx, UINT(rows), UINT(op->N),
                                    UINT(C), UINT(s.chunk)));
}

// ---------------------------------------------------------------- batchnorm of a shard

enum clrnn_status clrnn_batchnorm_moments(struct clrnn_launches *launches, const struct clrnn_graph *graph,
                                          const struct clrnn_op *op)
{
    const uint32_t rows = op->T * op->N, C = op->C;
    const struct clrnn_split s = clrnn_split_columns(launches, rows, C);
    const struct clrnn_defines width = DEFINES({"WIDTH", s.width});
    const struct clrnn_arg x = BUF(clrnn_in(graph, op, MOMENTS_X));
    struct clrnn_buffer *partial;

    TRY(clrnn_launches_scratch(launches, 3 * (size_t)s.teams * C, &partial));
    TRY(clrnn_launch_kernel(launches, "norm", "batchnorm_blocks", width, s.range,
                            clrnn_class_cost(&clrnn_batchnorm_moments_class, graph, op),
                            ARGS(x, BUF(clrnn_in(graph, op, MOMENTS_LENGTHS)), BUF(partial), UINT(rows), UINT(op->N),
                                 UINT(C), UINT(s.chunk))));
    return clrnn_launch_kernel(launches, "norm", "batchnorm_moments", width, RANGE1((C + s.width - 1) / s.width),
                               clrnn_cost_of((double)s.teams * C, 8, 3),
                               ARGS(x, BUF(partial), UINT(s.teams), BUF(clrnn_out(graph, op, MOMENTS_COUNT)),
                                    BUF(clrnn_out(graph, op, MOMENTS_MEAN)), BUF(clrnn_out(graph, op, MOMENTS_SQUARES)),
                                    UINT(C)));
}

enum clrnn_status clrnn_batchnorm_spread(struct clrnn_launches *launches, const struct clrnn_graph *graph,
                                         const struct clrnn_op *op)
{
    const uint32_t rows = op->T * op->N, C = op->C;
    const struct clrnn_split s = clrnn_split_columns(launches, rows, C);

    return clrnn_launch_kernel(launches, "norm", "batchnorm_bwd_apply", DEFINES({"WIDTH", s.width}), s.range,
                               clrnn_class_cost(&clrnn_batchnorm_spread_class, graph, op),
                               ARGS(BUF(clrnn_in(graph, op, SPREAD_X)), BUF(clrnn_in(graph, op, SPREAD_LENGTHS)),
                                    BUF(clrnn_in(graph, op, SPREAD_WEIGHT)), BUF(clrnn_in(graph, op, SPREAD_MEAN)),
                                    BUF(clrnn_in(graph, op, SPREAD_INVSTD)), BUF(clrnn_in(graph, op, SPREAD_DY)),
                                    BUF(clrnn_in(graph, op, SPREAD_MEANS)), BUF(clrnn_out(graph, op, SPREAD_DX)),
                                    UINT(rows), UINT(op->N), UINT(C), UINT(s.chunk)));
}

// ---------------------------------------------------------------- layernorm

enum clrnn_status clrnn_layernorm_fwd(struct clrnn_launches *launches, const struct clrnn_graph *graph,
                                      const struct clrnn_op *op)
{
    const uint32_t groups = MAX2(op->norm.groups, 1), rows = op->T * op->N * groups, C = op->C / groups;
    const struct clrnn_split s = clrnn_split_rows(launches, rows, C);

    return clrnn_launch_kernel(launches, "norm", "layernorm_fwd", DEFINES({"WIDTH", s.width}, {"LANES", s.lanes}),
                               s.range, clrnn_class_cost(&clrnn_layernorm_fwd_class, graph, op),
                               ARGS(BUF(clrnn_in(graph, op, LAYERNORM_X)), BUF(clrnn_in(graph, op, LAYERNORM_LENGTHS)),
                                    BUF(clrnn_in(graph, op, LAYERNORM_WEIGHT)),
                                    BUF(clrnn_in(graph, op, LAYERNORM_BIAS)), BUF(clrnn_out(graph, op, LAYERNORM_Y)),
                                    BUF(clrnn_out(graph, op, LAYERNORM_MEAN)),
                                    BUF(clrnn_out(graph, op, LAYERNORM_INVSTD)), UINT(rows), UINT(op->N), UINT(C),
                                    UINT(groups), REAL(op->norm.eps), UINT(s.chunk), LANE_SUMS(s)));
}

// Computes the gradients of weight and bias: sums over rows. If there are many rows, blocks of rows are summed first.
static enum clrnn_status layernorm_dparams(struct clrnn_launches *l, const struct clrnn_graph *g,
                                           const struct clrnn_op *op)
{
    const uint32_t rows = op->T * op->N, C = op->C, groups = MAX2(op->norm.groups, 1);
    struct clrnn_split s = clrnn_split_columns(l, rows, C);
    struct clrnn_buffer *dweight = clrnn_out(g, op, LAYERNORM_DWEIGHT);
    struct clrnn_buffer *dbias = clrnn_out(g, op, LAYERNORM_DBIAS);
    struct clrnn_buffer *dweight_blocks = dweight, *dbias_blocks = dbias;

    if (groups > 1) { // a vector could otherwise have features of several groups
        s.width = 1;
        s.range.global[0] = C;
    }
    if (s.teams > 1 && dweight != NULL)
        TRY(clrnn_launches_scratch(l, (size_t)s.teams * C, &dweight_blocks));
    if (s.teams > 1 && dbias != NULL)
        TRY(clrnn_launches_scratch(l, (size_t)s.teams * C, &dbias_blocks));
    TRY(clrnn_launch_kernel(l, "norm", "layernorm_dparams", DEFINES({"WIDTH", s.width}), s.range,
                            clrnn_cost_of((double)rows * C, 5, 2),
                            ARGS(BUF(clrnn_in(g, op, LAYERNORM_BWD_X)), BUF(clrnn_in(g, op, LAYERNORM_BWD_LENGTHS)),
                                 BUF(clrnn_in(g, op, LAYERNORM_BWD_MEAN)), BUF(clrnn_in(g, op, LAYERNORM_BWD_INVSTD)),
                                 BUF(clrnn_in(g, op, LAYERNORM_BWD_DY)), BUF(dweight_blocks), BUF(dbias_blocks),
                                 UINT(rows), UINT(op->N), UINT(C), UINT(groups), UINT(s.chunk))));
    if (s.teams > 1 && dweight != NULL)
        TRY(clrnn_launch_block_sum(l, dweight_blocks, 0, s.teams, C, dweight));
    if (s.teams > 1 && dbias != NULL)
        TRY(clrnn_launch_block_sum(l, dbias_blocks, 0, s.teams, C, dbias));
    return CLRNN_OK;
}

enum clrnn_status clrnn_layernorm_bwd(struct clrnn_launches *launches, const struct clrnn_graph *graph,
                                      const struct clrnn_op *op)
{
    const uint32_t groups = MAX2(op->norm.groups, 1), rows = op->T * op->N * groups, C = op->C / groups;
    const struct clrnn_split s = clrnn_split_rows(launches, rows, C);

    if (op->out[LAYERNORM_DX] >= 0)
        TRY(clrnn_launch_kernel(
            launches, "norm", "layernorm_dx", DEFINES({"WIDTH", s.width}, {"LANES", s.lanes}), s.range,
            clrnn_cost_of((double)rows * C, 9, 3),
            ARGS(BUF(clrnn_in(graph, op, LAYERNORM_BWD_X)), BUF(clrnn_in(graph, op, LAYERNORM_BWD_LENGTHS)),
                 BUF(clrnn_in(graph, op, LAYERNORM_BWD_WEIGHT)), BUF(clrnn_in(graph, op, LAYERNORM_BWD_MEAN)),
                 BUF(clrnn_in(graph, op, LAYERNORM_BWD_INVSTD)), BUF(clrnn_in(graph, op, LAYERNORM_BWD_DY)),
                 BUF(clrnn_out(graph, op, LAYERNORM_DX)), UINT(rows), UINT(op->N), UINT(C), UINT(groups), UINT(s.chunk),
                 LANE_SUMS(s))));
    if (op->out[LAYERNORM_DWEIGHT] < 0 && op->out[LAYERNORM_DBIAS] < 0)
        return CLRNN_OK;
    return layernorm_dparams(launches, graph, op);
}

// ---------------------------------------------------------------- cost functions and op classes

// Counts the operations for each value: one for the mean's sum; three for the deviation, its square and their sum; two
// for scale and shift. Without batch_stats only the last two are needed.
static double batchnorm_flops(const struct clrnn_op *op)
{
    return (op->norm.batch_stats ? 6.0 : 2.0) * op->T * op->N * op->C;
}

static double layernorm_flops(const struct clrnn_op *op)
{
    return 8.0 * op->T * op->N * op->C;
}

static double moments_flops(const struct clrnn_op *op)
{
    return 4.0 * op->T * op->N * op->C;
}

static double spread_flops(const struct clrnn_op *op)
{
    return 6.0 * op->T * op->N * op->C;
}

static double bwd_flops(const struct clrnn_op *op)
{
    return 11.0 * op->T * op->N * op->C;
}

static const struct clrnn_op_backward batchnorm_backward = {
    .kind = CLRNN_OP_BATCHNORM_BWD,
    .dy = BATCHNORM_BWD_DY,
    .dx = BATCHNORM_DX,
    .in_count = 5,
    .in = {{BATCHNORM_BWD_X, BATCHNORM_X, false},
           {BATCHNORM_BWD_LENGTHS, BATCHNORM_LENGTHS, false},
           {BATCHNORM_BWD_WEIGHT, BATCHNORM_WEIGHT, false},
           {BATCHNORM_BWD_MEAN, BATCHNORM_MEAN, true},
           {BATCHNORM_BWD_INVSTD, BATCHNORM_INVSTD, true}},
    .grad_count = 2,
    .grad = {{BATCHNORM_DWEIGHT, BATCHNORM_WEIGHT}, {BATCHNORM_DBIAS, BATCHNORM_BIAS}},
};

static const struct clrnn_op_backward layernorm_backward = {
    .kind = CLRNN_OP_LAYERNORM_BWD,
    .dy = LAYERNORM_BWD_DY,
    .dx = LAYERNORM_DX,
    .in_count = 5,
    .in = {{LAYERNORM_BWD_X, LAYERNORM_X, false},
           {LAYERNORM_BWD_LENGTHS, LAYERNORM_LENGTHS, false},
           {LAYERNORM_BWD_WEIGHT, LAYERNORM_WEIGHT, false},
           {LAYERNORM_BWD_MEAN, LAYERNORM_MEAN, true},
           {LAYERNORM_BWD_INVSTD, LAYERNORM_INVSTD, true}},
    .grad_count = 2,
    .grad = {{LAYERNORM_DWEIGHT, LAYERNORM_WEIGHT}, {LAYERNORM_DBIAS, LAYERNORM_BIAS}},
};

const struct clrnn_op_class clrnn_batchnorm_fwd_class = {
    .flops = batchnorm_flops, .updated = 1u << BATCHNORM_BATCHES, .backward = &batchnorm_backward};
const struct clrnn_op_class clrnn_batchnorm_bwd_class = {.flops = bwd_flops};
const struct clrnn_op_class clrnn_batchnorm_moments_class = {.flops = moments_flops};
const struct clrnn_op_class clrnn_batchnorm_spread_class = {.flops = spread_flops};
const struct clrnn_op_class clrnn_layernorm_fwd_class = {.flops = layernorm_flops, .backward = &layernorm_backward};
const struct clrnn_op_class clrnn_layernorm_bwd_class = {.flops = bwd_flops};
