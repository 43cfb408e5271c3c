// SPDX-License-Identifier: MIT
// A recurrent layer backward through time on CPUs: all time steps in one launch. How: cl/rnn_tile.h;
// formulas: doc/maths.md; padding: as in cl/rnn.cl.
//
// Defines: H, D; CELL 0 rnn, 1 lstm, 2 gru; RELU (rnn); BIAS, whether anybody wants its gradient; LENGTHS;
// VW, ROWS, PART, GROUP; TILE unit vectors in a tile.
#if CELL == 0
#define GATES 1
#define RESERVE 1
#elif CELL == 1
#define GATES 4
#define RESERVE 4
#else
#define GATES 3
#define RESERVE 4
#endif
#define P TILE
#define SLOTS TILE
#define TILES ((UNIT_VECTORS + TILE - 1) / TILE)

#include "rnn_tile.h"

// packed [D, TILES, GATES*H, P, VW]: the weights w [GATES*H, H] of each direction, cut into tiles; 0 where
// there is no unit. An item copies `share` rows of a tile.
kernel void rnn_pack_bwd(global const real *w0, global const real *w1, global real *packed, uint share)
{
    const uint tile = get_global_id(0), first = get_global_id(1) * share, d = get_global_id(2);
    if (tile >= TILES || first >= GATES * H || d >= D)
        return;

    global const real *from = d ? w1 : w0;
    global real *to = packed + ((size_t)(d * TILES + tile) * GATES * H + first) * P * VW;

    for (uint k = first; k < min(first + share, (uint)(GATES * H)); k++, to += P * VW)
        for (uint p = 0; p < P; p++) {
            const uint unit = tile * TILE + p;
            vec_to(unit < UNIT_VECTORS ? load_units(from + (size_t)k * H, unit) : (vec)(0.0f), p, to);
        }
}

struct backward { // of one direction
    global const real *packed, *y, *cell, *dy;
    global real *gates, *through, *carry, *bias;
    global const int *lengths;
    size_t N;
    size_t t, after, before; // this step; the one after it in the forward walk, or t; the one before, or t
    uint k_first, k_last, K; // the part of K at hand; K 0: nothing comes from a step after
};

// The gradient that reaches h: from the output, and past the multiply from the step after (gru).
static void backward_start(const struct backward *b, uint tile, size_t n, uint rows, real *acc)
{
    for (uint r = 0; r < rows; r++)
        for (uint p = 0; p < P; p++) {
            const uint unit = tile * TILE + p;
            vec dh = 0.0f;

            if (unit < UNIT_VECTORS) {
                dh = load_units(b->dy + (b->t * b->N + n + r) * D * H, unit);
#if CELL == 2
                if (b->K)
                    dh += load_units(b->through + (n + r) * H, unit);
#endif
            }
            vec_to(dh, r * SLOTS + p, acc);
        }
}

// What padding leaves behind.
static void backward_skip(const struct backward *b, uint tile, size_t n, uint rows)
{
    for (uint r = 0; r < rows; r++)
        for (uint unit = tile * TILE; unit < min((tile + 1) * TILE, (uint)UNIT_VECTORS); unit++) {
            for (int g = 0; g < RESERVE; g++)
                store_units((vec)(0.0f), b->gates + ((b->t * b->N + n + r) * RESERVE + g) * H, unit);
#if CELL == 2
            store_units((vec)(0.0f), b->through + (n + r) * H, unit);
#elif CELL == 1
            store_units((vec)(0.0f), b->carry + (n + r) * H, unit);
#endif
        }
}

// Gate gradients of one row and vector of units, from what reaches h.
static inline void backward_unit(const struct backward *b, size_t n, uint unit, vec dh, vec sum[RESERVE])
{
    const size_t row = b->t * b->N + n;
    global real *gates = b->gates + row * RESERVE * H;
#if LENGTHS
    const bool padding = (int)b->t >= b->lengths[n];
#else
    const bool padding = false;
#endif
    vec da[RESERVE];
#if CELL == 0
    const vec h = load_units(b->y + row * D * H, unit);

    da[0] = RELU ? (h > 0.0f ? dh : (vec)(0.0f)) : dh * (1.0f - h * h);
#elif CELL == 1
    const vec i = load_units(gates, unit), f = load_units(gates + H, unit);
    const vec g = load_units(gates + 2 * H, unit), o = load_units(gates + 3 * H, unit);
    const vec now = tanh_vec(load_units(b->cell + row * H, unit));
    vec dc = dh * o * (1.0f - now * now), before = 0.0f;

    if (b->after != b->t)
        dc += load_units(b->carry + n * H, unit);
    if (b->before != b->t)
        before = load_units(b->cell + (b->before * b->N + n) * H, unit);
    da[0] = dc * g * i * (1.0f - i);
    da[1] = dc * before * f * (1.0f - f);
    da[2] = dc * i * (1.0f - g * g);
    da[3] = dh * now * o * (1.0f - o);
    store_units(padding ? (vec)(0.0f) : dc * f, b->carry + n * H, unit);
#else
    const vec q = load_units(gates, unit), z = load_units(gates + H, unit);
    const vec m = load_units(gates + 2 * H, unit), hn = load_units(gates + 3 * H, unit);
    const vec dn = dh * (1.0f - z) * (1.0f - m * m);
    vec before = 0.0f;

    if (b->before != b->t)
        before = load_units(b->y + (b->before * b->N + n) * D * H, unit);
    da[0] = dn * hn * q * (1.0f - q);
    da[1] = dh * (before - m) * z * (1.0f - z);
    da[2] = dn;
    da[3] = dn * q;
    store_units(padding ? (vec)(0.0f) : dh * z, b->through + n * H, unit);
#endif
    for (int g = 0; g < RESERVE; g++) {
        if (padding)
            da[g] = 0.0f;
        store_units(da[g], gates + g * H, unit);
        sum[g] += da[g];
    }
}

static void backward_finish(const struct backward *b, uint tile, size_t n, uint rows, const real *acc)
{
    for (uint p = 0; p < P; p++) {
        const uint unit = tile * TILE + p;
        vec sum[RESERVE];

        if (unit >= UNIT_VECTORS)
            continue;
        for (int g = 0; g < RESERVE; g++)
            sum[g] = BIAS ? load_units(b->bias + g * H, unit) : (vec)(0.0f);
        for (uint r = 0; r < rows; r++)
            backward_unit(b, n + r, unit, vec_at(r * SLOTS + p, acc), sum);
        for (int g = 0; BIAS && g < RESERVE; g++)
            store_units(sum[g], b->bias + g * H, unit);
    }
}

// A stripe's tile as far as the part of K at hand takes it; it rests in `acc` between parts.
static void backward_tile(const struct backward *b, uint tile, size_t n, uint rows, real *acc)
{
    global const real *a = b->gates + (b->after * b->N + n) * RESERVE * H;
    global const real *w = b->packed + (size_t)tile * GATES * H * P * VW;
    // gru: the hidden side's n stands in column block 3
    const uint low = CELL == 2 ? clamp(2u * H, b->k_first, b->k_last) : b->k_last;

#if LENGTHS
    if (all_padding(b->lengths + n, rows, b->t)) {
        if (b->k_last == b->K)
            backward_skip(b, tile, n, rows);
        return;
    }
#endif
    if (b->k_first == 0)
        backward_start(b, tile, n, rows, acc);
    if (b->k_first < low)
        accumulate(acc, rows, P - 1, a + b->k_first, RESERVE * H, w + (size_t)b->k_first * P * VW,
                   low - b->k_first);
    if (low < b->k_last)
        accumulate(acc, rows, P - 1, a + low + H, RESERVE * H, w + (size_t)low * P * VW, b->k_last - low);
    if (b->k_last == b->K)
        backward_finish(b, tile, n, rows, acc);
}

// Steps first..last-1, counted from the last one that forward took; the rest as in rnn_forward.
//
// gates [D, rows, RESERVE*H]: as in rnn_step_bwd of cl/rnn.cl. through, carry [D, N, H]: what lstm (cell)
// and gru (h, past the multiply) hand on. bias [items, D, RESERVE*H]: sums of each item's gate gradients.
kernel void rnn_backward(global const real *packed, global real *gates, global const real *y,
                         global const real *cell, global const real *dy, global real *through,
                         global real *carry, global real *bias, global const int *lengths, uint T, uint N,
                         uint first, uint last, uint share, uint tile_share)
{
    const uint n_first = get_global_id(0) * share, tile_first = get_global_id(1) * tile_share;
    const size_t d = get_global_id(2);
    if (n_first >= N || tile_first >= TILES || d >= D)
        return;

    real room[GROUP][ROWS * SLOTS * VW];
    struct backward b = {
        .packed = packed + d * TILES * GATES * H * P * VW,
        .y = y + d * H,
        .cell = cell + d * T * N * H,
        .dy = dy + d * H,
        .gates = gates + d * T * N * RESERVE * H,
        .through = through + d * N * H,
        .carry = carry + d * N * H,
        .bias = bias + (get_global_id(0) * D + d) * RESERVE * H,
        .lengths = lengths,
        .N = N,
    };
    const uint rows = min(share, N - n_first), stripes = (rows + ROWS - 1) / ROWS;
    const uint groups = (stripes + GROUP - 1) / GROUP, tile_last = min(tile_first + tile_share, (uint)TILES);
    const uint unit_last = min(tile_last * TILE, (uint)UNIT_VECTORS);

    for (uint unit = tile_first * TILE; BIAS && first == 0 && unit < unit_last; unit++)
        for (int g = 0; g < RESERVE; g++)
            store_units((vec)(0.0f), b.bias + g * H, unit);

    for (uint step = first; step < last; step++) {
        b.t = d ? step : T - 1 - step;
        b.after = step == 0 ? b.t : d ? b.t - 1 : b.t + 1;
        b.before = step + 1 == T ? b.t : d ? b.t + 1 : b.t - 1;
        b.K = step == 0 ? 0 : GATES * H;
        const uint parts = max(1u, (b.K + PART - 1) / PART);

        for (uint i = 0; i < (tile_last - tile_first) * groups * parts; i++) {
            const uint k = i % parts, g = i / parts % groups, tile = tile_first + i / parts / groups;
            const uint s_first = g * stripes / groups, s_last = (g + 1) * stripes / groups;

            b.k_first = k * b.K / parts;
            b.k_last = (k + 1) * b.K / parts;
            for (uint s = s_first; s < s_last; s++) {
                const uint from = s * rows / stripes, to = (s + 1) * rows / stripes;
                backward_tile(&b, tile, n_first + from, to - from, room[s - s_first]);
            }
        }
    }
}
