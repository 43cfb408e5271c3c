// SPDX-License-Identifier: MIT
// Makes JSON of the result of clrnn compare.
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/json.h"
#include "base/text.h"
#include "tools/compare.h"

// Makes a JSON text, or null for "".
static json_t *text_or_null(const char *text)
{
    return clrnn_json_text(text[0] ? text : NULL);
}

json_t *compare_selftest_json(const struct clrnn_selftest_result *result)
{
    json_t *ops = json_array();

    for (uint32_t i = 0; i < result->op_count; i++) {
        const struct clrnn_selftest_op *op = &result->op[i];

        cli_json_append(&ops,
                        json_pack("{s:s, s:I, s:I, s:o, s:o, s:o}", "op", op->op, "cases", (json_int_t)op->cases,
                                  "wrong", (json_int_t)op->wrong, "error", cli_json_number(op->error), "share_of_bound",
                                  cli_json_number(op->share), "fault", text_or_null(op->fault)));
    }
    return json_pack("{s:f, s:b, s:o}", "seconds", result->seconds, "shortened", (int)result->shortened, "ops", ops);
}

// ---------------------------------------------------------------- writing

static json_t *deviation(struct clrnn_deviation d)
{
    return json_pack("{s:o, s:o}", "error", cli_json_number(d.error), "bound", cli_json_number(d.bound));
}

static json_t *numbers(const double *v, size_t count)
{
    json_t *array = json_array();

    for (size_t i = 0; i < count; i++)
        cli_json_append(&array, cli_json_number(v[i]));
    return array;
}

static json_t *first_step(const struct clrnn_compare_result *r, const struct clrnn_compare_row *row)
{
    json_t *gradients;

    if (!row->steps || row->is_ref)
        return json_null();
    gradients = json_object();
    for (size_t i = 0; i < r->param_count; i++)
        json_object_set_new(gradients, r->param[i], deviation(row->gradient[i]));
    return json_pack("{s:o, s:o, s:o, s:o}", "loss", deviation(row->loss), "logits", deviation(row->logits),
                     "gradients", gradients, "worst_gradient",
                     clrnn_json_text(r->param_count ? r->param[row->worst_gradient] : NULL));
}

static json_t *timing(const struct clrnn_timing *t)
{
    return json_pack("{s:o, s:o, s:o, s:I, s:o}", "median", cli_json_number(t->median), "min", cli_json_number(t->min),
                     "max", cli_json_number(t->max), "reps", (json_int_t)t->reps, "spread",
                     cli_json_number((t->max - t->min) / t->median));
}

static json_t *row_json(const struct clrnn_compare_result *r, size_t at)
{
    static const struct clrnn_timing untimed = {NAN, NAN, NAN, 0};
    const struct clrnn_compare_row *row = &r->row[at];
    json_t *all = json_pack(
        "{s:s, s:o, s:o, s:o, s:o, s:s?, s:o, s:s?, s:o, s:o}", "device", row->spec, "name", clrnn_json_text(row->name),
        "platform", clrnn_json_text(row->platform), "driver", clrnn_json_text(row->driver), "opencl",
        clrnn_json_text(row->opencl), "verdict", clrnn_verdict_word(row->verdict), "reason", text_or_null(row->reason),
        "self_test_verdict", clrnn_verdict_word(row->test.verdict), "self_test_reason", text_or_null(row->test.reason),
        "self_test", row->test.verdict == CLRNN_VERDICT_NONE ? json_null() : compare_selftest_json(&row->test.result));
    json_t *more =
        json_pack("{s:o, s:I, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o}", "first_step", first_step(r, row), "steps",
                  (json_int_t)row->steps, "loss", numbers(row->curve, row->steps), "deviation",
                  numbers(r->deviation + at * r->steps, row->steps), "leaves_at_step",
                  row->leaves ? json_integer(row->leaves) : json_null(), "blamed_op", text_or_null(row->blamed_op),
                  "blamed_tensor", text_or_null(row->blamed_tensor), "blame", text_or_null(row->blame), "final_loss",
                  cli_json_number(row->final_loss), "final_accuracy", cli_json_number(row->final_accuracy), "final",
                  deviation(row->final));
    json_t *speed =
        json_pack("{s:o, s:o, s:o, s:o, s:f, s:f, s:o, s:o, s:o, s:o, s:o, s:I, s:I}", "build_cold_s",
                  cli_json_number(row->build_cold_s), "build_warm_s", cli_json_number(row->build_warm_s), "step_ms",
                  timing(r->speed ? &row->step_ms : &untimed), "samples_per_s",
                  cli_json_number(r->speed ? row->samples_per_s : (double)NAN), "flops_per_step", row->flops,
                  "bytes_per_step", row->bytes, "gflops", cli_json_number(r->speed ? row->gflops : (double)NAN),
                  "gb_per_s", cli_json_number(r->speed ? row->gb_per_s : (double)NAN), "peak_gflops",
                  cli_json_number(row->peak.gflops), "peak_gb_per_s", cli_json_number(row->peak.gb_per_s), "unmeasured",
                  text_or_null(row->unmeasured), "launches_per_step", (json_int_t)row->launches_per_step,
                  "peak_device_bytes", (json_int_t)row->peak_device_bytes);

    if (!all || !more || !speed || json_object_update(all, more) || json_object_update(all, speed)) {
        json_decref(all);
        all = NULL;
    }
    json_decref(more);
    json_decref(speed);
    return all;
}

// Makes a JSON array with one entry for each device: the device's changes since the earlier run.
static json_t *changes_json(const struct clrnn_compare_result *r, const struct clrnn_baseline_result *changes)
{
    json_t *devices = json_array();

    for (size_t row = 0, at = 0; row < r->row_count; row++) {
        json_t *lines = json_array();

        for (; at < changes->count && changes->change[at].row == row; at++)
            cli_json_append(&lines, clrnn_json_text(changes->change[at].text));
        cli_json_append(&devices, json_pack("{s:s, s:o, s:o}", "device", r->row[row].spec, "name",
                                            clrnn_json_text(r->row[row].name), "changes", lines));
    }
    return devices;
}

json_t *compare_json(const struct clrnn_compare_result *r, const struct clrnn_baseline_result *changes)
{
    json_t *rows = json_array(), *all;

    for (size_t i = 0; i < r->row_count; i++)
        cli_json_append(&rows, row_json(r, i));
    all =
        json_pack("{s:s, s:b, s:b, s:I, s:I, s:I, s:s, s:I, s:o, s:o}", "config_key", r->config_key, "agree",
                  (int)r->agree, "speed", (int)r->speed, "steps", (json_int_t)r->steps, "batch", (json_int_t)r->batch,
                  "judged_samples", (json_int_t)r->judged, "judged", r->judged_valid ? "valid" : "train", "noise_runs",
                  (json_int_t)r->noise_runs, "loss_bound", numbers(r->bound, r->steps), "devices", rows);
    if (all && changes && json_object_set_new(all, "baseline", changes_json(r, changes))) {
        json_decref(all);
        all = NULL;
    }
    return all;
}
