// SPDX-License-Identifier: MIT
// Test cases of dropout (cases.h).
#include <stdio.h>

#include "base/log.h"
#include "reference/cases.h"

static enum clrnn_status dropout(struct clrnn_cases *s, const struct clrnn_case_size *z, double p, bool variational,
                                 bool part)
{
    struct clrnn_check *c = s->check;

    for (int backward = 0; backward < 2; backward++) {
        clrnn_case_begin(s, backward ? CLRNN_OP_DROPOUT_BWD : CLRNN_OP_DROPOUT_FWD, z, z->C);
        snprintf(c->what, sizeof(c->what), "p=%g variational=%d part=%d", p, variational, part);
        c->op.dropout.p = p;
        c->op.dropout.variational = variational;
        c->op.dropout.part = part;
        c->op.dropout.stream = 3;
        clrnn_check_real(c, DROPOUT_X, clrnn_case_rows(z) * z->C);
        clrnn_check_counter(c, DROPOUT_COUNTER, 41, 0);
        if (part && c->in[DROPOUT_COUNTER].word) {
            c->in[DROPOUT_COUNTER].word[COUNTER_SAMPLE] = 3;
            c->in[DROPOUT_COUNTER].word[COUNTER_SAMPLES] = (int32_t)z->N + 5;
        }
        clrnn_case_out(s, DROPOUT_Y, clrnn_case_rows(z) * z->C);
        TRY(clrnn_case_run(s));
    }
    return CLRNN_OK;
}

enum clrnn_status clrnn_dropout_cases(struct clrnn_cases *s, const struct clrnn_case_size *z)
{
    if (z->T > 1 && z->sums)
        return CLRNN_OK;
    TRY(dropout(s, z, z->sums ? 0.1 : 0.5, false, false));
    if (z->sums)
        return CLRNN_OK;
    TRY(dropout(s, z, 0.5, true, false));
    TRY(dropout(s, z, 0.5, false, true));
    return dropout(s, z, 0.5, true, true);
}
