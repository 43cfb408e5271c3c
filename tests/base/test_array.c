// SPDX-License-Identifier: MIT
// Arrays that grow by one element: contents are kept, and a size that overflows changes nothing.
#include "base/array.h"
#include "tests/test.h"

static void test_grow(void **state)
{
    uint32_t *numbers = NULL;
    size_t count = 0;

    (void)state;
    while (count < 1000) {
        assert_true(ARRAY_GROW(numbers, count));
        numbers[count] = (uint32_t)(3 * count);
        count++;
    }
    for (size_t i = 0; i < count; i++)
        assert_int_equal(numbers[i], 3 * i);
    count = 4; // the array now has fewer elements
    assert_true(ARRAY_GROW(numbers, count));
    numbers[count] = 1;
    assert_int_equal(numbers[3], 9);
    free(numbers);
}

static void test_too_large(void **state)
{
    struct huge {
        char bytes[SIZE_MAX / 8];
    } *array = NULL;

    (void)state;
    assert_false(ARRAY_GROW(array, SIZE_MAX / 2 + 1)); // the number of bytes overflows size_t
    assert_false(ARRAY_GROW(array, (size_t)8));        // the number of bytes overflows here, too
    assert_null(array);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_grow), cmocka_unit_test(test_too_large)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
