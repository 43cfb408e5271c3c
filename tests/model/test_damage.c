// SPDX-License-Identifier: MIT
// Damaged model files, and weights that are not finite, must be refused with the file, the position and the reason.
#include "files.h"

#include <math.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/array.h"
#include "formats/safetensors.h"

#define FILE_NAME "model.safetensors"
#define CHANGED "changed.safetensors"

// Copies FILE_NAME to CHANGED with one change: `key` gets `value` (NULL removes the key), or `tensor` gets `data` (NULL
// removes the tensor). If `key` and `tensor` are NULL, nothing changes.
static void rewrite(const struct scratch *f, const char *key, const char *value, const char *tensor, const void *data)
{
    struct clrnn_safetensors_writer *w;
    struct clrnn_safetensors *file;

    assert_int_equal(clrnn_safetensors_open(&f->log, scratch_path(f, FILE_NAME), &file), CLRNN_OK);
    assert_int_equal(clrnn_safetensors_writer_create(&f->log, &w), CLRNN_OK);
    for (size_t i = 0; i < file->count; i++) {
        const struct clrnn_safetensor *t = &file->tensor[i];
        const void *now = tensor && !strcmp(t->name, tensor) ? data : t->data;

        if (now)
            assert_int_equal(clrnn_safetensors_add(w, t->name, t->dtype, t->ndim, t->shape, now), CLRNN_OK);
    }
    for (size_t i = 0; i < file->metadata_count; i++) {
        const char *v = key && !strcmp(file->metadata[i].key, key) ? value : file->metadata[i].value;

        if (v)
            assert_int_equal(clrnn_safetensors_add_metadata(w, file->metadata[i].key, v), CLRNN_OK);
    }
    assert_int_equal(clrnn_safetensors_write(w, scratch_path(f, CHANGED)), CLRNN_OK);
    clrnn_safetensors_writer_destroy(&w);
    clrnn_safetensors_close(&file);
}

static void test_damaged(struct scratch *f)
{
    static const struct {
        const char *key, *value, *dropped, *want;
    } row[] = {
        {"clrnn.config", NULL, NULL, "metadata lack clrnn.config"},
        {"clrnn.config", "model: {layers: [{linear: {out_feature: 2}}]}", NULL, "the config inside is wrong: "},
        {"clrnn.config", "model: {layers: [{linear: {out_features: 16000000}}]}", NULL, "parameters"},
        {"clrnn.config", "model: {layers: [{linear: {out_features: 3}}]}", NULL, "does not fit the model"},
        {"clrnn.format", "2", NULL, "is of model file format 2, expected 1"},
        {"clrnn.steps", "-1", NULL, "clrnn.steps in its metadata is '-1', expected a number"},
        {"clrnn.steps", "", NULL, "clrnn.steps in its metadata is ''"},
        {"clrnn.steps", "99999999999999999999999", NULL, "clrnn.steps in its metadata"},
        {"clrnn.schedule.lr", "0.1x", NULL, "clrnn.schedule.lr in its metadata is '0.1x'"},
        {"clrnn.schedule.count", NULL, NULL, "lack clrnn.schedule.count"},
        {"clrnn.shape.features", "5000000000", NULL, "is out of range"},
        {"clrnn.progress.finished", "yes", NULL, "expected 0 or 1"},
        {"clrnn.steps", "18446744073709551615", NULL, "is out of range: expected 0 to 4294967295"},
        {"clrnn.schedule.count", "-1", NULL, "clrnn.schedule.count in its metadata, -1, is out of range"},
        {"clrnn.schedule.bad", "9223372036854775807", NULL, "is out of range"},
        {"clrnn.schedule.cooldown_left", "-9223372036854775808", NULL, "is out of range"},
        {"clrnn.progress.epoch", "9000000000", NULL, "is out of range"},
        {"clrnn.progress.epoch", "1", NULL, "counters in its metadata do not fit each other: 0 steps, 1 epochs"},
        {"clrnn.progress.step_in_epoch", "4294967295", NULL, "do not fit each other"},
        {"clrnn.progress.best_epoch", "1", NULL, "do not fit each other"},
        {"clrnn.progress.seconds", "-1", NULL, "is out of range"},
        {"clrnn.progress.counted", "nan", NULL, "is out of range"},
        {"clrnn.progress.epoch", NULL, NULL, "lack clrnn.progress.epoch"},
        {NULL, NULL, "fc.bias", "missing fc.bias"},
        {NULL, NULL, "optim.v.fc.bias", "the tensor optim.v.fc.bias is missing"},
    };
    struct clrnn_progress_state progress = {0};
    struct clrnn_model *m, *again;
    const char *path = scratch_path(f, FILE_NAME), *other = scratch_path(f, CHANGED);

    m = fixture_model(f, LAYERS, TRAIN, shape);
    assert_int_equal(clrnn_checkpoint_write(m, &progress, path), CLRNN_OK);
    clrnn_model_destroy(&m);
    rewrite(f, NULL, NULL, NULL, NULL); // an unchanged copy must be read
    assert_int_equal(clrnn_checkpoint_read(f->device, other, &again, &progress), CLRNN_OK);
    clrnn_model_destroy(&again);
    rewrite(f, "clrnn.schedule.cooldown_left", "9007199254740992", NULL, NULL); // the longest that a config may give
    assert_int_equal(clrnn_checkpoint_read(f->device, other, &again, &progress), CLRNN_OK);
    clrnn_model_destroy(&again);
    for (size_t i = 0; i < ARRAY_SIZE(row); i++) {
        rewrite(f, row[i].key, row[i].value, row[i].dropped, NULL);
        f->errors = 0;
        if (clrnn_checkpoint_read(f->device, other, &again, &progress) != CLRNN_ERR_DATA)
            fail_msg("row %zu was taken: %s", i, row[i].want);
        assert_null(again);
        assert_int_equal(f->errors, 1);
        if (!strstr(f->error, row[i].want))
            fail_msg("row %zu got: %s\nwant in it: %s", i, f->error, row[i].want);
    }
    unlink(path);
    // the file is missing
    assert_int_equal(clrnn_checkpoint_read(f->device, path, &again, NULL), CLRNN_ERR_DATA);
}

// NaN or infinity in a single number of any tensor must be refused.
static void test_not_finite(struct scratch *f)
{
    static const double bad[] = {NAN, INFINITY, -INFINITY};
    const double mean[4] = {1, 2, 3, 4}, std[4] = {1, 1, 1, 1};
    struct clrnn_safetensors *file;
    struct clrnn_model *m, *again;
    const char *path = scratch_path(f, FILE_NAME), *other = scratch_path(f, CHANGED);

    m = fixture_model(f, LAYERS, TRAIN, shape);
    assert_int_equal(clrnn_model_set_normalization(m, mean, std), CLRNN_OK);
    steps(m, 0, 1, NULL);
    assert_int_equal(clrnn_model_save(m, path), CLRNN_OK);
    assert_int_equal(clrnn_safetensors_open(&f->log, path, &file), CLRNN_OK);
    for (size_t i = 0; i < file->count; i++) {
        const struct clrnn_safetensor *t = &file->tensor[i];
        double *values = calloc(t->count, sizeof(*values));

        assert_non_null(values);
        for (size_t k = 0; k < ARRAY_SIZE(bad) && t->dtype == CLRNN_DTYPE_F64; k++) {
            memcpy(values, t->data, t->count * sizeof(*values));
            values[t->count - 1] = bad[k];
            rewrite(f, NULL, NULL, t->name, values);
            f->errors = 0;
            if (clrnn_model_open(f->device, other, &again) != CLRNN_ERR_DATA)
                fail_msg("%g in %s was taken", bad[k], t->name);
            assert_int_equal(f->errors, 1);
            assert_non_null(strstr(f->error, t->name));
            assert_non_null(strstr(f->error, other));
            if (!strncmp(t->name, "optim.", 6) || !strncmp(t->name, "input.", 6))
                continue;
            if (clrnn_model_init(m, other, false) != CLRNN_ERR_DATA)
                fail_msg("%g in %s was taken by --init", bad[k], t->name);
        }
        free(values);
    }
    clrnn_safetensors_close(&file);
    clrnn_model_destroy(&m);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        SCRATCH_TEST(test_damaged, "ref"),
        SCRATCH_TEST(test_not_finite, "ref"),
    };

    return cmocka_run_group_tests_name("damage", tests, NULL, NULL);
}
