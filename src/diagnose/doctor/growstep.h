// SPDX-License-Identifier: MIT
// Finds the part of the config that keeps the model from learning.
#ifndef CLRNN_SRC_DIAGNOSE_DOCTOR_GROWSTEP_H
#define CLRNN_SRC_DIAGNOSE_DOCTOR_GROWSTEP_H

#include "diagnose/doctor/trial.h"

/** The result of clrnn_growstep. Owns its texts and trial: clrnn_growstep_finish frees them. */
struct clrnn_growstep {
    char *text;               // what was tried and its result; NULL: nothing could be tried
    char *remedy;             // what to do about the result; NULL: nothing is known
    bool nothing_learns;      // neither the simplest net of this kind nor a linear model learns
    char *change;             // the change that helped, in the format of a finding's `set`; NULL: none
    struct clrnn_trial trial; // the short training of the config with the change
};

/** Finds the part of the config that breaks learning, by a binary search over the stages of `clrnn grow`, which adds
 * the config's parts to a simple net one by one (grow.h). Then tries the config without that part. `asked`: the short
 * training of the config itself; `steps`: training steps of each stage. */
enum clrnn_status clrnn_growstep(const struct clrnn_doctor *d, const struct clrnn_trial *asked, uint32_t steps,
                                 struct clrnn_growstep *step);
void clrnn_growstep_finish(struct clrnn_growstep *step);

#endif
