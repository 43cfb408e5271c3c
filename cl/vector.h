// SPDX-License-Identifier: MIT
// Vectors of WIDTH numbers, with which one kernel body serves both CPUs and GPUs; with WIDTH 1 a vector is a single
// number. There are loads and stores of whole vectors, loads and stores of the first n numbers only (at the end of a
// row), and mathematical functions.
//
// Defines: WIDTH. It is 1 on GPUs and 16 (for short rows 1) on CPUs (src/ops/split.h). The gemm and rnn kernels for
// CPUs use the width of the device's vector registers instead: 4, 8 or 16 numbers.
#ifndef CLRNN_CL_VECTOR_H
#define CLRNN_CL_VECTOR_H

#include "common.h"

#ifndef WIDTH
#define WIDTH 1
#endif

#if WIDTH == 1
typedef real realv;
typedef int intv;
#define TO_INTV(v) ((int)(v))
#define TO_REALV(v) ((real)(v))
#define AS_INTV(v) as_int(v)
#define AS_REALV(v) as_float(v)
#define WHERE(a, b, c) ((c) ? (b) : (a)) // b where c is true, else a; c is a comparison of realv or intv
#define INDEXES 0
#define vec_load(i, p) ((p)[i])
#define vec_store(v, i, p) ((p)[i] = (v))
#else
#include "move.h"
typedef JOIN(float, WIDTH) realv;
typedef JOIN(int, WIDTH) intv;
#define TO_INTV(v) JOIN(convert_int, WIDTH)(v)
#define TO_REALV(v) JOIN(convert_float, WIDTH)(v)
#define AS_INTV(v) JOIN(as_int, WIDTH)(v)
#define AS_REALV(v) JOIN(as_float, WIDTH)(v)
#define WHERE(a, b, c) select(a, b, c)
#define INDEXES ((int16)(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15))
#define vec_load(i, p) JOIN(vread, WIDTH)(i, p)
#define vec_store(v, i, p) JOIN(vwrite, WIDTH)(v, i, p)
#endif

#ifdef FP_FAST_FMAF
#define FMA(a, b, c) fma(a, b, c)
#else
#define FMA(a, b, c) ((a) * (b) + (c))
#endif

#if WIDTH > 1
// load_part and store_part do the work of load_or and store (below) for n < WIDTH. They are not inlined: such calls are
// rare, and the code of these functions is longer than the code around a call.
static __attribute__((noinline)) realv load_part(global const real *p, uint n, real rest)
{
    real part[WIDTH];
    uint i = 0;

    vec_store((realv)(rest), 0, part);
#if WIDTH == 16
    if (n & 8) {
        vwrite8(vread8(0, p), 0, part);
        i = 8;
    }
#endif
    if (n & 4) {
        vwrite4(vread4(0, p + i), 0, part + i);
        i += 4;
    }
    if (n & 2) {
        vstore2(vload2(0, p + i), 0, part + i);
        i += 2;
    }
    if (n & 1)
        part[i] = p[i];
    return vec_load(0, part);
}

static __attribute__((noinline)) void store_part(realv v, global real *p, uint n)
{
    real part[WIDTH];
    uint i = 0;

    vec_store(v, 0, part);
#if WIDTH == 16
    if (n & 8) {
        vwrite8(v.lo, 0, p);
        i = 8;
    }
#endif
    if (n & 4) {
        vwrite4(vread4(0, part + i), 0, p + i);
        i += 4;
    }
    if (n & 2) {
        vstore2(vload2(0, part + i), 0, p + i);
        i += 2;
    }
    if (n & 1)
        p[i] = part[i];
}
#endif

// Loads the first min(n, WIDTH) numbers at p; the vector's other elements become `rest`.
static inline realv load_or(global const real *p, uint n, real rest)
{
#if WIDTH == 1
    return *p;
#else
    return LIKELY(n >= WIDTH) ? vec_load(0, p) : load_part(p, n, rest);
#endif
}

static inline realv load(global const real *p, uint n)
{
    return load_or(p, n, 0.0f);
}

static inline void store(realv v, global real *p, uint n)
{
#if WIDTH == 1
    *p = v;
#else
    if (LIKELY(n >= WIDTH))
        vec_store(v, 0, p);
    else
        store_part(v, p, n);
#endif
}

// Loads units [unit, unit + WIDTH) of a row of H units. Elements of the vector beyond the row's end become 0.
static inline realv load_units(global const real *row, uint unit, uint H)
{
    return load(row + unit, H - unit);
}

static inline void store_units(realv v, global real *row, uint unit, uint H)
{
    store(v, row + unit, H - unit);
}

static inline intv load_int(global const int *p, uint n)
{
#if WIDTH == 1
    return *p;
#else
    int part[WIDTH];

    if (n >= WIDTH)
        return JOIN(vload, WIDTH)(0, p);
    ROLLED for (uint i = 0; i < WIDTH; i++)
        part[i] = i < n ? p[i] : 0;
    return JOIN(vload, WIDTH)(0, part);
#endif
}

static inline void store_int(intv v, global int *p, uint n)
{
#if WIDTH == 1
    *p = v;
#else
    int part[WIDTH];

    JOIN(vstore, WIDTH)(v, 0, part);
    ROLLED for (uint i = 0; i < min(n, (uint)WIDTH); i++)
        p[i] = part[i];
#endif
}

static inline real sum_of(realv v)
{
#if WIDTH == 1
    return v;
#else
#if WIDTH == 16
    const real8 a = v.lo + upper(v);
    const real4 b = a.lo + a.hi;
#elif WIDTH == 8
    const real4 b = v.lo + v.hi;
#else
    const real4 b = v;
#endif
    return (b.x + b.z) + (b.y + b.w);
#endif
}

// Splits exp(x) into 2^n * exp(r), where n is an integer and |r| <= ln 2 / 2. Stores 2^n in *scale. Returns exp(r) - 1,
// computed by the polynomial of the Cephes library with a relative error below 1e-7, also for x close to 0. x must be
// in [-87, 88]. NaN stays NaN.
static inline realv exp_parts(realv x, realv *scale)
{
    const realv shifted = FMA(x, (realv)(1.44269504f), (realv)(12582912.0f)); // + 1.5 * 2^23: the low bits hold n
    const realv n = shifted - 12582912.0f;
    const realv r = FMA(n, (realv)(2.12194440e-4f), FMA(n, (realv)(-0.693359375f), x));
    realv p = (realv)(1.9875691500e-4f);

    p = FMA(p, r, (realv)(1.3981999507e-3f));
    p = FMA(p, r, (realv)(8.3334519073e-3f));
    p = FMA(p, r, (realv)(4.1665795894e-2f));
    p = FMA(p, r, (realv)(1.6666665459e-1f));
    p = FMA(p, r, (realv)(5.0000001201e-1f));
    *scale = AS_REALV((AS_INTV(shifted) << 23) + 0x3f800000);
    return FMA(p, r * r, r);
}

#if WIDTH == 1
#define exp_vec(x) exp(x)
#define log_vec(x) log(x)
#else
// Returns exp(x) for x <= 88. For x < -87, where exp(x) is below 2e-38 (close to denormal), returns 0. NaN stays NaN.
static inline realv exp_vec(realv x)
{
    realv scale;
    const realv e = exp_parts(x < -87.0f ? (realv)(-87.0f) : x, &scale);

    return WHERE(FMA(scale, e, scale), (realv)(0.0f), x < -87.0f);
}

// Returns ln(x) for positive x that is not denormal. Splits x into 2^e * m with sqrt(1/2) <= m < sqrt(2) and computes
// e * ln 2 + ln(m), with ln(m) by the polynomial of the Cephes library. For x = 0 returns a number below -80.
static inline realv log_vec(realv x)
{
    const intv bits = AS_INTV(x) - 0x3f3504f3;
    const realv f = AS_REALV((bits & 0x7fffff) + 0x3f3504f3) - 1.0f, e = TO_REALV(bits >> 23);
    realv p = (realv)(7.0376836292e-2f);

    p = FMA(p, f, (realv)(-1.1514610310e-1f));
    p = FMA(p, f, (realv)(1.1676998740e-1f));
    p = FMA(p, f, (realv)(-1.2420140846e-1f));
    p = FMA(p, f, (realv)(1.4249322787e-1f));
    p = FMA(p, f, (realv)(-1.6668057665e-1f));
    p = FMA(p, f, (realv)(2.0000714765e-1f));
    p = FMA(p, f, (realv)(-2.4999993993e-1f));
    p = FMA(p, f, (realv)(3.3333331174e-1f));
    p = FMA(p * f, f * f, FMA(e, (realv)(-2.12194440e-4f), -0.5f * f * f));
    return FMA(e, (realv)(0.693359375f), f + p);
}
#endif

// Returns 1 / (1 + exp(-x)). Limits x by comparisons and not by fmin and fmax: a comparison with NaN is false, so NaN
// stays NaN.
static inline realv sigmoid_vec(realv x)
{
    realv scale;

    x = x > 87.0f ? (realv)(87.0f) : x;
    x = x < -88.0f ? (realv)(-88.0f) : x;
    const realv e = exp_parts(-x, &scale);
    return 1.0f / (1.0f + FMA(scale, e, scale));
}

// Returns tanh(x): computes tanh(|x|) = (exp(2|x|) - 1) / (exp(2|x|) + 1), where exp(2|x|) - 1 is computed without
// cancellation, and gives the result the sign of x.
static inline realv tanh_vec(realv x)
{
    realv scale, z = fabs(x);

    z = z > 10.0f ? (realv)(10.0f) : z; // tanh rounds to 1 from 9.02 on
    const realv e = exp_parts(2.0f * z, &scale);
    const realv m = FMA(scale, e, scale - 1.0f);
    return copysign(m / (m + 2.0f), x);
}

#endif
