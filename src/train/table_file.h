// SPDX-License-Identifier: MIT
// Tables of large CSV files, kept on disk: $XDG_CACHE_HOME/clrnn/tables/<path>-<state>-<rules>.table, a
// header with hashes, the values row by row, and the names as JSON. Such a table is mapped, not held in
// memory.
#ifndef CLRNN_SRC_TRAIN_TABLE_FILE_H
#define CLRNN_SRC_TRAIN_TABLE_FILE_H

#include "train/table.h"

/** A table on its way to the disk. */
struct clrnn_table_file;

/** Sets *table to the kept table of this file, as it is now, read by these rules; NULL: there is none, or it
 * is damaged (then it is removed), or the file is too small to be kept. CLRNN_ERR_MEMORY. */
enum clrnn_status clrnn_table_find(const struct clrnn_log *log, const struct clrnn_table_wish *wish,
                                   struct clrnn_table **table);

/** Begins a file for the rows of a table; NULL where the CSV file is small, or nothing can be kept. */
struct clrnn_table_file *clrnn_table_file_begin(const struct clrnn_table_wish *wish);
/** Appends a row. False: the disk is full. */
bool clrnn_table_file_append(struct clrnn_table_file *file, const double *row, size_t width);
/** Maps all rows into table->values, which may still be changed. False: not possible. */
bool clrnn_table_file_map(struct clrnn_table_file *file, struct clrnn_table *table);
/** Writes header and names, gives the file its name and maps it for reading, once the table is complete.
 * Frees *file. False: the disk is full; the table has no values then. */
bool clrnn_table_file_commit(struct clrnn_table_file **file, struct clrnn_table *table);
void clrnn_table_file_abort(struct clrnn_table_file **file);

/** The path of the folder of kept tables, to be freed; NULL: there is no place for a cache, or no memory. */
char *clrnn_tables_folder(void);
/** Removes the tables of former states of the CSV file whose table is `path`, and the ones that were used
 * longest ago where all together are too large. Failures are not reported: they cost only space. */
void clrnn_tables_prune(const char *path);

#endif
