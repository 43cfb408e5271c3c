// SPDX-License-Identifier: MIT
// The register tile of the whole-sequence recurrent kernels: up to ROWS batch rows times P vectors of VW
// hidden units, an fma of a broadcast number with each of the packed weights' vectors.
//
// A work-item owns some batch rows of one direction, cut into stripes of at most ROWS, and walks over the
// time steps by itself: rows are independent of each other, so nothing waits. To make weights that lie in
// the second-level cache count for several stripes, K is cut into parts whose weights fit the first level;
// tiles rest in private memory between parts, GROUP stripes at a time.
//
// Defines: VW; P; SLOTS, accumulators of a row in memory; ROWS 1 to 8; PART; GROUP.
#ifndef CLRNN_CL_RNN_TILE_H
#define CLRNN_CL_RNN_TILE_H

#include "rnn_vector.h"

// Loops over rows run to ROWS and test, as `rows` is a constant only after inlining: compilers then unroll
// them fully, which keeps the tile in registers.
#define FOR_ROWS(r) _Pragma("unroll") for (int r = 0; r < ROWS; r++) if (r < rows)

// tile[r][p] += a[r][0..K) . w[0..K)[p]; the last vector goes to tile[r][last_slot].
static inline __attribute__((always_inline)) void accumulate_rows(real *tile, const int rows, int last_slot,
                                                                  global const real *a, size_t ld,
                                                                  global const real *w, uint K)
{
    vec acc[ROWS][P];

    FOR_ROWS(r)
    {
#pragma unroll
        for (int p = 0; p < P; p++)
            acc[r][p] = vec_at(r * SLOTS + (p == P - 1 ? last_slot : p), tile);
    }
    for (uint k = 0; k < K; k++, w += P * VW) {
        vec wk[P];
#pragma unroll
        for (int p = 0; p < P; p++)
            wk[p] = vec_at(p, w);
        FOR_ROWS(r)
        {
            const vec ak = (vec)(a[r * ld + k]);
#pragma unroll
            for (int p = 0; p < P; p++)
                acc[r][p] = FMA(ak, wk[p], acc[r][p]);
        }
    }
    FOR_ROWS(r)
    {
#pragma unroll
        for (int p = 0; p < P; p++)
            vec_to(acc[r][p], r * SLOTS + (p == P - 1 ? last_slot : p), tile);
    }
}

// The same for any number of rows up to ROWS. A tile rests in memory before and after, so that this is the
// only code that is there once for each height.
static void accumulate(real *tile, uint rows, int last_slot, global const real *a, size_t ld,
                       global const real *w, uint K)
{
#define HEIGHT(rows)                                                             \
    case rows:                                                                   \
        if (rows <= ROWS)                                                        \
            accumulate_rows(tile, rows, last_slot, a, ld, w, K);                 \
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

    for (uint r = 0; r < rows; r++)
        padding &= (int)t >= lengths[r];
    return padding;
}

// An item's way through one step: tile by tile; in a tile GROUP stripes at a time; for these, part by part
// of K; and in a part stripe by stripe. As few stripes, groups and parts as possible, of nearly equal size.
struct walk {
    uint rows, tiles, stripes, groups;     // of the item
    uint K, parts;                         // of the step
    uint tile, group, part, stripe;        // where it is: the next stripe to take
    uint row, height, place, k_first, k_last; // what was taken: rows, where their tile rests, part of K
};

static struct walk walk_of(uint rows, uint tiles)
{
    struct walk w;

    w.rows = rows;
    w.tiles = tiles;
    w.stripes = (rows + ROWS - 1) / ROWS;
    w.groups = (w.stripes + GROUP - 1) / GROUP;
    return w;
}

static void walk_start(struct walk *w, uint K)
{
    w->K = K;
    w->parts = max(1u, (K + PART - 1) / PART);
    w->tile = w->group = w->part = w->stripe = 0;
}

static bool walk_on(struct walk *w)
{
    if (w->stripe == (w->group + 1) * w->stripes / w->groups) {
        if (++w->part == w->parts) {
            w->part = 0;
            if (++w->group == w->groups) {
                w->group = 0;
                w->tile++;
            }
        }
        w->stripe = w->group * w->stripes / w->groups;
    }
    w->row = w->stripe * w->rows / w->stripes;
    w->height = (w->stripe + 1) * w->rows / w->stripes - w->row;
    w->place = w->stripe - w->group * w->stripes / w->groups;
    w->k_first = w->part * w->K / w->parts;
    w->k_last = (w->part + 1) * w->K / w->parts;
    w->stripe++;
    return w->tile < w->tiles;
}

#endif
