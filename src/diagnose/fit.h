// SPDX-License-Identifier: MIT
// Whether a config's layers fit a data set.
#ifndef CLRNN_SRC_DIAGNOSE_FIT_H
#define CLRNN_SRC_DIAGNOSE_FIT_H

#include "train/dataset.h"

/** Follows the shapes of `set` through the layers; *outputs: numbers that the last one puts out.
 * Errors  CLRNN_ERR_CONFIG: layers that do not fit, logged. CLRNN_ERR_MEMORY. */
enum clrnn_status clrnn_layers_fit(const struct clrnn_log *log, const struct clrnn_config *config,
                                   const struct clrnn_dataset *set, uint32_t *outputs);

#endif
