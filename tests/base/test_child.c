// SPDX-License-Identifier: MIT
// Child processes that exit, fail, crash, hang and read files that shrink: what the parent must find out about each.
#include <unistd.h>

#include "base/child.h"
#include "base/file.h"
#include "tests/test.h"

enum deed { END_WELL, FAIL, CRASH, LEAVE, HANG, BE_SLOW };

struct block {
    struct clrnn_child_report report;
    enum deed deed;
    int result;
};

static void work(void *user)
{
    struct block *b = user;
    const struct clrnn_log log = {.fn = clrnn_child_log, .user = &b->report, .level = CLRNN_LOG_ERROR};

    b->result = 1;
    clrnn_child_doing(&b->report, "doing deed %d", b->deed);
    if (b->deed == FAIL) {
        clrnn_error(&log, CLRNN_ERR_DEVICE, "it cannot be done");
        clrnn_error(&log, CLRNN_ERR_DEVICE, "a second sentence");
    }
    if (b->deed == CRASH)
        abort();
    if (b->deed == LEAVE)
        _exit(3);
    while (b->deed == HANG)
        pause();
    for (int i = 0; i < 6 && b->deed == BE_SLOW; i++) {
        usleep(100 * 1000);
        clrnn_child_doing(&b->report, "part %d", i);
    }
    b->result = 2;
}

static void check(enum deed deed, double patience_s, const volatile sig_atomic_t *stop, int result, const char *ending)
{
    struct block *b = clrnn_shared_create(sizeof(*b));
    char text[CLRNN_ENDING_SIZE];

    assert_non_null(b);
    b->deed = deed;
    assert_int_equal(clrnn_child_run(NULL, work, b, &b->report, patience_s, stop, text),
                     stop ? CLRNN_INTERRUPTED : CLRNN_OK);
    assert_string_equal(text, ending);
    assert_int_equal(b->result, result);
    clrnn_shared_destroy(b, sizeof(*b));
}

static void endings(void **state)
{
    (void)state;
    check(END_WELL, 20, NULL, 2, "");
    check(FAIL, 20, NULL, 2, "it cannot be done");
    check(CRASH, 20, NULL, 1, "crashed with signal 6 (Aborted) while doing deed 2");
    check(LEAVE, 20, NULL, 1, "ended the process with status 3 while doing deed 3");
}

static void patience(void **state)
{
    const volatile sig_atomic_t stop = 1;

    (void)state;
    check(HANG, 0.4, NULL, 1, "hung for 0.4 s while doing deed 4");
    check(HANG, 20, &stop, 1, "stopped while doing deed 4");
    // every report of a part counts as a sign of life: the child is not hung
    check(BE_SLOW, 0.5, NULL, 2, "");
}

struct shrinking {
    struct clrnn_child_report report;
    struct clrnn_map map;
    char last;
};

static void read_map(void *user)
{
    struct shrinking *s = user;
    const struct clrnn_log log = {.fn = clrnn_child_log, .user = &s->report, .level = CLRNN_LOG_ERROR};

    s->last = s->map.data[s->map.size - 1];
    clrnn_map_check(&log, &s->map, "data.npy");
}

// A mapped file shrinks while a child reads it: there must be an error message, and no signal must end the child.
static void shrinking_file(void **state)
{
    struct shrinking *s = clrnn_shared_create(sizeof(*s));
    char path[] = "/tmp/clrnn-child-XXXXXX", text[CLRNN_ENDING_SIZE];
    const int fd = mkstemp(path);

    (void)state;
    assert_non_null(s);
    assert_true(fd >= 0);
    assert_int_equal(pwrite(fd, "x", 1, 99999), 1);
    assert_int_equal(clrnn_map_open(NULL, path, &s->map), CLRNN_OK);
    assert_int_equal(ftruncate(fd, 10), 0);
    s->last = 'x';
    assert_int_equal(clrnn_child_run(NULL, read_map, s, &s->report, 20, NULL, text), CLRNN_OK);
    assert_non_null(strstr(text, "data.npy: became shorter than its 100000 bytes"));
    assert_int_equal(s->last, 0);
    clrnn_map_close(&s->map);
    close(fd);
    unlink(path);
    clrnn_shared_destroy(s, sizeof(*s));
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(endings), cmocka_unit_test(patience),
                                       cmocka_unit_test(shrinking_file)};

    return cmocka_run_group_tests_name("base/child", tests, NULL, NULL);
}
