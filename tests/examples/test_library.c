// SPDX-License-Identifier: MIT
// What a program can do with the public headers alone: make configs in code, train on its own batches, use schedules;
// and how mistakes are reported.
#include "library.h"

// ---------------------------------------------------------------- configs

static void test_config(void **state)
{
    struct fixture *f = *state;
    struct clrnn_config *config, *copy;
    struct clrnn_layer *layer;
    char *text, *again;

    assert_ok(clrnn_config_create(&f->log, &config));
    layer = clrnn_config_add_layer(config, CLRNN_LAYER_GRU);
    assert_non_null(layer);
    assert_true(layer->bias && layer->num_layers == 1 && !layer->bidirectional);
    layer->hidden_size = 8;
    layer = clrnn_config_add_layer(config, CLRNN_LAYER_LINEAR);
    assert_non_null(layer);
    layer->out_features = 2;
    assert_null(clrnn_config_add_layer(config, CLRNN_LAYER_KINDS));
    assert_ok(clrnn_config_set(&f->log, config, "model.layers.1.linear.name=head"));
    assert_ok(clrnn_config_set(&f->log, config, "train.optimizer={sgd: {lr: 0.5, momentum: 0.9}}"));
    assert_ok(clrnn_config_set(&f->log, config, "data.train={x: X.npy, y: y.npy}"));
    assert_string_equal(config->layer[1].name, "head");
    assert_int_equal(config->layer[0].hidden_size, 8);
    assert_int_equal(config->train.optimizer.kind, CLRNN_OPTIMIZER_SGD);
    assert_true(config->train.optimizer.lr == 0.5 && config->data.train.there);
    assert_string_equal(config->data.train.x, "X.npy");
    assert_refused(f, clrnn_config_set(&f->log, config, "train.optimizer.sgd.lrr=1"), CLRNN_ERR_CONFIG, "lrr");
    assert_true(config->train.optimizer.lr == 0.5); // unchanged by the refused assignment

    text = clrnn_config_text(config);
    assert_ok(clrnn_config_copy(&f->log, config, &copy));
    again = clrnn_config_text(copy);
    assert_non_null(text);
    assert_string_equal(text, again);
    clrnn_config_destroy(&copy);
    assert_ok(clrnn_config_parse(&f->log, text, NULL, &copy));
    free(again);
    again = clrnn_config_text(copy);
    assert_string_equal(text, again);
    free(again);
    free(text);
    clrnn_config_destroy(&copy);
    clrnn_config_destroy(&config);
    clrnn_config_destroy(&config);
    assert_refused(f, clrnn_config_read(&f->log, "/nonexistent.yaml", 0, NULL, &config), CLRNN_ERR_CONFIG,
                   "nonexistent");
    assert_null(config);
}

// Fields that code has set out of range must be refused when the config is used.
static void test_config_checked(void **state)
{
    struct fixture *f = *state;
    const struct clrnn_data_shape shape = {.features = C};
    struct clrnn_config *config = make_config(f, "{lstm: {hidden_size: 4}}, {linear: {out_features: 3}}", "");
    struct clrnn_model *model;

    config->layer[0].hidden_size = 0;
    assert_refused(f, clrnn_model_create(f->device, config, &shape, &model), CLRNN_ERR_CONFIG, "hidden_size");
    assert_null(model);
    config->layer[0].hidden_size = 4;
    config->layer[0].dropout = 1.5;
    assert_refused(f, clrnn_model_create(f->device, config, &shape, &model), CLRNN_ERR_CONFIG, "1.5");
    config->layer[0].dropout = 0;
    config->train.loss.label_smoothing = 1.5;
    assert_refused(f, clrnn_model_create(f->device, config, &shape, &model), CLRNN_ERR_CONFIG, "label_smoothing");
    clrnn_config_destroy(&config);
    assert_ok(clrnn_config_create(&f->log, &config)); // no layers
    assert_refused(f, clrnn_model_create(f->device, config, &shape, &model), CLRNN_ERR_CONFIG, "layer");
    clrnn_config_destroy(&config);
}

// ---------------------------------------------------------------- batches

// Repeated steps on one batch must lower its loss.
static void learns(struct fixture *f, const char *layers, const char *train, bool tokens)
{
    struct clrnn_model *model = make_model(f, layers, train, tokens);
    struct clrnn_batch batch = all_of(f);
    struct clrnn_step_result first, step = {0}, before, after;

    assert_ok(clrnn_model_evaluate(model, &batch, &before));
    assert_int_equal(clrnn_model_steps(model), 0);
    assert_ok(clrnn_model_step(model, &batch, &first));
    // without dropout, step and evaluate give the same loss before the update
    assert_true(near(first.loss, before.loss, 1e-5));
    assert_true(first.grad_norm > 0 && first.lr > 0);
    for (int i = 0; i < 60; i++)
        assert_ok(clrnn_model_step(model, &batch, i == 59 ? &step : NULL));
    assert_int_equal(clrnn_model_steps(model), 61);
    assert_ok(clrnn_model_evaluate(model, &batch, &after));
    assert_true(step.loss < 0.9 * first.loss);
    assert_true(after.loss < 0.9 * before.loss);
    // grad_norm and lr must be NaN: evaluate computes no gradient and makes no step
    assert_true(after.grad_norm != after.grad_norm && after.lr != after.lr);
    clrnn_model_destroy(&model);
    clrnn_model_destroy(&model);
}

static void test_kinds_of_batches(void **state)
{
    struct fixture *f = *state;

    learns(f, "{lstm: {hidden_size: 9, bidirectional: true}}, {pool: {over: final}}, {linear: {out_features: 3}}",
           "optimizer: {adam: {lr: 0.02}}", false);
    learns(f, "{gru: {hidden_size: 9}}, {linear: {out_features: 3}}, log_softmax",
           "loss: nll, optimizer: {adam: {lr: 0.02}}", false);
    learns(f,
           "{embedding: {num_embeddings: 7, embedding_dim: 5}}, {rnn: {hidden_size: 9}}, {pool: {over: mean}}, "
           "{linear: {out_features: 1}}",
           "loss: bce_with_logits, optimizer: {rmsprop: {lr: 0.01}}", true);
    learns(f, "{rnn: {hidden_size: 9}}, {linear: {out_features: 1}}", "loss: mse, optimizer: {sgd: {lr: 0.1}}", false);
}

// The values of padding must not change any prediction; predictions at padding are 0. A row alone, without its padding,
// must have the same predictions as in the batch.
static void test_predictions(void **state)
{
    struct fixture *f = *state;
    struct clrnn_model *model = make_model(f,
                                           "{gru: {hidden_size: 6, bidirectional: true}}, "
                                           "{linear: {out_features: 3}}",
                                           "", false);
    struct clrnn_batch batch = all_of(f), one = {.N = 1, .x = f->x};
    float out[N * T * CLASSES], again[N * T * CLASSES];

    assert_int_equal(clrnn_model_outputs(model), CLASSES);
    assert_true(clrnn_model_per_step(model));
    batch.classes = NULL;
    assert_ok(clrnn_model_predict(model, &batch, out));
    for (int n = 0; n < N; n++)
        for (int t = f->lengths[n]; t < T; t++)
            for (int c = 0; c < C; c++)
                f->x[(n * T + t) * C + c] = 1e30f * (float)(c - 1);
    assert_ok(clrnn_model_predict(model, &batch, again));
    assert_memory_equal(out, again, sizeof(out));
    for (int n = 0; n < N; n++)
        for (int t = f->lengths[n]; t < T; t++)
            for (int k = 0; k < CLASSES; k++)
                assert_true(out[(n * T + t) * CLASSES + k] == 0);
    one.T = (uint32_t)f->lengths[0];
    assert_ok(clrnn_model_predict(model, &one, again));
    for (int i = 0; i < f->lengths[0] * CLASSES; i++)
        assert_true(near(again[i], out[i], 1e-5));
    clrnn_model_destroy(&model);
}

static void test_bad_batches(void **state)
{
    struct fixture *f = *state;
    struct clrnn_model *model = make_model(f,
                                           "{rnn: {hidden_size: 4}}, {pool: {over: last}}, "
                                           "{linear: {out_features: 3}}",
                                           "", false);
    struct clrnn_batch good = all_of(f), bad;
    struct clrnn_step_result result;

    bad = good, bad.N = 0;
    assert_refused(f, clrnn_model_step(model, &bad, NULL), CLRNN_ERR_ARG, "N=0");
    bad = good, bad.x = NULL;
    assert_refused(f, clrnn_model_step(model, &bad, NULL), CLRNN_ERR_ARG, "x");
    bad = good, bad.classes = NULL;
    assert_refused(f, clrnn_model_evaluate(model, &bad, &result), CLRNN_ERR_ARG, "classes");
    f->classes[4] = CLASSES;
    assert_refused(f, clrnn_model_step(model, &good, NULL), CLRNN_ERR_ARG, "sample 4");
    f->classes[4] = 0;
    f->lengths[3] = T + 1;
    assert_refused(f, clrnn_model_step(model, &good, NULL), CLRNN_ERR_ARG, "sample 3");
    f->lengths[3] = T;
    assert_ok(clrnn_model_step(model, &good, NULL));
    clrnn_model_destroy(&model);
}

// ---------------------------------------------------------------- schedules, normalising

static void test_schedules(void **state)
{
    static const struct {
        const char *train;
        double lr[4];
    } cases[] = {
        // the lr of four steps, two in each epoch
        {"optimizer: {sgd: {lr: 0.1}}, scheduler: {step_lr: {step_size: 1, gamma: 0.5}}", {0.1, 0.1, 0.05, 0.05}},
        {"optimizer: {sgd: {lr: 0.1}}, scheduler: {step_lr: {step_size: 1, gamma: 0.5, interval: batch}}",
         {0.1, 0.05, 0.025, 0.0125}},
        {"optimizer: {sgd: {lr: 1}}, epochs: 2, scheduler: {one_cycle_lr: {max_lr: 0.4, pct_start: 0.5, "
         "anneal_strategy: linear, interval: batch}}",
         {0.016, 0.4, 0.2000008, 1.6e-6}},
        {"optimizer: {sgd: {lr: 0.1}}, scheduler: {reduce_lr_on_plateau: {patience: 0, factor: 0.1}}",
         {0.1, 0.1, 0.1, 0.1}},
    };
    struct fixture *f = *state;
    const struct clrnn_batch batch = all_of(f);

    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        struct clrnn_model *model =
            make_model(f, "{pool: {over: mean}}, {linear: {out_features: 3}}", cases[i].train, false);
        struct clrnn_step_result step;

        clrnn_model_start_schedule(model, 2);
        for (int s = 0; s < 4; s++) {
            assert_ok(clrnn_model_step(model, &batch, &step));
            if (!near(step.lr, cases[i].lr[s], 1e-9))
                fail_msg("%s: step %d used lr %.17g, expected %.17g", cases[i].train, s + 1, step.lr, cases[i].lr[s]);
            if (s % 2)
                // the metric improves every time: no plateau
                assert_ok(clrnn_model_end_epoch(model, 1.0 - s));
        }
        if (i == 2) // one_cycle_lr has come to its end
            assert_refused(f, clrnn_model_step(model, &batch, NULL), CLRNN_ERR_CONFIG, "total_steps");
        if (i == 3) {
            assert_ok(clrnn_model_end_epoch(model, 5.0));
            assert_ok(clrnn_model_step(model, &batch, &step));
            assert_true(near(step.lr, 0.01, 1e-12));
        }
        clrnn_model_destroy(&model);
    }
}

static void test_normalization(void **state)
{
    struct fixture *f = *state;
    const struct clrnn_data_shape shape = {.features = C};
    const double mean[C] = {1, -2, 0.5}, std[C] = {2, 0.25, 1};
    struct clrnn_config *config = make_config(f, "{rnn: {hidden_size: 4}}, {linear: {out_features: 3}}", "seed: 4");
    struct clrnn_model *plain, *normal;
    struct clrnn_batch batch = all_of(f);
    float out[N * T * CLASSES], want[N * T * CLASSES], scaled[N * T * C];
    char path[128];

    assert_ok(clrnn_model_create(f->device, config, &shape, &plain));
    assert_ok(clrnn_config_set(&f->log, config, "data.normalize=standard"));
    assert_ok(clrnn_model_create(f->device, config, &shape, &normal));
    clrnn_config_destroy(&config);
    assert_refused(f, clrnn_model_predict(normal, &batch, out), CLRNN_ERR_DATA, "input.mean");
    assert_ok(clrnn_model_set_normalization(normal, mean, std));
    assert_ok(clrnn_model_predict(normal, &batch, out));
    for (int i = 0; i < N * T * C; i++)
        scaled[i] = (float)((f->x[i] - mean[i % C]) / std[i % C]);
    batch.x = scaled;
    assert_ok(clrnn_model_predict(plain, &batch, want));
    for (int i = 0; i < N * T * CLASSES; i++)
        assert_true(near(out[i], want[i], 1e-5));
    snprintf(path, sizeof(path), "%s/normal.safetensors", f->folder);
    assert_ok(clrnn_model_save(normal, path));
    clrnn_model_destroy(&normal);
    assert_ok(clrnn_model_open(f->device, path, &normal));
    batch.x = f->x;
    assert_ok(clrnn_model_predict(normal, &batch, want));
    assert_memory_equal(out, want, sizeof(out));
    clrnn_model_destroy(&normal);
    clrnn_model_destroy(&plain);
}

static void test_words(void **state)
{
    (void)state;
    assert_string_equal(clrnn_layer_word(CLRNN_LAYER_LSTM), "lstm");
    assert_string_equal(clrnn_loss_word(CLRNN_LOSS_BCE_WITH_LOGITS), "bce_with_logits");
    assert_string_equal(clrnn_optimizer_word(CLRNN_OPTIMIZER_ADAMW), "adamw");
    assert_string_equal(clrnn_scheduler_word(CLRNN_SCHEDULER_REDUCE_LR_ON_PLATEAU), "reduce_lr_on_plateau");
    assert_null(clrnn_scheduler_word(CLRNN_SCHEDULER_NONE));
    assert_int_equal(clrnn_status_exit(CLRNN_ERR_DATA), 3);
    assert_non_null(clrnn_status_text(CLRNN_ERR_DATA));
    assert_int_equal(strspn(clrnn_version(), "0123456789."), strlen(clrnn_version()));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_config, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_config_checked, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_kinds_of_batches, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_predictions, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_bad_batches, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_schedules, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_normalization, set_up, tear_down),
        cmocka_unit_test(test_words),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
