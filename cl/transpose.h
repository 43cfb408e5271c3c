// SPDX-License-Identifier: MIT
// Transposes a square block of WIDTH x WIDTH numbers that is in WIDTH vectors.
//
// Defines: WIDTH 4, 8 or 16.
#ifndef CLRNN_CL_TRANSPOSE_H
#define CLRNN_CL_TRANSPOSE_H

#include "vector.h"

// ZIP_LO interleaves the lower halves of two vectors, ZIP_HI the upper halves.
#if WIDTH == 16
#define ZIP_LO 0, 16, 1, 17, 2, 18, 3, 19, 4, 20, 5, 21, 6, 22, 7, 23
#define ZIP_HI 8, 24, 9, 25, 10, 26, 11, 27, 12, 28, 13, 29, 14, 30, 15, 31
#elif WIDTH == 8
#define ZIP_LO 0, 8, 1, 9, 2, 10, 3, 11
#define ZIP_HI 4, 12, 5, 13, 6, 14, 7, 15
#else
#define ZIP_LO 0, 4, 1, 5
#define ZIP_HI 2, 6, 3, 7
#endif

// Shuffles by clang's builtin where there is one, because PoCL's shuffle2 moves numbers one by one.
#if defined(__clang__) && !defined(__SPIR__) && !defined(__SPIR64__)
#define SHUFFLED(a, b, order) __builtin_shufflevector(a, b, order)
#else
#define SHUFFLED(a, b, order) shuffle2(a, b, (JOIN(uint, WIDTH))(order))
#endif

#define ZIP(to, from)                                                            \
    _Pragma("unroll") for (int z = 0; z < WIDTH / 2; z++)                        \
    {                                                                            \
        to[2 * z] = SHUFFLED(from[z], from[z + WIDTH / 2], ZIP_LO);              \
        to[2 * z + 1] = SHUFFLED(from[z], from[z + WIDTH / 2], ZIP_HI);          \
    }

// Transposes x: swaps element j of x[i] and element i of x[j]. This takes log2(WIDTH) rounds, each of which interleaves
// vectors i and i + WIDTH / 2.
static inline __attribute__((always_inline)) void transpose(realv x[WIDTH])
{
    realv y[WIDTH];

    ZIP(y, x)
    ZIP(x, y)
#if WIDTH == 8
    ZIP(y, x)
#pragma unroll
    for (int i = 0; i < WIDTH; i++)
        x[i] = y[i];
#elif WIDTH == 16
    ZIP(y, x)
    ZIP(x, y)
#endif
}

#endif
