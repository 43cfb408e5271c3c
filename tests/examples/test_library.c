// SPDX-License-Identifier: MIT
// What a program can do through the public headers alone: configs in code, batches of its own, training,
// saving, evaluation, files; and how mistakes are reported.
#include <clrnn.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { N = 12, T = 5, C = 3, CLASSES = 3 };

struct fixture {
    struct clrnn_log log;
    unsigned errors, warnings;
    char last[1024]; // error or warning
    char folder[64];
    struct clrnn_device *device;
    float x[N * T * C], targets[N * T];
    int32_t tokens[N * T], lengths[N], classes[N * T];
};

static void keep(void *user, enum clrnn_log_level level, const char *line)
{
    struct fixture *f = user;

    f->errors += level == CLRNN_LOG_ERROR;
    f->warnings += level == CLRNN_LOG_WARNING;
    if (level <= CLRNN_LOG_WARNING)
        snprintf(f->last, sizeof(f->last), "%s", line);
}

static int set_up(void **state)
{
    struct fixture *f = calloc(1, sizeof(*f));
    struct clrnn_device_params params = {0};

    assert_non_null(f);
    f->log = (struct clrnn_log){keep, f, CLRNN_LOG_INFO};
    params.log = &f->log;
    strcpy(f->folder, "/tmp/clrnn-library-XXXXXX");
    assert_non_null(mkdtemp(f->folder));
    if (clrnn_device_open(&params, &f->device) != CLRNN_OK) { // no OpenCL here: ref always is
        params.select = "ref";
        assert_int_equal(clrnn_device_open(&params, &f->device), CLRNN_OK);
    }
    f->errors = 0;
    srand(3);
    for (int i = 0; i < N * T * C; i++)
        f->x[i] = (float)rand() / (float)RAND_MAX - 0.5f;
    for (int i = 0; i < N * T; i++) {
        f->tokens[i] = rand() % 7;
        f->classes[i] = rand() % CLASSES;
        f->targets[i] = (float)(rand() % 2);
    }
    for (int n = 0; n < N; n++)
        f->lengths[n] = 1 + rand() % T;
    *state = f;
    return 0;
}

static int tear_down(void **state)
{
    struct fixture *f = *state;
    char command[128];

    clrnn_device_destroy(&f->device);
    clrnn_device_destroy(&f->device);
    snprintf(command, sizeof(command), "rm -r %s", f->folder);
    assert_int_equal(system(command), 0);
    free(f);
    return 0;
}

// Layers and a loss on top of the defaults.
static struct clrnn_config *make_config(struct fixture *f, const char *layers, const char *train)
{
    struct clrnn_config *config = NULL;
    char text[1024];

    snprintf(text, sizeof(text), "{model: {layers: [%s]}, train: {%s}}", layers, train);
    if (clrnn_config_parse(&f->log, text, NULL, &config) != CLRNN_OK)
        fail_msg("%s", f->last);
    return config;
}

static struct clrnn_model *make_model(struct fixture *f, const char *layers, const char *train, bool tokens)
{
    const struct clrnn_data_shape shape = {.features = tokens ? 0 : C, .tokens = tokens};
    struct clrnn_config *config = make_config(f, layers, train);
    struct clrnn_model *model = NULL;

    if (clrnn_model_create(f->device, config, &shape, &model) != CLRNN_OK)
        fail_msg("%s", f->last);
    clrnn_config_destroy(&config); // the model has its own
    return model;
}

static struct clrnn_batch all_of(const struct fixture *f)
{
    return (struct clrnn_batch){.N = N,
                                .T = T,
                                .x = f->x,
                                .tokens = f->tokens,
                                .lengths = f->lengths,
                                .classes = f->classes,
                                .targets = f->targets};
}

static bool near(double a, double b, double tolerance)
{
    const double off = a > b ? a - b : b - a, size = b > 0 ? b : -b;

    return off <= tolerance * (size > 1 ? size : 1);
}

#define assert_ok(call) assert_int_equal(call, CLRNN_OK)

// A call that must fail with this status and one sentence that holds `word`.
#define assert_refused(f, call, status, word) \
    do { \
        (f)->errors = 0; \
        assert_int_equal(call, status); \
        assert_int_equal((f)->errors, 1); \
        if (!strstr((f)->last, word)) \
            fail_msg("\"%s\" is not in: %s", word, (f)->last); \
    } while (0)

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
    assert_refused(f, clrnn_config_set(&f->log, config, "train.optimizer.sgd.lrr=1"), CLRNN_ERR_CONFIG,
                   "lrr");
    assert_true(config->train.optimizer.lr == 0.5); // as it was

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

// Fields out of range, set in code, are refused where they are used.
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
    config->train.loss.kind = CLRNN_LOSS_MSE; // three outputs
    assert_refused(f, clrnn_model_create(f->device, config, &shape, &model), CLRNN_ERR_CONFIG, "mse");
    clrnn_config_destroy(&config);
    assert_ok(clrnn_config_create(&f->log, &config)); // no layers
    assert_refused(f, clrnn_model_create(f->device, config, &shape, &model), CLRNN_ERR_CONFIG, "layer");
    clrnn_config_destroy(&config);
}

// ---------------------------------------------------------------- batches

// Steps lower the loss of a batch that comes again and again, whatever goes in and out.
static void learns(struct fixture *f, const char *layers, const char *train, bool tokens)
{
    struct clrnn_model *model = make_model(f, layers, train, tokens);
    struct clrnn_batch batch = all_of(f);
    struct clrnn_step_result first, step = {0}, before, after;

    assert_ok(clrnn_model_evaluate(model, &batch, &before));
    assert_int_equal(clrnn_model_steps(model), 0);
    assert_ok(clrnn_model_step(model, &batch, &first));
    assert_true(near(first.loss, before.loss, 1e-5)); // no dropout here: both modes agree before the update
    assert_true(first.grad_norm > 0 && first.lr > 0);
    for (int i = 0; i < 60; i++)
        assert_ok(clrnn_model_step(model, &batch, i == 59 ? &step : NULL));
    assert_int_equal(clrnn_model_steps(model), 61);
    assert_ok(clrnn_model_evaluate(model, &batch, &after));
    assert_true(step.loss < 0.9 * first.loss);
    assert_true(after.loss < 0.9 * before.loss);
    assert_true(after.grad_norm != after.grad_norm && after.lr != after.lr); // NaN
    clrnn_model_destroy(&model);
    clrnn_model_destroy(&model);
}

static void test_kinds_of_batches(void **state)
{
    struct fixture *f = *state;

    learns(
        f,
        "{lstm: {hidden_size: 9, bidirectional: true}}, {pool: {over: final}}, {linear: {out_features: 3}}",
        "optimizer: {adam: {lr: 0.02}}", false);
    learns(f, "{gru: {hidden_size: 9}}, {linear: {out_features: 3}}, log_softmax",
           "loss: nll, optimizer: {adam: {lr: 0.02}}", false);
    learns(
        f,
        "{embedding: {num_embeddings: 7, embedding_dim: 5}}, {rnn: {hidden_size: 9}}, {pool: {over: mean}}, "
        "{linear: {out_features: 1}}",
        "loss: bce_with_logits, optimizer: {rmsprop: {lr: 0.01}}", true);
    learns(f, "{rnn: {hidden_size: 9}}, {linear: {out_features: 1}}",
           "loss: mse, optimizer: {sgd: {lr: 0.1}}", false);
}

// Padding may hold anything; a shorter T without it says the same.
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
        // two steps an epoch
        {"optimizer: {sgd: {lr: 0.1}}, scheduler: {step_lr: {step_size: 1, gamma: 0.5}}",
         {0.1, 0.1, 0.05, 0.05}},
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
                fail_msg("%s: step %d used lr %.17g, expected %.17g", cases[i].train, s + 1, step.lr,
                         cases[i].lr[s]);
            if (s % 2)
                assert_ok(clrnn_model_end_epoch(model, 1.0 - s)); // ever better: no plateau
        }
        if (i == 2) // one cycle: its end
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
    struct clrnn_config *config =
        make_config(f, "{rnn: {hidden_size: 4}}, {linear: {out_features: 3}}", "seed: 4");
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

// ---------------------------------------------------------------- parameters and files

static void test_parameters(void **state)
{
    struct fixture *f = *state;
    struct clrnn_model *model = make_model(f,
                                           "{rnn: {name: rnn, hidden_size: 4}}, {batchnorm: {name: norm}}, "
                                           "{linear: {name: head, out_features: 3}}",
                                           "", false);
    const struct clrnn_batch batch = all_of(f);
    uint64_t trained = 0;
    double values[64], back[64];

    assert_int_equal(clrnn_model_param_count(model), 4 + 5 + 2);
    assert_string_equal(clrnn_model_param(model, 0)->name, "rnn.weight_ih_l0");
    assert_null(clrnn_model_param(model, 11));
    assert_ok(clrnn_model_step(model, &batch, NULL));
    for (size_t i = 0; i < clrnn_model_param_count(model); i++) {
        const struct clrnn_param *p = clrnn_model_param(model, i);

        trained += p->trained ? p->count : 0;
        assert_ok(clrnn_model_read(model, i, values));
        if (p->integer)
            assert_true(values[0] == 1);
        if (p->trained)
            assert_ok(clrnn_model_read_grad(model, i, back));
        else
            assert_refused(f, clrnn_model_read_grad(model, i, back), CLRNN_ERR_ARG, p->name);
        for (size_t k = 0; k < p->count; k++)
            values[k] = (double)k + 1;
        assert_ok(clrnn_model_write(model, i, values));
        assert_ok(clrnn_model_read(model, i, back));
        assert_memory_equal(values, back, p->count * sizeof(*values));
    }
    assert_int_equal(trained, clrnn_model_size(model));
    assert_refused(f, clrnn_model_read(model, 11, values), CLRNN_ERR_ARG, "11");
    clrnn_model_destroy(&model);
}

// Bit for bit; `single`: as float32, which is what an exported file holds.
static void same_parameters(struct clrnn_model *a, struct clrnn_model *b, bool single)
{
    double x[256], y[256];

    assert_int_equal(clrnn_model_param_count(a), clrnn_model_param_count(b));
    for (size_t i = 0; i < clrnn_model_param_count(a); i++) {
        const size_t count = clrnn_model_param(a, i)->count;

        assert_true(count <= 256);
        assert_ok(clrnn_model_read(a, i, x));
        assert_ok(clrnn_model_read(b, i, y));
        for (size_t k = 0; single && k < count; k++)
            x[k] = (float)x[k];
        if (memcmp(x, y, count * sizeof(*x)))
            fail_msg("%s differs", clrnn_model_param(a, i)->name);
    }
}

// Saved in the middle, opened, gone on with: the bits of training without a break. Dropout and order of steps
// count, too.
static void test_saved(void **state)
{
    static const char layers[] =
        "{lstm: {hidden_size: 5, num_layers: 2, dropout: 0.4}}, batchnorm, {dropout: {p: 0.3}}, "
        "{pool: {over: max}}, {linear: {out_features: 3}}";
    static const char train[] = "seed: 9, clip_grad_norm: 0.5, optimizer: {adam: {lr: 0.01, amsgrad: true}}, "
                                "scheduler: {exponential_lr: {gamma: 0.9, interval: batch}}";
    struct fixture *f = *state;
    struct clrnn_model *whole = make_model(f, layers, train, false),
                       *half = make_model(f, layers, train, false);
    struct clrnn_model *fresh = make_model(f, layers, train, false);
    const struct clrnn_batch batch = all_of(f);
    char path[128];

    for (int i = 0; i < 6; i++)
        assert_ok(clrnn_model_step(whole, &batch, NULL));
    for (int i = 0; i < 3; i++)
        assert_ok(clrnn_model_step(half, &batch, NULL));
    snprintf(path, sizeof(path), "%s/model.safetensors", f->folder);
    assert_ok(clrnn_model_save(half, path));
    clrnn_model_destroy(&half);
    assert_ok(clrnn_model_open(f->device, path, &half));
    assert_int_equal(clrnn_model_steps(half), 3);
    for (int i = 0; i < 3; i++)
        assert_ok(clrnn_model_step(half, &batch, NULL));
    same_parameters(whole, half, false);

    snprintf(path, sizeof(path), "%s/plain.safetensors", f->folder);
    assert_ok(clrnn_model_export(whole, path));
    assert_ok(clrnn_model_init(fresh, path, false));
    same_parameters(whole, fresh, true);
    clrnn_model_destroy(&fresh);
    assert_refused(f, clrnn_model_open(f->device, path, &fresh), CLRNN_ERR_DATA, "--init");
    assert_null(fresh);
    assert_refused(f, clrnn_model_init(whole, "/nonexistent", false), CLRNN_ERR_DATA, "nonexistent");
    clrnn_model_destroy(&whole);
    clrnn_model_destroy(&half);
}

// ---------------------------------------------------------------- whole runs

struct seen {
    unsigned batches, epochs;
    double valid_loss;
};

static void see(void *user, const struct clrnn_progress *p)
{
    struct seen *s = user;

    s->batches += !p->epoch_end;
    s->epochs += p->epoch_end;
    if (p->epoch_end)
        s->valid_loss = p->valid_loss;
}

static void test_run(void **state)
{
    struct fixture *f = *state;
    struct clrnn_config *config = make_config(f,
                                              "{rnn: {hidden_size: 4}}, {pool: {over: last}}, "
                                              "{linear: {out_features: 2}}",
                                              "epochs: 2, batch_size: 8");
    struct clrnn_train_params params = {.config = config, .progress = see};
    struct clrnn_train_result result;
    struct clrnn_eval_result figures;
    struct clrnn_model *model;
    struct seen seen = {0};
    char path[128], *plan;

    assert_refused(f, clrnn_train(f->device, &params, &result), CLRNN_ERR_CONFIG, "data.train");
    assert_ok(
        clrnn_config_set(&f->log, config, "data.train={synthetic: {samples: 30, steps: 4, features: 3}}"));
    assert_ok(clrnn_config_set(&f->log, config,
                               "data.valid={synthetic: {samples: 10, steps: 4, features: 3, seed: 5}}"));
    for (int json = 0; json < 2; json++) {
        assert_ok(clrnn_plan_text(f->device, config, false, json, &plan));
        assert_non_null(strstr(plan, json ? "\"rnn_bwd\"" : "rnn_bwd "));
        free(plan);
        assert_ok(clrnn_plan_text(f->device, config, true, json, &plan));
        assert_null(strstr(plan, "rnn_bwd"));
        free(plan);
    }
    snprintf(path, sizeof(path), "%s/run", f->folder);
    params.out = path;
    params.progress_user = &seen;
    assert_ok(clrnn_train(f->device, &params, &result));
    assert_string_equal(result.folder, path);
    assert_int_equal(result.epochs, 2);
    assert_int_equal(result.steps, 8);
    assert_int_equal(seen.epochs, 2);
    assert_true(seen.batches > 0 && seen.valid_loss == result.valid_loss);

    assert_ok(clrnn_model_open(f->device, path, &model));
    assert_ok(clrnn_eval(model, &config->data.valid, &figures));
    assert_true(near(figures.loss, result.valid_loss, 1e-6));
    assert_int_equal(figures.samples, 10);
    assert_int_equal(figures.classes, 2);
    assert_int_equal(
        figures.confusion[0] + figures.confusion[1] + figures.confusion[2] + figures.confusion[3], 10);
    clrnn_eval_finish(&figures);
    clrnn_eval_finish(&figures);
    snprintf(path, sizeof(path), "%s/p.csv", f->folder);
    assert_ok(clrnn_predict(model, &config->data.valid, CLRNN_PREDICT_PROBS, path));
    assert_refused(f, clrnn_predict(model, &config->data.valid, CLRNN_PREDICT_PROBS, "p.txt"), CLRNN_ERR_ARG,
                   "p.txt");
    clrnn_model_destroy(&model);

    params.resume = result.folder; // a run goes on with two more epochs
    params.out = NULL;
    assert_ok(clrnn_config_set(&f->log, config, "train.epochs=4"));
    params.config = config;
    assert_ok(clrnn_train(f->device, &params, &result));
    assert_int_equal(result.epochs, 4);
    assert_int_equal(result.steps, 16);
    clrnn_config_destroy(&config);
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
        cmocka_unit_test_setup_teardown(test_parameters, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_saved, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_run, set_up, tear_down),
        cmocka_unit_test(test_words),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
