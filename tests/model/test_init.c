// SPDX-License-Identifier: MIT
// Initialisers: bounds, moments, orthonormal rows, what a layer's init and model.init set, and mistakes.
#include "fixture.h"

#include <math.h>

#define TRAIN "loss: cross_entropy, optimizer: adam, epochs: 1, batch_size: 4, seed: 5"
static const struct clrnn_data_shape shape = {.features = 48};

static float *values(const struct clrnn_model *m, const char *name, size_t *count)
{
    const struct clrnn_entry *e = clrnn_model_find(m, name);
    float *v;

    assert_non_null(e);
    *count = e->param.count;
    v = malloc(*count * sizeof(*v));
    assert_non_null(v);
    assert_int_equal(clrnn_buffer_read_f32(e->value, 0, *count, v), CLRNN_OK);
    return v;
}

struct moments {
    double mean, std, least, most;
};

static struct moments moments_of(const struct clrnn_model *m, const char *name)
{
    struct moments s = {0, 0, INFINITY, -INFINITY};
    size_t count;
    float *v = values(m, name, &count);

    for (size_t i = 0; i < count; i++) {
        s.mean += (double)v[i] / (double)count;
        s.least = fmin(s.least, (double)v[i]);
        s.most = fmax(s.most, (double)v[i]);
    }
    for (size_t i = 0; i < count; i++)
        s.std += ((double)v[i] - s.mean) * ((double)v[i] - s.mean) / (double)count;
    s.std = sqrt(s.std);
    free(v);
    return s;
}

static void check_uniform(const struct clrnn_model *m, const char *name, double low, double high)
{
    const struct moments s = moments_of(m, name);
    const double width = high - low;

    assert_true(s.least >= low - 1e-6 && s.most <= high + 1e-6);
    assert_true(s.least < low + 0.1 * width && s.most > high - 0.1 * width);
    assert_true(fabs(s.mean - (low + high) / 2) < 0.1 * width);
}

static void check_normal(const struct clrnn_model *m, const char *name, double mean, double std)
{
    const struct moments s = moments_of(m, name);

    assert_true(fabs(s.mean - mean) < 0.1 * std);
    assert_true(fabs(s.std / std - 1) < 0.1);
}

static void check_constant(const struct clrnn_model *m, const char *name, double value)
{
    const struct moments s = moments_of(m, name);

    assert_true(s.least == value && s.most == value);
}

// Checks that a matrix is orthogonal: its rows, or its columns if they are fewer, must be orthonormal.
static void check_orthogonal(const struct clrnn_model *m, const char *name)
{
    const struct clrnn_entry *e = clrnn_model_find(m, name);
    const size_t rows = e->param.shape[0], columns = e->param.shape[1];
    const size_t n = rows < columns ? rows : columns, k = rows < columns ? columns : rows;
    const size_t step = rows < columns ? columns : 1, along = rows < columns ? 1 : columns;
    size_t count;
    float *v = values(m, name, &count);

    for (size_t i = 0; i < n; i++)
        for (size_t j = 0; j <= i; j++) {
            double sum = 0;

            for (size_t c = 0; c < k; c++)
                sum += (double)v[i * step + c * along] * (double)v[j * step + c * along];
            assert_true(fabs(sum - (i == j)) < 1e-5);
        }
    free(v);
}

static void test_linear(struct scratch *f)
{
    struct clrnn_model *m;

    m = fixture_model(f,
                      "- linear: {out_features: 96, init: xavier_uniform}\n"
                      "- linear: {out_features: 96, init: {weight: xavier_normal, bias: {uniform: [1, 3]}}}\n"
                      "- linear: {out_features: 64, init: {weight: kaiming_uniform, bias: 0.5}}\n"
                      "- linear: {out_features: 96, init: {weight: kaiming_normal, bias: ones}}\n"
                      "- linear: {out_features: 40, init: {normal: [2, 0.25]}}\n"
                      "- linear: {out_features: 96, init: orthogonal}\n"
                      "- linear: {out_features: 24, init: {all: zeros, weight: orthogonal}}\n"
                      "- layernorm: {init: {weight: 0.1}}\n"
                      "- linear: {out_features: 3, init: -0.25}\n",
                      TRAIN, shape);
    check_uniform(m, "0.weight", -sqrt(6.0 / 144), sqrt(6.0 / 144));
    check_uniform(m, "0.bias", -1 / sqrt(48), 1 / sqrt(48)); // the default, since xavier is only for matrices
    check_normal(m, "1.weight", 0, sqrt(2.0 / 192));
    check_uniform(m, "1.bias", 1, 3);
    check_uniform(m, "2.weight", -sqrt(6.0 / 96), sqrt(6.0 / 96));
    check_constant(m, "2.bias", 0.5);
    check_normal(m, "3.weight", 0, sqrt(2.0 / 64));
    check_constant(m, "3.bias", 1);
    check_normal(m, "4.weight", 2, 0.25);
    check_orthogonal(m, "5.weight");
    check_orthogonal(m, "6.weight");
    check_constant(m, "6.bias", 0);
    check_constant(m, "7.weight", (double)0.1f);
    check_constant(m, "7.bias", 0);
    check_constant(m, "8.weight", -0.25);
    check_constant(m, "8.bias", -0.25);
    clrnn_model_destroy(&m);
}

static void test_recurrent(struct scratch *f)
{
    struct clrnn_model *m;
    size_t count;
    float *bias;

    m = fixture_model(f,
                      "- lstm: {hidden_size: 24, num_layers: 2, bidirectional: true, init: {weight_ih: "
                      "xavier_uniform, weight_hh: orthogonal, bias: zeros, forget_bias: 1.0}}\n"
                      "- gru: {hidden_size: 24, layer_norm: true, init: {all: {uniform: [-0.5, -0.25]}, bias_hh: "
                      "0.125, gamma_hh: 0.1}}\n"
                      "- linear: {out_features: 3}\n",
                      TRAIN, shape);
    check_uniform(m, "0.weight_ih_l0", -sqrt(6.0 / 144), sqrt(6.0 / 144));
    check_uniform(m, "0.weight_ih_l1_reverse", -sqrt(6.0 / 144), sqrt(6.0 / 144));
    check_orthogonal(m, "0.weight_hh_l0_reverse");
    check_constant(m, "0.bias_hh_l1", 0);
    bias = values(m, "0.bias_ih_l1_reverse", &count);
    for (size_t i = 0; i < count; i++)
        assert_true(bias[i] == (i >= 24 && i < 48 ? 1.0F : 0.0F));
    free(bias);
    check_uniform(m, "1.weight_hh_l0", -0.5, -0.25);
    check_constant(m, "1.bias_hh_l0", 0.125);
    check_constant(m, "1.gamma_ih_l0", 1);
    check_constant(m, "1.gamma_hh_l0", (double)0.1f);
    clrnn_model_destroy(&m);
}

static void test_keras(struct scratch *f)
{
    struct clrnn_model *m;
    struct clrnn_config *config, *again;
    size_t count;
    float *bias;
    char *text;

    config = fixture_config(f,
                            "- lstm: {hidden_size: 32}\n"
                            "- lstm: {hidden_size: 32, init: {forget_bias: 0, weight_hh: {normal: [0, 0.5]}}}\n"
                            "- linear: {out_features: 40}\n",
                            TRAIN);
    assert_int_equal(clrnn_config_set(&f->log, config, "model.init=keras"), CLRNN_OK);
    text = clrnn_config_text(config); // model.init must be written and read back
    assert_int_equal(clrnn_config_parse(&f->log, text, NULL, &again), CLRNN_OK);
    assert_int_equal(clrnn_model_create(f->device, again, &shape, &m), CLRNN_OK);
    check_uniform(m, "0.weight_ih_l0", -sqrt(6.0 / 176), sqrt(6.0 / 176));
    check_orthogonal(m, "0.weight_hh_l0");
    check_constant(m, "0.bias_hh_l0", 0);
    bias = values(m, "0.bias_ih_l0", &count);
    for (size_t i = 0; i < count; i++)
        assert_true(bias[i] == (i >= 32 && i < 64 ? 1.0F : 0.0F));
    free(bias);
    check_constant(m, "1.bias_ih_l0", 0);
    check_normal(m, "1.weight_hh_l0", 0, 0.5);
    check_uniform(m, "2.weight", -sqrt(6.0 / 72), sqrt(6.0 / 72));
    check_constant(m, "2.bias", 0);
    clrnn_model_destroy(&m);
    free(text);
    clrnn_config_destroy(&again);
    clrnn_config_destroy(&config);
}

static void test_mistakes(struct scratch *f)
{
    static const char *const layers[][2] = {
        {"- linear: {out_features: 2, bias: false, init: {bias: zeros}}\n", "no such parameter"},
        {"- linear: {out_features: 2, init: {bias: orthogonal}}\n", "is a vector"},
        {"- lstm: {hidden_size: 2, init: {weight_hr: zeros}}\n- linear: {out_features: 2}\n", "no such parameter"},
        {"- lstm: {hidden_size: 2, bias: false, init: {forget_bias: 1}}\n", "bias: false"},
    };
    static const char *const texts[][2] = {
        {"orthogonl", "expected zeros, ones"},
        {"{uniform: [1, 0]}", "expected zeros, ones"},
        {"{normal: [0, -1]}", "expected zeros, ones"},
        {"{wieght: zeros}", "did you mean \"weight\""},
    };

    for (size_t i = 0; i < sizeof(layers) / sizeof(*layers); i++)
        assert_non_null(strstr(fixture_refusal(f, layers[i][0], TRAIN, shape), layers[i][1]));
    for (size_t i = 0; i < sizeof(texts) / sizeof(*texts); i++) {
        struct clrnn_config *config;
        char text[200];

        snprintf(text, sizeof(text), "model: {layers: [{linear: {out_features: 2, init: %s}}]}", texts[i][0]);
        assert_int_equal(clrnn_config_parse(&f->log, text, NULL, &config), CLRNN_ERR_CONFIG);
        assert_non_null(strstr(f->error, texts[i][1]));
    }
}

// A device and ref must draw the same initial values.
static void test_device(struct scratch *f)
{
    static const char *const layers = "- lstm: {hidden_size: 8, init: {weight_ih: kaiming_normal, weight_hh: "
                                      "orthogonal}}\n- linear: {out_features: 2, init: {normal: [0, 1]}}\n";
    struct clrnn_model *m[2];
    struct scratch *ref = scratch_open("ref");

    m[0] = fixture_model(f, layers, TRAIN, shape);
    m[1] = fixture_model(ref, layers, TRAIN, shape);
    for (size_t p = 0; p < clrnn_model_param_count(m[0]); p++) {
        const char *name = clrnn_model_param(m[0], p)->name;
        size_t count;
        float *a = values(m[0], name, &count), *b = values(m[1], name, &count);

        assert_memory_equal(a, b, count * sizeof(*a));
        free(a);
        free(b);
    }
    clrnn_model_destroy(&m[0]);
    clrnn_model_destroy(&m[1]);
    scratch_close(ref);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        SCRATCH_TEST(test_linear, "ref"),   SCRATCH_TEST(test_recurrent, "ref"), SCRATCH_TEST(test_keras, "ref"),
        SCRATCH_TEST(test_mistakes, "ref"), SCRATCH_TEST(test_device, NULL),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
