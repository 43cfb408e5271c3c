// SPDX-License-Identifier: MIT
// The state of a training run, for train.c (preparation and end) and loop.c (steps).
#ifndef CLRNN_SRC_TRAIN_LOOP_H
#define CLRNN_SRC_TRAIN_LOOP_H

#include "model/checkpoint.h"
#include "train/metrics.h"
#include "train/profile.h"
#include "train/run_folder.h"
#include "train/session.h"
#include "train/tensorboard.h"
#include "train/watch.h"

#define LOOP_QUEUE 64u // most steps between two reads of the records: bounds the queue and Ctrl-C's delay

/** Steps whose records have not been read yet. */
struct clrnn_loop_queue {
    uint32_t count, limit;
    uint32_t samples[LOOP_QUEUE]; // begun in this step
    double weight[LOOP_QUEUE];    // as struct clrnn_session
    double lr[LOOP_QUEUE];
    double record[LOOP_QUEUE * RECORD_FIELDS]; // as read
};

struct clrnn_loop {
    const struct clrnn_train_params *params;
    const struct clrnn_log *log;
    struct clrnn_device *device;
    const struct clrnn_config *config; // the model's, once there is one
    struct clrnn_model *model;
    struct clrnn_data_sets data;
    struct clrnn_data_identity identity; // of the data
    struct clrnn_naive naive;            // of the validation set, else of the training set
    struct clrnn_session *train;         // of the model
    struct clrnn_turns *valid;           // the same, or NULL
    struct clrnn_team *team;             // of this process: `device` and the further ones
    struct clrnn_follower {
        struct clrnn_model *model;
        struct clrnn_session *train;
    } * follower; // of each further device, with a thread while the loop runs
    struct clrnn_run_folder folder;
    struct clrnn_tfevents *events; // NULL without train.tensorboard
    struct clrnn_profile profile;
    struct clrnn_watch watch;
    struct clrnn_progress_state state;

    struct clrnn_loop_queue queue;
    uint64_t done;                 // steps whose records were read
    uint64_t kept_epochs;          // whole epochs that last.safetensors knows of
    double last_loss, last_weight; // of the step read last
    struct clrnn_metrics metrics;  // of the validation set; its confusion, or NULL, is the loop's

    double called, pictures_ended, pictures_took;     // pictures: of the last time, 0: none yet
    double kept;                                      // when a checkpoint was written
    double started, epoch_started, last_read, shown;  // seconds of the monotonic clock
    double former_seconds;                            // of the epochs before a resume
    double train_seconds;                             // of this epoch's training alone
    uint64_t steps_here, samples_here, epoch_samples; // in this process; in this epoch of this process
    double train_seconds_here;
    uint32_t largest_batch; // of a step so far
    bool chained;           // whether the last step of a batch of that size ran as chains
    size_t pace_count;      // one entry each time records are read: seconds a step, and steps
    struct clrnn_loop_pace {
        double seconds;
        uint32_t steps;
    } * pace;
};

/** Whether every step to come can be made: CLRNN_ERR_CONFIG where one_cycle_lr would be stepped past its end,
 * or batchnorm get a single value. */
enum clrnn_status clrnn_loop_check(const struct clrnn_loop *loop);

/** Trains until all epochs are done or early stopping. CLRNN_INTERRUPTED: a checkpoint was written. */
enum clrnn_status clrnn_loop_run(struct clrnn_loop *loop);

// ---------------------------------------------------------------- report.c

/** Logs what the data sets are, and what predictions without a model are worth on a series. CLRNN_ERR_MEMORY.
 */
enum clrnn_status clrnn_report_data(struct clrnn_loop *loop);

/** Fills in the result as far as the run got. */
void clrnn_report_result(struct clrnn_loop *loop, struct clrnn_train_result *result);

/** After an epoch: summary.json, and the pictures where drawing them takes little of the run's time. */
enum clrnn_status clrnn_report_epoch(struct clrnn_loop *loop);

/** At the end: summary.json and the pictures. */
enum clrnn_status clrnn_report_end(struct clrnn_loop *loop, const struct clrnn_train_result *result,
                                   bool summary);

#endif
