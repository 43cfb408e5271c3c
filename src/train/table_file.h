// SPDX-License-Identifier: MIT
// A disk cache of tables of large CSV files: $XDG_CACHE_HOME/clrnn/tables/<path>-<state>-<rules>.table holds
// a header with hashes, the values row by row, and the names as JSON. A cached table is mapped instead of
// held in memory.
#ifndef CLRNN_SRC_TRAIN_TABLE_FILE_H
#define CLRNN_SRC_TRAIN_TABLE_FILE_H

#include "train/table.h"

/** A table file being written. */
struct clrnn_table_file;

/** Sets *table to the cached table of this file in its present state, read by the same rules. NULL: there is
 * none, it was damaged and has been removed, or the file is too small to be cached. CLRNN_ERR_MEMORY. */
enum clrnn_status clrnn_table_find(const struct clrnn_log *log, const struct clrnn_table_wish *wish,
                                   struct clrnn_table **table);

/** Begins a file for the rows of a table; NULL if the CSV file is small or nothing can be cached. */
struct clrnn_table_file *clrnn_table_file_begin(const struct clrnn_table_wish *wish);
/** Appends a row. False: the disk is full. */
bool clrnn_table_file_append(struct clrnn_table_file *file, const double *row, size_t width);
/** Maps all rows as table->values, which may still be changed. False: that failed. */
bool clrnn_table_file_map(struct clrnn_table_file *file, struct clrnn_table *table);
/** Once the table is complete: writes header and names, gives the file its final name and maps it for
 * reading. Frees *file. False: the disk is full, and the table has no values. */
bool clrnn_table_file_commit(struct clrnn_table_file **file, struct clrnn_table *table);
void clrnn_table_file_abort(struct clrnn_table_file **file);

/** The path of the folder of cached tables, to be freed. NULL: no place for a cache, or no memory. */
char *clrnn_tables_folder(void);
/** Removes tables of earlier states of the CSV file whose table is `path` and, if all tables together are too
 * large, the least recently used ones. Failures are not reported, since they only cost disk space. */
void clrnn_tables_prune(const char *path);

#endif
