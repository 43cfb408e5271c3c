// SPDX-License-Identifier: MIT
// Data sets of arrays in memory, and synthetic labels.
#include "tests/model/scratch.h"

#include "train/dataset.h"

#define POOLED "model: {layers: [{rnn: {hidden_size: 4}}, {pool: {over: last}}, {linear: {out_features: 3}}]}\n"

enum { T = 3, C = 2 };

// Arrays in memory must be read in place, without a copy. clrnn_dataset_release must not change them, and a config must
// keep them when another key is set. Arrays of text, an unknown set and missing targets must be refused.
static void test_arrays(struct scratch *s)
{
    // Several pages. clrnn_dataset_release discards pages of files, but must keep these.
    static float x[2048][T][C];
    static int8_t y[2048];
    const struct clrnn_arrays given = {.x = {"<f4", 3, {2048, T, C}, x}, .y = {"|i1", 1, {2048}, y}};
    struct clrnn_arrays wrong = given;
    struct clrnn_config *config;
    struct clrnn_dataset *set;

    config = scratch_config(s, POOLED);
    for (size_t i = 0; i < 2048; i++)
        x[i][0][0] = (float)i;
    assert_int_equal(clrnn_config_set_arrays(&s->log, config, "train", &given), CLRNN_OK);
    assert_int_equal(clrnn_config_set(&s->log, config, "train.epochs=3"), CLRNN_OK);
    assert_int_equal(
        clrnn_dataset_open(&s->log, config, &config->data.train, s->folder, "train", CLRNN_CHECK_ALL, &set), CLRNN_OK);
    assert_ptr_equal(clrnn_dataset_x_mapped(set, 7), x[7]);
    clrnn_dataset_release(set);
    assert_float_equal(x[2047][0][0], 2047.0f, 0.0f);
    clrnn_dataset_close(&set);
    wrong.y.dtype = "<U3";
    assert_int_equal(clrnn_config_set_arrays(&s->log, config, "valid", &wrong), CLRNN_OK);
    assert_int_equal(
        clrnn_dataset_open(&s->log, config, &config->data.valid, s->folder, "valid", CLRNN_CHECK_ALL, &set),
        CLRNN_ERR_DATA);
    assert_non_null(strstr(s->error, "valid y: holds text"));
    assert_int_equal(clrnn_config_set_arrays(&s->log, config, "other", &given), CLRNN_ERR_ARG);
    assert_int_equal(clrnn_config_set_arrays(&s->log, config, "test", &(struct clrnn_arrays){.x = given.x}),
                     CLRNN_ERR_CONFIG);
    clrnn_config_destroy(&config);
}

// Synthetic labels for ctc: each sample must have 1 to 5 labels, 5 being a quarter of 21 steps. No label may be the
// blank.
static void test_synthetic_labels(struct scratch *s)
{
    struct clrnn_config *config;
    struct clrnn_dataset *d;
    bool shorter = false;

    config = scratch_config(s, "model: {layers: [linear: {out_features: 4}]}\n"
                               "train: {loss: {ctc: {blank: 1}}}\n"
                               "data: {train: {synthetic: {samples: 50, steps: 21, features: 2, classes: 3}}}\n");
    assert_int_equal(clrnn_dataset_open(&s->log, config, &config->data.train, s->folder, "train", CLRNN_CHECK_ALL, &d),
                     CLRNN_OK);
    assert_int_equal(clrnn_dataset_info(d)->y_T, 5);
    for (uint32_t n = 0; n < 50; n++) {
        const int32_t length = (int32_t)clrnn_dataset_y_valid(d, n);
        int32_t y[5];

        assert_in_range(length, 1, 5);
        shorter |= length < 5;
        clrnn_dataset_classes(d, n, y);
        for (int i = 0; i < 5; i++)
            assert_true(y[i] >= 0 && y[i] < 4 && y[i] != 1);
    }
    assert_true(shorter);
    clrnn_dataset_close(&d);
    clrnn_config_destroy(&config);
}

int main(void)
{
    const struct CMUnitTest tests[] = {SCRATCH_TEST(test_arrays, ""), SCRATCH_TEST(test_synthetic_labels, "")};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
