// SPDX-License-Identifier: MIT
// The table of float32 bounds.
#include "reference/bound.h"

#include <math.h>

#include "base/array.h"

enum { ANY = -1 };

// What a sum runs over. K terms added in float32 in any fixed order are off by about sqrt(K) units.
enum terms { ONE, FEATURES, OUTPUTS, ROWS, STEPS, CELL, CELL_ROWS };

static const struct row {
    enum clrnn_op_kind kind;
    int slot;
    float units; // in the last place (2^-23), times sqrt(terms)
    enum terms terms;
    bool each, own;
} rows[] = {
    // copied, or one subtraction and one division
    {CLRNN_OP_FEED, ANY, 4, ONE, true, false},
    // copied; a token's gradient is a sum over the rows that hold it
    {CLRNN_OP_EMBEDDING_FWD, ANY, 0, ONE, false, false},
    {CLRNN_OP_EMBEDDING_BWD, ANY, 4, ROWS, false, false},
    // two dot products and up to five activations of 5 units each, every step on the last one's result
    {CLRNN_OP_RNN_FWD, RNN_Y, 8, CELL, false, false},
    {CLRNN_OP_RNN_FWD, ANY, 0, ONE, false, true},
    // the same twice over, and weight gradients summed over rows
    {CLRNN_OP_RNN_BWD, ANY, 16, CELL_ROWS, false, false},
    // means over rows or features, then a root and a handful of products
    {CLRNN_OP_BATCHNORM_FWD, ANY, 8, ROWS, false, false},
    {CLRNN_OP_BATCHNORM_BWD, ANY, 8, ROWS, false, false},
    {CLRNN_OP_LAYERNORM_FWD, ANY, 8, FEATURES, false, false},
    {CLRNN_OP_LAYERNORM_BWD, LAYERNORM_DX, 16, FEATURES, false, false},
    {CLRNN_OP_LAYERNORM_BWD, ANY, 8, ROWS, false, false},
    // dot products
    {CLRNN_OP_LINEAR_FWD, ANY, 4, FEATURES, false, false},
    {CLRNN_OP_LINEAR_BWD, LINEAR_DX, 4, OUTPUTS, false, false},
    {CLRNN_OP_LINEAR_BWD, ANY, 4, ROWS, false, false},
    // one division, and the same mask bit for bit: hence element by element
    {CLRNN_OP_DROPOUT_FWD, ANY, 2, ONE, true, false},
    {CLRNN_OP_DROPOUT_BWD, ANY, 2, ONE, true, false},
    // OpenCL allows exp 3, log 3 and tanh 5 units; softmax sums over a row
    {CLRNN_OP_POINTWISE_FWD, ANY, 16, ONE, false, false},
    {CLRNN_OP_POINTWISE_BWD, ANY, 8, FEATURES, false, false},
    // copied, or a mean over steps
    {CLRNN_OP_POOL_FWD, ANY, 4, STEPS, false, false},
    {CLRNN_OP_POOL_BWD, ANY, 4, ONE, false, false},
    // exp and log; a record's numbers differ by orders of magnitude: hence element by element
    {CLRNN_OP_LOSS, LOSS_DX, 16, ONE, false, false},
    {CLRNN_OP_LOSS, ANY, 8, ROWS, true, false},
    // a sum of squares, compensated or in blocks
    {CLRNN_OP_GRAD_NORM, ANY, 16, ONE, true, false},
    // a dozen operations on each element alone
    {CLRNN_OP_OPTIM, ANY, 16, ONE, true, false},
};

static double count_terms(const struct clrnn_op *op, enum terms terms)
{
    switch (terms) {
    case ONE:
        break;
    case FEATURES:
        return op->C;
    case OUTPUTS:
        return op->linear.O;
    case ROWS:
        return (double)op->T * op->N;
    case STEPS:
        return op->T;
    case CELL:
        return (double)op->C + op->rnn.H;
    case CELL_ROWS:
        return (double)op->C + op->rnn.H + (double)op->T * op->N;
    }
    return 1;
}

struct clrnn_bound clrnn_bound_get(const struct clrnn_op *op, int slot)
{
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
        if (rows[i].kind == op->kind && (rows[i].slot == ANY || rows[i].slot == slot))
            return (struct clrnn_bound){ldexp(rows[i].units * sqrt(count_terms(op, rows[i].terms)), -23),
                                        rows[i].each, rows[i].own};
    return (struct clrnn_bound){0, false, false};
}

void clrnn_bound_apply(struct clrnn_check *c)
{
    for (int i = 0; i < CLRNN_OP_MAX_OUT; i++) {
        const struct clrnn_bound b = clrnn_bound_get(&c->op, i);

        if (!c->out[i].there)
            continue;
        c->out[i].tolerance = b.tolerance;
        c->out[i].each = b.each;
        c->out[i].skip = b.own;
        // what float32 flushes to zero, and the sum of a few such
        c->out[i].absolute = 1e-37;
    }
}
