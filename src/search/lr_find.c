// SPDX-License-Identifier: MIT
// Finds a learning rate: runs the range test and the short trainings, and writes the results into a folder.
#include "search/lr_find.h"
#include "search/say.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/array.h"
#include "base/log.h"
#include "base/words.h"
#include "model/schedule.h"
#include "train/folder.h"

#define DEFAULT_FROM 1e-7
#define DEFAULT_TO 10.0
#define DEFAULT_RANGE_STEPS 160u
#define DEFAULT_STEPS 1000u

static const struct clrnn_folder_kind lr_kind = {
    .noun = "learning-rate search", .mark = ".clrnn-lr-find", .then = "replaced"};

// Chooses the length of a short training in whole epochs: a fifth of the config's epochs, but at least five. It is
// never longer than the config's epochs, or than params->steps training steps, rounded to whole epochs. If a single
// epoch has more than params->steps steps, the short training ends after params->steps steps.
static void choose_length(struct clrnn_lr_finder *f)
{
    struct clrnn_lr_result *r = f->result;
    const uint32_t epochs = MAX2(f->config->train.epochs, 1u);
    const uint64_t most = f->params->steps, batches = f->data.batches;
    const uint64_t most_epochs = MAX2((most + batches / 2) / batches, 1);

    r->epochs = (uint32_t)MIN2(MAX2((epochs + 2) / 5, MIN2(epochs, 5u)), most_epochs);
    r->steps = (uint32_t)(r->epochs > 1 ? r->epochs * batches : MIN2(batches, most));
    r->valid = f->data.valid;
}

static enum clrnn_status find(struct clrnn_lr_finder *f)
{
    struct clrnn_lr_result *r = f->result;

    choose_length(f);
    clrnn_search_say(f->params->progress, f->params->progress_user, "range test from lr %g to %g in at most %u steps",
                     f->params->from, f->params->to, f->params->range_steps);
    TRY(clrnn_lr_range(f));
    if (f->params->no_trials)
        r->suggestion = r->classic;
    else
        TRY(clrnn_lr_trials(f));
    TRY(clrnn_lr_save(f));
    return isfinite(r->suggestion) ? CLRNN_OK : CLRNN_FAILED;
}

enum clrnn_status clrnn_lr_find(struct clrnn_device *device, const struct clrnn_config *config,
                                const struct clrnn_lr_params *params, struct clrnn_lr_result *result)
{
    CLRNN_C_LOCALE;
    const struct clrnn_log *log = clrnn_device_log(device);

    NEED(log, device);
    NEED(log, config);
    NEED(log, params);
    NEED(log, result);

    struct clrnn_lr_params p = *params;
    struct clrnn_lr_finder f = {.device = device, .log = log, .config = config, .params = &p, .result = result};
    enum clrnn_status st;
    int lock = -1;

    *result = (struct clrnn_lr_result){
        .suggestion = NAN, .best_trial = NAN, .steepest = NAN, .lowest = NAN, .diverged = NAN, .classic = NAN};
    clrnn_schedule_peak_key(&config->train, result->key);
    p.from = p.from > 0 ? p.from : DEFAULT_FROM;
    p.to = p.to > 0 ? p.to : DEFAULT_TO;
    p.range_steps = p.range_steps ? p.range_steps : DEFAULT_RANGE_STEPS;
    p.steps = p.steps ? p.steps : DEFAULT_STEPS;
    if (!(p.from < p.to) || !isfinite(p.to))
        return clrnn_error(log, CLRNN_ERR_ARG, "the range test goes from lr %g to %g: expected a larger end", p.from,
                           p.to);
    st = clrnn_data_sets_open(log, config, CLRNN_CHECK_ALL, &f.data);
    if (st == CLRNN_OK)
        st = clrnn_folder_choose(log, &lr_kind, config, "lr-find", p.out, result->folder);
    if (st == CLRNN_OK)
        st = clrnn_folder_lock(log, &lr_kind, result->folder, &lock);
    if (st == CLRNN_OK)
        st = find(&f);
    if (lock >= 0)
        close(lock);
    clrnn_data_sets_close(&f.data);
    if (st != CLRNN_OK && st != CLRNN_FAILED)
        clrnn_lr_finish(result);
    return st;
}

void clrnn_lr_finish(struct clrnn_lr_result *result)
{
    if (!result)
        return;
    free(result->curve);
    free(result->trial);
    *result = (struct clrnn_lr_result){0};
}
