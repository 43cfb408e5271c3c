// SPDX-License-Identifier: MIT
// The register tile of the recurrent kernels for CPUs, rnn_forward.cl and rnn_backward.cl. A register tile is the sums
// of up to ROWS batch rows and P vectors of WIDTH hidden units (or gates of units). Each fma multiplies a broadcast
// number by a vector of the packed weights.
//
// A work-item computes some batch rows of one direction, divided into stripes of at most ROWS rows. It loops over the
// time steps without waiting for other work-items, since rows are independent. The hidden units are divided into tiles.
// In each step the work-item computes one tile after the other, and for each tile one stripe after the other. So the
// weights of a tile are read from memory at most once in a step, and then from the second-level cache. While a stripe
// multiplies, it prefetches weights of the next tile, AHEAD vectors for each k.
//
// Defines: WIDTH; P; SLOTS, accumulators of a row in memory; ROWS 1 to 8; AHEAD. AHEAD is 1 if the weights are small
// enough to stay in the second-level cache. Otherwise it is P / (number of stripes), rounded up.
#ifndef CLRNN_CL_RNN_TILE_H
#define CLRNN_CL_RNN_TILE_H

#include "vector.h"

// Loops over the rows of a stripe. The loop goes to ROWS and tests r < rows, because `rows` is a constant only after
// inlining. Compilers then unroll the loop fully, which keeps the tile in registers.
#define FOR_ROWS(r) _Pragma("unroll") for (int r = 0; r < ROWS; r++) if (r < rows)

// The weights that a stripe prefetches while it multiplies: AHEAD vectors for each k. The first vector begins at
// `next`. The vectors are `spacing` numbers apart.
struct ahead {
    global const real *next;
    size_t spacing;
};

// Adds to tile[r][p] the sum over k < K of a[r][k] * w[k][p]. The sums of the last vector are in tile[r][last_slot].
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
        // The accumulators take up to 12 of 16 vector registers, or 24 of 32 (tiling_of in src/ops/rnn_sequence.c). The
        // others hold one of the operands, the one with fewer vectors: the number a[r][k] of each row, broadcast to a
        // vector, or the P vectors of weights.
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

// Calls accumulate_rows for a number of rows, up to ROWS, that is known only at run time. There is a copy of
// accumulate_rows for each number, and a switch between them. The tile is passed in memory, so that the callers are not
// copied for each number, too. Not inlined: inside the large kernels LLVM would keep part of the tile on the stack,
// which costs backward of an LSTM half its speed.
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

// Checks whether step t is padding for all rows of a stripe. lengths [rows]: the lengths of these rows.
static bool all_padding(global const int *lengths, uint rows, uint t)
{
    bool padding = true;

    ROLLED for (uint r = 0; r < rows; r++)
        padding &= (int)t >= lengths[r];
    return padding;
}

// A stripe of a work-item's rows. stripes_of and stripe_at divide the rows into as few stripes as possible, whose sizes
// differ by at most one row.
struct stripe {
    uint row, rows;
};

static uint stripes_of(uint rows)
{
    return (rows + ROWS - 1) / ROWS;
}

// Returns which weights stripe i of `stripes` prefetches. The next tile begins at `next` and has P * part numbers.
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
