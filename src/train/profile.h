// SPDX-License-Identifier: MIT
// Adds up the time of each launch of the training plans, grouped by op, for `clrnn train --profile`.
#ifndef CLRNN_SRC_TRAIN_PROFILE_H
#define CLRNN_SRC_TRAIN_PROFILE_H

#include "model/plan.h"

// Number of plans whose times are added up. The plan cache holds at least 32 plans, so it has not destroyed these.
#define PROFILE_PLANS 16u

/** The most recently used training plans, the latest first. */
struct clrnn_profile {
    bool on;
    size_t count;
    struct clrnn_plan *plan[PROFILE_PLANS];
};

void clrnn_profile_add(struct clrnn_profile *profile, struct clrnn_plan *plan);
/** Reads the times of the OpenCL events recorded so far. */
enum clrnn_status clrnn_profile_fetch(struct clrnn_profile *profile);
/** Logs the table of times at INFO. Does nothing unless `on`. */
enum clrnn_status clrnn_profile_print(struct clrnn_profile *profile, const struct clrnn_log *log);

#endif
