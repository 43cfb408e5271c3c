// SPDX-License-Identifier: MIT
// For `clrnn plan`: how many bytes training in shards exchanges per step, and what several ranks may gain.
#ifndef CLRNN_SRC_TRAIN_SPEEDUP_H
#define CLRNN_SRC_TRAIN_SPEEDUP_H

#include <jansson.h>
#include <stdio.h>

#include "clrnn/train.h"
#include "model/plan.h"

struct clrnn_speedup;

/** Takes the plan of one shard, which must outlive the result, with its model's gradients cut. If there is a
 * network, runs the plan and the update a few times. Errors: as clrnn_plan_create and clrnn_plan_run. */
enum clrnn_status clrnn_speedup_create(struct clrnn_plan *plan, const struct clrnn_network *network,
                                       struct clrnn_speedup **speedup);
void clrnn_speedup_destroy(struct clrnn_speedup **speedup);

void clrnn_speedup_text(const struct clrnn_speedup *speedup, FILE *out);
json_t *clrnn_speedup_json(const struct clrnn_speedup *speedup);

#endif
