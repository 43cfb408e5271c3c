// SPDX-License-Identifier: MIT
// Learning-rate schedulers against numbers recorded from PyTorch (tests/golden/schedules.py).
#include <math.h>

#include <jansson.h>

#include "base/file.h"
#include "model/schedule.h"
#include "tests/test.h"

// Makes a config from the recorded `train` section, which is JSON and therefore also YAML.
static struct clrnn_config *config_of(const json_t *train)
{
    char *json = json_dumps(train, JSON_SORT_KEYS), *text;
    struct clrnn_config *config;

    assert_non_null(json);
    text = clrnn_format("{model: {layers: [linear: {out_features: 2}]}, train: %s}", json);
    assert_non_null(text);
    assert_int_equal(clrnn_config_parse(&test_print_log, text, NULL, &config), CLRNN_OK);
    free(text);
    free(json);
    return config;
}

// Compares a learning rate or momentum with PyTorch's. The operations and their order are PyTorch's, so all but cos,
// pow and the conversion of decimal text are exact. Errors add up over the steps. The cosine schedule has a larger
// tolerance, since its recurrence divides by 1 + cos(x), which is small around T_max.
static bool near(double got, double want, bool cosine)
{
    return fabs(got - want) <= (cosine ? 1e-9 : 1e-13) * fabs(want);
}

static int check_row(const char *name, const struct clrnn_schedule *s, const json_t *row, bool cosine)
{
    const double lr = json_number_value(json_array_get(row, 1));
    const double momentum = json_number_value(json_array_get(row, 2));

    if (near(s->lr, lr, cosine) && near(s->momentum, momentum, false))
        return 0;
    print_error("%s: step %lld: lr %.17g, momentum %.17g; PyTorch has %.17g, %.17g\n", name,
                (long long)json_integer_value(json_array_get(row, 0)), s->lr, s->momentum, lr, momentum);
    return 1;
}

static int check_case(const json_t *c)
{
    const char *name = json_string_value(json_object_get(c, "name"));
    const json_t *rows = json_object_get(c, "rows"), *metrics = json_object_get(c, "metrics");
    const long long raises_at = json_integer_value(json_object_get(c, "raises_at"));
    const uint64_t batches = (uint64_t)json_integer_value(json_object_get(c, "batches"));
    struct clrnn_config *config = config_of(json_object_get(c, "train"));
    const bool cosine = config->train.scheduler.kind == CLRNN_SCHEDULER_COSINE_ANNEALING_LR;
    struct clrnn_schedule s;
    long long step = 0;
    int bad;

    clrnn_schedule_init(&s, &config->train, batches);
    bad = check_row(name, &s, json_array_get(rows, 0), cosine);
    for (size_t i = 1; i < json_array_size(rows); i++) {
        const json_t *row = json_array_get(rows, i);

        for (; step < json_integer_value(json_array_get(row, 0)); step++) {
            const double metric = json_number_value(json_array_get(metrics, (size_t)step));

            if (!clrnn_schedule_step(&s, &config->train, batches, metric)) {
                print_error("%s: step %lld is refused, PyTorch takes it\n", name, step + 1);
                bad++;
            }
        }
        bad += check_row(name, &s, row, cosine);
    }
    if (raises_at && clrnn_schedule_step(&s, &config->train, batches, 0)) {
        print_error("%s: step %lld is taken, PyTorch raises\n", name, raises_at);
        bad++;
    }
    clrnn_config_destroy(&config);
    return bad;
}

static void test_golden(void **state)
{
    json_error_t error;
    json_t *cases = json_load_file(GOLDEN_FOLDER "/schedules.json", 0, &error);
    int bad = 0;

    (void)state;
    if (!cases)
        fail_msg("%s:%d: %s", GOLDEN_FOLDER "/schedules.json", error.line, error.text);
    assert_true(json_array_size(cases) >= 30);
    for (size_t i = 0; i < json_array_size(cases); i++)
        bad += check_case(json_array_get(cases, i));
    json_decref(cases);
    assert_int_equal(bad, 0);
}

// The learning rate at the end of the run of examples/seed-broken.yaml: 25 epochs of 353 batches, divided by ten every
// 30 batches.
static void test_seed(void **state)
{
    const struct clrnn_train_config train = {
        .optimizer = {.kind = CLRNN_OPTIMIZER_ADAM, .lr = 1e-4, .beta1 = 0.9},
        .scheduler = {.kind = CLRNN_SCHEDULER_STEP_LR, .per_batch = true, .step_size = 30, .gamma = 0.1},
    };
    struct clrnn_schedule s;

    (void)state;
    clrnn_schedule_init(&s, &train, 353);
    for (int step = 1; step <= 25 * 353; step++) {
        assert_true(clrnn_schedule_step(&s, &train, 353, 0));
        if (step == 353 && fabs(s.lr / 1e-15 - 1) > 1e-12)
            fail_msg("after one epoch lr is %g, expected 1e-15", s.lr);
    }
    if (fabs(s.lr / 1e-298 - 1) > 1e-12)
        fail_msg("after 25 epochs lr is %g, expected 1e-298", s.lr);
}

static void test_none(void **state)
{
    const struct clrnn_train_config train = {.optimizer = {.kind = CLRNN_OPTIMIZER_SGD, .lr = 0.5, .momentum = 0.25}};
    struct clrnn_schedule s;

    (void)state;
    clrnn_schedule_init(&s, &train, 3);
    for (int step = 0; step < 10; step++)
        assert_true(clrnn_schedule_step(&s, &train, 3, NAN));
    assert_true(s.lr == 0.5 && s.momentum == 0.25 && s.count == 10);
}

// A metric that is NaN must never count as an improvement, as in PyTorch.
static void test_plateau_nan(void **state)
{
    const struct clrnn_train_config train = {
        .optimizer = {.kind = CLRNN_OPTIMIZER_SGD, .lr = 1},
        .scheduler = {.kind = CLRNN_SCHEDULER_REDUCE_LR_ON_PLATEAU,
                      .factor = 0.5,
                      .patience = 1,
                      .threshold = 1e-4,
                      .plateau_eps = 1e-8},
    };
    struct clrnn_schedule s;

    (void)state;
    clrnn_schedule_init(&s, &train, 3);
    clrnn_schedule_step(&s, &train, 3, NAN);
    assert_true(s.lr == 1);
    clrnn_schedule_step(&s, &train, 3, NAN);
    assert_true(s.lr == 0.5);
}

// A one-cycle schedule whose rising phase has no steps: PyTorch divides by zero; here lr must start at its maximum.
static void test_one_cycle_without_rise(void **state)
{
    const struct clrnn_train_config train = {
        .optimizer = {.kind = CLRNN_OPTIMIZER_SGD, .lr = 1, .momentum = 0.9},
        .scheduler = {.kind = CLRNN_SCHEDULER_ONE_CYCLE_LR,
                      .max_lr = 0.5,
                      .total_steps = 4,
                      .pct_start = 0.25,
                      .div_factor = 25,
                      .final_div_factor = 1e4,
                      .cycle_momentum = true,
                      .base_momentum = 0.85,
                      .max_momentum = 0.95},
    };
    struct clrnn_schedule s;

    (void)state;
    clrnn_schedule_init(&s, &train, 3);
    assert_true(s.lr == 0.5 && s.momentum == 0.85);
    for (int step = 0; step < 4; step++) {
        assert_true(clrnn_schedule_step(&s, &train, 3, 0));
        assert_true(isfinite(s.lr) && isfinite(s.momentum));
    }
    assert_false(clrnn_schedule_step(&s, &train, 3, 0));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_golden),
        cmocka_unit_test(test_seed),
        cmocka_unit_test(test_none),
        cmocka_unit_test(test_plateau_nan),
        cmocka_unit_test(test_one_cycle_without_rise),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
