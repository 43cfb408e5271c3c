// SPDX-License-Identifier: MIT
// Autotuning of the choices between variants (device/remember/choice.h) in a config's training step and inference.
#ifndef CLRNN_SRC_TRAIN_TUNE_CHOICES_H
#define CLRNN_SRC_TRAIN_TUNE_CHOICES_H

#include "clrnn/train.h"
#include "device/remember/choice.h"

struct clrnn_tuned_list {
    size_t count;
    struct clrnn_tuned_choice *tuned;
};

/** Times every op of one batch of the config's training data, in training and in inference, with every alternative of
 * its choices. The fastest alternative is written to the device's file if its results match those of the standard
 * variant and the gain exceeds the timing noise. Choices that are already in the file are not measured again. The
 * device must have been opened without no_tune.
 *
 * `seconds`  after this time, no measurement of a further choice begins
 * `stop`     may be NULL; if set, tuning ends after the current alternative
 * Owner   the caller frees list->tuned with free(); entries are appended to the list.
 * Errors  as clrnn_train; CLRNN_ERR_DISK: the file cannot be written. */
enum clrnn_status clrnn_tune_choices(struct clrnn_device *device, const struct clrnn_config *config, double seconds,
                                     const volatile sig_atomic_t *stop, struct clrnn_tuned_list *list);

#endif
