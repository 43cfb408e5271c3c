// SPDX-License-Identifier: MIT
// Tries candidate changes (candidate.c) for findings that offer no change of their own, and keeps the best.
#include <stdlib.h>
#include <string.h>

#include "base/array.h"
#include "base/file.h"
#include "diagnose/doctor/trying.h"

struct candidates {
    struct clrnn_trial best;
    char *change; // change text of the best trial; NULL: none helped
    char *list;   // all trials: "data.normalize=standard (valid accuracy 0.5 -> 0.51 in the same 300 steps)"
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

// Adds a trial to c->list. Moves the trial to c->best if it is the best so far.
static enum clrnn_status weigh(struct clrnn_trying *t, const struct clrnn_finding *f, const char *change,
                               struct clrnn_trial *trial, struct candidates *c)
{
    const bool recall = t->by_recall || clrnn_finding_by_recall(f);
    const struct clrnn_trial *before = c->change ? &c->best : clrnn_trying_now(t);
    char *text = clrnn_trial_text(clrnn_trying_now(t), trial, recall), *line = in_one_line(change);
    char *list =
        text && line ? clrnn_format("%s%s%s (%s)", c->list ? c->list : "", c->list ? "; " : "", line, text) : NULL;

    free(text);
    free(line);
    if (!list)
        return clrnn_trying_no_memory(t);
    free(c->list);
    c->list = list;
    if (clrnn_trial_compare(before, trial, recall) != CLRNN_GAIN_BETTER)
        return CLRNN_OK;
    if (!strcmp(f->id, "worse-than-linear") && !clrnn_trial_is_better_on_valid(before, trial))
        return CLRNN_OK; // this finding is about validation rows: a better result on training rows is not enough
    clrnn_trial_finish(&c->best);
    c->best = *trial;
    *trial = (struct clrnn_trial){0};
    return clrnn_trying_say(t, &c->change, strdup(change));
}

static enum clrnn_status try_candidates(struct clrnn_trying *t, struct clrnn_finding *f, struct candidates *c)
{
    for (size_t i = 0; !clrnn_trial_is_good(&c->best); i++) {
        struct clrnn_trial trial = {0};
        enum clrnn_status st;
        char *change;

        TRY(clrnn_candidate(t->d, f->id, i, &change));
        if (!change)
            return CLRNN_OK;
        if (clrnn_trying_no_time(t)) {
            free(change);
            return c->list ? CLRNN_OK : clrnn_trying_say_no_time(t, f);
        }
        st = *change ? clrnn_trying_run(t, change, &trial) : CLRNN_OK;
        if (st == CLRNN_OK && trial.ran)
            st = weigh(t, f, change, &trial, c);
        else if (st == CLRNN_OK && *trial.why)
            st = clrnn_trying_say(t, &f->tried, clrnn_format("not tried: %s", trial.why));
        clrnn_trial_finish(&trial);
        free(change);
        if (st != CLRNN_OK && st != CLRNN_ERR_CONFIG)
            return st;
    }
    return CLRNN_OK;
}

static bool is_about_length(const struct clrnn_finding *f)
{
    return !strcmp(f->id, "sequence-too-long") || (!strcmp(f->id, "vanishing-gradient") && strstr(f->where, "time"));
}

static enum clrnn_status adopt(struct clrnn_trying *t, struct clrnn_finding *f, struct candidates *c)
{
    const bool helped = c->change != NULL;
    const char *above = t->count ? ", on top of the other changes" : "";

    if (!c->list)
        return CLRNN_OK;
    TRY(clrnn_trying_say(t, &f->tried, clrnn_format("%s%s", c->list, above)));
    if (!helped)
        return clrnn_trying_say(
            t, &f->remedy,
            clrnn_format("none of what was tried helps%s%s",
                         strcmp(f->id, "worse-than-linear") ? ""
                                                            : ": start from `linear` alone and add one part at a time",
                         is_about_length(f) ? "; not tried, for no change of the config makes them: shorter "
                                              "sequences, or steps left out"
                                            : ""));
    TRY(clrnn_trying_say(t, &f->remedy, in_one_line(c->change)));
    f->outcome = CLRNN_TRIED_HELPS;
    f->set = c->change;
    c->change = NULL;
    clrnn_trying_keep(t, f->set, &c->best);
    return CLRNN_OK;
}

enum clrnn_status clrnn_trying_seek(struct clrnn_trying *t, struct clrnn_finding *f)
{
    struct candidates c = {0};
    enum clrnn_status st;

    if (clrnn_finding_by_linear_net(t->d, f))
        return clrnn_trying_say(t, &f->tried, clrnn_format("not tried: no change of a key puts a layer in"));
    st = try_candidates(t, f, &c);

    if (st == CLRNN_OK)
        st = adopt(t, f, &c);
    clrnn_trial_finish(&c.best);
    free(c.change);
    free(c.list);
    return st;
}
