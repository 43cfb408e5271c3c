// SPDX-License-Identifier: MIT
// One kernel body for CPUs and GPUs: vectors of WIDTH numbers, partly filled ones at the end of a row,
// and sums over the LANES work-items of a group in a fixed order.
//
// CPU: WIDTH 16 and LANES 1, an item does much work. GPU: WIDTH 1 and, for reductions, a group of LANES
// items that work side by side. Either may be 1. src/ops/split.h chooses.
#ifndef CLRNN_CL_VECTOR_H
#define CLRNN_CL_VECTOR_H

#include "common.h"

#ifndef WIDTH
#define WIDTH 1
#endif
#ifndef LANES
#define LANES 1
#endif

#if WIDTH == 1
typedef real realv;
typedef int intv;
#define TO_INTV(v) ((int)(v))
#define TO_REALV(v) ((real)(v))
#define AS_INTV(v) as_int(v)
#define AS_REALV(v) as_float(v)
#define WHERE(a, b, c) ((c) ? (b) : (a)) // b where c, else a; c is a comparison of realv or intv
#define INDEXES 0
#else
#include "write.h"
typedef real16 realv;
typedef int16 intv;
#define TO_INTV(v) convert_int16(v)
#define TO_REALV(v) convert_float16(v)
#define AS_INTV(v) as_int16(v)
#define AS_REALV(v) as_float16(v)
#define WHERE(a, b, c) select(a, b, c)
#define INDEXES ((int16)(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15))
#endif

// The first n <= WIDTH numbers at p; the others are `rest`.
static inline realv load_or(global const real *p, uint n, real rest)
{
#if WIDTH == 1
    return *p;
#else
    real part[WIDTH];
    uint i = 0;

    if (n >= WIDTH)
        return vload16(0, p);
    vwrite16((realv)(rest), 0, part);
    if (n & 8) {
        vwrite8(vload8(0, p), 0, part);
        i = 8;
    }
    if (n & 4) {
        vwrite4(vload4(0, p + i), 0, part + i);
        i += 4;
    }
    if (n & 2) {
        vstore2(vload2(0, p + i), 0, part + i);
        i += 2;
    }
    if (n & 1)
        part[i] = p[i];
    return vload16(0, part);
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
    if (n >= WIDTH) {
        vwrite16(v, 0, p);
    } else {
        real part[WIDTH];
        uint i = 0;

        vwrite16(v, 0, part);
        if (n & 8) {
            vwrite8(v.lo, 0, p);
            i = 8;
        }
        if (n & 4) {
            vwrite4(vload4(0, part + i), 0, p + i);
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
}

static inline intv load_int(global const int *p, uint n)
{
#if WIDTH == 1
    return *p;
#else
    int part[WIDTH];

    if (n >= WIDTH)
        return vload16(0, p);
    for (uint i = 0; i < WIDTH; i++)
        part[i] = i < n ? p[i] : 0;
    return vload16(0, part);
#endif
}

static inline void store_int(intv v, global int *p, uint n)
{
#if WIDTH == 1
    *p = v;
#else
    int part[WIDTH];

    vstore16(v, 0, part);
    for (uint i = 0; i < min(n, (uint)WIDTH); i++)
        p[i] = part[i];
#endif
}

static inline real sum_of(realv v)
{
#if WIDTH == 1
    return v;
#else
    const real8 a = v.lo + upper(v);
    const real4 b = a.lo + a.hi;

    return (b.x + b.z) + (b.y + b.w);
#endif
}

// fmax passes over NaN; where all are NaN the result is NaN.
static inline real max_of(realv v)
{
#if WIDTH == 1
    return v;
#else
    const real8 a = fmax(v.lo, upper(v));
    const real4 b = fmax(a.lo, a.hi);

    return fmax(fmax(b.x, b.z), fmax(b.y, b.w));
#endif
}

// A sum in runs of RUN numbers and over runs: the error grows with RUN + count / RUN, not with count, and
// an addition waits for one other only.
#define RUN 32

typedef struct {
    realv sum, part;
} total;

static inline total total_zero(void)
{
    total t;

    t.sum = 0.0f;
    t.part = 0.0f;
    return t;
}

static inline total total_add(total t, realv v)
{
    t.part += v;
    return t;
}

// At the end of each run.
static inline total total_run(total t)
{
    t.sum += t.part;
    t.part = 0.0f;
    return t;
}

// A running sum that keeps what rounding cuts off (Kahan): error of a few units in the last place
// however many numbers are added. Needs strict float arithmetic.
typedef struct {
    realv sum, lost;
} kahan;

static inline kahan kahan_zero(void)
{
    kahan k;

    k.sum = 0.0f;
    k.lost = 0.0f;
    return k;
}

static inline kahan kahan_add(kahan k, realv v)
{
    const realv corrected = v - k.lost, sum = k.sum + corrected;

    k.lost = WHERE((sum - k.sum) - corrected, (realv)(0.0f), isinf(sum)); // infinite stays infinite
    k.sum = sum;
    return k;
}

// Sums and maxima over the LANES items of a group, all of which must call. `room` holds LANES numbers; it
// is a kernel argument, as PoCL 3.1 lets groups that run at the same time share an array declared inside.
#if LANES == 1
#define LANE 0u
#define TEAM ((uint)get_global_id(0))
#define LANE_SUM(v, room) (v)
#define LANE_MAX(v, room) (v)
#else
#define LANE ((uint)get_local_id(0))
#define TEAM ((uint)get_group_id(0))
#define LANE_SUM(v, room) lane_sum(v, room)
#define LANE_MAX(v, room) lane_max(v, room)

static inline real lane_sum(real v, local real *room)
{
    barrier(CLK_LOCAL_MEM_FENCE); // the last use of `room` is over
    room[LANE] = v;
    barrier(CLK_LOCAL_MEM_FENCE);
    for (uint half_ = LANES / 2; half_ > 0; half_ /= 2) {
        if (LANE < half_)
            room[LANE] += room[LANE + half_];
        barrier(CLK_LOCAL_MEM_FENCE);
    }
    return room[0];
}

static inline real lane_max(real v, local real *room)
{
    barrier(CLK_LOCAL_MEM_FENCE);
    room[LANE] = v;
    barrier(CLK_LOCAL_MEM_FENCE);
    for (uint half_ = LANES / 2; half_ > 0; half_ /= 2) {
        if (LANE < half_)
            room[LANE] = fmax(room[LANE], room[LANE + half_]);
        barrier(CLK_LOCAL_MEM_FENCE);
    }
    return room[0];
}
#endif

// Whether row r = t * N + n is no padding. lengths may be absent (NULL).
static inline bool row_valid(global const int *lengths, uint N, uint r)
{
    return lengths == 0 || (int)(r / N) < lengths[r % N];
}

#endif
