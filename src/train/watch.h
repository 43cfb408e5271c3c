// SPDX-License-Identifier: MIT
// The watch: cheap checks on what a training run reads back anyway, and one warning for each thing found.
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
    const char *folder;    // of the run, which holds config.yaml
    uint64_t steps, total; // seen; of the whole run
    double constant, most; // loss and accuracy of the best constant answer; NaN: not known, mse: by records
    double y, yy, count;   // mse: sums over the targets seen
    double first_loss;     // mean of the first FIRST_STEPS steps
    uint32_t first_count, still, flat; // still, flat: steps, epochs in a row
    double last_lr;
    double asked_lr;       // lr at which the weights were last measured for it; 0: never
    float *sample;         // weights after the first look, for the update ratio; then gone
    uint64_t sample_steps; // steps done by then
    double ratio;          // update over weight per step at the start, NaN: not measured
    bool told[CLRNN_FINDING_COUNT];
};

/** `on` false: it does nothing. `folder`, the run's, is kept. `steps`: of the run so far, where it is
 * resumed. CLRNN_ERR_MEMORY. */
enum clrnn_status clrnn_watch_init(struct clrnn_watch *watch, bool on, const struct clrnn_model *model,
                                   const struct clrnn_dataset *train, const char *folder, uint64_t batches,
                                   uint64_t steps);
void clrnn_watch_finish(struct clrnn_watch *watch);

/** A step's record, in order. */
void clrnn_watch_step(struct clrnn_watch *watch, const double record[RECORD_FIELDS], double loss, double lr);

/** After some records were read and nothing is queued: reads weights where a check asks for them, which is
 *  twice at the start and once for each halving of an lr that is tiny. */
enum clrnn_status clrnn_watch_weights(struct clrnn_watch *watch, struct clrnn_model *model);

void clrnn_watch_epoch(struct clrnn_watch *watch, const struct clrnn_epoch_row *row);

#endif
