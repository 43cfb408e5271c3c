// SPDX-License-Identifier: MIT
// Tests the rules by which text selects a device, on made-up device lists.
#include <math.h>

#include "base/array.h"
#include "device/core/quirks.h"
#include "device/device_test.h"
#include "device/find/find.h"
#include "device/remember/internal.h"
#include "tests/folder.h"

struct row {
    int platform, device;
    enum clrnn_device_type type;
    const char *name, *vendor, *platform_name;
    uint32_t units;
    const char *trouble;
};

static const struct row POCL = {
    0, 0, CLRNN_DEVICE_CPU, "pthread-Intel(R) Xeon(R)", "GenuineIntel", "Portable Computing Language", 2, NULL};
static const struct row POCL_BASIC = {
    0, 1, CLRNN_DEVICE_CPU, "basic-Intel(R) Xeon(R)", "GenuineIntel", "Portable Computing Language", 2, NULL};
static const struct row LLVMPIPE = {
    1, 0, CLRNN_DEVICE_CPU, "llvmpipe (LLVM 15.0.6, 256 bits)", "Mesa/X.org", "rusticl", 2, NULL};
static const struct row RUSTICL_EMPTY = {1, -1, CLRNN_DEVICE_CPU, "", "", "rusticl", 0, CLRNN_NO_DEVICES};
static const struct row CLOVER = {2, -1, CLRNN_DEVICE_CPU, "", "", "Clover", 0, CLRNN_NO_DEVICES};
static const struct row NVIDIA = {3,   0,   CLRNN_DEVICE_GPU, "NVIDIA H200", "NVIDIA Corporation", "NVIDIA CUDA",
                                  132, NULL};
static const struct row NVIDIA_SMALL = {3,  1,   CLRNN_DEVICE_GPU, "NVIDIA T4", "NVIDIA Corporation", "NVIDIA CUDA",
                                        40, NULL};
static const struct row CRASHED = {4, -1, CLRNN_DEVICE_CPU, "", "", "Shaky", 0, "its driver crashed"};

static struct clrnn_device_list *make_list(const struct row *const *rows)
{
    struct clrnn_device_list *list;

    assert_int_equal(clrnn_list_init(NULL, &list), CLRNN_OK);
    for (; *rows; rows++) {
        struct clrnn_device_info *i;

        assert_int_equal(clrnn_list_row(NULL, list, (struct clrnn_handles){NULL, NULL}, &i), CLRNN_OK);
        i->platform = (*rows)->platform;
        i->device = (*rows)->device;
        i->type = (*rows)->type;
        i->name = (*rows)->name;
        i->vendor = (*rows)->vendor;
        i->platform_name = (*rows)->platform_name;
        i->compute_units = (*rows)->units;
        i->max_clock_mhz = 1000;
        i->trouble = (*rows)->trouble;
        i->is_pocl = (*rows)->platform == 0;
    }
    clrnn_list_mark_same(list);
    return list;
}

/** If `status` is CLRNN_OK, expects that `select` selects the row with platform and device `text`, "P:D". Otherwise
 * expects that selecting fails with `status` and a message that contains `text`. */
static void expect(const char *select, const struct row *const *rows, int status, const char *text)
{
    struct clrnn_device_list *list = make_list(rows);
    struct test_log log;
    char got[32];
    size_t row = 0;
    enum clrnn_status st;

    test_log_init(&log);
    st = clrnn_list_select(&log.log, list, select, &row);
    print_message("# \"%s\": status %d %s\n", select ? select : "(default)", (int)st, log.text);
    assert_int_equal(st, status);
    if (status == CLRNN_OK) {
        snprintf(got, sizeof(got), "%d:%d", list->info[row].platform, list->info[row].device);
        assert_string_equal(got, text);
        assert_int_equal(log.errors, 0);
    } else {
        assert_int_equal(log.errors, 1);
        assert_non_null(strstr(log.text, text));
    }
    clrnn_device_list_destroy(&list);
    assert_null(list);
}
#define ROWS(...) ((const struct row *const[]){__VA_ARGS__, NULL})

static void test_default(void **state)
{
    (void)state;
    expect(NULL, ROWS(&POCL), CLRNN_OK, "0:0");
    expect("", ROWS(&RUSTICL_EMPTY, &CLOVER, &POCL), CLRNN_OK, "0:0");
    expect(NULL, ROWS(&POCL, &NVIDIA_SMALL, &NVIDIA), CLRNN_OK, "3:0"); // the fastest GPU
    expect(NULL, ROWS(&LLVMPIPE, &POCL), CLRNN_OK, "0:0");              // one CPU on two platforms: the better one
    expect(NULL, ROWS(&CLOVER), CLRNN_ERR_DEVICE, "Clover: no devices");
    expect(NULL, (const struct row *const[]){NULL}, CLRNN_ERR_DEVICE, "install a driver");
    expect("cpu", (const struct row *const[]){NULL}, CLRNN_ERR_DEVICE, "install a driver");
    expect("0:0", (const struct row *const[]){NULL}, CLRNN_ERR_DEVICE, "--device ref");
}

/** Stores `ms` as the measured time of a row's training step. NaN: removes the measurement. */
static void measured(const struct row *row, double ms)
{
    struct clrnn_device_list *list = make_list((const struct row *const[]){row, NULL});

    assert_int_equal(clrnn_device_keep_step_ms(&test_print_log, &list->info[0], ms), CLRNN_OK);
    if (isnan(ms))
        assert_true(isnan(clrnn_device_step_ms(&list->info[0])));
    else
        assert_true(fabs(clrnn_device_step_ms(&list->info[0]) - ms) <= 1e-5 * ms);
    clrnn_device_list_destroy(&list);
}

/** Expects that the default device of a list is `spec`, "P:D", with `reason` as the reason, and that selecting without
 * a name gives the same device. */
static void expect_default(const struct row *const *rows, const char *spec, const char *reason)
{
    struct clrnn_device_list *list = make_list(rows);
    char why[160], got[24];
    const size_t row = clrnn_device_list_default(list, why);

    assert_true(row < list->count);
    print_message("# the default: %s, %s\n", clrnn_device_spec(&list->info[row], got), why);
    assert_string_equal(clrnn_device_spec(&list->info[row], got), spec);
    assert_string_equal(why, reason);
    clrnn_device_list_destroy(&list);
    expect(NULL, rows, CLRNN_OK, spec);
}

static void test_measured(void **state)
{
    static const char by_driver[] = "of the CPU's drivers the one that runs kernels best",
                      by_cores[] = "of the GPUs the one with the most cores times clock";

    (void)state;
    expect_default(ROWS(&LLVMPIPE, &POCL), "0:0", by_driver);
    measured(&LLVMPIPE, 3.52); // one measurement alone decides nothing
    expect_default(ROWS(&LLVMPIPE, &POCL), "0:0", by_driver);
    expect_default(ROWS(&LLVMPIPE), "1:0", "the only device");
    measured(&POCL, 6.14);
    expect_default(ROWS(&LLVMPIPE, &POCL), "1:0", "the fastest measured, 3.52 ms a step (0:0 takes 6.14 ms)");
    expect_default(ROWS(&POCL, &LLVMPIPE), "1:0", "the fastest measured, 3.52 ms a step (0:0 takes 6.14 ms)");
    expect("cpu", ROWS(&POCL, &LLVMPIPE, &NVIDIA), CLRNN_OK, "1:0"); // one CPU on two platforms: the faster
    expect("pocl", ROWS(&POCL, &LLVMPIPE), CLRNN_OK, "0:0");
    expect("cpu", ROWS(&POCL, &POCL_BASIC), CLRNN_ERR_ARG, "fits several");

    // Measurements also decide between a CPU and a GPU, if both were measured. They do not decide if the device that
    // would be the default without measurements was not measured.
    expect_default(ROWS(&POCL, &LLVMPIPE, &NVIDIA), "3:0", "the only GPU");
    measured(&NVIDIA_SMALL, 5);
    expect_default(ROWS(&POCL, &LLVMPIPE, &NVIDIA_SMALL), "1:0",
                   "the fastest measured, 3.52 ms a step (3:1 takes 5 ms)");
    expect_default(ROWS(&NVIDIA_SMALL, &POCL, &NVIDIA), "3:0", by_cores);
    measured(&NVIDIA, 0.5);
    expect_default(ROWS(&NVIDIA_SMALL, &POCL, &NVIDIA, &LLVMPIPE), "3:0",
                   "the fastest measured, 0.5 ms a step (1:0 takes 3.52 ms)");

    measured(&LLVMPIPE, NAN);
    expect_default(ROWS(&LLVMPIPE, &POCL), "0:0", by_driver);
    measured(&POCL, NAN);
    measured(&NVIDIA, NAN);
    measured(&NVIDIA_SMALL, NAN);
}

/** Writes `speed` as the part "speed" of a row's file of measurements, as the program would. */
static void put_speed(const struct row *row, const char *speed)
{
    struct clrnn_device_list *list = make_list((const struct row *const[]){row, NULL});
    json_t *changes = json_pack("{s:o}", "speed", json_loads(speed, JSON_DECODE_ANY, NULL)), *root = NULL;

    assert_non_null(changes);
    assert_int_equal(clrnn_tune_update(&test_print_log, &list->info[0], false, changes, &root), CLRNN_OK);
    json_decref(changes);
    json_decref(root);
    clrnn_device_list_destroy(&list);
}

/** A measurement that is not valid must not change the default device. */
static void test_damaged(void **state)
{
    static const char *const speeds[] = {"3",
                                         "{}",
                                         "[1]",
                                         "{\"step_ms\": 3}",
                                         "{\"model\": \"another\", \"step_ms\": 3}",
                                         "{\"model\": \"" CLRNN_STEP_MODEL "\"}",
                                         "{\"model\": \"" CLRNN_STEP_MODEL "\", \"step_ms\": 0}",
                                         "{\"model\": \"" CLRNN_STEP_MODEL "\", \"step_ms\": -3}",
                                         "{\"model\": \"" CLRNN_STEP_MODEL "\", \"step_ms\": \"3\"}"};
    static const char by_driver[] = "of the CPU's drivers the one that runs kernels best";
    struct clrnn_device_list *list = make_list(ROWS(&LLVMPIPE));
    char *path = clrnn_tune_path(&list->info[0]);

    (void)state;
    measured(&POCL, 6);
    for (size_t i = 0; i < ARRAY_SIZE(speeds); i++) {
        put_speed(&LLVMPIPE, speeds[i]);
        expect_default(ROWS(&LLVMPIPE, &POCL), "0:0", by_driver);
    }
    put_speed(&LLVMPIPE, "{\"model\": \"" CLRNN_STEP_MODEL "\", \"step_ms\": 3}"); // an integer is valid
    expect_default(ROWS(&LLVMPIPE, &POCL), "1:0", "the fastest measured, 3 ms a step (0:0 takes 6 ms)");
    assert_int_equal(clrnn_write_text(NULL, path, "{\"hash\": \"0\"}"), CLRNN_OK);
    expect_default(ROWS(&LLVMPIPE, &POCL), "0:0", by_driver);
    measured(&LLVMPIPE, 3); // replaces the damaged file
    expect_default(ROWS(&LLVMPIPE, &POCL), "1:0", "the fastest measured, 3 ms a step (0:0 takes 6 ms)");

    assert_int_equal(clrnn_device_keep_step_ms(NULL, &list->info[0], 0), CLRNN_ERR_ARG);
    assert_int_equal(clrnn_device_keep_step_ms(NULL, &list->info[0], INFINITY), CLRNN_ERR_ARG);
    assert_true(clrnn_device_step_ms(&list->info[0]) == 3);
    measured(&LLVMPIPE, NAN);
    measured(&POCL, NAN);
    free(path);
    clrnn_device_list_destroy(&list);
}

static void test_kind(void **state)
{
    (void)state;
    expect("cpu", ROWS(&POCL, &LLVMPIPE, &CLOVER, &NVIDIA), CLRNN_OK, "0:0");
    expect("CPU", ROWS(&LLVMPIPE, &CLOVER), CLRNN_OK, "1:0");
    expect("gpu", ROWS(&POCL, &NVIDIA), CLRNN_OK, "3:0");
    expect("gpu", ROWS(&POCL, &NVIDIA, &NVIDIA_SMALL), CLRNN_ERR_ARG, "fits several");
    expect("cpu", ROWS(&POCL, &POCL_BASIC), CLRNN_ERR_ARG, "0:1 basic-Intel(R) Xeon(R)");
    expect("gpu", ROWS(&POCL), CLRNN_ERR_ARG, "fits nothing");
}

static void test_name(void **state)
{
    (void)state;
    expect("pocl", ROWS(&POCL, &LLVMPIPE), CLRNN_OK, "0:0");
    expect("PoCL", ROWS(&POCL, &LLVMPIPE), CLRNN_OK, "0:0");
    expect("llvm", ROWS(&POCL, &LLVMPIPE), CLRNN_OK, "1:0");
    expect("rusticl", ROWS(&POCL, &LLVMPIPE), CLRNN_OK, "1:0");
    expect("xeon", ROWS(&POCL, &LLVMPIPE), CLRNN_OK, "0:0");
    expect("h200", ROWS(&POCL, &NVIDIA, &NVIDIA_SMALL), CLRNN_OK, "3:0");
    expect("nvidia", ROWS(&POCL, &NVIDIA, &NVIDIA_SMALL), CLRNN_ERR_ARG, "3:1 NVIDIA T4 (NVIDIA CUDA)");
    expect("pocl", ROWS(&POCL, &POCL_BASIC), CLRNN_ERR_ARG, "fits several");
    expect("basic", ROWS(&POCL, &POCL_BASIC), CLRNN_OK, "0:1");
    expect("gfx90a", ROWS(&POCL), CLRNN_ERR_ARG, "\"gfx90a\" fits nothing");
    expect("pocl", ROWS(&LLVMPIPE), CLRNN_ERR_ARG, "ref");
}

static void test_number(void **state)
{
    (void)state;
    expect("0:0", ROWS(&POCL, &LLVMPIPE, &CLOVER, &NVIDIA), CLRNN_OK, "0:0");
    expect("1:0", ROWS(&POCL, &LLVMPIPE, &CLOVER, &NVIDIA), CLRNN_OK, "1:0");
    expect("0:1", ROWS(&POCL, &POCL_BASIC), CLRNN_OK, "0:1");
    expect("0:2", ROWS(&POCL, &POCL_BASIC), CLRNN_ERR_ARG, "is not there");
    expect("2:0", ROWS(&POCL, &CLOVER), CLRNN_ERR_ARG, "is not there");
    expect("4:0", ROWS(&POCL, &CRASHED), CLRNN_ERR_DEVICE, "its driver crashed");
    expect("0:0x", ROWS(&POCL), CLRNN_ERR_ARG, "fits nothing");
    expect("0:", ROWS(&POCL), CLRNN_ERR_ARG, "fits nothing");
    expect("99999999999:0", ROWS(&POCL), CLRNN_ERR_ARG, "fits nothing");
}

static void test_list(void **state)
{
    struct clrnn_device_list *list;
    const struct clrnn_device_info *last;

    (void)state;
    assert_int_equal(clrnn_device_list_create(&test_print_log, &list), CLRNN_OK);
    assert_true(list->count >= 1);
    last = &list->info[list->count - 1];
    assert_int_equal(last->type, CLRNN_DEVICE_REF);
    assert_int_equal(last->platform, -1);
    assert_null(last->trouble);
    for (size_t i = 0; i < list->count; i++) {
        const struct clrnn_device_info *d = &list->info[i];

        print_message("# %d:%d %s | %s | %s\n", d->platform, d->device, d->name, d->platform_name,
                      d->trouble ? d->trouble : "sound");
        assert_true(d->device >= 0 || d->trouble || d->type == CLRNN_DEVICE_REF);
        if (d->device >= 0 && !d->trouble)
            assert_true(d->compute_units && d->global_bytes && d->max_work_group_size && *d->driver);
    }
    clrnn_device_list_destroy(&list);
}

static void test_ref(void **state)
{
    struct clrnn_device_params params = {.select = "ref", .log = &test_print_log};
    struct clrnn_device *device;

    (void)state;
    assert_int_equal(clrnn_device_open(&params, &device), CLRNN_OK);
    assert_true(clrnn_device_is_ref(device));
    assert_false(clrnn_device_is_cpu(device));
    assert_string_equal(clrnn_device_info(device)->name, "ref");
    clrnn_device_destroy(&device);
    assert_null(device);
    clrnn_device_destroy(&device);
}

static void test_settings(void **state)
{
    struct clrnn_device_params params = {.select = "ref", .gemm = "cublas"};
    struct clrnn_device *device;
    struct test_log log;

    (void)state;
    test_log_init(&log);
    params.log = &log.log;
    assert_int_equal(clrnn_device_open(&params, &device), CLRNN_ERR_ARG);
    assert_null(device);
    assert_non_null(strstr(log.text, "cublas"));
}

/** Quirks are found by names. Intel's CPU runtime must get build options; Intel's driver for GPUs must get none. */
static void test_quirks(void **state)
{
    const struct clrnn_device_info cpu = {.name = "Intel(R) Xeon(R)", .platform_name = "Intel(R) OpenCL"},
                                   gpu = {.name = "Intel(R) Arc(TM) A770 Graphics",
                                          .type = CLRNN_DEVICE_GPU,
                                          .platform_name = "Intel(R) OpenCL Graphics"},
                                   pocl = {.name = "pthread-Intel(R) Xeon(R)",
                                           .platform_name = "Portable Computing Language"};

    (void)state;
    assert_non_null(strstr(clrnn_quirks_of(&cpu).cpu_options, "-D BUILTIN_PREFETCH=1"));
    assert_null(clrnn_quirks_of(&gpu).cpu_options);
    assert_null(clrnn_quirks_of(&pocl).cpu_options);
    assert_true(clrnn_quirks_of(&pocl).is_pocl && !clrnn_quirks_of(&cpu).is_pocl);
}

static int setup_group(void **state)
{
    return test_folder_make(state) == 0 && setenv("XDG_CACHE_HOME", test_folder, 1) == 0 ? 0 : -1;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_default), cmocka_unit_test(test_measured), cmocka_unit_test(test_damaged),
        cmocka_unit_test(test_kind),    cmocka_unit_test(test_name),     cmocka_unit_test(test_number),
        cmocka_unit_test(test_list),    cmocka_unit_test(test_ref),      cmocka_unit_test(test_settings),
        cmocka_unit_test(test_quirks),
    };

    return cmocka_run_group_tests_name("select", tests, setup_group, test_folder_remove);
}
