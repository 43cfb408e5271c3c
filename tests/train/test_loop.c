// SPDX-License-Identifier: MIT
// Training runs: metrics and folder, interruption and resuming bit for bit, refusals, early stopping.
#include "scratch.h"

#include <jansson.h>
#include <math.h>
#include <signal.h>
#include <sys/time.h>
#include <unistd.h>

#include "base/array.h"
#include "clrnn/train.h"

#define MODEL \
    "model: {layers: [{lstm: {hidden_size: 4, num_layers: 2, dropout: 0.2}}, batchnorm, {pool: {over: " \
    "mean}}, " \
    "{dropout: {p: 0.3}}, {linear: {out_features: 3}}]}\n"
#define TRAIN(epochs, more) \
    "train: {loss: cross_entropy, optimizer: {adam: {lr: 0.01, amsgrad: true}}, epochs: " epochs \
    ", batch_size: 8, shuffle: true, seed: 5" more "}\n"
#define DATA \
    "data: {train: {x: X_a.npy, y: y_a.npy, lengths: lengths_a.npy}, valid: {x: X_b.npy, y: y_b.npy, " \
    "lengths: lengths_b.npy}, bucket: true, normalize: standard}\n"

enum { S = 44, BATCHES = 6 };

static void make_data(const struct scratch *s)
{
    scratch_problem(s, "a", S, 5, 3, 3, false, 1);
    scratch_problem(s, "b", 21, 5, 3, 3, false, 2);
}

// What the progress callback told.
struct told {
    int epochs, best;
    uint64_t step;
};

static void count_progress(void *user, const struct clrnn_progress *p)
{
    struct told *told = user;

    told->epochs += p->epoch_end;
    told->best += p->best;
    told->step = p->step;
}

static enum clrnn_status train(struct scratch *s, const char *text, const char *out, bool resume,
                               struct told *told, struct clrnn_train_result *result)
{
    struct clrnn_config *config = scratch_config(s, text);
    struct told nothing = {0};
    struct clrnn_train_result own;
    struct clrnn_train_params params = {
        .config = config, .progress = count_progress, .progress_user = told ? told : &nothing};
    enum clrnn_status st;

    *(resume ? &params.resume : &params.out) = scratch_path(s, out);
    s->errors = 0;
    *s->error = *s->warning = *s->info = 0;
    st = clrnn_train(s->device, &params, result ? result : &own);
    assert_int_equal(s->errors, st != CLRNN_OK && st != CLRNN_FAILED);
    clrnn_config_destroy(&config);
    return st;
}

static void must_train(struct scratch *s, const char *text, const char *out)
{
    if (train(s, text, out, false, NULL, NULL) != CLRNN_OK)
        fail_msg("%s", s->error);
}

// The n-th line (from 0) of metrics.jsonl that has `key`; NULL beyond the last.
static json_t *metrics_line(const struct scratch *s, const char *run, const char *key, size_t n)
{
    char name[64], *text, *rest, *line;
    json_t *found = NULL;

    snprintf(name, sizeof(name), "%s/metrics.jsonl", run);
    text = scratch_read(s, name, NULL);
    assert_non_null(text);
    for (line = strtok_r(text, "\n", &rest); line && !found; line = strtok_r(NULL, "\n", &rest)) {
        json_t *object = json_loads(line, 0, NULL);

        if (!object)
            fail_msg("no JSON: %s", line);
        if (json_object_get(object, key) && n-- == 0)
            found = json_incref(object);
        json_decref(object);
    }
    free(text);
    return found;
}

static double number(const json_t *object, const char *key)
{
    const json_t *value = json_object_get(object, key);

    return json_is_number(value) ? json_number_value(value) : NAN;
}

static void same_files(const struct scratch *s, const char *a, const char *b)
{
    size_t a_size = 0, b_size = 0;
    char *x = scratch_read(s, a, &a_size), *y = scratch_read(s, b, &b_size);

    assert_non_null(x);
    assert_non_null(y);
    if (a_size != b_size || memcmp(x, y, a_size))
        fail_msg("%s (%zu bytes) and %s (%zu) differ", a, a_size, b, b_size);
    free(x);
    free(y);
}

// Lines without their times.
static void same_metrics(const struct scratch *s, const char *a, const char *b)
{
    for (int kind = 0; kind < 2; kind++)
        for (size_t n = 0;; n++) {
            json_t *x = metrics_line(s, a, kind ? "epoch" : "loss", n);
            json_t *y = metrics_line(s, b, kind ? "epoch" : "loss", n);
            const bool end = !x && !y;

            if (!end) {
                assert_true(x && y);
                json_object_del(x, "seconds");
                json_object_del(y, "seconds");
                json_object_del(x, "samples_per_s");
                json_object_del(y, "samples_per_s");
                if (!json_equal(x, y))
                    fail_msg("%s %zu differs: %s, %s", kind ? "epoch" : "step", n, json_dumps(x, 0),
                             json_dumps(y, 0));
            }
            json_decref(x);
            json_decref(y);
            if (end)
                break;
        }
}

// ---------------------------------------------------------------- what a run leaves

static void test_folder(void **state)
{
    static const char *const row_keys[] = {"epoch",      "step",           "train_loss", "train_accuracy",
                                           "valid_loss", "valid_accuracy", "lr",         "grad_norm",
                                           "seconds",    "samples_per_s"};
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
    struct scratch s;
    struct told progress = {0};
    struct clrnn_train_result result;
    struct clrnn_config *config;
    json_t *line, *summary;
    char *text;
    double weighted = 0;

    (void)state;
    assert_true(scratch_open(&s, "ref"));
    make_data(&s);
    assert_int_equal(train(&s, MODEL TRAIN("3", ", log_every: 1") DATA, "run", false, &progress, &result),
                     CLRNN_OK);
    assert_int_equal(progress.epochs, 3);
    assert_int_equal(progress.step, 3 * BATCHES);
    assert_true(progress.best >= 1);
    assert_true(result.epochs == 3 && result.steps == 3 * BATCHES && result.best_epoch >= 1);
    assert_true(result.parameters > 0 && result.ms_per_step_median > 0);
    assert_non_null(strstr(s.info, "train: 44 samples, T 5 at most, C 3; classes 0: "));
    for (size_t n = 0; n < 3 * BATCHES; n++) {
        line = metrics_line(&s, "run", "loss", n);
        assert_non_null(line);
        assert_int_equal(number(line, "step"), n + 1);
        assert_true(number(line, "lr") == 0.01);
        if (n < BATCHES)
            weighted += number(line, "loss") * (n == BATCHES - 1 ? S - 8 * (BATCHES - 1) : 8) / S;
        json_decref(line);
    }
    assert_null(metrics_line(&s, "run", "loss", 3 * BATCHES));
    line = metrics_line(&s, "run", "epoch", 0);
    for (size_t i = 0; i < ARRAY_SIZE(row_keys); i++)
        if (!json_is_number(json_object_get(line, row_keys[i])))
            fail_msg("no %s", row_keys[i]);
    assert_true(fabs(number(line, "train_loss") - weighted) < 1e-12); // batch losses weighted by samples
    json_decref(line);

    text = scratch_read(&s, "run/summary.json", NULL);
    summary = json_loads(text, 0, NULL);
    for (size_t i = 0; i < ARRAY_SIZE(summary_keys); i++)
        if (!json_object_get(summary, summary_keys[i]))
            fail_msg("no %s", summary_keys[i]);
    json_decref(summary);
    free(text);
    assert_int_equal(clrnn_config_read(&s.log, scratch_path(&s, "run/config.yaml"), 0, NULL, &config),
                     CLRNN_OK);
    assert_int_equal(*config->data.train.x, '/'); // can be read from anywhere
    assert_int_equal(config->train.epochs, 3);
    clrnn_config_destroy(&config);
    assert_int_equal(access(scratch_path(&s, "run/best.safetensors"), R_OK), 0);
    assert_int_equal(access(scratch_path(&s, "run/last.safetensors"), R_OK), 0);

    must_train(&s, MODEL TRAIN("2", ", log_every: 5") DATA, "run"); // the same folder again
    assert_non_null(strstr(s.warning, "replaced"));
    line = metrics_line(&s, "run", "loss", 0);
    assert_int_equal(number(line, "step"), 5);
    json_decref(line);
    assert_null(metrics_line(&s, "run", "loss", 2));
    assert_null(metrics_line(&s, "run", "epoch", 2));
    scratch_close(&s);
}

static void test_regression(void **state)
{
    struct scratch s;
    const char *text =
        "model: {layers: [{rnn: {hidden_size: 3}}, {pool: {over: last}}, {linear: {out_features: 1}}]}\n"
        "train: {loss: mse, optimizer: {sgd: {lr: 0.05}}, epochs: 2, batch_size: 8}\n"
        "data: {train: {x: X_a.npy, y: y_a.npy}, valid: {x: X_b.npy, y: y_b.npy}}\n";
    json_t *line;

    (void)state;
    assert_true(scratch_open(&s, "ref"));
    make_data(&s);
    must_train(&s, text, "run");
    line = metrics_line(&s, "run", "epoch", 1);
    assert_true(json_is_null(json_object_get(line, "valid_accuracy")));
    assert_true(json_is_null(json_object_get(line, "train_accuracy")));
    assert_true(fabs(number(line, "valid_rmse") - sqrt(number(line, "valid_loss"))) < 1e-9);
    assert_true(number(line, "valid_mae") > 0 && number(line, "valid_mae") <= number(line, "valid_rmse"));
    assert_true(number(line, "train_mae") > 0 && number(line, "valid_r2") < 1);
    json_decref(line);
    scratch_close(&s);
}

// ---------------------------------------------------------------- resuming

static volatile sig_atomic_t alarmed; // a signal handler reaches nothing else

static void ring(int number)
{
    (void)number;
    alarmed = 1;
}

// Stopped by a timer, as Ctrl-C would, at another fraction of the whole time in each sitting: in the
// middle of epochs, in validation, between epochs.
static enum clrnn_status train_until(struct scratch *s, const char *text, const char *out, bool resume,
                                     double seconds)
{
    const long us = (long)(1e6 * seconds) + 1;
    const struct itimerval timer = {.it_value = {us / 1000000, us % 1000000}}, off = {.it_value = {0, 0}};
    struct clrnn_config *config = scratch_config(s, text);
    struct clrnn_train_params params = {.config = config, .stop = &alarmed};
    struct clrnn_train_result result;
    enum clrnn_status st;

    *(resume ? &params.resume : &params.out) = scratch_path(s, out);
    alarmed = 0;
    assert_int_equal(setitimer(ITIMER_REAL, &timer, NULL), 0);
    st = clrnn_train(s->device, &params, &result);
    setitimer(ITIMER_REAL, &off, NULL);
    clrnn_config_destroy(&config);
    return st;
}

static void check_resume(struct scratch *s, const char *text, int cuts)
{
    const struct sigaction action = {.sa_handler = ring};
    struct clrnn_train_result result;
    int stops = 0;

    for (int time = 0; time < 2; time++) // the first time may build kernels
        if (train(s, text, "whole", false, NULL, &result) != CLRNN_OK)
            fail_msg("%s", s->error);
    assert_int_equal(sigaction(SIGALRM, &action, NULL), 0);
    for (int cut = 0; cut < cuts; cut++) {
        enum clrnn_status st = CLRNN_INTERRUPTED;
        char name[32];

        snprintf(name, sizeof(name), "cut%d", cut);
        for (int sitting = 0; st == CLRNN_INTERRUPTED; sitting++) {
            // A sitting that opens its data and ends before its first step comes no further: the last has
            // time.
            const double share = sitting > 4 ? 1000.0 : (cut + 0.5) / cuts * (sitting ? 0.7 : 1.0);

            st = train_until(s, text, name, sitting, share * result.seconds);
            stops += st == CLRNN_INTERRUPTED;
        }
        if (st != CLRNN_OK)
            fail_msg("cut %d: %s", cut, s->error);
        for (int best = 0; best < 2; best++) {
            char a[64], b[64];

            snprintf(a, sizeof(a), "whole/%s.safetensors", best ? "best" : "last");
            snprintf(b, sizeof(b), "%s/%s.safetensors", name, best ? "best" : "last");
            same_files(s, a, b);
        }
        same_metrics(s, "whole", name);
    }
    print_message("# stopped %d times\n", stops); // by the clock: none where the machine is busy elsewhere
}

// A scheduler and early stopping of each kind that keeps something in mind.
#define COSINE TRAIN("3", ", log_every: 1, scheduler: {one_cycle_lr: {max_lr: 0.02, interval: batch}}") DATA
#define PLATEAU \
    TRAIN("3", \
          ", log_every: 2, scheduler: {reduce_lr_on_plateau: {patience: 0, factor: 0.5}}, early_stopping: " \
          "{monitor: valid_loss, patience: 9}, clip_grad_norm: 0.5") \
    DATA
#define PLATEAU_BATCH \
    TRAIN("2", \
          ", log_every: 1, scheduler: {reduce_lr_on_plateau: {patience: 1, factor: 0.5, interval: batch}}") \
    DATA

static void test_resume_on_ref(void **state)
{
    struct scratch s;

    (void)state;
    assert_true(scratch_open(&s, "ref"));
    make_data(&s);
    check_resume(&s, MODEL COSINE, 8);
    check_resume(&s, MODEL PLATEAU, 5);
    check_resume(&s, MODEL PLATEAU_BATCH, 5);
    scratch_close(&s);
}

static void test_resume_on_opencl(void **state)
{
    struct scratch s;

    (void)state;
    if (!scratch_open(&s, NULL))
        return;
    make_data(&s);
    check_resume(&s, MODEL COSINE, 5);
    scratch_close(&s);
}

// kill -9 leaves lines beyond the checkpoint, half a line, and a torn file.
static void test_resume_after_kill(void **state)
{
    struct scratch s;
    FILE *file;

    (void)state;
    assert_true(scratch_open(&s, "ref"));
    make_data(&s);
    must_train(&s, MODEL TRAIN("4", ", log_every: 1") DATA, "whole");
    must_train(&s, MODEL TRAIN("2", ", log_every: 1") DATA, "cut");
    file = fopen(scratch_path(&s, "cut/metrics.jsonl"), "a");
    assert_non_null(file);
    fprintf(file,
            "{\"step\": 13, \"loss\": 9.5, \"lr\": 0.01}\n{\"epoch\": 3, \"step\": 18}\n{\"step\": 14, \"lo");
    assert_int_equal(fclose(file), 0);
    scratch_write(&s, "cut/.clrnn-tmp-1-1", "torn");
    scratch_write(&s, "cut/notes.txt", "mine");
    assert_int_equal(train(&s, MODEL TRAIN("4", ", log_every: 1") DATA, "cut", true, NULL, NULL), CLRNN_OK);
    assert_non_null(strstr(s.info, "train.epochs was 2, goes on as 4"));
    same_files(&s, "whole/last.safetensors", "cut/last.safetensors");
    same_metrics(&s, "whole", "cut");
    assert_int_not_equal(access(scratch_path(&s, "cut/.clrnn-tmp-1-1"), F_OK), 0);
    assert_int_equal(access(scratch_path(&s, "cut/notes.txt"), F_OK), 0);

    assert_int_equal(unlink(scratch_path(&s, "cut/last.safetensors")), 0); // killed before the first one
    assert_int_equal(train(&s, MODEL TRAIN("4", ", log_every: 1") DATA, "cut", true, NULL, NULL), CLRNN_OK);
    same_files(&s, "whole/last.safetensors", "cut/last.safetensors");
    scratch_close(&s);
}

static void test_refused_resumes(void **state)
{
    struct scratch s;
    const char *text = MODEL TRAIN("2", "") DATA;
    const char *cycle = MODEL TRAIN("2", ", scheduler: {one_cycle_lr: {max_lr: 0.1, interval: batch}}") DATA;

    (void)state;
    assert_true(scratch_open(&s, "ref"));
    make_data(&s);
    assert_int_equal(train(&s, text, "none", true, NULL, NULL), CLRNN_ERR_DATA);
    scratch_expect(&s, "none", "no run folder", NULL);
    must_train(&s, text, "run");
    assert_int_equal(train(&s, MODEL TRAIN("2", ", clip_grad_norm: 3") DATA, "run", true, NULL, NULL),
                     CLRNN_ERR_CONFIG);
    scratch_expect(&s, "train.clip_grad_norm", "was null, is 3", NULL);
    assert_int_equal(train(&s,
                           MODEL "train: {loss: cross_entropy, optimizer: {sgd: {lr: 0.01}}, epochs: 2, "
                                 "batch_size: 9, shuffle: true, seed: 5}\n" DATA,
                           "run", true, NULL, NULL),
                     CLRNN_ERR_CONFIG);
    scratch_expect(&s, "train.batch_size (was 8, is 9)", "optimizer", NULL);
    must_train(&s, cycle, "cycle");
    assert_int_equal(
        train(&s, MODEL TRAIN("3", ", scheduler: {one_cycle_lr: {max_lr: 0.1, interval: batch}}") DATA,
              "cycle", true, NULL, NULL),
        CLRNN_ERR_CONFIG);
    scratch_expect(&s, "train.epochs (was 2, is 3)", "one_cycle_lr", NULL);
    scratch_problem(&s, "b", 21, 5, 3, 3, false, 77);
    assert_int_equal(train(&s, MODEL TRAIN("3", "") DATA, "run", true, NULL, NULL), CLRNN_ERR_CONFIG);
    scratch_expect(&s, "valid data", "21", "other content", NULL);
    scratch_problem(&s, "a", S - 1, 5, 3, 3, false, 1);
    assert_int_equal(train(&s, MODEL TRAIN("3", "") DATA, "run", true, NULL, NULL), CLRNN_ERR_CONFIG);
    scratch_expect(&s, "train data", "44", "43", NULL);
    scratch_close(&s);
}

// ---------------------------------------------------------------- odd courses

static void test_early_stopping(void **state)
{
    struct scratch s;
    struct clrnn_train_result result;
    const char *still =
        "model: {layers: [{pool: {over: last}}, {linear: {out_features: 3}}]}\n"
        "train: {loss: cross_entropy, optimizer: {sgd: {lr: 1.0e-30}}, epochs: 9, batch_size: 8, "
        "early_stopping: {monitor: valid_loss, patience: 2, min_delta: 0.001}}\n" DATA;

    (void)state;
    assert_true(scratch_open(&s, "ref"));
    make_data(&s);
    assert_int_equal(train(&s, still, "run", false, NULL, &result), CLRNN_OK);
    assert_int_equal(result.epochs, 3); // the first is best, then two without a better one
    assert_int_equal(result.best_epoch, 1);
    assert_non_null(strstr(s.info, "early stopping after epoch 3"));
    assert_int_equal(train(&s, still, "run", true, NULL, &result), CLRNN_OK); // stays stopped
    assert_int_equal(result.epochs, 3);
    assert_non_null(strstr(s.info, "finished"));
    scratch_close(&s);
}

static void test_not_finite(void **state)
{
    struct scratch s;
    struct clrnn_train_result result;
    json_t *line;
    const char *text =
        "model: {layers: [{pool: {over: last}}, {linear: {out_features: 1}}]}\n"
        "train: {loss: mse, optimizer: {sgd: {lr: 1.0e+200}}, epochs: 2, batch_size: 8, log_every: 1}\n"
        "data: {train: {x: X_a.npy, y: y_a.npy}}\n";

    (void)state;
    assert_true(scratch_open(&s, "ref"));
    make_data(&s);
    assert_int_equal(train(&s, text, "run", false, NULL, &result), CLRNN_FAILED); // it goes on, as PyTorch
    assert_non_null(strstr(s.warning, "null"));
    assert_null(strstr(strstr(s.info, "null") + 4, "null")); // said once
    line = metrics_line(&s, "run", "loss", 2 * BATCHES - 1);
    assert_true(json_is_null(json_object_get(line, "loss")));
    json_decref(line);
    line = metrics_line(&s, "run", "epoch", 1);
    assert_true(json_is_null(json_object_get(line, "train_loss")));
    assert_true(json_is_null(json_object_get(line, "valid_loss")));
    json_decref(line);
    assert_int_equal(result.best_epoch, 0);
    scratch_close(&s);
}

static void test_refused_runs(void **state)
{
    struct scratch s;
    struct clrnn_config *config;
    struct clrnn_train_params params = {0};
    struct clrnn_train_result result;

    (void)state;
    assert_true(scratch_open(&s, "ref"));
    make_data(&s);
    assert_int_equal(train(&s,
                           MODEL "train: {loss: cross_entropy, optimizer: {sgd: {lr: 0.1}}, epochs: 1, "
                                 "batch_size: 45, drop_last: true}\n" DATA,
                           "run", false, NULL, NULL),
                     CLRNN_ERR_CONFIG);
    scratch_expect(&s, "drop_last", "44 samples", "45", NULL);
    assert_int_not_equal(access(scratch_path(&s, "run"), F_OK), 0); // nothing is left of it
    assert_int_equal(
        train(&s,
              MODEL TRAIN("2", ", scheduler: {one_cycle_lr: {max_lr: 0.1, total_steps: 5, interval: "
                               "batch}}") DATA,
              "run", false, NULL, NULL),
        CLRNN_ERR_CONFIG);
    scratch_expect(&s, "one_cycle_lr", "12", "total_steps", NULL);
    config =
        scratch_config(&s, MODEL TRAIN("1", ", early_stopping: {monitor: valid_loss, patience: 2}") DATA);
    config->data.valid.there = false; // as code may describe it; the parser refuses such a file itself
    params.config = config;
    params.out = scratch_path(&s, "run");
    assert_int_equal(clrnn_train(s.device, &params, &result), CLRNN_ERR_CONFIG);
    scratch_expect(&s, "early_stopping", "valid_loss", "no validation data", NULL);
    clrnn_config_destroy(&config);
    scratch_write(&s, "file", "");
    assert_int_equal(train(&s, MODEL TRAIN("1", "") DATA, "file/run", false, NULL, NULL), CLRNN_ERR_DISK);
    scratch_expect(&s, "file", NULL);
    scratch_close(&s);
}

static void test_valid_fraction(void **state)
{
    struct scratch s;
    json_t *line;

    (void)state;
    assert_true(scratch_open(&s, "ref"));
    make_data(&s);
    must_train(&s, MODEL TRAIN("2", "") "data: {train: {x: X_a.npy, y: y_a.npy}, valid_fraction: 0.25}\n",
               "run");
    assert_non_null(strstr(s.info, "train: 33 samples"));
    assert_non_null(strstr(s.info, "valid: 11 samples"));
    line = metrics_line(&s, "run", "epoch", 1);
    assert_false(isnan(number(line, "valid_loss")));
    json_decref(line);
    scratch_close(&s);
}

static void test_pictures(void **state)
{
    struct scratch s;
    struct clrnn_config *config;
    struct clrnn_train_params params = {.plot = 1};
    struct clrnn_train_result result;
    char *path = getenv("PATH") ? strdup(getenv("PATH")) : NULL;
    const bool gnuplot = system("gnuplot --version >/dev/null 2>&1") == 0;
    char *picture;

    (void)state;
    assert_true(scratch_open(&s, "ref"));
    make_data(&s);
    config = scratch_config(&s, MODEL TRAIN("2", "") DATA);
    params.config = config;
    params.out = scratch_path(&s, "it's");
    assert_int_equal(clrnn_train(s.device, &params, &result), CLRNN_OK);
    if (gnuplot) {
        picture = scratch_read(&s, "it's/loss.svg", NULL);
        assert_non_null(picture);
        assert_non_null(strstr(picture, "</svg>"));
        assert_non_null(strstr(picture, "valid"));
        free(picture);
        picture = scratch_read(&s, "it's/classes.svg", NULL);
        assert_non_null(picture);
        assert_non_null(strstr(picture, "</svg>"));
        free(picture);
    } else {
        print_message("# no gnuplot: pictures are not looked at\n");
    }
    setenv("PATH", "/nowhere", 1);
    *s.warning = 0;
    params.out = scratch_path(&s, "second");
    assert_int_equal(clrnn_train(s.device, &params, &result), CLRNN_OK);
    assert_non_null(strstr(s.warning, "gnuplot is not installed"));
    *s.warning = 0;
    params.plot = -1;
    params.out = scratch_path(&s, "third");
    assert_int_equal(clrnn_train(s.device, &params, &result), CLRNN_OK);
    assert_string_equal(s.warning, "");
    if (path)
        setenv("PATH", path, 1);
    free(path);
    clrnn_config_destroy(&config);
    scratch_close(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_folder),
        cmocka_unit_test(test_regression),
        cmocka_unit_test(test_resume_on_ref),
        cmocka_unit_test(test_resume_on_opencl),
        cmocka_unit_test(test_resume_after_kill),
        cmocka_unit_test(test_refused_resumes),
        cmocka_unit_test(test_early_stopping),
        cmocka_unit_test(test_not_finite),
        cmocka_unit_test(test_refused_runs),
        cmocka_unit_test(test_valid_fraction),
        cmocka_unit_test(test_pictures),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
