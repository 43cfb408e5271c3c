// SPDX-License-Identifier: MIT
// Common to all test programs: cmocka, and a log that stores messages.
#ifndef CLRNN_TESTS_TEST_H
#define CLRNN_TESTS_TEST_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/log.h"

/** A log that stores the message logged last (`text`) and all messages (`all`), and counts errors and messages. */
struct test_log {
    struct clrnn_log log; // log.user points to this struct
    char text[16384], all[16384];
    int errors, lines;
};

static inline void test_log_fn(void *user, enum clrnn_log_level level, const char *line)
{
    struct test_log *t = user;

    t->errors += level == CLRNN_LOG_ERROR;
    t->lines++;
    snprintf(t->text, sizeof(t->text), "%s", line);
    snprintf(t->all + strlen(t->all), sizeof(t->all) - strlen(t->all), "%s\n", line);
}

static inline void test_log_init(struct test_log *t)
{
    memset(t, 0, sizeof(*t));
    t->log = (struct clrnn_log){.fn = test_log_fn, .user = t, .level = CLRNN_LOG_WARNING};
}

/** Prints messages to stderr, for tests in which nothing should be logged. */
static inline void test_print_fn(void *user, enum clrnn_log_level level, const char *line)
{
    (void)user;
    (void)level;
    fprintf(stderr, "# %s\n", line);
}
static const struct clrnn_log test_print_log = {.fn = test_print_fn, .user = NULL, .level = CLRNN_LOG_WARNING};

/** Moves clRNN's caches to `folder`; NULL moves them back. Move them only around calls of the library: a driver that
 * reads XDG_CACHE_HOME at another time must find its usual cache, which is filled. */
static inline void test_cache_home(const char *folder)
{
    static char *kept; // the original value; "" if there was none
    const char *home = getenv("XDG_CACHE_HOME");

    if (!kept)
        kept = strdup(home ? home : "");
    if (folder || *kept)
        setenv("XDG_CACHE_HOME", folder ? folder : kept, 1);
    else
        unsetenv("XDG_CACHE_HOME");
}

#endif
