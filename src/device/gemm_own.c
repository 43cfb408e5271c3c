// SPDX-License-Identifier: MIT
// Our matrix multiply for CPUs: how a shape is cut into work-items of cl/gemm.cl.
#include "device/gemm.h"

#include <math.h>
#include <string.h>

// The tile in registers and the panels in cache that a device gets; names as in cl/gemm.cl.
struct tiling {
    uint32_t width, tile, panel, kc, block;
    // Mesa's llvmpipe leaves a kernel's loops, without a word, after 65,535 rounds of all of them together
    // (LP_MAX_TGSI_LOOP_ITERATIONS), and unrolls none. Then an item makes one tile, over at most BRIEF_K.
    bool brief;
};
enum { BRIEF_K = 1024, SUM_BLOCK = 512, MOST_PARTIAL = 1 << 28 };

// One way of cutting C and K: an item owns m_block rows, n_block columns and k_share of K.
struct cut {
    uint32_t m_block, n_block, k_share;
    uint32_t m_count, n_count, shares; // of items
    double cycles;                     // estimated, for the whole multiply
};

static uint32_t divide_up(uint32_t a, uint32_t b)
{
    return a / b + (a % b != 0);
}

static struct tiling choose_tiling(const struct clrnn_device_info *info)
{
    struct tiling t = {.tile = 6, .kc = 256, .block = 192, .brief = strstr(info->name, "llvmpipe") != NULL};

    // 24 sums of 32 registers with AVX-512, 12 of 16 with AVX, SSE and (leaving some unused) NEON.
    t.width = info->float_vector_width >= 16 ? 16 : info->float_vector_width >= 8 ? 8 : 4;
    t.panel = t.width * (t.width == 16 ? 4 : 2);
    if (info->local_bytes < 4ull * (t.kc * (t.panel + t.block) + t.tile * t.panel)) {
        t.kc = 64;
        t.block = 48; // fits the 32 KiB that every OpenCL device has
    }
    return t;
}

// Estimated cycles; the weights were measured on AVX-512 (two FMA and two loads a cycle) and are needed
// only as proportions. The busiest core counts; several cost waking and a quarter item of waiting.
static double estimate(const struct clrnn_gemm *g, const struct tiling *t, uint32_t cores,
                       const struct cut *c)
{
    const double tiles = divide_up(c->m_block, t->tile), panels = divide_up(c->n_block, t->panel);
    const double k = c->k_share, vecs = t->panel / t->width,
                 items = (double)c->m_count * c->n_count * c->shares;
    const double multiply = tiles * panels * (k * t->tile * vecs / 2 + 100.0 * ceil(k / t->kc));
    const double pack_b = panels * vecs * k * (g->transpose_b ? 6 : 3);
    const double pack_a = g->transpose_a ? k * c->m_block / t->width * 3 : 0;
    const double sum =
        c->shares > 1 ? 5000 + (double)g->M * g->N / t->width * (c->shares + 1) * 3 / cores : 0;
    const double item = multiply + pack_a + pack_b + 500;

    return (items > 1 ? (ceil(items / cores) + 0.25) * item + 4000 : item) + sum;
}

// The counts and the time of cutting so; more time than any where the shares' results would be too large.
static struct cut try_cut(const struct clrnn_gemm *g, const struct tiling *t, uint32_t cores, uint32_t rows,
                          uint32_t panels, uint32_t shares)
{
    struct cut c = {.n_block = panels * t->panel, .k_share = divide_up(g->K, shares)};

    c.m_count = divide_up(g->M, rows);
    c.m_block = divide_up(divide_up(g->M, c.m_count), t->tile) * t->tile;
    c.m_count = divide_up(g->M, c.m_block);
    c.n_count = divide_up(g->N, c.n_block);
    c.shares = divide_up(g->K, c.k_share);
    c.cycles =
        c.shares > 1 && (double)c.shares * g->M * g->N > MOST_PARTIAL ? INFINITY : estimate(g, t, cores, &c);
    return c;
}

static struct cut choose_cut(const struct clrnn_gemm *g, const struct tiling *t, uint32_t cores)
{
    struct cut best = {.cycles = INFINITY};

    if (t->brief)
        return try_cut(g, t, cores, t->tile, 1, divide_up(g->K, BRIEF_K));
    for (uint32_t rows = t->tile; rows <= t->block; rows *= 2)
        for (uint32_t panels = 1; panels <= 8; panels *= 2)
            for (uint32_t shares = 1; shares <= 64 && (shares == 1 || g->K / shares >= 64); shares *= 2) {
                const struct cut c = try_cut(g, t, cores, rows, panels, shares);

                if (c.cycles < best.cycles)
                    best = c;
            }
    return best;
}

// The same multiply as C' = op(B)' op(A)': then C's rows are its columns.
static struct clrnn_gemm swapped(const struct clrnn_gemm *g)
{
    return (struct clrnn_gemm){.transpose_a = !g->transpose_b,
                               .transpose_b = !g->transpose_a,
                               .M = g->N,
                               .N = g->M,
                               .K = g->K,
                               .alpha = g->alpha,
                               .beta = g->beta,
                               .a = g->b,
                               .b = g->a,
                               .c = g->c,
                               .a_offset = g->b_offset,
                               .b_offset = g->a_offset,
                               .c_offset = g->c_offset,
                               .a_ld = g->b_ld,
                               .b_ld = g->a_ld,
                               .c_ld = g->c_ld};
}

// C's rows lie `ld` apart, its columns `step`.
struct strides {
    uint32_t ld, step;
};

static struct clrnn_defines defines_of(const struct tiling *t, bool transpose_a,
                                       struct clrnn_define define[6])
{
    define[0] = (struct clrnn_define){"WIDTH", t->width};
    define[1] = (struct clrnn_define){"TILE", t->tile};
    define[2] = (struct clrnn_define){"PANEL", t->panel};
    define[3] = (struct clrnn_define){"KC", t->kc};
    define[4] = (struct clrnn_define){"TRANSPOSE_A", transpose_a};
    define[5] = (struct clrnn_define){"BLOCK", t->block};
    return (struct clrnn_defines){6, define};
}

static enum clrnn_status append_dot(struct clrnn_launches *launches, const struct clrnn_gemm *g,
                                    const struct tiling *t, uint32_t cores, struct strides c)
{
    struct clrnn_define define[6];
    // Four items a core, of no less than about 20 microseconds.
    const uint32_t least = (uint32_t)(1 << 16) / g->K + 1, even = divide_up(g->N, 4 * cores);
    const uint32_t n_block = t->brief ? 4 : divide_up(even > least ? even : least, 4) * 4;

    return clrnn_launch_kernel(
        launches, "gemm", "gemm_dot", defines_of(t, false, define),
        (struct clrnn_range){1, {divide_up(g->N, n_block), 1, 1}, {1, 1, 1}}, clrnn_gemm_cost(g),
        ARGS(UINT(g->M), UINT(g->N), UINT(g->K), REAL(g->alpha), BUF(g->a), UINT(g->a_offset), UINT(g->a_ld),
             BUF(g->b), UINT(g->b_offset), UINT(g->b_ld), REAL(g->beta), BUF(g->c), UINT(g->c_offset),
             UINT(c.ld), UINT(c.step), UINT(n_block)));
}

static enum clrnn_status append_tiles(struct clrnn_launches *launches, const struct clrnn_gemm *g,
                                      const struct tiling *t, const struct cut *cut, struct strides c)
{
    struct clrnn_define define[6];
    const struct clrnn_defines defines = defines_of(t, g->transpose_a, define);
    const uint32_t MN = g->M * g->N; // fits where there are shares
    struct clrnn_buffer *partial = NULL;

    if (cut->shares > 1)
        TRY(clrnn_launches_scratch(launches, (size_t)cut->shares * MN, &partial));
    TRY(clrnn_launch_kernel(
        launches, "gemm", "gemm", defines,
        (struct clrnn_range){3, {cut->n_count, cut->m_count, cut->shares}, {1, 1, 1}}, clrnn_gemm_cost(g),
        ARGS(UINT(g->M), UINT(g->N), UINT(g->K), REAL(partial ? 1 : g->alpha), BUF(g->a), UINT(g->a_offset),
             UINT(g->a_ld), BUF(g->b), UINT(g->b_offset), UINT(g->b_ld), UINT(g->transpose_b),
             REAL(partial ? 0 : g->beta), BUF(partial ? partial : g->c), UINT(partial ? 0 : g->c_offset),
             UINT(partial ? g->N : c.ld), UINT(partial ? 1 : c.step), UINT(partial ? MN : 0),
             UINT(cut->m_block), UINT(cut->n_block), UINT(cut->k_share))));
    if (!partial)
        return CLRNN_OK;
    return clrnn_launch_kernel(launches, "gemm", "gemm_sum", defines,
                               (struct clrnn_range){2, {divide_up(g->N, SUM_BLOCK), g->M, 1}, {1, 1, 1}},
                               (struct clrnn_cost){0, 4.0 * (cut->shares + 1) * g->M * g->N},
                               ARGS(UINT(g->N), UINT(cut->shares), UINT(MN), BUF(partial), REAL(g->alpha),
                                    REAL(g->beta), BUF(g->c), UINT(g->c_offset), UINT(c.ld), UINT(c.step),
                                    UINT(SUM_BLOCK)));
}

enum clrnn_status clrnn_gemm_own_prepare(struct clrnn_launches *launches, const struct clrnn_gemm *gemm,
                                         bool *taken)
{
    const struct clrnn_device_info *info = clrnn_device_info(clrnn_launches_device(launches));
    const struct tiling t = choose_tiling(info);
    const uint32_t cores = info->compute_units ? info->compute_units : 1;
    const struct clrnn_gemm other = swapped(gemm);
    const struct strides along = {gemm->c_ld, 1}, across = {1, gemm->c_ld};
    struct cut cut, other_cut;

    // The kernels count in 32 bits.
    *taken = gemm->a_offset <= UINT32_MAX && gemm->b_offset <= UINT32_MAX && gemm->c_offset <= UINT32_MAX &&
             gemm->M <= INT32_MAX && gemm->N <= INT32_MAX && gemm->K <= INT32_MAX;
    if (!*taken)
        return CLRNN_OK;
    if (!gemm->transpose_a && gemm->transpose_b && (gemm->M <= 4 || gemm->N <= 4) &&
        !(t.brief && gemm->K > BRIEF_K))
        return gemm->M <= gemm->N ? append_dot(launches, gemm, &t, cores, along)
                                  : append_dot(launches, &other, &t, cores, across);
    cut = choose_cut(gemm, &t, cores);
    other_cut = choose_cut(&other, &t, cores);
    *taken = isfinite(cut.cycles) || isfinite(other_cut.cycles);
    if (!*taken)
        return CLRNN_OK;
    if (1.25 * other_cut.cycles < cut.cycles) // scattered stores must be worth it
        return append_tiles(launches, &other, &t, &other_cut, across);
    return append_tiles(launches, gemm, &t, &cut, along);
}
