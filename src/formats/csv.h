// SPDX-License-Identifier: MIT
// Reads a CSV file cell by cell, by means of libcsv. The file must have a header.
#ifndef CLRNN_SRC_FORMATS_CSV_H
#define CLRNN_SRC_FORMATS_CSV_H

#include "base/log.h"

/** The dialect of the file. All fields zero: the delimiter is detected, and there are no comments. */
struct clrnn_csv_rules {
    char delimiter; // separates cells; 0: comma, semicolon or tab, whichever the first lines contain
    char comment;   // starts a comment that ends at the end of the line; 0: there are no comments
    char decimal;   // decimal point of the numbers; 0: '.'. If it is a comma, a comma is detected as the delimiter only
                    // where cells with commas are quoted.
};

/** Callbacks for the cells. If a callback returns a status other than CLRNN_OK, reading ends; the callback must have
 * logged the error. */
struct clrnn_csv_sink {
    void *user;
    enum clrnn_status (*header)(void *user, size_t columns, char *const *names); // names [columns]
    /** Receives cell `column` (from 0) of data row `row` (from 1). NUL follows the `length` bytes of `text`, which may
     * also contain NUL. */
    enum clrnn_status (*cell)(void *user, size_t row, size_t column, const char *text, size_t length);
    enum clrnn_status (*row)(void *user, size_t row); // after the row's last cell
};

/** Reads the whole file in chunks. Skips a byte order mark and empty lines. In a file with a single column, however, an
 * empty line between two rows is a row with an empty cell.
 *
 * Errors  CLRNN_ERR_DATA: a file of another kind, a file without header or rows, more than 2^20 columns, a
 *         cell of more than 1 MiB, a quote that is not closed, or a row whose number of cells differs from the
 *         header's. If a row is wrong, the message has its number. CLRNN_ERR_MEMORY. */
enum clrnn_status clrnn_csv_stream(const struct clrnn_log *log, const char *path, const struct clrnn_csv_rules *rules,
                                   const struct clrnn_csv_sink *sink);

#endif
