// SPDX-License-Identifier: MIT
// Feeds: the order of batches; buckets; and that batches staged one by one give the same bits as a copy on the device.
#include "tests/model/scratch.h"

#include "base/array.h"
#include "train/feed.h"

#define MODEL \
    "model: {layers: [{rnn: {hidden_size: 5}}, {pool: {over: mean}}, {dropout: {p: 0.2}}, " \
    "{linear: {out_features: 3}}]}\n"
#define TOKENS \
    "model: {layers: [{embedding: {num_embeddings: 6, embedding_dim: 3}}, {gru: {hidden_size: 4}}, " \
    "{pool: {over: last}}, {linear: {out_features: 3}}]}\n"
#define TRAIN "train: {loss: cross_entropy, optimizer: {adam: {lr: 0.01}}, epochs: 1, batch_size: 7, seed: 3}\n"
#define DATA "data: {train: {x: X_a.npy, y: y_a.npy}}\n"
#define LENGTHS "data: {train: {x: X_a.npy, y: y_a.npy, lengths: lengths_a.npy}}\n"

enum { S = 60, B = 7 };

struct job {
    struct clrnn_config *config;
    struct clrnn_dataset *set;
    struct clrnn_model *model;
};

static void make_job(struct scratch *s, const char *text, struct job *job)
{
    struct clrnn_data_shape shape;

    job->config = scratch_config(s, text);
    if (clrnn_dataset_open(&s->log, job->config, &job->config->data.train, s->folder, "train", CLRNN_CHECK_ALL,
                           &job->set) != CLRNN_OK)
        fail_msg("%s", s->error);
    shape = (struct clrnn_data_shape){.features = clrnn_dataset_info(job->set)->C,
                                      .tokens = clrnn_dataset_info(job->set)->tokens};
    if (clrnn_model_create(s->device, job->config, &shape, &job->model) != CLRNN_OK)
        fail_msg("%s", s->error);
}

static void drop_job(struct job *job)
{
    clrnn_model_destroy(&job->model);
    clrnn_dataset_close(&job->set);
    clrnn_config_destroy(&job->config);
}

static struct clrnn_feed *make_feed(struct job *job, struct clrnn_feed_params params)
{
    struct clrnn_feed *feed;

    params.batch_size = B;
    params.seed = 3;
    assert_int_equal(clrnn_feed_create(job->model, job->set, &params, &feed), CLRNN_OK);
    return feed;
}

// Reads an epoch from its batch `batch` on. Stores the index of each sample in `order` and the T of its batch in
// `steps`. Returns the number of samples.
static uint32_t read_epoch(struct clrnn_feed *feed, uint64_t epoch, uint32_t batch, uint32_t *order, uint32_t *steps)
{
    struct clrnn_plan *plan;
    uint32_t samples, count = 0;

    assert_int_equal(clrnn_feed_start(feed, epoch, batch), CLRNN_OK);
    for (;;) {
        assert_int_equal(clrnn_feed_next(feed, CLRNN_MODE_EVAL, &plan, &samples), CLRNN_OK);
        if (!plan)
            return count;
        assert_int_equal(plan->params.N, samples);
        for (uint32_t i = 0; i < samples; i++) {
            steps[count] = plan->params.T;
            order[count++] = clrnn_feed_samples(feed)[i];
        }
    }
}

static void test_order(struct scratch *s)
{
    struct job job;
    struct clrnn_feed *feed;
    uint32_t order[S], want[S], steps[S];
    const struct clrnn_random epoch_2 = {3, RANDOM_SHUFFLE, 2, 0};

    scratch_problem(s, "a", S, 4, 2, 3, false, 1);
    make_job(s, MODEL TRAIN DATA, &job);
    feed = make_feed(&job, (struct clrnn_feed_params){0}); // without shuffle: the order of the file
    assert_int_equal(clrnn_feed_steps(feed), 9);
    assert_int_equal(read_epoch(feed, 5, 0, order, steps), S);
    for (uint32_t i = 0; i < S; i++)
        assert_true(order[i] == i && steps[i] == 4);
    assert_int_equal(read_epoch(feed, 0, 8, order, steps), S - 8 * B);
    clrnn_feed_destroy(&feed);

    feed = make_feed(&job, (struct clrnn_feed_params){.drop_last = true});
    assert_int_equal(clrnn_feed_steps(feed), 8);
    assert_int_equal(read_epoch(feed, 0, 0, order, steps), 56);
    clrnn_feed_destroy(&feed);

    feed = make_feed(&job, (struct clrnn_feed_params){.shuffle = true});
    clrnn_random_permutation(&epoch_2, S, want);
    assert_int_equal(read_epoch(feed, 2, 0, order, steps), S);
    assert_memory_equal(order, want, sizeof(want));
    assert_int_equal(read_epoch(feed, 2, 3, order, steps),
                     S - 3 * B); // an epoch that begins at batch 3 must have the same order from there on
    assert_memory_equal(order, want + 3 * B, (S - 3 * B) * sizeof(*want));
    assert_int_equal(read_epoch(feed, 3, 0, order, steps), S);
    assert_memory_not_equal(order, want, sizeof(want));
    clrnn_feed_destroy(&feed);
    drop_job(&job);
}

static void test_buckets(struct scratch *s)
{
    enum { T = 40 };
    struct job job;
    uint32_t order[S], steps[S], plain_steps = 0, bucket_steps = 0, seen[S] = {0};
    struct clrnn_feed *feed;

    scratch_problem(s, "a", S, T, 2, 3, false, 2);
    make_job(s, MODEL TRAIN LENGTHS, &job);
    for (int bucket = 0; bucket < 2; bucket++) {
        feed = make_feed(&job, (struct clrnn_feed_params){.shuffle = true, .bucket = bucket});
        assert_int_equal(read_epoch(feed, 1, 0, order, steps), S);
        for (uint32_t i = 0; i < S; i++) {
            assert_true(clrnn_dataset_length(job.set, order[i]) <= steps[i] && steps[i] <= T);
            if (bucket)
                seen[order[i]]++;
            *(bucket ? &bucket_steps : &plain_steps) += steps[i];
        }
        clrnn_feed_destroy(&feed);
    }
    for (uint32_t i = 0; i < S; i++)
        assert_int_equal(seen[i], 1);
    if (bucket_steps * 10 > plain_steps * 8)
        fail_msg("buckets leave %u of %u steps", bucket_steps, plain_steps);
    drop_job(&job);
}

// Trains for two epochs and reads the records of all steps. The data are copied to the device if they have at most
// `resident_bytes`, else staged batch by batch.
static void train(struct scratch *s, const char *text, uint64_t resident_bytes, double *records, size_t *count)
{
    struct job job;
    struct clrnn_feed *feed;
    struct clrnn_plan *plan;
    uint32_t samples, slot = 0;

    make_job(s, text, &job);
    feed =
        make_feed(&job, (struct clrnn_feed_params){.shuffle = true, .bucket = true, .resident_bytes = resident_bytes});
    for (uint64_t epoch = 0; epoch < 2; epoch++) {
        assert_int_equal(clrnn_feed_start(feed, epoch, 0), CLRNN_OK);
        for (;;) {
            assert_int_equal(clrnn_feed_next(feed, CLRNN_MODE_TRAIN, &plan, &samples), CLRNN_OK);
            if (!plan)
                break;
            assert_int_equal(clrnn_model_begin_step(job.model, slot, true), CLRNN_OK);
            if (clrnn_plan_run(plan) != CLRNN_OK)
                fail_msg("%s", s->error);
            slot++;
        }
    }
    *count = (size_t)slot * RECORD_FIELDS;
    assert_int_equal(clrnn_model_read_records(job.model, 0, slot, records), CLRNN_OK);
    clrnn_feed_destroy(&feed);
    drop_job(&job);
}

static void test_staging(struct scratch *s)
{
    static const char *const texts[] = {MODEL TRAIN DATA, MODEL TRAIN LENGTHS, TOKENS TRAIN LENGTHS};
    double resident[32 * RECORD_FIELDS], staged[32 * RECORD_FIELDS];
    size_t count, again;

    for (size_t i = 0; i < ARRAY_SIZE(texts); i++) {
        scratch_problem(s, "a", S, 9, i == 2 ? 0 : 2, 3, false, 3);
        train(s, texts[i], UINT64_MAX, resident, &count);
        train(s, texts[i], 1, staged, &again);
        assert_int_equal(count, 18 * RECORD_FIELDS);
        assert_int_equal(count, again);
        for (size_t k = 0; k < count; k++)
            if (resident[k] != staged[k])
                fail_msg("config %zu, step %zu, field %zu: %.17g resident, %.17g staged", i, k / RECORD_FIELDS,
                         k % RECORD_FIELDS, resident[k], staged[k]);
        assert_true(resident[RECORD_LOSS] > 0 && resident[RECORD_COUNT] > 0);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        SCRATCH_TEST(test_order, "ref"),
        SCRATCH_TEST(test_buckets, "ref"),
        SCRATCH_TEST(test_staging, "ref"),
        SCRATCH_TEST(test_staging, NULL),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
