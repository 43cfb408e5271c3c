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

// Every status: X(name, exit status of the program clrnn, static English phrase)
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

/** The result of a function. CLRNN_FAILED and CLRNN_INTERRUPTED are outcomes, not errors. A function that returns a
 * CLRNN_ERR_ code has logged one sentence that says what went wrong.
 *
 * A function returns CLRNN_ERR_ARG if a pointer argument is NULL, unless the function's documentation allows NULL for
 * this argument. A function that returns no status returns 0, NULL or false instead. A function named ..._destroy or
 * ..._finish does nothing if its argument is NULL. Every function accepts a NULL log and then logs no messages. */
enum clrnn_status {
#define X(name, exit_status, text) CLRNN_##name,
    CLRNN_STATUS_LIST(X)
#undef X
};

/** Returns a static English phrase that describes the status. Never NULL. */
CLRNN_API const char *clrnn_status_text(enum clrnn_status status);

/** Returns the exit status by which the program clrnn reports `status`: 0 to 5, or 130. */
CLRNN_API int clrnn_status_exit(enum clrnn_status status);

/** Returns the version of the library as a static string, "MAJOR.MINOR.PATCH". */
CLRNN_API const char *clrnn_version(void);

/** The severity of a message, most severe first. */
enum clrnn_log_level {
    CLRNN_LOG_ERROR,
    CLRNN_LOG_WARNING,
    CLRNN_LOG_INFO,
    CLRNN_LOG_DEBUG,
};

/** A function that receives one message. `line` has no newline and is valid only during the call. */
typedef void clrnn_log_fn(void *user, enum clrnn_log_level level, const char *line);

/** Where messages are sent. A function that creates an object stores its log pointer in the object, so the log must
 * live as long as the object. If the log pointer or `fn` is NULL, no messages are sent. A function that fails logs
 * exactly one sentence with the facts at CLRNN_LOG_ERROR and returns the matching status.
 */
struct clrnn_log {
    clrnn_log_fn *fn;
    void *user;
    enum clrnn_log_level level; // less severe messages are dropped
    /** Reports the progress of long work. It is called from time to time, in the thread that does the work. `what`
     * names the work ("reading sales.csv, 520 MB") and is valid only during the call. `share` is the fraction of the
     * work that is done, from 0 to 1; a report with 1 is the last one. If `progress` is NULL, one message at
     * CLRNN_LOG_INFO names the work instead, once it has taken longer than a second. */
    void (*progress)(void *user, const char *what, double share);
};

CLRNN_END

#endif
