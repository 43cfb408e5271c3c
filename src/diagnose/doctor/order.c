// SPDX-License-Identifier: MIT
// Sorts the findings: causes first, each followed by its effects.
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/array.h"
#include "base/file.h"
#include "base/log.h"
#include "diagnose/doctor/doctor.h"

struct row {
    const char *id[48]; // the effect, then its causes
};

static const struct row causes[] = {
#define X(...) {{__VA_ARGS__}},
#include "train/causes.def"
#undef X
};

// Returns the index of the first finding with this id that can explain other findings: an error or warning whose change
// was not tried, or helped. SIZE_MAX: there is none.
static size_t find(const struct clrnn_doctor_result *r, const char *id)
{
    for (size_t i = 0; i < r->count; i++)
        if (r->finding[i].severity != CLRNN_SEVERITY_NOTE && r->finding[i].outcome < CLRNN_TRIED_NOTHING &&
            !strcmp(r->finding[i].id, id))
            return i;
    return SIZE_MAX;
}

bool clrnn_doctor_is_fact(const struct clrnn_doctor_result *r, const char *id)
{
    bool known = false;

    for (size_t k = 0; k < CLRNN_FINDING_LOSS_NOT_FINITE; k++)
        known = known || clrnn_finding_table[k].id == id;
    for (size_t i = 0; i < r->count && !known; i++) // a target that equals an input is a fact as well
        known = r->finding[i].id == id && r->finding[i].severity == CLRNN_SEVERITY_ERROR &&
                id == clrnn_finding_table[CLRNN_FINDING_NO_BETTER_THAN_NAIVE].id;
    for (size_t i = 0; i < r->count && known; i++)
        known = r->finding[i].id != id || !r->finding[i].set;
    return known;
}

// Whether `cause` explains `effect`. Swapped axes with T = 1 are an exception: the net still sees all steps, as
// features. They explain only that the net does not use time, not that it does not learn.
static bool explains(const struct clrnn_doctor_result *r, const char *cause, const char *effect)
{
    return strcmp(cause, "axes-swapped") || find(r, "single-time-step") == SIZE_MAX ||
           !strcmp(effect, "single-time-step") || !strcmp(effect, "time-ignored");
}

// Returns the index of the finding that explains `effect`; SIZE_MAX: none. If the effect's own change helps, only a
// fact (clrnn_doctor_is_fact) can explain the effect, since no change of the config mends a fact.
static size_t cause_of(const struct clrnn_doctor_result *r, const struct clrnn_finding *effect)
{
    for (size_t k = 0; k < ARRAY_SIZE(causes); k++) {
        if (strcmp(causes[k].id[0], effect->id))
            continue;
        for (size_t i = 1; i < ARRAY_SIZE(causes[k].id) && causes[k].id[i]; i++) {
            const size_t at = find(r, causes[k].id[i]);

            if (at != SIZE_MAX && explains(r, causes[k].id[i], effect->id) &&
                (effect->outcome != CLRNN_TRIED_HELPS || clrnn_doctor_is_fact(r, r->finding[at].id)))
                return at;
        }
    }
    return SIZE_MAX;
}

struct order {
    size_t count;
    // [count] each:
    size_t *parent;                // index of the finding's cause; SIZE_MAX: none
    size_t *effects;               // number of the finding's effects, including indirect ones
    enum clrnn_severity *gravest;  // gravest severity of the finding and its effects
    bool *placed;                  // the finding is already in the new order
    struct clrnn_finding *finding; // [done] findings in the new order
    size_t done;
};

static void place(struct order *o, const struct clrnn_doctor_result *r, size_t at)
{
    o->finding[o->done++] = r->finding[at];
    o->placed[at] = true;
    for (size_t i = 0; i < o->count; i++)
        if (o->parent[i] == at && !o->placed[i])
            place(o, r, i);
}

// Returns the position of finding `id` in the list of causes of "zero-gradient"; SIZE_MAX: not in that list.
static size_t rank(const char *id)
{
    for (size_t k = 0; k < ARRAY_SIZE(causes); k++)
        for (size_t i = 1; !strcmp(causes[k].id[0], "zero-gradient") && i < ARRAY_SIZE(causes[k].id); i++)
            if (causes[k].id[i] && !strcmp(causes[k].id[i], id))
                return i;
    return SIZE_MAX;
}

// Whether cause a comes before cause b. The causes are compared by these criteria in turn, until one differs. The
// severity is the gravest one of the cause and its effects.
// - A severity above a note comes first.
// - A cause whose remedy helps comes first.
// - The graver severity comes first.
// - A cause whose remedy was not tried comes before one whose remedy did not help.
// - The cause with more effects comes first, then the one with the lower rank(), then the one found earlier.
static bool before(const struct order *o, const struct clrnn_doctor_result *r, size_t a, size_t b)
{
    const size_t rank_a = rank(r->finding[a].id), rank_b = rank(r->finding[b].id);

    const enum clrnn_tried tried_a = r->finding[a].outcome, tried_b = r->finding[b].outcome;

    if ((o->gravest[a] == CLRNN_SEVERITY_NOTE) != (o->gravest[b] == CLRNN_SEVERITY_NOTE))
        return o->gravest[b] == CLRNN_SEVERITY_NOTE;
    if ((tried_a == CLRNN_TRIED_HELPS) != (tried_b == CLRNN_TRIED_HELPS))
        return tried_a == CLRNN_TRIED_HELPS;
    if (o->gravest[a] != o->gravest[b])
        return o->gravest[a] < o->gravest[b];
    if ((tried_a < CLRNN_TRIED_NOTHING) != (tried_b < CLRNN_TRIED_NOTHING))
        return tried_a < CLRNN_TRIED_NOTHING;
    if (o->effects[a] != o->effects[b])
        return o->effects[a] > o->effects[b];
    return rank_a != rank_b ? rank_a < rank_b : a < b;
}

size_t clrnn_doctor_place_of(const struct clrnn_doctor_result *r, const char *id)
{
    for (size_t i = 0; i < r->count; i++)
        if (r->finding[i].id == id)
            return i;
    return SIZE_MAX;
}

static void arrange(struct order *o, struct clrnn_doctor_result *r, bool find_causes)
{
    for (size_t i = 0; i < o->count; i++) {
        struct clrnn_finding *f = &r->finding[i];

        o->gravest[i] = f->severity;
        o->parent[i] = find_causes ? cause_of(r, f) : clrnn_doctor_place_of(r, f->follows_from);
        f->follows_from = o->parent[i] == SIZE_MAX ? NULL : r->finding[o->parent[i]].id;
    }
    for (size_t i = 0; i < o->count; i++)
        for (size_t at = o->parent[i]; at != SIZE_MAX; at = o->parent[at]) {
            o->effects[at]++;
            o->gravest[at] = MIN2(o->gravest[at], r->finding[i].severity);
        }
    for (;;) {
        size_t next = SIZE_MAX;

        for (size_t i = 0; i < o->count; i++)
            if (o->parent[i] == SIZE_MAX && !o->placed[i] && (next == SIZE_MAX || before(o, r, i, next)))
                next = i;
        if (next == SIZE_MAX)
            break;
        place(o, r, next);
    }
}

enum clrnn_status clrnn_doctor_order(struct clrnn_doctor *d, bool find_causes)
{
    struct clrnn_doctor_result *r = d->result;
    const size_t n = MAX2(r->count, 1);
    struct order o = {
        .count = r->count,
        .parent = malloc(n * sizeof(*o.parent)),
        .effects = calloc(n, sizeof(*o.effects)),
        .gravest = malloc(n * sizeof(*o.gravest)),
        .placed = calloc(n, sizeof(*o.placed)),
        .finding = malloc(n * sizeof(*o.finding)),
    };
    const bool there = o.parent && o.effects && o.gravest && o.placed && o.finding;

    if (there && r->count) {
        arrange(&o, r, find_causes);
        memcpy(r->finding, o.finding, r->count * sizeof(*r->finding));
    }
    free(o.parent);
    free(o.effects);
    free(o.gravest);
    free(o.placed);
    free(o.finding);
    return there ? CLRNN_OK : clrnn_error_memory(d->log, 0, "the order of the findings");
}

// Whether finding `at` follows from finding `cause`, directly or through other findings.
static bool follows(const struct clrnn_doctor_result *r, size_t at, size_t cause)
{
    const char *id = r->finding[at].id;

    for (size_t steps = 0; steps <= r->count && id; steps++) {
        const size_t place = clrnn_doctor_place_of(r, id);

        id = place == SIZE_MAX ? NULL : r->finding[place].follows_from;
        if (id == r->finding[cause].id)
            return true;
    }
    return false;
}

char *clrnn_doctor_first(const struct clrnn_doctor_result *r)
{
    const struct clrnn_finding *f = r->count ? &r->finding[0] : NULL;
    char effects[512] = "";
    size_t count = 0;

    if (!f || f->severity == CLRNN_SEVERITY_NOTE)
        return clrnn_format("%s", "");
    for (size_t i = 1; i < r->count; i++) {
        const size_t used = strlen(effects);

        if (r->finding[i].severity == CLRNN_SEVERITY_NOTE || !follows(r, i, 0) || strstr(effects, r->finding[i].id))
            continue;
        snprintf(effects + used, sizeof(effects) - used, "%s%s", count++ ? ", " : "", r->finding[i].id);
    }
    return clrnn_format("First mend %s at %s: %s%s%s%s.", f->id, f->where, f->remedy, count ? "; from it follow" : "",
                        count == 1 ? "s "
                        : count    ? " "
                                   : "",
                        effects);
}
