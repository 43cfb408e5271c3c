// SPDX-License-Identifier: MIT
// Launches the ops of rnn.h: collects the layer's buffers, and chooses the variant that runs the time steps.
#include <stdio.h>

#include "device/remember/choice.h"
#include "ops/columns.h"
#include "ops/rnn_variants.h"
#include "ops/split.h"

// Returns the sizes of the layer, and the buffers that both forward and backward read. Both ops begin with the same
// input slots.
static struct clrnn_rnn layer_of(const struct clrnn_graph *g, const struct clrnn_op *op)
{
    struct clrnn_rnn r = {
        .T = op->T,
        .N = op->N,
        .C = op->C,
        .H = op->rnn.H,
        .D = op->rnn.D,
        .G = clrnn_cell_gates(op->rnn.cell),
        .R = clrnn_cell_reserve(op->rnn.cell),
        .whole = op->T,
        .steps = op->T,
        .directions = op->rnn.D,
        .part = op->rnn.part,
        .cell = op->rnn.cell,
        .relu = op->rnn.relu,
        .lengths = clrnn_in(g, op, RNN_LENGTHS),
    };
    const bool forward = op->kind == CLRNN_OP_RNN_FWD;

    r.x = clrnn_rows(g, op, RNN_X, &r.x_rows);
    for (uint32_t d = 0; d < r.D; d++) {
        r.weight_ih[d] = clrnn_in(g, op, (int)(RNN_WEIGHT_IH + 4 * d));
        r.weight_hh[d] = clrnn_in(g, op, (int)(RNN_WEIGHT_HH + 4 * d));
        r.bias_ih[d] = clrnn_in(g, op, (int)(RNN_BIAS_IH + 4 * d));
        r.bias_hh[d] = clrnn_in(g, op, (int)(RNN_BIAS_HH + 4 * d));
    }
    r.h0 = clrnn_in(g, op, forward ? RNN_H0 : RNN_BWD_H0);
    r.c0 = clrnn_in(g, op, forward ? RNN_C0 : RNN_BWD_C0);
    r.past = r.cell == CLRNN_CELL_LSTM ? r.c0 : r.cell == CLRNN_CELL_GRU ? r.h0 : NULL;
    return r;
}

static bool variant_fits(const struct clrnn_launches *l, const struct clrnn_rnn *r)
{
    if (r->variant == CLRNN_RNN_STEPS)
        return true;
    if (r->variant == CLRNN_RNN_GROUP)
        return !clrnn_on_cpu(l) && clrnn_rnn_group_fits(l, r);
    return clrnn_on_cpu(l) && clrnn_rnn_sequence_fits(l, r);
}

// Returns the autotuned variant among those that fit the device and the layer. If none was measured, returns the
// variant that is expected to be the fastest: SEQUENCE or SHARED on CPUs, GROUP or STEPS on GPUs. Returns STEPS if that
// variant does not fit, or if the layer has a single time step.
static enum clrnn_rnn_variant choose_variant(struct clrnn_launches *l, struct clrnn_rnn r)
{
    static const char *const word[] = {"steps", "sequence", "shared", "group"};
    const enum clrnn_rnn_variant wanted = clrnn_on_cpu(l)            ? clrnn_rnn_sequence_standard(l, &r)
                                          : clrnn_rnn_group_pays(&r) ? CLRNN_RNN_GROUP
                                                                     : CLRNN_RNN_STEPS;
    const char *fit[CLRNN_RNN_VARIANTS];
    enum clrnn_rnn_variant variant[CLRNN_RNN_VARIANTS];
    unsigned count = 0, standard = 0;

    if (r.T == 1)
        return CLRNN_RNN_STEPS;
    for (r.variant = CLRNN_RNN_STEPS; r.variant < CLRNN_RNN_VARIANTS; r.variant++) {
        if (!variant_fits(l, &r))
            continue;
        if (r.variant == wanted)
            standard = count;
        variant[count] = r.variant;
        fit[count++] = word[r.variant];
    }
    return variant[clrnn_choose(l, "variant", standard, count, fit)];
}

enum clrnn_status clrnn_rnn_fwd(struct clrnn_launches *launches, const struct clrnn_graph *graph,
                                const struct clrnn_op *op)
{
    struct clrnn_rnn r = layer_of(graph, op);

    r.y = clrnn_out(graph, op, RNN_Y);
    r.gates = clrnn_out(graph, op, RNN_GATES);
    r.memory = clrnn_out(graph, op, RNN_CELL);
    r.hn = clrnn_out(graph, op, RNN_HN);
    r.cn = clrnn_out(graph, op, RNN_CN);
    r.kept_h = clrnn_out(graph, op, RNN_KEPT_H);
    r.kept_c = clrnn_out(graph, op, RNN_KEPT_C);
    TRY(clrnn_rnn_begin(launches, &r));
    if (clrnn_rnn_single_fits(launches, &r)) {
        TRY(clrnn_rnn_single_fwd(launches, &r));
        return clrnn_rnn_end(launches, &r);
    }
    r.variant = choose_variant(launches, r);
    return clrnn_rnn_parts_fwd(launches, &r);
}

// Sets r->clean to a copy of x with zeros in padding, for the gradient of the input weights: gate gradients are 0 in
// padding, but x may be NaN there, and 0 * NaN is NaN.
static enum clrnn_status without_padding(struct clrnn_launches *l, struct clrnn_rnn *r)
{
    if (!r->lengths || (!r->dweight_ih[0] && !r->dweight_ih[1]))
        return CLRNN_OK;
    r->clean = r->x;
    return clrnn_launch_mask_rows(l, r->lengths, r->T, r->N, r->C, &r->clean);
}

// Runs backward of a layer of one time step on a CPU, by a fused kernel. Sets *done to whether the layer is supported.
// If it is, all gradients are computed; otherwise none are.
static enum clrnn_status single_bwd(struct clrnn_launches *l, struct clrnn_rnn *r, bool *done)
{
    bool whole;

    *done = r->T == 1 && clrnn_on_cpu(l) && !r->h0 && !r->dcn && !r->dc0;
    if (!*done)
        return CLRNN_OK;
    TRY(clrnn_rnn_single_bwd(l, r, &whole));
    return whole ? CLRNN_OK : clrnn_rnn_gradients(l, r, NULL);
}

enum clrnn_status clrnn_rnn_bwd(struct clrnn_launches *launches, const struct clrnn_graph *graph,
                                const struct clrnn_op *op)
{
    struct clrnn_rnn r = layer_of(graph, op);
    bool done;

    r.y = clrnn_in(graph, op, RNN_BWD_Y);
    r.gates = clrnn_in(graph, op, RNN_BWD_GATES);
    r.memory = clrnn_in(graph, op, RNN_BWD_CELL);
    r.dy = clrnn_in(graph, op, RNN_BWD_DY);
    r.dx = clrnn_out(graph, op, RNN_DX);
    r.dhn = clrnn_in(graph, op, RNN_BWD_DHN);
    r.dcn = clrnn_in(graph, op, RNN_BWD_DCN);
    r.dh0 = clrnn_out(graph, op, RNN_DH0);
    r.dc0 = clrnn_out(graph, op, RNN_DC0);
    r.kept_h = clrnn_in(graph, op, RNN_BWD_KEPT_H);
    r.kept_c = clrnn_in(graph, op, RNN_BWD_KEPT_C);
    for (uint32_t d = 0; d < r.D; d++) {
        r.dweight_ih[d] = clrnn_out(graph, op, (int)(RNN_DWEIGHT_IH + 4 * d));
        r.dweight_hh[d] = clrnn_out(graph, op, (int)(RNN_DWEIGHT_HH + 4 * d));
        r.dbias_ih[d] = clrnn_out(graph, op, (int)(RNN_DBIAS_IH + 4 * d));
        r.dbias_hh[d] = clrnn_out(graph, op, (int)(RNN_DBIAS_HH + 4 * d));
    }

    TRY(clrnn_rnn_begin_bwd(launches, &r));
    TRY(without_padding(launches, &r));
    TRY(single_bwd(launches, &r, &done));
    if (done)
        return CLRNN_OK;
    r.variant = choose_variant(launches, r);
    return clrnn_rnn_parts_bwd(launches, &r);
}

// ---------------------------------------------------------------- cost functions and op classes

// Counts the matrix products, and about 8 operations per gate and unit for the activations (a transcendental function
// counts as one).
static double fwd_flops(const struct clrnn_op *op)
{
    const double rows = (double)op->T * op->N, gates = (double)clrnn_cell_gates(op->rnn.cell) * op->rnn.H;

    return (2.0 * op->C + 2.0 * op->rnn.H + 8) * rows * gates * op->rnn.D;
}

// Counts the matrix products, and 16 operations per gate and unit. The products for dx and for dweight_ih each take as
// many operations as the forward product of the input. Those for dh and for dweight_hh each take as many as the forward
// product of the hidden state. With parts, backward also runs forward again.
static double bwd_flops(const struct clrnn_op *op)
{
    const double rows = (double)op->T * op->N, gates = (double)clrnn_cell_gates(op->rnn.cell) * op->rnn.H;
    const double input = (op->out[RNN_DX] >= 0 ? 4.0 : 2.0) * op->C;

    return (input + 4.0 * op->rnn.H + 16) * rows * gates * op->rnn.D + (op->rnn.part ? fwd_flops(op) : 0);
}

static void sizes(const struct clrnn_op *op, char *text, size_t size)
{
    static const char *const cell[] = {"rnn", "lstm", "gru"};

    snprintf(text, size, " %s%s T%u N%u C%u H%u D%u", cell[op->rnn.cell],
             op->kind == CLRNN_OP_RNN_FWD && op->out[RNN_GATES] == CLRNN_NONE ? " inference" : "",
             (unsigned)clrnn_tune_size(op->T), (unsigned)clrnn_tune_size(op->N), (unsigned)clrnn_tune_size(op->C),
             (unsigned)clrnn_tune_size(op->rnn.H), (unsigned)op->rnn.D);
}

static const struct clrnn_op_backward backward = {
    .kind = CLRNN_OP_RNN_BWD,
    .dy = RNN_BWD_DY,
    .dx = RNN_DX,
    .in_count = 17,
    .in = {{RNN_BWD_X, RNN_X, false},
           {RNN_BWD_LENGTHS, RNN_LENGTHS, false},
           {RNN_BWD_WEIGHT_IH, RNN_WEIGHT_IH, false},
           {RNN_BWD_WEIGHT_HH, RNN_WEIGHT_HH, false},
           {RNN_BWD_BIAS_IH, RNN_BIAS_IH, false},
           {RNN_BWD_BIAS_HH, RNN_BIAS_HH, false},
           {RNN_BWD_WEIGHT_IH + 4, RNN_WEIGHT_IH + 4, false},
           {RNN_BWD_WEIGHT_HH + 4, RNN_WEIGHT_HH + 4, false},
           {RNN_BWD_BIAS_IH + 4, RNN_BIAS_IH + 4, false},
           {RNN_BWD_BIAS_HH + 4, RNN_BIAS_HH + 4, false},
           {RNN_BWD_Y, RNN_Y, true},
           {RNN_BWD_GATES, RNN_GATES, true},
           {RNN_BWD_CELL, RNN_CELL, true},
           {RNN_BWD_H0, RNN_H0, false},
           {RNN_BWD_C0, RNN_C0, false},
           {RNN_BWD_KEPT_H, RNN_KEPT_H, true},
           {RNN_BWD_KEPT_C, RNN_KEPT_C, true}},
    .grad_count = 8,
    .grad = {{RNN_DWEIGHT_IH, RNN_WEIGHT_IH},
             {RNN_DWEIGHT_HH, RNN_WEIGHT_HH},
             {RNN_DBIAS_IH, RNN_BIAS_IH},
             {RNN_DBIAS_HH, RNN_BIAS_HH},
             {RNN_DWEIGHT_IH + 4, RNN_WEIGHT_IH + 4},
             {RNN_DWEIGHT_HH + 4, RNN_WEIGHT_HH + 4},
             {RNN_DBIAS_IH + 4, RNN_BIAS_IH + 4},
             {RNN_DBIAS_HH + 4, RNN_BIAS_HH + 4}},
};

const struct clrnn_op_class clrnn_rnn_fwd_class = {.flops = fwd_flops, .sizes = sizes, .backward = &backward};
const struct clrnn_op_class clrnn_rnn_bwd_class = {.flops = bwd_flops, .sizes = sizes};
