// SPDX-License-Identifier: MIT
// Whether the rows of a table, each taken as a sample of its own, are a series in time.
#ifndef CLRNN_SRC_TRAIN_TABLE_ORDER_H
#define CLRNN_SRC_TRAIN_TABLE_ORDER_H

#include "train/table.h"

/** Logs a warning if the first rows stand in order of a column of times, used or not, or resemble the rows
 * before them. CLRNN_ERR_MEMORY, or the error of reading the file's first rows. */
enum clrnn_status clrnn_table_check_order(const struct clrnn_log *log, const struct clrnn_table_wish *wish,
                                          const struct clrnn_table *table);

#endif
