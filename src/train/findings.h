// SPDX-License-Identifier: MIT
// The findings of the doctor and of a training run's watch, from findings.def.
#ifndef CLRNN_SRC_TRAIN_FINDINGS_H
#define CLRNN_SRC_TRAIN_FINDINGS_H

#include "clrnn/diagnose.h"

/** CLRNN_FINDING_SOFTMAX_BEFORE_CROSS_ENTROPY etc., in the table's order. */
enum clrnn_finding_kind {
#define X(ident, id, severity, page, meaning, cost, remedy) CLRNN_FINDING_##ident,
#include "train/findings.def"
#undef X
    CLRNN_FINDING_COUNT
};

/** The table, [CLRNN_FINDING_COUNT]. */
extern const struct clrnn_finding_info clrnn_finding_table[];

#endif
