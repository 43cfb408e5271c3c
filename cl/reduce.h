// SPDX-License-Identifier: MIT
// Sums and maxima in a fixed order: over the numbers of one work-item, and over a team of LANES work-items.
//
// A team is LANES work-items that compute one row or one sum together. With LANES 1 (always on CPUs) it is a single
// work-item, otherwise a work-group. A lane is a work-item of a team. TEAM is the number of the work-item's team, LANE
// the work-item's number in the team.
//
// Defines: WIDTH as in vector.h; LANES, 1 or a power of two.
#ifndef CLRNN_CL_REDUCE_H
#define CLRNN_CL_REDUCE_H

#include "vector.h"

#ifndef LANES
#define LANES 1
#endif

// Returns the largest number of v. fmax ignores NaN; the result is NaN only if all numbers of v are NaN.
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

// A sum in two levels: `part` adds up RUN numbers, then total_run adds `part` to `sum`. So the rounding error grows
// with RUN + count / RUN instead of count. Each addition depends on only one earlier addition.
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

// Adds `part` to `sum` and sets `part` to 0. To be called after every RUN calls of total_add and at the end.
static inline total total_run(total t)
{
    t.sum += t.part;
    t.part = 0.0f;
    return t;
}

// A running sum that corrects its rounding errors (Kahan summation): `lost` is the rounding error of the last addition.
// The sum is accurate to a few units in the last place for any number of additions. The compiler must not reorder
// float arithmetic (as -cl-fast-relaxed-math allows).
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

    k.lost = WHERE((sum - k.sum) - corrected, (realv)(0.0f), isinf(sum)); // else infinity becomes NaN
    k.sum = sum;
    return k;
}

// LANE_SUM and LANE_MAX return the sum and the maximum of v over the lanes of a team. All lanes must call them.
// `scratch` is local memory for LANES numbers. It is a kernel argument and not an array declared in the kernel: in PoCL
// 3.1, work-groups that run at the same time share such an array.
#if LANES == 1
#define LANE 0u
#define TEAM ((uint)get_global_id(0))
#define LANE_SUM(v, scratch) (v)
#define LANE_MAX(v, scratch) (v)
#else
#define LANE ((uint)get_local_id(0))
#define TEAM ((uint)get_group_id(0))
#define LANE_SUM(v, scratch) lane_sum(v, scratch)
#define LANE_MAX(v, scratch) lane_max(v, scratch)

static inline real lane_sum(real v, local real *scratch)
{
    barrier(CLK_LOCAL_MEM_FENCE); // waits until no lane reads `scratch` of an earlier call
    scratch[LANE] = v;
    barrier(CLK_LOCAL_MEM_FENCE);
    for (uint half_ = LANES / 2; half_ > 0; half_ /= 2) {
        if (LANE < half_)
            scratch[LANE] += scratch[LANE + half_];
        barrier(CLK_LOCAL_MEM_FENCE);
    }
    return scratch[0];
}

static inline real lane_max(real v, local real *scratch)
{
    barrier(CLK_LOCAL_MEM_FENCE);
    scratch[LANE] = v;
    barrier(CLK_LOCAL_MEM_FENCE);
    for (uint half_ = LANES / 2; half_ > 0; half_ /= 2) {
        if (LANE < half_)
            scratch[LANE] = fmax(scratch[LANE], scratch[LANE + half_]);
        barrier(CLK_LOCAL_MEM_FENCE);
    }
    return scratch[0];
}
#endif

// Checks whether row r = t * N + n is valid (t < lengths[n]), not padding. If lengths is NULL, all rows are valid.
static inline bool row_valid(global const int *lengths, uint N, uint r)
{
    return lengths == 0 || (int)(r / N) < lengths[r % N];
}

#endif
