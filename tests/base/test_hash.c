// SPDX-License-Identifier: MIT
// The hash of cache keys and fingerprints: it must be stable, and every bit of the input must change it.
#include "base/array.h"
#include "base/hash.h"
#include "tests/test.h"

static void hex_of(const void *data, size_t size, char hex[33])
{
    struct clrnn_hash h;

    clrnn_hash_init(&h);
    clrnn_hash_add(&h, data, size);
    clrnn_hash_hex(&h, hex);
}

static void test_form(void **state)
{
    char hex[33], again[33];

    (void)state;
    hex_of("clrnn", 5, hex);
    hex_of("clrnn", 5, again);
    assert_int_equal(strlen(hex), 32);
    assert_int_equal(strspn(hex, "0123456789abcdef"), 32);
    assert_string_equal(hex, again);
}

// The hash of a text must never change: checkpoints hold such hashes (fingerprints). With other hashes, runs could not
// be resumed.
static void test_stays_as_it_is(void **state)
{
    char hex[33];

    (void)state;
    hex_of("Philox 4x32-10", 14, hex);
    assert_string_equal(hex, "9956676cf5c7a51f7231439927df2178");
}

static void test_every_bit_counts(void **state)
{
    static char seen[1 + 8 * 37 + 37][33];
    unsigned char data[37] = {0};
    size_t count = 0;

    (void)state;
    for (size_t size = 0; size < sizeof(data); size++) // zeros of every length
        hex_of(data, size, seen[count++]);
    for (size_t bit = 0; bit < 8 * sizeof(data); bit++) {
        data[bit / 8] ^= (unsigned char)(1u << bit % 8);
        hex_of(data, sizeof(data), seen[count++]);
        data[bit / 8] ^= (unsigned char)(1u << bit % 8);
    }
    for (size_t i = 0; i < count; i++)
        for (size_t j = 0; j < i; j++)
            if (!memcmp(seen[i], seen[j], 16) || !memcmp(seen[i] + 16, seen[j] + 16, 16))
                fail_msg("a lane of inputs %zu and %zu agrees: %s, %s", i, j, seen[i], seen[j]);
}

static void test_order_counts(void **state)
{
    char ab[33], ba[33];
    struct clrnn_hash h;

    (void)state;
    clrnn_hash_init(&h);
    clrnn_hash_add(&h, "aaaaaaaa", 8);
    clrnn_hash_add(&h, "bbbbbbbb", 8);
    clrnn_hash_hex(&h, ab);
    clrnn_hash_init(&h);
    clrnn_hash_add(&h, "bbbbbbbb", 8);
    clrnn_hash_add(&h, "aaaaaaaa", 8);
    clrnn_hash_hex(&h, ba);
    assert_string_not_equal(ab, ba);
}

static void text_hex(const char *first, const char *second, char hex[33])
{
    struct clrnn_hash h;

    clrnn_hash_init(&h);
    clrnn_hash_add_text(&h, first);
    clrnn_hash_add_text(&h, second);
    clrnn_hash_hex(&h, hex);
}

// Texts are hashed with their length: moving the boundary between two texts must change the hash.
static void test_texts(void **state)
{
    char hex[5][33];

    (void)state;
    text_hex("ab", "c", hex[0]);
    text_hex("a", "bc", hex[1]);
    text_hex("abc", "", hex[2]);
    text_hex("", "abc", hex[3]);
    text_hex("abc", NULL, hex[4]);
    for (size_t i = 0; i < 4; i++)
        for (size_t j = 0; j < i; j++)
            assert_string_not_equal(hex[i], hex[j]);
    assert_string_equal(hex[2], hex[4]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_form),
        cmocka_unit_test(test_stays_as_it_is),
        cmocka_unit_test(test_every_bit_counts),
        cmocka_unit_test(test_order_counts),
        cmocka_unit_test(test_texts),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
