// SPDX-License-Identifier: MIT
// Cases of the losses.
#include <stdio.h>

#include "base/log.h"
#include "reference/cases.h"

static enum clrnn_status loss(struct clrnn_cases *s, const struct clrnn_case_size *z,
                              enum clrnn_loss_kind kind)
{
    struct clrnn_check *c = s->check;
    const bool classes = kind == CLRNN_LOSS_CROSS_ENTROPY || kind == CLRNN_LOSS_NLL;
    const uint32_t C = classes ? z->C : 1;
    float *target;

    clrnn_case_begin(s, CLRNN_OP_LOSS, z, C);
    snprintf(c->what, sizeof(c->what), "loss=%d padded=%d", kind, z->padded);
    c->op.loss.kind = kind;
    c->op.loss.label_smoothing = kind == CLRNN_LOSS_CROSS_ENTROPY && z->padded ? 0.1 : 0;
    c->op.loss.ignore_index = 0;
    c->op.loss.slots = CLRNN_CASE_RECORDS;
    clrnn_check_real(c, LOSS_X, clrnn_case_rows(z) * C);
    if (classes) {
        clrnn_check_int(c, LOSS_TARGET, clrnn_case_rows(z), 0, (int32_t)C - 1);
    } else {
        target = clrnn_check_real(c, LOSS_TARGET, clrnn_case_rows(z));
        for (size_t r = 0; target && kind == CLRNN_LOSS_BCE_WITH_LOGITS && r < clrnn_case_rows(z); r++)
            target[r] = target[r] > 0;
    }
    if (kind != CLRNN_LOSS_MSE)
        clrnn_case_positive(clrnn_check_real(c, LOSS_WEIGHT, C), C, 0.1f);
    clrnn_check_counter(c, LOSS_COUNTER, 17, CLRNN_CASE_RECORD);
    clrnn_case_lengths(s, z, LOSS_LENGTHS);
    clrnn_case_poison(s, z, LOSS_X, C);
    clrnn_check_out_rows(c, LOSS_DX, C, 0);
    clrnn_check_updated(c, LOSS_RECORD, CLRNN_CASE_RECORDS * RECORD_FIELDS, 0);
    return clrnn_case_run(s);
}

enum clrnn_status clrnn_loss_cases(struct clrnn_cases *s, const struct clrnn_case_size *z)
{
    for (int kind = CLRNN_LOSS_CROSS_ENTROPY; kind <= CLRNN_LOSS_MSE; kind++)
        if (!z->sums || kind == CLRNN_LOSS_CROSS_ENTROPY)
            TRY(loss(s, z, (enum clrnn_loss_kind)kind));
    return CLRNN_OK;
}
