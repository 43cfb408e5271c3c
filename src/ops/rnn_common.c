// SPDX-License-Identifier: MIT
// Common to the variants of the recurrent layer: sizes, the layout of the input gates and their multiply.
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

struct rnn_args clrnn_rnn_args(const struct clrnn_rnn *r)
{
    return (struct rnn_args){.T = r->T,
                             .N = r->N,
                             .C = r->C,
                             .H = r->H,
                             .D = r->D,
                             .save = r->gates != NULL,
                             .last = r->T,
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
    const uint32_t native = clrnn_device_info(clrnn_launches_device(l))->float_vector_width;

    if (!clrnn_on_cpu(l))
        return 1;
    return native >= 16 ? 16 : native >= 8 ? 8 : 4;
}

enum clrnn_status clrnn_rnn_input_gates(struct clrnn_launches *l, const struct clrnn_rnn *r,
                                        struct clrnn_buffer *pre, bool *fused)
{
    struct clrnn_epilogue epilogue[2];
    struct clrnn_gemm m[2];
    bool ignored;

    for (uint32_t d = 0; d < r->D; d++) {
        epilogue[d] =
            (struct clrnn_epilogue){r->relu ? EPILOGUE_RELU : EPILOGUE_TANH, {r->bias_ih[d], r->bias_hh[d]}};
        m[d] = (struct clrnn_gemm){
            .transpose_b = true,
            .M = (uint32_t)rows_of(r),
            .N = r->G * r->H,
            .K = r->C,
            .alpha = 1,
            .a = r->x,
            .a_ld = r->C,
            .a_rows = r->x_rows,
            .b = r->weight_ih[d],
            .b_ld = r->C,
            .c = pre,
            .c_offset = d * clrnn_rnn_pre_direction(r),
            .c_ld = clrnn_rnn_pre_ld(r),
        };
    }
    return clrnn_launch_gemm_batch(l, m, r->D, fused ? epilogue : NULL, fused ? fused : &ignored);
}
