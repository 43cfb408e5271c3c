// SPDX-License-Identifier: MIT
// Measuring the choices between launches (device/remember/choice.h) in a config's own training step and
// inference.
#ifndef CLRNN_SRC_TRAIN_TUNE_CHOICES_H
#define CLRNN_SRC_TRAIN_TUNE_CHOICES_H

#include "clrnn/train.h"
#include "device/remember/choice.h"

struct clrnn_tuned_list {
    size_t count, capacity;
    struct clrnn_tuned_choice *tuned;
};

struct clrnn_tune_choices_params {
    double seconds;                    // no choice is begun after these
    const volatile sig_atomic_t *stop; // or NULL: ends after the alternative under way
};

/**
 * Goes through the ops of one batch of the config's training data, as training and as inference, and times
 * each with every alternative of the choices that its launches ask for. What is fastest, gives what the
 * standard gives and beats it by more than such times vary is written to the device's file; what earlier
 * calls measured is taken from there. The device must have been opened with what is remembered in use.
 *
 * Owner   list->tuned is the caller's to free(); the list must be empty or an earlier call's, to which this
 * adds. Errors  as clrnn_train; CLRNN_ERR_DISK: the file.
 */
enum clrnn_status clrnn_tune_choices(struct clrnn_device *device, const struct clrnn_config *config,
                                     const struct clrnn_tune_choices_params *params,
                                     struct clrnn_tuned_list *list);

#endif
