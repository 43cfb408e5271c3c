// SPDX-License-Identifier: MIT
// Test cases of the losses (cases.h).
#include <math.h>
#include <stdio.h>

#include "base/log.h"
#include "reference/cases.h"

// Adds real targets [rows, targets], of which some are missing (NaN) if the shape is padded. Adds LOSS_WEIGHT:
// pos_weight for bce_with_logits, the quantiles for quantile. Adds label weights for bce_with_logits. For the other
// losses adds the scale of the targets, if the shape is padded.
static void add_reals(struct clrnn_check *c, const struct clrnn_case_size *z, uint32_t C)
{
    const enum clrnn_loss_kind kind = c->op.loss.kind;
    const bool quantile = kind == CLRNN_LOSS_QUANTILE, binary = kind == CLRNN_LOSS_BCE_WITH_LOGITS;
    const uint32_t Q = quantile ? C % 3 ? C % 2 ? 1 : 2 : 3 : 1, targets = C / Q;
    float *weight = binary || quantile ? clrnn_check_real(c, LOSS_WEIGHT, quantile ? Q : C) : NULL;
    float *target = clrnn_check_real(c, LOSS_TARGET, clrnn_case_rows(z) * targets);

    c->op.loss.quantiles = quantile ? Q : 0;
    c->op.loss.missing = z->padded;
    for (size_t i = 0; target && i < clrnn_case_rows(z) * targets; i++) {
        target[i] = binary ? target[i] > 0 : target[i];
        if (z->padded && clrnn_check_u32(c) % 8 == 0)
            target[i] = NAN;
    }
    for (uint32_t q = 0; weight && q < Q && quantile; q++)
        weight[q] = ((float)q + 0.5f) / (float)Q;
    if (weight && binary)
        clrnn_case_positive(weight, C, 0.1f);
    if (binary)
        clrnn_case_positive(clrnn_check_real(c, LOSS_LABEL_WEIGHT, C), C, 0.1f);
    else if (z->padded)
        clrnn_case_positive(clrnn_check_real(c, LOSS_SCALE, 2 * targets), 2 * targets, 0.1f);
}

static enum clrnn_status loss(struct clrnn_cases *s, const struct clrnn_case_size *z, enum clrnn_loss_kind kind,
                              bool total)
{
    struct clrnn_check *c = s->check;
    const uint32_t C = z->C;

    clrnn_case_begin(s, CLRNN_OP_LOSS, z, C);
    snprintf(c->what, sizeof(c->what), "loss=%d padded=%d total=%d", kind, z->padded, total);
    c->op.loss.kind = kind;
    c->op.loss.total = total;
    c->op.loss.label_smoothing = kind == CLRNN_LOSS_CROSS_ENTROPY && z->padded ? 0.1 : 0;
    c->op.loss.ignore_index = 0;
    c->op.loss.beta = c->op.loss.delta = 0.5;
    c->op.loss.slots = CLRNN_CASE_RECORDS;
    clrnn_check_real(c, LOSS_X, clrnn_case_rows(z) * C);
    if (clrnn_loss_is_classes(kind)) {
        clrnn_check_int(c, LOSS_TARGET, clrnn_case_rows(z), 0, (int32_t)C - 1);
        clrnn_case_positive(clrnn_check_real(c, LOSS_WEIGHT, C), C, 0.1f);
    } else {
        add_reals(c, z, C);
    }
    if (z->padded)
        clrnn_case_positive(clrnn_check_real(c, LOSS_SAMPLE_WEIGHT, z->N), z->N, 0.1f);
    clrnn_check_counter(c, LOSS_COUNTER, 17, CLRNN_CASE_RECORD);
    clrnn_case_lengths(s, z, LOSS_LENGTHS);
    clrnn_case_poison(s, z, LOSS_X, C);
    clrnn_check_out_rows(c, LOSS_DX, C, 0);
    clrnn_check_updated(c, LOSS_RECORD, CLRNN_CASE_RECORDS * RECORD_FIELDS, 0);
    return clrnn_case_run(s);
}

enum clrnn_status clrnn_loss_cases(struct clrnn_cases *s, const struct clrnn_case_size *z)
{
    for (int kind = CLRNN_LOSS_CROSS_ENTROPY; kind < CLRNN_LOSS_CTC; kind++)
        if (!z->sums || kind == CLRNN_LOSS_CROSS_ENTROPY)
            TRY(loss(s, z, (enum clrnn_loss_kind)kind, false));
    TRY(loss(s, z, CLRNN_LOSS_CROSS_ENTROPY, true));
    return z->sums ? CLRNN_OK : loss(s, z, CLRNN_LOSS_MSE, true);
}
