// SPDX-License-Identifier: MIT
// Synthetic data: must be the same bytes on every machine, with balanced classes and tasks as documented.
#include "tests/model/scratch.h"

#include <math.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/array.h"
#include "base/hash.h"
#include "clrnn/train.h"

static void synth(struct scratch *s, struct clrnn_synth_params params, const char *folder)
{
    if (clrnn_synth(&s->log, &params, scratch_path(s, folder)) != CLRNN_OK)
        fail_msg("%s", s->error);
}

static struct clrnn_npy *open_file(struct scratch *s, const char *name)
{
    struct clrnn_npy *npy;

    if (clrnn_npy_open(&s->log, scratch_path(s, name), &npy) != CLRNN_OK)
        fail_msg("%s", s->error);
    return npy;
}

static void file_hash(struct scratch *s, const char *name, char hex[33])
{
    struct clrnn_hash h;
    size_t size;
    char *bytes = scratch_read(s, name, &size);

    assert_non_null(bytes);
    clrnn_hash_init(&h);
    clrnn_hash_add(&h, bytes, size);
    clrnn_hash_hex(&h, hex);
    free(bytes);
}

static void test_bytes(struct scratch *s)
{
    // Hashes of the files, recorded on x86-64 with gcc 12. Other machines and compilers must write the same files.
    static const char *const want[][2] = {{"a/X_train.npy", "55059643bae5c62d4af12f10601f0995"},
                                          {"a/y_train.npy", "6cfc2a70000429fa499b4354e2916d5d"},
                                          {"a/X_test.npy", "9f5befa74e432f2c0016e3df51276fb1"}};
    char hex[33], again[33];

    synth(s,
          (struct clrnn_synth_params){
              .samples = 20, .test_samples = 7, .features = 101, .steps = 2, .classes = 3, .seed = 9},
          "a");
    synth(s,
          (struct clrnn_synth_params){
              .samples = 20, .test_samples = 7, .features = 101, .steps = 2, .classes = 3, .seed = 10},
          "b");
    for (size_t i = 0; i < ARRAY_SIZE(want); i++) {
        file_hash(s, want[i][0], hex);
        if (strcmp(hex, want[i][1]))
            fail_msg("%s hashes to %s, expected %s", want[i][0], hex, want[i][1]);
    }
    file_hash(s, "b/X_train.npy", again);
    file_hash(s, "a/X_train.npy", hex);
    assert_string_not_equal(hex, again);
}

static void test_seed_shape(struct scratch *s)
{
    enum { S = 400, F = 200 };
    struct clrnn_npy *x, *y;
    double sum = 0, squares = 0, largest = 0;
    float row[F];
    int64_t label;
    int ones = 0, informative = 0;
    double mean[2][F] = {{0}};

    synth(s, (struct clrnn_synth_params){.samples = S, .test_samples = 51, .features = F, .seed = 1}, "a");
    x = open_file(s, "a/X_train.npy");
    y = open_file(s, "a/y_train.npy");
    assert_true(x->dtype == CLRNN_DTYPE_F32 && x->ndim == 3 && x->shape[0] == S && x->shape[1] == 1 &&
                x->shape[2] == F);
    assert_true(y->dtype == CLRNN_DTYPE_I64 && y->ndim == 2 && y->shape[0] == S && y->shape[1] == 1);
    for (size_t n = 0; n < S; n++) {
        clrnn_npy_read_f32(x, n * F, F, row);
        clrnn_npy_read_i64(y, n, 1, &label);
        assert_in_range(label, 0, 1);
        ones += (int)label;
        for (int i = 0; i < F; i++) {
            sum += row[i];
            squares += (double)row[i] * row[i];
            largest = fmax(largest, fabs((double)row[i]));
            mean[label][i] += row[i] / (S / 2.0);
        }
    }
    assert_int_equal(ones, S / 2);
    assert_true(fabs(sum / (S * F)) < 0.02 && fabs(squares / (S * F) - 1) < 0.05 && largest < 12);
    for (int i = 0; i < F; i++) // means differ by about 0.45 standard deviations, with noise of 0.1
        informative += fabs(mean[1][i] - mean[0][i]) > 0.3;
    if (informative < 4 || informative > 12)
        fail_msg("%d of %d features tell the classes apart", informative, F);
    clrnn_npy_close(&x);
    clrnn_npy_close(&y);
}

static void test_tasks(struct scratch *s)
{
    enum { S = 200, T = 11, K = 4 };
    struct clrnn_npy *x, *y;
    float row[T * K], target;
    int64_t label;
    int ones = 0, firsts[K] = {0};

    synth(s, (struct clrnn_synth_params){.task = "adding", .samples = S, .test_samples = 5, .steps = T}, "adding");
    x = open_file(s, "adding/X_train.npy");
    y = open_file(s, "adding/y_train.npy");
    assert_true(x->shape[1] == T && x->shape[2] == 2 && y->dtype == CLRNN_DTYPE_F32);
    for (size_t n = 0; n < S; n++) {
        float sum = 0;
        int marks[2] = {0, 0};

        clrnn_npy_read_f32(x, n * T * 2, T * 2, row);
        clrnn_npy_read_f32(y, n, 1, &target);
        for (int t = 0; t < T; t++) {
            assert_true(row[2 * t] >= 0 && row[2 * t] < 1);
            assert_true(row[2 * t + 1] == 0 || row[2 * t + 1] == 1);
            marks[t >= T / 2] += row[2 * t + 1] == 1;
            sum += row[2 * t] * row[2 * t + 1];
        }
        assert_true(marks[0] == 1 && marks[1] == 1 && sum == target);
    }
    clrnn_npy_close(&x);
    clrnn_npy_close(&y);

    synth(s, (struct clrnn_synth_params){.task = "parity", .samples = S, .test_samples = 5, .steps = T}, "parity");
    x = open_file(s, "parity/X_train.npy");
    y = open_file(s, "parity/y_train.npy");
    assert_true(x->shape[1] == T && x->shape[2] == 1);
    for (size_t n = 0; n < S; n++) {
        int odd = 0;

        clrnn_npy_read_f32(x, n * T, T, row);
        clrnn_npy_read_i64(y, n, 1, &label);
        for (int t = 0; t < T; t++) {
            assert_true(row[t] == 0 || row[t] == 1);
            odd ^= row[t] == 1;
        }
        assert_int_equal(label, odd);
        ones += odd;
    }
    assert_in_range(ones, 60, 140);
    clrnn_npy_close(&x);
    clrnn_npy_close(&y);

    synth(s,
          (struct clrnn_synth_params){.task = "copy-first", .samples = S, .test_samples = 5, .steps = T, .classes = K},
          "copy");
    x = open_file(s, "copy/X_train.npy");
    y = open_file(s, "copy/y_train.npy");
    assert_true(x->shape[1] == T && x->shape[2] == K);
    for (size_t n = 0; n < S; n++) {
        clrnn_npy_read_f32(x, n * T * K, T * K, row);
        clrnn_npy_read_i64(y, n, 1, &label);
        for (int t = 0; t < T; t++) {
            int hot = 0;

            for (int k = 0; k < K; k++)
                hot += row[t * K + k] == 1;
            assert_int_equal(hot, 1);
        }
        assert_true(row[label] == 1);
        firsts[label]++;
    }
    for (int k = 0; k < K; k++)
        assert_in_range(firsts[k], 25, 75);
    clrnn_npy_close(&x);
    clrnn_npy_close(&y);
}

static void test_refusals(struct scratch *s)
{
    static const struct {
        struct clrnn_synth_params params;
        const char *word;
    } wrong[] = {
        {{.task = "sorting"}, "sorting"},
        {{.task = "adding", .features = 3}, "2 features"},
        {{.task = "adding", .steps = 1}, "2 steps"},
        {{.task = "parity", .classes = 3}, "2 classes"},
        {{.classes = 1}, "1 class"},
        {{.steps = 1u << 20, .features = 1u << 20}, "too many"},
    };

    for (size_t i = 0; i < ARRAY_SIZE(wrong); i++) {
        assert_int_equal(clrnn_synth(&s->log, &wrong[i].params, scratch_path(s, "x")), CLRNN_ERR_ARG);
        scratch_expect(s, wrong[i].word, NULL);
    }
    scratch_write(s, "file", "");
    assert_int_equal(clrnn_synth(&s->log, &(struct clrnn_synth_params){.samples = 3}, scratch_path(s, "file/x")),
                     CLRNN_ERR_DISK);
}

// A file that clrnn synth did not write must not be replaced, even if a link leads to it.
static void test_own_files(struct scratch *s)
{
    const struct clrnn_synth_params params = {.samples = 3};
    char *text;
    size_t size;

    scratch_write(s, "mine", "precious");
    assert_int_equal(mkdir(scratch_path(s, "d"), 0777), 0);
    assert_int_equal(symlink("../mine", scratch_path(s, "d/y_test.npy")), 0);
    assert_int_equal(clrnn_synth(&s->log, &params, scratch_path(s, "d")), CLRNN_ERR_ARG);
    scratch_expect(s, "y_test.npy", "not made by", NULL);
    text = scratch_read(s, "mine", &size);
    assert_true(size == 8 && !memcmp(text, "precious", size));
    free(text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        SCRATCH_TEST(test_bytes, ""),    SCRATCH_TEST(test_seed_shape, ""), SCRATCH_TEST(test_tasks, ""),
        SCRATCH_TEST(test_refusals, ""), SCRATCH_TEST(test_own_files, ""),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
