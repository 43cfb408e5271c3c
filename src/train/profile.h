// SPDX-License-Identifier: MIT
// Time of each launch of the training plans, grouped by op.
#ifndef CLRNN_SRC_TRAIN_PROFILE_H
#define CLRNN_SRC_TRAIN_PROFILE_H

#include "model/plan.h"

#define PROFILE_PLANS 16u // not more than the capacity of the plan cache

/** The most recently used training plans. */
struct clrnn_profile {
    bool on;
    size_t count;
    struct clrnn_plan *plan[PROFILE_PLANS];
};

void clrnn_profile_add(struct clrnn_profile *profile, struct clrnn_plan *plan);
/** Reads the event times recorded so far. */
enum clrnn_status clrnn_profile_fetch(struct clrnn_profile *profile);
/** Logs the table at INFO. */
enum clrnn_status clrnn_profile_print(struct clrnn_profile *profile, const struct clrnn_log *log);

#endif
