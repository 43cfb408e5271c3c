// SPDX-License-Identifier: MIT
// Matrix multiply for CPUs: C = alpha op(A) op(B) + beta C, row-major, any shape, stride and offset.
//
// A work-group is one work-item and computes a block of C, for one part of K (split-K). It loops over K in steps of KC.
// In each step it packs a panel of B, [KC, PANEL], into local memory (on CPUs: the core's cache). A B that is stored
// (N, K) is transposed by the packing. Then the work-item goes down the rows of A with a tile of TILE x PANEL sums in
// registers. For each k it loads PANEL / WIDTH vectors of B and TILE broadcast numbers of A. An A that is stored (M, K)
// is read in place. An A that is stored (K, M) is packed first, because there the next k is a whole row away.
//
// If many work-items need the same panels of a B that must be transposed, or several multiplies have the same B, a
// launch of gemm_pack packs all panels first.
//
// Rows of the stored B may be gathered: row i of B is then row b_rows[i] of the buffer. So samples are multiplied where
// they are in the data set, without a copy.
//
// Defines: WIDTH 4, 8 or 16 floats in a vector; TILE, rows of the tile, at most 8; PANEL, its columns, a multiple of
// WIDTH; KC; PACKED, whether gemm_pack has run; GATHER, whether b_rows is used; TRANSPOSE_A, whether A is stored (K,
// M).
//
// Every element of C is summed in a fixed order: over k within a step of KC, then over the steps, then over blocks of K
// (k_lead in gemm_args.h, if K is summed in blocks), then over parts of K (split-K).

#include "vector.h"
#include "gemm_args.h"
#include "transpose.h"

#define VECS (PANEL / WIDTH)
#if PACKED
#define PANEL_SPACE global
#else
#define PANEL_SPACE local
#endif

// A matrix in memory. `at` points to row 0, at the first column that is wanted. Row i begins at at + i * ld or, if
// index is not NULL, at at + index[i] * ld.
struct stored {
    global const real *at;
    uint ld;
    global const uint *index;
};

static inline global const real *row_of(struct stored m, uint i)
{
#if GATHER
    if (m.index != 0)
        i = m.index[i];
#endif
    return m.at + (size_t)i * m.ld;
}

// pack_rows prefetches ROWS_AHEAD rows ahead. Rows are far apart, often by a power of two, so the hardware prefetcher
// does not fetch them.
#define ROWS_AHEAD 16

// Packs to[k, j] = from[first + k, j] for k < rows and j < cols, and zeros for cols <= j < PANEL.
static inline void pack_rows(PANEL_SPACE real *to, struct stored from, uint first, uint rows, uint cols)
{
    for (uint k = 0; k < rows; k++) {
        global const real *row = row_of(from, first + k), *ahead = row_of(from, first + min(k + ROWS_AHEAD, rows - 1));
        uint j = 0;

        for (; j + WIDTH <= cols; j += WIDTH) {
            PREFETCH(ahead + j);
            *(PANEL_SPACE realv *)(to + k * PANEL + j) = vec_load(0, row + j);
        }
        ROLLED for (; j < PANEL; j += WIDTH)
            *(PANEL_SPACE realv *)(to + k * PANEL + j) = j < cols ? load_part(row + j, cols - j, 0.0f) : (realv)(0.0f);
    }
}

#if TRANSPOSE_A
// Size of the packed rows of A of one tile: [KC, TILE] numbers, and 8 more because each store writes 8 numbers.
#define ROWS_SIZE (KC * TILE + 8)
// How many steps of K pack_tiles packs for one tile before it goes on to the next tile. Tiles are several memory pages
// apart and the TLB has few entries, so that going to another tile at each step would miss the TLB.
#define PACK_STEPS 8

// Packs `rows` rows of the matrix A (`from`), beginning with row `first`, into the array `to` [tiles, ROWS_SIZE].
// In tile t, to[k, i] = from[first + k, t * TILE + i], and 0 where t * TILE + i >= cols.
static inline void pack_tiles(local real *to, struct stored from, uint first, uint rows, uint cols)
{
    for (uint k = 0, some; k < rows; k += some) {
        some = min(rows - k, (uint)PACK_STEPS);
        for (uint j = 0; j < cols; j += TILE) {
            local real *tile = to + j / TILE * ROWS_SIZE + k * TILE;

            if (some == PACK_STEPS && j + 8 <= cols) {
#pragma unroll
                for (int i = 0; i < PACK_STEPS; i++) // the next store overwrites numbers beyond TILE
                    vwrite8(vread8(0, row_of(from, first + k + i) + j), 0, tile + i * TILE);
                continue;
            }
            ROLLED for (uint i = 0; i < some; i++)
                ROLLED for (uint r = 0; r < TILE; r++)
                    tile[i * TILE + r] = j + r < cols ? row_of(from, first + k + i)[j + r] : 0.0f;
        }
    }
}
#endif

// Packs and transposes: to[k, j] = from[first + j, k] for k < rows and j < cols, and zeros for cols <= j < PANEL.
static inline void pack_columns(PANEL_SPACE real *to, struct stored from, uint first, uint rows, uint cols)
{
    for (uint j0 = 0; j0 < PANEL; j0 += WIDTH) {
        uint k = 0;

        if (j0 + WIDTH <= cols) {
            global const real *row[WIDTH];

            for (int i = 0; i < WIDTH; i++)
                row[i] = row_of(from, first + j0 + i);
            for (; k + WIDTH <= rows; k += WIDTH) {
                realv x[WIDTH];

#pragma unroll
                for (int i = 0; i < WIDTH; i++)
                    x[i] = vec_load(0, row[i] + k);
                transpose(x);
#pragma unroll
                for (int i = 0; i < WIDTH; i++)
                    *(PANEL_SPACE realv *)(to + (k + i) * PANEL + j0) = x[i];
            }
        }
        ROLLED for (; k < rows; k++)
            ROLLED for (uint j = 0; j < WIDTH; j++)
                to[k * PANEL + j0 + j] = j0 + j < cols ? row_of(from, first + j0 + j)[k] : 0.0f;
    }
}

// Computes to = x + beta * to for the first min(cols, WIDTH) numbers of x; those of `to` are `step` elements apart.
static inline void store_scaled(global real *to, uint step, realv x, uint cols, real beta)
{
    if (step == 1 && cols >= WIDTH) {
        vec_store(beta != 0.0f ? fma((realv)beta, vec_load(0, to), x) : x, 0, to);
    } else {
        real part[WIDTH];

        vec_store(x, 0, part);
        ROLLED for (uint j = 0; j < min(cols, (uint)WIDTH); j++) {
            global real *one = to + (size_t)j * step;

            *one = beta != 0.0f ? fma(beta, *one, part[j]) : part[j];
        }
    }
}

// Adds the biases to x and applies the activation. x has columns [n, n + WIDTH) of a row of C, and biases are added by
// column. If C is computed transposed, all of x gets the bias of row `row`.
static inline realv apply_epilogue(realv x, uint kind, uint transposed, global const real *bias0,
                                 global const real *bias1, uint row, uint n, uint N)
{
    if (kind == EPILOGUE_NONE)
        return x;
    if (bias0 != 0)
        x += (transposed ? (realv)(bias0[row]) : load_units(bias0, n, N)) +
             (bias1 == 0 ? (realv)(0.0f) : transposed ? (realv)(bias1[row]) : load_units(bias1, n, N));
    return kind == EPILOGUE_TANH ? tanh_vec(x) : kind == EPILOGUE_RELU && x < 0.0f ? (realv)(0.0f) : x; // NaN stays NaN
}

#if PACKED
// Packs all of B into packed [panels, K, PANEL], with zeros beyond column N. Global size: number of panels, then number
// of parts of K of length k_part.
kernel void gemm_pack(struct gemm_args g, global const real *restrict B, global const uint *b_rows,
                      global real *restrict packed)
{
    const uint n0 = get_global_id(0) * PANEL, k0 = get_global_id(1) * g.k_part;
    const uint rows = min(g.k_part, g.K - k0), cols = min((uint)PANEL, g.N - n0);
    global real *to = packed + ((size_t)get_global_id(0) * g.K + k0) * PANEL;

    B += g.b_offset[0];
    if (g.transpose_b)
        pack_columns(to, (struct stored){B + k0, g.b_ld, b_rows}, n0, rows, cols);
    else
        pack_rows(to, (struct stored){B + n0, g.b_ld, b_rows}, k0, rows, cols);
}
#endif

struct range {
    uint first, end;
};

// Returns the range of K of block number `block`. Block 0 has length `lead`, each other block length `rows`.
static inline struct range block_of(uint block, uint lead, uint rows, uint K)
{
    struct range r;

    r.first = block ? lead + (block - 1) * rows : 0;
    r.end = min(lead + block * rows, K);
    return r;
}

// Global size: number of column blocks (of n_block columns, a multiple of PANEL); number of row blocks (of m_block
// rows, a multiple of TILE); number of parts of K. Two multiplies without `paired` have twice as many row blocks: first
// those of the first multiply, then those of the second. With PACKED, B and B2 are results of gemm_pack.
//
// The host must ensure:
// - If k_lead is not 0, `paired` is 0 and K has one part.
// - k_step is at most KC, unless PACKED is 1 and TRANSPOSE_A is 0.
// - With an epilogue, beta is 0 and k_step covers all of K.
kernel void gemm(struct gemm_args g, global const real *A, global const real *B, global real *C,
                 global const real *A2, global const real *B2, global real *C2, global const uint *b_rows,
                 global const real *bias0, global const real *bias1, global const real *bias20,
                 global const real *bias21, local realv *scratch)
{
    local realv *out = scratch; // [TILE, VECS]; then a panel of B unless PACKED; then packed rows of A if TRANSPOSE_A
    local real *behind = (local real *)(scratch + TILE * VECS);
    const uint M = g.M, N = g.N, K = g.K, a_ld = g.a_ld, b_ld = g.b_ld, c_ld = g.c_ld, c_step = g.c_step;
    const uint m_block = g.m_block, paired = g.paired, kind = g.epilogue, blocks = (M + m_block - 1) / m_block;
    const real alpha = g.alpha;
    const bool second = get_global_id(1) >= blocks;
    const uint n_first = get_global_id(0) * g.n_block, n_end = min(n_first + g.n_block, N);
    const uint m_first = (get_global_id(1) - (second ? blocks : 0)) * m_block;
    const uint m_end = min(m_first + m_block, M);
    const uint k_first = get_global_id(2) * g.k_part, k_end = min(k_first + g.k_part, K);
    const uint lead0 = g.k_lead[0], lead1 = g.k_lead[1], descending0 = g.descending[0], descending1 = g.descending[1];
    // `second` does not index the arrays of g: Mesa assumes that an index into a kernel argument is the same for all
    // work-items.
    const uint lead = second ? lead1 : lead0, k_block = g.k_block;
    const uint k_blocks = lead && lead < K ? 1 + (K - lead + k_block - 1) / k_block : 1;
    const bool descending = second ? descending1 : descending0;

    A += g.a_offset[0];
    B += g.b_offset[0];
    C += g.c_offset[0] + (size_t)g.c_part * get_global_id(2);
    A2 += g.a_offset[1];
    C2 += g.c_offset[1] + (size_t)g.c_part * get_global_id(2);
    if (second) {
        A = A2;
        B = B2 + g.b_offset[1];
        C = C2;
    }
    for (uint i = 0; i < k_blocks; i++) {
        struct range k_range = {k_first, k_end};

        if (k_blocks > 1)
            k_range = block_of(descending ? k_blocks - 1 - i : i, lead, k_block, K);

        for (uint k0 = k_range.first; k0 < k_range.end; k0 += g.k_step) {
            const uint kc = min(g.k_step, k_range.end - k0);
            const real keep = i == 0 && k0 == k_range.first ? g.beta : 1.0f;

#if TRANSPOSE_A
            local real *rows = behind + (PACKED ? 0 : KC * PANEL), *rows2 = rows + m_block / TILE * ROWS_SIZE;

            pack_tiles(rows, (struct stored){A + m_first, a_ld, 0}, k0, kc, m_end - m_first);
            if (paired)
                pack_tiles(rows2, (struct stored){A2 + m_first, a_ld, 0}, k0, kc, m_end - m_first);
#endif
            for (uint n0 = n_first; n0 < n_end; n0 += PANEL) {
                const uint cols = min((uint)PANEL, n_end - n0);

#if PACKED
                global const real *panel = B + ((size_t)(n0 / PANEL) * K + k0) * PANEL;
#else
                local real *panel = behind;

                if (g.transpose_b)
                    pack_columns(panel, (struct stored){B + k0, b_ld, b_rows}, n0, kc, cols);
                else
                    pack_rows(panel, (struct stored){B + n0, b_ld, b_rows}, k0, kc, cols);
#endif
                for (uint m1 = m_first; m1 < m_end + (paired ? m_block : 0); m1 += TILE) {
                    const bool of_second = m1 >= m_first + m_block; // m_block is a multiple of TILE
                    const uint m0 = of_second ? m1 - m_block : m1;
                    global real *to = of_second ? C2 : C;
                    PANEL_SPACE const real *b_k = panel;
                    realv sum[TILE][VECS];
#if TRANSPOSE_A
                    local const real *a = (of_second ? rows2 : rows) + (m0 - m_first) / TILE * ROWS_SIZE;
#else
                    // For rows of the tile beyond the last row of A, the last row is read again; their sums are not
                    // stored.
                    global const real *from = of_second ? A2 : A, *a[TILE];

#pragma unroll
                    for (int i = 0; i < TILE; i++)
                        a[i] = from + (size_t)min(m0 + i, M - 1) * a_ld + k0;
#endif
                    if (m0 >= m_end) // the tile is beyond the end of the block of rows
                        continue;
#pragma unroll
                    for (int i = 0; i < TILE; i++)
#pragma unroll
                        for (int v = 0; v < VECS; v++)
                            sum[i][v] = 0.0f;
                    for (size_t k = 0, stop; k < kc;) {
                        // b_k is incremented, because adding 32-bit indices would occupy ports that the fmas need.
                        for (stop = min((size_t)kc, k + KC); k < stop; k++, b_k += PANEL) {
                            realv b[VECS];

#pragma unroll
                            for (int v = 0; v < VECS; v++)
                                b[v] = *(PANEL_SPACE const realv *)(b_k + v * WIDTH);
#pragma unroll
                            for (int i = 0; i < TILE; i++) {
#if TRANSPOSE_A
                                const realv x = a[i];
#else
                                const realv x = a[i][k];
#endif
#pragma unroll
                                for (int v = 0; v < VECS; v++)
                                    sum[i][v] = fma(x, b[v], sum[i][v]);
                            }
#if TRANSPOSE_A
                            a += TILE;
#endif
                        }
#if PACKED && !TRANSPOSE_A
                        if (kc <= KC)
                            break;
#pragma unroll
                        for (int i = 0; i < TILE; i++)
#pragma unroll
                            for (int v = 0; v < VECS; v++) {
                                const realv all = k <= KC ? sum[i][v] : sum[i][v] + out[i * VECS + v];

                                out[i * VECS + v] = all;
                                sum[i][v] = k < kc ? 0.0f : all;
                            }
#endif
                    }
                    if (kind <= EPILOGUE_BIAS && c_step == 1 && cols == PANEL && m_end - m0 >= TILE) {
                        global const real *bias = of_second || second ? bias20 : bias0; // EPILOGUE_BIAS has one bias
#pragma unroll
                        for (int i = 0; i < TILE; i++) {
                            global real *row = to + (size_t)(m0 + i) * c_ld + n0;

#pragma unroll
                            for (int v = 0; v < VECS; v++) {
                                realv x = alpha * sum[i][v];

                                if (kind == EPILOGUE_BIAS)
                                    x += vec_load(v, bias + n0);
                                if (keep != 0.0f)
                                    x = fma((realv)keep, vec_load(v, row), x);
                                vec_store(x, v, row);
                            }
                        }
                        continue;
                    }
                    // Copies the tile to local memory first, so that the code for partly filled vectors is generated
                    // once, not for each vector of the tile.
#pragma unroll
                    for (int i = 0; i < TILE; i++)
#pragma unroll
                        for (int v = 0; v < VECS; v++)
                            out[i * VECS + v] = alpha * sum[i][v];
                    ROLLED for (uint i = 0; i < min((uint)TILE, m_end - m0); i++)
                        ROLLED for (uint v = 0; v * WIDTH < cols; v++)
                            store_scaled(to + (size_t)(m0 + i) * c_ld + (size_t)(n0 + v * WIDTH) * c_step, c_step,
                                  apply_epilogue(out[i * VECS + v], kind, g.transposed,
                                                 of_second || second ? bias20 : bias0,
                                                 of_second || second ? bias21 : bias1, m0 + i, n0 + v * WIDTH, N),
                                  cols - v * WIDTH, keep);
                }
            }
        }
    }
}

// The second launch of split-K. Computes C = alpha * (sum of the parts' results) + beta C. P has `parts` results
// [count, M, N], c_part elements apart. A work-item computes a block of m_block rows and n_block columns. There are
// count * M rows: those of the first multiply, then those of the second. Strides and epilogue are as in gemm.
kernel void gemm_sum(struct gemm_args g, global const real *restrict P, global real *C, global real *C2,
                     global const real *bias0, global const real *bias1, global const real *bias20,
                     global const real *bias21)
{
    const uint n_first = get_global_id(0) * g.n_block, n_end = min(n_first + g.n_block, g.N);
    const uint m_first = get_global_id(1) * g.m_block, m_end = min(m_first + g.m_block, g.count * g.M);

    for (uint m = m_first; m < m_end; m++) {
        const bool second = m >= g.M;
        const uint row = m - (second ? g.M : 0);
        global real *to = (second ? C2 + g.c_offset[1] : C + g.c_offset[0]) + (size_t)row * g.c_ld;

        for (uint n = n_first; n < n_end; n += WIDTH) {
            const uint cols = min((uint)WIDTH, n_end - n);
            global const real *from = P + (size_t)m * g.N + n;
            realv sum = 0.0f;

            for (uint s = 0; s < g.parts; s++, from += g.c_part)
                sum += load_units(from, 0, cols);
            sum = apply_epilogue(g.alpha * sum, g.epilogue, g.transposed, second ? bias20 : bias0,
                                 second ? bias21 : bias1, row, n, g.N);
            store_scaled(to + (size_t)n * g.c_step, g.c_step, sum, cols, g.beta);
        }
    }
}
