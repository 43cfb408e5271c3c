// SPDX-License-Identifier: MIT
// A session: a model, the batches of a data set, the scheduler and the plans, opened together and stepped.
// Everything that runs a model over data is made of these: training, evaluation, bench, overfit, the doctor.
#ifndef CLRNN_SRC_TRAIN_SESSION_H
#define CLRNN_SRC_TRAIN_SESSION_H

#include <signal.h>

#include "train/feed.h"

/** The data that a config names, opened once for many sessions. */
struct clrnn_data_sets {
    struct clrnn_dataset *train, *valid; // valid: or NULL
    double *mean, *std;                  // [C] of the training set, once clrnn_data_sets_moments was called
    uint32_t batch;                      // samples of a training batch
    uint64_t batches;                    // of an epoch, at least 1
};

/** Opens data.train and data.valid as training does, with its errors. */
enum clrnn_status clrnn_data_sets_open(const struct clrnn_log *log, const struct clrnn_config *config,
                                       enum clrnn_dataset_check check, struct clrnn_data_sets *data);
void clrnn_data_sets_close(struct clrnn_data_sets *data);
/** Reads the training set for mean and deviation, unless that was done. CLRNN_ERR_MEMORY. */
enum clrnn_status clrnn_data_sets_moments(const struct clrnn_log *log, struct clrnn_data_sets *data);
/** The first `count` samples of the run's first epoch, in its order, as a view. `count` 0: one training
 *  batch; never more than there are. Close it before the data. */
enum clrnn_status clrnn_data_sets_first_batch(const struct clrnn_log *log, const struct clrnn_config *config,
                                              const struct clrnn_data_sets *data, uint32_t count,
                                              struct clrnn_dataset **batch);

/** A model of the config in the shape of `set`: drawn, then from the safetensors file `init` (or NULL;
 * `partial`: parameters that it lacks stay as drawn), and with data.normalize from `data`, which may be NULL
 * where nothing is computed. Errors as clrnn_model_create, clrnn_model_init. */
enum clrnn_status clrnn_session_model(struct clrnn_device *device, const struct clrnn_config *config,
                                      const struct clrnn_dataset *set, const char *init, bool partial,
                                      struct clrnn_data_sets *data, struct clrnn_model **model);

struct clrnn_session_params {
    const struct clrnn_config *config; // of a model made for this session (clrnn_session_model);
    struct clrnn_model *model;         // or, in its place, one that outlives the session
    const char *init;
    struct clrnn_data_sets *data; // of the run, for data.normalize and the scheduler's epochs; NULL: of `set`
    struct clrnn_dataset *set;    // what the batches are of; held open
    struct clrnn_view view;       // and how it is seen
    struct clrnn_feed_params feed; // batch_size 0: train.batch_size; seed: train.seed always
    bool endless;                  // batches go round and round; an epoch of the scheduler is `data`'s
};

/** Runs a plan whose step was begun, in place of clrnn_plan_run. */
typedef enum clrnn_status clrnn_session_hook(void *user, struct clrnn_plan *plan);

/** All but hook and user is to be read only. */
struct clrnn_session {
    struct clrnn_device *device;
    struct clrnn_model *model;
    bool owns_model;
    const struct clrnn_config *config; // the model's
    struct clrnn_dataset *set;
    struct clrnn_feed *feed;
    bool endless;
    uint64_t epoch, step;     // passes over `set` begun before this one; training steps done
    uint64_t batches;         // of an epoch of the scheduler
    struct clrnn_plan *plan;  // of the pass queued last, the feed's; NULL: the epoch is over
    uint32_t samples;         // of its batch
    clrnn_session_hook *hook; // or NULL
    void *user;
};

/** What one pass, or several, gave. */
struct clrnn_session_record {
    double sum[RECORD_FIELDS]; // over the passes
    double loss;               // NaN, 0 / 0, where all labels are ignored, as PyTorch
    double accuracy;           // NaN for mse
    double grad_norm;          // before clipping; NaN in eval mode
    double lr;                 // that the step used
};

/** Opens at the beginning of epoch 0. Errors: clrnn_session_model's, clrnn_batch_check's, those of feeds. */
enum clrnn_status clrnn_session_open(struct clrnn_device *device, const struct clrnn_session_params *params,
                                     struct clrnn_session **session);
/** One that goes on and on as training does, for who looks at some of its steps: endless, with batches of
 *  data->train as the config orders them. */
enum clrnn_status clrnn_session_open_training(struct clrnn_device *device, const struct clrnn_config *config,
                                              const char *init, struct clrnn_data_sets *data,
                                              struct clrnn_session **session);
void clrnn_session_close(struct clrnn_session **session);

/** Starts an epoch (counted from 0) at one of its batches. */
enum clrnn_status clrnn_session_begin_epoch(struct clrnn_session *session, uint64_t epoch, uint32_t batch);
/** Queues a pass over the next batch; its record goes to `slot`. Waits for nothing and leaves the scheduler
 * alone. */
enum clrnn_status clrnn_session_queue(struct clrnn_session *session, enum clrnn_mode mode, uint32_t slot);
/** The same, waits and reads the record. A training step steps a scheduler that goes by batches; in an
 * endless session one that goes by epochs, too, after each `batches` steps. */
enum clrnn_status clrnn_session_step(struct clrnn_session *session, enum clrnn_mode mode,
                                     struct clrnn_session_record *record);
/** The epoch's step of a scheduler that goes by epochs; `metric` is what reduce_lr_on_plateau looks at. */
void clrnn_session_end_epoch(struct clrnn_session *session, double metric);

/** Loss and accuracy over the session's set in eval mode, as far as `stop` (or NULL) lets it get. */
enum clrnn_status clrnn_session_pass(struct clrnn_session *session, const volatile sig_atomic_t *stop,
                                     struct clrnn_session_record *record);
/** The same over another set, with this session's model and hook. */
enum clrnn_status clrnn_session_evaluate(struct clrnn_session *session, struct clrnn_dataset *set,
                                         const volatile sig_atomic_t *stop,
                                         struct clrnn_session_record *record);

/** Makes the plan of the next batch without running it: session->plan. */
enum clrnn_status clrnn_session_plan(struct clrnn_session *session, enum clrnn_mode mode);
/** A session on the first samples of data.train, as many as a batch has, of which only shapes are checked:
 * its plan in `mode` is there to be looked at. */
enum clrnn_status clrnn_session_of_one_batch(struct clrnn_device *device, const struct clrnn_config *config,
                                             enum clrnn_mode mode, struct clrnn_session **session);
/** Reads a tensor of session->plan into fresh memory: free() it. What a plan without feed.keep_tensors wrote
 * may be overwritten by then. */
enum clrnn_status clrnn_session_read(const struct clrnn_session *session, int tensor, double **values);

#endif
