// SPDX-License-Identifier: MIT
// A recurrent layer on GPUs: one launch walks over all time steps, a work-group owning some batch rows
// (cl/rnn_group_forward.cl, cl/rnn_group_backward.cl).
#include "base/array.h"
#include "ops/rnn.h"

// How a layer is cut for a GPU. cl/rnn_group.h explains the words.
struct cut {
    uint32_t K, columns; // of the weights as one direction of the walk meets them
    uint32_t rows, parts, part, lanes, share, items;
    bool held;
    size_t state_bytes, sum_bytes; // of local memory
    uint32_t groups;
};

static uint32_t divide_up(uint32_t a, uint32_t b)
{
    return a / b + (a % b != 0);
}

static uint32_t wide(const struct cut *c)
{
    return c->lanes * c->share;
}

static size_t packed_count(const struct clrnn_rnn *r, const struct cut *c)
{
    return (size_t)r->D * c->parts * c->part * c->columns * wide(c);
}

enum {
    MOST_ITEMS = 512,         // of a group
    ITEMS_STEP = 64,          // a multiple of every GPU's sub-group width, 8 to 64
    MOST_HELD = 64,           // weights in an item's registers: they leave room for the rest on any GPU
    FEWEST_K = 16,            // rows of the weights that are worth an item of its own
    MOST_ROWS = 8,
    MOST_LOCAL = 48 * 1024,   // bytes, NVIDIA's
};

static void count_local(struct cut *c)
{
    c->state_bytes = (size_t)c->rows * c->parts * c->part * sizeof(float);
    c->sum_bytes = (size_t)c->parts * c->rows * c->columns * wide(c) * sizeof(float);
}

// Whether the layer can be cut so that a group holds it.
static bool cut_of(const struct clrnn_launches *l, const struct clrnn_rnn *r, bool backward, struct cut *c)
{
    const struct clrnn_device_info *info = clrnn_device_info(clrnn_launches_device(l));
    const uint32_t most = MIN2(info->max_work_group_size, (uint32_t)MOST_ITEMS) / ITEMS_STEP * ITEMS_STEP;
    const size_t local_bytes = MIN2(info->local_bytes, (uint64_t)MOST_LOCAL);

    *c = (struct cut){.K = backward ? r->G * r->H : r->H, .columns = backward ? 1 : r->G};
    if (!most)
        return false;
    c->share = divide_up(r->H, most);
    c->lanes = divide_up(r->H, c->share);
    c->parts = MAX2(MIN2(most / c->lanes, c->K / FEWEST_K), 1u);
    c->part = divide_up(divide_up(c->K, c->parts), 4) * 4;
    c->items = divide_up(c->parts * c->lanes, ITEMS_STEP) * ITEMS_STEP;
    c->held = (uint64_t)c->part * c->columns * c->share <= MOST_HELD;
    // one row a group, unless there are more rows than compute units
    c->rows = divide_up(r->N * r->D, MAX2(info->compute_units, 1u));
    c->rows = MIN2(MIN2(c->rows, (uint32_t)MOST_ROWS), r->N);
    for (;; c->rows--) {
        count_local(c);
        if (c->state_bytes + c->sum_bytes <= local_bytes)
            break;
        if (c->rows == 1)
            return false;
    }
    c->groups = divide_up(r->N, c->rows);
    return true;
}

// Rounds of all loops of an item together, none unrolled; rather too many.
static double rounds_of(const struct clrnn_rnn *r, const struct cut *c)
{
    const double pairs = divide_up(c->rows * r->H, c->items), units = c->columns * c->share;

    return (r->T + 2) * (pairs * (3.0 + r->R * (2.0 + c->parts)) + 2 * units * (1 + c->rows) +
                         c->part / 4 * (1.0 + c->rows * (1 + units) + units)) +
           c->part / 4 * units;
}

bool clrnn_rnn_group_fits(const struct clrnn_launches *l, const struct clrnn_rnn *r)
{
    const double most = clrnn_device_loop_rounds(clrnn_launches_device(l));
    struct cut forward, backward;

    return cut_of(l, r, false, &forward) && cut_of(l, r, true, &backward) && rounds_of(r, &forward) <= most &&
           rounds_of(r, &backward) <= most;
}

// Of one launch; `moved` numbers in memory for each row of a step.
static struct clrnn_cost group_cost(const struct clrnn_rnn *r, const struct cut *c, double moved)
{
    const double rows = (double)r->T * r->N;

    return (struct clrnn_cost){rows * r->D * r->G * r->H * (2.0 * r->H + 10),
                               4 * (rows * moved + (double)packed_count(r, c))};
}

static enum clrnn_status pack(struct clrnn_launches *l, const struct clrnn_rnn *r, const struct cut *c,
                              const char *stem, struct clrnn_defines defines, struct clrnn_buffer **packed)
{
    TRY(clrnn_launches_scratch(l, packed_count(r, c), packed));
    return clrnn_launch_kernel(
        l, stem, "rnn_group_pack", defines, RANGE3(wide(c), c->parts * c->part / 4 * c->columns, r->D),
        (struct clrnn_cost){0, 4.0 * (r->D * r->G * (double)r->H * r->H + (double)packed_count(r, c))},
        ARGS(BUF(r->weight_hh[0]), BUF(r->weight_hh[1]), BUF(*packed), UINT(r->D)));
}

#define CUT_DEFINES(r, c)                                                        \
    DEFINES({"CELL", (r)->cell}, {"RELU", (r)->relu}, {"VW", 1}, {"HIDDEN", (r)->H}, {"ROWS", (c).rows}, \
            {"PARTS", (c).parts}, {"PART", (c).part}, {"LANES", (c).lanes}, {"SHARE", (c).share}, \
            {"ITEMS", (c).items}, {"HELD", (c).held})

enum clrnn_status clrnn_rnn_group_fwd(struct clrnn_launches *l, const struct clrnn_rnn *r)
{
    const bool save = r->gates != NULL;
    struct clrnn_buffer *pre = r->cell == CLRNN_CELL_RNN ? r->y : r->gates, *packed;
    struct cut c;

    cut_of(l, r, false, &c);
    const struct clrnn_defines defines = CUT_DEFINES(r, c);

    if (!pre)
        TRY(clrnn_launches_scratch(l, (size_t)r->D * r->T * r->N * r->R * r->H, &pre));
    TRY(pack(l, r, &c, "rnn_group_forward", defines, &packed));
    TRY(clrnn_rnn_input_gates(l, r, pre));
    return clrnn_launch_kernel(
        l, "rnn_group_forward", "rnn_group_forward", defines,
        GROUPS2((size_t)c.groups * c.items, r->D, c.items, 1),
        group_cost(r, &c, r->D * r->H * (r->G + 1.0 + (save ? r->R : 0) + (save && r->memory ? 1 : 0))),
        ARGS(BUF(packed), BUF(r->bias_ih[0]), BUF(r->bias_hh[0]), BUF(r->bias_ih[1]), BUF(r->bias_hh[1]),
             BUF(pre), BUF(r->memory), BUF(r->y), BUF(r->lengths), LOCAL(c.state_bytes), LOCAL(c.sum_bytes),
             UINT(r->T), UINT(r->N), UINT(r->D), UINT(save)));
}

enum clrnn_status clrnn_rnn_group_bwd(struct clrnn_launches *l, const struct clrnn_rnn *r)
{
    struct clrnn_buffer *packed;
    struct cut c;

    cut_of(l, r, true, &c);
    const struct clrnn_defines defines = CUT_DEFINES(r, c);

    TRY(pack(l, r, &c, "rnn_group_backward", defines, &packed));
    return clrnn_launch_kernel(
        l, "rnn_group_backward", "rnn_group_backward", defines,
        GROUPS2((size_t)c.groups * c.items, r->D, c.items, 1),
        group_cost(r, &c, r->D * r->H * (2.0 * r->R + 2 + (r->cell == CLRNN_CELL_RNN ? 0 : 1))),
        ARGS(BUF(packed), BUF(r->gates), BUF(r->y), BUF(r->memory), BUF(r->dy), BUF(r->lengths),
             LOCAL(c.state_bytes), LOCAL(c.sum_bytes), UINT(r->T), UINT(r->N), UINT(r->D)));
}
