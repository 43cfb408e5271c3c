// SPDX-License-Identifier: MIT
// Persistent recurrent kernels for GPUs: one launch computes many time steps. A work-group computes ROWS batch rows of
// one direction in all steps. Its work-items wait for each other at barriers; work-groups never wait for each other.
//
// `state` [ROWS, K_WIDE] in local memory is what a step passes to the next step: h in forward, gate gradients in
// backward. A multiply of `state` by the recurrent weights gives `sums`. This multiply is divided among work-items in
// two dimensions. Units are divided among lanes: lane l of LANES computes LANE_UNITS units, l, l + LANES, ..., and all
// COLUMNS columns of each unit (in forward: its gates). K is divided among teams (split-K): each of PARTS teams of
// LANES work-items multiplies PART rows of the weights. So even small layers use a whole work-group. The code that
// reads a sum adds up the teams' results in a fixed order.
//
// In the packed weights, four rows of a column lie together, and the columns of consecutive units lie side by side: so
// neighbouring work-items read neighbouring 16 bytes. A work-item keeps the first HELD groups of four rows of its
// weights in registers for all steps. It reads the other groups from the caches in each step, UNROLL groups at a time.
//
// Defines: CELL, RELU, WIDTH as in rnn_cell.h; HIDDEN, the number of hidden units; ROWS, PARTS, LANES, LANE_UNITS,
// HELD, UNROLL; PART, a multiple of 4; ITEMS, the size of a work-group. The file that includes this header defines the
// matrix of the weights: K, number of rows; COLUMNS, number of blocks of HIDDEN columns; WEIGHT(w, k, p, u), the
// element in row k and in column u of block p.
#ifndef CLRNN_CL_RNN_GROUP_H
#define CLRNN_CL_RNN_GROUP_H

#include "rnn_cell.h"

#define WIDE (LANES * LANE_UNITS) // hidden units, padded to a multiple of LANES
#define K_WIDE (PARTS * PART)     // rows of the weights, padded to a multiple of PARTS
#define PAIRS ((ROWS * HIDDEN + ITEMS - 1) / ITEMS) // number of (row, unit) pairs whose cell a work-item computes
#define STATE(row, k) (((local real *)state)[(row) * K_WIDE + (k)])
#define SUM(part, row, p, unit) sums[(((part) * ROWS + (row)) * COLUMNS + (p)) * WIDE + (unit)]

// Loops over the pairs q of a work-item. A pair is a row of the work-group, PAIR_ROW(q), and a hidden unit,
// PAIR_UNIT(q). The work-group has `pairs` pairs; the body is skipped for pairs beyond them.
#define FOR_PAIRS(q)                                                             \
    _Pragma("unroll") for (uint q = 0; q < PAIRS; q++) if (PAIR(q) < pairs)
#define PAIR(q) ((uint)get_local_id(0) + (q) * ITEMS)
#define PAIR_ROW(q) (PAIR(q) / HIDDEN)
#define PAIR_UNIT(q) (PAIR(q) % HIDDEN)

// Packs the weights into packed [D, K_WIDE / 4, COLUMNS, WIDE]. An element is four rows of a column of the matrix.
// Numbers beyond the last row or the last unit are 0.
kernel void rnn_group_pack(global const real *w0, global const real *w1, global real4 *packed, uint D)
{
    const uint unit = get_global_id(0), p = get_global_id(1) % COLUMNS, d = get_global_id(2);
    // k4 is a constant if it can only be 0, for the reason given in rnn_bias_sum of cl/rnn_bias.cl
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

// Returns the number of steps of the longest row of the work-group, at most T.
static inline uint longest_of(global const int *lengths, uint first_row, uint N, uint T)
{
    uint longest = 0;

    if (!lengths)
        return T;
    for (uint n = first_row; n < min(first_row + ROWS, N); n++)
        longest = max(longest, (uint)max(lengths[n], 0));
    return min(longest, T);
}

// The time steps of a launch, numbered as in its buffers.
struct span {
    uint first, end, // in steps [first, end), at least one row of the work-group is valid
        all;         // in steps [end, all), all rows of the work-group are padding
    size_t longest;  // the step at which the longest row of the work-group ends
};

// Returns the span of a launch. low: the earliest time step of the launch, numbered as in its buffers. longest: the
// result of longest_of.
static inline struct span span_of(const struct rnn_args *args, uint longest, uint low)
{
    struct span s;

    s.first = low;
    s.all = low + args->last - args->first;
    s.longest = (size_t)longest - args->offset;
    s.end = min(max(longest, args->offset + low) - args->offset, s.all);
    return s;
}

// A work-item's part of the weights. `held` is in registers, because all indices into it are constants after unrolling.
struct weights {
#if HELD
    real4 held[HELD][COLUMNS][LANE_UNITS];
#endif
    global const real4 *at; // first weight of the work-item's team and lane
};

#define WORKS ((uint)get_local_id(0) < PARTS * LANES) // whether the work-item takes part in the multiply
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

// Multiplies group k4 of the team's weights, which is four rows of them, by the four numbers of `state` for these rows.
// Adds the products to acc. from(k4, p, i) reads the four weights in column p of the lane's unit number i.
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

// Computes the team's part of sums = state * weights.
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

// Sets state and sums to zero before the first step. To be called before the loop over the steps. Code between this
// call and the loop must end with a barrier, as this function does. Without a barrier there, compilers move branches
// that differ between work-items into the entry of the loop. PoCL 3.1 then runs all work-items through the branch of
// the first work-item.
static inline void group_clear(local real4 *state, local real *sums)
{
    for (uint i = get_local_id(0); i < ROWS * K_WIDE; i += ITEMS)
        STATE(0, i) = 0.0f;
    for (uint i = get_local_id(0); i < PARTS * ROWS * COLUMNS * WIDE; i += ITEMS)
        sums[i] = 0.0f;
    barrier(CLK_LOCAL_MEM_FENCE);
}

#endif
