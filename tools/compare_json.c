// SPDX-License-Identifier: MIT
// A comparison as JSON, and beside the JSON of an earlier one.
#include <math.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "base/array.h"
#include "base/file.h"
#include "base/hash.h"
#include "base/json.h"
#include "base/log.h"
#include "base/text.h"
#include "tools/compare.h"

#define SLOWER 1.1 // times the earlier median, and beyond both runs' spread
#define BUILD_SLOWER_S 0.5

const char *compare_verdict(enum clrnn_verdict verdict)
{
    static const char *const words[] = {NULL, "ok", "wrong", "broken"};

    return words[verdict];
}

// null for "".
static json_t *text_or_null(const char *text)
{
    return clrnn_json_text(text[0] ? text : NULL);
}

json_t *compare_selftest_json(const struct clrnn_selftest_result *result)
{
    json_t *ops = json_array();

    for (uint32_t i = 0; i < result->op_count; i++) {
        const struct clrnn_selftest_op *op = &result->op[i];

        cli_json_append(&ops, json_pack("{s:s, s:I, s:I, s:o, s:o, s:o}", "op", op->op, "cases",
                                        (json_int_t)op->cases, "wrong", (json_int_t)op->wrong, "error",
                                        cli_json_number(op->error), "share_of_bound",
                                        cli_json_number(op->share), "fault", text_or_null(op->fault)));
    }
    return json_pack("{s:f, s:b, s:o}", "seconds", result->seconds, "shortened", (int)result->shortened,
                     "ops", ops);
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
    return json_pack("{s:o, s:o, s:o, s:I, s:o}", "median", cli_json_number(t->median), "min",
                     cli_json_number(t->min), "max", cli_json_number(t->max), "reps", (json_int_t)t->reps,
                     "spread", cli_json_number((t->max - t->min) / t->median));
}

static json_t *row_json(const struct clrnn_compare_result *r, size_t at)
{
    const struct clrnn_compare_row *row = &r->row[at];
    json_t *all = json_pack(
        "{s:s, s:o, s:o, s:o, s:o, s:s?, s:o, s:s?, s:o, s:o}", "device", row->spec, "name",
        clrnn_json_text(row->name), "platform", clrnn_json_text(row->platform), "driver",
        clrnn_json_text(row->driver), "opencl", clrnn_json_text(row->opencl), "verdict",
        compare_verdict(row->verdict), "reason", text_or_null(row->reason), "self_test_verdict",
        compare_verdict(row->test.verdict), "self_test_reason", text_or_null(row->test.reason), "self_test",
        row->test.verdict == CLRNN_VERDICT_NONE ? json_null() : compare_selftest_json(&row->test.result));
    json_t *more =
        json_pack("{s:o, s:I, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o}", "first_step", first_step(r, row),
                  "steps", (json_int_t)row->steps, "loss", numbers(row->curve, row->steps), "deviation",
                  numbers(r->deviation + at * r->steps, row->steps), "leaves_at_step",
                  row->leaves ? json_integer(row->leaves) : json_null(), "blamed_op",
                  text_or_null(row->blamed_op), "blamed_tensor", text_or_null(row->blamed_tensor), "blame",
                  text_or_null(row->blame), "final_loss", cli_json_number(row->final_loss), "final_accuracy",
                  cli_json_number(row->final_accuracy), "final", deviation(row->final));
    json_t *speed = json_pack(
        "{s:o, s:o, s:o, s:o, s:f, s:f, s:o, s:o, s:o, s:o, s:o, s:I, s:I}", "build_cold_s",
        cli_json_number(row->build_cold_s), "build_warm_s", cli_json_number(row->build_warm_s), "step_ms",
        timing(&row->step_ms), "samples_per_s", cli_json_number(row->samples_per_s), "flops_per_step",
        row->flops, "bytes_per_step", row->bytes, "gflops", cli_json_number(row->gflops), "gb_per_s",
        cli_json_number(row->gb_per_s), "peak_gflops", cli_json_number(row->peak.gflops), "peak_gb_per_s",
        cli_json_number(row->peak.gb_per_s), "unmeasured", text_or_null(row->unmeasured), "launches_per_step",
        (json_int_t)row->launches_per_step, "peak_device_bytes", (json_int_t)row->peak_device_bytes);

    if (!all || !more || !speed || json_object_update(all, more) || json_object_update(all, speed)) {
        json_decref(all);
        all = NULL;
    }
    json_decref(more);
    json_decref(speed);
    return all;
}

// What tells one config from another; "" without memory.
static void config_key(const struct clrnn_config *config, char hex[33])
{
    char *text = clrnn_config_text(config);
    struct clrnn_hash h;

    hex[0] = 0;
    if (!text)
        return;
    clrnn_hash_init(&h);
    clrnn_hash_add_text(&h, text);
    clrnn_hash_hex(&h, hex);
    free(text);
}

json_t *compare_json(const struct clrnn_config *config, const struct clrnn_compare_result *r,
                     json_t *baseline)
{
    json_t *rows = json_array(), *all;
    char key[33];

    config_key(config, key);
    for (size_t i = 0; i < r->row_count; i++)
        cli_json_append(&rows, row_json(r, i));
    all = json_pack("{s:s, s:o, s:s, s:b, s:b, s:I, s:I, s:I, s:s, s:I, s:o, s:o}", "clrnn", clrnn_version(),
                    "config", clrnn_json_text(config->path), "config_key", key, "agree", (int)r->agree,
                    "speed", (int)r->speed, "steps", (json_int_t)r->steps, "batch", (json_int_t)r->batch,
                    "judged_samples", (json_int_t)r->judged, "judged", r->judged_valid ? "valid" : "train",
                    "noise_runs", (json_int_t)r->noise_runs, "loss_bound", numbers(r->bound, r->steps),
                    "devices", rows);
    if (all && baseline && json_object_set(all, "baseline", baseline)) {
        json_decref(all);
        all = NULL;
    }
    json_decref(baseline);
    return all;
}

enum clrnn_status compare_write_json(const struct cli *cli, const char *path, const json_t *json)
{
    char *text = clrnn_json_dump(json, JSON_INDENT(1)), *line = text ? clrnn_format("%s\n", text) : NULL;
    enum clrnn_status st;

    if (line && strcmp(path, "-") == 0) {
        fputs(line, stdout);
        st = CLRNN_OK;
    } else {
        st = line ? clrnn_write_text(&cli->log, path, line)
                  : clrnn_error_memory(&cli->log, 0, "the comparison as JSON");
    }
    free(line);
    free(text);
    return st;
}

// ---------------------------------------------------------------- beside an earlier run

struct beside {
    json_t *then;  // the device's object of the earlier run
    json_t *lines; // what changed, sentences
    const struct clrnn_compare_result *r;
    size_t at;
    bool same_run; // config and steps are the same
};

static void CLRNN_PRINTF(2, 3) note(struct beside *b, const char *format, ...)
{
    char text[512];
    va_list arguments;

    va_start(arguments, format);
    vsnprintf(text, sizeof(text), format, arguments);
    va_end(arguments);
    cli_json_append(&b->lines, clrnn_json_text(text));
}

// A number of the earlier run; NaN where it has none.
static double then_number(const struct beside *b, const char *key)
{
    const json_t *value = json_object_get(b->then, key);

    return json_is_number(value) ? json_number_value(value) : NAN;
}

static const char *then_text(const struct beside *b, const char *key)
{
    const char *text = json_string_value(json_object_get(b->then, key));

    return text ? text : "";
}

static void hold_words(struct beside *b)
{
    const struct clrnn_compare_row *row = &b->r->row[b->at];
    const char *verdict = compare_verdict(row->verdict);

    if (strcmp(then_text(b, "driver"), row->driver))
        note(b, "driver %s, then %s", row->driver, then_text(b, "driver"));
    if (strcmp(then_text(b, "opencl"), row->opencl))
        note(b, "%s, then %s", row->opencl, then_text(b, "opencl"));
    if (verdict && strcmp(then_text(b, "verdict"), verdict))
        note(b, "DIFFERENT: verdict %s, then %s", verdict, then_text(b, "verdict"));
}

static void hold_curve(struct beside *b)
{
    const struct clrnn_compare_row *row = &b->r->row[b->at];
    const json_t *curve = json_object_get(b->then, "loss");
    size_t differing = 0;

    if (!b->same_run)
        return;
    for (uint32_t s = 0; s < row->steps && s < json_array_size(curve); s++) {
        const json_t *value = json_array_get(curve, s);
        const double then = json_is_number(value) ? json_number_value(value) : NAN, now = row->curve[s];

        if (now == then || (isnan(now) && isnan(then)))
            continue;
        differing++;
        if (!(fabs(now - then) <= b->r->bound[s] * fmax(fabs(then), 0.01))) {
            note(b, "DIFFERENT: the loss of step %u is %.9g, then %.9g, more than rounding explains", s + 1,
                 now, then);
            return;
        }
    }
    if (differing)
        note(b, "other bits, within rounding: %zu of %u losses", differing, row->steps);
}

static void hold_speed(struct beside *b)
{
    const struct clrnn_compare_row *row = &b->r->row[b->at];
    const struct clrnn_timing *now = &row->step_ms;
    struct beside then = {.then = json_object_get(b->then, "step_ms")};
    const double median = then_number(&then, "median"), least = then_number(&then, "min");
    const double most = then_number(&then, "max"), bytes = then_number(b, "peak_device_bytes");
    static const char *const builds[] = {"build_cold_s", "build_warm_s"};

    if (now->median > SLOWER * median && now->min > median && now->median > most)
        note(b, "SLOWER: %.3f ms a step, then %.3f (%.2f times)", now->median, median, now->median / median);
    else if (median > SLOWER * now->median && least > now->median)
        note(b, "faster: %.3f ms a step, then %.3f (%.2f times)", now->median, median, median / now->median);
    for (int i = 0; i < 2; i++) {
        const double s = i ? row->build_warm_s : row->build_cold_s, earlier = then_number(b, builds[i]);

        if (s > SLOWER * earlier && s - earlier > BUILD_SLOWER_S)
            note(b, "SLOWER: %s build %.2f s, then %.2f s", i ? "warm" : "cold", s, earlier);
    }
    if ((double)row->peak_device_bytes > SLOWER * bytes)
        note(b, "more device memory: %llu bytes, then %.0f", (unsigned long long)row->peak_device_bytes,
             bytes);
}

// The same device of the earlier run: by name and platform, since numbers change.
static json_t *find_then(const json_t *devices, const struct clrnn_compare_row *row)
{
    size_t i;
    json_t *d;

    json_array_foreach(devices, i, d)
    {
        struct beside b = {.then = d};

        if (!strcmp(then_text(&b, "name"), row->name) && !strcmp(then_text(&b, "platform"), row->platform))
            return d;
    }
    return NULL;
}

static void print_changes(const struct clrnn_compare_row *row, const json_t *lines)
{
    size_t i;
    json_t *line;

    if (!json_array_size(lines))
        printf("%-8s nothing changed\n", row->spec);
    json_array_foreach(lines, i, line)
        printf("%-8s %s\n", i ? "" : row->spec, cli_shown(json_string_value(line)));
}

enum clrnn_status compare_baseline_read(const struct cli *cli, const char *path, json_t **then)
{
    TRY(clrnn_json_read(&cli->log, path, then));
    if (json_is_array(json_object_get(*then, "devices")))
        return CLRNN_OK;
    clrnn_error(&cli->log, CLRNN_ERR_DATA,
                "%s: it holds no devices; expected what `clrnn compare --json FILE` wrote", path);
    json_decref(*then);
    *then = NULL;
    return CLRNN_ERR_DATA;
}

json_t *compare_baseline(const char *path, const json_t *then, const struct clrnn_config *config,
                         const struct clrnn_compare_result *r, bool print)
{
    const json_t *devices = json_object_get(then, "devices");
    const char *then_key = json_string_value(json_object_get(then, "config_key"));
    const bool timed = r->speed && json_is_true(json_object_get(then, "speed"));
    json_t *changes = json_array();
    bool same_run;
    char key[33];

    config_key(config, key);
    same_run = then_key && !strcmp(then_key, key) &&
               json_integer_value(json_object_get(then, "steps")) == (json_int_t)r->steps;
    if (print)
        printf("\nAgainst %s%s\n", cli_shown(path),
               same_run ? "" : " (of another config or other steps: losses are not compared)");
    for (size_t i = 0; i < r->row_count; i++) {
        struct beside b = {.then = find_then(devices, &r->row[i]),
                           .lines = json_array(),
                           .r = r,
                           .at = i,
                           .same_run = same_run};

        if (b.then) {
            hold_words(&b);
            hold_curve(&b);
            if (timed)
                hold_speed(&b);
        } else {
            note(&b, "not there then");
        }
        if (print)
            print_changes(&r->row[i], b.lines);
        cli_json_append(&changes, json_pack("{s:s, s:o, s:o}", "device", r->row[i].spec, "name",
                                            clrnn_json_text(r->row[i].name), "changes", b.lines));
    }
    return changes;
}
