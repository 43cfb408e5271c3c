// SPDX-License-Identifier: MIT
// Opens the data of a run so that the ranks of a host read all of it only once.
#ifndef CLRNN_SRC_TRAIN_DATA_ONCE_H
#define CLRNN_SRC_TRAIN_DATA_ONCE_H

#include "train/run_folder.h"
#include "train/session.h"

/** Opens the data sets on all ranks and returns the same status on all. One rank of each host reads and
 * checks all of the data and computes the fingerprints. The other ranks of that host with the same files open
 * them afterwards and read only what they train on. `moments`: rank 0 also computes the moments for
 * data.normalize.
 *
 * `status`    how this rank has fared so far; `config` may be NULL after an error.
 * `identity`  of the data, complete on the ranks that read them, rank 0 among them.
 * Errors      as clrnn_data_sets_open; CLRNN_ERR_CONFIG where a host has other data than that of rank 0. */
enum clrnn_status clrnn_data_once(const struct clrnn_log *log, const struct clrnn_config *config,
                                  enum clrnn_status status, bool moments, struct clrnn_data_sets *data,
                                  struct clrnn_data_identity *identity);

#endif
