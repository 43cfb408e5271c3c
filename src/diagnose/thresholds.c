// SPDX-License-Identifier: MIT
// The values of the thresholds.
#include "diagnose/thresholds.h"

const struct clrnn_thresholds clrnn_threshold = {
#define X(name, value, source) .name = value,
    CLRNN_THRESHOLD_LIST(X)
#undef X
};
