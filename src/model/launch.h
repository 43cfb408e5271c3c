// SPDX-License-Identifier: MIT
// Turns ops into launches: kernels on an OpenCL device, calls of src/reference/ on the device ref.
#ifndef CLRNN_SRC_MODEL_LAUNCH_H
#define CLRNN_SRC_MODEL_LAUNCH_H

#include "ops/graph.h"

/** An op to run on the device ref, with the host addresses of the tensors in its slots. */
struct clrnn_host_call {
    const struct clrnn_log *log;
    const struct clrnn_op *op;
    void *in[CLRNN_OP_MAX_IN], *out[CLRNN_OP_MAX_OUT];
};

/** Appends the launches of op number `at` of a graph that clrnn_graph_place has placed. On the device ref, the function
 * fills in `call`, which must outlive the launches. Other devices do not use `call`. */
enum clrnn_status clrnn_launch_op(struct clrnn_launches *launches, const struct clrnn_graph *graph, size_t at,
                                  struct clrnn_host_call *call);

#endif
