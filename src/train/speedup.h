// SPDX-License-Identifier: MIT
// Computes for `clrnn plan` how many bytes training in shards exchanges per step, and how much faster several ranks may
// be.
#ifndef CLRNN_SRC_TRAIN_SPEEDUP_H
#define CLRNN_SRC_TRAIN_SPEEDUP_H

#include <jansson.h>
#include <stdio.h>

#include "clrnn/train.h"
#include "model/plan.h"

struct clrnn_speedup;

/** `plan`: the plan of one shard. It must outlive the result, and the gradients of its model must be divided into
 * buckets (clrnn_model_cut). If network->bytes_per_s is above 0, runs the plan and the update a few times to measure
 * them. Errors: as clrnn_plan_create and clrnn_plan_run. */
enum clrnn_status clrnn_speedup_create(struct clrnn_plan *plan, const struct clrnn_network *network,
                                       struct clrnn_speedup **speedup);
void clrnn_speedup_destroy(struct clrnn_speedup **speedup);

void clrnn_speedup_text(const struct clrnn_speedup *speedup, FILE *out);
json_t *clrnn_speedup_json(const struct clrnn_speedup *speedup);

#endif
