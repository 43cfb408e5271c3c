// SPDX-License-Identifier: MIT
// Computes tolerances from the bound rules of an op (reference.h) and its shape.
#include "reference/bound.h"

#include <math.h>

#include "reference/reference.h"

static double count_terms(const struct clrnn_op *op, enum clrnn_terms terms)
{
    switch (terms) {
    case TERMS_ONE:
        break;
    case TERMS_FEATURES:
        return op->C;
    case TERMS_OUTPUTS:
        return op->linear.O;
    case TERMS_ROWS:
        return (double)op->T * op->N;
    case TERMS_STEPS:
        return op->T;
    case TERMS_CELL:
        return (double)op->C + op->rnn.H;
    case TERMS_CELL_ROWS:
        return (double)op->C + op->rnn.H + (double)op->T * op->N;
    }
    return 1;
}

struct clrnn_bound clrnn_bound_get(const struct clrnn_op *op, int slot)
{
    const struct clrnn_bound_rule *rule = clrnn_reference_get(op->kind)->bound;

    while (rule->slot != ANY_SLOT && rule->slot != slot)
        rule++;
    return (struct clrnn_bound){ldexp(rule->units * sqrt(count_terms(op, rule->terms)), -23), rule->scale == OF_ELEMENT,
                                rule->scale == INTERNAL};
}

void clrnn_bound_apply(struct clrnn_check *c)
{
    for (int i = 0; i < CLRNN_OP_MAX_OUT; i++) {
        const struct clrnn_bound b = clrnn_bound_get(&c->op, i);

        if (!c->out[i].there)
            continue;
        c->out[i].tolerance = b.tolerance;
        c->out[i].each = b.each;
        c->out[i].skip = b.internal;
        // allows for denormals that the device replaces by 0, and for sums of a few of them
        c->out[i].absolute = 1e-37;
    }
}
