// SPDX-License-Identifier: MIT
// Sessions: training steps, scheduler, evaluation, hooks and tensors of a model over a data set; and views of data
// sets.
#include "tests/model/scratch.h"

#include <math.h>

#include "base/array.h"
#include "train/session.h"

#define MODEL \
    "model: {layers: [{rnn: {hidden_size: 5}}, {pool: {over: last}}, {dropout: {p: 0.2}}, " \
    "{linear: {out_features: 3}}]}\n"
#define TRAIN(more) \
    "train: {loss: cross_entropy, optimizer: {adam: {lr: 0.01}}, epochs: 2, batch_size: 8, seed: 3, " more "}\n"
#define DATA \
    "data: {normalize: standard, train: {x: X_a.npy, y: y_a.npy, lengths: lengths_a.npy}, " \
    "valid: {x: X_b.npy, y: y_b.npy, lengths: lengths_b.npy}}\n"

enum { S = 20, T = 6, C = 3 };

struct job {
    struct scratch *s;
    struct clrnn_config *config;
    struct clrnn_data_sets data;
};

static void job_open(struct job *job, struct scratch *s, const char *text)
{
    job->s = s;
    scratch_problem(s, "a", S, T, C, 3, false, 1);
    scratch_problem(s, "b", 9, T, C, 3, false, 2);
    job->config = scratch_config(s, text);
    assert_int_equal(clrnn_data_sets_open(&s->log, job->config, CLRNN_CHECK_ALL, &job->data), CLRNN_OK);
}

static void job_close(struct job *job)
{
    clrnn_data_sets_close(&job->data);
    clrnn_config_destroy(&job->config);
}

static struct clrnn_session *open_session(struct job *job, struct clrnn_session_params params)
{
    struct clrnn_session *session;

    params.config = params.model ? NULL : job->config;
    params.data = &job->data;
    params.set = params.set ? params.set : job->data.train;
    if (clrnn_session_open(job->s->device, &params, &session) != CLRNN_OK)
        fail_msg("%s", job->s->error);
    return session;
}

// ---------------------------------------------------------------- views

static void test_rows_and_labels(struct scratch *s)
{
    const uint32_t row[3] = {7, 2, 11}, label_row[3] = {0, 1, 2}, second[2] = {2, 0};
    struct clrnn_dataset *view, *again, *train;
    float x[T * C], y[T * C], weight[S];
    int32_t a, b;
    struct job job;

    for (uint32_t n = 0; n < S; n++)
        weight[n] = (float)n;
    scratch_f32(s, "w.npy", weight, S, 0, 0);
    job_open(&job, s,
             MODEL TRAIN("") "data: {train: {x: X_a.npy, y: y_a.npy, lengths: lengths_a.npy, weights: w.npy}}\n");
    train = job.data.train;
    assert_int_equal(
        clrnn_dataset_view(train, &(struct clrnn_view){.row = row, .count = 3, .label_row = label_row}, "v", &view),
        CLRNN_OK);
    assert_int_equal(clrnn_dataset_view(view, &(struct clrnn_view){.row = second, .count = 2, .steps = 2}, "w", &again),
                     CLRNN_OK);
    assert_int_equal(clrnn_dataset_info(view)->S, 3);
    assert_int_equal(clrnn_dataset_info(again)->T, 2);
    for (uint32_t i = 0; i < 2; i++) {
        clrnn_dataset_x(again, i, x);
        clrnn_dataset_x(train, row[second[i]], y);
        assert_memory_equal(x, y, 2 * C * sizeof(*x));
        assert_int_equal(clrnn_dataset_length(again, i), MIN2(clrnn_dataset_length(train, row[second[i]]), 2u));
        clrnn_dataset_classes(again, i, &a);
        clrnn_dataset_classes(train, label_row[second[i]], &b);
        assert_int_equal(a, b);
        assert_true(clrnn_dataset_weight(again, i) == label_row[second[i]]);
    }
    clrnn_dataset_close(&view); // `again` keeps the view open
    clrnn_dataset_x(again, 1, x);
    clrnn_dataset_close(&again);
    job_close(&job);
}

static void test_blank_and_shuffled(struct scratch *s)
{
    const double blank[C] = {1, 2, 3};
    struct clrnn_dataset *blanked, *shuffled, *other;
    uint32_t moved = 0, differ = 0;
    struct job job;

    job_open(&job, s, MODEL TRAIN("") DATA);
    assert_int_equal(clrnn_dataset_view(job.data.train, &(struct clrnn_view){.blank = blank}, "b", &blanked), CLRNN_OK);
    assert_int_equal(
        clrnn_dataset_view(job.data.train, &(struct clrnn_view){.shuffle_time = true, .seed = 1}, "s", &shuffled),
        CLRNN_OK);
    assert_int_equal(
        clrnn_dataset_view(job.data.train, &(struct clrnn_view){.shuffle_time = true, .seed = 2}, "o", &other),
        CLRNN_OK);
    for (uint32_t n = 0; n < S; n++) {
        const uint32_t length = clrnn_dataset_length(job.data.train, n);
        float x[T * C], y[T * C], z[T * C];
        uint32_t found = 0;

        clrnn_dataset_x(blanked, n, y);
        for (uint32_t i = 0; i < T * C; i++)
            assert_true(y[i] == blank[i % C]);
        clrnn_dataset_x(job.data.train, n, x);
        clrnn_dataset_x(shuffled, n, y);
        clrnn_dataset_x(other, n, z);
        for (uint32_t t = 0; t < length; t++)
            for (uint32_t u = 0; u < length; u++)
                found += !memcmp(x + t * C, y + u * C, C * sizeof(*x)); // the same time steps, each once
        assert_int_equal(found, length);
        assert_memory_equal(x + length * C, y + length * C, (T - length) * C * sizeof(*x)); // padding stays
        moved += memcmp(x, y, sizeof(x)) != 0;
        differ += memcmp(z, y, sizeof(z)) != 0;
        clrnn_dataset_x(shuffled, n, z);
        assert_memory_equal(y, z, sizeof(y)); // the same at each read
    }
    assert_true(moved > S / 2 && differ > S / 2);
    assert_null(clrnn_dataset_x_mapped(blanked, 0));
    assert_null(clrnn_dataset_x_mapped(shuffled, 0));
    clrnn_dataset_close(&blanked);
    clrnn_dataset_close(&shuffled);
    clrnn_dataset_close(&other);
    job_close(&job);
}

// The feed must read a data set through its view: if the view replaces all inputs by the same values, all samples have
// the same outputs.
static void test_view_through_the_feed(struct scratch *s)
{
    const double blank[C] = {0.5, 0.5, 0.5};
    struct job job;

    job_open(&job, s, MODEL TRAIN("") "data: {train: {x: X_a.npy, y: y_a.npy}}\n");
    for (uint32_t staged = 0; staged < 2; staged++) {
        struct clrnn_session *session = open_session(
            &job, (struct clrnn_session_params){.view = {.blank = blank}, .feed = {.resident_bytes = staged}});
        float out[8 * 3];

        assert_int_equal(clrnn_session_queue(session, CLRNN_MODE_PREDICT, 0), CLRNN_OK);
        assert_int_equal(clrnn_plan_read_output(session->plan, out), CLRNN_OK);
        for (uint32_t i = 3; i < ARRAY_SIZE(out); i++)
            assert_true(out[i] == out[i % 3]);
        clrnn_session_close(&session);
    }
    job_close(&job);
}

// ---------------------------------------------------------------- steps

// A session's training steps must equal those of clrnn_model_step on batches that the test gathers itself.
static void test_steps(struct scratch *s)
{
    struct clrnn_session *session;
    struct clrnn_model *model;
    struct job job;

    job_open(&job, s, MODEL TRAIN("scheduler: {step_lr: {step_size: 2, gamma: 0.5, interval: batch}}") DATA);
    session = open_session(&job, (struct clrnn_session_params){.feed = {.whole_steps = true}});
    assert_int_equal(clrnn_session_model(job.s->device, job.config, job.data.train, NULL, false, &job.data, &model),
                     CLRNN_OK);
    for (uint32_t first = 0; first < S; first += 8) {
        const uint32_t N = MIN2(8u, S - first);
        int32_t classes[8], lengths[8];
        float x[8 * T * C];
        const struct clrnn_batch batch = {.N = N, .T = T, .x = x, .classes = classes, .lengths = lengths};
        struct clrnn_session_record record;
        struct clrnn_step_result result;

        for (uint32_t n = 0; n < N; n++) {
            clrnn_dataset_x(job.data.train, first + n, x + (size_t)n * T * C);
            clrnn_dataset_classes(job.data.train, first + n, &classes[n]);
            lengths[n] = (int32_t)clrnn_dataset_length(job.data.train, first + n);
        }
        assert_int_equal(clrnn_session_step(session, CLRNN_MODE_TRAIN, &record), CLRNN_OK);
        assert_int_equal(clrnn_model_step(model, &batch, &result), CLRNN_OK);
        assert_int_equal(session->samples, N);
        assert_true(record.loss == result.loss && record.lr == result.lr);
        assert_true(record.accuracy == result.accuracy && record.grad_norm == result.grad_norm);
        assert_true(record.lr == (first < 16 ? 0.01 : 0.005));
    }
    assert_int_equal(clrnn_session_queue(session, CLRNN_MODE_TRAIN, 0), CLRNN_OK);
    assert_null(session->plan); // the epoch has ended
    assert_int_equal(session->step, 3);
    clrnn_model_destroy(&model);
    clrnn_session_close(&session);
    job_close(&job);
}

static void test_scheduler_by_epoch(struct scratch *s)
{
    struct clrnn_session_record record;
    double lr = 0;
    struct clrnn_session *session;
    struct job job;

    job_open(&job, s, MODEL TRAIN("scheduler: {one_cycle_lr: {max_lr: 0.1, total_steps: 2, interval: epoch}}") DATA);
    session = open_session(&job, (struct clrnn_session_params){.view = {.count = 8}, .endless = true});
    for (uint32_t i = 0; i < 12; i++) { // one step per epoch of the view, three per epoch of the scheduler
        assert_int_equal(clrnn_session_step(session, CLRNN_MODE_TRAIN, &record), CLRNN_OK);
        assert_int_equal(record.lr != lr, i == 0 || i == 3 || i == 6); // after the cycle the lr stays
        lr = record.lr;
    }
    assert_int_equal(session->epoch, 11);
    clrnn_session_close(&session);

    session = open_session(&job, (struct clrnn_session_params){0});
    assert_int_equal(clrnn_session_step(session, CLRNN_MODE_TRAIN, &record), CLRNN_OK);
    lr = record.lr;
    clrnn_session_end_epoch(session, 1);
    assert_int_equal(clrnn_session_step(session, CLRNN_MODE_TRAIN, &record), CLRNN_OK);
    assert_true(record.lr != lr);
    clrnn_session_close(&session);
    job_close(&job);
}

// ---------------------------------------------------------------- looking

struct hooked {
    uint32_t passes;
};

static enum clrnn_status count_pass(void *user, struct clrnn_plan *plan)
{
    ((struct hooked *)user)->passes++;
    return clrnn_plan_run(plan);
}

static void test_evaluation(struct scratch *s)
{
    struct clrnn_session_record all, one;
    struct clrnn_session *session, *valid;
    volatile sig_atomic_t stop = 0;
    struct hooked hooked = {0};
    double loss = 0, weight = 0;
    struct job job;

    job_open(&job, s, MODEL TRAIN("") DATA);
    session = open_session(&job, (struct clrnn_session_params){0});
    session->hook = count_pass;
    session->user = &hooked;
    valid = open_session(&job, (struct clrnn_session_params){.model = session->model, .set = job.data.valid});
    for (;;) {
        assert_int_equal(clrnn_session_step(valid, CLRNN_MODE_EVAL, &one), CLRNN_OK);
        if (!valid->plan)
            break;
        assert_true(isnan(one.grad_norm));
        loss += one.sum[RECORD_LOSS];
        weight += one.sum[RECORD_WEIGHT];
    }
    assert_int_equal(weight, 9);
    assert_int_equal(clrnn_session_pass(valid, &stop, &all), CLRNN_OK);
    assert_true(all.loss == loss / weight);
    assert_int_equal(hooked.passes, 0);
    assert_int_equal(clrnn_session_evaluate(session, job.data.valid, NULL, &one), CLRNN_OK);
    assert_true(fabs(one.loss - all.loss) < 1e-6 && one.accuracy == all.accuracy); // in one batch of 9
    assert_int_equal(hooked.passes, 1);
    stop = 1;
    assert_int_equal(clrnn_session_pass(valid, &stop, &all), CLRNN_OK);
    assert_true(all.sum[RECORD_WEIGHT] == 0);
    clrnn_session_close(&valid); // `session` still owns the model
    assert_int_equal(clrnn_session_step(session, CLRNN_MODE_TRAIN, &one), CLRNN_OK);
    clrnn_session_close(&session);
    job_close(&job);
}

// With keep_tensors, the output must be readable after the pass, and the recurrent layer must compute a gradient of its
// input x. Mode GRADIENT must not change the weights.
static void test_tensors(struct scratch *s)
{
    struct clrnn_session_record record;
    struct clrnn_session *session;
    double *out, *before, *after;
    struct job job;

    job_open(&job, s, MODEL TRAIN("") DATA);
    session = open_session(&job, (struct clrnn_session_params){.feed = {.keep_tensors = true}});
    before = calloc(2 * session->model->entry[0].param.count, sizeof(*before));
    after = before + session->model->entry[0].param.count;
    assert_non_null(before);
    assert_int_equal(clrnn_model_read(session->model, 0, before), CLRNN_OK);
    assert_int_equal(clrnn_session_step(session, CLRNN_MODE_GRADIENT, &record), CLRNN_OK);
    assert_true(record.grad_norm > 0);
    assert_int_equal(clrnn_session_read(session, session->plan->output, &out), CLRNN_OK);
    assert_true(out[0] != out[1]);
    free(out);
    for (size_t i = 0; i < session->plan->graph->op_count; i++) {
        const struct clrnn_op *op = &session->plan->graph->op[i];

        if (op->kind == CLRNN_OP_RNN_BWD)
            assert_true(op->out[RNN_DX] >= 0);
    }
    assert_int_equal(clrnn_model_read(session->model, 0, after), CLRNN_OK);
    assert_memory_equal(before, after, session->model->entry[0].param.count * sizeof(*before));
    assert_int_equal(session->step, 0);
    free(before);
    clrnn_session_close(&session);
    job_close(&job);
}

static void test_no_batch(struct scratch *s)
{
    struct clrnn_session_params params = {.feed = {.drop_last = true, .batch_size = 21}};
    struct clrnn_session *session;
    struct job job;

    job_open(&job, s, MODEL TRAIN("") DATA);
    params.config = job.config;
    params.set = job.data.train;
    assert_int_equal(clrnn_session_open(job.s->device, &params, &session), CLRNN_ERR_CONFIG);
    assert_null(session);
    scratch_expect(job.s, "drop_last", "20 samples", NULL);
    job_close(&job);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        SCRATCH_TEST(test_rows_and_labels, NULL),
        SCRATCH_TEST(test_blank_and_shuffled, NULL),
        SCRATCH_TEST(test_view_through_the_feed, NULL),
        SCRATCH_TEST(test_steps, NULL),
        SCRATCH_TEST(test_scheduler_by_epoch, NULL),
        SCRATCH_TEST(test_evaluation, NULL),
        SCRATCH_TEST(test_tensors, NULL),
        SCRATCH_TEST(test_no_batch, NULL),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
