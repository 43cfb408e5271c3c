// SPDX-License-Identifier: MIT
// Model files: everything must be restored bit by bit, and foreign files must be refused with the reason.
#include "files.h"

#include <math.h>
#include <sys/stat.h>

#include "base/array.h"
#include "formats/safetensors.h"

// Compares the parameters bit by bit. With `single`, rounds those of `a` to float32 first, because exported files hold
// float32.
static void check_same_weights(struct clrnn_model *a, struct clrnn_model *b, bool single)
{
    for (size_t i = 0; i < clrnn_model_param_count(a); i++) {
        const struct clrnn_param *p = clrnn_model_param(a, i);
        double *x = calloc(p->count, sizeof(double)), *y = calloc(p->count, sizeof(double));

        assert_true(x && y);
        assert_int_equal(clrnn_model_read(a, i, x), CLRNN_OK);
        assert_int_equal(clrnn_model_read(b, i, y), CLRNN_OK);
        for (size_t k = 0; single && k < p->count; k++)
            x[k] = (float)x[k];
        if (memcmp(x, y, p->count * sizeof(double)) != 0)
            fail_msg("%s differs", p->name);
        free(x);
        free(y);
    }
}

// Training for three steps, saving, reading and three more steps must give the same bits as six steps.
static void test_resume(struct scratch *f)
{
    struct clrnn_model *whole = fixture_model(f, LAYERS, TRAIN, shape);
    struct clrnn_model *half = fixture_model(f, LAYERS, TRAIN, shape), *again;
    struct clrnn_progress_state state =
                                    {
                                        .epoch = 1,
                                        .step_in_epoch = 2,
                                        .loss_sum = 0.1,
                                        .weight_sum = 1.0 / 3,
                                        .correct = 7,
                                        .counted = 9,
                                        .best_value = 0x1.fffffffffffffp-1022,
                                        .best_epoch = 1,
                                        .stop_best = -INFINITY,
                                        .stop_bad = 5,
                                        .finished = true,
                                        .seconds = 12.25,
                                    },
                                got;
    struct clrnn_step_result a, b;
    const char *path = scratch_path(f, "resume.safetensors");

    steps(whole, 0, 6, &a);
    steps(half, 0, 3, NULL);
    assert_int_equal(clrnn_checkpoint_write(half, &state, path), CLRNN_OK);
    clrnn_model_destroy(&half);
    memset(&got, 0xff, sizeof(got));
    if (clrnn_checkpoint_read(f->device, path, &again, &got) != CLRNN_OK)
        fail_msg("%s", f->error);
    assert_int_equal(got.epoch, state.epoch);
    assert_int_equal(got.step_in_epoch, state.step_in_epoch);
    assert_int_equal(got.best_epoch, state.best_epoch);
    assert_int_equal(got.stop_bad, state.stop_bad);
    assert_true(got.finished);
    assert_true(got.loss_sum == state.loss_sum && got.weight_sum == state.weight_sum);
    assert_true(got.correct == 7 && got.counted == 9 && got.seconds == 12.25);
    assert_true(got.best_value == state.best_value && got.stop_best == state.stop_best);
    assert_int_equal(again->steps, 3);
    steps(again, 3, 6, &b);
    assert_memory_equal(&a, &b, sizeof(a));
    check_same_weights(whole, again, false);
    assert_memory_equal(&whole->schedule, &again->schedule, sizeof(whole->schedule));
    clrnn_model_destroy(&whole);
    clrnn_model_destroy(&again);
}

// Numbers of the schedule, which files store as text, must be restored bit by bit, also unusual numbers.
static void test_schedule_numbers(struct scratch *f)
{
    static const double odd[] = {0, -0.0, 1e-304, 0x1p-1074, 0x1.fffffffffffffp+1023, INFINITY, -INFINITY, 1.0 / 3};
    struct clrnn_model *m, *again;
    const char *path = scratch_path(f, "odd.safetensors");

    m = fixture_model(f, LAYERS, TRAIN, shape);
    for (size_t i = 0; i < ARRAY_SIZE(odd); i++) {
        m->schedule.lr = odd[i];
        m->schedule.count = 3;
        assert_int_equal(clrnn_model_save(m, path), CLRNN_OK);
        assert_int_equal(clrnn_model_open(f->device, path, &again), CLRNN_OK);
        assert_memory_equal(&m->schedule, &again->schedule, sizeof(m->schedule));
        clrnn_model_destroy(&again);
    }
    clrnn_model_destroy(&m);
}

static void test_normalization(struct scratch *f)
{
    const double mean[4] = {1, 2, 3, 4}, std[4] = {0.5, 1, 2, 4};
    struct clrnn_config *config;
    struct clrnn_model *m, *again;
    double got[4];
    const char *path = scratch_path(f, "normal.safetensors");

    config = fixture_config(f, LAYERS, TRAIN);
    config->data.standard = true;
    assert_int_equal(clrnn_model_create(f->device, config, &shape, &m), CLRNN_OK);
    assert_int_equal(clrnn_model_save(m, path), CLRNN_OK);
    // the config wants a mean and deviation, but the file has none
    assert_int_equal(clrnn_model_open(f->device, path, &again), CLRNN_ERR_DATA);
    assert_non_null(strstr(f->error, "input.mean and input.std of 4 numbers each are not there"));

    assert_int_equal(clrnn_model_set_normalization(m, mean, std), CLRNN_OK);
    assert_int_equal(clrnn_model_save(m, path), CLRNN_OK);
    assert_int_equal(clrnn_model_open(f->device, path, &again), CLRNN_OK);
    assert_int_equal(clrnn_buffer_read_f64(again->input_std, 0, 4, got), CLRNN_OK);
    assert_memory_equal(got, std, sizeof(std));
    clrnn_model_destroy(&again);

    assert_int_equal(clrnn_model_create(f->device, config, &shape, &again), CLRNN_OK);
    assert_int_equal(clrnn_model_init(again, path, false), CLRNN_OK);
    assert_int_equal(clrnn_buffer_read_f64(again->input_mean, 0, 4, got), CLRNN_OK);
    assert_memory_equal(got, mean, sizeof(mean));
    clrnn_model_destroy(&again);
    clrnn_model_destroy(&m);
    clrnn_config_destroy(&config);
}

// Balanced class weights are counted by the first training run. A model saved before it must open without them.
static void test_uncounted_weights(struct scratch *f)
{
    static const char balanced[] = "loss: {cross_entropy: {weight: balanced}}, optimizer: adam";
    struct clrnn_model *m = fixture_model(f, LAYERS, balanced, shape), *again;
    const char *path = scratch_path(f, "uncounted.safetensors");

    assert_int_equal(clrnn_model_save(m, path), CLRNN_OK);
    if (clrnn_model_open(f->device, path, &again) != CLRNN_OK)
        fail_msg("%s", f->error);
    check_same_weights(m, again, false);
    assert_true(clrnn_model_config(again)->train.loss.balanced);
    assert_null(clrnn_model_config(again)->train.loss.weight);
    clrnn_model_destroy(&again);
    clrnn_model_destroy(&m);
}

// ---------------------------------------------------------------- foreign files

static void test_init(struct scratch *f)
{
    struct clrnn_model *m, *other, *same;
    const char *path = scratch_path(f, "init.safetensors");

    m = fixture_model(f, LAYERS, TRAIN, shape);
    steps(m, 0, 2, NULL);
    assert_int_equal(clrnn_model_export(m, path), CLRNN_OK);

    same = fixture_model(f, LAYERS, "loss: cross_entropy, seed: 99", shape);
    assert_int_equal(clrnn_model_init(same, path, false), CLRNN_OK);
    check_same_weights(m, same, true);
    assert_int_equal(clrnn_model_open(f->device, path, &other), CLRNN_ERR_DATA);
    assert_non_null(strstr(f->error, "holds no clrnn model"));
    clrnn_model_destroy(&same);

    other = fixture_model(f,
                          "- batchnorm: {name: norm}\n- gru: {name: gru, hidden_size: 6}\n- pool: {over: last}\n"
                          "- linear: {name: head, out_features: 3}\n",
                          TRAIN, shape);
    f->errors = 0;
    assert_int_equal(clrnn_model_init(other, path, false), CLRNN_ERR_DATA);
    assert_int_equal(f->errors, 1);
    assert_non_null(strstr(f->error, "missing head.weight, head.bias; extra gru.weight_ih_l0_reverse, "));
    assert_non_null(strstr(f->error, "fc.weight, fc.bias; wrongly shaped gru.weight_ih_l0 [15, 4] (expected [18, 4])"));
    f->errors = 0;
    assert_int_equal(clrnn_model_init(other, path, true), CLRNN_OK);
    assert_int_equal(f->errors, 0);
    assert_non_null(strstr(f->warning, "fits in part, 5 tensors were loaded: missing head.weight"));
    clrnn_model_destroy(&other);

    other = fixture_model(f, "- linear: {name: head, out_features: 3}\n", TRAIN, shape);
    assert_int_equal(clrnn_model_init(other, path, true), CLRNN_ERR_DATA);
    assert_non_null(strstr(f->error, "nothing in it fits the model"));
    clrnn_model_destroy(&other);
    clrnn_model_destroy(&m);
}

// A model can be initialised from a model file of clRNN; the file's optimiser state is not needed.
static void test_init_from_model_file(struct scratch *f)
{
    struct clrnn_model *m, *other;
    const char *path = scratch_path(f, "model.safetensors");

    m = fixture_model(f, LAYERS, TRAIN, shape);
    steps(m, 0, 2, NULL);
    assert_int_equal(clrnn_model_save(m, path), CLRNN_OK);
    other = fixture_model(f, LAYERS, "loss: cross_entropy, optimizer: {sgd: {lr: 0.1}}", shape);
    if (clrnn_model_init(other, path, false) != CLRNN_OK)
        fail_msg("%s", f->error);
    check_same_weights(m, other, false);
    assert_int_equal(other->steps, 0);
    clrnn_model_destroy(&other);
    clrnn_model_destroy(&m);
}

// A state dict may lack num_batches_tracked, as those of old PyTorch versions do. Numbers of other types must be
// converted.
static void test_init_lenient(struct scratch *f)
{
    const size_t one[1] = {4}, two[2] = {3, 4};
    const double ones[4] = {1, 2, 3, 4}, weight[12] = {0.5};
    struct clrnn_safetensors_writer *w;
    struct clrnn_model *m;
    double got[12];
    const char *path = scratch_path(f, "old.safetensors");

    assert_int_equal(clrnn_safetensors_writer_create(&f->log, &w), CLRNN_OK);
    assert_int_equal(clrnn_safetensors_add(w, "0.weight", CLRNN_DTYPE_F64, 1, one, ones), CLRNN_OK);
    assert_int_equal(clrnn_safetensors_add(w, "0.bias", CLRNN_DTYPE_F64, 1, one, ones), CLRNN_OK);
    assert_int_equal(clrnn_safetensors_add(w, "0.running_mean", CLRNN_DTYPE_F64, 1, one, ones), CLRNN_OK);
    assert_int_equal(clrnn_safetensors_add(w, "0.running_var", CLRNN_DTYPE_F64, 1, one, ones), CLRNN_OK);
    assert_int_equal(clrnn_safetensors_add(w, "1.weight", CLRNN_DTYPE_F64, 2, two, weight), CLRNN_OK);
    assert_int_equal(clrnn_safetensors_write(w, path), CLRNN_OK);
    clrnn_safetensors_writer_destroy(&w);
    m = fixture_model(f, "- batchnorm\n- linear: {out_features: 3, bias: false}\n", TRAIN, shape);
    if (clrnn_model_init(m, path, false) != CLRNN_OK)
        fail_msg("%s", f->error);
    assert_int_equal(clrnn_model_read(m, 5, got), CLRNN_OK);
    assert_memory_equal(got, weight, sizeof(weight));
    assert_int_equal(clrnn_model_read(m, fixture_find(m, "0.num_batches_tracked"), got), CLRNN_OK);
    assert_true(got[0] == 0);
    clrnn_model_destroy(&m);
}

// A deviation so small that a device may treat it as 0 must be replaced by 1, as for a constant feature.
static void test_small_deviation(struct scratch *f)
{
    static const double mean[4] = {0, 0, 0, 0}, std[4] = {0, 1e-40, 0x1p-126, 2}, want[4] = {1, 1, 0x1p-126, 2};
    struct clrnn_model *m;
    double got[4];

    m = fixture_model(f, LAYERS, TRAIN, shape);
    assert_int_equal(clrnn_model_set_normalization(m, mean, std), CLRNN_OK);
    assert_int_equal(clrnn_buffer_read_f64(m->input_std, 0, 4, got), CLRNN_OK);
    assert_memory_equal(got, want, sizeof(want));
    clrnn_model_destroy(&m);
}

static void test_open_folder(struct scratch *f)
{
    struct clrnn_model *last, *best, *got;
    const char *folder = scratch_path(f, "run");

    assert_int_equal(mkdir(folder, 0777), 0);
    assert_int_equal(clrnn_model_open(f->device, folder, &got), CLRNN_ERR_DATA);
    assert_non_null(strstr(f->error, "neither last.safetensors nor best.safetensors"));
    last = fixture_model(f, LAYERS, TRAIN, shape);
    best = fixture_model(f, LAYERS, "loss: cross_entropy, seed: 12", shape);
    assert_int_equal(clrnn_model_save(best, scratch_path(f, "run/best.safetensors")), CLRNN_OK);
    assert_int_equal(clrnn_model_open(f->device, folder, &got), CLRNN_OK);
    check_same_weights(got, best, false);
    clrnn_model_destroy(&got);
    assert_int_equal(clrnn_model_save(last, scratch_path(f, "run/last.safetensors")), CLRNN_OK);
    assert_int_equal(clrnn_model_open(f->device, folder, &got), CLRNN_OK);
    check_same_weights(got, last, false);
    assert_int_equal(clrnn_model_config(got)->layer_count, 5);
    clrnn_model_destroy(&got);
    clrnn_model_destroy(&last);
    clrnn_model_destroy(&best);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        SCRATCH_TEST(test_resume, "ref"),
        SCRATCH_TEST(test_resume, NULL),
        SCRATCH_TEST(test_schedule_numbers, "ref"),
        SCRATCH_TEST(test_normalization, "ref"),
        SCRATCH_TEST(test_uncounted_weights, "ref"),
        SCRATCH_TEST(test_init, "ref"),
        SCRATCH_TEST(test_init_from_model_file, "ref"),
        SCRATCH_TEST(test_init_lenient, "ref"),
        SCRATCH_TEST(test_open_folder, "ref"),
        SCRATCH_TEST(test_small_deviation, "ref"),
    };

    return cmocka_run_group_tests_name("checkpoint", tests, NULL, NULL);
}
