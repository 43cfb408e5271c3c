// SPDX-License-Identifier: MIT
// Test cases (cases.h) of the initial states of recurrent layers: carry=0 gives zeros, carry=1 copies STATE_FROM.
#include <stdio.h>

#include "base/log.h"
#include "reference/cases.h"

enum clrnn_status clrnn_state_cases(struct clrnn_cases *s, const struct clrnn_case_size *z)
{
    struct clrnn_check *c = s->check;

    for (int carry = 0; carry < 2 && !z->sums; carry++) {
        const struct clrnn_case_size rows = {.T = 1, .N = z->N, .C = z->H};

        clrnn_case_begin(s, CLRNN_OP_STATE, &rows, z->H);
        snprintf(c->what, sizeof(c->what), "carry=%d", carry);
        clrnn_check_real(c, STATE_FROM, (size_t)z->N * z->H);
        clrnn_check_counter(c, STATE_COUNTER, 5, 0);
        if (!c->no_memory)
            c->in[STATE_COUNTER].word[COUNTER_CARRY] = carry;
        clrnn_case_out(s, STATE_TO, (size_t)z->N * z->H);
        TRY(clrnn_case_run(s));
    }
    return CLRNN_OK;
}
