// SPDX-License-Identifier: MIT
// Checks whether a config's layers fit a data set; picks samples from all over a data set.
#ifndef CLRNN_SRC_DIAGNOSE_FIT_H
#define CLRNN_SRC_DIAGNOSE_FIT_H

#include "train/session.h"

/** Checks whether the layers fit the data of `set` and each other, by inferring the shape of each layer's output. Sets
 * *outputs to the number of features of the last layer's output.
 * Errors  CLRNN_ERR_CONFIG, logged: the layers do not fit. CLRNN_ERR_MEMORY. */
enum clrnn_status clrnn_layers_fit(const struct clrnn_log *log, const struct clrnn_config *config,
                                   const struct clrnn_dataset *set, uint32_t *outputs);
/** Opens the config's data sets, and checks all that can be checked without a device. The caller closes *data with
 * clrnn_data_sets_close, also after an error.
 * Errors  as clrnn_data_sets_open, clrnn_batch_check and clrnn_layers_fit. */
enum clrnn_status clrnn_data_sets_fit(const struct clrnn_log *log, const struct clrnn_config *config,
                                      struct clrnn_data_sets *data, uint32_t *outputs);

/** Sets *some to a view of up to `most` samples, spread evenly over the set: if the file is sorted by class, the view
 * still has all classes. The caller closes *some.
 * Errors  CLRNN_ERR_MEMORY, logged as lack of memory for `what`. */
enum clrnn_status clrnn_dataset_spread(const struct clrnn_log *log, struct clrnn_dataset *set, uint32_t most,
                                       const char *what, struct clrnn_dataset **some);

#endif
