// SPDX-License-Identifier: MIT
// Short trainings of the config as given and of changed configs, and their comparison.
#ifndef CLRNN_SRC_DIAGNOSE_DOCTOR_TRIAL_H
#define CLRNN_SRC_DIAGNOSE_DOCTOR_TRIAL_H

#include "diagnose/doctor/doctor.h"

#define CLRNN_FEW_STEPS 50u // a run of fewer steps learns hardly anything

/** How a change affects the result of a short training. */
enum clrnn_gain { CLRNN_GAIN_WORSE, CLRNN_GAIN_NONE, CLRNN_GAIN_BETTER };

/** Evaluates a model on up to 2048 rows of `train` and up to 2048 rows of `valid`, spread evenly over each set. Writes
 * the results into *trial. `valid` may be NULL. */
enum clrnn_status clrnn_trial_judge(const struct clrnn_doctor *d, struct clrnn_model *model,
                                    struct clrnn_dataset *train, struct clrnn_dataset *valid,
                                    struct clrnn_trial *trial);
/** Gets a candidate remedy for findings with this id that offer no change. `index`: number of the candidate, from 0.
 * *change: a text in the format of a finding's `set`, which the caller frees. *change is "" if the candidate does not
 * apply to the config, and NULL after the last candidate. CLRNN_ERR_MEMORY. */
enum clrnn_status clrnn_candidate(const struct clrnn_doctor *d, const char *id, size_t index, char **change);
/** Trains a config for `steps` steps (fewer if its whole run is shorter), then evaluates the model. A config that
 * cannot be run is no error: trial->ran is then false and trial->why is the reason. `seconds`: time limit. A training
 * that reaches the limit counts as not run, except if d->asked was not trained, or diverged within half as many
 * steps. */
enum clrnn_status clrnn_trial_run(const struct clrnn_doctor *d, const struct clrnn_config *config, uint32_t steps,
                                  double seconds, struct clrnn_trial *trial);
void clrnn_trial_finish(struct clrnn_trial *trial);

/** Compares the trials before and after a change, which should have trained equally many steps. If `recall`, compares
 * the lowest recall of any class instead of the accuracy. */
enum clrnn_gain clrnn_trial_compare(const struct clrnn_trial *before, const struct clrnn_trial *after, bool recall);
/** Whether `after` is better on the validation rows or, if there are none, on the training rows. Also true if `before`
 * did not run. */
bool clrnn_trial_is_better_on_valid(const struct clrnn_trial *before, const struct clrnn_trial *after);
/** Returns a text such as "valid accuracy 0.49 -> 0.95 in the same 300 steps", which the caller frees. Returns NULL if
 * memory runs out. */
char *clrnn_trial_text(const struct clrnn_trial *before, const struct clrnn_trial *after, bool recall);
/** Whether a trial is so good (accuracy or R2 of 0.97 and more) that no change can show that it helps. */
bool clrnn_trial_is_good(const struct clrnn_trial *trial);

/** Whether `after` beats a constant answer and has at most half the error of `before`. If `before` did not run or its
 * loss was not finite, beating a constant answer is enough. */
bool clrnn_trial_is_far_better(const struct clrnn_trial *before, const struct clrnn_trial *after);

/** Whether this finding is about rare classes: their number, their weights, or that the net hardly ever predicts them.
 * If so, its remedy is judged by the lowest recall of a class. */
bool clrnn_finding_by_recall(const struct clrnn_finding *finding);
/** Whether `best` is far better (clrnn_trial_is_far_better) than d->asked, the training of the config as given. False
 * if `best` is NULL. If true, the model now learns, and findings about a model that does not learn no longer hold. */
bool clrnn_doctor_is_mended(const struct clrnn_doctor *d, const struct clrnn_trial *best);
/** Sorts the findings again by the results of the trials. A finding that follows from another one and offers no change
 * gets the remedy to mend its cause. `best`: the last trial that helped, or NULL. */
enum clrnn_status clrnn_doctor_settle(struct clrnn_doctor *d, const struct clrnn_trial *best);

/** Tries the changes that findings offer, in the order of the findings, each in addition to the changes that were kept.
 * Writes the result of each trial into the finding's `tried`. A change that makes the result worse or the config
 * invalid is withdrawn. Then tries candidates (clrnn_candidate) for findings that offer no change. If nothing helped,
 * searches the part of the config that breaks learning (growstep.h). */
enum clrnn_status clrnn_doctor_try(struct clrnn_doctor *d);

#endif
