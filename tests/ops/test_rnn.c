// SPDX-License-Identifier: MIT
// Recurrent layers against the reference: awkward sizes, padding, saturated gates, weights beyond caches.
#include "op_test.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/array.h"
#include "ops/blocks.h"

enum { SEED = 7 };

struct layer {
    enum clrnn_cell cell;
    bool relu, bias, padded, first, inference; // first: the layer is the model's first, so dx is not wanted
    // states: initial states are given, and final states are wanted
    // no_dy: only the final states have gradients
    bool states, no_dy;
    uint32_t N, T, C, H, D;
    float amplitude; // of x; 0 means 1
    uint32_t part;   // steps in a part, whose activations backward computes again; 0: all activations are kept
};

// Fills an input with numbers from [-bound, bound), as PyTorch draws weights.
static void uniform(struct clrnn_check *t, int slot, size_t count, float bound)
{
    float *v = clrnn_check_real(t, slot, count);

    for (size_t i = 0; i < count; i++)
        v[i] = bound * (2 * (float)(clrnn_check_u32(t) >> 8) * 0x1p-24f - 1);
}

static size_t state_count(const struct layer *a)
{
    return (size_t)a->D * a->N * a->H;
}

// Returns the number of elements of the states that forward keeps: those at the end of each part but the last.
static size_t kept_count(const struct layer *a)
{
    return (a->T - 1) / a->part * state_count(a);
}

// Sets up the op, and the inputs that forward and backward share. Both get the same numbers.
static void set_up(struct clrnn_check *t, enum clrnn_op_kind kind, const struct layer *a)
{
    static const char *const cells[] = {"rnn", "lstm", "gru"};
    const size_t gates = (size_t)clrnn_cell_gates(a->cell) * a->H;
    const float root = 1 / sqrtf((float)a->H);

    clrnn_check_begin(t, kind, a->T, a->N, a->C, SEED);
    snprintf(t->what, sizeof(t->what),
             "%s%s H=%u D=%u bias=%d padded=%d first=%d inference=%d states=%d amplitude=%g part=%u", cells[a->cell],
             a->relu ? " relu" : "", a->H, a->D, a->bias, a->padded, a->first, a->inference, a->states,
             (double)a->amplitude, a->part);
    t->op.rnn.part = a->part;
    t->op.rnn.cell = a->cell;
    t->op.rnn.relu = a->relu;
    t->op.rnn.bias = a->bias;
    t->op.rnn.H = a->H;
    t->op.rnn.D = a->D;
    uniform(t, RNN_X, (size_t)a->T * a->N * a->C, a->amplitude > 0 ? a->amplitude : 1);
    if (a->padded) {
        clrnn_check_lengths(t, RNN_LENGTHS);
        clrnn_check_poison_padding(t, RNN_X, a->C);
    }
    for (int d = 0; d < (int)a->D; d++) {
        uniform(t, RNN_WEIGHT_IH + 4 * d, gates * a->C, root);
        uniform(t, RNN_WEIGHT_HH + 4 * d, gates * a->H, root);
        if (!a->bias)
            continue;
        uniform(t, RNN_BIAS_IH + 4 * d, gates, root);
        uniform(t, RNN_BIAS_HH + 4 * d, gates, root);
    }
    if (a->states)
        uniform(t, kind == CLRNN_OP_RNN_FWD ? RNN_H0 : RNN_BWD_H0, state_count(a), 1);
    if (a->states && a->cell == CLRNN_CELL_LSTM)
        uniform(t, kind == CLRNN_OP_RNN_FWD ? RNN_C0 : RNN_BWD_C0, state_count(a), 2);
}

// Adds an output. Its tolerance is relative to its largest value, since sums of many products cancel out. The tolerance
// also grows with the amplitude of x, since gradients of saturated units vanish.
static void out(struct clrnn_check *t, const struct layer *a, int slot, size_t count, double tolerance)
{
    clrnn_check_out(t, slot, CLRNN_REAL, count, tolerance);
    t->out[slot].absolute = tolerance * (a->amplitude > 0 ? a->amplitude : 1e-3);
}

// Adds an output that holds intermediate values for backward. It is not compared: each device has its own layout, and
// backward may overwrite it.
static void reserve(struct clrnn_check *t, const struct layer *a, int slot, size_t count)
{
    out(t, a, slot, count, 0);
    t->out[slot].skip = true;
}

static void forward(struct clrnn_check *t, const struct layer *a)
{
    const size_t states = (size_t)a->T * a->N * a->D * a->H;

    set_up(t, CLRNN_OP_RNN_FWD, a);
    // Sums of C + H products are rounded to float32, and each activation errs by a few ulps. Later steps take over
    // these errors, which shrink in these layers.
    out(t, a, RNN_Y, states, 1e-5);
    t->out[RNN_Y].row_size = a->D * a->H;
    if (a->part) {
        reserve(t, a, RNN_KEPT_H, kept_count(a));
        if (a->cell == CLRNN_CELL_LSTM)
            reserve(t, a, RNN_KEPT_C, kept_count(a));
    } else if (!a->inference) {
        reserve(t, a, RNN_GATES, states * clrnn_cell_reserve(a->cell));
        if (a->cell == CLRNN_CELL_LSTM)
            reserve(t, a, RNN_CELL, states);
    }
    if (a->states)
        out(t, a, RNN_HN, state_count(a), 1e-5);
    if (a->states && a->cell == CLRNN_CELL_LSTM && !a->inference)
        out(t, a, RNN_CN, state_count(a), 1e-5);
    op_test_run(t);
}

// Checks backward. Must follow forward, since it reads the results of forward.
static void backward(struct clrnn_check *t, const struct layer *a)
{
    const size_t rows = (size_t)a->T * a->N, states = rows * a->D * a->H;
    const size_t gates = (size_t)clrnn_cell_gates(a->cell) * a->H;
    const double tolerance = 3e-5; // gradients pass through twice as many operations as outputs
    float *left[RNN_KEPT_C + 1];

    memcpy(left, t->got, sizeof(left));
    memset(t->got, 0, sizeof(left));
    set_up(t, CLRNN_OP_RNN_BWD, a);
    if (a->part) {
        clrnn_check_given(t, RNN_BWD_KEPT_H, left[RNN_KEPT_H], kept_count(a));
        if (a->cell == CLRNN_CELL_LSTM)
            clrnn_check_given(t, RNN_BWD_KEPT_C, left[RNN_KEPT_C], kept_count(a));
        free(left[RNN_Y]);
    } else {
        clrnn_check_given(t, RNN_BWD_Y, left[RNN_Y], states);
        clrnn_check_given(t, RNN_BWD_GATES, left[RNN_GATES], states * clrnn_cell_reserve(a->cell));
        t->in[RNN_BWD_GATES].spent = true;
    }
    if (!a->part && a->cell == CLRNN_CELL_LSTM) {
        clrnn_check_given(t, RNN_BWD_CELL, left[RNN_CELL], states);
        t->in[RNN_BWD_CELL].spent = true;
    }
    free(left[RNN_HN]);
    free(left[RNN_CN]);
    if (!a->no_dy)
        uniform(t, RNN_BWD_DY, states, 1);
    if (a->padded && !a->no_dy)
        clrnn_check_poison_padding(t, RNN_BWD_DY, a->D * a->H);
    if (a->states) {
        uniform(t, RNN_BWD_DHN, state_count(a), 1);
        out(t, a, RNN_DH0, state_count(a), tolerance);
    }
    if (a->states && a->cell == CLRNN_CELL_LSTM) {
        uniform(t, RNN_BWD_DCN, state_count(a), 1);
        out(t, a, RNN_DC0, state_count(a), tolerance);
    }
    if (!a->first) {
        out(t, a, RNN_DX, rows * a->C, tolerance);
        t->out[RNN_DX].row_size = a->C;
    }
    for (int d = 0; d < (int)a->D; d++) {
        out(t, a, RNN_DWEIGHT_IH + 4 * d, gates * a->C, tolerance);
        out(t, a, RNN_DWEIGHT_HH + 4 * d, gates * a->H, tolerance);
        if (!a->bias)
            continue;
        out(t, a, RNN_DBIAS_IH + 4 * d, gates, tolerance);
        out(t, a, RNN_DBIAS_HH + 4 * d, gates, tolerance);
    }
    op_test_run(t);
}

static void check_layer(struct clrnn_check *t, const struct layer *a)
{
    forward(t, a);
    if (!a->inference)
        backward(t, a);
}

// ---------------------------------------------------------------- tests

// Combines every value of H, C, N, T and D with every cell.
static void awkward_sizes(void **state)
{
    static const uint32_t size[] = {1, 2, 15, 16, 17, 31, 33, 63, 65};
    static const uint32_t steps[] = {1, 2, 3, 5, 17};
    const bool small = op_test_small();
    const uint32_t count = small ? 5 : ARRAY_SIZE(size);

    for (uint32_t i = 0; i < count; i++)
        for (uint32_t cell = 0; cell < 3; cell++) {
            const struct layer a = {
                .cell = (enum clrnn_cell)cell,
                .relu = i % 3 == 1 && cell == 0,
                .bias = (i + cell) % 4 != 3,
                .padded = (i + cell) % 2,
                .first = i % 3 == 2,
                .inference = i % 5 == 4,
                .H = size[i],
                .C = size[(2 * i + 3 + cell) % count],
                .N = size[(4 * i + 5 + 2 * cell) % count],
                .T = steps[(i + 2 * cell) % (small ? 3 : ARRAY_SIZE(steps))],
                .D = 1 + (i + cell / 2) % 2,
            };

            check_layer(*state, &a);
        }
}

// Padding, in both directions and every cell, in training and inference.
static void padding(void **state)
{
    for (uint32_t i = 0; i < 12; i++) {
        const struct layer a = {
            .cell = (enum clrnn_cell)(i % 3),
            .bias = true,
            .padded = true,
            .inference = i >= 6,
            .N = i % 2 ? 9 : 3,
            .T = 6,
            .C = 3,
            .H = i % 2 ? 5 : 16,
            .D = 1 + i / 3 % 2,
        };

        check_layer(*state, &a);
    }
}

// Initial and final states, with and without padding, for one step and several, for every variant of the kernels.
static void states(void **state)
{
    for (uint32_t i = 0; i < 24; i++) {
        const struct layer a = {
            .cell = (enum clrnn_cell)(i % 3),
            .bias = i % 4 != 1,
            .padded = i / 3 % 2,
            .inference = i % 8 == 5,
            .states = true,
            .no_dy = i % 5 == 4,
            .N = i % 2 ? 9 : 3,
            .T = i % 7 == 3 ? 1 : 5,
            .C = 4,
            .H = i % 2 ? 5 : 18,
            .D = 1 + i / 6 % 2,
        };

        check_layer(*state, &a);
    }
}

// One step from a zero state: the recurrent weights are unused, and their gradient must be exactly 0.
static void one_step(void **state)
{
    struct clrnn_check *t = *state;
    const bool small = op_test_small();

    for (uint32_t i = 0; i < 6; i++) {
        const struct layer a = {.cell = (enum clrnn_cell)(i % 3),
                                .bias = true,
                                .inference = i == 5,
                                .N = small ? 5 : 11,
                                .T = 1,
                                .C = small ? 9 : 40,
                                .H = small ? 17 : 20,
                                .D = 2};

        check_layer(t, &a);
        for (int d = 0; d < 2 && !a.inference; d++)
            for (size_t k = 0; k < t->out[RNN_DWEIGHT_HH + 4 * d].count; k++)
                if (t->got[RNN_DWEIGHT_HH + 4 * d][k] != 0)
                    fail_msg("%s: dweight_hh[%zu] of direction %d is %g, not 0", t->what, k, d,
                             (double)t->got[RNN_DWEIGHT_HH + 4 * d][k]);
    }
}

// Inputs of +-1e4 must saturate the gates to 0, 1 and -1, and never give NaN.
static void extreme_inputs(void **state)
{
    for (uint32_t cell = 0; cell < 3; cell++) {
        const struct layer a = {
            .cell = (enum clrnn_cell)cell, .bias = true, .N = 7, .T = 3, .C = 2, .H = 18, .D = 1, .amplitude = 1e4f};

        check_layer(*state, &a);
    }
}

// A sequence that needs more loop iterations than llvmpipe executes in one loop (65535): the kernels must divide it.
static void many_rounds(void **state)
{
    const struct layer a = {
        .cell = CLRNN_CELL_GRU, .bias = true, .padded = true, .N = 8, .T = 40, .C = 3, .H = 31, .D = 2};
    const char *simulator = getenv("CLRNN_DEVICE");

    if (simulator && strstr(simulator, "oclgrind")) // takes a minute or more
        skip();
    check_layer(*state, &a);
}

// Weights larger than a core's cache: the work is then divided differently.
static void large_weights(void **state)
{
    if (op_test_small())
        skip();
    for (uint32_t cell = 1; cell < 3; cell++) {
        const struct layer a = {
            .cell = (enum clrnn_cell)cell, .bias = true, .padded = cell == 1, .N = 9, .T = 3, .C = 5, .H = 440, .D = 1};

        check_layer(*state, &a);
    }
}

// More rows than one work-item computes at a time, and no multiple of this number.
static void many_rows(void **state)
{
    if (op_test_small())
        skip();
    for (uint32_t cell = 0; cell < 3; cell++) {
        const struct layer a = {
            .cell = (enum clrnn_cell)cell, .bias = true, .padded = true, .N = 263, .T = 3, .C = 4, .H = 19, .D = 1};

        check_layer(*state, &a);
    }
}

// The compared outputs of a run, to be compared with those of another run.
struct outputs {
    float *got[CLRNN_OP_MAX_OUT];
    size_t count[CLRNN_OP_MAX_OUT];
};

static struct outputs copy_outputs(const struct clrnn_check *t)
{
    struct outputs o = {.got = {NULL}};

    for (int i = 0; i < CLRNN_OP_MAX_OUT; i++) {
        if (!t->got[i] || t->out[i].skip)
            continue;
        o.count[i] = t->out[i].count;
        o.got[i] = malloc(o.count[i] * sizeof(float));
        assert_non_null(o.got[i]);
        memcpy(o.got[i], t->got[i], o.count[i] * sizeof(float));
    }
    return o;
}

static void check_same_bits(const struct clrnn_check *t, struct outputs *o)
{
    for (int i = 0; i < CLRNN_OP_MAX_OUT; i++) {
        for (size_t k = 0; k < o->count[i]; k++)
            if (memcmp(&o->got[i][k], &t->got[i][k], sizeof(float)) != 0)
                fail_msg("%s: output %d [%zu] is %a, and %a with activations kept", t->what, i, k, (double)t->got[i][k],
                         (double)o->got[i][k]);
        free(o->got[i]);
    }
}

// Backward must give the same bits whether activations are kept or computed again in parts. The cases have parts of one
// and of two blocks of steps, a shorter or whole last part, and padding that begins and ends inside parts.
static void parts(void **state)
{
    struct clrnn_check *t = *state;
    const uint32_t block = clrnn_block_steps(t->device);

    if (op_test_small() && block > 64)
        skip();
    for (uint32_t i = 0; i < (op_test_small() ? 3 : 12); i++) {
        struct layer a = {.cell = (enum clrnn_cell)(i % 3),
                          .relu = i == 3,
                          .bias = i % 4 != 3,
                          .padded = i / 2 % 2,
                          .first = i == 5,
                          .N = i % 2 ? 5 : 2,
                          .T = i % 4 == 1 ? 2 * block : 2 * block + 1 + i,
                          .C = i % 3 == 1 ? 9 : 2,
                          .H = i % 2 ? 7 : 16,
                          .D = 1 + (i / 3) % 2};
        struct outputs y, gradients;

        a.states = a.D == 1 && i > 5;
        if (op_test_small()) {
            a.N = 2;
            a.T = block + 3;
            a.C = a.H = 3;
            a.D = 1 + i % 2;
        }
        forward(t, &a);
        y = copy_outputs(t);
        backward(t, &a);
        gradients = copy_outputs(t);
        a.part = i == 7 ? 2 * block : block;
        forward(t, &a);
        check_same_bits(t, &y);
        backward(t, &a);
        check_same_bits(t, &gradients);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(parts),       cmocka_unit_test(states),         cmocka_unit_test(one_step),
        cmocka_unit_test(padding),     cmocka_unit_test(extreme_inputs), cmocka_unit_test(awkward_sizes),
        cmocka_unit_test(many_rounds), cmocka_unit_test(large_weights),  cmocka_unit_test(many_rows),
    };

    return cmocka_run_group_tests_name("ops/rnn", tests, op_test_open, op_test_close);
}
