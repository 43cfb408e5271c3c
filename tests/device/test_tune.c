// SPDX-License-Identifier: MIT
// Tuning: what is remembered, what is used of it, and that damage costs speed only.
#include <math.h>
#include <unistd.h>

#include "base/file.h"
#include "device/device_test.h"
#include "device/tune/tune.h"

static char cache[] = "/tmp/clrnn-test-tune-XXXXXX";

static int setup_group(void **state)
{
    const char *kept = getenv("XDG_CACHE_HOME");

    (void)state;
    return mkdtemp(cache) ? setenv("CLRNN_KEPT_CACHE", kept ? kept : "", 1) : -1;
}

static int teardown_group(void **state)
{
    static const char *const sub[] = {"/clrnn/tune", "/clrnn", ""};

    (void)state;
    for (int i = 0; i < 3; i++) {
        char *name = clrnn_format("%s%s", cache, sub[i]);

        rmdir(name);
        free(name);
    }
    return 0;
}

// The environment of drivers stays as it was, so that their own caches are warm.
static void own_cache(bool on)
{
    const char *kept = getenv("CLRNN_KEPT_CACHE");

    if (on)
        setenv("XDG_CACHE_HOME", cache, 1);
    else if (*kept)
        setenv("XDG_CACHE_HOME", kept, 1);
    else
        unsetenv("XDG_CACHE_HOME");
}

static const struct clrnn_device_info info = {.name = "a device",
                                              .vendor = "v",
                                              .version = "OpenCL 1.2",
                                              .driver = "1.0",
                                              .platform_name = "p",
                                              .platform_version = "1"};

static void put(const char *text)
{
    char *path = clrnn_tune_path(&info), *folder = clrnn_path_folder(path);

    assert_int_equal(clrnn_make_folder(NULL, folder), CLRNN_OK);
    assert_int_equal(clrnn_write_text(NULL, path, text), CLRNN_OK);
    free(folder);
    free(path);
}

#define FILE_TEXT \
    "{\"version\": 1, \"use\": {}, \"tried\": [], \"shapes\": {" \
    "\"64x128x2474 NT\": {\"use\": \"own\"}, \"60x100x2000 NT\": {\"use\": \"clblast\"}, " \
    "\"64x128x2474 NN\": {\"use\": \"clblast\"}, \"odd\": 3, \"1x1x1 NN\": {}}}"

static void test_classes(void **state)
{
    static const struct {
        uint32_t M, N, K;
        bool b;
        int own;
    } cases[] = {
        {64, 128, 2474, true, 1},  {60, 100, 2000, true, 0},  {63, 127, 3000, true, -2},
        {64, 128, 2474, false, 0}, {65, 128, 2474, true, -1}, {1, 1, 1, false, -1},
    };
    struct clrnn_tune *tune;

    (void)state;
    own_cache(true);
    assert_false(clrnn_device_is_tuned(&info));
    put(FILE_TEXT);
    assert_true(clrnn_device_is_tuned(&info));
    clrnn_tune_load(&info, &tune);
    assert_non_null(tune);
    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        const struct clrnn_gemm g = {
            .M = cases[i].M, .N = cases[i].N, .K = cases[i].K, .transpose_b = cases[i].b};
        const int own = clrnn_tune_prefers_own(tune, &g);

        if (cases[i].own == -2) // of a class with two measured shapes: either
            assert_true(own >= 0);
        else
            assert_int_equal(own, cases[i].own);
    }
    clrnn_tune_destroy(&tune);
    clrnn_tune_destroy(&tune);
    own_cache(false);
}

/** Every cut and every turned bit: loads or not, but does no harm. */
static void test_damage(void **state)
{
    const struct clrnn_gemm g = {.M = 64, .N = 128, .K = 2474, .transpose_b = true};
    char text[] = FILE_TEXT, *path;
    struct clrnn_tune *tune;

    (void)state;
    own_cache(true);
    for (size_t at = 0; at < sizeof(text) - 1; at += 3) {
        const char kept = text[at];

        text[at] = at % 2 ? 0 : (char)(kept ^ 4);
        put(text);
        clrnn_tune_load(&info, &tune);
        clrnn_tune_prefers_own(tune, &g);
        clrnn_tune_destroy(&tune);
        text[at] = kept;
    }
    put("{\"version\": 2, \"shapes\": {\"1x1x1 NN\": {}}}");
    assert_false(clrnn_device_is_tuned(&info));
    path = clrnn_tune_path(&info);
    unlink(path);
    free(path);
    own_cache(false);
}

/** Before the first setting it keeps what is measured, and goes on from there. */
static void test_search(void **state)
{
    const struct clrnn_device_params params = {.select = getenv("CLRNN_DEVICE") ? NULL : "cpu",
                                               .log = &test_print_log,
                                               .gemm = "clblast",
                                               .no_tune = true};
    struct clrnn_tune_shape shapes[] = {{.M = 8, .N = 12, .K = 20, .transpose_b = true, .count = 3},
                                        {.M = 5, .N = 7, .K = 9, .transpose_a = true, .count = 1}};
    struct clrnn_tune_params tune = {.seconds = 60, .defaults_only = true};
    struct clrnn_device *device = NULL;
    double before;
    char *path;

    (void)state;
    if (getenv("CLRNN_TEST_SMALL"))
        skip(); // CLBlast is slow to build and slower to run there
    if (clrnn_device_open(&params, &device) != CLRNN_OK)
        skip();
    own_cache(true);
    assert_int_equal(clrnn_tune_run(device, &tune, shapes, 2), CLRNN_OK);
    assert_true(clrnn_device_is_tuned(clrnn_device_info(device)));
    for (int i = 0; i < 2; i++) {
        assert_true(shapes[i].default_ms > 0 && shapes[i].own_ms > 0);
        assert_true(shapes[i].clblast_ms == shapes[i].default_ms);
    }
    before = shapes[0].default_ms;
    tune = (struct clrnn_tune_params){.seconds = 60, .most_settings = 1};
    assert_int_equal(clrnn_tune_run(device, &tune, shapes, 2), CLRNN_OK);
    assert_true(fabs(shapes[0].default_ms / before - 1) < 1e-4); // remembered, in six digits
    assert_true(3 * shapes[0].clblast_ms + shapes[1].clblast_ms <=
                1.0001 * (3 * shapes[0].default_ms + shapes[1].default_ms)); // never worse than none
    path = clrnn_tune_path(clrnn_device_info(device));
    unlink(path);
    free(path);
    own_cache(false);
    clrnn_device_destroy(&device);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_classes), cmocka_unit_test(test_damage),
                                       cmocka_unit_test(test_search)};

    return cmocka_run_group_tests_name("tune", tests, setup_group, teardown_group);
}
