// SPDX-License-Identifier: MIT
// A session is a model with its data feed, scheduler and plans, opened together and stepped. Training, evaluation,
// bench, overfit and the doctor all use sessions.
#ifndef CLRNN_SRC_TRAIN_SESSION_H
#define CLRNN_SRC_TRAIN_SESSION_H

#include <signal.h>

#include "train/shards.h"

/** The data sets of a config, opened once for many sessions. */
struct clrnn_data_sets {
    struct clrnn_dataset *train, *valid; // valid may be NULL
    double *mean, *std;                  // [C] of the training set; NULL before clrnn_data_sets_moments
    uint32_t batch;                      // samples of a training batch
    uint64_t batches;                    // training steps of the first epoch, at least 1
};

/** Opens data.train and data.valid. After an error nothing is open. Errors: as clrnn_dataset_open_named;
 * CLRNN_ERR_CONFIG also if the batches of train.stateful differ in N. */
enum clrnn_status clrnn_data_sets_open(const struct clrnn_log *log, const struct clrnn_config *config,
                                       enum clrnn_dataset_check check, struct clrnn_data_sets *data);
void clrnn_data_sets_close(struct clrnn_data_sets *data);
/** Computes mean and standard deviation of the training set, unless already done. Errors: CLRNN_ERR_MEMORY;
 * CLRNN_ERR_DATA if a file was truncated. */
enum clrnn_status clrnn_data_sets_moments(const struct clrnn_log *log, struct clrnn_data_sets *data);
/** Makes a view of the first `count` samples of the run's first epoch, in the order of that epoch. `count` 0: as many
 * samples as one training batch. If the set has fewer samples, the view has all of them. Close the view before the
 * data. */
enum clrnn_status clrnn_data_sets_first_batch(const struct clrnn_log *log, const struct clrnn_config *config,
                                              const struct clrnn_data_sets *data, uint32_t count,
                                              struct clrnn_dataset **batch);

/** Creates the config's model for the shape of `set`. Parameters are random or, if `init` is not NULL, are read from
 * the safetensors file `init` (`partial`: parameters missing there stay random). data.normalize and
 * data.normalize_targets use the moments of `data`; if `data` is NULL, no moments are set. In the model's config,
 * `weight: balanced` is replaced by weights computed from the labels of data->train or, without `data`, of `set`.
 * Errors: as clrnn_model_create, clrnn_model_init. */
enum clrnn_status clrnn_session_model(struct clrnn_device *device, const struct clrnn_config *config,
                                      const struct clrnn_dataset *set, const char *init, bool partial,
                                      struct clrnn_data_sets *data, struct clrnn_model **model);

/** Tells the model's schedule how many training steps the run has, if one_cycle_lr steps per batch and train.bptt gives
 * epochs that differ in steps. Call it after clrnn_model_start_schedule or clrnn_checkpoint_read. Errors:
 * CLRNN_ERR_MEMORY. */
enum clrnn_status clrnn_session_count_run(struct clrnn_model *model, const struct clrnn_dataset *train);

struct clrnn_session_params {
    const struct clrnn_config *config; // creates a model for this session (clrnn_session_model)
    struct clrnn_model *model;         // or an existing model, which must outlive the session
    const char *init;                  // as for clrnn_session_model
    // Gives the moments and the scheduler's steps per epoch. NULL: no moments; the steps per epoch are those of `set`.
    struct clrnn_data_sets *data;
    struct clrnn_dataset *set;     // the data set of the batches; the session keeps it open
    struct clrnn_view view;        // what to change in `set`
    struct clrnn_feed_params feed; // batch_size 0: train.batch_size; seed is always train.seed
    struct clrnn_worker *worker;   // train this worker's shards (train.shards); NULL: whole batches
    bool endless;                  // after the last batch, the next epoch begins
};

/** A function that a session without shards calls instead of clrnn_plan_run, after clrnn_model_begin_step. */
typedef enum clrnn_status clrnn_session_hook(void *user, struct clrnn_plan *plan);

/** Callers may read all members, but write only hook and user. */
struct clrnn_session {
    struct clrnn_device *device;
    struct clrnn_model *model;
    bool owns_model;
    const struct clrnn_config *config; // config of the model
    struct clrnn_dataset *set;
    struct clrnn_feed *feed;
    struct clrnn_shards *shards; // NULL: whole batches
    bool endless;
    uint64_t epoch,           // index of the current epoch
        step;                 // training steps done by clrnn_session_step
    uint64_t batches;         // training steps in an epoch, for the scheduler
    struct clrnn_plan *plan;  // plan of the pass queued last, owned by the feed; NULL: the epoch has ended
    uint32_t samples;         // samples in that pass's batch
    double weight;            // `samples` times the fraction of their time steps in this pass (train.bptt)
    bool fresh;               // whether the pass is the first one of its batch (train.bptt has several)
    clrnn_session_hook *hook; // or NULL
    void *user;
};

/** The result of one or more passes. */
struct clrnn_session_record {
    double sum[RECORD_FIELDS]; // sum of the passes' records (cl/slots.h)
    double loss;               // mean; NaN if all labels are ignored, as in PyTorch
    double accuracy;           // NaN for a regression
    double grad_norm;          // norm before clipping; NaN in eval mode
    double lr;                 // learning rate that the step used
};

/** Opens a session at the start of epoch 0. Errors: as clrnn_session_model, clrnn_batch_check and clrnn_feed_create. */
enum clrnn_status clrnn_session_open(struct clrnn_device *device, const struct clrnn_session_params *params,
                                     struct clrnn_session **session);
/** Opens an endless session on data->train with the config's batch order, for callers that examine a few training
 * steps. */
enum clrnn_status clrnn_session_open_training(struct clrnn_device *device, const struct clrnn_config *config,
                                              const char *init, struct clrnn_data_sets *data,
                                              struct clrnn_session **session);
void clrnn_session_close(struct clrnn_session **session);

/** Starts an epoch (counted from 0) at its training step `step`. */
enum clrnn_status clrnn_session_begin_epoch(struct clrnn_session *session, uint64_t epoch, uint32_t step);
/** Queues a pass over the next batch. Its record is written to record slot `slot`. Does not wait, and does not step the
 * scheduler. */
enum clrnn_status clrnn_session_queue(struct clrnn_session *session, enum clrnn_mode mode, uint32_t slot);
/** Like clrnn_session_queue, but waits and reads the record. A training step also steps the scheduler if its interval
 * is batch. In an endless session, a scheduler with interval epoch is stepped after every session->batches training
 * steps. */
enum clrnn_status clrnn_session_step(struct clrnn_session *session, enum clrnn_mode mode,
                                     struct clrnn_session_record *record);
/** Steps the scheduler if its interval is epoch. reduce_lr_on_plateau uses `metric`. */
void clrnn_session_end_epoch(struct clrnn_session *session, double metric);

/** Runs the whole data set of the session in eval mode and computes loss and accuracy. Ends early when *stop is set
 * (`stop` may be NULL). */
enum clrnn_status clrnn_session_pass(struct clrnn_session *session, const volatile sig_atomic_t *stop,
                                     struct clrnn_session_record *record);
/** Like clrnn_session_pass, but on another data set, with this session's model and hook. */
enum clrnn_status clrnn_session_evaluate(struct clrnn_session *session, struct clrnn_dataset *set,
                                         const volatile sig_atomic_t *stop, struct clrnn_session_record *record);

/** Opens a session on the first batch of data.train and creates the batch's plan in `mode`, which the caller can
 * examine. Checks only the shapes of the data. In mode SHARD, this is the plan of one shard, and the model's gradients
 * are divided into buckets (clrnn_model_cut). */
enum clrnn_status clrnn_session_of_one_batch(struct clrnn_device *device, const struct clrnn_config *config,
                                             enum clrnn_mode mode, struct clrnn_session **session);
/** Reads a tensor of session->plan into *values, which the caller frees. Without feed.keep_tensors, the tensor's memory
 * may already have been reused. */
enum clrnn_status clrnn_session_read(const struct clrnn_session *session, int tensor, double **values);

#endif
