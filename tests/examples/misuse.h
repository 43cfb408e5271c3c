// SPDX-License-Identifier: MIT
// Macros that call public functions with NULL and check the result.
#ifndef CLRNN_TESTS_EXAMPLES_MISUSE_H
#define CLRNN_TESTS_EXAMPLES_MISUSE_H

#include <clrnn.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

static char tried[256][64];
static size_t tried_count;
static unsigned errors;
static char last[512];

static void keep(void *user, enum clrnn_log_level level, const char *line)
{
    (void)user;
    if (level != CLRNN_LOG_ERROR)
        return;
    errors++;
    snprintf(last, sizeof(last), "%s", line);
}
static const struct clrnn_log log_ = {.fn = keep, .user = NULL, .level = CLRNN_LOG_WARNING};

static void note(const char *name)
{
    assert_true(tried_count < sizeof(tried) / sizeof(*tried));
    snprintf(tried[tried_count++], sizeof(*tried), "%s", name);
}

// Expects that a call with NULL for `parameter` fails with one message. REFUSED_SILENTLY expects no message, because
// the log would come from that parameter.
#define REFUSED(parameter, function, ...) \
    do { \
        errors = 0; \
        note(#function); \
        assert_int_equal(function(__VA_ARGS__), CLRNN_ERR_ARG); \
        assert_int_equal(errors, 1); \
        assert_string_equal(last, #function ": " parameter " is NULL"); \
    } while (0)
#define REFUSED_SILENTLY(function, ...) \
    do { \
        errors = 0; \
        note(#function); \
        assert_int_equal(function(__VA_ARGS__), CLRNN_ERR_ARG); \
        assert_int_equal(errors, 0); \
    } while (0)
#define GIVES(value, function, ...) \
    do { \
        note(#function); \
        assert_true(function(__VA_ARGS__) == (value)); \
    } while (0)
#define NOTHING(function, ...) \
    do { \
        note(#function); \
        function(__VA_ARGS__); \
    } while (0)

#endif
