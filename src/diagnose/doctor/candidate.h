// SPDX-License-Identifier: MIT
// Changes of a config that may help a finding which has no certain remedy; each must be tried.
#ifndef CLRNN_SRC_DIAGNOSE_DOCTOR_CANDIDATE_H
#define CLRNN_SRC_DIAGNOSE_DOCTOR_CANDIDATE_H

#include "diagnose/doctor/doctor.h"

/** Makes the `index`th change (a text as a finding's `set`, to be freed) that may help a finding of this id;
 * *change is NULL after the last one, and "" where this one does not apply to the config. CLRNN_ERR_MEMORY.
 */
enum clrnn_status clrnn_candidate(const struct clrnn_doctor *d, const char *id, size_t index, char **change);

#endif
