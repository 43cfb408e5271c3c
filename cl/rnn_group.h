// SPDX-License-Identifier: MIT
// Persistent recurrent kernels for GPUs: a work-group owns ROWS batch rows of one direction and loops over the time
// steps. Its work-items meet at barriers; groups never wait for each other.
//
// The state that a step passes to the next is in local memory: `state` [ROWS, K_WIDE] times the recurrent weights gives
// `sums`. The multiply is divided twice. Columns are divided among lanes: lane l of LANES computes units l, l + LANES,
// ..., LANE_UNITS of them, with all COLUMNS of each (forward: its gates). K is divided among teams (split-K), so that
// small layers fill a group, too: each of PARTS teams of LANES items takes PART rows of the weights, and whoever reads
// a sum adds the teams' parts in order. Packed weights have four rows together, and units side by side: neighbouring
// items read neighbouring 16 bytes.
//
// An item keeps the first HELD groups of four rows of its weights in registers for all steps, and reads the others from
// the caches in each step, UNROLL groups at a time.
//
// Defines: CELL, RELU, WIDTH as in rnn_cell.h; HIDDEN hidden units; ROWS, PARTS, LANES, LANE_UNITS, HELD, UNROLL; PART,
// a multiple of 4; ITEMS, the work-group's size. The including file defines the matrix: K, its rows; COLUMNS, its
// blocks of HIDDEN columns; WEIGHT(w, k, p, u), its element in row k and column u of block p.
#ifndef CLRNN_CL_RNN_GROUP_H
#define CLRNN_CL_RNN_GROUP_H

#include "rnn_cell.h"

#define WIDE (LANES * LANE_UNITS) // hidden units, padded to a multiple of LANES
#define K_WIDE (PARTS * PART)     // rows of the weights, padded to a multiple of PARTS
#define PAIRS ((ROWS * HIDDEN + ITEMS - 1) / ITEMS) // (row, unit) pairs whose cell a work-item computes
#define STATE(row, k) (((local real *)state)[(row) * K_WIDE + (k)])
#define SUM(part, row, p, unit) sums[(((part) * ROWS + (row)) * COLUMNS + (p)) * WIDE + (unit)]

// Loops over a work-item's pairs q of a row of the group, PAIR_ROW(q), and a unit, PAIR_UNIT(q). Skips the body for
// pairs beyond the last of `pairs`.
#define FOR_PAIRS(q)                                                             \
    _Pragma("unroll") for (uint q = 0; q < PAIRS; q++) if (PAIR(q) < pairs)
#define PAIR(q) ((uint)get_local_id(0) + (q) * ITEMS)
#define PAIR_ROW(q) (PAIR(q) / HIDDEN)
#define PAIR_UNIT(q) (PAIR(q) % HIDDEN)

// Packs the weights into packed [D, K_WIDE / 4, COLUMNS, WIDE], groups of four rows of the matrix, zero beyond its end.
kernel void rnn_group_pack(global const real *w0, global const real *w1, global real4 *packed, uint D)
{
    const uint unit = get_global_id(0), p = get_global_id(1) % COLUMNS, d = get_global_id(2);
    // a constant if it can only be 0, for the reason given in rnn_bias_sum of cl/rnn_bias.cl
    const uint k4 = K_WIDE == 4 ? 0 : get_global_id(1) / COLUMNS;
    if (unit >= WIDE || k4 >= K_WIDE / 4 || d >= D)
        return;

    global const real *w = d ? w1 : w0;
    real four[4];

    for (uint i = 0; i < 4; i++)
        four[i] = unit < HIDDEN && k4 * 4 + i < K ? WEIGHT(w, k4 * 4 + i, p, unit) : 0.0f;
    packed[((size_t)(d * (K_WIDE / 4) + k4) * COLUMNS + p) * WIDE + unit] =
        (real4)(four[0], four[1], four[2], four[3]);
}

// The number of steps of the group's longest row.
static inline uint longest_of(global const int *lengths, uint first_row, uint N, uint T)
{
    uint longest = 0;

    if (!lengths)
        return T;
    for (uint n = first_row; n < min(first_row + ROWS, N); n++)
        longest = max(longest, (uint)max(lengths[n], 0));
    return min(longest, T);
}

// The time steps of a launch, counted as in its buffers: in [first, end) at least one row is valid, in [end, all) all
// rows are padding. longest: steps of the longest row, counted likewise.
struct span {
    uint first, end, all;
    size_t longest;
};

// Returns the span of a launch; `low` is the index in its buffers of the launch's earliest time step.
static inline struct span span_of(const struct rnn_args *args, uint longest, uint low)
{
    struct span s;

    s.first = low;
    s.all = low + args->last - args->first;
    s.longest = (size_t)longest - args->offset;
    s.end = min(max(longest, args->offset + low) - args->offset, s.all);
    return s;
}

// A work-item's part of the weights. All indices into `held` are constants after unrolling, so that it is in registers.
struct weights {
#if HELD
    real4 held[HELD][COLUMNS][LANE_UNITS];
#endif
    global const real4 *at; // first weight of the item's team and lane
};

#define WORKS ((uint)get_local_id(0) < PARTS * LANES) // whether the item takes part in the multiply
#define LANE ((uint)get_local_id(0) % LANES)
#define TEAM ((uint)get_local_id(0) / LANES)

#define WEIGHT4(w, k4, p, i) ((w)->at[((k4) * COLUMNS + (p)) * WIDE + (i) * LANES])

static inline __attribute__((always_inline)) void weights_load(struct weights *w, global const real4 *packed, uint d)
{
    w->at = packed + (size_t)(d * (K_WIDE / 4) + TEAM * (PART / 4)) * COLUMNS * WIDE + LANE;
#if HELD
    if (WORKS) {
#pragma unroll
        for (uint k4 = 0; k4 < HELD; k4++)
#pragma unroll
            for (uint p = 0; p < COLUMNS; p++)
#pragma unroll
                for (uint i = 0; i < LANE_UNITS; i++)
                    w->held[k4][p][i] = WEIGHT4(w, k4, p, i);
    }
#endif
}

// acc += four rows of the weights, which `from`(k4, p, i) reads, times the matching four values of the state.
#define MULTIPLY4(k4, from)                                                      \
    {                                                                            \
        real4 s[ROWS];                                                           \
                                                                                 \
        _Pragma("unroll") for (uint r = 0; r < ROWS; r++) s[r] =                 \
            state[r * (K_WIDE / 4) + TEAM * (PART / 4) + (k4)];                  \
        _Pragma("unroll") for (uint p = 0; p < COLUMNS; p++)                     \
            _Pragma("unroll") for (uint i = 0; i < LANE_UNITS; i++)              \
        {                                                                        \
            const real4 v = from(k4, p, i);                                      \
                                                                                 \
            _Pragma("unroll") for (uint r = 0; r < ROWS; r++) acc[p][i][r] =     \
                FMA(s[r].w, v.w, FMA(s[r].z, v.z, FMA(s[r].y, v.y, FMA(s[r].x, v.x, acc[p][i][r])))); \
        }                                                                        \
    }
#define FROM_REGISTERS(k4, p, i) w->held[k4][p][i]
#define FROM_MEMORY(k4, p, i) WEIGHT4(w, k4, p, i)

// Computes a team's part of sums = state times weights.
static inline __attribute__((always_inline)) void multiply(const struct weights *w, local const real4 *state,
                                                            local real *sums)
{
    real acc[COLUMNS][LANE_UNITS][ROWS];

    if (!WORKS)
        return;
#pragma unroll
    for (uint p = 0; p < COLUMNS; p++)
#pragma unroll
        for (uint i = 0; i < LANE_UNITS; i++)
#pragma unroll
            for (uint r = 0; r < ROWS; r++)
                acc[p][i][r] = 0.0f;
#if HELD
#pragma unroll
    for (uint k4 = 0; k4 < HELD; k4++)
        MULTIPLY4(k4, FROM_REGISTERS)
#endif
#pragma unroll UNROLL
    for (uint k4 = HELD; k4 < PART / 4; k4++)
        MULTIPLY4(k4, FROM_MEMORY)
#pragma unroll
    for (uint p = 0; p < COLUMNS; p++)
#pragma unroll
        for (uint i = 0; i < LANE_UNITS; i++)
#pragma unroll
            for (uint r = 0; r < ROWS; r++)
                SUM(TEAM, r, p, LANE + i * LANES) = acc[p][i][r];
}

static inline real sum_of_parts(local const real *sums, uint row, uint p, uint unit)
{
    real sum = SUM(0, row, p, unit);

#pragma unroll
    for (uint part = 1; part < PARTS; part++)
        sum += SUM(part, row, p, unit);
    return sum;
}

// Sets state and sums to zero before the first step. Call it right before the loop over the steps: without its barrier
// there, compilers move branches that differ between items into the loop's entry, and PoCL 3.1 then runs all work-items
// through the branch of the first.
static inline void group_clear(local real4 *state, local real *sums)
{
    for (uint i = get_local_id(0); i < ROWS * K_WIDE; i += ITEMS)
        STATE(0, i) = 0.0f;
    for (uint i = get_local_id(0); i < PARTS * ROWS * COLUMNS * WIDE; i += ITEMS)
        sums[i] = 0.0f;
    barrier(CLK_LOCAL_MEM_FENCE);
}

#endif
