// SPDX-License-Identifier: MIT
// Results that doc/maths.md defines exactly: the op feed, dropout masks, records of losses, unknown tokens, edge cases.
#include <stdio.h>

#include "near.h"

#include "base/random.h"

static void run(const struct clrnn_op *op, void *const *in, void *const *out)
{
    assert_int_equal(clrnn_reference_run(NULL, op, in, out), CLRNN_OK);
}

static void test_feed_real(void **state)
{
    enum { S = 3, T_DATA = 3, T = 2, N = 2, C = 2 };

    double data[S * T_DATA * C], mean[C] = {1, 2}, std[C] = {2, 4}, targets[S * T_DATA], x[T * N * C], y[T * N];
    int32_t lengths[S] = {1, 2, 3}, out_lengths[N];
    uint32_t index[N] = {2, 0};
    struct clrnn_op op = {.kind = CLRNN_OP_FEED, .layer = "feed", .T = T, .N = N, .C = C};

    (void)state;
    op.feed.S = S;
    op.feed.T_data = T_DATA;
    op.feed.target = op.feed.target_real = op.feed.target_steps = true;
    for (int i = 0; i < S * T_DATA * C; i++)
        data[i] = i;
    for (int i = 0; i < S * T_DATA; i++)
        targets[i] = 100 + i;
    data[2] = data[3] = NAN; // sample 0, step 1, is padding
    targets[1] = NAN;
    run(&op, (void *[CLRNN_OP_MAX_IN]){data, targets, lengths, index, mean, std},
        (void *[CLRNN_OP_MAX_OUT]){x, y, out_lengths});
    assert_int_equal(out_lengths[0], 2); // the length 3, limited to the batch's T
    assert_int_equal(out_lengths[1], 1);
    check_near("x", x, (double[]){(12 - 1) / 2.0, (13 - 2) / 4.0, -0.5, -0.25, 6.5, 3.25, 0, 0}, T * N * C, 0);
    check_near("y", y, (double[]){106, 100, 107, 0}, T * N, 0);
}

static void test_feed_tokens(void **state)
{
    enum { S = 2, T = 3, N = 2 };

    int32_t data[S * T] = {10, 11, 12, 20, 21, 22}, lengths[S] = {3, 1}, targets[S * T] = {0, 1, 2, 3, 4, 5};
    int32_t x[T * N], y[T * N], out_lengths[N];
    uint32_t index[N] = {1, 0};
    struct clrnn_op op = {.kind = CLRNN_OP_FEED, .layer = "feed", .T = T, .N = N, .C = 1};

    (void)state;
    op.feed.S = S;
    op.feed.T_data = T;
    op.feed.tokens = op.feed.target = op.feed.target_steps = true;
    run(&op, (void *[CLRNN_OP_MAX_IN]){data, targets, lengths, index}, (void *[CLRNN_OP_MAX_OUT]){x, y, out_lengths});
    assert_memory_equal(x, ((int32_t[]){20, 10, -1, 11, -1, 12}), sizeof(x));
    assert_memory_equal(y, ((int32_t[]){3, 0, INT32_MIN, 1, INT32_MIN, 2}), sizeof(y));

    op.feed.target_steps = false; // one class for each sample, not for each step
    run(&op, (void *[CLRNN_OP_MAX_IN]){data, targets, lengths, index}, (void *[CLRNN_OP_MAX_OUT]){x, y});
    assert_memory_equal(y, ((int32_t[]){1, 0}), 2 * sizeof(*y));

    op.feed.target = false; // a prediction has no targets
    y[0] = 77;
    run(&op, (void *[CLRNN_OP_MAX_IN]){data, NULL, NULL, index}, (void *[CLRNN_OP_MAX_OUT]){x, NULL, out_lengths});
    assert_memory_equal(x, ((int32_t[]){20, 10, 21, 11, 22, 12}), sizeof(x));
    assert_int_equal(out_lengths[0], T);
    assert_int_equal(y[0], 77);
}

static void test_dropout_mask(void **state)
{
    enum { ROWS = 50, C = 7, COUNT = ROWS * C };

    static const double ps[] = {0, 0x1p-24, 0.1, 0.5, 1.0 / 3, 0.9, 1};
    uint32_t counter[COUNTER_FIELDS] = {0x89abcdef, 0x01234567, 41, 3};
    const struct clrnn_random random = {0x0123456789abcdef, RANDOM_DROPOUT, 41, 5};
    double x[COUNT], y[COUNT], again[COUNT];

    (void)state;
    fill(x, COUNT, 1, 2);
    for (size_t i = 0; i < ARRAY_SIZE(ps); i++) {
        struct clrnn_op op = {.kind = CLRNN_OP_DROPOUT_FWD, .layer = "dropout", .T = 5, .N = ROWS / 5, .C = C};

        op.dropout.p = ps[i];
        op.dropout.stream = 5;
        run(&op, (void *[CLRNN_OP_MAX_IN]){x, counter}, (void *[CLRNN_OP_MAX_OUT]){y});
        for (uint64_t e = 0; e < COUNT; e++) {
            const bool kept = (double)clrnn_random_uniform(&random, e) >= ps[i];

            if (y[e] != (kept ? x[e] * (1 / (1 - ps[i])) : 0))
                fail_msg("p=%g: y[%d] is %g, x is %g, kept %d", ps[i], (int)e, y[e], x[e], kept);
        }
        op.kind = CLRNN_OP_DROPOUT_BWD;
        run(&op, (void *[CLRNN_OP_MAX_IN]){x, counter}, (void *[CLRNN_OP_MAX_OUT]){again});
        assert_memory_equal(y, again, sizeof(y));
        counter[COUNTER_STEP]++;
        run(&op, (void *[CLRNN_OP_MAX_IN]){x, counter}, (void *[CLRNN_OP_MAX_OUT]){again});
        if (ps[i] > 0.05 && ps[i] < 0.95)
            assert_memory_not_equal(y, again, sizeof(y));
        counter[COUNTER_STEP]--;
    }
}

static void test_embedding_unknown(void **state)
{
    int32_t tokens[4] = {-1, 0, 3, INT32_MIN}; // 3 is not in the table, which has 3 rows
    double weight[3 * 2] = {1, 2, 3, 4, 5, 6}, y[4 * 2], dy[4 * 2] = {1, 1, 1, 1, 1, 1, 1, 1}, dweight[3 * 2];
    struct clrnn_op op = {.kind = CLRNN_OP_EMBEDDING_FWD, .layer = "embedding", .T = 2, .N = 2, .C = 2};

    (void)state;
    op.embedding.V = 3;
    op.embedding.padding_idx = 0; // the forward looks up padding_idx like any other token
    run(&op, (void *[CLRNN_OP_MAX_IN]){tokens, weight}, (void *[CLRNN_OP_MAX_OUT]){y});
    check_near("y", y, (double[]){0, 0, 1, 2, 0, 0, 0, 0}, 8, 0);
    op.kind = CLRNN_OP_EMBEDDING_BWD;
    run(&op, (void *[CLRNN_OP_MAX_IN]){tokens, dy}, (void *[CLRNN_OP_MAX_OUT]){dweight});
    check_near("dweight", dweight, (double[6]){0}, 6, 0);
}

static void test_records(void **state)
{
    double x[3 * 2] = {1, 1, 0, 2, 5, -5}, dx[3 * 2], record[RECORD_FIELDS] = {[RECORD_NORM] = 9};
    double logits[3] = {0.5, 0, -1}, real[3] = {1, 0, 1}, weight[2] = {2, 3};
    int32_t class[3] = {0, 0, -100}, none[3] = {-100, INT32_MIN, 2};
    uint32_t counter[COUNTER_FIELDS] = {0};
    struct clrnn_op op = {.kind = CLRNN_OP_LOSS, .layer = "loss", .T = 1, .N = 3, .C = 2};

    (void)state;
    op.loss.ignore_index = -100;
    op.loss.slots = 1;
    run(&op, (void *[CLRNN_OP_MAX_IN]){x, NULL, class, weight, counter}, (void *[CLRNN_OP_MAX_OUT]){dx, record});
    check_near("equal logits: the first wins", record + RECORD_CORRECT, (double[]){1}, 1, 0);
    check_near("count", record + RECORD_COUNT, (double[]){2}, 1, 0);
    check_near("weight", record + RECORD_WEIGHT, (double[]){4}, 1, 0);
    check_near("loss", record + RECORD_LOSS, (double[]){2 * log(2) + 2 * (2 + log1p(exp(-2)))}, 1, 1e-14);
    check_near("ignored", dx + 4, (double[]){0, 0}, 2, 0);

    run(&op, (void *[CLRNN_OP_MAX_IN]){x, NULL, none, NULL, counter}, (void *[CLRNN_OP_MAX_OUT]){dx, record});
    check_near("nothing counts", record, (double[RECORD_FIELDS]){[RECORD_NORM] = 9}, RECORD_FIELDS, 0);
    check_near("nothing counts", dx, (double[6]){0}, 6, 0);

    op.C = 1;
    op.loss.kind = CLRNN_LOSS_BCE_WITH_LOGITS;
    run(&op, (void *[CLRNN_OP_MAX_IN]){logits, NULL, real, NULL, counter}, (void *[CLRNN_OP_MAX_OUT]){dx, record});
    check_near("logit 0 says class 0", record + RECORD_CORRECT, (double[]){2}, 1, 0);

    op.loss.kind = CLRNN_LOSS_MSE;
    run(&op, (void *[CLRNN_OP_MAX_IN]){logits, NULL, real, NULL, counter}, (void *[CLRNN_OP_MAX_OUT]){dx, record});
    check_near("mse", record, (double[]){4.25, 3, 0, 3, 2.5, 2, 2, 9}, RECORD_FIELDS, 0);

    counter[COUNTER_SLOT] = 1; // there is no such record: nothing must be written
    memset(record, 0, sizeof(record));
    run(&op, (void *[CLRNN_OP_MAX_IN]){logits, NULL, real, NULL, counter}, (void *[CLRNN_OP_MAX_OUT]){dx, record});
    check_near("no such slot", record, (double[RECORD_FIELDS]){0}, RECORD_FIELDS, 0);
}

static void test_large_logits(void **state)
{
    double x[4] = {1000, -1000, 800, 800}, dx[4], record[RECORD_FIELDS], logits[2] = {900, -900}, real[2] = {0, 1};
    int32_t class[2] = {1, 0};
    uint32_t counter[COUNTER_FIELDS] = {0};
    struct clrnn_op op = {.kind = CLRNN_OP_LOSS, .layer = "loss", .T = 2, .N = 1, .C = 2};

    (void)state; // logits near 1000 are rounded, which causes an error of 1e-13 in their exponential
    op.loss.ignore_index = -100;
    op.loss.slots = 1;
    run(&op, (void *[CLRNN_OP_MAX_IN]){x, NULL, class, NULL, counter}, (void *[CLRNN_OP_MAX_OUT]){dx, record});
    check_near("cross entropy", record, (double[]){2000 + log(2)}, 1, 1e-12);
    check_near("dx", dx, (double[]){0.5, -0.5, -0.25, 0.25}, 4, 1e-12);
    op.C = 1;
    op.loss.kind = CLRNN_LOSS_BCE_WITH_LOGITS;
    run(&op, (void *[CLRNN_OP_MAX_IN]){logits, NULL, real, NULL, counter}, (void *[CLRNN_OP_MAX_OUT]){dx, record});
    check_near("bce", record, (double[]){1800}, 1, 1e-12);
    check_near("dx", dx, (double[]){0.5, -0.5}, 2, 1e-12);
}

// Equal logits must have equal probabilities, however large they are. The expected values are PyTorch's, in double.
static void test_ties_of_huge_logits(void **state)
{
    enum { ROWS = 3, C = 3, COUNT = ROWS * C };

    static const double half = 0.6931471805599453; // ln 2
    double x[COUNT] = {1e17, 1e17, 0, -1e17, -1e17, -3e17, 1e300, -1e300, 1e300}, y[COUNT], dx[COUNT];
    double dy[COUNT] = {1, 0, 0, 0, 1, 0, 0, 0, 1}, record[RECORD_FIELDS];
    const double share[COUNT] = {0.5, 0.5, 0, 0.5, 0.5, 0, 0.5, 0, 0.5};
    int32_t class[ROWS] = {0, 1, 2};
    uint32_t counter[COUNTER_FIELDS] = {0};
    struct clrnn_op op = {.kind = CLRNN_OP_POINTWISE_FWD, .layer = "softmax", .T = 1, .N = ROWS, .C = C};

    (void)state;
    op.pointwise.function = CLRNN_FUNCTION_SOFTMAX;
    run(&op, (void *[CLRNN_OP_MAX_IN]){x}, (void *[CLRNN_OP_MAX_OUT]){y});
    check_near("softmax", y, share, COUNT, 0);
    op.kind = CLRNN_OP_POINTWISE_BWD;
    run(&op, (void *[CLRNN_OP_MAX_IN]){[POINTWISE_BWD_Y] = y, [POINTWISE_BWD_DY] = dy}, (void *[CLRNN_OP_MAX_OUT]){dx});
    check_near("softmax dx", dx, (double[]){0.25, -0.25, 0, -0.25, 0.25, 0, -0.25, 0, 0.25}, COUNT, 0);

    op.kind = CLRNN_OP_POINTWISE_FWD;
    op.pointwise.function = CLRNN_FUNCTION_LOG_SOFTMAX;
    run(&op, (void *[CLRNN_OP_MAX_IN]){x}, (void *[CLRNN_OP_MAX_OUT]){y});
    check_near("log_softmax", y, (double[]){-half, -half, -1e17, -half, -half, -2e17, -half, -2e300, -half}, COUNT, 0);

    op = (struct clrnn_op){.kind = CLRNN_OP_LOSS, .layer = "loss", .T = 1, .N = ROWS, .C = C};
    op.loss.ignore_index = -100;
    op.loss.slots = 1;
    run(&op, (void *[CLRNN_OP_MAX_IN]){x, NULL, class, NULL, counter}, (void *[CLRNN_OP_MAX_OUT]){dx, record});
    check_near("cross entropy", record + RECORD_LOSS, (double[]){3 * half}, 1, 1e-15);
    for (int i = 0; i < COUNT; i++)
        y[i] = (share[i] - (i % C == class[i / C])) / ROWS;
    check_near("cross entropy dx", dx, y, COUNT, 1e-16);

    op.loss.label_smoothing = 0.1;
    op.N = 1;
    run(&op, (void *[CLRNN_OP_MAX_IN]){x, NULL, class, NULL, counter}, (void *[CLRNN_OP_MAX_OUT]){dx, record});
    check_near("smoothed", record + RECORD_LOSS, (double[]){3333333333333334.0}, 1, 1e-15);
    check_near("smoothed dx", dx, (double[]){-0.43333333333333335, 0.4666666666666667, -0.03333333333333333}, C, 1e-16);
}

static void test_batchnorm_one_row(void **state)
{
    double x[2] = {3, -4}, y[2], weight[2] = {2, 2}, bias[2] = {0.5, 0.25}, mean[2], invstd[2];
    double running[4] = {0, 0, 1, 1};
    struct clrnn_op op = {.kind = CLRNN_OP_BATCHNORM_FWD, .layer = "norm", .T = 1, .N = 1, .C = 2};

    (void)state;
    op.norm.eps = 1e-5;
    op.norm.momentum = 0.5;
    op.norm.batch_stats = true;
    run(&op, (void *[CLRNN_OP_MAX_IN]){x, NULL, weight, bias},
        (void *[CLRNN_OP_MAX_OUT]){y, mean, invstd, running, running + 2});
    check_near("y", y, bias, 2, 0);
    check_near("running", running, (double[]){1.5, -2, 0.5, 0.5}, 4, 0);
}

// With T = 1 and a zero initial state, the gradient of the recurrent weights must be exactly 0.
static void test_one_step_does_not_recur(void **state)
{
    for (int cell = CLRNN_CELL_RNN; cell <= CLRNN_CELL_GRU; cell++) {
        double x[2 * 3], dy[2 * 2], weight_ih[8 * 3], weight_hh[8 * 2], dweight_ih[8 * 3], dweight_hh[8 * 2];
        struct clrnn_op op = {.kind = CLRNN_OP_RNN_BWD, .layer = "rnn", .T = 1, .N = 2, .C = 3};
        const size_t G = (size_t[]){1, 4, 3}[cell];

        (void)state;
        op.rnn.cell = (enum clrnn_cell)cell;
        op.rnn.H = 2;
        op.rnn.D = 1;
        fill(x, 6, 1, 1);
        fill(dy, 4, 2, 1);
        fill(weight_ih, 24, 3, 1);
        fill(weight_hh, 16, 4, 1);
        run(&op, (void *[CLRNN_OP_MAX_IN]){x, NULL, weight_ih, weight_hh, [RNN_BWD_DY] = dy},
            (void *[CLRNN_OP_MAX_OUT]){NULL, dweight_ih, dweight_hh});
        check_near("dweight_hh", dweight_hh, (double[16]){0}, G * 4, 0);
        assert_true(dweight_ih[G * 2 * 3 - 1] != 0);
    }
}

static void test_unknown_op(void **state)
{
    struct test_log kept;
    const struct clrnn_op op = {.kind = CLRNN_OP_COUNT, .layer = "fc7"};
    void *none[CLRNN_OP_MAX_IN] = {NULL};

    (void)state;
    test_log_init(&kept);
    assert_int_equal(clrnn_reference_run(&kept.log, &op, none, none), CLRNN_ERR_ARG);
    assert_non_null(strstr(kept.text, "fc7"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_feed_real),         cmocka_unit_test(test_feed_tokens),
        cmocka_unit_test(test_dropout_mask),      cmocka_unit_test(test_embedding_unknown),
        cmocka_unit_test(test_records),           cmocka_unit_test(test_large_logits),
        cmocka_unit_test(test_batchnorm_one_row), cmocka_unit_test(test_one_step_does_not_recur),
        cmocka_unit_test(test_unknown_op),        cmocka_unit_test(test_ties_of_huge_logits),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
