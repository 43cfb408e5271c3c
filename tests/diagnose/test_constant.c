// SPDX-License-Identifier: MIT
// Tests the lowest loss of a constant answer: for each loss, it must equal a value computed by hand.
#include <math.h>

#include "base/array.h"
#include "diagnose/constant.h"
#include "tests/test.h"

static void constant_loss(void **state)
{
    const uint64_t counts[2] = {75, 25};
    const double entropy = -0.75 * log(0.75) - 0.25 * log(0.25);
    const double plain[2] = {75, 25};   // sample weights of 1
    const double swapped[2] = {25, 75}; // sample weights of 1 / 3 and 3
    double weights[2] = {1, 3};
    struct clrnn_config *config;
    const struct clrnn_log silent = {0};

    (void)state;
    assert_int_equal(
        clrnn_config_parse(&silent,
                           "model: {layers: [linear: {out_features: 2}]}\ntrain: {loss: cross_entropy, optimizer: "
                           "{adam: {}}, epochs: 1, batch_size: 4}\n",
                           NULL, &config),
        CLRNN_OK);
    assert_true(fabs(clrnn_constant_loss(config, 2, counts, plain, 0) - entropy) < 1e-12);
    assert_true(fabs(clrnn_constant_loss(config, 2, counts, swapped, 0) - entropy) < 1e-12);
    config->train.loss.balanced = true; // balances the numbers of labels, whatever their samples weigh
    assert_true(fabs(clrnn_constant_loss(config, 2, counts, swapped, 0) - (log(10) - 0.9 * log(9))) <
                1e-12); // weights 25 / 75 and 75 / 25
    config->train.loss.balanced = false;
    config->train.loss.weight = weights; // both classes now weigh 75: 1 * 75 and 3 * 25
    config->train.loss.weight_count = 2;
    assert_true(fabs(clrnn_constant_loss(config, 2, counts, plain, 0) - log(2)) < 1e-12);
    config->train.loss.weight = NULL;
    config->train.loss.weight_count = 0;
    config->train.loss.kind = CLRNN_LOSS_BCE_WITH_LOGITS;
    assert_true(fabs(clrnn_constant_loss(config, 2, counts, plain, 0) - entropy) < 1e-12);
    assert_true(fabs(clrnn_constant_loss(config, 2, counts, swapped, 0) - entropy) < 1e-12);
    config->train.loss.label_weight = weights; // multiplies the loss
    config->train.loss.label_weight_count = 2;
    assert_true(fabs(clrnn_constant_loss(config, 2, counts, plain, 0) - 2 * entropy) < 1e-12);
    config->train.loss.label_weight = NULL;
    config->train.loss.label_weight_count = 0;
    config->train.loss.kind = CLRNN_LOSS_MSE;
    assert_true(clrnn_constant_loss(config, 0, counts, NULL, 2.5) == 2.5);
    clrnn_config_destroy(&config);
}

// For real targets 0, 1, 2, 3, 14: `least` is the lowest loss of a constant answer, `zero` the loss of the answer 0.
// The best answer is the mean for mse, the median for l1, and the quantile for quantile. For huber and smooth_l1 it is
// the mean if their threshold is above all errors.
static void constant_of_targets(void **state)
{
    const double sorted[] = {0, 1, 2, 3, 14}, weight[] = {2, 1, 1, 1, 0};
    double y[ARRAY_SIZE(sorted)], quantile = 0.75;
    const struct {
        struct clrnn_loss_config loss;
        double least, zero;
    } cases[] = {
        {{.kind = CLRNN_LOSS_MSE}, 26, 42},                           // answer 4
        {{.kind = CLRNN_LOSS_L1}, 3.2, 4},                            // answer 2
        {{.kind = CLRNN_LOSS_HUBER, .delta = 1000}, 13, 21},          // half of the mse
        {{.kind = CLRNN_LOSS_SMOOTH_L1, .beta = 1000}, 0.013, 0.021}, // half of the mse, divided by beta
        {{.kind = CLRNN_LOSS_QUANTILE, .quantile = &quantile, .quantile_count = 1}, 1.95, 3}, // answer 3
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        for (size_t k = 0; k < ARRAY_SIZE(sorted); k++)
            y[k] = sorted[ARRAY_SIZE(sorted) - 1 - k];
        assert_true(fabs(clrnn_zero_loss(&cases[i].loss, ARRAY_SIZE(y), y, NULL) - cases[i].zero) < 1e-9);
        assert_true(fabs(clrnn_constant_target_loss(&cases[i].loss, ARRAY_SIZE(y), y, NULL) - cases[i].least) < 1e-9);
    }
    for (size_t k = 0; k < ARRAY_SIZE(sorted); k++)
        y[k] = sorted[k];
    // 14 does not count, and 0 counts twice: the mean is 1.2, the median 1
    assert_true(fabs(clrnn_constant_target_loss(&cases[0].loss, ARRAY_SIZE(y), y, weight) - 1.36) < 1e-9);
    assert_true(fabs(clrnn_constant_target_loss(&cases[1].loss, ARRAY_SIZE(y), y, weight) - 1) < 1e-9);
    assert_true(fabs(clrnn_zero_loss(&cases[0].loss, ARRAY_SIZE(y), y, weight) - 2.8) < 1e-9);
    assert_true(isnan(clrnn_constant_target_loss(&cases[0].loss, 0, y, NULL)));
    assert_true(isnan(clrnn_constant_target_loss(&(struct clrnn_loss_config){.kind = CLRNN_LOSS_NLL}, 5, y, NULL)));
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(constant_loss), cmocka_unit_test(constant_of_targets)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
