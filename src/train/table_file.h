// SPDX-License-Identifier: MIT
// A disk cache of the tables of large CSV files. $XDG_CACHE_HOME/clrnn/tables/<path>-<state>-<rules>.table holds a
// header with hashes, the values row by row, and the names as JSON. <path>, <state> and <rules> are hashes of the CSV
// file's path, of its size and time, and of how it is read. A cached table is memory-mapped, not read into memory.
#ifndef CLRNN_SRC_TRAIN_TABLE_FILE_H
#define CLRNN_SRC_TRAIN_TABLE_FILE_H

#include "train/table.h"

/** A table file that is being written. */
struct clrnn_table_file;

/** Sets *table to the cached table of this CSV file, if the file has not changed since and the table was read by the
 * same rules. *table becomes NULL if there is no such table, if it is damaged (and is then removed), or if the CSV file
 * is too small to be cached. Errors: CLRNN_ERR_MEMORY. */
enum clrnn_status clrnn_table_find(const struct clrnn_log *log, const struct clrnn_table_wish *wish,
                                   struct clrnn_table **table);

/** Begins a file for the rows of a table. Returns NULL if the CSV file is small or nothing can be cached. */
struct clrnn_table_file *clrnn_table_file_begin(const struct clrnn_table_wish *wish);
/** Appends a row. Returns false if the file cannot be written, as on a full disk. */
bool clrnn_table_file_append(struct clrnn_table_file *file, const double *row, size_t width);
/** Maps all rows as table->values, which may still be changed. Returns false if the file cannot be written or
 * mapped. */
bool clrnn_table_file_map(struct clrnn_table_file *file, struct clrnn_table *table);
/** Call it when the table is complete: writes header and names, gives the file its final name and maps it for reading.
 * Frees *file. Returns false if one of these fails, as on a full disk; the table then has no values. */
bool clrnn_table_file_commit(struct clrnn_table_file **file, struct clrnn_table *table);
void clrnn_table_file_abort(struct clrnn_table_file **file);

/** Returns the path of the folder of cached tables, which the caller frees. Returns NULL if there is no place for a
 * cache, or no memory. */
char *clrnn_tables_folder(void);
/** `path`: the path of a cached table. Removes tables of earlier states of the same CSV file. If all tables together
 * are too large, also removes the least recently used ones. Failures are not reported: they only cost disk space. */
void clrnn_tables_prune(const char *path);

#endif
