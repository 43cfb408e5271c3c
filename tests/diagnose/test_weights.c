// SPDX-License-Identifier: MIT
// Tests the baselines with which the doctor and overfit compare a net. They count sample weights as the loss does,
// labels between 0 and 1, and targets that are far from 0 or missing.
#include <math.h>

#include "base/array.h"
#include "base/random.h"
#include "clrnn/diagnose.h"
#include "tests/model/scratch.h"

enum { ROWS = 320, STEPS = 6, FEATURES = 3 };

#define CELLS (ROWS * STEPS * FEATURES)
#define WEIGHTS "  train: {x: X.npy, y: y.npy, weights: w.npy}\n"
#define WEIGHTS_SPLIT WEIGHTS "  valid_fraction: 0.25\n"

static double noise(uint32_t stream, uint32_t at)
{
    const struct clrnn_random r = {12, RANDOM_PROBE, stream, 0};

    return clrnn_random_normal(&r, at);
}

static void write_x(const struct scratch *s, float x[CELLS])
{
    for (uint32_t i = 0; i < CELLS; i++)
        x[i] = (float)noise(0, i);
    scratch_f32(s, "X.npy", x, ROWS, STEPS, FEATURES);
}

// Returns a target of row n that the net of these tests learns well.
static float easy(const float *x, uint32_t n)
{
    return x[(n * STEPS + STEPS - 1) * FEATURES] + x[(n * STEPS + STEPS - 2) * FEATURES + 1];
}

static struct clrnn_config *make_config(struct scratch *s, unsigned outputs, const char *train, const char *data)
{
    char text[1024];

    snprintf(text, sizeof(text),
             "model: {layers: [gru: {hidden_size: 8}, pool: {over: last}, linear: {out_features: %u}]}\n"
             "train:\n  batch_size: 16\n  shuffle: true\n  optimizer: {adam: {lr: 0.01}}\n%sdata:\n%s",
             outputs, train, data);
    return scratch_config(s, text);
}

static struct clrnn_doctor_result examine(struct scratch *s, unsigned outputs, const char *train, const char *data,
                                          bool run)
{
    struct clrnn_config *config = make_config(s, outputs, train, data);
    struct clrnn_doctor_result r;

    assert_int_equal(clrnn_doctor(s->device, config, &(struct clrnn_doctor_params){.static_only = !run}, &r), CLRNN_OK);
    clrnn_config_destroy(&config);
    return r;
}

// Returns the first finding with this id that is at least as severe; NULL: there is none.
static const struct clrnn_finding *finding(const struct clrnn_doctor_result *r, const char *id,
                                           enum clrnn_severity severity)
{
    for (size_t i = 0; i < r->count; i++)
        if (!strcmp(r->finding[i].id, id) && r->finding[i].severity <= severity)
            return &r->finding[i];
    return NULL;
}

// A common factor of all weights changes neither the mean loss nor R2: the net must not be called worse than a linear
// model.
static void factor_of_weights(struct scratch *s)
{
    float x[CELLS], y[ROWS], w[ROWS];
    struct clrnn_doctor_result r;

    write_x(s, x);
    for (uint32_t n = 0; n < ROWS; n++) {
        y[n] = easy(x, n);
        w[n] = 100;
    }
    scratch_f32(s, "y.npy", y, ROWS, 0, 0);
    scratch_f32(s, "w.npy", w, ROWS, 0, 0);
    r = examine(s, 1, "  loss: mse\n  epochs: 15\n", WEIGHTS_SPLIT, true);
    assert_null(finding(&r, "worse-than-linear", CLRNN_SEVERITY_WARNING));
    clrnn_doctor_finish(&r);
}

// The samples of class 1 have 20 times the weight, so the constant answer is good at 0.19. A net that finds no more
// than this answer must be reported.
static void weights_of_classes(struct scratch *s)
{
    float x[CELLS], w[ROWS];
    int64_t y[ROWS];
    struct clrnn_doctor_result r;

    for (uint32_t i = 0; i < CELLS; i++) // one number in all steps of a row, too small to tell rows apart
        x[i] = (float)(2e-3 * noise(1, i / (STEPS * FEATURES)));
    scratch_f32(s, "X.npy", x, ROWS, STEPS, FEATURES);
    for (uint32_t n = 0; n < ROWS; n++) {
        y[n] = noise(2, n) > 0;
        w[n] = y[n] ? 20 : 1;
    }
    scratch_i64(s, "y.npy", y, ROWS, 0);
    scratch_f32(s, "w.npy", w, ROWS, 0, 0);
    r = examine(s, 2, "  loss: cross_entropy\n  epochs: 15\n", WEIGHTS, true);
    assert_non_null(finding(&r, "loss-flat", CLRNN_SEVERITY_WARNING));
    clrnn_doctor_finish(&r);
}

// Large targets have large weights: the first loss is high, but not higher than that of the answer 0.
static void weights_of_targets(struct scratch *s)
{
    float x[CELLS], y[ROWS], w[ROWS];
    struct clrnn_doctor_result r;

    write_x(s, x);
    for (uint32_t n = 0; n < ROWS; n++) {
        y[n] = (n % 8 ? 0.1F : 3.0F) * easy(x, n);
        w[n] = n % 8 ? 0.1F : 10.0F;
    }
    scratch_f32(s, "y.npy", y, ROWS, 0, 0);
    scratch_f32(s, "w.npy", w, ROWS, 0, 0);
    for (int l1 = 0; l1 < 2; l1++) {
        r = examine(s, 1, l1 ? "  loss: l1\n  epochs: 1\n" : "  loss: mse\n  epochs: 1\n", WEIGHTS, true);
        assert_null(finding(&r, "initial-loss-off", CLRNN_SEVERITY_NOTE));
        clrnn_doctor_finish(&r);
    }
}

// One label of 40 is 1. This is a warning, and with weights that make up for it a note.
static void weights_of_a_rare_class(struct scratch *s)
{
    float x[CELLS], w[ROWS];
    int64_t y[ROWS * 2];

    write_x(s, x);
    for (int i = 0; i < 4; i++) {
        const bool labels = i / 2, made_up = i % 2;
        struct clrnn_doctor_result r;

        for (uint32_t n = 0; n < ROWS; n++) {
            const bool rare = n % 40 == 0;

            y[labels ? 2 * n : n] = rare;
            if (labels)
                y[2 * n + 1] = n % 2;
            w[n] = rare && made_up ? 39 : 1;
        }
        scratch_i64(s, "y.npy", y, ROWS, labels ? 2 : 0);
        scratch_f32(s, "w.npy", w, ROWS, 0, 0);
        r = examine(s, 2, labels ? "  loss: bce_with_logits\n" : "  loss: cross_entropy\n", WEIGHTS, false);
        assert_non_null(finding(&r, "class-imbalance", CLRNN_SEVERITY_NOTE));
        assert_int_equal(finding(&r, "class-imbalance", CLRNN_SEVERITY_WARNING) == NULL, made_up);
        clrnn_doctor_finish(&r);
    }
}

// Few samples of class 1 have as much weight as all others. The control with shuffled labels shuffles the weights, too:
// else the heavy rows get the label 0, which is soon learnt, and the labels look random.
static void weights_of_shuffled_labels(struct scratch *s)
{
    float x[CELLS], w[ROWS];
    int64_t y[ROWS];
    struct clrnn_doctor_result r;

    write_x(s, x);
    for (uint32_t n = 0; n < ROWS; n++) {
        y[n] = easy(x, n) > 2.8F;
        w[n] = y[n] ? 30 : 1;
    }
    scratch_i64(s, "y.npy", y, ROWS, 0);
    scratch_f32(s, "w.npy", w, ROWS, 0, 0);
    r = examine(s, 2, "  loss: cross_entropy\n  epochs: 15\n", WEIGHTS_SPLIT, true);
    assert_null(finding(&r, "labels-look-random", CLRNN_SEVERITY_WARNING));
    clrnn_doctor_finish(&r);
}

// If no sample of the batch counts, this must be the reason why it is not learnt. The only sample that counts is in
// another batch.
static void batch_of_no_weight(struct scratch *s)
{
    float x[CELLS], w[ROWS];
    int64_t y[ROWS];
    struct clrnn_config *config = make_config(s, 2, "  loss: cross_entropy\n", WEIGHTS);
    struct clrnn_overfit_result r;

    write_x(s, x);
    for (uint32_t n = 0; n < ROWS; n++) {
        y[n] = n % 2;
        w[n] = n == 0;
    }
    scratch_i64(s, "y.npy", y, ROWS, 0);
    scratch_f32(s, "w.npy", w, ROWS, 0, 0);
    assert_int_equal(clrnn_overfit(s->device, config, &(struct clrnn_overfit_params){0}, &r), CLRNN_OK);
    assert_int_equal(r.steps, 1);
    assert_non_null(strstr(r.ended, "all labels are ignored"));
    clrnn_overfit_finish(&r);
    clrnn_config_destroy(&config);
}

// A net too small for the targets is worse than a linear model, however far the targets are from 0, and also where some
// are missing.
static void linear_targets(struct scratch *s)
{
    float x[CELLS], y[ROWS];

    write_x(s, x);
    for (int far = 0; far < 2; far++) {
        struct clrnn_doctor_result r;

        for (uint32_t n = 0; n < ROWS; n++) {
            y[n] = far ? 1e5F : 0;
            for (uint32_t t = 0; t < STEPS; t++)
                y[n] += (t % 2 ? 3.0F : -2.0F) * x[(n * STEPS + t) * FEATURES];
            if (n % 8 == 0 && !far)
                y[n] = NAN;
        }
        scratch_f32(s, "y.npy", y, ROWS, 0, 0);
        r = examine(s, 1, "  loss: mse\n  epochs: 2\n",
                    "  train: {x: X.npy, y: y.npy}\n  valid_fraction: 0.25\n  normalize_targets: standard\n"
                    "  missing_targets: ignore\n",
                    true);
        assert_non_null(finding(&r, "worse-than-linear", CLRNN_SEVERITY_WARNING));
        clrnn_doctor_finish(&r);
    }
}

// Equal rows with the labels 0 and 1: the lower bound of the loss must be the entropy of the labels' weights, 0 if the
// rows of one label do not count.
static void weights_of_equal_rows(struct scratch *s)
{
    static const float light[] = {1, 0.25F, 0};
    float x[16], w[16];
    int64_t y[16];

    for (size_t i = 0; i < ARRAY_SIZE(light); i++) {
        const double share = light[i] / (1.0 + light[i]);
        const double entropy = (share > 0 ? -share * log(share) : 0) - (1 - share) * log(1 - share);
        struct clrnn_config *config;
        struct clrnn_overfit_result r;

        for (uint32_t n = 0; n < 16; n++) {
            x[n] = (float)(n / 2);
            y[n] = n % 2;
            w[n] = y[n] ? light[i] : 1;
        }
        scratch_f32(s, "X.npy", x, 16, 1, 0);
        scratch_i64(s, "y.npy", y, 16, 0);
        scratch_f32(s, "w.npy", w, 16, 0, 0);
        config = make_config(s, 2, "  loss: cross_entropy\n", WEIGHTS);
        assert_int_equal(clrnn_overfit(s->device, config, &(struct clrnn_overfit_params){.steps = 1}, &r), CLRNN_OK);
        assert_float_equal(r.floor, entropy, 1e-9);
        clrnn_overfit_finish(&r);
        clrnn_config_destroy(&config);
    }
}

// bce's `weight` multiplies the loss of each label, also that of a constant answer and the loss to reach on one batch.
static void weights_of_labels(struct scratch *s)
{
    const char *train = "  loss: {bce_with_logits: {weight: [30, 10]}}\n  epochs: 20\n";
    const char *data = "  train: {x: X.npy, y: y.npy}\n";
    float x[CELLS];
    int64_t y[ROWS * 2];
    struct clrnn_config *config = make_config(s, 2, train, data);
    struct clrnn_overfit_result o;
    struct clrnn_doctor_result r;

    write_x(s, x);
    for (uint32_t n = 0; n < ROWS; n++) {
        y[2 * n] = easy(x, n) > 0;
        y[2 * n + 1] = x[(n * STEPS + STEPS - 1) * FEATURES + 2] > 0;
    }
    scratch_i64(s, "y.npy", y, ROWS, 2);
    assert_int_equal(clrnn_overfit(s->device, config, &(struct clrnn_overfit_params){.steps = 1}, &o), CLRNN_OK);
    assert_float_equal(o.target, 0.01 * 20, 1e-9);
    clrnn_overfit_finish(&o);
    clrnn_config_destroy(&config);
    r = examine(s, 2, train, data, true);
    assert_null(finding(&r, "initial-loss-off", CLRNN_SEVERITY_NOTE));
    assert_null(finding(&r, "loss-flat", CLRNN_SEVERITY_NOTE));
    clrnn_doctor_finish(&r);
}

// Probabilities as labels, none of them over 0.45: no label is missing, and the loss cannot fall to 0. A net that
// learns them must pass.
static void soft_labels(struct scratch *s)
{
    float x[CELLS], y[ROWS * 2];

    write_x(s, x);
    for (uint32_t labels = 1; labels <= 2; labels++) {
        struct clrnn_doctor_result r;
        char train[128];

        for (uint32_t n = 0; n < ROWS * labels; n++)
            y[n] = 0.45F / (1 + expf(-2 * (n % labels ? x[(n / labels * STEPS + STEPS - 1) * FEATURES + 2]
                                                      : easy(x, n / labels))));
        scratch_f32(s, "y.npy", y, ROWS, labels > 1 ? labels : 0, 0);
        snprintf(train, sizeof(train), "  loss: bce_with_logits\n  epochs: %u\n", 15 * labels);
        r = examine(s, labels, train, "  train: {x: X.npy, y: y.npy}\n  valid_fraction: 0.25\n", true);
        for (size_t i = 0; i < r.count; i++)
            if (r.finding[i].severity != CLRNN_SEVERITY_NOTE)
                fail_msg("%u labels: %s: %s", labels, r.finding[i].id, r.finding[i].evidence);
        clrnn_doctor_finish(&r);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        SCRATCH_TEST(factor_of_weights, NULL),
        SCRATCH_TEST(weights_of_classes, NULL),
        SCRATCH_TEST(weights_of_targets, NULL),
        SCRATCH_TEST(weights_of_a_rare_class, "ref"),
        SCRATCH_TEST(weights_of_shuffled_labels, NULL),
        SCRATCH_TEST(weights_of_equal_rows, "ref"),
        SCRATCH_TEST(soft_labels, NULL),
        SCRATCH_TEST(linear_targets, NULL),
        SCRATCH_TEST(batch_of_no_weight, "ref"),
        SCRATCH_TEST(weights_of_labels, NULL),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
