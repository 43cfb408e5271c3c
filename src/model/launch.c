// SPDX-License-Identifier: MIT
// Turns ops into launches.
#include "model/launch.h"

#include <stdio.h>

#include "base/log.h"
#include "reference/reference.h"

static enum clrnn_status run_host_call(const void *context)
{
    const struct clrnn_host_call *call = context;

    return clrnn_reference_run(call->log, call->op, call->in, call->out);
}

enum clrnn_status clrnn_launch_op(struct clrnn_launches *launches, const struct clrnn_graph *graph, size_t at,
                                  struct clrnn_host_call *call)
{
    const struct clrnn_op *op = &graph->op[at];
    char title[80];

    clrnn_device_building(clrnn_launches_device(launches), at, graph->op_count);
    if (!clrnn_device_is_ref(clrnn_launches_device(launches)))
        return clrnn_op_launch(launches, graph, op);
    call->log = graph->log;
    call->op = op;
    for (int i = 0; i < CLRNN_OP_MAX_IN; i++)
        call->in[i] = op->in[i] < 0 ? NULL : clrnn_buffer_host(clrnn_in(graph, op, i));
    for (int i = 0; i < CLRNN_OP_MAX_OUT; i++)
        call->out[i] = op->out[i] < 0 ? NULL : clrnn_buffer_host(clrnn_out(graph, op, i));
    snprintf(title, sizeof(title), "%s %s", op->layer, clrnn_op_name(op->kind));
    TRY(clrnn_launches_op(launches, title));
    return clrnn_launch_host(launches, run_host_call, call);
}
