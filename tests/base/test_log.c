// SPDX-License-Identifier: MIT
// Messages: levels, silence, long lines; status texts and exit statuses.
#include "base/array.h"
#include "base/log.h"
#include "tests/test.h"

struct kept {
    size_t lines;
    enum clrnn_log_level level;
    char last[8192];
};

static void keep(void *user, enum clrnn_log_level level, const char *line)
{
    struct kept *kept = user;

    kept->lines++;
    kept->level = level;
    strncpy(kept->last, line, sizeof(kept->last) - 1);
}

static void test_levels(void **state)
{
    struct kept kept = {0};
    const struct clrnn_log log = {.fn = keep, .user = &kept, .level = CLRNN_LOG_WARNING};

    (void)state;
    clrnn_log(&log, CLRNN_LOG_DEBUG, "not shown");
    clrnn_log(&log, CLRNN_LOG_INFO, "not shown");
    assert_int_equal(kept.lines, 0);
    clrnn_log(&log, CLRNN_LOG_WARNING, "%s holds %d", "gates", 4096);
    assert_int_equal(kept.lines, 1);
    assert_int_equal(kept.level, CLRNN_LOG_WARNING);
    assert_string_equal(kept.last, "gates holds 4096");
}

static void test_error(void **state)
{
    struct kept kept = {0};
    const struct clrnn_log log = {.fn = keep, .user = &kept, .level = CLRNN_LOG_ERROR};

    (void)state;
    assert_int_equal(clrnn_error(&log, CLRNN_ERR_DATA, "row %zu", (size_t)7), CLRNN_ERR_DATA);
    assert_int_equal(kept.level, CLRNN_LOG_ERROR);
    assert_string_equal(kept.last, "row 7");
    assert_int_equal(clrnn_error_memory(&log, 12345, "the optimiser's moments"), CLRNN_ERR_MEMORY);
    assert_non_null(strstr(kept.last, "12345"));
    assert_non_null(strstr(kept.last, "the optimiser's moments"));
    assert_int_equal(kept.lines, 2);
}

static void test_silence(void **state)
{
    const struct clrnn_log mute = {.fn = NULL, .user = NULL, .level = CLRNN_LOG_DEBUG};

    (void)state;
    assert_int_equal(clrnn_error(NULL, CLRNN_ERR_ARG, "nobody hears"), CLRNN_ERR_ARG);
    assert_int_equal(clrnn_error(&mute, CLRNN_ERR_ARG, "nobody hears"), CLRNN_ERR_ARG);
    clrnn_log(NULL, CLRNN_LOG_INFO, "nobody hears");
}

static void test_long_lines(void **state)
{
    struct kept kept = {0};
    const struct clrnn_log log = {.fn = keep, .user = &kept, .level = CLRNN_LOG_INFO};
    const size_t lengths[] = {0, 4094, 4095, 4096, 4097, 8000};

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(lengths); i++) {
        char *text = calloc(lengths[i] + 1, 1);

        assert_non_null(text);
        memset(text, 'x', lengths[i]);
        memset(&kept, 0, sizeof(kept));
        clrnn_log(&log, CLRNN_LOG_INFO, "%s", text);
        assert_string_equal(kept.last, text);
        free(text);
    }
}

static void test_outside_text(void **state)
{
    struct kept kept = {0};
    const struct clrnn_log log = {.fn = keep, .user = &kept, .level = CLRNN_LOG_INFO};

    (void)state;
    clrnn_error(&log, CLRNN_ERR_DATA, "%s: no such tensor", "\033[2J\nclrnn: error: \xff");
    assert_string_equal(kept.last, "\\x1b[2J\\x0aclrnn: error: \\xff: no such tensor");
    assert_int_equal(kept.lines, 1);
    clrnn_log_lines(&log, CLRNN_LOG_INFO, "one\ntwo\t\n");
    assert_int_equal(kept.lines, 3);
    assert_string_equal(kept.last, "two\\x09");
}

static enum clrnn_status tries(enum clrnn_status first, int *reached)
{
    TRY(first);
    *reached = 1;
    return CLRNN_FAILED;
}

static void test_try(void **state)
{
    int reached = 0;

    (void)state;
    assert_int_equal(tries(CLRNN_ERR_DISK, &reached), CLRNN_ERR_DISK);
    assert_int_equal(reached, 0);
    assert_int_equal(tries(CLRNN_OK, &reached), CLRNN_FAILED);
    assert_int_equal(reached, 1);
}

static void test_statuses(void **state)
{
    static const struct {
        enum clrnn_status status;
        int exit;
    } want[] = {
        {CLRNN_OK, 0},       {CLRNN_FAILED, 1},        {CLRNN_ERR_ARG, 2},   {CLRNN_ERR_CONFIG, 2},
        {CLRNN_ERR_DATA, 3}, {CLRNN_ERR_DEVICE, 4},    {CLRNN_ERR_BUILD, 4}, {CLRNN_ERR_MEMORY, 5},
        {CLRNN_ERR_DISK, 5}, {CLRNN_INTERRUPTED, 130},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(want); i++) {
        assert_int_equal(clrnn_status_exit(want[i].status), want[i].exit);
        assert_true(strlen(clrnn_status_text(want[i].status)) > 0);
    }
    assert_non_null(clrnn_status_text((enum clrnn_status)99));
    assert_int_equal(strspn(clrnn_version(), "0123456789."), strlen(clrnn_version()));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_outside_text), cmocka_unit_test(test_levels),     cmocka_unit_test(test_error),
        cmocka_unit_test(test_silence),      cmocka_unit_test(test_long_lines), cmocka_unit_test(test_try),
        cmocka_unit_test(test_statuses),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
