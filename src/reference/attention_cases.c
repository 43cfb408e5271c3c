// SPDX-License-Identifier: MIT
// Test cases of attention pooling (cases.h).
#include <stdio.h>

#include "base/log.h"
#include "reference/cases.h"

// Fills share [rows], in place of the softmax that forward computes: 1 / length in the valid steps of a sample, and 0
// in padding.
static void make_shares(struct clrnn_check *c, float *share, const int32_t *lengths)
{
    for (uint32_t n = 0; share && n < c->op.N; n++) {
        const uint32_t length = lengths ? (uint32_t)lengths[n] : c->op.T;

        for (uint32_t t = 0; t < c->op.T; t++)
            share[t * c->op.N + n] = t < length ? 1.0f / (float)length : 0.0f;
    }
}

enum clrnn_status clrnn_attention_cases(struct clrnn_cases *s, const struct clrnn_case_size *z)
{
    struct clrnn_check *c = s->check;
    const size_t rows = clrnn_case_rows(z);

    if (z->sums)
        return CLRNN_OK;
    clrnn_case_begin(s, CLRNN_OP_ATTENTION_FWD, z, z->C);
    snprintf(c->what, sizeof(c->what), "A=%u padded=%d", z->H, z->padded);
    c->op.attention.A = z->H;
    clrnn_check_real(c, ATTENTION_X, rows * z->C);
    clrnn_case_lengths(s, z, ATTENTION_LENGTHS);
    clrnn_case_poison(s, z, ATTENTION_X, z->C);
    clrnn_check_real(c, ATTENTION_WEIGHT, (size_t)z->H * z->C);
    clrnn_check_real(c, ATTENTION_BIAS, z->H);
    clrnn_check_real(c, ATTENTION_V, z->H);
    clrnn_case_out(s, ATTENTION_Y, (size_t)z->N * z->C);
    clrnn_check_out_rows(c, ATTENTION_HIDDEN, z->H, 0);
    clrnn_check_out_rows(c, ATTENTION_SHARE, 1, 0);
    TRY(clrnn_case_run(s));

    clrnn_case_begin(s, CLRNN_OP_ATTENTION_BWD, z, z->C);
    snprintf(c->what, sizeof(c->what), "A=%u padded=%d", z->H, z->padded);
    c->op.attention.A = z->H;
    clrnn_check_real(c, ATTENTION_BWD_X, rows * z->C);
    clrnn_case_lengths(s, z, ATTENTION_BWD_LENGTHS);
    clrnn_case_poison(s, z, ATTENTION_BWD_X, z->C);
    clrnn_check_real(c, ATTENTION_BWD_WEIGHT, (size_t)z->H * z->C);
    clrnn_check_real(c, ATTENTION_BWD_V, z->H);
    clrnn_case_scale(clrnn_check_real(c, ATTENTION_BWD_HIDDEN, rows * z->H), rows * z->H, 0.2f);
    make_shares(c, clrnn_check_real(c, ATTENTION_BWD_SHARE, rows),
                z->padded ? c->in[ATTENTION_BWD_LENGTHS].word : NULL);
    clrnn_check_real(c, ATTENTION_BWD_DY, (size_t)z->N * z->C);
    clrnn_check_out_rows(c, ATTENTION_DX, z->C, 0);
    clrnn_case_out(s, ATTENTION_DWEIGHT, (size_t)z->H * z->C);
    clrnn_case_out(s, ATTENTION_DBIAS, z->H);
    clrnn_case_out(s, ATTENTION_DV, z->H);
    return clrnn_case_run(s);
}
