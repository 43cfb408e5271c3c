// SPDX-License-Identifier: MIT
// The reference must give PyTorch's numbers, recorded in double by tests/golden/record_reference.py.
#include "near.h"

#include "golden/reference.h"

enum { N = 3, T = 4, C = 3, H = 2, ROWS = T * N };

#define TOLERANCE 1e-12 // PyTorch and the reference compute in double, with a few hundred operations

static int32_t lengths[N] = {4, 2, 3};

static struct clrnn_op make(enum clrnn_op_kind kind)
{
    return (struct clrnn_op){.kind = kind, .layer = "golden", .T = T, .N = N, .C = C};
}

static void run(const struct clrnn_op *op, void *const *in, void *const *out)
{
    assert_int_equal(clrnn_reference_run(NULL, op, in, out), CLRNN_OK);
}

// Sets padding to NaN, which must not affect anything.
static void poison(double *x, size_t width)
{
    for (size_t r = 0; r < ROWS; r++)
        for (size_t c = 0; c < width; c++)
            if (r / N >= (size_t)lengths[r % N])
                x[r * width + c] = NAN;
}

static void check_recurrent(struct clrnn_op op, size_t G, const double *want_y, const double *want_dx,
                            const double *want_dweights)
{
    const size_t sizes[4] = {G * H * C, G * H * H, G * H, G * H}, one = sizes[0] + sizes[1] + 2 * sizes[2];
    double x[ROWS * C], y[ROWS * 2 * H], dy[ROWS * 2 * H], dx[ROWS * C], weights[256], dweights[256];
    void *in[CLRNN_OP_MAX_IN] = {x, lengths}, *out[CLRNN_OP_MAX_OUT] = {y};

    op.rnn.H = H;
    op.rnn.D = 2;
    op.rnn.bias = true;
    fill(x, ROWS * C, 1, 1.5);
    fill(dy, ROWS * 2 * H, 2, 1);
    poison(x, C);
    poison(dy, 2 * H);
    for (size_t i = 0, first = 0; i < 8; first += sizes[i % 4], i++) {
        fill(weights + first, sizes[i % 4], 10 + (uint32_t)i, 0.8);
        in[RNN_WEIGHT_IH + i] = weights + first;
    }
    op.kind = CLRNN_OP_RNN_FWD;
    run(&op, in, out);
    check_near("y", y, want_y, ROWS * 2 * H, TOLERANCE);

    in[RNN_BWD_DY] = dy;
    out[RNN_DX] = dx;
    for (size_t i = 0, first = 0; i < 8; first += sizes[i % 4], i++)
        out[RNN_DWEIGHT_IH + i] = dweights + first;
    op.kind = CLRNN_OP_RNN_BWD;
    run(&op, in, out);
    check_near("dx", dx, want_dx, ROWS * C, TOLERANCE);
    check_near("dweights", dweights, want_dweights, 2 * one, TOLERANCE);
}

#define RECURRENT_TEST(name, G, ...) \
    static void test_##name(void **state) \
    { \
        struct clrnn_op op = make(CLRNN_OP_RNN_FWD); \
\
        (void)state; \
        __VA_ARGS__; \
        check_recurrent(op, G, golden_##name##_y, golden_##name##_dx, golden_##name##_dweights); \
    }
RECURRENT_TEST(rnn_tanh, 1, op.rnn.cell = CLRNN_CELL_RNN)
RECURRENT_TEST(rnn_relu, 1, op.rnn.cell = CLRNN_CELL_RNN, op.rnn.relu = true)
RECURRENT_TEST(lstm, 4, op.rnn.cell = CLRNN_CELL_LSTM)
RECURRENT_TEST(gru, 3, op.rnn.cell = CLRNN_CELL_GRU)

// Runs two training batches and compares the results of the second. Then runs the second batch again in evaluation.
static void check_batchnorm(bool cumulative, const double *want_y, const double *want_dx, const double *want_dparams,
                            const double *want_running, const double *want_eval)
{
    double x[ROWS * C], y[ROWS * C], dy[ROWS * C], dx[ROWS * C], weight[C], bias[C], dparams[2 * C];
    double mean[C], invstd[C], running[2 * C] = {0, 0, 0, 1, 1, 1};
    int32_t batches = 0;
    struct clrnn_op op = make(CLRNN_OP_BATCHNORM_FWD);
    void *in[CLRNN_OP_MAX_IN] = {x, lengths, weight, bias};
    void *out[CLRNN_OP_MAX_OUT] = {y, mean, invstd, running, running + C, &batches};

    op.norm.eps = 1e-3;
    op.norm.momentum = 0.3;
    op.norm.cumulative = cumulative;
    op.norm.batch_stats = true;
    fill(weight, C, 3, 1);
    fill(bias, C, 4, 1);
    fill(dy, ROWS * C, 5, 1);
    poison(dy, C);
    for (uint32_t batch = 0; batch < 2; batch++) {
        fill(x, ROWS * C, 1 + batch, 2);
        poison(x, C);
        run(&op, in, out);
    }
    check_near("y", y, want_y, ROWS * C, TOLERANCE);
    check_near("running", running, want_running, 2 * C, TOLERANCE);
    assert_int_equal(batches, 2);

    op.kind = CLRNN_OP_BATCHNORM_BWD;
    run(&op, (void *[CLRNN_OP_MAX_IN]){x, lengths, weight, mean, invstd, dy},
        (void *[CLRNN_OP_MAX_OUT]){dx, dparams, dparams + C});
    check_near("dx", dx, want_dx, ROWS * C, TOLERANCE);
    check_near("dparams", dparams, want_dparams, 2 * C, TOLERANCE);

    op.kind = CLRNN_OP_BATCHNORM_FWD;
    op.norm.batch_stats = false;
    in[BATCHNORM_RUNNING_MEAN] = running;
    in[BATCHNORM_RUNNING_VAR] = running + C;
    run(&op, in, (void *[CLRNN_OP_MAX_OUT]){y});
    check_near("eval", y, want_eval, ROWS * C, TOLERANCE);
}

static void test_batchnorm(void **state)
{
    (void)state;
    check_batchnorm(false, golden_batchnorm_y, golden_batchnorm_dx, golden_batchnorm_dparams, golden_batchnorm_running,
                    golden_batchnorm_eval);
}

static void test_batchnorm_cumulative(void **state)
{
    (void)state;
    check_batchnorm(true, golden_batchnorm_cumulative_y, golden_batchnorm_cumulative_dx,
                    golden_batchnorm_cumulative_dparams, golden_batchnorm_cumulative_running,
                    golden_batchnorm_cumulative_eval);
}

static void test_layernorm(void **state)
{
    double x[ROWS * C], y[ROWS * C], dy[ROWS * C], dx[ROWS * C], weight[C], bias[C], dparams[2 * C];
    double mean[ROWS], invstd[ROWS];
    struct clrnn_op op = make(CLRNN_OP_LAYERNORM_FWD);

    (void)state;
    op.norm.eps = 1e-3;
    fill(x, ROWS * C, 1, 2);
    fill(weight, C, 3, 1);
    fill(bias, C, 4, 1);
    fill(dy, ROWS * C, 5, 1);
    poison(x, C);
    poison(dy, C);
    run(&op, (void *[CLRNN_OP_MAX_IN]){x, lengths, weight, bias}, (void *[CLRNN_OP_MAX_OUT]){y, mean, invstd});
    check_near("y", y, golden_layernorm_y, ROWS * C, TOLERANCE);
    op.kind = CLRNN_OP_LAYERNORM_BWD;
    run(&op, (void *[CLRNN_OP_MAX_IN]){x, lengths, weight, mean, invstd, dy},
        (void *[CLRNN_OP_MAX_OUT]){dx, dparams, dparams + C});
    check_near("dx", dx, golden_layernorm_dx, ROWS * C, TOLERANCE);
    check_near("dparams", dparams, golden_layernorm_dparams, 2 * C, TOLERANCE);
}

static void test_pointwise(void **state)
{
    static const double *const want[] = {
        [CLRNN_FUNCTION_RELU] = golden_relu,       [CLRNN_FUNCTION_TANH] = golden_tanh,
        [CLRNN_FUNCTION_SIGMOID] = golden_sigmoid, [CLRNN_FUNCTION_ROUND] = golden_round,
        [CLRNN_FUNCTION_SOFTMAX] = golden_softmax, [CLRNN_FUNCTION_LOG_SOFTMAX] = golden_log_softmax,
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(want); i++) {
        double x[ROWS * C], y[ROWS * C], dy[ROWS * C], dx[ROWS * C];
        struct clrnn_op op = make(CLRNN_OP_POINTWISE_FWD);

        if (!want[i])
            continue;

        print_message("# function %zu\n", i);
        op.pointwise.function = (enum clrnn_function)i;
        fill(x, ROWS * C, 1, 3);
        fill(dy, ROWS * C, 5, 1);
        poison(x, C);
        poison(dy, C);
        run(&op, (void *[CLRNN_OP_MAX_IN]){x, lengths}, (void *[CLRNN_OP_MAX_OUT]){y});
        check_near("y", y, want[i], ROWS * C, TOLERANCE);
        op.kind = CLRNN_OP_POINTWISE_BWD;
        run(&op, (void *[CLRNN_OP_MAX_IN]){x, lengths, y, dy}, (void *[CLRNN_OP_MAX_OUT]){dx});
        check_near("dx", dx, want[i] + ROWS * C, ROWS * C, TOLERANCE);
    }
}

// `want`: the loss, then the elements of dx.
static void check_loss(enum clrnn_loss_kind kind, double smoothing, int32_t ignore, double *weight, void *target,
                       uint32_t columns, const double *want)
{
    double x[6 * 4], dx[6 * 4], records[2 * RECORD_FIELDS], loss;
    uint32_t counter[COUNTER_FIELDS] = {[COUNTER_SLOT] = 1};
    struct clrnn_op op = {.kind = CLRNN_OP_LOSS, .layer = "golden", .T = 2, .N = 3, .C = columns};

    op.loss.kind = kind;
    op.loss.label_smoothing = smoothing;
    op.loss.ignore_index = ignore;
    op.loss.slots = 2;
    fill(x, 6 * columns, 1, 3);
    for (size_t i = 0; i < 2 * RECORD_FIELDS; i++)
        records[i] = 77;
    run(&op, (void *[CLRNN_OP_MAX_IN]){x, NULL, target, weight, counter}, (void *[CLRNN_OP_MAX_OUT]){dx, records});
    loss = records[RECORD_FIELDS + RECORD_LOSS] / records[RECORD_FIELDS + RECORD_WEIGHT];
    check_near("loss", &loss, want, 1, TOLERANCE);
    check_near("dx", dx, want + 1, 6 * columns, TOLERANCE);
    for (size_t i = 0; i < RECORD_FIELDS; i++) // the loss must not change the other record, nor the norm
        assert_true(records[i] == 77);
    assert_true(records[RECORD_FIELDS + RECORD_NORM] == 77);
}

static void test_losses(void **state)
{
    int32_t classes[6] = {0, 3, 1, -100, 2, 2}, others[6] = {0, 3, 1, 2, 2, 2};
    double real[6] = {0, 1, 1, 0, 1, 0.25}, weight[4], pos_weight = 2.5;

    (void)state;
    for (uint32_t i = 0; i < 4; i++)
        weight[i] = fabs(number(6, i)) + 0.1;
    check_loss(CLRNN_LOSS_CROSS_ENTROPY, 0, -100, NULL, classes, 4, golden_cross_entropy);
    check_loss(CLRNN_LOSS_CROSS_ENTROPY, 0, -100, weight, classes, 4, golden_cross_entropy_weighted);
    check_loss(CLRNN_LOSS_CROSS_ENTROPY, 0.2, -100, weight, classes, 4, golden_cross_entropy_smooth);
    check_loss(CLRNN_LOSS_CROSS_ENTROPY, 0.1, 2, NULL, others, 4, golden_cross_entropy_ignore);
    check_loss(CLRNN_LOSS_NLL, 0, -100, weight, classes, 4, golden_nll);
    check_loss(CLRNN_LOSS_BCE_WITH_LOGITS, 0, -100, NULL, real, 1, golden_bce);
    check_loss(CLRNN_LOSS_BCE_WITH_LOGITS, 0, -100, &pos_weight, real, 1, golden_bce_weighted);
    check_loss(CLRNN_LOSS_MSE, 0, -100, NULL, real, 1, golden_mse);
}

// Runs four steps. `want`: the parameters after each step.
static void check_optimiser(struct clrnn_op op, double lr, double momentum, const double *want)
{
    double param[5], grad[5], m[5] = {0}, v[5] = {0}, vmax[5] = {0}, norm, records[RECORD_FIELDS];
    uint32_t counter[COUNTER_FIELDS] = {0};

    op.optim.count = 5;
    fill(param, 5, 1, 1);
    for (uint32_t step = 0; step < 4; step++) {
        double hyper[HYPER_FIELDS] = {
            [HYPER_LR] = lr,
            [HYPER_MOMENTUM] = momentum,
            [HYPER_STEP_SIZE] = lr / (1 - pow(momentum, step + 1)),
            [HYPER_ROOT_BC2] = sqrt(1 - pow(op.optim.beta2, step + 1)),
            [HYPER_ONE_MINUS_BETA1] = 1 - momentum,
            [HYPER_FIRST] = step == 0,
        };

        fill(grad, 5, 20 + step, 2);
        op.kind = CLRNN_OP_GRAD_NORM;
        run(&op, (void *[CLRNN_OP_MAX_IN]){grad, counter}, (void *[CLRNN_OP_MAX_OUT]){&norm, records});
        assert_true(records[RECORD_NORM] == norm);
        op.kind = CLRNN_OP_OPTIM;
        run(&op, (void *[CLRNN_OP_MAX_IN]){grad, hyper, &norm}, (void *[CLRNN_OP_MAX_OUT]){param, m, v, vmax});
        check_near("parameters", param, want + 5 * step, 5, TOLERANCE);
    }
}

#define OPTIM(...) ((struct clrnn_op){.layer = "golden", .optim = {__VA_ARGS__}})

static void test_optimisers(void **state)
{
    (void)state;
    check_optimiser(OPTIM(.kind = CLRNN_OPTIMIZER_SGD), 0.1, 0, golden_sgd);
    check_optimiser(OPTIM(.kind = CLRNN_OPTIMIZER_SGD, .momentum = true, .dampening = 0.4, .weight_decay = 0.05), 0.1,
                    0.9, golden_sgd_momentum);
    check_optimiser(OPTIM(.kind = CLRNN_OPTIMIZER_SGD, .momentum = true, .nesterov = true, .clip_max_norm = 0.7), 0.1,
                    0.9, golden_sgd_nesterov);
    check_optimiser(OPTIM(.kind = CLRNN_OPTIMIZER_ADAM, .beta2 = 0.95, .eps = 1e-4, .weight_decay = 0.05), 0.1, 0.8,
                    golden_adam);
    check_optimiser(
        OPTIM(.kind = CLRNN_OPTIMIZER_ADAM, .beta2 = 0.5, .eps = 1e-8, .amsgrad = true, .clip_max_norm = 0.7), 0.1, 0.8,
        golden_adam_amsgrad);
    check_optimiser(OPTIM(.kind = CLRNN_OPTIMIZER_ADAMW, .beta2 = 0.999, .eps = 1e-8, .weight_decay = 0.2), 0.1, 0.9,
                    golden_adamw);
    check_optimiser(OPTIM(.kind = CLRNN_OPTIMIZER_RMSPROP, .alpha = 0.7, .eps = 1e-3, .weight_decay = 0.05), 0.1, 0,
                    golden_rmsprop);
    check_optimiser(
        OPTIM(.kind = CLRNN_OPTIMIZER_RMSPROP, .alpha = 0.7, .eps = 1e-8, .momentum = true, .centered = true), 0.1, 0.6,
        golden_rmsprop_centered);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_rnn_tanh),  cmocka_unit_test(test_rnn_relu),
        cmocka_unit_test(test_lstm),      cmocka_unit_test(test_gru),
        cmocka_unit_test(test_batchnorm), cmocka_unit_test(test_batchnorm_cumulative),
        cmocka_unit_test(test_layernorm), cmocka_unit_test(test_pointwise),
        cmocka_unit_test(test_losses),    cmocka_unit_test(test_optimisers),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
