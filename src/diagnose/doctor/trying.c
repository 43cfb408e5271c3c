// SPDX-License-Identifier: MIT
// Functions that all trials of remedies use: they handle the kept changes, the time that is left, and the texts.
#include "diagnose/doctor/trying.h"

#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/file.h"
#include "base/log.h"

#define LONGER_RUN 300u // maximum steps of a trial if the config's whole run has fewer than CLRNN_FEW_STEPS

enum clrnn_status clrnn_trying_no_memory(const struct clrnn_trying *t)
{
    return clrnn_error_memory(t->d->log, 0, "the trial of a remedy");
}

enum clrnn_status clrnn_trying_say(const struct clrnn_trying *t, char **where, char *text)
{
    if (!text)
        return clrnn_trying_no_memory(t);
    free(*where);
    *where = text;
    return CLRNN_OK;
}

const struct clrnn_trial *clrnn_trying_now(const struct clrnn_trying *t)
{
    return t->kept ? &t->now : &t->d->asked;
}

double clrnn_trying_seconds(const struct clrnn_trying *t)
{
    const struct clrnn_trial *n = clrnn_trying_now(t);

    return n->steps ? n->seconds * t->steps / n->steps : t->pace * t->steps;
}

bool clrnn_trying_no_time(const struct clrnn_trying *t)
{
    return clrnn_trying_seconds(t) > TRIAL_SECONDS || clrnn_doctor_stopped(t->d) ||
           clrnn_clock() + clrnn_trying_seconds(t) > t->until;
}

enum clrnn_status clrnn_trying_run(const struct clrnn_trying *t, const char *more, struct clrnn_trial *trial)
{
    const char **set = malloc((t->count + 1) * sizeof(*set));
    struct clrnn_config *changed = NULL;
    enum clrnn_status st;

    *trial = (struct clrnn_trial){0};
    if (!set)
        return clrnn_trying_no_memory(t);
    if (more)
        set[0] = more; // first, since the first of two changes of the same key wins
    memcpy(set + (more != NULL), t->set, t->count * sizeof(*set));
    st = clrnn_doctor_apply(t->d, t->count + (more != NULL), set, &changed);
    if (st == CLRNN_OK)
        // if the config's whole run has few steps, allows more: a change to smaller batches makes the run longer
        st = clrnn_trial_run(t->d, changed, t->d->asked.wanted < CLRNN_FEW_STEPS ? LONGER_RUN : t->steps, TRIAL_SECONDS,
                             trial);
    clrnn_config_destroy(&changed);
    free(set);
    return st;
}

void clrnn_trying_keep(struct clrnn_trying *t, const char *set, struct clrnn_trial *trial)
{
    t->set[t->count++] = set;
    if (!trial)
        return;
    clrnn_trial_finish(&t->now);
    t->now = *trial;
    t->kept = true;
    *trial = (struct clrnn_trial){0};
}

enum clrnn_status clrnn_trying_say_no_time(struct clrnn_trying *t, struct clrnn_finding *f)
{
    return clrnn_trying_say(
        t, &f->tried,
        clrnn_trying_seconds(t) > 0
            ? clrnn_format("not tried for lack of time: %u steps take about %.2g s", t->steps, clrnn_trying_seconds(t))
            : clrnn_format("not tried for lack of time"));
}

bool clrnn_finding_by_linear_net(const struct clrnn_doctor *d, const struct clrnn_finding *f)
{
    return d->only_linear && (!strcmp(f->id, "loss-flat") || !strcmp(f->id, "underfitting") ||
                              !strcmp(f->id, "cannot-overfit-one-batch"));
}

bool clrnn_finding_by_recall(const struct clrnn_finding *f)
{
    return !strcmp(f->id, "class-imbalance") || !strcmp(f->id, "majority-class-only") ||
           !strcmp(f->id, "class-weights-inverted");
}
