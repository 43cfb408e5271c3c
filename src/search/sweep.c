// SPDX-License-Identifier: MIT
// Sweeps train trials with different values of config keys, and select among the trials by successive halving. A rung
// is a stage of successive halving: all trials that are still in the sweep train up to the same number of epochs.
#include "search/say.h"
#include "search/sweep.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/array.h"
#include "base/file.h"
#include "base/log.h"
#include "base/words.h"
#include "train/folder.h"
#include "train/session.h"

#define DEFAULT_TRIALS 20u
#define DEFAULT_REDUCTION 3u
#define MOST_TRIALS 100000u
#define MOST_JOBS 256u
#define MOST_RUNGS 32u
#define LOCK_PAUSES 60
#define LOCK_PAUSE_NS 50000000

static const struct clrnn_folder_kind sweep_kind = {.noun = "sweep", .mark = ".clrnn-sweep", .then = "continued"};

// ---------------------------------------------------------------- rungs

static enum clrnn_status read_budget(struct clrnn_sweep *s)
{
    struct clrnn_sweep_result *r = s->result;
    const char *text = s->params->budget;

    while (*text) {
        const size_t length = strcspn(text, ",");
        char part[32];
        bool negative;
        uint64_t epochs = 0;

        snprintf(part, sizeof(part), "%.*s", (int)MIN2(length, sizeof(part) - 1), text);
        if (!clrnn_integer_parse(part, &negative, &epochs) || negative || !epochs || epochs > 1000000000 ||
            r->rung_count == MOST_RUNGS || (r->rung_count && epochs <= r->budget[r->rung_count - 1]))
            return clrnn_error(
                s->log, CLRNN_ERR_ARG,
                "--budget %s: expected the epochs of each rung, at most %u rising whole numbers, as 3,10,30",
                s->params->budget, MOST_RUNGS);
        r->budget[r->rung_count++] = (uint32_t)epochs;
        text += length + (text[length] == ',');
    }
    if (!r->rung_count)
        return clrnn_error(s->log, CLRNN_ERR_ARG, "--budget is empty: expected the epochs of each rung, as 3,10,30");
    return CLRNN_OK;
}

// Sets the epochs of each rung. There are 1 + log(trials) / log(reduction) rungs, rounded down. The last rung has
// train.epochs epochs, and each rung has `reduction` times as many epochs as the rung before it. Rungs whose rounded
// number of epochs is not above that of the rung before are left out.
static void choose_budget(struct clrnn_sweep *s)
{
    struct clrnn_sweep_result *r = s->result;
    const uint32_t epochs = MAX2(s->config->train.epochs, 1u);
    double share = 1;
    uint32_t rungs = 1;

    for (size_t left = r->trial_count / s->params->reduction; left && rungs < MOST_RUNGS;
         left /= s->params->reduction) {
        share *= s->params->reduction;
        rungs++;
    }
    for (; rungs--; share /= s->params->reduction) {
        const uint32_t budget = (uint32_t)fmax(round(epochs / share), 1);

        if (!r->rung_count || budget > r->budget[r->rung_count - 1])
            r->budget[r->rung_count++] = budget;
    }
}

static bool is_better(const struct clrnn_sweep_result *r, double a, double b)
{
    return r->highest ? a > b : a < b;
}

// Whether trial `a` comes before trial `b` in the result. Failed trials come last. Otherwise the trial that passed more
// rungs comes first, then the trial with the better metric, then the one with the smaller number.
static bool stands_before(const struct clrnn_sweep_result *r, const struct clrnn_sweep_trial *a,
                          const struct clrnn_sweep_trial *b)
{
    if (!a->reason != !b->reason)
        return !a->reason;
    if (a->rungs != b->rungs)
        return a->rungs > b->rungs;
    if (a->rungs && a->metric != b->metric)
        return is_better(r, a->metric, b->metric);
    return a->number < b->number;
}

// Selects the trials that train in `rung`: the best of those that passed all earlier rungs, at most `most`. Writes
// their indices to `chosen`, best first, and returns their number.
static size_t choose(const struct clrnn_sweep_result *r, size_t rung, size_t most, size_t *chosen)
{
    size_t count = 0;

    for (size_t i = 0; i < r->trial_count; i++) {
        const struct clrnn_sweep_trial *t = &r->trial[i];
        size_t at = count;

        if (t->rungs < rung)
            continue;
        while (rung && at && is_better(r, t->rung[rung - 1], r->trial[chosen[at - 1]].rung[rung - 1]))
            at--;
        if (at >= most)
            continue;
        memmove(chosen + at + 1, chosen + at, (MIN2(count, most - 1) - at) * sizeof(*chosen));
        chosen[at] = i;
        count = MIN2(count + 1, most);
    }
    return count;
}

static enum clrnn_status run_rungs(struct clrnn_sweep *s, size_t *chosen)
{
    struct clrnn_sweep_result *r = s->result;
    size_t most = r->trial_count;

    for (size_t rung = 0; rung < r->rung_count; rung++, most = MAX2(most / s->params->reduction, 1)) {
        size_t count = choose(r, rung, most, chosen), left = 0;

        for (size_t i = 0; i < count; i++) // leaves out trials that an earlier call trained in this rung
            if (r->trial[chosen[i]].rungs == rung && !r->trial[chosen[i]].reason)
                chosen[left++] = chosen[i];
        if (left)
            clrnn_search_say(s->params->progress, s->params->progress_user,
                             "rung %zu of %zu: %zu of %zu trials to %u epochs", rung + 1, r->rung_count, left, count,
                             r->budget[rung]);
        TRY(clrnn_sweep_rung(s, rung, chosen, left));
    }
    return CLRNN_OK;
}

// ---------------------------------------------------------------- preparing

static enum clrnn_status parse_vary(struct clrnn_sweep *s)
{
    struct clrnn_sweep_result *r = s->result;
    const size_t count = s->params->vary_count;

    if (!count)
        return clrnn_error(s->log, CLRNN_ERR_ARG, "nothing to vary: expected --vary KEY=LOW..HIGH or --vary KEY=A,B,C");
    s->vary = calloc(count, sizeof(*s->vary));
    r->key = calloc(count, sizeof(*r->key));
    if (!s->vary || !r->key)
        return clrnn_error_memory(s->log, 0, "the values of a sweep");
    for (size_t k = 0; k < count; k++) {
        struct clrnn_vary *v = &s->vary[k];

        TRY(clrnn_vary_parse(s->log, s->params->vary[k], v));
        for (size_t i = 0; i < k; i++)
            if (!strcmp(r->key[i], v->key))
                return clrnn_error(s->log, CLRNN_ERR_ARG, "--vary names %s twice", v->key);
        r->key[k] = strdup(v->key);
        r->key_count = k + 1;
        if (!r->key[k])
            return clrnn_error_memory(s->log, 0, "the values of a sweep");
        TRY(clrnn_vary_check(s->log, s->params, v));
    }
    return CLRNN_OK;
}

// Sets r->metric, by which trials are judged, and r->highest, whether the highest value of this metric is best. Finds
// r->highest by reading the config with early stopping on the metric. This also checks that the loss has the metric. If
// the metric is taken from the config's own early stopping, r->highest is taken from there, too.
static enum clrnn_status choose_metric(struct clrnn_sweep *s)
{
    const struct clrnn_early_stopping_config *early = &s->config->train.early_stopping;
    struct clrnn_data_sets data;
    struct clrnn_config *probe = NULL;
    char *set;
    enum clrnn_status st = clrnn_data_sets_open(s->log, s->config, CLRNN_CHECK_SHAPES_ONLY, &data);
    const bool valid = data.valid;

    clrnn_data_sets_close(&data);
    TRY(st);
    snprintf(s->result->metric, sizeof(s->result->metric), "%s",
             s->params->metric ? s->params->metric
             : early->on       ? early->monitor
             : valid           ? "valid_loss"
                               : "train_loss");
    if (!valid && !strncmp(s->result->metric, "valid", 5))
        return clrnn_error(s->log, CLRNN_ERR_CONFIG,
                           "%s%s: there are no validation data: name data.valid or data.valid_fraction, or "
                           "take train_loss",
                           s->params->metric ? "--metric " : "the sweep judges by ", s->result->metric);
    set = clrnn_format("train.early_stopping={monitor: %s}", s->result->metric);
    st = set ? clrnn_vary_config(s->log, s->params, 1, &set, &probe) : clrnn_error_memory(s->log, 0, "the metric");
    free(set);
    if (st == CLRNN_OK)
        s->result->highest = probe->train.early_stopping.mode_max;
    if (st == CLRNN_OK && early->on && !s->params->metric)
        s->result->highest = early->mode_max;
    clrnn_config_destroy(&probe);
    return st;
}

static enum clrnn_status make_trials(struct clrnn_sweep *s)
{
    struct clrnn_sweep_result *r = s->result;
    uint32_t all;
    const uint32_t count = clrnn_vary_trials(s->vary, r->key_count, s->params->trials, &all);
    char ***value = calloc(count, sizeof(*value));
    enum clrnn_status st = CLRNN_OK;

    r->budget = calloc(MOST_RUNGS, sizeof(*r->budget));
    r->trial = calloc(count, sizeof(*r->trial));
    if (!value || !r->trial || !r->budget)
        st = clrnn_error_memory(s->log, 0, "the trials");
    for (; st == CLRNN_OK && r->trial_count < count; r->trial_count++) {
        struct clrnn_sweep_trial *t = &r->trial[r->trial_count];

        *t = (struct clrnn_sweep_trial){
            .number = (uint32_t)r->trial_count + 1,
            .value = calloc(r->key_count, sizeof(*t->value)),
            .rung = calloc(MOST_RUNGS, sizeof(*t->rung)),
            .metric = NAN,
        };
        value[r->trial_count] = t->value;
        if (!t->value || !t->rung)
            st = clrnn_error_memory(s->log, 0, "the trials");
        for (size_t i = 0; t->rung && i < MOST_RUNGS; i++)
            t->rung[i] = NAN;
    }
    if (st == CLRNN_OK)
        st = clrnn_vary_draw(s->log, s->vary, r->key_count, s->params->seed, count, value);
    free(value);
    if (st == CLRNN_OK && count < all)
        clrnn_log(s->log, CLRNN_LOG_INFO, "%u of %u combinations: --trials sets how many", count, all);
    return st;
}

// Locks the sweep's folder. If the folder is locked already, tries again for 3 s: after a sweep was killed, its child
// processes may need that long to end.
static enum clrnn_status lock_folder(const struct clrnn_sweep *s, int *lock)
{
    const struct timespec pause = {.tv_nsec = LOCK_PAUSE_NS};

    for (int left = LOCK_PAUSES;; left--) {
        const enum clrnn_status st = clrnn_folder_lock(left > 0 ? NULL : s->log, &sweep_kind, s->result->folder, lock);

        if (st == CLRNN_OK || left <= 0)
            return st;
        if (*lock >= 0)
            close(*lock);
        *lock = -1;
        if (st == CLRNN_ERR_ARG)
            nanosleep(&pause, NULL);
        else
            left = 1; // the next attempt is the last one, and logs what is wrong
    }
}

// ---------------------------------------------------------------- the sweep

static void sort(struct clrnn_sweep_result *r)
{
    for (size_t i = 1; i < r->trial_count; i++) {
        const struct clrnn_sweep_trial t = r->trial[i];
        size_t at = i;

        for (; at && stands_before(r, &t, &r->trial[at - 1]); at--)
            r->trial[at] = r->trial[at - 1];
        r->trial[at] = t;
    }
}

static enum clrnn_status sweep(struct clrnn_sweep *s)
{
    struct clrnn_sweep_result *r = s->result;
    size_t *chosen = malloc(r->trial_count * sizeof(*chosen));
    enum clrnn_status st = clrnn_sweep_identify(s);

    if (st == CLRNN_OK && !chosen)
        st = clrnn_error_memory(s->log, 0, "the trials");
    if (st == CLRNN_OK)
        st = clrnn_sweep_load(s);
    if (st == CLRNN_OK)
        st = clrnn_sweep_save(s, false);
    if (st == CLRNN_OK)
        st = run_rungs(s, chosen);
    free(chosen);
    if (st == CLRNN_INTERRUPTED)
        clrnn_log(s->log, CLRNN_LOG_INFO, "interrupted: the same command with --out %s goes on", r->folder);
    TRY(st);
    sort(r);
    TRY(clrnn_sweep_save(s, true));
    TRY(clrnn_sweep_table(s));
    clrnn_sweep_draw(s);
    return r->trial[0].reason ? CLRNN_FAILED : CLRNN_OK;
}

static enum clrnn_status prepare(struct clrnn_sweep *s)
{
    TRY(parse_vary(s));
    TRY(choose_metric(s));
    TRY(make_trials(s));
    if (s->params->budget)
        return read_budget(s);
    choose_budget(s);
    return CLRNN_OK;
}

enum clrnn_status clrnn_sweep(const struct clrnn_log *log, const struct clrnn_sweep_params *params,
                              struct clrnn_sweep_result *result)
{
    CLRNN_C_LOCALE;
    NEED(log, params);
    NEED(log, params->config);
    NEED(log, result);

    struct clrnn_sweep_params p = *params;
    struct clrnn_sweep s = {.log = log, .params = &p, .result = result};
    struct clrnn_config *config = NULL;
    enum clrnn_status st;
    int lock = -1;

    *result = (struct clrnn_sweep_result){0};
    p.trials = p.trials ? p.trials : DEFAULT_TRIALS;
    p.jobs = p.jobs ? p.jobs : 1;
    p.reduction = p.reduction ? p.reduction : DEFAULT_REDUCTION;
    if (p.trials > MOST_TRIALS || p.jobs > MOST_JOBS || p.reduction < 2)
        return clrnn_error(log, CLRNN_ERR_ARG,
                           "%u trials in %u jobs, reduced by %u: expected at most %u, at most %u, and at least 2",
                           p.trials, p.jobs, p.reduction, MOST_TRIALS, MOST_JOBS);
    st = clrnn_vary_config(log, &p, 0, NULL, &config);
    s.config = config;
    if (st == CLRNN_OK)
        st = prepare(&s);
    if (st == CLRNN_OK)
        st = clrnn_folder_choose(log, &sweep_kind, config, "sweep", p.out, result->folder);
    if (st == CLRNN_OK)
        st = lock_folder(&s, &lock);
    if (st == CLRNN_OK)
        st = sweep(&s);
    if (lock >= 0)
        close(lock);
    for (size_t i = 0; s.vary && i < p.vary_count; i++)
        clrnn_vary_finish(&s.vary[i]);
    free(s.vary);
    json_decref(s.identity);
    clrnn_config_destroy(&config);
    if (st != CLRNN_OK && st != CLRNN_FAILED)
        clrnn_sweep_finish(result);
    return st;
}

void clrnn_sweep_finish(struct clrnn_sweep_result *r)
{
    if (!r)
        return;
    for (size_t i = 0; i < r->trial_count; i++) {
        for (size_t k = 0; r->trial[i].value && k < r->key_count; k++)
            free(r->trial[i].value[k]);
        free(r->trial[i].value);
        free(r->trial[i].rung);
        free(r->trial[i].reason);
    }
    for (size_t k = 0; k < r->key_count; k++)
        free(r->key[k]);
    free(r->key);
    free(r->budget);
    free(r->trial);
    *r = (struct clrnn_sweep_result){0};
}
