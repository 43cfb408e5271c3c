// SPDX-License-Identifier: MIT
// A recurrent layer on CPUs: one launch walks over all time steps (cl/rnn_forward.cl, cl/rnn_backward.cl).
#include "base/array.h"
#include "ops/rnn.h"

// How a layer is cut for a CPU. cl/rnn_tile.h explains the words.
struct tiling {
    uint32_t width, tile, slots, vectors; // vectors of packed weights side by side: P in the kernels
    uint32_t tiles, rows, part;
    uint32_t share, items; // batch rows of a work-item; work-items of one direction
};

#define GROUP 6 // stripes that take turns on one part of the weights: about 32 rows

// Batch rows are dealt out evenly to the cores. Fewer than 4 each would not make an item shorter, as
// reading the weights then takes longer than the multiplying.
static void deal_rows(const struct clrnn_launches *l, const struct clrnn_rnn *r, struct tiling *t)
{
    const struct clrnn_device_info *info = clrnn_device_info(clrnn_launches_device(l));
    const uint32_t cores = MAX2(info->compute_units, 1u);
    const uint32_t items = MAX2((cores + r->D - 1) / r->D, 1u), least = MIN2(r->N, 4u);

    t->share = MAX2((r->N + items - 1) / items, least);
    t->items = (r->N + t->share - 1) / t->share;
}

// The tile of accumulators must fit the registers: 32 of 512 bits, else taken as 16.
static struct tiling tiling_of(const struct clrnn_launches *l, const struct clrnn_rnn *r, bool backward)
{
    struct tiling t = {.width = clrnn_rnn_width(l)};
    const uint32_t unit_vectors = (r->H + t.width - 1) / t.width, registers = t.width == 16 ? 24 : 12;

    // the widest tile among those that leave the fewest vectors empty
    for (uint32_t tile = 4, least = UINT32_MAX; tile >= 1; tile--) {
        const uint32_t all = (unit_vectors + tile - 1) / tile * tile;
        if (all < least) {
            least = all;
            t.tile = tile;
        }
    }
    if (!backward && r->cell != CLRNN_CELL_RNN)
        t.tile = 1;
    t.tiles = (unit_vectors + t.tile - 1) / t.tile;
    t.vectors = backward || r->cell == CLRNN_CELL_RNN ? t.tile : r->G;
    t.slots = backward || r->cell == CLRNN_CELL_RNN ? t.tile : 4;
    t.rows = MIN2(registers / t.slots, 8u);
    // 16 KiB of weights: half of the smallest first-level cache about
    t.part = 16 * 1024 / (t.vectors * t.width * (uint32_t)sizeof(float));
    deal_rows(l, r, &t);
    return t;
}

static struct clrnn_cost recurrent_cost(const struct clrnn_rnn *r, double K, double bytes)
{
    const double units = (double)r->D * r->T * r->N * r->H;

    return (struct clrnn_cost){units * r->G * (2 * K + 10), bytes};
}

enum clrnn_status clrnn_rnn_sequence_fwd(struct clrnn_launches *l, const struct clrnn_rnn *r)
{
    const size_t rows = (size_t)r->T * r->N;
    const bool save = r->gates != NULL;
    const struct tiling t = tiling_of(l, r, false);
    // The input's multiply joins in as long as all weights stay in the second-level cache: gates then never
    // go through memory before their activation.
    const bool fused = ((size_t)r->C + r->H) * r->G * r->H * sizeof(float) <= 3 * 512 * 1024;
    const uint32_t C = fused ? r->C : 0, K = C + r->H;
    const double moved = C + r->D * r->H * (1.0 + (fused ? 0 : r->G) + (save ? r->R : 0));
    const struct clrnn_defines defines =
        DEFINES({"CELL", r->cell}, {"RELU", r->relu}, {"VW", t.width}, {"ROWS", t.rows}, {"PART", t.part},
                {"GROUP", GROUP}, {"TILE", t.tile});
    struct clrnn_buffer *pre = r->cell == CLRNN_CELL_RNN ? r->y : r->gates, *memory = r->memory, *packed,
                        *bias;

    TRY(clrnn_launches_scratch(l, (size_t)r->D * t.tiles * K * t.vectors * t.width, &packed));
    TRY(clrnn_launches_scratch(l, (size_t)r->D * t.tiles * t.slots * t.width, &bias));
    if (!pre && !fused)
        TRY(clrnn_launches_scratch(l, (size_t)r->D * rows * r->R * r->H, &pre));
    if (!memory && r->cell == CLRNN_CELL_LSTM)
        TRY(clrnn_launches_scratch(l, (size_t)r->D * r->N * r->H, &memory));

    if (fused)
        TRY(clrnn_launch_kernel(l, "rnn_forward", "rnn_pack_fwd", defines, RANGE2(t.tiles * t.vectors, r->D),
                                (struct clrnn_cost){0, 8.0 * r->D * r->G * r->H * C},
                                ARGS(BUF(r->weight_ih[0]), BUF(r->weight_ih[1]), BUF(packed), UINT(r->H),
                                     UINT(r->D), UINT(C), UINT(0), UINT(K))));
    else
        TRY(clrnn_rnn_input_gates(l, r, pre));
    TRY(clrnn_launch_kernel(l, "rnn_forward", "rnn_pack_fwd", defines, RANGE2(t.tiles * t.vectors, r->D),
                            (struct clrnn_cost){0, 8.0 * r->D * r->G * r->H * r->H},
                            ARGS(BUF(r->weight_hh[0]), BUF(r->weight_hh[1]), BUF(packed), UINT(r->H),
                                 UINT(r->D), UINT(r->H), UINT(C), UINT(K))));
    TRY(clrnn_launch_kernel(l, "rnn_forward", "rnn_pack_bias", defines, RANGE2(t.tiles, r->D),
                            (struct clrnn_cost){(double)r->D * r->G * r->H, 12.0 * r->D * r->G * r->H},
                            ARGS(BUF(r->bias_ih[0]), BUF(r->bias_hh[0]), BUF(r->bias_ih[1]),
                                 BUF(r->bias_hh[1]), BUF(bias), UINT(r->H), UINT(r->D))));
    return clrnn_launch_kernel(l, "rnn_forward", "rnn_forward", defines, RANGE2(t.items, r->D),
                               recurrent_cost(r, K, 4.0 * rows * moved),
                               ARGS(BUF(r->x), BUF(packed), BUF(bias), BUF(pre), BUF(memory), BUF(r->y),
                                    BUF(r->lengths), UINT(r->T), UINT(r->N), UINT(C), UINT(r->H), UINT(r->D),
                                    UINT(save), UINT(t.share)));
}

enum clrnn_status clrnn_rnn_sequence_bwd(struct clrnn_launches *l, const struct clrnn_rnn *r,
                                         struct clrnn_rnn_bias *bias)
{
    const size_t rows = (size_t)r->T * r->N;
    const struct tiling t = tiling_of(l, r, true);
    const uint32_t K = r->G * r->H, pack_share = 64;
    const struct clrnn_defines defines =
        DEFINES({"CELL", r->cell}, {"RELU", r->relu}, {"VW", t.width}, {"ROWS", t.rows}, {"PART", t.part},
                {"GROUP", GROUP}, {"TILE", t.tile});
    struct clrnn_buffer *packed, *carry = NULL;

    TRY(clrnn_launches_scratch(l, (size_t)r->D * t.tiles * K * t.vectors * t.width, &packed));
    if (r->cell != CLRNN_CELL_RNN)
        TRY(clrnn_launches_scratch(l, (size_t)r->D * r->N * r->H, &carry));
    if (bias->wanted) {
        bias->blocks = t.items;
        TRY(clrnn_launches_scratch(l, (size_t)r->D * t.items * r->R * r->H, &bias->partial));
    }

    TRY(clrnn_launch_kernel(l, "rnn_backward", "rnn_pack_bwd", defines,
                            RANGE3(t.tiles, (K + pack_share - 1) / pack_share, r->D),
                            (struct clrnn_cost){0, 8.0 * r->D * K * r->H},
                            ARGS(BUF(r->weight_hh[0]), BUF(r->weight_hh[1]), BUF(packed), UINT(r->H),
                                 UINT(r->D), UINT(pack_share))));
    return clrnn_launch_kernel(l, "rnn_backward", "rnn_backward", defines, RANGE2(t.items, r->D),
                               recurrent_cost(r, r->H, 4.0 * rows * r->D * r->H * (2.0 * r->R + 3)),
                               ARGS(BUF(packed), BUF(r->gates), BUF(r->y), BUF(r->memory), BUF(r->dy),
                                    BUF(carry), BUF(bias->partial), BUF(r->lengths), UINT(r->T), UINT(r->N),
                                    UINT(r->H), UINT(r->D), UINT(t.share)));
}
