// SPDX-License-Identifier: MIT
// Tests the doctor. Findings on config and data: a small case with a fault must give the finding and no other error or
// warning. A healthy case must give neither errors nor warnings. Also tests findings of probes and of the short
// training on ref, and the config with the remedies applied.
#include <math.h>

#include "base/array.h"
#include "clrnn/diagnose.h"
#include "diagnose/doctor/linear.h"
#include "diagnose/thresholds.h"
#include "tests/model/scratch.h"

// Flags that say how a case's data differ from healthy data of 64 rows, 6 steps and 3 features.
enum {
    WELL = 0,
    ONE_STEP = 1,         // T = 1
    NAN_VALUE = 2,        // one value of X is NaN
    SCALED = 4,           // X times 1e4
    CONSTANT = 8,         // feature 1 is constant
    SORTED = 16,          // rows are sorted by label
    DOUBLED = 32,         // each training row occurs twice
    LEAKED = 64,          // the validation rows equal the training rows
    SHIFTED = 128,        // validation set: X + 5
    OTHER_SHARES = 256,   // validation set: most labels are 1
    RARE = 512,           // only one row has label 1
    SINGLE = 1024,        // all labels are 0
    FROM_ONE = 2048,      // labels are 1 and 2 instead of 0 and 1
    PADDED = 4096,        // rows end in zeros
    LONG = 8192,          // T = 200
    FEW = 16384,          // 6 rows
    ODD = 32768,          // 65 training rows
    LEARNABLE = 65536,    // y is 1 where feature 0 of the last step (without OFFSET) is positive
    ONE_FEATURE = 131072, // C = 1
    REAL = 262144,        // real targets in [-3, 3]
    OFFSET = 524288,      // X + 4
};

struct shape {
    uint32_t N, T, C;
};

static struct shape shape_of(unsigned data, bool valid)
{
    return (struct shape){
        .N = data & FEW             ? 6
             : data & ODD && !valid ? 65
                                    : 64,
        .T = data & ONE_STEP ? 1
             : data & LONG   ? 200
                             : 6,
        .C = data & ONE_FEATURE ? 1 : 3,
    };
}

static float value_of(unsigned data, bool valid, struct shape s, uint32_t n, uint32_t t, uint32_t c)
{
    const uint32_t row = data & DOUBLED && !valid ? n / 2 : n;
    const struct clrnn_random r = {7, RANDOM_PROBE, valid && !(data & LEAKED) ? 1000 + row : row, 0};
    float x = (float)clrnn_random_normal(&r, t * s.C + c);

    if (data & SCALED)
        x *= 1e4f;
    if (data & OFFSET)
        x += 4;
    if (data & CONSTANT && c == 1)
        x = 2.5f;
    if (data & SHIFTED && valid)
        x += 5;
    if (data & PADDED && t >= 2 + n % 4)
        x = 0;
    if (data & NAN_VALUE && !valid && n == s.N - 1 && t == s.T - 1)
        x = NAN;
    return x;
}

static int64_t label_of(unsigned data, bool valid, struct shape s, uint32_t n, float last)
{
    int64_t y = n * 7 % 13 % 2;

    if (data & LEARNABLE)
        y = last > (data & OFFSET ? 4 : 0);
    if (data & SORTED)
        y = n >= s.N / 2;
    if (data & RARE)
        y = n == 5;
    if (data & OTHER_SHARES && valid)
        y = n % 8 != 0;
    if (data & SINGLE)
        y = 0;
    return y + (data & FROM_ONE ? 1 : 0);
}

static void write_part(const struct scratch *s, unsigned data, bool valid)
{
    const struct shape shape = shape_of(data, valid);
    const size_t count = (size_t)shape.N * shape.T * shape.C;
    float *x = malloc(count * sizeof(*x)), *real = malloc(shape.N * sizeof(*real));
    int64_t *y = malloc(shape.N * sizeof(*y));

    assert_non_null(x);
    assert_non_null(y);
    assert_non_null(real);
    for (uint32_t n = 0; n < shape.N; n++) {
        float *row = x + (size_t)n * shape.T * shape.C;

        for (uint32_t i = 0; i < shape.T * shape.C; i++)
            row[i] = value_of(data, valid, shape, n, i / shape.C, i % shape.C);
        y[n] = label_of(data, valid, shape, n, row[(shape.T - 1) * shape.C]);
        real[n] = 3 * sinf((float)n);
    }
    scratch_f32(s, valid ? "X_valid.npy" : "X.npy", x, shape.N, shape.T, shape.C);
    if (data & REAL)
        scratch_f32(s, valid ? "y_valid.npy" : "y.npy", real, shape.N, 0, 0);
    else
        scratch_i64(s, valid ? "y_valid.npy" : "y.npy", y, shape.N, 0);
    free(x);
    free(y);
    free(real);
}

// Writes data with the given flags, and returns a config with these model.layers and train keys, and with the keys
// `extra` added to `data`.
static struct clrnn_config *make_case(struct scratch *s, unsigned data, const char *layers, const char *train,
                                      const char *extra)
{
    char text[2048];

    write_part(s, data, false);
    write_part(s, data, true);
    snprintf(text, sizeof(text),
             "model:\n  layers:\n%s"
             "train:\n%s"
             "data:\n  train: {x: X.npy, y: y.npy}\n  valid: {x: X_valid.npy, y: y_valid.npy}\n%s",
             layers, train, extra ? extra : "");
    return scratch_config(s, text);
}

static const struct clrnn_finding *find(const struct clrnn_doctor_result *r, const char *id)
{
    for (size_t i = 0; i < r->count; i++)
        if (!strcmp(r->finding[i].id, id))
            return &r->finding[i];
    return NULL;
}

static void tell(const struct clrnn_doctor_result *r)
{
    for (size_t i = 0; i < r->count; i++)
        print_message("# %d %s at %s: %s; %s\n", (int)r->finding[i].severity, r->finding[i].id, r->finding[i].where,
                      r->finding[i].evidence, r->finding[i].tried);
}

#define GRU "  - gru: {hidden_size: 6}\n"
#define BOTH_WAYS "  - gru: {hidden_size: 4, bidirectional: true}\n"
#define POOL "  - pool: {over: last}\n"
#define HEAD "  - linear: {out_features: 2}\n"
#define NET GRU POOL HEAD
#define ADAM "  loss: cross_entropy\n  optimizer: {adam: {lr: 1.0e-3}}\n"
#define RUN "  epochs: 8\n  batch_size: 16\n"
#define SHUFFLE "  shuffle: true\n"
#define TRAIN ADAM RUN SHUFFLE

static const struct static_case {
    const char *id; // the finding that must be reported; any other finding must be a note; NULL: only notes
    enum clrnn_severity severity;
    unsigned data;
    const char *layers, *train, *extra;
} cases[] = {
    {NULL, 0, WELL, NET, TRAIN, NULL},
    {NULL, 0, WELL, GRU "  - batchnorm\n" POOL "  - relu\n  - dropout: {p: 0.5}\n" HEAD, TRAIN, NULL},
    {NULL, 0, ONE_STEP, "  - linear: {out_features: 8}\n  - tanh\n" HEAD, TRAIN, NULL},
    {NULL, 0, WELL, "  - lstm: {hidden_size: 4, bidirectional: true}\n" NET, TRAIN, NULL},
    {NULL, 0, WELL, BOTH_WAYS "  - pool: {over: final}\n" HEAD, TRAIN, NULL},
    {NULL, 0, WELL, BOTH_WAYS "  - conv1d: {out_channels: 4, kernel_size: 3, padding: 1}\n" POOL HEAD, TRAIN, NULL},
    {NULL, 0, WELL, BOTH_WAYS "  - avg_pool1d: {kernel_size: 2}\n" POOL HEAD, TRAIN, NULL},
    {NULL, 0, WELL, BOTH_WAYS "  - max_pool1d: {kernel_size: 1, stride: 4}\n" POOL HEAD, TRAIN, NULL},
    {NULL, 0, SCALED, NET, TRAIN, "  normalize: standard\n"},
    {NULL, 0, SCALED, "  - batchnorm\n" NET, TRAIN, NULL},
    {NULL, 0, SORTED, NET, TRAIN, NULL},
    {NULL, 0, LONG, "  - lstm: {hidden_size: 4}\n" POOL HEAD, TRAIN, NULL},
    {NULL, 0, REAL, GRU POOL "  - linear: {out_features: 1}\n",
     "  loss: mse\n  optimizer: {sgd: {lr: 0.05, momentum: 0.9}}\n" RUN SHUFFLE, NULL},
    {NULL, 0, WELL, NET, TRAIN "  scheduler: {step_lr: {step_size: 3, gamma: 0.1, interval: epoch}}\n", NULL},
    {NULL, 0, WELL, NET, TRAIN "  scheduler: {one_cycle_lr: {max_lr: 0.01, interval: batch}}\n", NULL},
    {NULL, 0, WELL, NET, TRAIN "  scheduler: {cosine_annealing_lr: {T_max: 32, interval: batch}}\n", NULL},
    {"softmax-before-cross-entropy", CLRNN_SEVERITY_ERROR, WELL, NET "  - softmax\n", TRAIN, NULL},
    {"activation-loss-mismatch", CLRNN_SEVERITY_ERROR, WELL, NET "  - sigmoid\n", TRAIN, NULL},
    {"activation-loss-mismatch", CLRNN_SEVERITY_NOTE, WELL, NET "  - log_softmax\n", TRAIN, NULL},
    {"activation-loss-mismatch", CLRNN_SEVERITY_ERROR, WELL, NET,
     "  loss: nll\n  optimizer: {adam: {lr: 1.0e-3}}\n" RUN SHUFFLE, NULL},
    {"activation-loss-mismatch", CLRNN_SEVERITY_ERROR, WELL, GRU POOL "  - linear: {out_features: 1}\n  - sigmoid\n",
     "  loss: bce_with_logits\n  optimizer: {adam: {lr: 1.0e-3}}\n" RUN SHUFFLE, NULL},
    {"activation-loss-mismatch", CLRNN_SEVERITY_WARNING, REAL, GRU POOL "  - linear: {out_features: 1}\n  - tanh\n",
     "  loss: mse\n  optimizer: {adam: {lr: 1.0e-3}}\n" RUN SHUFFLE, NULL},
    {"non-differentiable-op", CLRNN_SEVERITY_ERROR, WELL, NET "  - round\n", TRAIN, NULL},
    {"scheduler-per-batch", CLRNN_SEVERITY_ERROR, WELL, NET,
     TRAIN "  scheduler: {step_lr: {step_size: 3, gamma: 0.1, interval: batch}}\n", NULL},
    {"scheduler-per-batch", CLRNN_SEVERITY_WARNING, WELL, NET,
     TRAIN "  scheduler: {reduce_lr_on_plateau: {patience: 2, interval: batch}}\n", NULL},
    {"lr-out-of-range", CLRNN_SEVERITY_ERROR, WELL, NET,
     "  optimizer: {adam: {lr: 1.0}}\n  loss: cross_entropy\n" RUN SHUFFLE, NULL},
    {"lr-out-of-range", CLRNN_SEVERITY_ERROR, WELL, NET,
     "  optimizer: {adamw: {lr: 1.0e-9}}\n  loss: cross_entropy\n" RUN SHUFFLE, NULL},
    {"lr-out-of-range", CLRNN_SEVERITY_ERROR, WELL, NET,
     "  optimizer: {sgd: {lr: 20.0, momentum: 0.9}}\n"
     "  loss: cross_entropy\n" RUN SHUFFLE,
     NULL},
    {"schedule-exhausted", CLRNN_SEVERITY_ERROR, WELL, NET,
     ADAM "  epochs: 100\n  batch_size: 16\n" SHUFFLE
          "  scheduler: {multistep_lr: {milestones: [1, 2], gamma: 0.001, interval: epoch}}\n",
     NULL},
    {"single-time-step", CLRNN_SEVERITY_WARNING, ONE_STEP, NET, TRAIN, NULL},
    {"single-time-step", CLRNN_SEVERITY_WARNING, WELL, GRU POOL "  - rnn: {hidden_size: 4}\n" HEAD, TRAIN, NULL},
    {"dropout-too-high", CLRNN_SEVERITY_WARNING, WELL, GRU POOL "  - dropout: {p: 0.9}\n" HEAD, TRAIN, NULL},
    {"dropout-too-high", CLRNN_SEVERITY_WARNING, WELL, "  - gru: {hidden_size: 6, recurrent_dropout: 0.9}\n" POOL HEAD,
     TRAIN, NULL},
    {"dropout-before-batchnorm", CLRNN_SEVERITY_WARNING, WELL, GRU POOL "  - dropout\n  - batchnorm\n" HEAD, TRAIN,
     NULL},
    {"dropout-one-layer", CLRNN_SEVERITY_NOTE, WELL, "  - lstm: {hidden_size: 4, dropout: 0.3}\n" POOL HEAD, TRAIN,
     NULL},
    {"dead-bias", CLRNN_SEVERITY_NOTE, WELL, GRU POOL "  - linear: {out_features: 4}\n  - batchnorm\n" HEAD, TRAIN,
     NULL},
    {"batch-of-one-batchnorm", CLRNN_SEVERITY_ERROR, ODD, GRU POOL "  - batchnorm\n" HEAD, TRAIN, NULL},
    {"no-shuffle-sorted-labels", CLRNN_SEVERITY_WARNING, SORTED, NET, ADAM RUN, NULL},
    {"no-shuffle-sorted-labels", CLRNN_SEVERITY_NOTE, WELL, NET, ADAM RUN, NULL},
    {"unscaled-input", CLRNN_SEVERITY_WARNING, SCALED, NET, TRAIN, NULL},
    {"constant-features", CLRNN_SEVERITY_WARNING, CONSTANT, NET, TRAIN, NULL},
    {"non-finite-input", CLRNN_SEVERITY_ERROR, NAN_VALUE, NET, TRAIN, NULL},
    {"class-imbalance", CLRNN_SEVERITY_WARNING, RARE, NET, TRAIN, NULL},
    {"class-imbalance", CLRNN_SEVERITY_NOTE, RARE, NET,
     "  loss: {cross_entropy: {weight: [0.5, 30]}}\n"
     "  optimizer: {adam: {lr: 1.0e-3}}\n" RUN SHUFFLE,
     NULL},
    {"single-class", CLRNN_SEVERITY_ERROR, SINGLE, NET, TRAIN, NULL},
    {"label-range", CLRNN_SEVERITY_ERROR, FROM_ONE, NET, TRAIN, NULL},
    {"duplicate-rows", CLRNN_SEVERITY_WARNING, DOUBLED, NET, TRAIN, NULL},
    {"train-valid-leak", CLRNN_SEVERITY_WARNING, LEAKED, NET, TRAIN, NULL},
    {"train-valid-shift", CLRNN_SEVERITY_WARNING, SHIFTED, NET, TRAIN, NULL},
    {"train-valid-shift", CLRNN_SEVERITY_WARNING, OTHER_SHARES, NET, TRAIN, NULL},
    {"too-few-samples", CLRNN_SEVERITY_WARNING, FEW, NET, TRAIN, NULL},
    {"too-few-samples", CLRNN_SEVERITY_ERROR, WELL, NET,
     ADAM "  epochs: 8\n  batch_size: 100\n  drop_last: true\n" SHUFFLE, NULL},
    {"padding-without-lengths", CLRNN_SEVERITY_WARNING, PADDED, NET, TRAIN, NULL},
    {"pool-ignores-sequence", CLRNN_SEVERITY_WARNING, WELL, BOTH_WAYS "  - layernorm\n" POOL HEAD, TRAIN, NULL},
    {"pool-ignores-sequence", CLRNN_SEVERITY_WARNING, WELL,
     BOTH_WAYS "  - conv1d: {out_channels: 4, kernel_size: 1}\n" POOL HEAD, TRAIN, NULL},
    {"sequence-too-long", CLRNN_SEVERITY_WARNING, LONG, "  - rnn: {hidden_size: 4}\n  - pool: {over: mean}\n" HEAD,
     TRAIN, NULL},
};

static void static_findings(struct scratch *s)
{
    const struct clrnn_doctor_params params = {.static_only = true};

    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        const struct static_case *c = &cases[i];
        struct clrnn_doctor_result r;
        struct clrnn_config *config;
        // Severity of the previous cause. The doctor sorts causes by the gravest severity of a cause and its effects.
        // In these cases the cause itself has the gravest severity.
        enum clrnn_severity last = CLRNN_SEVERITY_ERROR;
        size_t others = 0;

        config = make_case(s, c->data, c->layers, c->train, c->extra);
        print_message("# case %zu: %s\n", i, c->id ? c->id : "healthy");
        assert_int_equal(clrnn_doctor(s->device, config, &params, &r), CLRNN_OK);
        for (size_t k = 0; k < r.count; k++) {
            const struct clrnn_finding *f = &r.finding[k];

            others += f->severity != CLRNN_SEVERITY_NOTE && (!c->id || strcmp(f->id, c->id));
            assert_true(*f->where && *f->evidence && *f->cost && *f->remedy);
            assert_true(k || !f->follows_from);
            assert_true(f->follows_from || k == 0 || last <= f->severity);
            last = f->follows_from ? last : f->severity;
        }
        if (others)
            tell(&r);
        assert_int_equal(others, 0);
        if (c->id) {
            if (!find(&r, c->id))
                tell(&r);
            assert_non_null(find(&r, c->id));
            assert_int_equal(find(&r, c->id)->severity, c->severity);
        }
        assert_true(*r.verdict);
        clrnn_doctor_finish(&r);
        clrnn_config_destroy(&config);
    }
}

// A small network with several faults: round and softmax as last layers, a scheduler stepped per batch, one time step.
// The doctor must report exactly these faults and their effects as errors and warnings. The config with the remedies
// applied must have none of these faults except the single time step of the data.
static void broken_and_fixed(struct scratch *s)
{
    // the findings in the order in which they must be reported: each cause before its effects
    static const char *const ids[] = {"non-differentiable-op",        "zero-gradient",       "cannot-overfit-one-batch",
                                      "softmax-before-cross-entropy", "scheduler-per-batch", "single-time-step"};
    size_t at = 0;
    const struct clrnn_doctor_params params = {0};
    struct clrnn_doctor_result r;
    struct clrnn_config *config, *fixed;

    config =
        make_case(s, ONE_STEP | LEARNABLE,
                  "  - rnn: {name: rnn, hidden_size: 8, num_layers: 2, bidirectional: true}\n"
                  "  - batchnorm: {name: norm}\n  - rnn: {name: rnn2, hidden_size: 8, num_layers: 2}\n"
                  "  - dropout: {p: 0.5}\n  - linear: {name: fc7, out_features: 2}\n  - softmax\n  - round\n",
                  "  loss: cross_entropy\n  optimizer: {adam: {lr: 1.0e-4}}\n"
                  "  scheduler: {step_lr: {step_size: 3, gamma: 0.1, interval: batch}}\n" RUN "  drop_last: true\n",
                  NULL);
    assert_int_equal(clrnn_doctor(s->device, config, &params, &r), CLRNN_OK);
    for (size_t i = 0; i < ARRAY_SIZE(ids); i++)
        assert_non_null(find(&r, ids[i]));
    for (size_t k = 0; k < r.count; k++) {
        bool known = r.finding[k].severity == CLRNN_SEVERITY_NOTE;

        at += at < ARRAY_SIZE(ids) && !strcmp(r.finding[k].id, ids[at]);
        for (size_t i = 0; i < ARRAY_SIZE(ids); i++)
            known = known || !strcmp(r.finding[k].id, ids[i]);
        if (!known)
            tell(&r);
        assert_true(known);
    }
    if (at != ARRAY_SIZE(ids))
        tell(&r);
    assert_int_equal(at, ARRAY_SIZE(ids));
    assert_string_equal(find(&r, "zero-gradient")->follows_from, "non-differentiable-op");
    assert_null(r.finding[0].follows_from);
    assert_non_null(strstr(r.first, "non-differentiable-op"));
    assert_non_null(strstr(r.first, "cannot-overfit-one-batch"));
    assert_non_null(r.fixed);
    fixed = scratch_config(s, r.fixed);
    assert_int_equal(fixed->layer_count, 5);
    assert_int_equal(fixed->layer[4].kind, CLRNN_LAYER_LINEAR);
    assert_false(fixed->train.scheduler.per_batch);
    assert_true(fixed->train.shuffle);
    assert_true(fixed->train.optimizer.lr == 1e-3);
    clrnn_doctor_finish(&r);
    assert_int_equal(clrnn_doctor(s->device, fixed, &(struct clrnn_doctor_params){.static_only = true}, &r), CLRNN_OK);
    for (size_t k = 0; k < r.count; k++)
        assert_true(r.finding[k].severity == CLRNN_SEVERITY_NOTE || !strcmp(r.finding[k].id, "single-time-step"));
    clrnn_doctor_finish(&r);
    clrnn_config_destroy(&fixed);
    clrnn_config_destroy(&config);
}

static const struct run_case {
    const char *id; // the finding that must be reported; NULL: there must be neither errors nor warnings
    unsigned data;
    const char *layers, *train;
} run_cases[] = {
    {NULL, LEARNABLE, NET,
     "  loss: cross_entropy\n  optimizer: {adam: {lr: 0.01}}\n  epochs: 30\n  batch_size: 16\n" SHUFFLE},
    {"batch-leak", LEARNABLE, GRU "  - batchnorm: {track_running_stats: false}\n" POOL HEAD,
     "  loss: cross_entropy\n  optimizer: {adam: {lr: 0.01}}\n  epochs: 20\n  batch_size: 16\n" SHUFFLE},
    {"update-too-small", LEARNABLE, NET,
     "  loss: cross_entropy\n  optimizer: {adam: {lr: 1.0e-8}}\n  epochs: 6\n  batch_size: 16\n" SHUFFLE},
    {"loss-flat", LEARNABLE, NET,
     "  loss: cross_entropy\n  optimizer: {adam: {lr: 1.0e-8}}\n  epochs: 6\n  batch_size: 16\n" SHUFFLE},
    {"inputs-ignored", LEARNABLE | ONE_FEATURE, "  - layernorm\n" NET,
     "  loss: cross_entropy\n  optimizer: {adam: {lr: 0.01}}\n  epochs: 10\n  batch_size: 16\n" SHUFFLE},
    {"update-too-large", LEARNABLE, NET,
     "  loss: cross_entropy\n  optimizer: {adam: {lr: 2.0}}\n  epochs: 10\n  batch_size: 16\n" SHUFFLE},
    {"zero-gradient", LEARNABLE, NET "  - round\n",
     "  loss: cross_entropy\n  optimizer: {adam: {lr: 0.01}}\n  epochs: 10\n  batch_size: 16\n" SHUFFLE},
    {"train-eval-mismatch", LEARNABLE | ONE_STEP | OFFSET,
     "  - linear: {out_features: 8, bias: false}\n  - batchnorm: {momentum: 0.0}\n  - tanh\n" HEAD,
     "  loss: cross_entropy\n  optimizer: {adam: {lr: 0.02}}\n  epochs: 30\n  batch_size: 16\n" SHUFFLE},
    // batchnorm cannot process the last batch, of one row: the training on shuffled labels must leave it out as well
    {"labels-look-random", ODD | ONE_STEP, "  - linear: {out_features: 64}\n  - batchnorm\n  - tanh\n" HEAD,
     "  loss: cross_entropy\n  optimizer: {adam: {lr: 0.02}}\n  epochs: 10\n  batch_size: 16\n" SHUFFLE},
    {"loss-not-finite", LEARNABLE | SCALED, "  - rnn: {hidden_size: 6, nonlinearity: relu}\n" POOL HEAD,
     "  loss: cross_entropy\n  optimizer: {sgd: {lr: 1000.0, momentum: 0.9}}\n  epochs: 20\n  batch_size: "
     "16\n" SHUFFLE},
    // reduce_lr_on_plateau makes it validate after each of the 400 epochs
    {"overfitting", ONE_STEP, "  - linear: {out_features: 64}\n  - tanh\n" HEAD,
     "  loss: cross_entropy\n  optimizer: {adam: {lr: 0.02}}\n  epochs: 400\n  batch_size: 16\n" SHUFFLE
     "  scheduler: {reduce_lr_on_plateau: {patience: 1000}}\n"},
};

static void findings_by_running(struct scratch *s)
{
    const struct clrnn_doctor_params params = {0};

    for (size_t i = 0; i < ARRAY_SIZE(run_cases); i++) {
        const struct run_case *c = &run_cases[i];
        struct clrnn_doctor_result r;
        struct clrnn_config *config;
        bool loud = false;

        config = make_case(s, c->data, c->layers, c->train, NULL);
        print_message("# run %zu: %s\n", i, c->id ? c->id : "healthy");
        assert_int_equal(clrnn_doctor(s->device, config, &params, &r), CLRNN_OK);
        for (size_t k = 0; k < r.count; k++)
            loud = loud || r.finding[k].severity != CLRNN_SEVERITY_NOTE;
        if (c->id ? !find(&r, c->id) : loud)
            tell(&r);
        if (c->id) {
            assert_non_null(find(&r, c->id));
            assert_int_not_equal(find(&r, c->id)->severity, CLRNN_SEVERITY_NOTE);
        } else {
            assert_false(loud);
        }
        clrnn_doctor_finish(&r);
        clrnn_config_destroy(&config);
    }
}

// The gradient check must find no difference between the device and the reference. Skipped if there is no OpenCL
// device.
static void gradients_on_a_device(struct scratch *s)
{
    const struct clrnn_doctor_params params = {.no_train = true};
    struct clrnn_doctor_result r;
    struct clrnn_config *config;

    config =
        make_case(s, LEARNABLE, "  - lstm: {hidden_size: 5, bidirectional: true}\n  - batchnorm\n" NET, TRAIN, NULL);
    assert_int_equal(clrnn_doctor(s->device, config, &params, &r), CLRNN_OK);
    if (find(&r, "gradient-check-failed"))
        tell(&r);
    assert_null(find(&r, "gradient-check-failed"));
    clrnn_doctor_finish(&r);
    clrnn_config_destroy(&config);
}

static void missing_data(struct scratch *s)
{
    const struct clrnn_doctor_params params = {0};
    struct clrnn_doctor_result r;
    struct clrnn_config *config;

    config = scratch_config(s, "model: {layers: [linear: {out_features: 2}]}\ntrain: {loss: cross_entropy, optimizer: "
                               "{adam: {}}, epochs: 1, batch_size: 4}\n");
    assert_int_equal(clrnn_doctor(s->device, config, &params, &r), CLRNN_ERR_CONFIG);
    scratch_expect(s, "data.train", NULL);
    assert_int_equal(r.count, 0);
    clrnn_config_destroy(&config);
}

// The linear baseline must learn a problem that a linear model can solve.
static void linear_baseline(struct scratch *s)
{
    struct clrnn_dataset *train, *valid;
    struct clrnn_linear_result r;
    struct clrnn_config *config;

    config = make_case(s, LEARNABLE, NET, TRAIN, NULL);
    assert_int_equal(
        clrnn_dataset_open(&s->log, config, &config->data.train, s->folder, "train", CLRNN_CHECK_ALL, &train),
        CLRNN_OK);
    assert_int_equal(
        clrnn_dataset_open(&s->log, config, &config->data.valid, s->folder, "valid", CLRNN_CHECK_ALL, &valid),
        CLRNN_OK);
    assert_int_equal(clrnn_linear_fit(&s->log, config, train, valid, 2, 10, &r), CLRNN_OK);
    print_message("# accuracy %g in %u iterations\n", r.quality, r.iterations);
    assert_true(r.done);
    assert_true(r.quality > 0.8); // from 64 rows with 18 inputs, of which only one determines the label
    clrnn_dataset_close(&train);
    clrnn_dataset_close(&valid);
    clrnn_config_destroy(&config);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        SCRATCH_TEST(static_findings, "ref"),     SCRATCH_TEST(broken_and_fixed, "ref"),
        SCRATCH_TEST(findings_by_running, "ref"), SCRATCH_TEST(gradients_on_a_device, NULL),
        SCRATCH_TEST(missing_data, "ref"),        SCRATCH_TEST(linear_baseline, "ref"),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
