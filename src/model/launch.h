// SPDX-License-Identifier: MIT
// Turns ops into launches: kernels on an OpenCL device, host calls of the reference on ref.
#ifndef CLRNN_SRC_MODEL_LAUNCH_H
#define CLRNN_SRC_MODEL_LAUNCH_H

#include "ops/graph.h"

/** An op to run on the ref device, with the host memory of its slots, which is looked up once. */
struct clrnn_host_call {
    const struct clrnn_log *log;
    const struct clrnn_op *op;
    void *in[CLRNN_OP_MAX_IN], *out[CLRNN_OP_MAX_OUT];
};

/** Appends the launches of op `at` of a placed graph. `call` must outlive them; it is used on ref only. */
enum clrnn_status clrnn_launch_op(struct clrnn_launches *launches, const struct clrnn_graph *graph, size_t at,
                                  struct clrnn_host_call *call);

#endif
