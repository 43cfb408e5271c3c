// SPDX-License-Identifier: MIT
// Tests programs: expanded includes and line numbers, defines, failed builds, caching in memory and on disk.
#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "device/program/bodies.h"
#include "device/program/cache.h"
#include "device/device_test.h"
#include "device/program/sources.h"
#include "slots.h"
#include "tests/folder.h"

static const struct clrnn_cost FREE = {0, 0};

static int setup_group(void **state)
{
    setenv("CLRNN_KERNEL_DIR", TEST_KERNEL_DIR, 1);
    return test_folder_make(state);
}

static void test_flatten(void **state)
{
    struct test_log log;
    char *text;

    (void)state;
    test_log_init(&log);
    assert_int_equal(clrnn_source_flatten(&log.log, TEST_KERNEL_DIR, "probe", &text), CLRNN_OK);
    assert_non_null(strstr(text, "#line 1 \"probe.cl\""));
    assert_non_null(strstr(text, "#line 1 \"Random123/philox.h\"")); // from the built-in table
    assert_non_null(strstr(text, "#line 1 \"Random123/features/openclfeatures.h\""));
    assert_null(strstr(strstr(text, "#line 1 \"slots.h\"") + 1, "#line 1 \"slots.h\"")); // only once
    assert_null(strstr(text, "#include \"common.h\""));
    free(text);
    assert_int_equal(clrnn_source_flatten(&log.log, NULL, "probe", &text), CLRNN_ERR_ARG);
    assert_null(text);
    assert_non_null(strstr(log.text, "cl/probe.cl"));
    assert_int_equal(clrnn_source_flatten(&log.log, NULL, "scale", &text), CLRNN_OK);
    free(text);
}

static size_t count_of(const char *text, const char *word)
{
    size_t count = 0;

    for (; (text = strstr(text, word)) != NULL; text++)
        count++;
    return count;
}

// The body of every kernel in cl/ must become a function of its own. A kernel that is formatted in another style, or
// only declared, must be copied unchanged.
static void test_bodies(void **state)
{
    static const char other[] = "kernel void other(int a[4])\n{\n}\n", declared[] = "kernel void declared(int a);\n";
    char *text = clrnn_source_bodies("kernel void one(global const real *restrict x,\n                local real *y)\n"
                                     "{\n    y[0] = x[get_global_id(0)];\n}\n");
    char *all;

    (void)state;
    assert_non_null(text);
    assert_non_null(strstr(text, "kernel void one(global const real *restrict x,                 local real *y) {"));
    assert_non_null(strstr(text, "one_body(item_, x, y); } static"));
    assert_non_null(strstr(text, "void one_body(const size_t *item_, global const real *restrict x,\n"
                                 "                local real *y)\n{\n    y[0] = x[get_global_id(0)];\n}\n"));
    free(text);
    text = clrnn_source_bodies(other);
    assert_non_null(text);
    assert_string_equal(strstr(text, "kernel void "), other);
    free(text);
    text = clrnn_source_bodies(declared);
    assert_non_null(text);
    assert_string_equal(strstr(text, "kernel void "), declared);
    free(text);
    for (size_t i = 0; i < clrnn_source_text_count; i++) {
        all = clrnn_source_bodies(clrnn_source_texts[i].text);
        assert_non_null(all);
        if (count_of(clrnn_source_texts[i].text, "\nkernel void ") != count_of(all, "_body(item_"))
            fail_msg("cl/%s has a kernel whose body is not taken out", clrnn_source_texts[i].name);
        free(all);
    }
}

static void test_defines(void **state)
{
    struct test_launches *t = test_launches_need(state);
    struct clrnn_buffer *b = test_buffer(t, CLRNN_I32, 3);
    int32_t got[3];
    unsigned built, cached;

    for (int i = 0; i < 2; i++) // the second time, the program is in memory
        assert_int_equal(clrnn_launch_kernel(t->l, "probe", "constants", DEFINES({"FIRST", 64}, {"SECOND", -1}),
                                             RANGE1(1), FREE, ARGS(BUF(b))),
                         CLRNN_OK);
    assert_true(clrnn_device_build_seconds(t->d, &built, &cached) > 0);
    assert_int_equal(built + cached, 1);
    assert_int_equal(clrnn_launches_run(t->l), CLRNN_OK);
    assert_int_equal(clrnn_buffer_read_i32(b, 0, 3, got), CLRNN_OK);
    assert_true(got[0] == 64 && got[1] == -1 && got[2] == RECORD_FIELDS);
}

static void test_broken(void **state)
{
    struct test_launches *t = test_launches_need(state);

    assert_int_equal(clrnn_launch_kernel(t->l, "broken", "broken", DEFINES({"H", 12}), RANGE1(1), FREE, 0, NULL),
                     CLRNN_ERR_BUILD);
    fprintf(stderr, "%s\n", t->log.text);
    assert_int_equal(t->log.errors, 1);
    assert_non_null(strstr(t->log.text, "cl/broken.cl"));                // names the file
    assert_non_null(strstr(t->log.text, "-D H=12"));                     // names the options
    assert_non_null(strstr(t->log.text, clrnn_device_info(t->d)->name)); // names the device
    assert_non_null(strstr(t->log.text, "CL_BUILD_PROGRAM_FAILURE"));
    assert_non_null(strstr(t->log.all, "no_such_thing"));            // the compiler's message
    if (!strstr(clrnn_device_info(t->d)->platform_name, "Oclgrind")) // Oclgrind ignores #line
        assert_non_null(strstr(t->log.all, "broken.cl:8"));          // the right line, despite the include
    assert_int_equal(clrnn_launches_count(t->l), 0);
    assert_int_equal(clrnn_launch_kernel(t->l, "absent", "absent", NO_DEFINES, RANGE1(1), FREE, 0, NULL),
                     CLRNN_ERR_ARG);
    assert_non_null(strstr(t->log.text, "absent.cl"));
}

static void test_warnings(void **state)
{
    struct test_launches *t = test_launches_need(state);
    struct clrnn_buffer *b = test_buffer(t, CLRNN_REAL, 1);

    assert_int_equal(clrnn_launch_kernel(t->l, "warns", "warns", NO_DEFINES, RANGE1(1), FREE, ARGS(BUF(b))), CLRNN_OK);
    assert_int_equal(t->log.errors, 0);
}

/** Writes a file's bytes without the checks and the sync of clrnn_cache_write. */
static void put(const char *path, const unsigned char *bytes, size_t size)
{
    FILE *f = fopen(path, "wb");

    assert_non_null(f);
    assert_int_equal(fwrite(bytes, 1, size, f), size);
    assert_int_equal(fclose(f), 0);
}

/** An entry must read back as written; an entry with any kind of damage must count as missing. */
static void test_cache_file(void **state)
{
    const unsigned char data[] = "a program's binary";
    char path[160], *folder = test_folder_path("entries");
    unsigned char *got, bytes[256];
    size_t size = 0, file_size;
    FILE *f;

    (void)state;
    assert_null(clrnn_cache_read(folder, "0123", &size));
    clrnn_cache_write(folder, "0123", data, sizeof(data));
    got = clrnn_cache_read(folder, "0123", &size);
    assert_non_null(got);
    assert_int_equal(size, sizeof(data));
    assert_memory_equal(got, data, size);
    free(got);

    snprintf(path, sizeof(path), "%s/0123.bin", folder);
    f = fopen(path, "rb");
    assert_non_null(f);
    file_size = fread(bytes, 1, sizeof(bytes), f);
    fclose(f);
    assert_in_range(file_size, sizeof(data) + 1, sizeof(bytes) - 1);
    for (size_t at = 0; at < file_size; at++) { // one bit is flipped
        bytes[at] ^= 0x10;
        put(path, bytes, file_size);
        assert_null(clrnn_cache_read(folder, "0123", &size));
        bytes[at] ^= 0x10;
    }
    for (size_t length = 0; length < file_size; length++) { // truncated
        put(path, bytes, length);
        assert_null(clrnn_cache_read(folder, "0123", &size));
    }
    bytes[file_size] = 0;
    put(path, bytes, file_size + 1); // one byte too long
    assert_null(clrnn_cache_read(folder, "0123", &size));
    put(path, bytes, file_size);
    got = clrnn_cache_read(folder, "0123", &size);
    assert_non_null(got);
    free(got);
    clrnn_cache_write("/proc/nowhere", "0123", data, sizeof(data)); // must have no effect
    clrnn_remove_folder(folder);
    free(folder);
}

/** A folder or file that other users may have written must not be read; such a folder must not be written either. */
static void test_cache_foreign(void **state)
{
    const unsigned char data[] = "a program's binary";
    char path[160], *folder = test_folder_path("entries");
    unsigned char *got;
    size_t size = 0;

    (void)state;
    clrnn_cache_write(folder, "0123", data, sizeof(data));
    snprintf(path, sizeof(path), "%s/0123.bin", folder);
    assert_int_equal(chmod(path, 0666), 0);
    assert_null(clrnn_cache_read(folder, "0123", &size));
    assert_int_equal(chmod(path, 0644), 0);
    assert_int_equal(chmod(folder, 0777), 0);
    assert_null(clrnn_cache_read(folder, "0123", &size));
    clrnn_cache_write(folder, "4567", data, sizeof(data));
    assert_int_equal(chmod(folder, 0755), 0);
    assert_null(clrnn_cache_read(folder, "4567", &size));
    got = clrnn_cache_read(folder, "0123", &size);
    assert_non_null(got);
    free(got);
    if (geteuid() == 0) { // only root can change the owner of a file
        assert_int_equal(chown(path, 12345, 12345), 0);
        assert_null(clrnn_cache_read(folder, "0123", &size));
        clrnn_cache_write(folder, "0123", data, sizeof(data)); // replaces the file
        got = clrnn_cache_read(folder, "0123", &size);
        assert_non_null(got);
        free(got);
        assert_int_equal(chown(folder, 12345, 12345), 0);
        assert_null(clrnn_cache_read(folder, "0123", &size));
        assert_int_equal(chown(folder, 0, 0), 0);
    }
    clrnn_remove_folder(folder);
    free(folder);
}

/** If the folder exceeds its limit, the least recently used entries must be removed. */
static void test_cache_limit(void **state)
{
    const unsigned char data[1000] = {1};
    const time_t now = time(NULL);
    struct clrnn_cache_info info;
    char folder[128], path[200];
    unsigned char *got;
    size_t size = 0;
    uint64_t bytes;

    (void)state;
    setenv("XDG_CACHE_HOME", test_folder, 1);
    setenv("CLRNN_CACHE_BYTES", "3500", 1);
    snprintf(folder, sizeof(folder), "%s/clrnn/programs", test_folder);
    for (int i = 0; i < 3; i++) {
        const char key[] = {(char)('a' + i), 0};
        const struct timespec old[2] = {{now - 1000 + i, 0}, {now - 1000 + i, 0}};

        clrnn_cache_write(folder, key, data, sizeof(data));
        snprintf(path, sizeof(path), "%s/%s.bin", folder, key);
        assert_int_equal(utimensat(AT_FDCWD, path, old, 0), 0);
    }
    got = clrnn_cache_read(folder, "a", &size); // the oldest entry, but just used
    assert_non_null(got);
    free(got);
    clrnn_cache_write(folder, "d", data, sizeof(data));
    assert_null(clrnn_cache_read(folder, "b", &size));
    for (const char *key = "acd"; *key; key++) {
        const char name[] = {*key, 0};

        got = clrnn_cache_read(folder, name, &size);
        assert_non_null(got);
        free(got);
    }
    assert_int_equal(clrnn_cache_info(NULL, &info), CLRNN_OK);
    assert_string_equal(info.folder, folder);
    assert_int_equal(info.programs, 3);
    assert_int_equal(info.most_bytes, 3500);
    assert_false(info.is_foreign);
    free(info.folder);
    assert_int_equal(clrnn_cache_clear(NULL, &size, &bytes), CLRNN_OK);
    assert_int_equal(size, 3);
    assert_true(bytes > 3000);
    assert_int_equal(clrnn_cache_info(NULL, &info), CLRNN_OK);
    assert_int_equal(info.programs, 0);
    free(info.folder);
    unsetenv("CLRNN_CACHE_BYTES");
}

/** Three processes write one entry again and again, while this process reads it. Every entry read must be complete
 * and from one writer. */
static void test_cache_race(void **state)
{
    enum { WRITERS = 3, ROUNDS = 40, SIZE = 20000 };
    static unsigned char data[SIZE];
    char *folder = test_folder_path("entries");
    pid_t writer[WRITERS];
    unsigned seen = 0;

    (void)state;
    for (int w = 0; w < WRITERS; w++) {
        writer[w] = fork();
        assert_true(writer[w] >= 0);
        if (writer[w] == 0) {
            memset(data, 'A' + w, SIZE);
            for (int i = 0; i < ROUNDS; i++)
                clrnn_cache_write(folder, "same", data, SIZE);
            _exit(0);
        }
    }
    for (int left = WRITERS; left;) {
        size_t size = 0;
        unsigned char *got = clrnn_cache_read(folder, "same", &size);

        if (got) {
            seen++;
            assert_int_equal(size, SIZE);
            for (size_t i = 1; i < size; i++)
                assert_int_equal(got[i], got[0]);
            free(got);
        }
        for (int w = 0; w < WRITERS; w++)
            if (writer[w] && waitpid(writer[w], NULL, WNOHANG) == writer[w]) {
                writer[w] = 0;
                left--;
            }
    }
    assert_true(seen > 0);
    clrnn_remove_folder(folder);
    free(folder);
}

/** Runs the kernel `constants` on a newly opened device. Counts the programs that were built, and those read from
 * disk. */
static void use(long value, unsigned *built, unsigned *cached)
{
    struct test_launches *t = NULL;
    struct clrnn_buffer *b;
    int32_t got[3];

    assert_int_equal(test_launches_open((void **)&t), 0);
    b = test_buffer(t, CLRNN_I32, 3);
    assert_int_equal(clrnn_launch_kernel(t->l, "probe", "constants", DEFINES({"FIRST", value}, {"SECOND", 2}),
                                         RANGE1(1), FREE, ARGS(BUF(b))),
                     CLRNN_OK);
    assert_int_equal(clrnn_launches_run(t->l), CLRNN_OK);
    assert_int_equal(clrnn_buffer_read_i32(b, 0, 3, got), CLRNN_OK);
    assert_int_equal(got[0], value);
    assert_int_equal(t->log.errors, 0);
    clrnn_device_build_seconds(t->d, built, cached);
    test_launches_close((void **)&t);
}

/** Damages every entry of the program cache by truncation; returns the number of entries. */
static size_t damage(const char *folder)
{
    DIR *d = opendir(folder);
    struct dirent *e;
    size_t count = 0;

    while (d && (e = readdir(d)))
        if (e->d_name[0] != '.') {
            char path[512];

            snprintf(path, sizeof(path), "%s/%s", folder, e->d_name);
            assert_int_equal(truncate(path, 100), 0);
            count++;
        }
    if (d)
        closedir(d);
    return count;
}

static void test_cache(void **state)
{
    const bool pocl = clrnn_device_info(test_launches_need(state)->d)->is_pocl;
    char folder[128];
    unsigned built, cached;
    size_t entries;

    setenv("XDG_CACHE_HOME", test_folder, 1);
    snprintf(folder, sizeof(folder), "%s/clrnn/programs", test_folder);
    use(7, &built, &cached);
    assert_int_equal(built, 1);
    assert_int_equal(cached, 0);
    entries = damage(folder);
    if (pocl) {
        assert_int_equal(entries, 0); // PoCL caches binaries itself
        return;
    }
    if (!entries) {
        print_message("# this driver gives no binaries\n");
        skip();
    }
    use(7, &built, &cached);
    assert_int_equal(built, 1); // a damaged entry counts as missing and is replaced
    use(7, &built, &cached);
    assert_int_equal(built, 0);
    assert_int_equal(cached, 1);
    use(8, &built, &cached); // other options, other key
    assert_int_equal(built, 1);
    setenv("OCLGRIND_BUILD_OPTIONS", "-D OTHERWISE=1", 1); // changes the options, too
    use(8, &built, &cached);
    assert_int_equal(built, 1);
    unsetenv("OCLGRIND_BUILD_OPTIONS");
    use(8, &built, &cached);
    assert_int_equal(cached, 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_flatten),
        cmocka_unit_test_setup_teardown(test_defines, test_launches_open, test_launches_close),
        cmocka_unit_test_setup_teardown(test_broken, test_launches_open, test_launches_close),
        cmocka_unit_test_setup_teardown(test_warnings, test_launches_open, test_launches_close),
        cmocka_unit_test(test_cache_file),
        cmocka_unit_test(test_cache_foreign),
        cmocka_unit_test(test_cache_limit),
        cmocka_unit_test(test_cache_race),
        cmocka_unit_test_setup_teardown(test_cache, test_launches_open, test_launches_close),
        cmocka_unit_test(test_bodies),
    };

    return cmocka_run_group_tests_name("program", tests, setup_group, test_folder_remove);
}
