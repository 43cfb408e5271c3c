// SPDX-License-Identifier: MIT
// Tests tuning: what is stored, what of it is used later, and that a damaged file costs only speed.
#include <math.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "device/device_test.h"
#include "device/gemm/internal.h"
#include "device/remember/internal.h"
#include "device/tune/tune.h"
#include "tests/folder.h"

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

// Writes a device's file of measurements from JSON text, with the hash that the file requires.
static void put_sealed(const struct clrnn_device_info *of, const char *text)
{
    char *path = clrnn_tune_path(of), *folder = clrnn_path_folder(path);
    json_t *root = json_loads(text, 0, NULL);

    assert_non_null(root);
    assert_int_equal(clrnn_make_folder(NULL, folder), CLRNN_OK);
    assert_int_equal(clrnn_tune_save(NULL, path, root), CLRNN_OK);
    json_decref(root);
    free(folder);
    free(path);
}

static char *read_text(void)
{
    char *path = clrnn_tune_path(&info), *text;
    struct clrnn_map map;

    assert_int_equal(clrnn_map_open(NULL, path, &map), CLRNN_OK);
    text = clrnn_format("%.*s", (int)map.size, (const char *)map.data);
    clrnn_map_close(&map);
    free(path);
    return text;
}

#define FILE_TEXT \
    "{\"version\": 2, \"use\": {}, \"tried\": {}, \"choices\": {}, \"shapes\": {" \
    "\"64x128x2474 NT\": {\"use\": \"own\"}, \"60x100x2000 NT\": {\"use\": \"clblast\"}, " \
    "\"64x128x2474 NN\": {\"use\": \"clblast\"}, \"odd\": 3, \"1x1x1 NN\": {}}}"

static void test_classes(void **state)
{
    static const struct {
        uint32_t M, N, K;
        bool b;
        int own; // expected from clrnn_tune_prefers_own; -2: 0 or 1
    } cases[] = {
        {64, 128, 2474, true, 1},  {60, 100, 2000, true, 0},  {63, 127, 3000, true, -2},
        {64, 128, 2474, false, 0}, {65, 128, 2474, true, -1}, {1, 1, 1, false, -1},
    };
    struct clrnn_tune *tune;

    (void)state;
    test_cache_home(test_folder);
    assert_false(clrnn_device_is_tuned(&info));
    put_sealed(&info, FILE_TEXT);
    assert_true(clrnn_device_is_tuned(&info));
    clrnn_tune_load(&test_print_log, &info, &tune);
    assert_non_null(tune);
    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        const struct clrnn_gemm g = {.M = cases[i].M, .N = cases[i].N, .K = cases[i].K, .transpose_b = cases[i].b};
        const int own = clrnn_tune_prefers_own(tune, &g);

        if (cases[i].own == -2) // the class has two measured shapes: either result is right
            assert_true(own >= 0);
        else
            assert_int_equal(own, cases[i].own);
    }
    clrnn_tune_destroy(&tune);
    clrnn_tune_destroy(&tune);
    test_cache_home(NULL);
}

// Expects that the file of measurements is not used, and that a warning says `why`.
static void expect_refused(const char *why)
{
    struct test_log log;
    struct clrnn_tune *tune;

    test_log_init(&log);
    clrnn_tune_load(&log.log, &info, &tune);
    assert_null(tune);
    assert_int_equal(log.errors, 0);
    if (!strstr(log.text, why) || !strstr(log.text, "run `clrnn tune` again"))
        fail_msg("\"%s\" is not in: %s", why, log.text);
}

/** A file must be refused if it is truncated, changed, writable for other users, or of another version. */
static void test_damage(void **state)
{
    char *text, *path = NULL;
    size_t size;

    (void)state;
    test_cache_home(test_folder);
    put_sealed(&info, FILE_TEXT);
    text = read_text();
    size = strlen(text);
    for (size_t at = 0; at < size; at += 7) {
        const char kept = text[at];

        text[at] = at % 2 ? 0 : (char)(kept ^ 4);
        put(text);
        expect_refused("since");
        text[at] = kept;
    }
    put("");
    expect_refused("it is empty");
    put("{\"version\": 1, \"use\": {}, \"tried\": [], \"shapes\": {\"1x1x1 NN\": {\"use\": \"own\"}}}");
    expect_refused("an earlier version");
    put_sealed(&info, "{\"version\": 3, \"use\": {}, \"tried\": {}, \"choices\": {}, \"shapes\": {}}");
    expect_refused("another version");
    put_sealed(&info, "{\"version\": 2, \"use\": [], \"tried\": {}, \"choices\": {}, \"shapes\": {}}");
    expect_refused("another version");
    assert_false(clrnn_device_is_tuned(&info));
    put(text);
    assert_true(clrnn_device_is_tuned(&info));
    path = clrnn_tune_path(&info);
    assert_int_equal(chmod(path, 0666), 0);
    expect_refused("another user");
    unlink(path);
    free(path);
    free(text);
    test_cache_home(NULL);
}

/** Four processes write measurements to one file at the same time. The file must have the measurements of all. */
static void test_together(void **state)
{
    enum { WRITERS = 4, ENTRIES = 12 };
    char *path, *lock;
    json_t *root;
    int status;

    (void)state;
    test_cache_home(test_folder);
    path = clrnn_tune_path(&info);
    lock = clrnn_format("%s.lock", path);
    for (int writer = 0; writer < WRITERS; writer++)
        if (fork() == 0) {
            enum clrnn_status st = CLRNN_OK;

            root = NULL;
            for (int i = 0; st == CLRNN_OK && i < ENTRIES; i++) {
                char key[32];
                json_t *changes;

                snprintf(key, sizeof(key), "%d of %d", i, writer);
                changes = json_pack("{s:{s:{s:s}}, s:{s:{s:{s:f}}}}", "choices", key, "use", "quick", "tried", "one",
                                    "ms", key, 1.5);
                st = clrnn_tune_update(NULL, &info, false, changes, &root);
                json_decref(changes);
            }
            _exit(st != CLRNN_OK);
        }
    for (int writer = 0; writer < WRITERS; writer++) {
        assert_true(wait(&status) > 0);
        assert_int_equal(status, 0);
    }
    root = NULL;
    assert_int_equal(clrnn_tune_load_file(NULL, path, &root), CLRNN_OK);
    assert_int_equal(json_object_size(json_object_get(root, "choices")), WRITERS * ENTRIES);
    assert_int_equal(json_object_size(json_object_get(json_object_get(json_object_get(root, "tried"), "one"), "ms")),
                     WRITERS * ENTRIES);
    json_decref(root);
    assert_int_equal(access(lock, F_OK), -1); // the lock file is removed
    unlink(path);
    free(path);
    free(lock);
    test_cache_home(NULL);
}

#define DIRECT(wgd, vwmd) \
    "\"XgemmDirect\": {\"WGD\": " wgd ", \"MDIMCD\": 8, \"NDIMCD\": 8, \"MDIMAD\": 8, \"NDIMBD\": 8, " \
    "\"KWID\": 2, \"VWMD\": " vwmd ", \"VWND\": 1, \"PADA\": 0, \"PADB\": 0}"
#define ROUTINE(min) "\"GemmRoutine\": {\"XGEMM_MIN_INDIRECT_SIZE\": " min "}"

/** Loads a file with the settings `use` and passes them to CLBlast. Settings that do not suit the device or give wrong
 * results must be dropped with `warning` (NULL: none is expected), and a multiply must still be right. Runs in a
 * process of its own, because CLBlast keeps parameters. Returns the exit status. */
static int multiply_with(const char *use, const char *warning)
{
    struct clrnn_device_params params = {.select = getenv("CLRNN_DEVICE") ? NULL : "cpu", .gemm = "clblast"};
    struct clrnn_device *device = NULL;
    struct test_log log;
    char *text;
    bool right = false;

    test_log_init(&log);
    params.log = &log.log;
    params.no_tune = true;
    if (clrnn_device_open(&params, &device) != CLRNN_OK)
        return 77;
    test_cache_home(test_folder);
    text = clrnn_format("{\"version\": 2, \"use\": {%s}, \"tried\": {}, \"choices\": {}, \"shapes\": {}}", use);
    put_sealed(&device->info, text);
    free(text);
    clrnn_tune_load(&log.log, &device->info, &device->tune);
    if (!device->tune)
        return 2;
    clrnn_tune_apply(device->tune, device);
    fprintf(stderr, "# %s\n", log.text);
    if (log.errors || (warning ? !strstr(log.text, warning) : log.text[0]))
        return 3;
    if (clrnn_setting_check(device, &right) != CLRNN_OK || !right)
        return 4;
    clrnn_device_destroy(&device);
    return 0;
}

/** clrnn_setting_check must detect that CLBlast gives wrong results with the setting `use`, and that it gives right
 * results with a good setting afterwards. */
static int check_wrong(const char *use, const char *unused)
{
    struct clrnn_device_params params = {
        .select = getenv("CLRNN_DEVICE") ? NULL : "cpu", .gemm = "clblast", .no_tune = true};
    struct clrnn_device *device = NULL;
    bool right[2] = {true, false};
    json_t *root = json_loads(use, 0, NULL), *setting;
    bool is_direct;

    (void)unused;
    if (clrnn_device_open(&params, &device) != CLRNN_OK)
        return 77;
    if (!clrnn_setting_get(&device->info, 1, &is_direct, &setting) || !is_direct ||
        !clrnn_setting_route(device, true) ||
        !clrnn_setting_override(device, "XgemmDirect", json_object_get(root, "XgemmDirect")))
        return 2;
    clrnn_setting_check(device, &right[0]); // the multiply may also fail to run
    if (right[0] || !clrnn_setting_override(device, "XgemmDirect", setting) ||
        clrnn_setting_check(device, &right[1]) != CLRNN_OK || !right[1])
        return 3;
    json_decref(setting);
    json_decref(root);
    clrnn_device_destroy(&device);
    return 0;
}

static void expect_in_child(int (*work)(const char *, const char *), const char *use, const char *warning)
{
    int status;
    pid_t child;

    fflush(NULL);
    child = fork();
    assert_true(child >= 0);
    if (child == 0)
        _exit(work(use, warning));
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFEXITED(status));
    if (WEXITSTATUS(status) == 77)
        skip();
    assert_int_equal(WEXITSTATUS(status), 0);
}

static void expect_multiply(const char *use, const char *warning)
{
    expect_in_child(multiply_with, use, warning);
}

static void test_settings(void **state)
{
    (void)state;
    if (getenv("CLRNN_TEST_SMALL"))
        skip(); // CLBlast takes long to build and to run on simulators
    expect_multiply(ROUTINE("60000") ", " DIRECT("16", "1"), NULL);
    expect_multiply(ROUTINE("60000") ", " DIRECT("7", "1"), "XgemmDirect does not suit the device");
    expect_multiply(ROUTINE("60000") ", " DIRECT("0", "1"), "XgemmDirect does not suit the device");
    expect_multiply(ROUTINE("60000") ", " DIRECT("16", "0"), "XgemmDirect does not suit the device");
    expect_multiply(ROUTINE("60000") ", " DIRECT("\"16\"", "1"), "XgemmDirect does not suit the device");
    expect_multiply(ROUTINE("60000") ", \"XgemmDirect\": 3", "XgemmDirect does not suit the device");
    expect_multiply(ROUTINE("-1") ", " DIRECT("16", "1"), "XGEMM_MIN_INDIRECT_SIZE");
    expect_multiply(DIRECT("16", "1"), "XGEMM_MIN_INDIRECT_SIZE");
    expect_in_child(check_wrong, "{" DIRECT("7", "1") "}", NULL);
}

/** The search must store measurements from the first setting on, and a second search must continue from
 * them. */
static void test_search(void **state)
{
    const struct clrnn_device_params params = {
        .select = getenv("CLRNN_DEVICE") ? NULL : "cpu", .log = &test_print_log, .gemm = "clblast", .no_tune = true};
    struct clrnn_tuned_multiply shapes[] = {{.M = 8, .N = 12, .K = 20, .transpose_b = true, .count = 3},
                                            {.M = 5, .N = 7, .K = 9, .transpose_a = true, .count = 1}};
    struct clrnn_tune_search tune = {.seconds = 60, .defaults_only = true};
    struct clrnn_device *device = NULL;
    double before;
    char *path;

    (void)state;
    if (getenv("CLRNN_TEST_SMALL"))
        skip(); // CLBlast takes long to build and to run on simulators
    if (clrnn_device_open(&params, &device) != CLRNN_OK)
        skip();
    test_cache_home(test_folder);
    assert_int_equal(clrnn_tune_run(device, &tune, shapes, 2), CLRNN_OK);
    assert_true(clrnn_device_is_tuned(clrnn_device_info(device)));
    for (int i = 0; i < 2; i++) {
        assert_true(shapes[i].default_ms > 0 && shapes[i].own_ms > 0);
        assert_true(shapes[i].clblast_ms == shapes[i].default_ms);
    }
    before = shapes[0].default_ms;
    tune = (struct clrnn_tune_search){.seconds = 60, .most_settings = 1};
    assert_int_equal(clrnn_tune_run(device, &tune, shapes, 2), CLRNN_OK);
    assert_true(fabs(shapes[0].default_ms / before - 1) < 1e-4); // stored before, with six digits
    assert_true(3 * shapes[0].clblast_ms + shapes[1].clblast_ms <=
                1.0001 * (3 * shapes[0].default_ms + shapes[1].default_ms)); // never worse than the defaults
    path = clrnn_tune_path(clrnn_device_info(device));
    unlink(path);
    free(path);
    test_cache_home(NULL);
    clrnn_device_destroy(&device);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_classes), cmocka_unit_test(test_damage),
                                       cmocka_unit_test(test_together), cmocka_unit_test(test_settings),
                                       cmocka_unit_test(test_search)};

    return cmocka_run_group_tests_name("tune", tests, test_folder_make, test_folder_remove);
}
