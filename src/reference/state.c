// SPDX-License-Identifier: MIT
// Initial states of recurrent layers: the final states of the training step before, or 0; doc/maths.md, "State".
#include "reference/rows.h"

static bool state(const struct clrnn_op *op, void *const in[], void *const out[])
{
    const uint32_t *counter = in[STATE_COUNTER];
    const double *from = in[STATE_FROM];
    double *to = out[STATE_TO];

    for (size_t i = 0; i < ref_rows(op) * op->C; i++)
        to[i] = counter[COUNTER_CARRY] ? from[i] : 0;
    return true;
}

const struct clrnn_reference clrnn_state_reference = {state, {{ANY_SLOT, 0, TERMS_ONE, OF_ELEMENT}}};
