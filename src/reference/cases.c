// SPDX-License-Identifier: MIT
// Runs the test cases of all ops.
#include "base/log.h"
#include "reference/cases.h"

enum clrnn_status clrnn_cases_run(struct clrnn_cases *cases, const struct clrnn_case_size *size)
{
#define X(stem) TRY(clrnn_##stem##_cases(cases, size));
    CLRNN_STEM_LIST(X)
#undef X
    return CLRNN_OK;
}
