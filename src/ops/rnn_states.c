// SPDX-License-Identifier: MIT
// Initial and final states of a recurrent layer, and their gradients. Kernels add h0 W_hh^T to the first step
// of each sample, so that they read initial states in one place only.
#include "device/gemm/gemm.h"
#include "ops/rnn_variants.h"

static struct clrnn_cost moves(double count)
{
    return (struct clrnn_cost){count, 8 * count};
}

static struct clrnn_defines defines_of(const struct clrnn_rnn *r, struct clrnn_define define[3])
{
    define[0] = (struct clrnn_define){"CELL", r->cell};
    define[1] = (struct clrnn_define){"RELU", r->relu};
    define[2] = (struct clrnn_define){"WIDTH", 1};
    return (struct clrnn_defines){3, define};
}

enum clrnn_status clrnn_rnn_begin(struct clrnn_launches *l, struct clrnn_rnn *r)
{
    const uint32_t GH = r->G * r->H;

    r->past = r->cell == CLRNN_CELL_LSTM ? r->c0 : r->cell == CLRNN_CELL_GRU ? r->h0 : NULL;
    if (!r->h0)
        return CLRNN_OK;
    TRY(clrnn_launches_scratch(l, (size_t)r->D * r->N * GH, &r->start));
    for (uint32_t d = 0; d < r->D; d++)
        TRY(clrnn_launch_gemm(l, &(struct clrnn_gemm){.transpose_b = true,
                                                      .M = r->N,
                                                      .N = GH,
                                                      .K = r->H,
                                                      .alpha = 1,
                                                      .a = r->h0,
                                                      .a_offset = (size_t)d * r->N * r->H,
                                                      .a_ld = r->H,
                                                      .b = r->weight_hh[d],
                                                      .b_ld = r->H,
                                                      .c = r->start,
                                                      .c_offset = (size_t)d * r->N * GH,
                                                      .c_ld = GH}));
    return CLRNN_OK;
}

// Rows of `from` are ld apart, directions ld_direction.
static enum clrnn_status take_final(struct clrnn_launches *l, const struct clrnn_rnn *r,
                                    struct clrnn_buffer *from, size_t ld, size_t ld_direction,
                                    struct clrnn_buffer *to)
{
    struct clrnn_define define[3];

    if (!to)
        return CLRNN_OK;
    return clrnn_launch_kernel(l, "rnn", "rnn_final", defines_of(r, define),
                               RANGE2((size_t)r->N * r->H, r->D), moves((double)r->D * r->N * r->H),
                               ARGS(BUF(from), BUF(r->lengths), BUF(to), UINT(r->T), UINT(r->N), UINT(r->H),
                                    UINT(r->D), UINT(ld), UINT(ld_direction)));
}

enum clrnn_status clrnn_rnn_end(struct clrnn_launches *l, const struct clrnn_rnn *r)
{
    TRY(take_final(l, r, r->y, (size_t)r->D * r->H, r->H, r->hn));
    return take_final(l, r, r->memory, r->H, (size_t)r->T * r->N * r->H, r->cn);
}

enum clrnn_status clrnn_rnn_begin_bwd(struct clrnn_launches *l, struct clrnn_rnn *r)
{
    const size_t count = (size_t)r->T * r->N * r->D * r->H;
    struct clrnn_buffer *dy = r->dy;
    struct clrnn_define define[3];

    r->past = r->cell == CLRNN_CELL_LSTM ? r->c0 : r->cell == CLRNN_CELL_GRU ? r->h0 : NULL;
    r->carry = r->cell == CLRNN_CELL_LSTM ? r->dc0 : r->cell == CLRNN_CELL_GRU ? r->dh0 : NULL;
    if (!r->dhn && r->dy)
        return CLRNN_OK;
    TRY(clrnn_launches_scratch(l, count, &r->dy));
    if (!r->dhn)
        return clrnn_launch_zero(l, r->dy);
    return clrnn_launch_kernel(l, "rnn", "rnn_join_final", defines_of(r, define), RANGE1(count),
                               moves((double)count),
                               ARGS(BUF(dy), BUF(r->dhn), BUF(r->lengths), BUF(r->dy), UINT(r->T), UINT(r->N),
                                    UINT(r->H), UINT(r->D)));
}

// The gate gradients of each sample's first step in direction d: [N, R*H] from *offset on.
static enum clrnn_status first_gradients(struct clrnn_launches *l, const struct clrnn_rnn *r, uint32_t d,
                                         struct clrnn_buffer **first, size_t *offset)
{
    const size_t W = (size_t)r->R * r->H, direction = d * (size_t)r->T * r->N * W;
    struct clrnn_define define[3];

    *first = r->gates;
    *offset = direction + (d ? (size_t)(r->T - 1) * r->N * W : 0);
    if (!d || !r->lengths)
        return CLRNN_OK;
    *offset = 0;
    TRY(clrnn_launches_scratch(l, r->N * W, first));
    return clrnn_launch_kernel(l, "rnn", "rnn_first", defines_of(r, define), RANGE1(r->N * W),
                               moves((double)r->N * (double)W),
                               ARGS(BUF(r->gates), BUF(r->lengths), BUF(*first), UINT(r->T), UINT(r->N),
                                    UINT(W), UINT(d), UINT(direction)));
}

// Of the gates [begin, begin + count), whose gradients are in column block `column` of `first`: dh0 (added to
// what is there if `add`) and the part of dW_hh.
static enum clrnn_status multiply_gates(struct clrnn_launches *l, const struct clrnn_rnn *r, uint32_t d,
                                        struct clrnn_buffer *first, size_t offset, uint32_t begin,
                                        uint32_t count, uint32_t column, bool add)
{
    const size_t state = (size_t)d * r->N * r->H;
    struct clrnn_gemm m = {.M = r->N,
                           .N = r->H,
                           .K = count * r->H,
                           .alpha = 1,
                           .beta = add ? 1 : 0,
                           .a = first,
                           .a_offset = offset + (size_t)column * r->H,
                           .a_ld = r->R * r->H,
                           .b = r->weight_hh[d],
                           .b_offset = (size_t)begin * r->H * r->H,
                           .b_ld = r->H,
                           .c = r->dh0,
                           .c_offset = state,
                           .c_ld = r->H};

    if (r->dh0)
        TRY(clrnn_launch_gemm(l, &m));
    if (!r->dweight_hh[d])
        return CLRNN_OK;
    m.transpose_a = true;
    m.M = count * r->H;
    m.K = r->N;
    m.beta = 1;
    m.b = r->h0;
    m.b_offset = state;
    m.c = r->dweight_hh[d];
    m.c_offset = (size_t)begin * r->H * r->H;
    return clrnn_launch_gemm(l, &m);
}

enum clrnn_status clrnn_rnn_end_bwd(struct clrnn_launches *l, const struct clrnn_rnn *r)
{
    const bool gru = r->cell == CLRNN_CELL_GRU;

    for (uint32_t d = 0; d < r->D && r->h0; d++) {
        struct clrnn_buffer *first;
        size_t offset;

        TRY(first_gradients(l, r, d, &first, &offset));
        // gru: kernels have left in dh0 what goes past the multiply
        TRY(multiply_gates(l, r, d, first, offset, 0, gru ? 2 : r->G, 0, gru));
        if (gru)
            TRY(multiply_gates(l, r, d, first, offset, 2, 1, 3, true));
    }
    return CLRNN_OK;
}
