// SPDX-License-Identifier: MIT
// Transposing square blocks of numbers in vectors.
//
// Defines: VW 4, 8 or 16.
#ifndef CLRNN_CL_TRANSPOSE_H
#define CLRNN_CL_TRANSPOSE_H

#include "common.h"

#ifndef vec
#define vec JOIN(float, VW)
#endif

// Lanes of two vectors in turn, from the lower or the upper halves.
#if VW == 16
#define ZIP_LO (JOIN(uint, VW))(0, 16, 1, 17, 2, 18, 3, 19, 4, 20, 5, 21, 6, 22, 7, 23)
#define ZIP_HI (JOIN(uint, VW))(8, 24, 9, 25, 10, 26, 11, 27, 12, 28, 13, 29, 14, 30, 15, 31)
#elif VW == 8
#define ZIP_LO (JOIN(uint, VW))(0, 8, 1, 9, 2, 10, 3, 11)
#define ZIP_HI (JOIN(uint, VW))(4, 12, 5, 13, 6, 14, 7, 15)
#else
#define ZIP_LO (JOIN(uint, VW))(0, 4, 1, 5)
#define ZIP_HI (JOIN(uint, VW))(2, 6, 3, 7)
#endif

#define ZIP(to, from)                                                         \
    _Pragma("unroll") for (int z = 0; z < VW / 2; z++)                        \
    {                                                                            \
        to[2 * z] = shuffle2(from[z], from[z + VW / 2], ZIP_LO);              \
        to[2 * z + 1] = shuffle2(from[z], from[z + VW / 2], ZIP_HI);          \
    }

// x[i].s[j] and x[j].s[i] change places: log2(VW) rounds of zipping rows i and i + VW / 2.
static inline __attribute__((always_inline)) void transpose(vec x[VW])
{
    vec y[VW];

    ZIP(y, x)
    ZIP(x, y)
#if VW == 8
    ZIP(y, x)
#pragma unroll
    for (int i = 0; i < VW; i++)
        x[i] = y[i];
#elif VW == 16
    ZIP(y, x)
    ZIP(x, y)
#endif
}

#endif
