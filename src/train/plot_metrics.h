// SPDX-License-Identifier: MIT
// Writes the gnuplot scripts of the pictures that show how good the predictions are.
#ifndef CLRNN_SRC_TRAIN_PLOT_METRICS_H
#define CLRNN_SRC_TRAIN_PLOT_METRICS_H

#include <stdio.h>

#include "train/run_folder.h"

/** Returns whether the last epoch has a metric that metrics.svg shows. */
bool clrnn_plot_has_metrics(const struct clrnn_run_folder *folder);

/** Writes the script of metrics.svg: accuracy and similar metrics, or MAE and RMSE, by epoch, from metrics.jsonl. */
void clrnn_plot_metrics(FILE *script, const struct clrnn_run_folder *folder);

/** Writes the script of confusion.svg: the confusion matrix of the validation set after `epochs` epochs. */
void clrnn_plot_confusion(FILE *script, const struct clrnn_picture_counts *confusion, size_t epochs);

#endif
