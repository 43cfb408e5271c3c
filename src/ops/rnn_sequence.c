// SPDX-License-Identifier: MIT
// The variants of a recurrent layer for CPUs: SEQUENCE, one persistent kernel for all time steps, and SHARED, a launch
// per step. Kernels: cl/rnn_forward.cl, cl/rnn_backward.cl.
#include "base/array.h"
#include "ops/rnn_variants.h"

// How the work of a layer is divided on a CPU. A tile is `tile` vectors of `width` hidden units. A work-item computes a
// tile for one stripe of batch rows after the other; see cl/rnn_tile.h.
struct tiling {
    // slots: vectors of accumulators in memory for a batch row and a tile.
    // vectors: vectors in a tile's part of each row of the packed weights; the kernels call it P.
    uint32_t width, tile, slots, vectors;
    // tiles: number of tiles.
    // rows: most batch rows of a stripe.
    uint32_t tiles, rows;
    // item_rows: batch rows per work-item.
    // items: work-items among which the rows are divided.
    uint32_t item_rows, items;
    // item_tiles: tiles per work-item.
    // tile_items: work-items among which the tiles are divided.
    uint32_t item_tiles, tile_items;
    uint32_t steps; // time steps per launch
    uint32_t ahead; // vectors that a stripe prefetches from each row of the next tile's packed weights
};

// Most batch rows per work-item. The states of so many rows fit in the second-level cache together with the weights.
enum { MOST_ITEM_ROWS = 64 };

// If a work-item has at least this many bytes of recurrent weights, its stripes together prefetch all weights of the
// next tile. So with few stripes, each stripe prefetches several vectors. If a work-item has fewer bytes, each stripe
// prefetches one vector, because the second-level cache keeps most weights from one time step to the next.
enum { LEAST_WEIGHTS = 512 * 1024 };

static uint32_t cores_each(const struct clrnn_launches *l, const struct clrnn_rnn *r)
{
    const uint32_t units = clrnn_device_info(clrnn_launches_device(l))->compute_units;

    return (MAX2(units, 1u) + r->D - 1) / r->D;
}

// In SEQUENCE, each core computes some batch rows over all time steps without synchronisation, and reads all recurrent
// weights in every step. If the weights exceed a core's own cache (assumed 2 MiB), reading them takes longer than
// multiplying them by a few rows. SHARED is then chosen: it divides the hidden units among the cores, at the cost of a
// launch per step.
enum clrnn_rnn_variant clrnn_rnn_sequence_standard(const struct clrnn_launches *l, const struct clrnn_rnn *r)
{
    return (size_t)r->G * r->H * r->H * sizeof(float) > 2 * 1024 * 1024 && cores_each(l, r) > 1 ? CLRNN_RNN_SHARED
                                                                                                : CLRNN_RNN_SEQUENCE;
}

static void employ_cores(const struct clrnn_launches *l, const struct clrnn_rnn *r, struct tiling *t)
{
    const uint32_t each = cores_each(l, r);
    const bool shared = r->variant == CLRNN_RNN_SHARED;
    const uint32_t tile_items = shared ? MIN2(t->tiles, each) : 1, items = MAX2(each / tile_items, 1u);

    t->steps = shared ? 1 : r->steps;
    t->item_tiles = clrnn_divide_up(t->tiles, tile_items);
    t->tile_items = clrnn_divide_up(t->tiles, t->item_tiles);
    // A work-item gets at least 4 rows: with fewer it would not be faster, because reading the weights dominates.
    t->item_rows = MAX2(clrnn_divide_up(r->N, items), MIN2(r->N, 4u));
    t->item_rows = clrnn_divide_up(t->item_rows, clrnn_divide_up(t->item_rows, MOST_ITEM_ROWS));
    t->items = clrnn_divide_up(r->N, t->item_rows);
}

// Returns the tiling of forward or backward. The accumulators, rows * vectors, must fit in the vector registers. They
// take up to 24 of the 32 registers of 512 bits. For shorter vectors 16 registers are assumed, of which they take up to
// 12.
static struct tiling tiling_of(const struct clrnn_launches *l, const struct clrnn_rnn *r, bool backward)
{
    struct tiling t = {.width = clrnn_rnn_width(l)};
    const uint32_t unit_vectors = clrnn_divide_up(r->H, t.width), registers = t.width == 16 ? 24 : 12;

    // Choose the widest tile among those that leave the fewest vectors empty. In backward, a tile has at most 2 vectors
    // because its weights have G times as many rows. With more vectors, the weights of two tiles and the gates would
    // not fit in the second-level cache.
    for (uint32_t tile = backward ? 2 : 4, least = UINT32_MAX; tile >= 1; tile--) {
        const uint32_t all = clrnn_divide_up(unit_vectors, tile) * tile;
        if (all < least) {
            least = all;
            t.tile = tile;
        }
    }
    if (!backward && r->cell != CLRNN_CELL_RNN)
        t.tile = 1;
    t.tiles = clrnn_divide_up(unit_vectors, t.tile);
    t.vectors = backward || r->cell == CLRNN_CELL_RNN ? t.tile : r->G;
    t.slots = backward || r->cell == CLRNN_CELL_RNN ? t.tile : 4;
    t.rows = MIN2(registers / t.vectors, 8u);
    employ_cores(l, r, &t);
    t.ahead = (size_t)r->G * r->H * t.item_tiles * t.tile * t.width * sizeof(float) < LEAST_WEIGHTS
                  ? 1
                  : clrnn_divide_up(t.vectors, clrnn_divide_up(t.item_rows, t.rows));
    return t;
}

// Returns an upper estimate of how many iterations the loops of a work-item of rnn_forward or rnn_backward have in all,
// if none is unrolled. Some drivers limit this number (quirk loop_rounds).
static double rounds_of(const struct clrnn_rnn *r, const struct tiling *t, uint32_t K)
{
    const double stripes = clrnn_divide_up(t->item_rows, t->rows), row = t->rows * (1.0 + t->vectors);

    return t->steps * t->item_tiles * stripes * (K * (1.0 + t->vectors + row) + 4.0 * row * (r->R + 2));
}

bool clrnn_rnn_sequence_fits(const struct clrnn_launches *l, const struct clrnn_rnn *r)
{
    const struct tiling forward = tiling_of(l, r, false), backward = tiling_of(l, r, true);
    const double most = clrnn_device_quirks(clrnn_launches_device(l))->loop_rounds;

    // SHARED on a single core is the same as SEQUENCE
    if (r->variant == CLRNN_RNN_SHARED && cores_each(l, r) == 1)
        return false;
    return rounds_of(r, &forward, r->C + r->H) <= most && rounds_of(r, &backward, r->G * r->H) <= most;
}

// Returns the cost of one launch. For each row and time step, K values of input and state are multiplied by weights,
// and `moved` values are read or written in memory.
static struct clrnn_cost recurrent_cost(const struct clrnn_rnn *r, const struct tiling *t, double K, double moved)
{
    const double rows = (double)t->steps * r->N;

    return (struct clrnn_cost){rows * r->D * r->G * r->H * (2 * K + 10), 4 * rows * moved};
}

// Whether to fuse the multiply of the input into the kernel, which avoids storing gates before their activation. The
// kernel then reads the input weights in every time step. So either all weights must fit in the second-level cache (1.5
// MiB). Or a work-item needs 16 rows: while it computes them, it prefetches the next tile's weights, at most 512 KiB.
static bool joins(const struct clrnn_rnn *r, const struct tiling *t)
{
    const size_t K = (size_t)r->C + r->H, all = K * r->G * r->H * sizeof(float);
    const size_t tile = K * t->vectors * t->width * sizeof(float);

    return all <= 3 * 512 * 1024 || (tile <= 512 * 1024 && t->item_rows >= 16);
}

// Returns the kernel arguments of the first launch.
static struct rnn_args args_of(const struct clrnn_rnn *r, const struct tiling *t, bool backward)
{
    struct rnn_args args = clrnn_rnn_args(r, backward);

    args.last = args.first + t->steps;
    args.item_rows = t->item_rows;
    args.item_tiles = t->item_tiles;
    return args;
}

enum clrnn_status clrnn_rnn_sequence_fwd(struct clrnn_launches *l, const struct clrnn_rnn *r)
{
    const size_t rows = (size_t)r->T * r->N;
    const bool save = r->gates != NULL;
    const struct tiling t = tiling_of(l, r, false);
    const bool fused = joins(r, &t);
    const uint32_t C = fused ? r->C : 0, K = C + r->H;
    struct rnn_args args = args_of(r, &t, false);
    const uint32_t end = args.first + r->steps;
    const double moved = C + r->D * r->H * (1.0 + (fused ? 0 : r->G) + (save ? r->R : 0));
    const struct clrnn_defines defines = DEFINES({"CELL", r->cell}, {"RELU", r->relu}, {"WIDTH", t.width},
                                                 {"ROWS", t.rows}, {"TILE", t.tile}, {"AHEAD", t.ahead});
    struct clrnn_buffer *pre = r->cell == CLRNN_CELL_RNN ? r->y : r->gates, *memory = r->memory, *packed, *bias;

    TRY(clrnn_launches_scratch(l, (size_t)r->D * t.tiles * K * t.vectors * t.width, &packed));
    TRY(clrnn_launches_scratch(l, (size_t)r->D * t.tiles * t.slots * t.width, &bias));
    if (!pre && !fused)
        TRY(clrnn_launches_scratch(l, (size_t)r->D * rows * r->R * r->H, &pre));
    if (!memory && r->cell == CLRNN_CELL_LSTM)
        TRY(clrnn_launches_scratch(l, (size_t)r->D * r->N * r->H, &memory));

    args.C = C;
    if (fused)
        TRY(clrnn_launch_kernel(
            l, "rnn_forward", "rnn_pack_fwd", defines, RANGE2(t.tiles * t.vectors, r->D),
            (struct clrnn_cost){0, 8.0 * r->D * r->G * r->H * C},
            ARGS(STRUCT(rnn_args, &args), BUF(r->weight_ih[0]), BUF(r->weight_ih[1]), BUF(packed), UINT(C), UINT(0))));
    else
        TRY(clrnn_rnn_input_gates(l, r, pre, NULL));
    TRY(clrnn_launch_kernel(
        l, "rnn_forward", "rnn_pack_fwd", defines, RANGE2(t.tiles * t.vectors, r->D),
        (struct clrnn_cost){0, 8.0 * r->D * r->G * r->H * r->H},
        ARGS(STRUCT(rnn_args, &args), BUF(r->weight_hh[0]), BUF(r->weight_hh[1]), BUF(packed), UINT(r->H), UINT(C))));
    TRY(clrnn_launch_kernel(l, "rnn_forward", "rnn_pack_bias", defines, RANGE2(t.tiles, r->D),
                            (struct clrnn_cost){(double)r->D * r->G * r->H, 12.0 * r->D * r->G * r->H},
                            ARGS(STRUCT(rnn_args, &args), BUF(r->bias_ih[0]), BUF(r->bias_hh[0]), BUF(r->bias_ih[1]),
                                 BUF(r->bias_hh[1]), BUF(bias))));
    for (; args.first < end; args.first = args.last, args.last += t.steps)
        TRY(clrnn_launch_kernel(l, "rnn_forward", "rnn_forward", defines, RANGE3(t.items, t.tile_items, r->directions),
                                recurrent_cost(r, &t, K, moved),
                                ARGS(STRUCT(rnn_args, &args), BUF(r->x), BUF(packed), BUF(bias), BUF(pre), BUF(memory),
                                     BUF(r->y), BUF(r->lengths), BUF(r->start), BUF(r->past))));
    return CLRNN_OK;
}

enum clrnn_status clrnn_rnn_sequence_bwd(struct clrnn_launches *l, const struct clrnn_rnn *r,
                                         struct clrnn_rnn_bias *bias)
{
    const struct tiling t = tiling_of(l, r, true);
    const uint32_t K = r->G * r->H, pack_rows = 64;
    const struct clrnn_defines defines = DEFINES({"CELL", r->cell}, {"RELU", r->relu}, {"WIDTH", t.width},
                                                 {"ROWS", t.rows}, {"TILE", t.tile}, {"AHEAD", t.ahead});
    struct rnn_args args = args_of(r, &t, true);
    const uint32_t end = args.first + r->steps;
    struct clrnn_buffer *packed, *carry = r->carry;

    TRY(clrnn_launches_scratch(l, (size_t)r->D * t.tiles * K * t.vectors * t.width, &packed));
    if (r->cell != CLRNN_CELL_RNN && !carry)
        TRY(clrnn_launches_scratch(l, (size_t)r->D * r->N * r->H, &carry));
    bias->summed = true;
    if (bias->wanted && !bias->partial) {
        bias->blocks = t.items;
        TRY(clrnn_launches_scratch(l, (size_t)r->D * t.items * r->R * r->H, &bias->partial));
    }

    TRY(clrnn_launch_kernel(
        l, "rnn_backward", "rnn_pack_bwd", defines, RANGE3(t.tiles, clrnn_divide_up(K, pack_rows), r->D),
        (struct clrnn_cost){0, 8.0 * r->D * K * r->H},
        ARGS(STRUCT(rnn_args, &args), BUF(r->weight_hh[0]), BUF(r->weight_hh[1]), BUF(packed), UINT(pack_rows))));
    for (; args.first < end; args.first = args.last, args.last += t.steps)
        TRY(clrnn_launch_kernel(
            l, "rnn_backward", "rnn_backward", defines, RANGE3(t.items, t.tile_items, r->directions),
            recurrent_cost(r, &t, r->H, r->D * r->H * (2.0 * r->R + 3)),
            ARGS(STRUCT(rnn_args, &args), BUF(packed), BUF(r->gates), BUF(r->y), BUF(r->memory), BUF(r->dy), BUF(carry),
                 BUF(bias->partial), BUF(r->lengths), BUF(r->past), BUF(r->dcn))));
    return CLRNN_OK;
}
