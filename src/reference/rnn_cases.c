// SPDX-License-Identifier: MIT
// Test cases (cases.h) of the recurrent layer: every cell, forward, then backward, which reads the results of forward.
#include <math.h>
#include <stdio.h>

#include "base/array.h"
#include "base/log.h"
#include "reference/cases.h"

struct cell {
    enum clrnn_cell kind;
    bool relu, bias, states; // states: initial states are given and final states are wanted
    uint32_t D;
};

static void rnn_inputs(struct clrnn_cases *s, const struct clrnn_case_size *z, const struct cell *cell)
{
    struct clrnn_check *c = s->check;
    const size_t gates = (size_t)clrnn_cell_gates(cell->kind) * z->H;
    const float root = 1 / sqrtf((float)z->H);

    snprintf(c->what, sizeof(c->what), "cell=%d relu=%d H=%u D=%u padded=%d", cell->kind, cell->relu, z->H, cell->D,
             z->padded);
    c->op.rnn.cell = cell->kind;
    c->op.rnn.relu = cell->relu;
    c->op.rnn.bias = cell->bias;
    c->op.rnn.H = z->H;
    c->op.rnn.D = cell->D;
    clrnn_check_real(c, RNN_X, clrnn_case_rows(z) * z->C);
    clrnn_case_lengths(s, z, RNN_LENGTHS);
    clrnn_case_poison(s, z, RNN_X, z->C);
    for (int d = 0; d < (int)cell->D; d++) {
        const size_t ih = gates * z->C, hh = gates * z->H;

        clrnn_case_scale(clrnn_check_real(c, RNN_WEIGHT_IH + 4 * d, ih), ih, 1 / sqrtf((float)z->C));
        clrnn_case_scale(clrnn_check_real(c, RNN_WEIGHT_HH + 4 * d, hh), hh, root);
        if (!cell->bias)
            continue;
        clrnn_case_scale(clrnn_check_real(c, RNN_BIAS_IH + 4 * d, gates), gates, root);
        clrnn_case_scale(clrnn_check_real(c, RNN_BIAS_HH + 4 * d, gates), gates, root);
    }
    if (!cell->states)
        return;
    clrnn_check_real(c, c->op.kind == CLRNN_OP_RNN_FWD ? RNN_H0 : RNN_BWD_H0, cell->D * z->N * z->H);
    if (cell->kind == CLRNN_CELL_LSTM)
        clrnn_check_real(c, c->op.kind == CLRNN_OP_RNN_FWD ? RNN_C0 : RNN_BWD_C0, cell->D * z->N * z->H);
}

// Adds the gradients of the final states as inputs, and the gradients of the initial states as outputs.
static void state_gradients(struct clrnn_cases *s, const struct clrnn_case_size *z, const struct cell *cell)
{
    const size_t count = (size_t)cell->D * z->N * z->H;

    clrnn_check_real(s->check, RNN_BWD_DHN, count);
    clrnn_case_out(s, RNN_DH0, count);
    if (cell->kind != CLRNN_CELL_LSTM)
        return;
    clrnn_check_real(s->check, RNN_BWD_DCN, count);
    clrnn_case_out(s, RNN_DC0, count);
}

// Runs the backward case. To be called after the forward case, whose results it takes as inputs.
static enum clrnn_status rnn_backward(struct clrnn_cases *s, const struct clrnn_case_size *z, const struct cell *cell)
{
    struct clrnn_check *c = s->check;
    const size_t gates = (size_t)clrnn_cell_gates(cell->kind) * z->H;
    const size_t states = cell->D * clrnn_case_rows(z) * z->H;
    float *y = c->got[RNN_Y], *reserve = c->got[RNN_GATES], *cells = c->got[RNN_CELL];

    c->got[RNN_Y] = c->got[RNN_GATES] = c->got[RNN_CELL] = NULL;
    clrnn_case_begin(s, CLRNN_OP_RNN_BWD, z, z->C);
    c->random.seed = 1000 * (uint64_t)CLRNN_OP_RNN_FWD + z->N; // gives the same inputs as in forward
    rnn_inputs(s, z, cell);
    clrnn_check_given(c, RNN_BWD_Y, y, states);
    clrnn_check_given(c, RNN_BWD_GATES, reserve, states * clrnn_cell_reserve(cell->kind));
    if (cells)
        clrnn_check_given(c, RNN_BWD_CELL, cells, states);
    c->in[RNN_BWD_GATES].spent = c->in[RNN_BWD_CELL].spent = true;
    clrnn_check_real(c, RNN_BWD_DY, states);
    clrnn_case_poison(s, z, RNN_BWD_DY, cell->D * z->H);
    clrnn_check_out_rows(c, RNN_DX, z->C, 0);
    for (int d = 0; d < (int)cell->D; d++) {
        clrnn_case_out(s, RNN_DWEIGHT_IH + 4 * d, gates * z->C);
        clrnn_case_out(s, RNN_DWEIGHT_HH + 4 * d, gates * z->H);
        if (!cell->bias)
            continue;
        clrnn_case_out(s, RNN_DBIAS_IH + 4 * d, gates);
        clrnn_case_out(s, RNN_DBIAS_HH + 4 * d, gates);
    }
    if (cell->states)
        state_gradients(s, z, cell);
    return clrnn_case_run(s);
}

static enum clrnn_status rnn(struct clrnn_cases *s, const struct clrnn_case_size *z, const struct cell *cell)
{
    struct clrnn_check *c = s->check;
    const size_t states = cell->D * clrnn_case_rows(z) * z->H;

    clrnn_case_begin(s, CLRNN_OP_RNN_FWD, z, z->C);
    rnn_inputs(s, z, cell);
    clrnn_check_out_rows(c, RNN_Y, cell->D * z->H, 0);
    clrnn_case_out(s, RNN_GATES, states * clrnn_cell_reserve(cell->kind));
    if (cell->kind == CLRNN_CELL_LSTM)
        clrnn_case_out(s, RNN_CELL, states);
    if (cell->states)
        clrnn_case_out(s, RNN_HN, cell->D * z->N * z->H);
    if (cell->states && cell->kind == CLRNN_CELL_LSTM)
        clrnn_case_out(s, RNN_CN, cell->D * z->N * z->H);
    TRY(clrnn_case_run(s));
    return rnn_backward(s, z, cell);
}

enum clrnn_status clrnn_rnn_cases(struct clrnn_cases *s, const struct clrnn_case_size *z)
{
    const struct cell cells[] = {
        {CLRNN_CELL_RNN, false, true, false, z->D},  {CLRNN_CELL_RNN, true, false, true, 1},
        {CLRNN_CELL_LSTM, false, true, false, z->D}, {CLRNN_CELL_LSTM, false, true, true, z->D},
        {CLRNN_CELL_GRU, false, true, false, z->D},  {CLRNN_CELL_GRU, false, true, true, z->D},
    };

    for (size_t i = 0; !z->sums && i < ARRAY_SIZE(cells); i++)
        TRY(rnn(s, z, &cells[i]));
    return CLRNN_OK;
}
