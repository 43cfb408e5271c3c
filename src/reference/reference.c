// SPDX-License-Identifier: MIT
// Finds and runs the function that carries out an op in double precision.
#include "reference/reference.h"

static const struct {
    const char *name;
    const struct clrnn_reference *reference;
} table[CLRNN_OP_COUNT] = {
#define X(kind, stem, name) [CLRNN_OP_##kind] = {#name, &clrnn_##name##_reference},
    CLRNN_OP_LIST(X)
#undef X
};

const struct clrnn_reference *clrnn_reference_get(enum clrnn_op_kind kind)
{
    return table[kind].reference;
}

enum clrnn_status clrnn_reference_run(const struct clrnn_log *log, const struct clrnn_op *op,
                                      void *const in[CLRNN_OP_MAX_IN], void *const out[CLRNN_OP_MAX_OUT])
{
    if ((unsigned)op->kind >= CLRNN_OP_COUNT)
        return clrnn_error(log, CLRNN_ERR_ARG, "ref: op kind %d of layer %s is unknown, expected 0 to %d",
                           (int)op->kind, op->layer, CLRNN_OP_COUNT - 1);
    if (!table[op->kind].reference->run(op, in, out))
        return clrnn_error(log, CLRNN_ERR_MEMORY, "ref: out of memory for the scratch of %s %s (T=%u, N=%u, C=%u)",
                           op->layer, table[op->kind].name, op->T, op->N, op->C);
    return CLRNN_OK;
}
