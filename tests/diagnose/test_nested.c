// SPDX-License-Identifier: MIT
// Tests the doctor on layers inside residual and concat, and on ctc. For healthy models it may report only notes. A
// faulty layer must be named as `--set` names it.
#include "base/array.h"
#include "clrnn/diagnose.h"
#include "tests/model/scratch.h"

enum { ROWS = 96, STEPS = 8, FEATURES = 3, LABELS = 3 };

static float noise(uint64_t seed, uint32_t at)
{
    const struct clrnn_random r = {seed, RANDOM_PROBE, 0, 0};

    return (float)clrnn_random_normal(&r, at);
}

// Writes X, and y: whether feature 0 of the last step is positive.
static void write_classes(const struct scratch *s)
{
    float x[ROWS * STEPS * FEATURES];
    int64_t y[ROWS];

    for (uint32_t i = 0; i < ARRAY_SIZE(x); i++)
        x[i] = noise(3, i);
    for (uint32_t n = 0; n < ROWS; n++)
        y[n] = x[(n * STEPS + STEPS - 1) * FEATURES] > 0;
    scratch_f32(s, "X.npy", x, ROWS, STEPS, FEATURES);
    scratch_i64(s, "y.npy", y, ROWS, 0);
}

// Writes rows of unequal length, with a label for each output step of a conv1d with a kernel size of 3 and a stride of
// 2: whether feature 0 is positive at the middle step of the window.
static void write_steps(const struct scratch *s)
{
    enum { LEFT = (STEPS - 3) / 2 + 1 };
    float x[ROWS * STEPS * FEATURES];
    int64_t y[ROWS * LEFT], length[ROWS];

    for (uint32_t i = 0; i < ARRAY_SIZE(x); i++)
        x[i] = noise(5, i);
    for (uint32_t n = 0; n < ROWS; n++) {
        length[n] = STEPS - n % 4;
        for (uint32_t t = 0; t < LEFT; t++)
            y[n * LEFT + t] = x[(n * STEPS + 2 * t + 1) * FEATURES] > 0;
    }
    scratch_f32(s, "X.npy", x, ROWS, STEPS, FEATURES);
    scratch_i64(s, "y.npy", y, ROWS, LEFT);
    scratch_i64(s, "lengths.npy", length, ROWS, 0);
}

// Writes rows with 1 to 3 labels for ctc; a label is 1 or 2. For a label 1, feature 1 is high at one step; for a label
// 2, feature 2. The next step has only noise.
static void write_labels(const struct scratch *s)
{
    float x[ROWS * STEPS * FEATURES];
    int64_t y[ROWS * LABELS] = {0}, count[ROWS];

    for (uint32_t i = 0; i < ARRAY_SIZE(x); i++)
        x[i] = 0.1F * noise(4, i);
    for (uint32_t n = 0; n < ROWS; n++) {
        count[n] = 1 + n % LABELS;
        for (uint32_t k = 0; k < count[n]; k++) {
            y[n * LABELS + k] = 1 + (n / LABELS + k * n) % 2;
            x[(n * STEPS + 2 * k + n % 2) * FEATURES + (uint32_t)y[n * LABELS + k]] += 1;
        }
    }
    scratch_f32(s, "X.npy", x, ROWS, STEPS, FEATURES);
    scratch_i64(s, "y.npy", y, ROWS, LABELS);
    scratch_i64(s, "count.npy", count, ROWS, 0);
}

enum data { CLASSES, LABELLED, STEPPED };

static struct clrnn_config *make(struct scratch *s, enum data data, const char *layers)
{
    static void (*const write[])(const struct scratch *) = {write_classes, write_labels, write_steps};
    static const char *const more[] = {"", ", y_lengths: count.npy", ", lengths: lengths.npy"};
    char text[1024];

    write[data](s);
    snprintf(text, sizeof(text),
             "{model: {layers: [%s]}, train: {loss: %s, optimizer: {adam: {lr: 0.02}}, epochs: 20, batch_size: 16, "
             "shuffle: true}, data: {valid_fraction: 0.25, train: {x: X.npy, y: y.npy%s}}}",
             layers, data == LABELLED ? "ctc" : "cross_entropy", more[data]);
    return scratch_config(s, text);
}

#define RESIDUAL(more) "residual: {layers: [layernorm, gru: {hidden_size: 6}" more "]}"
#define CONCAT(pool, more) \
    "concat: {branches: [[lstm: {hidden_size: 4, bidirectional: true}, pool: {over: " pool "}], [conv1d: " \
    "{out_channels: 4, kernel_size: 3}, " more "relu, pool: {over: mean}]]}"
#define IN "linear: {out_features: 6}, "
#define OUT ", linear: {out_features: 2}"
#define CTC "gru: {hidden_size: 12, bidirectional: true}, linear: {out_features: 3}"
#define STRIDED \
    "conv1d: {out_channels: 8, kernel_size: 3, stride: 2}, sigmoid, batchnorm, gru: {hidden_size: 8}, linear: " \
    "{out_features: 2}"
#define NET IN RESIDUAL("") ", " CONCAT("final", "") OUT

static void tell(const struct clrnn_doctor_result *r)
{
    for (size_t i = 0; i < r->count; i++)
        print_message("# %d %s at %s: %s\n", (int)r->finding[i].severity, r->finding[i].id, r->finding[i].where,
                      r->finding[i].evidence);
}

static void healthy_models_are_examined(struct scratch *s)
{
    static const char *const layers[] = {NET, CTC, STRIDED};

    for (enum data data = CLASSES; data <= STEPPED; data++) {
        struct clrnn_doctor_result r;
        struct clrnn_config *config = make(s, data, layers[data]);
        enum clrnn_status st;

        st = clrnn_doctor(s->device, config, &(struct clrnn_doctor_params){0}, &r);
        if (st != CLRNN_OK)
            print_message("# %s\n", s->error);
        assert_int_equal(st, CLRNN_OK);
        for (size_t i = 0; i < r.count; i++)
            if (r.finding[i].severity != CLRNN_SEVERITY_NOTE)
                tell(&r);
        for (size_t i = 0; i < r.count; i++)
            assert_int_equal(r.finding[i].severity, CLRNN_SEVERITY_NOTE);
        clrnn_doctor_finish(&r);
        clrnn_config_destroy(&config);
    }
}

static const struct fault {
    enum data data;
    const char *layers, *id, *where, *set; // id, where and set of the finding that must be reported
} faults[] = {
    {CLASSES, IN RESIDUAL(", round") ", " CONCAT("final", "") OUT, "non-differentiable-op",
     "model.layers[1].residual.layers[2] (round)", "delete model.layers.1.residual.layers.2 (round)"},
    {CLASSES, IN RESIDUAL("") ", " CONCAT("last", "") OUT, "pool-ignores-sequence",
     "model.layers[2].concat.branches[0][1] (pool)", "model.layers.2.concat.branches.0.1.pool.over=final"},
    {CLASSES, IN RESIDUAL("") ", " CONCAT("final", "dropout: {p: 0.9}, ") OUT, "dropout-too-high",
     "model.layers[2].concat.branches[1][1] (dropout)", "model.layers.2.concat.branches.1.1.dropout.p=0.5"},
    {CLASSES, IN RESIDUAL("") ", " CONCAT("final", "dropout, batchnorm, ") OUT, "dropout-before-batchnorm",
     "model.layers[2].concat.branches[1][1] (dropout)",
     "exchange model.layers.2.concat.branches.1.1 (dropout) and model.layers.2.concat.branches.1.2"},
    {CLASSES, NET ", softmax", "softmax-before-cross-entropy", "model.layers[4] (softmax)",
     "delete model.layers.4 (softmax)"},
    {LABELLED, "gru: {hidden_size: 12}, linear: {out_features: 3}, softmax", "activation-loss-mismatch",
     "model.layers[2] (softmax)", "delete model.layers.2 (softmax)"},
};

// Each fault must be the only finding. The config with the change that the finding offers must have no finding.
static void faults_inside_are_named_and_mended(struct scratch *s)
{
    const struct clrnn_doctor_params params = {.static_only = true};

    for (size_t i = 0; i < ARRAY_SIZE(faults); i++) {
        const struct fault *f = &faults[i];
        struct clrnn_doctor_result r;
        struct clrnn_config *config = make(s, f->data, f->layers), *fixed;

        print_message("# %s\n", f->id);
        assert_int_equal(clrnn_doctor(s->device, config, &params, &r), CLRNN_OK);
        if (r.count != 1)
            tell(&r);
        assert_int_equal(r.count, 1);
        assert_string_equal(r.finding[0].id, f->id);
        assert_int_equal(strncmp(r.finding[0].where, f->where, strlen(f->where)), 0);
        assert_string_equal(r.finding[0].set, f->set);
        assert_non_null(r.fixed);
        fixed = scratch_config(s, r.fixed);
        clrnn_doctor_finish(&r);
        assert_int_equal(clrnn_doctor(s->device, fixed, &params, &r), CLRNN_OK);
        assert_int_equal(r.count, 0);
        clrnn_doctor_finish(&r);
        clrnn_config_destroy(&fixed);
        clrnn_config_destroy(&config);
    }
}

// A residual whose f(x) has another width than x, and rows too short for a conv1d inside a concat. The doctor must
// refuse both with one sentence, even if it does not run the model.
static void misfits_are_refused(struct scratch *s)
{
    static const struct {
        const char *layers;
        enum clrnn_status status;
        const char *words;
    } cases[] = {
        {IN "residual: {layers: [gru: {hidden_size: 5}]}, pool" OUT, CLRNN_ERR_CONFIG,
         "layers[1] (residual): its layers give 5 features, but x has 6"},
        {"concat: {branches: [[gru: {hidden_size: 4}, pool], [conv1d: {out_channels: 4, kernel_size: 9}, pool]]}" OUT,
         CLRNN_ERR_DATA, "too few for the windows of the conv1d, model.layers.0.concat.branches.1.0"},
    };

    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        struct clrnn_doctor_result r;
        struct clrnn_config *config = make(s, CLASSES, cases[i].layers);

        assert_int_equal(clrnn_doctor(s->device, config, &(struct clrnn_doctor_params){.static_only = true}, &r),
                         cases[i].status);
        scratch_expect(s, cases[i].words, NULL);
        clrnn_config_destroy(&config);
    }
}

static void healthy_models_grow(struct scratch *s)
{
    for (enum data data = CLASSES; data <= LABELLED; data++) {
        const struct clrnn_grow_params params = {.steps = 300, .train_steps = 100};
        struct clrnn_grow_result r;
        struct clrnn_config *config = make(s, data, data == LABELLED ? CTC : NET);

        assert_int_equal(clrnn_grow(s->device, config, &params, &r), CLRNN_OK);
        for (size_t i = 0; i < r.count; i++)
            print_message("# %s: %d, loss %g, by heart %g\n", r.stage[i].name, r.stage[i].learns, r.stage[i].train_loss,
                          r.stage[i].overfit_loss);
        assert_int_equal(r.first_broken, -1);
        assert_true(r.stage[r.count - 1].learns);
        clrnn_grow_finish(&r);
        clrnn_config_destroy(&config);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        SCRATCH_TEST(healthy_models_are_examined, "ref"),
        SCRATCH_TEST(faults_inside_are_named_and_mended, "ref"),
        SCRATCH_TEST(misfits_are_refused, "ref"),
        SCRATCH_TEST(healthy_models_grow, "ref"),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
