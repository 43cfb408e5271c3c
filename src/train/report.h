// SPDX-License-Identifier: MIT
// What a run says of its data, and leaves beside its checkpoints: the summary and the pictures.
#ifndef CLRNN_SRC_TRAIN_REPORT_H
#define CLRNN_SRC_TRAIN_REPORT_H

#include "train/loop.h"

/** Logs what the data sets are, and what predictions without a model are worth on a series. CLRNN_ERR_MEMORY.
 */
enum clrnn_status clrnn_report_data(struct clrnn_loop *loop);

/** Fills in the result as far as the run got. */
void clrnn_report_result(struct clrnn_loop *loop, struct clrnn_train_result *result);

/** After an epoch: summary.json, and the pictures where drawing them takes little of the run's time. */
enum clrnn_status clrnn_report_epoch(struct clrnn_loop *loop);

/** At the end: summary.json and the pictures. */
enum clrnn_status clrnn_report_end(struct clrnn_loop *loop, const struct clrnn_train_result *result,
                                   bool summary);

#endif
