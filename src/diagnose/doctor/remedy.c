// SPDX-License-Identifier: MIT
// Tries remedies by short trainings: first the changes that findings offer, each in addition to the changes that were
// kept, then candidate changes for findings that offer none. If nothing helped, grows a simple net part by part.
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/array.h"
#include "base/clock.h"
#include "base/file.h"
#include "base/log.h"
#include "diagnose/doctor/trying.h"
#include "diagnose/doctor/growstep.h"
#include "diagnose/doctor/trial.h"

#define DOCTOR_SHARE 0.6 // fraction of the doctor's seconds; a trial that would end later is not begun
#define FREE_STEPS 600u  // maximum steps of a trial if the config as given was not trained, or soon diverged
#define LEAST_STEPS 30   // minimum number of steps of a training that is shortened for lack of time
#define LEAST_LEFT 6.0   // seconds that all trials together get at least, even after DOCTOR_SHARE

// ---------------------------------------------------------------- changes that findings offer

static enum clrnn_status withdraw(struct clrnn_trying *t, struct clrnn_finding *f, char *why)
{
    if (!why)
        return clrnn_trying_no_memory(t);
    f->outcome = CLRNN_TRIED_WORSE;
    TRY(clrnn_trying_say(t, &f->remedy,
                         clrnn_format("none that was tried; the usual one, %s, does not help here", f->remedy)));
    free(f->set);
    f->set = NULL;
    return clrnn_trying_say(t, &f->tried, why);
}

// Whether a zero gradient follows from this finding. If so, no result of a trial can refute the finding.
static bool stops_gradients(const struct clrnn_trying *t, const struct clrnn_finding *f)
{
    const struct clrnn_doctor_result *r = t->d->result;

    for (size_t i = 0; i < r->count; i++)
        if (!strcmp(r->finding[i].id, "zero-gradient") && r->finding[i].follows_from == f->id)
            return true;
    return false;
}

// Called when a change helps in addition to kept changes that made no difference by themselves. Perhaps it helps only
// together with these. Findings whose change made no difference therefore count as not tried. Findings that count as
// not tried already, and from which a zero gradient follows, count as helpful.
static void share_success(struct clrnn_trying *t)
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

static enum clrnn_status conclude(struct clrnn_trying *t, struct clrnn_finding *f, struct clrnn_trial *trial)
{
    const bool recall = t->by_recall || clrnn_finding_by_recall(f);
    const enum clrnn_gain gain = clrnn_trial_compare(clrnn_trying_now(t), trial, recall);
    const char *above = t->count ? ", on top of the other changes" : "";
    char *text = clrnn_trial_text(clrnn_trying_now(t), trial, recall);
    enum clrnn_status st;

    if (!text)
        return clrnn_trying_no_memory(t);
    if (gain == CLRNN_GAIN_WORSE && !stops_gradients(t, f)) {
        st = withdraw(t, f, clrnn_format("it makes things worse: %s%s", text, above));
    } else if (gain != CLRNN_GAIN_BETTER) {
        st = clrnn_trying_say(t, &f->tried,
                              clrnn_format("%s: %s%s",
                                           clrnn_trial_is_good(clrnn_trying_now(t)) ? "it learns without it, too"
                                           : !clrnn_trying_now(t)->finite
                                               ? "the loss stays finite, but a constant answer is as good"
                                               : "no difference by itself",
                                           text, above));
        clrnn_trying_keep(t, f->set, NULL);
        if (trial->steps == trial->wanted && !clrnn_trial_is_good(clrnn_trying_now(t)) && !recall &&
            !stops_gradients(t, f))
            f->outcome = CLRNN_TRIED_NOTHING;
    } else {
        share_success(t);
        f->outcome = CLRNN_TRIED_HELPS;
        st = clrnn_trying_say(t, &f->tried, clrnn_format("%s%s", text, above));
        clrnn_trying_keep(t, f->set, trial);
        t->by_recall = recall;
    }
    free(text);
    return st;
}

// Whether `other` comes after `f`, has the same kind, and offers a change that was not tried. If so, the changes of
// both are tried together.
static bool goes_with(const struct clrnn_finding *f, const struct clrnn_finding *other)
{
    return other > f && other->id == f->id && other->set && !*other->tried;
}

static enum clrnn_status run_together(const struct clrnn_trying *t, const struct clrnn_finding *f,
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
    st = set ? clrnn_trying_run(t, set, trial) : clrnn_trying_no_memory(t);
    free(set);
    return st;
}

// Copies the outcome of `f` to the findings whose changes were tried together with the change of `f`.
static enum clrnn_status share(struct clrnn_trying *t, struct clrnn_finding *f)
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
        clrnn_trying_keep(t, other->set, NULL);
        TRY(clrnn_trying_say(t, &other->tried, strdup(f->tried)));
    }
    return CLRNN_OK;
}

static enum clrnn_status try_finding(struct clrnn_trying *t, struct clrnn_finding *f)
{
    struct clrnn_trial trial = {0};
    enum clrnn_status st;

    if (clrnn_trying_no_time(t)) {
        clrnn_trying_keep(t, f->set, NULL);
        return clrnn_trying_say_no_time(t, f);
    }
    st = run_together(t, f, &trial);
    if (st == CLRNN_ERR_CONFIG) {
        st = withdraw(t, f, clrnn_format("the config does not take it"));
    } else if (st == CLRNN_OK && !trial.ran) {
        st = clrnn_trying_say(t, &f->tried, clrnn_format("not tried: %s", trial.why));
        clrnn_trying_keep(t, f->set, NULL);
    } else if (st == CLRNN_OK) {
        t->steps = trial.steps;
        t->pace = trial.seconds / MAX2(trial.steps, 1u);
        st = conclude(t, f, &trial);
    }
    if (st == CLRNN_OK)
        st = share(t, f);
    clrnn_trial_finish(&trial);
    return st;
}

// Used if no trial is run. Withdraws the change of `f` if the change makes the config invalid. Otherwise writes into
// f->tried that the change was not tried, and the reason `why`.
static enum clrnn_status check_only(struct clrnn_trying *t, struct clrnn_finding *f, const char *why)
{
    const char *set = f->set;
    struct clrnn_config *changed = NULL;
    const enum clrnn_status st = clrnn_doctor_apply(t->d, 1, &set, &changed);

    clrnn_config_destroy(&changed);
    if (st == CLRNN_ERR_CONFIG)
        return withdraw(t, f, clrnn_format("the config does not take it"));
    return st == CLRNN_OK ? clrnn_trying_say(t, &f->tried, clrnn_format("not tried: %s", why)) : st;
}

// ---------------------------------------------------------------- growing a simple net part by part

static bool asks_for_growing(const struct clrnn_finding *f)
{
    static const char *const ids[] = {"cannot-overfit-one-batch", "loss-flat",    "inputs-ignored",
                                      "worse-than-linear",        "underfitting", "zero-gradient"};

    for (size_t i = 0; i < ARRAY_SIZE(ids); i++)
        if (!strcmp(f->id, ids[i]))
            return f->severity != CLRNN_SEVERITY_NOTE && !f->follows_from && !f->set;
    return false;
}

static enum clrnn_status grow(struct clrnn_trying *t, struct clrnn_finding *f)
{
    struct clrnn_growstep step = {0};
    enum clrnn_status st = clrnn_growstep(t->d, clrnn_trying_now(t), t->steps, &step);

    if (st == CLRNN_OK && step.text)
        st = clrnn_trying_say(t, &f->tried, clrnn_format("%s%s%s", f->tried, *f->tried ? "; " : "", step.text));
    // with worse-than-linear a linear model learns, so the data are not to blame: advice to check them is left out
    if (st == CLRNN_OK && step.remedy && !(step.nothing_learns && !strcmp(f->id, "worse-than-linear")))
        st = clrnn_trying_say(t, &f->remedy, clrnn_format("%s", step.remedy));
    if (st == CLRNN_OK && step.change) {
        f->outcome = CLRNN_TRIED_HELPS;
        f->set = step.change;
        step.change = NULL;
        clrnn_trying_keep(t, f->set, &step.trial);
    }
    clrnn_growstep_finish(&step);
    return st;
}

// ---------------------------------------------------------------- all findings

static bool anything_to_try(const struct clrnn_doctor_result *r)
{
    for (size_t i = 0; i < r->count; i++)
        if (r->finding[i].severity != CLRNN_SEVERITY_NOTE && !*r->finding[i].tried)
            return true;
    return false;
}

// If the training of the config as given took so long that there is no time for a trial with as many steps, repeats
// that training with fewer steps. All trials then have this number of steps, too.
static enum clrnn_status cut_short(struct clrnn_trying *t)
{
    struct clrnn_doctor *d = t->d;
    const double left = fmax(t->until - clrnn_clock(), LEAST_LEFT);
    const double steps = t->steps * fmin(left, TRIAL_SECONDS) / 4 / clrnn_trying_seconds(t);
    struct clrnn_trial trial;

    if (!d->asked.ran || !d->asked.finite || !d->asked.steps || !clrnn_trying_no_time(t) ||
        !anything_to_try(d->result) || !(steps >= LEAST_STEPS) || clrnn_doctor_stopped(d))
        return CLRNN_OK;
    TRY(clrnn_trial_run(d, d->config, (uint32_t)steps, TRIAL_SECONDS, &trial));
    if (!trial.ran) {
        clrnn_trial_finish(&trial);
        return CLRNN_OK;
    }
    clrnn_trial_finish(&d->asked);
    d->asked = trial;
    t->steps = trial.steps;
    t->until = fmax(t->until, clrnn_clock() + LEAST_LEFT);
    return CLRNN_OK;
}

// Lowers underfitting and time-ignored to notes if the net is as good as a linear model on the validation rows, and no
// change helped. The remaining loss may be noise in the labels, and the labels may not depend on the order of time
// steps.
static enum clrnn_status excuse_noise(struct clrnn_trying *t)
{
    struct clrnn_doctor_result *r = t->d->result;

    for (size_t i = 0; i < r->count && t->d->generalises && !t->kept; i++) {
        struct clrnn_finding *f = &r->finding[i];
        const bool time = !strcmp(f->id, "time-ignored");

        if ((!time && strcmp(f->id, "underfitting")) || f->set ||
            (f->follows_from && strcmp(f->follows_from, "underfitting") && strcmp(f->follows_from, "time-ignored")))
            continue;
        f->severity = CLRNN_SEVERITY_NOTE;
        TRY(clrnn_trying_say(t, &f->cost,
                             clrnn_format(time ? "nothing, where the labels do not depend on the order"
                                               : "nothing, where what is left of the loss is noise in the labels: "
                                                 "on validation rows the net is as good as a linear model")));
        if (time || *f->tried)
            TRY(clrnn_trying_say(
                t, &f->remedy,
                strdup(time ? "`pool: {over: mean}` and `linear`, if a smaller net is wanted"
                            : "none of what was tried is better; other inputs, if there are any that say "
                              "more about y")));
    }
    return clrnn_doctor_order(t->d, true);
}

static enum clrnn_status try_all(struct clrnn_trying *t)
{
    struct clrnn_doctor_result *r = t->d->result;
    struct clrnn_finding *grown = NULL;

    TRY(cut_short(t));
    for (size_t i = 0; i < r->count; i++)
        if (r->finding[i].set && !*r->finding[i].tried)
            TRY(try_finding(t, &r->finding[i]));
    TRY(clrnn_doctor_order(t->d, true)); // findings whose change made no difference are now no causes
    for (size_t i = 0; i < r->count && clrnn_trying_now(t)->ran && !clrnn_trial_is_good(clrnn_trying_now(t)) &&
                       !clrnn_doctor_is_mended(t->d, t->kept ? &t->now : NULL);
         i++) {
        struct clrnn_finding *f = &r->finding[i];

        if (!f->set && (!f->follows_from || clrnn_doctor_is_fact(r, f->follows_from)) &&
            f->severity != CLRNN_SEVERITY_NOTE && !*f->tried)
            TRY(clrnn_trying_seek(t, f));
    }
    for (size_t i = 0; i < r->count && !grown; i++)
        grown = asks_for_growing(&r->finding[i]) && !clrnn_finding_by_linear_net(t->d, &r->finding[i]) ? &r->finding[i]
                                                                                                       : NULL;
    if (grown && !t->kept && t->d->asked.ran && !clrnn_trying_no_time(t))
        TRY(grow(t, grown));
    TRY(excuse_noise(t));
    TRY(clrnn_doctor_settle(t->d, t->kept ? &t->now : NULL));
    for (size_t i = 0; i < r->count; i++) {
        struct clrnn_finding *f = &r->finding[i];

        if (f->severity != CLRNN_SEVERITY_NOTE && !f->follows_from && !f->set && !*f->tried)
            TRY(clrnn_trying_say(t, &f->tried, clrnn_format("not tried: no change of the config does it")));
    }
    return CLRNN_OK;
}

static const char *no_trial(const struct clrnn_doctor *d)
{
    return d->params->static_only ? "--static runs no model"
           : d->params->no_train  ? "--no-train runs no training"
                                  : NULL;
}

static enum clrnn_status try_each(struct clrnn_trying *t)
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
    struct clrnn_trying t = {.d = d, .until = fmax(d->started + DOCTOR_SHARE * d->seconds, clrnn_clock() + LEAST_LEFT)};
    enum clrnn_status st;

    t.steps = d->asked.finite && d->asked.steps ? d->asked.steps : FREE_STEPS;
    if (!d->asked.finite && d->asked.steps && d->asked.seconds > 0) // the training diverged after some steps
        t.steps =
            MAX2(d->asked.steps, (uint32_t)fmin(FREE_STEPS, d->asked.steps * TRIAL_SECONDS / 2 / d->asked.seconds));
    t.set = malloc((d->result->count + 1) * sizeof(*t.set));
    if (!t.set)
        return clrnn_trying_no_memory(&t);
    st = try_each(&t);
    if (t.kept)
        d->best = t.now;
    free(t.set);
    return st;
}
