// SPDX-License-Identifier: MIT
// The gradients' norm and the optimisers' update.
#include "base/array.h"
#include "ops/graph.h"
#include "ops/split.h"

// The kernels' OPTIM_KIND is the enum.
_Static_assert(CLRNN_SGD == 0 && CLRNN_ADAM == 1 && CLRNN_ADAMW == 2 && CLRNN_RMSPROP == 3,
               "cl/optim.cl counts optimisers the same way");

enum { NORM_BLOCK = 8192 };

enum clrnn_status clrnn_grad_norm(struct clrnn_launches *launches, const struct clrnn_graph *graph,
                                  const struct clrnn_op *op)
{
    const bool cpu = clrnn_on_cpu(launches);
    const struct clrnn_split s =
        clrnn_split_blocks(op->optim.count, NORM_BLOCK, cpu ? 16 : 1, cpu ? 1 : clrnn_lanes(launches, 256));
    struct clrnn_buffer *record = clrnn_out(graph, op, GRAD_NORM_RECORD), *partial;
    const struct clrnn_defines defines = DEFINES({"WIDTH", s.width}, {"LANES", s.lanes});
    const size_t slots = record == NULL ? 0 : clrnn_buffer_count(record) / RECORD_FIELDS;

    TRY(clrnn_launches_scratch(launches, 2 * (size_t)MAX2(s.teams, 1), &partial));
    TRY(clrnn_launch_kernel(launches, "optim", "norm_blocks", defines, s.range, clrnn_op_cost(graph, op),
                            ARGS(BUF(clrnn_in(graph, op, GRAD_NORM_GRADS)), BUF(partial),
                                 UINT(op->optim.count), UINT(s.chunk), ROOM(s))));
    return clrnn_launch_kernel(launches, "optim", "norm_finish", defines, RANGE1(1),
                               (struct clrnn_cost){4.0 * s.teams, 8.0 * s.teams},
                               ARGS(BUF(partial), UINT(s.teams), BUF(clrnn_out(graph, op, GRAD_NORM_NORM)),
                                    BUF(clrnn_in(graph, op, GRAD_NORM_COUNTER)), UINT(slots), BUF(record)));
}

enum clrnn_status clrnn_optim(struct clrnn_launches *launches, const struct clrnn_graph *graph,
                              const struct clrnn_op *op)
{
    const struct clrnn_split s = clrnn_split_flat(launches, op->optim.count);
    const bool rmsprop = op->optim.kind == CLRNN_RMSPROP;
    const double decay2 = rmsprop ? op->optim.alpha : op->optim.beta2;
    const bool clips = op->optim.clip_max_norm > 0;

    return clrnn_launch_kernel(
        launches, "optim", "optim",
        DEFINES({"WIDTH", s.width}, {"OPTIM_KIND", op->optim.kind}, {"NESTEROV", op->optim.nesterov},
                {"AMSGRAD", op->optim.amsgrad}, {"CENTERED", op->optim.centered},
                {"MOMENTUM", op->optim.momentum}),
        s.range, clrnn_op_cost(graph, op),
        ARGS(BUF(clrnn_out(graph, op, OPTIM_PARAMS)), BUF(clrnn_in(graph, op, OPTIM_GRADS)),
             BUF(clrnn_out(graph, op, OPTIM_M)), BUF(clrnn_out(graph, op, OPTIM_V)),
             BUF(clrnn_out(graph, op, OPTIM_VMAX)), BUF(clrnn_in(graph, op, OPTIM_HYPER)),
             BUF(clips ? clrnn_in(graph, op, OPTIM_NORM) : NULL), REAL(op->optim.clip_max_norm),
             REAL(op->optim.weight_decay), REAL(1 - op->optim.dampening), REAL(decay2), REAL(1 - decay2),
             REAL(op->optim.eps), UINT(op->optim.count), UINT(s.chunk)));
}
