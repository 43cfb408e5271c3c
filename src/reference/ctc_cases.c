// SPDX-License-Identifier: MIT
// Test cases of connectionist temporal classification (cases.h).
#include <stdio.h>

#include "base/array.h"
#include "base/log.h"
#include "reference/cases.h"

// Adds targets of random lengths: at most L labels, and at most half as many labels (rounded up) as the sample has
// steps. So every target has a path, even if all its labels are equal and need blanks between them.
static void make_targets(struct clrnn_check *c, uint32_t L)
{
    int32_t *target = clrnn_check_int(c, CTC_TARGET, (size_t)L * c->op.N, 1, (int32_t)c->op.C - 1);
    int32_t *labels = clrnn_check_int(c, CTC_TARGET_LENGTHS, c->op.N, 0, (int32_t)L);
    const int32_t *steps = c->in[CTC_LENGTHS].word;

    for (uint32_t n = 0; target && labels && n < c->op.N; n++)
        labels[n] = MIN2(labels[n], ((steps ? steps[n] : (int32_t)c->op.T) + 1) / 2);
}

static enum clrnn_status ctc(struct clrnn_cases *s, const struct clrnn_case_size *z, bool zero, bool weighted,
                             bool total)
{
    struct clrnn_check *c = s->check;
    const uint32_t C = z->C + 1, L = z->T / 2 + 1;

    clrnn_case_begin(s, CLRNN_OP_CTC, z, C);
    snprintf(c->what, sizeof(c->what), "zero_infinity=%d weighted=%d padded=%d total=%d", zero, weighted, z->padded,
             total);
    c->op.ctc = (struct clrnn_ctc_attributes){
        .L = L, .blank = 0, .slots = CLRNN_CASE_RECORDS, .zero_infinity = zero, .total = total};
    clrnn_check_real(c, CTC_X, clrnn_case_rows(z) * C);
    clrnn_case_lengths(s, z, CTC_LENGTHS);
    clrnn_case_poison(s, z, CTC_X, C);
    make_targets(c, L);
    if (zero && c->in[CTC_TARGET_LENGTHS].word)
        c->in[CTC_TARGET_LENGTHS].word[0] = (int32_t)L; // may need more steps than the sample has
    clrnn_check_counter(c, CTC_COUNTER, 41, CLRNN_CASE_RECORD);
    if (weighted)
        clrnn_case_positive(clrnn_check_real(c, CTC_SAMPLE_WEIGHT, z->N), z->N, 0.1f);
    clrnn_check_out_rows(c, CTC_DX, C, 0);
    clrnn_check_updated(c, CTC_RECORD, (size_t)CLRNN_CASE_RECORDS * RECORD_FIELDS, 0);
    return clrnn_case_run(s);
}

enum clrnn_status clrnn_ctc_cases(struct clrnn_cases *s, const struct clrnn_case_size *z)
{
    if (z->sums)
        return CLRNN_OK;
    TRY(ctc(s, z, true, false, false));
    TRY(ctc(s, z, true, true, false));
    return ctc(s, z, true, true, true);
}
