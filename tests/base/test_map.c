// SPDX-License-Identifier: MIT
// Mapped files that change while they are read.
#include <fcntl.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/folder.h"

// A mapped file that shrinks must read as zeros, and clrnn_map_check must report it. Any other bus error must still end
// the process.
static void test_shrinking(void **state)
{
    char *path = test_folder_path("shrinks"), *other = test_folder_path("whole"), text[3 * 4096 + 1], got[8192];
    struct test_log heard;
    struct clrnn_map map, whole;
    int status;
    pid_t child;

    (void)state;
    test_log_init(&heard);
    memset(text, 'x', sizeof(text));
    text[sizeof(text) - 1] = 0;
    assert_int_equal(clrnn_write_text(&heard.log, path, text), CLRNN_OK);
    assert_int_equal(clrnn_write_text(&heard.log, other, text), CLRNN_OK);
    assert_int_equal(clrnn_map_open(&heard.log, path, &map), CLRNN_OK);
    assert_int_equal(clrnn_map_open(&heard.log, other, &whole), CLRNN_OK);
    assert_int_equal(clrnn_map_check(&heard.log, &map, path), CLRNN_OK);
    assert_int_equal(truncate(path, 4090), 0); // the file now ends inside its first page
    assert_int_equal(clrnn_map_check(&heard.log, &map, path), CLRNN_ERR_DATA);
    assert_non_null(strstr(heard.text, "shrinks: became shorter than its 12288 bytes while it was read"));
    clrnn_map_read(&map, 4000, sizeof(got), got);
    assert_int_equal(got[89], 'x');
    assert_int_equal(got[90], 0);
    clrnn_map_catch();
    assert_int_equal(map.data[4096], 0); // this page is no longer in the file
    assert_int_equal(map.data[12287], 0);
    assert_int_equal(map.data[0], 'x');
    // the file has its full size again, but what was read before is wrong: the check must still fail
    assert_int_equal(truncate(path, sizeof(text) - 1), 0);
    assert_int_equal(clrnn_map_check(&heard.log, &map, path), CLRNN_ERR_DATA);
    assert_int_equal(clrnn_map_check(&heard.log, &whole, other), CLRNN_OK);
    assert_int_equal(whole.data[12287], 'x');
    clrnn_map_close(&map);
    clrnn_map_close(&whole);
    for (int kind = 0; kind < 2; kind++) {
        child = fork();
        if (child == 0) {
            const struct rlimit none = {0, 0};
            const int fd = open(other, O_RDWR);
            volatile char *own = mmap(NULL, 4096, PROT_READ, MAP_SHARED, fd, 0);

            setrlimit(RLIMIT_CORE, &none);
            signal(SIGBUS,
                   SIG_DFL); // not the handler of the test library, which would continue with the next test
            clrnn_map_catch();
            if (kind)
                raise(SIGBUS);
            else if (!ftruncate(fd, 0))
                (void)own[0];
            _exit(0);
        }
        assert_int_equal(waitpid(child, &status, 0), child);
        assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGBUS);
    }
    free(path);
    free(other);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_shrinking)};

    return cmocka_run_group_tests_name("map", tests, test_folder_make, test_folder_remove);
}
