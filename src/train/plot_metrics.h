// SPDX-License-Identifier: MIT
// gnuplot scripts of the pictures that show how good predictions are.
#ifndef CLRNN_SRC_TRAIN_PLOT_METRICS_H
#define CLRNN_SRC_TRAIN_PLOT_METRICS_H

#include <stdio.h>

#include "train/run_folder.h"

/** Whether metrics.jsonl has a metric that metrics.svg shows. */
bool clrnn_plot_has_metrics(const struct clrnn_run_folder *folder);

/** metrics.svg: accuracy and its like, or MAE and RMSE, by epoch, as metrics.jsonl has them. */
void clrnn_plot_metrics(FILE *script, const struct clrnn_run_folder *folder);

/** confusion.svg: the validation set's samples by class and prediction after `epochs` epochs. */
void clrnn_plot_confusion(FILE *script, const struct clrnn_picture_counts *confusion, size_t epochs);

#endif
