// SPDX-License-Identifier: MIT
// The watch warns during a training run that does not learn. It checks the step records that the run reads anyway, and
// warns at most once of each finding.
#ifndef CLRNN_SRC_TRAIN_WATCH_H
#define CLRNN_SRC_TRAIN_WATCH_H

#include "model/model.h"
#include "train/dataset.h"
#include "train/findings.h"
#include "train/run_folder.h"

struct clrnn_watch {
    bool on, resumed;
    bool weighted; // whether the samples have weights; the sums below ignore them
    const struct clrnn_log *log;
    const struct clrnn_config *config;
    const char *folder;    // the run's folder, which holds config.yaml
    uint64_t steps, total; // steps done so far, also before a resume; steps of the whole run
    double constant,       // loss of the best constant answer; NaN: unknown (mse: computed from the sums below)
        most;              // accuracy of the best constant answer; NaN: unknown
    // mse: sums over the targets seen
    double y,             // sum of y
        yy,               // sum of y^2
        count;            // number of targets
    double first_loss;    // mean loss of the first FIRST_STEPS steps
    uint32_t first_count, // steps in first_loss
        still,            // consecutive steps with gradient 0
        flat;             // consecutive epochs with a flat loss
    double last_lr;
    double asked_lr;       // lr when the weights were last read to check a tiny lr; 0: never
    float *sample;         // weights at the first measurement of the update ratio; freed after the second
    uint64_t sample_steps; // steps done at the first measurement
    double ratio;          // |update| / |weight| per step at the start; NaN: not measured
    bool told[CLRNN_FINDING_COUNT];
};

/** Begins the watch. `on` false: the watch never warns. `folder`: the path of the run's folder, which must outlive the
 * watch. `batches`: training steps per epoch. `steps`: steps done before, in a resumed run. Errors:
 * CLRNN_ERR_MEMORY. */
enum clrnn_status clrnn_watch_init(struct clrnn_watch *watch, bool on, const struct clrnn_model *model,
                                   const struct clrnn_dataset *train, const char *folder, uint64_t batches,
                                   uint64_t steps);
void clrnn_watch_finish(struct clrnn_watch *watch);

/** Checks a step's record and warns. Call it for all steps in order. */
void clrnn_watch_step(struct clrnn_watch *watch, const double record[RECORD_FIELDS], double loss, double lr);

/** Reads weights from the device if a check needs them: twice at the start, and once for each halving of a tiny lr.
 * Call it after records were read, when nothing is queued on the device. */
enum clrnn_status clrnn_watch_weights(struct clrnn_watch *watch, struct clrnn_model *model);

/** Checks the metrics of a whole epoch and warns. */
void clrnn_watch_epoch(struct clrnn_watch *watch, const struct clrnn_epoch_row *row);

#endif
