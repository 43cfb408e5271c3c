// SPDX-License-Identifier: MIT
// A CSV file with a header as a stream of cells, read with libcsv.
#ifndef CLRNN_SRC_FORMATS_CSV_H
#define CLRNN_SRC_FORMATS_CSV_H

#include "base/log.h"

/** The dialect of the file. Zeroed: the delimiter is detected, and there are no comments. */
struct clrnn_csv_rules {
    char delimiter; // 0: comma, semicolon or tab, whichever the first lines have
    char comment;   // starts a comment, up to the end of the line; 0: none
};

/** Callbacks for the cells. A status other than CLRNN_OK ends the reading; the callback has logged it. */
struct clrnn_csv_sink {
    void *user;
    enum clrnn_status (*header)(void *user, size_t columns, char *const *names);
    /** Cell `column` of data row `row` (from 1); `text` ends in NUL and may contain more NULs. */
    enum clrnn_status (*cell)(void *user, size_t row, size_t column, const char *text, size_t length);
    enum clrnn_status (*row)(void *user, size_t row); // after the row's last cell
};

/** Reads the whole file in chunks. A file of another kind, a cell of more than 1 MiB, an open quote, a row
 * with another number of cells than the header, or a file without header or rows is CLRNN_ERR_DATA, with row
 * and cell. A byte order mark is skipped.
 */
enum clrnn_status clrnn_csv_stream(const struct clrnn_log *log, const char *path,
                                   const struct clrnn_csv_rules *rules, const struct clrnn_csv_sink *sink);

#endif
