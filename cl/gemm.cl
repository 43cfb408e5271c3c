// SPDX-License-Identifier: MIT
// Matrix multiply for CPUs: C = alpha op(A) op(B) + beta C, row-major, any shape, stride and offset.
//
// A work-group is one work-item and owns a block of C, for one share of K. It walks K in steps of KC;
// in each it packs a panel of B, [KC, PANEL], into local memory (on CPUs: the core's cache), transposing
// where B is stored (N, K), and runs down the rows with a tile of TILE x PANEL sums held in registers:
// per k it loads PANEL / WIDTH vectors of B and TILE broadcast numbers of A. A is read in place, or, where
// it is stored (K, M), packed first, since its next k lies a whole row away.
//
// Where many items want the same panels of a B that must be transposed, gemm_pack packs all of them first.
//
// B's rows may lie anywhere, as `rows` says: a batch of samples is then multiplied where the data set lies.
//
// Defines: WIDTH 4, 8 or 16 floats in a vector; TILE rows, at most 8, and PANEL columns (a multiple of WIDTH) of
// the tile; KC; PACKED, whether gemm_pack went before; GATHER, whether `rows` counts; TRANSPOSE_A.
// Every element's sum has a fixed order: by k within KC, then these, then shares of K.
//
// gemm_dot serves few rows against B stored (N, K), where packing B would cost more than multiplying.

#define VW WIDTH
#include "rnn_vector.h"
#include "transpose.h"

#define vec_load JOIN(vload, WIDTH)
#define vec_store JOIN(vwrite, WIDTH)
#define VECS (PANEL / WIDTH)
#if PACKED
#define PANEL_SPACE global
#else
#define PANEL_SPACE local
#endif

// A matrix as stored, from a column on: row i is `ld` after row i - 1, or row index[i] of them.
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

// Rows that are read from lie far apart, often a power of two, where no processor foresees the next one.
#define AHEAD 16

// to[k, j] = from[first + k, j] for k < rows, j < cols; zeros for cols <= j < PANEL.
static inline void pack_rows(local real *to, struct stored from, uint first, uint rows, uint cols)
{
    for (uint k = 0; k < rows; k++) {
        global const real *row = row_of(from, first + k), *ahead = row_of(from, first + min(k + AHEAD, rows - 1));
        uint j = 0;

        for (; j + WIDTH <= cols; j += WIDTH) {
            FETCH(ahead + j);
            *(local vec *)(to + k * PANEL + j) = vec_load(0, row + j);
        }
        for (; j < cols; j++)
            to[k * PANEL + j] = row[j];
        for (; j < PANEL; j++)
            to[k * PANEL + j] = 0.0f;
    }
}

#if TRANSPOSE_A
// A tile's rows, KC steps of K: [KC, TILE], and room for what the last store writes too much.
#define ROWS_SIZE (KC * TILE + 8)

// to [tiles, ROWS_SIZE]: of tile t, to[k, i] = from[first + k, t * TILE + i], 0 for cols <= t * TILE + i.
static inline void pack_tiles(local real *to, struct stored from, uint first, uint rows, uint cols)
{
    for (uint k = 0; k < rows; k++) {
        global const real *row = row_of(from, first + k), *ahead = row_of(from, first + min(k + AHEAD, rows - 1));
        local real *tile = to + k * TILE;
        uint j = 0;

        for (uint a = 0; a < cols; a += 16)
            FETCH(ahead + a);
        for (; j + 8 <= cols; j += TILE, tile += ROWS_SIZE)
            vwrite8(vload8(0, row + j), 0, tile); // the next k's overwrites what is too much
        for (; j < cols; j += TILE, tile += ROWS_SIZE)
            for (uint i = 0; i < TILE; i++)
                tile[i] = j + i < cols ? row[j + i] : 0.0f;
    }
}
#endif

// to[k, j] = from[first + j, k], else as above.
static inline void pack_columns(PANEL_SPACE real *to, struct stored from, uint first, uint rows, uint cols)
{
    for (uint j0 = 0; j0 < PANEL; j0 += WIDTH) {
        uint k = 0;

        if (j0 + WIDTH <= cols) {
            global const real *row[WIDTH];

            for (int i = 0; i < WIDTH; i++)
                row[i] = row_of(from, first + j0 + i);
            for (; k + WIDTH <= rows; k += WIDTH) {
                vec x[WIDTH];

#pragma unroll
                for (int i = 0; i < WIDTH; i++)
                    x[i] = vec_load(0, row[i] + k);
                transpose(x);
#pragma unroll
                for (int i = 0; i < WIDTH; i++)
                    *(PANEL_SPACE vec *)(to + (k + i) * PANEL + j0) = x[i];
            }
        }
        for (; k < rows; k++)
            for (uint j = 0; j < WIDTH; j++)
                to[k * PANEL + j0 + j] = j0 + j < cols ? row_of(from, first + j0 + j)[k] : 0.0f;
    }
}

// to = x + beta to, at most the first `cols` elements, which lie `step` apart.
static inline void store(global real *to, uint step, vec x, uint cols, real beta)
{
    if (step == 1 && cols >= WIDTH) {
        vec_store(beta != 0.0f ? fma((vec)beta, vec_load(0, to), x) : x, 0, to);
    } else {
        real part[WIDTH];

        vec_store(x, 0, part);
        for (uint j = 0; j < min(cols, (uint)WIDTH); j++) {
            global real *one = to + (size_t)j * step;

            *one = beta != 0.0f ? fma(beta, *one, part[j]) : part[j];
        }
    }
}

// What each element has done to it in the end: 0 no more, else the addends are added, if there are any, and of the
// result 1 tanh, 2 relu is taken. The addends belong to C's columns: n and on, or, where C is turned, `row`.
static inline vec finish(vec x, uint how, uint turned, global const real *addend0, global const real *addend1,
                         uint row, uint n, uint N)
{
    if (how == 0)
        return x;
    if (addend0 != 0)
        x += turned ? (vec)(addend0[row] + addend1[row])
                    : load_units(addend0, n, N) + load_units(addend1, n, N);
    return how == 1 ? tanh_vec(x) : x < 0.0f ? (vec)(0.0f) : x; // NaN stays
}

// The multiply's operands; `second` describes another of the same shape, or is not used.
#define OPERANDS(second)                                                         \
    global const real *A##second, uint a_offset##second, global const real *B##second, uint b_offset##second, \
        global real *C##second, uint c_offset##second

#if PACKED
// B, stored (N, K), packed whole: [panels of PANEL columns, K, PANEL], zeros beyond N. Global size: panels,
// shares of K.
kernel void gemm_pack(uint N, uint K, global const real *restrict B, uint b_offset, uint b_ld,
                      global const uint *b_rows, global real *restrict packed, uint k_share)
{
    const uint n0 = get_global_id(0) * PANEL, k0 = get_global_id(1) * k_share;

    pack_columns(packed + ((size_t)get_global_id(0) * K + k0) * PANEL,
                 (struct stored){B + b_offset + k0, b_ld, b_rows}, n0, min(k_share, K - k0),
                 min((uint)PANEL, N - n0));
}
#endif

// Global size: column blocks of n_block (a multiple of PANEL), row blocks of m_block (of TILE), shares of
// k_share. C's rows lie c_ld apart, its columns c_step; share s writes s * c_share further on. With PACKED,
// B comes from gemm_pack. Of two multiplies, an item does its blocks of both with one panel (`both`: they
// have B in common), or the second's row blocks come after the first's. k_step: what is multiplied between two
// looks at C, at most KC but with PACKED and without TRANSPOSE_A. finish() (`how`, `turned`, addends) needs all of K
// in one step, and beta 0.
kernel void gemm(uint M, uint N, uint K, real alpha, OPERANDS(), OPERANDS(2), uint both, uint a_ld,
                 uint b_ld, global const uint *b_rows, uint transpose_b, real beta, uint c_ld, uint c_step,
                 uint c_share, uint m_block, uint n_block, uint k_share, uint k_step, uint how, uint turned,
                 global const real *addend0, global const real *addend1, global const real *addend20,
                 global const real *addend21, local vec *room)
{
    local vec *out = room; // [TILE, VECS], then a panel unless PACKED, then the rows of A that are packed
    local real *behind = (local real *)(room + TILE * VECS);
    const uint blocks = (M + m_block - 1) / m_block;
    const bool second = get_global_id(1) >= blocks;
    const uint n_first = get_global_id(0) * n_block, n_end = min(n_first + n_block, N);
    const uint m_first = (get_global_id(1) - (second ? blocks : 0)) * m_block;
    const uint m_end = min(m_first + m_block, M);
    const uint k_first = get_global_id(2) * k_share, k_end = min(k_first + k_share, K);

    A += a_offset;
    B += b_offset;
    C += c_offset + (size_t)c_share * get_global_id(2);
    A2 += a_offset2;
    C2 += c_offset2 + (size_t)c_share * get_global_id(2);
    if (second) {
        A = A2;
        B = B2 + b_offset2;
        C = C2;
    }
    for (uint k0 = k_first; k0 < k_end; k0 += k_step) {
        const uint kc = min(k_step, k_end - k0);
        const real keep = k0 == k_first ? beta : 1.0f;

#if TRANSPOSE_A
        local real *rows = behind + (PACKED ? 0 : KC * PANEL), *rows2 = rows + m_block / TILE * ROWS_SIZE;

        pack_tiles(rows, (struct stored){A + m_first, a_ld, 0}, k0, kc, m_end - m_first);
        if (both)
            pack_tiles(rows2, (struct stored){A2 + m_first, a_ld, 0}, k0, kc, m_end - m_first);
#endif
        for (uint n0 = n_first; n0 < n_end; n0 += PANEL) {
            const uint cols = min((uint)PANEL, n_end - n0);

#if PACKED
            global const real *panel = B + ((size_t)(n0 / PANEL) * K + k0) * PANEL;
#else
            local real *panel = behind;

            if (transpose_b)
                pack_columns(panel, (struct stored){B + k0, b_ld, b_rows}, n0, kc, cols);
            else
                pack_rows(panel, (struct stored){B + n0, b_ld, b_rows}, k0, kc, cols);
#endif
            for (uint m1 = m_first; m1 < m_end + (both ? m_block : 0); m1 += TILE) {
                const bool of_second = m1 >= m_first + m_block; // m_block is a multiple of TILE
                const uint m0 = of_second ? m1 - m_block : m1;
                global real *to = of_second ? C2 : C;
                vec sum[TILE][VECS];
#if TRANSPOSE_A
                local const real *a = (of_second ? rows2 : rows) + (m0 - m_first) / TILE * ROWS_SIZE;
#else
                // Rows below the last are the last once more; their sums are dropped.
                global const real *from = of_second ? A2 : A, *a[TILE];

#pragma unroll
                for (int i = 0; i < TILE; i++)
                    a[i] = from + (size_t)min(m0 + i, M - 1) * a_ld + k0;
#endif
                if (m0 >= m_end) // the last block of the first multiply may be short
                    continue;
#pragma unroll
                for (int i = 0; i < TILE; i++)
#pragma unroll
                    for (int v = 0; v < VECS; v++)
                        sum[i][v] = 0.0f;
                for (uint k = 0, stop; k < kc;) {
                    for (stop = min(kc, k + KC); k < stop; k++) {
                        vec b[VECS];

#pragma unroll
                        for (int v = 0; v < VECS; v++)
                            b[v] = *(PANEL_SPACE const vec *)(panel + k * PANEL + v * WIDTH);
#pragma unroll
                        for (int i = 0; i < TILE; i++) {
#if TRANSPOSE_A
                            const vec x = a[k * TILE + i];
#else
                            const vec x = a[i][k];
#endif
#pragma unroll
                            for (int v = 0; v < VECS; v++)
                                sum[i][v] = fma(x, b[v], sum[i][v]);
                        }
                    }
#if PACKED && !TRANSPOSE_A
                    if (kc <= KC)
                        break;
#pragma unroll
                    for (int i = 0; i < TILE; i++)
#pragma unroll
                        for (int v = 0; v < VECS; v++) {
                            const vec all = k <= KC ? sum[i][v] : sum[i][v] + out[i * VECS + v];

                            out[i * VECS + v] = all;
                            sum[i][v] = k < kc ? 0.0f : all;
                        }
#endif
                }
                if (how == 0 && c_step == 1 && cols == PANEL && m_end - m0 >= TILE) {
#pragma unroll
                    for (int i = 0; i < TILE; i++) {
                        global real *row = to + (size_t)(m0 + i) * c_ld + n0;

#pragma unroll
                        for (int v = 0; v < VECS; v++) {
                            vec x = alpha * sum[i][v];

                            if (keep != 0.0f)
                                x = fma((vec)keep, vec_load(v, row), x);
                            vec_store(x, v, row);
                        }
                    }
                    continue;
                }
                // Through memory, so that the code for ragged edges is there once, not per vector.
#pragma unroll
                for (int i = 0; i < TILE; i++)
#pragma unroll
                    for (int v = 0; v < VECS; v++)
                        out[i * VECS + v] = alpha * sum[i][v];
                for (uint i = 0; i < min((uint)TILE, m_end - m0); i++)
                    for (uint v = 0; v * WIDTH < cols; v++)
                        store(to + (size_t)(m0 + i) * c_ld + (size_t)(n0 + v * WIDTH) * c_step, c_step,
                              finish(out[i * VECS + v], how, turned, of_second || second ? addend20 : addend0,
                                     of_second || second ? addend21 : addend1, m0 + i, n0 + v * WIDTH, N),
                              cols - v * WIDTH, keep);
            }
        }
    }
}

// C = alpha (sum of `shares` matrices [M, N] in P, `share` apart) + beta C, and likewise C2 from what lies
// M * N further on in P: an item makes n_block columns of m_block rows of `rows`, M or twice as many. C's strides as
// above, and finish().
kernel void gemm_sum(uint M, uint N, uint shares, uint share, global const real *restrict P, real alpha,
                     real beta, global real *C, uint c_offset, global real *C2, uint c_offset2, uint c_ld,
                     uint c_step, uint how, uint turned, global const real *addend0, global const real *addend1,
                     global const real *addend20, global const real *addend21, uint n_block, uint m_block, uint rows)
{
    const uint n_first = get_global_id(0) * n_block, n_end = min(n_first + n_block, N);
    const uint m_first = get_global_id(1) * m_block, m_end = min(m_first + m_block, rows);

    for (uint m = m_first; m < m_end; m++) {
        const bool second = m >= M;
        const uint row = m - (second ? M : 0);
        global real *to = (second ? C2 + c_offset2 : C + c_offset) + (size_t)row * c_ld;

        for (uint n = n_first; n < n_end; n += WIDTH) {
            const uint cols = min((uint)WIDTH, n_end - n);
            global const real *from = P + (size_t)m * N + n;
            vec sum = 0.0f;

            for (uint s = 0; s < shares; s++, from += share)
                sum += load_units(from, 0, cols);
            sum = finish(alpha * sum, how, turned, second ? addend20 : addend0, second ? addend21 : addend1, row, n, N);
            store(to + (size_t)n * c_step, c_step, sum, cols, beta);
        }
    }
}

static inline real vec_sum(vec x)
{
#if WIDTH == 16
    const float8 y = x.lo + upper(x);
    const float4 z = y.lo + y.hi;
#elif WIDTH == 8
    const float4 z = x.lo + x.hi;
#else
    const float4 z = x;
#endif

    return (z.x + z.z) + (z.y + z.w);
}

// C = alpha A B' + beta C with A (M, K) and B (N, K): an item makes n_block columns of C, DOT x DOT dot
// products side by side, each in WIDTH parts. Strides as above. Rows past the end are the last once more.
#define DOT 4

kernel void gemm_dot(uint M, uint N, uint K, real alpha, global const real *restrict A, uint a_offset,
                     uint a_ld, global const real *restrict B, uint b_offset, uint b_ld, real beta,
                     global real *restrict C, uint c_offset, uint c_ld, uint c_step, uint n_block)
{
    const uint n_first = get_global_id(0) * n_block, n_end = min(n_first + n_block, N);

    A += a_offset;
    B += b_offset;
    C += c_offset;
    for (uint n0 = n_first; n0 < n_end; n0 += DOT)
        for (uint m0 = 0; m0 < M; m0 += DOT) {
            global const real *a[DOT], *b[DOT];
            vec part[DOT][DOT];
            real tail[DOT][DOT];
            uint k = 0;

#pragma unroll
            for (int i = 0; i < DOT; i++) {
                a[i] = A + (size_t)min(m0 + i, M - 1) * a_ld;
                b[i] = B + (size_t)min(n0 + i, N - 1) * b_ld;
#pragma unroll
                for (int j = 0; j < DOT; j++) {
                    part[i][j] = 0.0f;
                    tail[i][j] = 0.0f;
                }
            }
            for (; k + WIDTH <= K; k += WIDTH) {
                vec x[DOT], y[DOT];

#pragma unroll
                for (int i = 0; i < DOT; i++) {
                    x[i] = vec_load(0, a[i] + k);
                    y[i] = vec_load(0, b[i] + k);
                }
#pragma unroll
                for (int i = 0; i < DOT; i++)
#pragma unroll
                    for (int j = 0; j < DOT; j++)
                        part[i][j] = fma(x[i], y[j], part[i][j]);
            }
            for (; k < K; k++)
#pragma unroll
                for (int i = 0; i < DOT; i++)
#pragma unroll
                    for (int j = 0; j < DOT; j++)
                        tail[i][j] = fma(a[i][k], b[j][k], tail[i][j]);
#pragma unroll
            for (int i = 0; i < DOT; i++)
#pragma unroll
                for (int j = 0; j < DOT; j++)
                    if (m0 + i < M && n0 + j < n_end) {
                        global real *one = C + (size_t)(m0 + i) * c_ld + (size_t)(n0 + j) * c_step;
                        const real sum = alpha * (vec_sum(part[i][j]) + tail[i][j]);

                        *one = beta != 0.0f ? fma(beta, *one, sum) : sum;
                    }
        }
}
