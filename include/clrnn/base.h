// SPDX-License-Identifier: MIT
// Status codes, logging and version. Every other public header includes this one.
#ifndef CLRNN_BASE_H
#define CLRNN_BASE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "clrnn/version.h"

#if defined(__GNUC__)
#define CLRNN_API __attribute__((visibility("default")))
#define CLRNN_PRINTF(text, first) __attribute__((format(printf, text, first)))
#else
#define CLRNN_API
#define CLRNN_PRINTF(text, first)
#endif

#ifdef __cplusplus
#define CLRNN_BEGIN extern "C" {
#define CLRNN_END }
#else
#define CLRNN_BEGIN
#define CLRNN_END
#endif

CLRNN_BEGIN

// X(name, exit status of the clrnn command, text)
#define CLRNN_STATUS_LIST(X) \
    X(OK, 0, "done") \
    X(FAILED, 1, "the work was done and its verdict is negative") \
    X(ERR_ARG, 2, "wrong usage or argument") \
    X(ERR_CONFIG, 2, "wrong config") \
    X(ERR_DATA, 3, "bad data or model file") \
    X(ERR_DEVICE, 4, "OpenCL device or driver failed") \
    X(ERR_BUILD, 4, "an OpenCL program does not build") \
    X(ERR_MEMORY, 5, "out of memory") \
    X(ERR_DISK, 5, "a file cannot be written") \
    X(INTERRUPTED, 130, "interrupted")

/** The result of a function. CLRNN_FAILED and CLRNN_INTERRUPTED are outcomes, not errors. A function that
 * returns a CLRNN_ERR_ code has logged one sentence that says what went wrong.
 *
 * A NULL argument gives CLRNN_ERR_ARG unless its documentation allows NULL. Functions that return no status
 * then return 0, NULL or false; functions that destroy or finish do nothing. A NULL log means no messages. */
enum clrnn_status {
#define X(name, exit_status, text) CLRNN_##name,
    CLRNN_STATUS_LIST(X)
#undef X
};

/** One static English phrase for a status. Never NULL. */
CLRNN_API const char *clrnn_status_text(enum clrnn_status status);

/** The exit status of the clrnn command for a status (0 to 5, 130). */
CLRNN_API int clrnn_status_exit(enum clrnn_status status);

/** The library's version, "MAJOR.MINOR.PATCH", static. */
CLRNN_API const char *clrnn_version(void);

/** The severity of a message, most severe first. */
enum clrnn_log_level {
    CLRNN_LOG_ERROR,
    CLRNN_LOG_WARNING,
    CLRNN_LOG_INFO,
    CLRNN_LOG_DEBUG,
};

/** Receives one message, a line without its newline. `line` is valid only during the call. */
typedef void clrnn_log_fn(void *user, enum clrnn_log_level level, const char *line);

/** Where messages go. Functions that create an object keep the pointer for the object's lifetime. NULL, or a
 * NULL fn: no messages. A function that fails logs exactly one sentence with the facts at CLRNN_LOG_ERROR and
 * returns the matching status.
 */
struct clrnn_log {
    clrnn_log_fn *fn;
    void *user;
    enum clrnn_log_level level; // less severe messages are dropped
    /** Reports the progress of long work, from time to time and in the thread that does it: `share` of `what`
     * ("reading sales.csv, 520 MB") is done, from 0 to 1; 1 is the last report. NULL: one message at
     * CLRNN_LOG_INFO says that the work goes on. `what` is valid only during the call. */
    void (*progress)(void *user, const char *what, double share);
};

CLRNN_END

#endif
