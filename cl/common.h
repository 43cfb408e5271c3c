// SPDX-License-Identifier: MIT
// What every kernel file starts from: the number type and a few small functions.
#ifndef CLRNN_CL_COMMON_H
#define CLRNN_CL_COMMON_H

typedef float real;
typedef float4 real4;
typedef float8 real8;
typedef float16 real16;

// 1 / (1 + exp(-x)) without overflow: for x < -88 exp(-x) is infinite and the quotient 0.
static inline real sigmoid(real x)
{
    return 1.0f / (1.0f + exp(-x));
}

#endif
