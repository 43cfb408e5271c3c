// SPDX-License-Identifier: MIT
// Adds up the time of each launch of the training plans, grouped by op, for `clrnn train --profile`.
#ifndef CLRNN_SRC_TRAIN_PROFILE_H
#define CLRNN_SRC_TRAIN_PROFILE_H

#include "model/plan.h"

// Most plans that have run since their times were read. The plan cache holds at least 32 plans, so it has not destroyed
// these.
#define PROFILE_PLANS 16u

struct clrnn_profile {
    bool on;
    size_t plan_count, sum_count;
    struct clrnn_plan *plan[PROFILE_PLANS]; // plans that have run since their times were read
    struct clrnn_profile_sum {
        char *op, *kernel;
        double seconds;
        uint64_t runs;
    } * sum; // [sum_count] what was read: an entry for each op and kernel, in the order of the first launches
};

/** Notes that a plan has run. Does nothing unless `on`. Errors: as clrnn_profile_fetch. */
enum clrnn_status clrnn_profile_add(struct clrnn_profile *profile, struct clrnn_plan *plan);
/** Waits for the plans that have run, and adds the times of their launches to the sums. Errors: CLRNN_ERR_MEMORY, as
 * clrnn_launches_profile. */
enum clrnn_status clrnn_profile_fetch(struct clrnn_profile *profile);
/** Logs the table of times at INFO. Does nothing unless `on`. */
enum clrnn_status clrnn_profile_print(struct clrnn_profile *profile, const struct clrnn_log *log);
void clrnn_profile_finish(struct clrnn_profile *profile);

#endif
