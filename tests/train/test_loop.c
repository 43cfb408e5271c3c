// SPDX-License-Identifier: MIT
// Training runs: metrics, the run's folder, refused configs, early stopping, pictures.
#include "runs.h"

#include <math.h>
#include <signal.h>
#include <sys/time.h>
#include <unistd.h>

#include "base/array.h"
#include "clrnn/train.h"

// ---------------------------------------------------------------- what a run leaves

static void test_folder(struct scratch *s)
{
    static const char *const row_keys[] = {"epoch",          "step", "train_loss", "train_accuracy", "valid_loss",
                                           "valid_accuracy", "lr",   "grad_norm",  "seconds",        "samples_per_s"};
    static const char *const summary_keys[] = {"device",
                                               "platform",
                                               "driver",
                                               "parameters",
                                               "epochs",
                                               "steps",
                                               "best_epoch",
                                               "valid_loss",
                                               "valid_accuracy",
                                               "seconds",
                                               "ms_per_step_median",
                                               "samples_per_s",
                                               "build_seconds",
                                               "peak_device_bytes"};
    struct told progress = {0};
    struct clrnn_train_result result;
    struct clrnn_config *config;
    json_t *line, *summary;
    char *text;
    double weighted = 0;

    runs_data(s);
    assert_int_equal(runs_train(s, MODEL TRAIN("3", ", log_every: 1") DATA, "run", false, &progress, &result),
                     CLRNN_OK);
    assert_int_equal(progress.epochs, 3);
    assert_int_equal(progress.step, 3 * BATCHES);
    assert_true(progress.best >= 1);
    assert_true(result.epochs == 3 && result.steps == 3 * BATCHES && result.best_epoch >= 1);
    assert_true(result.parameters > 0 && result.ms_per_step_median > 0);
    assert_non_null(strstr(s->info, "train: 44 samples, T 5 at most, C 3; classes 0: "));
    for (size_t n = 0; n < 3 * BATCHES; n++) {
        line = runs_metrics_line(s, "run", "loss", n);
        assert_non_null(line);
        assert_int_equal(runs_number(line, "step"), n + 1);
        assert_true(runs_number(line, "lr") == 0.01);
        if (n < BATCHES)
            weighted += runs_number(line, "loss") * (n == BATCHES - 1 ? S - 8 * (BATCHES - 1) : 8) / S;
        json_decref(line);
    }
    assert_null(runs_metrics_line(s, "run", "loss", 3 * BATCHES));
    line = runs_metrics_line(s, "run", "epoch", 0);
    for (size_t i = 0; i < ARRAY_SIZE(row_keys); i++)
        if (!json_is_number(json_object_get(line, row_keys[i])))
            fail_msg("no %s", row_keys[i]);
    assert_true(fabs(runs_number(line, "train_loss") - weighted) < 1e-12); // batch losses weighted by samples
    json_decref(line);

    text = scratch_read(s, "run/summary.json", NULL);
    summary = json_loads(text, 0, NULL);
    for (size_t i = 0; i < ARRAY_SIZE(summary_keys); i++)
        if (!json_object_get(summary, summary_keys[i]))
            fail_msg("no %s", summary_keys[i]);
    json_decref(summary);
    free(text);
    assert_int_equal(clrnn_config_read(&s->log, scratch_path(s, "run/config.yaml"), 0, NULL, &config), CLRNN_OK);
    assert_int_equal(*config->data.train.x, '/'); // an absolute path, valid in any working directory
    assert_int_equal(config->train.epochs, 3);
    clrnn_config_destroy(&config);
    assert_int_equal(access(scratch_path(s, "run/best.safetensors"), R_OK), 0);
    assert_int_equal(access(scratch_path(s, "run/last.safetensors"), R_OK), 0);

    runs_must_train(s, MODEL TRAIN("2", ", log_every: 5") DATA, "run"); // a new run in the same folder
    assert_non_null(strstr(s->warning, "replaced"));
    line = runs_metrics_line(s, "run", "loss", 0);
    assert_int_equal(runs_number(line, "step"), 5);
    json_decref(line);
    assert_null(runs_metrics_line(s, "run", "loss", 2));
    assert_null(runs_metrics_line(s, "run", "epoch", 2));
}

static void test_regression(struct scratch *s)
{
    const char *text = "model: {layers: [{rnn: {hidden_size: 3}}, {pool: {over: last}}, {linear: {out_features: 1}}]}\n"
                       "train: {loss: mse, optimizer: {sgd: {lr: 0.05}}, epochs: 2, batch_size: 8}\n"
                       "data: {train: {x: X_a.npy, y: y_a.npy}, valid: {x: X_b.npy, y: y_b.npy}}\n";
    json_t *line;

    runs_data(s);
    runs_must_train(s, text, "run");
    line = runs_metrics_line(s, "run", "epoch", 1);
    assert_true(json_is_null(json_object_get(line, "valid_accuracy")));
    assert_true(json_is_null(json_object_get(line, "train_accuracy")));
    assert_true(fabs(runs_number(line, "valid_rmse") - sqrt(runs_number(line, "valid_loss"))) < 1e-9);
    assert_true(runs_number(line, "valid_mae") > 0 &&
                runs_number(line, "valid_mae") <= runs_number(line, "valid_rmse"));
    assert_true(runs_number(line, "train_mae") > 0 && runs_number(line, "valid_r2") < 1);
    json_decref(line);
}

// ---------------------------------------------------------------- unusual runs

static void test_early_stopping(struct scratch *s)
{
    struct clrnn_train_result result;
    const char *still = "model: {layers: [{pool: {over: last}}, {linear: {out_features: 3}}]}\n"
                        "train: {loss: cross_entropy, optimizer: {sgd: {lr: 1.0e-30}}, epochs: 9, batch_size: 8, "
                        "early_stopping: {monitor: valid_loss, patience: 2, min_delta: 0.001}}\n" DATA;

    runs_data(s);
    assert_int_equal(runs_train(s, still, "run", false, NULL, &result), CLRNN_OK);
    assert_int_equal(result.epochs, 3); // epoch 1 is the best, then two without improvement
    assert_int_equal(result.best_epoch, 1);
    assert_non_null(strstr(s->info, "early stopping after epoch 3"));
    assert_int_equal(runs_train(s, still, "run", true, NULL, &result), CLRNN_OK); // must not train on
    assert_int_equal(result.epochs, 3);
    assert_non_null(strstr(s->info, "finished"));
}

// Early stopping on a metric that the validation data leave undefined, or that is left out because it would need too
// many scores, must not end a run.
static void test_undefined_monitor(struct scratch *s)
{
    struct clrnn_train_result result;
    const char *warned;
    float y[21];
    const char *constant = "model: {layers: [{pool: {over: last}}, {linear: {out_features: 1}}]}\n"
                           "train: {loss: mse, optimizer: {sgd: {lr: 0.01}}, epochs: 5, batch_size: 8, "
                           "early_stopping: {monitor: valid_r2, patience: 2}}\n"
                           "data: {train: {x: X_a.npy, y: y_a.npy}, valid: {x: X_b.npy, y: y_c.npy}}\n";
    const char *many = "model: {layers: [{pool: {over: last}}, {linear: {out_features: 800000}}]}\n"
                       "train: {loss: cross_entropy, optimizer: {sgd: {lr: 0.01}}, epochs: 5, batch_size: 8, "
                       "early_stopping: {monitor: valid_roc_auc, patience: 2}}\n" DATA;

    runs_data(s);
    for (size_t n = 0; n < ARRAY_SIZE(y); n++)
        y[n] = 3;
    scratch_f32(s, "y_c.npy", y, ARRAY_SIZE(y), 0, 0);
    assert_int_equal(runs_train(s, constant, "run", false, NULL, &result), CLRNN_OK);
    assert_int_equal(result.epochs, 5);
    warned = strstr(s->warning, "valid_r2 is undefined");
    assert_non_null(warned);
    assert_null(strstr(warned + 1, "valid_r2 is undefined")); // must be logged only once
    assert_int_equal(runs_train(s, many, "many", false, NULL, NULL), CLRNN_ERR_CONFIG);
    scratch_expect(s, "early_stopping", "valid_roc_auc", "800000 outputs", NULL);
    assert_non_null(strstr(s->info, "roc_auc and pr_auc are left out"));
    assert_int_not_equal(access(scratch_path(s, "many"), F_OK), 0); // no folder must remain
}

// With train.bptt, lengths and shuffle epochs differ in steps. one_cycle_lr counts them all: the last step of the run
// has the last learning rate of the cycle.
static void test_cycle_of_pieces(struct scratch *s)
{
    char text[1024];

    scratch_problem(s, "a", S, 5, 3, 3, true, 1);
    for (int seed = 1; seed <= 4; seed++) {
        struct clrnn_train_result result;
        json_t *line;

        snprintf(
            text, sizeof(text),
            "model: {layers: [{rnn: {hidden_size: 3}}, {linear: {out_features: 3}}]}\n"
            "train: {loss: cross_entropy, optimizer: {sgd: {lr: 0.1}}, epochs: 5, batch_size: 2, seed: %d, bptt: 2, "
            "shuffle: true, log_every: 1, scheduler: {one_cycle_lr: {max_lr: 0.1, interval: batch}}}\n"
            "data: {train: {x: X_a.npy, y: y_a.npy, lengths: lengths_a.npy}}\n",
            seed);
        assert_int_equal(runs_train(s, text, "run", false, NULL, &result), CLRNN_OK);
        line = runs_metrics_line(s, "run", "loss", (size_t)result.steps - 1);
        if (fabs(runs_number(line, "lr") - 0.1 / 25 / 1e4) > 1e-12)
            fail_msg("seed %d: the last of %llu steps has lr %.9g", seed, (unsigned long long)result.steps,
                     runs_number(line, "lr"));
        json_decref(line);
    }
}

static void test_not_finite(struct scratch *s)
{
    struct clrnn_train_result result;
    json_t *line;
    const char *text = "model: {layers: [{pool: {over: last}}, {linear: {out_features: 1}}]}\n"
                       "train: {loss: mse, optimizer: {sgd: {lr: 1.0e+200}}, epochs: 2, batch_size: 8, log_every: 1}\n"
                       "data: {train: {x: X_a.npy, y: y_a.npy}}\n";

    runs_data(s);
    assert_int_equal(runs_train(s, text, "run", false, NULL, &result),
                     CLRNN_FAILED); // trains to the end, as PyTorch does
    assert_non_null(strstr(s->warning, "null"));
    assert_null(strstr(strstr(s->info, "null") + 4, "null")); // must be logged only once
    line = runs_metrics_line(s, "run", "loss", 2 * BATCHES - 1);
    assert_true(json_is_null(json_object_get(line, "loss")));
    json_decref(line);
    line = runs_metrics_line(s, "run", "epoch", 1);
    assert_true(json_is_null(json_object_get(line, "train_loss")));
    assert_true(json_is_null(json_object_get(line, "valid_loss")));
    json_decref(line);
    assert_int_equal(result.best_epoch, 0);
}

// If all labels are ignored, the loss is NaN, too, but a smaller lr is no help: the warning must name the reason.
static void test_nothing_counts(struct scratch *s)
{
    const char *text = "model: {layers: [{pool: {over: last}}, {linear: {out_features: 3}}]}\n"
                       "train: {loss: {cross_entropy: {ignore_index: 1}}, epochs: 2, batch_size: 8}\n"
                       "data: {train: {x: X_a.npy, y: y_one.npy}}\n";
    int64_t y[S];

    runs_data(s);
    for (size_t n = 0; n < ARRAY_SIZE(y); n++)
        y[n] = 1;
    scratch_i64(s, "y_one.npy", y, S, 0);
    assert_int_equal(runs_train(s, text, "run", false, NULL, NULL), CLRNN_FAILED);
    assert_non_null(strstr(s->info, "epoch 1 has no target to learn from, all are ignored"));
    assert_null(strstr(s->info, "in epoch 2")); // must be logged only once
    assert_null(strstr(s->info, "smaller lr"));
}

#define FLAT \
    "model: {layers: [flatten, {linear: {out_features: 3}}]}\ntrain: {loss: cross_entropy, epochs: 1}\n" \
    "data: {train: {x: X_a.npy, y: y_a.npy}, "

static void test_refused_runs(struct scratch *s)
{
    struct clrnn_config *config;
    struct clrnn_train_params params = {0};
    struct clrnn_train_result result;

    runs_data(s);
    assert_int_equal(runs_train(s,
                                MODEL "train: {loss: cross_entropy, optimizer: {sgd: {lr: 0.1}}, epochs: 1, "
                                      "batch_size: 45, drop_last: true}\n" DATA,
                                "run", false, NULL, NULL),
                     CLRNN_ERR_CONFIG);
    scratch_expect(s, "drop_last", "44 samples", "45", NULL);
    assert_int_not_equal(access(scratch_path(s, "run"), F_OK), 0); // no folder must remain
    assert_int_equal(runs_train(s,
                                MODEL TRAIN("2", ", scheduler: {one_cycle_lr: {max_lr: 0.1, total_steps: 5, interval: "
                                                 "batch}}") DATA,
                                "run", false, NULL, NULL),
                     CLRNN_ERR_CONFIG);
    scratch_expect(s, "one_cycle_lr", "12", "total_steps", NULL);
    config = scratch_config(s, MODEL TRAIN("1", ", early_stopping: {monitor: valid_loss, patience: 2}") DATA);
    config->data.valid.there = false; // set in the struct: the parser refuses such a file
    params.config = config;
    params.out = scratch_path(s, "run");
    assert_int_equal(clrnn_train(s->device, &params, &result), CLRNN_ERR_CONFIG);
    scratch_expect(s, "early_stopping", "valid_loss", "no validation data", NULL);
    clrnn_config_destroy(&config);
    scratch_problem(s, "c", 21, 6, 3, 3, false, 2); // T is 5 in a
    assert_int_equal(runs_train(s, FLAT "valid: {x: X_c.npy, y: y_c.npy}}\n", "run", false, NULL, NULL),
                     CLRNN_ERR_DATA);
    scratch_expect(s, "validation data have 6 steps, the training data 5", "flatten", NULL);
    assert_int_equal(
        runs_train(s, FLAT "valid: {x: X_b.npy, y: y_b.npy, lengths: lengths_b.npy}}\n", "run", false, NULL, NULL),
        CLRNN_ERR_CONFIG);
    scratch_expect(s, "data.valid has lengths", "flatten", NULL);
    assert_int_not_equal(access(scratch_path(s, "run"), F_OK), 0);
    scratch_write(s, "file", "");
    assert_int_equal(runs_train(s, MODEL TRAIN("1", "") DATA, "file/run", false, NULL, NULL), CLRNN_ERR_DISK);
    scratch_expect(s, "file", NULL);
}

static void test_valid_fraction(struct scratch *s)
{
    json_t *line;

    runs_data(s);
    runs_must_train(s, MODEL TRAIN("2", "") "data: {train: {x: X_a.npy, y: y_a.npy}, valid_fraction: 0.25}\n", "run");
    assert_non_null(strstr(s->info, "train: 33 samples"));
    assert_non_null(strstr(s->info, "valid: 11 samples"));
    line = runs_metrics_line(s, "run", "epoch", 1);
    assert_false(isnan(runs_number(line, "valid_loss")));
    json_decref(line);
}

static void test_pictures(struct scratch *s)
{
    struct clrnn_config *config;
    struct clrnn_train_params params = {.plot = 1};
    struct clrnn_train_result result;
    char *path = getenv("PATH") ? strdup(getenv("PATH")) : NULL;
    const bool gnuplot = system("gnuplot --version >/dev/null 2>&1") == 0;
    char *picture;

    runs_data(s);
    config = scratch_config(s, MODEL TRAIN("2", "") DATA);
    params.config = config;
    params.out = scratch_path(s, "it's");
    assert_int_equal(clrnn_train(s->device, &params, &result), CLRNN_OK);
    if (gnuplot) {
        picture = scratch_read(s, "it's/loss.svg", NULL);
        assert_non_null(picture);
        assert_non_null(strstr(picture, "</svg>"));
        assert_non_null(strstr(picture, "valid"));
        free(picture);
        picture = scratch_read(s, "it's/classes.svg", NULL);
        assert_non_null(picture);
        assert_non_null(strstr(picture, "</svg>"));
        free(picture);
    } else {
        print_message("# no gnuplot: pictures are not looked at\n");
    }
    setenv("PATH", "/nowhere", 1);
    *s->warning = 0;
    params.out = scratch_path(s, "second");
    assert_int_equal(clrnn_train(s->device, &params, &result), CLRNN_OK);
    assert_non_null(strstr(s->warning, "gnuplot is not installed"));
    *s->warning = 0;
    params.plot = -1;
    params.out = scratch_path(s, "third");
    assert_int_equal(clrnn_train(s->device, &params, &result), CLRNN_OK);
    assert_string_equal(s->warning, "");
    if (path)
        setenv("PATH", path, 1);
    free(path);
    clrnn_config_destroy(&config);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        SCRATCH_TEST(test_folder, "ref"),
        SCRATCH_TEST(test_regression, "ref"),
        SCRATCH_TEST(test_early_stopping, "ref"),
        SCRATCH_TEST(test_not_finite, "ref"),
        SCRATCH_TEST(test_nothing_counts, "ref"),
        SCRATCH_TEST(test_refused_runs, "ref"),
        SCRATCH_TEST(test_valid_fraction, "ref"),
        SCRATCH_TEST(test_pictures, "ref"),
        SCRATCH_TEST(test_undefined_monitor, "ref"),
        SCRATCH_TEST(test_cycle_of_pieces, "ref"),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
