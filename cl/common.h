// SPDX-License-Identifier: MIT
// The number type and a few small functions that every kernel file uses. This header does not depend on a kernel's
// defines, so a chain contains it only once (src/device/list/chain_source.c).
#ifndef CLRNN_CL_COMMON_H
#define CLRNN_CL_COMMON_H

// Joins two names after expanding macros in them.
#define JOIN_(a, b) a##b
#define JOIN(a, b) JOIN_(a, b)

typedef float real;
typedef float4 real4;
typedef float8 real8;
typedef float16 real16;

#if defined(__clang__)
#define LIKELY(condition) __builtin_expect(condition, 1)
#else
#define LIKELY(condition) (condition)
#endif

// ROLLED is written before a loop that is short or rarely executed. ROLLED keeps compilers for CPUs from vectorising
// and unrolling the loop, which would take longer than compiling all the code around it.
#if defined(__clang__) && (defined(__x86_64__) || defined(__aarch64__))
#define ROLLED _Pragma("clang loop vectorize(disable) unroll(disable)")
#else
#define ROLLED
#endif

// Prefetches the cache line of *p: PREFETCH for a later read, PREFETCH_WRITE for a later write. Both use the compiler's
// builtin where there is one, because OpenCL's own prefetch() does nothing in PoCL. The host defines BUILTIN_PREFETCH
// for other drivers whose compiler has the builtin (src/device/core/quirks.c).
#if defined(BUILTIN_PREFETCH) || defined(__clang__) && !defined(__SPIR__) && !defined(__SPIR64__)
#define PREFETCH(p) __builtin_prefetch(p, 0, 2)
#define PREFETCH_WRITE(p) __builtin_prefetch(p, 1, 3)
#else
#define PREFETCH(p) prefetch(p, 1)
#define PREFETCH_WRITE(p)
#endif

// Returns 1 / (1 + exp(-x)). For x < -88, exp(-x) is infinite and the result 0.
static inline real sigmoid(real x)
{
    return 1.0f / (1.0f + exp(-x));
}

// Returns v.hi, built from single elements: a compiler turns `v.hi` into a shuffle, and Oclgrind 21.10 takes element 11
// of any shuffle for uninitialised. Compilers generate the same machine code for both.
static inline real8 upper(real16 v)
{
    return (real8)(v.s8, v.s9, v.sa, v.sb, v.sc, v.sd, v.se, v.sf);
}

#endif
