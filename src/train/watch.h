// SPDX-License-Identifier: MIT
// The watch cheaply checks the records that a training run reads back, and gives at most one warning per
// finding.
#ifndef CLRNN_SRC_TRAIN_WATCH_H
#define CLRNN_SRC_TRAIN_WATCH_H

#include "model/model.h"
#include "train/dataset.h"
#include "train/findings.h"
#include "train/run_folder.h"

struct clrnn_watch {
    bool on, resumed;
    const struct clrnn_log *log;
    const struct clrnn_config *config;
    const char *folder;    // the run's folder, which holds config.yaml
    uint64_t steps, total; // steps seen so far; steps of the whole run
    double constant, most; // loss and accuracy of the best constant answer; NaN: unknown (mse: from records)
    double y, yy, count;   // mse: sums of y and of y^2 over the targets seen, and their number
    double first_loss;     // mean loss of the first FIRST_STEPS steps
    uint32_t first_count, still, flat; // still: steps in a row with gradient 0; flat: flat epochs in a row
    double last_lr;
    double asked_lr;       // lr at the last check of the weights for a tiny lr; 0: never
    float *sample;         // weights at the first measurement of the update ratio; freed after the second
    uint64_t sample_steps; // steps done at the first measurement
    double ratio;          // |update| / |weight| per step at the start; NaN: not measured
    bool told[CLRNN_FINDING_COUNT];
};

/** `on` false: the watch does nothing. `folder` of the run must outlive the watch. `steps`: steps done
 * before, if the run is resumed. CLRNN_ERR_MEMORY. */
enum clrnn_status clrnn_watch_init(struct clrnn_watch *watch, bool on, const struct clrnn_model *model,
                                   const struct clrnn_dataset *train, const char *folder, uint64_t batches,
                                   uint64_t steps);
void clrnn_watch_finish(struct clrnn_watch *watch);

/** Checks a step's record. Call it for the steps in order. */
void clrnn_watch_step(struct clrnn_watch *watch, const double record[RECORD_FIELDS], double loss, double lr);

/** Reads weights if a check needs them: twice at the start, and once for each halving of a tiny lr. To be
 * called when records were read and nothing is queued. */
enum clrnn_status clrnn_watch_weights(struct clrnn_watch *watch, struct clrnn_model *model);

void clrnn_watch_epoch(struct clrnn_watch *watch, const struct clrnn_epoch_row *row);

#endif
