// SPDX-License-Identifier: MIT
// Initial and final states of a recurrent layer, and their gradients. The product h0 W_hh^T is computed before the time
// steps. The kernels add the product in each sample's first step, and so need not multiply by h0 themselves.
#include "base/array.h"
#include "device/gemm/gemm.h"
#include "ops/rnn_variants.h"
#include "ops/columns.h"
#include "ops/rnn_states.h"
#include "ops/split.h"

static struct clrnn_cost moves(double count)
{
    return (struct clrnn_cost){count, 8 * count};
}

// Defines for kernels that do the same for every kind of cell.
#define PLAIN DEFINES({"CELL", CLRNN_CELL_RNN}, {"RELU", 0}, {"WIDTH", 1})

// Returns the range of a kernel that has one work-item for each row on CPUs, and one for each element on GPUs.
static struct clrnn_range rows_of(const struct clrnn_launches *l, const struct clrnn_state_size *z, size_t rows,
                                  size_t directions)
{
    return RANGE3(clrnn_on_cpu(l) ? 1 : z->W, rows, directions);
}

enum clrnn_status clrnn_rnn_begin(struct clrnn_launches *l, struct clrnn_rnn *r)
{
    const uint32_t GH = r->G * r->H;

    if (!r->h0)
        return CLRNN_OK;
    TRY(clrnn_launches_scratch(l, (size_t)r->D * r->N * GH, &r->start));
    for (uint32_t d = 0; d < r->D; d++) {
        struct clrnn_gemm m = clrnn_gemm_dense(CLRNN_GEMM_NT, r->N, GH, r->H, r->h0, r->weight_hh[d], r->start);

        m.a_offset = (size_t)d * r->N * r->H;
        m.c_offset = (size_t)d * r->N * GH;
        TRY(clrnn_launch_gemm(l, &m));
    }
    return CLRNN_OK;
}

enum clrnn_status clrnn_launch_final(struct clrnn_launches *l, const struct clrnn_state_size *z,
                                     struct clrnn_buffer *lengths, struct clrnn_buffer *from, size_t ld,
                                     size_t ld_direction, struct clrnn_buffer *initial, struct clrnn_buffer *to)
{
    if (!to)
        return CLRNN_OK;
    return clrnn_launch_kernel(
        l, "rnn", "rnn_final", PLAIN, rows_of(l, z, z->N, z->D), moves((double)z->D * z->N * z->W),
        ARGS(BUF(from), BUF(lengths), BUF(initial), BUF(to), UINT(z->T), UINT(z->N), UINT(z->W), UINT(z->D), UINT(ld),
             UINT(ld_direction), UINT(z->begin), UINT(z->steps ? z->steps : z->T), UINT(z->low)));
}

struct clrnn_rnn_part clrnn_rnn_part_of(uint32_t whole, uint32_t part, uint32_t d, uint32_t k)
{
    const uint32_t begin = k * part, end = MIN2(begin + part, whole);
    struct clrnn_rnn_part p = {.steps = end - begin, .is_first = begin == 0, .is_last = end == whole};

    p.low = d ? !p.is_last : !p.is_first;
    p.T = p.steps + !p.is_first + !p.is_last;
    p.offset = (d ? whole - end : begin) - p.low;
    p.first = d ? p.low + p.steps - 1 : p.low;
    p.last = d ? p.low : p.low + p.steps - 1;
    p.before = d ? p.first + 1 : p.first - 1;
    p.after = d ? p.last - 1 : p.last + 1;
    return p;
}

enum clrnn_status clrnn_launch_move(struct clrnn_launches *l, struct clrnn_rows from, struct clrnn_rows to,
                                    uint32_t rows, uint32_t W)
{
    if (!from.of || (from.of == to.of && from.first == to.first))
        return CLRNN_OK;
    return clrnn_launch_copy_columns(l, rows, W, from.of, from.first, from.ld, to.of, to.first, to.ld);
}

enum clrnn_status clrnn_launch_join_final(struct clrnn_launches *l, const struct clrnn_state_size *z,
                                          struct clrnn_buffer *lengths, struct clrnn_buffer *dhn,
                                          struct clrnn_buffer **dy)
{
    const size_t count = (size_t)z->T * z->N * z->D * z->W;
    struct clrnn_buffer *given = *dy;

    if (!dhn && given)
        return CLRNN_OK;
    TRY(clrnn_launches_scratch(l, count, dy));
    if (!dhn)
        return clrnn_launch_zero(l, *dy);
    return clrnn_launch_kernel(
        l, "rnn", "rnn_join_final", PLAIN, rows_of(l, z, (size_t)z->T * z->N, z->D), moves((double)count),
        ARGS(BUF(given), BUF(dhn), BUF(lengths), BUF(*dy), UINT(z->T), UINT(z->N), UINT(z->W), UINT(z->D)));
}

enum clrnn_status clrnn_launch_first(struct clrnn_launches *l, const struct clrnn_state_size *z, uint32_t d,
                                     struct clrnn_buffer *lengths, struct clrnn_buffer **rows, size_t *offset)
{
    const size_t direction = d * (size_t)z->T * z->N * z->W;
    struct clrnn_buffer *from = *rows;

    *offset = direction + (d ? (size_t)(z->T - 1) * z->N * z->W : 0);
    if (!d || !lengths)
        return CLRNN_OK;
    *offset = 0;
    TRY(clrnn_launches_scratch(l, (size_t)z->N * z->W, rows));
    return clrnn_launch_kernel(
        l, "rnn", "rnn_first", PLAIN, rows_of(l, z, z->N, 1), moves((double)z->N * z->W),
        ARGS(BUF(from), BUF(lengths), BUF(*rows), UINT(z->T), UINT(z->N), UINT(z->W), UINT(d), UINT(direction)));
}

static struct clrnn_state_size size_of(const struct clrnn_rnn *r)
{
    return (struct clrnn_state_size){.T = r->T, .N = r->N, .W = r->H, .D = r->D};
}

enum clrnn_status clrnn_rnn_end(struct clrnn_launches *l, const struct clrnn_rnn *r)
{
    const struct clrnn_state_size z = {r->whole, r->N, r->H, r->D, r->low + r->offset, r->steps, r->low};

    TRY(clrnn_launch_final(l, &z, r->lengths, r->y, (size_t)r->D * r->H, r->H, r->h0, r->hn));
    return clrnn_launch_final(l, &z, r->lengths, r->memory, r->H, (size_t)r->T * r->N * r->H, r->c0, r->cn);
}

enum clrnn_status clrnn_rnn_begin_bwd(struct clrnn_launches *l, struct clrnn_rnn *r)
{
    const struct clrnn_state_size z = size_of(r);

    r->carry = r->cell == CLRNN_CELL_LSTM ? r->dc0 : r->cell == CLRNN_CELL_GRU ? r->dh0 : NULL;
    return clrnn_launch_join_final(l, &z, r->lengths, r->dhn, &r->dy);
}

// Multiplies the gradients of the gates [begin, begin + count) at each sample's first step. Their product with W_hh is
// written to dh0 or, with `add`, added to dh0. Their product with h0 is added to the rows of dW_hh of these gates.
// first: has the gradients of all gates, [N, R*H], from element `offset` on.
// column: block of H columns at which the gradients of these gates begin.
static enum clrnn_status multiply_gates(struct clrnn_launches *l, const struct clrnn_rnn *r, uint32_t d,
                                        struct clrnn_buffer *first, size_t offset, uint32_t begin, uint32_t count,
                                        uint32_t column, bool add)
{
    const size_t state = (size_t)d * r->N * r->H;
    const size_t weights = (size_t)begin * r->H * r->H;
    struct clrnn_gemm m = clrnn_gemm_dense(CLRNN_GEMM_NN, r->N, r->H, count * r->H, first, r->weight_hh[d], r->dh0);

    m.a_offset = offset + (size_t)column * r->H;
    m.a_ld = r->R * r->H;
    m.b_offset = weights;
    m.beta = add ? 1 : 0;
    m.c_offset = state;
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
    m.c_offset = weights;
    return clrnn_launch_gemm(l, &m);
}

enum clrnn_status clrnn_rnn_end_bwd(struct clrnn_launches *l, const struct clrnn_rnn *r)
{
    const bool gru = r->cell == CLRNN_CELL_GRU;
    const struct clrnn_state_size gates = {.T = r->T, .N = r->N, .W = r->R * r->H, .D = r->D};

    for (uint32_t d = 0; d < r->D && r->h0; d++) {
        struct clrnn_buffer *first = r->gates;
        size_t offset;

        TRY(clrnn_launch_first(l, &gates, d, r->lengths, &first, &offset));
        // gru: dh0 already holds the gradient that bypasses the multiply, and the products are added to it
        TRY(multiply_gates(l, r, d, first, offset, 0, gru ? 2 : r->G, 0, gru));
        if (gru)
            TRY(multiply_gates(l, r, d, first, offset, 2, 1, 3, true));
    }
    return CLRNN_OK;
}
