// SPDX-License-Identifier: MIT
// The doctor's page: one self-contained HTML file.
#ifndef CLRNN_SRC_DIAGNOSE_DOCTOR_REPORT_H
#define CLRNN_SRC_DIAGNOSE_DOCTOR_REPORT_H

#include <stdio.h>

#include "diagnose/doctor/doctor.h"

/** Writes params.report, if it is set. CLRNN_ERR_DISK, CLRNN_ERR_MEMORY. */
enum clrnn_status clrnn_doctor_report_page(const struct clrnn_doctor *d);

/** Draws the pictures of a finding. */
void clrnn_report_pictures(FILE *page, const struct clrnn_doctor *d, const struct clrnn_finding *f);

#endif
