// SPDX-License-Identifier: MIT
// Philox against Random123's known answers, on the host and in a kernel, and the two against each other.
#include "base/random.h"
#include "device/device_test.h"

static int open_device(void **state)
{
    setenv("CLRNN_KERNEL_DIR", TEST_KERNEL_DIR, 1);
    *state = test_device_open(NULL);
    return 0;
}

static int close_device(void **state)
{
    struct clrnn_device *device = *state;

    clrnn_device_destroy(&device);
    return 0;
}

// philox4x32 with 10 rounds, from kat_vectors in Random123's distribution.
static const struct {
    uint32_t counter[4], key[2], out[4];
} KNOWN[] = {
    {{0, 0, 0, 0}, {0, 0}, {0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8}},
    {{0xffffffff, 0xffffffff, 0xffffffff, 0xffffffff},
     {0xffffffff, 0xffffffff},
     {0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd}},
    {{0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344},
     {0xa4093822, 0x299f31d0},
     {0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1}},
};

static void test_known_on_host(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(KNOWN) / sizeof(KNOWN[0]); i++) {
        const struct clrnn_random r = {.seed = KNOWN[i].key[0] | (uint64_t)KNOWN[i].key[1] << 32,
                                       .a = KNOWN[i].counter[1],
                                       .b = KNOWN[i].counter[2],
                                       .stream = KNOWN[i].counter[3]};
        uint32_t words[4];

        clrnn_random_block(&r, KNOWN[i].counter[0], words);
        assert_memory_equal(words, KNOWN[i].out, sizeof(words));
    }
}

/** `count` blocks of a stream from `first` on, by the kernel. */
static void draw(struct clrnn_device *d, const struct clrnn_random *r, uint32_t first, uint32_t count,
                 uint32_t *words, float *uniforms)
{
    struct clrnn_launches *l;
    struct clrnn_buffer *w, *u;

    assert_int_equal(clrnn_launches_create(d, &l), CLRNN_OK);
    assert_int_equal(clrnn_buffer_create(d, CLRNN_U32, 4 * count, "words", &w), CLRNN_OK);
    assert_int_equal(clrnn_buffer_create(d, CLRNN_REAL, 4 * count, "uniforms", &u), CLRNN_OK);
    assert_int_equal(
        clrnn_launch_kernel(l, "probe", "blocks", NO_DEFINES, RANGE1(count), (struct clrnn_cost){0, 0},
                            ARGS(BUF(w), BUF(u), UINT(r->seed), UINT(r->seed >> 32), UINT(r->stream),
                                 UINT(r->a), UINT(r->b), UINT(first), UINT(count))),
        CLRNN_OK);
    assert_int_equal(clrnn_launches_run(l), CLRNN_OK);
    assert_int_equal(clrnn_buffer_read_i32(w, 0, 4 * count, (int32_t *)words), CLRNN_OK);
    assert_int_equal(clrnn_buffer_read_f32(u, 0, 4 * count, uniforms), CLRNN_OK);
    clrnn_launches_destroy(&l);
    clrnn_buffer_destroy(&w);
    clrnn_buffer_destroy(&u);
}

static void test_known_in_kernel(void **state)
{
    if (!*state || clrnn_device_is_ref(*state))
        skip();
    for (size_t i = 0; i < sizeof(KNOWN) / sizeof(KNOWN[0]); i++) {
        const struct clrnn_random r = {.seed = KNOWN[i].key[0] | (uint64_t)KNOWN[i].key[1] << 32,
                                       .a = KNOWN[i].counter[1],
                                       .b = KNOWN[i].counter[2],
                                       .stream = KNOWN[i].counter[3]};
        uint32_t words[4];
        float uniforms[4];

        draw(*state, &r, KNOWN[i].counter[0], 1, words, uniforms);
        assert_memory_equal(words, KNOWN[i].out, sizeof(words));
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
    for (size_t s = 0; s < sizeof(STREAMS) / sizeof(STREAMS[0]); s++) {
        const uint32_t first = s == 1 ? 0xffffffffu - 10 : (uint32_t)s; // the counter wraps round
        uint32_t words[4 * COUNT], host[4];
        float uniforms[4 * COUNT];

        draw(*state, &STREAMS[s], first, COUNT, words, uniforms);
        for (uint32_t i = 0; i < COUNT; i++) {
            clrnn_random_block(&STREAMS[s], first + i, host);
            for (int k = 0; k < 4; k++) {
                assert_int_equal(words[4 * i + k], host[k]);
                assert_true(uniforms[4 * i + k] == (float)(host[k] >> 8) * 0x1p-24f);
                assert_true(uniforms[4 * i + k] >= 0 && uniforms[4 * i + k] < 1);
            }
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_known_on_host),
        cmocka_unit_test(test_known_in_kernel),
        cmocka_unit_test(test_same_streams),
    };

    return cmocka_run_group_tests_name("random", tests, open_device, close_device);
}
