// SPDX-License-Identifier: MIT
// Tests builders, the processes that compile kernels: which kernels they leave in PoCL's cache, and that waiting ends
// if they fail. Also tests the advice about a full disk of PoCL's cache.
#include <glob.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/statvfs.h>
#include <time.h>

#include "base/child.h"
#include "base/file.h"
#include "base/temporary.h"
#include "device/core/internal.h"
#include "device/device_test.h"
#include "device/list/builders.h"

static const struct clrnn_cost FREE = {0, 0};

static struct clrnn_device *open_nothing(const char *select)
{
    (void)select;
    return NULL;
}

static struct clrnn_device *crash(const char *select)
{
    (void)select;
    raise(SIGKILL);
    return NULL;
}

// Builders that cannot open the device, or that crash. Waiting for them must end. This test must run before the test
// that loads drivers, since builders are forked from this process.
static void test_failing(void **state)
{
    clrnn_builder_open_fn *const opens[] = {open_nothing, crash};
    static const size_t one[3] = {1, 1, 1};
    const struct clrnn_device device = {.info = {.type = CLRNN_DEVICE_REF}};
    const struct clrnn_builders_job job[2] = {{"scale", "scale_matrix", NO_DEFINES, 1, one, one, 0, 0, NULL},
                                              {"scale", "another", NO_DEFINES, 1, one, one, 0, 0, NULL}};

    (void)state;
    for (size_t i = 0; i < 2; i++) {
        struct clrnn_builders *b = clrnn_builders_create(opens[i], 2);

        assert_non_null(b);
        clrnn_builders_wait(b); // must end at once: there are no jobs
        for (size_t k = 0; k < 4; k++) {
            clrnn_builders_add(b, &device, &job[k % 2]);
            if (k % 2)
                clrnn_builders_wait(b);
        }
        clrnn_builders_destroy(&b);
        assert_null(b);
        clrnn_builders_destroy(&b);
    }
}

static atomic_uint *opened; // calls of count_open, counted in memory that builders share

static struct clrnn_device *count_open(const char *select)
{
    (void)select;
    atomic_fetch_add(opened, 1);
    return NULL;
}

// While a program is being built that no cache has, builders must start, even if there is no job yet.
static void test_expecting(void **state)
{
    const struct clrnn_device device = {.info = {.type = CLRNN_DEVICE_REF}};
    struct clrnn_builders *b;

    (void)state;
    opened = clrnn_shared_create(sizeof(*opened));
    assert_non_null(opened);
    b = clrnn_builders_create(count_open, 1);
    assert_non_null(b);
    clrnn_builders_expect(b, &device, true);
    while (!atomic_load(opened))
        nanosleep(&(struct timespec){0, 1000000}, NULL);
    clrnn_builders_expect(b, &device, false);
    clrnn_builders_destroy(&b);
    clrnn_shared_destroy(opened, sizeof(*opened));
}

static size_t kernels_in(const char *folder)
{
    char *pattern = clrnn_format("%s/*/*/*/*/*.so", folder);
    glob_t found;
    size_t count;

    assert_non_null(pattern);
    count = glob(pattern, 0, NULL, &found) == 0 ? found.gl_pathc : 0;
    globfree(&found);
    free(pattern);
    return count;
}

// Appends a launch that doubles the buffer's eight numbers. Each `version` has a program of its own.
static void launch(struct test_launches *t, struct clrnn_buffer *b, long version)
{
    assert_int_equal(clrnn_launch_kernel(t->l, "scale", "scale_matrix", DEFINES({"VERSION", version}), RANGE2(4, 2),
                                         FREE, ARGS(BUF(b), UINT(0), UINT(4), UINT(2), UINT(4), REAL(2))),
                     CLRNN_OK);
}

static void test_compiling(void **state)
{
    const double numbers[8] = {1, 2, 3, 4, 5, 6, 7, 8};
    struct test_launches *t = NULL;
    struct clrnn_buffer *b;
    double got[8];
    char *folder;

    (void)state;
    assert_int_equal(clrnn_temporary_folder(NULL, &folder), CLRNN_OK);
    setenv("POCL_CACHE_DIR", folder, 1);
    setenv("CLRNN_BUILDERS", "2", 1);
    assert_int_equal(test_launches_open((void **)&t), 0);
    if (t->d && t->d->builders) {
        b = test_buffer(t, CLRNN_REAL, 8);
        launch(t, b, 1);
        clrnn_builders_wait(t->d->builders);
        assert_int_equal(kernels_in(folder), 0); // a single kernel is left to the caller
        launch(t, b, 2);
        launch(t, b, 2);
        launch(t, b, 3);
        clrnn_builders_wait(t->d->builders);
        assert_int_equal(kernels_in(folder), 2);
        assert_int_equal(clrnn_buffer_write_f64(b, 0, 8, numbers), CLRNN_OK);
        assert_int_equal(clrnn_launches_run(t->l), CLRNN_OK);
        assert_int_equal(clrnn_buffer_read_f64(b, 0, 8, got), CLRNN_OK);
        for (int i = 0; i < 8; i++)
            assert_true(got[i] == 16 * numbers[i]);
        assert_int_equal(kernels_in(folder), 3); // only the first kernel was compiled by the run
    } else {
        fprintf(stderr, "# no PoCL, whose kernels would be compiled beside\n");
    }
    test_launches_close((void **)&t);
    clrnn_remove_folder(folder);
    free(folder);
}

static unsigned long free_blocks; // what statvfs below reports as free on each disk

int statvfs(const char *path, struct statvfs *st)
{
    (void)path;
    *st = (struct statvfs){.f_frsize = 4096, .f_blocks = 1 << 20, .f_bavail = free_blocks};
    return 0;
}

// The advice must say that the disk of PoCL's cache is full, because PoCL itself does not say it.
static void test_full_disk(void **state)
{
    const struct clrnn_device_info pocl = {.platform_name = "Portable Computing Language"}, other = {0};
    char *advice;

    (void)state;
    for (free_blocks = 10; free_blocks <= 1000; free_blocks += 990) {
        const bool full = free_blocks == 10;

        advice = clrnn_device_cache_advice(&pocl);
        assert_non_null(advice);
        assert_non_null(strstr(advice, "delete the folder"));
        assert_int_equal(strstr(advice, "its disk is full: make room on it") != NULL, full);
        free(advice);
        advice = clrnn_device_cache_advice(&other);
        assert_string_equal(advice, "");
        free(advice);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_failing), cmocka_unit_test(test_expecting),
                                       cmocka_unit_test(test_compiling), cmocka_unit_test(test_full_disk)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
