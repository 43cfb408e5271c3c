// SPDX-License-Identifier: MIT
// Runs the cases of the self-test on a device, and the self-test of every device in a child process.
#include "verify/selftest.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/array.h"
#include "base/child.h"
#include "base/clock.h"
#include "base/temporary.h"
#include "base/words.h"
#include "device/find/list_child.h"
#include "reference/bound.h"
#include "reference/cases.h"

#define NOISE_RUNS 3
#define SECONDS 10.0

_Static_assert((int)CLRNN_OP_COUNT <= CLRNN_SELFTEST_OPS, "every op has a row");

struct clrnn_selftest_run {
    struct clrnn_check check;
    const struct clrnn_selftest_params *params;
    struct clrnn_selftest_result *result;
    double deadline; // on clrnn_clock; cases that would begin later are left out
};

// Runs the case in `check` with the bounds of its op, and adds the result to the op's row.
static enum clrnn_status run_case(void *user)
{
    struct clrnn_selftest_run *s = user;
    struct clrnn_check *c = &s->check;
    struct clrnn_selftest_op *row = &s->result->op[c->op.kind];
    char what[120];

    if (s->params->stop && *s->params->stop)
        return CLRNN_INTERRUPTED;
    if (clrnn_clock() > s->deadline) {
        s->result->shortened = true;
        return CLRNN_OK;
    }
    snprintf(what, sizeof(what), "%s T=%u N=%u C=%u %.60s", row->op, c->op.T, c->op.N, c->op.C, c->what);
    if (s->params->doing)
        s->params->doing(s->params->doing_user, what);
    clrnn_bound_apply(c);
    TRY(clrnn_check_run(c));
    row->cases++;
    row->error = fmax(row->error, c->error);
    row->share = fmax(row->share, c->share);
    if (!c->fault[0])
        return CLRNN_OK;
    row->wrong++;
    s->result->ok = false;
    if (!row->fault[0])
        snprintf(row->fault, sizeof(row->fault), "%s", c->fault);
    return CLRNN_OK;
}

// Sizes of the cases. All cases of the smallest size always run. The others run while time lasts: sizes just above and
// below the widths of vectors and tiles, and wide and tall matrices.
static const struct clrnn_case_size smallest = {.T = 3, .N = 5, .C = 7, .H = 6, .D = 2, .padded = true};
static const struct clrnn_case_size awkward[] = {
    {.T = 5, .N = 17, .C = 33, .H = 31, .D = 1, .padded = true},
    {.T = 1, .N = 65, .C = 40, .H = 66, .D = 2},
    {.T = 1, .N = 9, .C = 601, .H = 15, .sums = true},
    {.T = 40, .N = 33, .C = 3, .H = 2, .sums = true},
};

enum clrnn_status clrnn_selftest(struct clrnn_device *device, const struct clrnn_selftest_params *params,
                                 struct clrnn_selftest_result *result)
{
    CLRNN_C_LOCALE;
    NEED(clrnn_device_log(device), device);
    NEED(clrnn_device_log(device), result);

    static const struct clrnn_selftest_params defaults = {0};
    const double start = clrnn_clock();
    enum clrnn_status st;
    struct clrnn_selftest_run s = {
        .check = {.device = device, .log = clrnn_device_log(device), .noise_runs = NOISE_RUNS},
        .params = params ? params : &defaults,
        .result = result,
        .deadline = INFINITY,
    };
    struct clrnn_cases cases = {&s.check, run_case, &s};

    *result = (struct clrnn_selftest_result){.ok = true, .op_count = CLRNN_OP_COUNT};
    if (clrnn_device_is_ref(device))
        return clrnn_error(s.check.log, CLRNN_ERR_ARG, "ref is what devices are tested against; name a device");
    for (int i = 0; i < CLRNN_OP_COUNT; i++)
        snprintf(result->op[i].op, sizeof(result->op[i].op), "%s", clrnn_op_name((enum clrnn_op_kind)i));
    st = clrnn_cases_run(&cases, &smallest);
    s.deadline = start + (s.params->seconds > 0 ? s.params->seconds : SECONDS);
    for (size_t i = 0; st == CLRNN_OK && i < ARRAY_SIZE(awkward); i++)
        st = clrnn_cases_run(&cases, &awkward[i]);
    result->seconds = clrnn_clock() - start;
    clrnn_check_finish(&s.check);
    return st;
}

// ---------------------------------------------------------------- every device in a child

struct block {
    struct clrnn_child_report report;
    bool done;
    struct clrnn_selftest_result result;
};

struct job {
    struct block *block;
    const struct clrnn_device_params *open;
    double seconds;
    const char *caches; // fresh folder for the driver's caches; NULL: the driver's own caches
};

static void say(void *user, const char *what)
{
    clrnn_child_doing(user, "running %s", what);
}

void clrnn_selftest_take_kernel_dir(const char *spec)
{
    const char *dirs = getenv("CLRNN_TEST_KERNEL_DIRS");
    const size_t length = strlen(spec);
    char folder[4096];

    for (; dirs && *dirs; dirs += strcspn(dirs, ","), dirs += *dirs == ',')
        if (!strncmp(dirs, spec, length) && dirs[length] == '=') {
            snprintf(folder, sizeof(folder), "%.*s", (int)strcspn(dirs + length + 1, ","), dirs + length + 1);
            setenv("CLRNN_KERNEL_DIR", folder, 1);
        }
}

static void test_in_child(void *user)
{
    const struct job *e = user;
    struct block *b = e->block;
    const struct clrnn_log log = {.fn = clrnn_child_log, .user = &b->report, .level = CLRNN_LOG_ERROR};
    struct clrnn_device_params open = *e->open;
    const struct clrnn_selftest_params params = {.seconds = e->seconds, .doing = say, .doing_user = &b->report};
    struct clrnn_device *device;

    if (e->caches)
        clrnn_caches_keep_in(e->caches);
    open.log = &log;
    clrnn_selftest_take_kernel_dir(open.select);
    clrnn_child_doing(&b->report, "opening the device");
    if (clrnn_device_open(&open, &device) != CLRNN_OK)
        return;
    b->done = clrnn_selftest(device, &params, &b->result) == CLRNN_OK;
    clrnn_child_doing(&b->report, "closing the device");
    clrnn_device_destroy(&device);
}

static void judge(const struct clrnn_selftest_result *result, bool done, const char *ending,
                  struct clrnn_device_test *test)
{
    test->result = *result;
    test->reason[0] = 0;
    if (!done || ending[0]) {
        test->verdict = CLRNN_VERDICT_BROKEN;
        snprintf(test->reason, sizeof(test->reason), "%s", ending[0] ? ending : "it ended without a result");
        return;
    }
    test->verdict = result->ok ? CLRNN_VERDICT_OK : CLRNN_VERDICT_WRONG;
    for (uint32_t i = 0; i < result->op_count && !test->reason[0]; i++)
        snprintf(test->reason, sizeof(test->reason), "%s", result->op[i].fault);
}

static enum clrnn_status run_job(const struct clrnn_log *log, const struct clrnn_devices_params *params,
                                 struct job *job, char ending[CLRNN_ENDING_SIZE])
{
    memset(job->block, 0, sizeof(*job->block));
    return clrnn_child_run(log, test_in_child, job, &job->block->report, params->timeout_s, params->stop, ending);
}

enum clrnn_status clrnn_selftest_device(const struct clrnn_log *log, const struct clrnn_device_params *open,
                                        const struct clrnn_devices_params *params, struct clrnn_device_test *test)
{
    struct job job = {.open = open, .seconds = params->seconds};
    char ending[CLRNN_ENDING_SIZE], *caches = NULL;
    enum clrnn_status st;

    job.block = clrnn_shared_create(sizeof(*job.block));
    if (!job.block)
        return clrnn_error_memory(log, sizeof(*job.block), "a device's self-test");
    st = run_job(log, params, &job, ending);
    if (st == CLRNN_OK)
        st = clrnn_caches_suspect(log, open->select, ending, &caches);
    if (st == CLRNN_OK && caches) {
        job.caches = caches;
        st = run_job(log, params, &job, ending);
    }
    if (st == CLRNN_OK)
        judge(&job.block->result, job.block->done, ending, test);
    clrnn_remove_folder(caches);
    free(caches);
    clrnn_shared_destroy(job.block, sizeof(*job.block));
    return st;
}

static enum clrnn_status test_row(const struct clrnn_log *log, const struct clrnn_devices_params *params,
                                  const struct clrnn_device_info *info, struct clrnn_device_test *test)
{
    char spec[24];
    const struct clrnn_device_params open = {.select = clrnn_device_spec(info, spec)};

    if (params->progress)
        params->progress(params->progress_user, info);
    return clrnn_selftest_device(log, &open, params, test);
}

enum clrnn_status clrnn_devices_test(const struct clrnn_log *log, const struct clrnn_devices_params *params,
                                     struct clrnn_device_list **list, struct clrnn_device_test **tests, size_t *row)
{
    CLRNN_C_LOCALE;
    NEED(log, list);
    *list = NULL;
    NEED(log, tests);
    *tests = NULL;
    NEED(log, params);

    size_t only = 0;
    enum clrnn_status st;

    TRY(clrnn_device_list_in_child(log, list));
    *tests = calloc(MAX2((*list)->count, 1), sizeof(**tests));
    st = *tests ? CLRNN_OK : clrnn_error_memory(log, (*list)->count * sizeof(**tests), "the devices' self-tests");
    if (st == CLRNN_OK && params->select)
        st = clrnn_device_list_find(log, *list, params->select, &only);
    for (size_t i = 0; st == CLRNN_OK && !params->no_test && i < (*list)->count; i++) {
        const struct clrnn_device_info *info = &(*list)->info[i];

        if (info->device >= 0 && !info->trouble && (!params->select || i == only))
            st = test_row(log, params, info, &(*tests)[i]);
    }
    if (st == CLRNN_OK && row)
        *row = params->select ? only : (*list)->count;
    if (st != CLRNN_OK) {
        free(*tests);
        *tests = NULL;
        clrnn_device_list_destroy(list);
    }
    return st;
}
