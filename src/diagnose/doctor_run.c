// SPDX-License-Identifier: MIT
// Stages 2 and 3: the model itself.
#include "base/log.h"
#include "diagnose/doctor.h"

enum clrnn_status doctor_run_model(struct doctor *d)
{
    return d->status;
}
