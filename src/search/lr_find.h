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
    const struct clrnn_lr_params *params; // a copy in which zeros are replaced by defaults
    struct clrnn_data_sets data;
    struct clrnn_lr_result *result;
};

/** Runs the range test, training steps with a rising learning rate. Fills in curve, steepest, lowest, diverged and
 * classic of f->result. */
enum clrnn_status clrnn_lr_range(struct clrnn_lr_finder *f);

/** Runs short trainings at about the learning rate that the range test's curve suggests, and at higher and lower rates.
 * Fills in trial, best_trial and suggestion of f->result. */
enum clrnn_status clrnn_lr_trials(struct clrnn_lr_finder *f);

/** Writes lr-find.json and, if a picture is wanted, lr-find.svg into f->result->folder. */
enum clrnn_status clrnn_lr_save(const struct clrnn_lr_finder *f);

#endif
