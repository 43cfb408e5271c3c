// SPDX-License-Identifier: MIT
// Tests that drivers that crash or hang are listed with their error, and that the other drivers stay usable. Each case
// runs in a process of its own, because a process loads drivers only once.
#include <sys/wait.h>
#include <unistd.h>

#include "base/array.h"
#include "device/device_test.h"
#include "tests/folder.h"

static void write_icd(const char *name, const char *library)
{
    char *path = test_folder_path(name);

    assert_int_equal(clrnn_write_text(&test_print_log, path, library), CLRNN_OK);
    free(path);
}

static int setup_group(void **state)
{
    if (test_folder_make(state))
        return -1;
    write_icd("a.icd", FAKE_ICD_PATH "\n");
    write_icd("b.icd", "libpocl.so.2\n"); // the loader ignores it if PoCL is not installed
    return setenv("OCL_ICD_VENDORS", test_folder, 1);
}

/** Runs in a child: lists devices with FAKE_ICD=mode. Returns the exit status, which tells what is wrong; 0:
 * nothing. */
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
    if (strcmp(getenv("OCL_ICD_VENDORS"), test_folder) != 0)
        return 13; // the variable must have its former value again
    if (pocl) {
        const struct clrnn_device_params params = {.log = &test_print_log, .select = "pocl"};
        struct clrnn_device *device;

        if (clrnn_device_open(&params, &device) != CLRNN_OK)
            return 14;
        clrnn_device_destroy(&device);
    }
    return 0;
}

static void test_troubles(void **state)
{
    static const char *const expected[][2] = {
        {"sound", "no devices"}, {"devices", "crashed with signal 11"}, {"exit", "ended the process with status 3"},
        {"hang", "hung for"},    {"load", "crashed with signal 11"},    {"load-hang", "hung for"},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(expected); i++) {
        int status;
        pid_t child;

        fflush(NULL);
        child = fork();
        assert_true(child >= 0);
        if (child == 0)
            _exit(list_in_child(expected[i][0], expected[i][1]));
        assert_int_equal(waitpid(child, &status, 0), child);
        assert_true(WIFEXITED(status));
        if (WEXITSTATUS(status))
            fail_msg("%s: status %d", expected[i][0], WEXITSTATUS(status));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_troubles)};

    return cmocka_run_group_tests_name("probe", tests, setup_group, test_folder_remove);
}
