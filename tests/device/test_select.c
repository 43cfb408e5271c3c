// SPDX-License-Identifier: MIT
// The rules by which a text selects a device, on made-up lists.
#include "device/find/find.h"
#include "device/device_test.h"

struct row {
    int platform, device;
    enum clrnn_device_type type;
    const char *name, *vendor, *platform_name;
    uint32_t units;
    const char *trouble;
};

static const struct row POCL = {
    0, 0,   CLRNN_DEVICE_CPU, "pthread-Intel(R) Xeon(R)", "GenuineIntel", "Portable Computing Language",
    2, NULL};
static const struct row POCL_BASIC = {
    0, 1, CLRNN_DEVICE_CPU, "basic-Intel(R) Xeon(R)", "GenuineIntel", "Portable Computing Language", 2, NULL};
static const struct row LLVMPIPE = {
    1, 0, CLRNN_DEVICE_CPU, "llvmpipe (LLVM 15.0.6, 256 bits)", "Mesa/X.org", "rusticl", 2, NULL};
static const struct row RUSTICL_EMPTY = {1, -1, CLRNN_DEVICE_CPU, "", "", "rusticl", 0, CLRNN_NO_DEVICES};
static const struct row CLOVER = {2, -1, CLRNN_DEVICE_CPU, "", "", "Clover", 0, CLRNN_NO_DEVICES};
static const struct row NVIDIA = {
    3, 0, CLRNN_DEVICE_GPU, "NVIDIA H200", "NVIDIA Corporation", "NVIDIA CUDA", 132, NULL};
static const struct row NVIDIA_SMALL = {
    3, 1, CLRNN_DEVICE_GPU, "NVIDIA T4", "NVIDIA Corporation", "NVIDIA CUDA", 40, NULL};
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

/** Expects that `select` selects a row, "P:D", or fails with a status. */
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
    expect(NULL, ROWS(&LLVMPIPE, &POCL), CLRNN_OK, "0:0");              // one CPU, its better platform
    expect(NULL, ROWS(&CLOVER), CLRNN_ERR_DEVICE, "Clover: no devices");
    expect(NULL, (const struct row *const[]){NULL}, CLRNN_ERR_DEVICE, "install a driver");
    expect("cpu", (const struct row *const[]){NULL}, CLRNN_ERR_DEVICE, "install a driver");
    expect("0:0", (const struct row *const[]){NULL}, CLRNN_ERR_DEVICE, "--device ref");
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

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_default),  cmocka_unit_test(test_kind), cmocka_unit_test(test_name),
        cmocka_unit_test(test_number),   cmocka_unit_test(test_list), cmocka_unit_test(test_ref),
        cmocka_unit_test(test_settings),
    };

    return cmocka_run_group_tests_name("select", tests, NULL, NULL);
}
