// SPDX-License-Identifier: MIT
// Logging messages and returning a status to the caller.
#ifndef CLRNN_SRC_BASE_LOG_H
#define CLRNN_SRC_BASE_LOG_H

#include "clrnn/base.h"

/** Logs the message at CLRNN_LOG_ERROR and returns `status`. For use as `return clrnn_error(log, ...)`. */
enum clrnn_status clrnn_error(const struct clrnn_log *log, enum clrnn_status status, const char *format, ...)
    CLRNN_PRINTF(3, 4);

/** Logs a one-line message. Control characters and invalid UTF-8 are escaped (base/text.h). */
void clrnn_log(const struct clrnn_log *log, enum clrnn_log_level level, const char *format, ...) CLRNN_PRINTF(3, 4);

/** Logs each line of a text as a separate message. */
void clrnn_log_lines(const struct clrnn_log *log, enum clrnn_log_level level, const char *text);

/** The state of clrnn_log_work for one piece of long work. All fields must be zero before the work begins. */
struct clrnn_work {
    // began: clrnn_clock() at the first call of clrnn_log_work; 0: there was no call.
    // told: clrnn_clock() at the last report; 0: there was no report.
    double began, told;
};
/** Reports the progress of long work by log->progress or, if that is NULL, by one message. Call the function repeatedly
 * during the work. `what` describes the work; `share`, from 0 to 1, is the fraction of the work that is done. Nothing
 * is reported in the first second. */
void clrnn_log_work(const struct clrnn_log *log, struct clrnn_work *work, const char *what, double share);

/** Logs that an allocation of `bytes` (0: unknown) for `what` ("the optimiser's moments") failed, and returns
 * CLRNN_ERR_MEMORY. */
enum clrnn_status clrnn_error_memory(const struct clrnn_log *log, size_t bytes, const char *what);

/** Evaluates the expression, and returns its value from the calling function unless it is CLRNN_OK. */
#define TRY(expression) \
    do { \
        enum clrnn_status try_status_ = (expression); \
        if (try_status_ != CLRNN_OK) \
            return try_status_; \
    } while (0)

/** Returns CLRNN_ERR_ARG from a public function if a required pointer is NULL. */
#define NEED(log, pointer) \
    do { \
        if (!(pointer)) \
            return clrnn_error(log, CLRNN_ERR_ARG, "%s: %s is NULL", __func__, #pointer); \
    } while (0)

#endif
