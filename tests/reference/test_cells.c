// SPDX-License-Identifier: MIT
// Gradients of recurrent layers with layer normalisation, projection and dropout. Compares them with differences, as
// test_gradient.c does.
#include "differences.h"

struct cell {
    const char *what;
    enum clrnn_cell kind;
    bool relu, bias, norm, projected;
    double p;
};

static void check_cell(const struct cell *cell, uint32_t D, bool padded, bool states, uint32_t seed)
{
    static uint32_t counter[COUNTER_FIELDS] = {7, 0, 3};
    const uint32_t T = 5, N = 3, C = 3, H = 4, P = cell->projected ? 2 : H,
                   GH = H * (cell->kind == CLRNN_CELL_RNN   ? 1
                             : cell->kind == CLRNN_CELL_GRU ? 3
                                                            : 4);
    const bool norm_c = cell->norm && cell->kind == CLRNN_CELL_LSTM;
    const uint32_t count[RECURRENT_WEIGHTS] = {GH * C,
                                               GH * P,
                                               cell->bias ? GH : 0,
                                               cell->bias ? GH : 0,
                                               cell->projected ? P * H : 0,
                                               cell->norm ? GH : 0,
                                               cell->norm ? GH : 0,
                                               norm_c ? H : 0,
                                               norm_c ? H : 0};
    struct check c;

    begin(&c, cell->what, seed, CLRNN_OP_RECURRENT_FWD, T, N, C, padded ? some_lengths : NULL, RECURRENT_LENGTHS,
          RECURRENT_LENGTHS);
    c.fwd.recurrent = (struct clrnn_recurrent_attributes){
        .rnn = {.cell = cell->kind, .relu = cell->relu, .bias = cell->bias, .H = H, .D = D},
        .layer_norm = cell->norm,
        .P = P,
        .p = cell->p};
    c.in[RECURRENT_COUNTER] = c.back_in[RECURRENT_COUNTER] = counter;
    c.y_width = (size_t)D * P;
    c.dy_slot = RECURRENT_BWD_DY;
    add(&c, RECURRENT_X, RECURRENT_X, RECURRENT_DX, (size_t)T * N * C, C, 1);
    for (int i = 0; i < (int)D * RECURRENT_WEIGHTS; i++)
        if (count[i % RECURRENT_WEIGHTS])
            add(&c, RECURRENT_WEIGHT_IH + i, RECURRENT_WEIGHT_IH + i, RECURRENT_DWEIGHT_IH + i,
                count[i % RECURRENT_WEIGHTS], 0, 0.8);
    for (int i = 0; states && i < (cell->kind == CLRNN_CELL_LSTM ? 2 : 1); i++) {
        c.state_count[i] = (size_t)D * N * (i ? H : P);
        c.state_slot[i] = RECURRENT_HN + i;
        c.dstate_slot[i] = RECURRENT_BWD_DHN + i;
        add(&c, RECURRENT_H0 + i, RECURRENT_BWD_H0 + i, RECURRENT_DH0 + i, c.state_count[i], 0, 1);
    }
    finish(&c, CLRNN_OP_RECURRENT_BWD);
}

static void test_cells(void **state)
{
    static const struct cell cells[] = {
        {"layer_norm rnn", CLRNN_CELL_RNN, false, true, true, false, 0},
        {"layer_norm relu rnn", CLRNN_CELL_RNN, true, true, true, false, 0},
        {"projected lstm", CLRNN_CELL_LSTM, false, true, false, true, 0},
        {"layer_norm lstm", CLRNN_CELL_LSTM, false, true, true, false, 0},
        {"layer_norm lstm, projected and dropped", CLRNN_CELL_LSTM, false, false, true, true, 0.4},
        {"layer_norm gru", CLRNN_CELL_GRU, false, true, true, false, 0},
        {"gru, dropped", CLRNN_CELL_GRU, false, true, false, false, 0.5},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cells) / sizeof(*cells); i++)
        for (uint32_t D = 1; D <= 2; D++)
            for (int padded = 0; padded < 2; padded++)
                for (int states = 0; states < 2; states++)
                    check_cell(&cells[i], D, padded, states, 400 + (uint32_t)(10 * states) + (uint32_t)i);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_cells)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
