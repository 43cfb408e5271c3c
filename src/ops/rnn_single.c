// SPDX-License-Identifier: MIT
// Launches a recurrent layer of one time step on CPUs, with the multiply of the input and the gates in one kernel
// (cl/rnn_single.cl).
#include <math.h>

#include "base/array.h"
#include "ops/rnn_variants.h"
#include "ops/split.h"

// Limits up to which the multiply and the gates are fused into one launch: multiply-adds, batch rows, and floats of
// packed weights per work-item. In a small layer the multiplies take no longer than the overhead of one or two
// launches, so that fewer launches pay. A larger layer is faster with the tiling of a separate GEMM, and with a
// backward that does not sum over the rows sequentially.
enum { MOST_PRODUCTS = 1 << 21, MOST_ROWS = 1024, MOST_PANEL = 1 << 15 };

enum { TILE = 4 }; // rows per work-item in the gradient of x

// Returns how many vectors of hidden units a work-item of the forward kernel computes. For lstm and gru: one vector,
// with all its gates. For rnn: up to 4 vectors of 16 units, or up to 2 shorter vectors.
static uint32_t parts_of(const struct clrnn_launches *l, const struct clrnn_rnn *r)
{
    const uint32_t width = clrnn_rnn_width(l);

    return r->cell == CLRNN_CELL_RNN ? MIN2(clrnn_divide_up(r->H, width), width == 16 ? 4u : 2u) : 1;
}

static size_t panel_of(const struct clrnn_launches *l, const struct clrnn_rnn *r)
{
    return (size_t)r->C * r->G * parts_of(l, r) * clrnn_rnn_width(l);
}

static struct clrnn_defines defines_of(const struct clrnn_launches *l, const struct clrnn_rnn *r,
                                       struct clrnn_define define[5])
{
    define[0] = (struct clrnn_define){"CELL", r->cell};
    define[1] = (struct clrnn_define){"RELU", r->relu};
    define[2] = (struct clrnn_define){"WIDTH", clrnn_rnn_width(l)};
    define[3] = (struct clrnn_define){"PARTS", parts_of(l, r)};
    define[4] = (struct clrnn_define){"TILE", TILE};
    return (struct clrnn_defines){5, define};
}

bool clrnn_rnn_single_fits(const struct clrnn_launches *l, const struct clrnn_rnn *r)
{
    const struct clrnn_device *device = clrnn_launches_device(l);
    const double products = (double)r->N * r->C * r->G * r->H;
    const size_t panel = panel_of(l, r);

    return r->T == 1 && clrnn_on_cpu(l) && !r->lengths && !r->h0 && !r->c0 && r->N <= MOST_ROWS &&
           products <= MOST_PRODUCTS && panel <= MOST_PANEL &&
           panel * sizeof(float) <= clrnn_device_info(device)->local_bytes &&
           isinf(clrnn_device_quirks(device)->loop_rounds);
}

static struct clrnn_cost cost_of(const struct clrnn_rnn *r, double multiplies)
{
    const double rows = (double)r->D * r->N, units = rows * r->H;

    return (struct clrnn_cost){(2 * multiplies * r->C + 10) * r->G * units,
                               4 * ((2.0 * r->R + 3) * units + multiplies * (rows + r->G * r->H) * r->C)};
}

enum clrnn_status clrnn_rnn_single_fwd(struct clrnn_launches *l, const struct clrnn_rnn *r)
{
    const uint32_t blocks = clrnn_divide_up(r->H, clrnn_rnn_width(l) * parts_of(l, r));
    const uint32_t cores = MAX2(clrnn_device_info(clrnn_launches_device(l))->compute_units, 1u);
    // Each work-item transposes the weights of its units, even if another work-item has the same units. So the rows are
    // divided among several work-items only if there are fewer blocks of units than cores.
    const uint32_t row_items = clrnn_divide_up(cores, blocks * r->D),
                   item_rows = clrnn_divide_up(r->N, MIN2(row_items, r->N));
    struct rnn_args args = clrnn_rnn_args(r, false);
    struct clrnn_define define[5];

    args.item_rows = item_rows;
    return clrnn_launch_kernel(l, "rnn_single", "rnn_single_fwd", defines_of(l, r, define),
                               RANGE3(blocks, clrnn_divide_up(r->N, item_rows), r->D), cost_of(r, 1),
                               ARGS(STRUCT(rnn_args, &args), BUF(r->x), BUF(r->x_rows), BUF(r->weight_ih[0]),
                                    BUF(r->weight_ih[1]), BUF(r->bias_ih[0]), BUF(r->bias_hh[0]), BUF(r->bias_ih[1]),
                                    BUF(r->bias_hh[1]), BUF(r->gates), BUF(r->memory), BUF(r->y),
                                    LOCAL(panel_of(l, r) * sizeof(float))));
}

enum clrnn_status clrnn_rnn_single_bwd(struct clrnn_launches *l, const struct clrnn_rnn *r, bool *whole)
{
    const uint32_t width = clrnn_rnn_width(l), units = clrnn_divide_up(r->H, width) * r->D;
    const bool fits = clrnn_rnn_single_fits(l, r), dx = fits && r->dx && r->cell == CLRNN_CELL_RNN;
    const struct rnn_args args = clrnn_rnn_args(r, true);
    struct clrnn_buffer *through = NULL;
    struct clrnn_define define[5];

    *whole = fits && dx == (r->dx != NULL);
    if (dx)
        TRY(clrnn_launches_scratch(l, (size_t)r->N * r->D * r->H, &through));
    return clrnn_launch_kernel(l, "rnn_single", "rnn_single_bwd", defines_of(l, r, define),
                               RANGE1(units + (dx ? clrnn_divide_up(r->N, TILE) : 0)), cost_of(r, *whole ? 1 + dx : 0),
                               ARGS(STRUCT(rnn_args, &args), BUF(r->x), BUF(r->x_rows), BUF(r->weight_ih[0]),
                                    BUF(r->weight_ih[1]), BUF(r->gates), BUF(r->y), BUF(r->memory), BUF(r->dy),
                                    BUF(r->lengths), BUF(r->dbias_ih[0]), BUF(r->dbias_hh[0]), BUF(r->dbias_ih[1]),
                                    BUF(r->dbias_hh[1]), BUF(*whole ? r->dweight_ih[0] : NULL),
                                    BUF(*whole ? r->dweight_ih[1] : NULL), BUF(r->dweight_hh[0]), BUF(r->dweight_hh[1]),
                                    BUF(dx ? r->dx : NULL), BUF(through)));
}
