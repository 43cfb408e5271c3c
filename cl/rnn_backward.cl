// SPDX-License-Identifier: MIT
// The backward pass of a recurrent layer on CPUs; a launch computes some or all time steps. Method and terms:
// cl/rnn_tile.h; formulas: doc/maths.md; padding: as in cl/rnn.cl.
//
// Defines: CELL and RELU as in rnn_cell.h; WIDTH, ROWS and AHEAD as in rnn_tile.h; TILE, vectors of hidden units in a
// tile.
#include "rnn_cell.h"
#define P TILE
#define SLOTS TILE
#define TILE_UNITS (TILE * WIDTH)

#include "rnn_tile.h"

#define TILES(H) (((H) + TILE_UNITS - 1) / TILE_UNITS)

// Packs the weights w [GATES*H, H] of each direction into tiles, packed [D, TILES, GATES*H, P, WIDTH], with zeros
// beyond the last unit. A work-item copies `item_rows` rows of a tile.
kernel void rnn_pack_bwd(struct rnn_args args, global const real *w0, global const real *w1, global real *packed,
                         uint item_rows)
{
    const uint H = args.H, D = args.D;
    const uint tile = get_global_id(0), first = get_global_id(1) * item_rows, d = get_global_id(2);
    if (tile >= TILES(H) || first >= GATES * H || d >= D)
        return;

    global const real *from = d ? w1 : w0;
    global real *to = packed + ((size_t)(d * TILES(H) + tile) * GATES * H + first) * P * WIDTH;

    for (uint k = first; k < min(first + item_rows, GATES * H); k++, to += P * WIDTH)
        for (uint p = 0; p < P; p++) {
            const uint unit = tile * TILE_UNITS + p * WIDTH;
            vec_store(unit < H ? load_units(from + (size_t)k * H, unit, H) : (realv)(0.0f), p, to);
        }
}

struct backward { // arguments for one direction and step
    global const real *packed, *y, *cell, *dy;
    global const real *past, *carried; // initial states and gradients of final states, as in cl/rnn.cl
    global real *gates, *carry, *bias;
    global const int *lengths;
    uint T, N, H, DH;
    size_t d, t,    // t: this step
        after,      // the step that forward computed after step t, or t if there is none
        before;     // the step that forward computed before step t, or t if there is none
    size_t earlier; // the step that forward computed before `before`, or `before` if there is none
    size_t time;    // number of this step in the whole sequence, for dy, lengths and initial states
};

// Initialises the accumulators with dy. For gru, adds the part of the gradient of h that bypasses the multiply by the
// recurrent weights in step `after`.
static void backward_start(const struct backward *b, uint tile, size_t n, uint rows, real *acc)
{
    const uint H = b->H;

    for (uint r = 0; r < rows; r++)
        for (uint p = 0; p < P; p++) {
            const uint unit = tile * TILE_UNITS + p * WIDTH;
            realv dh = 0.0f;

            if (unit < H)
                dh = load_units(b->dy + (b->time * b->N + n + r) * b->DH, unit, H);
            if (CELL == CELL_GRU && unit < H && b->after != b->t)
                dh += load_units(b->carry + (n + r) * H, unit, H);
            vec_store(dh, r * SLOTS + p, acc);
        }
}

// Returns the gradient that step `after` passes back to the cell (lstm) or, bypassing the multiply, to h (gru).
static realv handed_on(const struct backward *b, size_t n, uint unit)
{
    const uint H = b->H;

    if (b->after != b->t)
        return load_units(b->carry + n * H, unit, H);
    return CELL == CELL_LSTM && b->carried ? load_units(b->carried + n * H, unit, H) : (realv)(0.0f);
}

// Writes the results of a tile if step t is padding for all its rows.
static void backward_skip(const struct backward *b, uint tile, size_t n, uint rows)
{
    const uint H = b->H, first = tile * TILE_UNITS, last = min(first + TILE_UNITS, H);

    for (uint r = 0; r < rows; r++)
        for (uint unit = first; unit < last; unit += WIDTH) {
            ROLLED for (uint g = 0; g < RESERVE; g++)
                store_units((realv)(0.0f), b->gates + ((b->t * b->N + n + r) * RESERVE + g) * H, unit, H);
            if (CELL != CELL_RNN)
                store_units(handed_on(b, n + r, unit), b->carry + (n + r) * H, unit, H);
        }
}

// Computes the gate gradients of a vector of units in a row, and adds them to sum. dh: gradient of h. t: tanh(c), used
// only for lstm.
static void backward_unit(const struct backward *b, size_t n, uint unit, realv dh, realv t, realv sum[RESERVE])
{
    const uint H = b->H;
    const size_t row = b->t * b->N + n;
    const bool padding = b->lengths && (int)b->time >= b->lengths[n];
    global real *gates = b->gates + row * RESERVE * H;
    realv da[RESERVE];
#if CELL == CELL_RNN
    da[0] = rnn_gradient(dh, load_units(b->y + row * b->DH, unit, H));
#else
    global real *carry = b->carry + n * H;
    const realv zero = 0.0f, kept = handed_on(b, n, unit);
    const bool initial =
        b->past && b->time == (b->d ? (b->lengths ? (size_t)b->lengths[n] : (size_t)b->T) - 1 : 0);
    realv a[RESERVE], pass;

#pragma unroll
    for (uint g = 0; g < RESERVE; g++)
        a[g] = load_units(gates + g * H, unit, H);
#if CELL == CELL_LSTM
    const realv before = initial             ? load_units(b->past + n * H, unit, H)
                         : b->before == b->t ? zero
                                             : load_units(b->cell + (b->before * b->N + n) * H, unit, H);

    pass = lstm_gradient(dh, kept, t, before, a, da);
#else
    const realv before = initial             ? load_units(b->past + n * H, unit, H)
                         : b->before == b->t ? zero
                                             : load_units(b->y + (b->before * b->N + n) * b->DH, unit, H);

    pass = gru_gradient(dh, before, a, da);
#endif
    store_units(padding ? kept : pass, carry, unit, H);
#endif
#pragma unroll
    for (uint g = 0; g < RESERVE; g++) {
        if (padding)
            da[g] = 0.0f;
        store_units(da[g], gates + g * H, unit, H);
        sum[g] += da[g];
    }
}

static void backward_finish(const struct backward *b, uint tile, size_t n, uint rows, const real *acc)
{
    const uint H = b->H;
    real t[ROWS * WIDTH];

    for (uint p = 0; p < P; p++) {
        const uint unit = tile * TILE_UNITS + p * WIDTH;
        realv sum[RESERVE];

        if (unit >= H)
            break;
#pragma unroll
        for (uint g = 0; g < RESERVE; g++)
            sum[g] = b->bias ? load_units(b->bias + g * H, unit, H) : (realv)(0.0f);
        // Computes tanh(c) of all rows first: rows are independent, so a core works on several at a time.
        for (uint r = 0; CELL == CELL_LSTM && r < rows; r++)
            vec_store(tanh_vec(load_units(b->cell + (b->t * b->N + n + r) * H, unit, H)), r, t);
        for (uint r = 0; r < rows; r++)
            backward_unit(b, n + r, unit, vec_load(r * SLOTS + p, acc),
                          CELL == CELL_LSTM ? vec_load(r, t) : (realv)(0.0f), sum);
        for (uint g = 0; b->bias && g < RESERVE; g++)
            store_units(sum[g], b->bias + g * H, unit, H);
    }
}

// Prefetches what backward_start and backward_unit will read for the tile `next`. If next <= tile, this is the first
// tile of the next step to be computed. These numbers were written so long ago that they are no longer in the caches.
static void backward_prefetch(const struct backward *b, uint tile, uint next, size_t n, uint rows)
{
    const uint H = b->H;
    const size_t t = next > tile ? b->t : b->before, before = next > tile ? b->before : b->earlier;
    const size_t time = b->time - b->t + t;

    for (uint r = 0; r < rows; r++)
        for (uint p = 0; p < P; p++) {
            const uint unit = next * TILE_UNITS + p * WIDTH;

            if (unit >= H)
                break;
            PREFETCH(b->dy + (time * b->N + n + r) * b->DH + unit);
#pragma unroll
            for (uint g = 0; g < RESERVE; g++)
                PREFETCH(b->gates + ((t * b->N + n + r) * RESERVE + g) * H + unit);
            if (CELL == CELL_LSTM)
                PREFETCH(b->cell + (before * b->N + n + r) * H + unit);
            else
                PREFETCH(b->y + ((CELL == CELL_GRU ? before : t) * b->N + n + r) * b->DH + unit);
        }
}

// Computes one tile for stripe i, which has `rows` rows from row n on. While it multiplies, it prefetches a part of the
// weights of the tile `next`; each stripe prefetches another part.
static void backward_tile(const struct backward *b, uint tile, size_t n, uint rows, uint next, uint i, uint stripes)
{
    // gru: column block 3 has the gradient of W_hn h + b_hn, the hidden state's part of gate n
    const uint H = b->H, low = CELL == CELL_GRU ? 2 * H : GATES * H;
    const size_t size = (size_t)GATES * H * P * WIDTH;
    global const real *a = b->gates + (b->after * b->N + n) * RESERVE * H;
    global const real *w = b->packed + tile * size;
    struct ahead ahead = ahead_of(b->packed + next * size, (size_t)GATES * H * WIDTH, i, stripes);
    real acc[ROWS * SLOTS * WIDTH];

    if (b->lengths && all_padding(b->lengths + n, rows, b->time)) {
        backward_skip(b, tile, n, rows);
        return;
    }
    backward_start(b, tile, n, rows, acc);
    backward_prefetch(b, tile, next, n, rows);
    if (b->after != b->t)
        accumulate(acc, rows, P - 1, a, RESERVE * H, w, low, ahead);
    ahead.next += low * WIDTH;
    if (b->after != b->t && low < GATES * H)
        accumulate(acc, rows, P - 1, a + 3 * H, RESERVE * H, w + (size_t)low * P * WIDTH, H, ahead);
    backward_finish(b, tile, n, rows, acc);
}

// Computes steps [first, last) of rnn_args, counted from the step that forward computed last. Ids and sizes are as in
// rnn_forward. lengths, past and carried may be NULL.
//   gates  [D, T, N, RESERVE*H]: as in rnn_step_bwd of cl/rnn.cl
//   carry  [D, N, H]: the gradient that a step passes back to the cell (lstm) or, bypassing the multiply, to h (gru).
//          The last step passes it back to the initial state.
//   bias   [D, items, RESERVE*H]: the sums of each work-item's gate gradients, or NULL
kernel void rnn_backward(struct rnn_args args, global const real *packed, global real *gates,
                         global const real *y, global const real *cell, global const real *dy, global real *carry,
                         global real *bias, global const int *lengths, global const real *past,
                         global const real *carried)
{
    const uint T = args.T, N = args.N, H = args.H, D = args.D, item_rows = args.item_rows, item_tiles = args.item_tiles;
    const uint n_first = get_global_id(0) * item_rows, tile_first = get_global_id(1) * item_tiles;
    const size_t d = get_global_id(2) + args.direction, items = (N + item_rows - 1) / item_rows;
    if (n_first >= N || tile_first >= TILES(H) || d >= D)
        return;

    const uint rows = min(item_rows, N - n_first), tile_last = min(tile_first + item_tiles, TILES(H));
    struct backward b;

    b.packed = packed + d * TILES(H) * GATES * H * P * WIDTH;
    b.y = y + d * H;
    b.cell = cell + d * T * N * H;
    b.dy = dy + d * H;
    b.gates = gates + d * T * N * RESERVE * H;
    b.carry = carry + d * N * H;
    b.bias = bias ? bias + (d * items + get_global_id(0)) * RESERVE * H : bias;
    b.lengths = lengths;
    b.past = past ? past + d * N * H : past;
    b.carried = carried ? carried + d * N * H : carried;
    b.d = d;
    b.T = args.whole;
    b.N = N;
    b.H = H;
    b.DH = D * H;
    if (bias && args.first == 0)
        ROLLED for (uint g = 0; g < RESERVE; g++)
            ROLLED for (uint unit = tile_first * TILE_UNITS; unit < min(tile_last * TILE_UNITS, H); unit += WIDTH)
                store_units((realv)(0.0f), b.bias + g * H, unit, H);

    for (uint step = args.first; step < args.last; step++) {
        b.t = d ? step : T - 1 - step;
        b.time = b.t + args.offset;
        b.after = step == 0 ? b.t : d ? b.t - 1 : b.t + 1;
        b.before = step + 1 == T ? b.t : d ? b.t + 1 : b.t - 1;
        b.earlier = step + 2 >= T ? b.before : d ? b.t + 2 : b.t - 2;
        for (uint tile = tile_first; tile < tile_last; tile++)
            for (uint i = 0; i < stripes_of(rows); i++) {
                const struct stripe s = stripe_at(i, rows);
                backward_tile(&b, tile, n_first + s.row, s.rows, tile + 1 < tile_last ? tile + 1 : tile_first, i,
                              stripes_of(rows));
            }
    }
}
