// SPDX-License-Identifier: MIT
// The plan of a config's batch in the shape of its data, to be looked at and not run.
#ifndef CLRNN_SRC_TRAIN_ONE_BATCH_H
#define CLRNN_SRC_TRAIN_ONE_BATCH_H

#include "model/plan.h"
#include "train/dataset.h"

/** Zeroed before use and finished after it, whatever came between. */
struct clrnn_one_batch {
    struct clrnn_dataset *dataset; // of which only the shapes were read
    struct clrnn_model *model;
    struct clrnn_plan_data data;
    struct clrnn_plan *plan;
};

/** Errors: as clrnn_train; what was made by then is finish's. */
enum clrnn_status clrnn_one_batch_init(struct clrnn_device *device, const struct clrnn_config *config,
                                       enum clrnn_mode mode, struct clrnn_one_batch *batch);
void clrnn_one_batch_finish(struct clrnn_one_batch *batch);

#endif
