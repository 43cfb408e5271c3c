// SPDX-License-Identifier: MIT
// Compares arrays of doubles, and fills them with numbers, for the tests of the reference.
#ifndef CLRNN_TESTS_REFERENCE_NEAR_H
#define CLRNN_TESTS_REFERENCE_NEAR_H

#include <math.h>

#include "base/array.h"
#include "reference/reference.h"
#include "tests/test.h"

/** Fails the test if |got - want| > tolerance * max(1, |want|) for any element, or if a value is NaN. */
static inline void check_near(const char *what, const double *got, const double *want, size_t count, double tolerance)
{
    for (size_t i = 0; i < count; i++)
        if (!(fabs(got[i] - want[i]) <= tolerance * fmax(1, fabs(want[i]))))
            fail_msg("%s[%zu of %zu]: got %.17g, want %.17g, difference %.3g, tolerance %.3g", what, i, count, got[i],
                     want[i], got[i] - want[i], tolerance);
}

/** Returns element i of the sequence `seed` of pseudo-random numbers in [-1, 1). tests/golden/record_reference.py draws
 * the same numbers. */
static inline double number(uint32_t seed, uint32_t i)
{
    uint32_t z = i * 2654435761u + seed * 2246822519u + 374761393u;

    z = (z ^ (z >> 15)) * 2246822519u;
    z = (z ^ (z >> 13)) * 3266489917u;
    z ^= z >> 16;
    return (double)(z >> 8) * 0x1p-23 - 1;
}

static inline void fill(double *a, size_t count, uint32_t seed, double scale)
{
    for (size_t i = 0; i < count; i++)
        a[i] = scale * number(seed, (uint32_t)i);
}

#endif
