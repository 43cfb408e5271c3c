// SPDX-License-Identifier: MIT
// Tests `fixed` multiplies (gemm.h). Several multiplies that each compute some rows of C, or sum some blocks of K, must
// give the same bits as one multiply.
#include <math.h>

#include "base/random.h"
#include "device/gemm/gemm.h"
#include "tests/test.h"

static struct clrnn_device *open_device(void)
{
    const struct clrnn_device_params params = {
        .select = getenv("CLRNN_DEVICE") ? NULL : "cpu", .log = &test_print_log, .gemm = "own"};
    struct clrnn_device *device = NULL;

    if (clrnn_device_open(&params, &device) != CLRNN_OK || clrnn_device_sums_blocks(device))
        return device;
    print_message("# skipped: multiplies of this device do not sum in blocks\n");
    clrnn_device_destroy(&device);
    return NULL;
}

static struct clrnn_buffer *upload(struct clrnn_device *device, size_t count, uint32_t seed, float **values)
{
    const struct clrnn_random r = {.seed = seed};
    struct clrnn_buffer *b;

    *values = malloc(count * sizeof(**values));
    assert_non_null(*values);
    for (size_t i = 0; i < count; i++)
        (*values)[i] = 2 * clrnn_random_uniform(&r, i) - 1;
    assert_int_equal(clrnn_buffer_create(device, CLRNN_REAL, count, "a matrix", &b), CLRNN_OK);
    assert_int_equal(clrnn_buffer_write_f32(b, 0, count, *values), CLRNN_OK);
    return b;
}

// A multiply of matrices without gaps between rows, with its operands on the device (g) and on the host (a, b).
struct multiply {
    struct clrnn_device *device;
    struct clrnn_gemm g;
    float *a, *b, *whole, *parts; // [M, N]: `whole` is C of one multiply, `parts` of several multiplies
};

static struct multiply make(struct clrnn_device *device, struct clrnn_gemm g)
{
    const size_t count = (size_t)g.M * g.N;
    struct multiply m = {.device = device, .g = g};

    m.g.a_ld = g.transpose_a ? g.M : g.K;
    m.g.b_ld = g.transpose_b ? g.K : g.N;
    m.g.c_ld = g.N;
    m.g.a = upload(device, (size_t)g.M * g.K, 1, &m.a);
    m.g.b = upload(device, (size_t)g.N * g.K, 2, &m.b);
    assert_int_equal(clrnn_buffer_create(device, CLRNN_REAL, count, "C", &m.g.c), CLRNN_OK);
    m.whole = malloc(count * sizeof(*m.whole));
    m.parts = malloc(count * sizeof(*m.parts));
    assert_true(m.whole && m.parts);
    return m;
}

static void unmake(struct multiply *m)
{
    clrnn_buffer_destroy(&m->g.a);
    clrnn_buffer_destroy(&m->g.b);
    clrnn_buffer_destroy(&m->g.c);
    free(m->a);
    free(m->b);
    free(m->whole);
    free(m->parts);
}

static void launch(const struct multiply *m, const struct clrnn_gemm *g)
{
    struct clrnn_launches *launches;

    assert_int_equal(clrnn_launches_create(m->device, &launches), CLRNN_OK);
    assert_int_equal(clrnn_launch_gemm(launches, g), CLRNN_OK);
    assert_int_equal(clrnn_launches_run(launches), CLRNN_OK);
    clrnn_launches_destroy(&launches);
}

// Sums over elements [first, first + count) of K, in blocks: the first block has `lead` elements. If `add`, adds to C,
// otherwise overwrites C.
static void sum_part(const struct multiply *m, uint32_t first, uint32_t count, uint32_t lead, bool add)
{
    struct clrnn_gemm g = m->g;

    g.a_offset = (size_t)first * (g.transpose_a ? g.a_ld : 1);
    g.b_offset = (size_t)first * (g.transpose_b ? 1 : g.b_ld);
    g.K = count;
    g.k_lead = lead;
    g.beta = add ? 1 : 0;
    launch(m, &g);
}

static void check_right(const struct multiply *m)
{
    for (size_t i = 0; i < m->g.M; i++)
        for (size_t j = 0; j < m->g.N; j++) {
            double want = 0, size = 0;

            for (size_t k = 0; k < m->g.K; k++) {
                const double x = (double)m->a[m->g.transpose_a ? k * m->g.M + i : i * m->g.K + k] *
                                 m->b[m->g.transpose_b ? j * m->g.K + k : k * m->g.N + j];

                want += x;
                size += fabs(x);
            }
            if (!(fabs(m->whole[i * m->g.N + j] - want) <= 1e-6 * size))
                fail_msg("%ux%ux%u: element %zu, %zu is %g, not %g", m->g.M, m->g.N, m->g.K, i, j,
                         (double)m->whole[i * m->g.N + j], want);
        }
}

static void check_blocks(struct clrnn_device *device, struct clrnn_gemm shape, uint32_t blocks)
{
    struct multiply m = make(device, shape);
    const struct clrnn_gemm *g = &m.g;
    const size_t count = (size_t)g->M * g->N;
    const uint32_t middle = g->k_lead + blocks * g->k_block, rest = g->K - middle;

    assert_true(middle < g->K);
    sum_part(&m, 0, g->K, g->k_lead, false);
    assert_int_equal(clrnn_buffer_read_f32(g->c, 0, count, m.whole), CLRNN_OK);
    check_right(&m);
    if (g->descending) {
        sum_part(&m, middle, rest, g->k_block, false);
        sum_part(&m, 0, middle, g->k_lead, true);
    } else {
        sum_part(&m, 0, middle, g->k_lead, false);
        sum_part(&m, middle, rest, g->k_block, true);
    }
    assert_int_equal(clrnn_buffer_read_f32(g->c, 0, count, m.parts), CLRNN_OK);
    assert_memory_equal(m.whole, m.parts, count * sizeof(*m.whole));
    unmake(&m);
}

// Sums all blocks of K in one launch. Then sums some of the blocks in one launch and the others in a second launch, in
// the same order of blocks. Both must give the same bits.
static void test_blocks(void **state)
{
    static const uint32_t shapes[][5] = {// M, N, K, size of the first block, size of the others
                                         {5, 7, 40, 3, 8},
                                         {64, 64, 1700, 96, 96},
                                         {4, 3, 900, 31, 290},
                                         {70, 16, 600, 1, 1},
                                         {16, 300, 530, 260, 260}};
    struct clrnn_device *device = open_device();

    (void)state;
    for (size_t i = 0; device && i < sizeof(shapes) / sizeof(shapes[0]); i++)
        for (unsigned way = 0; way < 8; way++)
            check_blocks(device,
                         (struct clrnn_gemm){.M = shapes[i][0],
                                             .N = shapes[i][1],
                                             .K = shapes[i][2],
                                             .k_lead = shapes[i][3],
                                             .k_block = shapes[i][4],
                                             .alpha = 1,
                                             .fixed = true,
                                             .descending = way & 1,
                                             .transpose_a = way & 2,
                                             .transpose_b = way & 4},
                         i % 2);
    clrnn_device_destroy(&device);
}

// Computes all rows of C in one multiply, and in five multiplies of some rows each, with beta 0 and 1. Both must give
// the same bits.
static void test_rows(void **state)
{
    struct clrnn_device *device = open_device();

    (void)state;
    for (unsigned way = 0; device && way < 4; way++) {
        struct multiply m =
            make(device,
                 (struct clrnn_gemm){
                     .M = 300, .N = 40, .K = 1100, .alpha = 1, .beta = way & 1, .transpose_b = way & 2, .fixed = true});
        const size_t count = (size_t)m.g.M * m.g.N;
        const uint32_t ends[] = {1, 4, 127, 128, 300};
        struct clrnn_gemm g = m.g;

        assert_int_equal(clrnn_buffer_write_f32(g.c, 0, count, m.a), CLRNN_OK);
        launch(&m, &g);
        assert_int_equal(clrnn_buffer_read_f32(g.c, 0, count, m.whole), CLRNN_OK);
        assert_int_equal(clrnn_buffer_write_f32(g.c, 0, count, m.a), CLRNN_OK);
        for (size_t i = 0; i < sizeof(ends) / sizeof(ends[0]); i++) {
            const uint32_t first = i ? ends[i - 1] : 0;

            g.M = ends[i] - first;
            g.a_offset = (size_t)first * g.a_ld;
            g.c_offset = (size_t)first * g.c_ld;
            launch(&m, &g);
        }
        assert_int_equal(clrnn_buffer_read_f32(g.c, 0, count, m.parts), CLRNN_OK);
        assert_memory_equal(m.whole, m.parts, count * sizeof(*m.whole));
        unmake(&m);
    }
    clrnn_device_destroy(&device);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_blocks), cmocka_unit_test(test_rows)};

    return cmocka_run_group_tests_name("device/blocks", tests, NULL, NULL);
}
