// SPDX-License-Identifier: MIT
// Test cases of the pools over time (cases.h).
#include <stdio.h>

#include "base/log.h"
#include "reference/cases.h"

static enum clrnn_status pool(struct clrnn_cases *s, const struct clrnn_case_size *z, enum clrnn_pool_over over)
{
    struct clrnn_check *c = s->check;
    const uint32_t C = 2 * z->C; // features of both directions
    int32_t *step = NULL;

    clrnn_case_begin(s, CLRNN_OP_POOL_FWD, z, C);
    c->op.pool.over = over;
    c->op.pool.D = 2;
    snprintf(c->what, sizeof(c->what), "over=%d padded=%d", over, z->padded);
    clrnn_check_real(c, POOL_X, clrnn_case_rows(z) * C);
    clrnn_case_lengths(s, z, POOL_LENGTHS);
    clrnn_case_poison(s, z, POOL_X, C);
    clrnn_case_out(s, POOL_Y, (size_t)z->N * C);
    if (over == CLRNN_POOL_MAX)
        clrnn_check_out(c, POOL_ARGMAX, CLRNN_I32, (size_t)z->N * C, 0);
    TRY(clrnn_case_run(s));

    clrnn_case_begin(s, CLRNN_OP_POOL_BWD, z, C);
    c->op.pool.over = over;
    c->op.pool.D = 2;
    snprintf(c->what, sizeof(c->what), "over=%d padded=%d", over, z->padded);
    clrnn_case_lengths(s, z, POOL_BWD_LENGTHS);
    if (over == CLRNN_POOL_MAX)
        step = clrnn_check_int(c, POOL_BWD_ARGMAX, (size_t)z->N * C, 0, (int32_t)z->T - 1);
    for (uint32_t i = 0; step && z->padded && !c->no_memory && i < z->N * C; i++)
        step[i] %= c->in[POOL_BWD_LENGTHS].word[i / C];
    clrnn_check_real(c, POOL_BWD_DY, (size_t)z->N * C);
    clrnn_check_out_rows(c, POOL_DX, C, 0);
    return clrnn_case_run(s);
}

enum clrnn_status clrnn_pool_cases(struct clrnn_cases *s, const struct clrnn_case_size *z)
{
    for (int over = CLRNN_POOL_LAST; !z->sums && over <= CLRNN_POOL_MAX; over++)
        TRY(pool(s, z, (enum clrnn_pool_over)over));
    return CLRNN_OK;
}
