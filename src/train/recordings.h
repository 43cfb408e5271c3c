// SPDX-License-Identifier: MIT
// A data set of several CSV files, each one sequence.
#ifndef CLRNN_SRC_TRAIN_RECORDINGS_H
#define CLRNN_SRC_TRAIN_RECORDINGS_H

#include "train/dataset_private.h"

/** Whether csv names several files, by a pattern or by label_from beside it. */
bool clrnn_source_is_files(const struct clrnn_source *source);
/** Opens the files of the pattern source->csv in sorted order. CLRNN_ERR_DATA: no file, other columns than
 * the first file's, a recording without a label or a label without a recording. */
enum clrnn_status clrnn_dataset_open_files(struct clrnn_dataset *d, const struct clrnn_config *config,
                                           const struct clrnn_source *source, const char *folder,
                                           const struct clrnn_open_rules *rules);

#endif
