// SPDX-License-Identifier: MIT
// Finds the part of the config that breaks learning: a binary search over the stages of `clrnn grow`.
#include "diagnose/doctor/growstep.h"

#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/file.h"
#include "base/log.h"
#include "base/text.h"
#include "diagnose/grow/grow.h"
#include "model/nest.h"

#define STAGE_SECONDS 10.0

struct search {
    const struct clrnn_doctor *d;
    const struct clrnn_trial *asked;
    struct clrnn_ladder ladder;
    uint32_t steps;
    double until;
    bool timed_out;
};

void clrnn_growstep_finish(struct clrnn_growstep *s)
{
    free(s->text);
    free(s->remedy);
    free(s->change);
    clrnn_trial_finish(&s->trial);
    *s = (struct clrnn_growstep){0};
}

// Trains *variant and frees it. Sets *yes to whether it learns better than the config as given. `made`: the status with
// which *variant was made; an error is returned as it is.
static enum clrnn_status learns(struct search *s, enum clrnn_status made, struct clrnn_config **variant,
                                struct clrnn_trial *trial, bool *yes)
{
    enum clrnn_status st = made;

    *trial = (struct clrnn_trial){0};
    *yes = false;
    s->timed_out = s->timed_out || clrnn_clock() > s->until || clrnn_doctor_stopped(s->d);
    if (st == CLRNN_OK && !s->timed_out)
        st = clrnn_trial_run(s->d, *variant, s->steps, STAGE_SECONDS, trial);
    if (st == CLRNN_OK)
        *yes = trial->ran && clrnn_trial_compare(s->asked, trial, false) == CLRNN_GAIN_BETTER;
    clrnn_config_destroy(variant);
    return st;
}

static enum clrnn_status parts_learn(struct search *s, size_t parts, struct clrnn_trial *trial, bool *yes)
{
    struct clrnn_config *variant = NULL;
    const enum clrnn_status st = clrnn_ladder_variant(&s->ladder, parts, &variant);

    return learns(s, st, &variant, trial, yes);
}

// Returns the change text that removes `part` from the config; "": no change text can remove it.
static char *change_of(const struct clrnn_config *c, const struct clrnn_part *part)
{
    const char *layer = part->count ? clrnn_layer_word(c->layer[part->layer].kind) : "";
    const size_t at = part->layer;
    char entry[CLRNN_ENTRY_SIZE] = "", next[CLRNN_ENTRY_SIZE];

    if (part->count)
        clrnn_layer_entry(c, at, entry);
    switch (part->kind) {
    case CLRNN_PART_LAYERS:
        return clrnn_format("%s.%s.num_layers=1", entry, layer);
    case CLRNN_PART_DIRECTION:
        return clrnn_format("%s.%s.bidirectional=false", entry, layer);
    case CLRNN_PART_RELU:
        return clrnn_format("%s.rnn.nonlinearity=tanh", entry);
    case CLRNN_PART_WINDOWS:
    case CLRNN_PART_BLOCK:
    case CLRNN_PART_NORM:
    case CLRNN_PART_DROPOUT:
    case CLRNN_PART_ACTIVATION:
    case CLRNN_PART_RECURRENT:
    case CLRNN_PART_DENSE:
        if (part->count == 1)
            return clrnn_format("delete %s (%s)", entry, layer);
        if (part->count == 2)
            return clrnn_format("delete %s (%s)\ndelete %s (%s)", entry, layer, clrnn_layer_entry(c, at + 1, next),
                                clrnn_layer_word(c->layer[at + 1].kind));
        break;
    case CLRNN_PART_INNER_DROPOUT:
        return clrnn_format("%s.%s.dropout=0", entry, layer);
    case CLRNN_PART_LOSS:
        return clrnn_format("train.loss=%s", clrnn_loss_word(c->train.loss.kind));
    case CLRNN_PART_OPTIMIZER:
        return strdup("train.optimizer={adam: {lr: 0.001}}");
    case CLRNN_PART_SCHEDULER:
        return strdup("train.scheduler=null");
    case CLRNN_PART_ORDER:
        return strdup("train.shuffle=true");
    case CLRNN_PART_NLL:
    case CLRNN_PART_HEADLESS:
    case CLRNN_PART_INIT:
        break;
    }
    return strdup("");
}

static enum clrnn_status no_memory(const struct search *s)
{
    return clrnn_error_memory(s->d->log, 0, "a step of growing");
}

// Tries whether the config learns without the part.
static enum clrnn_status try_without(struct search *s, const struct clrnn_part *part, struct clrnn_growstep *step)
{
    struct clrnn_config *changed = NULL;
    const char *set;
    enum clrnn_status st;
    char *text;
    bool cured = false;

    step->change = change_of(s->d->config, part);
    if (!step->change)
        return no_memory(s);
    set = step->change;
    st = *set ? clrnn_doctor_apply(s->d, 1, &set, &changed) : CLRNN_ERR_CONFIG;
    if (st == CLRNN_OK)
        TRY(learns(s, st, &changed, &step->trial, &cured));
    else if (st != CLRNN_ERR_CONFIG)
        return st;
    if (!cured) {
        free(step->change);
        step->change = NULL;
        step->remedy =
            clrnn_format("start from the parts before '%s', which learn, and add the others one by one", part->name);
        return step->remedy ? CLRNN_OK : no_memory(s);
    }
    text = clrnn_trial_text(s->asked, &step->trial, false);
    step->remedy = text ? clrnn_format("%s", step->change) : NULL;
    for (char *at = step->remedy; at && (at = strchr(at, '\n'));)
        *at = ' ';
    set = step->text;
    step->text = step->remedy ? clrnn_format("%s; the config without it: %s", set, text) : NULL;
    free((char *)set);
    free(text);
    return step->text ? CLRNN_OK : no_memory(s);
}

// Finds, by bisection, the first part with which the base (grow.h) no longer learns better than the config as given.
// The base without any part must learn better.
static enum clrnn_status halve(struct search *s, struct clrnn_trial *best, struct clrnn_growstep *step)
{
    size_t low = 0, high = s->ladder.count;
    struct clrnn_part *part;
    char *text, *name;

    while (high - low > 1 && !s->timed_out) {
        const size_t middle = (low + high) / 2;
        struct clrnn_trial trial;
        bool yes;

        TRY(parts_learn(s, middle, &trial, &yes));
        if (yes) {
            clrnn_trial_finish(best);
            *best = trial;
            low = middle;
        } else {
            clrnn_trial_finish(&trial);
            high = middle;
        }
    }
    if (s->timed_out || !high)
        return CLRNN_OK;
    part = &s->ladder.part[high - 1];
    text = clrnn_trial_text(s->asked, best, false);
    name = clrnn_part_name(s->d->config, part);
    if (text && name)
        step->text = clrnn_format("grown part by part it learns until %s comes in: before that, %s", name, text);
    free(name);
    free(text);
    step->text = clrnn_text_take(step->text, CLRNN_TEXT_SHOWN);
    return step->text ? try_without(s, part, step) : no_memory(s);
}

static enum clrnn_status search(struct search *s, struct clrnn_growstep *step)
{
    struct clrnn_trial best = {0}, linear = {0};
    struct clrnn_config *variant = NULL;
    enum clrnn_status st;
    bool base = false, straight = false;

    st = parts_learn(s, 0, &best, &base);
    if (st == CLRNN_OK && base) {
        st = halve(s, &best, step);
    } else if (st == CLRNN_OK && !s->timed_out) {
        st = clrnn_ladder_linear(&s->ladder, &variant);
        st = learns(s, st, &variant, &linear, &straight);
    }
    if (st == CLRNN_OK && !base && !s->timed_out && best.ran) {
        char *text = clrnn_trial_text(s->asked, straight ? &linear : &best, false);

        if (text)
            step->text = clrnn_format(straight ? "a linear model alone learns (%s), one recurrent layer with a "
                                                 "linear one does not: the recurrent layer is to blame"
                                               : "no part is to blame: the barest net of this kind, with Adam and "
                                                 "lr 0.001, is no better (%s)",
                                      text);
        free(text);
        st = step->text ? CLRNN_OK : no_memory(s);
        step->nothing_learns = !straight;
        if (st == CLRNN_OK && !straight &&
            !(step->remedy = strdup("look at the data: whether rows of X and y belong "
                                    "together, and whether X holds what y asks for")))
            st = no_memory(s);
    }
    clrnn_trial_finish(&best);
    clrnn_trial_finish(&linear);
    return st;
}

enum clrnn_status clrnn_growstep(const struct clrnn_doctor *d, const struct clrnn_trial *asked, uint32_t steps,
                                 struct clrnn_growstep *step)
{
    struct search s = {.d = d, .asked = asked, .steps = steps, .until = d->started + 0.7 * d->seconds};
    enum clrnn_status st;

    *step = (struct clrnn_growstep){0};
    TRY(clrnn_ladder_make(d->log, d->config, d->outputs, d->params->init, &s.ladder));
    st = search(&s, step);
    clrnn_ladder_finish(&s.ladder);
    if (st != CLRNN_OK)
        clrnn_growstep_finish(step);
    return st;
}
