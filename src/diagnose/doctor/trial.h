// SPDX-License-Identifier: MIT
// Short trainings of the config as given and of changed configs, and their comparison.
#ifndef CLRNN_SRC_DIAGNOSE_DOCTOR_TRIAL_H
#define CLRNN_SRC_DIAGNOSE_DOCTOR_TRIAL_H

#include "diagnose/doctor/doctor.h"

#define CLRNN_FEW_STEPS 50u // a run of fewer steps learns hardly anything

/** How a change affects the result of a short training. */
enum clrnn_gain { CLRNN_GAIN_WORSE, CLRNN_GAIN_NONE, CLRNN_GAIN_BETTER };

/** Evaluates the trial's model on up to some thousand rows, spread over each set; `valid` may be NULL. */
enum clrnn_status clrnn_trial_judge(const struct clrnn_doctor *d, struct clrnn_model *model,
                                    struct clrnn_dataset *train, struct clrnn_dataset *valid,
                                    struct clrnn_trial *trial);
/** Sets *change to the `index`th candidate remedy for a finding of this id that has no certain one: a text in
 * the format of a finding's `set`, to be freed. NULL after the last candidate; "" if this one does not apply
 * to the config. CLRNN_ERR_MEMORY. */
enum clrnn_status clrnn_candidate(const struct clrnn_doctor *d, const char *id, size_t index, char **change);
/** Trains a config for `steps` steps (fewer if its run is shorter), then evaluates it. A config that
 * cannot be run is no error: trial->ran is then false and trial->why is the reason. `seconds`: time limit; a
 * training that reaches it counts as not run. */
enum clrnn_status clrnn_trial_run(const struct clrnn_doctor *d, const struct clrnn_config *config,
                                  uint32_t steps, double seconds, struct clrnn_trial *trial);
void clrnn_trial_finish(struct clrnn_trial *trial);

/** Compares the trials before and after a change, of as many steps. `recall`: judges by the lowest recall of
 * any class, not by accuracy. */
enum clrnn_gain clrnn_trial_compare(const struct clrnn_trial *before, const struct clrnn_trial *after,
                                    bool recall);
/** Whether `after` is better on the validation rows, or without them on the training rows. */
bool clrnn_trial_is_better_on_valid(const struct clrnn_trial *before, const struct clrnn_trial *after);
/** Returns "valid accuracy 0.49 -> 0.95 in the same 300 steps", to be freed. NULL: no memory. */
char *clrnn_trial_text(const struct clrnn_trial *before, const struct clrnn_trial *after, bool recall);
/** Whether a trial is so good (accuracy or R2 of 0.97 and more) that no change can show that it helps. */
bool clrnn_trial_is_good(const struct clrnn_trial *trial);

/** Whether `after` beats a constant answer and halves the error of `before`, if that ran and was finite. */
bool clrnn_trial_is_far_better(const struct clrnn_trial *before, const struct clrnn_trial *after);

/** Whether this finding is about a class that the net hardly answers: its remedy is judged by recall. */
bool clrnn_finding_by_recall(const struct clrnn_finding *finding);
/** Whether `best` (NULL: no) has at least halved the error of the config as asked. Findings that appear only
 * while a model does not learn no longer hold then. */
bool clrnn_doctor_is_mended(const struct clrnn_doctor *d, const struct clrnn_trial *best);
/** Sorts the findings again by the trials' results; an effect without a change gets its cause as remedy. */
enum clrnn_status clrnn_doctor_settle(struct clrnn_doctor *d, const struct clrnn_trial *best);

/** Tries the findings' changes in the findings' order, each on top of the kept ones, and writes what each one
 * brought into `tried`. A change that makes things worse, or that the config does not accept, is
 * withdrawn. */
enum clrnn_status clrnn_doctor_try(struct clrnn_doctor *d);

#endif
