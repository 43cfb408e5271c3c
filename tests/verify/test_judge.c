// SPDX-License-Identifier: MIT
// The verdict of clrnn compare on made-up runs: differences that rounding explains, and each kind of error that a
// device can have.
#include <math.h>

#include "base/array.h"
#include "verify/compare.h"
#include "tests/test.h"

enum { STEPS = 5, LOGITS = 4, GRADS = 5, PARAMS = 2 };

struct run {
    struct clrnn_compare_block block;
    double curve[STEPS], logits[LOGITS], grads[GRADS];
};

// A run of the reference, its perturbed runs and a run of a device. There are two parameters, of three and two
// elements.
struct made {
    struct clrnn_compare c;
    struct clrnn_compare_result result;
    struct run ref, noise[COMPARE_NOISE_RUNS], device;
    size_t grad_first[PARAMS];
    char param[PARAMS][80];
    double bound[STEPS], row_curve[STEPS];
    struct clrnn_deviation gradient[PARAMS];
    struct clrnn_compare_row row;
};

// Makes a run whose numbers are the reference's times 1 + off.
static void make_run(struct run *r, double off)
{
    static const double curve[STEPS] = {1, 0.8, 0.6, 0.5, 0.4}, logits[LOGITS] = {-1, 2, 0.5, 0},
                        grads[GRADS] = {0.1, -0.2, 0.3, 0.01, -0.02};

    for (int i = 0; i < STEPS; i++)
        r->curve[i] = curve[i] * (1 + off);
    for (int i = 0; i < LOGITS; i++)
        r->logits[i] = logits[i] * (1 + off);
    for (int i = 0; i < GRADS; i++)
        r->grads[i] = grads[i] * (1 + off);
    r->block = (struct clrnn_compare_block){
        .steps = STEPS,
        .finished = true,
        .curve = r->curve,
        .logits = r->logits,
        .grads = r->grads,
        .logit_count = LOGITS,
        .final_loss = 0.3 * (1 + off),
    };
}

// Makes all runs. The perturbed runs are off by at most 1e-5. A bound is 10 times that, plus 1e-6, so slightly above
// 1e-4. The device's run is off by 5e-5.
static void make(struct made *m)
{
    *m = (struct made){.grad_first = {0, 3}, .param = {"0.weight_ih_l0", "1.bias"}};
    m->c = (struct clrnn_compare){
        .steps = STEPS, .grad_count = GRADS, .grad_first = m->grad_first, .result = &m->result, .ref = &m->ref.block};
    m->result = (struct clrnn_compare_result){.param_count = PARAMS, .param = m->param, .bound = m->bound};
    m->row = (struct clrnn_compare_row){.curve = m->row_curve, .gradient = m->gradient};
    make_run(&m->ref, 0);
    for (uint32_t i = 0; i < COMPARE_NOISE_RUNS; i++) {
        make_run(&m->noise[i], (i % 2 ? -1e-5 : 1e-5) * (i + 1) / COMPARE_NOISE_RUNS);
        m->c.noise[i] = &m->noise[i].block;
    }
    make_run(&m->device, 5e-5);
}

// Judges the device's run with the calls that clrnn compare makes in the device's process and in the parent.
static enum clrnn_verdict judge(struct made *m, const char *ending)
{
    clrnn_compare_find_bounds(&m->c);
    m->device.block.leaves = clrnn_compare_find_leaving(&m->c, &m->device.block);
    clrnn_compare_take(&m->c, &m->device.block, &m->row);
    clrnn_compare_judge(&m->c, &m->device.block, ending, &m->row);
    return m->row.verdict;
}

static void deviations(void **state)
{
    (void)state;
    assert_true(clrnn_compare_deviation(1.1, 1, 0.01) > 0.0999 && clrnn_compare_deviation(1.1, 1, 0.01) < 0.1001);
    assert_true(clrnn_compare_deviation(0.001, 0, 0.01) == 0.1); // relative to the floor
    assert_true(clrnn_compare_deviation(NAN, NAN, 0.01) == 0);
    assert_true(clrnn_compare_deviation(INFINITY, INFINITY, 0.01) == 0);
    assert_true(isinf(clrnn_compare_deviation(NAN, 1, 0.01)));
    assert_true(isinf(clrnn_compare_deviation(1, NAN, 0.01)));
}

static void rounding_is_fine(void **state)
{
    struct made m;

    (void)state;
    make(&m);
    assert_int_equal(judge(&m, ""), CLRNN_VERDICT_OK);
    assert_int_equal(m.row.leaves, 0);
    assert_true(clrnn_compare_first_step_agrees(&m.c, &m.device.block));
    assert_string_equal(m.row.reason, "");
    for (int s = 0; s < STEPS; s++)
        assert_true(fabs(m.bound[s] - (1e-4 + 1e-6)) < 1e-9);
}

// A difference in one step may persist in later steps: bounds must not become smaller from step to step.
static void bounds_keep(void **state)
{
    struct made m;

    (void)state;
    make(&m);
    m.noise[2].curve[1] *= 1.01;
    clrnn_compare_find_bounds(&m.c);
    assert_true(m.bound[0] < 2e-4);
    for (int s = 1; s < STEPS; s++)
        assert_true(fabs(m.bound[s] - 0.1) < 1e-3);
    assert_true(m.c.final_bound >= m.bound[STEPS - 1]);
}

static void curve(struct made *m)
{
    m->device.curve[3] *= 1.01;
}

static void curve_nan(struct made *m)
{
    m->device.curve[3] = NAN;
}

static void logits(struct made *m)
{
    m->device.logits[2] += 0.1;
}

static void logits_short(struct made *m)
{
    m->device.block.logit_count = LOGITS - 1;
}

static void bias(struct made *m)
{
    m->device.grads[4] *= 1.01;
}

static void final_loss(struct made *m)
{
    m->device.block.final_loss *= 1.01;
}

static void ops(struct made *m)
{
    m->row.test.verdict = CLRNN_VERDICT_WRONG;
    strcpy(m->row.test.reason, "linear_fwd y[3] is 7");
}

static void broken_ops(struct made *m)
{
    m->row.test.verdict = CLRNN_VERDICT_BROKEN;
    strcpy(m->row.test.reason, "hung for 5 s");
}

static void unfinished(struct made *m)
{
    m->device.block.finished = false;
}

static void verdicts(void **state)
{
    static const struct {
        void (*plant)(struct made *m);
        enum clrnn_verdict verdict;
        const char *reason, *ending;
        bool agrees; // whether the first step must agree
    } cases[] = {
        {curve, CLRNN_VERDICT_WRONG, "the loss leaves the reference at step 4", "", true},
        {curve_nan, CLRNN_VERDICT_WRONG, "the loss leaves the reference at step 4", "", true},
        {logits, CLRNN_VERDICT_WRONG, "the first step's logits are", "", false},
        {bias, CLRNN_VERDICT_WRONG, "the first step's gradient of 1.bias is", "", false},
        {final_loss, CLRNN_VERDICT_WRONG, "the final loss is", "", true},
        {ops, CLRNN_VERDICT_WRONG, "in the self-test: linear_fwd y[3] is 7", "", true},
        {broken_ops, CLRNN_VERDICT_BROKEN, "in the self-test: hung for 5 s", "", true},
        {unfinished, CLRNN_VERDICT_BROKEN, "it ended without a result", "", true},
        {curve, CLRNN_VERDICT_BROKEN, "crashed with signal 11", "crashed with signal 11", true},
    };
    struct made m;

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        make(&m);
        cases[i].plant(&m);
        if (judge(&m, cases[i].ending) != cases[i].verdict || !strstr(m.row.reason, cases[i].reason))
            fail_msg("case %zu: verdict %d, \"%s\"", i, (int)m.row.verdict, m.row.reason);
        assert_int_equal(clrnn_compare_first_step_agrees(&m.c, &m.device.block), cases[i].agrees);
    }
    make(&m);
    logits_short(&m);
    clrnn_compare_find_bounds(&m.c);
    assert_false(clrnn_compare_first_step_agrees(&m.c, &m.device.block));
}

// The reason must name what is to blame.
static void blamed(void **state)
{
    struct made m;

    (void)state;
    make(&m);
    curve(&m);
    strcpy(m.device.block.blamed_op, "linear_fwd fc7");
    judge(&m, "");
    assert_string_equal(m.row.reason, "the loss leaves the reference at step 4; to blame: linear_fwd fc7");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(deviations), cmocka_unit_test(rounding_is_fine), cmocka_unit_test(bounds_keep),
        cmocka_unit_test(verdicts),   cmocka_unit_test(blamed),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
