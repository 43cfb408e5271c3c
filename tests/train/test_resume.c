// SPDX-License-Identifier: MIT
// Runs that are interrupted or killed, and then resumed, must give the same bits as a run without a break. Some resumes
// must be refused.
#include "runs.h"

#include <signal.h>
#include <sys/time.h>
#include <unistd.h>

#include "base/array.h"
#include "train/run_folder.h"

static volatile sig_atomic_t alarmed; // global, because a signal handler has no argument for it

static void ring(int number)
{
    (void)number;
    alarmed = 1;
}

// Trains, or resumes a run, until a timer interrupts it after `seconds`, as Ctrl-C does. The times are spread over the
// run, so that they can fall into epochs, into validation and between epochs.
static enum clrnn_status train_until(struct scratch *s, const char *text, const char *out, bool resume, double seconds)
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

static void check_resume(struct scratch *s, const char *folder, const char *text, int cuts)
{
    const struct sigaction action = {.sa_handler = ring};
    struct clrnn_train_result result;
    int stops = 0;

    for (int time = 0; time < 2; time++) // twice, because the first run may also build kernels
        if (runs_train(s, text, "whole", false, NULL, &result) != CLRNN_OK)
            fail_msg("%s", s->error);
    assert_int_equal(sigaction(SIGALRM, &action, NULL), 0);
    for (int cut = 0; cut < cuts; cut++) {
        enum clrnn_status st = CLRNN_INTERRUPTED;
        char name[32];

        snprintf(name, sizeof(name), "%s%d", folder, cut);
        for (int sitting = 0; st == CLRNN_INTERRUPTED; sitting++) {
            // If the time ends before the first step, no progress is made. The last attempt therefore has more than
            // enough time.
            const double share = sitting > 4 ? 1000.0 : (cut + 0.5) / cuts * (sitting ? 0.7 : 1.0);

            st = train_until(s, text, name, sitting, share * result.seconds);
            stops += st == CLRNN_INTERRUPTED;
        }
        if (st != CLRNN_OK)
            fail_msg("%s: %s", name, s->error);
        for (int best = 0; best < 2; best++) {
            char a[64], b[64];

            snprintf(a, sizeof(a), "whole/%s.safetensors", best ? "best" : "last");
            snprintf(b, sizeof(b), "%s/%s.safetensors", name, best ? "best" : "last");
            runs_same_files(s, a, b);
        }
        runs_same_metrics(s, "whole", name);
    }
    print_message("# stopped %d times\n", stops); // depends on timing: may be 0 on a busy machine
}

// Each kind of scheduler that has state, and early stopping.
#define COSINE TRAIN("3", ", log_every: 1, scheduler: {one_cycle_lr: {max_lr: 0.02, interval: batch}}") DATA
#define PLATEAU \
    TRAIN("3", ", log_every: 2, scheduler: {reduce_lr_on_plateau: {patience: 0, factor: 0.5}}, early_stopping: " \
               "{monitor: valid_loss, patience: 9}, clip_grad_norm: 0.5") \
    DATA
#define PLATEAU_BATCH \
    TRAIN("2", ", log_every: 1, scheduler: {reduce_lr_on_plateau: {patience: 1, factor: 0.5, interval: batch}}") \
    DATA

static void test_resume_on_ref(struct scratch *s)
{
    runs_data(s);
    check_resume(s, "cosine", MODEL COSINE, 8);
    check_resume(s, "plateau", MODEL PLATEAU, 5);
    check_resume(s, "batch", MODEL PLATEAU_BATCH, 5);
}

static void test_resume_on_opencl(struct scratch *s)
{
    runs_data(s);
    check_resume(s, "cosine", MODEL COSINE, 5);
}

// A run killed by SIGKILL leaves lines after the checkpoint, an incomplete line and an incomplete file. A resume must
// remove these, and must keep other files.
static void test_resume_after_kill(struct scratch *s)
{
    FILE *file;

    runs_data(s);
    runs_must_train(s, MODEL TRAIN("4", ", log_every: 1") DATA, "whole");
    runs_must_train(s, MODEL TRAIN("2", ", log_every: 1") DATA, "cut");
    file = fopen(scratch_path(s, "cut/metrics.jsonl"), "a");
    assert_non_null(file);
    fprintf(file, "{\"step\": 13, \"loss\": 9.5, \"lr\": 0.01}\n{\"epoch\": 3, \"step\": 18}\n{\"step\": 14, \"lo");
    assert_int_equal(fclose(file), 0);
    scratch_write(s, "cut/.clrnn-tmp-1-1", "torn");
    scratch_write(s, "cut/notes.txt", "mine");
    assert_int_equal(runs_train(s, MODEL TRAIN("4", ", log_every: 1") DATA, "cut", true, NULL, NULL), CLRNN_OK);
    assert_non_null(strstr(s->info, "train.epochs was 2, goes on as 4"));
    runs_same_files(s, "whole/last.safetensors", "cut/last.safetensors");
    runs_same_metrics(s, "whole", "cut");
    assert_int_not_equal(access(scratch_path(s, "cut/.clrnn-tmp-1-1"), F_OK), 0);
    assert_int_equal(access(scratch_path(s, "cut/notes.txt"), F_OK), 0);

    assert_int_equal(unlink(scratch_path(s, "cut/last.safetensors")), 0); // killed before any checkpoint
    assert_int_equal(runs_train(s, MODEL TRAIN("4", ", log_every: 1") DATA, "cut", true, NULL, NULL), CLRNN_OK);
    runs_same_files(s, "whole/last.safetensors", "cut/last.safetensors");
}

// A run that is stopped before its first step must not replace the earlier run in its folder. In an empty folder it
// must leave a checkpoint, from which --resume goes on.
static void test_stopped_at_once(struct scratch *s)
{
    static const char *const out[] = {"run", "empty"};
    const char *text = MODEL TRAIN("1", "") DATA;

    runs_data(s);
    runs_must_train(s, MODEL TRAIN("2", "") DATA, "run");
    runs_must_train(s, MODEL TRAIN("2", "") DATA, "same");
    alarmed = 1;
    for (size_t i = 0; i < ARRAY_SIZE(out); i++) {
        struct clrnn_config *config = scratch_config(s, text);
        struct clrnn_train_params params = {.config = config, .out = scratch_path(s, out[i]), .stop = &alarmed};
        struct clrnn_train_result result;

        assert_int_equal(clrnn_train(s->device, &params, &result), CLRNN_INTERRUPTED);
        clrnn_config_destroy(&config);
    }
    runs_same_files(s, "run/last.safetensors", "same/last.safetensors");
    assert_int_equal(runs_train(s, text, "empty", true, NULL, NULL), CLRNN_OK);
}

static void test_refused_resumes(struct scratch *s)
{
    const char *text = MODEL TRAIN("2", "") DATA;
    const char *cycle = MODEL TRAIN("2", ", scheduler: {one_cycle_lr: {max_lr: 0.1, interval: batch}}") DATA;

    runs_data(s);
    assert_int_equal(runs_train(s, text, "none", true, NULL, NULL), CLRNN_ERR_DATA);
    scratch_expect(s, "none", "cannot be opened", NULL);
    runs_must_train(s, text, "run");
    assert_int_equal(runs_train(s, MODEL TRAIN("2", ", clip_grad_norm: 3") DATA, "run", true, NULL, NULL),
                     CLRNN_ERR_CONFIG);
    scratch_expect(s, "train.clip_grad_norm", "was null, is 3", NULL);
    assert_int_equal(runs_train(s,
                                MODEL "train: {loss: cross_entropy, optimizer: {sgd: {lr: 0.01}}, epochs: 2, "
                                      "batch_size: 9, shuffle: true, seed: 5}\n" DATA,
                                "run", true, NULL, NULL),
                     CLRNN_ERR_CONFIG);
    scratch_expect(s, "train.batch_size (was 8, is 9)", "optimizer", NULL);
    runs_must_train(s, cycle, "cycle");
    assert_int_equal(runs_train(s, MODEL TRAIN("3", ", scheduler: {one_cycle_lr: {max_lr: 0.1, interval: batch}}") DATA,
                                "cycle", true, NULL, NULL),
                     CLRNN_ERR_CONFIG);
    scratch_expect(s, "train.epochs (was 2, is 3)", "one_cycle_lr", NULL);
    scratch_problem(s, "b", 21, 5, 3, 3, false, 77);
    assert_int_equal(runs_train(s, MODEL TRAIN("3", "") DATA, "run", true, NULL, NULL), CLRNN_ERR_CONFIG);
    scratch_expect(s, "valid data", "21", "other content", NULL);
    scratch_problem(s, "a", S - 1, 5, 3, 3, false, 1);
    assert_int_equal(runs_train(s, MODEL TRAIN("3", "") DATA, "run", true, NULL, NULL), CLRNN_ERR_CONFIG);
    scratch_expect(s, "train data", "44", "43", NULL);
}

// A line of metrics.jsonl with 3 numbers for each of 1,000 classes must be read.
static void test_long_line(void **state)
{
    enum { NUMBERS = 3000 };
    static char line[64 + NUMBERS * 32];
    struct clrnn_epoch_row row;
    size_t at;

    (void)state;
    at = (size_t)snprintf(line, sizeof(line), "{\"epoch\": 2, \"step\": 9, \"recall_per_class\": [0");
    for (int i = 0; i < NUMBERS; i++)
        at += (size_t)snprintf(line + at, sizeof(line) - at, ", 0.12345678901234567");
    at += (size_t)snprintf(line + at, sizeof(line) - at, "]}\n");
    assert_true(clrnn_metrics_line(line, at, 2, 9, &row) && row.epoch == 2);
    assert_false(clrnn_metrics_line(line, at, 2, 8, &row));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_long_line),          SCRATCH_TEST(test_resume_on_ref, "ref"),
        SCRATCH_TEST(test_resume_on_opencl, NULL), SCRATCH_TEST(test_resume_after_kill, "ref"),
        SCRATCH_TEST(test_refused_resumes, "ref"), SCRATCH_TEST(test_stopped_at_once, "ref"),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
