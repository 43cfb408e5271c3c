// SPDX-License-Identifier: MIT
// State of the trials of remedies. A trial is a short training of the config with one or more changes.
#ifndef CLRNN_SRC_DIAGNOSE_DOCTOR_TRYING_H
#define CLRNN_SRC_DIAGNOSE_DOCTOR_TRYING_H

#include "diagnose/doctor/trial.h"

#define TRIAL_SECONDS 10.0 // a trial that would take longer is not run

struct clrnn_trying {
    struct clrnn_doctor *d;
    const char **set; // [count] changes that are kept
    size_t count;
    struct clrnn_trial now; // last trial that helped, with the changes that were kept until then
    bool by_recall;         // the last change that helped was judged by the lowest recall of a class
    bool kept;              // `now` is set: some change helped
    uint32_t steps;         // training steps of a trial
    double pace;            // seconds per step of the last trial; 0: there was none
    double until;           // time on clrnn_clock; a trial that would end later is not begun
};

/** Logs a failed allocation and returns CLRNN_ERR_MEMORY. */
enum clrnn_status clrnn_trying_no_memory(const struct clrnn_trying *t);
/** Replaces *where, a text of a finding, by `text`, and takes ownership of `text`. CLRNN_ERR_MEMORY if `text` is
 * NULL. */
enum clrnn_status clrnn_trying_say(const struct clrnn_trying *t, char **where, char *text);
/** Returns the training with which the next trial is compared. */
const struct clrnn_trial *clrnn_trying_now(const struct clrnn_trying *t);
/** Returns the seconds that the next trial is expected to take. */
double clrnn_trying_seconds(const struct clrnn_trying *t);
/** Whether the next trial is not to be run: it would take too long, too little time is left, or params.stop is set. */
bool clrnn_trying_no_time(const struct clrnn_trying *t);
/** Writes into f->tried that the change was not tried for lack of time. */
enum clrnn_status clrnn_trying_say_no_time(struct clrnn_trying *t, struct clrnn_finding *f);
/** Trains the config with the kept changes and the change `more` (NULL: none). If the training cannot be run,
 * trial->ran is false and trial->why is the reason.
 * Errors  CLRNN_ERR_CONFIG, not logged: a change makes the config invalid. CLRNN_ERR_MEMORY. */
enum clrnn_status clrnn_trying_run(const struct clrnn_trying *t, const char *more, struct clrnn_trial *trial);
/** Keeps the change text `set`, so that all later trials have this change as well. The text is not copied. `trial`,
 * unless NULL, becomes t->now, with which later trials are compared; takes ownership of the trial's contents. */
void clrnn_trying_keep(struct clrnn_trying *t, const char *set, struct clrnn_trial *trial);

/** Whether the cause of this finding is that the net has no nonlinear layer. No change of a config key mends that. */
bool clrnn_finding_by_linear_net(const struct clrnn_doctor *d, const struct clrnn_finding *f);

/** Tries the candidate changes (clrnn_candidate) for a finding that offers no change, and keeps the best one that
 * helps. */
enum clrnn_status clrnn_trying_seek(struct clrnn_trying *t, struct clrnn_finding *f);

#endif
