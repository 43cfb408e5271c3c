// SPDX-License-Identifier: MIT
// The doctor: examines config and data, then the model by probes and a short training, and reports what
// keeps the model from learning.
#include "diagnose/doctor/doctor.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/array.h"
#include "base/clock.h"
#include "base/file.h"
#include "base/log.h"
#include "base/words.h"
#include "diagnose/doctor/report.h"
#include "diagnose/doctor/trial.h"
#include "diagnose/fit.h"
#include "train/feed.h"

#define DEFAULT_SECONDS 45.0

// ---------------------------------------------------------------- the result

static char *make_verdict(const struct clrnn_doctor *d)
{
    const struct clrnn_doctor_result *r = d->result;
    size_t count[3] = {0};
    char ids[512] = "";

    for (size_t i = 0; i < r->count; i++) {
        const size_t used = strlen(ids);

        if (r->finding[i].severity != CLRNN_SEVERITY_NOTE && !strstr(ids, r->finding[i].id))
            snprintf(ids + used, sizeof(ids) - used, "%s%s", used ? ", " : "", r->finding[i].id);
        count[r->finding[i].severity]++;
    }
    if (!count[CLRNN_SEVERITY_ERROR] && !count[CLRNN_SEVERITY_WARNING])
        return clrnn_format("Nothing was found that keeps this model from learning%s.",
                            d->params->static_only ? " (config and data alone were looked at)"
                            : d->params->no_train  ? " (without the short training)"
                            : d->not_run           ? ", but it was not run"
                                                   : "");
    return clrnn_format("%zu error%s and %zu warning%s: %s.%s%s", count[0], count[0] == 1 ? "" : "s", count[1],
                        count[1] == 1 ? "" : "s", ids, d->not_run ? " The model was not run: " : "",
                        d->not_run ? d->not_run : "");
}

// Sets each text of the finding that is still NULL: cost and remedy from the table of findings, others to "".
static enum clrnn_status complete(struct clrnn_doctor *d, struct clrnn_finding *f)
{
    char **const text[] = {&f->where, &f->evidence, &f->cost, &f->remedy, &f->tried};
    const struct clrnn_finding_info *row = clrnn_finding_table;

    while (row->id != f->id)
        row++;
    for (size_t k = 0; k < ARRAY_SIZE(text); k++) {
        const char *const standard[] = {"", "", row->cost, row->remedy, ""};

        if (!*text[k] && !(*text[k] = clrnn_format("%s", standard[k])))
            return clrnn_error_memory(d->log, 0, "the doctor's findings");
    }
    return CLRNN_OK;
}

// Sets the result's `fixed` to the config with all changes that the findings offer, as text.
static enum clrnn_status make_fixed(struct clrnn_doctor *d)
{
    const struct clrnn_doctor_result *r = d->result;
    const char **set = calloc(MAX2(r->count, 1), sizeof(*set));
    struct clrnn_config *changed = NULL;
    enum clrnn_status st = CLRNN_OK;
    size_t count = 0;

    if (!set)
        return clrnn_error_memory(d->log, r->count * sizeof(*set), "the repaired config");
    for (size_t i = 0; i < r->count; i++)
        if (r->finding[i].set)
            set[count++] = r->finding[i].set;
    if (count)
        st = clrnn_doctor_apply(d, count, set, &changed);
    if (st == CLRNN_OK && changed && !(d->result->fixed = clrnn_config_text(changed)))
        st = clrnn_error_memory(d->log, 0, "the repaired config");
    clrnn_config_destroy(&changed);
    free(set);
    return st;
}

// Adds to the verdict the result of d->best, the last trial that helped.
static enum clrnn_status say_what_all_bring(const struct clrnn_doctor *d)
{
    char *text, *longer;
    bool recall = false;

    if (!d->best.ran || !d->result->verdict)
        return CLRNN_OK;
    for (size_t i = 0; i < d->result->count; i++)
        recall |= d->result->finding[i].outcome == CLRNN_TRIED_HELPS && clrnn_finding_by_recall(&d->result->finding[i]);
    text = clrnn_trial_text(&d->asked, &d->best, recall);
    longer = text ? clrnn_format("%s With the changes: %s.", d->result->verdict, text) : NULL;
    free(text);
    if (!longer)
        return clrnn_error_memory(d->log, 0, "the doctor's verdict");
    free(d->result->verdict);
    d->result->verdict = longer;
    return CLRNN_OK;
}

static enum clrnn_status conclude(struct clrnn_doctor *d)
{
    TRY(d->status);
    for (size_t i = 0; i < d->result->count; i++)
        TRY(complete(d, &d->result->finding[i]));
    TRY(clrnn_doctor_order(d, true));
    TRY(clrnn_doctor_try(d));
    d->result->verdict = make_verdict(d);
    TRY(say_what_all_bring(d));
    d->result->first = clrnn_doctor_first(d->result);
    if (!d->result->verdict || !d->result->first)
        return clrnn_error_memory(d->log, 0, "the doctor's verdict");
    return make_fixed(d);
}

// ---------------------------------------------------------------- data

// Sets d->config to a copy of the config with larger batches. Batchnorm cannot normalise a batch of one row, and with
// larger batches the model can be run to find other faults.
static enum clrnn_status enlarge_batches(struct clrnn_doctor *d)
{
    const char *id = clrnn_finding_table[CLRNN_FINDING_BATCH_OF_ONE_BATCHNORM].id;
    const char *larger = d->result->finding[clrnn_doctor_place_of(d->result, id)].set;

    TRY(clrnn_doctor_apply(d, 1, &larger, &d->enlarged));
    d->config = d->enlarged;
    d->batches =
        clrnn_batch_count(clrnn_dataset_info(d->train)->S, d->config->train.batch_size, d->config->train.drop_last);
    return CLRNN_OK;
}

static enum clrnn_status examine(struct clrnn_doctor *d)
{
    const struct clrnn_train_config *t = &d->config->train;
    const struct clrnn_dataset_info *info;

    TRY(clrnn_dataset_open_named(d->log, d->config, CLRNN_CHECK_SHAPES_ONLY, true, &d->train, &d->valid));
    TRY(clrnn_layers_fit(d->log, d->config, d->train, &d->outputs));
    info = clrnn_dataset_info(d->train);
    d->T = info->T;
    d->per_step = clrnn_layers_steps(d->config, d->config->layer_count, d->T) != 1;
    d->batches = clrnn_batch_count(info->S, t->batch_size, t->drop_last);
    TRY(clrnn_doctor_scan_data(d, d->train, &d->train_scan));
    if (d->valid)
        TRY(clrnn_doctor_scan_data(d, d->valid, &d->valid_scan));
    clrnn_doctor_check_layers(d);
    clrnn_doctor_check_training(d);
    clrnn_doctor_check_inputs(d);
    clrnn_doctor_check_labels(d);
    TRY(clrnn_doctor_compare_sets(d));
    TRY(d->status);
    if (d->sorted && (d->params->static_only || d->params->no_train || d->not_run))
        clrnn_doctor_report_order(d, CLRNN_SEVERITY_WARNING, NULL); // no training will show whether the order does harm
    if (d->params->static_only || d->not_run || clrnn_doctor_stopped(d))
        return CLRNN_OK;
    if (clrnn_doctor_found(d, CLRNN_FINDING_BATCH_OF_ONE_BATCHNORM))
        TRY(enlarge_batches(d));
    return clrnn_doctor_run_model(d);
}

enum clrnn_status clrnn_doctor(struct clrnn_device *device, const struct clrnn_config *config,
                               const struct clrnn_doctor_params *params, struct clrnn_doctor_result *result)
{
    CLRNN_C_LOCALE;
    NEED(clrnn_device_log(device), device);
    NEED(clrnn_device_log(device), config);
    NEED(clrnn_device_log(device), params);
    NEED(clrnn_device_log(device), result);

    struct clrnn_doctor d = {
        .device = device,
        .log = clrnn_device_log(device),
        .config = config,
        .params = params,
        .result = result,
        .chance = NAN,
        .started = clrnn_clock(),
        .seconds = params->seconds > 0 ? params->seconds : DEFAULT_SECONDS,
    };
    enum clrnn_status st;

    *result = (struct clrnn_doctor_result){0};
    st = clrnn_doctor_plot_check(&d);
    if (st == CLRNN_OK)
        st = examine(&d);
    if (st == CLRNN_OK)
        st = clrnn_doctor_stopped(&d) ? CLRNN_INTERRUPTED : conclude(&d);
    if (st == CLRNN_OK)
        st = clrnn_doctor_report_page(&d);
    for (size_t i = 0; i < ARRAY_SIZE(d.gradient); i++) {
        free(d.gradient[i].layer);
        free(d.gradient[i].time);
    }
    clrnn_trial_finish(&d.asked);
    clrnn_config_destroy(&d.enlarged);
    clrnn_trial_finish(&d.best);
    clrnn_doctor_scan_finish(&d.train_scan);
    clrnn_doctor_scan_finish(&d.valid_scan);
    clrnn_dataset_close(&d.train);
    clrnn_dataset_close(&d.valid);
    if (st != CLRNN_OK)
        clrnn_doctor_finish(result);
    return st;
}

void clrnn_doctor_finish(struct clrnn_doctor_result *result)
{
    if (!result)
        return;

    for (size_t i = 0; i < result->count; i++) {
        struct clrnn_finding *f = &result->finding[i];

        free(f->where);
        free(f->evidence);
        free(f->cost);
        free(f->remedy);
        free(f->set);
        free(f->tried);
    }
    free(result->finding);
    free(result->first);
    free(result->verdict);
    free(result->fixed);
    *result = (struct clrnn_doctor_result){0};
}
