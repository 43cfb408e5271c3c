// SPDX-License-Identifier: MIT
// Tests overfitting one batch: which models can overfit it, which cannot and why, the lower bound of each loss, and
// that the batch is the first batch of training.
#include <math.h>

#include "base/array.h"
#include "clrnn/diagnose.h"
#include "diagnose/floor.h"
#include "train/session.h"
#include "tests/model/scratch.h"

// ---------------------------------------------------------------- helpers

static struct clrnn_config *make_config(struct scratch *s, const char *layers, const char *train)
{
    char text[2048];

    snprintf(text, sizeof(text),
             "model: {layers: [%s]}\ntrain: {%s, batch_size: 16}\n"
             "data: {train: {x: X_train.npy, y: y_train.npy}}\n",
             layers, train);
    return scratch_config(s, text);
}

static struct clrnn_overfit_result run(struct scratch *s, const char *layers, const char *train,
                                       struct clrnn_overfit_params params)
{
    struct clrnn_config *config = make_config(s, layers, train);
    struct clrnn_overfit_result r;
    const enum clrnn_status st = clrnn_overfit(s->device, config, &params, &r);

    clrnn_config_destroy(&config);
    if (st != CLRNN_OK)
        fail_msg("[%s] {%s}: status %d: %s", layers, train, st, s->error);
    assert_int_equal(r.curve_count, r.steps);
    if (r.steps) {
        double lowest = INFINITY;

        for (size_t i = 0; i < r.curve_count; i++)
            lowest = fmin(lowest, r.curve[i]);
        assert_true(r.lowest_loss == lowest || !isfinite(lowest));
        assert_true(r.curve[0] == r.first_loss);
    }
    return r;
}

static void make_data(struct scratch *s)
{
    scratch_problem(s, "train", 48, 4, 6, 2, false, 3);
}

#define NET "rnn: {hidden_size: 12, num_layers: 2, bidirectional: true}"
#define BODY "{" NET "}, {batchnorm: {}}, {pool: {over: last}}, {dropout: {p: 0.3}}, {linear: {out_features: 2}}"
#define TRAIN "loss: cross_entropy, optimizer: {adam: {lr: 0.005}}, seed: 1"

// ---------------------------------------------------------------- what learns and what does not

static void learns(struct scratch *s)
{
    struct clrnn_overfit_result a, b;

    make_data(s);
    a = run(s, BODY, TRAIN, (struct clrnn_overfit_params){0});
    assert_true(a.reached && a.last_loss < 0.01 && a.target == 0.01);
    assert_int_equal(a.samples, 16);
    assert_int_equal(a.classes, 2);
    assert_true(a.floor == 0 && !a.floor_reason && !a.cannot && !a.ended);
    assert_true(a.grad_norm_first > 0);
    assert_true(a.accuracy == 1);
    b = run(s, BODY, TRAIN, (struct clrnn_overfit_params){0});
    assert_int_equal(a.steps, b.steps);
    assert_memory_equal(a.curve, b.curve, a.steps * sizeof(*a.curve)); // a second run must give the same bits
    clrnn_overfit_finish(&b);

    b = run(s, BODY, TRAIN, (struct clrnn_overfit_params){.samples = 5, .steps = 3});
    assert_int_equal(b.samples, 5);
    assert_int_equal(b.steps, 3);
    assert_false(b.reached);
    clrnn_overfit_finish(&b);

    b = run(s, BODY, TRAIN, (struct clrnn_overfit_params){.samples = 1000, .target = 0.5});
    assert_int_equal(b.samples, 48); // fewer than were asked for: all samples of the set
    assert_true(b.reached && b.target == 0.5 && b.last_loss < 0.5);
    clrnn_overfit_finish(&b);
    clrnn_overfit_finish(&a);
    clrnn_overfit_finish(&a); // a second call must do nothing
}

// Softmax and round as last layers, together and alone. With both, the gradient must be 0, and the loss must be the
// lower bound plus the error rate.
static void softmax_and_round(struct scratch *s)
{
    const double floor = log(1 + exp(-1));
    struct clrnn_overfit_result r;

    make_data(s);
    r = run(s, BODY ", softmax, round", TRAIN, (struct clrnn_overfit_params){0});
    assert_false(r.reached);
    assert_true(r.cannot && r.grad_norm_first == 0);
    assert_non_null(r.ended);
    assert_true(r.steps < 20);
    assert_float_equal(r.floor, floor, 1e-12);
    assert_float_equal(r.last_loss, floor + 1 - r.accuracy, 1e-5); // a mean of 16 losses in float32
    clrnn_overfit_finish(&r);

    r = run(s, BODY ", softmax", TRAIN, (struct clrnn_overfit_params){0});
    assert_false(r.reached);
    assert_true(r.cannot);
    assert_float_equal(r.floor, floor, 1e-12);
    assert_true(r.lowest_loss > floor - 1e-6 && r.lowest_loss < floor + 0.02); // close to it, but not below
    assert_non_null(strstr(r.floor_reason, "its own softmax"));
    clrnn_overfit_finish(&r);

    r = run(s, BODY ", log_softmax", TRAIN, (struct clrnn_overfit_params){0});
    assert_true(r.reached); // a log_softmax before cross_entropy does no harm
    clrnn_overfit_finish(&r);

    r = run(s, BODY ", round", TRAIN, (struct clrnn_overfit_params){0});
    assert_false(r.reached);
    assert_false(r.cannot); // whole numbers as logits could reach a low loss, but there is no gradient
    assert_non_null(strstr(r.ended, "gradient is exactly 0"));
    clrnn_overfit_finish(&r);
}

static void schedulers_and_plain(struct scratch *s)
{
    static const char collapsing[] = "loss: cross_entropy, optimizer: {adam: {lr: 0.002}}, seed: 1, "
                                     "scheduler: {exponential_lr: {gamma: 0.7, interval: batch}}";
    static const char per_epoch[] = "loss: cross_entropy, optimizer: {adam: {lr: 0.005}}, seed: 1, "
                                    "scheduler: {step_lr: {step_size: 2, gamma: 0.5, interval: epoch}}";
    struct clrnn_overfit_result r;

    make_data(s);
    r = run(s, BODY, collapsing, (struct clrnn_overfit_params){.steps = 200});
    assert_false(r.reached);
    assert_false(r.falling);
    assert_true(r.last_lr < 1e-20);
    clrnn_overfit_finish(&r);
    r = run(s, BODY, collapsing, (struct clrnn_overfit_params){.steps = 400, .plain = true});
    assert_true(r.reached);
    assert_true(r.last_lr == 0.002);
    clrnn_overfit_finish(&r);
    // 48 samples in batches of 16: an epoch has three steps, so the lr must halve every six steps
    r = run(s, BODY, per_epoch, (struct clrnn_overfit_params){.steps = 7, .target = 1e-9});
    assert_true(r.last_lr == 0.0025);
    clrnn_overfit_finish(&r);
}

static void not_finite(struct scratch *s)
{
    struct clrnn_overfit_result r;

    make_data(s);
    r = run(s, "{pool: {over: mean}}, {linear: {out_features: 8}}, {linear: {out_features: 2}}",
            "loss: cross_entropy, optimizer: {sgd: {lr: 1.0e+30}}, seed: 1", (struct clrnn_overfit_params){0});
    assert_false(r.reached);
    assert_non_null(strstr(r.ended, "not finite"));
    assert_true(r.steps < 10);
    clrnn_overfit_finish(&r);
}

static void stops_and_errors(struct scratch *s)
{
    volatile sig_atomic_t stop = 1;
    struct clrnn_overfit_params params = {.stop = &stop};
    struct clrnn_overfit_result r;
    struct clrnn_config *config;

    make_data(s);
    config = make_config(s, BODY, TRAIN);
    assert_int_equal(clrnn_overfit(s->device, config, &params, &r), CLRNN_INTERRUPTED);
    assert_null(r.curve);
    params = (struct clrnn_overfit_params){.init = "nowhere.safetensors"};
    assert_int_equal(clrnn_overfit(s->device, config, &params, &r), CLRNN_ERR_DATA);
    scratch_expect(s, "nowhere.safetensors", NULL);
    clrnn_config_destroy(&config);

    config = scratch_config(s, "model: {layers: [{linear: {out_features: 2}}]}\ntrain: {}\n");
    params = (struct clrnn_overfit_params){0};
    assert_int_equal(clrnn_overfit(s->device, config, &params, &r), CLRNN_ERR_CONFIG);
    scratch_expect(s, "data.train is missing", NULL);
    clrnn_config_destroy(&config);
}

// ---------------------------------------------------------------- floors

// The lower bound of each loss, for labels that alternate between 0 and 1, must equal the value computed by hand.
static void floors(struct scratch *s)
{
    const double smooth = -0.95 * log(0.95) - 0.05 * log(0.05), e = exp(1);
    const struct {
        const char *layers, *loss;
        double floor;
        bool blocked;
    } cases[] = {
        {"{linear: {out_features: 2}}", "cross_entropy", 0, false},
        {"{linear: {out_features: 2}}, relu", "cross_entropy", 0, false},
        {"{linear: {out_features: 2}}, log_softmax", "cross_entropy", 0, false},
        {"{linear: {out_features: 2}}, round", "cross_entropy", 0, false},
        {"{linear: {out_features: 2}}", "{cross_entropy: {label_smoothing: 0.1}}", smooth, false},
        {"{linear: {out_features: 2}}, softmax", "cross_entropy", log(1 + 1 / e), true},
        {"{linear: {out_features: 2}}, softmax, round", "cross_entropy", log(1 + 1 / e), true},
        {"{linear: {out_features: 5}}, softmax", "cross_entropy", log(1 + 4 / e), true},
        {"{linear: {out_features: 2}}, sigmoid", "cross_entropy", log(1 + 1 / e), true},
        {"{linear: {out_features: 2}}, tanh", "cross_entropy", log(1 + exp(-2)), true},
        {"{linear: {out_features: 2}}, tanh, {linear: {out_features: 2}}", "cross_entropy", 0, false},
        {"{lstm: {hidden_size: 2}}", "cross_entropy", log(1 + exp(-2)), true},
        {"{lstm: {hidden_size: 4, proj_size: 2}}", "cross_entropy", 0, false},
        // a softmax of a softmax: the larger output of the second one is at most 1 / (1 + 1/e)
        {"{linear: {out_features: 2}}, softmax, softmax", "cross_entropy", log(1 + exp(-(e - 1) / (e + 1))), true},
        {"{linear: {out_features: 2}}, log_softmax", "nll", 0, false},
        {"{linear: {out_features: 2}}, softmax", "nll", -1, true},
        {"{linear: {out_features: 2}}", "nll", -INFINITY, true},
        {"{linear: {out_features: 1}}", "bce_with_logits", 0, false},
        {"{linear: {out_features: 1}}, sigmoid", "bce_with_logits", (log(1 + 1 / e) + log(2)) / 2, true},
        {"{linear: {out_features: 1}}, softmax", "bce_with_logits", (log(1 + 1 / e) + log(1 + e)) / 2, true},
        {"{linear: {out_features: 1}}, relu", "bce_with_logits", log(2) / 2, true},
        {"{linear: {out_features: 1}}", "mse", 0, false},
        {"{linear: {out_features: 1}}, softmax", "mse", 0.5, true},
        {"{linear: {out_features: 1}}, tanh", "mse", 0, false},
        {"{linear: {out_features: 1}}, round", "mse", 0, false},
    };
    float x[16 * 3];
    int64_t y[16];

    for (size_t i = 0; i < ARRAY_SIZE(x); i++)
        x[i] = (float)i;
    for (size_t n = 0; n < ARRAY_SIZE(y); n++)
        y[n] = n % 2;
    scratch_f32(s, "X_train.npy", x, 16, 3, 0);
    scratch_i64(s, "y_train.npy", y, 16, 0);
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        const struct clrnn_data_shape shape = {.features = 3};
        struct clrnn_loss_floor floor;
        struct clrnn_data_sets data;
        struct clrnn_model *model;
        struct clrnn_config *config;
        char layers[256], train[128];

        snprintf(layers, sizeof(layers), "{pool: {over: last}}, %s", cases[i].layers);
        snprintf(train, sizeof(train), "loss: %s", cases[i].loss);
        config = make_config(s, layers, train);
        assert_int_equal(clrnn_data_sets_open(&s->log, config, CLRNN_CHECK_ALL, &data), CLRNN_OK);
        assert_int_equal(clrnn_model_create(s->device, config, &shape, &model), CLRNN_OK);
        assert_int_equal(clrnn_loss_floor(model, data.train, &floor), CLRNN_OK);
        if (floor.blocked != cases[i].blocked || !floor.reason != (cases[i].floor == 0) ||
            (floor.floor != cases[i].floor && !(fabs(floor.floor - cases[i].floor) < 1e-9)))
            fail_msg("%s, %s: floor %.9g blocked %d reason %s, expected %.9g %d", cases[i].layers, cases[i].loss,
                     floor.floor, floor.blocked, floor.reason ? floor.reason : "none", cases[i].floor,
                     cases[i].blocked);
        clrnn_model_destroy(&model);
        clrnn_data_sets_close(&data);
        clrnn_config_destroy(&config);
    }
}

// Four equal rows each have the labels 0, 0, 0, 1: the lower bound must be the entropy of these labels. Then all labels
// are 0: a warning must say that the batch has one label only.
static void contradictions(struct scratch *s)
{
    const double entropy = -0.75 * log(0.75) - 0.25 * log(0.25);
    struct clrnn_overfit_result r;
    float x[16];
    int64_t y[16];

    for (size_t n = 0; n < 16; n++) {
        x[n] = (float)(n / 4);
        y[n] = n % 4 == 3;
    }
    scratch_f32(s, "X_train.npy", x, 16, 1, 0);
    scratch_i64(s, "y_train.npy", y, 16, 0);
    r = run(s, "{pool: {over: last}}, {linear: {out_features: 2}}",
            "loss: cross_entropy, optimizer: {adam: {lr: 0.05}}", (struct clrnn_overfit_params){0});
    assert_float_equal(r.floor, entropy, 1e-9);
    assert_non_null(strstr(r.floor_reason, "equal rows"));
    assert_false(r.cannot);
    assert_true(r.reached && r.target > entropy && r.target < entropy + 0.05);
    clrnn_overfit_finish(&r);

    for (size_t n = 0; n < 16; n++)
        y[n] = 0;
    scratch_i64(s, "y_train.npy", y, 16, 0);
    r = run(s, "{pool: {over: last}}, {linear: {out_features: 2}}",
            "loss: cross_entropy, optimizer: {adam: {lr: 0.05}}", (struct clrnn_overfit_params){0});
    assert_int_equal(r.classes, 1);
    assert_non_null(strstr(s->warning, "one label only"));
    clrnn_overfit_finish(&r);
}

// Large y: the loss to reach (`target`) must by default be 0.01 of the variance of y.
static void regression(struct scratch *s)
{
    struct clrnn_overfit_result r;
    float x[16 * 2], y[16];

    for (size_t n = 0; n < 16; n++) {
        x[2 * n] = (float)n / 16;
        x[2 * n + 1] = 1;
        y[n] = 300 + 100 * x[2 * n];
    }
    scratch_f32(s, "X_train.npy", x, 16, 2, 0);
    scratch_f32(s, "y_train.npy", y, 16, 0, 0);
    r = run(s, "{pool: {over: last}}, {linear: {out_features: 1}}", "loss: mse, optimizer: {adam: {lr: 10.0}}",
            (struct clrnn_overfit_params){0});
    assert_true(r.reached);
    assert_true(isnan(r.accuracy));
    // y is 300 + 100 * (0, 1/16, ... 15/16); the variance of the numbers in parentheses is 255 / 12 / 256
    assert_float_equal(r.target, 0.01 * 1e4 * (255.0 / 12) / 256, 1e-3);
    clrnn_overfit_finish(&r);
}

// Probabilities as labels of two outputs: the lower bound must be their entropy. Standardised targets of 1 and -1 are
// in reach of a tanh, whatever they are in the user's units.
static void floors_of_real_targets(struct scratch *s)
{
    const double entropy = -0.2 * log(0.2) - 0.8 * log(0.8);
    struct clrnn_overfit_result r;
    struct clrnn_config *config;
    float x[16], y[16 * 2];

    for (size_t n = 0; n < 16; n++) {
        x[n] = (float)n / 16;
        y[2 * n] = n % 2 ? 0.2F : 0.8F;
        y[2 * n + 1] = 0.2F;
    }
    scratch_f32(s, "X_train.npy", x, 16, 1, 0);
    scratch_f32(s, "y_train.npy", y, 16, 2, 0);
    r = run(s, "{pool: {over: last}}, {linear: {out_features: 2}}", "loss: bce_with_logits, optimizer: {adam: {}}",
            (struct clrnn_overfit_params){.steps = 1});
    assert_float_equal(r.floor, entropy, 1e-6);
    assert_non_null(strstr(r.floor_reason, "never certain"));
    clrnn_overfit_finish(&r);

    for (size_t n = 0; n < 16; n++)
        y[n] = n % 2 ? 3010 : 2990;
    scratch_f32(s, "y_train.npy", y, 16, 0, 0);
    config = scratch_config(s, "model: {layers: [pool: {over: last}, linear: {out_features: 1}, tanh: {}]}\n"
                               "train: {loss: mse, optimizer: {adam: {}}, batch_size: 16}\n"
                               "data: {train: {x: X_train.npy, y: y_train.npy}, normalize_targets: standard}\n");
    assert_int_equal(clrnn_overfit(s->device, config, &(struct clrnn_overfit_params){.steps = 1}, &r), CLRNN_OK);
    assert_true(r.floor == 0 && !r.cannot);
    clrnn_overfit_finish(&r);
    clrnn_config_destroy(&config);
}

// Two outputs: the target must be 0.01 of the mean of their variances, however far the outputs lie apart.
static void outputs_apart(struct scratch *s)
{
    struct clrnn_overfit_result r;
    float x[16], y[16 * 2];

    for (size_t n = 0; n < 16; n++) {
        x[n] = (float)n / 16;
        y[2 * n] = n % 2 ? 1001 : 999;
        y[2 * n + 1] = n % 2 ? 3 : -3;
    }
    scratch_f32(s, "X_train.npy", x, 16, 1, 0);
    scratch_f32(s, "y_train.npy", y, 16, 2, 0);
    r = run(s, "{pool: {over: last}}, {linear: {out_features: 2}}", "loss: mse, optimizer: {adam: {}}",
            (struct clrnn_overfit_params){.steps = 1});
    assert_float_equal(r.target, 0.01 * (1 + 9) / 2, 1e-4);
    clrnn_overfit_finish(&r);
}

// The default target of losses that grow linearly must be 0.01 of the deviation of y, whatever its size. smooth_l1 and
// huber are squared below beta and delta: there it must be 0.01 of the variance, divided by beta for smooth_l1.
static void targets_by_deviation(struct scratch *s)
{
    static const struct {
        const char *loss;
        double small, large; // the target, where the deviation of y is 0.2 and 20
    } cases[] = {
        {"l1", 2e-3, 0.2},
        {"{quantile: {quantiles: [0.5]}}", 2e-3, 0.2},
        {"{smooth_l1: {beta: 0.0}}", 2e-3, 0.2},
        {"{smooth_l1: {beta: 0.5}}", 8e-4, 0.2},
        {"{huber: {delta: 2.0}}", 4e-4, 0.4},
    };
    float x[16], y[16];

    for (size_t n = 0; n < 16; n++)
        x[n] = (float)n / 16;
    scratch_f32(s, "X_train.npy", x, 16, 1, 0);
    for (size_t i = 0; i < 2 * ARRAY_SIZE(cases); i++) {
        const double deviation = i % 2 ? 20 : 0.2, target = i % 2 ? cases[i / 2].large : cases[i / 2].small;
        struct clrnn_overfit_result r;
        char train[128];

        for (size_t n = 0; n < 16; n++)
            y[n] = (float)(n % 2 ? deviation : -deviation);
        scratch_f32(s, "y_train.npy", y, 16, 0, 0);
        snprintf(train, sizeof(train), "loss: %s, optimizer: {adam: {lr: 0.01}}", cases[i / 2].loss);
        r = run(s, "{pool: {over: last}}, {linear: {out_features: 1}}", train,
                (struct clrnn_overfit_params){.steps = 1});
        print_message("# %s of %g: %g\n", cases[i / 2].loss, deviation, r.target);
        assert_float_equal(r.target, target, 1e-6 * target);
        clrnn_overfit_finish(&r);
    }
}

// ---------------------------------------------------------------- the batch

static void first_batch(struct scratch *s)
{
    const struct clrnn_random order = {9, RANDOM_SHUFFLE, 0, 0}; // epoch 0
    float want[4 * 6], got[4 * 6];
    uint32_t shuffled[48];

    scratch_problem(s, "train", 48, 4, 6, 2, false, 3);
    clrnn_random_permutation(&order, 48, shuffled);
    for (int shuffle = 0; shuffle < 2; shuffle++) {
        struct clrnn_config *config = make_config(
            s, BODY, shuffle ? "loss: cross_entropy, shuffle: true, seed: 9" : "loss: cross_entropy, seed: 9");
        struct clrnn_data_sets data;
        struct clrnn_dataset *batch;

        assert_int_equal(clrnn_data_sets_open(&s->log, config, CLRNN_CHECK_ALL, &data), CLRNN_OK);
        assert_int_equal(clrnn_data_sets_first_batch(&s->log, config, &data, 0, &batch), CLRNN_OK);
        assert_int_equal(clrnn_dataset_info(batch)->S, 16);
        for (uint32_t n = 0; n < 16; n++) {
            clrnn_dataset_x(data.train, shuffle ? shuffled[n] : n, want);
            clrnn_dataset_x(batch, n, got);
            assert_memory_equal(want, got, sizeof(want));
        }
        clrnn_dataset_close(&batch);
        clrnn_data_sets_close(&data);
        clrnn_config_destroy(&config);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        SCRATCH_TEST(learns, NULL),
        SCRATCH_TEST(softmax_and_round, NULL),
        SCRATCH_TEST(schedulers_and_plain, NULL),
        SCRATCH_TEST(not_finite, NULL),
        SCRATCH_TEST(stops_and_errors, NULL),
        SCRATCH_TEST(floors, "ref"),
        SCRATCH_TEST(contradictions, NULL),
        SCRATCH_TEST(outputs_apart, "ref"),
        SCRATCH_TEST(floors_of_real_targets, "ref"),
        SCRATCH_TEST(regression, NULL),
        SCRATCH_TEST(targets_by_deviation, "ref"),
        SCRATCH_TEST(first_batch, "ref"),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
