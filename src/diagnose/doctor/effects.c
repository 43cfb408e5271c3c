// SPDX-License-Identifier: MIT
// Decides, by the results of the trials of remedies, which findings are the causes of other findings.
#include <stdlib.h>
#include <string.h>

#include "base/array.h"
#include "base/file.h"
#include "base/log.h"
#include "diagnose/doctor/trial.h"

bool clrnn_doctor_is_mended(const struct clrnn_doctor *d, const struct clrnn_trial *best)
{
    return best && clrnn_trial_is_far_better(&d->asked, best);
}

// Returns the root cause of a finding; the finding itself if it follows from no other.
static const struct clrnn_finding *root_of(const struct clrnn_doctor_result *r, const struct clrnn_finding *f)
{
    for (size_t steps = 0; steps < r->count && f->follows_from; steps++) {
        const size_t place = clrnn_doctor_place_of(r, f->follows_from);

        if (place == SIZE_MAX)
            break;
        f = &r->finding[place];
    }
    return f;
}

// If remedies made the model learn, the first finding whose remedy helped becomes the cause (follows_from) of findings
// that were measured while the model did not learn. Leaves out findings that offer a change, and findings whose own
// root cause has a remedy that helped.
static void blame_the_mended(struct clrnn_doctor *d, const struct clrnn_trial *best)
{
    static const char *const ids[] = {"vanishing-gradient", "saturated-units",     "loss-flat",
                                      "underfitting",       "inputs-ignored",      "time-ignored",
                                      "worse-than-linear",  "loss-oscillates",     "labels-look-random",
                                      "update-too-small",   "majority-class-only", "cannot-overfit-one-batch"};
    struct clrnn_doctor_result *r = d->result;
    const char *cause = NULL;

    for (size_t i = r->count; i-- > 0;)
        if (r->finding[i].outcome == CLRNN_TRIED_HELPS)
            cause = r->finding[i].id;
    for (size_t i = 0; i < r->count && cause && clrnn_doctor_is_mended(d, best); i++)
        for (size_t k = 0; k < ARRAY_SIZE(ids); k++)
            if (!strcmp(r->finding[i].id, ids[k]) && r->finding[i].id != cause && !r->finding[i].set &&
                root_of(r, &r->finding[i])->outcome != CLRNN_TRIED_HELPS)
                r->finding[i].follows_from = cause;
}

// If a finding follows from another one and offers no change, sets its remedy to the advice to mend the root cause.
static enum clrnn_status point_to_causes(struct clrnn_doctor *d)
{
    struct clrnn_doctor_result *r = d->result;

    for (size_t i = 0; i < r->count; i++) {
        struct clrnn_finding *f = &r->finding[i];
        const struct clrnn_finding *cause = root_of(r, f);
        char *text;

        if (!f->follows_from || f->set)
            continue;
        text = clrnn_format("mend %s, from which it follows", cause->id);
        if (!text)
            return clrnn_error_memory(d->log, 0, "the doctor's findings");
        free(f->remedy);
        f->remedy = text;
    }
    return CLRNN_OK;
}

enum clrnn_status clrnn_doctor_settle(struct clrnn_doctor *d, const struct clrnn_trial *best)
{
    TRY(clrnn_doctor_order(d, true));
    if (best) {
        blame_the_mended(d, best);
        TRY(clrnn_doctor_order(d, false));
    }
    return point_to_causes(d);
}
