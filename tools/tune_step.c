// SPDX-License-Identifier: MIT
// The child process of `clrnn tune` that tests and measures the tuned device.
#include "tools/tune_step.h"

#include <fcntl.h>
#include <math.h>
#include <stdio.h>
#include <unistd.h>

#include "base/child.h"
#include "base/log.h"
#include "clrnn/train.h"

// The config that CLRNN_STEP_MODEL describes.
static const char config_text[] =
    "model:\n  layers:\n    - lstm: {hidden_size: 128}\n    - pool: {over: last}\n"
    "    - linear: {out_features: 2}\n"
    "train: {loss: cross_entropy, optimizer: {adam: {lr: 1.0e-3}}, epochs: 1, batch_size: 64}\n"
    "data:\n  train: {synthetic: {samples: 256, steps: 32, features: 64, classes: 2, seed: 1}}\n";

// State in memory that parent and child share.
struct tune_step {
    struct clrnn_child_report report;
    struct clrnn_child child;
    int go[2]; // a pipe to the child: a byte starts the work, end of file ends the child
    char device[24];
    bool done;
    struct clrnn_selftest_result test;
    double ms;
};

static void say(void *user, const char *what)
{
    clrnn_child_doing(user, "running %s", what);
}

static enum clrnn_status test_and_measure(struct tune_step *s, struct clrnn_device *device, const struct clrnn_log *log)
{
    const struct clrnn_selftest_params test = {.doing = say, .doing_user = &s->report};
    struct clrnn_bench_result result;
    struct clrnn_config *config;
    enum clrnn_status st;

    TRY(clrnn_selftest(device, &test, &s->test));
    if (!s->test.ok)
        return CLRNN_OK;
    clrnn_child_doing(&s->report, "measuring a training step");
    TRY(clrnn_config_parse(log, config_text, NULL, &config));
    st = clrnn_bench(device, config, &(struct clrnn_bench_params){.seconds = 1}, &result);
    if (st == CLRNN_OK)
        s->ms = result.train_ms.median;
    clrnn_config_destroy(&config);
    return st;
}

static void work(void *user)
{
    struct tune_step *s = user;
    const struct clrnn_log log = {.fn = clrnn_child_log, .user = &s->report, .level = CLRNN_LOG_ERROR};
    struct clrnn_device *device;
    char byte;

    close(s->go[1]);
    if (read(s->go[0], &byte, 1) != 1)
        return;
    if (clrnn_device_open(&(struct clrnn_device_params){.select = s->device, .log = &log}, &device) != CLRNN_OK)
        return;
    s->done = test_and_measure(s, device, &log) == CLRNN_OK;
    clrnn_device_destroy(&device);
}

enum clrnn_status tune_step_start(const struct clrnn_log *log, struct tune_step **step)
{
    struct tune_step *s = *step = clrnn_shared_create(sizeof(*s));
    enum clrnn_status st;

    if (!s)
        return clrnn_error_memory(log, sizeof(*s), "a child process");
    s->ms = NAN;
    if (pipe2(s->go, O_CLOEXEC)) {
        clrnn_shared_destroy(s, sizeof(*s));
        *step = NULL;
        return clrnn_error(log, CLRNN_ERR_DEVICE, "a pipe to a child process cannot be made");
    }
    st = clrnn_child_start(log, work, s, &s->report, &s->child);
    if (st != CLRNN_OK)
        tune_step_end(step);
    return st;
}

// Whether the device fails its self-test, or the child has no result. If so, writes the reason as a sentence to `why`.
// `ending`: how the child ended, "" if normally.
static bool fails(const struct tune_step *s, const char *ending, char why[400])
{
    why[0] = 0;
    if (!s->done || ending[0])
        snprintf(why, 400, "%s", ending[0] ? ending : "the test ended without a result");
    for (uint32_t i = 0; i < s->test.op_count && !why[0]; i++)
        snprintf(why, 400, "%s", s->test.op[i].fault);
    return why[0];
}

enum clrnn_status tune_step_measure(struct tune_step *s, const struct clrnn_log *log,
                                    const struct clrnn_device_info *info, const volatile sig_atomic_t *stop, double *ms)
{
    char ending[CLRNN_ENDING_SIZE], why[400];

    *ms = NAN;
    clrnn_device_spec(info, s->device);
    clrnn_log(log, CLRNN_LOG_INFO, "testing %s and measuring a training step", s->device);
    // raises no SIGPIPE if the child has ended: this process keeps the read end open, too
    if (write(s->go[1], "", 1) != 1)
        return clrnn_error(log, CLRNN_ERR_DEVICE, "the process that tests %s cannot be started", s->device);
    clrnn_child_wait(&s->child, 0, stop, ending);
    if (*stop)
        return CLRNN_INTERRUPTED;
    if (fails(s, ending, why)) {
        TRY(clrnn_device_keep_step_ms(log, info, NAN)); // removes an earlier time
        clrnn_log(log, CLRNN_LOG_WARNING, "device %s fails its self-test and is not measured: %s", s->device, why);
        return CLRNN_FAILED;
    }
    *ms = s->ms;
    return clrnn_device_keep_step_ms(log, info, s->ms);
}

void tune_step_end(struct tune_step **step)
{
    struct tune_step *s = *step;
    char ending[CLRNN_ENDING_SIZE];

    if (!s)
        return;
    *step = NULL;
    close(s->go[1]); // a waiting child then exits
    clrnn_child_wait(&s->child, 0, NULL, ending);
    close(s->go[0]);
    clrnn_shared_destroy(s, sizeof(*s));
}
