// SPDX-License-Identifier: MIT
// Tests launches: checks of arguments against the kernel, order in replays, sizes, scratch memory, times.
#include "base/array.h"
#include "device/device_test.h"

static const struct clrnn_cost FREE = {0, 0};

static int setup(void **state)
{
    setenv("CLRNN_KERNEL_DIR", TEST_KERNEL_DIR, 1);
    return test_launches_open(state);
}

static enum clrnn_status note(struct test_launches *f, struct clrnn_buffer *cursor, struct clrnn_buffer *order,
                              int mark)
{
    return clrnn_launch_kernel(f->l, "probe", "note", NO_DEFINES, RANGE1(1), FREE,
                               ARGS(BUF(cursor), BUF(order), INT(mark)));
}

/** Launches must run in order, each with its own arguments even if launches share a kernel. Replays must repeat them,
 * and a part of the list can be run by itself. */
static void test_order(void **state)
{
    struct test_launches *f = test_launches_need(state);
    struct clrnn_buffer *cursor = test_buffer(f, CLRNN_U32, 1), *order = test_buffer(f, CLRNN_I32, 64);
    const int32_t expected[] = {3, 1, -4, 1, 5, 3, 1, -4, 1, 5, 1, -4};
    int32_t got[12], used;

    assert_int_equal(clrnn_launches_op(f->l, "first"), CLRNN_OK);
    assert_int_equal(note(f, cursor, order, 3), CLRNN_OK);
    assert_int_equal(note(f, cursor, order, 1), CLRNN_OK);
    assert_int_equal(clrnn_launches_op(f->l, "second"), CLRNN_OK);
    assert_int_equal(note(f, cursor, order, -4), CLRNN_OK);
    assert_int_equal(note(f, cursor, order, 1), CLRNN_OK);
    assert_int_equal(note(f, cursor, order, 5), CLRNN_OK);
    assert_int_equal(clrnn_launches_count(f->l), 5);
    assert_int_equal(clrnn_launches_run(f->l), CLRNN_OK);
    assert_int_equal(clrnn_launches_run(f->l), CLRNN_OK);
    assert_int_equal(clrnn_launches_run_part(f->l, 1, 3), CLRNN_OK);
    assert_int_equal(clrnn_launches_run_part(f->l, 5, 5), CLRNN_OK);
    assert_int_equal(clrnn_buffer_read_i32(cursor, 0, 1, &used), CLRNN_OK);
    assert_int_equal(used, 12);
    assert_int_equal(clrnn_buffer_read_i32(order, 0, 12, got), CLRNN_OK);
    assert_memory_equal(got, expected, sizeof(expected));
    assert_string_equal(clrnn_launches_info(f->l, 1)->op, "first");
    assert_string_equal(clrnn_launches_info(f->l, 2)->op, "second");
    assert_string_equal(clrnn_launches_info(f->l, 2)->kernel, "note");
    assert_int_equal(clrnn_launches_info(f->l, 2)->runs, 3);
    assert_int_equal(clrnn_launches_run_part(f->l, 4, 6), CLRNN_ERR_ARG);
}

/** For parts of a buffer, clrnn_launches_use must find the launches that use them. Such a launch is a kernel or a fill,
 * and it uses the whole buffer or a sub-buffer. */
static void test_use(void **state)
{
    struct test_launches *f = test_launches_need(state);
    struct clrnn_buffer *cursor = test_buffer(f, CLRNN_U32, 1), *all = test_buffer(f, CLRNN_REAL, 4096),
                        *other = test_buffer(f, CLRNN_REAL, 64), *part[2], *order;
    struct clrnn_use use[] = {{.first = 0, .count = 1024}, {1024, 1024, 0, 0}, {2048, 2048, 0, 0}};
    const size_t bytes = clrnn_type_bytes(f->d, CLRNN_REAL);

    assert_int_equal(clrnn_buffer_sub(all, 0, CLRNN_I32, 64, &order), CLRNN_OK);
    for (size_t i = 0; i < 2; i++)
        assert_int_equal(clrnn_buffer_sub(all, (1024 + 512 * i) * bytes, CLRNN_REAL, 512, &part[i]), CLRNN_OK);
    assert_int_equal(clrnn_launch_zero(f->l, other), CLRNN_OK);
    clrnn_launches_use(f->l, all, ARRAY_SIZE(use), use);
    assert_int_equal(use[0].begin, 1);
    assert_int_equal(use[0].end, 0);
    assert_int_equal(clrnn_launch_zero(f->l, part[1]), CLRNN_OK);
    assert_int_equal(note(f, cursor, order, 1), CLRNN_OK);
    assert_int_equal(clrnn_launch_zero(f->l, part[0]), CLRNN_OK);
    assert_int_equal(note(f, cursor, order, 1), CLRNN_OK);
    assert_int_equal(clrnn_launch_zero(f->l, other), CLRNN_OK);
    clrnn_launches_use(f->l, all, ARRAY_SIZE(use), use);
    assert_int_equal(use[0].begin, 2);
    assert_int_equal(use[0].end, 5);
    assert_int_equal(use[1].begin, 1);
    assert_int_equal(use[1].end, 4);
    assert_int_equal(use[2].end, 0);
    assert_int_equal(clrnn_launch_zero(f->l, all), CLRNN_OK);
    clrnn_launches_use(f->l, all, ARRAY_SIZE(use), use);
    for (size_t i = 0; i < ARRAY_SIZE(use); i++)
        assert_int_equal(use[i].end, 7);
    clrnn_buffer_destroy(&order);
    clrnn_buffer_destroy(&part[0]);
    clrnn_buffer_destroy(&part[1]);
}

static void test_arguments(void **state)
{
    struct test_launches *f = test_launches_need(state);
    struct clrnn_buffer *a = test_buffer(f, CLRNN_REAL, 5), *b = test_buffer(f, CLRNN_REAL, 5),
                        *c = test_buffer(f, CLRNN_REAL, 5);
    struct clrnn_buffer *answer = test_buffer(f, CLRNN_I32, 1);
    const float x[5] = {1, 2, 3, 4, 5}, y[5] = {10, 20, 30, 40, 50};
    float got[5];
    int32_t null;

    assert_int_equal(clrnn_buffer_write_f32(a, 0, 5, x), CLRNN_OK);
    assert_int_equal(clrnn_buffer_write_f32(b, 0, 5, y), CLRNN_OK);
    assert_int_equal(clrnn_launch_kernel(f->l, "probe", "add", NO_DEFINES, RANGE1(5), (struct clrnn_cost){10, 60},
                                         ARGS(BUF(a), BUF(b), BUF(c), UINT(4), REAL(0.5))),
                     CLRNN_OK);
    assert_int_equal(
        clrnn_launch_kernel(f->l, "probe", "is_null", NO_DEFINES, RANGE1(1), FREE, ARGS(BUF(NULL), BUF(answer))),
        CLRNN_OK);
    assert_int_equal(clrnn_launches_run(f->l), CLRNN_OK);
    assert_int_equal(clrnn_buffer_read_f32(c, 0, 5, got), CLRNN_OK);
    for (int i = 0; i < 5; i++)
        assert_true(got[i] == (i < 4 ? x[i] + 0.5f * y[i] : 0));
    assert_int_equal(clrnn_buffer_read_i32(answer, 0, 1, &null), CLRNN_OK);
    assert_int_equal(null, 1);
    assert_true(clrnn_launches_info(f->l, 0)->cost.flops == 10);
}

/** Appending must fail with CLRNN_ERR_ARG, log one sentence that contains `words`, and append nothing. */
#define EXPECT_ARG(f, words, ...) \
    do { \
        const size_t before_ = clrnn_launches_count((f)->l); \
        (f)->log.errors = 0; \
        assert_int_equal(clrnn_launch_kernel((f)->l, "probe", __VA_ARGS__), CLRNN_ERR_ARG); \
        print_message("# %s\n", (f)->log.text); \
        assert_int_equal((f)->log.errors, 1); \
        assert_non_null(strstr((f)->log.text, words)); \
        assert_int_equal(clrnn_launches_count((f)->l), before_); \
    } while (0)

static void test_wrong_arguments(void **state)
{
    struct test_launches *f = test_launches_need(state);
    struct clrnn_buffer *a = test_buffer(f, CLRNN_REAL, 5), *i = test_buffer(f, CLRNN_I32, 5);
    struct clrnn_device *ref;
    const struct clrnn_device_params params = {.select = "ref"};
    struct clrnn_buffer *foreign;

    EXPECT_ARG(f, "got 4 arguments, the kernel has 5", "add", NO_DEFINES, RANGE1(5), FREE,
               ARGS(BUF(a), BUF(a), BUF(a), UINT(4)));
    EXPECT_ARG(f, "got 6 arguments", "add", NO_DEFINES, RANGE1(5), FREE,
               ARGS(BUF(a), BUF(a), BUF(a), UINT(4), REAL(1), UINT(0)));
    EXPECT_ARG(f, "no kernel sub", "sub", NO_DEFINES, RANGE1(5), FREE, ARGS(BUF(a)));
    EXPECT_ARG(f, "global size 0", "add", NO_DEFINES, RANGE1(0), FREE, ARGS(BUF(a), BUF(a), BUF(a), UINT(4), REAL(1)));
    EXPECT_ARG(f, "0 dimensions", "add", NO_DEFINES, ((struct clrnn_range){0, {1, 1, 1}, {0, 0, 0}}), FREE,
               ARGS(BUF(a), BUF(a), BUF(a), UINT(4), REAL(1)));

    assert_int_equal(clrnn_device_open(&params, &ref), CLRNN_OK);
    assert_int_equal(clrnn_buffer_create(ref, CLRNN_REAL, 5, "elsewhere", &foreign), CLRNN_OK);
    EXPECT_ARG(f, "another device", "add", NO_DEFINES, RANGE1(5), FREE,
               ARGS(BUF(a), BUF(foreign), BUF(a), UINT(4), REAL(1)));
    clrnn_buffer_destroy(&foreign);
    clrnn_device_destroy(&ref);

    // PoCL tells the types of parameters
    if (clrnn_device_info(f->d)->is_pocl) {
        EXPECT_ARG(f, "argument 4 is a real", "add", NO_DEFINES, RANGE1(5), FREE,
                   ARGS(BUF(a), BUF(a), BUF(a), REAL(4), UINT(1)));
        EXPECT_ARG(f, "argument 4 is an int", "add", NO_DEFINES, RANGE1(5), FREE,
                   ARGS(BUF(a), BUF(a), BUF(a), INT(4), REAL(1)));
        EXPECT_ARG(f, "argument 3 is a uint", "add", NO_DEFINES, RANGE1(5), FREE,
                   ARGS(BUF(a), BUF(a), UINT(4), BUF(a), REAL(1)));
        EXPECT_ARG(f, "a buffer of integers", "add", NO_DEFINES, RANGE1(5), FREE,
                   ARGS(BUF(a), BUF(i), BUF(a), UINT(4), REAL(1)));
        EXPECT_ARG(f, "argument 2 is a buffer", "group_sum", NO_DEFINES, RANGE1(5), FREE, ARGS(BUF(i), BUF(i), BUF(i)));
    }
}

/** In a long list, launches share kernel objects. Each launch must still have its own arguments: after another launch
 * was refused, if the list is run again, and if a part of the list is run. */
static void test_long(void **state)
{
    enum { LONG = (1 << 14) + 50 };
    struct test_launches *f = test_launches_need(state);
    struct clrnn_buffer *cursor = test_buffer(f, CLRNN_U32, 1), *order = test_buffer(f, CLRNN_I32, 3 * LONG);
    struct clrnn_buffer *a = test_buffer(f, CLRNN_REAL, 1), *sum = test_buffer(f, CLRNN_REAL, 1);
    int32_t *got = malloc(2 * LONG * sizeof(*got)), used;
    const float x = 1;
    float y;

    assert_non_null(got);
    assert_int_equal(clrnn_buffer_write_f32(a, 0, 1, &x), CLRNN_OK);
    for (int i = 0; i < LONG; i++) {
        assert_int_equal(note(f, cursor, order, i), CLRNN_OK);
        if (i == LONG - 10)
            EXPECT_ARG(f, "got 2 arguments", "note", NO_DEFINES, RANGE1(1), FREE, ARGS(BUF(cursor), INT(-1)));
        if (i == LONG - 8)
            assert_int_equal(clrnn_launch_kernel(f->l, "probe", "add", NO_DEFINES, RANGE1(1), FREE,
                                                 ARGS(BUF(a), BUF(a), BUF(sum), UINT(1), REAL(0.5))),
                             CLRNN_OK);
    }
    assert_string_equal(clrnn_launches_info(f->l, LONG)->kernel, "note");
    assert_string_equal(clrnn_launches_info(f->l, LONG - 7)->kernel, "add");
    assert_int_equal(clrnn_launches_run(f->l), CLRNN_OK);
    assert_int_equal(clrnn_launches_run_part(f->l, LONG - 20, LONG + 1), CLRNN_OK);
    assert_int_equal(clrnn_buffer_read_i32(cursor, 0, 1, &used), CLRNN_OK);
    assert_int_equal(used, LONG + 20);
    assert_int_equal(clrnn_buffer_read_i32(order, 0, LONG + 20, got), CLRNN_OK);
    for (int i = 0; i < LONG + 20; i++)
        assert_int_equal(got[i], i < LONG ? i : i - 20);
    assert_int_equal(clrnn_buffer_read_f32(sum, 0, 1, &y), CLRNN_OK);
    assert_true(y == 1.5f);
    free(got);
}

static void test_groups(void **state)
{
    struct test_launches *f = test_launches_need(state);
    enum { GROUPS = 3, LOCAL_SIZE = 8 };
    struct clrnn_buffer *values = test_buffer(f, CLRNN_I32, GROUPS * LOCAL_SIZE),
                        *sums = test_buffer(f, CLRNN_I32, GROUPS);
    int32_t v[GROUPS * LOCAL_SIZE], got[GROUPS];

    for (int i = 0; i < GROUPS * LOCAL_SIZE; i++)
        v[i] = i;
    assert_int_equal(clrnn_buffer_write_i32(values, 0, GROUPS * LOCAL_SIZE, v), CLRNN_OK);
    // 20 work-items are rounded up to three work-groups
    assert_int_equal(clrnn_launch_kernel(f->l, "probe", "group_sum", NO_DEFINES, GROUPS1(20, LOCAL_SIZE), FREE,
                                         ARGS(BUF(values), LOCAL(LOCAL_SIZE * 4), BUF(sums))),
                     CLRNN_OK);
    assert_string_equal(clrnn_launches_info(f->l, 0)->shape, "global 24 local 8");
    assert_int_equal(clrnn_launches_run(f->l), CLRNN_OK);
    assert_int_equal(clrnn_buffer_read_i32(sums, 0, GROUPS, got), CLRNN_OK);
    for (int g = 0; g < GROUPS; g++) {
        int sum = 0;

        for (int i = 0; i < LOCAL_SIZE; i++)
            sum += v[g * LOCAL_SIZE + i];
        assert_int_equal(got[g], sum);
    }
}

static void test_zero(void **state)
{
    struct test_launches *f = test_launches_need(state);
    struct clrnn_buffer *a = test_buffer(f, CLRNN_REAL, 4);
    const float x[4] = {1, 2, 3, 4}, zeros[4] = {0};
    float got[4];

    assert_int_equal(clrnn_launch_zero(f->l, a), CLRNN_OK);
    assert_int_equal(clrnn_launch_host(f->l, NULL, NULL), CLRNN_ERR_ARG);
    assert_int_equal(clrnn_buffer_write_f32(a, 0, 4, x), CLRNN_OK);
    assert_int_equal(clrnn_launches_run(f->l), CLRNN_OK);
    assert_int_equal(clrnn_buffer_read_f32(a, 0, 4, got), CLRNN_OK);
    assert_memory_equal(got, zeros, sizeof(got));
}

static void test_scratch(void **state)
{
    struct test_launches *f = test_launches_need(state);
    struct clrnn_launches *other;
    struct clrnn_buffer *x, *y, *z, *w;
    uint64_t before, now;

    assert_int_equal(clrnn_launches_op(f->l, "one"), CLRNN_OK);
    assert_int_equal(clrnn_launches_scratch(f->l, 100, &x), CLRNN_OK);
    assert_int_equal(clrnn_launches_scratch(f->l, 50, &y), CLRNN_OK);
    assert_ptr_not_equal(x, y);
    assert_int_equal(clrnn_launches_op(f->l, "two"), CLRNN_OK);
    assert_int_equal(clrnn_launches_scratch(f->l, 80, &z), CLRNN_OK);
    assert_ptr_equal(z, x); // the first buffer is large enough, and free again
    clrnn_device_memory(f->d, &before, NULL);
    assert_int_equal(clrnn_launches_create(f->d, &other), CLRNN_OK);
    assert_int_equal(clrnn_launches_scratch(other, 100, &w), CLRNN_OK);
    assert_ptr_equal(w, x); // all lists of a device share scratch memory
    clrnn_device_memory(f->d, &now, NULL);
    assert_int_equal(now, before);
    assert_int_equal(clrnn_launches_op(other, "larger"), CLRNN_OK);
    assert_int_equal(clrnn_launches_scratch(other, 1000, &w), CLRNN_OK);
    assert_true(clrnn_buffer_count(w) >= 1000);
    assert_int_equal(clrnn_buffer_zero(x), CLRNN_OK); // the older list keeps its buffer
    clrnn_launches_destroy(&other);
    assert_null(other);
    clrnn_launches_destroy(&other);
}

// With CLRNN_TEST_SCRATCH=1, every run must set scratch memory to CLRNN_UNWRITTEN, so that tests of ops recognise what
// an op has not written.
static void test_scratch_unwritten(void **state)
{
    struct clrnn_device *d;
    struct clrnn_launches *l;
    struct clrnn_buffer *x;
    float got[70];

    (void)state;
    setenv("CLRNN_TEST_SCRATCH", "1", 1);
    d = test_device_open(&test_print_log);
    unsetenv("CLRNN_TEST_SCRATCH");
    if (!d)
        skip();
    if (!clrnn_device_is_ref(d)) {
        assert_int_equal(clrnn_launches_create(d, &l), CLRNN_OK);
        assert_int_equal(clrnn_launches_scratch(l, ARRAY_SIZE(got), &x), CLRNN_OK);
        for (int run = 0; run < 2; run++) {
            assert_int_equal(clrnn_buffer_zero(x), CLRNN_OK);
            assert_int_equal(clrnn_launches_run(l), CLRNN_OK);
            assert_int_equal(clrnn_buffer_read_f32(x, 0, ARRAY_SIZE(got), got), CLRNN_OK);
            for (size_t i = 0; i < ARRAY_SIZE(got); i++) {
                const uint32_t unwritten = CLRNN_UNWRITTEN;

                assert_memory_equal(&got[i], &unwritten, sizeof(unwritten));
            }
        }
        clrnn_launches_destroy(&l);
    }
    clrnn_device_destroy(&d);
}

static void test_profile(void **state)
{
    struct test_launches *f = test_launches_need(state);
    struct clrnn_device_params params = {.log = &test_print_log, .profile = true};
    struct clrnn_device *d;
    struct clrnn_launches *l;
    struct clrnn_buffer *cursor, *order;
    const struct clrnn_device_info *info = clrnn_device_info(f->d);
    char select[32];

    snprintf(select, sizeof(select), "%d:%d", info->platform, info->device);
    params.select = select;
    assert_int_equal(clrnn_device_open(&params, &d), CLRNN_OK);
    assert_int_equal(clrnn_launches_create(d, &l), CLRNN_OK);
    assert_int_equal(clrnn_buffer_create(d, CLRNN_U32, 1, "cursor", &cursor), CLRNN_OK);
    assert_int_equal(clrnn_buffer_create(d, CLRNN_I32, 64, "order", &order), CLRNN_OK);
    assert_int_equal(
        clrnn_launch_kernel(l, "probe", "note", NO_DEFINES, RANGE1(1), FREE, ARGS(BUF(cursor), BUF(order), INT(1))),
        CLRNN_OK);
    assert_int_equal(clrnn_launch_zero(l, cursor), CLRNN_OK);
    for (int i = 0; i < 3; i++)
        assert_int_equal(clrnn_launches_run(l), CLRNN_OK);
    assert_int_equal(clrnn_launches_profile(l), CLRNN_OK);
    for (size_t i = 0; i < 2; i++) {
        assert_int_equal(clrnn_launches_info(l, i)->runs, 3);
        assert_true(clrnn_launches_info(l, i)->seconds >= 0 && clrnn_launches_info(l, i)->seconds < 10);
    }
    assert_true(clrnn_launches_info(l, 0)->seconds > 0);
    assert_int_equal(clrnn_launches_run(l), CLRNN_OK); // nobody reads these times
    clrnn_launches_destroy(&l);
    clrnn_buffer_destroy(&cursor);
    clrnn_buffer_destroy(&order);
    clrnn_device_destroy(&d);
}

/** Denormal results should become zero, because denormal numbers slow CPUs down a hundred times. All programs are built
 * with -cl-denorms-are-zero, which a driver may ignore: the result is printed, and is checked only on PoCL. */
static void test_denormal(void **state)
{
    struct test_launches *f = test_launches_need(state);
    struct clrnn_buffer *b = test_buffer(f, CLRNN_REAL, 3);
    const float x[3] = {1e-20f, 1e-20f, 1};
    float got;

    assert_int_equal(clrnn_buffer_write_f32(b, 0, 3, x), CLRNN_OK);
    assert_int_equal(clrnn_launch_kernel(f->l, "probe", "denormal", NO_DEFINES, RANGE1(1), FREE, ARGS(BUF(b))),
                     CLRNN_OK);
    assert_int_equal(clrnn_launches_run(f->l), CLRNN_OK);
    assert_int_equal(clrnn_buffer_read_f32(b, 2, 1, &got), CLRNN_OK);
    print_message("# 1e-20f * 1e-20f is %g\n", (double)got);
    if (clrnn_device_info(f->d)->is_pocl)
        assert_true(got == 0);
}

static enum clrnn_status count_call(const void *context)
{
    ++**(int *const *)context;
    return CLRNN_OK;
}

static enum clrnn_status fail_call(const void *context)
{
    (void)context;
    return CLRNN_ERR_DATA;
}

static void test_host(void **state)
{
    const struct clrnn_device_params params = {.select = "ref", .profile = true};
    struct clrnn_device *d;
    struct clrnn_launches *l;
    struct clrnn_buffer *b;
    int calls = 0, *context = &calls;

    (void)state;
    assert_int_equal(clrnn_device_open(&params, &d), CLRNN_OK);
    assert_int_equal(clrnn_launches_create(d, &l), CLRNN_OK);
    assert_int_equal(clrnn_buffer_create(d, CLRNN_REAL, 2, "b", &b), CLRNN_OK);
    assert_int_equal(clrnn_launch_host(l, count_call, &context), CLRNN_OK);
    assert_int_equal(clrnn_launch_zero(l, b), CLRNN_OK);
    assert_int_equal(clrnn_launch_kernel(l, "probe", "note", NO_DEFINES, RANGE1(1), FREE, 0, NULL), CLRNN_ERR_ARG);
    assert_int_equal(clrnn_launches_run(l), CLRNN_OK);
    assert_int_equal(clrnn_launches_run(l), CLRNN_OK);
    assert_int_equal(calls, 2);
    assert_int_equal(clrnn_launch_host(l, fail_call, NULL), CLRNN_OK);
    assert_int_equal(clrnn_launch_host(l, count_call, &context), CLRNN_OK);
    assert_int_equal(clrnn_launches_run(l), CLRNN_ERR_DATA);
    assert_int_equal(calls, 3);
    assert_int_equal(clrnn_launches_profile(l), CLRNN_OK);
    assert_string_equal(clrnn_launches_info(l, 0)->kernel, "host");
    clrnn_launches_destroy(&l);
    clrnn_buffer_destroy(&b);
    clrnn_device_destroy(&d);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_order, setup, test_launches_close),
        cmocka_unit_test_setup_teardown(test_use, setup, test_launches_close),
        cmocka_unit_test_setup_teardown(test_arguments, setup, test_launches_close),
        cmocka_unit_test_setup_teardown(test_wrong_arguments, setup, test_launches_close),
        cmocka_unit_test_setup_teardown(test_long, setup, test_launches_close),
        cmocka_unit_test_setup_teardown(test_groups, setup, test_launches_close),
        cmocka_unit_test_setup_teardown(test_zero, setup, test_launches_close),
        cmocka_unit_test_setup_teardown(test_scratch, setup, test_launches_close),
        cmocka_unit_test(test_scratch_unwritten),
        cmocka_unit_test_setup_teardown(test_profile, setup, test_launches_close),
        cmocka_unit_test_setup_teardown(test_denormal, setup, test_launches_close),
        cmocka_unit_test(test_host),
    };

    return cmocka_run_group_tests_name("launch", tests, NULL, NULL);
}
