// SPDX-License-Identifier: MIT
// Practice: a model of a config or of a variant of it, with batches of some data set, stepped one by one
// while somebody looks. Overfit and grow are made of these.
#ifndef CLRNN_SRC_DIAGNOSE_PRACTICE_H
#define CLRNN_SRC_DIAGNOSE_PRACTICE_H

#include <signal.h>

#include "train/feed.h"

/** The data that a config names, opened once for many practices. */
struct clrnn_practice_data {
    struct clrnn_dataset *train, *valid; // valid: or NULL
    double *mean, *std;                  // [C] of the training set for data.normalize, or NULL
    uint32_t batch;                      // samples of a training batch
    uint64_t batches;                    // of an epoch of the run itself
};

/** Opens and checks data.train and data.valid as training does, with its errors. */
enum clrnn_status clrnn_practice_data_open(const struct clrnn_log *log, const struct clrnn_config *config,
                                           struct clrnn_practice_data *data);
void clrnn_practice_data_close(struct clrnn_practice_data *data);

/** The first samples of the run's first epoch as a set of their own: one training batch, in the order of
 *  the run. `count` 0: train.batch_size; never more than there are. Close it before the data. */
enum clrnn_status clrnn_practice_first_batch(struct clrnn_device *device, const struct clrnn_config *config,
                                             const struct clrnn_practice_data *data, uint32_t count,
                                             struct clrnn_dataset **batch);

/** A copy of a config without dropout and scheduler. */
enum clrnn_status clrnn_practice_plain(const struct clrnn_log *log, const struct clrnn_config *config,
                                       struct clrnn_config **plain);

struct clrnn_practice_params {
    const struct clrnn_config *config;
    const struct clrnn_practice_data *data; // for normalisation and the length of an epoch
    const struct clrnn_dataset *set;        // what is trained on
    uint32_t batch_size;                    // 0: train.batch_size
    bool shuffle;                           // by train.seed and the pass over `set`
    bool drop_last;
    const char *init; // safetensors, or NULL
};

/** What one pass of a batch, or several, gave. */
struct clrnn_practice_record {
    double loss;      // 0 / 0, NaN, where all labels are ignored
    double accuracy;  // NaN for mse
    double grad_norm; // before clipping; of training and gradient steps
    double lr;        // that the step used
    double spread;    // mse: variance of the targets
};

struct clrnn_practice {
    struct clrnn_device *device;
    struct clrnn_model *model;
    struct clrnn_feed *feed;
    const struct clrnn_config *config; // the model's
    uint64_t epoch, step;              // passes over `set` begun; training steps done
    uint64_t batches;                  // of an epoch of the run itself
    bool schedule_over;                // a one cycle has ended: its last lr stays
    struct clrnn_plan *plan;           // of the pass before; the feed's
    enum clrnn_status (*run)(void *user, struct clrnn_plan *plan); // in place of clrnn_plan_run, or NULL
    void *run_user;
};

enum clrnn_status clrnn_practice_create(struct clrnn_device *device,
                                        const struct clrnn_practice_params *params,
                                        struct clrnn_practice **practice);
void clrnn_practice_destroy(struct clrnn_practice **practice);

/** The next batch of `set` (round and round), trained on (CLRNN_MODE_TRAIN; the scheduler is stepped as in
 *  the run: an epoch has as many steps as there) or only looked at (GRADIENT, EVAL). Waits. */
enum clrnn_status clrnn_practice_step(struct clrnn_practice *practice, enum clrnn_mode mode,
                                      struct clrnn_practice_record *record);

/** Loss and accuracy over a whole set in eval mode, as far as `stop` lets it get. */
enum clrnn_status clrnn_practice_evaluate(struct clrnn_practice *practice, const struct clrnn_dataset *set,
                                          const volatile sig_atomic_t *stop,
                                          struct clrnn_practice_record *record);

#endif
