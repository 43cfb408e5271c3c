// SPDX-License-Identifier: MIT
// Opens the test device, and fails a test if a check finds a fault.
#include "op_test.h"

#include "base/array.h"
#include "reference/bound.h"

// For each kind of op, the case with the largest sum of FLOPs and bytes. Measured and printed if CLRNN_TEST_BENCH is
// set.
static struct {
    double flops, bytes, seconds;
    char what[256];
} largest[CLRNN_OP_COUNT];

int op_test_open(void **state)
{
    struct clrnn_check *t = calloc(1, sizeof(*t));
    struct clrnn_device_params params = {.log = &test_print_log, .no_tune = true};

    if (!t)
        return -1;
    t->log = &test_print_log;
    if (getenv("CLRNN_DEVICE") == NULL)
        params.select = "cpu";
    setenv("CLRNN_TEST_SCRATCH", "1", 1);
    if (clrnn_device_open(&params, &t->device) != CLRNN_OK) {
        printf("1..0 # SKIP there is no device to test on\n");
        free(t);
        exit(0);
    }
    t->once = strcmp(clrnn_device_info(t->device)->platform_name, "Oclgrind") == 0;
    t->timed = getenv("CLRNN_TEST_BENCH") ? 5 : 0;
    *state = t;
    return 0;
}

int op_test_close(void **state)
{
    struct clrnn_check *t = *state;

    for (int kind = 0; kind < CLRNN_OP_COUNT && t->timed; kind++)
        if (largest[kind].bytes > 0)
            printf("# %-16s %8.1f us %8.2f GFLOP/s %8.2f GB/s  %s\n", clrnn_op_name((enum clrnn_op_kind)kind),
                   1e6 * largest[kind].seconds, 1e-9 * largest[kind].flops / largest[kind].seconds,
                   1e-9 * largest[kind].bytes / largest[kind].seconds, largest[kind].what);
    clrnn_check_finish(t);
    clrnn_device_destroy(&t->device);
    free(t);
    return 0;
}

bool op_test_small(void)
{
    const char *small = getenv("CLRNN_TEST_SMALL");

    return small != NULL && strcmp(small, "0") != 0;
}

void op_test_run(struct clrnn_check *t)
{
    assert_int_equal(clrnn_check_run(t), CLRNN_OK);
    if (t->fault[0])
        fail_msg("%s", t->fault);
    if (t->timed && t->flops + t->bytes > largest[t->op.kind].flops + largest[t->op.kind].bytes) {
        largest[t->op.kind].flops = t->flops;
        largest[t->op.kind].bytes = t->bytes;
        largest[t->op.kind].seconds = t->seconds;
        snprintf(largest[t->op.kind].what, sizeof(largest[0].what), "T=%u N=%u C=%u %.160s", t->op.T, t->op.N, t->op.C,
                 t->what);
    }
}

static enum clrnn_status run_case(void *check)
{
    clrnn_bound_apply(check);
    op_test_run(check);
    return CLRNN_OK;
}

void op_test_cases(void **state,
                   enum clrnn_status (*cases)(struct clrnn_cases *cases, const struct clrnn_case_size *size))
{
    static const struct clrnn_case_size size[] = {
        {.T = 1, .N = 1, .C = 1, .H = 1, .D = 1},
        {.T = 2, .N = 3, .C = 2, .H = 5, .D = 2, .padded = true},
        {.T = 4, .N = 2, .C = 17, .H = 16, .D = 2},
        {.T = 5, .N = 7, .C = 3, .H = 33, .D = 2, .padded = true},
        {.T = 3, .N = 65, .C = 31, .H = 15, .D = 1, .padded = true},
        {.T = 9, .N = 4, .C = 5, .H = 130, .D = 1},
    };
    struct clrnn_check *t = *state;
    struct clrnn_cases s = {t, run_case, t};

    t->noise_runs = 2;
    for (size_t i = 0; i < (op_test_small() ? 2 : ARRAY_SIZE(size)); i++)
        assert_int_equal(cases(&s, &size[i]), CLRNN_OK);
}
