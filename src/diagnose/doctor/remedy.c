// SPDX-License-Identifier: MIT
// Trying remedies: the findings' changes, each on top of those before, then candidates.
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/array.h"
#include "base/clock.h"
#include "base/file.h"
#include "base/log.h"
#include "diagnose/doctor/candidate.h"
#include "diagnose/doctor/growstep.h"
#include "diagnose/doctor/trial.h"

#define TRIAL_SECONDS 10.0 // what takes longer is not tried
#define DOCTOR_SHARE 0.6   // of the doctor's seconds, after which no trial begins
#define FREE_STEPS 600u    // of a trial where the config as asked was not trained

struct trying {
    struct clrnn_doctor *d;
    const char **set; // changes that are kept
    size_t count;
    struct clrnn_trial now; // with those of them that helped
    bool kept;              // `now` is the result of changes, not of the config as given
    uint32_t steps;
};

static enum clrnn_status no_memory(const struct trying *t)
{
    return clrnn_error_memory(t->d->log, 0, "the trial of a remedy");
}

// Replaces a text of a finding; `text` NULL: no memory.
static enum clrnn_status say(const struct trying *t, char **where, char *text)
{
    if (!text)
        return no_memory(t);
    free(*where);
    *where = text;
    return CLRNN_OK;
}

static const struct clrnn_trial *now(const struct trying *t)
{
    return t->kept ? &t->now : &t->d->asked;
}

bool clrnn_finding_by_recall(const struct clrnn_finding *f)
{
    return !strcmp(f->id, "class-imbalance") || !strcmp(f->id, "majority-class-only") ||
           !strcmp(f->id, "class-weights-inverted");
}

static double expected_seconds(const struct trying *t)
{
    return now(t)->seconds;
}

static bool time_is_up(const struct trying *t)
{
    const struct clrnn_doctor *d = t->d;

    return expected_seconds(t) > TRIAL_SECONDS || clrnn_doctor_stopped(d) ||
           clrnn_clock() + expected_seconds(t) > d->started + DOCTOR_SHARE * d->seconds;
}

// Trains with the kept changes and one more (NULL: none). `trial->why`: why it was not run.
static enum clrnn_status run(const struct trying *t, const char *more, struct clrnn_trial *trial)
{
    const char **set = malloc((t->count + 1) * sizeof(*set));
    struct clrnn_config *changed = NULL;
    enum clrnn_status st;

    *trial = (struct clrnn_trial){0};
    if (!set)
        return no_memory(t);
    if (more)
        set[0] = more; // of two changes of one key the first wins
    memcpy(set + (more != NULL), t->set, t->count * sizeof(*set));
    st = clrnn_doctor_apply(t->d, t->count + (more != NULL), set, &changed);
    if (st == CLRNN_OK)
        st = clrnn_trial_run(t->d, changed, t->steps, TRIAL_SECONDS, trial);
    clrnn_config_destroy(&changed);
    free(set);
    return st;
}

static void keep(struct trying *t, const char *set, struct clrnn_trial *trial)
{
    t->set[t->count++] = set;
    if (!trial)
        return;
    clrnn_trial_finish(&t->now);
    t->now = *trial;
    t->kept = true;
    *trial = (struct clrnn_trial){0};
}

// ---------------------------------------------------------------- changes that findings offer

static enum clrnn_status withdraw(struct trying *t, struct clrnn_finding *f, char *why)
{
    if (!why)
        return no_memory(t);
    f->outcome = CLRNN_TRIED_WORSE;
    TRY(say(t, &f->remedy,
            clrnn_format("none that was tried; the usual one, %s, does not help here", f->remedy)));
    free(f->set);
    f->set = NULL;
    return say(t, &f->tried, why);
}

// Whether this finding is the reason that no parameter has a gradient, which no training result can refute.
static bool stops_gradients(const struct trying *t, const struct clrnn_finding *f)
{
    const struct clrnn_doctor_result *r = t->d->result;

    for (size_t i = 0; i < r->count; i++)
        if (!strcmp(r->finding[i].id, "zero-gradient") && r->finding[i].follows_from == f->id)
            return true;
    return false;
}

// A change that helps on top of others which made no difference by themselves may depend on them; it does
// depend on one without which there is no gradient.
static void share_success(struct trying *t)
{
    struct clrnn_doctor_result *r = t->d->result;

    for (size_t i = 0; i < r->count; i++) {
        struct clrnn_finding *f = &r->finding[i];

        if (f->set && f->outcome == CLRNN_TRIED_NOT && stops_gradients(t, f))
            f->outcome = CLRNN_TRIED_HELPS;
        else if (f->outcome == CLRNN_TRIED_NOTHING)
            f->outcome = CLRNN_TRIED_NOT;
    }
}

static enum clrnn_status conclude(struct trying *t, struct clrnn_finding *f, struct clrnn_trial *trial)
{
    const bool recall = clrnn_finding_by_recall(f);
    const enum clrnn_gain gain = clrnn_trial_compare(now(t), trial, recall);
    const char *above = t->count ? ", on top of the other changes" : "";
    char *text = clrnn_trial_text(now(t), trial, recall);
    enum clrnn_status st;

    if (!text)
        return no_memory(t);
    if (gain == CLRNN_GAIN_WORSE) {
        st = withdraw(t, f, clrnn_format("it makes things worse: %s%s", text, above));
    } else if (gain == CLRNN_GAIN_NONE) {
        st = say(t, &f->tried,
                 clrnn_format("%s: %s%s",
                              clrnn_trial_is_good(now(t)) ? "it learns without it, too"
                                                          : "no difference by itself",
                              text, above));
        keep(t, f->set, NULL);
        if (trial->steps == trial->wanted && !clrnn_trial_is_good(now(t)) && !recall &&
            !stops_gradients(t, f))
            f->outcome = CLRNN_TRIED_NOTHING;
    } else {
        share_success(t);
        f->outcome = CLRNN_TRIED_HELPS;
        st = say(t, &f->tried, clrnn_format("%s%s", text, above));
        keep(t, f->set, trial);
    }
    free(text);
    return st;
}

static enum clrnn_status say_no_time(struct trying *t, struct clrnn_finding *f)
{
    return say(t, &f->tried,
               clrnn_format("not tried for lack of time: %u steps take about %.2g s", t->steps,
                            expected_seconds(t)));
}

// Whether a finding after `f` is of the same kind and still to be tried: both are then tried together.
static bool goes_with(const struct clrnn_finding *f, const struct clrnn_finding *other)
{
    return other > f && other->id == f->id && other->set && !*other->tried;
}

static enum clrnn_status run_together(const struct trying *t, const struct clrnn_finding *f,
                                      struct clrnn_trial *trial)
{
    const struct clrnn_doctor_result *r = t->d->result;
    char *set = strdup(f->set), *longer;
    enum clrnn_status st;

    for (size_t i = 0; i < r->count && set; i++)
        if (goes_with(f, &r->finding[i])) {
            longer = clrnn_format("%s\n%s", set, r->finding[i].set);
            free(set);
            set = longer;
        }
    st = set ? run(t, set, trial) : no_memory(t);
    free(set);
    return st;
}

// Copies the outcome of `f` to the findings that were tried with it.
static enum clrnn_status share(struct trying *t, struct clrnn_finding *f)
{
    struct clrnn_doctor_result *r = t->d->result;

    for (size_t i = 0; i < r->count; i++) {
        struct clrnn_finding *other = &r->finding[i];

        if (!goes_with(f, other))
            continue;
        if (!f->set) {
            TRY(withdraw(t, other, strdup(f->tried)));
            continue;
        }
        other->outcome = f->outcome;
        keep(t, other->set, NULL);
        TRY(say(t, &other->tried, strdup(f->tried)));
    }
    return CLRNN_OK;
}

static enum clrnn_status try_finding(struct trying *t, struct clrnn_finding *f)
{
    struct clrnn_trial trial = {0};
    enum clrnn_status st;

    if (time_is_up(t)) {
        keep(t, f->set, NULL);
        return say_no_time(t, f);
    }
    st = run_together(t, f, &trial);
    if (st == CLRNN_ERR_CONFIG) {
        st = withdraw(t, f, clrnn_format("the config does not take it"));
    } else if (st == CLRNN_OK && !trial.ran) {
        st = say(t, &f->tried, clrnn_format("not tried: %s", trial.why));
        keep(t, f->set, NULL);
    } else if (st == CLRNN_OK) {
        t->steps = trial.steps;
        st = conclude(t, f, &trial);
    }
    if (st == CLRNN_OK)
        st = share(t, f);
    clrnn_trial_finish(&trial);
    return st;
}

// Withdraws changes that the config does not accept; also without trials.
static enum clrnn_status check_only(struct trying *t, struct clrnn_finding *f, const char *why)
{
    const char *set = f->set;
    struct clrnn_config *changed = NULL;
    const enum clrnn_status st = clrnn_doctor_apply(t->d, 1, &set, &changed);

    clrnn_config_destroy(&changed);
    if (st == CLRNN_ERR_CONFIG)
        return withdraw(t, f, clrnn_format("the config does not take it"));
    return st == CLRNN_OK ? say(t, &f->tried, clrnn_format("not tried: %s", why)) : st;
}

// ---------------------------------------------------------------- what else may help

struct candidates {
    struct clrnn_trial best;
    char *change; // of the best one; NULL: none helped
    char *list;   // "data.normalize=standard (valid accuracy 0.5 -> 0.51 in the same 300 steps)"
};

static char *in_one_line(const char *change)
{
    char *line = strdup(""), *longer;

    while (line && *change) {
        const size_t length = strcspn(change, "\n");

        longer = clrnn_format("%s%s%.*s", line, *line ? ", " : "", (int)length, change);
        free(line);
        line = longer;
        change += length + (change[length] == '\n');
    }
    return line;
}

// Adds to the list of what was tried; keeps the best.
static enum clrnn_status weigh(struct trying *t, const struct clrnn_finding *f, const char *change,
                               struct clrnn_trial *trial, struct candidates *c)
{
    const bool recall = clrnn_finding_by_recall(f);
    const struct clrnn_trial *before = c->change ? &c->best : now(t);
    char *text = clrnn_trial_text(now(t), trial, recall), *line = in_one_line(change);
    char *list = text && line
                     ? clrnn_format("%s%s%s (%s)", c->list ? c->list : "", c->list ? "; " : "", line, text)
                     : NULL;

    free(text);
    free(line);
    if (!list)
        return no_memory(t);
    free(c->list);
    c->list = list;
    if (clrnn_trial_compare(before, trial, recall) != CLRNN_GAIN_BETTER)
        return CLRNN_OK;
    clrnn_trial_finish(&c->best);
    c->best = *trial;
    *trial = (struct clrnn_trial){0};
    return say(t, &c->change, strdup(change));
}

static enum clrnn_status try_candidates(struct trying *t, struct clrnn_finding *f, struct candidates *c)
{
    for (size_t i = 0; !clrnn_trial_is_good(&c->best); i++) {
        struct clrnn_trial trial = {0};
        enum clrnn_status st;
        char *change;

        TRY(clrnn_candidate(t->d, f->id, i, &change));
        if (!change)
            return CLRNN_OK;
        if (time_is_up(t)) {
            free(change);
            return c->list ? CLRNN_OK : say_no_time(t, f);
        }
        st = *change ? run(t, change, &trial) : CLRNN_OK;
        if (st == CLRNN_OK && trial.ran)
            st = weigh(t, f, change, &trial, c);
        else if (st == CLRNN_OK && *trial.why)
            st = say(t, &f->tried, clrnn_format("not tried: %s", trial.why));
        clrnn_trial_finish(&trial);
        free(change);
        if (st != CLRNN_OK && st != CLRNN_ERR_CONFIG)
            return st;
    }
    return CLRNN_OK;
}

static enum clrnn_status adopt(struct trying *t, struct clrnn_finding *f, struct candidates *c)
{
    const bool helped = c->change != NULL;
    const char *above = t->count ? ", on top of the other changes" : "";

    if (!c->list)
        return CLRNN_OK;
    TRY(say(t, &f->tried, clrnn_format("%s%s", c->list, above)));
    if (!helped)
        return say(t, &f->remedy, clrnn_format("%s", "none of what was tried helps"));
    TRY(say(t, &f->remedy, in_one_line(c->change)));
    f->outcome = CLRNN_TRIED_HELPS;
    f->set = c->change;
    c->change = NULL;
    keep(t, f->set, &c->best);
    return CLRNN_OK;
}

static enum clrnn_status seek(struct trying *t, struct clrnn_finding *f)
{
    struct candidates c = {0};
    enum clrnn_status st = try_candidates(t, f, &c);

    if (st == CLRNN_OK)
        st = adopt(t, f, &c);
    clrnn_trial_finish(&c.best);
    free(c.change);
    free(c.list);
    return st;
}

// ---------------------------------------------------------------- one step of growing

static bool asks_for_growing(const struct clrnn_finding *f)
{
    static const char *const ids[] = {"cannot-overfit-one-batch", "loss-flat",    "inputs-ignored",
                                      "worse-than-linear",        "underfitting", "zero-gradient"};

    for (size_t i = 0; i < ARRAY_SIZE(ids); i++)
        if (!strcmp(f->id, ids[i]))
            return f->severity != CLRNN_SEVERITY_NOTE && !f->follows_from && !f->set;
    return false;
}

static enum clrnn_status grow(struct trying *t, struct clrnn_finding *f)
{
    struct clrnn_growstep step = {0};
    enum clrnn_status st = clrnn_growstep(t->d, now(t), t->steps, &step);

    if (st == CLRNN_OK && step.text)
        st = say(t, &f->tried, clrnn_format("%s%s%s", f->tried, *f->tried ? "; " : "", step.text));
    if (st == CLRNN_OK && step.remedy)
        st = say(t, &f->remedy, clrnn_format("%s", step.remedy));
    if (st == CLRNN_OK && step.change) {
        f->outcome = CLRNN_TRIED_HELPS;
        f->set = step.change;
        step.change = NULL;
        keep(t, f->set, &step.trial);
    }
    clrnn_growstep_finish(&step);
    return st;
}

// ---------------------------------------------------------------- the whole

static enum clrnn_status try_all(struct trying *t)
{
    struct clrnn_doctor_result *r = t->d->result;
    struct clrnn_finding *grown = NULL;

    for (size_t i = 0; i < r->count; i++)
        if (r->finding[i].set && !*r->finding[i].tried)
            TRY(try_finding(t, &r->finding[i]));
    TRY(clrnn_doctor_order(t->d)); // what made no difference explains nothing
    for (size_t i = 0; i < r->count && now(t)->ran && !clrnn_trial_is_good(now(t)) &&
                       !clrnn_doctor_is_mended(t->d, t->kept ? &t->now : NULL);
         i++) {
        struct clrnn_finding *f = &r->finding[i];

        if (!f->set && !f->follows_from && f->severity != CLRNN_SEVERITY_NOTE && !*f->tried)
            TRY(seek(t, f));
    }
    for (size_t i = 0; i < r->count && !grown; i++)
        grown = asks_for_growing(&r->finding[i]) ? &r->finding[i] : NULL;
    if (grown && !t->kept && t->d->asked.ran && !time_is_up(t))
        TRY(grow(t, grown));
    TRY(clrnn_doctor_settle(t->d, t->kept ? &t->now : NULL));
    for (size_t i = 0; i < r->count; i++) {
        struct clrnn_finding *f = &r->finding[i];

        if (f->severity != CLRNN_SEVERITY_NOTE && !f->follows_from && !f->set && !*f->tried)
            TRY(say(t, &f->tried, clrnn_format("not tried: no change of the config does it")));
    }
    return CLRNN_OK;
}

static const char *no_trial(const struct clrnn_doctor *d)
{
    return d->params->static_only                      ? "--static runs no model"
           : d->params->no_train                       ? "--no-train runs no training"
           : clrnn_dataset_info(d->train)->targets > 1 ? "trials judge models of one output"
                                                       : NULL;
}

static enum clrnn_status try_each(struct trying *t)
{
    struct clrnn_doctor_result *r = t->d->result;
    const char *why = no_trial(t->d);

    if (!why)
        return try_all(t);
    for (size_t i = 0; i < r->count; i++)
        if (r->finding[i].set)
            TRY(check_only(t, &r->finding[i], why));
    return CLRNN_OK;
}

enum clrnn_status clrnn_doctor_try(struct clrnn_doctor *d)
{
    struct trying t = {.d = d, .steps = d->asked.steps ? d->asked.steps : FREE_STEPS};
    enum clrnn_status st;

    t.set = malloc((d->result->count + 1) * sizeof(*t.set));
    if (!t.set)
        return no_memory(&t);
    st = try_each(&t);
    if (t.kept)
        d->best = t.now;
    free(t.set);
    return st;
}
