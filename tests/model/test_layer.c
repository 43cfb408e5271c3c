// SPDX-License-Identifier: MIT
// A recurrent layer used alone must give PyTorch's outputs, states and gradients (tests/golden/record_layer.py), keep
// the results of several passes separate, and refuse what does not fit.
#include "fixture.h"

#include <math.h>

#include "clrnn/layer.h"
#include "tests/golden/layer.h"
#include "tests/reference/near.h"

enum { N = 3, T = 4, C = 3, H = 4, MOST = 1024, WEIGHTS = 20 };

static const int32_t lengths[N] = {4, 2, 3};

// Arrays for the inputs and results of one layer.
struct arrays {
    struct clrnn_recurrent *layer;
    // y, h, c: numbers of elements of the output, of a state h and of a state c
    // weights: number of weight tensors
    size_t y, h, c, weights;
    float x[T * N * C], h0[MOST], c0[MOST], dy[MOST], dhn[MOST], dcn[MOST];
    float made[9][MOST]; // results y, hn, cn, dx, dh0 and dc0, in the order in which they are recorded
    float weight[WEIGHTS][MOST], dweight[WEIGHTS][MOST];
    float *dweights[WEIGHTS];
    const float *given[WEIGHTS];
    struct clrnn_layer_input input;
    struct clrnn_layer_output output;
    struct clrnn_layer_gradients gradients;
};

static void draw(float *a, size_t count, uint32_t seed, double scale)
{
    for (size_t i = 0; i < count; i++)
        a[i] = (float)(scale * number(seed, (uint32_t)i));
}

static void poison(float *a, size_t width)
{
    for (size_t r = 0; r < T * N; r++)
        for (size_t i = 0; i < width; i++)
            if ((int32_t)(r / N) >= lengths[r % N])
                a[r * width + i] = NAN;
}

static void set_up(struct scratch *f, struct arrays *a, const struct clrnn_layer_params *p)
{
    const size_t D = p->bidirectional ? 2 : 1, P = p->proj_size ? p->proj_size : p->hidden_size;
    const bool lstm = p->kind == CLRNN_LAYER_LSTM;

    memset(a, 0, sizeof(*a));
    assert_int_equal(clrnn_layer_create(f->device, p, &a->layer), CLRNN_OK);
    a->y = T * N * D * P;
    a->h = D * p->num_layers * N * P;
    a->c = lstm ? D * p->num_layers * N * H : 0;
    draw(a->x, T * N * C, 1, 1);
    draw(a->dy, a->y, 2, 1);
    draw(a->h0, a->h, 3, 1);
    draw(a->c0, a->c, 4, 1);
    draw(a->dhn, a->h, 5, 1);
    draw(a->dcn, a->c, 6, 1);
    poison(a->x, C);
    poison(a->dy, D * P);
    a->weights = clrnn_layer_param_count(a->layer);
    assert_true(a->weights <= WEIGHTS);
    for (size_t i = 0; i < a->weights; i++) {
        draw(a->weight[i], clrnn_layer_param(a->layer, i)->count, 10 + (uint32_t)i, 0.5);
        a->given[i] = a->weight[i];
        a->dweights[i] = a->dweight[i];
    }
    a->input = (struct clrnn_layer_input){
        .T = T, .N = N, .x = a->x, .lengths = lengths, .h0 = a->h0, .c0 = lstm ? a->c0 : NULL, .weights = a->given};
    a->output = (struct clrnn_layer_output){a->made[0], a->made[1], lstm ? a->made[2] : NULL};
    a->gradients = (struct clrnn_layer_gradients){.dy = a->dy,
                                                  .dhn = a->dhn,
                                                  .dcn = lstm ? a->dcn : NULL,
                                                  .dx = a->made[3],
                                                  .dh0 = a->made[4],
                                                  .dc0 = lstm ? a->made[5] : NULL,
                                                  .dweights = a->dweights};
}

static size_t check_part(const char *what, const float *got, const double *want, size_t count)
{
    double values[MOST];

    for (size_t i = 0; i < count; i++)
        values[i] = (double)got[i];
    check_near(what, values, want, count, 4e-6);
    return count;
}

static void check(const struct arrays *a, const double *want, size_t count)
{
    const double *at = want;

    at += check_part("y", a->made[0], at, a->y);
    at += check_part("hn", a->made[1], at, a->h);
    at += check_part("cn", a->made[2], at, a->c);
    at += check_part("dx", a->made[3], at, T * N * C);
    at += check_part("dh0", a->made[4], at, a->h);
    at += check_part("dc0", a->made[5], at, a->c);
    for (size_t i = 0; i < a->weights; i++)
        at +=
            check_part(clrnn_layer_param(a->layer, i)->name, a->dweight[i], at, clrnn_layer_param(a->layer, i)->count);
    assert_int_equal(at - want, count);
}

static void refused(struct scratch *f, enum clrnn_status st, enum clrnn_status want, const char *words)
{
    if (st != want || !strstr(f->error, words))
        fail_msg("got status %d and \"%s\", want %d and \"%s\"", (int)st, f->error, (int)want, words);
    f->error[0] = '\0';
}

// Runs the backward of a pass after another pass has set the layer's weights to 0. The backward must be refused, unless
// the caller gives the weights of the pass's forward (gradients.weights): then the gradients must be as recorded.
static void run_with_weights_of_before(struct scratch *f, const struct clrnn_layer_params *params, const double *want,
                                       size_t count)
{
    static struct arrays a;
    const float *others[WEIGHTS];
    float zeros[MOST] = {0}, unwanted[MOST];
    struct clrnn_layer_pass *pass = NULL, *other = NULL;

    set_up(f, &a, params);
    assert_int_equal(clrnn_layer_forward(a.layer, &a.input, &a.output, &pass), CLRNN_OK);
    for (size_t i = 0; i < a.weights; i++)
        others[i] = zeros;
    a.input.weights = others;
    assert_int_equal(clrnn_layer_forward(a.layer, &a.input, &(struct clrnn_layer_output){unwanted, NULL, NULL}, &other),
                     CLRNN_OK);
    refused(f, clrnn_layer_backward(pass, &a.gradients), CLRNN_ERR_ARG, "weights have changed");
    a.gradients.weights = a.given;
    for (int i = 0; i < 2; i++) { // the second backward of a pass must first run its forward again
        assert_int_equal(clrnn_layer_backward(pass, &a.gradients), CLRNN_OK);
        check(&a, want, count);
        a.gradients.weights = others;
        assert_int_equal(clrnn_layer_backward(other, &a.gradients), CLRNN_OK);
        a.gradients.weights = a.given;
    }
    clrnn_layer_pass_destroy(&other);
    clrnn_layer_pass_destroy(&pass);
    clrnn_layer_destroy(&a.layer);
}

static void run(struct scratch *f, const struct clrnn_layer_params *params, const double *want, size_t count)
{
    static struct arrays a;
    struct clrnn_layer_pass *pass = NULL, *other = NULL;
    float last[MOST];

    set_up(f, &a, params);
    assert_int_equal(clrnn_layer_forward(a.layer, &a.input, &a.output, &pass), CLRNN_OK);
    assert_int_equal(clrnn_layer_backward(pass, &a.gradients), CLRNN_OK);
    check(&a, want, count);
    // once more, after another pass of the same shape: the gradients must not change
    a.input.h0 = a.input.c0 = NULL;
    assert_int_equal(clrnn_layer_forward(a.layer, &a.input, &(struct clrnn_layer_output){last, NULL, NULL}, &other),
                     CLRNN_OK);
    memset(a.made[3], 0, sizeof(a.made[3]));
    assert_int_equal(clrnn_layer_backward(pass, &a.gradients), CLRNN_OK);
    check(&a, want, count);
    clrnn_layer_pass_destroy(&other);
    clrnn_layer_pass_destroy(&pass);
    assert_null(pass);
    // a forward without a later backward must give the same outputs
    memcpy(last, a.made[0], sizeof(last));
    a.input.h0 = a.h0;
    a.input.c0 = params->kind == CLRNN_LAYER_LSTM ? a.c0 : NULL;
    assert_int_equal(clrnn_layer_forward(a.layer, &a.input, &a.output, NULL), CLRNN_OK);
    assert_memory_equal(last, a.made[0], a.y * sizeof(*last));
    clrnn_layer_destroy(&a.layer);
}

// Checks that a backward without gradients of the final states (NULL) gives the same bits as one with zeros. Both
// backwards run on the same pass, one after the other.
static void check_no_final(struct scratch *f, const struct clrnn_layer_params *params)
{
    static struct arrays a;
    static float made[3][MOST], dweight[WEIGHTS][MOST];
    struct clrnn_layer_pass *pass = NULL;

    set_up(f, &a, params);
    draw(a.x, T * N * C, 1, 1); // all of x and dy: this case has no padding
    draw(a.dy, a.y, 2, 1);
    memset(a.dhn, 0, sizeof(a.dhn));
    memset(a.dcn, 0, sizeof(a.dcn));
    a.input.lengths = NULL;
    assert_int_equal(clrnn_layer_forward(a.layer, &a.input, &a.output, &pass), CLRNN_OK);
    assert_int_equal(clrnn_layer_backward(pass, &a.gradients), CLRNN_OK);
    memcpy(made, a.made[3], sizeof(made));
    memcpy(dweight, a.dweight, sizeof(dweight));
    memset(a.made, 0, sizeof(a.made));
    memset(a.dweight, 0, sizeof(a.dweight));
    a.gradients.dhn = a.gradients.dcn = NULL;
    assert_int_equal(clrnn_layer_backward(pass, &a.gradients), CLRNN_OK);
    assert_true(a.made[3][0] != 0);
    assert_memory_equal(made, a.made[3], sizeof(made));
    assert_memory_equal(dweight, a.dweight, sizeof(dweight));
    clrnn_layer_pass_destroy(&pass);
    clrnn_layer_destroy(&a.layer);
}

static const struct clrnn_layer_params rnn = {
    .kind = CLRNN_LAYER_RNN, .input_size = C, .hidden_size = H, .num_layers = 1, .relu = true};
static const struct clrnn_layer_params gru = {.kind = CLRNN_LAYER_GRU,
                                              .input_size = C,
                                              .hidden_size = H,
                                              .num_layers = 1,
                                              .bidirectional = true,
                                              .no_bias = true};
static const struct clrnn_layer_params lstm = {
    .kind = CLRNN_LAYER_LSTM, .input_size = C, .hidden_size = H, .num_layers = 2, .bidirectional = true};

static void test_recorded(struct scratch *f)
{
    struct clrnn_layer_params projected = lstm;

    projected.proj_size = 2;
    run(f, &rnn, golden_layer_rnn, ARRAY_SIZE(golden_layer_rnn));
    run(f, &gru, golden_layer_gru, ARRAY_SIZE(golden_layer_gru));
    run(f, &lstm, golden_layer_lstm, ARRAY_SIZE(golden_layer_lstm));
    run(f, &projected, golden_layer_projected, ARRAY_SIZE(golden_layer_projected));
    run_with_weights_of_before(f, &gru, golden_layer_gru, ARRAY_SIZE(golden_layer_gru));
    run_with_weights_of_before(f, &projected, golden_layer_projected, ARRAY_SIZE(golden_layer_projected));
    check_no_final(f, &rnn);
    check_no_final(f, &gru);
    check_no_final(f, &lstm);
    check_no_final(f, &projected);
}

// ---------------------------------------------------------------- weights, refusals

static void test_weights(struct scratch *f)
{
    struct clrnn_recurrent *layer;
    float values[4 * H * C], back[4 * H * C];

    assert_int_equal(clrnn_layer_create(f->device, &lstm, &layer), CLRNN_OK);
    assert_int_equal(clrnn_layer_param_count(layer), 16);
    assert_string_equal(clrnn_layer_param(layer, 0)->name, "weight_ih_l0");
    assert_string_equal(clrnn_layer_param(layer, 15)->name, "bias_hh_l1_reverse");
    assert_null(clrnn_layer_param(layer, 16));
    assert_int_equal(clrnn_layer_read(layer, 0, values), CLRNN_OK);
    for (size_t i = 0; i < ARRAY_SIZE(values); i++) {
        assert_true(fabsf(values[i]) <= 0.5f && values[i] != 0); // the bound is 1 / sqrt(H)
        values[i] *= 2;
    }
    assert_int_equal(clrnn_layer_write(layer, 0, values), CLRNN_OK);
    assert_int_equal(clrnn_layer_read(layer, 0, back), CLRNN_OK);
    assert_memory_equal(values, back, sizeof(back));
    assert_int_equal(clrnn_layer_read(layer, 16, values), CLRNN_ERR_ARG);
    assert_non_null(strstr(f->error, "no weight 16"));
    clrnn_layer_destroy(&layer);
}

static void test_refusals(struct scratch *f)
{
    static struct arrays a;
    struct clrnn_layer_params params = gru;
    struct clrnn_recurrent *layer;
    struct clrnn_layer_pass *pass;
    int32_t wrong[N] = {4, 5, 1};

    params.proj_size = 2;
    refused(f, clrnn_layer_create(f->device, &params, &layer), CLRNN_ERR_CONFIG, "only lstm has a projection");
    params = (struct clrnn_layer_params){.kind = CLRNN_LAYER_LINEAR, .input_size = C, .hidden_size = H};
    refused(f, clrnn_layer_create(f->device, &params, &layer), CLRNN_ERR_ARG, "rnn, lstm or gru");
    params = gru;
    params.hidden_size = 0;
    refused(f, clrnn_layer_create(f->device, &params, &layer), CLRNN_ERR_CONFIG, "hidden_size");
    params = gru;
    params.num_layers = 0;
    refused(f, clrnn_layer_create(f->device, &params, &layer), CLRNN_ERR_CONFIG, "num_layers");
    assert_null(layer);

    set_up(f, &a, &gru);
    a.input.c0 = a.c0;
    refused(f, clrnn_layer_forward(a.layer, &a.input, &a.output, &pass), CLRNN_ERR_ARG, "only an lstm");
    a.input.c0 = NULL;
    a.input.lengths = wrong;
    refused(f, clrnn_layer_forward(a.layer, &a.input, &a.output, &pass), CLRNN_ERR_ARG,
            "length of sample 1 is 5, expected 1 to T=4");
    a.input.lengths = NULL;
    a.input.h0 = NULL;
    a.input.no_dx = true;
    assert_int_equal(clrnn_layer_forward(a.layer, &a.input, &a.output, &pass), CLRNN_OK);
    refused(f, clrnn_layer_backward(pass, &a.gradients), CLRNN_ERR_ARG, "dx is wanted");
    a.gradients.dx = NULL;
    refused(f, clrnn_layer_backward(pass, &a.gradients), CLRNN_ERR_ARG, "forward had no h0");
    a.gradients.dh0 = NULL;
    assert_int_equal(clrnn_layer_write(a.layer, 0, a.weight[1]), CLRNN_OK);
    refused(f, clrnn_layer_backward(pass, &a.gradients), CLRNN_ERR_ARG, "weights have changed");
    clrnn_layer_pass_destroy(&pass);
    clrnn_layer_destroy(&a.layer);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        SCRATCH_TEST(test_recorded, "ref"),
        SCRATCH_TEST(test_recorded, NULL),
        SCRATCH_TEST(test_weights, "ref"),
        SCRATCH_TEST(test_refusals, "ref"),
    };

    return cmocka_run_group_tests_name("model/layer", tests, NULL, NULL);
}
