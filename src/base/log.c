// SPDX-License-Identifier: MIT
// Status texts and messages.
#include "base/log.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/text.h"

#define TELL_AFTER_S 1.0 // seconds from the start of long work to the first report of its progress
#define TELL_AGAIN_S 0.1 // minimum seconds from one report to the next

const char *clrnn_status_text(enum clrnn_status status)
{
    switch (status) {
#define X(name, exit_status, text) \
    case CLRNN_##name: \
        return text;
        CLRNN_STATUS_LIST(X)
#undef X
    }
    return "unknown status";
}

int clrnn_status_exit(enum clrnn_status status)
{
    switch (status) {
#define X(name, exit_status, text) \
    case CLRNN_##name: \
        return exit_status;
        CLRNN_STATUS_LIST(X)
#undef X
    }
    return 4;
}

const char *clrnn_version(void)
{
#define TEXT(number) #number
#define VERSION(major, minor, patch) TEXT(major) "." TEXT(minor) "." TEXT(patch)
    return VERSION(CLRNN_VERSION_MAJOR, CLRNN_VERSION_MINOR, CLRNN_VERSION_PATCH);
}

// Passes the line to the log, escaped: the line may contain names from outside the program, such as file names, which
// must not control the terminal or start a new line.
static void pass_on(const struct clrnn_log *log, enum clrnn_log_level level, const char *line)
{
    char *escaped;

    if (clrnn_text_is_clean(line, CLRNN_TEXT_SHOWN)) {
        log->fn(log->user, level, line);
        return;
    }
    escaped = clrnn_text_escape(line, CLRNN_TEXT_SHOWN);
    log->fn(log->user, level, escaped ? escaped : "(a message that there is no memory for)");
    free(escaped);
}

static CLRNN_PRINTF(3, 0) void log_va(const struct clrnn_log *log, enum clrnn_log_level level, const char *format,
                                      va_list arguments)
{
    char line[4096], *longer = NULL;
    va_list again;
    int length;

    if (!log || !log->fn || level > log->level)
        return;
    va_copy(again, arguments);
    length = vsnprintf(line, sizeof(line), format, arguments);
    if (length >= (int)sizeof(line)) {
        longer = malloc((size_t)length + 1);
        if (longer)
            vsnprintf(longer, (size_t)length + 1, format, again);
    }
    va_end(again);
    pass_on(log, level, longer ? longer : line);
    free(longer);
}

enum clrnn_status clrnn_error(const struct clrnn_log *log, enum clrnn_status status, const char *format, ...)
{
    va_list arguments;

    va_start(arguments, format);
    log_va(log, CLRNN_LOG_ERROR, format, arguments);
    va_end(arguments);
    return status;
}

void clrnn_log(const struct clrnn_log *log, enum clrnn_log_level level, const char *format, ...)
{
    va_list arguments;

    va_start(arguments, format);
    log_va(log, level, format, arguments);
    va_end(arguments);
}

void clrnn_log_lines(const struct clrnn_log *log, enum clrnn_log_level level, const char *text)
{
    for (size_t length; *text; text += length + (text[length] == '\n')) {
        length = strcspn(text, "\n");
        clrnn_log(log, level, "%.*s", (int)length, text);
    }
}

void clrnn_log_work(const struct clrnn_log *log, struct clrnn_work *work, const char *what, double share)
{
    const double now = clrnn_clock();
    const bool shows = log && log->progress, over = share >= 1.0;

    if (!work->began)
        work->began = now;
    if (now - work->began < TELL_AFTER_S || (over && !work->told))
        return;
    if (shows && (over || now - work->told >= TELL_AGAIN_S))
        log->progress(log->user, what, share);
    else if (shows || work->told)
        return;
    else
        clrnn_log(log, CLRNN_LOG_INFO, "%s", what);
    work->told = now;
}

enum clrnn_status clrnn_error_memory(const struct clrnn_log *log, size_t bytes, const char *what)
{
    if (bytes == 0)
        return clrnn_error(log, CLRNN_ERR_MEMORY, "out of memory: there is none left for %s", what);
    return clrnn_error(log, CLRNN_ERR_MEMORY, "out of memory: %zu bytes for %s cannot be had", bytes, what);
}
