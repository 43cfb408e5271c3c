// SPDX-License-Identifier: MIT
// Tests of tuning, which measures kernel variants in training steps of the config and remembers the fastest ones.
// Checks what is written to the device's file, how later plans use it, and that training gives the same numbers with
// every variant.
#include "tests/model/scratch.h"

#include <math.h>
#include <unistd.h>

#include "base/array.h"
#include "base/file.h"
#include "clrnn/train.h"
#include "device/remember/internal.h"
#include "train/session.h"
#include "train/tune_choices.h"

static const char config[] =
    "model: {layers: [{gru: {hidden_size: 12, bidirectional: true}}, batchnorm, {pool: {over: mean}}, "
    "{linear: {out_features: 3}}]}\n"
    "train: {loss: cross_entropy, optimizer: {adam: {lr: 0.01}}, epochs: 2, batch_size: 8, seed: 5}\n"
    "data: {train: {x: X_a.npy, y: y_a.npy, lengths: lengths_a.npy}}\n";

static void open_again(struct scratch *s, bool no_tune)
{
    const struct clrnn_device_params params = {
        .select = getenv("CLRNN_DEVICE") ? NULL : "cpu", .log = &s->log, .no_tune = no_tune};

    clrnn_device_destroy(&s->device);
    assert_int_equal(clrnn_device_open(&params, &s->device), CLRNN_OK);
}

// Returns the names of the kernels of a training step as text, which the caller frees.
static char *kernels(struct scratch *s)
{
    struct clrnn_config *parsed = scratch_config(s, config);
    struct clrnn_session *session;
    char *all = clrnn_format("%s", "");

    assert_int_equal(clrnn_session_of_one_batch(s->device, parsed, CLRNN_MODE_TRAIN, &session), CLRNN_OK);
    for (size_t i = 0; i < clrnn_launches_count(session->plan->launches); i++) {
        char *longer = clrnn_format("%s %s", all, clrnn_launches_info(session->plan->launches, i)->kernel);

        free(all);
        all = longer;
    }
    clrnn_session_close(&session);
    clrnn_config_destroy(&parsed);
    return all;
}

static double train(struct scratch *s, const char *out)
{
    struct clrnn_config *parsed = scratch_config(s, config);
    const struct clrnn_train_params params = {.config = parsed, .out = scratch_path(s, out)};
    struct clrnn_train_result result;

    if (clrnn_train(s->device, &params, &result) != CLRNN_OK)
        fail_msg("%s", s->error);
    clrnn_config_destroy(&parsed);
    return result.train_loss;
}

static void tune(struct scratch *s, double seconds, struct clrnn_tuned_list *list)
{
    struct clrnn_config *parsed = scratch_config(s, config);

    free(list->tuned);
    *list = (struct clrnn_tuned_list){.count = 0};
    if (clrnn_tune_choices(s->device, parsed, seconds, NULL, list) != CLRNN_OK)
        fail_msg("%s", s->error);
    clrnn_config_destroy(&parsed);
}

static json_t *read_file(const struct scratch *s)
{
    char *path = clrnn_tune_path(clrnn_device_info(s->device));
    json_t *root = NULL;

    assert_int_equal(clrnn_tune_load_file(NULL, path, &root), CLRNN_OK);
    free(path);
    return root;
}

static void write_file(const struct scratch *s, const json_t *root)
{
    char *path = clrnn_tune_path(clrnn_device_info(s->device));

    assert_int_equal(clrnn_tune_save(&s->log, path, root), CLRNN_OK);
    free(path);
}

// Makes every choice in the device's file that has an alternative named `option` use this alternative. Returns false if
// there is no such choice.
static bool prefer(const struct scratch *s, const char *option)
{
    json_t *root = read_file(s), *choices = json_object_get(root, "choices"), *entry;
    bool found = false;
    const char *key;

    json_object_foreach(choices, key, entry) if (json_object_get(json_object_get(entry, "ms"), option))
    {
        json_object_set_new(entry, "use", json_string(option));
        found = true;
    }
    write_file(s, root);
    json_decref(root);
    return found;
}

static void test_measured_and_honoured(struct scratch *s)
{
    static const char *const variant[] = {"steps", "sequence", "shared", "group"};
    struct clrnn_tuned_list list = {.count = 0};
    char *untuned, *tuned, *path;
    double loss, other = NAN;
    json_t *root;
    size_t variants = 0, count;

    scratch_problem(s, "a", 24, 5, 3, 3, false, 1);
    test_cache_home(s->folder);
    open_again(s, true);
    untuned = kernels(s);
    loss = train(s, "plain");

    // With 0 s nothing may be measured, with 60 s everything must be. With 0 s again, all choices must be known from
    // the file.
    open_again(s, false);
    tune(s, 0, &list);
    for (size_t k = 0; k < list.count; k++)
        assert_true(isnan(list.tuned[k].use_ms));
    tune(s, 60, &list);
    count = list.count;
    for (size_t k = 0; k < count; k++) {
        assert_true(list.tuned[k].use_ms <= list.tuned[k].standard_ms);
        variants += strstr(list.tuned[k].key, " variant") != NULL;
    }
    assert_int_equal(variants, 3); // of the forward pass, the backward pass and the forward pass of inference
    root = read_file(s);
    open_again(s, false);
    tune(s, 0, &list);
    assert_int_equal(list.count, count);
    for (size_t k = 0; k < list.count; k++) {
        const json_t *entry = json_object_get(json_object_get(root, "choices"), list.tuned[k].key);

        assert_string_equal(json_string_value(json_object_get(entry, "use")), list.tuned[k].use);
    }
    json_decref(root);

    // A variant that the file requests must give the same loss. With "steps", the kernel rnn_step_fwd must be used.
    for (size_t w = 0; w < ARRAY_SIZE(variant); w++) {
        if (!prefer(s, variant[w]))
            continue;
        open_again(s, false);
        tuned = kernels(s);
        if (w == 0)
            assert_non_null(strstr(tuned, "rnn_step_fwd"));
        free(tuned);
        other = train(s, variant[w]);
        if (fabs(other - loss) > 1e-4 * fabs(loss)) // after six steps of Adam; rounding differs
            fail_msg("variant %s: loss %.9g, untuned %.9g", variant[w], other, loss);
    }
    assert_true(train(s, "again") == other); // with the same file the bits must be the same

    // The file must be ignored by a device opened with no_tune. If it is damaged, all devices must ignore it.
    open_again(s, true);
    tuned = kernels(s);
    assert_string_equal(tuned, untuned);
    free(tuned);
    path = clrnn_tune_path(clrnn_device_info(s->device));
    assert_int_equal(truncate(path, 100), 0);
    free(path);
    open_again(s, false);
    tuned = kernels(s);
    assert_string_equal(tuned, untuned);
    free(tuned);
    free(untuned);
    free(list.tuned);
    test_cache_home(NULL);
}

// Matrix multiplications are chosen by their work, however many a training step has. The weight gradient of the first
// of many layers comes last; it has as much work as the layer's forward pass, and more than all others.
static void test_heaviest(struct scratch *s)
{
    const struct clrnn_tune_params params = {
        .select = getenv("CLRNN_DEVICE") ? NULL : "cpu", .seconds = 0.01, .settings = 1};
    struct clrnn_tune_result result;
    struct clrnn_config *parsed;
    char layers[2048] = "";

    for (int width = 16; width < 46; width++)
        sprintf(layers + strlen(layers), "{linear: {out_features: %d}}, ", width);
    char *text = clrnn_format("model: {layers: [{linear: {out_features: 200}}, %s{pool: {over: last}}]}\n"
                              "train: {loss: cross_entropy, optimizer: {sgd: {lr: 0.1}}, epochs: 1, batch_size: 64}\n"
                              "data: {train: {synthetic: {samples: 64, steps: 1, features: 300, classes: 2}}}\n",
                              layers);

    assert_non_null(text);
    parsed = scratch_config(s, text);
    test_cache_home(s->folder);
    assert_int_equal(clrnn_tune(&s->log, parsed, &params, &result), CLRNN_OK);
    assert_int_equal(result.multiply_count, 12);
    for (size_t i = 0; i < 2; i++) {
        const struct clrnn_tuned_multiply *h = &result.multiply[i];

        assert_int_equal((uint64_t)h->M * h->N * h->K, 64 * 200 * 300);
    }
    clrnn_tune_finish(&result);
    clrnn_config_destroy(&parsed);
    test_cache_home(NULL);
    free(text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {SCRATCH_TEST(test_measured_and_honoured, NULL),
                                       SCRATCH_TEST(test_heaviest, NULL)};

    return cmocka_run_group_tests_name("tune", tests, NULL, NULL);
}
