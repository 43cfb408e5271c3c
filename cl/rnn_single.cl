// SPDX-License-Identifier: MIT
// A recurrent layer with a single time step, on CPUs. In a small layer, launching a kernel takes as long as a multiply.
// So forward of a small layer is one launch, multiplies included. Backward is one launch in a small layer whose cell is
// rnn or whose dx is not wanted. Otherwise further launches compute dw_ih and dx (src/ops/rnn.c). Formulas:
// doc/maths.md.
//
// x [N, C] or, if x_rows is not NULL, a data set of which row x_rows[n] is sample n; y, dy [N, D*H]; gates and cell as
// in cl/rnn.cl with T = 1. The initial state is zero, so the recurrent weights have no effect.
//
// Defines: CELL and RELU as in rnn_cell.h; WIDTH 4, 8 or 16; PARTS, vectors of units that a work-item computes in
// forward (lstm, gru: 1); TILE, rows of a tile of the multiplies in backward.
#include "rnn_cell.h"
#include "transpose.h"

// Number of vectors in a tile of sums. They take 24 of the 32 vector registers of AVX-512, or 12 of the 16 or more
// registers of other CPUs.
#if WIDTH == 16
#define SUMS 24
#define P 4 // vectors side by side in backward's multiplies
#else
#define SUMS 12
#define P 2
#endif
#define V (PARTS * (int)GATES) // vectors side by side in forward's multiply
#define ROWS (SUMS / V > 6 ? 6 : SUMS / V)

static inline size_t sample(global const uint *x_rows, uint n)
{
    return x_rows ? x_rows[n] : n;
}

// ---------------------------------------------------------------- forward

// Transposes w [units, C] into one of the V vectors of to [C, V, WIDTH], with zeros beyond the last unit.
static inline void turn_weights(global const real *w, uint units, uint C, local real *to)
{
    uint k = 0;

    for (; units >= WIDTH && k + WIDTH <= C; k += WIDTH) {
        realv block[WIDTH];

#pragma unroll
        for (int i = 0; i < WIDTH; i++)
            block[i] = vec_load(0, w + (size_t)i * C + k);
        transpose(block);
#pragma unroll
        for (int i = 0; i < WIDTH; i++)
            vec_store(block[i], 0, to + (k + i) * V * WIDTH);
    }
    for (; k < C; k++)
        ROLLED for (uint i = 0; i < WIDTH; i++)
            to[k * V * WIDTH + i] = i < units ? w[(size_t)i * C + k] : 0.0f;
}

// Loads the biases of units [j, j + WIDTH): the sums of input bias and hidden bias. For n of gru they stay separate, in
// bias[2] and bias[3].
static inline void load_biases(global const real *ih, global const real *hh, uint j, uint H, realv bias[4])
{
    for (int g = 0; g < 4; g++)
        bias[g] = 0.0f;
    for (int g = 0; ih && g < (CELL == CELL_RNN ? 1 : 4); g++) {
        if (CELL != CELL_GRU || g < 3)
            bias[g] += load_units(ih + g * H, j, H);
        if (CELL != CELL_GRU || g != 2)
            bias[g] += load_units(hh + min(g, (int)GATES - 1) * H, j, H);
    }
}

// Computes the activations of units [j, j + WIDTH) of a row. in: the product of x and its weights. Stores y, gates and
// cell of the row; gates and cell may be NULL.
static inline void finish_row(const realv in[GATES], const realv bias[4], global real *y, global real *gates,
                              global real *cell, uint j, uint H)
{
#if CELL == CELL_RNN
    store_units(rnn_activation(in[0] + bias[0]), y, j, H);
#else
    const realv zero = 0.0f;
    realv a[4];

    for (int g = 0; g < 4; g++)
        a[g] = g < (int)GATES ? in[g] + bias[g] : bias[g];
#if CELL == CELL_LSTM
    const realv now = lstm_cell(a, zero);

    if (cell)
        store_units(now, cell, j, H);
    store_units(a[3] * tanh_vec(now), y, j, H);
#else
    store_units(gru_cell(a, zero), y, j, H);
#endif
    for (int g = 0; gates && g < 4; g++)
        store_units(a[g], gates + g * H, j, H);
#endif
}

// Computes the forward pass. A work-item computes PARTS vectors of units (id 0) in `item_rows` rows (id 1) of a
// direction (id 2). Biases, gates and cell may be NULL. panel: local memory for C * V * WIDTH numbers.
kernel void rnn_single_fwd(struct rnn_args args, global const real *x, global const uint *x_rows,
                           global const real *w0, global const real *w1, global const real *bias_ih0,
                           global const real *bias_hh0, global const real *bias_ih1, global const real *bias_hh1,
                           global real *gates, global real *cell, global real *y, local real *panel)
{
    const uint N = args.N, C = args.C, H = args.H, D = args.D, item_rows = args.item_rows;
    const uint j0 = get_global_id(0) * PARTS * WIDTH;
    const uint first = get_global_id(1) * item_rows, last = min(N, first + item_rows);
    const size_t d = get_global_id(2);
    if (j0 >= H || first >= N || d >= D)
        return;

    realv bias[PARTS][4];

    for (uint p = 0; p < PARTS; p++) {
        const uint j = min(j0 + p * WIDTH, H), units = min(j + WIDTH, H) - j;

        if (units)
            load_biases(d ? bias_ih1 : bias_ih0, d ? bias_hh1 : bias_hh0, j, H, bias[p]);
        for (uint g = 0; g < GATES; g++)
            turn_weights((d ? w1 : w0) + ((size_t)g * H + j) * C, units, C, panel + (p * GATES + g) * WIDTH);
    }
    for (uint n = first; n < last; n += ROWS) {
        global const real *row[ROWS]; // entries beyond the last row repeat the last row; their sums are not stored
        realv sum[ROWS][V];

#pragma unroll
        for (int r = 0; r < ROWS; r++) {
            row[r] = x + sample(x_rows, min(n + r, last - 1)) * C;
#pragma unroll
            for (int v = 0; v < V; v++)
                sum[r][v] = 0.0f;
        }
        for (uint k = 0; k < C; k++) {
            // Of 16 vector registers the sums (SUMS) take 12. The fewer operands, the ROWS inputs or the V vectors of
            // weights, are kept in registers; the others are loaded one at a time.
            if (ROWS < V) {
                realv one[ROWS];

#pragma unroll
                for (int r = 0; r < ROWS; r++)
                    one[r] = row[r][k];
#pragma unroll
                for (int v = 0; v < V; v++) {
                    const realv w = vec_load(v, panel + k * V * WIDTH);

#pragma unroll
                    for (int r = 0; r < ROWS; r++)
                        sum[r][v] = FMA(one[r], w, sum[r][v]);
                }
            } else {
                realv w[V];

#pragma unroll
                for (int v = 0; v < V; v++)
                    w[v] = vec_load(v, panel + k * V * WIDTH);
#pragma unroll
                for (int r = 0; r < ROWS; r++) {
                    const realv one = row[r][k];

#pragma unroll
                    for (int v = 0; v < V; v++)
                        sum[r][v] = FMA(one, w[v], sum[r][v]);
                }
            }
        }
        for (uint r = 0; r < min((uint)ROWS, last - n); r++)
            for (uint p = 0; p < PARTS && j0 + p * WIDTH < H; p++) {
                const size_t at = n + r;

                finish_row(sum[r] + p * GATES, bias[p], y + at * D * H + d * H,
                           gates ? gates + (d * N + at) * 4 * H : gates, cell ? cell + (d * N + at) * H : cell,
                           j0 + p * WIDTH, H);
            }
    }
}

// ---------------------------------------------------------------- backward

#define RUN 32 // number of rows in a partial sum: rounding errors grow with RUN + N / RUN instead of N

// Buffers of the backward pass. Gradients are NULL if they are not wanted, or if there is no second direction.
struct backward {
    global const real *x, *y, *cell, *dy, *w[2];
    global const uint *x_rows;
    global const int *lengths;
    global real *gates, *db_ih[2], *db_hh[2], *dw_ih[2], *dw_hh[2], *dx, *through;
    uint N, C, H, D;
};

// Computes the gate gradients of units [j, j + WIDTH) in row n.
static inline void gate_gradients(const struct backward *b, size_t d, size_t n, uint j, realv da[RESERVE])
{
    const uint H = b->H;
    const size_t ld = b->D * H;
    const bool padding = b->lengths && b->lengths[n] < 1;
    const realv zero = 0.0f, dh = load_units(b->dy + n * ld + d * H, j, H);
#if CELL == CELL_RNN
    da[0] = rnn_gradient(dh, load_units(b->y + n * ld + d * H, j, H));
#else
    global real *gate = b->gates + (d * b->N + n) * RESERVE * H;
    realv a[RESERVE];

    for (uint g = 0; g < RESERVE; g++)
        a[g] = load_units(gate + g * H, j, H);
#if CELL == CELL_LSTM
    lstm_gradient(dh, zero, tanh_vec(load_units(b->cell + (d * b->N + n) * H, j, H)), zero, a, da);
#else
    gru_gradient(dh, zero, a, da);
#endif
#endif
    for (uint g = 0; g < RESERVE; g++)
        da[g] = padding ? zero : da[g];
}

// Writes for units [j, j + WIDTH): the gate gradients in all rows, their sums over the rows (the bias gradients), and
// zeros as the gradients of the recurrent weights.
static void unit_gradients(const struct backward *b, size_t d, uint j)
{
    const uint N = b->N, H = b->H;
    const realv zero = 0.0f;
    realv sum[RESERVE], part[RESERVE];

    for (uint g = 0; g < RESERVE; g++)
        sum[g] = part[g] = zero;
    for (size_t n = 0; n < N; n++) {
        realv da[RESERVE];

        gate_gradients(b, d, n, j, da);
        for (uint g = 0; g < RESERVE; g++) {
            store_units(da[g], b->gates + ((d * N + n) * RESERVE + g) * H, j, H);
            part[g] += da[g];
            if (n % RUN == RUN - 1) {
                sum[g] += part[g];
                part[g] = zero;
            }
        }
    }
    for (uint g = 0; g < GATES; g++) {
        const uint hidden = CELL == CELL_GRU && g == 2 ? 3 : g; // gru: block 3 is W_hn h + b_hn

        if (b->db_ih[d])
            store_units(sum[g] + part[g], b->db_ih[d] + g * H, j, H);
        if (b->db_hh[d])
            store_units(sum[hidden] + part[hidden], b->db_hh[d] + g * H, j, H);
        for (uint i = j; b->dw_hh[d] && i < min(j + WIDTH, H); i++)
            for (uint k = 0; k < H; k += WIDTH)
                store_units(zero, b->dw_hh[d] + ((size_t)g * H + i) * H, k, H);
    }
}

// A multiply. Its result is to [rows, columns], where `rows` is at most TILE. Row i of `to` becomes the sum over k < K
// of a[i * a_row + k * a_step] * row k of b. If `add`, the sum is added to row i instead. Rows of b are b_ld elements
// apart. If index is not NULL, row k of b is the stored row index[k].
struct product {
    global const real *a, *b;
    size_t a_row, a_step, b_ld;
    global const uint *index;
    global real *to;
    uint rows, K, columns;
    bool add;
};

// Computes `vectors` vectors, P or 1, of each row of the product, from column c on.
static inline __attribute__((always_inline)) void product_tile(const struct product *m, const int vectors, uint c)
{
    real out[TILE * P * WIDTH];
    realv sum[TILE][P];
    size_t row[TILE]; // entries beyond the last row repeat the last row; their sums are not stored

#pragma unroll
    for (int i = 0; i < TILE; i++) {
        row[i] = min((uint)i, m->rows - 1) * m->a_row;
#pragma unroll
        for (int p = 0; p < vectors; p++)
            sum[i][p] = 0.0f;
    }
    for (uint k = 0; k < m->K; k++) {
        global const real *b = m->b + sample(m->index, k) * m->b_ld;
        realv v[P];

#pragma unroll
        for (int p = 0; p < vectors; p++)
            v[p] = vectors == 1 ? load_units(b, c, m->columns) : vec_load(p, b + c);
#pragma unroll
        for (int i = 0; i < TILE; i++) {
            const realv x = m->a[row[i] + k * m->a_step];

#pragma unroll
            for (int p = 0; p < vectors; p++)
                sum[i][p] = FMA(x, v[p], sum[i][p]);
        }
    }
#pragma unroll
    for (int i = 0; i < TILE; i++)
#pragma unroll
        for (int p = 0; p < vectors; p++)
            vec_store(sum[i][p], i * vectors + p, out);
    for (uint i = 0; i < m->rows * vectors; i++) {
        global real *to = m->to + (size_t)(i / vectors) * m->columns;
        const uint at = c + i % vectors * WIDTH;
        realv x = vec_load(i, out);

        if (m->add)
            x += load_units(to, at, m->columns);
        store_units(x, to, at, m->columns);
    }
}

// Computes a product. Not inlined, because the code is long and copies of the code would take time to compile.
static __attribute__((noinline)) void product(const struct product *m)
{
    uint c = 0;

    for (; c + P * WIDTH <= m->columns; c += P * WIDTH)
        product_tile(m, P, c);
    for (; c < m->columns; c += WIDTH)
        product_tile(m, 1, c);
}

// Computes the gradients of the input weights of units [j, j + WIDTH). Reads the units' gate gradients from b->gates.
static void weight_gradients(const struct backward *b, size_t d, uint j)
{
    const uint H = b->H, last = min(j + WIDTH, H);

    for (uint g = 0; g < GATES; g++)
        for (uint i = j; i < last; i += TILE) {
            const struct product m = {.a = b->gates + (d * b->N * RESERVE + g) * H + i,
                                      .b = b->x,
                                      .a_row = 1,
                                      .a_step = RESERVE * H,
                                      .b_ld = b->C,
                                      .index = b->x_rows,
                                      .to = b->dw_ih[d] + ((size_t)g * H + i) * b->C,
                                      .rows = min((uint)TILE, last - i),
                                      .K = b->N,
                                      .columns = b->C};

            product(&m);
        }
}

#if CELL == CELL_RNN
// Computes TILE rows of dx, from row `first` on. Computes the gate gradients of these rows again, into through
// [N, D, H], because other work-items may not have written them to `gates` yet.
static void input_gradients(const struct backward *b, uint first)
{
    const uint rows = min((uint)TILE, b->N - first), H = b->H;
    global real *da = b->through + (size_t)first * b->D * H;

    for (uint r = 0; r < rows; r++)
        for (size_t d = 0; d < b->D; d++)
            for (uint j = 0; j < H; j += WIDTH) {
                realv one[1];

                gate_gradients(b, d, first + r, j, one);
                store_units(one[0], da + (r * b->D + d) * H, j, H);
            }
    for (size_t d = 0; d < b->D; d++) {
        const struct product m = {.a = da + d * H,
                                  .b = b->w[d],
                                  .a_row = b->D * H,
                                  .a_step = 1,
                                  .b_ld = b->C,
                                  .to = b->dx + (size_t)first * b->C,
                                  .rows = rows,
                                  .K = H,
                                  .columns = b->C,
                                  .add = d > 0};

        product(&m);
    }
}
#endif

// Computes the backward pass. Each of the first D * ceil(H / WIDTH) work-items computes the gradients of the gates,
// biases and weights of WIDTH hidden units of one direction; the other work-items (cell rnn only) compute TILE rows of
// dx each. gates: on entry the activations (not read for rnn), on return their gradients. through: scratch for dx.
// lengths may be NULL. The host passes lengths only if dw_ih and dx are NULL.
kernel void rnn_single_bwd(struct rnn_args args, global const real *x, global const uint *x_rows,
                           global const real *w0, global const real *w1, global real *gates,
                           global const real *y, global const real *cell, global const real *dy,
                           global const int *lengths, global real *db_ih0, global real *db_hh0,
                           global real *db_ih1, global real *db_hh1, global real *dw_ih0, global real *dw_ih1,
                           global real *dw_hh0, global real *dw_hh1, global real *dx, global real *through)
{
    const uint N = args.N, C = args.C, H = args.H, D = args.D;
    const struct backward b = {x,    y,
                               cell, dy,
                               {w0, w1},
                               x_rows,
                               lengths,
                               gates,
                               {db_ih0, db_ih1},
                               {db_hh0, db_hh1},
                               {dw_ih0, dw_ih1},
                               {dw_hh0, dw_hh1},
                               dx,   through,
                               N,    C,
                               H,    D};
    const uint blocks = (H + WIDTH - 1) / WIDTH, id = get_global_id(0);

    if (id < blocks * D) {
        unit_gradients(&b, id / blocks, id % blocks * WIDTH);
        if (b.dw_ih[id / blocks])
            weight_gradients(&b, id / blocks, id % blocks * WIDTH);
        return;
    }
#if CELL == CELL_RNN
    if (dx && (id - blocks * D) * TILE < N)
        input_gradients(&b, (id - blocks * D) * TILE);
#endif
}
