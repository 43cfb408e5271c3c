// SPDX-License-Identifier: MIT
// The variant STEPS of a recurrent layer. In forward, each time step is a multiply that adds W_hh h to the step's rows
// of the gates (gru: a second multiply for gate n), and then one fused pointwise kernel (cl/rnn.cl). In backward, the
// multiply computes the gradient of h from the gate gradients of the next step.
#include "base/array.h"
#include "ops/rnn_variants.h"
#include "ops/split.h"

static struct clrnn_cost pointwise_cost(const struct clrnn_rnn *r)
{
    const double units = (double)r->D * r->N * r->H;
    return (struct clrnn_cost){10.0 * r->G * units, 4.0 * (2.0 * r->R + 3) * units};
}

// Returns the range of the pointwise kernel. On CPUs a work-item computes several whole rows, because one row is little
// work. On GPUs it computes one unit of one row.
static struct clrnn_range step_range(const struct clrnn_launches *l, const struct clrnn_rnn *r)
{
    const struct clrnn_device_info *info = clrnn_device_info(clrnn_launches_device(l));
    const uint32_t item_rows = 1 + 512 / r->H, items = (r->N + item_rows - 1) / item_rows;

    if (!clrnn_on_cpu(l))
        return RANGE3(r->H, r->N, r->directions);
    return RANGE3(1, MIN2(items, 4 * MAX2(info->compute_units, 1u)), r->directions);
}

enum clrnn_status clrnn_rnn_steps_fwd(struct clrnn_launches *l, const struct clrnn_rnn *r)
{
    const size_t H = r->H, direction = clrnn_rnn_pre_direction(r);
    const bool gru = r->cell == CLRNN_CELL_GRU;
    struct rnn_args args = clrnn_rnn_args(r, false);
    const uint32_t ld = clrnn_rnn_pre_ld(r), end = args.last;
    const struct clrnn_defines defines = DEFINES({"CELL", r->cell}, {"RELU", r->relu}, {"WIDTH", clrnn_rnn_width(l)});
    // With one step and no h0, nothing recurs: y is the activation of x W_ih^T plus the biases. The multiply may
    // compute that alone.
    const bool alone = r->whole == 1 && r->cell == CLRNN_CELL_RNN && !r->lengths && !r->h0;
    struct clrnn_buffer *pre = r->cell == CLRNN_CELL_RNN ? r->y : r->gates, *memory = r->memory;
    bool fused = false;

    if (!pre)
        TRY(clrnn_launches_scratch(l, r->D * direction, &pre));
    if (!memory && r->cell == CLRNN_CELL_LSTM)
        TRY(clrnn_launches_scratch(l, (size_t)r->D * r->N * H, &memory));

    TRY(clrnn_rnn_input_gates(l, r, pre, alone ? &fused : NULL));
    if (fused)
        return CLRNN_OK;
    for (uint32_t step = args.first; step < end; args.first = ++step) {
        for (uint32_t d = r->direction; d < r->direction + r->directions && step > 0; d++) {
            const size_t t = d ? r->T - 1 - step : step, before = d ? t + 1 : t - 1;
            struct clrnn_gemm m =
                clrnn_gemm_dense(CLRNN_GEMM_NT, r->N, gru ? 2 * r->H : r->G * r->H, r->H, r->y, r->weight_hh[d], pre);

            m.beta = 1;
            m.a_offset = before * r->N * r->D * H + d * H;
            m.a_ld = r->D * r->H;
            m.c_offset = d * direction + t * r->N * ld;
            m.c_ld = ld;
            TRY(clrnn_launch_gemm(l, &m));
            if (!gru)
                continue;
            m.N = r->H;
            m.beta = 0; // h's part of gate n is stored separately, because the reset gate multiplies it
            m.b_offset = 2 * H * H;
            m.c_offset += 3 * H;
            TRY(clrnn_launch_gemm(l, &m));
        }
        TRY(clrnn_launch_kernel(l, "rnn", "rnn_step_fwd", defines, step_range(l, r), pointwise_cost(r),
                                ARGS(STRUCT(rnn_args, &args), BUF(pre), BUF(r->bias_ih[0]), BUF(r->bias_hh[0]),
                                     BUF(r->bias_ih[1]), BUF(r->bias_hh[1]), BUF(memory), BUF(r->y), BUF(r->lengths),
                                     BUF(r->start), BUF(r->past))));
    }
    return CLRNN_OK;
}

enum clrnn_status clrnn_rnn_steps_bwd(struct clrnn_launches *l, const struct clrnn_rnn *r)
{
    const size_t rows = (size_t)r->T * r->N, H = r->H, state = (size_t)r->N * H;
    const uint32_t ld = r->R * r->H;
    const bool gru = r->cell == CLRNN_CELL_GRU;
    const struct clrnn_defines defines = DEFINES({"CELL", r->cell}, {"RELU", r->relu}, {"WIDTH", clrnn_rnn_width(l)});
    struct rnn_args args = clrnn_rnn_args(r, true);
    const uint32_t end = args.last;
    struct clrnn_buffer *through = r->through, *carry = r->carry;

    if (!through)
        TRY(clrnn_launches_scratch(l, r->D * state, &through));
    if (r->cell == CLRNN_CELL_LSTM && !carry)
        TRY(clrnn_launches_scratch(l, r->D * state, &carry));

    for (uint32_t step = args.first; step < end; args.first = ++step) {
        for (uint32_t d = r->direction; d < r->direction + r->directions && step > 0; d++) {
            const size_t after = d ? step - 1 : r->T - step;
            struct clrnn_gemm m = clrnn_gemm_dense(CLRNN_GEMM_NN, r->N, r->H, gru ? 2 * r->H : r->G * r->H, r->gates,
                                                   r->weight_hh[d], through);

            m.beta = gru ? 1 : 0;
            m.a_offset = (d * rows + after * r->N) * ld;
            m.a_ld = ld;
            m.c_offset = d * state;
            TRY(clrnn_launch_gemm(l, &m));
            if (!gru)
                continue;
            m.K = r->H;
            m.a_offset += 3 * H;
            m.b_offset = 2 * H * H;
            TRY(clrnn_launch_gemm(l, &m));
        }
        TRY(clrnn_launch_kernel(l, "rnn", "rnn_step_bwd", defines, step_range(l, r), pointwise_cost(r),
                                ARGS(STRUCT(rnn_args, &args), BUF(r->gates), BUF(r->y), BUF(r->memory), BUF(r->dy),
                                     BUF(through), BUF(carry), BUF(r->lengths), BUF(r->past), BUF(r->dcn))));
    }
    return CLRNN_OK;
}
