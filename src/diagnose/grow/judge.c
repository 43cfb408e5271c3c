// SPDX-License-Identifier: MIT
// Judges whether a stage learns, and writes the sentence about the part that breaks learning.
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/log.h"
#include "diagnose/grow/grow.h"

// Limits for a stage that did not reach the target on one batch. Its excess is its loss minus the loss's floor
// (floor.h). The stage has learnt if the excess fell below FAR_SHARE of its first value. For a stage that adds dropout,
// which raises the loss of a step, the share is FAR_SHARE_DROPOUT. The stage has also learnt if the excess fell below
// twice that of the last earlier stage that learns, or if the loss was still falling.
#define FAR_SHARE 0.05
#define FAR_SHARE_DROPOUT 0.2
#define FLOOR_SHARE 0.5 // nothing can be learnt if floor / first loss is larger (equal rows, different labels)

// Limits for the short training, which is judged by its skill (0: no better than the constant answer, 1: perfect). A
// stage is compared with the last earlier stage that learns. The part that the stage adds breaks the training if the
// earlier stage has a skill of at least SKILL_BELOW, and this stage less than SKILL_KEPT of that skill. The limit is
// SKILL_KEPT_SLOWER if this stage's sum of lr over its steps is smaller than the earlier stage's, and SKILL_KEPT_FASTER
// if it is larger. If this sum is below TRAVEL_ADAM or TRAVEL_SGD, skill is not compared: in a warm-up or with a small
// lr, weights hardly change, which is slow, but not broken.
#define SKILL_BELOW 0.3
#define SKILL_KEPT 0.5
#define SKILL_KEPT_SLOWER 0.25
#define SKILL_KEPT_FASTER 0.75
#define SKILL_ERRORS 2.0 // skill must also fall by more than this many standard errors
#define TRAVEL_ADAM 0.03 // 300 steps at an lr of 1e-4
#define TRAVEL_SGD 3.0
// A part also breaks the short training if the loss is above LOSS_ABOVE times that of the constant answer, while the
// loss of that earlier stage is below LOSS_BELOW times that of the constant answer.
#define LOSS_BELOW 0.7
#define LOSS_ABOVE 1.1
// That earlier stage may itself not be below LOSS_BELOW. A part also breaks the short training if the loss is above
// LOSS_TIMES times that of the constant answer and of the earlier stage, unless it is only slow: with a smaller sum of
// lr than the earlier stage, the loss must be higher than before the training.
#define LOSS_TIMES 3.0

// ---------------------------------------------------------------- judging

static void judge_by_heart(struct clrnn_stage_outcome *o, const struct clrnn_stage_outcome *below, bool adds_dropout)
{
    const struct clrnn_overfit_result *r = &o->overfit;
    const double excess = r->lowest_loss - r->floor, start = r->first_loss - r->floor;
    double limit = (adds_dropout ? FAR_SHARE_DROPOUT : FAR_SHARE) * start;

    o->by_heart = r->reached;
    o->far = r->reached && r->floor < FLOOR_SHARE * r->first_loss;
    if (r->reached || r->cannot || !isfinite(r->last_loss))
        return;
    o->far = excess < limit;
    if (below)
        limit = fmax(limit, 2.0 * (below->overfit.lowest_loss - below->overfit.floor));
    o->by_heart = r->falling || excess < limit;
}

static bool keeps_skill(const struct clrnn_grow *c, const struct clrnn_stage_outcome *o,
                        const struct clrnn_stage_outcome *below)
{
    const double kept = o->travel > 1.01 * below->travel   ? SKILL_KEPT_FASTER
                        : o->travel < 0.99 * below->travel ? SKILL_KEPT_SLOWER
                                                           : SKILL_KEPT;

    if (below->skill < SKILL_BELOW || c->constant >= 1.0)
        return true;
    return o->skill >= kept * below->skill ||
           below->skill - o->skill < SKILL_ERRORS * (o->skill_error + below->skill_error);
}

static void judge_by_training(const struct clrnn_grow *c, struct clrnn_stage_outcome *o,
                              const struct clrnn_stage_outcome *below)
{
    const bool moved = o->travel >= (o->optimizer == CLRNN_OPTIMIZER_SGD ? TRAVEL_SGD : TRAVEL_ADAM);

    o->by_training = o->finite;
    if (!o->finite || !below)
        return;
    if (moved && !keeps_skill(c, o, below))
        o->by_training = false;
    if (below->loss_ratio < LOSS_BELOW && o->loss_ratio > LOSS_ABOVE)
        o->by_training = false;
    if (o->loss_ratio > LOSS_TIMES * fmax(below->loss_ratio, 1) && o->skill < SKILL_BELOW &&
        (o->loss_rise > 1 || o->travel > 0.99 * below->travel))
        o->by_training = false;
}

bool clrnn_stage_learns(const struct clrnn_grow *c, struct clrnn_stage_outcome *o,
                        const struct clrnn_stage_outcome *below, const struct clrnn_part *part)
{
    judge_by_heart(o, below, part && (part->kind == CLRNN_PART_DROPOUT || part->kind == CLRNN_PART_INNER_DROPOUT));
    judge_by_training(c, o, below);
    return o->by_heart && o->by_training;
}

// ---------------------------------------------------------------- the cause

// Returns why a stage does not learn, as the end of a sentence. The caller frees it.
static char *reason(const struct clrnn_grow *c, size_t stage)
{
    const struct clrnn_stage_outcome *o = &c->outcome[stage];
    const struct clrnn_overfit_result *r = &o->overfit;
    const struct clrnn_grow_stage *it = &c->result->stage[stage];

    if (!o->ran)
        return clrnn_format("it cannot be run (the message above says why)");
    if (r->floor_reason && isfinite(r->floor) && (r->cannot || r->floor >= FLOOR_SHARE * r->first_loss))
        return clrnn_format("the loss cannot fall under %.4f: %s", r->floor, r->floor_reason);
    if (r->cannot)
        return clrnn_format("%s", r->floor_reason);
    if (r->ended && !o->by_heart)
        return clrnn_format("%s", r->ended);
    if (!o->by_heart || o->by_training)
        return clrnn_format("in %u steps on one batch the loss comes down from %.4g to %.4g only, with the lr at "
                            "%.2g in the end",
                            r->steps, r->first_loss, r->lowest_loss, r->last_lr);
    if (!o->finite)
        return clrnn_format("the loss does not stay finite");
    if (isnan(it->train_accuracy))
        return clrnn_format("after a short training the loss is %.4g", it->train_loss);
    return clrnn_format("after a short training the model has, in eval mode, an accuracy of %.4f and a loss of %.4g "
                        "on the training data themselves",
                        it->train_accuracy, it->train_loss);
}

// Returns the part that a broken stage added. Finds it by its name, which is also the name of the stage. NULL: none.
static const struct clrnn_part *part_of(const struct clrnn_grow *c, const struct clrnn_grow_stage *stage)
{
    for (size_t i = 0; i < c->ladder.count; i++)
        if (c->ladder.part[i].off && !strcmp(c->ladder.part[i].name, stage->name))
            return &c->ladder.part[i];
    return NULL;
}

static char *append(char *text, char *more)
{
    char *longer = text && more ? clrnn_format("%s%s", text, more) : NULL;

    free(text);
    free(more);
    return longer;
}

static char *name_part(const struct clrnn_grow *c, size_t stage)
{
    const struct clrnn_part *part = part_of(c, &c->result->stage[stage]);

    return part ? clrnn_part_name(c->config, part) : clrnn_format("'%s'", c->result->stage[stage].name);
}

static char *cause_of_part(const struct clrnn_grow *c, size_t first)
{
    char *text = append(name_part(c, first), clrnn_format(" breaks learning: "));

    text = append(text, reason(c, first));
    for (size_t i = first + 1; i < c->result->count && text; i++) {
        if (!c->result->stage[i].breaks)
            continue;
        text = append(text, clrnn_format("; by itself so does "));
        text = append(text, name_part(c, i));
        text = append(text, clrnn_format(": "));
        text = append(text, reason(c, i));
    }
    return append(text, clrnn_format("."));
}

static char *cause_of_base(const struct clrnn_grow *c, size_t stage)
{
    char *text = stage
                     ? clrnn_format("'%s' breaks learning, before any other part of the config; '%s' learns: ",
                                    c->result->stage[stage].name, c->result->stage[0].name)
                     : clrnn_format("No stage learns, so that no single part is to blame; look at the data and at what "
                                    "is asked of the model (`clrnn doctor` does). '%s': ",
                                    c->result->stage[c->result->count - 1].name);

    text = append(text, reason(c, stage ? stage : c->result->count - 1));
    return append(text, clrnn_format("."));
}

// Whether any stage learns by an absolute measure, and not only in comparison with an earlier stage.
static bool any_learns(const struct clrnn_grow *c)
{
    for (size_t i = 0; i < c->result->count; i++)
        if (c->result->stage[i].learns && (c->outcome[i].far || c->outcome[i].skill >= SKILL_BELOW))
            return true;
    return false;
}

// Whether the short training left a stage worse than the constant answer, and worse than it was before.
static bool gets_worse(const struct clrnn_stage_outcome *o)
{
    return o->ran && o->loss_ratio > LOSS_ABOVE && o->loss_rise > LOSS_ABOVE && o->skill < SKILL_BELOW;
}

static char *cause_of_whole(const struct clrnn_grow *c)
{
    char *text = clrnn_format("No single part breaks learning, but the config does not learn: ");

    text = append(text, reason(c, c->result->count - 1));
    return append(text, clrnn_format(", worse than a constant answer and than before the training."));
}

enum clrnn_status clrnn_grow_find_cause(struct clrnn_grow *c)
{
    struct clrnn_grow_result *g = c->result;
    const size_t base = c->ladder.recurrent >= 0 ? 1 : 0, last = g->count - 1;

    g->first_broken = -1;
    if (gets_worse(&c->outcome[last]))
        g->stage[last].learns = c->outcome[last].by_training = false;
    if (g->stage[last].learns && any_learns(c))
        return CLRNN_OK; // the config itself learns, even if an earlier stage was judged not to learn
    for (size_t i = base + 1; i < g->count && g->first_broken < 0; i++)
        if (g->stage[i].breaks)
            g->first_broken = (int)i;
    if (g->first_broken >= 0) {
        g->cause = cause_of_part(c, (size_t)g->first_broken);
    } else if (g->stage[base].learns && c->outcome[last].by_heart && gets_worse(&c->outcome[last])) {
        g->first_broken = 0;
        g->cause = cause_of_whole(c);
    } else {
        g->first_broken = any_learns(c) ? (int)base : 0;
        g->cause = cause_of_base(c, (size_t)g->first_broken);
    }
    return g->cause ? CLRNN_OK : clrnn_error_memory(c->log, 0, "the cause");
}
