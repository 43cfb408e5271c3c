// SPDX-License-Identifier: MIT
// Layers residual and concat: reading, writing, names and refusals; and the gradient of the whole model compared with
// differences of its loss.
#include "fixture.h"

#include <math.h>
#include <stdlib.h>

#include "model/layer.h"
#include "model/nest.h"

#define NESTED \
    "- linear: {out_features: 4}\n" \
    "- concat:\n" \
    "    branches:\n" \
    "      - - residual: {name: skip, layers: [layernorm, lstm: {hidden_size: 4}]}\n" \
    "      - [gru: {hidden_size: 3, name: side}, silu]\n" \
    "      - []\n" \
    "- residual: {layers: [residual: {layers: [rnn: {hidden_size: 11}]}, groupnorm: {num_groups: 11}]}\n" \
    "- linear: {out_features: 2}\n"
#define TRAIN "loss: cross_entropy, seed: 3"

static void test_names(struct scratch *f)
{
    static const char *const names[] = {
        "0.weight",
        "1.0.skip.0.weight",
        "1.0.skip.1.weight_ih_l0",
        "1.1.side.bias_hh_l0",
        "2.0.0.weight_hh_l0",
        "2.1.weight",
        "3.bias",
    };
    struct clrnn_model *m;

    m = fixture_model(f, NESTED, TRAIN, (struct clrnn_data_shape){3, false, 2, 0});
    for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++)
        fixture_find(m, names[i]);
    assert_int_equal(clrnn_model_param_count(m), 2 + 2 + 4 + 4 + 4 + 2 + 2);
    clrnn_model_destroy(&m);
}

// The config's text must read back as the same text. The field `inner` of each layer must be the number of layers
// inside that layer.
static void test_round_trip(struct scratch *f)
{
    struct clrnn_config *config, *again;
    char *text, *second;

    config = fixture_config(f, NESTED, TRAIN);
    assert_int_equal(config->layer_count, 12);
    assert_int_equal(config->layer[1].inner, 5);
    assert_int_equal(config->layer[1].branches, 3);
    assert_int_equal(config->layer[5].branch, 1);
    assert_int_equal(clrnn_layer_parent(config, 4), 2);
    assert_int_equal(clrnn_layer_parent(config, 7), SIZE_MAX);
    assert_int_equal(clrnn_layer_before(config, 5), SIZE_MAX);
    assert_int_equal(clrnn_layer_place(config, 6), 1);
    assert_int_equal(clrnn_layers_width(config, 6, 3, 0), 3);
    assert_int_equal(clrnn_layers_width(config, 7, 3, 0), 11);
    assert_int_equal(clrnn_config_set(&f->log, config, "model.layers.1.concat.branches.1.0.gru.hidden_size=5"),
                     CLRNN_OK);
    assert_int_equal(config->layer[5].hidden_size, 5);
    text = clrnn_config_text(config);
    assert_int_equal(clrnn_config_parse(&f->log, text, ".", &again), CLRNN_OK);
    second = clrnn_config_text(again);
    assert_string_equal(text, second);
    free(text);
    free(second);
    clrnn_config_destroy(&config);
    clrnn_config_destroy(&again);
}

static void test_refusals(struct scratch *f)
{
    static const struct {
        const char *layers, *message;
    } wrong[] = {
        {"- residual: {layers: [linear: {out_features: 4}]}\n- linear: {out_features: 2}\n",
         "layers[0] (residual): its layers give 4 features, but x has 3: expected the same, for both are added"},
        {"- residual: {layers: [pool: {over: mean}]}\n- linear: {out_features: 2}\n",
         "layers[0] (residual): its layers take the time axis away"},
        {"- concat: {branches: [[pool: {over: mean}], []]}\n- linear: {out_features: 2}\n",
         "layers[0] (concat): some of its branches have a pool and others have time steps"},
        {"- linear: {out_features: 6}\n- groupnorm: {num_groups: 4}\n",
         "layers[1] (groupnorm): num_groups is 4, expected a divisor of the 6 features it reads"},
        {"- concat: {branches: [[conv1d: {out_channels: 2, kernel_size: 3}], [pool: {over: mean}]]}\n",
         "layers[0] (concat): some of its branches have a pool"},
        {"- pool: {over: mean}\n- residual: {layers: [pool: {over: mean}]}\n- linear: {out_features: 2}\n",
         "layers[1.0] (pool): its input is (N, C=3), for the pool at layers[0] took the time axis away"},
        {"- residual: {layers: [conv1d: {out_channels: 3, kernel_size: 2}]}\n",
         "layers[0] (residual): of a sequence of 6 steps it would join 6 and 5 steps"},
        {"- concat: {branches: [[gru: {hidden_size: 3}], [max_pool1d: {kernel_size: 2}]]}\n",
         "layers[0] (concat): of a sequence of 6 steps it would join 6 and 3 steps"},
    };

    for (size_t i = 0; i < sizeof(wrong) / sizeof(*wrong); i++) {
        const char *message;

        message = fixture_refusal(f, wrong[i].layers, TRAIN, (struct clrnn_data_shape){3, false, 2, 6});
        if (!strstr(message, wrong[i].message))
            fail_msg("said \"%s\", expected \"%s\"", message, wrong[i].message);
    }
}

// The branches of a concat must result in the same number of steps. For data without lengths, only the data's own
// number of steps matters. Here both branches make 3 steps of 6, so the model must be accepted.
static void test_steps_of_the_data(struct scratch *f)
{
    struct clrnn_batch batch;
    struct clrnn_model *m;

    m = fixture_model(f,
                      "- concat: {branches: [[conv1d: {out_channels: 2, kernel_size: 2, stride: 2}],\n"
                      "    [max_pool1d: {kernel_size: 3, stride: 2, padding: 1}]]}\n"
                      "- pool: {over: mean}\n- linear: {out_features: 2}\n",
                      TRAIN, (struct clrnn_data_shape){3, false, 2, 6});
    batch = fixture_batch(m, 3, 6, false, 7);
    assert_int_equal(clrnn_model_step(m, &batch, NULL), CLRNN_OK);
    fixture_batch_free(&batch);
    clrnn_model_destroy(&m);
}

static double loss_of(struct clrnn_model *m, const struct clrnn_batch *batch)
{
    struct clrnn_step_result result;

    assert_int_equal(clrnn_model_evaluate(m, batch, &result), CLRNN_OK);
    return result.loss;
}

// Compares the gradients with differences of the loss. The learning rate is 0, so that a step computes gradients but
// leaves the parameters as they are.
static void check_gradient(struct scratch *f, const char *layers, bool lengths)
{
    struct clrnn_batch batch;
    struct clrnn_model *m;

    m = fixture_model(f, layers, "loss: cross_entropy, optimizer: {sgd: {lr: 0}}, seed: 3",
                      (struct clrnn_data_shape){3, false, 2, 5});
    batch = fixture_batch(m, 3, 5, lengths, 7);
    assert_int_equal(clrnn_model_step(m, &batch, NULL), CLRNN_OK);
    for (size_t i = 0; i < clrnn_model_param_count(m); i++) {
        const struct clrnn_param *p = clrnn_model_param(m, i);
        double *value = malloc(p->count * sizeof(*value)), *grad = malloc(p->count * sizeof(*grad));

        assert_int_equal(clrnn_model_read(m, i, value), CLRNN_OK);
        assert_int_equal(clrnn_model_read_grad(m, i, grad), CLRNN_OK);
        for (size_t k = 0; k < p->count; k += 1 + p->count / 7) {
            const double kept = value[k], step = 1e-5;
            double want;

            value[k] = kept + step;
            assert_int_equal(clrnn_model_write(m, i, value), CLRNN_OK);
            want = loss_of(m, &batch);
            value[k] = kept - step;
            assert_int_equal(clrnn_model_write(m, i, value), CLRNN_OK);
            want = (want - loss_of(m, &batch)) / (2 * step);
            value[k] = kept;
            if (!(fabs(grad[k] - want) <= 1e-7))
                fail_msg("%s[%zu], lengths %d: the gradient is %.12g, differences say %.12g", p->name, k, lengths,
                         grad[k], want);
        }
        assert_int_equal(clrnn_model_write(m, i, value), CLRNN_OK);
        free(value);
        free(grad);
    }
    fixture_batch_free(&batch);
    clrnn_model_destroy(&m);
}

static void test_gradient(struct scratch *f)
{
    for (int lengths = 0; lengths < 2; lengths++) {
        check_gradient(f, NESTED, lengths);
        check_gradient(f, "- residual: {layers: [tanh]}\n- rnn: {hidden_size: 2}\n", lengths);
        check_gradient(f,
                       "- lstm: {hidden_size: 3}\n"
                       "- concat: {branches: [[pool: {over: max}], [gru: {hidden_size: 2}, pool: {over: final}]]}\n"
                       "- concat: {branches: [[], [linear: {out_features: 3}], []]}\n"
                       "- residual: {layers: [linear: {out_features: 13}]}\n"
                       "- linear: {out_features: 2}\n",
                       lengths);
    }
}

// Windows over time change the steps and lengths of the layers after them.
static void test_windows(struct scratch *f)
{
    for (int lengths = 0; lengths < 2; lengths++) {
        check_gradient(f,
                       "- conv1d: {out_channels: 3, kernel_size: 3, stride: 2, padding: 2, dilation: 2}\n"
                       "- tanh\n- gru: {hidden_size: 3}\n- attention_pool: {attention_size: 4}\n"
                       "- linear: {out_features: 2}\n",
                       lengths);
        check_gradient(f,
                       "- conv1d: {out_channels: 4, kernel_size: 4, padding: same, bias: false}\n"
                       "- max_pool1d: {kernel_size: 2, padding: 1}\n"
                       "- avg_pool1d: {kernel_size: 3, stride: 2, padding: 1, count_include_pad: false}\n"
                       "- lstm: {hidden_size: 3, bidirectional: true}\n- linear: {out_features: 2}\n",
                       lengths);
        check_gradient(f,
                       "- concat: {branches: [[conv1d: {out_channels: 2, kernel_size: 3, padding: 1}],\n"
                       "    [avg_pool1d: {kernel_size: 3, stride: 1, padding: 1}], []]}\n"
                       "- residual: {layers: [conv1d: {out_channels: 8, kernel_size: 2, padding: same}]}\n"
                       "- rnn: {hidden_size: 3}\n- pool: {over: mean}\n- linear: {out_features: 2}\n",
                       lengths);
    }
    check_gradient(f, "- conv1d: {out_channels: 3, kernel_size: 2}\n- flatten\n- linear: {out_features: 2}\n", false);
}

int main(void)
{
    const struct CMUnitTest tests[] = {SCRATCH_TEST(test_names, "ref"),    SCRATCH_TEST(test_round_trip, "ref"),
                                       SCRATCH_TEST(test_refusals, "ref"), SCRATCH_TEST(test_steps_of_the_data, "ref"),
                                       SCRATCH_TEST(test_gradient, "ref"), SCRATCH_TEST(test_windows, "ref")};

    return cmocka_run_group_tests_name("model/nest", tests, NULL, NULL);
}
