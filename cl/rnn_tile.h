// SPDX-License-Identifier: MIT
// The register tile of the whole-sequence recurrent kernels for CPUs: sums of up to ROWS batch rows times P vectors of
// WIDTH hidden units. Each fma multiplies a broadcast number by a vector of the packed weights.
//
// A work-item owns some batch rows of one direction, divided into stripes of at most ROWS, and loops over the steps
// without waiting for others, since rows are independent. In each step it takes one tile of units after the other, and
// in each tile all stripes: a tile's weights come from memory at most once a step and then from the second-level cache.
// Meanwhile the next tile's weights are prefetched: each stripe prefetches AHEAD of their P vectors per step of K.
//
// Defines: WIDTH; P; SLOTS, accumulators of a row in memory; ROWS 1 to 8; AHEAD, P / the number of stripes, rounded up.
#ifndef CLRNN_CL_RNN_TILE_H
#define CLRNN_CL_RNN_TILE_H

#include "vector.h"

// Loops over rows go to ROWS and test r < rows, because `rows` is a constant only after inlining. Compilers then unroll
// the loops fully, which keeps the tile in registers.
#define FOR_ROWS(r) _Pragma("unroll") for (int r = 0; r < ROWS; r++) if (r < rows)

// The weights that a stripe prefetches while it multiplies: for each step of K AHEAD vectors, `spacing` numbers apart.
struct ahead {
    global const real *next;
    size_t spacing;
};

// tile[r][p] += the sum over k < K of a[r][k] w[k][p]. The last vector goes to tile[r][last_slot].
static inline __attribute__((always_inline)) void accumulate_rows(real *tile, const int rows, int last_slot,
                                                                  global const real *a, size_t ld,
                                                                  global const real *w, uint K, struct ahead ahead)
{
    realv acc[ROWS][P];

    FOR_ROWS(r)
    {
#pragma unroll
        for (int p = 0; p < P; p++)
            acc[r][p] = vec_load(r * SLOTS + (p == P - 1 ? last_slot : p), tile);
    }
    for (uint k = 0; k < K; k++, w += P * WIDTH, ahead.next += WIDTH) {
#pragma unroll
        for (int i = 0; i < AHEAD; i++)
            PREFETCH(ahead.next + i * ahead.spacing);
        // Beside a tile of 12 vectors, 16 registers cannot hold both the rows' numbers and the weights' vectors: the
        // fewer of the two stay in registers.
        if (rows < P) {
            realv ak[ROWS];

            FOR_ROWS(r) ak[r] = (realv)(a[r * ld + k]);
#pragma unroll
            for (int p = 0; p < P; p++) {
                const realv wk = vec_load(p, w);

                FOR_ROWS(r) acc[r][p] = FMA(ak[r], wk, acc[r][p]);
            }
        } else {
            realv wk[P];

#pragma unroll
            for (int p = 0; p < P; p++)
                wk[p] = vec_load(p, w);
            FOR_ROWS(r)
            {
                const realv ak = (realv)(a[r * ld + k]);
#pragma unroll
                for (int p = 0; p < P; p++)
                    acc[r][p] = FMA(ak, wk[p], acc[r][p]);
            }
        }
    }
    FOR_ROWS(r)
    {
#pragma unroll
        for (int p = 0; p < P; p++)
            vec_store(acc[r][p], r * SLOTS + (p == P - 1 ? last_slot : p), tile);
    }
}

// accumulate_rows for a number of rows, up to ROWS, that is known only at run time: a switch over a copy for each. The
// tile is passed in memory, so that callers need no copies. Not inlined, because inside the large kernels LLVM keeps
// part of the tile on the stack, which costs backward of an LSTM half its speed.
static __attribute__((noinline)) void accumulate(real *tile, uint rows, int last_slot,
                                                 global const real *a, size_t ld, global const real *w, uint K,
                                                 struct ahead ahead)
{
#define HEIGHT(rows)                                                             \
    case rows:                                                                   \
        if (rows <= ROWS)                                                        \
            accumulate_rows(tile, rows, last_slot, a, ld, w, K, ahead);          \
        break;

    switch (rows) {
        HEIGHT(1)
        HEIGHT(2)
        HEIGHT(3)
        HEIGHT(4)
        HEIGHT(5)
        HEIGHT(6)
        HEIGHT(7)
        HEIGHT(8)
    }
}

// Whether step t is padding for all rows of a stripe.
static bool all_padding(global const int *lengths, uint rows, uint t)
{
    bool padding = true;

    ROLLED for (uint r = 0; r < rows; r++)
        padding &= (int)t >= lengths[r];
    return padding;
}

// Splits a work-item's rows into as few stripes as possible, of nearly equal height.
struct stripe {
    uint row, rows;
};

static uint stripes_of(uint rows)
{
    return (rows + ROWS - 1) / ROWS;
}

// Returns where stripe i of `stripes` begins to prefetch in the tile at `next`, which has P times `part` numbers.
static struct ahead ahead_of(global const real *next, size_t part, uint i, uint stripes)
{
    return (struct ahead){next + i % P * part, stripes * part};
}

static struct stripe stripe_at(uint i, uint rows)
{
    const uint stripes = stripes_of(rows), row = i * rows / stripes;

    return (struct stripe){row, (i + 1) * rows / stripes - row};
}

#endif
