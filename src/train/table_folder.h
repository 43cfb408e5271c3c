// SPDX-License-Identifier: MIT
// The folder of kept tables, $XDG_CACHE_HOME/clrnn/tables.
#ifndef CLRNN_SRC_TRAIN_TABLE_FOLDER_H
#define CLRNN_SRC_TRAIN_TABLE_FOLDER_H

/** Its path, to be freed; NULL: there is no place for a cache, or no memory. */
char *clrnn_tables_folder(void);
/** Removes the tables of former states of the CSV file whose table is `path`, and the ones that were used
 * longest ago where all together are too large. Failures are not reported: they cost only space. */
void clrnn_tables_prune(const char *path);

#endif
