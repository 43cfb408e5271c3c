// SPDX-License-Identifier: MIT
// Model files: weights with PyTorch's names, config, and the state that `--resume` needs to continue bit for bit.
#ifndef CLRNN_SRC_MODEL_CHECKPOINT_H
#define CLRNN_SRC_MODEL_CHECKPOINT_H

#include "model/model.h"

/** The training loop's state in a checkpoint, stored as metadata of the file. */
struct clrnn_progress_state {
    uint64_t epoch;         // epochs finished
    uint64_t step_in_epoch; // steps done in the unfinished epoch
    // Sums over the steps of the unfinished epoch.
    double loss_sum,     // loss of a step, times its weight
        weight_sum,      // weight of a step (struct clrnn_session)
        correct,         // RECORD_CORRECT (cl/slots.h); for regression RECORD_ABS
        counted;         // RECORD_COUNT
    double last_lr,      // learning rate of the last training step
        last_norm;       // gradient norm of the last training step, before clipping
    double best_value;   // lowest validation loss so far (training loss if there is no validation data)
    uint64_t best_epoch; // epoch of best_value; 0: none yet
    double stop_best;    // early stopping: value of its metric at the last improvement
    uint64_t stop_bad;   // early stopping: epochs since the last improvement
    bool finished;       // all epochs done, or stopped early
    double seconds;      // training time so far
};

/** Writes weights, input.mean, input.std, target.mean, target.std, loss.weight (balanced), the optimiser's moments
 * (optim.*), schedule, counters, config and the names of the training data, atomically. In an unfinished epoch, also
 * writes the carried states (optim.state.*). Tensors are float32 (float64 on the device ref), except for target.* and
 * loss.weight, which are always float64. `state` NULL: the state of the training loop is left out. Errors: as
 * clrnn_model_save. */
enum clrnn_status clrnn_checkpoint_write(struct clrnn_model *model, const struct clrnn_progress_state *state,
                                         const char *path);

/** Creates the model that a file describes, with its optimiser state. Fills *state unless `state` is NULL. Errors: as
 * clrnn_model_open. */
enum clrnn_status clrnn_checkpoint_read(struct clrnn_device *device, const char *path, struct clrnn_model **model,
                                        struct clrnn_progress_state *state);

#endif
