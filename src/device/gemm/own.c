// SPDX-License-Identifier: MIT
// Our matrix multiply for CPUs: how a shape is cut into work-items of cl/gemm.cl.
#include "device/gemm/gemm.h"

#include <math.h>

#include "base/array.h"

// The tile in registers and the panels in cache that a device gets; names as in cl/gemm.cl.
struct tiling {
    uint32_t width, tile, panel, kc, block;
    // Loops end early (loop_rounds in device/quirks.h): then an item makes one tile, over at most BRIEF_K.
    bool brief;
};
enum {
    BRIEF_K = 1024,
    SUM_BLOCK = 1024,
    SUM_NUMBERS = 2048,
    PACK_SHARE = 256,
    MOST_STEP = 3072,
    MOST_PARTIAL = 1 << 28,
    MOST_PACKED = 1 << 24
};

// One way of cutting C and K: an item owns m_block rows, n_block columns and k_share of K.
struct cut {
    uint32_t m_block, n_block, k_share;
    uint32_t m_count, n_count, shares; // of items
    bool packed;                       // B first, as a launch of its own
    bool both;                         // each item makes its blocks of a twin too
    double cycles;                     // estimated, for the whole multiply with its twin
};

// Numbers that A's rows of a block take when packed, tile by tile.
static uint32_t rows_room(const struct tiling *t)
{
    return t->block / t->tile * (t->kc * t->tile + 8);
}

static struct tiling choose_tiling(const struct clrnn_device *device)
{
    const struct clrnn_device_info *info = clrnn_device_info(device);
    struct tiling t = {
        .tile = 6, .kc = 256, .block = 192, .brief = isfinite(clrnn_device_quirks(device)->loop_rounds)};

    // 24 sums of 32 registers with AVX-512, 12 of 16 with AVX, SSE and (leaving some unused) NEON.
    t.width = info->float_vector_width >= 16 ? 16 : info->float_vector_width >= 8 ? 8 : 4;
    t.panel = t.width * (t.width == 16 ? 4 : 2);
    if (info->local_bytes < 4ull * (t.kc * t.panel + rows_room(&t) + t.tile * t.panel)) {
        t.kc = 64;
        t.block = 48; // fits the 32 KiB that every OpenCL device has
    }
    return t;
}

static uint32_t twins(const struct clrnn_gemm *g)
{
    return g->twin ? 2 : 1;
}

static bool twins_share_b(const struct clrnn_gemm *g)
{
    return g->twin && g->twin->b == g->b && g->twin->b_offset == g->b_offset;
}

// What an item multiplies between two looks at C. With B packed in a launch of its own and A in place, that
// needs no room: all of K, unless a panel of so much leaves the second-level cache.
static uint32_t step_of(const struct clrnn_gemm *g, const struct tiling *t, const struct cut *c)
{
    return c->packed && !g->transpose_a && c->k_share <= MOST_STEP ? MAX2(c->k_share, t->kc) : t->kc;
}

// Estimated cycles; the weights go back to 750 measured cuts of 16 shapes on AVX-512 (two FMA and two loads a
// cycle) and are needed only as proportions. The busiest core counts; several cost waking and some of an item
// of waiting.
static double estimate(const struct clrnn_gemm *g, const struct tiling *t, uint32_t cores,
                       const struct cut *c, bool scattered)
{
    const double each = c->both ? 2 : 1; // multiplies in an item
    const double tiles = each * clrnn_divide_up(c->m_block, t->tile),
                 panels = clrnn_divide_up(c->n_block, t->panel);
    const double k = c->k_share, vecs = t->panel / t->width,
                 items = twins(g) / each * c->m_count * c->n_count * c->shares;
    const double looks = ceil(k / step_of(g, t, c));
    const double multiply = tiles * panels * (k * t->tile * vecs / 2 + 75 * ceil(k / t->kc));
    const double pack_b = c->packed ? 0 : panels * vecs * k * (g->transpose_b ? 11 : 7);
    const double pack_all =
        c->packed ? 8000 + (double)clrnn_divide_up(g->N, t->panel) * vecs * g->K * 12 / cores : 0;
    const double pack_a = g->transpose_a ? each * k * c->m_block / t->width * 8 : 0;
    const double results = twins(g) * (double)g->M * g->N / cores;
    const double sum =
        c->shares > 1 ? 4000 + results * (10.0 / t->width * (c->shares + 1) + (scattered ? 4 : 0)) : 0;
    const double store = scattered && c->shares == 1 ? tiles * panels * t->tile * t->panel * looks * 4 : 0;
    const double item = multiply + pack_a + pack_b + store + 500;

    return (items > 1 ? (ceil(items / cores) + 0.1) * item + 4000 : item) + pack_all + sum;
}

// The counts and the time of cutting so; more time than any where the shares' results would be too large.
static struct cut try_cut(const struct clrnn_gemm *g, const struct tiling *t, uint32_t cores, uint32_t rows,
                          uint32_t panels, uint32_t shares, bool packed, bool both, bool scattered)
{
    struct cut c = {.n_block = panels * t->panel,
                    .k_share = clrnn_divide_up(g->K, shares),
                    .packed = packed,
                    .both = both};

    c.m_count = clrnn_divide_up(g->M, rows);
    c.m_block = clrnn_divide_up(clrnn_divide_up(g->M, c.m_count), t->tile) * t->tile;
    c.m_count = clrnn_divide_up(g->M, c.m_block);
    c.n_count = clrnn_divide_up(g->N, c.n_block);
    c.shares = clrnn_divide_up(g->K, c.k_share);
    c.cycles = (c.shares > 1 && (double)twins(g) * c.shares * g->M * g->N > MOST_PARTIAL) ||
                       (both && 2 * c.m_block > t->block)
                   ? INFINITY
                   : estimate(g, t, cores, &c, scattered);
    return c;
}

// One packed B must serve a twin too.
static bool may_pack(const struct clrnn_gemm *g, const struct tiling *t)
{
    return g->transpose_b && (double)clrnn_divide_up(g->N, t->panel) * t->panel * g->K <= MOST_PACKED &&
           (!g->twin || twins_share_b(g));
}

static struct cut choose_cut(const struct clrnn_gemm *g, const struct tiling *t, uint32_t cores,
                             bool scattered)
{
    struct cut best = {.cycles = INFINITY};

    if (t->brief)
        return try_cut(g, t, cores, t->tile, 1, clrnn_divide_up(g->K, BRIEF_K), false, false, scattered);
    for (uint32_t rows = t->tile; rows <= t->block; rows *= 2)
        for (uint32_t panels = 1; panels <= 8; panels *= 2)
            for (uint32_t shares = 1; shares <= 64 && (shares == 1 || g->K / shares >= 64); shares *= 2)
                for (int packed = 0; packed <= may_pack(g, t); packed++)
                    for (int both = 0; both <= twins_share_b(g); both++) {
                        const struct cut c =
                            try_cut(g, t, cores, rows, panels, shares, packed, both, scattered);

                        if (c.cycles < best.cycles)
                            best = c;
                    }
    return best;
}

// The same multiply as C' = op(B)' op(A)': then C's rows are its columns. Without the twin.
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
                               .c_ld = g->c_ld,
                               .a_rows = g->b_rows,
                               .b_rows = g->a_rows,
                               .finish = g->finish,
                               .addend = {g->addend[0], g->addend[1]},
                               .finished = g->finished};
}

// C's rows lie `ld` apart, its columns `step`. turned: they are the columns and rows of the multiply asked
// for.
struct strides {
    uint32_t ld, step;
    bool turned;
};

static struct clrnn_defines defines_of(const struct tiling *t, bool transpose_a, bool packed, bool gather,
                                       struct clrnn_define define[7])
{
    define[0] = (struct clrnn_define){"WIDTH", t->width};
    define[1] = (struct clrnn_define){"TILE", t->tile};
    define[2] = (struct clrnn_define){"PANEL", t->panel};
    define[3] = (struct clrnn_define){"KC", t->kc};
    define[4] = (struct clrnn_define){"TRANSPOSE_A", transpose_a};
    define[5] = (struct clrnn_define){"PACKED", packed};
    define[6] = (struct clrnn_define){"GATHER", gather};
    return (struct clrnn_defines){7, define};
}

static enum clrnn_status append_dot(struct clrnn_launches *launches, const struct clrnn_gemm *g,
                                    const struct tiling *t, uint32_t cores, struct strides c)
{
    struct clrnn_define define[7];
    // Four items a core, of no less than about 20 microseconds.
    const uint32_t least = (uint32_t)(1 << 16) / g->K + 1, even = clrnn_divide_up(g->N, 4 * cores);
    const uint32_t n_block = t->brief ? 4 : clrnn_divide_up(even > least ? even : least, 4) * 4;

    return clrnn_launch_kernel(
        launches, "gemm", "gemm_dot", defines_of(t, false, false, false, define),
        (struct clrnn_range){1, {clrnn_divide_up(g->N, n_block), 1, 1}, {1, 1, 1}}, clrnn_gemm_cost(g),
        ARGS(UINT(g->M), UINT(g->N), UINT(g->K), REAL(g->alpha), BUF(g->a), UINT(g->a_offset), UINT(g->a_ld),
             BUF(g->b), UINT(g->b_offset), UINT(g->b_ld), REAL(g->beta), BUF(g->c), UINT(g->c_offset),
             UINT(c.ld), UINT(c.step), UINT(n_block)));
}

// B' in panels; every item then reads what it needs.
static enum clrnn_status append_pack(struct clrnn_launches *launches, const struct clrnn_gemm *g,
                                     const struct tiling *t, struct clrnn_defines defines,
                                     struct clrnn_buffer **packed)
{
    const uint32_t panels = clrnn_divide_up(g->N, t->panel);

    TRY(clrnn_launches_scratch(launches, (size_t)panels * t->panel * g->K, packed));
    return clrnn_launch_kernel(
        launches, "gemm", "gemm_pack", defines,
        (struct clrnn_range){2, {panels, clrnn_divide_up(g->K, PACK_SHARE), 1}, {1, 1, 1}},
        (struct clrnn_cost){0, 8.0 * g->K * g->N},
        ARGS(UINT(g->N), UINT(g->K), BUF(g->b), UINT(g->b_offset), UINT(g->b_ld), BUF(g->b_rows),
             BUF(*packed), UINT(PACK_SHARE)));
}

// Where K is shared out, each share's results go to `partial`, [shares, twins, M, N], and are summed after.
static enum clrnn_status append_tiles(struct clrnn_launches *launches, const struct clrnn_gemm *g,
                                      const struct tiling *t, const struct cut *cut, struct strides c)
{
    struct clrnn_define define[7];
    const struct clrnn_defines defines =
        defines_of(t, g->transpose_a, cut->packed, g->b_rows != NULL, define);
    const struct clrnn_gemm *second = g->twin ? g->twin : g;
    const struct clrnn_cost cost = clrnn_gemm_cost(g);
    const uint32_t MN = g->M * g->N, share = twins(g) * MN; // fit where there are shares
    const size_t room =
        t->tile * t->panel + (cut->packed ? 0 : t->kc * t->panel) + (g->transpose_a ? rows_room(t) : 0);
    const uint32_t k_step = step_of(g, t, cut);
    const bool finishes = g->finished && g->beta == 0 && (cut->shares > 1 || k_step >= g->K);
    const enum clrnn_finish how = finishes ? g->finish : CLRNN_FINISH_NONE;
    const uint32_t rows = twins(g) * g->M;
    const uint32_t sum_rows = t->brief ? 1 : clrnn_divide_up(SUM_NUMBERS, g->N); // long runs in each share
    struct clrnn_buffer *partial = NULL, *packed = NULL;

    if (cut->packed)
        TRY(append_pack(launches, g, t, defines, &packed));
    if (cut->shares > 1)
        TRY(clrnn_launches_scratch(launches, (size_t)cut->shares * share, &partial));
    TRY(clrnn_launch_kernel(
        launches, "gemm", "gemm", defines,
        (struct clrnn_range){
            3, {cut->n_count, (cut->both ? 1 : twins(g)) * cut->m_count, cut->shares}, {1, 1, 1}},
        (struct clrnn_cost){twins(g) * cost.flops, twins(g) * cost.bytes},
        ARGS(UINT(g->M), UINT(g->N), UINT(g->K), REAL(partial ? 1 : g->alpha), BUF(g->a), UINT(g->a_offset),
             BUF(packed ? packed : g->b), UINT(packed ? 0 : g->b_offset), BUF(partial ? partial : g->c),
             UINT(partial ? 0 : g->c_offset), BUF(second->a), UINT(second->a_offset),
             BUF(packed ? packed : second->b), UINT(packed ? 0 : second->b_offset),
             BUF(partial ? partial : second->c), UINT(partial ? MN : second->c_offset), UINT(cut->both),
             UINT(g->a_ld), UINT(g->b_ld), BUF(g->b_rows), UINT(g->transpose_b), REAL(partial ? 0 : g->beta),
             UINT(partial ? g->N : c.ld), UINT(partial ? 1 : c.step), UINT(partial ? share : 0),
             UINT(cut->m_block), UINT(cut->n_block), UINT(cut->k_share), UINT(k_step),
             UINT(partial ? CLRNN_FINISH_NONE : how), UINT(c.turned), BUF(g->addend[0]), BUF(g->addend[1]),
             BUF(second->addend[0]), BUF(second->addend[1]), LOCAL(room * sizeof(float)))));
    if (finishes)
        *g->finished = true;
    if (!partial)
        return CLRNN_OK;
    return clrnn_launch_kernel(
        launches, "gemm", "gemm_sum", defines,
        (struct clrnn_range){
            2, {clrnn_divide_up(g->N, SUM_BLOCK), clrnn_divide_up(rows, sum_rows), 1}, {1, 1, 1}},
        (struct clrnn_cost){0, 4.0 * (cut->shares + 1) * share},
        ARGS(UINT(g->M), UINT(g->N), UINT(cut->shares), UINT(share), BUF(partial), REAL(g->alpha),
             REAL(g->beta), BUF(g->c), UINT(g->c_offset), BUF(second->c), UINT(second->c_offset), UINT(c.ld),
             UINT(c.step), UINT(how), UINT(c.turned), BUF(g->addend[0]), BUF(g->addend[1]),
             BUF(second->addend[0]), BUF(second->addend[1]), UINT(SUM_BLOCK), UINT(sum_rows), UINT(rows)));
}

static bool counts_in_32_bits(const struct clrnn_gemm *g)
{
    return g->a_offset <= UINT32_MAX && g->b_offset <= UINT32_MAX && g->c_offset <= UINT32_MAX &&
           g->M <= INT32_MAX && g->N <= INT32_MAX && g->K <= INT32_MAX;
}

// How a multiply is done: as it stands or swapped, and cut how. Rows that lie apart are B's.
struct way {
    bool swap;
    struct cut cut;
};

static struct way choose_way(const struct clrnn_gemm *g, const struct clrnn_gemm *other,
                             const struct tiling *t, uint32_t cores)
{
    const struct cut cut = choose_cut(g, t, cores, false), other_cut = choose_cut(other, t, cores, true);
    const bool swap = g->a_rows || (!g->b_rows && other_cut.cycles < cut.cycles);

    return (struct way){swap, swap ? other_cut : cut};
}

enum clrnn_status clrnn_gemm_own_prepare(struct clrnn_launches *launches, const struct clrnn_gemm *gemm,
                                         bool *taken)
{
    const struct clrnn_device_info *info = clrnn_device_info(clrnn_launches_device(launches));
    const struct tiling t = choose_tiling(clrnn_launches_device(launches));
    const uint32_t cores = info->compute_units ? info->compute_units : 1;
    const struct strides along = {gemm->c_ld, 1, false}, across = {1, gemm->c_ld, true};
    const bool dot = !gemm->transpose_a && gemm->transpose_b && !gemm->a_rows && !gemm->b_rows &&
                     (gemm->M <= 4 || gemm->N <= 4) && !(t.brief && gemm->K > BRIEF_K);
    struct clrnn_gemm other = swapped(gemm), other_twin;
    double alone = INFINITY; // a twin's cycles without the other
    struct way way;

    *taken = counts_in_32_bits(gemm) && (!gemm->twin || (!dot && counts_in_32_bits(gemm->twin)));
    if (!*taken)
        return CLRNN_OK;
    if (dot)
        return gemm->M <= gemm->N ? append_dot(launches, gemm, &t, cores, along)
                                  : append_dot(launches, &other, &t, cores, across);
    if (gemm->twin) {
        struct clrnn_gemm single = *gemm;

        single.twin = NULL;
        alone = choose_way(&single, &other, &t, cores).cut.cycles;
        other_twin = swapped(gemm->twin);
        other.twin = &other_twin;
    }
    way = choose_way(gemm, &other, &t, cores);
    *taken = isfinite(way.cut.cycles) && way.cut.cycles <= 2 * alone;
    if (!*taken)
        return CLRNN_OK;
    return way.swap ? append_tiles(launches, &other, &t, &way.cut, across)
                    : append_tiles(launches, gemm, &t, &way.cut, along);
}
