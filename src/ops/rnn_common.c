// SPDX-License-Identifier: MIT
// What the variants of the recurrent layer share: sizes, arguments of kernels, and the layout and computation of x
// W_ih^T, the input's part of the gates.
#include "ops/blocks.h"
#include "ops/rnn_variants.h"
#include "ops/split.h"

uint32_t clrnn_cell_gates(enum clrnn_cell cell)
{
    return cell == CLRNN_CELL_LSTM ? 4 : cell == CLRNN_CELL_GRU ? 3 : 1;
}

uint32_t clrnn_cell_reserve(enum clrnn_cell cell)
{
    return cell == CLRNN_CELL_RNN ? 1 : 4;
}

static size_t rows_of(const struct clrnn_rnn *r)
{
    return (size_t)r->T * r->N;
}

uint32_t clrnn_rnn_first(const struct clrnn_rnn *r, bool backward)
{
    return (r->direction == 0) == backward ? r->T - r->low - r->steps : r->low;
}

struct rnn_args clrnn_rnn_args(const struct clrnn_rnn *r, bool backward)
{
    const uint32_t first = clrnn_rnn_first(r, backward);

    return (struct rnn_args){.T = r->T,
                             .N = r->N,
                             .C = r->C,
                             .H = r->H,
                             .D = r->D,
                             .save = r->gates != NULL,
                             .first = first,
                             .last = first + r->steps,
                             .whole = r->whole,
                             .offset = r->offset,
                             .direction = r->direction,
                             .item_rows = r->N};
}

uint32_t clrnn_rnn_pre_ld(const struct clrnn_rnn *r)
{
    return r->cell == CLRNN_CELL_RNN ? r->D * r->H : r->R * r->H;
}

size_t clrnn_rnn_pre_direction(const struct clrnn_rnn *r)
{
    return r->cell == CLRNN_CELL_RNN ? r->H : rows_of(r) * r->R * r->H;
}

uint32_t clrnn_rnn_width(const struct clrnn_launches *l)
{
    return clrnn_on_cpu(l) ? clrnn_device_vector_width(clrnn_launches_device(l)) : 1;
}

enum clrnn_status clrnn_rnn_input_gates(struct clrnn_launches *l, const struct clrnn_rnn *r, struct clrnn_buffer *pre,
                                        bool *fused)
{
    struct clrnn_epilogue epilogue[2];
    struct clrnn_blocks blocks[2];
    struct clrnn_gemm m[2];

    FOR_DIRECTIONS(r, d)
    {
        const uint32_t i = d - r->direction;

        epilogue[i] = (struct clrnn_epilogue){r->relu ? EPILOGUE_RELU : EPILOGUE_TANH, {r->bias_ih[d], r->bias_hh[d]}};
        blocks[i] = clrnn_blocks_of(l, d, 0, r->steps, r->whole, r->N);
        m[i] = clrnn_gemm_dense(CLRNN_GEMM_NT, r->steps * r->N, r->G * r->H, r->C, r->x, r->weight_ih[d], pre);
        m[i].a_offset = (size_t)(r->low + r->offset) * r->N * r->C;
        m[i].a_rows = r->x_rows;
        m[i].c_offset = d * clrnn_rnn_pre_direction(r) + (size_t)r->low * r->N * clrnn_rnn_pre_ld(r);
        m[i].c_ld = clrnn_rnn_pre_ld(r);
    }
    return fused ? clrnn_launch_gemm_batch(l, m, r->directions, epilogue, fused)
                 : clrnn_launch_gemm_rows(l, m, r->directions, blocks);
}
