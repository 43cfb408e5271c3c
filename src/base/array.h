// SPDX-License-Identifier: MIT
// Small helpers for sizes, and for arrays that grow.
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

/** Sets *product to a * b. Returns false if the product does not fit into size_t. */
static inline bool clrnn_mul_size(size_t a, size_t b, size_t *product)
{
    return !__builtin_mul_overflow(a, b, product);
}

/** Returns a / b, rounded up. */
static inline uint32_t clrnn_divide_up(uint32_t a, uint32_t b)
{
    return a / b + (a % b != 0);
}

/** Grows `array`, which has `count` elements, to a capacity of at least one more element. The array pointer must start
 * as NULL and change only through this macro, because the capacity is not stored: it doubles whenever `count` is a
 * power of two. Returns false if memory runs out; the array is then unchanged. */
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
