// SPDX-License-Identifier: MIT
// A CSV file with a header as a table of numbers, read with libcsv.
#ifndef CLRNN_SRC_FORMATS_CSV_H
#define CLRNN_SRC_FORMATS_CSV_H

#include "base/log.h"

struct clrnn_csv {
    size_t rows, columns;
    char **names;   // [columns], from the header
    double *values; // [rows, columns]
};

/** Reads the whole file. Each cell must be a number (nan and inf are numbers). A missing or invalid cell, a
 * row with a different number of cells, or a file without header or rows is CLRNN_ERR_DATA, with line, row
 * and column name. An empty cell is the error "missing value", or NaN with `missing_as_nan`.
 */
enum clrnn_status clrnn_csv_read(const struct clrnn_log *log, const char *path, bool missing_as_nan,
                                 struct clrnn_csv **csv);
void clrnn_csv_destroy(struct clrnn_csv **csv);

/** The index of a column, or -1. */
int clrnn_csv_column(const struct clrnn_csv *csv, const char *name);

#endif
