// SPDX-License-Identifier: MIT
// Computes a recurrent layer's gradients of the weights, the biases and x, after backward has run through the time
// steps. Each is one multiply or sum over all of these steps.
#include "base/array.h"
#include "ops/blocks.h"
#include "ops/rnn_variants.h"

static size_t rows_of(const struct clrnn_rnn *r)
{
    return (size_t)r->T * r->N;
}

// Returns the index in r->gates of the first element of direction d at the first time step to compute.
static size_t gates_of(const struct clrnn_rnn *r, uint32_t d)
{
    return (d * rows_of(r) + (size_t)r->low * r->N) * r->R * r->H;
}

// Returns how many time steps of the sequence come before this part, in the order of the direction.
static uint32_t begun(const struct clrnn_rnn *r)
{
    const uint32_t first = r->low + r->offset;

    return r->direction ? r->whole - first - r->steps : first;
}

// Returns beta (struct clrnn_gemm) for the weight gradients: 0 in the part that backward runs first; 1 in later parts,
// which add to the result.
static float keep(const struct clrnn_rnn *r)
{
    return clrnn_rnn_first(r, true) ? 1 : 0;
}

// Launches the multiply of each direction that has a result buffer c. If both have one, they are launched as a batched
// pair (clrnn_launch_gemm_batch).
static enum clrnn_status launch_both(struct clrnn_launches *l, struct clrnn_gemm m[2],
                                     const struct clrnn_blocks blocks[2])
{
    const int first = m[0].c ? 0 : 1;

    if (!m[0].c && !m[1].c)
        return CLRNN_OK;
    return clrnn_launch_gemm_sum(l, &m[first], m[0].c && m[1].c ? 2 : 1, &blocks[first]);
}

// Computes dW_hh [G*H, H] = dgates^T h_prev. Row r of the gates belongs to row r - N of y (reverse direction: r + N).
// So one multiply covers all time steps except the direction's first. gru takes a second multiply for gate n, since the
// gradient of its hidden part is column block 3 of the gates.
static enum clrnn_status hidden_weight_gradients(struct clrnn_launches *l, const struct clrnn_rnn *r)
{
    const uint32_t ld = r->R * r->H, begin = clrnn_rnn_first(r, false) ? 0 : 1;
    struct clrnn_gemm m[2] = {{.c = NULL}};
    struct clrnn_blocks blocks[2];

    FOR_DIRECTIONS(r, d)
    {
        if (r->whole == 1 && r->dweight_hh[d])
            TRY(clrnn_launch_zero(l, r->dweight_hh[d]));
        if (r->whole == 1)
            continue;
        blocks[d] = clrnn_blocks_of(l, d, begin, r->steps, r->whole, r->N);
        m[d] = (struct clrnn_gemm){
            .transpose_a = true,
            .M = r->cell == CLRNN_CELL_GRU ? 2 * r->H : r->G * r->H,
            .N = r->H,
            .K = (r->steps - begin) * r->N,
            .alpha = 1,
            .beta = keep(r),
            .a = r->gates,
            .a_offset = gates_of(r, d) + (d ? 0 : (size_t)begin * r->N * ld),
            .a_ld = ld,
            .b = r->y,
            .b_offset = d * (size_t)r->H + (size_t)(d ? r->low + 1 : r->low + begin - 1) * r->N * r->D * r->H,
            .b_ld = r->D * r->H,
            .c = r->dweight_hh[d],
            .c_ld = r->H,
        };
    }
    TRY(launch_both(l, m, blocks));
    if (r->cell != CLRNN_CELL_GRU || r->whole == 1)
        return CLRNN_OK;
    FOR_DIRECTIONS(r, d)
    {
        m[d].M = r->H;
        m[d].a_offset += 3 * (size_t)r->H;
        m[d].c_offset = 2 * (size_t)r->H * r->H;
    }
    return launch_both(l, m, blocks);
}

// Computes dW_ih [G*H, C] = dgates^T x.
static enum clrnn_status input_weight_gradients(struct clrnn_launches *l, const struct clrnn_rnn *r)
{
    struct clrnn_gemm m[2] = {{.c = NULL}};
    struct clrnn_blocks blocks[2];

    FOR_DIRECTIONS(r, d)
    {
        blocks[d] = clrnn_blocks_of(l, d, 0, r->steps, r->whole, r->N);
        m[d] = (struct clrnn_gemm){
            .transpose_a = true,
            .M = r->G * r->H,
            .N = r->C,
            .K = r->steps * r->N,
            .alpha = 1,
            .beta = keep(r),
            .a = r->gates,
            .a_offset = gates_of(r, d),
            .a_ld = r->R * r->H,
            .b = r->clean ? r->clean : r->x,
            .b_offset = (size_t)(r->low + r->offset) * r->N * r->C,
            .b_ld = r->C,
            .b_rows = r->x_rows,
            .c = r->dweight_ih[d],
            .c_ld = r->C,
        };
    }
    return launch_both(l, m, blocks);
}

// Computes bias->partial, column sums of the gate gradients over blocks of rows. Does nothing if the variant has
// already written these sums. If there are few rows, bias->partial is the gate gradients themselves.
static enum clrnn_status bias_partial(struct clrnn_launches *l, const struct clrnn_rnn *r, struct clrnn_rnn_bias *bias)
{
    const uint32_t rows = r->steps * r->N, columns = r->R * r->H, width = clrnn_rnn_width(l);
    const struct clrnn_blocks blocks = clrnn_blocks_of(l, 0, 0, r->steps, r->whole, r->N);
    const uint32_t block_rows = blocks.rows ? blocks.rows : rows < 8192 ? 128 : rows / 64 + 1;

    if (!bias->wanted || bias->summed)
        return CLRNN_OK;
    if (!blocks.rows && rows <= 256) {
        bias->blocks = rows;
        bias->partial = r->gates;
        return CLRNN_OK;
    }
    if (!bias->partial) {
        bias->blocks = clrnn_divide_up(r->whole * r->N, block_rows);
        TRY(clrnn_launches_scratch(l, (size_t)r->D * bias->blocks * columns, &bias->partial));
    }
    return clrnn_launch_kernel(
        l, "rnn_bias", "rnn_bias_partial", DEFINES({"CELL", r->cell}, {"RELU", r->relu}, {"WIDTH", width}),
        RANGE3((columns + width - 1) / width, clrnn_divide_up(rows, block_rows), r->directions),
        (struct clrnn_cost){(double)r->directions * rows * columns, 4.0 * r->directions * rows * columns},
        ARGS(BUF(r->gates), BUF(bias->partial), UINT(r->low * r->N), UINT(rows), UINT(rows_of(r)), UINT(columns),
             UINT(block_rows), UINT(bias->blocks), UINT(begun(r) * r->N / block_rows), UINT(r->direction), UINT(r->D)));
}

enum clrnn_status clrnn_rnn_bias_sum(struct clrnn_launches *l, const struct clrnn_rnn *r,
                                     const struct clrnn_rnn_bias *bias)
{
    const uint32_t columns = r->R * r->H, width = clrnn_rnn_width(l);

    if (!bias->wanted)
        return CLRNN_OK;
    return clrnn_launch_kernel(
        l, "rnn_bias", "rnn_bias_sum", DEFINES({"CELL", r->cell}, {"RELU", r->relu}, {"WIDTH", width}),
        RANGE3((r->H + width - 1) / width, r->G, r->D),
        (struct clrnn_cost){2.0 * r->D * bias->blocks * columns, 4.0 * r->D * bias->blocks * columns},
        ARGS(BUF(bias->partial), BUF(r->dbias_ih[0]), BUF(r->dbias_hh[0]), BUF(r->dbias_ih[1]), BUF(r->dbias_hh[1]),
             UINT(r->H), UINT(bias->blocks), UINT(r->D)));
}

// Computes dx [rows, C] = the sum of dgates W_ih over the directions.
static enum clrnn_status input_gradient(struct clrnn_launches *l, const struct clrnn_rnn *r)
{
    FOR_DIRECTIONS(r, d)
    {
        const struct clrnn_blocks blocks = clrnn_blocks_of(l, d, 0, r->steps, r->whole, r->N);
        const struct clrnn_gemm m = {
            .M = r->steps * r->N,
            .N = r->C,
            .K = r->G * r->H,
            .alpha = 1,
            .beta = d ? 1 : 0,
            .a = r->gates,
            .a_offset = gates_of(r, d),
            .a_ld = r->R * r->H,
            .b = r->weight_ih[d],
            .b_ld = r->C,
            .c = r->dx,
            .c_offset = (size_t)(r->low + r->offset) * r->N * r->C,
            .c_ld = r->C,
        };
        TRY(clrnn_launch_gemm_rows(l, &m, 1, &blocks));
    }
    return CLRNN_OK;
}

enum clrnn_status clrnn_rnn_gradients(struct clrnn_launches *l, const struct clrnn_rnn *r, struct clrnn_rnn_bias *bias)
{
    if (bias) {
        TRY(hidden_weight_gradients(l, r));
        TRY(bias_partial(l, r, bias));
        if (bias->at_once)
            TRY(clrnn_rnn_bias_sum(l, r, bias));
    }
    TRY(input_weight_gradients(l, r));
    return r->dx ? input_gradient(l, r) : CLRNN_OK;
}
