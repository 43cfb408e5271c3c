// SPDX-License-Identifier: MIT
// Small helpers for sizes and memory.
#ifndef CLRNN_SRC_BASE_ARRAY_H
#define CLRNN_SRC_BASE_ARRAY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#define ARRAY_SIZE(a) (sizeof(a) / sizeof((a)[0]))
#define MAX2(a, b) ((a) > (b) ? (a) : (b))
#define MIN2(a, b) ((a) < (b) ? (a) : (b))

/** *product = a * b; false where it does not fit. */
static inline bool clrnn_mul_size(size_t a, size_t b, size_t *product)
{
    return !__builtin_mul_overflow(a, b, product);
}

/** a / b, rounded up. */
static inline uint32_t clrnn_divide_up(uint32_t a, uint32_t b)
{
    return a / b + (a % b != 0);
}

/** Grows `array`, which holds `count` elements, so that it has capacity for one more. The array must start as
 * NULL and grow only through this macro: the capacity doubles at powers of two and is not stored. Returns
 * false without memory; the array is then unchanged.
 */
#define ARRAY_GROW(array, count) clrnn_array_grow(&(array), (count), sizeof(*(array)))

static inline bool clrnn_array_grow(void *array, size_t count, size_t size)
{
    void *old, *grown;
    size_t bytes;

    if (count & (count - 1))
        return true;
    if (count > SIZE_MAX / 2 || !clrnn_mul_size(count ? 2 * count : 1, size, &bytes))
        return false;
    memcpy(&old, array, sizeof(old));
    grown = realloc(old, bytes);
    if (!grown)
        return false;
    memcpy(array, &grown, sizeof(grown));
    return true;
}

#endif
