// SPDX-License-Identifier: MIT
// Learning-rate schedulers: PyTorch's recurrences in double.
#ifndef CLRNN_SRC_MODEL_SCHEDULE_H
#define CLRNN_SRC_MODEL_SCHEDULE_H

#include "clrnn/config.h"

/** The scheduler's whole state, as a checkpoint stores it. */
struct clrnn_schedule {
    double lr;       // learning rate of the next update
    double momentum; // sgd, rmsprop: momentum; adam, adamw: beta1
    int64_t count;   // PyTorch's last_epoch
    double best;     // reduce_lr_on_plateau: best metric so far
    int64_t bad, cooldown_left;
    double initial_lr;
};

/** Sets the initial state. `steps_per_epoch`: for one_cycle_lr without total_steps. */
void clrnn_schedule_init(struct clrnn_schedule *s, const struct clrnn_train_config *train,
                         uint64_t steps_per_epoch);

/** Like PyTorch's scheduler.step(); `metric` is for reduce_lr_on_plateau. False where PyTorch raises:
 * one_cycle_lr past its total. */
bool clrnn_schedule_step(struct clrnn_schedule *s, const struct clrnn_train_config *train,
                         uint64_t steps_per_epoch, double metric);
#endif
