// SPDX-License-Identifier: MIT
// Test cases of the linear layer (cases.h).
#include <stdio.h>

#include "base/log.h"
#include "reference/cases.h"

enum clrnn_status clrnn_linear_cases(struct clrnn_cases *s, const struct clrnn_case_size *z)
{
    struct clrnn_check *c = s->check;

    clrnn_case_begin(s, CLRNN_OP_LINEAR_FWD, z, z->C);
    c->op.linear.O = z->H;
    snprintf(c->what, sizeof(c->what), "O=%u padded=%d", z->H, z->padded);
    clrnn_check_real(c, LINEAR_X, clrnn_case_rows(z) * z->C);
    clrnn_check_real(c, LINEAR_WEIGHT, (size_t)z->H * z->C);
    clrnn_check_real(c, LINEAR_BIAS, z->H);
    clrnn_case_lengths(s, z, LINEAR_LENGTHS);
    clrnn_case_poison(s, z, LINEAR_X, z->C);
    clrnn_check_out_rows(c, LINEAR_Y, z->H, 0);
    TRY(clrnn_case_run(s));

    clrnn_case_begin(s, CLRNN_OP_LINEAR_BWD, z, z->C);
    c->op.linear.O = z->H;
    snprintf(c->what, sizeof(c->what), "O=%u padded=%d", z->H, z->padded);
    clrnn_check_real(c, LINEAR_BWD_X, clrnn_case_rows(z) * z->C);
    clrnn_check_real(c, LINEAR_BWD_WEIGHT, (size_t)z->H * z->C);
    clrnn_check_real(c, LINEAR_BWD_DY, clrnn_case_rows(z) * z->H);
    clrnn_case_lengths(s, z, LINEAR_BWD_LENGTHS);
    clrnn_case_poison(s, z, LINEAR_BWD_X, z->C);
    clrnn_case_poison(s, z, LINEAR_BWD_DY, z->H);
    clrnn_check_out_rows(c, LINEAR_DX, z->C, 0);
    clrnn_case_out(s, LINEAR_DWEIGHT, (size_t)z->H * z->C);
    clrnn_case_out(s, LINEAR_DBIAS, z->H);
    return clrnn_case_run(s);
}
