// SPDX-License-Identifier: MIT
// Status codes, logging and version: what every other public header builds on.
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

/** What a function came to. CLRNN_FAILED and CLRNN_INTERRUPTED are outcomes; the CLRNN_ERR_ ones come with
 *  one logged sentence on what went wrong.
 *
 *  A pointer that is NULL where nothing says that it may be is CLRNN_ERR_ARG; functions without a status then
 *  answer 0, NULL or false; those that destroy or finish do nothing. A NULL log is silence. */
enum clrnn_status {
#define X(name, exit_status, text) CLRNN_##name,
    CLRNN_STATUS_LIST(X)
#undef X
};

/** One static English phrase for a status. Never NULL. */
CLRNN_API const char *clrnn_status_text(enum clrnn_status status);

/** The exit status that the clrnn command gives for a status (0 to 5, 130). */
CLRNN_API int clrnn_status_exit(enum clrnn_status status);

/** The library's version, "MAJOR.MINOR.PATCH", static. */
CLRNN_API const char *clrnn_version(void);

/** How grave a message is, gravest first. */
enum clrnn_log_level {
    CLRNN_LOG_ERROR,
    CLRNN_LOG_WARNING,
    CLRNN_LOG_INFO,
    CLRNN_LOG_DEBUG,
};

/** Receives one message, a line without its newline, valid during the call only. */
typedef void clrnn_log_fn(void *user, enum clrnn_log_level level, const char *line);

/**
 * Where messages go. Functions take a pointer to one and keep it as long as the object that they make
 * lives; NULL, or a NULL fn, is silence. A failing function logs exactly one sentence at
 * CLRNN_LOG_ERROR, where the facts are, and returns the status that fits.
 */
struct clrnn_log {
    clrnn_log_fn *fn;
    void *user;
    enum clrnn_log_level level; // messages above it are not made
};

CLRNN_END

#endif
