// SPDX-License-Identifier: MIT
// TensorBoard event files in the run's folder: metrics, and histograms of weights and gradients.
#ifndef CLRNN_SRC_TRAIN_TENSORBOARD_H
#define CLRNN_SRC_TRAIN_TENSORBOARD_H

#include "formats/tfevents.h"
#include "model/model.h"
#include "train/run_folder.h"

/** Name of the event file; TensorBoard looks for "tfevents". */
#define CLRNN_TENSORBOARD_FILE "events.out.tfevents.clrnn"

/** Opens the run's event file and, for a resumed run, removes entries after step `steps`. A new file starts
 * with the config. Without train.tensorboard *events is NULL, and the other functions do nothing.
 * CLRNN_ERR_DISK, CLRNN_ERR_MEMORY. */
enum clrnn_status clrnn_tensorboard_open(const struct clrnn_run_folder *folder,
                                         const struct clrnn_config *config, uint64_t steps,
                                         struct clrnn_tfevents **events);

/** Adds a step's loss and learning rate. CLRNN_ERR_DISK, CLRNN_ERR_MEMORY. */
enum clrnn_status clrnn_tensorboard_step(struct clrnn_tfevents *events, uint64_t step, double loss,
                                         double lr);

/** Adds an epoch's metrics under their names in metrics.jsonl, and histograms of every parameter,
 * "weights/NAME", and of its gradient in the last step, "gradients/NAME". Waits for the device.
 * CLRNN_ERR_DISK, CLRNN_ERR_MEMORY, CLRNN_ERR_DEVICE. */
enum clrnn_status clrnn_tensorboard_epoch(struct clrnn_tfevents *events, const struct clrnn_epoch_row *row,
                                          struct clrnn_model *model);

#endif
