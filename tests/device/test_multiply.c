// SPDX-License-Identifier: MIT
// Tests matrix multiplies: refused arguments, sizes of 0, and the results and times of CLBlast.
#include <math.h>

#include "device/device_test.h"
#include "device/gemm/gemm.h"

static int setup(void **state)
{
    setenv("CLRNN_GEMM", "auto", 1);
    return test_launches_open(state);
}

static int setup_clblast(void **state)
{
    setenv("CLRNN_GEMM", "clblast", 1);
    return test_launches_open(state);
}

static void test_refused(void **state)
{
    struct test_launches *f = test_launches_need(state);
    const size_t align = clrnn_buffer_align(f->d) / 4;
    struct clrnn_buffer *x = test_buffer(f, CLRNN_REAL, 4 * align), *c = test_buffer(f, CLRNN_REAL, 12),
                        *i = test_buffer(f, CLRNN_I32, 12);
    struct clrnn_buffer *part;
    const struct clrnn_gemm good = {
        .M = 3, .N = 4, .K = 2, .alpha = 1, .a = x, .b = x, .c = c, .a_ld = 2, .b_ld = 4, .c_ld = 4};
    struct clrnn_gemm g;

#define REFUSED(words, ...) \
    do { \
        g = good; \
        __VA_ARGS__; \
        f->log.errors = 0; \
        assert_int_equal(clrnn_launch_gemm(f->l, &g), CLRNN_ERR_ARG); \
        print_message("# %s\n", f->log.text); \
        assert_int_equal(f->log.errors, 1); \
        assert_non_null(strstr(f->log.text, words)); \
    } while (0)

    REFUSED("A is no buffer of reals", g.a = NULL);
    REFUSED("B is no buffer of reals", g.b = i);
    REFUSED("C is no buffer of reals", g.c = NULL);
    REFUSED("A (a test's) has rows of 2 elements 1 apart", g.a_ld = 1);
    REFUSED("B (a test's) has rows of 4", g.b_ld = 3);
    REFUSED("C (a test's) has rows of 4", g.c_ld = 3);
    REFUSED("C (a test's) of 3 rows of 4, 4 apart, at 1 leaves its 12 elements", g.c_offset = 1);
    REFUSED("leaves its", g.a_offset = SIZE_MAX);
    REFUSED("leaves its", g.b_ld = UINT32_MAX);
    REFUSED("leaves its", g.transpose_a = true; g.a_ld = 4 * (uint32_t)align);
    REFUSED("lies over A or B", g.c = x; g.c_offset = 4);
    assert_int_equal(clrnn_buffer_sub(x, 4 * align, CLRNN_REAL, 12, &part), CLRNN_OK);
    REFUSED("lies over A or B", g.c = part; g.a_offset = align + 11);
    assert_int_equal(clrnn_launches_count(f->l), 0);
    clrnn_buffer_destroy(&part);
}

/** With K 0, C must become beta C, and beta 0 must overwrite a NaN. With M or N 0, nothing must be
 * appended. */
static void test_edges(void **state)
{
    struct test_launches *f = test_launches_need(state);
    struct clrnn_buffer *c = test_buffer(f, CLRNN_REAL, 8);
    const float x[8] = {1, 2, 3, 4, 5, 6, 7, 8}, nans[8] = {NAN, NAN, NAN, NAN, NAN, NAN, NAN, NAN};
    struct clrnn_gemm g = {.M = 2, .N = 2, .K = 0, .alpha = 1, .beta = -2, .c = c, .c_offset = 1, .c_ld = 4};
    float got[8];

    assert_int_equal(clrnn_buffer_write_f32(c, 0, 8, x), CLRNN_OK);
    assert_int_equal(clrnn_launch_gemm(f->l, &g), CLRNN_OK);
    assert_int_equal(clrnn_launches_run(f->l), CLRNN_OK);
    assert_int_equal(clrnn_buffer_read_f32(c, 0, 8, got), CLRNN_OK);
    for (int i = 0; i < 8; i++)
        assert_true(got[i] == (i % 4 == 1 || i % 4 == 2 ? -2 * x[i] : x[i]));

    g.beta = 0;
    assert_int_equal(clrnn_launch_gemm(f->l, &g), CLRNN_OK);
    assert_int_equal(clrnn_buffer_write_f32(c, 0, 8, nans), CLRNN_OK);
    assert_int_equal(clrnn_launches_run_part(f->l, 1, 2), CLRNN_OK);
    assert_int_equal(clrnn_buffer_read_f32(c, 0, 8, got), CLRNN_OK);
    for (int i = 0; i < 8; i++)
        assert_true(i % 4 == 1 || i % 4 == 2 ? got[i] == 0 : isnan(got[i]));

    g.M = 0;
    assert_int_equal(clrnn_launch_gemm(f->l, &g), CLRNN_OK);
    g.M = 2;
    g.N = 0;
    assert_int_equal(clrnn_launch_gemm(f->l, &g), CLRNN_OK);
    assert_int_equal(clrnn_launches_count(f->l), 2);
}

/** Returns element (i, j) of op(X), if X is stored with rows `ld` elements apart. */
static double element(const float *x, bool transposed, size_t ld, size_t i, size_t j)
{
    return transposed ? x[j * ld + i] : x[i * ld + j];
}

static void test_clblast(void **state)
{
    enum { M = 5, N = 9, K = 17, ROOM = 600, OFFSET = 3, LD = 23 };
    struct test_launches *f = test_launches_need(state);
    struct clrnn_buffer *a = test_buffer(f, CLRNN_REAL, ROOM), *b = test_buffer(f, CLRNN_REAL, ROOM),
                        *c = test_buffer(f, CLRNN_REAL, ROOM);
    float x[ROOM], y[ROOM], z[ROOM], got[ROOM];

    for (int i = 0; i < ROOM; i++) { // sums are exact in float32, in every order
        x[i] = (float)(i * 7 % 13 - 6);
        y[i] = (float)(i * 5 % 11 - 5) / 4;
        z[i] = (float)(i * 3 % 7 - 3);
    }
    assert_int_equal(clrnn_buffer_write_f32(a, 0, ROOM, x), CLRNN_OK);
    assert_int_equal(clrnn_buffer_write_f32(b, 0, ROOM, y), CLRNN_OK);
    for (int form = 0; form < 8; form++) {
        // PoCL compiles for seconds for each pair of transposes: only NT and TN are tested there
        if (clrnn_device_info(f->d)->is_pocl && form != 2 && form != 5)
            continue;
        const bool ta = form & 1, tb = form & 2;
        const float beta = form & 4 ? -0.5f : 0;
        const struct clrnn_gemm g = {.transpose_a = ta,
                                     .transpose_b = tb,
                                     .M = M,
                                     .N = N,
                                     .K = K,
                                     .alpha = 2,
                                     .beta = beta,
                                     .a = a,
                                     .b = b,
                                     .c = c,
                                     .a_offset = OFFSET,
                                     .b_offset = 2 * OFFSET,
                                     .c_offset = OFFSET,
                                     .a_ld = LD,
                                     .b_ld = LD,
                                     .c_ld = LD};
        const size_t index = clrnn_launches_count(f->l);

        assert_int_equal(clrnn_buffer_write_f32(c, 0, ROOM, z), CLRNN_OK);
        assert_int_equal(clrnn_launches_op(f->l, "multiply"), CLRNN_OK);
        assert_int_equal(clrnn_launch_gemm(f->l, &g), CLRNN_OK);
        assert_int_equal(clrnn_launches_count(f->l), index + 1);
        assert_string_equal(clrnn_launches_info(f->l, index)->kernel, "gemm");
        assert_true(clrnn_launches_info(f->l, index)->cost.flops == 2.0 * M * N * K);
        assert_int_equal(clrnn_launches_run_part(f->l, index, index + 1), CLRNN_OK);
        assert_int_equal(clrnn_buffer_read_f32(c, 0, ROOM, got), CLRNN_OK);
        for (size_t i = 0; i < ROOM; i++) {
            const size_t row = (i - OFFSET) / LD, column = (i - OFFSET) % LD;
            double want = z[i];

            if (i >= OFFSET && row < M && column < N) {
                double sum = 0;

                for (size_t k = 0; k < K; k++)
                    sum += element(x + OFFSET, ta, LD, row, k) * element(y + 2 * OFFSET, tb, LD, k, column);
                want = 2 * sum + (double)beta * z[i];
            }
            if ((double)got[i] != want)
                fail_msg("%s: element %zu is %g, expected %g", clrnn_launches_info(f->l, index)->shape, i,
                         (double)got[i], want);
        }
    }
}

static void test_clblast_times(void **state)
{
    struct test_launches *f = test_launches_need(state);
    const struct clrnn_device_info *info = clrnn_device_info(f->d);
    char select[32];
    struct clrnn_device_params params = {.log = &test_print_log, .profile = true, .gemm = "clblast"};
    struct clrnn_device *d;
    struct clrnn_launches *l;
    struct clrnn_buffer *x, *c;

    snprintf(select, sizeof(select), "%d:%d", info->platform, info->device);
    params.select = select;
    assert_int_equal(clrnn_device_open(&params, &d), CLRNN_OK);
    assert_int_equal(clrnn_launches_create(d, &l), CLRNN_OK);
    assert_int_equal(clrnn_buffer_create(d, CLRNN_REAL, 100, "x", &x), CLRNN_OK);
    assert_int_equal(clrnn_buffer_create(d, CLRNN_REAL, 100, "c", &c), CLRNN_OK);
    assert_int_equal(clrnn_launch_gemm(l, &(struct clrnn_gemm){.transpose_b = true,
                                                               .M = 10,
                                                               .N = 10,
                                                               .K = 10,
                                                               .alpha = 1,
                                                               .a = x,
                                                               .b = x,
                                                               .c = c,
                                                               .a_ld = 10,
                                                               .b_ld = 10,
                                                               .c_ld = 10}),
                     CLRNN_OK);
    assert_int_equal(clrnn_launches_run(l), CLRNN_OK);
    assert_int_equal(clrnn_launches_run(l), CLRNN_OK);
    assert_int_equal(clrnn_launches_profile(l), CLRNN_OK);
    assert_int_equal(clrnn_launches_info(l, 0)->runs, 2);
    assert_true(clrnn_launches_info(l, 0)->seconds > 0);
    clrnn_launches_destroy(&l);
    clrnn_buffer_destroy(&x);
    clrnn_buffer_destroy(&c);
    clrnn_device_destroy(&d);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_refused, setup, test_launches_close),
        cmocka_unit_test_setup_teardown(test_edges, setup, test_launches_close),
        cmocka_unit_test_setup_teardown(test_clblast, setup_clblast, test_launches_close),
        cmocka_unit_test_setup_teardown(test_clblast_times, setup_clblast, test_launches_close),
    };

    return cmocka_run_group_tests_name("multiply", tests, NULL, NULL);
}
