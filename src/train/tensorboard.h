// SPDX-License-Identifier: MIT
// Writes TensorBoard event files into the run's folder: metrics, and histograms of weights and gradients.
#ifndef CLRNN_SRC_TRAIN_TENSORBOARD_H
#define CLRNN_SRC_TRAIN_TENSORBOARD_H

#include "formats/tfevents.h"
#include "model/model.h"
#include "train/run_folder.h"

/** Name of the event file. TensorBoard looks for names that contain "tfevents". */
#define CLRNN_TENSORBOARD_FILE "events.out.tfevents.clrnn"

/** Opens the run's event file. For a resumed run, removes the events after step `steps`. A new file begins with the
 * config as text. If train.tensorboard is off, *events becomes NULL, and the functions below do nothing. Errors:
 * CLRNN_ERR_DISK, CLRNN_ERR_MEMORY. */
enum clrnn_status clrnn_tensorboard_open(const struct clrnn_run_folder *folder, const struct clrnn_config *config,
                                         uint64_t steps, struct clrnn_tfevents **events);

/** Adds a step's loss and learning rate. Errors: CLRNN_ERR_DISK, CLRNN_ERR_MEMORY. */
enum clrnn_status clrnn_tensorboard_step(struct clrnn_tfevents *events, uint64_t step, double loss, double lr);

/** Adds an epoch's metrics under their names in metrics.jsonl. Adds histograms of every trained parameter as
 * "weights/NAME", and of its gradient in the last step as "gradients/NAME". Waits for the device. Errors:
 * CLRNN_ERR_DISK, CLRNN_ERR_MEMORY, CLRNN_ERR_DEVICE. */
enum clrnn_status clrnn_tensorboard_epoch(struct clrnn_tfevents *events, const struct clrnn_epoch_row *row,
                                          struct clrnn_model *model);

#endif
