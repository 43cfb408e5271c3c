// SPDX-License-Identifier: MIT
// residual and concat: layers that read the same tensor, and what joins them.
#include <inttypes.h>
#include <stdio.h>

#include "base/array.h"
#include "base/log.h"
#include "model/build.h"
#include "model/layer.h"
#include "model/nest.h"

enum clrnn_status clrnn_build_sum(struct clrnn_build *b, const char *layer, const char *what,
                                  const uint32_t shape[3], int first, int second, int *sum)
{
    struct clrnn_op *op;

    TRY(clrnn_build_activation(b, layer, what, CLRNN_REAL, 3, shape, sum));
    TRY(clrnn_graph_op(b->g, CLRNN_OP_ADD, layer, shape[0], shape[1], shape[2], &op));
    op->in[ADD_FIRST] = first;
    op->in[ADD_SECOND] = second;
    op->out[ADD_Y] = *sum;
    return CLRNN_OK;
}

static enum clrnn_status wrong_steps(const struct clrnn_build *b, size_t index, uint32_t T, uint32_t first,
                                     uint32_t second)
{
    char label[1024];

    return clrnn_error(b->g->log, CLRNN_ERR_CONFIG,
                       "%s: of a sequence of %" PRIu32 " steps it would join %" PRIu32 " and %" PRIu32
                       " steps, expected the same number",
                       clrnn_layer_label(b->m->config, index, label, sizeof(label)), T, first, second);
}

// Names the layer again after those inside it.
static void name_layer(struct clrnn_build *b, size_t index)
{
    clrnn_layer_prefix(b->m->config, index, b->layer, sizeof(b->layer));
}

enum clrnn_status clrnn_build_residual(struct clrnn_build *b, size_t index)
{
    const struct clrnn_config *config = b->m->config;
    const size_t end = clrnn_layer_end(config, index);
    const int x = b->x, lengths = b->lengths;
    int sum;

    for (uint32_t T = 1; T <= b->T; T++) {
        const uint32_t after = clrnn_layers_steps_between(config, index + 1, end, T);

        if (after != T)
            return wrong_steps(b, index, T, T, after);
    }
    TRY(clrnn_build_list(b, index + 1, end));
    name_layer(b, index);
    TRY(clrnn_build_sum(b, b->layer, "y", (uint32_t[]){b->T, b->p->N, b->C}, x, b->x, &sum));
    b->x = sum;
    b->lengths = lengths;
    return CLRNN_OK;
}

// Whether all branches leave the same number of steps of any sequence.
static enum clrnn_status check_branches(const struct clrnn_build *b, size_t index)
{
    const struct clrnn_config *config = b->m->config;
    size_t first, end;

    for (uint32_t T = 1; T <= b->T; T++) {
        uint32_t steps = 0;

        for (uint32_t i = 0; i < config->layer[index].branches; i++) {
            uint32_t after;

            clrnn_layer_branch(config, index, i, &first, &end);
            after = clrnn_layers_steps_between(config, first, end, T);
            if (i && after != steps)
                return wrong_steps(b, index, T, steps, after);
            steps = after;
        }
    }
    return CLRNN_OK;
}

enum clrnn_status clrnn_build_concat(struct clrnn_build *b, size_t index)
{
    const uint32_t branches = b->m->config->layer[index].branches;
    const struct clrnn_build before = *b;
    struct clrnn_join_attributes join = {.count = branches};
    int x[CLRNN_JOIN_MOST], y;
    uint32_t width = 0;
    struct clrnn_op *op;
    size_t first, end;

    TRY(check_branches(b, index));
    for (uint32_t i = 0; i < branches; i++) {
        b->x = before.x;
        b->lengths = before.lengths;
        b->T = before.T;
        b->C = before.C;
        clrnn_layer_branch(b->m->config, index, i, &first, &end);
        TRY(clrnn_build_list(b, first, end));
        x[i] = b->x;
        join.width[i] = b->C;
        width += b->C;
    }
    name_layer(b, index);
    b->C = width;
    TRY(clrnn_build_activation(b, b->layer, "y", CLRNN_REAL, DIMS(b->T, b->p->N, b->C), &y));
    TRY(clrnn_graph_op(b->g, CLRNN_OP_CONCAT_FWD, b->layer, b->T, b->p->N, b->C, &op));
    op->join = join;
    for (uint32_t i = 0; i < branches; i++)
        op->in[i] = x[i];
    op->out[CONCAT_Y] = y;
    b->x = y;
    return CLRNN_OK;
}
