// SPDX-License-Identifier: MIT
// Files: mapping, atomic writing, folders and paths.
#include <dirent.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/array.h"
#include "tests/folder.h"

static struct test_log heard = {.log = {.fn = test_log_fn, .user = &heard, .level = CLRNN_LOG_ERROR}};

static int setup(void **state)
{
    heard.text[0] = 0;
    return test_folder_make(state);
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
    clrnn_remove_folder(test_folder);
    if (access(test_folder, F_OK) == 0)
        return -1;
    free(test_folder);
    return 0;
}

static void check_content(const char *path, const char *want)
{
    struct clrnn_map map;

    assert_int_equal(clrnn_map_open(&heard.log, path, &map), CLRNN_OK);
    assert_int_equal(map.size, strlen(want));
    if (map.size)
        assert_memory_equal(map.data, want, map.size);
    clrnn_map_close(&map);
    assert_null(map.data);
    clrnn_map_close(&map);
}

static void test_write_and_map(void **state)
{
    char *path = test_folder_path("a.txt");
    struct clrnn_out *out;

    (void)state;
    assert_int_equal(clrnn_out_open(&heard.log, path, &out), CLRNN_OK);
    assert_int_equal(clrnn_out_write(out, "one ", 4), CLRNN_OK);
    assert_int_equal(clrnn_out_write(out, NULL, 0), CLRNN_OK);
    assert_int_equal(clrnn_out_printf(out, "%s %d", "two", 3), CLRNN_OK);
    assert_int_not_equal(access(path, F_OK), 0); // no file before the commit
    assert_int_equal(clrnn_out_commit(&out), CLRNN_OK);
    assert_null(out);
    check_content(path, "one two 3");
    assert_int_equal(clrnn_write_text(&heard.log, path, "other"), CLRNN_OK); // replaces the file
    check_content(path, "other");
    assert_int_equal(clrnn_write_text(&heard.log, path, ""), CLRNN_OK);
    check_content(path, "");
    assert_int_equal(count_entries(test_folder), 1);
    free(path);
}

static void test_abort(void **state)
{
    char *path = test_folder_path("a.txt");
    struct clrnn_out *out;

    (void)state;
    assert_int_equal(clrnn_write_text(&heard.log, path, "before"), CLRNN_OK);
    assert_int_equal(clrnn_out_open(&heard.log, path, &out), CLRNN_OK);
    assert_int_equal(clrnn_out_printf(out, "half"), CLRNN_OK);
    clrnn_out_abort(&out);
    assert_null(out);
    clrnn_out_abort(&out);
    check_content(path, "before");
    assert_int_equal(count_entries(test_folder), 1);
    free(path);
}

// Runs `work` in a child process that exits without removing anything, as if it were killed. Returns false if `work`
// failed.
static bool in_killed_child(bool (*work)(void))
{
    const pid_t child = fork();
    int status = 1;

    if (child == 0)
        _exit(work() ? 0 : 1);
    assert_true(child > 0);
    assert_int_equal(child, waitpid(child, &status, 0));
    return status == 0;
}

static bool half_written(void)
{
    char *path = test_folder_path("a.txt");
    struct clrnn_temporary *t;
    struct clrnn_out *out;

    return clrnn_out_open(&heard.log, path, &out) == CLRNN_OK && clrnn_out_printf(out, "half") == CLRNN_OK &&
           clrnn_temporary_create(test_folder, true, &t) == 0 && count_entries(test_folder) == 3;
}

// The next process that writes in a folder must remove what a killed process left, and nothing else.
static void test_leftovers(void **state)
{
    char *path = test_folder_path("a.txt"), *other = test_folder_path("b.txt"),
         *foreign = test_folder_path(".clrnn-tm-1-1");
    struct clrnn_out *out;

    (void)state;
    assert_int_equal(clrnn_write_text(&heard.log, path, "before"), CLRNN_OK);
    assert_true(in_killed_child(half_written));
    assert_int_equal(count_entries(test_folder), 3);
    check_content(path, "before");
    assert_int_equal(clrnn_out_open(&heard.log, path, &out), CLRNN_OK);
    assert_int_equal(count_entries(test_folder), 2); // a.txt and the temporary file of `out`
    assert_int_equal(clrnn_write_text(&heard.log, foreign, "mine"), CLRNN_OK);
    assert_int_equal(clrnn_write_text(&heard.log, other, "meanwhile"), CLRNN_OK);
    // the temporary file of a live process must stay
    assert_int_equal(clrnn_out_printf(out, "after"), CLRNN_OK);
    assert_int_equal(clrnn_out_commit(&out), CLRNN_OK);
    check_content(path, "after");
    check_content(foreign, "mine");
    assert_int_equal(count_entries(test_folder), 3);
    free(path);
    free(other);
    free(foreign);
}

// Several processes make temporary folders at the same time. None may take a new folder of another process for a
// leftover and remove it.
static void test_side_by_side(void **state)
{
    pid_t child[6];
    int status, failed = 0;

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(child); i++) {
        child[i] = fork();
        assert_true(child[i] >= 0);
        for (int k = 0; child[i] == 0 && k < 300; k++) {
            struct clrnn_temporary *t;

            if (clrnn_temporary_create(test_folder, true, &t))
                _exit(1);
            clrnn_temporary_remove(&t);
        }
        if (child[i] == 0)
            _exit(0);
    }
    for (size_t i = 0; i < ARRAY_SIZE(child); i++) {
        assert_int_equal(child[i], waitpid(child[i], &status, 0));
        failed += status != 0;
    }
    assert_int_equal(0, failed);
}

static bool ends_at_once(void)
{
    struct clrnn_temporary *t;

    if (clrnn_temporary_create(test_folder, true, &t) || clrnn_temporary_create(test_folder, false, &t) ||
        count_entries(test_folder) != 2)
        return false;
    clrnn_temporary_remove_all();
    return access(test_folder, F_OK) != 0; // the test folder is itself temporary
}

static void test_end_at_once(void **state)
{
    (void)state;
    assert_true(in_killed_child(ends_at_once));
}

static void test_permissions(void **state)
{
    const mode_t masks[] = {0, 022, 027, 077};
    char *path = test_folder_path("a.txt");
    struct stat st;

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(masks); i++) {
        const mode_t before = umask(masks[i]);

        unlink(path);
        assert_int_equal(clrnn_write_text(&heard.log, path, "1"), CLRNN_OK);
        umask(before);
        assert_int_equal(stat(path, &st), 0);
        assert_int_equal(st.st_mode & 07777, 0666 & ~masks[i]);
    }
    assert_int_equal(chmod(path, 0640), 0); // a replaced file keeps its permissions
    assert_int_equal(clrnn_write_text(&heard.log, path, "2"), CLRNN_OK);
    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(st.st_mode & 07777, 0640);
    assert_int_equal(chmod(path, 0440), 0);
    if (access(path, W_OK)) { // not as root, who may write to the file
        assert_int_equal(clrnn_write_text(&heard.log, path, "3"), CLRNN_ERR_DISK);
        check_content(path, "2");
    }
    free(path);
}

static void check_link(const char *link, const char *to)
{
    char text[256];
    const ssize_t length = readlink(link, text, sizeof(text) - 1);

    assert_true(length > 0);
    text[length] = 0;
    assert_string_equal(text, to);
}

static void test_links(void **state)
{
    char *real = test_folder_path("real/a.txt"), *sub = test_folder_path("real"), *one = test_folder_path("one"),
         *two = test_folder_path("two"), *round = test_folder_path("round"), *hard = test_folder_path("hard");

    (void)state;
    assert_int_equal(clrnn_make_folder(&heard.log, sub), CLRNN_OK);
    assert_int_equal(symlink("real/a.txt", one), 0); // at first its target does not exist
    assert_int_equal(symlink(one, two), 0);
    assert_int_equal(symlink("round", round), 0);
    for (int i = 0; i < 2; i++) {
        assert_int_equal(clrnn_write_text(&heard.log, two, i ? "again" : "first"), CLRNN_OK);
        check_content(real, i ? "again" : "first");
        check_link(one, "real/a.txt");
        check_link(two, one);
        assert_int_equal(count_entries(sub), 1);
        assert_int_equal(count_entries(test_folder), 4);
    }
    assert_int_equal(clrnn_write_text(&heard.log, round, "x"), CLRNN_ERR_DISK);
    assert_int_equal(link(real, hard), 0);
    assert_true(clrnn_same_file(real, two));
    assert_true(clrnn_same_file(hard, two));
    assert_false(clrnn_same_file(hard, sub));
    assert_false(clrnn_same_file(round, round));
    free(real);
    free(sub);
    free(one);
    free(two);
    free(round);
    free(hard);
}

static void test_special_files(void **state)
{
    char *pipe_path = test_folder_path("pipe"), *socket_path = test_folder_path("socket"),
         *kept = test_folder_path("kept"), *by_link = test_folder_path("link"), own[64], text[16] = "";
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    struct stat st;
    int fd;

    (void)state;
    assert_int_equal(clrnn_write_text(&heard.log, "/dev/null", "lost"), CLRNN_OK);
    assert_true(!stat("/dev/null", &st) && S_ISCHR(st.st_mode));
    assert_int_equal(clrnn_write_text(&heard.log, "/dev/full", "lost"), CLRNN_ERR_DISK);
    assert_non_null(strstr(heard.text, "/dev/full"));
    assert_true(!stat("/dev/full", &st) && S_ISCHR(st.st_mode));

    assert_int_equal(mkfifo(pipe_path, 0600), 0);
    assert_int_equal(symlink(pipe_path, by_link), 0);
    fd = open(pipe_path, O_RDWR);
    assert_true(fd >= 0);
    assert_int_equal(clrnn_write_text(&heard.log, by_link, "through"), CLRNN_OK);
    assert_int_equal(read(fd, text, sizeof(text) - 1), 7);
    assert_string_equal(text, "through");
    close(fd);
    assert_true(!lstat(pipe_path, &st) && S_ISFIFO(st.st_mode));

    // A path /dev/fd/N of an open file: writes must continue at the position of the descriptor.
    fd = open(kept, O_RDWR | O_CREAT, 0666);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, "head, ", 6), 6);
    snprintf(own, sizeof(own), "/dev/fd/%d", fd);
    assert_int_equal(clrnn_write_text(&heard.log, own, "body"), CLRNN_OK);
    assert_int_equal(write(fd, ", tail", 6), 6);
    close(fd);
    check_content(kept, "head, body, tail");
    // the descriptor is closed now
    assert_int_equal(clrnn_write_text(&heard.log, own, "body"), CLRNN_ERR_DISK);

    fd = socket(AF_UNIX, SOCK_STREAM, 0);
    if (fd >= 0 && strlen(socket_path) < sizeof(address.sun_path)) {
        memcpy(address.sun_path, socket_path, strlen(socket_path) + 1);
        assert_int_equal(bind(fd, (const struct sockaddr *)&address, sizeof(address)), 0);
        assert_int_equal(clrnn_write_text(&heard.log, socket_path, "x"), CLRNN_ERR_DISK);
        assert_non_null(strstr(heard.text, "a socket, expected a file"));
        assert_true(!lstat(socket_path, &st) && S_ISSOCK(st.st_mode));
    }
    if (fd >= 0)
        close(fd);
    free(pipe_path);
    free(socket_path);
    free(kept);
    free(by_link);
}

// A full disk, simulated by a limit on the size of files.
static void test_full_disk(void **state)
{
    const struct rlimit small = {4096, RLIM_INFINITY};
    struct rlimit before;
    char *path = test_folder_path("a.txt"), block[1024] = {0};
    struct clrnn_out *out;
    void (*handler)(int);

    (void)state;
    assert_int_equal(clrnn_write_text(&heard.log, path, "before"), CLRNN_OK);
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &before), 0);
    handler = signal(SIGXFSZ, SIG_IGN);
    if (setrlimit(RLIMIT_FSIZE, &small)) {
        free(path);
        skip();
    }
    assert_int_equal(clrnn_out_open(&heard.log, path, &out), CLRNN_OK);
    for (int i = 0; i < 64; i++)
        clrnn_out_write(out, block, sizeof(block));
    assert_int_equal(clrnn_out_printf(out, "more"), CLRNN_ERR_DISK); // the earlier error is kept
    assert_int_equal(clrnn_out_commit(&out), CLRNN_ERR_DISK);
    setrlimit(RLIMIT_FSIZE, &before);
    signal(SIGXFSZ, handler);
    assert_non_null(strstr(heard.text, path));
    check_content(path, "before");
    assert_int_equal(count_entries(test_folder), 1);
    free(path);
}

static void test_cannot_be_written(void **state)
{
    char *missing = test_folder_path("no/such/folder/a.txt"), *is_folder = test_folder_path("dir");
    struct clrnn_out *out;

    (void)state;
    assert_int_equal(clrnn_out_open(&heard.log, missing, &out), CLRNN_ERR_DISK);
    assert_null(out);
    assert_non_null(strstr(heard.text, missing));
    assert_int_equal(mkdir(is_folder, 0777), 0);
    assert_int_equal(clrnn_write_text(&heard.log, is_folder, "x"), CLRNN_ERR_DISK);
    assert_int_equal(count_entries(test_folder), 1);
    free(missing);
    free(is_folder);
}

static void test_cannot_be_read(void **state)
{
    char *missing = test_folder_path("missing.npy");
    struct clrnn_map map = {(const unsigned char *)"x", 1, -1, NULL};

    (void)state;
    assert_int_equal(clrnn_map_open(&heard.log, missing, &map), CLRNN_ERR_DATA);
    assert_null(map.data);
    assert_int_equal(map.size, 0);
    assert_non_null(strstr(heard.text, missing));
    assert_int_equal(clrnn_map_open(&heard.log, test_folder, &map), CLRNN_ERR_DATA);
    assert_non_null(strstr(heard.text, "folder"));
    assert_int_equal(clrnn_map_open(&heard.log, "/dev/null", &map), CLRNN_ERR_DATA);
    free(missing);
}

static void test_make_folder(void **state)
{
    char *deep = test_folder_path("a/b//c"), *slash = test_folder_path("d/"), *file = test_folder_path("file");
    char *below = test_folder_path("file/x");
    struct stat st;

    (void)state;
    assert_int_equal(clrnn_make_folder(&heard.log, deep), CLRNN_OK);
    assert_int_equal(clrnn_make_folder(&heard.log, deep), CLRNN_OK);
    assert_true(!stat(deep, &st) && S_ISDIR(st.st_mode));
    assert_int_equal(clrnn_make_folder(&heard.log, slash), CLRNN_OK);
    assert_int_equal(clrnn_write_text(&heard.log, file, ""), CLRNN_OK);
    assert_int_equal(clrnn_make_folder(&heard.log, file), CLRNN_ERR_DISK);
    assert_non_null(strstr(heard.text, "file"));
    assert_int_equal(clrnn_make_folder(&heard.log, below), CLRNN_ERR_DISK);
    assert_int_equal(clrnn_make_folder(&heard.log, "/"), CLRNN_OK);
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
    char *kept = test_folder_path("kept"), *file = test_folder_path("kept/file"), *other = NULL, *link, *deep;
    struct stat st;

    (void)state;
    assert_int_equal(CLRNN_OK, clrnn_make_folder(&heard.log, kept));
    assert_int_equal(CLRNN_OK, clrnn_write_text(&heard.log, file, "1"));
    setenv("TMPDIR", test_folder, 1);
    assert_int_equal(CLRNN_OK, clrnn_temporary_folder(&heard.log, &other));
    assert_non_null(strstr(other, test_folder));
    assert_non_null(strstr(other, CLRNN_TEMPORARY_PREFIX));
    assert_int_equal(0, stat(other, &st));
    assert_int_equal(0700, st.st_mode & 0777);

    link = clrnn_path_join(other, "link");
    deep = clrnn_path_join(other, "a/b/c");
    assert_non_null(link);
    assert_non_null(deep);
    assert_int_equal(0, symlink(kept, link));
    assert_int_equal(CLRNN_OK, clrnn_make_folder(&heard.log, deep));
    clrnn_remove_folder(other);
    clrnn_remove_folder(NULL);
    assert_int_equal(-1, access(other, F_OK));
    assert_int_equal(0, access(file, F_OK)); // the target of a link must stay
    free(other);

    setenv("TMPDIR", file, 1);
    assert_int_equal(CLRNN_ERR_DISK, clrnn_temporary_folder(&heard.log, &other));
    assert_null(other);
    assert_non_null(strstr(heard.text, "kept/file: a temporary folder cannot be made there: Not a directory"));
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
        cmocka_unit_test_setup_teardown(test_leftovers, setup, teardown),
        cmocka_unit_test_setup_teardown(test_side_by_side, setup, teardown),
        cmocka_unit_test_setup_teardown(test_end_at_once, setup, teardown),
        cmocka_unit_test_setup_teardown(test_permissions, setup, teardown),
        cmocka_unit_test_setup_teardown(test_links, setup, teardown),
        cmocka_unit_test_setup_teardown(test_special_files, setup, teardown),
        cmocka_unit_test_setup_teardown(test_full_disk, setup, teardown),
        cmocka_unit_test_setup_teardown(test_cannot_be_written, setup, teardown),
        cmocka_unit_test_setup_teardown(test_cannot_be_read, setup, teardown),
        cmocka_unit_test_setup_teardown(test_make_folder, setup, teardown),
        cmocka_unit_test_setup_teardown(test_temporary_folder, setup, teardown),
        cmocka_unit_test(test_paths),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
