// SPDX-License-Identifier: MIT
// The variant GROUP of a recurrent layer, for GPUs: a persistent kernel for all time steps, in which each work-group
// computes some batch rows (cl/rnn_group_forward.cl, cl/rnn_group_backward.cl).
#include "base/array.h"
#include "device/remember/choice.h"
#include "ops/rnn_variants.h"

// How the work of a layer is divided on a GPU. The fields are defines of the kernels; cl/rnn_group.h explains them.
struct tiling {
    uint32_t K, columns; // the weight matrix has K rows, and `columns` blocks of H columns
    uint32_t rows, parts, part, lanes, lane_units, items, held, unroll;
    size_t state_bytes, sum_bytes; // bytes of local memory for the state and for partial sums
    uint32_t groups;
};

enum {
    // Work-group sizes are multiples of this. Every GPU's sub-group width (8 to 64) divides it.
    ITEMS_STEP = 64,
    FEWEST_K = 16, // fewest rows of the weight matrix per work-item
    // Most registers of a work-group. This is the limit of NVIDIA's GPUs; the work-groups of other GPUs need fewer.
    ALL_REGISTERS = 64 * 1024,
    MOST_HELD = 64,             // most weights that a work-item keeps in registers
    LOADS = 4,                  // 16-byte loads of weights that a work-item has in flight, if registers suffice
    MOST_LOCAL = 48 * 1024,     // most bytes of local memory: the limit of NVIDIA's GPUs
    MOST_WEIGHTS = 1024 * 1024, // most bytes of recurrent weights: see clrnn_rnn_group_pays
    SIZES = 5,                  // number of work-group sizes: ITEMS_STEP times a power of two
};

static uint32_t wide(const struct tiling *c)
{
    return c->lanes * c->lane_units;
}

static size_t packed_count(const struct clrnn_rnn *r, const struct tiling *c)
{
    return (size_t)r->D * c->parts * c->part * c->columns * wide(c);
}

// Returns an upper estimate of how many iterations the loops of a work-item have in all, if none is unrolled. Some
// drivers limit this number (quirk loop_rounds).
static double rounds_of(const struct clrnn_rnn *r, const struct tiling *c)
{
    const double pairs = clrnn_divide_up(c->rows * r->H, c->items), units = c->columns * c->lane_units;

    return (r->whole + 2) * (pairs * (3.0 + r->R * (2.0 + c->parts)) + 2 * units * (1 + c->rows) +
                             c->part / 4 * (1.0 + c->rows * (1 + units) + units)) +
           c->part / 4 * units;
}

// Sets in *c how the multiply of one time step is divided among at most `most` work-items.
static void divide_units(const struct clrnn_rnn *r, bool backward, uint32_t most, struct tiling *c)
{
    *c = (struct tiling){.K = backward ? r->G * r->H : r->H, .columns = backward ? 1 : r->G};
    c->lane_units = clrnn_divide_up(r->H, most);
    c->lanes = clrnn_divide_up(r->H, c->lane_units);
    c->parts = MAX2(MIN2(most / c->lanes, c->K / FEWEST_K), 1u);
    c->part = clrnn_divide_up(clrnn_divide_up(c->K, c->parts), 4) * 4;
    c->items = clrnn_divide_up(c->parts * c->lanes, ITEMS_STEP) * ITEMS_STEP;
}

// Returns an estimate of the registers of a work-item that computes `rows` batch rows, without those for the operands
// of the multiply. It was fitted to the registers that clang uses for gfx1101, and is within 15 % of them
// (tools/gpu-compile). NVIDIA's and Intel's compilers use fewer.
static uint32_t registers_of(const struct clrnn_rnn *r, const struct tiling *c, uint32_t rows)
{
    const uint32_t pairs = clrnn_divide_up(rows * r->H, c->items);

    return 28 + 2 * c->columns * c->lane_units * rows + pairs * (6 + 5 * r->R / 2);
}

// Returns the registers that a work-item needs for four rows of the weight matrix and for the state that is multiplied
// by them.
static uint32_t operands_of(const struct tiling *c)
{
    return 4 * (c->columns * c->lane_units + c->rows);
}

// Divides `left` free registers of a work-item between two uses. The first is to unroll the loop that reads weights
// from memory, whose speed is limited by the latency of these reads. The rest hold weights over all time steps, and the
// state that is multiplied by them.
static void divide_registers(uint32_t left, struct tiling *c)
{
    const uint32_t one = operands_of(c), fours = c->part / 4;

    c->unroll = MAX2(LOADS / (c->columns * c->lane_units), 1u);
    while (c->unroll > 1 && (c->unroll * one > left || fours % c->unroll))
        c->unroll /= 2;
    c->held = left > c->unroll * one ? left / one - c->unroll : 0;
    c->held = MIN2(c->held, MIN2(MOST_HELD / (4 * c->columns * c->lane_units), fours));
    // A multiple of c->unroll: with a remainder, the loop takes twice the registers.
    c->held -= c->held % c->unroll;
}

// Sets the tiling for `rows` batch rows per work-group. Returns false if registers or local memory do not suffice, or
// if the driver does not allow so many loop iterations. A single row may take up to twice the registers.
static bool give_rows(const struct clrnn_launches *l, const struct clrnn_rnn *r, uint32_t rows, struct tiling *c)
{
    const struct clrnn_device *device = clrnn_launches_device(l);
    const uint64_t local_bytes = MIN2(clrnn_device_info(device)->local_bytes, (uint64_t)MOST_LOCAL);
    const uint32_t most = MIN2(clrnn_device_quirks(device)->registers, ALL_REGISTERS / c->items);
    const uint32_t used = registers_of(r, c, rows);

    c->rows = rows;
    c->groups = clrnn_divide_up(r->N, rows);
    divide_registers(used < most ? most - used : 0, c);
    c->state_bytes = (size_t)rows * c->parts * c->part * sizeof(float);
    c->sum_bytes = (size_t)c->parts * rows * c->columns * wide(c) * sizeof(float);
    return used + operands_of(c) <= (rows == 1 ? 2 * most : most) && c->state_bytes + c->sum_bytes <= local_bytes &&
           rounds_of(r, c) <= clrnn_device_quirks(device)->loop_rounds;
}

// Finds the possible work-group sizes for the layer. The smallest is 64 << *first, and each following one is twice as
// large. Returns how many sizes there are.
static unsigned sizes_of(const struct clrnn_launches *l, const struct clrnn_rnn *r, bool backward, unsigned *first)
{
    const uint32_t most = clrnn_device_info(clrnn_launches_device(l))->max_work_group_size;
    uint32_t items = 0;
    unsigned count = 0;
    struct tiling c;

    *first = 0;
    for (unsigned i = 0; i < SIZES && (uint32_t)ITEMS_STEP << i <= most; i++) {
        divide_units(r, backward, (uint32_t)ITEMS_STEP << i, &c);
        if (count && c.items == items)
            break; // larger work-groups would only add idle work-items
        items = c.items;
        if (give_rows(l, r, 1, &c))
            count++;
        else if (count)
            break;
        else
            *first = i + 1; // this work-group size is too small for the layer
    }
    return count;
}

bool clrnn_rnn_group_fits(const struct clrnn_launches *l, const struct clrnn_rnn *r)
{
    unsigned first;

    return sizes_of(l, r, false, &first) && sizes_of(l, r, true, &first);
}

// Chooses the autotuned tiling, if there is one. Otherwise: up to 512 work-items per work-group, one batch row per
// work-group unless there are more rows than compute units, and weights in registers.
static void choose_tiling(struct clrnn_launches *l, const struct clrnn_rnn *r, bool backward, struct tiling *c)
{
    static const char *const items[SIZES] = {"64", "128", "256", "512", "1024"};
    static const char *const rows[] = {"1", "2", "4", "8"}, *const weights[] = {"registers", "memory"};
    const uint32_t units = clrnn_device_info(clrnn_launches_device(l))->compute_units;
    const uint32_t each = clrnn_divide_up(r->N * r->D, MAX2(units, 1u));
    unsigned first, count = sizes_of(l, r, backward, &first);
    unsigned standard = MIN2(first < 3 ? 3 - first : 0, count - 1);

    divide_units(r, backward,
                 (uint32_t)ITEMS_STEP << (first + clrnn_choose(l, "items", standard, count, items + first)), c);
    standard = 0;
    for (count = 1; count < ARRAY_SIZE(rows) && 1u << (count - 1) < r->N && give_rows(l, r, 1u << count, c); count++)
        if (each > 1u << (count - 1))
            standard = count;
    give_rows(l, r, 1u << clrnn_choose(l, "rows", standard, count, rows), c);
    if (c->held && clrnn_choose(l, "weights", 0, 2, weights) == 1)
        c->held = 0;
}

// In every time step a work-group reads its weights from the caches. If it has a compute unit for itself, it reads
// about 100 GB/s (64 bytes per clock). Reading more than 1 MiB then takes longer than the two launches per step of
// CLRNN_RNN_STEPS.
bool clrnn_rnn_group_pays(const struct clrnn_rnn *r)
{
    return (size_t)r->G * r->H * r->H * sizeof(float) <= MOST_WEIGHTS;
}

// Returns the cost of one launch. `moved`: values read or written in global memory for each row and time step.
static struct clrnn_cost group_cost(const struct clrnn_rnn *r, const struct tiling *c, double moved)
{
    const double rows = (double)r->steps * r->N;

    return (struct clrnn_cost){rows * r->D * r->G * r->H * (2.0 * r->H + 10),
                               4 * (rows * moved + (double)packed_count(r, c))};
}

static enum clrnn_status pack(struct clrnn_launches *l, const struct clrnn_rnn *r, const struct tiling *c,
                              const char *stem, struct clrnn_defines defines, struct clrnn_buffer **packed)
{
    TRY(clrnn_launches_scratch(l, packed_count(r, c), packed));
    return clrnn_launch_kernel(
        l, stem, "rnn_group_pack", defines, RANGE3(wide(c), c->parts * c->part / 4 * c->columns, r->D),
        (struct clrnn_cost){0, 4.0 * (r->D * r->G * (double)r->H * r->H + (double)packed_count(r, c))},
        ARGS(BUF(r->weight_hh[0]), BUF(r->weight_hh[1]), BUF(*packed), UINT(r->D)));
}

#define TILING_DEFINES(r, c) \
    DEFINES({"CELL", (r)->cell}, {"RELU", (r)->relu}, {"WIDTH", 1}, {"HIDDEN", (r)->H}, {"ROWS", (c).rows}, \
            {"PARTS", (c).parts}, {"PART", (c).part}, {"LANES", (c).lanes}, {"LANE_UNITS", (c).lane_units}, \
            {"ITEMS", (c).items}, {"HELD", (c).held}, {"UNROLL", (c).unroll})

enum clrnn_status clrnn_rnn_group_fwd(struct clrnn_launches *l, const struct clrnn_rnn *r)
{
    const bool save = r->gates != NULL;
    const struct rnn_args args = clrnn_rnn_args(r, false);
    struct clrnn_buffer *pre = r->cell == CLRNN_CELL_RNN ? r->y : r->gates, *packed;
    struct tiling c;

    choose_tiling(l, r, false, &c);
    const struct clrnn_defines defines = TILING_DEFINES(r, c);

    if (!pre)
        TRY(clrnn_launches_scratch(l, (size_t)r->D * r->T * r->N * r->R * r->H, &pre));
    TRY(pack(l, r, &c, "rnn_group_forward", defines, &packed));
    TRY(clrnn_rnn_input_gates(l, r, pre, NULL));
    return clrnn_launch_kernel(
        l, "rnn_group_forward", "rnn_group_forward", defines,
        GROUPS2((size_t)c.groups * c.items, r->directions, c.items, 1),
        group_cost(r, &c, r->D * r->H * (r->G + 1.0 + (save ? r->R : 0) + (save && r->memory ? 1 : 0))),
        ARGS(STRUCT(rnn_args, &args), BUF(packed), BUF(r->bias_ih[0]), BUF(r->bias_hh[0]), BUF(r->bias_ih[1]),
             BUF(r->bias_hh[1]), BUF(pre), BUF(r->memory), BUF(r->y), BUF(r->lengths), BUF(r->start), BUF(r->past),
             LOCAL(c.state_bytes), LOCAL(c.sum_bytes)));
}

enum clrnn_status clrnn_rnn_group_bwd(struct clrnn_launches *l, const struct clrnn_rnn *r)
{
    const struct rnn_args args = clrnn_rnn_args(r, true);
    struct clrnn_buffer *packed;
    struct tiling c;

    choose_tiling(l, r, true, &c);
    const struct clrnn_defines defines = TILING_DEFINES(r, c);

    TRY(pack(l, r, &c, "rnn_group_backward", defines, &packed));
    return clrnn_launch_kernel(l, "rnn_group_backward", "rnn_group_backward", defines,
                               GROUPS2((size_t)c.groups * c.items, r->directions, c.items, 1),
                               group_cost(r, &c, r->D * r->H * (2.0 * r->R + 2 + (r->cell == CLRNN_CELL_RNN ? 0 : 1))),
                               ARGS(STRUCT(rnn_args, &args), BUF(packed), BUF(r->gates), BUF(r->y), BUF(r->memory),
                                    BUF(r->dy), BUF(r->lengths), BUF(r->past), BUF(r->dcn), BUF(r->carry),
                                    LOCAL(c.state_bytes), LOCAL(c.sum_bytes)));
}
