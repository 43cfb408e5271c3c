// SPDX-License-Identifier: MIT
// Learning-rate schedulers, computed from step to step in double as PyTorch does.
#ifndef CLRNN_SRC_MODEL_SCHEDULE_H
#define CLRNN_SRC_MODEL_SCHEDULE_H

#include "clrnn/config.h"

/** The scheduler's whole state. A checkpoint stores all of it but run_steps. */
struct clrnn_schedule {
    double lr;                  // learning rate of the next update
    double momentum;            // sgd, rmsprop: momentum; adam, adamw: beta1
    int64_t count;              // number of steps so far: last_epoch of PyTorch
    double best;                // reduce_lr_on_plateau: best metric so far
    int64_t bad, cooldown_left; // reduce_lr_on_plateau: num_bad_epochs and cooldown_counter of PyTorch
    double initial_lr;
    uint64_t run_steps; // training steps of the run; 0: train.epochs times steps_per_epoch
};

/** Sets the initial state. `steps_per_epoch` is for one_cycle_lr whose config does not give the number of steps; 0:
 * unknown. */
void clrnn_schedule_init(struct clrnn_schedule *s, const struct clrnn_train_config *train, uint64_t steps_per_epoch);

/** Tells the number of training steps of the run, where not all epochs have as many (train.bptt). */
void clrnn_schedule_set_run(struct clrnn_schedule *s, const struct clrnn_train_config *train, uint64_t run_steps);

/** Returns max_lr of one_cycle_lr, else the optimiser's lr. It is the largest lr of the run, unless the scheduler's
 * gamma exceeds 1. */
double clrnn_schedule_peak(const struct clrnn_train_config *train);

/** Whether one_cycle_lr sets the momentum of every step, so that the optimiser's own has no effect. */
bool clrnn_schedule_cycles_momentum(const struct clrnn_train_config *train);

#define CLRNN_LR_KEY_SIZE 64 // bytes for the text of clrnn_schedule_peak_key

/** Writes the config key of clrnn_schedule_peak into text, as "train.optimizer.adam.lr". Returns text. */
const char *clrnn_schedule_peak_key(const struct clrnn_train_config *train, char text[CLRNN_LR_KEY_SIZE]);

/** Does what scheduler.step() of PyTorch does. `metric` is for reduce_lr_on_plateau. Returns false where PyTorch raises
 * an exception: one_cycle_lr has no steps left. */
bool clrnn_schedule_step(struct clrnn_schedule *s, const struct clrnn_train_config *train, uint64_t steps_per_epoch,
                         double metric);
#endif
