// SPDX-License-Identifier: MIT
// The findings that the doctor and the watch of a training run can report, from findings.def.
#ifndef CLRNN_SRC_TRAIN_FINDINGS_H
#define CLRNN_SRC_TRAIN_FINDINGS_H

#include "clrnn/diagnose.h"

/** CLRNN_FINDING_SOFTMAX_BEFORE_CROSS_ENTROPY and so on, in the table's order. */
enum clrnn_finding_kind {
#define X(ident, id, severity, page, meaning, cost, remedy) CLRNN_FINDING_##ident,
#include "train/findings.def"
#undef X
    CLRNN_FINDING_COUNT
};

/** The table, [CLRNN_FINDING_COUNT]. */
extern const struct clrnn_finding_info clrnn_finding_table[];

#endif
