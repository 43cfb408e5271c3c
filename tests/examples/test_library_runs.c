// SPDX-License-Identifier: MIT
// What a program can do with the public headers alone: access parameters, use model files, run whole trainings.
#include "library.h"

// ---------------------------------------------------------------- parameters and files

static void test_parameters(void **state)
{
    struct fixture *f = *state;
    struct clrnn_model *model = make_model(f,
                                           "{rnn: {name: rnn, hidden_size: 4}}, {batchnorm: {name: norm}}, "
                                           "{linear: {name: head, out_features: 3}}",
                                           "", false);
    const struct clrnn_batch batch = all_of(f);
    uint64_t trained = 0;
    double values[64], back[64];

    assert_int_equal(clrnn_model_param_count(model), 4 + 5 + 2);
    assert_string_equal(clrnn_model_param(model, 0)->name, "rnn.weight_ih_l0");
    assert_null(clrnn_model_param(model, 11));
    assert_ok(clrnn_model_step(model, &batch, NULL));
    for (size_t i = 0; i < clrnn_model_param_count(model); i++) {
        const struct clrnn_param *p = clrnn_model_param(model, i);

        trained += p->trained ? p->count : 0;
        assert_ok(clrnn_model_read(model, i, values));
        if (p->integer)
            assert_true(values[0] == 1);
        if (p->trained)
            assert_ok(clrnn_model_read_grad(model, i, back));
        else
            assert_refused(f, clrnn_model_read_grad(model, i, back), CLRNN_ERR_ARG, p->name);
        for (size_t k = 0; k < p->count; k++)
            values[k] = (double)k + 1;
        assert_ok(clrnn_model_write(model, i, values));
        assert_ok(clrnn_model_read(model, i, back));
        assert_memory_equal(values, back, p->count * sizeof(*values));
    }
    assert_int_equal(trained, clrnn_model_size(model));
    assert_refused(f, clrnn_model_read(model, 11, values), CLRNN_ERR_ARG, "11");
    clrnn_model_destroy(&model);
}

// Compares the parameters bit by bit. `single`: first rounds a's to float32, the type of numbers in an exported file.
static void same_parameters(struct clrnn_model *a, struct clrnn_model *b, bool single)
{
    double x[256], y[256];

    assert_int_equal(clrnn_model_param_count(a), clrnn_model_param_count(b));
    for (size_t i = 0; i < clrnn_model_param_count(a); i++) {
        const size_t count = clrnn_model_param(a, i)->count;

        assert_true(count <= 256);
        assert_ok(clrnn_model_read(a, i, x));
        assert_ok(clrnn_model_read(b, i, y));
        for (size_t k = 0; single && k < count; k++)
            x[k] = (float)x[k];
        if (memcmp(x, y, count * sizeof(*x)))
            fail_msg("%s differs", clrnn_model_param(a, i)->name);
    }
}

// A model that is saved in the middle, opened and trained on must have the same bits as one that is trained without a
// break. This includes dropout masks and the schedule.
static void test_saved(void **state)
{
    static const char layers[] =
        "{lstm: {hidden_size: 5, num_layers: 2, dropout: 0.4}}, batchnorm, {dropout: {p: 0.3}}, "
        "{pool: {over: max}}, {linear: {out_features: 3}}";
    static const char train[] = "seed: 9, clip_grad_norm: 0.5, optimizer: {adam: {lr: 0.01, amsgrad: true}}, "
                                "scheduler: {exponential_lr: {gamma: 0.9, interval: batch}}";
    struct fixture *f = *state;
    struct clrnn_model *whole = make_model(f, layers, train, false), *half = make_model(f, layers, train, false);
    struct clrnn_model *fresh = make_model(f, layers, train, false);
    const struct clrnn_batch batch = all_of(f);
    char path[128];

    for (int i = 0; i < 6; i++)
        assert_ok(clrnn_model_step(whole, &batch, NULL));
    for (int i = 0; i < 3; i++)
        assert_ok(clrnn_model_step(half, &batch, NULL));
    snprintf(path, sizeof(path), "%s/model.safetensors", f->folder);
    assert_ok(clrnn_model_save(half, path));
    clrnn_model_destroy(&half);
    assert_ok(clrnn_model_open(f->device, path, &half));
    assert_int_equal(clrnn_model_steps(half), 3);
    for (int i = 0; i < 3; i++)
        assert_ok(clrnn_model_step(half, &batch, NULL));
    same_parameters(whole, half, false);

    snprintf(path, sizeof(path), "%s/plain.safetensors", f->folder);
    assert_ok(clrnn_model_export(whole, path));
    assert_ok(clrnn_model_init(fresh, path, false));
    same_parameters(whole, fresh, true);
    clrnn_model_destroy(&fresh);
    assert_refused(f, clrnn_model_open(f->device, path, &fresh), CLRNN_ERR_DATA, "--init");
    assert_null(fresh);
    assert_refused(f, clrnn_model_init(whole, "/nonexistent", false), CLRNN_ERR_DATA, "nonexistent");
    clrnn_model_destroy(&whole);
    clrnn_model_destroy(&half);
}

// ---------------------------------------------------------------- whole runs

struct seen {
    unsigned batches, epochs;
    double valid_loss;
};

static void see(void *user, const struct clrnn_progress *p)
{
    struct seen *s = user;

    s->batches += !p->epoch_end;
    s->epochs += p->epoch_end;
    if (p->epoch_end)
        s->valid_loss = p->valid_loss;
}

static void test_run(void **state)
{
    struct fixture *f = *state;
    struct clrnn_config *config = make_config(f,
                                              "{rnn: {hidden_size: 4}}, {pool: {over: last}}, "
                                              "{linear: {out_features: 2}}",
                                              "epochs: 2, batch_size: 8");
    struct clrnn_train_params params = {.config = config, .progress = see};
    struct clrnn_train_result result;
    struct clrnn_eval_result figures;
    struct clrnn_model *model;
    struct seen seen = {0};
    char path[128], *plan;

    assert_refused(f, clrnn_train(f->device, &params, &result), CLRNN_ERR_CONFIG, "data.train");
    assert_ok(clrnn_config_set(&f->log, config, "data.train={synthetic: {samples: 30, steps: 4, features: 3}}"));
    assert_ok(
        clrnn_config_set(&f->log, config, "data.valid={synthetic: {samples: 10, steps: 4, features: 3, seed: 5}}"));
    for (int json = 0; json < 2; json++) {
        assert_ok(clrnn_plan_text(f->device, config, &(struct clrnn_plan_text_params){.json = json}, &plan));
        assert_non_null(strstr(plan, json ? "\"rnn_bwd\"" : "rnn_bwd "));
        free(plan);
        assert_ok(
            clrnn_plan_text(f->device, config, &(struct clrnn_plan_text_params){.predict = true, .json = json}, &plan));
        assert_null(strstr(plan, "rnn_bwd"));
        free(plan);
    }
    snprintf(path, sizeof(path), "%s/run", f->folder);
    params.out = path;
    params.progress_user = &seen;
    assert_ok(clrnn_train(f->device, &params, &result));
    assert_string_equal(result.folder, path);
    assert_int_equal(result.epochs, 2);
    assert_int_equal(result.steps, 8);
    assert_int_equal(seen.epochs, 2);
    assert_true(seen.batches > 0 && seen.valid_loss == result.valid_loss);

    assert_ok(clrnn_model_open(f->device, path, &model));
    assert_ok(clrnn_eval(model, &config->data.valid, &figures));
    assert_true(near(figures.loss, result.valid_loss, 1e-6));
    assert_int_equal(figures.samples, 10);
    assert_int_equal(figures.classes, 2);
    assert_int_equal(figures.confusion[0] + figures.confusion[1] + figures.confusion[2] + figures.confusion[3], 10);
    clrnn_eval_finish(&figures);
    clrnn_eval_finish(&figures);
    snprintf(path, sizeof(path), "%s/p.csv", f->folder);
    assert_ok(clrnn_predict(model, &config->data.valid, CLRNN_PREDICT_PROBS, path));
    assert_refused(f, clrnn_predict(model, &config->data.valid, CLRNN_PREDICT_PROBS, "p.txt"), CLRNN_ERR_ARG, "p.txt");
    clrnn_model_destroy(&model);

    params.resume = result.folder; // resumes the run for two more epochs
    params.out = NULL;
    assert_ok(clrnn_config_set(&f->log, config, "train.epochs=4"));
    params.config = config;
    assert_ok(clrnn_train(f->device, &params, &result));
    assert_int_equal(result.epochs, 4);
    assert_int_equal(result.steps, 16);
    clrnn_config_destroy(&config);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_parameters, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_saved, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_run, set_up, tear_down),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
