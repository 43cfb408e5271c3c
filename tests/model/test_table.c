// SPDX-License-Identifier: MIT
// Names, order and shapes of parameters as in PyTorch; initial values; errors about layers that do not fit.
#include "fixture.h"

#include <math.h>

#define SEED_LAYERS \
    "- rnn: {name: rnn, hidden_size: 64, num_layers: 2, bidirectional: true}\n" \
    "- batchnorm: {name: norm}\n" \
    "- rnn: {name: rnn2, hidden_size: 64, num_layers: 2}\n" \
    "- pool: {over: last}\n" \
    "- dropout: {p: 0.5}\n" \
    "- linear: {name: fc7, out_features: 2}\n" \
    "- softmax\n"
#define TRAIN "loss: cross_entropy, optimizer: adam, epochs: 1, batch_size: 4, seed: 5"

struct row {
    const char *name;
    unsigned ndim;
    size_t d0, d1;
};

static void check_rows(const struct clrnn_model *m, const struct row *row, size_t count)
{
    assert_int_equal(clrnn_model_param_count(m), count);
    for (size_t i = 0; i < count; i++) {
        const struct clrnn_param *p = clrnn_model_param(m, i);

        assert_string_equal(p->name, row[i].name);
        assert_int_equal(p->ndim, row[i].ndim);
        if (p->ndim > 0)
            assert_int_equal(p->shape[0], row[i].d0);
        if (p->ndim > 1)
            assert_int_equal(p->shape[1], row[i].d1);
        assert_int_equal(p->integer, strstr(p->name, "num_batches_tracked") != NULL);
        assert_int_equal(p->trained, !p->integer && !strstr(p->name, "running_"));
    }
}

// The rows are what list(model.state_dict()) gives for the same modules in PyTorch 1.13.
static void test_seed_names(struct scratch *f)
{
    static const struct row row[] = {
        {"rnn.weight_ih_l0", 2, 64, 2474},
        {"rnn.weight_hh_l0", 2, 64, 64},
        {"rnn.bias_ih_l0", 1, 64, 0},
        {"rnn.bias_hh_l0", 1, 64, 0},
        {"rnn.weight_ih_l0_reverse", 2, 64, 2474},
        {"rnn.weight_hh_l0_reverse", 2, 64, 64},
        {"rnn.bias_ih_l0_reverse", 1, 64, 0},
        {"rnn.bias_hh_l0_reverse", 1, 64, 0},
        {"rnn.weight_ih_l1", 2, 64, 128},
        {"rnn.weight_hh_l1", 2, 64, 64},
        {"rnn.bias_ih_l1", 1, 64, 0},
        {"rnn.bias_hh_l1", 1, 64, 0},
        {"rnn.weight_ih_l1_reverse", 2, 64, 128},
        {"rnn.weight_hh_l1_reverse", 2, 64, 64},
        {"rnn.bias_ih_l1_reverse", 1, 64, 0},
        {"rnn.bias_hh_l1_reverse", 1, 64, 0},
        {"norm.weight", 1, 128, 0},
        {"norm.bias", 1, 128, 0},
        {"norm.running_mean", 1, 128, 0},
        {"norm.running_var", 1, 128, 0},
        {"norm.num_batches_tracked", 0, 0, 0},
        {"rnn2.weight_ih_l0", 2, 64, 128},
        {"rnn2.weight_hh_l0", 2, 64, 64},
        {"rnn2.bias_ih_l0", 1, 64, 0},
        {"rnn2.bias_hh_l0", 1, 64, 0},
        {"rnn2.weight_ih_l1", 2, 64, 64},
        {"rnn2.weight_hh_l1", 2, 64, 64},
        {"rnn2.bias_ih_l1", 1, 64, 0},
        {"rnn2.bias_hh_l1", 1, 64, 0},
        {"fc7.weight", 2, 2, 64},
        {"fc7.bias", 1, 2, 0},
    };
    struct clrnn_model *m;

    m = fixture_model(f, SEED_LAYERS, TRAIN, (struct clrnn_data_shape){2474, false, 2, 0});
    check_rows(m, row, sizeof(row) / sizeof(row[0]));
    assert_int_equal(clrnn_model_size(m), 371074); // sum(p.numel() for p in model.parameters())
    assert_int_equal(clrnn_model_outputs(m), 2);
    assert_false(clrnn_model_per_step(m));
    assert_null(clrnn_model_param(m, 31));
    clrnn_model_destroy(&m);
    clrnn_model_destroy(&m); // a second call does nothing
}

// Without names, prefixes must be indices as in nn.Sequential, which counts layers without parameters, too. The gates
// must be stacked in the first dimension.
static void test_other_names(struct scratch *f)
{
    static const struct row row[] = {
        {"0.weight", 2, 11, 3},       {"1.weight_ih_l0", 2, 20, 3}, {"1.weight_hh_l0", 2, 20, 5},
        {"3.weight_ih_l0", 2, 12, 5}, {"3.weight_hh_l0", 2, 12, 4}, {"3.bias_ih_l0", 1, 12, 0},
        {"3.bias_hh_l0", 1, 12, 0},   {"4.weight", 1, 4, 0},        {"4.bias", 1, 4, 0},
        {"7.weight", 2, 3, 4},
    };
    struct clrnn_model *m;

    m = fixture_model(f,
                      "- embedding: {num_embeddings: 11, embedding_dim: 3, padding_idx: 2}\n"
                      "- lstm: {hidden_size: 5, bias: false}\n"
                      "- dropout: {p: 0.1}\n"
                      "- gru: {hidden_size: 4}\n"
                      "- layernorm\n"
                      "- batchnorm: {affine: false, track_running_stats: false}\n"
                      "- layernorm: {elementwise_affine: false}\n"
                      "- linear: {out_features: 3, bias: false}\n",
                      TRAIN, (struct clrnn_data_shape){0, true, 3, 0});
    check_rows(m, row, sizeof(row) / sizeof(row[0]));
    assert_true(clrnn_model_per_step(m));
    clrnn_model_destroy(&m);
}

static double *values_of(struct clrnn_model *m, const char *name, size_t *count)
{
    const size_t index = fixture_find(m, name);
    double *values;

    *count = clrnn_model_param(m, index)->count;
    values = calloc(*count, sizeof(*values));
    assert_non_null(values);
    assert_int_equal(clrnn_model_read(m, index, values), CLRNN_OK);
    return values;
}

// Checks that the values fit a uniform distribution within +-bound. The largest must almost reach the bound. The mean
// and the mean square must be within five standard errors of their expected values.
static void check_uniform(struct clrnn_model *m, const char *name, double bound)
{
    double sum = 0, squares = 0, largest = 0;
    size_t count;
    double *v = values_of(m, name, &count);

    for (size_t i = 0; i < count; i++) {
        sum += v[i];
        squares += v[i] * v[i];
        largest = fmax(largest, fabs(v[i]));
    }
    assert_true(largest <= bound);
    assert_true(largest > bound * (1 - 20.0 / (double)count));
    assert_true(fabs(sum / (double)count) < 5 * bound / sqrt(3.0 * (double)count));
    assert_true(fabs(squares / (double)count - bound * bound / 3) < 5 * bound * bound * 0.3 / sqrt((double)count));
    free(v);
}

static void check_constant(struct clrnn_model *m, const char *name, double want)
{
    size_t count;
    double *v = values_of(m, name, &count);

    for (size_t i = 0; i < count; i++)
        assert_true(v[i] == want);
    free(v);
}

static void test_first_values(struct scratch *f)
{
    struct clrnn_model *m;

    m = fixture_model(f, SEED_LAYERS, TRAIN, (struct clrnn_data_shape){2474, false, 2, 0});
    check_uniform(m, "rnn.weight_ih_l0", 1 / sqrt(64));
    check_uniform(m, "rnn.weight_hh_l0_reverse", 1 / sqrt(64));
    check_uniform(m, "rnn.bias_hh_l1", 1 / sqrt(64));
    check_uniform(m, "fc7.weight", 1 / sqrt(64));
    check_constant(m, "norm.weight", 1);
    check_constant(m, "norm.bias", 0);
    check_constant(m, "norm.running_mean", 0);
    check_constant(m, "norm.running_var", 1);
    check_constant(m, "norm.num_batches_tracked", 0);
    clrnn_model_destroy(&m);
}

static void test_embedding_values(struct scratch *f)
{
    const size_t dim = 16, rows = 500;
    double sum = 0, squares = 0, *v;
    struct clrnn_model *m;
    size_t count;

    m = fixture_model(f,
                      "- embedding: {name: emb, num_embeddings: 500, embedding_dim: 16, padding_idx: 3}\n"
                      "- pool: {over: mean}\n- linear: {out_features: 2}\n",
                      TRAIN, (struct clrnn_data_shape){0, true, 2, 0});
    v = values_of(m, "emb.weight", &count);
    assert_int_equal(count, rows * dim);
    for (size_t i = 0; i < count; i++) {
        sum += v[i];
        squares += v[i] * v[i];
        if (i / dim == 3)
            assert_true(v[i] == 0);
    }
    assert_true(fabs(sum / (double)count) < 5 / sqrt((double)count));
    assert_true(fabs(squares / (double)(count - dim) - 1) < 5 * sqrt(2.0 / (double)count));
    free(v);
    clrnn_model_destroy(&m);
}

// The same seed must give the same bits and another seed different ones. Every parameter must have its own numbers.
static void test_determinism(struct scratch *f)
{
    struct clrnn_data_shape shape = {7, false, 2, 0};
    const char *const layers = "- rnn: {name: rnn, hidden_size: 5}\n- pool: {over: last}\n"
                               "- linear: {name: fc, out_features: 2}\n";
    struct clrnn_model *m[3];
    double *v[3], *hh;
    size_t count;

    m[0] = fixture_model(f, layers, TRAIN, shape);
    m[1] = fixture_model(f, layers, TRAIN, shape);
    m[2] = fixture_model(f, layers, "loss: cross_entropy, seed: 6", shape);
    for (int i = 0; i < 3; i++)
        v[i] = values_of(m[i], "rnn.bias_ih_l0", &count);
    hh = values_of(m[0], "rnn.bias_hh_l0", &count);
    assert_memory_equal(v[0], v[1], count * sizeof(double));
    assert_memory_not_equal(v[0], v[2], count * sizeof(double));
    assert_memory_not_equal(v[0], hh, count * sizeof(double));
    for (int i = 0; i < 3; i++) {
        free(v[i]);
        clrnn_model_destroy(&m[i]);
    }
    free(hh);
}

static void expect(struct scratch *f, const char *layers, struct clrnn_data_shape shape, const char *want)
{
    const char *got = fixture_refusal(f, layers, "loss: cross_entropy", shape);

    if (!strstr(got, want))
        fail_msg("got: %s\nwant in it: %s", got, want);
}

static void test_refusals(struct scratch *f)
{
    const struct clrnn_data_shape real = {7, false, 2, 0}, tokens = {0, true, 2, 0};

    expect(f, "- linear: {out_features: 2}\n", tokens, "layers[0] (linear): X holds tokens (N, T)");
    expect(f, "- linear: {out_features: 1}\n", real,
           "layers[0] (linear): the last layer gives 1 outputs, but the labels reach class 1");
    expect(f, "- relu\n- dropout\n", real, "nothing to train");
}

// Errors that the parser finds in config files must also be found in configs made in code.
static void test_refusals_from_code(struct scratch *f)
{
    struct clrnn_data_shape shape = {7, false, 0, 0};
    struct clrnn_config *config;
    struct clrnn_model *model;
    struct clrnn_layer *layer;

    assert_int_equal(clrnn_config_create(&f->log, &config), CLRNN_OK);
    assert_int_equal(clrnn_model_create(f->device, config, &shape, &model), CLRNN_ERR_CONFIG);
    assert_non_null(strstr(f->error, "model.layers is empty"));

    layer = clrnn_config_add_layer(config, CLRNN_LAYER_LINEAR);
    assert_non_null(layer);
    layer->out_features = 0;
    assert_int_equal(clrnn_model_create(f->device, config, &shape, &model), CLRNN_ERR_CONFIG);
    assert_non_null(strstr(f->error, "layers[0] (linear): out_features is 0, expected 1 to"));
    config->layer[0].out_features = 2;

    layer = clrnn_config_add_layer(config, CLRNN_LAYER_POOL);
    assert_non_null(layer);
    layer->over = CLRNN_POOL_FINAL;
    assert_int_equal(clrnn_model_create(f->device, config, &shape, &model), CLRNN_ERR_CONFIG);
    assert_non_null(strstr(f->error, "layers[1] (pool): 'over: final'"));
    config->layer[1].over = CLRNN_POOL_LAST;

    layer = clrnn_config_add_layer(config, CLRNN_LAYER_GRU);
    assert_non_null(layer);
    layer->hidden_size = 3;
    // after the pool the GRU gets one step without a time axis, which is allowed
    assert_int_equal(clrnn_model_create(f->device, config, &shape, &model), CLRNN_OK);
    clrnn_model_destroy(&model);
    layer->proj_size = 2;
    assert_int_equal(clrnn_model_create(f->device, config, &shape, &model), CLRNN_ERR_CONFIG);
    assert_non_null(strstr(f->error, "model.layers.2.gru.proj_size: is 2, but only an lstm has a projection"));
    layer->proj_size = 0;
    layer->kind = CLRNN_LAYER_LINEAR;

    layer->out_features = 2;
    layer->name = strdup("0");
    assert_int_equal(clrnn_model_create(f->device, config, &shape, &model), CLRNN_ERR_CONFIG);
    assert_non_null(strstr(f->error, "model.layers.2.linear.name"));
    assert_null(model);
    clrnn_config_destroy(&config);
}

static void test_read_write(struct scratch *f)
{
    struct clrnn_data_shape shape = {3, false, 2, 0};
    const double written[2] = {0.25, -7}, count = 12, bad = -1;
    double read[2];
    struct clrnn_model *m;

    m = fixture_model(f, "- batchnorm: {name: norm}\n- linear: {name: fc, out_features: 2}\n", TRAIN, shape);
    assert_int_equal(clrnn_model_write(m, fixture_find(m, "fc.bias"), written), CLRNN_OK);
    assert_int_equal(clrnn_model_read(m, fixture_find(m, "fc.bias"), read), CLRNN_OK);
    assert_memory_equal(read, written, sizeof(read));
    assert_int_equal(clrnn_model_write(m, fixture_find(m, "norm.num_batches_tracked"), &count), CLRNN_OK);
    assert_int_equal(clrnn_model_read(m, fixture_find(m, "norm.num_batches_tracked"), read), CLRNN_OK);
    assert_true(read[0] == 12);
    assert_int_equal(clrnn_model_write(m, fixture_find(m, "norm.num_batches_tracked"), &bad), CLRNN_ERR_ARG);
    assert_int_equal(clrnn_model_read_grad(m, fixture_find(m, "norm.running_var"), read), CLRNN_ERR_ARG);
    assert_int_equal(clrnn_model_read(m, 99, read), CLRNN_ERR_ARG);
    clrnn_model_destroy(&m);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        SCRATCH_TEST(test_seed_names, "ref"),         SCRATCH_TEST(test_other_names, "ref"),
        SCRATCH_TEST(test_first_values, "ref"),       SCRATCH_TEST(test_embedding_values, "ref"),
        SCRATCH_TEST(test_determinism, "ref"),        SCRATCH_TEST(test_refusals, "ref"),
        SCRATCH_TEST(test_refusals_from_code, "ref"), SCRATCH_TEST(test_read_write, "ref"),
    };

    return cmocka_run_group_tests_name("table", tests, NULL, NULL);
}
