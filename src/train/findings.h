// SPDX-License-Identifier: MIT
// The findings that `clrnn doctor` and the checks of a training run (train/watch.h) can report.
#ifndef CLRNN_SRC_TRAIN_FINDINGS_H
#define CLRNN_SRC_TRAIN_FINDINGS_H

#include "clrnn/diagnose.h"

/** A constant for each row of findings.def, in order: CLRNN_FINDING_SOFTMAX_BEFORE_CROSS_ENTROPY, ... */
enum clrnn_finding_kind {
#define X(ident, id, severity, page, meaning, cost, remedy) CLRNN_FINDING_##ident,
#include "train/findings.def"
#undef X
    CLRNN_FINDING_COUNT
};

/** The table of findings, indexed by enum clrnn_finding_kind, [CLRNN_FINDING_COUNT]. */
extern const struct clrnn_finding_info clrnn_finding_table[];

#endif
