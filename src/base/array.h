// SPDX-License-Identifier: MIT
// Small helpers for sizes and memory.
#ifndef CLRNN_SRC_BASE_ARRAY_H
#define CLRNN_SRC_BASE_ARRAY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

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

#endif
