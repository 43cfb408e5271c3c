// SPDX-License-Identifier: MIT
// Tests memory and transfers, on an OpenCL device and on ref.
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "device/core/internal.h"
#include "device/device_test.h"

static int open_opencl(void **state)
{
    *state = test_device_open(NULL);
    return 0;
}

static struct clrnn_device *device_of(void **state)
{
    if (!*state)
        skip();
    return *state;
}

static struct clrnn_buffer *make(struct clrnn_device *d, enum clrnn_type type, size_t count)
{
    struct clrnn_buffer *b;

    assert_int_equal(clrnn_buffer_create(d, type, count, "a test's", &b), CLRNN_OK);
    return b;
}

static void test_transfers(void **state)
{
    struct clrnn_device *d = device_of(state);
    struct clrnn_buffer *b = make(d, CLRNN_REAL, 5), *i = make(d, CLRNN_I32, 4), *u = make(d, CLRNN_U32, 4);
    const float f[5] = {1.5f, -2, 3e38f, 0x1p-20f, 5}, f2[2] = {7, 8};
    const double g[5] = {0.5, 1.0 / 3, -4, 5, 6};
    const int32_t w[4] = {1, -2, INT32_MIN, INT32_MAX};
    float got[5];
    double got64[5];
    int32_t words[4];

    assert_int_equal(clrnn_buffer_read_f32(b, 0, 5, got), CLRNN_OK);
    for (int k = 0; k < 5; k++)
        assert_true(got[k] == 0); // fresh memory is zero
    assert_int_equal(clrnn_buffer_write_f32(b, 0, 5, f), CLRNN_OK);
    assert_int_equal(clrnn_buffer_write_f32(b, 1, 2, f2), CLRNN_OK);
    assert_int_equal(clrnn_buffer_read_f32(b, 0, 5, got), CLRNN_OK);
    assert_true(got[0] == 1.5f && got[1] == 7 && got[2] == 8 && got[3] == 0x1p-20f && got[4] == 5);
    assert_int_equal(clrnn_buffer_read_f64(b, 1, 4, got64), CLRNN_OK);
    assert_true(got64[0] == 7 && got64[1] == 8 && got64[2] == 0x1p-20 && got64[3] == 5);

    assert_int_equal(clrnn_buffer_write_f64(b, 0, 5, g), CLRNN_OK);
    assert_int_equal(clrnn_buffer_read_f64(b, 0, 5, got64), CLRNN_OK);
    for (int k = 0; k < 5; k++)
        assert_true(got64[k] == (clrnn_device_is_ref(d) ? g[k] : (double)(float)g[k]));
    assert_int_equal(clrnn_buffer_read_f32(b, 1, 1, got), CLRNN_OK);
    assert_true(got[0] == (float)(1.0 / 3));

    assert_int_equal(clrnn_buffer_write_i32(i, 0, 4, w), CLRNN_OK);
    assert_int_equal(clrnn_buffer_read_i32(i, 0, 4, words), CLRNN_OK);
    assert_memory_equal(words, w, sizeof(w));
    assert_int_equal(clrnn_buffer_write_i32(u, 2, 2, w), CLRNN_OK);
    assert_int_equal(clrnn_buffer_read_i32(u, 0, 4, words), CLRNN_OK);
    assert_true(words[0] == 0 && words[1] == 0 && words[2] == 1 && words[3] == -2);

    assert_int_equal(clrnn_buffer_copy(u, 0, i, 1, 2), CLRNN_OK);
    assert_int_equal(clrnn_buffer_read_i32(u, 0, 2, words), CLRNN_OK);
    assert_true(words[0] == -2 && words[1] == INT32_MIN);
    assert_int_equal(clrnn_buffer_copy(b, 3, b, 0, 2), CLRNN_OK); // inside one buffer, without overlap
    assert_int_equal(clrnn_buffer_read_f64(b, 3, 2, got64), CLRNN_OK);
    assert_true(got64[0] == 0.5);
    assert_int_equal(clrnn_buffer_zero(b), CLRNN_OK);
    assert_int_equal(clrnn_buffer_read_f32(b, 0, 5, got), CLRNN_OK);
    for (int k = 0; k < 5; k++)
        assert_true(got[k] == 0);
    assert_int_equal(clrnn_buffer_write_f32(b, 5, 0, f), CLRNN_OK); // 0 elements at the end: allowed
    assert_int_equal(clrnn_buffer_read_f32(b, 5, 0, got), CLRNN_OK);
    clrnn_buffer_destroy(&b);
    clrnn_buffer_destroy(&i);
    clrnn_buffer_destroy(&u);
    assert_null(b);
}

/** Writes must keep their order, and the caller may reuse its memory at once, even with many more writes in the queue
 * (700) than the ring of staging memory has slots (256). */
static void test_many_writes(void **state)
{
    struct clrnn_device *d = device_of(state);
    enum { WRITES = 700, COUNT = 1000 };
    struct clrnn_buffer *b = make(d, CLRNN_REAL, COUNT), *all = make(d, CLRNN_REAL, WRITES);
    float data[COUNT], got[WRITES];

    for (int k = 0; k < WRITES; k++) {
        const size_t count = k % 7 ? 1 + (size_t)k % COUNT : COUNT; // sizes go up and down

        for (size_t j = 0; j < count; j++)
            data[j] = (float)k;
        assert_int_equal(clrnn_buffer_write_f32(b, 0, count, data), CLRNN_OK);
        assert_int_equal(clrnn_buffer_copy(all, (size_t)k, b, 0, 1), CLRNN_OK);
    }
    assert_int_equal(clrnn_buffer_read_f32(all, 0, WRITES, got), CLRNN_OK);
    for (int k = 0; k < WRITES; k++)
        assert_true(got[k] == (float)k);
    clrnn_buffer_destroy(&b);
    clrnn_buffer_destroy(&all);
}

/** Queues more bytes of large writes than the ring of staging memory may hold. The last write must arrive complete. */
static void test_large_writes(void **state)
{
    struct clrnn_device *d = device_of(state);
    enum { WRITES = 12, MOST = 3 << 20 };
    float *data = malloc(MOST * sizeof(float)), *got = malloc(MOST * sizeof(float));
    struct clrnn_buffer *b = make(d, CLRNN_REAL, MOST);

    assert_non_null(data);
    assert_non_null(got);
    for (int k = 0; k < WRITES; k++) {
        const size_t count = k % 3 ? MOST : 1000; // 12 MB; every third write is small

        for (size_t i = 0; i < count; i++)
            data[i] = (float)(i % 1000 + (size_t)k);
        assert_int_equal(clrnn_buffer_write_f32(b, 0, count, data), CLRNN_OK);
    }
    assert_int_equal(clrnn_buffer_read_f32(b, 0, MOST, got), CLRNN_OK);
    assert_memory_equal(got, data, MOST * sizeof(float)); // the last write has MOST elements
    clrnn_buffer_destroy(&b);
    free(data);
    free(got);
}

static void test_async(void **state)
{
    struct clrnn_device *d = device_of(state);
    struct clrnn_buffer *b = make(d, CLRNN_REAL, 8);
    const float data[2][4] = {{1, 2, 3, 4}, {5, 6, 7, 8}};
    uint64_t token[2];
    float got[8];

    for (size_t k = 0; k < 2; k++)
        assert_int_equal(clrnn_buffer_write_async(b, 4 * k, 4, data[k], &token[k]), CLRNN_OK);
    assert_int_equal(clrnn_device_flush(d), CLRNN_OK);
    assert_int_equal(clrnn_device_wait(d, token[1]), CLRNN_OK);
    assert_int_equal(clrnn_device_wait(d, token[0]), CLRNN_OK);
    assert_int_equal(clrnn_device_wait(d, token[0]), CLRNN_OK); // a second wait for a token is allowed
    assert_int_equal(clrnn_device_wait(d, 0), CLRNN_OK);
    assert_int_equal(clrnn_buffer_read_f32(b, 0, 8, got), CLRNN_OK);
    assert_memory_equal(got, data, sizeof(data));
    for (size_t k = 0; k < 2; k++)
        assert_int_equal(clrnn_buffer_read_async(b, 4 * k, 4, got + 4 - 4 * k, &token[k]), CLRNN_OK);
    assert_int_equal(clrnn_buffer_zero(b), CLRNN_OK); // must not change what the reads return
    assert_int_equal(clrnn_device_flush(d), CLRNN_OK);
    assert_int_equal(clrnn_device_wait(d, token[1]), CLRNN_OK);
    assert_int_equal(clrnn_device_wait(d, token[0]), CLRNN_OK);
    assert_memory_equal(got, data[1], sizeof(data[1]));
    assert_memory_equal(got + 4, data[0], sizeof(data[0]));
    assert_int_equal(clrnn_buffer_write_async(b, 0, 4, data[1], &token[0]), CLRNN_OK); // no wait follows
    assert_int_equal(clrnn_device_finish(d), CLRNN_OK);
    clrnn_buffer_destroy(&b);
}

struct reading {
    struct clrnn_buffer *part;
    struct clrnn_mark mark;
    float got[2][2];
    enum clrnn_status status;
};

static void *read_twice(void *user)
{
    struct reading *r = user;

    for (size_t k = 0; k < 2 && r->status == CLRNN_OK; k++)
        r->status = clrnn_buffer_read_after(r->part, &r->mark, 1, 2, r->got[k]);
    clrnn_mark_destroy(clrnn_buffer_device(r->part), &r->mark);
    return NULL;
}

static void check_read_after(struct clrnn_device *d, struct clrnn_buffer *b)
{
    enum { WRITES = 50 };
    const size_t align = clrnn_buffer_align(d);
    struct clrnn_buffer *other;
    struct reading r = {.status = CLRNN_OK};
    pthread_t thread;
    float last;

    assert_int_equal(clrnn_buffer_sub(b, 0, CLRNN_REAL, 4, &r.part), CLRNN_OK);
    assert_int_equal(clrnn_buffer_sub(b, align, CLRNN_REAL, 4, &other), CLRNN_OK);
    for (int k = 0; k < WRITES; k++) {
        const float data[4] = {0, (float)k, 2, 3};

        assert_int_equal(clrnn_buffer_write_f32(r.part, 0, 4, data), CLRNN_OK);
        assert_int_equal(clrnn_device_mark(d, &r.mark), CLRNN_OK);
        assert_int_equal(pthread_create(&thread, NULL, read_twice, &r), 0);
        for (int i = 0; i < WRITES; i++)
            assert_int_equal(clrnn_buffer_write_f32(other, 0, 1, &(float){(float)i}), CLRNN_OK);
        assert_int_equal(pthread_join(thread, NULL), 0);
        assert_int_equal(r.status, CLRNN_OK);
        assert_memory_equal(r.got[0], &data[1], sizeof(r.got[0]));
        assert_memory_equal(r.got[1], &data[1], sizeof(r.got[1]));
        assert_null(r.mark.event);
    }
    assert_int_equal(clrnn_buffer_read_f32(other, 0, 1, &last), CLRNN_OK);
    assert_true(last == WRITES - 1);
    assert_int_equal(clrnn_device_mark(d, &r.mark), CLRNN_OK);
    assert_int_equal(clrnn_buffer_read_after(r.part, &r.mark, 3, 2, r.got[0]), CLRNN_ERR_ARG);
    clrnn_mark_destroy(d, &r.mark);
    clrnn_buffer_destroy(&other);
    clrnn_buffer_destroy(&r.part);
}

/** Another thread reads a part of a buffer after a mark, while this thread queues writes to another part. The reads
 * must return what was written before the mark. */
static void test_read_after(void **state)
{
    struct clrnn_device *d = device_of(state);
    const size_t count = 2 * clrnn_buffer_align(d) / clrnn_type_bytes(d, CLRNN_REAL);
    struct clrnn_buffer *b = make(d, CLRNN_REAL, count);

    check_read_after(d, b);
    clrnn_buffer_destroy(&b);
    assert_int_equal(clrnn_buffer_create_shared(d, CLRNN_REAL, count, "shared", &b), CLRNN_OK);
    check_read_after(d, b);
    clrnn_buffer_destroy(&b);
}

/** Destroys a buffer in shared memory while a copy from the buffer is queued. The memory must stay until the copy is
 * done. */
static void test_shared(void **state)
{
    enum { COUNT = 1 << 20, TIMES = 20 };
    struct clrnn_device *d = device_of(state);
    uint64_t before, after, peak;
    float first = 1, last = 1;

    clrnn_device_memory(d, &before, &peak);
    for (int i = 0; i < TIMES; i++) {
        struct clrnn_buffer *b, *copy = make(d, CLRNN_REAL, COUNT);

        assert_int_equal(clrnn_buffer_create_shared(d, CLRNN_REAL, COUNT, "shared", &b), CLRNN_OK);
        assert_int_equal(clrnn_buffer_copy(copy, 0, b, 0, COUNT), CLRNN_OK);
        clrnn_buffer_destroy(&b);
        assert_int_equal(clrnn_buffer_read_f32(copy, 0, 1, &first), CLRNN_OK);
        assert_int_equal(clrnn_buffer_read_f32(copy, COUNT - 1, 1, &last), CLRNN_OK);
        assert_true(first == 0 && last == 0);
        clrnn_buffer_destroy(&copy);
    }
    clrnn_device_memory(d, &after, &peak);
    assert_int_equal(after, before);
}

static void test_parts(void **state)
{
    struct clrnn_device *d = device_of(state);
    const size_t align = clrnn_buffer_align(d), real = clrnn_type_bytes(d, CLRNN_REAL);
    struct clrnn_buffer *b = make(d, CLRNN_REAL, 3 * align / real), *part, *words;
    const float data[2] = {3, 4};
    const int32_t w[2] = {-1, 7};
    float got[2];
    int32_t got_w[2];
    uint64_t before, now, peak;

    assert_true(align >= 64);
    clrnn_device_memory(d, &before, NULL);
    assert_int_equal(clrnn_buffer_sub(b, align, CLRNN_REAL, 2, &part), CLRNN_OK);
    assert_int_equal(clrnn_buffer_sub(b, 2 * align, CLRNN_I32, 2, &words), CLRNN_OK);
    clrnn_device_memory(d, &now, NULL);
    assert_int_equal(now, before); // sub-buffers have no memory of their own
    assert_int_equal(clrnn_buffer_count(part), 2);
    assert_int_equal(clrnn_buffer_type(words), CLRNN_I32);
    assert_ptr_equal(clrnn_buffer_device(words), d);
    assert_int_equal(clrnn_buffer_write_f32(part, 0, 2, data), CLRNN_OK);
    assert_int_equal(clrnn_buffer_write_i32(words, 0, 2, w), CLRNN_OK);
    assert_int_equal(clrnn_buffer_read_f32(b, align / real, 2, got), CLRNN_OK);
    assert_true(got[0] == 3 && got[1] == 4);
    assert_int_equal(clrnn_buffer_zero(part), CLRNN_OK);
    assert_int_equal(clrnn_buffer_read_i32(words, 0, 2, got_w), CLRNN_OK);
    assert_memory_equal(got_w, w, sizeof(w));
    assert_true((clrnn_buffer_host(part) != NULL) == clrnn_device_is_ref(d));

    clrnn_buffer_destroy(&b); // the sub-buffers keep the parent's memory
    clrnn_device_memory(d, &now, NULL);
    assert_int_equal(now, before);
    assert_int_equal(clrnn_buffer_read_i32(words, 0, 2, got_w), CLRNN_OK);
    assert_memory_equal(got_w, w, sizeof(w));
    clrnn_buffer_destroy(&part);
    clrnn_buffer_destroy(&words);
    clrnn_device_memory(d, &now, &peak);
    assert_int_equal(now, before - 3 * align / real * real);
    assert_true(peak >= before);
}

static void test_retain(void **state)
{
    struct clrnn_device *d = device_of(state);
    struct clrnn_buffer *b = make(d, CLRNN_REAL, 0), *again = clrnn_buffer_retain(b);
    uint64_t now;

    assert_int_equal(clrnn_buffer_count(b), 1); // count 0 is treated as 1
    clrnn_buffer_destroy(&b);
    assert_int_equal(clrnn_buffer_zero(again), CLRNN_OK);
    clrnn_buffer_destroy(&again);
    clrnn_buffer_destroy(&again); // NULL: no effect
    clrnn_device_memory(d, &now, NULL);
    assert_int_equal(now, 0);
}

/** Opens the device of `like` again, with its own log, to check error messages. */
static struct clrnn_device *reopen(struct clrnn_device *like, struct test_log *log)
{
    struct clrnn_device *d;
    struct clrnn_device_params params = {.log = &log->log, .select = "ref"};

    test_log_init(log);
    if (!clrnn_device_is_ref(like))
        return test_device_open(&log->log);
    assert_int_equal(clrnn_device_open(&params, &d), CLRNN_OK);
    return d;
}

#define EXPECT_ARG(log, call, words) \
    do { \
        (log).errors = 0; \
        assert_int_equal(call, CLRNN_ERR_ARG); \
        assert_int_equal((log).errors, 1); \
        print_message("# %s\n", (log).text); \
        assert_non_null(strstr((log).text, words)); \
    } while (0)

static void test_errors(void **state)
{
    struct test_log log;
    struct clrnn_device *d = reopen(device_of(state), &log);
    struct clrnn_buffer *b = make(d, CLRNN_REAL, 300), *i = make(d, CLRNN_I32, 4), *part, *none;
    const size_t align = clrnn_buffer_align(d);
    float f[4] = {0};
    int32_t w[4] = {0};
    uint64_t token;

    EXPECT_ARG(log, clrnn_buffer_write_f32(b, 297, 4, f), "4 elements from 297 on");
    EXPECT_ARG(log, clrnn_buffer_read_f32(b, 301, 0, f), "it holds 300");
    EXPECT_ARG(log, clrnn_buffer_read_f32(b, SIZE_MAX, 2, f), "a test's");
    EXPECT_ARG(log, clrnn_buffer_write_f32(b, 1, SIZE_MAX, f), "it holds 300");
    EXPECT_ARG(log, clrnn_buffer_write_async(b, 299, 2, f, &token), "it holds 300");
    EXPECT_ARG(log, clrnn_buffer_read_async(b, 299, 2, f, &token), "it holds 300");
    EXPECT_ARG(log, clrnn_buffer_write_i32(b, 0, 1, w), "holds REAL");
    EXPECT_ARG(log, clrnn_buffer_write_f32(i, 0, 1, f), "holds I32");
    EXPECT_ARG(log, clrnn_buffer_copy(b, 0, i, 0, 1), "integers");
    EXPECT_ARG(log, clrnn_buffer_copy(b, 1, b, 0, 2), "onto themselves");
    EXPECT_ARG(log, clrnn_buffer_copy(b, 298, b, 0, 3), "it holds 300");
    EXPECT_ARG(log, clrnn_buffer_sub(b, 4, CLRNN_REAL, 1, &none), "multiple of");
    EXPECT_ARG(log, clrnn_buffer_sub(b, align, CLRNN_REAL, 300, &none), "leaves its");
    EXPECT_ARG(log, clrnn_buffer_sub(b, align, CLRNN_REAL, SIZE_MAX / 4, &none), "leaves its");
    assert_null(none);
    assert_int_equal(clrnn_buffer_sub(b, align, CLRNN_REAL, 8, &part), CLRNN_OK);
    EXPECT_ARG(log, clrnn_buffer_sub(part, 0, CLRNN_REAL, 1, &none), "divided again");
    EXPECT_ARG(log, clrnn_buffer_copy(b, align / clrnn_type_bytes(d, CLRNN_REAL) + 1, part, 0, 2), "onto");
    clrnn_buffer_destroy(&part);
    clrnn_buffer_destroy(&b);
    clrnn_buffer_destroy(&i);
    clrnn_device_destroy(&d);
}

// Whether pages of 2 MB were requested for the memory mapping of this process that contains the address.
static bool asks_for_large_pages(const void *address)
{
    FILE *maps = fopen("/proc/self/smaps", "r");
    bool inside = false, asked = false;
    unsigned long first, end;
    char line[1024];

    while (maps && fgets(line, sizeof(line), maps)) {
        if (sscanf(line, "%lx-%lx ", &first, &end) == 2)
            inside = (uintptr_t)address >= first && (uintptr_t)address < end;
        else if (inside && strncmp(line, "VmFlags:", 8) == 0)
            asked = strstr(line, " hg");
    }
    if (maps)
        fclose(maps);
    return asked;
}

static void test_large_pages(void **state)
{
    struct clrnn_device *d = device_of(state);
    struct clrnn_buffer *large;

    if (!clrnn_device_quirks(d)->is_pocl || access("/sys/kernel/mm/transparent_hugepage/enabled", R_OK))
        skip(); // other drivers may map a copy of the buffer
    assert_int_equal(clrnn_buffer_create_shared(d, CLRNN_REAL, 4 << 20, "a test's", &large), CLRNN_OK);
    assert_non_null(large->shared);
    assert_true(asks_for_large_pages(large->shared + large->bytes / 2));
    clrnn_buffer_destroy(&large);
}

static void test_memory(void **state)
{
    struct test_log log;
    struct clrnn_device *d = reopen(device_of(state), &log);
    const uint64_t most = clrnn_device_info(d)->max_alloc_bytes;
    struct clrnn_buffer *b;
    uint64_t now;

    assert_int_equal(clrnn_buffer_create(d, CLRNN_REAL, SIZE_MAX / 2, "the moon", &b), CLRNN_ERR_MEMORY);
    assert_null(b);
    assert_non_null(strstr(log.text, "the moon"));
    print_message("# %s\n", log.text);
    assert_int_equal(clrnn_buffer_create(d, CLRNN_REAL, most / 4 + 1024, "too much", &b), CLRNN_ERR_MEMORY);
    print_message("# %s\n", log.text);
    assert_int_equal(log.errors, 2);
    clrnn_device_memory(d, &now, NULL);
    assert_int_equal(now, 0);
    clrnn_device_destroy(&d);
}

/** With the argument "ref", tests the reference device, otherwise an OpenCL device. */
int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_transfers), cmocka_unit_test(test_many_writes), cmocka_unit_test(test_large_writes),
        cmocka_unit_test(test_async),     cmocka_unit_test(test_read_after),  cmocka_unit_test(test_shared),
        cmocka_unit_test(test_parts),     cmocka_unit_test(test_retain),      cmocka_unit_test(test_errors),
        cmocka_unit_test(test_memory),    cmocka_unit_test(test_large_pages),
    };
    const bool ref = argc > 1 && strcmp(argv[1], "ref") == 0;

    return cmocka_run_group_tests_name("buffer", tests, ref ? test_device_open_ref : open_opencl, test_device_close);
}
