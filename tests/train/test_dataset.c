// SPDX-License-Identifier: MIT
// Data sets: accepted shapes and types, invalid values with their error messages, splits, statistics.
#include "tests/model/scratch.h"

#include <math.h>

#include "base/array.h"
#include "train/dataset.h"

#define POOLED "model: {layers: [{rnn: {hidden_size: 4}}, {pool: {over: last}}, {linear: {out_features: 3}}]}\n"
#define STEPS "model: {layers: [{rnn: {hidden_size: 4}}, {linear: {out_features: 3}}]}\n"
#define ONE_OUTPUT "model: {layers: [{rnn: {hidden_size: 4}}, {pool: {over: last}}, {linear: {out_features: 1}}]}\n"
#define TOKENS \
    "model: {layers: [{embedding: {num_embeddings: 6, embedding_dim: 2}}, {rnn: {hidden_size: 4}}, " \
    "{pool: {over: last}}, {linear: {out_features: 3}}]}\n"
#define TRAIN "train: {loss: cross_entropy, optimizer: {sgd: {lr: 0.1}}, epochs: 1, batch_size: 4}\n"
#define MSE "train: {loss: mse, optimizer: {sgd: {lr: 0.1}}, epochs: 1, batch_size: 4}\n"
#define BCE "train: {loss: bce_with_logits, optimizer: {sgd: {lr: 0.1}}, epochs: 1, batch_size: 4}\n"
#define XY "data: {train: {x: x.npy, y: y.npy}}\n"
#define XYL "data: {train: {x: x.npy, y: y.npy, lengths: l.npy}}\n"

enum { N = 5, T = 3, C = 2 };

static enum clrnn_status open_set(struct scratch *s, const char *text, enum clrnn_dataset_check check,
                                  struct clrnn_dataset **set)
{
    struct clrnn_config *config = scratch_config(s, text);
    enum clrnn_status st;

    s->errors = 0;
    *s->error = 0;
    st = clrnn_dataset_open(&s->log, config, &config->data.train, s->folder, "train", check, set);
    clrnn_config_destroy(&config);
    assert_int_equal(s->errors, st != CLRNN_OK);
    return st;
}

static struct clrnn_dataset *must_open(struct scratch *s, const char *text)
{
    struct clrnn_dataset *set;

    if (open_set(s, text, CLRNN_CHECK_ALL, &set) != CLRNN_OK)
        fail_msg("%s", s->error);
    return set;
}

static void must_refuse(struct scratch *s, const char *text)
{
    struct clrnn_dataset *set;

    assert_int_equal(open_set(s, text, CLRNN_CHECK_ALL, &set), CLRNN_ERR_DATA);
    assert_null(set);
}

static void write_small(const struct scratch *s)
{
    float x[N * T * C];
    const int64_t y[N] = {0, 1, 2, 1, 0}, l[N] = {3, 1, 2, 3, 1};

    for (int i = 0; i < N * T * C; i++)
        x[i] = (float)i * 0.5f;
    scratch_f32(s, "x.npy", x, N, T, C);
    scratch_i64(s, "y.npy", y, N, 0);
    scratch_i64(s, "l.npy", l, N, 0);
}

static void test_shapes(struct scratch *s)
{
    struct clrnn_dataset *set;
    const struct clrnn_dataset_info *info;
    const float flat[4 * 2] = {1, 2, 3, 4, 5, 6, 7, 8};
    const int64_t column[4] = {0, 1, 2, 0};
    float x[T * C];
    int32_t y[1];

    write_small(s);
    set = must_open(s, POOLED TRAIN XYL);
    info = clrnn_dataset_info(set);
    assert_int_equal(info->S, N);
    assert_int_equal(info->T, T);
    assert_int_equal(info->C, C);
    assert_int_equal(info->classes, 3);
    assert_true(info->has_y && info->has_lengths && !info->y_real && !info->y_steps && !info->tokens);
    assert_string_equal(info->name, "train");
    clrnn_dataset_x(set, 3, x);
    for (int i = 0; i < T * C; i++)
        assert_true(x[i] == (float)(3 * T * C + i) * 0.5f);
    clrnn_dataset_classes(set, 2, y);
    assert_int_equal(y[0], 2);
    assert_int_equal(clrnn_dataset_length(set, 2), 2);
    clrnn_dataset_close(&set);
    assert_null(set);
    clrnn_dataset_close(&set); // a second close must do nothing

    scratch_f32(s, "x.npy", flat, 4, 2, 0); // x of shape (N, C) has T = 1; y may have shape (N, 1)
    scratch_i64(s, "y.npy", column, 4, 1);
    set = must_open(s, STEPS TRAIN XY);
    info = clrnn_dataset_info(set);
    assert_true(info->S == 4 && info->T == 1 && info->C == 2);
    clrnn_dataset_close(&set);
}

static void test_wrong_shapes(struct scratch *s)
{
    struct clrnn_dataset *set;
    const float x[24] = {0};
    const int64_t y[24] = {0};

    scratch_f32(s, "x.npy", x, 4, 3, 2);
    scratch_i64(s, "y.npy", y, 5, 0);
    must_refuse(s, POOLED TRAIN XY);
    scratch_expect(s, "y.npy", "(5", "4 samples", NULL);
    scratch_i64(s, "y.npy", y, 4, 0);
    must_refuse(s, STEPS TRAIN XY); // a prediction for each step needs a y for each step
    scratch_expect(s, "expected (4, 3)", "pool", NULL);
    scratch_i64(s, "y.npy", y, 4, 3);
    must_refuse(s, POOLED TRAIN XY);
    scratch_expect(s, "expected one value a sample", "remove the pool", NULL);
    set = must_open(s, STEPS TRAIN XY);
    assert_true(clrnn_dataset_info(set)->y_steps);
    clrnn_dataset_close(&set);
    scratch_f32(s, "x.npy", x, 4, 0, 0);
    must_refuse(s, POOLED TRAIN XY);
    scratch_expect(s, "x.npy", "float32 (4", "(N, T, C)", NULL);
    must_refuse(s, TOKENS TRAIN XY);
    scratch_expect(s, "embedding", "(N, T)", NULL);
    must_refuse(s, POOLED TRAIN "data: {train: {x: none.npy, y: y.npy}}\n");
    scratch_expect(s, "none.npy", NULL);
}

// Writes an x.npy of ones in which one element, at index `at`, has another value. Callers check that the error message
// names that value and its place.
static void corrupt_x(struct scratch *s, size_t at, float value)
{
    float x[N * T * C];

    for (int i = 0; i < N * T * C; i++)
        x[i] = 1.0f;
    x[at] = value;
    scratch_f32(s, "x.npy", x, N, T, C);
}

static void test_bad_values(struct scratch *s)
{
    struct clrnn_dataset *set;
    double wide[N * T * C] = {0};
    const size_t wide_shape[3] = {N, T, C};
    struct clrnn_npy_writer *writer;
    const size_t at = (2 * T + 1) * C + 1; // row 2, step 1, feature 1: valid, as row 2 has length 2

    write_small(s);
    corrupt_x(s, at, NAN);
    must_refuse(s, POOLED TRAIN XYL);
    scratch_expect(s, "x.npy", "row 2", "step 1", "feature 1", "nan", NULL);
    assert_int_equal(open_set(s, POOLED TRAIN XYL, CLRNN_CHECK_SHAPES_ONLY, &set), CLRNN_OK);
    clrnn_dataset_close(&set);
    corrupt_x(s, at, -INFINITY);
    must_refuse(s, POOLED TRAIN XYL);
    scratch_expect(s, "row 2", "step 1", "feature 1", "-inf", NULL);
    corrupt_x(s, at + C, NAN); // padding may hold any value
    set = must_open(s, POOLED TRAIN XYL);
    clrnn_dataset_close(&set);
    must_refuse(s, POOLED TRAIN XY);

    wide[7] = 1e300;
    assert_int_equal(clrnn_npy_create(&s->log, scratch_path(s, "x.npy"), CLRNN_DTYPE_F64, 3, wide_shape, &writer),
                     CLRNN_OK);
    assert_int_equal(clrnn_npy_append(writer, wide, N * T * C), CLRNN_OK);
    assert_int_equal(clrnn_npy_commit(&writer), CLRNN_OK);
    must_refuse(s, POOLED TRAIN XY);
    scratch_expect(s, "row 1", "step 0", "feature 1", "1e+300", "float32", NULL);
}

static void test_bad_labels(struct scratch *s)
{
    struct clrnn_dataset *set;
    int64_t y[N] = {0, 1, 2, 1, 0};
    float real[N] = {0, 1, 0.5f, 1, 0};

    write_small(s);
    y[3] = 3;
    scratch_i64(s, "y.npy", y, N, 0);
    must_refuse(s, POOLED TRAIN XY);
    scratch_expect(s, "y.npy", "row 3", "class 3", "3 outputs", "0 to 2", NULL);
    y[3] = -1;
    scratch_i64(s, "y.npy", y, N, 0);
    must_refuse(s, POOLED TRAIN XY);
    scratch_expect(s, "row 3", "class -1", NULL);
    y[3] = -100; // the default of ignore_index
    scratch_i64(s, "y.npy", y, N, 0);
    set = must_open(s, POOLED TRAIN XY);
    assert_int_equal(clrnn_dataset_info(set)->classes, 3);
    clrnn_dataset_close(&set);

    scratch_f32(s, "y.npy", real, N, 0, 0);
    must_refuse(s, POOLED TRAIN XY);
    scratch_expect(s, "row 2", "0.5", "whole number", NULL);
    set = must_open(s, ONE_OUTPUT BCE XY); // 0.5 is a valid soft label
    assert_int_equal(clrnn_dataset_info(set)->classes, 2);
    clrnn_dataset_close(&set);
    real[2] = 2;
    scratch_f32(s, "y.npy", real, N, 0, 0);
    set = must_open(s, POOLED TRAIN XY); // floats that hold whole numbers are valid classes
    assert_int_equal(clrnn_dataset_info(set)->classes, 3);
    clrnn_dataset_close(&set);
    must_refuse(s, ONE_OUTPUT BCE XY);
    scratch_expect(s, "row 2", "label 2", "0 to 1", NULL);
    real[1] = NAN;
    scratch_f32(s, "y.npy", real, N, 0, 0);
    must_refuse(s, ONE_OUTPUT MSE XY);
    scratch_expect(s, "row 1", "nan", NULL);
}

static void test_bad_lengths_and_tokens(struct scratch *s)
{
    struct clrnn_dataset *set;
    int64_t l[N] = {3, 1, 2, 4, 1}, y[N] = {0};
    float tokens[N * T] = {0, 1, 2, 3, 4, 5, 0, 1, 2};
    int32_t read[T];

    write_small(s);
    scratch_i64(s, "l.npy", l, N, 0);
    must_refuse(s, POOLED TRAIN XYL);
    scratch_expect(s, "l.npy", "row 3", "4", "1 to 3", NULL);
    l[3] = 0;
    scratch_i64(s, "l.npy", l, N, 0);
    must_refuse(s, POOLED TRAIN XYL);
    scratch_expect(s, "row 3", "length 0", NULL);
    l[3] = 3;
    scratch_i64(s, "l.npy", l, N - 1, 0);
    must_refuse(s, POOLED TRAIN XYL);
    scratch_expect(s, "l.npy", "(5)", NULL);

    scratch_i64(s, "l.npy", l, N, 0);
    scratch_i64(s, "y.npy", y, N, 0);
    scratch_f32(s, "x.npy", tokens, N, T, 0);
    set = must_open(s, TOKENS TRAIN XYL);
    assert_true(clrnn_dataset_info(set)->tokens);
    assert_int_equal(clrnn_dataset_info(set)->C, 0);
    clrnn_dataset_tokens(set, 1, read);
    assert_true(read[0] == 3 && read[1] == 4 && read[2] == 5);
    clrnn_dataset_close(&set);
    tokens[2 * T + 1] = 6; // a step within the length of row 2
    scratch_f32(s, "x.npy", tokens, N, T, 0);
    must_refuse(s, TOKENS TRAIN XYL);
    scratch_expect(s, "row 2", "step 1", "token 6", "0 to 5", NULL);
    tokens[2 * T + 1] = 1.5f;
    scratch_f32(s, "x.npy", tokens, N, T, 0);
    must_refuse(s, TOKENS TRAIN XYL);
    scratch_expect(s, "token 1.5", NULL);
}

static void test_csv(struct scratch *s)
{
    struct clrnn_dataset *set;
    float x[4];
    int32_t y;

    scratch_write(s, "d.csv", "a,b,label,c,d\n1,2,0,3,4\n5,6,2,7,8\n");
    set = must_open(s, POOLED TRAIN "data: {train: {csv: d.csv, label: label, steps: 2}}\n");
    assert_true(clrnn_dataset_info(set)->T == 2 && clrnn_dataset_info(set)->C == 2);
    clrnn_dataset_x(set, 1, x); // the label's column is left out; the others fill the steps in their order
    assert_true(x[0] == 5 && x[1] == 6 && x[2] == 7 && x[3] == 8);
    clrnn_dataset_classes(set, 1, &y);
    assert_int_equal(y, 2);
    clrnn_dataset_close(&set);
    must_refuse(s, POOLED TRAIN "data: {train: {csv: d.csv, label: lable}}\n");
    scratch_expect(s, "d.csv", "no column lable", "a, b, label, c, d", NULL);
    must_refuse(s, POOLED TRAIN "data: {train: {csv: d.csv, label: label, steps: 3}}\n");
    scratch_expect(s, "4 columns", "3 steps", NULL);
    must_refuse(s, STEPS TRAIN "data: {train: {csv: d.csv, label: label, steps: 2}}\n");
    scratch_expect(s, "pool", NULL);
    scratch_write(s, "d.csv", "a,label\n1,0\nnan,1\n");
    must_refuse(s, POOLED TRAIN "data: {train: {csv: d.csv, label: label}}\n");
    scratch_expect(s, "data row 2", "column \"a\"", "nan", NULL);
}

static void test_synthetic(struct scratch *s)
{
    struct clrnn_dataset *a, *b;
    uint64_t counts[3];
    float x[6], again[6];
    double sum = 0, squares = 0;

    a = must_open(s, POOLED TRAIN "data: {train: {synthetic: {samples: 900, steps: 3, features: 2, classes: 3, "
                                  "seed: 4}}}\n");
    b = must_open(s, POOLED TRAIN "data: {train: {synthetic: {samples: 900, steps: 3, features: 2, classes: 3, "
                                  "seed: 4}}}\n");
    for (uint32_t n = 0; n < 900; n++) {
        clrnn_dataset_x(a, n, x);
        clrnn_dataset_x(b, n, again);
        assert_memory_equal(x, again, sizeof(x));
        for (int i = 0; i < 6; i++) {
            sum += x[i];
            squares += (double)x[i] * x[i];
        }
    }
    assert_true(fabs(sum / 5400) < 0.05);         // 3.7 standard deviations of the mean
    assert_true(fabs(squares / 5400 - 1) < 0.05); // a uniform distribution of variance 1
    assert_int_equal(clrnn_dataset_class_counts(a, counts), CLRNN_OK);
    for (int k = 0; k < 3; k++)
        assert_in_range(counts[k], 250, 350);
    clrnn_dataset_close(&a);
    clrnn_dataset_close(&b);
}

static void test_split(struct scratch *s)
{
    enum { ALL = 103 };
    struct clrnn_dataset *set, *train, *valid, *again, *other;
    float x[ALL], value, same;
    int64_t y[ALL];
    uint64_t counts[3];
    uint32_t differ = 0, seen[ALL] = {0};
    const uint32_t pick[2] = {1, 0};

    for (int i = 0; i < ALL; i++) {
        x[i] = (float)i;
        y[i] = i % 10 == 0 ? 2 : i % 2;
    }
    scratch_f32(s, "x.npy", x, ALL, 1, 0);
    scratch_i64(s, "y.npy", y, ALL, 0);
    set = must_open(s, POOLED TRAIN XY);
    assert_int_equal(clrnn_dataset_split(set, 0.2, 7, &train, &valid), CLRNN_OK);
    assert_int_equal(clrnn_dataset_info(valid)->S, 21); // 0.2 * 103 = 20.6, rounded
    assert_int_equal(clrnn_dataset_info(train)->S, ALL - 21);
    assert_int_equal(clrnn_dataset_class_counts(valid, counts), CLRNN_OK);
    assert_int_equal(counts[2], 2);     // 0.2 of 11 samples
    assert_in_range(counts[0], 8, 9);   // 0.2 of 41 samples
    assert_in_range(counts[1], 10, 11); // 0.2 of 51 samples
    for (int part = 0; part < 2; part++) {
        struct clrnn_dataset *d = part ? valid : train;
        float before = -1;

        for (uint32_t n = 0; n < clrnn_dataset_info(d)->S; n++) {
            clrnn_dataset_x(d, n, &value);
            assert_true(value > before); // both parts must be in the order of the file
            before = value;
            seen[(uint32_t)value]++;
        }
    }
    for (int i = 0; i < ALL; i++)
        assert_int_equal(seen[i], 1);
    clrnn_dataset_close(&set); // `train` and `valid` keep the set open
    assert_int_equal(clrnn_dataset_view(valid, &(struct clrnn_view){.row = pick, .count = 2}, "pick", &again),
                     CLRNN_OK);
    clrnn_dataset_x(valid, 1, &value);
    clrnn_dataset_x(again, 0, &same);
    assert_true(value == same);
    clrnn_dataset_close(&again);

    set = must_open(s, STEPS TRAIN XY); // T = 1: the step's label is the sample's label
    assert_int_equal(clrnn_dataset_split(set, 0.2, 7, &again, &other), CLRNN_OK);
    assert_int_equal(clrnn_dataset_class_counts(other, counts), CLRNN_OK);
    assert_int_equal(counts[2], 2);
    assert_in_range(counts[0], 8, 9);
    clrnn_dataset_close(&again);
    clrnn_dataset_close(&other);
    clrnn_dataset_close(&set);

    set = must_open(s, POOLED TRAIN XY);
    assert_int_equal(clrnn_dataset_split(set, 0.2, 8, &again, &other), CLRNN_OK);
    for (uint32_t n = 0; n < 21; n++) {
        clrnn_dataset_x(valid, n, &value);
        clrnn_dataset_x(other, n, &same);
        differ += value != same;
    }
    assert_true(differ > 5); // another seed must choose other samples
    clrnn_dataset_close(&again);
    clrnn_dataset_close(&other);
    assert_int_equal(clrnn_dataset_split(set, 0.001, 8, &again, &other), CLRNN_ERR_DATA);
    scratch_expect(s, "valid_fraction", "103", NULL);
    clrnn_dataset_close(&set);
    clrnn_dataset_close(&train);
    clrnn_dataset_close(&valid);
}

// Several labels a sample, as ctc has them even with one step: nothing to stratify by.
static void test_split_several_labels(struct scratch *s)
{
    enum { ALL = 20, L = 200 };
    struct clrnn_dataset *set, *train, *valid;
    float x[ALL];
    int64_t y[ALL * L], lengths[ALL];

    for (int i = 0; i < ALL; i++) {
        x[i] = (float)i;
        lengths[i] = 1;
    }
    for (int i = 0; i < ALL * L; i++)
        y[i] = 1;
    scratch_f32(s, "x.npy", x, ALL, 1, 0);
    scratch_i64(s, "y.npy", y, ALL, L);
    scratch_i64(s, "l.npy", lengths, ALL, 0);
    set = must_open(s, "model: {layers: [{linear: {out_features: 3}}]}\n"
                       "train: {loss: ctc, optimizer: {sgd: {lr: 0.1}}, epochs: 1, batch_size: 4}\n"
                       "data: {train: {x: x.npy, y: y.npy, y_lengths: l.npy}}\n");
    assert_int_equal(clrnn_dataset_split(set, 0.2, 7, &train, &valid), CLRNN_OK);
    assert_true(clrnn_dataset_info(train)->S == 16 && clrnn_dataset_info(valid)->S == 4);
    clrnn_dataset_close(&train);
    clrnn_dataset_close(&valid);
    clrnn_dataset_close(&set);
}

static void test_figures(struct scratch *s)
{
    struct clrnn_dataset *set;
    float x[N * T * C];
    const int64_t y[N] = {0, 1, 2, 1, 0};
    double mean[C], std[C], want[C] = {0}, squares[C] = {0};
    const int lengths[N] = {3, 1, 2, 3, 1};
    char before[33], after[33];

    write_small(s);
    for (int n = 0; n < N; n++)
        for (int t = 0; t < T; t++) { // feature 1 is constant; padding must not count in the moments
            x[(n * T + t) * C] = t < lengths[n] ? (float)(n * n + t) : 1e6f;
            x[(n * T + t) * C + 1] = t < lengths[n] ? 0.1f : NAN;
        }
    scratch_f32(s, "x.npy", x, N, T, C);
    scratch_i64(s, "y.npy", y, N, 0);
    set = must_open(s, POOLED TRAIN XYL);
    for (int n = 0; n < N; n++)
        for (int t = 0; t < lengths[n]; t++)
            for (int c = 0; c < C; c++) {
                want[c] += (double)x[(n * T + t) * C + c] / 10;
                squares[c] += (double)x[(n * T + t) * C + c] * (double)x[(n * T + t) * C + c] / 10;
            }
    assert_int_equal(clrnn_dataset_moments(set, mean, std), CLRNN_OK);
    assert_true(fabs(mean[0] - want[0]) < 1e-12 && fabs(mean[1] - want[1]) < 1e-12);
    assert_true(fabs(std[0] - sqrt(squares[0] - want[0] * want[0])) < 1e-9);
    assert_true(std[1] == 1.0);

    assert_int_equal(clrnn_dataset_fingerprint(set, before), CLRNN_OK);
    clrnn_dataset_close(&set);
    x[(1 * T + 2) * C] = -5; // a change in padding must not change the fingerprint
    scratch_f32(s, "x.npy", x, N, T, C);
    set = must_open(s, POOLED TRAIN XYL);
    assert_int_equal(clrnn_dataset_fingerprint(set, after), CLRNN_OK);
    assert_string_equal(before, after);
    clrnn_dataset_close(&set);
    x[(0 * T + 2) * C] += 1e-3f; // a change of a valid value must change the fingerprint
    scratch_f32(s, "x.npy", x, N, T, C);
    set = must_open(s, POOLED TRAIN XYL);
    assert_int_equal(clrnn_dataset_fingerprint(set, after), CLRNN_OK);
    assert_string_not_equal(before, after);
    clrnn_dataset_close(&set);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        SCRATCH_TEST(test_shapes, ""),
        SCRATCH_TEST(test_wrong_shapes, ""),
        SCRATCH_TEST(test_bad_values, ""),
        SCRATCH_TEST(test_bad_labels, ""),
        SCRATCH_TEST(test_bad_lengths_and_tokens, ""),
        SCRATCH_TEST(test_csv, ""),
        SCRATCH_TEST(test_synthetic, ""),
        SCRATCH_TEST(test_split, ""),
        SCRATCH_TEST(test_split_several_labels, ""),
        SCRATCH_TEST(test_figures, ""),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
