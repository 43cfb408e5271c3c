// SPDX-License-Identifier: MIT
// Evaluation and prediction: figures must equal those computed directly from the predictions; files; padding.
#include "tests/model/scratch.h"

#include <math.h>
#include <unistd.h>

#include "base/array.h"
#include "clrnn/train.h"
#include "train/decode.h"
#include "train/ranking.h"
#include "train/evaluate.h"

#define CLASSES(k) \
    "model: {layers: [{gru: {hidden_size: 4}}, {pool: {over: last}}, {linear: {out_features: " k "}}]}\n" \
    "train: {loss: cross_entropy, optimizer: {sgd: {lr: 0.1}}, epochs: 1, batch_size: 8, seed: 2}\n" \
    "data: {train: {x: X_a.npy, y: y_a.npy, lengths: lengths_a.npy}}\n"
#define BINARY \
    "model: {layers: [{gru: {hidden_size: 4}}, {pool: {over: last}}, {linear: {out_features: 1}}]}\n" \
    "train: {loss: bce_with_logits, optimizer: {sgd: {lr: 0.1}}, epochs: 1, batch_size: 8, seed: 2}\n" \
    "data: {train: {x: X_a.npy, y: y_a.npy, lengths: lengths_a.npy}}\n"
#define SOFTMAX_STEPS \
    "model: {layers: [{rnn: {hidden_size: 4}}, {linear: {out_features: 3}}, softmax]}\n" \
    "train: {loss: cross_entropy, optimizer: {sgd: {lr: 0.1}}, epochs: 1, batch_size: 8, seed: 2}\n" \
    "data: {train: {x: X_a.npy, y: y_a.npy, lengths: lengths_a.npy}}\n"
#define REGRESSION \
    "model: {layers: [{rnn: {hidden_size: 4}}, {pool: {over: mean}}, {linear: {out_features: 1}}]}\n" \
    "train: {loss: mse, optimizer: {sgd: {lr: 0.1}}, epochs: 1, batch_size: 8, seed: 2}\n" \
    "data: {train: {x: X_a.npy, y: y_a.npy, lengths: lengths_a.npy}}\n"
#define TWO_VALUES \
    "model: {layers: [{rnn: {hidden_size: 4}}, {pool: {over: mean}}, {linear: {out_features: 2}}]}\n" \
    "train: {loss: mse, optimizer: {sgd: {lr: 0.1}}, epochs: 1, batch_size: 8, seed: 2}\n" \
    "data: {train: {x: X_a.npy, y: y_a.npy, lengths: lengths_a.npy}}\n"

enum { S = 37, T = 6, C = 3 };

struct job {
    struct clrnn_config *config;
    struct clrnn_model *model;
    struct clrnn_source source;
};

static void make_job(struct scratch *s, const char *text, struct job *job)
{
    const struct clrnn_data_shape shape = {.features = C};

    job->config = scratch_config(s, text);
    job->source = job->config->data.train;
    job->source.x = strdup(scratch_path(s, job->source.x));
    job->source.y = strdup(scratch_path(s, job->source.y));
    job->source.lengths = strdup(scratch_path(s, job->source.lengths));
    if (clrnn_model_create(s->device, job->config, &shape, &job->model) != CLRNN_OK)
        fail_msg("%s", s->error);
}

static void drop_job(struct job *job)
{
    free(job->source.x);
    free(job->source.y);
    free(job->source.lengths);
    clrnn_model_destroy(&job->model);
    clrnn_config_destroy(&job->config);
}

// Predicts into a .npy file, checks that its shape is [a, b, c] (a zero ends the shape), and returns its numbers, which
// the caller frees.
static double *predict(struct scratch *s, struct job *job, enum clrnn_predict_kind kind, size_t a, size_t b, size_t c)
{
    const size_t shape[3] = {a, b, c}, ndim = c ? 3 : b ? 2 : 1;
    struct clrnn_npy *npy;
    double *values;

    if (clrnn_predict(job->model, &job->source, kind, scratch_path(s, "p.npy")) != CLRNN_OK)
        fail_msg("%s", s->error);
    assert_int_equal(clrnn_npy_open(&s->log, scratch_path(s, "p.npy"), &npy), CLRNN_OK);
    assert_int_equal(npy->ndim, ndim);
    for (size_t i = 0; i < ndim; i++)
        assert_int_equal(npy->shape[i], shape[i]);
    assert_int_equal(npy->dtype, kind == CLRNN_PREDICT_CLASSES ? CLRNN_DTYPE_I64 : CLRNN_DTYPE_F32);
    values = malloc(npy->count * sizeof(*values));
    assert_non_null(values);
    clrnn_npy_read_f64(npy, 0, npy->count, values);
    clrnn_npy_close(&npy);
    return values;
}

static void read_ints(const struct scratch *s, const char *name, int64_t *values, size_t count)
{
    struct clrnn_npy *npy;

    assert_int_equal(clrnn_npy_open(&s->log, scratch_path(s, name), &npy), CLRNN_OK);
    assert_int_equal(npy->count, count);
    clrnn_npy_read_i64(npy, 0, count, values);
    clrnn_npy_close(&npy);
}

// Returns the ROC AUC, computed from every pair of a positive and a negative sample. A tie counts as half.
static double pairwise_auc(const double *score, const int64_t *y, size_t count)
{
    double good = 0, pairs = 0;

    for (size_t i = 0; i < count; i++)
        for (size_t j = 0; j < count; j++)
            if (y[i] == 1 && y[j] == 0) {
                good += score[i] > score[j] ? 1.0 : score[i] == score[j] ? 0.5 : 0.0;
                pairs += 1;
            }
    return good / pairs;
}

static void test_classes(struct scratch *s)
{
    struct job job;
    struct clrnn_eval_result r;
    int64_t y[S];
    double *logits, *probs, *classes, loss = 0;
    uint64_t confusion[9] = {0}, correct = 0, counted = 0;

    scratch_problem(s, "a", S, T, C, 3, false, 1);
    read_ints(s, "y_a.npy", y, S);
    y[5] = y[30] = -100; // ignore_index: must not count
    scratch_i64(s, "y_a.npy", y, S, 0);
    make_job(s, CLASSES("3"), &job);
    logits = predict(s, &job, CLRNN_PREDICT_LOGITS, S, 3, 0);
    probs = predict(s, &job, CLRNN_PREDICT_PROBS, S, 3, 0);
    classes = predict(s, &job, CLRNN_PREDICT_CLASSES, S, 0, 0);
    for (int n = 0; n < S; n++) {
        const double *x = logits + 3 * n, *p = probs + 3 * n;
        const double sum = exp(x[0]) + exp(x[1]) + exp(x[2]);
        const int best = x[1] > x[0] ? x[2] > x[1] ? 2 : 1 : x[2] > x[0] ? 2 : 0;

        for (int k = 0; k < 3; k++)
            assert_true(fabs(p[k] - exp(x[k]) / sum) < 1e-6); // the file holds float32
        assert_true(classes[n] == best);
        if (y[n] < 0)
            continue;
        confusion[3 * y[n] + best]++;
        correct += best == y[n];
        counted++;
        loss -= log(exp(x[y[n]]) / sum);
    }
    if (clrnn_eval(job.model, &job.source, &r) != CLRNN_OK)
        fail_msg("%s", s->error);
    assert_true(r.samples == S && r.counted == counted && r.classes == 3);
    assert_memory_equal(r.confusion, confusion, sizeof(confusion));
    assert_true(fabs(r.accuracy - (double)correct / (double)counted) < 1e-12);
    assert_true(fabs(r.loss - loss / (double)counted) < 1e-6);
    assert_true(r.roc_auc >= 0 && r.roc_auc <= 1 && isnan(r.mae) && isnan(r.r2));
    for (int k = 0; k < 3; k++) {
        double row = 0, column = 0;

        for (int j = 0; j < 3; j++) {
            row += (double)confusion[3 * k + j];
            column += (double)confusion[3 * j + k];
        }
        assert_true((double)r.per_class[k].support == row);
        assert_true(column > 0 ? fabs(r.per_class[k].precision - (double)confusion[4 * k] / column) < 1e-12
                               : isnan(r.per_class[k].precision));
        assert_true(fabs(r.per_class[k].recall - (double)confusion[4 * k] / row) < 1e-12);
        assert_true(fabs(r.per_class[k].f1 - 2 * (double)confusion[4 * k] / (row + column)) < 1e-12);
    }
    clrnn_eval_finish(&r);
    clrnn_eval_finish(&r); // a second call must do nothing
    free(logits);
    free(probs);
    free(classes);
    drop_job(&job);
}

// So many classes that a confusion matrix would take 80 GB: all else is still computed.
static void test_many_classes(struct scratch *s)
{
    struct job job;
    struct clrnn_eval_result r;
    double correct = 0;

    scratch_problem(s, "a", S, T, C, 3, false, 1);
    make_job(s, CLASSES("100000"), &job);
    assert_int_equal(clrnn_eval(job.model, &job.source, &r), CLRNN_OK);
    assert_true(r.classes == 100000 && !r.confusion);
    for (uint32_t k = 0; k < r.classes; k++)
        correct += isnan(r.per_class[k].recall) ? 0 : r.per_class[k].recall * (double)r.per_class[k].support;
    assert_true(fabs(r.accuracy - correct / S) < 1e-12 && isfinite(r.balanced_accuracy));
    clrnn_eval_finish(&r);
    drop_job(&job);
}

static void check_auc(struct scratch *s, const char *text, bool binary)
{
    struct job job;
    struct clrnn_eval_result r;
    int64_t y[S], lengths[S];
    double *logits, score[S];
    float x[S * T * C];
    struct clrnn_npy *npy;

    scratch_problem(s, "a", S, T, C, 2, false, 4);
    read_ints(s, "y_a.npy", y, S);
    assert_int_equal(clrnn_npy_open(&s->log, scratch_path(s, "X_a.npy"), &npy), CLRNN_OK);
    clrnn_npy_read_f32(npy, 0, S * T * C, x);
    clrnn_npy_close(&npy);
    for (int n = 0; n < 12; n++) // equal samples have equal scores, which gives ties
        memcpy(x + (n + 12) * T * C, x + n * T * C, T * C * sizeof(*x));
    for (int n = 0; n < S; n++)
        lengths[n] = T;
    scratch_f32(s, "X_a.npy", x, S, T, C);
    scratch_i64(s, "lengths_a.npy", lengths, S, 0);
    make_job(s, text, &job);
    logits = predict(s, &job, CLRNN_PREDICT_LOGITS, S, binary ? 1 : 2, 0);
    for (int n = 0; n < S; n++)
        score[n] = binary ? logits[n] : logits[2 * n + 1] - logits[2 * n];
    if (clrnn_eval(job.model, &job.source, &r) != CLRNN_OK)
        fail_msg("%s", s->error);
    assert_int_equal(r.classes, 2);
    if (fabs(r.roc_auc - pairwise_auc(score, y, S)) > 1e-12)
        fail_msg("AUC %.17g, by pairs %.17g", r.roc_auc, pairwise_auc(score, y, S));
    if (binary) {
        double *probs = predict(s, &job, CLRNN_PREDICT_PROBS, S, 1, 0);
        double *classes = predict(s, &job, CLRNN_PREDICT_CLASSES, S, 0, 0);

        for (int n = 0; n < S; n++) {
            assert_true(fabs(probs[n] - 1 / (1 + exp(-logits[n]))) < 1e-6);
            assert_true(classes[n] == (logits[n] > 0));
        }
        free(probs);
        free(classes);
    }
    clrnn_eval_finish(&r);
    free(logits);
    drop_job(&job);
}

static void test_auc(struct scratch *s)
{
    check_auc(s, CLASSES("2"), false);
    check_auc(s, BINARY, true);
}

static void test_regression(struct scratch *s)
{
    struct job job;
    struct clrnn_eval_result r;
    int64_t y[S];
    double *out, mean = 0, squared = 0, absolute = 0, variation = 0;

    scratch_problem(s, "a", S, T, C, 3, false, 1);
    read_ints(s, "y_a.npy", y, S);
    make_job(s, REGRESSION, &job);
    out = predict(s, &job, CLRNN_PREDICT_LOGITS, S, 1, 0);
    for (int n = 0; n < S; n++)
        mean += (double)y[n] / S;
    for (int n = 0; n < S; n++) {
        squared += (out[n] - (double)y[n]) * (out[n] - (double)y[n]);
        absolute += fabs(out[n] - (double)y[n]);
        variation += ((double)y[n] - mean) * ((double)y[n] - mean);
    }
    assert_int_equal(clrnn_eval(job.model, &job.source, &r), CLRNN_OK);
    assert_true(fabs(r.mae - absolute / S) < 1e-6);
    assert_true(fabs(r.rmse - sqrt(squared / S)) < 1e-6);
    assert_true(fabs(r.r2 - (1 - squared / variation)) < 1e-6);
    assert_true(fabs(r.loss - squared / S) < 1e-6);
    assert_true(isnan(r.accuracy) && r.classes == 0);
    assert_int_equal(clrnn_predict(job.model, &job.source, CLRNN_PREDICT_CLASSES, scratch_path(s, "p.npy")),
                     CLRNN_ERR_ARG);
    scratch_expect(s, "mse", NULL);
    clrnn_eval_finish(&r);
    free(out);
    drop_job(&job);
}

// An output whose targets are all equal has no r2, and the mean leaves it out.
static void test_constant_target(struct scratch *s)
{
    struct job job;
    struct clrnn_eval_result r;
    float y[S * 2];

    scratch_problem(s, "a", S, T, C, 3, false, 1);
    for (int n = 0; n < S; n++) {
        y[2 * n] = 3;
        y[2 * n + 1] = (float)(n % 5);
    }
    scratch_f32(s, "y_a.npy", y, S, 2, 0);
    make_job(s, TWO_VALUES, &job);
    assert_int_equal(clrnn_eval(job.model, &job.source, &r), CLRNN_OK);
    assert_true(r.outputs == 2 && isnan(r.per_output[0].r2));
    assert_true(r.r2 == r.per_output[1].r2 && isfinite(r.r2));
    assert_true(fabs(r.mae - (r.per_output[0].mae + r.per_output[1].mae) / 2) < 1e-12);
    clrnn_eval_finish(&r);
    drop_job(&job);
}

// A prediction for every step. Padding must be zeros (classes: -1) in the file, and inputs in padding must have no
// effect. The model ends with softmax, so predicting probabilities must not apply softmax again.
static void test_steps(struct scratch *s)
{
    struct job job;
    int64_t lengths[S];
    double *out, *probs, *classes, *again;
    struct clrnn_npy *npy;
    struct clrnn_eval_result r;
    float x[S * T * C];

    scratch_problem(s, "a", S, T, C, 3, true, 1);
    read_ints(s, "lengths_a.npy", lengths, S);
    make_job(s, SOFTMAX_STEPS, &job);
    out = predict(s, &job, CLRNN_PREDICT_LOGITS, S, T, 3);
    probs = predict(s, &job, CLRNN_PREDICT_PROBS, S, T, 3);
    classes = predict(s, &job, CLRNN_PREDICT_CLASSES, S, T, 0);
    for (int n = 0; n < S; n++)
        for (int t = 0; t < T; t++) {
            const double *p = probs + 3 * (n * T + t), sum = p[0] + p[1] + p[2];
            const bool valid = t < lengths[n];

            assert_true(fabs(sum - (valid ? 1 : 0)) < 1e-6);
            assert_true(valid ? classes[n * T + t] >= 0 : classes[n * T + t] == -1);
        }
    assert_memory_equal(out, probs, S * T * 3 * sizeof(*out));

    assert_int_equal(clrnn_npy_open(&s->log, scratch_path(s, "X_a.npy"), &npy), CLRNN_OK);
    clrnn_npy_read_f32(npy, 0, S * T * C, x);
    clrnn_npy_close(&npy);
    for (int n = 0; n < S; n++)
        for (int64_t i = lengths[n] * C; i < T * C; i++)
            x[n * T * C + i] = NAN;
    scratch_f32(s, "X_a.npy", x, S, T, C);
    again = predict(s, &job, CLRNN_PREDICT_LOGITS, S, T, 3);
    assert_memory_equal(out, again, S * T * 3 * sizeof(*out));
    assert_int_equal(clrnn_eval(job.model, &job.source, &r), CLRNN_OK);
    assert_true(isfinite(r.loss) && r.counted < S * T);
    clrnn_eval_finish(&r);
    free(out);
    free(probs);
    free(classes);
    free(again);
    drop_job(&job);
}

static void test_csv(struct scratch *s)
{
    struct job job;
    double *logits;
    char *text, *line, *rest;
    int rows = 0;

    scratch_problem(s, "a", S, T, C, 3, false, 1);
    make_job(s, CLASSES("3"), &job);
    logits = predict(s, &job, CLRNN_PREDICT_LOGITS, S, 3, 0);
    assert_int_equal(clrnn_predict(job.model, &job.source, CLRNN_PREDICT_LOGITS, scratch_path(s, "p.csv")), CLRNN_OK);
    text = scratch_read(s, "p.csv", NULL);
    line = strtok_r(text, "\n", &rest);
    assert_string_equal(line, "sample,logit_0,logit_1,logit_2");
    while ((line = strtok_r(NULL, "\n", &rest))) {
        float a, b, c;
        int sample;

        assert_int_equal(sscanf(line, "%d,%f,%f,%f", &sample, &a, &b, &c), 4);
        assert_int_equal(sample, rows);
        assert_true(a == (float)logits[3 * rows] && b == (float)logits[3 * rows + 1] &&
                    c == (float)logits[3 * rows + 2]);
        rows++;
    }
    assert_int_equal(rows, S);
    free(text);
    assert_int_equal(clrnn_predict(job.model, &job.source, CLRNN_PREDICT_LOGITS, scratch_path(s, "p.txt")),
                     CLRNN_ERR_ARG);
    scratch_expect(s, "p.txt", ".npy or .csv", NULL);
    assert_int_equal(clrnn_predict(job.model, &job.source, CLRNN_PREDICT_LOGITS, scratch_path(s, "no/p.npy")),
                     CLRNN_ERR_DISK);
    free(logits);
    drop_job(&job);
}

static void test_other_width(struct scratch *s)
{
    struct job job;
    struct clrnn_eval_result r;

    scratch_problem(s, "a", S, T, C, 3, false, 1);
    make_job(s, CLASSES("3"), &job);
    scratch_problem(s, "a", S, T, C + 1, 3, false, 1);
    assert_int_equal(clrnn_eval(job.model, &job.source, &r), CLRNN_ERR_DATA);
    scratch_expect(s, "X_a.npy", "4 features", "trained on 3", NULL);
    assert_int_equal(clrnn_predict(job.model, &job.source, CLRNN_PREDICT_LOGITS, scratch_path(s, "p.npy")),
                     CLRNN_ERR_DATA);
    assert_int_not_equal(access(scratch_path(s, "p.npy"), F_OK), 0);
    drop_job(&job);
}

static void test_argmax(void **state)
{
    const float x[] = {1, 3, 3, 2}, with_nan[] = {1, 3, NAN, 2};

    (void)state;
    assert_int_equal(clrnn_argmax(x, 4), 1); // of equal values, the first one must be returned
    assert_int_equal(clrnn_argmax(with_nan, 4), 2);
    assert_int_equal(clrnn_argmax(x, 1), 0);
}

// Compares clrnn_ranking, for scores with ties, with sums over all pairs of samples and all thresholds.
static void test_ranking(void **state)
{
    enum { COUNT = 37 };

    (void)state;
    for (unsigned seed = 1; seed <= 8; seed++) {
        struct clrnn_score score[COUNT], sorted[COUNT];
        double pairs = 0, right = 0, average = 0, positives = 0, roc, pr;

        for (unsigned i = 0; i < COUNT; i++)
            score[i] = (struct clrnn_score){(i * 7 + seed * 13 + i * i) % (5 + seed), (i * seed + i / 3) % 3 == 0};
        for (int i = 0; i < COUNT; i++) {
            double above = 0, hits = 0;

            for (int j = 0; j < COUNT; j++) {
                above += score[j].value >= score[i].value;
                hits += score[j].value >= score[i].value && score[j].positive;
                if (!score[i].positive || score[j].positive)
                    continue;
                pairs++;
                right += score[i].value > score[j].value ? 1 : score[i].value < score[j].value ? 0 : 0.5;
            }
            if (score[i].positive) // adds 1 / positives to the recall, at this threshold's precision
                average += hits / above;
            positives += score[i].positive;
        }
        memcpy(sorted, score, sizeof(score));
        clrnn_ranking(sorted, COUNT, &roc, &pr);
        assert_true(fabs(roc - right / pairs) < 1e-12 && fabs(pr - average / positives) < 1e-12);
    }
    clrnn_ranking(&(struct clrnn_score){1, true}, 1, &(double){0}, &(double){0});
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_ranking),        SCRATCH_TEST(test_classes, "ref"),
        SCRATCH_TEST(test_auc, "ref"),         SCRATCH_TEST(test_many_classes, "ref"),
        SCRATCH_TEST(test_regression, "ref"),  SCRATCH_TEST(test_constant_target, "ref"),
        SCRATCH_TEST(test_steps, "ref"),       SCRATCH_TEST(test_csv, "ref"),
        SCRATCH_TEST(test_other_width, "ref"), cmocka_unit_test(test_argmax),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
