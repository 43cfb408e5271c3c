// SPDX-License-Identifier: MIT
// Public functions for steps and predictions, with the caller's own batches of growing and shrinking shapes.
#include "fixture.h"

#include <math.h>

#include "base/log.h"

#define LAYERS "- gru: {name: gru, hidden_size: 6}\n- linear: {name: fc, out_features: 2}\n"

static void test_learns(struct scratch *f)
{
    struct clrnn_step_result result = {0};
    struct clrnn_batch b;
    struct clrnn_model *m;
    double first = 0;

    m = fixture_model(f, LAYERS, "loss: cross_entropy, optimizer: {adam: {lr: 0.03}}",
                      (struct clrnn_data_shape){3, false, 2, 0});
    b = fixture_batch(m, 5, 4, true, 1);
    for (int i = 0; i < 150; i++) {
        assert_int_equal(clrnn_model_step(m, &b, &result), CLRNN_OK);
        if (i == 0)
            first = result.loss;
    }
    assert_true(result.loss < 0.3 * first);
    assert_true(result.accuracy > 0.9 && result.accuracy <= 1);
    assert_true(result.grad_norm > 0);
    assert_true(result.lr == 0.03);
    assert_int_equal(m->steps, 150);
    fixture_batch_free(&b);
    clrnn_model_destroy(&m);
}

// A sample's prediction must not depend on the rest of the batch, on padding, or on the shapes of earlier batches.
static void test_shapes(struct scratch *f)
{
    static const struct {
        uint32_t N, T;
    } row[] = {{2, 3}, {7, 5}, {1, 9}, {3, 2}, {7, 5}};
    struct clrnn_model *m = fixture_model(f, LAYERS, "loss: cross_entropy", (struct clrnn_data_shape){3, false, 2, 0});

    for (size_t i = 0; i < sizeof(row) / sizeof(row[0]); i++) {
        const size_t N = row[i].N, T = row[i].T;
        struct clrnn_batch b = fixture_batch(m, row[i].N, row[i].T, true, i), one;
        float *all = calloc(N * T * 2, sizeof(*all)), *alone = calloc(T * 2, sizeof(*alone));

        assert_true(all && alone);
        for (size_t n = 0; n < N; n++)
            for (size_t t = (size_t)b.lengths[n]; t < T; t++)
                ((float *)(uintptr_t)b.x)[(n * T + t) * 3] = NAN; // padding may have any values
        assert_int_equal(clrnn_model_predict(m, &b, all), CLRNN_OK);
        for (size_t n = 0; n < N; n++) {
            one = (struct clrnn_batch){.N = 1, .T = (uint32_t)b.lengths[n], .x = b.x + n * T * 3};
            assert_int_equal(clrnn_model_predict(m, &one, alone), CLRNN_OK);
            for (size_t k = 0; k < 2 * T; k++) {
                const float want = k < 2 * (size_t)b.lengths[n] ? alone[k] : 0;

                if (fabsf(all[n * T * 2 + k] - want) > 1e-5f) // rounding of float32 over a few time steps
                    fail_msg("batch seed %zu (N=%zu, T=%zu), sample %zu, %zu: %g, want %g", i, N, T, n, k,
                             (double)all[n * T * 2 + k], (double)want);
            }
        }
        free(all);
        free(alone);
        fixture_batch_free(&b);
    }
    clrnn_model_destroy(&m);
}

// With `interval: batch` the scheduler must step after each update. The result's lr must be the one that the update
// used.
static void test_schedulers(struct scratch *f)
{
    struct clrnn_step_result result;
    struct clrnn_batch b;
    struct clrnn_model *m;

    m = fixture_model(f, LAYERS,
                      "loss: cross_entropy, optimizer: {sgd: {lr: 0.5}}, "
                      "scheduler: {step_lr: {step_size: 2, gamma: 0.1, interval: batch}}",
                      (struct clrnn_data_shape){3, false, 2, 0});
    b = fixture_batch(m, 5, 4, false, 1);
    for (int i = 0; i < 5; i++) {
        assert_int_equal(clrnn_model_step(m, &b, i % 2 ? NULL : &result), CLRNN_OK);
        if (i % 2 == 0)
            assert_true(fabs(result.lr - 0.5 * pow(0.1, i / 2)) < 1e-12);
    }
    clrnn_model_destroy(&m);

    m = fixture_model(f, LAYERS,
                      "loss: cross_entropy, optimizer: {sgd: {lr: 0.5}}, "
                      "scheduler: {one_cycle_lr: {max_lr: 0.1, total_steps: 3, interval: batch}}",
                      (struct clrnn_data_shape){3, false, 2, 0});
    for (int i = 0; i < 3; i++)
        assert_int_equal(clrnn_model_step(m, &b, NULL), CLRNN_OK);
    assert_int_equal(clrnn_model_step(m, &b, NULL), CLRNN_ERR_CONFIG);
    assert_non_null(strstr(f->error, "train.scheduler.one_cycle_lr was stepped more often than its total_steps"));
    clrnn_model_destroy(&m);
    fixture_batch_free(&b);
}

static void expect(struct scratch *f, struct clrnn_model *m, const struct clrnn_batch *b, const char *want)
{
    f->errors = 0;
    assert_int_equal(clrnn_model_step(m, b, NULL), CLRNN_ERR_ARG);
    assert_int_equal(f->errors, 1);
    if (!strstr(f->error, want))
        fail_msg("got: %s\nwant in it: %s", f->error, want);
}

static void test_refusals(struct scratch *f)
{
    const float x[6] = {0};
    const int32_t long_length[1] = {3}, classes[2] = {1, 2}, ignored[2] = {-100, 0}, tokens[2] = {0, 9};
    struct clrnn_batch b = {.N = 1, .T = 2, .x = x};
    struct clrnn_model *m;

    m = fixture_model(f, LAYERS, "loss: cross_entropy", (struct clrnn_data_shape){3, false, 2, 0});
    expect(f, m, &b, "the batch has no classes, which train.loss cross_entropy needs");
    b.classes = classes;
    expect(f, m, &b, "class of sample 0, step 1 is 2, expected 0 to 1 or -100");
    b.classes = ignored;
    assert_int_equal(clrnn_model_step(m, &b, NULL), CLRNN_OK);
    b.lengths = long_length;
    expect(f, m, &b, "length of sample 0 is 3, expected 1 to T=2");
    b.lengths = NULL;
    b.N = 0;
    expect(f, m, &b, "the batch has N=0, T=2");
    b.N = 1;
    b.x = NULL;
    expect(f, m, &b, "the batch has no x, which the model reads");
    clrnn_model_destroy(&m);

    m = fixture_model(f, "- embedding: {num_embeddings: 9, embedding_dim: 2}\n- linear: {out_features: 2}\n",
                      "loss: cross_entropy", (struct clrnn_data_shape){0, true, 2, 0});
    expect(f, m, &b, "the batch has no tokens, which the model reads");
    b.tokens = tokens;
    expect(f, m, &b, "token of sample 0, step 1 is 9, expected 0 to 8");
    clrnn_model_destroy(&m);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        SCRATCH_TEST(test_learns, "ref"),     SCRATCH_TEST(test_shapes, "ref"),   SCRATCH_TEST(test_shapes, NULL),
        SCRATCH_TEST(test_schedulers, "ref"), SCRATCH_TEST(test_refusals, "ref"),
    };

    return cmocka_run_group_tests_name("step", tests, NULL, NULL);
}
