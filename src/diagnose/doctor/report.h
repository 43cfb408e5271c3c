// SPDX-License-Identifier: MIT
// The doctor's page: one self-contained HTML file.
#ifndef CLRNN_SRC_DIAGNOSE_DOCTOR_REPORT_H
#define CLRNN_SRC_DIAGNOSE_DOCTOR_REPORT_H

#include <stdio.h>

#include "diagnose/doctor/doctor.h"

/** Writes the page to the file params.report, if that is set. CLRNN_ERR_DISK, CLRNN_ERR_MEMORY. */
enum clrnn_status clrnn_doctor_report_page(const struct clrnn_doctor *d);

#define CLRNN_REPORT_PICTURES 5 // number of kinds of pictures

/** Draws the pictures of finding f, which has the number `number` (from 1). at[kind]: the number of the finding that
 * already shows this kind of picture; 0: none. A picture that is already shown is replaced by a link. Sets at[kind] for
 * each picture that is drawn. */
void clrnn_report_pictures(FILE *page, const struct clrnn_doctor *d, const struct clrnn_finding *f, size_t number,
                           size_t at[CLRNN_REPORT_PICTURES]);

#endif
