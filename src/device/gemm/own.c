// SPDX-License-Identifier: MIT
// clRNN's matrix multiply for CPUs: how a shape is divided into work-items of cl/gemm.cl or cl/gemm_dot.cl.
#include <math.h>

#include "base/array.h"
#include "device/gemm/internal.h"

// Sizes of the register tile, and of the blocks and panels in cache, for a device. The first four are defines of
// cl/gemm.cl: WIDTH, TILE, PANEL and KC.
struct tile {
    // width: floats in a vector.
    // rows: rows of a tile.
    // panel: columns of a tile and of a panel of B.
    // kc: depth of a panel of B, in elements of K.
    // block: most rows of A in a work-item.
    uint32_t width, rows, panel, kc, block;
    // Whether the driver limits loop iterations (loop_rounds in device/core/quirks.h). A work-item then computes only
    // one tile, over a depth of at most BRIEF_K.
    bool brief;
};
enum {
    BRIEF_K = 1024,
    SUM_BLOCK = 1024,
    SUM_NUMBERS = 2048,
    PACK_K = 256,
    MOST_STEP = 3072,
    MOST_COLUMNS = 512,
    MOST_PARTIAL = 1 << 28,
    MOST_PACKED = 1 << 24
};

enum { LEAST_BLOCK = 48, BLOCK_STEP = 24 }; // rows of A; both are multiples of both tile heights, 6 and 8

// A division of C and K: a work-item computes m_block rows and n_block columns of C, over k_part of K.
struct tiling {
    uint32_t m_block, n_block, k_part;
    uint32_t m_count, n_count, parts; // work-items along M, N and K; parts above 1: split-K
    bool packed;                      // B is packed first, by a separate launch
    bool paired;                      // each work-item computes its blocks of both multiplies of a pair
    double cycles;                    // estimated clock cycles for the whole batch
};

// One or two multiplies of one shape, in the form that the kernels compute. If `transposed`, the kernels compute the
// transposed C, which is op(B)^T op(A)^T; its rows are C's columns.
struct batch {
    struct clrnn_gemm gemm[2];
    uint32_t count;
    const struct clrnn_epilogue *epilogue; // [count], NULL: none
    bool transposed;
};

// Returns the number of floats that a block's rows of A take when they are packed tile by tile.
static uint32_t packed_rows_size(const struct tile *t)
{
    return t->block / t->rows * (t->kc * t->rows + 8);
}

// Returns the bytes of local memory for the widest panel (4 vectors) and any tile height. The result is the same for
// every tile, so kc, which follows from it, does not depend on the tile either. kc sets the order of sums, which must
// not depend on the tile.
static uint64_t most_local_bytes(const struct tile *t)
{
    const uint64_t panel = 4ull * t->width;

    return 4 * (t->kc * panel + t->kc * t->block + t->block / 6 * 8 + 8 * panel);
}

// Returns the tile for panels of `vectors` vectors, 2 to 4, on CPUs with vectors of 16 floats (AVX-512). On other CPUs
// a panel always has 2 vectors. A tile's sums take 24 of the 32 vector registers of AVX-512, or 16 if `vectors` is 2.
// They take 12 of the 16 registers of AVX and SSE, and 12 of the 32 of NEON. With AVX-512, kc is 128 if A is packed
// (form TN): a panel of 64 columns then fits the first-level cache, which is faster. If A is not packed, kc is 256:
// with 128, C would be read and written twice as often, which is slower. A multiply and its transposed form have the
// same kc, because kc sets the order of sums.
static struct tile tile_of(const struct clrnn_device *device, const struct clrnn_gemm *g, uint32_t vectors)
{
    const struct clrnn_device_info *info = clrnn_device_info(device);
    struct tile t = {.rows = vectors == 4 ? 6 : 8,
                     .kc = 256,
                     .block = 192,
                     .brief = isfinite(clrnn_device_quirks(device)->loop_rounds)};

    t.width = clrnn_device_vector_width(device);
    t.panel = t.width * vectors;
    if (t.width < 16) {
        t.rows = 6;
        t.panel = t.width * 2;
    } else if (g->transpose_a && !g->transpose_b) {
        t.kc = 128;
        t.block = 768;
    } else {
        t.block = 384;
    }
    while (t.block > LEAST_BLOCK && info->local_bytes < most_local_bytes(&t))
        t.block -= BLOCK_STEP;
    if (info->local_bytes < most_local_bytes(&t))
        t.kc = 64; // fits the 32 KiB that every OpenCL device has
    return t;
}

static bool same_b(const struct batch *b)
{
    return b->count == 2 && b->gemm[0].b == b->gemm[1].b && b->gemm[0].b_offset == b->gemm[1].b_offset;
}

// Whether each work-item may compute its blocks of both multiplies of a pair. The multiplies must share B, and K must
// not be summed in blocks, because the order of blocks may differ between the two.
static bool may_pair(const struct batch *b)
{
    return same_b(b) && !b->gemm[0].k_lead;
}

// Returns how much of K a work-item sums up before it adds the sums to C. If B is packed by a separate launch and A is
// read in place, no local memory is needed. The result is then all of k_part, unless a panel of that depth exceeds the
// second-level cache.
static uint32_t step_of(const struct clrnn_gemm *g, const struct tile *t, const struct tiling *c)
{
    return c->packed && !g->transpose_a && c->k_part <= MOST_STEP ? MAX2(c->k_part, t->kc) : t->kc;
}

// Returns the estimated clock cycles of a tiling, which are those of the busiest core. The weights were fitted to 750
// measured tilings of 16 shapes on AVX-512 (two FMAs and two loads a cycle); only their proportions matter. If there
// are several work-items, two terms are added: 4000 cycles for waking threads, and 0.02 of a work-item's time. The
// second term is the average wait for the last work-item. These two terms and `sum`, the cost of split-K, were fitted
// again to seven shapes of weight gradients. Vectors of 8 or 4 floats have narrower panels, so fewer columns share a
// work-item's first pass over A. This pass misses the second-level cache. So for these vectors its cost is added, too
// (read_a, measured on AVX2).
static double estimate(const struct batch *b, const struct tile *t, uint32_t cores, const struct tiling *c)
{
    const struct clrnn_gemm *g = &b->gemm[0];
    const double each = c->paired ? 2 : 1; // multiplies that a work-item computes
    const double tiles = each * clrnn_divide_up(c->m_block, t->rows), panels = clrnn_divide_up(c->n_block, t->panel);
    const double k = c->k_part, vecs = t->panel / t->width,
                 items = b->count / each * c->m_count * c->n_count * c->parts;
    const double steps = ceil(k / step_of(g, t, c));
    const double multiply = tiles * panels * (k * t->rows * vecs / 2 + 75 * ceil(k / t->kc));
    const double pack_b = c->packed ? 0 : panels * vecs * k * (g->transpose_b ? 11 : 7);
    const double pack_all =
        c->packed && !g->panels ? 8000 + (double)clrnn_divide_up(g->N, t->panel) * vecs * g->K * 12 / cores : 0;
    const double pack_a = g->transpose_a ? each * k * c->m_block / t->width * 8 : 0;
    const double read_a = g->transpose_a || t->width == 16 ? 0 : each * k * c->m_block * 0.4;
    const double results = b->count * (double)g->M * g->N / cores;
    const double sum = c->parts > 1 ? 4000 + results * (20.0 / t->width * (c->parts + 1) + (b->transposed ? 4 : 0)) : 0;
    const double store = b->transposed && c->parts == 1 ? tiles * panels * t->rows * t->panel * steps * 4 : 0;
    const double item = multiply + pack_a + read_a + pack_b + store + 500;

    return (items > 1 ? (ceil(items / cores) + 0.02) * item + 4000 : item) + pack_all + sum;
}

// Returns a tiling with its counts and its estimated time. The time is infinite if the partial results of split-K are
// too large, or if a pair needs too many rows of A.
static struct tiling try_tiling(const struct batch *b, const struct tile *t, uint32_t cores, uint32_t rows,
                                uint32_t panels, uint32_t parts, bool packed, bool paired)
{
    const struct clrnn_gemm *g = &b->gemm[0];
    struct tiling c = {
        .n_block = panels * t->panel, .k_part = clrnn_divide_up(g->K, parts), .packed = packed, .paired = paired};

    c.m_count = clrnn_divide_up(g->M, rows);
    c.m_block = clrnn_divide_up(clrnn_divide_up(g->M, c.m_count), t->rows) * t->rows;
    c.m_count = clrnn_divide_up(g->M, c.m_block);
    c.n_count = clrnn_divide_up(g->N, c.n_block);
    c.parts = clrnn_divide_up(g->K, c.k_part);
    c.cycles =
        (c.parts > 1 && (double)b->count * c.parts * g->M * g->N > MOST_PARTIAL) || (paired && 2 * c.m_block > t->block)
            ? INFINITY
            : estimate(b, t, cores, &c);
    return c;
}

// Whether a separate launch may pack B. B must be transposed, or shared by several multiplies (`panels`), and not too
// large; both multiplies of a pair must have the same B. Packing can change how C is rounded: with B packed, the
// partial sums over K are added up and then added to C; otherwise each is added to C. This differs only if C has a
// value before: if beta is not 0, or after the first block of K (k_lead). Whether packing pays off depends on M and N,
// but the bits of a `fixed` multiply must not. In these two cases B is therefore not packed for a `fixed` multiply.
static bool may_pack(const struct batch *b, const struct tile *t)
{
    const struct clrnn_gemm *g = &b->gemm[0];

    return (g->transpose_b || g->panels) && !(g->fixed && (g->k_lead || g->beta != 0)) &&
           (double)clrnn_divide_up(g->N, t->panel) * t->panel * g->K <= MOST_PACKED && (b->count == 1 || same_b(b));
}

static struct tiling choose_tiling(const struct batch *b, const struct tile *t, uint32_t cores)
{
    const uint32_t K = b->gemm[0].K, most = b->gemm[0].fixed ? 1 : 64;
    const int kept = b->gemm[0].panels && may_pack(b, t); // 1: B must be packed, for several multiplies
    struct tiling best = {.cycles = INFINITY};

    if (t->brief)
        return try_tiling(b, t, cores, t->rows, 1, clrnn_divide_up(K, BRIEF_K), false, false);
    for (uint32_t rows = t->rows; rows <= t->block; rows *= 2)
        for (uint32_t panels = 1; panels <= MOST_COLUMNS / t->panel; panels *= 2)
            for (uint32_t parts = 1; parts <= most && (parts == 1 || K / parts >= 64); parts *= 2)
                for (int packed = kept; packed <= may_pack(b, t); packed++)
                    for (int paired = 0; paired <= may_pair(b); paired++) {
                        const struct tiling c = try_tiling(b, t, cores, rows, panels, parts, packed, paired);

                        if (c.cycles < best.cycles)
                            best = c;
                    }
    return best;
}

// Returns the batch that computes the transposed C.
static struct batch transposed(const struct batch *b)
{
    struct batch other = *b;

    other.transposed = true;
    for (uint32_t i = 0; i < b->count; i++) {
        const struct clrnn_gemm *g = &b->gemm[i];
        struct clrnn_gemm *o = &other.gemm[i];

        o->transpose_a = !g->transpose_b;
        o->transpose_b = !g->transpose_a;
        o->M = g->N;
        o->N = g->M;
        o->a = g->b;
        o->b = g->a;
        o->a_offset = g->b_offset;
        o->b_offset = g->a_offset;
        o->a_ld = g->b_ld;
        o->b_ld = g->a_ld;
        o->a_rows = g->b_rows;
        o->b_rows = g->a_rows;
    }
    return other;
}

static struct clrnn_defines defines_of(const struct tile *t, bool transpose_a, bool packed, bool gather,
                                       struct clrnn_define define[7])
{
    define[0] = (struct clrnn_define){"WIDTH", t->width};
    define[1] = (struct clrnn_define){"TILE", t->rows};
    define[2] = (struct clrnn_define){"PANEL", t->panel};
    define[3] = (struct clrnn_define){"KC", t->kc};
    define[4] = (struct clrnn_define){"TRANSPOSE_A", transpose_a};
    define[5] = (struct clrnn_define){"PACKED", packed};
    define[6] = (struct clrnn_define){"GATHER", gather};
    return (struct clrnn_defines){7, define};
}

// Returns the kernel arguments that depend only on the batch, not on the tiling.
static struct gemm_args args_of(const struct batch *b)
{
    const struct clrnn_gemm *g = &b->gemm[0], *second = &b->gemm[b->count - 1];
    const uint32_t c_ld = g->c_ld;

    return (struct gemm_args){
        .M = g->M,
        .N = g->N,
        .K = g->K,
        .count = b->count,
        .alpha = g->alpha,
        .beta = g->beta,
        .a_offset = {(uint32_t)g->a_offset, (uint32_t)second->a_offset},
        .b_offset = {(uint32_t)g->b_offset, (uint32_t)second->b_offset},
        .c_offset = {(uint32_t)g->c_offset, (uint32_t)second->c_offset},
        .a_ld = g->a_ld,
        .b_ld = g->b_ld,
        .c_ld = b->transposed ? 1 : c_ld,
        .c_step = b->transposed ? c_ld : 1,
        .k_lead = {g->k_lead, second->k_lead},
        .k_block = g->k_block,
        .descending = {g->descending, second->descending},
        .transpose_b = g->transpose_b,
        .transposed = b->transposed,
    };
}

static enum clrnn_status append_dot(struct clrnn_launches *launches, const struct batch *b, const struct tile *t,
                                    uint32_t cores)
{
    const struct clrnn_gemm *g = &b->gemm[0];
    struct gemm_args args = args_of(b);
    // Aims at four work-items per core. But each has at least 2^16 multiply-adds per row of A, about 20 microseconds.
    const uint32_t least = (uint32_t)(1 << 16) / g->K + 1, even = clrnn_divide_up(g->N, 4 * cores);

    args.n_block = t->brief ? 4 : clrnn_divide_up(even > least ? even : least, 4) * 4;
    return clrnn_launch_kernel(launches, "gemm_dot", "gemm_dot", DEFINES({"WIDTH", t->width}),
                               (struct clrnn_range){1, {clrnn_divide_up(g->N, args.n_block), 1, 1}, {1, 1, 1}},
                               clrnn_gemm_cost(g), ARGS(STRUCT(gemm_args, &args), BUF(g->a), BUF(g->b), BUF(g->c)));
}

// Appends a launch that packs B into panels in scratch memory, from which every work-item of the multiply reads.
static enum clrnn_status append_pack(struct clrnn_launches *launches, const struct batch *b, const struct tile *t,
                                     struct clrnn_defines defines, struct clrnn_buffer **packed)
{
    const struct clrnn_gemm *g = &b->gemm[0];
    const uint32_t panels = clrnn_divide_up(g->N, t->panel);
    struct gemm_args args = args_of(b);

    args.k_part = PACK_K;
    TRY(clrnn_launches_scratch(launches, (size_t)panels * t->panel * g->K, packed));
    return clrnn_launch_kernel(launches, "gemm", "gemm_pack", defines,
                               (struct clrnn_range){2, {panels, clrnn_divide_up(g->K, PACK_K), 1}, {1, 1, 1}},
                               (struct clrnn_cost){0, 8.0 * g->K * g->N},
                               ARGS(STRUCT(gemm_args, &args), BUF(g->b), BUF(g->b_rows), BUF(*packed)));
}

// Appends the launch that sums the partial results of split-K and applies the epilogue.
static enum clrnn_status append_sum(struct clrnn_launches *launches, const struct batch *b, const struct tile *t,
                                    struct clrnn_defines defines, struct gemm_args args, struct clrnn_buffer *partial,
                                    struct clrnn_buffer *const bias[4])
{
    const struct clrnn_gemm *g = &b->gemm[0];

    args.n_block = SUM_BLOCK;
    // A work-item then reads long runs of contiguous numbers.
    args.m_block = t->brief ? 1 : clrnn_divide_up(SUM_NUMBERS, g->N);
    return clrnn_launch_kernel(
        launches, "gemm", "gemm_sum", defines,
        (struct clrnn_range){
            2, {clrnn_divide_up(g->N, SUM_BLOCK), clrnn_divide_up(b->count * g->M, args.m_block), 1}, {1, 1, 1}},
        (struct clrnn_cost){0, 4.0 * (args.parts + 1) * args.c_part},
        ARGS(STRUCT(gemm_args, &args), BUF(partial), BUF(g->c), BUF(b->gemm[b->count - 1].c), BUF(bias[0]),
             BUF(bias[1]), BUF(bias[2]), BUF(bias[3])));
}

// Appends the launches of a multiply with a given tiling. With split-K, the kernel writes partial results to `partial`,
// [parts, count, M, N], and a further launch sums them.
static enum clrnn_status append_tiles(struct clrnn_launches *launches, const struct batch *b, const struct tile *t,
                                      const struct tiling *c, bool *fused)
{
    const struct clrnn_gemm *g = &b->gemm[0], *second = &b->gemm[b->count - 1];
    struct clrnn_define define[7];
    const struct clrnn_defines defines = defines_of(t, g->transpose_a, c->packed, g->b_rows != NULL, define);
    const struct clrnn_cost cost = clrnn_gemm_cost(g);
    const size_t local =
        t->rows * t->panel + (c->packed ? 0 : t->kc * t->panel) + (g->transpose_a ? packed_rows_size(t) : 0);
    struct clrnn_buffer *partial = NULL, *packed = g->panels ? *g->panels : NULL, *bias[4] = {NULL};
    struct gemm_args args = args_of(b), tiles;

    args.k_step = step_of(g, t, c);
    args.parts = c->parts;
    *fused = b->epilogue && g->beta == 0 && (c->parts > 1 || args.k_step >= g->K);
    for (uint32_t i = 0; *fused && i < 4; i++)
        bias[i] = b->epilogue[b->count == 2 ? i / 2 : 0].bias[i % 2];
    args.epilogue = (unsigned)(*fused ? b->epilogue->kind : EPILOGUE_NONE);
    if (c->packed && !packed)
        TRY(append_pack(launches, b, t, defines, &packed));
    if (c->parts > 1) {
        args.c_part = b->count * g->M * g->N; // no overflow: at most MOST_PARTIAL (try_tiling)
        TRY(clrnn_launches_scratch(launches, (size_t)c->parts * args.c_part, &partial));
    }
    tiles = args;
    tiles.m_block = c->m_block;
    tiles.n_block = c->n_block;
    tiles.k_part = c->k_part;
    tiles.paired = c->paired;
    if (packed)
        tiles.b_offset[0] = tiles.b_offset[1] = 0;
    if (partial) {
        tiles.alpha = 1;
        tiles.beta = 0;
        tiles.c_offset[0] = 0;
        tiles.c_offset[1] = g->M * g->N;
        tiles.c_ld = g->N;
        tiles.c_step = 1;
        tiles.epilogue = EPILOGUE_NONE;
    }
    TRY(clrnn_launch_kernel(
        launches, "gemm", "gemm", defines,
        (struct clrnn_range){3, {c->n_count, (c->paired ? 1 : b->count) * c->m_count, c->parts}, {1, 1, 1}},
        (struct clrnn_cost){b->count * cost.flops, b->count * cost.bytes},
        ARGS(STRUCT(gemm_args, &tiles), BUF(g->a), BUF(packed ? packed : g->b), BUF(partial ? partial : g->c),
             BUF(second->a), BUF(packed ? packed : second->b), BUF(partial ? partial : second->c), BUF(g->b_rows),
             BUF(bias[0]), BUF(bias[1]), BUF(bias[2]), BUF(bias[3]), LOCAL(local * sizeof(float)))));
    return partial ? append_sum(launches, b, t, defines, args, partial, bias) : CLRNN_OK;
}

static uint32_t cores_of(const struct clrnn_device *device)
{
    return MAX2(clrnn_device_info(device)->compute_units, 1u);
}

static bool counts_in_32_bits(const struct clrnn_gemm *g)
{
    return g->a_offset <= UINT32_MAX && g->b_offset <= UINT32_MAX && g->c_offset <= UINT32_MAX && g->M <= INT32_MAX &&
           g->N <= INT32_MAX && g->K <= INT32_MAX;
}

// Chooses whether a batch is computed as it is or transposed (*b is then changed), and returns its tiling. Only rows of
// B can be gathered, so a batch that gathers rows of A is transposed.
static struct tiling choose_side(struct batch *b, const struct tile *t, uint32_t cores)
{
    const struct batch other = transposed(b);
    const struct tiling c = choose_tiling(b, t, cores), other_c = choose_tiling(&other, t, cores);

    if (!b->gemm[0].a_rows && (b->gemm[0].b_rows || b->gemm[0].panels || other_c.cycles >= c.cycles))
        return c;
    *b = other;
    return other_c;
}

// As choose_side, but also chooses the tile. A tile with narrower panels needs another program, so it is chosen only if
// it is faster by a tenth.
static struct tiling choose(struct batch *b, struct tile *t, const struct clrnn_device *device, uint32_t cores)
{
    const struct batch as_given = *b;
    struct tiling best = choose_side(b, t, cores);

    for (uint32_t vectors = 3; vectors >= 2 && t->width == 16 && !t->brief; vectors--) {
        const struct tile other = tile_of(device, &as_given.gemm[0], vectors);
        struct batch batch = as_given;
        const struct tiling c = choose_side(&batch, &other, cores);

        if (c.cycles < 0.9 * best.cycles) {
            *b = batch;
            *t = other;
            best = c;
        }
    }
    return best;
}

// Whether the kernel gemm_dot computes a multiply: C has at most 4 rows or 4 columns, and neither A nor B needs
// packing.
static bool is_dot(const struct clrnn_gemm *g, const struct tile *t)
{
    return !g->fixed && !g->transpose_a && g->transpose_b && !g->a_rows && !g->b_rows && (g->M <= 4 || g->N <= 4) &&
           !(t->brief && g->K > BRIEF_K);
}

enum clrnn_status clrnn_gemm_own_pack(struct clrnn_launches *launches, const struct clrnn_gemm *gemm)
{
    const struct clrnn_device *device = clrnn_launches_device(launches);
    struct batch b = {.gemm = {gemm[0], gemm[0]}, .count = 1};
    struct tile t = tile_of(device, gemm, 4);
    struct clrnn_define define[7];
    struct tiling c;

    if (*gemm->panels || !counts_in_32_bits(gemm) || is_dot(gemm, &t))
        return CLRNN_OK;
    c = choose(&b, &t, device, cores_of(device));
    if (!c.packed)
        return CLRNN_OK;
    return append_pack(launches, &b, &t, defines_of(&t, gemm->transpose_a, true, gemm->b_rows != NULL, define),
                       gemm->panels);
}

enum clrnn_status clrnn_gemm_own_append(struct clrnn_launches *launches, const struct clrnn_gemm *gemm, uint32_t count,
                                        const struct clrnn_epilogue *epilogue, bool *taken, bool *fused)
{
    const struct clrnn_device *device = clrnn_launches_device(launches);
    struct tile t = tile_of(device, gemm, 4);
    const uint32_t cores = cores_of(device);
    const bool dot = is_dot(gemm, &t);
    struct batch b = {.gemm = {gemm[0], gemm[count - 1]}, .count = count, .epilogue = epilogue};
    double alone = INFINITY; // cycles of one multiply of the pair if the two are not batched
    struct tiling c;

    if (count == 2)
        b.gemm[0].panels = b.gemm[1].panels = NULL;
    *taken = counts_in_32_bits(&b.gemm[0]) && counts_in_32_bits(&b.gemm[1]) && !(dot && count == 2);
    if (!*taken)
        return CLRNN_OK;
    if (dot) {
        if (gemm->M > gemm->N)
            b = transposed(&b);
        return append_dot(launches, &b, &t, cores);
    }
    if (count == 2) {
        struct batch single = b;

        single.count = 1;
        alone = choose_side(&single, &t, cores).cycles;
    }
    c = choose(&b, &t, device, cores);
    *taken = isfinite(c.cycles) && c.cycles <= 2 * alone;
    return *taken ? append_tiles(launches, &b, &t, &c, fused) : CLRNN_OK;
}
