// SPDX-License-Identifier: MIT
// Model files: weights with PyTorch's names, config, and the state that `--resume` needs to continue bit for
// bit.
#ifndef CLRNN_SRC_MODEL_CHECKPOINT_H
#define CLRNN_SRC_MODEL_CHECKPOINT_H

#include "model/model.h"

/** The training loop's state in a checkpoint, stored as metadata of the file. */
struct clrnn_progress_state {
    uint64_t epoch;                                // epochs finished
    uint64_t step_in_epoch;                        // steps done in the unfinished epoch
    double loss_sum, weight_sum, correct, counted; // sums over the unfinished epoch
    double last_lr, last_norm;                     // of the last step; last_norm is the norm before clipping
    double best_value;                             // of best.safetensors: the lowest valid (else train) loss
    uint64_t best_epoch;                           // 0: none yet
    double stop_best;                              // early stopping: best value of its metric so far
    uint64_t stop_bad;
    bool finished;  // all epochs done, or stopped early
    double seconds; // training time so far
};

/** Writes weights, input.mean/std, optim.* moments, schedule, counters and config, atomically. Tensors are
 *  float32 (float64 on ref). `state` may be NULL. */
enum clrnn_status clrnn_checkpoint_write(struct clrnn_model *model, const struct clrnn_progress_state *state,
                                         const char *path);

/** Creates the model that a file holds, with its optimiser state; fills `state` unless it is NULL. */
enum clrnn_status clrnn_checkpoint_read(struct clrnn_device *device, const char *path,
                                        struct clrnn_model **model, struct clrnn_progress_state *state);

#endif
