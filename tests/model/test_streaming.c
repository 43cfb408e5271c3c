// SPDX-License-Identifier: MIT
// Prediction step by step with the library: dividing a sequence into pieces must not change a bit, states can be
// copied, read and written, and weights may change in between.
#include <math.h>

#include "clrnn/state.h"
#include "fixture.h"

#define TRAIN "loss: mse, optimizer: adam, epochs: 1, batch_size: 4, seed: 5"
#define LAYERS \
    "- lstm: {hidden_size: 64, num_layers: 1}\n" \
    "- gru: {hidden_size: 7, layer_norm: true}\n" \
    "- linear: {out_features: 2}\n"
enum { STEPS = 12, C = 5, O = 2 };
static const struct clrnn_data_shape shape = {.features = C};

static void input(float *x, size_t t)
{
    for (size_t c = 0; c < C; c++)
        x[c] = (float)((t * C + c) * 7 % 11) / 11 - 0.5f;
}

static void steps(struct clrnn_model *m, struct clrnn_state *s, size_t first, size_t last, float *out)
{
    float x[C];

    for (size_t t = first; t < last; t++) {
        input(x, t);
        assert_int_equal(clrnn_model_predict_step(m, s, x, out + t * O), CLRNN_OK);
    }
}

static void test_pieces(struct scratch *f)
{
    float whole[STEPS * O], parts[STEPS * O], again[STEPS * O];
    struct clrnn_state *s, *copy;
    struct clrnn_model *m;
    const char *path = scratch_path(f, "s.state");
    double *values;

    m = fixture_model(f, LAYERS, TRAIN, shape);
    assert_int_equal(clrnn_state_create(m, &s), CLRNN_OK);
    assert_int_equal(clrnn_state_create(m, &copy), CLRNN_OK);
    assert_int_equal(clrnn_state_size(s), 64 + 64 + 7);
    steps(m, s, 0, STEPS, whole);
    clrnn_state_reset(s);
    steps(m, s, 0, 5, parts);
    assert_int_equal(clrnn_state_copy(copy, s), CLRNN_OK);
    values = malloc(clrnn_state_size(s) * sizeof(*values));
    assert_int_equal(clrnn_state_read(s, values), CLRNN_OK);
    assert_int_equal(clrnn_state_save(s, path), CLRNN_OK);
    steps(m, s, 5, STEPS, parts);
    assert_memory_equal(parts, whole, sizeof(whole));
    memcpy(again, parts, 5 * O * sizeof(*again));
    steps(m, copy, 5, STEPS, again);
    assert_memory_equal(again, whole, sizeof(whole));
    assert_int_equal(clrnn_state_write(copy, values), CLRNN_OK);
    steps(m, copy, 5, STEPS, again);
    assert_memory_equal(again, whole, sizeof(whole));
    clrnn_state_reset(copy);
    assert_int_equal(clrnn_state_load(copy, path), CLRNN_OK);
    steps(m, copy, 5, STEPS, again);
    assert_memory_equal(again, whole, sizeof(whole));
    values[3] = NAN;
    assert_int_equal(clrnn_state_write(copy, values), CLRNN_ERR_ARG);
    assert_int_equal(clrnn_state_load(copy, "/nowhere"), CLRNN_ERR_DATA);
    free(values);
    clrnn_state_destroy(&s);
    clrnn_state_destroy(&copy);
    clrnn_model_destroy(&m);
}

// Names of states must differ however long the layers' names are.
static void test_long_names(struct scratch *f)
{
#define LONG "a_name_that_is_longer_than_forty_letters_and_longer_than_most_names_of_layers_are"
    struct clrnn_model *m = fixture_model(f,
                                          "- lstm: {name: " LONG "_1, hidden_size: 3, num_layers: 2}\n"
                                          "- residual: {name: " LONG "_2, layers: [gru: {name: x, hidden_size: 3}]}\n"
                                          "- lstm: {name: " LONG "_3, hidden_size: 3}\n"
                                          "- pool: {over: last}\n"
                                          "- lstm: {hidden_size: 4}\n"
                                          "- linear: {out_features: 2}\n",
                                          TRAIN, shape);
    const char *path = scratch_path(f, "long.state");
    float whole[STEPS * O], parts[STEPS * O];
    struct clrnn_state *s;

    assert_int_equal(clrnn_state_create(m, &s), CLRNN_OK);
    steps(m, s, 0, STEPS, whole);
    clrnn_state_reset(s);
    steps(m, s, 0, 5, parts);
    assert_int_equal(clrnn_state_save(s, path), CLRNN_OK);
    clrnn_state_reset(s);
    if (clrnn_state_load(s, path) != CLRNN_OK)
        fail_msg("%s", f->error);
    steps(m, s, 5, STEPS, parts);
    assert_memory_equal(parts, whole, sizeof(whole));
    clrnn_state_destroy(&s);
    clrnn_model_destroy(&m);
}

// Step by step, the outputs must be those of clrnn_model_predict for the whole sequence, also after a training step has
// changed the weights.
static void test_whole(struct scratch *f)
{
    struct clrnn_state *s;
    struct clrnn_model *m;
    struct clrnn_batch batch;
    float out[STEPS * O], one[O];

    m = fixture_model(f, LAYERS, TRAIN, shape);
    batch = fixture_batch(m, 1, STEPS, false, 3);
    assert_int_equal(clrnn_state_create(m, &s), CLRNN_OK);
    for (int trained = 0; trained < 2; trained++) {
        assert_int_equal(clrnn_model_predict(m, &batch, out), CLRNN_OK);
        clrnn_state_reset(s);
        for (size_t t = 0; t < STEPS; t++) {
            assert_int_equal(clrnn_model_predict_step(m, s, batch.x + t * C, one), CLRNN_OK);
            for (size_t o = 0; o < O; o++)
                assert_true(fabsf(one[o] - out[t * O + o]) < 1e-5f);
        }
        assert_int_equal(clrnn_model_step(m, &batch, NULL), CLRNN_OK);
    }
    clrnn_state_destroy(&s);
    fixture_batch_free(&batch);
    clrnn_model_destroy(&m);
}

static void test_misuse(struct scratch *f)
{
    struct clrnn_state *s, *t;
    struct clrnn_model *m, *other;
    float x[C] = {0}, out[O];

    m = fixture_model(f, LAYERS, TRAIN, shape);
    other =
        fixture_model(f, "- lstm: {hidden_size: 3, bidirectional: true}\n- linear: {out_features: 2}\n", TRAIN, shape);
    assert_int_equal(clrnn_state_create(other, &t), CLRNN_ERR_CONFIG);
    assert_null(t);
    assert_non_null(strstr(f->error, "bidirectional"));
    assert_int_equal(clrnn_state_create(m, &s), CLRNN_OK);
    assert_int_equal(clrnn_model_predict_step(other, s, x, out), CLRNN_ERR_ARG);
    clrnn_state_destroy(&s);
    clrnn_state_destroy(&s);
    clrnn_state_reset(NULL);
    assert_int_equal(clrnn_state_size(NULL), 0);
    clrnn_model_destroy(&m);
    clrnn_model_destroy(&other);
    m = fixture_model(f,
                      "- embedding: {num_embeddings: 4, embedding_dim: 3}\n- rnn: {hidden_size: 3}\n"
                      "- linear: {out_features: 2}\n",
                      TRAIN, (struct clrnn_data_shape){.tokens = true});
    assert_int_equal(clrnn_state_create(m, &s), CLRNN_OK);
    x[0] = 3;
    assert_int_equal(clrnn_model_predict_step(m, s, x, out), CLRNN_OK);
    x[0] = 4;
    assert_int_equal(clrnn_model_predict_step(m, s, x, out), CLRNN_ERR_ARG);
    clrnn_state_destroy(&s);
    clrnn_model_destroy(&m);
}

int main(void)
{
    const struct CMUnitTest tests[] = {SCRATCH_TEST(test_long_names, "ref"), SCRATCH_TEST(test_pieces, NULL),
                                       SCRATCH_TEST(test_whole, NULL), SCRATCH_TEST(test_misuse, "ref")};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
