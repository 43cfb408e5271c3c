// SPDX-License-Identifier: MIT
// The table of findings.
#include "train/findings.h"

const struct clrnn_finding_info clrnn_finding_table[] = {
#define X(ident, id_, severity_, page_, meaning_, cost_, remedy_) \
    {id_, CLRNN_SEVERITY_##severity_, meaning_, cost_, remedy_, page_},
#include "train/findings.def"
#undef X
};

const struct clrnn_finding_info *clrnn_findings(size_t *count)
{
    if (count)
        *count = CLRNN_FINDING_COUNT;
    return clrnn_finding_table;
}
