// SPDX-License-Identifier: MIT
// State of the trials of remedies.
#ifndef CLRNN_SRC_DIAGNOSE_DOCTOR_TRYING_H
#define CLRNN_SRC_DIAGNOSE_DOCTOR_TRYING_H

#include "diagnose/doctor/trial.h"

#define TRIAL_SECONDS 10.0 // a trial that would take longer is not run

struct clrnn_trying {
    struct clrnn_doctor *d;
    const char **set; // changes that are kept
    size_t count;
    struct clrnn_trial now; // last trial that helped, with the changes kept by then
    bool by_recall;         // a change was kept because it raised the lowest recall of a class
    bool kept;              // `now` is the result of changes, not of the config as given
    uint32_t steps;
    double pace;  // seconds per step of the last trial; 0: there was none
    double until; // no trial begins that would end after it, on clrnn_clock
};

/** The error of a failed allocation. */
enum clrnn_status clrnn_trying_no_memory(const struct clrnn_trying *t);
/** Replaces *where, a text of a finding, by `text`, which it takes over. CLRNN_ERR_MEMORY: `text` is NULL. */
enum clrnn_status clrnn_trying_say(const struct clrnn_trying *t, char **where, char *text);
/** The training that the next trial is compared with. */
const struct clrnn_trial *clrnn_trying_now(const struct clrnn_trying *t);
/** Seconds that the next trial is expected to take; whether there is not enough time for it. */
double clrnn_trying_seconds(const struct clrnn_trying *t);
bool clrnn_trying_no_time(const struct clrnn_trying *t);
enum clrnn_status clrnn_trying_say_no_time(struct clrnn_trying *t, struct clrnn_finding *f);
/** Applies the kept changes and one more (NULL: none) and trains. `trial->why` says why it was not run.
 * Errors  CLRNN_ERR_CONFIG, not logged: a change that the config does not take. */
enum clrnn_status clrnn_trying_run(const struct clrnn_trying *t, const char *more, struct clrnn_trial *trial);
/** Keeps a change. `trial`, unless NULL, is taken over as the one that the next trial is compared with. */
void clrnn_trying_keep(struct clrnn_trying *t, const char *set, struct clrnn_trial *trial);

/** Whether the reason of this finding is that the net is only linear, which no change of a key mends. */
bool clrnn_finding_by_linear_net(const struct clrnn_doctor *d, const struct clrnn_finding *f);

/** Tries the candidate changes for a finding that offers none, and keeps the best of those that help. */
enum clrnn_status clrnn_trying_seek(struct clrnn_trying *t, struct clrnn_finding *f);

#endif
