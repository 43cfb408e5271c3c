// SPDX-License-Identifier: MIT
// Drivers that crash or hang are listed with their error; the others stay usable. Each case runs in a
// process of its own, since a process loads drivers once.
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "device/device_test.h"

static char folder[64];

static void write_icd(const char *name, const char *library)
{
    char path[128];
    FILE *f;

    snprintf(path, sizeof(path), "%s/%s", folder, name);
    f = fopen(path, "w");
    assert_non_null(f);
    fprintf(f, "%s\n", library);
    fclose(f);
}

static int setup_group(void **state)
{
    (void)state;
    snprintf(folder, sizeof(folder), "/tmp/clrnn-test-XXXXXX");
    if (!mkdtemp(folder))
        return -1;
    write_icd("a.icd", FAKE_ICD_PATH);
    write_icd("b.icd", "libpocl.so.2"); // the loader ignores it if PoCL is not installed
    return setenv("OCL_ICD_VENDORS", folder, 1);
}

static int teardown_group(void **state)
{
    char path[128];

    (void)state;
    for (const char *name = "a"; name; name = *name == 'a' ? "b" : NULL) {
        snprintf(path, sizeof(path), "%s/%s.icd", folder, name);
        unlink(path);
    }
    return rmdir(folder);
}

/** In a child: lists devices with FAKE_ICD=mode; the exit status tells what is wrong, 0: nothing. */
static int list_in_child(const char *mode, const char *trouble)
{
    struct clrnn_device_list *list;
    bool found = false, pocl = false;

    setenv("FAKE_ICD", mode, 1);
    if (clrnn_device_list_create(&test_print_log, &list) != CLRNN_OK)
        return 10;
    for (size_t i = 0; i < list->count; i++) {
        const struct clrnn_device_info *d = &list->info[i];

        fprintf(stderr, "# %s: %d:%d %s | %s\n", mode, d->platform, d->device, d->platform_name,
                d->trouble ? d->trouble : "sound");
        found = found || (d->trouble && strstr(d->trouble, trouble) && d->device < 0);
        pocl = pocl || (d->is_pocl && !d->trouble);
    }
    if (list->info[list->count - 1].type != CLRNN_DEVICE_REF)
        return 11;
    clrnn_device_list_destroy(&list);
    if (!found)
        return 12;
    if (strcmp(getenv("OCL_ICD_VENDORS"), folder) != 0)
        return 13; // the environment must be as it was
    if (pocl) {
        const struct clrnn_device_params params = {.log = &test_print_log, .select = "pocl"};
        struct clrnn_device *device;

        if (clrnn_device_open(&params, &device) != CLRNN_OK)
            return 14;
        clrnn_device_destroy(&device);
    }
    return 0;
}

static void expect(const char *mode, const char *trouble)
{
    int status;
    pid_t child;

    fflush(NULL);
    child = fork();
    assert_true(child >= 0);
    if (child == 0)
        _exit(list_in_child(mode, trouble));
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 0);
}

static void test_empty(void **state)
{
    (void)state;
    expect("sound", "no devices");
}

static void test_crash(void **state)
{
    (void)state;
    expect("devices", "crashed with signal 11");
}

static void test_exit(void **state)
{
    (void)state;
    expect("exit", "ended the process with status 3");
}

static void test_hang(void **state)
{
    (void)state;
    expect("hang", "hung for");
}

static void test_crash_on_load(void **state)
{
    (void)state;
    expect("load", "crashed with signal 11");
}

static void test_hang_on_load(void **state)
{
    (void)state;
    expect("load-hang", "hung for");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_empty),         cmocka_unit_test(test_crash),
        cmocka_unit_test(test_exit),          cmocka_unit_test(test_hang),
        cmocka_unit_test(test_crash_on_load), cmocka_unit_test(test_hang_on_load),
    };

    return cmocka_run_group_tests_name("probe", tests, setup_group, teardown_group);
}
