// SPDX-License-Identifier: MIT
// For tests that run on a device: opens the device that CLRNN_DEVICE names, else the first CPU.
#ifndef CLRNN_TESTS_DEVICE_DEVICE_TEST_H
#define CLRNN_TESTS_DEVICE_DEVICE_TEST_H

#include "device/list/list.h"
#include "tests/test.h"

/**
 * Opens the device to test on: the one that CLRNN_DEVICE names or, if it is not set, "cpu". Prints the device's name.
 * NULL: there is no device, and the reason has been printed; a test then calls skip(). If CLRNN_DEVICE is set, the
 * device must open, or the test fails.
 */
static inline struct clrnn_device *test_device_open(const struct clrnn_log *log)
{
    struct clrnn_device_params params = {.log = log ? log : &test_print_log};
    struct clrnn_device *device = NULL;
    const char *named = getenv("CLRNN_DEVICE");
    enum clrnn_status st;

    params.select = named && *named ? named : "cpu";
    st = clrnn_device_open(&params, &device);
    if (st != CLRNN_OK) {
        fprintf(stderr, "# no device \"%s\" to test on: %s\n", params.select, clrnn_status_text(st));
        if (named && *named)
            fail_msg("CLRNN_DEVICE=%s cannot be opened", named);
        return NULL;
    }
    fprintf(stderr, "# on %s (%s)\n", clrnn_device_info(device)->name, clrnn_device_info(device)->platform_name);
    return device;
}

/** Setup and teardown (cmocka) of test groups whose state is a device. This setup opens the reference device. */
static inline int test_device_open_ref(void **state)
{
    const struct clrnn_device_params params = {.select = "ref", .log = &test_print_log};
    struct clrnn_device *device;

    if (clrnn_device_open(&params, &device) != CLRNN_OK)
        return -1;
    *state = device;
    return 0;
}

static inline int test_device_close(void **state)
{
    struct clrnn_device *device = *state;

    clrnn_device_destroy(&device);
    return 0;
}

enum { TEST_BUFFERS = 8 };

/** The state of tests of launches: a device, a list of launches on it, buffers, and the messages logged. */
struct test_launches {
    struct test_log log;
    struct clrnn_device *d; // an OpenCL device; NULL: there is none to test on
    struct clrnn_launches *l;
    struct clrnn_buffer *made[TEST_BUFFERS];
    size_t count;
};

/** Setup and teardown (cmocka) of tests whose state is a struct test_launches. */
static inline int test_launches_open(void **state)
{
    struct test_launches *t = calloc(1, sizeof(*t));

    if (!t)
        return -1;
    test_log_init(&t->log);
    t->d = test_device_open(&t->log.log);
    *state = t;
    if (t->d && clrnn_device_is_ref(t->d))
        clrnn_device_destroy(&t->d);
    return t->d && clrnn_launches_create(t->d, &t->l) != CLRNN_OK ? -1 : 0;
}

static inline int test_launches_close(void **state)
{
    struct test_launches *t = *state;

    clrnn_launches_destroy(&t->l);
    for (size_t i = 0; i < t->count; i++)
        clrnn_buffer_destroy(&t->made[i]);
    clrnn_device_destroy(&t->d);
    free(t);
    return 0;
}

/** Returns the test's state. Skips the test if there is no device. */
static inline struct test_launches *test_launches_need(void **state)
{
    struct test_launches *t = *state;

    if (!t->d)
        skip();
    return t;
}

/** Creates a buffer that the teardown destroys. */
static inline struct clrnn_buffer *test_buffer(struct test_launches *t, enum clrnn_type type, size_t count)
{
    assert_true(t->count < TEST_BUFFERS);
    assert_int_equal(clrnn_buffer_create(t->d, type, count, "a test's", &t->made[t->count]), CLRNN_OK);
    return t->made[t->count++];
}

#endif
