// SPDX-License-Identifier: MIT
// A recurrent layer forward on CPUs: all time steps in one launch. How: cl/rnn_tile.h; formulas:
// doc/maths.md; padding: as in cl/rnn.cl.
//
// Defines: H, D; CELL 0 rnn, 1 lstm, 2 gru; RELU (rnn); BIAS; LENGTHS; SAVE, whether backward follows; VW,
// ROWS, PART, GROUP; TILE unit vectors in a tile of rnn; FUSED_C features of the input if its multiply is
// done here too, else 0.
#if CELL == 0
#define P TILE
#define SLOTS TILE
#define TILES ((UNIT_VECTORS + TILE - 1) / TILE)
#elif CELL == 1 // the 4 gates of one vector of units: all of a unit meets in registers
#define P 4
#define SLOTS 4
#define TILES UNIT_VECTORS
#else // r, z, n of one vector of units; n's two parts stay apart
#define P 3
#define SLOTS 4
#define TILES UNIT_VECTORS
#endif

#include "rnn_tile.h"

#define K_MOST (FUSED_C + H)

// packed [D, TILES, K_MOST, P, VW]: K rows from k_first on of the weights w [GATES*H, K] of each direction,
// turned so that a tile's vectors follow each other; 0 where there is no unit. An item turns one vector.
kernel void rnn_pack_fwd(global const real *w0, global const real *w1, global real *packed, uint K,
                         uint k_first)
{
    const uint v = get_global_id(0), d = get_global_id(1);
    if (v >= TILES * P || d >= D)
        return;

    const uint tile = v / P, p = v % P, unit = (CELL == 0 ? v : tile) * VW, gate = CELL == 0 ? 0 : p;
    const uint count = unit >= H ? 0 : min((uint)VW, H - unit);
    global const real *from = (d ? w1 : w0) + ((size_t)gate * H + unit) * K;
    global real *to = packed + (((size_t)(d * TILES + tile) * K_MOST + k_first) * P + p) * VW;

    for (uint k = 0; k < K; k++) {
        real column[VW];

        for (uint i = 0; i < VW; i++)
            column[i] = i < count ? from[(size_t)i * K + k] : 0.0f;
        vec_to(vec_at(0, column), 0, to + (size_t)k * P * VW);
    }
}

struct forward { // of one direction
    global const real *x, *packed, *bias_ih, *bias_hh;
    global real *pre, *cell, *y;
    global const int *lengths;
    size_t N, ld, cell_step;
    size_t t, before; // this step and the one that it starts from; the same where there is none
    uint K;           // what there is to multiply: FUSED_C, and H unless this is the first step
    uint k_first, k_last; // the part of it that is at hand
};

// Pre-activations start from the biases and, where it was multiplied before, from what the input gives.
static void forward_start(const struct forward *f, uint tile, size_t n, uint rows, real *acc)
{
    for (int s = 0; s < SLOTS; s++) {
        const uint unit = CELL == 0 ? tile * TILE + s : tile;
        vec b = 0.0f;

        if (unit < UNIT_VECTORS) {
#if BIAS && CELL == 0
            b = load_units(f->bias_ih, unit) + load_units(f->bias_hh, unit);
#elif BIAS && CELL == 1
            b = load_units(f->bias_ih + s * H, unit) + load_units(f->bias_hh + s * H, unit);
#elif BIAS && CELL == 2
            if (s < 3)
                b = load_units(f->bias_ih + s * H, unit);
            if (s != 2)
                b += load_units(f->bias_hh + min(s, 2) * H, unit);
#endif
        }
        for (uint r = 0; r < rows; r++) {
            vec a = b;
#if FUSED_C == 0
            if (unit < UNIT_VECTORS && s < P)
                a += load_units(f->pre + (f->t * f->N + n + r) * f->ld + (CELL == 0 ? 0 : s) * H, unit);
#endif
            vec_to(a, r * SLOTS + s, acc);
        }
    }
}

// The activations of a row's tile, and what they leave behind.
static void forward_finish(const struct forward *f, uint tile, size_t n, const real *acc)
{
    const size_t row = f->t * f->N + n;
    global real *y = f->y + row * D * H;
#if LENGTHS
    const bool padding = (int)f->t >= f->lengths[n];
#else
    const bool padding = false;
#endif
#if CELL == 0
    for (uint p = 0; p < P; p++) {
        const uint unit = tile * TILE + p;
        const vec s = vec_at(p, acc);

        if (unit < UNIT_VECTORS) {
            const vec h = RELU ? (s < 0.0f ? (vec)(0.0f) : s) : tanh_vec(s);
            store_units(padding ? (vec)(0.0f) : h, y, unit);
        }
    }
#elif CELL == 1
    const vec i = sigmoid_vec(vec_at(0, acc)), k = sigmoid_vec(vec_at(1, acc));
    const vec g = tanh_vec(vec_at(2, acc)), o = sigmoid_vec(vec_at(3, acc));
    global real *cell = f->cell + n * H;
    vec c = i * g;

    if (f->before != f->t)
        c = FMA(k, load_units(cell + f->before * f->cell_step, tile), c);
    if (padding)
        c = 0.0f;
    store_units(c, cell + f->t * f->cell_step, tile);
    store_units(padding ? (vec)(0.0f) : o * tanh_vec(c), y, tile);
    if (SAVE) {
        global real *a = f->pre + row * f->ld;
        store_units(i, a, tile);
        store_units(k, a + H, tile);
        store_units(g, a + 2 * H, tile);
        store_units(o, a + 3 * H, tile);
    }
#else
    const vec hn = vec_at(3, acc), q = sigmoid_vec(vec_at(0, acc)), z = sigmoid_vec(vec_at(1, acc));
    const vec m = tanh_vec(FMA(q, hn, vec_at(2, acc)));
    vec h = m - z * m;

    if (f->before != f->t)
        h = FMA(z, load_units(f->y + (f->before * f->N + n) * D * H, tile), h);
    store_units(padding ? (vec)(0.0f) : h, y, tile);
    if (SAVE) {
        global real *a = f->pre + row * f->ld;
        store_units(q, a, tile);
        store_units(z, a + H, tile);
        store_units(m, a + 2 * H, tile);
        store_units(hn, a + 3 * H, tile);
    }
#endif
}

// What padding leaves behind.
static void forward_skip(const struct forward *f, uint tile, size_t n, uint rows)
{
    for (uint r = 0; r < rows; r++) {
        global real *y = f->y + (f->t * f->N + n + r) * D * H;
#if CELL == 0
        for (uint unit = tile * TILE; unit < min((tile + 1) * TILE, (uint)UNIT_VECTORS); unit++)
            store_units((vec)(0.0f), y, unit);
#else
        store_units((vec)(0.0f), y, tile);
#endif
#if CELL == 1
        store_units((vec)(0.0f), f->cell + f->t * f->cell_step + (n + r) * H, tile);
#endif
    }
}

// A stripe's tile as far as the part of K at hand takes it; it rests in `acc` between parts.
static void forward_tile(const struct forward *f, uint tile, size_t n, uint rows, real *acc)
{
    const uint h_first = max(f->k_first, (uint)FUSED_C), h_last = max(f->k_last, (uint)FUSED_C);
    global const real *w = f->packed + (size_t)tile * K_MOST * P * VW;

#if LENGTHS
    if (all_padding(f->lengths + n, rows, f->t)) {
        if (f->k_last == f->K)
            forward_skip(f, tile, n, rows);
        return;
    }
#endif
    if (f->k_first == 0)
        forward_start(f, tile, n, rows, acc);
#if FUSED_C
    const uint x_last = min(f->k_last, (uint)FUSED_C);
    if (f->k_first < x_last)
        accumulate(acc, rows, P - 1, f->x + (f->t * f->N + n) * FUSED_C + f->k_first, FUSED_C,
                   w + (size_t)f->k_first * P * VW, x_last - f->k_first);
#endif
    if (h_first < h_last)
        accumulate(acc, rows, SLOTS - 1, f->y + (f->before * f->N + n) * D * H + (h_first - FUSED_C), D * H,
                   w + (size_t)h_first * P * VW, h_last - h_first);
    if (f->k_last == f->K)
        for (uint r = 0; r < rows; r++)
            forward_finish(f, tile, n + r, acc + r * SLOTS * VW);
}

// Steps first..last-1 (in the order of the walk) of rows [share * id0, ...), tiles [tile_share * id1, ...)
// and direction id2. More than one step needs all tiles of a row in one item.
//
// x [rows, FUSED_C]; without FUSED_C pre holds its product with the weights. pre, cell, ld, pre_direction
// and cell_step: as in cl/rnn.cl. SAVE: activations go to pre.
kernel void rnn_forward(global const real *x, global const real *packed, global real *pre,
                        global const real *bias_ih0, global const real *bias_hh0, global const real *bias_ih1,
                        global const real *bias_hh1, global real *cell, global real *y,
                        global const int *lengths, uint T, uint N, uint first, uint last, uint share,
                        uint tile_share, uint ld, uint pre_direction, uint cell_step)
{
    const uint n_first = get_global_id(0) * share, tile_first = get_global_id(1) * tile_share;
    const size_t d = get_global_id(2);
    if (n_first >= N || tile_first >= TILES || d >= D)
        return;

    real room[GROUP][ROWS * SLOTS * VW];
    struct forward f = {
        .x = x,
        .packed = packed + d * TILES * K_MOST * P * VW,
        .bias_ih = d ? bias_ih1 : bias_ih0,
        .bias_hh = d ? bias_hh1 : bias_hh0,
        .pre = pre + d * pre_direction,
        .cell = cell + d * (cell_step ? T : 1) * N * H,
        .y = y + d * H,
        .lengths = lengths,
        .N = N,
        .ld = ld,
        .cell_step = cell_step,
    };
    // as few stripes as possible, of nearly equal height; groups and parts likewise
    const uint rows = min(share, N - n_first), stripes = (rows + ROWS - 1) / ROWS;
    const uint groups = (stripes + GROUP - 1) / GROUP, tile_last = min(tile_first + tile_share, (uint)TILES);

    for (uint step = first; step < last; step++) {
        f.t = d ? T - 1 - step : step;
        f.before = step == 0 ? f.t : d ? f.t + 1 : f.t - 1;
        f.K = FUSED_C + (step == 0 ? 0 : H);
        const uint parts = max(1u, (f.K + PART - 1) / PART);

        for (uint i = 0; i < (tile_last - tile_first) * groups * parts; i++) {
            const uint k = i % parts, g = i / parts % groups, tile = tile_first + i / parts / groups;
            const uint s_first = g * stripes / groups, s_last = (g + 1) * stripes / groups;

            f.k_first = k * f.K / parts;
            f.k_last = (k + 1) * f.K / parts;
            for (uint s = s_first; s < s_last; s++) {
                const uint from = s * rows / stripes, to = (s + 1) * rows / stripes;
                forward_tile(&f, tile, n_first + from, to - from, room[s - s_first]);
            }
        }
    }
}
