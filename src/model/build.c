// SPDX-License-Identifier: MIT
// Adds tensors and ops to a graph that is being built.
#include "model/build.h"

#include <stdio.h>

enum clrnn_status clrnn_build_activation(struct clrnn_build *b, const char *layer, const char *what,
                                         enum clrnn_type type, unsigned ndim, const uint32_t *dims, int *id)
{
    char name[128];

    snprintf(name, sizeof(name), "%s %s", layer, what);
    return clrnn_graph_tensor(b->g, name, CLRNN_ROLE_ACTIVATION, type, ndim, dims, NULL, id);
}

enum clrnn_status clrnn_build_op(struct clrnn_build *b, enum clrnn_op_kind kind, struct clrnn_op **op)
{
    return clrnn_graph_op(b->g, kind, b->layer, b->T, b->p->N, b->C, op);
}

enum clrnn_status clrnn_build_layer(struct clrnn_build *b, enum clrnn_op_kind kind, uint32_t T, uint32_t C,
                                    struct clrnn_op **op)
{
    int y;

    TRY(clrnn_build_activation(b, b->layer, "y", CLRNN_REAL, DIMS(T, b->p->N, C), &y));
    TRY(clrnn_build_op(b, kind, op));
    (*op)->in[0] = b->x;
    (*op)->out[0] = y;
    b->x = y;
    b->T = T;
    b->C = C;
    return CLRNN_OK;
}

enum clrnn_status clrnn_build_bound(struct clrnn_build *b, const char *name, enum clrnn_role role,
                                    struct clrnn_buffer *buffer, int *id)
{
    *id = CLRNN_NONE;
    if (!buffer)
        return CLRNN_OK;
    return clrnn_graph_tensor(b->g, name, role, clrnn_buffer_type(buffer), 1,
                              (uint32_t[]){(uint32_t)clrnn_buffer_count(buffer)}, buffer, id);
}

enum clrnn_status clrnn_build_sum(struct clrnn_build *b, const char *layer, const char *what, const uint32_t shape[3],
                                  int first, int second, int *sum)
{
    struct clrnn_op *op;

    TRY(clrnn_build_activation(b, layer, what, CLRNN_REAL, 3, shape, sum));
    TRY(clrnn_graph_op(b->g, CLRNN_OP_ADD, layer, shape[0], shape[1], shape[2], &op));
    op->in[ADD_FIRST] = first;
    op->in[ADD_SECOND] = second;
    op->out[ADD_Y] = *sum;
    return CLRNN_OK;
}
