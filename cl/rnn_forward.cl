// SPDX-License-Identifier: MIT
// The forward pass of a recurrent layer on CPUs; a launch computes some or all time steps. Method and terms:
// cl/rnn_tile.h; formulas: doc/maths.md; padding: as in cl/rnn.cl.
//
// Defines: CELL and RELU as in rnn_cell.h; WIDTH, ROWS and AHEAD as in rnn_tile.h; TILE, vectors of hidden units in a
// tile (only for cell rnn).
#include "rnn_cell.h"

#if CELL == CELL_RNN
#define P TILE
#define SLOTS TILE
#define TILE_UNITS (TILE * WIDTH)
#elif CELL == CELL_LSTM // a tile has the 4 gates of one vector of units
#define P 4
#define SLOTS 4
#define TILE_UNITS WIDTH
#else // a tile has gates r, z, n of one vector of units; the input's and the hidden state's part of n have a slot each
#define P 3
#define SLOTS 4
#define TILE_UNITS WIDTH
#endif

#include "rnn_tile.h"
#include "transpose.h"

#define TILES(H) (((H) + TILE_UNITS - 1) / TILE_UNITS)

// The rows of the weights that make up one vector of a tile: `count` rows, from row gate * H + unit on.
struct column {
    uint gate, unit, count;
};

static struct column column_of(uint tile, uint v, uint H)
{
    struct column c;

    c.gate = CELL == CELL_RNN ? 0 : v;
    c.unit = tile * TILE_UNITS + (CELL == CELL_RNN ? v * WIDTH : 0);
    c.count = c.unit >= H ? 0 : min((uint)WIDTH, H - c.unit);
    return c;
}

// Packs the weights w [GATES*H, K] of each direction into packed [D, TILES, K_all, P, WIDTH]. Column k of w becomes
// row k_first + k of K_all. So the vectors of a tile are contiguous. Beyond the last unit, `packed` is 0. A work-item
// computes one of the P vectors of a tile for all K.
kernel void rnn_pack_fwd(struct rnn_args args, global const real *w0, global const real *w1, global real *packed,
                         uint K, uint k_first)
{
    const uint H = args.H, D = args.D, K_all = args.C + H;
    const uint v = get_global_id(0) % P, tile = get_global_id(0) / P, d = get_global_id(1);
    if (tile >= TILES(H) || d >= D)
        return;

    const struct column c = column_of(tile, v, H);
    global const real *from = (d ? w1 : w0) + ((size_t)c.gate * H + c.unit) * K;
    global real *to = packed + (((size_t)(d * TILES(H) + tile) * K_all + k_first) * P + v) * WIDTH;

    uint k = 0;

    for (; c.count == WIDTH && k + WIDTH <= K; k += WIDTH) {
        realv x[WIDTH];

#pragma unroll
        for (uint i = 0; i < WIDTH; i++)
            x[i] = vec_load(0, from + (size_t)i * K + k);
        transpose(x);
#pragma unroll
        for (uint i = 0; i < WIDTH; i++)
            vec_store(x[i], 0, to + (size_t)(k + i) * P * WIDTH);
    }
    for (; k < K; k++) {
        real column[WIDTH];

        ROLLED for (uint i = 0; i < WIDTH; i++)
            column[i] = i < c.count ? from[(size_t)i * K + k] : 0.0f;
        vec_store(vec_load(0, column), 0, to + (size_t)k * P * WIDTH);
    }
}

// Packs the sums of input bias and hidden bias into packed [D, TILES, SLOTS, WIDTH]. For n of gru the two biases stay
// separate. A work-item computes one tile.
kernel void rnn_pack_bias(struct rnn_args args, global const real *ih0, global const real *hh0,
                          global const real *ih1, global const real *hh1, global real *packed)
{
    const uint H = args.H, D = args.D;
    const uint tile = get_global_id(0), d = get_global_id(1);
    if (tile >= TILES(H) || d >= D)
        return;

    global const real *ih = d ? ih1 : ih0, *hh = d ? hh1 : hh0;

    ROLLED for (uint s = 0; s < SLOTS; s++) {
        const struct column c = column_of(tile, CELL == CELL_GRU ? min(s, 2u) : s, H);
        realv b = 0.0f;

        if (ih && c.count) {
            const realv i = load_units(ih + c.gate * H, c.unit, H), h = load_units(hh + c.gate * H, c.unit, H);

            b = CELL != CELL_GRU || s < 2 ? i + h : s == 2 ? i : h;
        }
        vec_store(b, 0, packed + ((size_t)(d * TILES(H) + tile) * SLOTS + s) * WIDTH);
    }
}

struct forward { // arguments for one direction and step
    global const real *x, *packed, *bias;
    global const real *start, *past; // initial states, as in cl/rnn.cl
    global real *pre, *cell, *y;
    global const int *lengths;
    uint T, N, C, H, DH, save;
    size_t d, t, // t: this step
        before;  // the step that the direction visits before step t, or t if there is none
    size_t time; // number of this step in the whole sequence, for x, lengths and initial states
};

// Checks whether this step is the one of sample n that the direction visits first.
static bool is_first(const struct forward *f, size_t n)
{
    return f->time == (f->d ? (f->lengths ? (size_t)f->lengths[n] : (size_t)f->T) - 1 : 0);
}

static bool is_padding(const struct forward *f, size_t n)
{
    return f->lengths && (int)f->time >= f->lengths[n];
}

// Loads the gates of a row from the accumulators.
static inline void load_tile(realv a[4], const real *acc)
{
#pragma unroll
    for (int s = 0; s < 4; s++)
        a[s] = vec_load(s, acc);
}

// Stores the activations of a row for backward.
static inline void save_gates(const struct forward *f, uint unit, size_t n, const realv a[4])
{
#pragma unroll
    for (int s = 0; s < 4; s++)
        if (f->save)
            store_units(a[s], f->pre + (f->t * f->N + n) * 4 * f->H + s * f->H, unit, f->H);
}

// Initialises the accumulators with the biases. Adds the product of x and its weights if an earlier launch has computed
// it. Adds the product of the initial state and its weights in a sample's first step.
static void forward_start(const struct forward *f, uint tile, size_t n, uint rows, real *acc)
{
#pragma unroll
    for (uint s = 0; s < SLOTS; s++) {
        const struct column c = column_of(tile, s, f->H);
        const realv b = vec_load(tile * SLOTS + s, f->bias);

        for (uint r = 0; r < rows; r++) {
            realv a = b;

            if (f->C == 0 && c.count && s < P) {
                const size_t row = f->t * f->N + n + r;
                global const real *pre = f->pre + row * (CELL == CELL_RNN ? f->DH : 4 * f->H) + c.gate * f->H;
                a += load_units(pre, c.unit, f->H);
            }
            if (f->start && c.count && is_first(f, n + r) && (CELL != CELL_GRU || s != 2))
                a += load_units(f->start + ((n + r) * GATES + min(c.gate, GATES - 1)) * f->H, c.unit, f->H);
            vec_store(a, r * SLOTS + s, acc);
        }
    }
}

// forward_finish computes the activations of one tile of a stripe and stores h, the cell and what backward reads. For
// lstm and gru it makes two passes over all rows: rows are independent, so a core works on several at a time. In one
// pass, each operation from the gates to h of a row would wait for the operation before it.
#if CELL == CELL_RNN
static void forward_finish(const struct forward *f, uint tile, size_t n, uint rows, real *acc)
{
    for (uint r = 0; r < rows; r++)
        for (uint p = 0; p < P && tile * TILE_UNITS + p * WIDTH < f->H; p++) {
            const realv h = rnn_activation(vec_load(r * SLOTS + p, acc));
            global real *y = f->y + (f->t * f->N + n + r) * f->DH;

            store_units(is_padding(f, n + r) ? (realv)(0.0f) : h, y, tile * TILE_UNITS + p * WIDTH, f->H);
        }
}
#elif CELL == CELL_LSTM
// The first pass for one row: computes the gates and the cell. Writes o and the cell to vectors 0 and 1 of acc.
static void forward_cell(const struct forward *f, uint unit, size_t n, real *acc)
{
    const uint H = f->H;
    const size_t cell_step = f->save ? f->N * H : 0; // if not `save`, each step overwrites the cell
    const bool padding = is_padding(f, n);
    const realv zero = 0.0f;
    global real *cell = f->cell + n * H;
    realv a[4], now;

    load_tile(a, acc);
    now = lstm_cell(a, f->past && is_first(f, n) ? load_units(f->past + n * H, unit, H)
                       : f->before == f->t       ? zero
                                                 : load_units(cell + f->before * cell_step, unit, H));
    now = padding ? zero : now;
    store_units(now, cell + f->t * cell_step, unit, H);
    save_gates(f, unit, n, a);
    vec_store(padding ? zero : a[3], 0, acc);
    vec_store(now, 1, acc);
}

static void forward_finish(const struct forward *f, uint tile, size_t n, uint rows, real *acc)
{
    const uint unit = tile * TILE_UNITS;

    for (uint r = 0; r < rows; r++)
        forward_cell(f, unit, n + r, acc + r * SLOTS * WIDTH);
    for (uint r = 0; r < rows; r++)
        store_units(vec_load(r * SLOTS, acc) * tanh_vec(vec_load(r * SLOTS + 1, acc)),
                    f->y + (f->t * f->N + n + r) * f->DH, unit, f->H);
}
#else
// The second pass for one row: computes h from r, z and the two parts of n.
static void forward_output(const struct forward *f, uint unit, size_t n, const real *acc)
{
    const uint H = f->H;
    const realv zero = 0.0f;
    realv a[4], h;

    load_tile(a, acc);
    h = gru_output(a, f->past && is_first(f, n) ? load_units(f->past + n * H, unit, H)
                      : f->before == f->t       ? zero
                                                : load_units(f->y + (f->before * f->N + n) * f->DH, unit, H));
    store_units(is_padding(f, n) ? zero : h, f->y + (f->t * f->N + n) * f->DH, unit, H);
    save_gates(f, unit, n, a);
}

static void forward_finish(const struct forward *f, uint tile, size_t n, uint rows, real *acc)
{
    for (uint i = 0; i < 2 * rows; i++) { // the first pass: computes r and z
        const uint at = i / 2 * SLOTS + i % 2;

        vec_store(sigmoid_vec(vec_load(at, acc)), at, acc);
    }
    for (uint r = 0; r < rows; r++)
        forward_output(f, tile * TILE_UNITS, n + r, acc + r * SLOTS * WIDTH);
}
#endif

// Writes the results of a tile if step t is padding for all its rows.
static void forward_skip(const struct forward *f, uint tile, size_t n, uint rows)
{
    const uint H = f->H, first = tile * TILE_UNITS, last = min(first + TILE_UNITS, H);

    for (uint r = 0; r < rows; r++)
        for (uint unit = first; unit < last; unit += WIDTH) {
            store_units((realv)(0.0f), f->y + (f->t * f->N + n + r) * f->DH, unit, H);
            if (CELL == CELL_LSTM)
                store_units((realv)(0.0f), f->cell + (f->save ? f->t * f->N + n + r : n + r) * H, unit, H);
        }
}

// Prefetches the cache lines that forward_finish will write.
static void forward_prefetch(const struct forward *f, uint tile, size_t n, uint rows)
{
    const uint H = f->H, unit = tile * TILE_UNITS;

    for (uint r = 0; r < rows; r++) {
        const size_t row = f->t * f->N + n + r;

        for (int p = 0; p < (CELL == CELL_RNN ? P : 1); p++)
            PREFETCH_WRITE(f->y + row * f->DH + unit + p * WIDTH);
        if (CELL != CELL_RNN && f->save)
            for (int s = 0; s < 4; s++)
                PREFETCH_WRITE(f->pre + row * 4 * H + s * H + unit);
        if (CELL == CELL_LSTM && f->save)
            PREFETCH_WRITE(f->cell + row * H + unit);
    }
}

// Computes one tile for stripe i, which has `rows` rows from row n on. While it multiplies, it prefetches a part of the
// weights of the tile `next`; each stripe prefetches another part.
static void forward_tile(const struct forward *f, uint tile, size_t n, uint rows, uint next, uint i, uint stripes)
{
    const uint C = f->C, H = f->H;
    const size_t size = (size_t)(C + H) * P * WIDTH;
    global const real *w = f->packed + tile * size;
    struct ahead ahead = ahead_of(f->packed + next * size, (size_t)(C + H) * WIDTH, i, stripes);
    real acc[ROWS * SLOTS * WIDTH];

    if (f->lengths && all_padding(f->lengths + n, rows, f->time)) {
        forward_skip(f, tile, n, rows);
        return;
    }
    forward_start(f, tile, n, rows, acc);
    forward_prefetch(f, tile, n, rows);
    if (C)
        accumulate(acc, rows, P - 1, f->x + (f->time * f->N + n) * C, C, w, C, ahead);
    ahead.next += C * WIDTH;
    if (f->before != f->t)
        accumulate(acc, rows, SLOTS - 1, f->y + (f->before * f->N + n) * f->DH, f->DH, w + (size_t)C * P * WIDTH, H,
                   ahead);
    forward_finish(f, tile, n, rows, acc);
}

// Computes steps [first, last) of rnn_args. In a launch of more than one step, a work-item must have all tiles of its
// rows. A work-item computes:
// - id 0: item_rows rows, from row item_rows * id 0 on
// - id 1: item_tiles tiles, from tile item_tiles * id 1 on
// - id 2: direction `direction` + id 2
//
//   x     [T, N, C]: multiplied by its weights here, unless C is 0
//   pre   [D, T, N, 4H] (rnn: pre is y): on entry, if C is 0, the product of x and its weights; on return, if `save`,
//         the activations. NULL is allowed if C is not 0 and `save` is 0.
//   cell  [D, T, N, H] (lstm); if not `save`, [D, N, H]
// lengths, start and past may be NULL.
kernel void rnn_forward(struct rnn_args args, global const real *x, global const real *packed,
                        global const real *bias, global real *pre, global real *cell, global real *y,
                        global const int *lengths, global const real *start, global const real *past)
{
    const uint T = args.T, N = args.N, C = args.C, H = args.H, D = args.D;
    const uint n_first = get_global_id(0) * args.item_rows, tile_first = get_global_id(1) * args.item_tiles;
    const size_t d = get_global_id(2) + args.direction;
    if (n_first >= N || tile_first >= TILES(H) || d >= D)
        return;

    const uint rows = min(args.item_rows, N - n_first), tile_last = min(tile_first + args.item_tiles, TILES(H));
    struct forward f;

    f.x = x;
    f.packed = packed + d * TILES(H) * (C + H) * P * WIDTH;
    f.bias = bias + d * TILES(H) * SLOTS * WIDTH;
    f.pre = pre + (CELL == CELL_RNN ? d * H : d * T * N * 4 * H);
    f.cell = cell + d * (args.save ? T : 1) * N * H;
    f.y = y + d * H;
    f.lengths = lengths;
    f.start = start ? start + d * N * GATES * H : start;
    f.past = past ? past + d * N * H : past;
    f.d = d;
    f.T = args.whole;
    f.N = N;
    f.C = C;
    f.H = H;
    f.DH = D * H;
    f.save = args.save;
    for (uint step = args.first; step < args.last; step++) {
        f.t = d ? T - 1 - step : step;
        f.time = f.t + args.offset;
        f.before = step == 0 ? f.t : d ? f.t + 1 : f.t - 1;
        for (uint tile = tile_first; tile < tile_last; tile++)
            for (uint i = 0; i < stripes_of(rows); i++) {
                const struct stripe s = stripe_at(i, rows);
                forward_tile(&f, tile, n_first + s.row, s.rows, tile + 1 < tile_last ? tile + 1 : tile_first, i,
                             stripes_of(rows));
            }
    }
}
