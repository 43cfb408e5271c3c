// SPDX-License-Identifier: MIT
// The trials of remedies while they go on.
#ifndef CLRNN_SRC_DIAGNOSE_DOCTOR_TRYING_H
#define CLRNN_SRC_DIAGNOSE_DOCTOR_TRYING_H

#include "diagnose/doctor/trial.h"

#define TRIAL_SECONDS 10.0 // what takes longer is not tried

struct clrnn_trying {
    struct clrnn_doctor *d;
    const char **set; // changes that are kept
    size_t count;
    struct clrnn_trial now; // with those of them that helped
    bool by_recall;         // a change was kept for the recall of the class that is found least
    bool kept;              // `now` is the result of changes, not of the config as given
    uint32_t steps;
    double pace;  // seconds a step of the last trial; 0: there was none
    double until; // no trial begins that would end after it, on clrnn_clock
};

/** The error of a failed allocation. */
enum clrnn_status clrnn_trying_no_memory(const struct clrnn_trying *t);
/** Replaces a text of a finding; `text`, which it takes over, NULL: no memory. */
enum clrnn_status clrnn_trying_say(const struct clrnn_trying *t, char **where, char *text);
/** The training that the next trial is compared with. */
const struct clrnn_trial *clrnn_trying_now(const struct clrnn_trying *t);
/** Seconds that the next trial may take; whether there is no time for it. */
double clrnn_trying_seconds(const struct clrnn_trying *t);
bool clrnn_trying_no_time(const struct clrnn_trying *t);
enum clrnn_status clrnn_trying_say_no_time(struct clrnn_trying *t, struct clrnn_finding *f);
/** Applies the kept changes and one more (NULL: none) and trains. `trial->why` says why it was not run.
 * Errors  CLRNN_ERR_CONFIG, not logged: a change that the config does not take. */
enum clrnn_status clrnn_trying_run(const struct clrnn_trying *t, const char *more, struct clrnn_trial *trial);
/** Keeps a change, and `trial` with it as what the next one is compared with; NULL: no trial. */
void clrnn_trying_keep(struct clrnn_trying *t, const char *set, struct clrnn_trial *trial);

/** Whether this finding says that the net is but a linear model, which no change of a key mends. */
bool clrnn_finding_by_linear_net(const struct clrnn_doctor *d, const struct clrnn_finding *f);

/** Tries what may help a finding that offers no change, and keeps the best of it. */
enum clrnn_status clrnn_trying_seek(struct clrnn_trying *t, struct clrnn_finding *f);

#endif
