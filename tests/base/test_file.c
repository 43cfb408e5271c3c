// SPDX-License-Identifier: MIT
// Files: mapping, writing whole or not at all, folders and paths.
#include <dirent.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/array.h"
#include "base/file.h"

static char *folder;    // of the running test
static char error[512]; // what was logged last

static void keep(void *user, enum clrnn_log_level level, const char *line)
{
    (void)user;
    (void)level;
    snprintf(error, sizeof(error), "%s", line);
}

static const struct clrnn_log messages = {keep, NULL, CLRNN_LOG_ERROR};

static int setup(void **state)
{
    (void)state;
    error[0] = 0;
    return clrnn_temporary_folder(&messages, "clrnn-test-file", &folder) == CLRNN_OK ? 0 : -1;
}

static size_t count_entries(const char *path)
{
    DIR *dir = opendir(path);
    size_t count = 0;

    assert_non_null(dir);
    for (struct dirent *e; (e = readdir(dir));)
        count += strcmp(e->d_name, ".") && strcmp(e->d_name, "..");
    closedir(dir);
    return count;
}

static int teardown(void **state)
{
    (void)state;
    clrnn_remove_folder(folder);
    if (access(folder, F_OK) == 0)
        return -1;
    free(folder);
    folder = NULL;
    return 0;
}

static char *in_folder(const char *name)
{
    char *path = clrnn_path_join(folder, name);

    assert_non_null(path);
    return path;
}

static void check_content(const char *path, const char *want)
{
    struct clrnn_map map;

    assert_int_equal(clrnn_map_open(&messages, path, &map), CLRNN_OK);
    assert_int_equal(map.size, strlen(want));
    if (map.size)
        assert_memory_equal(map.data, want, map.size);
    clrnn_map_close(&map);
    assert_null(map.data);
    clrnn_map_close(&map);
}

static void test_write_and_map(void **state)
{
    char *path = in_folder("a.txt");
    struct clrnn_out *out;
    struct stat st;

    (void)state;
    assert_int_equal(clrnn_out_open(&messages, path, &out), CLRNN_OK);
    assert_int_equal(clrnn_out_write(out, "one ", 4), CLRNN_OK);
    assert_int_equal(clrnn_out_write(out, NULL, 0), CLRNN_OK);
    assert_int_equal(clrnn_out_printf(out, "%s %d", "two", 3), CLRNN_OK);
    assert_int_not_equal(access(path, F_OK), 0); // not yet
    assert_int_equal(clrnn_out_commit(&out), CLRNN_OK);
    assert_null(out);
    check_content(path, "one two 3");
    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(st.st_mode & 0777, 0644);
    assert_int_equal(clrnn_write_text(&messages, path, "other"), CLRNN_OK); // replaces
    check_content(path, "other");
    assert_int_equal(clrnn_write_text(&messages, path, ""), CLRNN_OK);
    check_content(path, "");
    assert_int_equal(count_entries(folder), 1);
    free(path);
}

static void test_abort(void **state)
{
    char *path = in_folder("a.txt");
    struct clrnn_out *out;

    (void)state;
    assert_int_equal(clrnn_write_text(&messages, path, "before"), CLRNN_OK);
    assert_int_equal(clrnn_out_open(&messages, path, &out), CLRNN_OK);
    assert_int_equal(clrnn_out_printf(out, "half"), CLRNN_OK);
    clrnn_out_abort(&out);
    assert_null(out);
    clrnn_out_abort(&out);
    check_content(path, "before");
    assert_int_equal(count_entries(folder), 1);
    free(path);
}

// A disk that takes no more, by a limit on the size of files.
static void test_full_disk(void **state)
{
    const struct rlimit small = {4096, RLIM_INFINITY};
    struct rlimit before;
    char *path = in_folder("a.txt"), block[1024] = {0};
    struct clrnn_out *out;
    void (*handler)(int);

    (void)state;
    assert_int_equal(clrnn_write_text(&messages, path, "before"), CLRNN_OK);
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &before), 0);
    handler = signal(SIGXFSZ, SIG_IGN);
    if (setrlimit(RLIMIT_FSIZE, &small)) {
        free(path);
        skip();
    }
    assert_int_equal(clrnn_out_open(&messages, path, &out), CLRNN_OK);
    for (int i = 0; i < 64; i++)
        clrnn_out_write(out, block, sizeof(block));
    assert_int_equal(clrnn_out_printf(out, "more"), CLRNN_ERR_DISK); // remembered
    assert_int_equal(clrnn_out_commit(&out), CLRNN_ERR_DISK);
    setrlimit(RLIMIT_FSIZE, &before);
    signal(SIGXFSZ, handler);
    assert_non_null(strstr(error, path));
    check_content(path, "before");
    assert_int_equal(count_entries(folder), 1);
    free(path);
}

static void test_cannot_be_written(void **state)
{
    char *missing = in_folder("no/such/folder/a.txt"), *is_folder = in_folder("dir");
    struct clrnn_out *out;

    (void)state;
    assert_int_equal(clrnn_out_open(&messages, missing, &out), CLRNN_ERR_DISK);
    assert_null(out);
    assert_non_null(strstr(error, missing));
    assert_int_equal(mkdir(is_folder, 0777), 0);
    assert_int_equal(clrnn_write_text(&messages, is_folder, "x"), CLRNN_ERR_DISK);
    assert_int_equal(count_entries(folder), 1);
    free(missing);
    free(is_folder);
}

static void test_cannot_be_read(void **state)
{
    char *missing = in_folder("missing.npy");
    struct clrnn_map map = {(const unsigned char *)"x", 1, -1};

    (void)state;
    assert_int_equal(clrnn_map_open(&messages, missing, &map), CLRNN_ERR_DATA);
    assert_null(map.data);
    assert_int_equal(map.size, 0);
    assert_non_null(strstr(error, missing));
    assert_int_equal(clrnn_map_open(&messages, folder, &map), CLRNN_ERR_DATA);
    assert_non_null(strstr(error, "folder"));
    assert_int_equal(clrnn_map_open(&messages, "/dev/null", &map), CLRNN_ERR_DATA);
    free(missing);
}

static void test_make_folder(void **state)
{
    char *deep = in_folder("a/b//c"), *slash = in_folder("d/"), *file = in_folder("file");
    char *below = in_folder("file/x");
    struct stat st;

    (void)state;
    assert_int_equal(clrnn_make_folder(&messages, deep), CLRNN_OK);
    assert_int_equal(clrnn_make_folder(&messages, deep), CLRNN_OK);
    assert_true(!stat(deep, &st) && S_ISDIR(st.st_mode));
    assert_int_equal(clrnn_make_folder(&messages, slash), CLRNN_OK);
    assert_int_equal(clrnn_write_text(&messages, file, ""), CLRNN_OK);
    assert_int_equal(clrnn_make_folder(&messages, file), CLRNN_ERR_DISK);
    assert_non_null(strstr(error, "file"));
    assert_int_equal(clrnn_make_folder(&messages, below), CLRNN_ERR_DISK);
    assert_int_equal(clrnn_make_folder(&messages, "/"), CLRNN_OK);
    free(deep);
    free(slash);
    free(file);
    free(below);
}

static void check_text(char *got, const char *want)
{
    assert_non_null(got);
    assert_string_equal(got, want);
    free(got);
}

static void test_temporary_folder(void **state)
{
    char *kept = in_folder("kept"), *file = in_folder("kept/file"), *other = NULL, *link, *deep;
    struct stat st;

    (void)state;
    assert_int_equal(CLRNN_OK, clrnn_make_folder(&messages, kept));
    assert_int_equal(CLRNN_OK, clrnn_write_text(&messages, file, "1"));
    setenv("TMPDIR", folder, 1);
    assert_int_equal(CLRNN_OK, clrnn_temporary_folder(&messages, "stem", &other));
    assert_non_null(strstr(other, folder));
    assert_non_null(strstr(other, "/stem-"));
    assert_int_equal(0, stat(other, &st));
    assert_int_equal(0700, st.st_mode & 0777);

    link = clrnn_path_join(other, "link");
    deep = clrnn_path_join(other, "a/b/c");
    assert_non_null(link);
    assert_non_null(deep);
    assert_int_equal(0, symlink(kept, link));
    assert_int_equal(CLRNN_OK, clrnn_make_folder(&messages, deep));
    clrnn_remove_folder(other);
    clrnn_remove_folder(NULL);
    assert_int_equal(-1, access(other, F_OK));
    assert_int_equal(0, access(file, F_OK)); // what a link leads to stays
    free(other);

    setenv("TMPDIR", file, 1);
    assert_int_equal(CLRNN_ERR_DISK, clrnn_temporary_folder(&messages, "stem", &other));
    assert_null(other);
    assert_non_null(strstr(error, "kept/file/stem-"));
    assert_non_null(strstr(error, ": the folder cannot be made: Not a directory"));
    unsetenv("TMPDIR");
    free(link);
    free(deep);
    free(kept);
    free(file);
}

static void test_paths(void **state)
{
    (void)state;
    check_text(clrnn_path_join("dir", "name"), "dir/name");
    check_text(clrnn_path_join("dir/", "name"), "dir/name");
    check_text(clrnn_path_join("", "name"), "name");
    check_text(clrnn_path_join(NULL, "name"), "name");
    check_text(clrnn_path_join("dir", "/name"), "/name");
    check_text(clrnn_path_folder("name"), ".");
    check_text(clrnn_path_folder("dir/name"), "dir");
    check_text(clrnn_path_folder("a/b/name"), "a/b");
    check_text(clrnn_path_folder("/name"), "/");
    check_text(clrnn_format("%s=%d", "epochs", 3), "epochs=3");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_write_and_map, setup, teardown),
        cmocka_unit_test_setup_teardown(test_abort, setup, teardown),
        cmocka_unit_test_setup_teardown(test_full_disk, setup, teardown),
        cmocka_unit_test_setup_teardown(test_cannot_be_written, setup, teardown),
        cmocka_unit_test_setup_teardown(test_cannot_be_read, setup, teardown),
        cmocka_unit_test_setup_teardown(test_make_folder, setup, teardown),
        cmocka_unit_test_setup_teardown(test_temporary_folder, setup, teardown),
        cmocka_unit_test(test_paths),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
