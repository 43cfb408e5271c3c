// SPDX-License-Identifier: MIT
// Internals of the search for a learning rate.
#ifndef CLRNN_SRC_SEARCH_LR_FIND_H
#define CLRNN_SRC_SEARCH_LR_FIND_H

#include "clrnn/search.h"
#include "train/session.h"

struct clrnn_lr_finder {
    struct clrnn_device *device;
    const struct clrnn_log *log;
    const struct clrnn_config *config;
    const struct clrnn_lr_params *params; // with zeros replaced by defaults
    struct clrnn_data_sets data;
    struct clrnn_lr_result *result;
};

/** Runs the range test: fills in curve, steepest, lowest, diverged and classic. */
enum clrnn_status clrnn_lr_range(struct clrnn_lr_finder *f);

/** Runs the short trainings around the lr that the curve suggests, and chooses the lr to suggest. */
enum clrnn_status clrnn_lr_trials(struct clrnn_lr_finder *f);

/** Writes lr-find.json and lr-find.svg into result->folder. */
enum clrnn_status clrnn_lr_save(const struct clrnn_lr_finder *f);

#endif
