// SPDX-License-Identifier: MIT
// The table of op classes: what each kind is called, what it costs and who launches it.
#include <stdio.h>

#include "base/array.h"
#include "device/choice.h"
#include "ops/graph.h"

typedef enum clrnn_status launch_fn(struct clrnn_launches *launches, const struct clrnn_graph *graph,
                                    const struct clrnn_op *op);

static const struct op_class {
    const char *name;
    launch_fn *launch;
} op_class[CLRNN_OP_COUNT] = {
#define X(kind, stem, name) [CLRNN_OP_##kind] = {#name, clrnn_##name},
    CLRNN_OP_LIST(X)
#undef X
};

uint32_t clrnn_cell_gates(enum clrnn_cell cell)
{
    return cell == CLRNN_CELL_LSTM ? 4 : cell == CLRNN_CELL_GRU ? 3 : 1;
}

uint32_t clrnn_cell_reserve(enum clrnn_cell cell)
{
    return cell == CLRNN_CELL_RNN ? 1 : 4;
}

const char *clrnn_op_name(enum clrnn_op_kind kind)
{
    return (unsigned)kind < CLRNN_OP_COUNT ? op_class[kind].name : "unknown";
}

// The op's class in keys of choices (device/choice.h): what it computes, then sizes.
static void class_of(const struct clrnn_op *op, char text[112])
{
    static const char *const cell[] = {"rnn", "lstm", "gru"};
    const bool rnn = op->kind == CLRNN_OP_RNN_FWD || op->kind == CLRNN_OP_RNN_BWD;
    const bool linear = op->kind == CLRNN_OP_LINEAR_FWD || op->kind == CLRNN_OP_LINEAR_BWD;
    const bool flat = op->kind == CLRNN_OP_OPTIM || op->kind == CLRNN_OP_GRAD_NORM;
    int at = snprintf(text, 112, "%s", clrnn_op_name(op->kind));

    if (rnn)
        at += snprintf(text + at, 112 - (size_t)at, " %s%s", cell[op->rnn.cell],
                       op->kind == CLRNN_OP_RNN_FWD && op->out[RNN_GATES] == CLRNN_NONE ? " inference" : "");
    if (flat) {
        snprintf(text + at, 112 - (size_t)at, " P%u",
                 (unsigned)clrnn_tune_size((uint32_t)MIN2(op->optim.count, UINT32_MAX)));
        return;
    }
    at += snprintf(text + at, 112 - (size_t)at, " T%u N%u C%u", (unsigned)clrnn_tune_size(op->T),
                   (unsigned)clrnn_tune_size(op->N), (unsigned)clrnn_tune_size(op->C));
    if (rnn)
        snprintf(text + at, 112 - (size_t)at, " H%u D%u", (unsigned)clrnn_tune_size(op->rnn.H),
                 (unsigned)op->rnn.D);
    else if (linear)
        snprintf(text + at, 112 - (size_t)at, " O%u", (unsigned)clrnn_tune_size(op->linear.O));
}

enum clrnn_status clrnn_op_launch(struct clrnn_launches *launches, const struct clrnn_graph *graph,
                                  const struct clrnn_op *op)
{
    char title[80], class[112];

    if ((unsigned)op->kind >= CLRNN_OP_COUNT)
        return clrnn_error(graph->log, CLRNN_ERR_ARG, "op of unknown kind %d: the last kind is %d",
                           (int)op->kind, CLRNN_OP_COUNT - 1);
    snprintf(title, sizeof(title), "%s%s%s", op->layer, op->layer[0] ? " " : "", op_class[op->kind].name);
    TRY(clrnn_launches_op(launches, title));
    class_of(op, class);
    clrnn_launches_class(launches, class);
    return op_class[op->kind].launch(launches, graph, op);
}

// ---------------------------------------------------------------- cost

// Floating-point operations of one recurrent layer: matrix products, then about 8 per gate and unit for
// the activations (a transcendental counts as one).
static double rnn_flops(const struct clrnn_op *op, bool backward)
{
    const double rows = (double)op->T * op->N, H = op->rnn.H, D = op->rnn.D, C = op->C;
    const double gates = clrnn_cell_gates(op->rnn.cell) * H;
    const double input = 2 * rows * C * gates * D, recurrent = 2 * rows * H * gates * D;
    const double pointwise = 8 * rows * gates * D;

    if (!backward)
        return input + recurrent + pointwise;
    // dx and dweight_ih cost the forward product each; so do dh and dweight_hh.
    return (op->out[RNN_DX] >= 0 ? 2 : 1) * input + 2 * recurrent + 2 * pointwise;
}

static double op_flops(const struct clrnn_op *op)
{
    const double rows = (double)op->T * op->N, elements = rows * op->C;
    const double O = op->kind == CLRNN_OP_LINEAR_FWD || op->kind == CLRNN_OP_LINEAR_BWD ? op->linear.O : 0;

    switch (op->kind) {
    case CLRNN_OP_FEED:
        return op->in[FEED_MEAN] >= 0 ? 2 * elements : 0;
    case CLRNN_OP_EMBEDDING_FWD:
        return 0;
    case CLRNN_OP_EMBEDDING_BWD:
        return elements;
    case CLRNN_OP_RNN_FWD:
    case CLRNN_OP_RNN_BWD:
        return rnn_flops(op, op->kind == CLRNN_OP_RNN_BWD);
    case CLRNN_OP_BATCHNORM_FWD:
        return (op->norm.batch_stats ? 6 : 2) * elements; // sum, deviation, its square and sum; scale, shift
    case CLRNN_OP_LAYERNORM_FWD:
        return 8 * elements;
    case CLRNN_OP_BATCHNORM_BWD:
    case CLRNN_OP_LAYERNORM_BWD:
        return 11 * elements;
    case CLRNN_OP_LINEAR_FWD:
        return 2 * elements * O + (op->in[LINEAR_BIAS] >= 0 ? rows * O : 0);
    case CLRNN_OP_LINEAR_BWD:
        return 2 * elements * O * ((op->out[LINEAR_DX] >= 0) + (op->out[LINEAR_DWEIGHT] >= 0)) +
               (op->out[LINEAR_DBIAS] >= 0 ? rows * O : 0);
    case CLRNN_OP_DROPOUT_FWD:
    case CLRNN_OP_DROPOUT_BWD:
        return 2 * elements;
    case CLRNN_OP_POINTWISE_FWD:
        return (op->pointwise.function >= CLRNN_SOFTMAX   ? 4
                : op->pointwise.function == CLRNN_SIGMOID ? 3
                                                          : 1) *
               elements;
    case CLRNN_OP_POINTWISE_BWD:
        return (op->pointwise.function == CLRNN_ROUND ? 0 : 4) * elements;
    case CLRNN_OP_POOL_FWD:
        return op->pool.over >= CLRNN_POOL_MEAN ? elements : 0;
    case CLRNN_OP_POOL_BWD:
        return op->pool.over == CLRNN_POOL_MEAN ? elements : 0;
    case CLRNN_OP_LOSS:
        return (op->out[LOSS_DX] >= 0 ? 8 : 5) * elements;
    case CLRNN_OP_GRAD_NORM:
        return 2 * (double)op->optim.count;
    case CLRNN_OP_OPTIM:
        return (op->optim.kind == CLRNN_SGD       ? 6
                : op->optim.kind == CLRNN_RMSPROP ? 10
                                                  : 13) *
                   (double)op->optim.count +
               (op->out[OPTIM_NORM_OUT] >= 0 ? 2 : 0) * (double)op->optim.count;
    case CLRNN_OP_COUNT:
        break;
    }
    return 0;
}

bool clrnn_op_is_record(const struct clrnn_op *op, int slot)
{
    return (op->kind == CLRNN_OP_LOSS && slot == LOSS_RECORD) ||
           (op->kind == CLRNN_OP_GRAD_NORM && slot == GRAD_NORM_RECORD) ||
           (op->kind == CLRNN_OP_OPTIM && slot == OPTIM_RECORD);
}

// Bytes that one touch of a slot's tensor moves; what an op reads only a part of counts with that part.
static double slot_bytes(const struct clrnn_graph *graph, const struct clrnn_op *op, int slot, bool out)
{
    const int id = out ? op->out[slot] : op->in[slot];

    if (id < 0)
        return 0;
    if (op->kind == CLRNN_OP_FEED && !out) {
        const double rows = (double)op->T * op->N;

        switch (slot) {
        case FEED_X:
            return 4 * rows * (op->feed.tokens ? 1 : op->C);
        case FEED_Y:
            return 4 * (op->feed.target_steps ? rows : op->N);
        case FEED_LENGTHS:
        case FEED_INDEX:
            return 4.0 * op->N;
        default:
            break;
        }
    }
    if (op->kind == CLRNN_OP_EMBEDDING_FWD && !out && slot == EMBEDDING_WEIGHT)
        return 4 * (double)op->T * op->N * op->C;
    if (out && clrnn_op_is_record(op, slot))
        return 4.0 * (op->kind == CLRNN_OP_LOSS ? RECORD_FIELDS - 1 : 1);
    return 4 * (double)graph->tensor[id].count;
}

// Outputs that are read as well as written.
static bool slot_updated(const struct clrnn_op *op, int slot)
{
    return (op->kind == CLRNN_OP_OPTIM && slot <= OPTIM_VMAX) ||
           (op->kind == CLRNN_OP_BATCHNORM_FWD && slot == BATCHNORM_BATCHES);
}

struct clrnn_cost clrnn_op_cost(const struct clrnn_graph *graph, const struct clrnn_op *op)
{
    struct clrnn_cost cost = {op_flops(op), 0};

    if (op->kind == CLRNN_OP_FEED && graph->tensor[op->out[FEED_OUT_X]].rows_of != CLRNN_NONE)
        return cost; // nothing is copied
    for (int i = 0; i < CLRNN_OP_MAX_IN; i++)
        cost.bytes += slot_bytes(graph, op, i, false);
    for (int i = 0; i < CLRNN_OP_MAX_OUT; i++)
        cost.bytes += slot_bytes(graph, op, i, true) * (slot_updated(op, i) ? 2 : 1);
    return cost;
}
