// SPDX-License-Identifier: MIT
// The best constant answer's loss in closed form, for each loss.
#include <math.h>

#include "diagnose/constant.h"
#include "tests/test.h"

static void constant_loss(void **state)
{
    const uint64_t counts[2] = {75, 25};
    const double entropy = -0.75 * log(0.75) - 0.25 * log(0.25);
    double weights[2] = {1, 3};
    struct clrnn_config *config;
    const struct clrnn_log silent = {0};

    (void)state;
    assert_int_equal(
        clrnn_config_parse(
            &silent,
            "model: {layers: [linear: {out_features: 2}]}\ntrain: {loss: cross_entropy, optimizer: "
            "{adam: {}}, epochs: 1, batch_size: 4}\n",
            NULL, &config),
        CLRNN_OK);
    assert_true(fabs(clrnn_constant_loss(config, 2, counts, 0) - entropy) < 1e-12);
    config->train.loss.weight = weights; // 75 and 3 * 25: balanced
    config->train.loss.weight_count = 2;
    assert_true(fabs(clrnn_constant_loss(config, 2, counts, 0) - log(2)) < 1e-12);
    config->train.loss.weight = NULL;
    config->train.loss.weight_count = 0;
    config->train.loss.kind = CLRNN_LOSS_BCE_WITH_LOGITS;
    assert_true(fabs(clrnn_constant_loss(config, 2, counts, 0) - entropy) < 1e-12);
    config->train.loss.kind = CLRNN_LOSS_MSE;
    assert_true(clrnn_constant_loss(config, 0, counts, 2.5) == 2.5);
    clrnn_config_destroy(&config);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(constant_loss)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
