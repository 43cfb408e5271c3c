// SPDX-License-Identifier: MIT
// A data set in the form of the UCR and UEA archives.
#ifndef CLRNN_SRC_TRAIN_ARCHIVE_H
#define CLRNN_SRC_TRAIN_ARCHIVE_H

#include "train/dataset_private.h"

/** The path of a source's .ts file, or NULL. */
const char *clrnn_source_ts(const struct clrnn_source *source);
/** Opens it, from d->x_path. CLRNN_ERR_DATA. */
enum clrnn_status clrnn_dataset_open_ts(struct clrnn_dataset *d, const struct clrnn_config *config,
                                        const struct clrnn_source *source,
                                        const struct clrnn_open_rules *rules);

#endif
