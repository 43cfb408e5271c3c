// SPDX-License-Identifier: MIT
// Test cases (cases.h) of the recurrent layer with layer normalisation, projection and dropout: forward, then backward,
// which reads the results of forward.
#include <math.h>
#include <stdio.h>

#include "base/array.h"
#include "base/log.h"
#include "reference/cases.h"

struct cell {
    enum clrnn_cell kind;
    bool relu, bias, norm, projected;
    double p;
    uint32_t D;
    bool states; // initial states are given and final states are wanted
};

// Returns the number of elements of the weight in slot `slot` of a direction; 0 if the layer does not have it.
static size_t weight_count(const struct clrnn_case_size *z, const struct cell *cell, int slot)
{
    const size_t H = z->H, P = cell->projected ? (H + 1) / 2 : H, gates = clrnn_cell_gates(cell->kind) * H;

    switch (slot) {
    case RECURRENT_WEIGHT_IH:
        return gates * z->C;
    case RECURRENT_WEIGHT_HH:
        return gates * P;
    case RECURRENT_BIAS_IH:
    case RECURRENT_BIAS_HH:
        return cell->bias ? gates : 0;
    case RECURRENT_WEIGHT_HR:
        return cell->projected ? P * H : 0;
    case RECURRENT_GAMMA_IH:
    case RECURRENT_GAMMA_HH:
        return cell->norm ? gates : 0;
    default:
        return cell->norm && cell->kind == CLRNN_CELL_LSTM ? H : 0;
    }
}

// Adds the initial states, the final states, or their gradients: h in slot `h` and, for lstm, c in the next slot. They
// are outputs if `out`, otherwise inputs.
static void add_states(struct clrnn_cases *s, const struct clrnn_case_size *z, const struct cell *cell, int h, bool out)
{
    const size_t H = z->H, P = cell->projected ? (H + 1) / 2 : H, samples = (size_t)cell->D * z->N;

    for (int i = 0; cell->states && i < (cell->kind == CLRNN_CELL_LSTM ? 2 : 1); i++)
        if (out)
            clrnn_case_out(s, h + i, samples * (i ? H : P));
        else
            clrnn_check_real(s->check, h + i, samples * (i ? H : P));
}

static void recurrent_inputs(struct clrnn_cases *s, const struct clrnn_case_size *z, const struct cell *cell)
{
    struct clrnn_check *c = s->check;
    const float root = 1 / sqrtf((float)z->H);

    snprintf(c->what, sizeof(c->what), "cell=%d relu=%d H=%u D=%u padded=%d norm=%d projected=%d p=%g", cell->kind,
             cell->relu, z->H, cell->D, z->padded, cell->norm, cell->projected, cell->p);
    c->op.recurrent = (struct clrnn_recurrent_attributes){
        .rnn = {.cell = cell->kind, .relu = cell->relu, .bias = cell->bias, .H = z->H, .D = cell->D},
        .layer_norm = cell->norm,
        .P = cell->projected ? (z->H + 1) / 2 : z->H,
        .p = cell->p,
        .stream = 3};
    clrnn_check_real(c, RECURRENT_X, clrnn_case_rows(z) * z->C);
    clrnn_case_lengths(s, z, RECURRENT_LENGTHS);
    clrnn_case_poison(s, z, RECURRENT_X, z->C);
    if (cell->p > 0)
        clrnn_check_counter(c, RECURRENT_COUNTER, 5, 0);
    if (c->in[RECURRENT_COUNTER].word)
        c->in[RECURRENT_COUNTER].word[COUNTER_SAMPLE] = 3;
    for (int i = 0; i < (int)cell->D * RECURRENT_WEIGHTS; i++) {
        const int slot = RECURRENT_WEIGHT_IH + i % RECURRENT_WEIGHTS;
        const size_t count = weight_count(z, cell, slot);

        if (count) // gamma has a magnitude of about 1
            clrnn_case_scale(clrnn_check_real(c, RECURRENT_WEIGHT_IH + i, count), count,
                             slot == RECURRENT_WEIGHT_IH                               ? 1 / sqrtf((float)z->C)
                             : slot >= RECURRENT_GAMMA_IH && slot <= RECURRENT_GAMMA_C ? 1
                                                                                       : root);
    }
    add_states(s, z, cell, c->op.kind == CLRNN_OP_RECURRENT_FWD ? RECURRENT_H0 : RECURRENT_BWD_H0, false);
}

// Runs the backward case. To be called after the forward case, whose results it takes as inputs.
static enum clrnn_status backward(struct clrnn_cases *s, const struct clrnn_case_size *z, const struct cell *cell)
{
    struct clrnn_check *c = s->check;
    float *kept[RECURRENT_WIDE + 1];
    size_t count[RECURRENT_WIDE + 1];

    for (int i = 0; i <= RECURRENT_WIDE; i++) {
        kept[i] = c->got[i];
        count[i] = c->out[i].count;
        c->got[i] = NULL;
    }
    clrnn_case_begin(s, CLRNN_OP_RECURRENT_BWD, z, z->C);
    c->random.seed = 1000 * (uint64_t)CLRNN_OP_RECURRENT_FWD + z->N; // gives the same inputs as in forward
    recurrent_inputs(s, z, cell);
    for (int i = 0; i <= RECURRENT_WIDE; i++)
        if (kept[i]) {
            clrnn_check_given(c, RECURRENT_BWD_Y + i, kept[i], count[i]);
            c->in[RECURRENT_BWD_Y + i].spent = i == RECURRENT_CELL;
        }
    clrnn_check_real(c, RECURRENT_BWD_DY, count[RECURRENT_Y]);
    clrnn_case_poison(s, z, RECURRENT_BWD_DY, cell->D * c->op.recurrent.P);
    clrnn_check_out_rows(c, RECURRENT_DX, z->C, 0);
    for (int i = 0; i < (int)cell->D * RECURRENT_WEIGHTS; i++) {
        const size_t numbers = weight_count(z, cell, RECURRENT_WEIGHT_IH + i % RECURRENT_WEIGHTS);

        if (numbers)
            clrnn_case_out(s, RECURRENT_DWEIGHT_IH + i, numbers);
    }
    add_states(s, z, cell, RECURRENT_BWD_DHN, false);
    add_states(s, z, cell, RECURRENT_DH0, true);
    return clrnn_case_run(s);
}

static enum clrnn_status recurrent(struct clrnn_cases *s, const struct clrnn_case_size *z, const struct cell *cell)
{
    struct clrnn_check *c = s->check;
    const size_t rows = cell->D * clrnn_case_rows(z), gates = clrnn_cell_gates(cell->kind) * (size_t)z->H;

    clrnn_case_begin(s, CLRNN_OP_RECURRENT_FWD, z, z->C);
    recurrent_inputs(s, z, cell);
    clrnn_check_out_rows(c, RECURRENT_Y, cell->D * c->op.recurrent.P, 0);
    clrnn_case_out(s, RECURRENT_INPUT, rows * gates);
    clrnn_case_out(s, RECURRENT_HIDDEN, rows * gates);
    clrnn_case_out(s, RECURRENT_STATS, rows * 4);
    if (cell->kind != CLRNN_CELL_RNN)
        clrnn_case_out(s, RECURRENT_GATES, rows * 4 * z->H);
    if (cell->kind == CLRNN_CELL_LSTM)
        clrnn_case_out(s, RECURRENT_CELL, rows * z->H);
    if (cell->projected)
        clrnn_case_out(s, RECURRENT_WIDE, rows * z->H);
    add_states(s, z, cell, RECURRENT_HN, true);
    TRY(clrnn_case_run(s));
    return backward(s, z, cell);
}

enum clrnn_status clrnn_recurrent_cases(struct clrnn_cases *s, const struct clrnn_case_size *z)
{
    const struct cell cells[] = {
        {CLRNN_CELL_RNN, false, true, true, false, 0, z->D, true},
        {CLRNN_CELL_RNN, true, false, true, false, 0.3, 1, false},
        {CLRNN_CELL_LSTM, false, true, false, true, 0, z->D, true},
        {CLRNN_CELL_LSTM, false, true, true, false, 0, 1, true},
        {CLRNN_CELL_LSTM, false, false, true, true, 0.4, z->D, true},
        {CLRNN_CELL_LSTM, false, true, false, true, 0.5, 1, false},
        {CLRNN_CELL_GRU, false, true, true, false, 0, z->D, false},
        {CLRNN_CELL_GRU, false, true, true, false, 0, z->D, true},
        {CLRNN_CELL_GRU, false, false, false, false, 0.2, z->D, true},
    };

    // Layer normalisation of very few numbers gives almost the same result for any numbers: two numbers always become
    // -1 and 1. The gradients would then be 0, and only rounding errors would be compared.
    const bool degenerate = z->H < 4 || z->C < 2;

    for (size_t i = 0; !z->sums && i < ARRAY_SIZE(cells); i++)
        if (!cells[i].norm || !degenerate)
            TRY(recurrent(s, z, &cells[i]));
    return CLRNN_OK;
}
