// SPDX-License-Identifier: MIT
// The .ts files of the UCR and UEA archives of time series.
#ifndef CLRNN_SRC_FORMATS_TS_H
#define CLRNN_SRC_FORMATS_TS_H

#include "base/log.h"

/** One case of a file. */
struct clrnn_ts_case {
    size_t number; // from 1
    size_t dimensions, steps;
    const double *values; // [dimensions, steps]; NaN: missing, written as ?
    const char *label;    // NULL: the file has none
};

struct clrnn_ts_sink {
    void *user;
    enum clrnn_status (*take)(void *user, const struct clrnn_ts_case *c); // logs its errors
};

/** Reads the file case by case. CLRNN_ERR_DATA with line, dimension and value: no @data, time stamps, a value
 * that is no number, dimensions of unequal length or number. */
enum clrnn_status clrnn_ts_stream(const struct clrnn_log *log, const char *path,
                                  const struct clrnn_ts_sink *sink);

#endif
