// SPDX-License-Identifier: MIT
// Tests what the doctor reports about several labels per sample, sample weights, missing targets, wrong lengths,
// targets far from 0, and layers that pass no gradient. With noisy labels it may report only notes.
#include <math.h>

#include "base/array.h"
#include "base/random.h"
#include "clrnn/diagnose.h"
#include "tests/model/scratch.h"

enum { ROWS = 320, STEPS = 6, FEATURES = 3 };

static double noise(uint32_t stream, uint32_t at)
{
    const struct clrnn_random r = {12, RANDOM_PROBE, stream, 0};

    return clrnn_random_normal(&r, at);
}

static void write_x(const struct scratch *s, float x[ROWS * STEPS * FEATURES])
{
    for (uint32_t i = 0; i < ROWS * STEPS * FEATURES; i++)
        x[i] = (float)noise(0, i);
    scratch_f32(s, "X.npy", x, ROWS, STEPS, FEATURES);
}

// Runs the doctor on a config with model.layers `layers`, the keys `train` under train and the keys `data` under data.
// `run`: the doctor also runs and trains the model; otherwise it examines only config and data.
static void examine_layers(struct scratch *s, const char *layers, const char *train, const char *data, bool run,
                           struct clrnn_doctor_result *r)
{
    struct clrnn_config *config;
    char text[1024];

    snprintf(text, sizeof(text),
             "model:\n  layers:\n%s"
             "train:\n  batch_size: 16\n  shuffle: true\n%sdata:\n%s",
             layers, train, data);
    config = scratch_config(s, text);
    assert_int_equal(
        clrnn_doctor(s->device, config,
                     &(struct clrnn_doctor_params){.static_only = !run, .report = scratch_path(s, "page.html")}, r),
        CLRNN_OK);
    clrnn_config_destroy(&config);
}

// As examine_layers, with a gru and a linear layer with `outputs` outputs.
static void examine(struct scratch *s, unsigned outputs, const char *train, const char *data, bool run,
                    struct clrnn_doctor_result *r)
{
    char layers[256];

    snprintf(layers, sizeof(layers),
             "  - gru: {hidden_size: 8}\n  - pool: {over: last}\n  - linear: {out_features: %u}\n", outputs);
    examine_layers(s, layers, train, data, run, r);
}

// Returns the first error or warning with this id; NULL: there is none.
static const struct clrnn_finding *finding(const struct clrnn_doctor_result *r, const char *id)
{
    for (size_t i = 0; i < r->count; i++)
        if (!strcmp(r->finding[i].id, id) && r->finding[i].severity != CLRNN_SEVERITY_NOTE)
            return &r->finding[i];
    return NULL;
}

#define DATA "  train: {x: X.npy, y: y.npy}\n"
#define SPLIT DATA "  valid_fraction: 0.25\n"
#define WEIGHTS "  train: {x: X.npy, y: y.npy, weights: w.npy}\n"
#define LENGTHS "  train: {x: X.npy, y: y.npy, lengths: L.npy}\n"
#define BCE "  loss: bce_with_logits\n  optimizer: {adam: {lr: 0.005}}\n  epochs: 12\n"

// ---------------------------------------------------------------- several labels

// Writes three labels per row. Label 1 (counted from 0) is 1 in every `every`th row; `every` 0: in no row.
static void write_three_labels(const struct scratch *s, const float *x, uint32_t every)
{
    int64_t y[ROWS * 3];

    for (uint32_t n = 0; n < ROWS; n++) {
        y[n * 3] = noise(1, n) > 0;
        y[n * 3 + 1] = every && n % every == 0;
        y[n * 3 + 2] = x[(n * STEPS + STEPS - 1) * FEATURES] > 0;
    }
    scratch_i64(s, "y.npy", y, ROWS, 3);
}

static void labels_that_never_change_or_are_rare(struct scratch *s)
{
    static const struct {
        uint32_t every;
        const char *id;
    } cases[] = {{0, "single-class"}, {40, "class-imbalance"}, {2, NULL}};
    float x[ROWS * STEPS * FEATURES];

    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        struct clrnn_doctor_result r;

        write_x(s, x);
        write_three_labels(s, x, cases[i].every);
        examine(s, 3, BCE, DATA, false, &r);
        assert_int_equal(r.count, cases[i].id != NULL);
        if (cases[i].id) {
            assert_non_null(finding(&r, cases[i].id));
            assert_non_null(strstr(r.finding[0].where, "label 1"));
        }
        clrnn_doctor_finish(&r);
    }
}

// Without shuffling, a note says whether the rows are sorted by label. It claims nothing if each step has a label.
static void order_of_rows(struct scratch *s)
{
    float x[ROWS * STEPS * FEATURES];
    int64_t y[ROWS * STEPS];

    write_x(s, x);
    for (int steps = 0; steps < 2; steps++) {
        struct clrnn_doctor_result r;
        struct clrnn_config *config;
        char text[512];

        for (uint32_t i = 0; i < ROWS * STEPS; i++)
            y[i] = steps ? i >= ROWS * STEPS / 2 : noise(1, i) > 0;
        scratch_i64(s, "y.npy", y, ROWS, steps ? STEPS : 0);
        snprintf(text, sizeof(text),
                 "model: {layers: [gru: {hidden_size: 8}%s, linear: {out_features: 2}]}\n"
                 "train:\n  batch_size: 16\n  loss: cross_entropy\n  optimizer: {adam: {}}\n  epochs: 12\ndata:\n" DATA,
                 steps ? "" : ", pool: {over: last}");
        config = scratch_config(s, text);
        assert_int_equal(clrnn_doctor(s->device, config, &(struct clrnn_doctor_params){.static_only = true}, &r),
                         CLRNN_OK);
        assert_int_equal(r.count, 1);
        assert_string_equal(r.finding[0].id, "no-shuffle-sorted-labels");
        assert_true(steps == !strstr(r.finding[0].evidence, "their labels are mixed"));
        clrnn_doctor_finish(&r);
        clrnn_config_destroy(&config);
    }
}

// ---------------------------------------------------------------- rows that do not count

static void write_targets(const struct scratch *s, uint32_t present)
{
    float y[ROWS];

    for (uint32_t n = 0; n < ROWS; n++)
        y[n] = n < present ? (float)noise(2, n) : NAN;
    scratch_f32(s, "y.npy", y, ROWS, 0, 0);
}

static void targets_that_are_missing(struct scratch *s)
{
    float x[ROWS * STEPS * FEATURES];
    struct clrnn_doctor_result r;

    write_x(s, x);
    for (uint32_t present = 0; present <= 200; present += 200) {
        write_targets(s, present);
        examine(s, 1, "  loss: mse\n", SPLIT "  missing_targets: ignore\n", false, &r);
        assert_int_equal(finding(&r, "labels-all-ignored") != NULL, !present);
        clrnn_doctor_finish(&r);
    }
    examine(s, 1, "  loss: mse\n", SPLIT, false, &r); // NaN targets that are not ignored must be reported
    assert_non_null(finding(&r, "label-range"));
    clrnn_doctor_finish(&r);
}

// Class 0 is three times as common as class 1; its samples have the weight `heavy`, those of class 1 the weight
// `light`. Weights that favour class 0, or leave out a class, must be reported.
static void weights_of_samples(struct scratch *s)
{
    static const struct {
        float heavy, light;
        const char *id;
    } cases[] = {{0, 0, "labels-all-ignored"},
                 {1, 0, "class-weights-inverted"},
                 {1, 0.1F, "class-weights-inverted"},
                 {1, 3, NULL}};
    float x[ROWS * STEPS * FEATURES], w[ROWS];
    int64_t y[ROWS];

    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        struct clrnn_doctor_result r;

        write_x(s, x);
        for (uint32_t n = 0; n < ROWS; n++) {
            y[n] = n % 4 == 0;
            w[n] = y[n] ? cases[i].light : cases[i].heavy;
        }
        scratch_i64(s, "y.npy", y, ROWS, 0);
        scratch_f32(s, "w.npy", w, ROWS, 0, 0);
        examine(s, 2, "  loss: cross_entropy\n", WEIGHTS, false, &r);
        assert_int_equal(r.count, cases[i].id != NULL);
        if (cases[i].id)
            assert_non_null(finding(&r, cases[i].id));
        clrnn_doctor_finish(&r);
    }
}

// ---------------------------------------------------------------- lengths

static void lengths_that_say_nothing(struct scratch *s)
{
    float x[ROWS * STEPS * FEATURES];
    int64_t y[ROWS], length[ROWS];

    for (uint32_t kind = 0; kind < 3; kind++) { // lengths: T for every row; 1 for every row; the right ones
        struct clrnn_doctor_result r;

        for (uint32_t n = 0; n < ROWS; n++) {
            const uint32_t steps = 2 + n % (STEPS - 1);

            y[n] = n % 2;
            length[n] = kind == 0 ? STEPS : kind == 1 ? 1 : steps;
            for (uint32_t i = 0; i < STEPS * FEATURES; i++)
                x[n * STEPS * FEATURES + i] = i < steps * FEATURES ? (float)noise(3, n * STEPS * FEATURES + i) : 0;
        }
        scratch_f32(s, "X.npy", x, ROWS, STEPS, FEATURES);
        scratch_i64(s, "y.npy", y, ROWS, 0);
        scratch_i64(s, "L.npy", length, ROWS, 0);
        examine(s, 2, "  loss: cross_entropy\n", LENGTHS, false, &r);
        assert_int_equal(finding(&r, "padding-without-lengths") != NULL, kind == 0);
        assert_int_equal(finding(&r, "single-time-step") != NULL, kind == 1);
        clrnn_doctor_finish(&r);
    }
}

// Rows that are overlapping windows of one series of noise have equal steps in other rows. They must not be reported as
// X with exchanged axes.
static void windows_of_noise(struct scratch *s)
{
    float x[ROWS * STEPS];
    int64_t y[ROWS];
    struct clrnn_doctor_result r;

    for (uint32_t n = 0; n < ROWS; n++) {
        y[n] = n % 2;
        for (uint32_t t = 0; t < STEPS; t++)
            x[n * STEPS + t] = (float)noise(4, n + t);
    }
    scratch_f32(s, "X.npy", x, ROWS, STEPS, 1);
    scratch_i64(s, "y.npy", y, ROWS, 0);
    examine(s, 2, "  loss: cross_entropy\n", DATA, false, &r);
    assert_null(finding(&r, "axes-swapped"));
    clrnn_doctor_finish(&r);
}

// ---------------------------------------------------------------- with training

// A rare label that the net hardly ever finds must be reported. The change that the report offers must be balanced
// weights. The HTML page must show how often each label is found.
static void rare_label(struct scratch *s)
{
    float x[ROWS * STEPS * FEATURES];
    int64_t y[ROWS * 2];
    struct clrnn_doctor_result r;
    const struct clrnn_finding *f;
    char *page;

    write_x(s, x);
    for (uint32_t n = 0; n < ROWS; n++) {
        const float *last = x + (n * STEPS + STEPS - 1) * FEATURES;

        y[n * 2] = last[0] > 0;
        y[n * 2 + 1] = last[1] > 1.4F;
    }
    scratch_i64(s, "y.npy", y, ROWS, 2);
    examine(s, 2, "  loss: bce_with_logits\n  optimizer: {adam: {lr: 0.003}}\n  epochs: 8\n", SPLIT, true, &r);
    f = finding(&r, "majority-class-only");
    assert_non_null(f);
    assert_non_null(strstr(f->where, "label 1"));
    assert_string_equal(f->set, "train.loss.bce_with_logits.pos_weight=balanced");
    assert_non_null(strstr(f->tried, "recall"));
    page = scratch_read(s, "page.html", NULL);
    assert_non_null(strstr(page, "found where it is 1"));
    free(page);
    clrnn_doctor_finish(&r);
}

// Targets of about 60, which the net does not reach, must be reported first. Targets around 0, ten times less spread,
// must not be reported.
static void targets_of_another_size(struct scratch *s)
{
    float x[ROWS * STEPS * FEATURES], y[ROWS];
    struct clrnn_doctor_result r;

    write_x(s, x);
    for (int far = 0; far < 2; far++) {
        const struct clrnn_finding *f;

        for (uint32_t n = 0; n < ROWS; n++)
            y[n] = (far ? 60 : 0) + (far ? 10 : 1) * (x[(n * STEPS + STEPS - 1) * FEATURES] +
                                                      0.5F * x[(n * STEPS + STEPS - 2) * FEATURES + 1]);
        scratch_f32(s, "y.npy", y, ROWS, 0, 0);
        examine(s, 1, "  loss: huber\n  optimizer: {adam: {lr: 0.01}}\n  epochs: 20\n", SPLIT, true, &r);
        f = finding(&r, "unscaled-target");
        assert_int_equal(f != NULL, far);
        if (f) {
            assert_string_equal(f->set, "data.normalize_targets=standard");
            assert_ptr_equal(f, &r.finding[0]);
        }
        clrnn_doctor_finish(&r);
    }
}

// A tanh reaches standardised targets of 1 and -1, whatever they are in the user's units; a relu reaches no -1.
static void standardised_targets(struct scratch *s)
{
    float x[ROWS * STEPS * FEATURES], y[ROWS];
    struct clrnn_doctor_result r;

    write_x(s, x);
    for (uint32_t n = 0; n < ROWS; n++)
        y[n] = n % 2 ? 3010 : 2990;
    scratch_f32(s, "y.npy", y, ROWS, 0, 0);
    for (int relu = 0; relu < 2; relu++) {
        examine_layers(s,
                       relu ? "  - pool\n  - linear: {out_features: 1}\n  - relu\n"
                            : "  - pool\n  - linear: {out_features: 1}\n  - tanh\n",
                       "  loss: mse\n", DATA "  normalize_targets: standard\n", false, &r);
        assert_int_equal(finding(&r, "activation-loss-mismatch") != NULL, relu);
        clrnn_doctor_finish(&r);
    }
}

// Equal targets are reported whatever their value, also one whose sums are not exact in binary.
static void equal_targets(struct scratch *s)
{
    static const float values[] = {0, 0.1F, 0.3F, 3.7F, -1234.567F, 1e-20F, 1e20F};
    float x[ROWS * STEPS * FEATURES], y[ROWS];
    struct clrnn_doctor_result r;

    write_x(s, x);
    for (size_t i = 0; i < ARRAY_SIZE(values); i++) {
        for (uint32_t n = 0; n < ROWS; n++)
            y[n] = values[i];
        scratch_f32(s, "y.npy", y, ROWS, 0, 0);
        examine(s, 1, "  loss: mse\n  optimizer: {adam: {lr: 0.01}}\n  epochs: 1\n", DATA, false, &r);
        assert_non_null(finding(&r, "single-class"));
        clrnn_doctor_finish(&r);
    }
    y[0] = nextafterf(y[0], INFINITY);
    scratch_f32(s, "y.npy", y, ROWS, 0, 0);
    examine(s, 1, "  loss: mse\n  optimizer: {adam: {lr: 0.01}}\n  epochs: 1\n", DATA, false, &r);
    assert_null(finding(&r, "single-class"));
    clrnn_doctor_finish(&r);
}

// Two outputs far apart, each a mean over time that the net learns. A repeated last value predicts neither: its R2 is
// judged output by output, not over both, where it is high because the outputs lie apart.
static void outputs_far_apart(struct scratch *s)
{
    float x[ROWS * STEPS * FEATURES], y[ROWS * 2];
    struct clrnn_doctor_result r;

    write_x(s, x);
    for (uint32_t i = 0; i < ROWS * STEPS; i++)
        x[i * FEATURES + 1] += 20;
    scratch_f32(s, "X.npy", x, ROWS, STEPS, FEATURES);
    for (uint32_t n = 0; n < ROWS; n++)
        for (uint32_t o = 0; o < 2; o++) {
            y[n * 2 + o] = 0;
            for (uint32_t t = 0; t < STEPS; t++)
                y[n * 2 + o] += x[(n * STEPS + t) * FEATURES + o] / STEPS;
        }
    scratch_f32(s, "y.npy", y, ROWS, 2, 0);
    examine(s, 2, "  loss: mse\n  optimizer: {adam: {lr: 0.01}}\n  epochs: 10\n",
            SPLIT "  normalize: standard\n  normalize_targets: standard\n", true, &r);
    assert_null(finding(&r, "no-better-than-naive"));
    clrnn_doctor_finish(&r);
}

// Labels that are partly noise: the net learns as much as possible, so there must be neither errors nor warnings.
static void noisy_labels(struct scratch *s)
{
    float x[ROWS * STEPS * FEATURES];
    int64_t y[ROWS];
    struct clrnn_doctor_result r;

    write_x(s, x);
    for (uint32_t n = 0; n < ROWS; n++)
        y[n] = x[(n * STEPS + STEPS - 1) * FEATURES] + 0.9 * noise(5, n) > 0;
    scratch_i64(s, "y.npy", y, ROWS, 0);
    examine(s, 1, "  loss: bce_with_logits\n  optimizer: {adam: {lr: 0.003}}\n  epochs: 10\n", SPLIT, true, &r);
    for (size_t i = 0; i < r.count; i++)
        if (r.finding[i].severity != CLRNN_SEVERITY_NOTE)
            fail_msg("%s: %s", r.finding[i].id, r.finding[i].evidence);
    clrnn_doctor_finish(&r);
}

// Layers whose parameters get no gradient must be reported first, with the change that gives them a gradient.
static void layers_without_gradient(struct scratch *s)
{
    static const struct {
        const char *layers, *id, *set;
    } layered[] = {
        {"  - gru: {hidden_size: 6, init: zeros}\n  - pool\n  - linear: {out_features: 2, init: zeros}\n",
         "zero-gradient", "model.layers.0.gru.init=null\nmodel.layers.2.linear.init=null"},
        {"  - groupnorm: {num_groups: 3}\n  - gru: {hidden_size: 6}\n  - pool\n  - linear: {out_features: 2}\n",
         "norm-of-one-value", "model.layers.0.groupnorm.num_groups=1"},
        {"  - linear: {out_features: 1}\n  - layernorm\n  - gru: {hidden_size: 6}\n  - pool\n"
         "  - linear: {out_features: 2}\n",
         "norm-of-one-value", "delete model.layers.1 (layernorm)"},
    };
    float x[ROWS * STEPS * FEATURES];
    int64_t y[ROWS];

    write_x(s, x);
    for (uint32_t n = 0; n < ROWS; n++)
        y[n] = x[(n * STEPS + STEPS - 1) * FEATURES] > 0;
    scratch_i64(s, "y.npy", y, ROWS, 0);
    for (size_t i = 0; i < ARRAY_SIZE(layered); i++) {
        struct clrnn_doctor_result r;

        examine_layers(s, layered[i].layers, "  loss: cross_entropy\n  optimizer: {adam: {lr: 0.01}}\n  epochs: 15\n",
                       SPLIT, true, &r);
        assert_string_equal(r.finding[0].id, layered[i].id);
        assert_non_null(r.finding[0].set);
        assert_string_equal(r.finding[0].set, layered[i].set);
        clrnn_doctor_finish(&r);
    }
}

// A net without a nonlinear layer, on labels that no linear model can learn: the net must be blamed, not the labels.
static void linear_net(struct scratch *s)
{
    float x[ROWS * STEPS * FEATURES];
    int64_t y[ROWS];
    struct clrnn_doctor_result r;

    write_x(s, x);
    for (uint32_t n = 0; n < ROWS; n++) {
        const float *last = x + (n * STEPS + STEPS - 1) * FEATURES;

        y[n] = last[0] * last[1] > 0;
    }
    scratch_i64(s, "y.npy", y, ROWS, 0);
    examine_layers(s,
                   "  - linear: {out_features: 12}\n  - linear: {out_features: 12}\n  - pool\n"
                   "  - linear: {out_features: 2}\n",
                   "  loss: cross_entropy\n  optimizer: {adam: {lr: 0.01}}\n  epochs: 10\n", SPLIT, true, &r);
    assert_null(finding(&r, "labels-look-random"));
    assert_non_null(strstr(r.finding[0].evidence, "one linear model"));
    assert_non_null(strstr(r.finding[0].remedy, "nonlinear"));
    clrnn_doctor_finish(&r);
}

// Gradients clipped to a tiny norm must be reported first, with a usual clip_grad_norm as the remedy.
static void clipped_to_nothing(struct scratch *s)
{
    float x[ROWS * STEPS * FEATURES];
    int64_t y[ROWS];
    struct clrnn_doctor_result r;
    const struct clrnn_finding *f;

    write_x(s, x);
    for (uint32_t n = 0; n < ROWS; n++)
        y[n] = x[(n * STEPS + STEPS - 1) * FEATURES] > 0;
    scratch_i64(s, "y.npy", y, ROWS, 0);
    examine(s, 2, "  loss: cross_entropy\n  optimizer: {sgd: {lr: 0.5}}\n  clip_grad_norm: 1.0e-5\n  epochs: 20\n",
            SPLIT, true, &r);
    f = finding(&r, "update-too-small");
    assert_non_null(f);
    assert_non_null(f->set);
    assert_string_equal(f->set, "train.clip_grad_norm=1");
    assert_ptr_equal(f, &r.finding[0]);
    clrnn_doctor_finish(&r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        SCRATCH_TEST(labels_that_never_change_or_are_rare, "ref"),
        SCRATCH_TEST(order_of_rows, "ref"),
        SCRATCH_TEST(targets_that_are_missing, "ref"),
        SCRATCH_TEST(weights_of_samples, "ref"),
        SCRATCH_TEST(lengths_that_say_nothing, "ref"),
        SCRATCH_TEST(windows_of_noise, "ref"),
        SCRATCH_TEST(rare_label, NULL),
        SCRATCH_TEST(linear_net, NULL),
        SCRATCH_TEST(layers_without_gradient, NULL),
        SCRATCH_TEST(targets_of_another_size, NULL),
        SCRATCH_TEST(equal_targets, "ref"),
        SCRATCH_TEST(standardised_targets, "ref"),
        SCRATCH_TEST(outputs_far_apart, NULL),
        SCRATCH_TEST(noisy_labels, NULL),
        SCRATCH_TEST(clipped_to_nothing, NULL),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
