// SPDX-License-Identifier: MIT
// The watch must give each warning once, from records made for that warning, and no warning for healthy records. Whole
// runs are tested, too.
#include "tests/model/scratch.h"

#include <math.h>

#include "base/array.h"
#include "clrnn/train.h"
#include "train/watch.h"

// What a test case works with: a model of 2 classes, a data set of 8 samples of each class, and the watch of a run of
// 10 epochs of 40 steps.
struct stand {
    struct scratch *s;
    struct clrnn_config *config;
    struct clrnn_model *model;
    struct clrnn_dataset *set;
    struct clrnn_watch watch;
    float offset; // of the targets in records of mse
};

enum { BATCHES = 40, EPOCHS = 10 };

// Opens a stand whose samples have weights (`weighted`): 9 for those of class 1, else 1.
static void open_weighted(struct stand *t, const char *train, bool weighted, bool on, uint64_t steps)
{
    const struct clrnn_data_shape shape = {.features = 3};
    const bool mse = strstr(train, "mse"), real = mse || strstr(train, "bce");
    char text[1024];
    float x[16 * 3] = {0}, y_real[16], weight[16];
    int64_t y[16];

    *t->s->warning = *t->s->info = 0;
    for (size_t n = 0; n < ARRAY_SIZE(y); n++) {
        y[n] = n % 2;
        y_real[n] = (float)y[n];
        weight[n] = y[n] ? 9 : 1;
    }
    scratch_f32(t->s, "X.npy", x, 16, 3, 0);
    if (real)
        scratch_f32(t->s, "y.npy", y_real, 16, 0, 0);
    else
        scratch_i64(t->s, "y.npy", y, 16, 0);
    scratch_f32(t->s, "w.npy", weight, 16, 0, 0);
    snprintf(text, sizeof(text),
             "model: {layers: [{rnn: {hidden_size: 16}}, {pool: {over: last}}, {linear: {out_features: %d}}]}\n"
             "train: {epochs: %d, batch_size: 16, %s}\ndata: {train: {x: X.npy, y: y.npy%s}}\n",
             real ? 1 : 2, EPOCHS, train, weighted ? ", weights: w.npy" : "");
    t->config = scratch_config(t->s, text);
    assert_int_equal(clrnn_dataset_open(&t->s->log, t->config, &t->config->data.train, t->s->folder, "train",
                                        CLRNN_CHECK_ALL, &t->set),
                     CLRNN_OK);
    assert_int_equal(clrnn_model_create(t->s->device, t->config, &shape, &t->model), CLRNN_OK);
    assert_int_equal(clrnn_watch_init(&t->watch, on, t->model, t->set, "run", BATCHES, steps), CLRNN_OK);
}

static void open_stand(struct stand *t, const char *train, bool on, uint64_t steps)
{
    open_weighted(t, train, false, on, steps);
}

static void close_stand(struct stand *t)
{
    clrnn_watch_finish(&t->watch);
    clrnn_model_destroy(&t->model);
    clrnn_dataset_close(&t->set);
    clrnn_config_destroy(&t->config);
}

static void step(struct stand *t, double loss, double norm, double lr)
{
    float y = 0, yy = 0; // float32, as on the device
    for (int n = 0; n < 16; n++) {
        const float target = t->offset + (float)(n % 2);

        y += target;
        yy += target * target;
    }
    const double record[RECORD_FIELDS] = {
        [RECORD_LOSS] = 16 * loss, [RECORD_WEIGHT] = 16, [RECORD_COUNT] = 16, [RECORD_Y] = y,
        [RECORD_YY] = yy,          [RECORD_NORM] = norm};

    clrnn_watch_step(&t->watch, record, loss, lr);
    assert_int_equal(clrnn_watch_weights(&t->watch, t->model), CLRNN_OK);
}

// Shows the watch the epochs `first` to `last`, each with equal steps.
static void epochs(struct stand *t, uint64_t first, uint64_t last, double loss, double accuracy)
{
    for (uint64_t e = first; e <= last; e++) {
        const struct clrnn_epoch_row row = {.epoch = e, .train_loss = loss, .train_accuracy = accuracy};

        for (int i = 0; i < BATCHES; i++)
            step(t, loss, 0.1, 1e-3);
        clrnn_watch_epoch(&t->watch, &row);
    }
}

static size_t count_of(const char *text, const char *word)
{
    size_t count = 0;

    for (const char *at = text; (at = strstr(at, word)); at += strlen(word))
        count++;
    return count;
}

static void expect_one(const struct stand *t, const char *id)
{
    char start[80];

    snprintf(start, sizeof(start), "%s: ", id);
    if (strncmp(t->s->warning, start, strlen(start)) ||
        !strstr(t->s->warning, "`clrnn doctor run/config.yaml` explains") || count_of(t->s->info, "explains") != 1)
        fail_msg("expected one warning of %s, got: %s", id, t->s->info);
}

static void expect_silence(const struct stand *t)
{
    if (*t->s->warning)
        fail_msg("expected silence, got: %s", t->s->warning);
}

#define ADAM "loss: cross_entropy, optimizer: {adam: {lr: 0.001}}"

static void losses(struct scratch *s)
{
    struct stand t = {.s = s};

    open_stand(&t, ADAM, true, 0);
    step(&t, NAN, NAN, 1e-3);
    step(&t, NAN, NAN, 1e-3);
    expect_one(&t, "loss-not-finite");
    close_stand(&t);

    open_stand(&t, ADAM, true, 0);
    for (int i = 0; i < 3; i++)
        step(&t, 0.7, 1e9, 1e-3);
    expect_one(&t, "exploding-gradient");
    close_stand(&t);

    open_stand(&t, ADAM, false, 0); // as with --no-watch
    for (int i = 0; i < 100; i++)
        step(&t, NAN, 0, 1e-12);
    epochs(&t, 1, EPOCHS, 0.7, 0.5);
    expect_silence(&t);
    close_stand(&t);

    open_stand(&t, ADAM, true, 0); // batches in which no label counts
    for (int i = 0; i < 100; i++)
        clrnn_watch_step(&t.watch, (const double[RECORD_FIELDS]){0}, NAN, 1e-3);
    expect_silence(&t);
    close_stand(&t);
}

static void zero_gradients(struct scratch *s)
{
    struct stand t = {.s = s};

    open_stand(&t, ADAM, true, 0);
    for (int i = 0; i < 19; i++)
        step(&t, 0.7, 0, 1e-3);
    step(&t, 0.7, 1e-30, 1e-3);
    for (int i = 0; i < 19; i++)
        step(&t, 0.7, 0, 1e-3);
    expect_silence(&t);
    for (int i = 0; i < 50; i++)
        step(&t, 0.7, 0, 1e-3);
    expect_one(&t, "zero-gradient");
    assert_non_null(strstr(t.s->warning, "in steps 21 to 40"));
    close_stand(&t);

    open_stand(&t, ADAM, true, 0); // a loss of 0: the gradient may be 0
    for (int i = 0; i < 50; i++)
        step(&t, 0, 0, 1e-3);
    expect_silence(&t);
    close_stand(&t);
}

// Weights of 16 hidden units lie within +-1/4. Updates of less than half a float32 ulp of these weights, about 8e-9,
// are lost. SGD gets no warning: its updates depend on the gradient.
static void lost_rates(struct scratch *s)
{
    static const struct {
        const char *train, *id;
        double lr;
        int before; // number of steps with lr 1e-3 before the others
    } cases[] = {
        {ADAM, "lr-out-of-range", 1e-9, 0},
        {ADAM, NULL, 5e-7, 0},
        {ADAM, NULL, 1e-12, 9 * BATCHES}, // in the last fifth of the run a tiny lr is fine
        {ADAM ", scheduler: {exponential_lr: {gamma: 0.5, interval: batch}}", "scheduler-per-batch", 1e-10, 100},
        {ADAM ", scheduler: {exponential_lr: {gamma: 0.5, interval: epoch}}", "schedule-exhausted", 1e-10, 100},
        {"loss: cross_entropy, optimizer: {sgd: {lr: 0.1}}", NULL, 1e-9, 0}, // no warning for SGD
        // a tiny lr is fine where the schedule rises from it, unless the largest lr is tiny, too
        {ADAM ", scheduler: {linear_lr: {start_factor: 1.0e-6, interval: batch}}", NULL, 1e-9, 0},
        {ADAM ", scheduler: {one_cycle_lr: {max_lr: 0.01, div_factor: 1.0e+7, interval: batch}}", NULL, 1e-9, 0},
        {ADAM ", scheduler: {cosine_annealing_lr: {T_max: 2}}", NULL, 1e-20, 100},
        {ADAM ", scheduler: {linear_lr: {start_factor: 1.0, end_factor: 0.0}}", "schedule-exhausted", 1e-10, 100},
        {"optimizer: {adam: {lr: 1.0e-10}}, scheduler: {linear_lr: {interval: batch}}", "lr-out-of-range", 5e-11, 0},
    };

    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        struct stand t = {.s = s};

        open_stand(&t, cases[i].train, true, 0);
        for (int k = 0; k < cases[i].before; k++)
            step(&t, 0.6, 0.1, 1e-3);
        for (int k = 0; k < 30; k++)
            step(&t, 0.6, 0.1, cases[i].lr * pow(0.9, k));
        if (cases[i].id)
            expect_one(&t, cases[i].id);
        else
            expect_silence(&t);
        close_stand(&t);
    }
}

static void flat_losses(struct scratch *s)
{
    struct stand t = {.s = s};

    open_stand(&t, ADAM, true, 0);
    epochs(&t, 1, 3, 0.6931, 0.5); // too early for a warning
    expect_silence(&t);
    epochs(&t, 4, EPOCHS, 0.6931, 0.5);
    expect_one(&t, "loss-flat");
    assert_non_null(strstr(t.s->warning, "and that of an answer that does not look at X is 0.6931;"));
    close_stand(&t);

    open_stand(&t, ADAM, true, 0); // the loss falls after a plateau
    epochs(&t, 1, 3, 0.6931, 0.5);
    epochs(&t, 4, EPOCHS, 0.6, 0.6);
    expect_silence(&t);
    close_stand(&t);

    open_stand(&t, ADAM, true, 0); // a high loss, as with dropout, but more accurate than a constant answer
    epochs(&t, 1, EPOCHS, 0.7, 0.6);
    expect_silence(&t);
    close_stand(&t);

    open_stand(&t, ADAM, true, 400); // resumed long after the loss has fallen
    epochs(&t, 11, 20, 0.01, 1);
    expect_silence(&t);
    close_stand(&t);

    // the lr rises at first (warm-up), so the warning must come later
    open_stand(&t, ADAM ", scheduler: {one_cycle_lr: {max_lr: 0.01, interval: batch}}", true, 0);
    epochs(&t, 1, 5, 0.6931, 0.5);
    expect_silence(&t);
    close_stand(&t);

    open_stand(&t, "loss: mse, optimizer: {adam: {lr: 0.001}}", true, 0); // the targets have variance 0.25
    epochs(&t, 1, EPOCHS, 0.2, NAN);
    expect_silence(&t);
    close_stand(&t);
    open_stand(&t, "loss: mse, optimizer: {adam: {lr: 0.001}}", true, 0);
    epochs(&t, 1, EPOCHS, 0.25, NAN);
    expect_one(&t, "loss-flat");
    close_stand(&t);

    t.offset = 1e4; // far from 0 the variance is lost: a loss below that of the first steps is not flat
    open_stand(&t, "loss: mse, optimizer: {adam: {lr: 0.001}}", true, 0);
    epochs(&t, 1, 1, 0.25, NAN);
    epochs(&t, 2, EPOCHS, 0.2, NAN);
    expect_silence(&t);
    close_stand(&t);
    t.offset = 0;

    // label smoothing: the best constant answer's loss is unknown, so the initial loss is used
    open_stand(&t, "loss: {cross_entropy: {label_smoothing: 0.2}}, optimizer: {adam: {lr: 0.001}}", true, 0);
    epochs(&t, 1, 1, 0.9, 0.5);
    epochs(&t, 2, EPOCHS, 0.7, 0.5);
    expect_silence(&t);
    close_stand(&t);
}

// If samples or labels have weights, the best constant answer's loss is unknown, too: the loss that the unweighted
// targets would give is no measure of a loss that falls, and a loss that stays as it began is flat.
static void weighted_losses(struct scratch *s)
{
    static const struct {
        const char *train;
        bool weighted;
    } cases[] = {
        {ADAM, true},
        {"loss: mse, optimizer: {adam: {lr: 0.001}}", true},
        {"loss: {bce_with_logits: {weight: [20]}}, optimizer: {adam: {lr: 0.001}}", false},
    };

    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        struct stand t = {.s = s};

        open_weighted(&t, cases[i].train, cases[i].weighted, true, 0);
        epochs(&t, 1, 1, 3, 0.5);
        epochs(&t, 2, EPOCHS, 1, 0.5);
        expect_silence(&t);
        close_stand(&t);

        open_weighted(&t, cases[i].train, cases[i].weighted, true, 0);
        epochs(&t, 1, EPOCHS, 3, 0.5);
        expect_one(&t, "loss-flat");
        assert_non_null(strstr(t.s->warning, "and that of the first steps is 3;"));
        close_stand(&t);
    }
}

static void large_updates(struct scratch *s)
{
    double values[16 * 3];
    struct stand t = {.s = s};

    for (int large = 0; large < 2; large++) {
        const struct clrnn_epoch_row row = {.epoch = 1, .train_loss = 3, .train_accuracy = 0.5};

        open_stand(&t, ADAM, true, 0);
        step(&t, 3, 1, 1e-3);
        for (size_t i = 0; i < t.model->entry_count; i++) {
            const struct clrnn_param *p = &t.model->entry[i].param;

            if (p->ndim != 2 || p->count > ARRAY_SIZE(values))
                continue;
            assert_int_equal(clrnn_model_read(t.model, i, values), CLRNN_OK);
            for (size_t k = 0; k < p->count; k++)
                values[k] += large ? 2 : 1e-3;
            assert_int_equal(clrnn_model_write(t.model, i, values), CLRNN_OK);
        }
        step(&t, 3, 1, 1e-3);
        clrnn_watch_epoch(&t.watch, &row);
        if (large)
            expect_one(&t, "update-too-large");
        else
            expect_silence(&t);
        close_stand(&t);
    }
}

// ---------------------------------------------------------------- whole runs

static void run(struct scratch *s, const char *out, const char *layers, bool no_watch)
{
    struct clrnn_train_params params = {.out = scratch_path(s, out), .no_watch = no_watch};
    struct clrnn_config *config;
    char text[1024];

    snprintf(text, sizeof(text),
             "model: {layers: [{gru: {hidden_size: 8}}, {pool: {over: mean}}, {linear: {out_features: 2}}%s]}\n"
             "train: {loss: cross_entropy, optimizer: {adam: {lr: 0.01}}, epochs: 6, batch_size: 8, shuffle: "
             "true}\n"
             "data: {train: {x: X_a.npy, y: y_a.npy}, valid: {x: X_b.npy, y: y_b.npy}}\n",
             layers);
    config = scratch_config(s, text);
    params.config = config;
    *s->warning = *s->info = 0;
    if (clrnn_train(s->device, &params, NULL) != CLRNN_OK)
        fail_msg("%s", s->error);
    clrnn_config_destroy(&config);
}

static void runs(struct scratch *s)
{
    scratch_problem(s, "a", 160, 4, 4, 2, false, 1);
    scratch_problem(s, "b", 40, 4, 4, 2, false, 2);
    run(s, "healthy", "", false);
    assert_string_equal(s->warning, "");
    run(s, "quiet", ", round", true);
    assert_string_equal(s->warning, "");
    run(s, "broken", ", round", false);
    assert_non_null(strstr(s->warning, "zero-gradient: "));
    assert_int_equal(count_of(s->info, "explains"), 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        SCRATCH_TEST(losses, "ref"),      SCRATCH_TEST(zero_gradients, "ref"),  SCRATCH_TEST(lost_rates, "ref"),
        SCRATCH_TEST(flat_losses, "ref"), SCRATCH_TEST(weighted_losses, "ref"), SCRATCH_TEST(large_updates, "ref"),
        SCRATCH_TEST(runs, NULL),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
