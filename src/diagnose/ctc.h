// SPDX-License-Identifier: MIT
// The loss of ctc for answers that are the same at every step of every sample.
#ifndef CLRNN_SRC_DIAGNOSE_CTC_H
#define CLRNN_SRC_DIAGNOSE_CTC_H

#include "train/dataset.h"

/** The mean loss over up to some hundred samples with a path to their labels, spread over the set: of the
 * best answer that gives every step the same probabilities, and of equal ones for all `classes`. NaN: no
 * sample has a path. Labels that are no class of the outputs, or the blank, are passed over.
 * CLRNN_ERR_MEMORY. */
enum clrnn_status clrnn_ctc_constant_loss(const struct clrnn_log *log, const struct clrnn_config *config,
                                          const struct clrnn_dataset *set, uint32_t classes, double *best,
                                          double *equal);
#endif
