// SPDX-License-Identifier: MIT
// What the recurrent kernels compute with: vectors of VW hidden units, partly filled ones at the end of a
// row, tanh and sigmoid on them.
//
// Defines: VW 1, 4, 8 or 16.
#ifndef CLRNN_CL_RNN_VECTOR_H
#define CLRNN_CL_RNN_VECTOR_H

#include "common.h"

#if VW == 1
#define vec float
#define ivec int
#define as_vec as_float
#define as_ivec as_int
#define vec_at(i, p) ((p)[i])
#define vec_to(v, i, p) ((p)[i] = (v))
#else
#include "write.h"
#define vec JOIN(float, VW)
#define ivec JOIN(int, VW)
#define as_vec JOIN(as_float, VW)
#define as_ivec JOIN(as_int, VW)
#define vec_at JOIN(vload, VW)
#define vec_to JOIN(vwrite, VW)
#endif

#ifdef FP_FAST_FMAF
#define FMA(a, b, c) fma(a, b, c)
#else
#define FMA(a, b, c) ((a) * (b) + (c))
#endif

// Units unit, unit + 1, ... of a row of H; 0 past its end.
static inline vec load_units(global const real *row, uint unit, uint H)
{
    row += unit;
#if VW > 1
    if (unit + VW > H) {
        real part[VW] = {0.0f};

        for (uint k = 0; k < H - unit; k++)
            part[k] = row[k];
        return vec_at(0, part);
    }
#endif
    return vec_at(0, row);
}

static inline void store_units(vec v, global real *row, uint unit, uint H)
{
    row += unit;
#if VW > 1
    if (unit + VW > H) {
        real part[VW];

        vec_to(v, 0, part);
        for (uint k = 0; k < H - unit; k++)
            row[k] = part[k];
        return;
    }
#endif
    vec_to(v, 0, row);
}

// exp(x) = 2^n exp(r), |r| <= ln 2 / 2: 2^n goes to *scale, exp(r) - 1 is returned (Cephes' polynomial,
// relative error below 1e-7 also near 0). -87 <= x <= 88; NaN stays NaN.
static inline vec exp_parts(vec x, vec *scale)
{
    const vec shifted = FMA(x, (vec)(1.44269504f), (vec)(12582912.0f)); // n in the low bits
    const vec n = shifted - 12582912.0f;
    const vec r = FMA(n, (vec)(2.12194440e-4f), FMA(n, (vec)(-0.693359375f), x));
    vec p = (vec)(1.9875691500e-4f);

    p = FMA(p, r, (vec)(1.3981999507e-3f));
    p = FMA(p, r, (vec)(8.3334519073e-3f));
    p = FMA(p, r, (vec)(4.1665795894e-2f));
    p = FMA(p, r, (vec)(1.6666665459e-1f));
    p = FMA(p, r, (vec)(5.0000001201e-1f));
    *scale = as_vec((as_ivec(shifted) << 23) + 0x3f800000);
    return FMA(p, r * r, r);
}

// The comparisons are false for NaN, which therefore passes through.
static inline vec sigmoid_vec(vec x)
{
    vec scale;

    x = x > 87.0f ? (vec)(87.0f) : x;
    x = x < -88.0f ? (vec)(-88.0f) : x;
    const vec e = exp_parts(-x, &scale);
    return 1.0f / (1.0f + FMA(scale, e, scale));
}

// (exp(2|x|) - 1) / (exp(2|x|) + 1), with exp - 1 taken without cancellation.
static inline vec tanh_vec(vec x)
{
    vec scale, z = fabs(x);

    z = z > 10.0f ? (vec)(10.0f) : z; // 1 from 9.02 on
    const vec e = exp_parts(2.0f * z, &scale);
    const vec m = FMA(scale, e, scale - 1.0f);
    return copysign(m / (m + 2.0f), x);
}

#endif
