// SPDX-License-Identifier: MIT
// A model that is trained and looked at from batches that the host gathers, so that inputs, their order in
// time and labels can be tampered with; and a plan of it whose tensors can all be read.
#ifndef CLRNN_SRC_DIAGNOSE_TRIAL_H
#define CLRNN_SRC_DIAGNOSE_TRIAL_H

#include "model/plan.h"
#include "train/dataset.h"

/** What a trial is made from; the same for every trial of a doctor's visit. */
struct trial_params {
    struct clrnn_device *device;
    const struct clrnn_config *config;
    const struct clrnn_dataset *train; // its shape sizes the first layer
    const char *init;                  // safetensors to start from, or NULL
    const double *mean, *std;          // of data.normalize, or NULL
    uint64_t batches;                  // of an epoch: what the schedule counts by
    uint32_t room;                     // samples that are gathered at most
};

/** Rows of a data set, possibly tampered with. */
struct trial_data {
    const struct clrnn_dataset *set;
    const uint32_t *labels_from; // row i takes y of row labels_from[i]; NULL: its own
    const double *blank;         // every step of X is replaced by this [C], or NULL (tokens: by token 0)
    bool blank_tokens, shuffle_time;
    bool shorten; // at most `steps` steps
    uint32_t steps;
};

struct trial {
    struct clrnn_model *model;
    struct clrnn_config *own; // the config without its schedule: steps are taken by trial_step
    const struct trial_params *params;
    bool schedule_ended;
    uint32_t room; // samples that fit the arrays below
    uint32_t T;    // steps a sample has in them
    float *x, *targets;
    int32_t *tokens, *lengths, *classes;
    uint32_t *order, *scratch; // for shuffling steps
};

enum clrnn_status trial_create(const struct trial_params *params, struct trial *trial);
void trial_finish(struct trial *trial);

/** Gathers rows into the trial's arrays; *batch points to them. */
enum clrnn_status trial_gather(struct trial *trial, const struct trial_data *data, const uint32_t *rows,
                               uint32_t count, struct clrnn_batch *batch);

/** One training step on a batch; the schedule steps too where it does per batch. */
enum clrnn_status trial_step(struct trial *trial, const struct clrnn_batch *batch,
                             struct clrnn_step_result *result);
/** The schedule's step at the end of an epoch, where it does so; `metric`: the validation loss. */
void trial_end_epoch(struct trial *trial, double metric);

/** Loss and accuracy (mse: R2) over rows in eval mode. rows NULL: the first `count`. */
struct trial_score {
    double loss, quality;
};
enum clrnn_status trial_evaluate(struct trial *trial, const struct trial_data *data, const uint32_t *rows,
                                 uint32_t count, struct trial_score *score);

/** Rows of an epoch in the order that training takes them. order [S]. */
void trial_order(const struct clrnn_config *config, uint32_t S, uint64_t epoch, uint32_t *order);

/** Loss of the best answer that does not look at X, from the shares of classes or the spread of targets;
 *  NaN where there is none (nll of raw outputs). counts [classes]. */
double trial_constant_loss(const struct clrnn_config *config, uint32_t classes, const uint64_t *counts,
                           double target_variance);

// ---------------------------------------------------------------- probe

/** A pass forward in train mode and backward, without update, whose tensors all stay readable. */
struct probe {
    struct clrnn_model *model;
    struct clrnn_plan *plan;
    struct clrnn_buffer *x, *y, *lengths, *index;
    uint32_t N, T;
};

/** For batches of exactly N samples of T steps; `lengths`: whether they have lengths. */
enum clrnn_status probe_create(struct clrnn_model *model, uint32_t N, uint32_t T, bool lengths,
                               struct probe *probe);
void probe_finish(struct probe *probe);
/** Runs it on a batch; result's loss, accuracy and grad_norm. Gradients: clrnn_model_read_grad. */
enum clrnn_status probe_run(struct probe *probe, const struct clrnn_batch *batch,
                            struct clrnn_step_result *result);
/** Reads a tensor of the plan into fresh memory: free() it. */
enum clrnn_status probe_read(const struct probe *probe, int tensor, double **values);

#endif
