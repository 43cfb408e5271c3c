// SPDX-License-Identifier: MIT
// Tests choices between variants. There is a choice only for ops with a class (clrnn_launches_class). The alternative
// comes from the file or is forced. Choices can be written and read again. Also tests the choice of work-group sizes.
#include <math.h>
#include <unistd.h>

#include "device/remember/choice.h"
#include "device/device_test.h"
#include "device/remember/internal.h"
#include "tests/folder.h"

static const char *const words[] = {"steps", "shared", "group"};

static struct clrnn_device *open_device(bool no_tune)
{
    const char *named = getenv("CLRNN_DEVICE");
    const struct clrnn_device_params params = {
        .select = named && *named ? named : "cpu", .log = &test_print_log, .no_tune = no_tune};
    struct clrnn_device *device = NULL;

    return clrnn_device_open(&params, &device) == CLRNN_OK ? device : NULL;
}

static unsigned ask(struct clrnn_device *device, const char *class, struct clrnn_choice *choice)
{
    struct clrnn_launches *l;
    const struct clrnn_choice *c;
    unsigned taken;

    assert_int_equal(clrnn_launches_create(device, &l), CLRNN_OK);
    assert_int_equal(clrnn_launches_op(l, "some op"), CLRNN_OK);
    if (class)
        clrnn_launches_class(l, class);
    taken = clrnn_choose(l, "variant", 0, 3, words);
    assert_int_equal(clrnn_choose(l, "variant", 0, 3, words), taken);
    c = clrnn_launches_choice(l, 0);
    assert_true(!c == !class);
    if (c && choice)
        *choice = *c;
    assert_null(clrnn_launches_choice(l, 1)); // asked for twice, listed once
    clrnn_launches_destroy(&l);
    return taken;
}

static char *read_file(const char *path)
{
    struct clrnn_map map;
    char *text;

    assert_int_equal(clrnn_map_open(NULL, path, &map), CLRNN_OK);
    text = clrnn_format("%.*s", (int)map.size, (const char *)map.data);
    clrnn_map_close(&map);
    return text;
}

static void put(struct clrnn_device *device, const struct clrnn_choice *c, bool multiplies)
{
    const struct clrnn_choice_ms ms = {{3, 1.5, INFINITY}};
    struct clrnn_choice_file *file;

    assert_int_equal(clrnn_choice_file_open(device, &file), CLRNN_OK);
    assert_int_equal(clrnn_choice_file_put(file, c, multiplies, &ms, 1), CLRNN_OK);
    clrnn_choice_file_close(&file);
    clrnn_choice_file_close(&file);
}

static void test_file(void **state)
{
    struct clrnn_device *device;
    struct clrnn_choice_file *file;
    struct clrnn_choice c;
    struct clrnn_choice_ms ms;
    json_t *root;
    char *path;

    (void)state;
    test_cache_home(test_folder);
    device = open_device(false);
    if (!device) {
        test_cache_home(NULL);
        skip();
    }
    path = clrnn_tune_path(clrnn_device_info(device));
    unlink(path);
    assert_int_equal(ask(device, NULL, NULL), 0);
    assert_int_equal(ask(device, "op T4", &c), 0);
    assert_string_equal(c.key, "op T4 variant");
    assert_true(c.count == 3 && c.standard == 0 && c.taken == 0);
    assert_string_equal(c.option[2], "group");

    // forced, and reset; an unknown alternative has no effect
    assert_int_equal(clrnn_device_force(device, c.key, "shared"), CLRNN_OK);
    assert_int_equal(ask(device, "op T4", NULL), 1);
    assert_int_equal(clrnn_device_force(device, c.key, "other"), CLRNN_OK);
    assert_int_equal(ask(device, "op T4", NULL), 0);
    assert_int_equal(clrnn_device_force(device, c.key, NULL), CLRNN_OK);
    assert_int_equal(clrnn_device_force(device, "variant", "group"), CLRNN_OK);
    assert_int_equal(ask(device, "op T4", NULL), 2);
    assert_int_equal(clrnn_device_force(device, c.key, "shared"), CLRNN_OK); // the whole key takes precedence
    assert_int_equal(ask(device, "op T4", NULL), 1);
    assert_int_equal(clrnn_device_force(device, c.key, NULL), CLRNN_OK);
    assert_int_equal(clrnn_device_force(device, "variant", NULL), CLRNN_OK);

    // written, read again, and used by devices opened later, except with no_tune
    put(device, &c, true);
    assert_true(clrnn_device_is_tuned(clrnn_device_info(device)));
    assert_int_equal(clrnn_choice_file_open(device, &file), CLRNN_OK);
    assert_true(clrnn_choice_file_get(file, &c, true, &ms));
    assert_true(ms.ms[0] == 3 && ms.ms[1] == 1.5 && isinf(ms.ms[2]));
    clrnn_choice_file_close(&file);
    clrnn_device_destroy(&device);
    device = open_device(false);
    assert_int_equal(ask(device, "op T4", NULL), 1);
    assert_int_equal(ask(device, "op T8", NULL), 0);
    clrnn_device_destroy(&device);
    device = open_device(true);
    assert_int_equal(ask(device, "op T4", NULL), 0);

    // times measured with other CLBlast parameters are not valid, but failures are
    assert_int_equal(clrnn_tune_load_file(NULL, path, &root), CLRNN_OK);
    json_object_set_new(json_object_get(root, "use"), "Xgemm", json_integer(17));
    assert_int_equal(clrnn_tune_save(NULL, path, root), CLRNN_OK);
    json_decref(root);
    assert_int_equal(clrnn_choice_file_open(device, &file), CLRNN_OK);
    assert_false(clrnn_choice_file_get(file, &c, true, &ms));
    assert_true(isnan(ms.ms[0]) && isnan(ms.ms[1]) && isinf(ms.ms[2]));
    clrnn_choice_file_close(&file);
    unlink(path);
    free(path);
    clrnn_device_destroy(&device);
    test_cache_home(NULL);
}

static void test_environment(void **state)
{
    static const char *const wrong[] = {"variant",         "variant=",       "=shared",       "variant=shared;",
                                        "variant=shared,", "Variant=shared", "variant=quick", "walk=shared"};
    const char *named = getenv("CLRNN_DEVICE");
    struct test_log log;
    const struct clrnn_device_params params = {
        .select = named && *named ? named : "cpu", .log = &log.log, .no_tune = true};
    struct clrnn_device *device;

    (void)state;
    setenv("CLRNN_CHOICES", "rows=2,variant=shared", 1);
    device = open_device(true);
    if (device)
        assert_int_equal(ask(device, "op T4", NULL), 1);
    clrnn_device_destroy(&device);
    for (size_t i = 0; i < sizeof(wrong) / sizeof(*wrong); i++) {
        test_log_init(&log);
        setenv("CLRNN_CHOICES", wrong[i], 1);
        assert_int_equal(clrnn_device_open(&params, &device), CLRNN_ERR_ARG);
        assert_non_null(strstr(log.text, wrong[i]));
        assert_int_equal(log.errors, 1);
    }
    unsetenv("CLRNN_CHOICES");
}

/** Damages the file at every fifth byte: truncates it, or changes a bit. The file must not be used, and it must still
 * be possible to replace it. */
static void test_damage(void **state)
{
    struct clrnn_device *device;
    struct clrnn_choice_file *file;
    struct clrnn_choice c;
    struct clrnn_choice_ms ms;
    struct clrnn_tune *tune;
    char *path, *text;

    (void)state;
    test_cache_home(test_folder);
    device = open_device(true);
    if (!device) {
        test_cache_home(NULL);
        skip();
    }
    ask(device, "op T4", &c);
    path = clrnn_tune_path(clrnn_device_info(device));
    unlink(path);
    put(device, &c, false);
    text = read_file(path);
    for (size_t at = 0; at < strlen(text); at += 5) { // not every byte: each file is written to the disk
        const char former = text[at];

        text[at] = at % 2 ? 0 : (char)(former ^ 4);
        assert_int_equal(clrnn_write_text(NULL, path, text), CLRNN_OK);
        text[at] = former;
        clrnn_tune_load(NULL, clrnn_device_info(device), &tune);
        assert_null(tune);
        assert_int_equal(clrnn_choice_file_open(device, &file), CLRNN_OK);
        clrnn_choice_file_get(file, &c, false, &ms);
        clrnn_choice_file_close(&file);
    }
    put(device, &c, false);
    assert_true(clrnn_device_is_tuned(clrnn_device_info(device)));
    unlink(path);
    free(path);
    free(text);
    clrnn_device_destroy(&device);
    test_cache_home(NULL);
}

/** With the kernels for GPUs, a kernel that is launched without a local size must get 64 work-items per work-group, or
 * the forced number. */
static void test_groups(void **state)
{
    const char *form = getenv("CLRNN_KERNEL_FORM");
    char *kept = form ? clrnn_format("%s", form) : NULL;
    struct clrnn_device *device;
    struct clrnn_buffer *b = NULL;
    float first[3000];

    (void)state;
    setenv("CLRNN_KERNEL_FORM", "gpu", 1);
    device = open_device(true);
    if (kept)
        setenv("CLRNN_KERNEL_FORM", kept, 1);
    else
        unsetenv("CLRNN_KERNEL_FORM");
    free(kept);
    if (!device)
        skip();
    assert_false(clrnn_device_cpu_form(device));
    assert_int_equal(clrnn_buffer_create(device, CLRNN_REAL, 3000, "numbers", &b), CLRNN_OK);
    for (int pass = 0; pass < 3; pass++) {
        static const char *const items[] = {NULL, "128", "16"}, *const local[] = {"local 64", "local 128", "local 16"};
        const struct clrnn_choice *c;
        struct clrnn_launches *l;
        float got[3000];

        assert_int_equal(clrnn_launches_create(device, &l), CLRNN_OK);
        assert_int_equal(clrnn_launches_op(l, "some op"), CLRNN_OK);
        clrnn_launches_class(l, "op T4");
        for (size_t i = 0; i < 3000; i++)
            got[i] = (float)i;
        assert_int_equal(clrnn_buffer_write_f32(b, 0, 3000, got), CLRNN_OK);
        assert_int_equal(clrnn_launch_kernel(l, "scale", "scale_matrix", NO_DEFINES, RANGE2(1000, 3),
                                             (struct clrnn_cost){0, 0},
                                             ARGS(BUF(b), UINT(0), UINT(1000), UINT(3), UINT(1000), REAL(0.5))),
                         CLRNN_OK);
        c = clrnn_launches_choice(l, 0);
        assert_non_null(c);
        assert_non_null(strstr(c->key, "op T4 scale_matrix group"));
        if (c->count >= 4) // the device can run such work-groups
            assert_non_null(strstr(clrnn_launches_info(l, 0)->shape, local[pass]));
        assert_int_equal(clrnn_launches_run(l), CLRNN_OK);
        assert_int_equal(clrnn_buffer_read_f32(b, 0, 3000, got), CLRNN_OK);
        if (pass == 0)
            memcpy(first, got, sizeof(first));
        assert_memory_equal(got, first, sizeof(first));
        assert_true(got[2999] == 1499.5f);
        if (pass < 2)
            assert_int_equal(clrnn_device_force(device, c->key, items[pass + 1]), CLRNN_OK);
        clrnn_launches_destroy(&l);
    }
    clrnn_buffer_destroy(&b);
    clrnn_device_destroy(&device);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_file), cmocka_unit_test(test_environment),
                                       cmocka_unit_test(test_damage), cmocka_unit_test(test_groups)};

    return cmocka_run_group_tests_name("choice", tests, test_folder_make, test_folder_remove);
}
