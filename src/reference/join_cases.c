// SPDX-License-Identifier: MIT
// Test cases of sums, concatenations and flatten (cases.h).
#include <stdio.h>

#include "base/log.h"
#include "reference/cases.h"

static enum clrnn_status concat(struct clrnn_cases *s, const struct clrnn_case_size *z, uint32_t count, bool backward)
{
    struct clrnn_check *c = s->check;
    const uint32_t width[3] = {z->C, z->H, 1};
    uint32_t C = 0;

    for (uint32_t i = 0; i < count; i++)
        C += width[i];
    clrnn_case_begin(s, backward ? CLRNN_OP_CONCAT_BWD : CLRNN_OP_CONCAT_FWD, z, C);
    snprintf(c->what, sizeof(c->what), "count=%u", count);
    c->op.join.count = count;
    for (uint32_t i = 0; i < count; i++) {
        c->op.join.width[i] = width[i];
        if (backward)
            clrnn_case_out(s, (int)i, clrnn_case_rows(z) * width[i]);
        else
            clrnn_check_real(c, (int)i, clrnn_case_rows(z) * width[i]);
    }
    if (backward)
        clrnn_check_real(c, CONCAT_BWD_DY, clrnn_case_rows(z) * C);
    else
        clrnn_case_out(s, CONCAT_Y, clrnn_case_rows(z) * C);
    return clrnn_case_run(s);
}

enum clrnn_status clrnn_join_cases(struct clrnn_cases *s, const struct clrnn_case_size *z)
{
    struct clrnn_check *c = s->check;
    const size_t count = clrnn_case_rows(z) * z->C;

    if (z->sums)
        return CLRNN_OK;
    clrnn_case_begin(s, CLRNN_OP_ADD, z, z->C);
    clrnn_check_real(c, ADD_FIRST, count);
    clrnn_check_real(c, ADD_SECOND, count);
    clrnn_case_out(s, ADD_Y, count);
    TRY(clrnn_case_run(s));
    clrnn_case_begin(s, CLRNN_OP_FLATTEN_FWD, z, z->C);
    clrnn_check_real(c, FLATTEN_X, count);
    clrnn_case_out(s, FLATTEN_Y, count);
    TRY(clrnn_case_run(s));
    clrnn_case_begin(s, CLRNN_OP_FLATTEN_BWD, z, z->C);
    clrnn_check_real(c, FLATTEN_BWD_DY, count);
    clrnn_case_out(s, FLATTEN_DX, count);
    TRY(clrnn_case_run(s));
    for (uint32_t n = 1; n <= 3; n += 2) {
        TRY(concat(s, z, n, false));
        TRY(concat(s, z, n, true));
    }
    return CLRNN_OK;
}
