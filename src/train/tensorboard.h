// SPDX-License-Identifier: MIT
// Event files for TensorBoard in the run's folder: metrics, and histograms of weights and gradients.
#ifndef CLRNN_SRC_TRAIN_TENSORBOARD_H
#define CLRNN_SRC_TRAIN_TENSORBOARD_H

#include "formats/tfevents.h"
#include "model/model.h"
#include "train/run_folder.h"

/** The event file's name; TensorBoard looks for "tfevents". */
#define CLRNN_TENSORBOARD_FILE "events.out.tfevents.clrnn"

/** Opens the run's event file and removes entries after step `steps`, for a resumed run; a new file
 * starts with the config. Without train.tensorboard *events is NULL, and the other functions do nothing.
 * CLRNN_ERR_DISK, CLRNN_ERR_MEMORY. */
enum clrnn_status clrnn_tensorboard_open(const struct clrnn_run_folder *folder,
                                         const struct clrnn_config *config, uint64_t steps,
                                         struct clrnn_tfevents **events);

/** A step's loss and learning rate. CLRNN_ERR_DISK, CLRNN_ERR_MEMORY. */
enum clrnn_status clrnn_tensorboard_step(struct clrnn_tfevents *events, uint64_t step, double loss,
                                         double lr);

/** An epoch's metrics under their names in metrics.jsonl, and histograms of every parameter, "weights/NAME",
 * and of its gradient in the last step, "gradients/NAME". Waits for the device. Errors also CLRNN_ERR_DEVICE.
 */
enum clrnn_status clrnn_tensorboard_epoch(struct clrnn_tfevents *events, const struct clrnn_epoch_row *row,
                                          struct clrnn_model *model);

#endif
