// SPDX-License-Identifier: MIT
// Sums and maxima in a fixed order: within a work-item, and over the LANES work-items of a group.
//
// Defines: WIDTH as in vector.h; LANES, work-items that reduce together: 1 on CPUs, a work-group on GPUs.
#ifndef CLRNN_CL_REDUCE_H
#define CLRNN_CL_REDUCE_H

#include "vector.h"

#ifndef LANES
#define LANES 1
#endif

// The largest number of v. fmax ignores NaN; the result is NaN only if all numbers are.
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

// A sum that adds up runs of RUN numbers and then the runs' sums, so that the rounding error grows with RUN + count /
// RUN instead of count. An addition depends on only one earlier addition.
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

// Ends a run of RUN numbers: adds its sum to the others'.
static inline total total_run(total t)
{
    t.sum += t.part;
    t.part = 0.0f;
    return t;
}

// A running sum that keeps the rounding error (Kahan): accurate to a few units in the last place for any
// number of additions. Needs strict float arithmetic.
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

    k.lost = WHERE((sum - k.sum) - corrected, (realv)(0.0f), isinf(sum)); // an infinite sum stays infinite
    k.sum = sum;
    return k;
}

// LANE_SUM and LANE_MAX reduce over the LANES work-items of a group, all of which must call them. `scratch` holds LANES
// numbers. It is a kernel argument, because in PoCL 3.1 work-groups that run at the same time share a local array that
// is declared inside the kernel.
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
    barrier(CLK_LOCAL_MEM_FENCE); // no work-item still reads `scratch`
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

// Whether row r = t * N + n is a valid step, not padding. lengths NULL: all rows are valid.
static inline bool row_valid(global const int *lengths, uint N, uint r)
{
    return lengths == 0 || (int)(r / N) < lengths[r % N];
}

#endif
