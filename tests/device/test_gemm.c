// SPDX-License-Identifier: MIT
// Compares clRNN's matrix multiplies with sums in double: awkward sizes, all transposes, strides and offsets.
#include <math.h>

#include "base/random.h"
#include "device/gemm/gemm.h"
#include "tests/device/device_test.h"

static const float sentinel = -12345.5f;

static int open_device(void **state)
{
    const struct clrnn_device_params params = {
        .select = getenv("CLRNN_DEVICE") ? NULL : "cpu", .log = &test_print_log, .gemm = "own"};
    struct clrnn_device *device = NULL;

    if (clrnn_device_open(&params, &device) != CLRNN_OK)
        device = NULL;
    *state = device;
    return 0;
}

// Whether to test fewer cases, as with every driver but PoCL: simulators and Mesa are a thousand times slower.
static bool is_slow(const struct clrnn_device *device)
{
    return !clrnn_device_info(device)->is_pocl;
}

static struct clrnn_device *need_device(void **state)
{
    if (!*state || clrnn_device_is_ref(*state)) {
        print_message("no OpenCL device: skipped\n");
        skip();
    }
    return *state;
}

// A matrix as stored in a buffer, on the host. `make` sets the elements outside the matrix to its argument `around`.
struct stored {
    size_t offset, ld, rows, cols, count;
    float *data;
};

static struct stored make(struct clrnn_random *r, size_t rows, size_t cols, size_t offset, size_t gap, float around)
{
    struct stored s = {offset, cols + gap, rows, cols, offset + rows * (cols + gap) + 5, NULL};

    s.data = malloc(s.count * sizeof(*s.data));
    assert_non_null(s.data);
    for (size_t i = 0; i < s.count; i++)
        s.data[i] = around;
    r->a++;
    for (size_t i = 0; i < rows; i++)
        for (size_t j = 0; j < cols; j++)
            s.data[offset + i * s.ld + j] = 2 * clrnn_random_uniform(r, i * cols + j) - 1;
    return s;
}

static float at(const struct stored *s, bool transpose, size_t i, size_t j)
{
    return s->data[s->offset + (transpose ? j * s->ld + i : i * s->ld + j)];
}

static struct clrnn_buffer *upload(struct clrnn_device *device, const struct stored *s)
{
    struct clrnn_buffer *b;

    assert_int_equal(clrnn_buffer_create(device, CLRNN_REAL, s->count, "a matrix", &b), CLRNN_OK);
    assert_int_equal(clrnn_buffer_write_f32(b, 0, s->count, s->data), CLRNN_OK);
    return b;
}

// Uploads the matrix `s` with its rows in reverse order. *rows [s->rows]: for each row of `s`, its index in the
// uploaded matrix. A multiply gathers the rows by these indices.
static struct clrnn_buffer *upload_apart(struct clrnn_device *device, const struct stored *s,
                                         struct clrnn_buffer **rows)
{
    struct stored turned = *s;
    struct clrnn_buffer *b;
    int32_t *row = malloc((s->rows + 1) * sizeof(*row));

    turned.data = malloc(s->count * sizeof(*s->data));
    assert_non_null(row);
    assert_non_null(turned.data);
    memcpy(turned.data, s->data, s->count * sizeof(*s->data));
    for (size_t i = 0; i < s->rows; i++) {
        row[i] = (int32_t)(s->rows - 1 - i);
        memcpy(turned.data + s->offset + (size_t)row[i] * s->ld, s->data + s->offset + i * s->ld,
               s->cols * sizeof(*s->data));
    }
    b = upload(device, &turned);
    assert_int_equal(clrnn_buffer_create(device, CLRNN_U32, s->rows, "rows", rows), CLRNN_OK);
    assert_int_equal(clrnn_buffer_write_i32(*rows, 0, s->rows, row), CLRNN_OK);
    free(turned.data);
    free(row);
    return b;
}

enum apart { TOGETHER, A_APART, B_APART };

// Returns the expected element (i, j) of C. *size: the sum of the magnitudes of its terms.
static double want_at(const struct clrnn_gemm *g, const struct stored *a, const struct stored *b, double before,
                      const struct stored bias[2], int kind, size_t i, size_t j, double *size)
{
    double want = 0;

    *size = 0;
    for (size_t k = 0; k < g->K; k++) {
        const double x = (double)at(a, g->transpose_a, i, k) * at(b, g->transpose_b, k, j);

        want += x;
        *size += fabs(x);
    }
    want *= g->alpha;
    *size *= fabs((double)g->alpha);
    if (g->beta != 0) {
        want += (double)g->beta * before;
        *size += fabs((double)g->beta * before);
    }
    if (kind == EPILOGUE_NONE)
        return want;
    for (int x = 0; x < (kind == EPILOGUE_BIAS ? 1 : 2); x++) {
        want += bias[x].data[j];
        *size += fabs((double)bias[x].data[j]);
    }
    *size += 1; // tanh itself has an error of an ulp or two
    return kind == EPILOGUE_BIAS ? want : kind == EPILOGUE_TANH ? tanh(want) : fmax(want, 0);
}

// Runs a multiply twice, with the epilogue `kind`. Every element of C must be right, other elements of the buffer
// must be unchanged, and both runs must give the same bits. Returns whether the epilogue was fused.
static bool check_epilogue(struct clrnn_device *device, struct clrnn_gemm g, int kind, enum apart apart, size_t gap,
                           uint64_t seed)
{
    struct clrnn_random r = {.seed = seed};
    struct stored a = make(&r, g.transpose_a ? g.K : g.M, g.transpose_a ? g.M : g.K, g.a_offset, gap, NAN);
    struct stored b = make(&r, g.transpose_b ? g.N : g.K, g.transpose_b ? g.K : g.N, g.b_offset, gap, NAN);
    struct stored c = make(&r, g.M, g.N, g.c_offset, gap, sentinel);
    struct stored bias[2] = {make(&r, 1, g.N, 0, 0, NAN), make(&r, 1, g.N, 0, 0, NAN)};
    struct clrnn_epilogue epilogue = {.kind = kind};
    const bool wanted = kind != EPILOGUE_NONE;
    bool fused = false;
    float *got = malloc(c.count * sizeof(*got)), *again = malloc(c.count * sizeof(*again));
    struct clrnn_launches *launches = NULL;
    char shape[160];

    assert_non_null(got);
    assert_non_null(again);
    snprintf(shape, sizeof(shape), "%ux%ux%u %c%c apart %d alpha %g beta %g offsets %zu %zu %zu gap %zu seed %llu", g.M,
             g.N, g.K, "NT"[g.transpose_a], "NT"[g.transpose_b], (int)apart, (double)g.alpha, (double)g.beta,
             g.a_offset, g.b_offset, g.c_offset, gap, (unsigned long long)seed);
    g.a_ld = (uint32_t)a.ld;
    g.b_ld = (uint32_t)b.ld;
    g.c_ld = (uint32_t)c.ld;
    if (g.beta == 0)
        for (size_t i = 0; i < g.M; i++)
            for (size_t j = 0; j < g.N; j++)
                c.data[c.offset + i * c.ld + j] = NAN;
    g.a = apart == A_APART ? upload_apart(device, &a, &g.a_rows) : upload(device, &a);
    g.b = apart == B_APART ? upload_apart(device, &b, &g.b_rows) : upload(device, &b);
    g.c = upload(device, &c);
    for (int i = 0; i < (kind == EPILOGUE_BIAS ? 1 : 2) && wanted; i++)
        epilogue.bias[i] = upload(device, &bias[i]);
    assert_int_equal(clrnn_launches_create(device, &launches), CLRNN_OK);
    assert_int_equal(clrnn_launches_op(launches, "test"), CLRNN_OK);
    assert_int_equal(clrnn_launch_gemm_batch(launches, &g, 1, wanted ? &epilogue : NULL, &fused), CLRNN_OK);
    assert_int_equal(clrnn_launches_run(launches), CLRNN_OK);
    assert_int_equal(clrnn_buffer_read_f32(g.c, 0, c.count, got), CLRNN_OK);
    assert_int_equal(clrnn_buffer_write_f32(g.c, 0, c.count, c.data), CLRNN_OK);
    assert_int_equal(clrnn_launches_run(launches), CLRNN_OK);
    assert_int_equal(clrnn_buffer_read_f32(g.c, 0, c.count, again), CLRNN_OK);
    if (memcmp(got, again, c.count * sizeof(*got)) != 0)
        fail_msg("%s: two runs differ", shape);

    for (size_t i = 0; i < g.M; i++)
        for (size_t j = 0; j < g.N; j++) {
            const size_t where = c.offset + i * c.ld + j;
            double size;
            const double want = want_at(&g, &a, &b, c.data[where], bias, fused ? kind : EPILOGUE_NONE, i, j, &size);

            // At most K + 3 roundings of numbers no larger than `size`. In practice the error stays below that of 40.
            if (!(fabs(got[where] - want) <= fmin(g.K + 3.0, 40) * 0x1p-24 * size))
                fail_msg("%s: C[%zu, %zu] is %.9g, not %.9g", shape, i, j, (double)got[where], want);
            got[where] = sentinel;
        }
    for (size_t i = 0; i < c.count; i++)
        if (memcmp(&got[i], &sentinel, sizeof(sentinel)) != 0)
            fail_msg("%s: element %zu outside of C became %g", shape, i, (double)got[i]);

    clrnn_launches_destroy(&launches);
    clrnn_buffer_destroy(&g.a);
    clrnn_buffer_destroy(&g.b);
    clrnn_buffer_destroy(&g.c);
    clrnn_buffer_destroy(&g.a_rows);
    clrnn_buffer_destroy(&g.b_rows);
    for (int i = 0; i < 2; i++) {
        clrnn_buffer_destroy(&epilogue.bias[i]);
        free(bias[i].data);
    }
    free(a.data);
    free(b.data);
    free(c.data);
    free(got);
    free(again);
    return fused;
}

static void check(struct clrnn_device *device, struct clrnn_gemm g, enum apart apart, size_t gap, uint64_t seed)
{
    check_epilogue(device, g, EPILOGUE_NONE, apart, gap, seed);
}

// Tests each size as M, N and K, combined with random sizes in the other two positions.
static void test_awkward_sizes(void **state)
{
    static const uint32_t sizes[] = {1, 2, 15, 16, 17, 31, 33, 63, 65, 130};
    static const float factors[] = {0, 1, -0.5f, 2};
    struct clrnn_device *device = need_device(state);
    const struct clrnn_random r = {.seed = 7};
    const unsigned size_count = is_slow(device) ? 7 : 10, rounds = is_slow(device) ? 2 : 12;
    uint64_t draw = 0;

    for (unsigned round = 0; round < rounds; round++)
        for (unsigned i = 0; i < size_count * 3; i++) {
            struct clrnn_gemm g = {0};
            uint32_t size[3];

            for (unsigned d = 0; d < 3; d++)
                size[d] = sizes[d == i % 3 ? i / 3 : clrnn_random_u32(&r, draw++) % size_count];
            g.M = size[0];
            g.N = size[1];
            g.K = size[2];
            g.transpose_a = clrnn_random_u32(&r, draw++) % 2;
            g.transpose_b = clrnn_random_u32(&r, draw++) % 2;
            g.alpha = factors[1 + clrnn_random_u32(&r, draw++) % 3];
            g.beta = factors[clrnn_random_u32(&r, draw++) % 4];
            g.a_offset = clrnn_random_u32(&r, draw++) % 20;
            g.b_offset = clrnn_random_u32(&r, draw++) % 20;
            g.c_offset = clrnn_random_u32(&r, draw++) % 20;
            check(device, g, TOGETHER, clrnn_random_u32(&r, draw++) % 4, 1000 * round + i);
            check(device, g, i % 2 ? A_APART : B_APART, 1, 1000 * round + i);
        }
}

// Tests shapes that occur in training. For a large K with few elements of C, the multiply uses split-K; a long and thin
// C is computed transposed.
static void test_shapes_of_training(void **state)
{
    static const struct {
        uint32_t M, N, K;
        bool transpose_a, transpose_b;
    } shapes[] = {
        {64, 128, 300, false, true}, {3, 300, 1070, false, true},  {5, 3, 3000, true, false},
        {1, 1, 20000, false, true},  {40, 60, 1100, true, true},   {64, 64, 1700, true, false},
        {300, 2, 70, false, true},   {2, 300, 70, true, false},    {300, 2, 70, false, false},
        {300, 3, 70, true, true},    {130, 70, 600, true, false},  {200, 520, 300, false, false},
        {400, 1, 1, false, false},   {3, 1100, 3000, true, false}, {900, 70, 600, false, true},
        {70, 900, 270, false, true},
    };
    struct clrnn_device *device = need_device(state);
    const size_t count = is_slow(device) ? 5 : sizeof(shapes) / sizeof(shapes[0]);

    for (size_t i = 0; i < count; i++)
        for (unsigned beta = 0; beta < 2; beta++) {
            struct clrnn_gemm g = {.M = shapes[i].M,
                                   .N = shapes[i].N,
                                   .K = shapes[i].K,
                                   .transpose_a = shapes[i].transpose_a,
                                   .transpose_b = shapes[i].transpose_b,
                                   .alpha = 1,
                                   .beta = (float)beta};

            for (enum apart apart = TOGETHER; apart <= B_APART; apart++)
                check(device, g, apart, 3 * beta, i);
        }
}

enum { ALONE, BATCHED, SAME_PANELS };

// Runs two multiplies alone, as a batch, and, if they share B, with B packed once for both. The results must be the
// same but for rounding, whether the two multiplies share A, B, both or neither.
static void check_pair(struct clrnn_device *device, struct clrnn_gemm g, bool same_a, bool same_b, uint64_t seed)
{
    const size_t a_count = (size_t)g.M * g.K, b_count = (size_t)g.K * g.N, c_count = (size_t)g.M * g.N;
    struct clrnn_random r = {.seed = seed};
    struct stored a = make(&r, 2, a_count, 0, 0, NAN), b = make(&r, 2, b_count, 0, 0, NAN);
    struct stored c = make(&r, 2, c_count, 0, 0, sentinel);
    float *alone = malloc(c.count * sizeof(*alone)), *got = malloc(c.count * sizeof(*got));
    struct clrnn_launches *launches = NULL;
    struct clrnn_gemm pair[2];
    bool fused;

    assert_non_null(alone);
    assert_non_null(got);
    g.a = upload(device, &a);
    g.b = upload(device, &b);
    g.c = upload(device, &c);
    g.a_ld = g.transpose_a ? g.M : g.K;
    g.b_ld = g.transpose_b ? g.K : g.N;
    g.c_ld = g.N;
    pair[0] = pair[1] = g;
    pair[1].a_offset = same_a ? 0 : a_count;
    pair[1].b_offset = same_b ? 0 : b_count;
    pair[1].c_offset = c_count;
    for (int how = ALONE; how <= (same_b ? SAME_PANELS : BATCHED); how++) {
        struct clrnn_buffer *panels = NULL;

        assert_int_equal(clrnn_launches_create(device, &launches), CLRNN_OK);
        assert_int_equal(clrnn_launches_op(launches, "test"), CLRNN_OK);
        if (how == BATCHED)
            assert_int_equal(clrnn_launch_gemm_batch(launches, pair, 2, NULL, &fused), CLRNN_OK);
        for (int i = 0; i < 2 && how != BATCHED; i++) {
            pair[i].panels = how == SAME_PANELS ? &panels : NULL;
            assert_int_equal(clrnn_launch_gemm(launches, &pair[i]), CLRNN_OK);
        }
        if (how == SAME_PANELS && clrnn_device_sums_blocks(device) && g.M > 4 && g.N > 4)
            assert_non_null(panels);
        assert_int_equal(clrnn_buffer_write_f32(g.c, 0, c.count, c.data), CLRNN_OK);
        assert_int_equal(clrnn_launches_run(launches), CLRNN_OK);
        assert_int_equal(clrnn_buffer_read_f32(g.c, 0, c.count, how == ALONE ? alone : got), CLRNN_OK);
        clrnn_launches_destroy(&launches);
        // Each result is a sum of at most K + 2 terms, each at most 1, in its own order. It has at most K + 3
        // roundings; in practice, their error stays below that of 40 roundings.
        for (size_t i = 0; i < c.count && how != ALONE; i++)
            if (!(fabs((double)got[i] - alone[i]) <= fmin(g.K + 3.0, 40) * 0x1p-23 * (g.K + 2.0)))
                fail_msg("%s %ux%ux%u %c%c same A %d B %d beta %g: C[%zu] is %.9g, alone %.9g",
                         how == BATCHED ? "batch" : "panels", g.M, g.N, g.K, "NT"[g.transpose_a], "NT"[g.transpose_b],
                         same_a, same_b, (double)g.beta, i, (double)got[i], (double)alone[i]);
    }
    clrnn_buffer_destroy(&g.a);
    clrnn_buffer_destroy(&g.b);
    clrnn_buffer_destroy(&g.c);
    free(a.data);
    free(b.data);
    free(c.data);
    free(alone);
    free(got);
}

static void test_pairs(void **state)
{
    static const uint32_t shapes[][3] = {{7, 9, 5},  {64, 64, 130},  {64, 70, 600},  {64, 500, 64},
                                         {1, 3, 40}, {29, 64, 1300}, {300, 40, 300}, {64, 64, 2474}};
    struct clrnn_device *device = need_device(state);
    const size_t count = is_slow(device) ? 2 : sizeof(shapes) / sizeof(shapes[0]);

    for (size_t i = 0; i < count; i++)
        for (unsigned kind = 0; kind < 32; kind++) {
            const struct clrnn_gemm g = {.M = shapes[i][0],
                                         .N = shapes[i][1],
                                         .K = shapes[i][2],
                                         .transpose_a = kind & 1,
                                         .transpose_b = kind & 2,
                                         .alpha = 1,
                                         .beta = kind & 4 ? 1 : 0};

            check_pair(device, g, kind & 8, kind & 16, 100 * i + kind);
        }
}

// Tests two kinds of epilogue: two biases with an activation, and one bias alone. The shapes include multiplies with
// and without split-K, and with C computed transposed.
static void test_epilogue(void **state)
{
    static const uint32_t shapes[][3] = {{64, 60, 1100}, {33, 70, 1700}, {7, 129, 2474},
                                         {130, 5, 1000}, {50, 128, 96}, // K 96 is summed at once (step_of in own.c)
                                         {700, 1, 1100}};               // C and its transpose are stored alike
    struct clrnn_device *device = need_device(state);
    const size_t count = is_slow(device) ? 1 : sizeof(shapes) / sizeof(shapes[0]);
    unsigned fused = 0;

    for (size_t i = 0; i < count; i++)
        for (unsigned kind = 0; kind < 16; kind++) {
            const struct clrnn_gemm g = {.M = shapes[i][0],
                                         .N = shapes[i][1],
                                         .K = shapes[i][2],
                                         .transpose_a = kind & 1,
                                         .transpose_b = kind & 2,
                                         .alpha = 1};

            fused += check_epilogue(device, g,
                                    kind / 4 == 1   ? EPILOGUE_RELU
                                    : kind / 4 == 3 ? EPILOGUE_BIAS
                                                    : EPILOGUE_TANH,
                                    kind / 4 == 2   ? A_APART
                                    : kind / 4 == 1 ? B_APART
                                                    : TOGETHER,
                                    g.N > 1, i);
        }
    if (!is_slow(device))
        assert_true(fused >= count * 8);
}

// With K 0, C must become beta C. With M or N 0, nothing must be written.
static void test_nothing_to_sum(void **state)
{
    struct clrnn_device *device = need_device(state);

    check(device, (struct clrnn_gemm){.M = 3, .N = 5, .K = 0, .alpha = 1, .beta = 0.5f}, TOGETHER, 2, 1);
    check(device, (struct clrnn_gemm){.M = 3, .N = 5, .K = 0, .alpha = 1, .beta = 0}, TOGETHER, 2, 2);
    check(device, (struct clrnn_gemm){.M = 0, .N = 5, .K = 4, .alpha = 1, .beta = 0}, TOGETHER, 2, 3);
    check(device, (struct clrnn_gemm){.M = 3, .N = 0, .K = 4, .alpha = 1, .beta = 2}, TOGETHER, 2, 4);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_awkward_sizes), cmocka_unit_test(test_shapes_of_training), cmocka_unit_test(test_pairs),
        cmocka_unit_test(test_epilogue),      cmocka_unit_test(test_nothing_to_sum),
    };

    return cmocka_run_group_tests_name("gemm", tests, open_device, test_device_close);
}
