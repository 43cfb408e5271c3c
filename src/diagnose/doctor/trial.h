// SPDX-License-Identifier: MIT
// Short trainings of the config as asked and of changed ones, and what a change brings.
#ifndef CLRNN_SRC_DIAGNOSE_DOCTOR_TRIAL_H
#define CLRNN_SRC_DIAGNOSE_DOCTOR_TRIAL_H

#include "diagnose/doctor/doctor.h"

#define CLRNN_FEW_STEPS 50u // of a whole run, in which hardly anything is learnt

/** What a change brings. */
enum clrnn_gain { CLRNN_GAIN_WORSE, CLRNN_GAIN_NONE, CLRNN_GAIN_BETTER };

/** Evaluates the trial's model on up to some thousand rows, spread over each set; `valid` may be NULL. */
enum clrnn_status clrnn_trial_judge(const struct clrnn_doctor *d, struct clrnn_model *model,
                                    struct clrnn_dataset *train, struct clrnn_dataset *valid,
                                    struct clrnn_trial *trial);
/** Makes the `index`th change (a text as a finding's `set`, to be freed) that may help a finding of this id
 * which has no certain remedy; *change is NULL after the last one, and "" where this one does not apply to
 * the config. CLRNN_ERR_MEMORY. */
enum clrnn_status clrnn_candidate(const struct clrnn_doctor *d, const char *id, size_t index, char **change);
/** Trains a config for `steps` steps (fewer if its run is shorter), then evaluates it. A config that
 * cannot be run is no error: trial->ran is then false and trial->why is the reason. `seconds`: time limit; a
 * training that reaches it counts as not run. */
enum clrnn_status clrnn_trial_run(const struct clrnn_doctor *d, const struct clrnn_config *config,
                                  uint32_t steps, double seconds, struct clrnn_trial *trial);
void clrnn_trial_finish(struct clrnn_trial *trial);

/** Whether a trial is better than another one of as many steps. `recall`: by the least recall of a class, not
 * by accuracy. */
enum clrnn_gain clrnn_trial_compare(const struct clrnn_trial *before, const struct clrnn_trial *after,
                                    bool recall);
/** Whether it is better on the validation rows. */
bool clrnn_trial_is_better_on_valid(const struct clrnn_trial *before, const struct clrnn_trial *after);
/** Returns "valid accuracy 0.49 -> 0.95 in the same 300 steps", to be freed. NULL: no memory. */
char *clrnn_trial_text(const struct clrnn_trial *before, const struct clrnn_trial *after, bool recall);
/** Whether the trial is so good that no change can show that it helps. */
bool clrnn_trial_is_good(const struct clrnn_trial *trial);

/** Whether accuracy or R2 has at least halved its distance to 1. */
bool clrnn_trial_is_far_better(const struct clrnn_trial *before, const struct clrnn_trial *after);

/** Whether a remedy of this finding is about a class that is not answered: judged by recall, not by accuracy.
 */
bool clrnn_finding_by_recall(const struct clrnn_finding *finding);
/** Whether the best trial, which may be NULL, has at least halved the error. Findings that appear only where
 * a model does not learn do not hold any more then. */
bool clrnn_doctor_is_mended(const struct clrnn_doctor *d, const struct clrnn_trial *best);
/** Orders the findings again by the trials' results; effects of a finding whose remedy helped refer to
 * it. */
enum clrnn_status clrnn_doctor_settle(struct clrnn_doctor *d, const struct clrnn_trial *best);

/** Tries the findings' changes, each on top of those before, in the findings' order, and writes each
 * one's effect into `tried`. A change that makes things worse, or that the config does not accept, is
 * withdrawn. */
enum clrnn_status clrnn_doctor_try(struct clrnn_doctor *d);

#endif
