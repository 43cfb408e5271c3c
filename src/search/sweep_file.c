// SPDX-License-Identifier: MIT
// Writes sweep.json, reads it to continue a sweep, and writes sweep.csv.
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"
#include "base/json.h"
#include "base/log.h"
#include "base/text.h"
#include "search/sweep.h"
#include "train/folder.h"

static json_t *budgets(const struct clrnn_sweep_result *r)
{
    json_t *all = json_array();

    for (size_t i = 0; i < r->rung_count; i++)
        json_array_append_new(all, json_integer(r->budget[i]));
    return all;
}

enum clrnn_status clrnn_sweep_identify(struct clrnn_sweep *s)
{
    const struct clrnn_sweep_params *p = s->params;
    char *text = clrnn_config_text(s->config);
    json_t *vary = json_array();

    clrnn_json_out_of_memory();
    for (size_t i = 0; i < p->vary_count; i++)
        json_array_append_new(vary, clrnn_json_text(p->vary[i]));
    s->identity = json_pack("{s:o, s:o, s:I, s:I, s:I, s:o, s:s, s:o, s:o, s:o, s:b}", "config", clrnn_json_text(text),
                            "vary", vary, "trials", (json_int_t)s->result->trial_count, "seed", (json_int_t)p->seed,
                            "reduction", (json_int_t)p->reduction, "budget", budgets(s->result), "metric",
                            s->result->metric, "init", clrnn_json_text(p->init), "device", clrnn_json_text(p->device),
                            "gemm", clrnn_json_text(p->gemm), "no_tune", (int)p->no_tune);
    free(text);
    return s->identity && text && !clrnn_json_out_of_memory() ? CLRNN_OK
                                                              : clrnn_error_memory(s->log, 0, "the sweep's file");
}

// ---------------------------------------------------------------- writing

static json_t *trial_json(const struct clrnn_sweep_result *r, const struct clrnn_sweep_trial *t)
{
    json_t *set = json_object(), *rungs = json_array();
    char folder[32];

    snprintf(folder, sizeof(folder), "trial-%03u", t->number);
    for (size_t i = 0; i < r->key_count; i++)
        json_object_set_new(set, r->key[i], clrnn_json_text(t->value[i]));
    for (uint32_t i = 0; i < t->rungs; i++)
        json_array_append_new(rungs, clrnn_json_number(t->rung[i]));
    return json_pack("{s:I, s:s, s:o, s:I, s:o, s:o, s:o}", "trial", (json_int_t)t->number, "folder", folder, "set",
                     set, "epochs", (json_int_t)t->epochs, r->metric, clrnn_json_number(t->metric), "rungs", rungs,
                     "reason", clrnn_json_text(t->reason));
}

enum clrnn_status clrnn_sweep_save(const struct clrnn_sweep *s, bool finished)
{
    const struct clrnn_sweep_result *r = s->result;
    const struct clrnn_sweep_trial *best = finished && r->trial_count && !r->trial[0].reason ? &r->trial[0] : NULL;
    json_t *all, *trials = json_array();

    clrnn_json_out_of_memory();
    for (size_t i = 0; i < r->trial_count; i++)
        json_array_append_new(trials, trial_json(r, &r->trial[i]));
    all = json_pack("{s:s, s:o, s:O, s:s, s:s, s:o, s:b, s:o, s:o}", "version", clrnn_version(), "config",
                    clrnn_json_text(s->config->path), "sweep", s->identity, "metric", r->metric, "best_is",
                    r->highest ? "highest" : "lowest", "budgets", budgets(r), "finished", (int)finished, "best",
                    best ? json_integer(best->number) : json_null(), "trials", trials);
    return clrnn_folder_json(s->log, r->folder, "sweep.json", all,
                             JSON_INDENT(1) | JSON_REAL_PRECISION(17), // 17 digits are read back exactly
                             "", "the sweep's file");
}

// Writes a cell of a CSV file, in quotes if the text contains a comma, a quote or a line break.
static void write_cell(struct clrnn_out *out, const char *text)
{
    if (!text[strcspn(text, ",\"\r\n")]) {
        clrnn_out_printf(out, "%s", text);
        return;
    }
    clrnn_out_printf(out, "\"");
    for (; *text; text++)
        clrnn_out_printf(out, *text == '"' ? "\"\"" : "%c", *text);
    clrnn_out_printf(out, "\"");
}

enum clrnn_status clrnn_sweep_table(const struct clrnn_sweep *s)
{
    const struct clrnn_sweep_result *r = s->result;
    char *path = clrnn_path_join(r->folder, "sweep.csv");
    struct clrnn_out *out = NULL;
    const enum clrnn_status st = path ? clrnn_out_open(s->log, path, &out) : clrnn_error_memory(s->log, 0, "a path");

    free(path);
    TRY(st);
    clrnn_out_printf(out, "trial,epochs,%s", r->metric);
    for (size_t i = 0; i < r->key_count; i++) {
        clrnn_out_printf(out, ",");
        write_cell(out, r->key[i]);
    }
    clrnn_out_printf(out, ",reason\n");
    for (size_t i = 0; i < r->trial_count; i++) {
        const struct clrnn_sweep_trial *t = &r->trial[i];

        clrnn_out_printf(out, "%u,%u,", t->number, t->epochs);
        if (isfinite(t->metric))
            clrnn_out_printf(out, "%.9g", t->metric);
        for (size_t k = 0; k < r->key_count; k++) {
            clrnn_out_printf(out, ",");
            write_cell(out, t->value[k]);
        }
        clrnn_out_printf(out, ",");
        write_cell(out, t->reason ? t->reason : "");
        clrnn_out_printf(out, "\n");
    }
    return clrnn_out_commit(&out);
}

// ---------------------------------------------------------------- reading

// Loads the metrics of the rungs that a trial has passed and, if the trial failed, the reason. Returns false if `from`
// is not an entry of this sweep, or if there is no memory.
static bool load_trial(const json_t *from, struct clrnn_sweep_result *r)
{
    const json_int_t n = json_integer_value(json_object_get(from, "trial"));
    const json_t *rungs = json_object_get(from, "rungs"), *reason = json_object_get(from, "reason");
    struct clrnn_sweep_trial *t;

    if (n < 1 || n > (json_int_t)r->trial_count || json_array_size(rungs) > r->rung_count)
        return false;
    t = &r->trial[n - 1]; // the trials are still in the order of their numbers
    if (t->rungs || t->reason)
        return false; // a second entry of the same trial
    t->rungs = (uint32_t)json_array_size(rungs);
    for (uint32_t i = 0; i < t->rungs; i++)
        t->rung[i] = json_number_value(json_array_get(rungs, i));
    if (t->rungs) {
        t->epochs = r->budget[t->rungs - 1];
        t->metric = t->rung[t->rungs - 1];
    }
    if (json_is_string(reason)) {
        t->reason = strdup(json_string_value(reason));
        if (t->reason)
            clrnn_text_unescape(t->reason);
    }
    return !json_is_string(reason) || t->reason;
}

// Compares the parameters of this sweep, `mine`, with those of the sweep in the folder, `theirs`. Returns the first key
// whose values differ, or NULL if all are equal.
static const char *difference(json_t *mine, json_t *theirs)
{
    const char *key;
    json_t *value;

    json_object_foreach(mine, key, value) if (!json_equal(value, json_object_get(theirs, key))) return key;
    return NULL;
}

enum clrnn_status clrnn_sweep_load(struct clrnn_sweep *s)
{
    struct clrnn_sweep_result *r = s->result;
    char *path = clrnn_path_join(r->folder, "sweep.json");
    json_t *all = NULL;
    const char *other;
    enum clrnn_status st = path ? CLRNN_OK : clrnn_error_memory(s->log, 0, "a path");
    size_t i;
    json_t *trial;

    if (st == CLRNN_OK && access(path, F_OK) == 0)
        st = clrnn_json_read(s->log, path, &all);
    if (st == CLRNN_OK && all) {
        other = difference(s->identity, json_object_get(all, "sweep"));
        if (other)
            st = clrnn_error(s->log, CLRNN_ERR_ARG,
                             "%s: holds another sweep, which differs in %s: name another folder (--out), or say the "
                             "same as there to go on with it",
                             r->folder, other);
        json_array_foreach(json_object_get(all, "trials"), i, trial) if (st == CLRNN_OK && !load_trial(trial, r)) st =
            clrnn_error(s->log, CLRNN_ERR_DATA, "%s: has a trial that this sweep cannot have", path);
    }
    json_decref(all);
    free(path);
    return st;
}
