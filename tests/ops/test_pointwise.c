// SPDX-License-Identifier: MIT
// Pointwise and row-wise functions against the reference, for small and large arguments.
#include "op_test.h"

#include <math.h>
#include <stdio.h>

#include "base/array.h"

static const char *const name[] = {"relu", "tanh",      "sigmoid", "round",    "leaky_relu", "elu",
                                   "gelu", "gelu_tanh", "silu",    "softplus", "softmax",    "log_softmax"};

// Returns the bound on relative errors. For large negative x, gelu contains exp(-x^2 / 2): rounding an exponent of -27
// causes a relative error of up to 27 * 2^-24 = 1.6e-6.
static double slack(enum clrnn_function f)
{
    return f == CLRNN_FUNCTION_GELU || f == CLRNN_FUNCTION_GELU_TANH ? 1e-5 : 1e-6;
}

static void set_up(struct clrnn_check *t, enum clrnn_op_kind kind, enum clrnn_function f, uint32_t T, uint32_t N,
                   uint32_t C, bool padded)
{
    clrnn_check_begin(t, kind, T, N, C, 7000 + C * 5 + (unsigned)f);
    snprintf(t->what, sizeof(t->what), "%s padded=%d", name[f], padded);
    t->op.pointwise.function = f;
    t->op.pointwise.a = 0.7;
    t->op.pointwise.b = 2;
    if (padded)
        clrnn_check_lengths(t, POINTWISE_LENGTHS);
}

static void forward(struct clrnn_check *t, enum clrnn_function f, uint32_t T, uint32_t N, uint32_t C, bool padded)
{
    float *x;

    set_up(t, CLRNN_OP_POINTWISE_FWD, f, T, N, C, padded);
    x = clrnn_check_real(t, POINTWISE_X, (size_t)T * N * C);
    for (size_t i = 0; i < (size_t)T * N * C; i++)
        x[i] *= 3;
    if (padded)
        clrnn_check_poison_padding(t, POINTWISE_X, C);
    clrnn_check_out_rows(t, POINTWISE_Y, C, f == CLRNN_FUNCTION_ROUND || f == CLRNN_FUNCTION_RELU ? 0 : slack(f));
    op_test_run(t);
}

static void backward(struct clrnn_check *t, enum clrnn_function f, uint32_t T, uint32_t N, uint32_t C, bool padded)
{
    const size_t rows = (size_t)T * N;
    float *x, *y, sum;

    set_up(t, CLRNN_OP_POINTWISE_BWD, f, T, N, C, padded);
    x = clrnn_check_real(t, POINTWISE_BWD_X, rows * C);
    y = clrnn_check_real(t, POINTWISE_BWD_Y, rows * C);
    clrnn_check_real(t, POINTWISE_BWD_DY, rows * C);
    for (size_t r = 0; r < rows; r++) {
        sum = 0;
        for (size_t i = r * C; i < (r + 1) * C; i++)
            sum += expf(x[i]);
        for (size_t i = r * C; i < (r + 1) * C; i++)
            y[i] = f == CLRNN_FUNCTION_RELU      ? fmaxf(x[i], 0)
                   : f == CLRNN_FUNCTION_TANH    ? tanhf(x[i])
                   : f == CLRNN_FUNCTION_SIGMOID ? 1 / (1 + expf(-x[i]))
                   : f == CLRNN_FUNCTION_ROUND   ? rintf(x[i])
                   : f == CLRNN_FUNCTION_SOFTMAX ? expf(x[i]) / sum
                                                 : x[i] - logf(sum);
    }
    if (padded) {
        clrnn_check_poison_padding(t, POINTWISE_BWD_X, C);
        clrnn_check_poison_padding(t, POINTWISE_BWD_Y, C);
        clrnn_check_poison_padding(t, POINTWISE_BWD_DY, C);
    }
    // y is rounded, and 1 - y^2 has the error of y; errors of sums over a row grow with C.
    clrnn_check_out_rows(t, POINTWISE_DX, C, slack(f) + (f >= CLRNN_FUNCTION_SOFTMAX ? 1e-8 * C : 0));
    op_test_run(t);
}

static void shapes(void **state)
{
    static const uint32_t shape[][3] = {{1, 1, 1},  {3, 5, 7},  {1, 4, 15},  {2, 3, 16},  {2, 2, 17},
                                        {1, 64, 2}, {4, 9, 33}, {1, 3, 600}, {13, 31, 65}};
    const size_t count = op_test_small() ? 5 : ARRAY_SIZE(shape);

    for (size_t i = 0; i < count; i++)
        for (int f = CLRNN_FUNCTION_RELU; f <= CLRNN_FUNCTION_LOG_SOFTMAX; f++)
            for (int padded = 0; padded < 2; padded++) {
                const uint32_t *s = shape[i];

                forward(*state, (enum clrnn_function)f, s[0], s[1], s[2], padded);
                backward(*state, (enum clrnn_function)f, s[0], s[1], s[2], padded);
            }
}

// Each value must be within a few units in its own last place.
static void accuracy(void **state)
{
    static const float edge[] = {0,       -0.0f,    0.5f,  1.5f,   2.5f,  -0.5f, -1.5f, 0.49999997f,
                                 8388609, -8388609, 1e-7f, -1e-7f, 1e-3f, 20,    -20,   87,
                                 -87,     89,       -89,   1e4f,   -1e4f, 3e38f, -3e38f};
    struct clrnn_check *t = *state;

    for (int f = CLRNN_FUNCTION_TANH; f <= CLRNN_FUNCTION_ROUND; f++) {
        const size_t count = 400;
        float *x;

        set_up(t, CLRNN_OP_POINTWISE_FWD, (enum clrnn_function)f, 1, 4, 100, false);
        x = clrnn_check_real(t, POINTWISE_X, count);
        for (size_t i = 0; i < count; i++)
            x[i] = i < ARRAY_SIZE(edge) ? edge[i] : ldexpf(x[i], (int)(clrnn_check_u32(t) % 14) - 10);
        clrnn_check_out(t, POINTWISE_Y, CLRNN_REAL, count, 0);
        t->out[POINTWISE_Y].absolute = 1;
        op_test_run(t);
        for (size_t i = 0; i < count; i++) {
            const double got = t->got[POINTWISE_Y][i], want = t->want[POINTWISE_Y][i];
            // OpenCL allows errors of 5 ulp for tanh and 3 for exp; results that underflow may become 0.
            const double bound = f == CLRNN_FUNCTION_ROUND ? 0 : 6 * ldexp(fabs(want), -23) + 1.2e-38;

            if (!(fabs(got - want) <= bound))
                fail_msg("%s(%.9g): got %.9g, want %.9g", name[f], x[i], got, want);
        }
    }
}

static void extreme_rows(void **state)
{
    static const float value[] = {0, 88, -88, 104, 1e4f, -1e4f, 1e6f, -1e6f, 1e18f, -1e18f};
    struct clrnn_check *t = *state;

    for (int f = CLRNN_FUNCTION_SOFTMAX; f <= CLRNN_FUNCTION_LOG_SOFTMAX; f++) {
        set_up(t, CLRNN_OP_POINTWISE_FWD, (enum clrnn_function)f, 1, 50, 5, false);
        clrnn_check_real(t, POINTWISE_X, 250);
        for (size_t i = 0; i < 250; i++)
            t->in[POINTWISE_X].real[i] = value[clrnn_check_u32(t) % ARRAY_SIZE(value)];
        clrnn_check_out(t, POINTWISE_Y, CLRNN_REAL, 250, 1e-6);
        op_test_run(t);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(shapes), cmocka_unit_test(accuracy),
                                       cmocka_unit_test(extreme_rows)};

    return cmocka_run_group_tests_name("ops/pointwise", tests, op_test_open, op_test_close);
}
