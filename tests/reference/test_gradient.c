// SPDX-License-Identifier: MIT
// Every op's backward must agree with central differences of the op's forward, in double. With NaN in the padding, the
// results must have the same bits.
#include "differences.h"

static void check_rnn(const char *what, enum clrnn_cell cell, bool relu, uint32_t D, bool bias, bool padded,
                      bool states, uint32_t seed)
{
    const uint32_t T = 5, N = 3, C = 3, H = 2, G = cell == CLRNN_CELL_RNN ? 1 : cell == CLRNN_CELL_GRU ? 3 : 4;
    struct check c;

    begin(&c, what, seed, CLRNN_OP_RNN_FWD, T, N, C, padded ? some_lengths : NULL, RNN_LENGTHS, RNN_BWD_LENGTHS);
    c.fwd.rnn.cell = cell;
    c.fwd.rnn.relu = relu;
    c.fwd.rnn.bias = bias;
    c.fwd.rnn.H = H;
    c.fwd.rnn.D = D;
    c.y_width = (size_t)D * H;
    c.dy_slot = RNN_BWD_DY;
    add(&c, RNN_X, RNN_BWD_X, RNN_DX, (size_t)T * N * C, C, 1);
    for (int d = 0; d < (int)D; d++) {
        add(&c, RNN_WEIGHT_IH + 4 * d, RNN_BWD_WEIGHT_IH + 4 * d, RNN_DWEIGHT_IH + 4 * d, (size_t)G * H * C, 0, 0.8);
        add(&c, RNN_WEIGHT_HH + 4 * d, RNN_BWD_WEIGHT_HH + 4 * d, RNN_DWEIGHT_HH + 4 * d, (size_t)G * H * H, 0, 0.8);
        if (!bias)
            continue;
        add(&c, RNN_BIAS_IH + 4 * d, RNN_BWD_BIAS_IH + 4 * d, RNN_DBIAS_IH + 4 * d, (size_t)G * H, 0, 0.8);
        add(&c, RNN_BIAS_HH + 4 * d, RNN_BWD_BIAS_HH + 4 * d, RNN_DBIAS_HH + 4 * d, (size_t)G * H, 0, 0.8);
    }
    if (states) {
        c.state_count[0] = c.state_count[1] = (size_t)D * N * H;
        c.state_slot[0] = RNN_HN;
        c.dstate_slot[0] = RNN_BWD_DHN;
        add(&c, RNN_H0, RNN_BWD_H0, RNN_DH0, c.state_count[0], 0, 1);
    }
    if (states && cell == CLRNN_CELL_LSTM) {
        c.state_slot[1] = RNN_CN;
        c.dstate_slot[1] = RNN_BWD_DCN;
        add(&c, RNN_C0, RNN_BWD_C0, RNN_DC0, c.state_count[0], 0, 1);
    }
    finish(&c, CLRNN_OP_RNN_BWD);
}

static void test_recurrent(void **state)
{
    (void)state;
    for (uint32_t seed = 100; seed < 300; seed += 100)
        for (uint32_t D = 1; D <= 2; D++)
            for (int padded = 0; padded < 2; padded++) {
                const bool states = seed > 100;

                check_rnn("rnn tanh", CLRNN_CELL_RNN, false, D, padded, padded, states, seed);
                check_rnn("rnn relu", CLRNN_CELL_RNN, true, D, !padded, padded, states, seed);
                check_rnn("lstm", CLRNN_CELL_LSTM, false, D, padded, padded, states, seed);
                check_rnn("gru", CLRNN_CELL_GRU, false, D, padded, padded, states, seed);
            }
}

// Checks layer or group normalisation with `groups` groups; 0: batch normalisation.
static void check_norm(uint32_t groups, bool affine, bool padded, uint32_t seed)
{
    const uint32_t T = 5, N = 3, C = 4;
    const bool layer = groups > 0;
    const size_t rows = (size_t)T * N, saved = layer ? rows * groups : C;
    struct check c;

    begin(&c, layer ? "layernorm" : "batchnorm", seed, layer ? CLRNN_OP_LAYERNORM_FWD : CLRNN_OP_BATCHNORM_FWD, T, N, C,
          padded ? some_lengths : NULL, 1, 1);
    c.fwd.norm.eps = 1e-2;
    c.fwd.norm.batch_stats = true;
    c.fwd.norm.groups = groups;
    c.dy_slot = 5;
    c.out[1] = c.back_in[3] = scratch(&c, saved);
    c.out[2] = c.back_in[4] = scratch(&c, saved);
    add(&c, 0, 0, 0, rows * C, C, 2);
    if (affine) {
        add(&c, 2, 2, 1, C, 0, 1);
        add(&c, 3, -1, 2, C, 0, 1);
    }
    finish(&c, layer ? CLRNN_OP_LAYERNORM_BWD : CLRNN_OP_BATCHNORM_BWD);
}

static void test_norm(void **state)
{
    // check_norm needs both ops to have their tensors in the same slots
    assert_true((int)BATCHNORM_BWD_MEAN == 3 && (int)LAYERNORM_BWD_MEAN == 3);
    assert_true((int)BATCHNORM_BWD_DY == 5 && (int)LAYERNORM_BWD_DY == 5);
    assert_true((int)BATCHNORM_INVSTD == 2 && (int)LAYERNORM_INVSTD == 2);
    (void)state;
    for (int i = 0; i < 12; i++)
        check_norm((uint32_t)i % 3, i / 3 & 1, i / 6, 300 + (uint32_t)i);
}

static void test_linear(void **state)
{
    (void)state;
    for (int i = 0; i < 4; i++) {
        const uint32_t T = 5, N = 3, C = 4, O = 3;
        struct check c;

        begin(&c, "linear", 400 + (uint32_t)i, CLRNN_OP_LINEAR_FWD, T, N, C, i & 1 ? some_lengths : NULL,
              LINEAR_LENGTHS, LINEAR_BWD_LENGTHS);
        c.fwd.linear.O = O;
        c.y_width = O;
        c.dy_slot = LINEAR_BWD_DY;
        add(&c, LINEAR_X, LINEAR_BWD_X, LINEAR_DX, (size_t)T * N * C, C, 1);
        add(&c, LINEAR_WEIGHT, LINEAR_BWD_WEIGHT, LINEAR_DWEIGHT, (size_t)O * C, 0, 1);
        if (i & 2)
            add(&c, LINEAR_BIAS, -1, LINEAR_DBIAS, O, 0, 1);
        finish(&c, CLRNN_OP_LINEAR_BWD);
    }
}

static void test_pointwise(void **state)
{
    (void)state;
    for (int function = CLRNN_FUNCTION_RELU; function <= CLRNN_FUNCTION_LOG_SOFTMAX; function++)
        for (int padded = 0; padded < 2; padded++) {
            struct check c;

            begin(&c, "pointwise", 500 + (uint32_t)function, CLRNN_OP_POINTWISE_FWD, 5, 3, 4,
                  padded ? some_lengths : NULL, POINTWISE_LENGTHS, POINTWISE_BWD_LENGTHS);
            c.fwd.pointwise.function = (enum clrnn_function)function;
            c.fwd.pointwise.a = 0.7;
            c.fwd.pointwise.b = 2;
            c.dy_slot = POINTWISE_BWD_DY;
            add(&c, POINTWISE_X, POINTWISE_BWD_X, POINTWISE_DX, 5 * 3 * 4, 4, 3);
            c.y_slot = POINTWISE_BWD_Y;
            finish(&c, CLRNN_OP_POINTWISE_BWD);
        }
}

static void test_pool(void **state)
{
    (void)state;
    for (int over = CLRNN_POOL_LAST; over <= CLRNN_POOL_MAX; over++)
        for (int i = 0; i < 4; i++) {
            int32_t argmax[3 * 4];
            struct check c;

            begin(&c, "pool", 600 + (uint32_t)over, CLRNN_OP_POOL_FWD, 5, 3, 4, i & 1 ? some_lengths : NULL,
                  POOL_LENGTHS, POOL_BWD_LENGTHS);
            c.fwd.pool.over = (enum clrnn_pool_over)over;
            c.fwd.pool.D = i & 2 ? 2 : 1;
            c.y_rows = 3;
            c.y_pooled = true;
            c.dy_slot = POOL_BWD_DY;
            c.out[POOL_ARGMAX] = c.back_in[POOL_BWD_ARGMAX] = argmax;
            add(&c, POOL_X, -1, POOL_DX, 5 * 3 * 4, 4, 1);
            finish(&c, CLRNN_OP_POOL_BWD);
        }
}

// Convolutions that keep the number of steps; tests/model/test_nest.c tests the others.
static void test_conv(void **state)
{
    (void)state;
    for (uint32_t i = 0; i < 8; i++) {
        const uint32_t T = 5, N = 3, C = 2, O = 3, K = 1 + i / 2;
        struct check c;

        begin(&c, "conv", 650 + i, CLRNN_OP_CONV_FWD, T, N, C, i & 1 ? some_lengths : NULL, CONV_LENGTHS,
              CONV_BWD_LENGTHS);
        c.fwd.conv = (struct clrnn_conv_attributes){
            .O = O, .T_out = T, .kernel = K, .stride = 1, .dilation = 2, .padding = K - 1};
        c.in[CONV_NEW_LENGTHS] = c.back_in[CONV_BWD_NEW_LENGTHS] = c.lengths;
        c.y_width = O;
        c.dy_slot = CONV_BWD_DY;
        add(&c, CONV_X, CONV_BWD_X, CONV_DX, (size_t)T * N * C, C, 1);
        add(&c, CONV_WEIGHT, CONV_BWD_WEIGHT, CONV_DWEIGHT, (size_t)O * C * K, 0, 1);
        add(&c, CONV_BIAS, -1, CONV_DBIAS, O, 0, 1);
        finish(&c, CLRNN_OP_CONV_BWD);
    }
}

static void test_window(void **state)
{
    (void)state;
    for (uint32_t i = 0; i < 8; i++) {
        int32_t argmax[5 * 3 * 2];
        struct check c;

        begin(&c, "window", 670 + i, CLRNN_OP_WINDOW_FWD, 5, 3, 2, i & 1 ? some_lengths : NULL, WINDOW_OLD_LENGTHS,
              WINDOW_BWD_OLD_LENGTHS);
        c.fwd.window = (struct clrnn_window_attributes){
            .T_out = 5, .kernel = 3, .stride = 1, .dilation = 1, .padding = 1, .mean = i & 2, .count_padding = i & 4};
        c.in[WINDOW_NEW_LENGTHS] = c.back_in[WINDOW_BWD_NEW_LENGTHS] = c.lengths;
        c.out[WINDOW_ARGMAX] = c.back_in[WINDOW_BWD_ARGMAX] = argmax;
        c.dy_slot = WINDOW_BWD_DY;
        add(&c, WINDOW_X, -1, WINDOW_DX, 5 * 3 * 2, 2, 1);
        finish(&c, CLRNN_OP_WINDOW_BWD);
    }
}

static void test_attention(void **state)
{
    (void)state;
    for (uint32_t i = 0; i < 4; i++) {
        const uint32_t T = 5, N = 3, C = 4, A = 3;
        struct check c;

        begin(&c, "attention", 690 + i, CLRNN_OP_ATTENTION_FWD, T, N, C, i & 1 ? some_lengths : NULL, ATTENTION_LENGTHS,
              ATTENTION_BWD_LENGTHS);
        c.fwd.attention.A = A;
        c.y_rows = N;
        c.y_pooled = true;
        c.dy_slot = ATTENTION_BWD_DY;
        c.out[ATTENTION_HIDDEN] = c.back_in[ATTENTION_BWD_HIDDEN] = scratch(&c, (size_t)T * N * A);
        c.out[ATTENTION_SHARE] = c.back_in[ATTENTION_BWD_SHARE] = scratch(&c, (size_t)T * N);
        add(&c, ATTENTION_X, ATTENTION_BWD_X, ATTENTION_DX, (size_t)T * N * C, C, 1);
        add(&c, ATTENTION_WEIGHT, ATTENTION_BWD_WEIGHT, ATTENTION_DWEIGHT, (size_t)A * C, 0, 1);
        add(&c, ATTENTION_BIAS, -1, ATTENTION_DBIAS, A, 0, 1);
        add(&c, ATTENTION_V, ATTENTION_BWD_V, ATTENTION_DV, A, 0, 1);
        finish(&c, CLRNN_OP_ATTENTION_BWD);
    }
}

static void test_dropout(void **state)
{
    uint32_t counter[COUNTER_FIELDS] = {7, 8, 9, 0};

    (void)state;
    for (int i = 0; i < 8; i++) {
        struct check c;

        begin(&c, "dropout", 700, CLRNN_OP_DROPOUT_FWD, 5, 3, 3, NULL, -1, -1);
        c.fwd.dropout.p = (double[]){0, 0.3, 0.75, 1}[i % 4];
        c.fwd.dropout.variational = i / 4;
        c.fwd.dropout.stream = 2;
        c.in[DROPOUT_COUNTER] = c.back_in[DROPOUT_COUNTER] = counter;
        c.dy_slot = DROPOUT_X;
        add(&c, DROPOUT_X, -1, DROPOUT_Y, 5 * 3 * 3, 3, 1);
        finish(&c, CLRNN_OP_DROPOUT_BWD);
    }
}

static void test_embedding(void **state)
{
    int32_t tokens[5 * 3] = {0, 1, 2, 3, -1, 2, 2, -1, 1, 0, -1, -1, 4, -1, -1};
    struct check c;

    (void)state;
    begin(&c, "embedding", 800, CLRNN_OP_EMBEDDING_FWD, 5, 3, 2, some_lengths, -1, -1);
    c.fwd.embedding.V = 5;
    c.fwd.embedding.padding_idx = -1;
    c.in[EMBEDDING_X] = c.back_in[EMBEDDING_BWD_X] = tokens;
    c.dy_slot = EMBEDDING_BWD_DY;
    add(&c, EMBEDDING_WEIGHT, -1, EMBEDDING_DWEIGHT, 5 * 2, 0, 1);
    finish(&c, CLRNN_OP_EMBEDDING_BWD);

    c.bwd.embedding.padding_idx = 2;
    backward(&c);
    assert_true(c.part[0].got[4] == 0 && c.part[0].got[5] == 0);
    assert_true(c.part[0].got[2] != 0);
}

// The op LOSS computes the loss and its gradient dx in one run. Compares dx with differences of LOSS / WEIGHT of the
// record.
static void check_loss(enum clrnn_loss_kind kind, double smoothing, bool weighted, bool padded)
{
    enum { T = 5, N = 3 };

    const bool classes = clrnn_loss_is_classes(kind);
    const uint32_t columns = 4, targets = kind == CLRNN_LOSS_QUANTILE ? 2 : 4;
    double x[T * N * 4], dx[T * N * 4], real[T * N * 4], weight[4], record[RECORD_FIELDS];
    double label[4], sample[N] = {0.5, 0, 2};
    int32_t class[T * N];
    uint32_t counter[COUNTER_FIELDS] = {0};
    struct clrnn_op op = {.kind = CLRNN_OP_LOSS, .layer = "gradient", .T = T, .N = N, .C = columns};
    void *target = classes ? (void *)class : (void *)real;
    void *in[CLRNN_OP_MAX_IN] = {x, padded ? some_lengths : NULL, target, weighted ? weight : NULL, counter};
    void *out[CLRNN_OP_MAX_OUT] = {dx, record};

    op.loss.kind = kind;
    op.loss.label_smoothing = smoothing;
    op.loss.ignore_index = 3;
    op.loss.slots = 1;
    op.loss.beta = 0.8;
    op.loss.delta = 1.3;
    op.loss.quantiles = kind == CLRNN_LOSS_QUANTILE ? 2 : 0;
    op.loss.missing = true;
    in[LOSS_SAMPLE_WEIGHT] = weighted ? sample : NULL;
    in[LOSS_LABEL_WEIGHT] = weighted && kind == CLRNN_LOSS_BCE_WITH_LOGITS ? label : NULL;
    fill(x, (size_t)T * N * columns, 900, 3);
    for (uint32_t i = 0; i < T * N * targets; i++)
        real[i] = i % 7 == 6 ? NAN : kind == CLRNN_LOSS_BCE_WITH_LOGITS ? (double)(i % 2) : number(901, i);
    for (uint32_t i = 0; i < T * N; i++) {
        class[i] = (int32_t)(i * 7 % 5); // class 4 is out of range and 3 is ignore_index: neither counts
        if (padded && i / N >= (uint32_t)some_lengths[i % N]) {
            for (uint32_t o = 0; o < targets; o++)
                real[i * targets + o] = NAN;
            for (uint32_t c = 0; c < columns; c++)
                x[i * columns + c] = NAN;
        }
    }
    for (uint32_t i = 0; i < 4; i++)
        weight[i] = 1.5 + number(902, i);
    for (uint32_t i = 0; i < 4; i++)
        label[i] = 0.5 + number(903, i) * number(903, i);
    if (kind == CLRNN_LOSS_QUANTILE) {
        weight[0] = 0.2;
        weight[1] = 0.7;
        in[LOSS_WEIGHT] = weight;
    }
    assert_int_equal(clrnn_reference_run(NULL, &op, in, out), CLRNN_OK);
    out[LOSS_DX] = NULL;
    for (size_t i = 0; i < (size_t)T * N * columns; i++) {
        const double kept = x[i];
        double loss[2], want;

        for (int side = 0; side < 2; side++) {
            x[i] = kept + (side ? STEP : -STEP);
            assert_int_equal(clrnn_reference_run(NULL, &op, in, out), CLRNN_OK);
            loss[side] = record[RECORD_LOSS] / record[RECORD_WEIGHT];
        }
        x[i] = kept;
        want = (loss[1] - loss[0]) / (2 * STEP);
        if (!(fabs(dx[i] - want) <= TOLERANCE))
            fail_msg("loss %d, smoothing %g, weighted %d, padded %d: dx[%zu] is %.12g, differences say %.12g",
                     (int)kind, smoothing, weighted, padded, i, dx[i], want);
    }
}

static void test_loss(void **state)
{
    (void)state;
    for (int i = 0; i < 4; i++) {
        check_loss(CLRNN_LOSS_CROSS_ENTROPY, 0, i & 1, i & 2);
        check_loss(CLRNN_LOSS_CROSS_ENTROPY, 0.3, i & 1, i & 2);
        check_loss(CLRNN_LOSS_NLL, 0, i & 1, i & 2);
        check_loss(CLRNN_LOSS_BCE_WITH_LOGITS, 0, i & 1, i & 2);
        for (int kind = CLRNN_LOSS_MSE; kind < CLRNN_LOSS_CTC; kind++)
            check_loss((enum clrnn_loss_kind)kind, 0, i & 1, i & 2);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_recurrent), cmocka_unit_test(test_norm),      cmocka_unit_test(test_linear),
        cmocka_unit_test(test_pointwise), cmocka_unit_test(test_pool),      cmocka_unit_test(test_conv),
        cmocka_unit_test(test_window),    cmocka_unit_test(test_attention), cmocka_unit_test(test_dropout),
        cmocka_unit_test(test_embedding), cmocka_unit_test(test_loss),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
