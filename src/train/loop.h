// SPDX-License-Identifier: MIT
// The state of a training run, shared by train.c (preparation and end) and loop.c (steps).
#ifndef CLRNN_SRC_TRAIN_LOOP_H
#define CLRNN_SRC_TRAIN_LOOP_H

#include "model/checkpoint.h"
#include "train/metrics.h"
#include "train/profile.h"
#include "train/run_folder.h"
#include "train/session.h"
#include "train/tensorboard.h"
#include "train/watch.h"

// Largest number of steps that are queued between two reads of their records. It limits how long Ctrl-C takes to end a
// run.
#define LOOP_QUEUE 64u

/** Steps that are queued and whose records are to be read together. */
struct clrnn_loop_queue {
    uint32_t count, limit;        // limit: when `count` reaches it, the records are read
    uint32_t samples[LOOP_QUEUE]; // samples in the batch that begins in this step; 0: none begins
    double weight[LOOP_QUEUE];    // weight of each step, as in struct clrnn_session
    double lr[LOOP_QUEUE];
    double record[LOOP_QUEUE * RECORD_FIELDS]; // the steps' records (cl/slots.h) after they were read
};

struct clrnn_loop {
    const struct clrnn_train_params *params;
    const struct clrnn_log *log;
    struct clrnn_device *device;
    const struct clrnn_config *config; // the model's config; NULL before there is a model
    struct clrnn_model *model;
    struct clrnn_data_sets data;
    struct clrnn_data_identity identity; // identifies the data
    struct clrnn_naive naive;            // naive predictions on the validation set, else on the training set
    struct clrnn_session *train;         // trains the model
    struct clrnn_turns *valid;           // evaluates the model on the validation set; or NULL
    struct clrnn_team *team;             // workers of this process: `device` and the further devices
    struct clrnn_follower {
        struct clrnn_model *model;
        struct clrnn_session *train;
    } * follower; // [further devices], each with a thread while the loop runs
    struct clrnn_run_folder folder;
    struct clrnn_tfevents *events; // NULL without train.tensorboard
    struct clrnn_profile profile;
    struct clrnn_watch watch;
    struct clrnn_progress_state state;

    struct clrnn_loop_queue queue;
    uint64_t done;                 // steps whose records were read
    uint64_t kept_epochs;          // whole epochs trained up to the checkpoint last.safetensors
    double last_loss, last_weight; // loss and RECORD_WEIGHT of the step whose record was read last
    bool unmonitored;              // whether it was logged that the metric of early stopping is undefined
    struct clrnn_metrics metrics;  // of the validation set; the loop owns metrics.confusion, which may be NULL

    // Times of the monotonic clock and durations, all in seconds.
    double called,             // time of the call of clrnn_train
        pictures_ended,        // time when the last drawing of pictures ended; 0: none was drawn
        pictures_took;         // duration of the last drawing of pictures
    double kept;               // time of the last checkpoint
    double started,            // time when the loop started
        epoch_started,         // time when the epoch started
        last_read,             // time when records were read last
        shown;                 // time when progress was shown last
    double former_seconds;     // duration of the epochs before a resume
    double train_seconds;      // duration of this epoch's training, without validation
    uint64_t steps_here,       // steps of this process
        samples_here,          // samples of the epochs that this process has trained
        epoch_samples;         // samples of this epoch that this process has trained so far
    double train_seconds_here; // sum of train_seconds over all epochs of this process
    uint32_t largest_batch;    // largest number of samples in a step so far
    bool chained;              // whether the last step with that many samples ran as chains (device/list/replay.h)
    size_t pace_count;
    struct clrnn_loop_pace {
        double seconds; // duration of one step
        uint32_t steps; // number of steps whose records were read together
    } * pace;           // [pace_count] one entry for each read of records
};

/** Checks in advance that every step can run. CLRNN_ERR_CONFIG where one_cycle_lr would be stepped past its end, or
 * batchnorm would get a single value per channel. */
enum clrnn_status clrnn_loop_check(const struct clrnn_loop *loop);

/** Trains until all epochs are done or early stopping ends the run. CLRNN_INTERRUPTED: params->stop was set; a
 * checkpoint was written. */
enum clrnn_status clrnn_loop_run(struct clrnn_loop *loop);

// ---------------------------------------------------------------- report.c

/** Logs a description of the data sets and, for a series, the scores of naive predictions.
 * Errors: CLRNN_ERR_MEMORY. */
enum clrnn_status clrnn_report_data(struct clrnn_loop *loop);

/** Fills in the result as far as the run got. */
void clrnn_report_result(struct clrnn_loop *loop, struct clrnn_train_result *result);

/** After an epoch: writes summary.json, and the pictures if drawing them takes little of the run's time. */
enum clrnn_status clrnn_report_epoch(struct clrnn_loop *loop);

/** At the end of the run: writes summary.json if `summary` is true, and the pictures. */
enum clrnn_status clrnn_report_end(struct clrnn_loop *loop, const struct clrnn_train_result *result, bool summary);

#endif
