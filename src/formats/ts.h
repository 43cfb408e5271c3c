// SPDX-License-Identifier: MIT
// Reads the .ts files of the UCR and UEA archives of time series.
#ifndef CLRNN_SRC_FORMATS_TS_H
#define CLRNN_SRC_FORMATS_TS_H

#include "base/log.h"

/** One case of a file: a time series, or several of the same length, and a label. */
struct clrnn_ts_case {
    size_t number; // from 1
    size_t dimensions, steps;
    const double *values; // [dimensions, steps]; NaN: a missing value (? in the file)
    const char *label;    // NULL: the file has no labels
};

/** The callback for the cases. If it returns a status other than CLRNN_OK, reading ends. */
struct clrnn_ts_sink {
    void *user;
    enum clrnn_status (*take)(void *user, const struct clrnn_ts_case *c); // must log its errors
};

/** Reads the file case by case.
 *
 * Errors: CLRNN_ERR_MEMORY; CLRNN_ERR_DATA: the file has no line @data or no case, values have time stamps, a value is
 * no number, a label is missing, or dimensions are of unequal length or number. If a line is wrong, the message has its
 * number. */
enum clrnn_status clrnn_ts_stream(const struct clrnn_log *log, const char *path, const struct clrnn_ts_sink *sink);

#endif
