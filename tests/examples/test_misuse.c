// SPDX-License-Identifier: MIT
// Calls every public function with NULL for each pointer in turn. No call may crash: it must do nothing, or return an
// error. If the call has a log, the error must be logged and name the parameter.
#include "misuse.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const char *symbols; // the file that lists the exported symbols
static struct clrnn_device *device;
static struct clrnn_config *config;
static struct clrnn_model *model;

static int set_up(void **state)
{
    const struct clrnn_device_params params = {.select = "ref", .log = &log_};
    const struct clrnn_data_shape shape = {.features = 3};

    (void)state;
    if (clrnn_device_open(&params, &device) || clrnn_config_create(&log_, &config) ||
        !clrnn_config_add_layer(config, CLRNN_LAYER_POOL) || !clrnn_config_add_layer(config, CLRNN_LAYER_LINEAR))
        return 1;
    config->layer[1].out_features = 2;
    return clrnn_model_create(device, config, &shape, &model) != CLRNN_OK;
}

static int tear_down(void **state)
{
    (void)state;
    clrnn_model_destroy(&model);
    clrnn_config_destroy(&config);
    clrnn_device_destroy(&device);
    return 0;
}

static void base(void **state)
{
    (void)state;
    note("clrnn_status_text"); // these take no pointers
    note("clrnn_status_exit");
    note("clrnn_version");
    note("clrnn_layer_word");
    note("clrnn_loss_word");
    note("clrnn_optimizer_word");
    note("clrnn_scheduler_word");
}

static void configs(void **state)
{
    const char *const sets[] = {"train.epochs=3", NULL};
    struct clrnn_config *made = (struct clrnn_config *)&log_;
    struct clrnn_config_key *keys;
    struct clrnn_data_shape shape;
    char *file = (char *)&shape;
    uint64_t bytes;
    size_t count;

    (void)state;
    REFUSED("path", clrnn_config_read, &log_, NULL, 0, NULL, &made);
    assert_null(made);
    REFUSED("config", clrnn_config_read, &log_, "c.yaml", 0, NULL, NULL);
    REFUSED("set", clrnn_config_read, &log_, "c.yaml", 1, NULL, &made);
    REFUSED("set[i]", clrnn_config_read, &log_, "c.yaml", 2, sets, &made);
    REFUSED("config", clrnn_config_set_arrays, &log_, NULL, "train", &(struct clrnn_arrays){0});
    REFUSED("set", clrnn_config_set_arrays, &log_, config, NULL, &(struct clrnn_arrays){0});
    REFUSED("arrays", clrnn_config_set_arrays, &log_, config, "train", NULL);
    REFUSED("text", clrnn_config_parse, &log_, NULL, NULL, &made);
    REFUSED("config", clrnn_config_parse, &log_, "", NULL, NULL);
    REFUSED("config", clrnn_config_create, &log_, NULL);
    GIVES(NULL, clrnn_config_add_layer, NULL, CLRNN_LAYER_RNN);
    REFUSED("config", clrnn_config_set, &log_, NULL, "train.epochs=3");
    REFUSED("assignment", clrnn_config_set, &log_, config, NULL);
    REFUSED("config", clrnn_config_copy, &log_, NULL, &made);
    REFUSED("copy", clrnn_config_copy, &log_, config, NULL);
    GIVES(NULL, clrnn_config_text, NULL);
    REFUSED("keys", clrnn_config_keys, &log_, NULL, &count);
    REFUSED("count", clrnn_config_keys, &log_, &keys, NULL);
    NOTHING(clrnn_config_destroy, NULL);
    NOTHING(clrnn_config_destroy, &made);
    REFUSED("tables", clrnn_tables_info, &log_, NULL, &bytes);
    REFUSED("bytes", clrnn_tables_info, &log_, &count, NULL);
    REFUSED("tables", clrnn_tables_clear, &log_, NULL, &bytes);
    REFUSED("bytes", clrnn_tables_clear, &log_, &count, NULL);
    REFUSED("path", clrnn_run_check_output, &log_, NULL);
    REFUSED("path", clrnn_run_checkpoint, &log_, NULL, CLRNN_CHECKPOINT_BEST, &file);
    REFUSED("file", clrnn_run_checkpoint, &log_, "run", CLRNN_CHECKPOINT_BEST, NULL);
    REFUSED("config", clrnn_run_config, &log_, "run", 0, NULL, NULL);
    REFUSED("run", clrnn_run_config, &log_, NULL, 0, NULL, &made);
    REFUSED("config", clrnn_source_shape, &log_, NULL, &config->data.train, &shape);
    REFUSED("source", clrnn_source_shape, &log_, config, NULL, &shape);
    REFUSED("shape", clrnn_source_shape, &log_, config, &config->data.train, NULL);
}

static void devices(void **state)
{
    const struct clrnn_devices_params params = {.no_test = true};
    struct clrnn_device_list *list = NULL;
    struct clrnn_device_test *tests;
    struct clrnn_selftest_result tested;
    uint64_t bytes = 1, peak = 1;
    unsigned built, cached;
    size_t programs;
    char text[160], *advice;

    (void)state;
    REFUSED_SILENTLY(clrnn_device_open, NULL, NULL);
    NOTHING(clrnn_device_destroy, NULL);
    REFUSED("list", clrnn_device_list_create, &log_, NULL);
    REFUSED("list", clrnn_device_list_check, &log_, NULL);
    GIVES(SIZE_MAX, clrnn_device_list_default, NULL, text);
    GIVES(SIZE_MAX, clrnn_device_list_default, NULL, NULL);
    NOTHING(clrnn_device_list_destroy, NULL);
    NOTHING(clrnn_device_list_destroy, &list);
    GIVES(NULL, clrnn_device_spec, clrnn_device_info(device), NULL);
    assert_string_equal(clrnn_device_spec(NULL, text), "-");
    GIVES(NULL, clrnn_device_info, NULL);
    NOTHING(clrnn_device_memory, NULL, &bytes, &peak);
    assert_int_equal(bytes + peak, 0);
    NOTHING(clrnn_device_memory, device, NULL, NULL);
    GIVES(0, clrnn_device_build_seconds, NULL, &built, &cached);
    assert_int_equal(built + cached, 0);
    NOTHING(clrnn_device_build_seconds, device, NULL, NULL);
    GIVES(false, clrnn_device_is_tuned, NULL);
    note("clrnn_device_step_ms");
    assert_true(isnan(clrnn_device_step_ms(NULL)));
    REFUSED("info", clrnn_device_keep_step_ms, &log_, NULL, 1);
    note("clrnn_device_cache_advice");
    advice = clrnn_device_cache_advice(NULL);
    assert_string_equal(advice, "");
    free(advice);
    REFUSED("info", clrnn_cache_info, &log_, NULL);
    REFUSED("programs", clrnn_cache_clear, &log_, NULL, &bytes);
    REFUSED("bytes", clrnn_cache_clear, &log_, &programs, NULL);
    REFUSED("folder", clrnn_pocl_cache, &log_, NULL, &bytes);
    NOTHING(clrnn_caches_keep_in, NULL);
    REFUSED_SILENTLY(clrnn_device_peak, NULL, &(struct clrnn_peak){0});
    REFUSED("peak", clrnn_device_peak, device, NULL);
    REFUSED_SILENTLY(clrnn_selftest, NULL, NULL, &tested);
    REFUSED("result", clrnn_selftest, device, NULL, NULL);
    REFUSED("list", clrnn_devices_test, &log_, &params, NULL, &tests, NULL);
    REFUSED("tests", clrnn_devices_test, &log_, &params, &list, NULL, NULL);
    REFUSED("params", clrnn_devices_test, &log_, NULL, &list, &tests, NULL);
}

static void models(void **state)
{
    const struct clrnn_data_shape shape = {.features = 3};
    const float x[3] = {0};
    const int32_t classes[1] = {0};
    const struct clrnn_batch batch = {.N = 1, .T = 1, .x = x, .classes = classes};
    const struct clrnn_batch no_x = {.N = 1, .T = 1, .classes = classes};
    const struct clrnn_batch no_classes = {.N = 1, .T = 1, .x = x};
    struct clrnn_step_result result;
    struct clrnn_model *made = (struct clrnn_model *)&log_;
    double values[6] = {0};
    float out[2];

    (void)state;
    REFUSED_SILENTLY(clrnn_model_create, NULL, config, &shape, &made);
    assert_null(made);
    REFUSED("config", clrnn_model_create, device, NULL, &shape, &made);
    REFUSED("shape", clrnn_model_create, device, config, NULL, &made);
    REFUSED("model", clrnn_model_create, device, config, &shape, NULL);
    NOTHING(clrnn_model_destroy, NULL);
    NOTHING(clrnn_model_destroy, &made);
    GIVES(NULL, clrnn_model_config, NULL);
    GIVES(NULL, clrnn_model_shape, NULL);
    GIVES(NULL, clrnn_model_device, NULL);
    GIVES(0, clrnn_model_outputs, NULL);
    GIVES(0, clrnn_model_output_steps, NULL, 3);
    GIVES(NULL, clrnn_model_class_name, NULL, 0);
    GIVES(false, clrnn_model_per_step, NULL);
    GIVES(0, clrnn_model_param_count, NULL);
    GIVES(NULL, clrnn_model_param, NULL, 0);
    GIVES(0, clrnn_model_size, NULL);
    GIVES(0, clrnn_model_steps, NULL);
    NOTHING(clrnn_model_start_schedule, NULL, 1);
    REFUSED_SILENTLY(clrnn_model_read, NULL, 0, values);
    REFUSED("values", clrnn_model_read, model, 0, NULL);
    REFUSED_SILENTLY(clrnn_model_read_grad, NULL, 0, values);
    REFUSED("values", clrnn_model_read_grad, model, 0, NULL);
    REFUSED_SILENTLY(clrnn_model_write, NULL, 0, values);
    REFUSED("values", clrnn_model_write, model, 0, NULL);
    REFUSED_SILENTLY(clrnn_model_set_normalization, NULL, values, values);
    REFUSED("mean", clrnn_model_set_normalization, model, NULL, values);
    REFUSED("std", clrnn_model_set_normalization, model, values, NULL);
    REFUSED_SILENTLY(clrnn_model_set_target_normalization, NULL, values, values);
    REFUSED("mean", clrnn_model_set_target_normalization, model, NULL, values);
    REFUSED("std", clrnn_model_set_target_normalization, model, values, NULL);
    REFUSED_SILENTLY(clrnn_model_init, NULL, "w", false);
    REFUSED("path", clrnn_model_init, model, NULL, false);
    REFUSED_SILENTLY(clrnn_model_export, NULL, "w");
    REFUSED("path", clrnn_model_export, model, NULL);
    REFUSED_SILENTLY(clrnn_model_export_c, NULL, "w", "net", CLRNN_EXPORT_TYPE_F32);
    REFUSED("folder", clrnn_model_export_c, model, NULL, "net", CLRNN_EXPORT_TYPE_F32);
    REFUSED("name", clrnn_model_export_c, model, "w", NULL, CLRNN_EXPORT_TYPE_F32);
    REFUSED_SILENTLY(clrnn_model_export_onnx, NULL, "w", false);
    REFUSED("path", clrnn_model_export_onnx, model, NULL, false);
    REFUSED_SILENTLY(clrnn_model_save, NULL, "w");
    REFUSED("path", clrnn_model_save, model, NULL);
    assert_int_equal(access("w", F_OK), -1);
    assert_int_equal(access("(null)", F_OK), -1);
    REFUSED_SILENTLY(clrnn_model_open, NULL, "w", &made);
    REFUSED("path", clrnn_model_open, device, NULL, &made);
    REFUSED("model", clrnn_model_open, device, "w", NULL);
    REFUSED_SILENTLY(clrnn_model_step, NULL, &batch, &result);
    REFUSED("batch", clrnn_model_step, model, NULL, &result);
    REFUSED_SILENTLY(clrnn_model_end_epoch, NULL, 0);
    REFUSED_SILENTLY(clrnn_model_evaluate, NULL, &batch, &result);
    REFUSED("batch", clrnn_model_evaluate, model, NULL, &result);
    REFUSED("result", clrnn_model_evaluate, model, &batch, NULL);
    REFUSED_SILENTLY(clrnn_model_predict, NULL, &batch, out);
    REFUSED("batch", clrnn_model_predict, model, NULL, out);
    REFUSED("out", clrnn_model_predict, model, &batch, NULL);
    assert_int_equal(clrnn_model_step(model, &no_x, NULL), CLRNN_ERR_ARG);
    assert_int_equal(clrnn_model_step(model, &no_classes, NULL), CLRNN_ERR_ARG);
    assert_int_equal(clrnn_model_step(model, &batch, NULL), CLRNN_OK);
    assert_int_equal(clrnn_model_predict(model, &no_classes, out), CLRNN_OK);
}

static void layers(void **state)
{
    const struct clrnn_layer_params params = {
        .kind = CLRNN_LAYER_GRU, .input_size = 3, .hidden_size = 2, .num_layers = 1};
    const float x[3] = {0}, *const weights[4] = {NULL};
    const struct clrnn_layer_input input = {.T = 1, .N = 1, .x = x};
    const struct clrnn_layer_input no_x = {.T = 1, .N = 1}, no_weight = {1, 1, x, .weights = weights};
    const struct clrnn_layer_output output = {0};
    const struct clrnn_layer_gradients gradients = {0};
    struct clrnn_recurrent *layer = (struct clrnn_recurrent *)&log_;
    struct clrnn_layer_pass *pass = NULL;
    float values[18];

    (void)state;
    REFUSED_SILENTLY(clrnn_layer_create, NULL, &params, &layer);
    assert_null(layer);
    REFUSED("params", clrnn_layer_create, device, NULL, &layer);
    REFUSED("layer", clrnn_layer_create, device, &params, NULL);
    NOTHING(clrnn_layer_destroy, NULL);
    NOTHING(clrnn_layer_destroy, &layer);
    assert_int_equal(clrnn_layer_create(device, &params, &layer), CLRNN_OK);
    GIVES(0, clrnn_layer_param_count, NULL);
    GIVES(NULL, clrnn_layer_param, NULL, 0);
    REFUSED_SILENTLY(clrnn_layer_read, NULL, 0, values);
    REFUSED("values", clrnn_layer_read, layer, 0, NULL);
    REFUSED_SILENTLY(clrnn_layer_write, NULL, 0, values);
    REFUSED("values", clrnn_layer_write, layer, 0, NULL);
    REFUSED_SILENTLY(clrnn_layer_forward, NULL, &input, &output, &pass);
    REFUSED("input", clrnn_layer_forward, layer, NULL, &output, &pass);
    REFUSED("output", clrnn_layer_forward, layer, &input, NULL, &pass);
    assert_int_equal(clrnn_layer_forward(layer, &no_x, &output, &pass), CLRNN_ERR_ARG);
    assert_int_equal(clrnn_layer_forward(layer, &no_weight, &output, &pass), CLRNN_ERR_ARG);
    assert_null(pass);
    assert_int_equal(clrnn_layer_forward(layer, &input, &output, &pass), CLRNN_OK);
    REFUSED_SILENTLY(clrnn_layer_backward, NULL, &gradients);
    REFUSED("gradients", clrnn_layer_backward, pass, NULL);
    assert_int_equal(clrnn_layer_backward(pass, &gradients), CLRNN_OK);
    NOTHING(clrnn_layer_pass_destroy, NULL);
    NOTHING(clrnn_layer_pass_destroy, &pass);
    NOTHING(clrnn_layer_pass_destroy, &pass);
    clrnn_layer_destroy(&layer);
}

static void training(void **state)
{
    const struct clrnn_source source = {.there = true, .synthetic = true, .samples = 4, .steps = 1, .features = 3};
    const struct clrnn_train_params params = {.config = config}, no_config = {0};
    const struct clrnn_tune_params tune = {.seconds = 1};
    const struct clrnn_synth_params synth = {0};
    struct clrnn_eval_result evaluated;
    struct clrnn_bench_result benched;
    uint32_t own, count;
    struct clrnn_tune_result tuned;
    float made;
    char *text;

    (void)state;
    REFUSED_SILENTLY(clrnn_train, NULL, &params, NULL);
    REFUSED("params", clrnn_train, device, NULL, NULL);
    REFUSED("params->config", clrnn_train, device, &no_config, NULL);
    REFUSED("rank", clrnn_rank_join, &log_, NULL);
    GIVES(CLRNN_ERR_DATA, clrnn_rank_agree, CLRNN_ERR_DATA); // this process is the only rank
    REFUSED_SILENTLY(clrnn_rank_share, "gpus", NULL, &count);
    REFUSED_SILENTLY(clrnn_rank_share, "gpus", &own, NULL);
    GIVES(CLRNN_OK, clrnn_rank_share, NULL, &own, &count);
    GIVES(0, clrnn_rank_launched, );
    note("clrnn_rank_leave");
    clrnn_rank_leave();
    REFUSED_SILENTLY(clrnn_model_share, NULL, &model, 1);
    REFUSED("others", clrnn_model_share, model, NULL, 1);
    REFUSED_SILENTLY(clrnn_eval, NULL, &source, &evaluated);
    REFUSED("source", clrnn_eval, model, NULL, &evaluated);
    REFUSED("result", clrnn_eval, model, &source, NULL);
    NOTHING(clrnn_eval_finish, NULL);
    REFUSED_SILENTLY(clrnn_predict, NULL, &source, CLRNN_PREDICT_LOGITS, "p.npy");
    REFUSED("source", clrnn_predict, model, NULL, CLRNN_PREDICT_LOGITS, "p.npy");
    REFUSED("out", clrnn_predict, model, &source, CLRNN_PREDICT_LOGITS, NULL);
    REFUSED_SILENTLY(clrnn_predict_array, NULL, &source, CLRNN_PREDICT_LOGITS, &made, 1);
    REFUSED("source", clrnn_predict_array, model, NULL, CLRNN_PREDICT_LOGITS, &made, 1);
    REFUSED("out", clrnn_predict_array, model, &source, CLRNN_PREDICT_LOGITS, NULL, 1);
    REFUSED_SILENTLY(clrnn_predict_labels, NULL, &source, 0, "p.npy");
    REFUSED("source", clrnn_predict_labels, model, NULL, 0, "p.npy");
    REFUSED("out", clrnn_predict_labels, model, &source, 0, NULL);
    REFUSED_SILENTLY(clrnn_bench, NULL, config, NULL, &benched);
    REFUSED("config", clrnn_bench, device, NULL, NULL, &benched);
    REFUSED("result", clrnn_bench, device, config, NULL, NULL);
    REFUSED("config", clrnn_data_text, &log_, NULL, false, &text);
    REFUSED("text", clrnn_data_text, &log_, config, false, NULL);
    REFUSED_SILENTLY(clrnn_plan_text, NULL, config, &(struct clrnn_plan_text_params){0}, &text);
    REFUSED("config", clrnn_plan_text, device, NULL, &(struct clrnn_plan_text_params){0}, &text);
    REFUSED("text", clrnn_plan_text, device, config, &(struct clrnn_plan_text_params){0}, NULL);
    REFUSED("params", clrnn_plan_text, device, config, NULL, &text);
    REFUSED("network", clrnn_rank_network, &log_, NULL);
    REFUSED("params", clrnn_tune, &log_, config, NULL, &tuned);
    REFUSED("result", clrnn_tune, &log_, config, &tune, NULL);
    NOTHING(clrnn_tune_finish, NULL);
    REFUSED("params", clrnn_synth, &log_, NULL, "folder");
    REFUSED("folder", clrnn_synth, &log_, &synth, NULL);
}

static void states(void **state)
{
    struct clrnn_state *s = NULL, *other = NULL;
    double values[64];
    float x[64] = {0}, out[64];

    (void)state;
    REFUSED_SILENTLY(clrnn_state_create, NULL, &s);
    REFUSED("state", clrnn_state_create, model, NULL);
    assert_int_equal(clrnn_state_create(model, &s), CLRNN_OK);
    REFUSED_SILENTLY(clrnn_state_copy, NULL, s);
    REFUSED("from", clrnn_state_copy, s, NULL);
    REFUSED_SILENTLY(clrnn_state_read, NULL, values);
    REFUSED("values", clrnn_state_read, s, NULL);
    REFUSED_SILENTLY(clrnn_state_write, NULL, values);
    REFUSED("values", clrnn_state_write, s, NULL);
    REFUSED_SILENTLY(clrnn_state_save, NULL, "s.state");
    REFUSED("path", clrnn_state_save, s, NULL);
    REFUSED_SILENTLY(clrnn_state_load, NULL, "s.state");
    REFUSED("path", clrnn_state_load, s, NULL);
    REFUSED_SILENTLY(clrnn_model_predict_step, NULL, s, x, out);
    REFUSED("state", clrnn_model_predict_step, model, NULL, x, out);
    REFUSED("x", clrnn_model_predict_step, model, s, NULL, out);
    REFUSED("out", clrnn_model_predict_step, model, s, x, NULL);
    REFUSED_SILENTLY(clrnn_predict_stream, NULL, s, CLRNN_PREDICT_LOGITS, stdin, stdout);
    REFUSED("state", clrnn_predict_stream, model, NULL, CLRNN_PREDICT_LOGITS, stdin, stdout);
    REFUSED("in", clrnn_predict_stream, model, s, CLRNN_PREDICT_LOGITS, NULL, stdout);
    REFUSED("out", clrnn_predict_stream, model, s, CLRNN_PREDICT_LOGITS, stdin, NULL);
    NOTHING(clrnn_state_reset, NULL);
    assert_int_equal(clrnn_state_size(NULL), 0);
    note("clrnn_state_size");
    clrnn_state_destroy(&s);
    NOTHING(clrnn_state_destroy, NULL);
    NOTHING(clrnn_state_destroy, &other);
}

static void diagnosis(void **state)
{
    const struct clrnn_overfit_params overfit = {0};
    const struct clrnn_grow_params grow = {0};
    const struct clrnn_doctor_params doctor = {0};
    const char *const no_spec[1] = {NULL};
    const struct clrnn_compare_params no_list = {.device_count = 1}, no_name = {.device_count = 1, .device = no_spec};
    const struct clrnn_lr_params lr = {0};
    const struct clrnn_sweep_params no_config = {0}, some_config = {.config = "config.yaml"};
    struct clrnn_overfit_result overfitted;
    struct clrnn_lr_result rates;
    struct clrnn_sweep_result swept;
    struct clrnn_grow_result grown;
    struct clrnn_doctor_result examined;
    struct clrnn_compare_result compared = {0};

    (void)state;
    REFUSED_SILENTLY(clrnn_overfit, NULL, config, &overfit, &overfitted);
    REFUSED("config", clrnn_overfit, device, NULL, &overfit, &overfitted);
    REFUSED("params", clrnn_overfit, device, config, NULL, &overfitted);
    REFUSED("result", clrnn_overfit, device, config, &overfit, NULL);
    NOTHING(clrnn_overfit_finish, NULL);
    REFUSED_SILENTLY(clrnn_lr_find, NULL, config, &lr, &rates);
    REFUSED("config", clrnn_lr_find, device, NULL, &lr, &rates);
    REFUSED("params", clrnn_lr_find, device, config, NULL, &rates);
    REFUSED("result", clrnn_lr_find, device, config, &lr, NULL);
    NOTHING(clrnn_lr_finish, NULL);
    REFUSED("params", clrnn_sweep, &log_, NULL, &swept);
    REFUSED("params->config", clrnn_sweep, &log_, &no_config, &swept);
    REFUSED("result", clrnn_sweep, &log_, &some_config, NULL);
    NOTHING(clrnn_sweep_finish, NULL);
    REFUSED_SILENTLY(clrnn_grow, NULL, config, &grow, &grown);
    REFUSED("config", clrnn_grow, device, NULL, &grow, &grown);
    REFUSED("params", clrnn_grow, device, config, NULL, &grown);
    REFUSED("result", clrnn_grow, device, config, &grow, NULL);
    NOTHING(clrnn_grow_finish, NULL);
    REFUSED_SILENTLY(clrnn_doctor, NULL, config, &doctor, &examined);
    REFUSED("config", clrnn_doctor, device, NULL, &doctor, &examined);
    REFUSED("params", clrnn_doctor, device, config, NULL, &examined);
    REFUSED("result", clrnn_doctor, device, config, &doctor, NULL);
    NOTHING(clrnn_doctor_finish, NULL);
    NOTHING(clrnn_findings, NULL);
    REFUSED("config", clrnn_compare, &log_, NULL, NULL, &compared);
    REFUSED("result", clrnn_compare, &log_, config, NULL, NULL);
    REFUSED("params->device", clrnn_compare, &log_, config, &no_list, &compared);
    REFUSED("params->device[i]", clrnn_compare, &log_, config, &no_name, &compared);
    REFUSED("result", clrnn_compare_plot, &log_, NULL, ".");
    REFUSED("folder", clrnn_compare_plot, &log_, &compared, NULL);
    REFUSED("path", clrnn_compare_baseline, &log_, NULL, NULL, NULL);
    REFUSED("changes", clrnn_compare_baseline, &log_, "baseline.json", &compared, NULL);
    NOTHING(clrnn_baseline_finish, NULL);
    assert_null(clrnn_verdict_word((enum clrnn_verdict)100));
    note("clrnn_verdict_word");
    NOTHING(clrnn_compare_finish, NULL);
}

// Runs last: every exported function must have been tried above.
static void all_were_tried(void **state)
{
    FILE *file = fopen(symbols, "r");
    char line[200], name[64];
    size_t missing = 0, exported = 0;

    (void)state;
    assert_non_null(file);
    while (fgets(line, sizeof(line), file)) {
        size_t i = 0;

        if (sscanf(line, " %63[a-z0-9_];", name) != 1 || strncmp(name, "clrnn_", 6) != 0)
            continue;
        exported++;
        while (i < tried_count && strcmp(tried[i], name) != 0)
            i++;
        if (i == tried_count) {
            missing++;
            print_error("%s is exported, but not tried with NULL here\n", name);
        }
    }
    fclose(file);
    assert_true(exported > 50);
    assert_int_equal(missing, 0);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(base),   cmocka_unit_test(configs),   cmocka_unit_test(devices),
        cmocka_unit_test(layers), cmocka_unit_test(models),    cmocka_unit_test(training),
        cmocka_unit_test(states), cmocka_unit_test(diagnosis), cmocka_unit_test(all_were_tried),
    };

    if (argc < 2)
        return 2;
    symbols = argv[1];
    return cmocka_run_group_tests_name("examples/misuse", tests, set_up, tear_down);
}
