// SPDX-License-Identifier: MIT
// Opens the data of a run. Of the ranks on a host that use the same files, only one reads all of the data.
#ifndef CLRNN_SRC_TRAIN_DATA_ONCE_H
#define CLRNN_SRC_TRAIN_DATA_ONCE_H

#include "train/run_folder.h"
#include "train/session.h"

/** Opens the data sets on all ranks and returns the same status on all ranks. One rank of each host reads and checks
 * all of the data and computes the fingerprints. The other ranks of that host with the same files then open the files
 * and read only the samples that they train on.
 *
 * `status`    CLRNN_OK, or the error with which this rank has failed before; `config` may then be NULL.
 * `moments`   whether rank 0 computes mean and std for data.normalize and sends them to all ranks. A single rank does
 *             not compute them.
 * `identity`  zeroed by the caller; filled in on rank 0 and on the other ranks that read all of the data.
 * Errors      as clrnn_data_sets_open; CLRNN_ERR_CONFIG: a host's data differ from those of rank 0's host. */
enum clrnn_status clrnn_data_once(const struct clrnn_log *log, const struct clrnn_config *config,
                                  enum clrnn_status status, bool moments, struct clrnn_data_sets *data,
                                  struct clrnn_data_identity *identity);

#endif
