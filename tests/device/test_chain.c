// SPDX-License-Identifier: MIT
// Tests that chains give the same results as single launches: in order, with several kinds of arguments, and in every
// replay.
#include <math.h>

#include "device/device_test.h"
#include "device/list/replay.h"

static const struct clrnn_cost FREE = {0, 0};

static int open_after(void **state, const char *runs)
{
    setenv("CLRNN_KERNEL_DIR", TEST_KERNEL_DIR, 1);
    if (runs)
        setenv("CLRNN_CHAIN_AFTER", runs, 1);
    else
        unsetenv("CLRNN_CHAIN_AFTER");
    return test_launches_open(state);
}

static int setup(void **state)
{
    return open_after(state, "0");
}

static int setup_after(void **state)
{
    return open_after(state, "5");
}

static int setup_never(void **state)
{
    return open_after(state, "never");
}

static int setup_trial(void **state)
{
    return open_after(state, NULL);
}

/** Whether the device builds chains: a CPU with the kernels for CPUs does, except llvmpipe. */
static bool chains(const struct test_launches *f)
{
    return clrnn_device_is_cpu(f->d) && clrnn_device_cpu_form(f->d) && isinf(clrnn_device_quirks(f->d)->loop_rounds);
}

static enum clrnn_status note(struct test_launches *f, struct clrnn_buffer *cursor, struct clrnn_buffer *order,
                              int mark)
{
    return clrnn_launch_kernel(f->l, "probe", "note", NO_DEFINES, RANGE1(1), FREE,
                               ARGS(BUF(cursor), BUF(order), INT(mark)));
}

/** Launches in a chain must run in order, in every replay. A fill between launches is no kernel and must divide the
 * chain. */
static void test_order(void **state)
{
    struct test_launches *f = test_launches_need(state);
    struct clrnn_replay *r;
    struct clrnn_buffer *cursor = test_buffer(f, CLRNN_U32, 1), *order = test_buffer(f, CLRNN_I32, 64);
    const int32_t expected[] = {5, 6, -7};
    int32_t got[3], used;

    assert_int_equal(note(f, cursor, order, 3), CLRNN_OK);
    assert_int_equal(note(f, cursor, order, -4), CLRNN_OK);
    assert_int_equal(clrnn_launch_zero(f->l, order), CLRNN_OK);
    assert_int_equal(note(f, cursor, order, 5), CLRNN_OK);
    assert_int_equal(note(f, cursor, order, 6), CLRNN_OK);
    assert_int_equal(note(f, cursor, order, -7), CLRNN_OK);
    assert_int_equal(clrnn_replay_create(f->l, &r), CLRNN_OK);
    assert_int_equal(clrnn_replay_queued(r), chains(f) ? 3 : 6);
    assert_int_equal(clrnn_replay_chain(r), CLRNN_OK);
    assert_int_equal(clrnn_replay_chain(r), CLRNN_OK);
    assert_int_equal(clrnn_replay_chained(r), chains(f));
    for (int i = 0; i < 4; i++)
        assert_int_equal(clrnn_replay_run(r), CLRNN_OK);
    assert_int_equal(clrnn_buffer_read_i32(cursor, 0, 1, &used), CLRNN_OK);
    assert_int_equal(used, 20);
    assert_int_equal(clrnn_buffer_read_i32(order, 17, 3, got), CLRNN_OK); // written after the last fill
    assert_memory_equal(got, expected, sizeof(expected));
    assert_int_equal(clrnn_launches_info(f->l, 4)->runs, 4);
    clrnn_replay_destroy(&r);
}

/** A chain with buffers, sub-buffers, a NULL buffer and numbers as arguments; with more work-items than cores; and with
 * one kernel under two sets of defines. All results must be right. */
static void test_arguments(void **state)
{
    enum { COUNT = 1000, PART = 512 };
    struct test_launches *f = test_launches_need(state);
    struct clrnn_replay *r;
    struct clrnn_buffer *a = test_buffer(f, CLRNN_REAL, COUNT), *sum = test_buffer(f, CLRNN_REAL, 2 * COUNT), *part,
                        *answer = test_buffer(f, CLRNN_I32, 1), *first = test_buffer(f, CLRNN_I32, 3),
                        *second = test_buffer(f, CLRNN_I32, 3);
    float x[COUNT], got[COUNT];
    int32_t value[3];

    assert_int_equal(clrnn_buffer_sub(sum, 4 * PART, CLRNN_REAL, COUNT, &part), CLRNN_OK);
    for (int i = 0; i < COUNT; i++)
        x[i] = (float)i;
    assert_int_equal(clrnn_buffer_write_f32(a, 0, COUNT, x), CLRNN_OK);
    assert_int_equal(clrnn_launch_kernel(f->l, "probe", "add", NO_DEFINES, RANGE1(COUNT), FREE,
                                         ARGS(BUF(a), BUF(a), BUF(part), UINT(COUNT - 1), REAL(-0.5))),
                     CLRNN_OK);
    assert_int_equal(
        clrnn_launch_kernel(f->l, "probe", "is_null", NO_DEFINES, RANGE1(1), FREE, ARGS(BUF(NULL), BUF(answer))),
        CLRNN_OK);
    assert_int_equal(clrnn_launch_kernel(f->l, "probe", "constants", DEFINES({"FIRST", 11}, {"SECOND", 12}), RANGE1(1),
                                         FREE, ARGS(BUF(first))),
                     CLRNN_OK);
    assert_int_equal(clrnn_launch_kernel(f->l, "probe", "constants", NO_DEFINES, RANGE1(1), FREE, ARGS(BUF(second))),
                     CLRNN_OK);
    assert_int_equal(clrnn_replay_create(f->l, &r), CLRNN_OK);
    assert_int_equal(clrnn_replay_chain(r), CLRNN_OK);
    for (int i = 0; i < 50; i++)
        assert_int_equal(clrnn_replay_run(r), CLRNN_OK);
    assert_int_equal(clrnn_buffer_read_f32(part, 0, COUNT, got), CLRNN_OK);
    for (int i = 0; i < COUNT; i++)
        assert_true(got[i] == (i < COUNT - 1 ? x[i] - 0.5f * x[i] : 0));
    assert_int_equal(clrnn_buffer_read_i32(answer, 0, 1, value), CLRNN_OK);
    assert_int_equal(value[0], 1);
    assert_int_equal(clrnn_buffer_read_i32(first, 0, 3, value), CLRNN_OK);
    assert_int_equal(value[0], 11);
    assert_int_equal(value[1], 12);
    assert_int_equal(clrnn_buffer_read_i32(second, 0, 3, value), CLRNN_OK);
    assert_int_equal(value[0], 0);
    clrnn_replay_destroy(&r);
    clrnn_buffer_destroy(&part);
}

/** Work-items of a launch in a chain must see all results of the launch before, whichever thread computed them. Each
 * launch reads its input in reverse order, so work-items read results of other threads. */
static void test_stages_wait(void **state)
{
    enum { COUNT = 4096, STAGES = 40 };
    struct test_launches *f = test_launches_need(state);
    struct clrnn_replay *r;
    struct clrnn_buffer *even = test_buffer(f, CLRNN_REAL, COUNT), *odd = test_buffer(f, CLRNN_REAL, COUNT);
    float got[COUNT];

    for (int i = 0; i < COUNT; i++)
        got[i] = 1;
    for (int i = 0; i < STAGES; i++) {
        struct clrnn_buffer *from = i % 2 ? odd : even, *to = i % 2 ? even : odd;

        assert_int_equal(clrnn_launch_kernel(f->l, "probe", "mirror", NO_DEFINES, RANGE1(COUNT), FREE,
                                             ARGS(BUF(from), BUF(to), UINT(COUNT))),
                         CLRNN_OK);
    }
    assert_int_equal(clrnn_replay_create(f->l, &r), CLRNN_OK);
    assert_int_equal(clrnn_replay_chain(r), CLRNN_OK);
    for (int run = 0; run < 20; run++) {
        assert_int_equal(clrnn_buffer_write_f32(even, 0, COUNT, got), CLRNN_OK);
        assert_int_equal(clrnn_replay_run(r), CLRNN_OK);
        assert_int_equal(clrnn_buffer_read_f32(even, 0, COUNT, got), CLRNN_OK);
        for (int i = 0; i < COUNT; i++) {
            if (got[i] != 1 + (float)STAGES)
                fail_msg("run %d: element %d is %g, expected %d", run, i, got[i], 1 + STAGES);
            got[i] = 1;
        }
    }
    clrnn_replay_destroy(&r);
}

/** Runs a list part by part, between places where a run may stop (clrnn_launches_stop). Chains must end at these
 * places. */
static void test_parts(void **state)
{
    struct test_launches *f = test_launches_need(state);
    struct clrnn_replay *r;
    struct clrnn_buffer *cursor = test_buffer(f, CLRNN_U32, 1), *order = test_buffer(f, CLRNN_I32, 64);
    const int32_t expected[] = {1, 2, 3, 4, 5, 6, 7};
    int32_t got[14], used;

    for (int i = 1; i <= 7; i++)
        assert_int_equal(note(f, cursor, order, i), CLRNN_OK);
    clrnn_launches_stop(f->l, 2);
    clrnn_launches_stop(f->l, 5);
    clrnn_launches_stop(f->l, 7); // the end of the list: no effect
    assert_int_equal(clrnn_replay_create(f->l, &r), CLRNN_OK);
    assert_int_equal(clrnn_replay_queued(r), chains(f) ? 3 : 7);
    for (int run = 0; run < 2; run++) { // the first run builds the chains
        assert_int_equal(clrnn_replay_run_part(r, 0, 2), CLRNN_OK);
        assert_int_equal(clrnn_replay_run_part(r, 2, run ? 7 : 5), CLRNN_OK);
        if (!run)
            assert_int_equal(clrnn_replay_run_part(r, 5, 7), CLRNN_OK);
    }
    assert_int_equal(clrnn_replay_chained(r), chains(f));
    assert_int_equal(clrnn_buffer_read_i32(cursor, 0, 1, &used), CLRNN_OK);
    assert_int_equal(used, 14);
    assert_int_equal(clrnn_buffer_read_i32(order, 0, 14, got), CLRNN_OK);
    assert_memory_equal(got, expected, sizeof(expected));
    assert_memory_equal(got + 7, expected, sizeof(expected));
    assert_int_equal(clrnn_launches_info(f->l, 3)->runs, 2);
    clrnn_replay_destroy(&r);
}

/** Chains must be built after as many replays as CLRNN_CHAIN_AFTER says, not before. */
static void test_after(void **state)
{
    struct test_launches *f = test_launches_need(state);
    struct clrnn_replay *r;
    struct clrnn_buffer *cursor = test_buffer(f, CLRNN_U32, 1), *order = test_buffer(f, CLRNN_I32, 64);
    unsigned built, cached, before;

    assert_int_equal(note(f, cursor, order, 1), CLRNN_OK);
    assert_int_equal(note(f, cursor, order, 2), CLRNN_OK);
    clrnn_device_build_seconds(f->d, &built, &cached);
    before = built + cached;
    assert_int_equal(clrnn_replay_create(f->l, &r), CLRNN_OK);
    for (int run = 0; run < 8; run++) {
        assert_int_equal(clrnn_replay_run(r), CLRNN_OK);
        clrnn_device_build_seconds(f->d, &built, &cached);
        assert_int_equal(built + cached, before + (chains(f) && run >= 5));
    }
    clrnn_replay_destroy(&r);
}

static void test_never(void **state)
{
    struct test_launches *f = test_launches_need(state);
    struct clrnn_replay *r;
    struct clrnn_buffer *cursor = test_buffer(f, CLRNN_U32, 1), *order = test_buffer(f, CLRNN_I32, 64);

    assert_int_equal(note(f, cursor, order, 1), CLRNN_OK);
    assert_int_equal(note(f, cursor, order, 2), CLRNN_OK);
    assert_int_equal(clrnn_replay_create(f->l, &r), CLRNN_OK);
    assert_int_equal(clrnn_replay_chain(r), CLRNN_OK);
    assert_int_equal(clrnn_replay_queued(r), 2);
    assert_true(clrnn_replay_settled(r) && !clrnn_replay_chained(r));
    clrnn_replay_destroy(&r);
}

/** Each run during the trial (replay.h) and after it must do all its work, with or without chains. */
static void test_trial(void **state)
{
    enum { MOST = 400 };
    struct test_launches *f = test_launches_need(state);
    struct clrnn_replay *r;
    struct clrnn_buffer *cursor = test_buffer(f, CLRNN_U32, 1), *order = test_buffer(f, CLRNN_I32, 2 * MOST + 2);
    int32_t got[2 * MOST], used;
    int runs = 0;

    assert_int_equal(note(f, cursor, order, 1), CLRNN_OK);
    assert_int_equal(note(f, cursor, order, 2), CLRNN_OK);
    assert_int_equal(clrnn_replay_create(f->l, &r), CLRNN_OK);
    assert_int_equal(clrnn_replay_chain(r), CLRNN_OK);
    while (!clrnn_replay_settled(r) && runs < MOST) {
        assert_int_equal(clrnn_replay_run(r), CLRNN_OK);
        runs++;
    }
    print_message("# settled after %d runs, as %zu\n", runs, clrnn_replay_queued(r));
    assert_true(runs < MOST && (runs > 2) == chains(f));
    assert_int_equal(clrnn_replay_run(r), CLRNN_OK);
    assert_int_equal(clrnn_buffer_read_i32(cursor, 0, 1, &used), CLRNN_OK);
    assert_int_equal(used, 2 * runs + 2);
    assert_int_equal(clrnn_buffer_read_i32(order, 0, 2 * (size_t)runs, got), CLRNN_OK);
    for (int i = 0; i < 2 * runs; i++)
        assert_int_equal(got[i], 1 + i % 2);
    assert_int_equal(clrnn_launches_info(f->l, 1)->runs, runs + 1);
    clrnn_replay_destroy(&r);
}

/** The trial must also end if two lists run alternately, as the forward and the backward pass of a layer do. */
static void test_trial_in_turn(void **state)
{
    enum { MOST = 400 };
    struct test_launches *f = test_launches_need(state);
    struct clrnn_replay *r[2];
    struct clrnn_buffer *cursor = test_buffer(f, CLRNN_U32, 1), *order = test_buffer(f, CLRNN_I32, 4 * MOST);
    int runs = 0;

    assert_int_equal(note(f, cursor, order, 1), CLRNN_OK);
    assert_int_equal(note(f, cursor, order, 2), CLRNN_OK);
    for (int i = 0; i < 2; i++) {
        assert_int_equal(clrnn_replay_create(f->l, &r[i]), CLRNN_OK);
        assert_int_equal(clrnn_replay_chain(r[i]), CLRNN_OK);
    }
    for (; runs < MOST && !(clrnn_replay_settled(r[0]) && clrnn_replay_settled(r[1])); runs++)
        for (int i = 0; i < 2; i++)
            assert_int_equal(clrnn_replay_run(r[i]), CLRNN_OK);
    print_message("# settled after %d runs\n", runs);
    assert_true(runs < MOST);
    for (int i = 0; i < 2; i++)
        clrnn_replay_destroy(&r[i]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_order, setup, test_launches_close),
        cmocka_unit_test_setup_teardown(test_arguments, setup, test_launches_close),
        cmocka_unit_test_setup_teardown(test_stages_wait, setup, test_launches_close),
        cmocka_unit_test_setup_teardown(test_parts, setup, test_launches_close),
        cmocka_unit_test_setup_teardown(test_after, setup_after, test_launches_close),
        cmocka_unit_test_setup_teardown(test_never, setup_never, test_launches_close),
        cmocka_unit_test_setup_teardown(test_trial, setup_trial, test_launches_close),
        cmocka_unit_test_setup_teardown(test_trial_in_turn, setup_trial, test_launches_close),
    };

    return cmocka_run_group_tests_name("chain", tests, NULL, NULL);
}
