// SPDX-License-Identifier: MIT
// Checks whether a config's layers fit a data set; picks samples from all over a data set.
#ifndef CLRNN_SRC_DIAGNOSE_FIT_H
#define CLRNN_SRC_DIAGNOSE_FIT_H

#include "train/session.h"

/** Infers the shapes of the layers for the data of `set`; *outputs: how many outputs the last layer has.
 * Errors  CLRNN_ERR_CONFIG: layers that do not fit, logged. CLRNN_ERR_MEMORY. */
enum clrnn_status clrnn_layers_fit(const struct clrnn_log *log, const struct clrnn_config *config,
                                   const struct clrnn_dataset *set, uint32_t *outputs);
/** Opens the config's data, and checks all that can be checked without a device; close them also after an
 * error. Errors: as clrnn_data_sets_open, clrnn_batch_check and clrnn_layers_fit. */
enum clrnn_status clrnn_data_sets_fit(const struct clrnn_log *log, const struct clrnn_config *config,
                                      struct clrnn_data_sets *data, uint32_t *outputs);

/** Makes a view of up to `most` samples spread over the whole set, so that a sorted file gives all classes.
 * CLRNN_ERR_MEMORY: logged as lack of memory for `what`. */
enum clrnn_status clrnn_dataset_spread(const struct clrnn_log *log, struct clrnn_dataset *set, uint32_t most,
                                       const char *what, struct clrnn_dataset **some);

#endif
