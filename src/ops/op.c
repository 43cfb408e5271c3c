// SPDX-License-Identifier: MIT
// The table of all op kinds: their names, classes and launch functions.
#include <stdio.h>

#include "base/array.h"
#include "device/remember/choice.h"
#include "ops/graph.h"

typedef enum clrnn_status launch_fn(struct clrnn_launches *launches, const struct clrnn_graph *graph,
                                    const struct clrnn_op *op);

static const struct {
    const char *name;
    launch_fn *launch;
    const struct clrnn_op_class *class;
} table[CLRNN_OP_COUNT] = {
#define X(kind, stem, name) [CLRNN_OP_##kind] = {#name, clrnn_##name, &clrnn_##name##_class},
    CLRNN_OP_LIST(X)
#undef X
};

const char *clrnn_op_name(enum clrnn_op_kind kind)
{
    return (unsigned)kind < CLRNN_OP_COUNT ? table[kind].name : "unknown";
}

const struct clrnn_op_class *clrnn_op_class(enum clrnn_op_kind kind)
{
    return (unsigned)kind < CLRNN_OP_COUNT ? table[kind].class : NULL;
}

// Writes the key under which autotuned choices of the op are stored (device/remember/choice.h): its name, then its
// sizes.
static void write_key(const struct clrnn_op *op, char text[112])
{
    int at = snprintf(text, 112, "%s", clrnn_op_name(op->kind));

    if (table[op->kind].class->sizes) {
        table[op->kind].class->sizes(op, text + at, 112 - (size_t)at);
        return;
    }
    snprintf(text + at, 112 - (size_t)at, " T%u N%u C%u", (unsigned)clrnn_tune_size(op->T),
             (unsigned)clrnn_tune_size(op->N), (unsigned)clrnn_tune_size(op->C));
}

enum clrnn_status clrnn_op_launch(struct clrnn_launches *launches, const struct clrnn_graph *graph,
                                  const struct clrnn_op *op)
{
    char title[80], key[112];

    if ((unsigned)op->kind >= CLRNN_OP_COUNT)
        return clrnn_error(graph->log, CLRNN_ERR_ARG, "op of unknown kind %d: the last kind is %d", (int)op->kind,
                           CLRNN_OP_COUNT - 1);
    snprintf(title, sizeof(title), "%s%s%s", op->layer, op->layer[0] ? " " : "", table[op->kind].name);
    TRY(clrnn_launches_op(launches, title));
    write_key(op, key);
    clrnn_launches_class(launches, key);
    return table[op->kind].launch(launches, graph, op);
}

bool clrnn_op_is_record(const struct clrnn_op *op, int slot)
{
    return table[op->kind].class->record >> slot & 1;
}

struct clrnn_cost clrnn_op_cost(const struct clrnn_graph *graph, const struct clrnn_op *op)
{
    return clrnn_class_cost(table[op->kind].class, graph, op);
}
