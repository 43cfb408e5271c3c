// SPDX-License-Identifier: MIT
// A kernel draws random numbers by Philox. They must equal Random123's known answers and the host's numbers.
#include "base/array.h"
#include "base/philox_known.h"
#include "device/device_test.h"

static int open_device(void **state)
{
    setenv("CLRNN_KERNEL_DIR", TEST_KERNEL_DIR, 1);
    *state = test_device_open(NULL);
    return 0;
}

/** Draws `count` blocks of 4 words of a random sequence (stream), from block `first` on, with a kernel. */
static void draw(struct clrnn_device *d, const struct clrnn_random *r, uint32_t first, uint32_t count, uint32_t *words)
{
    struct clrnn_launches *l;
    struct clrnn_buffer *w;

    assert_int_equal(clrnn_launches_create(d, &l), CLRNN_OK);
    assert_int_equal(clrnn_buffer_create(d, CLRNN_U32, 4 * count, "words", &w), CLRNN_OK);
    assert_int_equal(clrnn_launch_kernel(l, "probe", "blocks", NO_DEFINES, RANGE1(count), (struct clrnn_cost){0, 0},
                                         ARGS(BUF(w), UINT(r->seed), UINT(r->seed >> 32), UINT(r->stream), UINT(r->a),
                                              UINT(r->b), UINT(first), UINT(count))),
                     CLRNN_OK);
    assert_int_equal(clrnn_launches_run(l), CLRNN_OK);
    assert_int_equal(clrnn_buffer_read_i32(w, 0, 4 * count, (int32_t *)words), CLRNN_OK);
    clrnn_launches_destroy(&l);
    clrnn_buffer_destroy(&w);
}

static void test_known_answers(void **state)
{
    if (!*state || clrnn_device_is_ref(*state))
        skip();
    for (size_t i = 0; i < ARRAY_SIZE(philox_known); i++) {
        uint32_t words[4];

        draw(*state, &philox_known[i].stream, philox_known[i].index, 1, words);
        assert_memory_equal(words, philox_known[i].words, sizeof(words));
    }
}

static void test_same_streams(void **state)
{
    static const struct clrnn_random STREAMS[] = {
        {1, RANDOM_DROPOUT, 0, 0},
        {0xfedcba9876543210u, RANDOM_PROBE, 123456, 7},
        {0x80000000u, RANDOM_SHUFFLE, 0xffffffffu, 0},
    };
    enum { COUNT = 65 };

    if (!*state || clrnn_device_is_ref(*state))
        skip();
    for (size_t s = 0; s < ARRAY_SIZE(STREAMS); s++) {
        const uint32_t first = s == 1 ? 0xffffffffu - 10 : (uint32_t)s; // s 1: block numbers overflow
        uint32_t words[4 * COUNT], host[4];

        draw(*state, &STREAMS[s], first, COUNT, words);
        for (uint32_t i = 0; i < COUNT; i++) {
            clrnn_random_block(&STREAMS[s], first + i, host);
            assert_memory_equal(words + 4 * (size_t)i, host, sizeof(host));
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_known_answers),
        cmocka_unit_test(test_same_streams),
    };

    return cmocka_run_group_tests_name("random", tests, open_device, test_device_close);
}
